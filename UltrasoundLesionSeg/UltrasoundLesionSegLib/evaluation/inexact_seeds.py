"""Seeds as people draw them: shifted, too small, too large, or a mere ellipse. A steady model loses little by them."""

from __future__ import annotations

from enum import Enum

import cv2
import numpy as np

from UltrasoundLesionSegLib.cine import Mask

OFF = 5  # pixels by which a seed is shifted; eroded and dilated ones are off by 3


class SeedMask(str, Enum):
    """How the seed differs from the true mask."""

    EXACT = "exact"
    SHIFTED = "shifted"
    ERODED = "eroded"
    DILATED = "dilated"
    ELLIPSE = "ellipse"


def inexact(mask: Mask, kind: SeedMask) -> Mask:
    """Return a true mask as an inexact seed.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    kind : SeedMask
        ``shifted``: 5 pixels to the right. ``eroded`` and ``dilated``: by 3 pixels all around. ``ellipse``: the one
        that fits the outline of the largest part best (least squares).

    Returns
    -------
    ndarray of bool, shape (H, W)
        The mask itself where nothing would be left, or where it is too small for an ellipse.
    """
    changed = _changed(mask.astype(np.uint8), kind) > 0
    return changed if changed.any() else mask


def _changed(mask: np.ndarray, kind: SeedMask) -> np.ndarray:
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    if kind is SeedMask.SHIFTED:
        return np.pad(mask, ((0, 0), (OFF, 0)))[:, :-OFF]
    if kind is SeedMask.ERODED:
        return cv2.erode(mask, disk)
    if kind is SeedMask.DILATED:
        return cv2.dilate(mask, disk)
    if kind is SeedMask.ELLIPSE:
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        drawn = np.zeros_like(mask)
        outline = max(outlines, key=len, default=None)
        if outline is not None and len(outline) >= 5:  # an ellipse has five parameters
            cv2.ellipse(drawn, cv2.fitEllipse(outline), 1, -1)
        return drawn
    return mask
