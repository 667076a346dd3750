"""A still prepared for a clip: its tissue with the lesion, tissue without a lesion, and lesion tissue everywhere."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.engine.window import Window
from UltrasoundLesionSegLib.fitting.speckle import split_layers
from UltrasoundLesionSegLib.fitting.still import Still

Field = NDArray[np.float32]


class TissueSheet:
    """A still prepared at the clip's scale: all that does not change from frame to frame.

    Parameters
    ----------
    still, other : Still
        Tissue that comes into the plane has the echo levels of the second one.
    window : Window
        The part of the still that becomes the clip's frames.
    size : int
        Side of the frames in pixels.
    extend : bool
        Mirror the tissue past the still's edge instead of showing black there.
    """

    def __init__(self, still: Still, other: Still, window: Window, size: int, extend: bool) -> None:
        height, width = still.image.shape
        image = _cut_mirrored(still.image, window, size)
        self.layers = split_layers(image)
        lesion = window.cut(still.mask.astype(np.uint8) * 255, size) > 127
        self.seen: Mask = (
            np.ones((size, size), bool) if extend else window.cut(np.full((height, width), 255, np.uint8), size) > 127
        )
        inside = cv2.distanceTransform(lesion.astype(np.uint8), cv2.DIST_L2, 3)
        outside = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, 3)
        # half a pixel each: the boundary runs between the pixels
        self.distance: Field = np.where(lesion, inside - 0.5, 0.5 - outside).astype(np.float32)
        rows, columns = np.flatnonzero(lesion.any(axis=1)), np.flatnonzero(lesion.any(axis=0))
        middle = (size - 1) / 2
        self.centre = (
            (float(rows[0] + rows[-1]) / 2, float(columns[0] + columns[-1]) / 2) if len(rows) else (middle, middle)
        )
        self.radii = (
            (float(rows[-1] - rows[0] + 1) / 2, float(columns[-1] - columns[0] + 1) / 2)
            if len(rows)
            else (size / 8, size / 8)
        )
        reach = 0.35 * sum(self.radii)
        # 1 in the lesion, falling to 0 over a third of its radius around it
        self.near: Field = np.clip(1 + self.distance / np.float32(reach), 0, 1)
        growth = np.ones((2 * int(reach * 0.4) + 3,) * 2, np.uint8)
        grown = cv2.dilate(lesion.astype(np.uint8), growth) > 0
        # with its mirror images past the still's edges
        lesions = cv2.dilate(_cut_mirrored(still.mask.astype(np.uint8) * 255, window, size), growth) > 127
        shrunk = self.distance > min(0.15 * min(self.radii), 4)
        # the lesion filled with its surroundings, and the surroundings filled with the lesion
        self.blank = _without(self.layers.echo, grown, lesions, max(reach * 0.2, 1.0))
        self.full = (
            _painted_over(self.layers.echo, (self.near > 0) & ~shrunk, 1.0) if shrunk.any() else self.layers.echo
        )
        ring = (self.near > 0) & ~grown
        self.spreads = (
            float(self.layers.spread[shrunk].mean()) if shrunk.any() else 1.0,
            float(self.layers.spread[ring].mean()) if ring.any() else 1.0,
        )
        softness = max(0.12 * sum(self.radii), 1.0)
        self.soft: Field = np.asarray(cv2.GaussianBlur(self.layers.echo, (0, 0), softness), np.float32)
        foreign = guided_echo(other, size)
        level = np.float32(self.layers.echo.mean() - foreign.mean())
        self.foreign: Field = (foreign + level - self.layers.echo) * (1 - self.near)

    def reshaped(self, echo: Field, moved: Field, edge: float) -> tuple[Field, Field]:
        """Move the lesion's boundary through the tissue, which stays.

        Parameters
        ----------
        echo : ndarray of float32, shape (N, N)
            Echogenicity, changed in place.
        moved : ndarray of float32, shape (26,)
            How far the boundary moves outwards, pixels: everywhere, and on a grid of 5 x 5.
        edge : float
            Width of the boundary, pixels.

        Returns
        -------
        tuple of two ndarray of float32, shape (N, N)
            The section's signed distance and the speckle's spread.
        """
        size = echo.shape[0]
        grid = cv2.resize(moved[1:].reshape(5, 5), (size, size), interpolation=cv2.INTER_CUBIC)
        section: Field = self.distance + grid + moved[0]
        change = np.clip(section / np.float32(edge) + 0.5, 0, 1) - np.clip(self.distance / np.float32(edge) + 0.5, 0, 1)
        gained, lost = np.maximum(change, 0), np.maximum(-change, 0)
        echo += gained * (self.full - echo) + lost * (self.blank - echo)
        inside, around = self.spreads
        spread: Field = (
            self.layers.spread + gained * (inside - self.layers.spread) + lost * (around - self.layers.spread)
        )
        return section, spread


def guided_echo(still: Still, size: int) -> Field:
    """Return a still's echogenicity over its largest central square, ``size`` x ``size`` float32."""
    height, width = still.image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    small = cv2.resize(still.image[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small.astype(np.float32), (0, 0), 2.0), np.float32)


