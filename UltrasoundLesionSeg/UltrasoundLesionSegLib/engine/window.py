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
            In pixels; a window is never smaller, so that a speck is not blown up to noise.
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
            image, matrix = self._shrunk(image, shrink, size)
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

    def _shrunk(self, image: Image, shrink: int, size: int) -> tuple[Image, NDArray[np.float64]]:
        height, width = image.shape[:2]
        small = cv2.resize(image, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA)
        factor_row, factor_column = height / small.shape[0], width / small.shape[1]
        matrix = self._to_window(size)
        # small pixel i covers frame pixels [i * factor, (i + 1) * factor)
        matrix[:, 2] += matrix[:, :2] @ np.array([(factor_column - 1) / 2, (factor_row - 1) / 2])
        matrix[0, 0] *= factor_column
        matrix[1, 1] *= factor_row
        return small, matrix

    def paste(self, values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Resample values given in the window back onto the frame; 0 outside the window.

        Parameters
        ----------
        values : ndarray of float32, shape (size, size)

        Returns
        -------
        ndarray of float32, shape (height, width)
        """
        size = values.shape[0]
        matrix = cv2.invertAffineTransform(self._to_window(size))
        full = np.zeros((height, width), np.float32)
        top, left = int(np.floor(self.row - self.side / 2)), int(np.floor(self.column - self.side / 2))
        bottom, right = top + int(np.ceil(self.side)) + 2, left + int(np.ceil(self.side)) + 2
        top, left, bottom, right = max(top, 0), max(left, 0), min(bottom, height), min(right, width)
        if bottom <= top or right <= left:
            return full
        # only the part of the frame under the window is resampled: a 4096 x 4096 frame costs no more than its lesion
        matrix[:, 2] -= (left, top)
        full[top:bottom, left:right] = cv2.warpAffine(
            values, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        return full


def rgb(frame: Frame) -> Frame:
    """Return a frame as ``(H, W, 3)``; grey is repeated."""
    return frame if frame.ndim == 3 else np.repeat(frame[:, :, None], 3, axis=2)
