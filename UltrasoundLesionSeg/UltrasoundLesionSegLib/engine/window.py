"""The square window of a frame that a network looks at.

A network sees the lesion at the lesion's scale: a square around the previous mask with a margin, resized to the
network's input. Training cuts its clips with the same class, so that both see the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame, Mask

Image = NDArray[Any]  # uint8 or float32, (H, W) or (H, W, C)
TINT = 8  # levels between the colours of a pixel that is meant to be grey; colour Doppler begins at tens


@dataclass(frozen=True)
class Window:
    """A square of the frame's plane; it may reach past the frame, where it sees black.

    Parameters
    ----------
    row, column : float
        Its centre, in pixels; the centre of the first pixel is (0, 0).
    side : float
        Its side in pixels, > 0.
    """

    row: float
    column: float
    side: float

    @classmethod
    def whole(cls, height: int, width: int) -> Window:
        """Return the smallest window that holds the whole frame."""
        return cls((height - 1) / 2, (width - 1) / 2, float(max(height, width)))

    @classmethod
    def around(cls, mask: Mask, margin: float, smallest_side: float) -> Window:
        """Return the window around a mask.

        Parameters
        ----------
        mask : ndarray of bool, shape (H, W)
            Not empty.
        margin : float
            The window's side over the longer side of the mask's bounding box.
        smallest_side : float
            In pixels; a window is never smaller, so that a speck is not enlarged to noise.
        """
        rows = np.flatnonzero(mask.any(axis=1))
        columns = np.flatnonzero(mask.any(axis=0))
        extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
        side = max(float(extent) * margin, smallest_side)
        return cls(float(rows[0] + rows[-1]) / 2, float(columns[0] + columns[-1]) / 2, side)

    def _to_window(self, size: int) -> NDArray[np.float64]:
        """Return the 2 x 3 affine matrix from frame (column, row) to window pixels, pixel centres at integers."""
        scale = size / self.side
        left = self.column - (self.side - 1) / 2
        top = self.row - (self.side - 1) / 2
        # +0.5 -0.5: pixel edges, not centres, are what the resize maps onto each other
        return np.array([[scale, 0, (0.5 - left) * scale - 0.5], [0, scale, (0.5 - top) * scale - 0.5]])

    def to_input(self, row: float, column: float, size: int) -> tuple[float, float]:
        """Return where a point of the frame is in the window as ``cut`` shows it, (row, column) in its pixels."""
        matrix = self._to_window(size)
        return float(matrix[1, 1] * row + matrix[1, 2]), float(matrix[0, 0] * column + matrix[0, 2])

    def to_frame(self, row: float, column: float, size: int) -> tuple[float, float]:
        """Return where a pixel of the window as ``cut`` shows it is in the frame, (row, column)."""
        matrix = self._to_window(size)
        return float((row - matrix[1, 2]) / matrix[1, 1]), float((column - matrix[0, 2]) / matrix[0, 0])

    def cut(self, image: Image, size: int) -> Image:
        """Resample the window to ``size`` x ``size`` pixels.

        Shrinking by more than two averages first: sampling alone would alias the speckle.

        Parameters
        ----------
        image : ndarray of uint8 or float32, shape (H, W) or (H, W, C)
        size : int

        Returns
        -------
        ndarray, shape (size, size) or (size, size, C), of the same dtype
        """
        matrix = self._to_window(size)
        shrink = int(self.side // size)
        if shrink >= 2:
            image, matrix = self._shrunk(image, shrink, matrix)
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

    def _shrunk(self, image: Image, shrink: int, matrix: NDArray[np.float64]) -> tuple[Image, NDArray[np.float64]]:
        """Return the image under the window averaged over ``shrink`` x ``shrink`` pixels, and the matrix that fits it.

        Whole blocks counted from the frame's corner: the average of a block does not depend on the window, and a
        whole number of pixels is averaged many times faster than a fraction.
        """
        height, width = image.shape[:2]
        rows, columns = self.box(height, width, shrink)
        top, left = rows.start // shrink * shrink, columns.start // shrink * shrink
        part = image[top : rows.stop, left : columns.stop]
        if part.size == 0:
            return image[:0], matrix
        below, right = -part.shape[0] % shrink, -part.shape[1] % shrink
        if below or right:
            part = cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_REPLICATE)
        small = cv2.resize(part, (part.shape[1] // shrink, part.shape[0] // shrink), interpolation=cv2.INTER_AREA)
        # small pixel i covers frame pixels [start + i * shrink, start + (i + 1) * shrink)
        matrix = matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ np.array([left + (shrink - 1) / 2, top + (shrink - 1) / 2])
        matrix[:, :2] *= shrink
        return small, matrix

    def box(self, height: int, width: int, margin: int = 0) -> tuple[slice, slice]:
        """Return the rows and the columns of a frame that lie under the window; empty when none do.

        Parameters
        ----------
        height, width : int
        margin : int
            Pixels more on every side.
        """
        return (_inside(self.row, self.side, height, margin), _inside(self.column, self.side, width, margin))

    def reseen(self, values: NDArray[np.float32], other: Window, size: int) -> NDArray[np.float32]:
        """Resample values given in this window as another window sees them; the outermost value goes on outside.

        Parameters
        ----------
        values : ndarray of float32, shape (N, N)
        other : Window
        size : int
            Pixels a side in the other window.

        Returns
        -------
        ndarray of float32, shape (size, size)
        """
        if other == self and values.shape[0] == size:
            return values
        to_frame = np.vstack([cv2.invertAffineTransform(other._to_window(size)), [0, 0, 1]])
        matrix = (self._to_window(values.shape[0]) @ to_frame)[:2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(values, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return seen.astype(np.float32, copy=False)

    def paste(self, values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Resample values given in the window back onto the frame; 0 outside the window.

        Parameters
        ----------
        values : ndarray of float32, shape (size, size)
        height, width : int
            Of the frame.

        Returns
        -------
        ndarray of float32, shape (height, width)
        """
        full = np.zeros((height, width), np.float32)
        box = self.box(height, width)
        part = full[box]
        if part.size == 0:
            return full
        # only the part of the frame under the window is resampled: a 4096 x 4096 frame costs no more than its lesion
        matrix = cv2.invertAffineTransform(self._to_window(values.shape[0]))
        matrix[:, 2] -= (box[1].start, box[0].start)
        full[box] = cv2.warpAffine(
            values, matrix, part.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        return full


def _inside(centre: float, side: float, length: int, margin: int) -> slice:
    """Return the pixels of an axis of ``length`` that a window touches, and ``margin`` more on both sides."""
    first = int(np.floor(centre - side / 2))
    last = first + int(np.ceil(side)) + 2
    start = min(max(first - margin, 0), length)
    return slice(start, max(min(last + margin, length), start))


def rgb(frame: Frame) -> Frame:
    """Return a frame as ``(H, W, 3)``; grey is repeated."""
    return frame if frame.ndim == 3 else cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)


def grey(frame: Frame) -> NDArray[np.uint8]:
    """Return the mean of the colours, uint8 (H, W); a grey frame is returned as it is."""
    if frame.ndim == 2:
        return frame
    # a third of a whole number is never half-way between two: adding one and cutting off rounds to the nearest
    return ((frame.sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)


def without_tint(frame: Frame) -> Frame:
    """Return a frame whose colours are those of JPEG or a colour conversion as the grey frame it was.

    Grey frames come back from colour files with a tint of a few levels. A network's answer depends on it a little, and
    through its memory more on each frame, so the same cine would get other masks as grey and as colour.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)

    Returns
    -------
    ndarray of uint8, shape (H, W)
        The mean of the colours where no pixel's differ by more than ``TINT``; else the frame itself.
    """
    if frame.ndim == 2:
        return frame
    red, green, blue = cv2.split(frame)
    highest, lowest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    if int(cv2.subtract(highest, lowest).max()) > TINT:
        return frame
    return grey(frame)
