"""A person who clicks, simulated: first into the lesion, then into the middle of the largest error.

As in RITM (Sofiiuk et al., ICIP 2022) and SimpleClick (Liu et al., ICCV 2023).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.engine.click_prompt import Click

NEAR_MIDDLE = 0.5  # a human hand clicks where the distance to the border is at least this share of the largest


def next_click(found: Mask, truth: Mask, rng: np.random.Generator | None = None) -> Click | None:
    """Return the next click of a person who sees a mask and knows the truth.

    Parameters
    ----------
    found, truth : ndarray of bool, shape (H, W)
        An empty ``found`` gives the first click.
    rng : Generator or None
        None clicks into the deepest point of the largest error; with a generator anywhere near the middle of it.

    Returns
    -------
    Click or None
        None when nothing is wrong.
    """
    missed, extra = _depth(truth & ~found), _depth(found & ~truth)
    inside = bool(missed.max() >= extra.max())
    depth = missed if inside else extra
    deepest = float(depth.max())
    if deepest <= 0:
        return None
    if rng is None:
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        places = np.flatnonzero(depth >= NEAR_MIDDLE * deepest)
        row, column = np.unravel_index(int(places[rng.integers(len(places))]), depth.shape)
    return Click(float(row), float(column), inside)


def _depth(region: Mask) -> NDArray[np.float32]:
    """Return how far inside a region each pixel is, in pixels; the frame's edge is an edge of the region too."""
    padded = cv2.copyMakeBorder(region.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)
