"""Correction of later outlines by the outline that a person drew on the anchor.

A network has its own way of drawing a lesion's outline. Even with the anchor in memory and as the previous frame, it
does not reproduce the anchor's mask exactly: it may include the halo or not, or round off lobes (the memory has a
stride of 16 pixels). It makes the same errors on the following frames, at the same places of the tissue. So the signed
distance between the drawn outline and the network's own outline is measured once, on the anchor. It is moved with the
tissue by optical flow and added to every later outline. The drawn outline itself is moved too. Where the tissue has not
changed since the anchor it is the better answer, and the corrected outline is shifted towards it. The weight of both
depends on how much of the anchor's structure is still visible. The weight of the drawn outline falls faster, and much
faster where it lies inside the network's: networks leave out parts of a lesion far more often than they add some.

The flow is computed to the anchor's own picture, starting from the result for the previous frame, so that its errors do
not add up from frame to frame.

The network continues from its own outlines. If it got the corrected ones, it would answer with larger ones, which would
be corrected again: on a beating heart the outline moved through the open valve. Docs/results/ablations.md shows the
effect of the correction.
"""

from __future__ import annotations

import cv2
import numpy as np

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.engine.likeness import Field, Grey, likeness, remapped, smooth_flow, structure
from UltrasoundLesionSegLib.engine.window import Window

LARGEST = 0.05  # of the window's side; a larger difference means that the network found something else
# How far the outline may be shifted towards the drawn one, of the window's side, and the weight: likeness to this power
# (a 16th outwards, a 64th inwards if half of the structure is left)
OUTWARDS, TRUST_OUTWARDS = 0.1, 4
INWARDS, TRUST_INWARDS = 0.05, 6
SMOOTHING = 0.01  # standard deviation, of the window's side: finer detail lasts a few frames only
BAND = 0.1  # of the window's side, on both sides of the outline: here the anchor's structure is compared
STEEPEST = 15.0  # log odds; beyond it a probability is 0 or 1 to six digits