def _cut_mirrored(image: NDArray[np.uint8], window: Window, size: int) -> Field:
    """Return the window of an image that goes on mirrored past its edges, float32."""
    height, width = image.shape
    half = window.side / 2 + 2
    pads = [half - window.row, window.row + half - height, half - window.column, window.column + half - width]
    top, bottom, left, right = (max(int(np.ceil(pad)), 0) for pad in pads)
    padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    moved = Window(window.row + top, window.column + left, window.side)
    return moved.cut(padded.astype(np.uint8, copy=False), size).astype(np.float32)


def _painted_over(echo: Field, hole: Mask, softness: float) -> Field:
    """Return the echogenicity with a hole painted over by what surrounds it; the transition has the given width."""
    size = echo.shape[0]
    small = max(size // 5, 16)
    hole_small = (cv2.resize(hole.astype(np.uint8), (small, small), interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    level = np.clip(cv2.resize(echo, (small, small), interpolation=cv2.INTER_AREA), 0, 255).astype(np.uint8)
    filled = cv2.resize(
        cv2.inpaint(level, hole_small, 3, cv2.INPAINT_TELEA).astype(np.float32),
        (size, size),
        interpolation=cv2.INTER_LINEAR,
    )
    share = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), softness)
    painted: Field = echo + share * (filled - echo)
    return painted


def _without(echo: Field, hole: Mask, lesions: Mask, softness: float) -> Field:
    """Return the echogenicity with a hole painted over by its level and structured as the tissue beside it.

    A level alone leaves an even patch, as no real cine shows, and networks learn it as a sign that the lesion has gone.
    No structure comes from ``lesions``.
    """
    structure = echo - cv2.GaussianBlur(echo, (0, 0), 0.04 * echo.shape[0])
    share = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), softness)
    painted: Field = _painted_over(echo, hole, softness) + share * _structure_beside(structure, hole, hole | lesions)
    return painted


def _structure_beside(structure: Field, hole: Mask, excluded: Mask) -> Field:
    """Return for a hole the structure at the same depth, one hole's width to the left and to the right, mixed.

    The nearer side counts for more. Where both sides are excluded, it is 0.
    """
    columns = np.flatnonzero(hole.any(axis=0))
    if not len(columns):
        return np.zeros_like(structure)
    first, width, last = columns[0], int(np.ptp(columns)) + 1, structure.shape[1] - 1
    every = np.arange(last + 1)
    rightward = np.clip((every - first) / width, 0.02, 0.98).astype(np.float32)
    mixed, squares = np.zeros_like(structure), np.zeros_like(structure)
    for shift, near in ((-width, 1 - rightward), (width, rightward)):
        mirrored = last - np.abs(last - np.abs(every + shift))  # goes on mirrored past the frame's edges
        weight = near * ~excluded[:, mirrored]
        mixed += weight * structure[:, mirrored]
        squares += weight**2
    # the two sides are not alike, so their variances add up
    return np.asarray(mixed / np.sqrt(np.maximum(squares, 1e-6)), np.float32)
