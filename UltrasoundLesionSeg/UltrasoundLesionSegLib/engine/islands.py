"""The parts of a mask that can be the lesion: specks and parts elsewhere are removed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask

SPECK = 0.1  # islands smaller than this share of the largest are noise, which would enlarge the window
REACH = 3  # pixels a lesion's island may be away from the previous mask


def plausible_parts(probabilities: NDArray[np.float32], before: Mask) -> NDArray[np.float32]:
    """Remove islands of p > 0.5 that cannot be the lesion: specks, and parts away from where it was one frame before.

    A lesion does not jump between frames, so an island that does not touch the previous mask, grown by ``REACH``
    pixels, is another dark structure; where none touches it (a cut in the cine), all count. Islands that are small
    beside the largest remaining one (``SPECK`` of its area) go too.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (H, W)
    before : ndarray of bool, shape (H, W)
        The previous mask; empty when the lesion was not visible.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Unchanged outside the removed islands, 0 in them.
    """
    inside = probabilities > 0.5
    if not inside.any():
        return probabilities
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # areas are counted only where there are several: OpenCV's own statistics take ten times as long as the labels
    count, labels = cv2.connectedComponents(inside[box].astype(np.uint8), connectivity=8)
    if count <= 2:
        return probabilities
    reach = cv2.dilate(before[box].astype(np.uint8), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8))
    touching = np.bincount(labels[reach > 0], minlength=count)[1:] > 0
    areas = np.bincount(labels.ravel())[1:] * (touching if touching.any() else 1)
    unlikely = 1 + np.flatnonzero(areas < max(SPECK * areas.max(), 1))
    if len(unlikely):
        probabilities = probabilities.copy()
        probabilities[box][np.isin(labels, unlikely)] = 0.0
    return probabilities