class OutlineCorrection:
    """The drawn outline, and how far it lies outside the network's own, in the tissue of the lesion.

    Parameters
    ----------
    drawn : ndarray of float32, shape (N, N)
        The anchor's mask, 0 to 1, seen through ``window``.
    predicted : ndarray of float32, shape (N, N)
        The network's probabilities for the same frame.
    picture : ndarray of uint8, shape (N, N)
        The anchor's frame through ``window``.
    window : Window
    """

    def __init__(self, drawn: Field, predicted: Field, picture: Grey, window: Window) -> None:
        size = drawn.shape[0]
        difference = signed_distance(drawn) - signed_distance(predicted)
        bounded = np.clip(difference, -LARGEST * size, LARGEST * size)
        # in pixels of the frame, so that it does not depend on the window
        self._difference = cv2.GaussianBlur(bounded, (0, 0), SMOOTHING * size) * np.float32(window.side / size)
        self._drawn = signed_distance(drawn) * np.float32(window.side / size)
        self._largest = float(np.abs(self._difference).max())
        self._picture = picture
        self._structure = structure(picture)
        self._window = window
        self._area = self._area_of(drawn, window)
        self.likeness = 1.0  # of the present frame's structure to the anchor's, as of the last ``apply``
        self._now = picture  # the present frame
        # position on the anchor's picture of each pixel of the present one: (column, row)
        self._origin = np.indices((size, size), np.float32)[::-1]
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def follow(self, now: Grey, window: Window) -> None:
        """Follow the tissue to the next frame.

        Parameters
        ----------
        now : ndarray of uint8, shape (N, N)
            The frame through ``window``.
        window : Window
        """
        size = now.shape[0]
        origin = [self._window.reseen(field, window, size) for field in self._origin]
        # the anchor's picture moved to where its tissue was one frame before, and where each pixel of the present
        # frame is on it
        moved = remapped(self._picture, *origin)
        back = smooth_flow(self._flow, now, moved)
        rows, columns = np.indices((size, size), np.float32)
        place = columns + back[..., 0], rows + back[..., 1]
        # positions are composed instead of flow fields, which would blur if they were resampled on every frame
        self._origin = np.stack([remapped(field, *place) for field in origin])
        self._window, self._now = window, now

    def apply(self, predicted: Field) -> Field:
        """Correct the network's outline on the frame followed to.

        Parameters
        ----------
        predicted : ndarray of float32, shape (N, N)
            The network's probabilities for the frame.

        Returns
        -------
        ndarray of float32, shape (N, N)
            Probabilities; unchanged where the network sees no lesion, or the anchor's is too small to be seen.
        """
        now, window = self._now, self._window
        area = self._area_of(predicted, window)
        if area == 0 or self._area == 0:  # specks far apart can be too small to be seen through their window
            self.likeness = 0.0
            return predicted
        size = predicted.shape[0]
        scale = size / window.side
        # further away the correction changes nothing (STEEPEST): half of the window need not be computed
        reach = max(STEEPEST + self._largest * scale + max(OUTWARDS, INWARDS) * size, BAND * size)
        box = _around_lesion(predicted, int(reach) + 2)
        own = signed_distance(predicted[box])
        columns, rows = self._origin[(slice(None), *box)]
        carried: list[Field] = [
            remapped(field, columns, rows) for field in (self._difference, self._drawn, self._structure)
        ]
        difference, drawn, anchors = carried
        near = np.abs(own) < BAND * size
        self.likeness = alike = likeness(anchors[near], structure(now)[box][near])
        # the correction shrinks with the section, so that a section can vanish
        remaining = min(1.0, area / self._area)
        distance = own + difference * np.float32(remaining * alike * scale)
        towards = np.clip(drawn * np.float32(scale) - distance, -INWARDS * size, OUTWARDS * size)
        trust = np.where(towards > 0, alike**TRUST_OUTWARDS, alike**TRUST_INWARDS).astype(np.float32)
        corrected = np.full(predicted.shape, _probability(np.full(1, -STEEPEST, np.float32))[0])
        corrected[box] = _probability(distance + towards * trust * np.float32(remaining))
        return corrected

    def carried(self) -> Mask:
        """Return the drawn lesion as the tissue alone carried it to the present frame, bool (N, N) in its window."""
        return remapped(self._drawn, *self._origin) > 0

    @staticmethod
    def _area_of(probabilities: Field, window: Window) -> float:
        """Return the area of p > 0.5 in pixels of the frame."""
        return float(np.count_nonzero(probabilities > 0.5)) * (window.side / probabilities.shape[0]) ** 2


def _around_lesion(probabilities: Field, margin: int) -> tuple[slice, slice]:
    """Return rows and columns of p > 0.5, of which there is one, and ``margin`` pixels more on every side."""
    column, row, width, height = cv2.boundingRect((probabilities > 0.5).view(np.uint8))
    top, left = max(row - margin, 0), max(column - margin, 0)
    return slice(top, row + height + margin), slice(left, column + width + margin)


def _probability(distance: Field) -> Field:
    """Return the probability at a signed distance in pixels: its logistic, one pixel for one of log odds."""
    odds: Field = np.exp(-np.clip(distance, -STEEPEST, STEEPEST))
    return np.float32(1) / (np.float32(1) + odds)


def signed_distance(probabilities: Field | Mask) -> Field:
    """Return the distance to the outline at p = 0.5 in pixels, positive inside.

    Parameters
    ----------
    probabilities : ndarray of float32 or bool, shape (H, W)

    Returns
    -------
    ndarray of float32, shape (H, W)
        With no pixel inside (or outside) the outline, minus (plus) H everywhere.
    """
    inside = (probabilities > 0.5).astype(np.uint8)
    if not inside.any() or inside.all():
        return np.full(inside.shape, inside.shape[0] if inside.any() else -inside.shape[0], np.float32)
    # pixel centres are half a pixel away from an outline that runs between pixels
    within = np.maximum(cv2.distanceTransform(inside, cv2.DIST_L2, 5) - 0.5, 0)
    without = np.maximum(cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5) - 0.5, 0)
    distance: Field = within - without
    return distance
