"""A scanner's user interface, burned into the frames around and inside the ultrasound picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FONT = cv2.FONT_HERSHEY_SIMPLEX
# Shares of the frame that stay free of the picture: (top, left, bottom, right), least and most.
MARGINS = ((0.05, 0.10), (0.02, 0.10), (0.03, 0.08), (0.07, 0.14))
LABELS = ("LT BREAST", "RT BREAST", "UOQ", "3:00 4CM FN", "RADIAL", "MAMA DIR", "MAMMA LI", "1", "SAG")


@dataclass(frozen=True)
class Furniture:
    """The parts of a user interface that are drawn into each frame.

    Parameters
    ----------
    overlay : ndarray of uint8, shape (H, W)
        Grey levels of the interface.
    alpha : ndarray of bool, shape (H, W)
        Where the interface covers the picture.
    """

    overlay: NDArray[np.uint8]
    alpha: NDArray[np.bool_]

    def burn(self, frame: NDArray[np.uint8]) -> None:
        """Draw the interface on a frame, (H, W) or (H, W, 3), in place."""
        frame[self.alpha] = self.overlay[self.alpha] if frame.ndim == 2 else self.overlay[self.alpha][:, None]


def draw_box(rng: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
    """Draw where the picture lies in a frame that has space for the interface.

    Parameters
    ----------
    rng : numpy.random.Generator
    height, width : int
        Of the frame, in pixels.

    Returns
    -------
    tuple of int
        (row_min, column_min, row_max, column_max), inclusive.
    """
    top, left, bottom, right = (rng.uniform(*limits) for limits in MARGINS)
    return (
        int(top * height),
        int(left * width),
        height - 1 - int(bottom * height),
        width - 1 - int(right * width),
    )


def draw_furniture(
    rng: np.random.Generator,
    shape: tuple[int, int],
    box: tuple[int, int, int, int],
    pixel_mm: float,
    lesion: NDArray[np.bool_] | None,
) -> Furniture:
    """Draw an interface: depth ticks, text, a grey bar, a focus mark, sometimes callipers.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (H, W) of the frame.
    box : tuple of int
        (row_min, column_min, row_max, column_max) of the picture, inclusive.
    pixel_mm : float
    lesion : ndarray of bool, shape (H, W), or None
        Where callipers are put, on its first frame; they stay there as the tissue moves on. None: no callipers.

    Returns
    -------
    Furniture
    """
    canvas = np.zeros(shape, np.uint8)
    scale = min(shape) / 700
    row_min, column_min, row_max, column_max = box
    ink = int(rng.integers(150, 256))
    _ticks(canvas, box, pixel_mm, bool(rng.random() < 0.5), ink)
    bar = np.linspace(255, 0, max(2, int(0.3 * shape[0]))).astype(np.uint8)
    bar_width = max(2, int(0.018 * shape[1]))
    if column_min > bar_width + 2:
        canvas[row_min : row_min + len(bar), 1 : 1 + bar_width] = bar[:, None]
        canvas[row_min : row_min + len(bar), [0, bar_width + 1]] = ink
    header = f"SIMULATION  L{rng.integers(9, 15)}-{rng.integers(3, 6)}  MI {rng.uniform(0.6, 1.2):.1f}"
    cv2.putText(canvas, header, (column_min, max(8, row_min - 6)), FONT, 0.6 * scale, ink, 1, cv2.LINE_AA)
    footer = f"G {rng.integers(30, 70)}  DR {rng.integers(50, 75)}  {rng.integers(20, 60)} Hz"
    cv2.putText(canvas, footer, (column_min, shape[0] - 4), FONT, 0.5 * scale, ink, 1, cv2.LINE_AA)
    focus_row = int(row_min + rng.uniform(0.3, 0.6) * (row_max - row_min))
    size = max(2, int(7 * scale))
    triangle = np.array([[column_max + 2, focus_row], [column_max + 2 + size, focus_row - size // 2]])
    cv2.fillPoly(canvas, [np.vstack([triangle, [[column_max + 2 + size, focus_row + size // 2]]])], ink)
    if rng.random() < 0.7:
        label = str(rng.choice(LABELS))
        place = (
            int(column_min + rng.uniform(0.03, 0.5) * (column_max - column_min)),
            int(row_min + rng.uniform(0.75, 0.95) * (row_max - row_min)),
        )
        cv2.putText(
            canvas, label, place, FONT, rng.uniform(0.5, 0.9) * scale, ink, max(1, round(1.4 * scale)), cv2.LINE_AA
        )
    if lesion is not None and lesion.any():
        _callipers(canvas, rng, lesion, max(2, round(6 * scale)), ink)
    return Furniture(canvas, canvas > 40)


def _ticks(canvas: NDArray[np.uint8], box: tuple[int, int, int, int], pixel_mm: float, numbers: bool, ink: int) -> None:
    """Draw depth ticks every 5 mm at the picture's right edge, longer every 10 mm."""
    row_min, _, row_max, column_max = box
    length = max(2, canvas.shape[1] // 90)
    for step in range(1, int((row_max - row_min) * pixel_mm / 5) + 1):
        row = round(row_min + step * 5 / pixel_mm)
        reach = length * (2 - step % 2)
        canvas[row, column_max - length : min(column_max - length + reach, canvas.shape[1])] = ink
        if numbers and step % 2 == 0:
            place = (min(column_max + length * 2, canvas.shape[1] - 1), row + 3)
            cv2.putText(canvas, str(step // 2), place, FONT, canvas.shape[0] / 1500, ink, 1, cv2.LINE_AA)


def _callipers(
    canvas: NDArray[np.uint8], rng: np.random.Generator, lesion: NDArray[np.bool_], arm: int, ink: int
) -> None:
    """Draw two pairs of crosses at the ends of the lesion's extent, sometimes joined by dots."""
    rows, columns = np.nonzero(lesion)
    middle = int(rows.mean()), int(columns.mean())
    ends = [(middle[0], columns.min()), (middle[0], columns.max()), (rows.min(), middle[1]), (rows.max(), middle[1])]
    for row, column in ends:
        at = (int(column), int(row))
        cv2.drawMarker(canvas, at, ink, cv2.MARKER_CROSS, 2 * arm, 1)
    if rng.random() < 0.5:
        for first, last in ((ends[0], ends[1]), (ends[2], ends[3])):
            for share in np.linspace(0, 1, 12):
                row, column = (round(a + (b - a) * share) for a, b in zip(first, last, strict=True))
                canvas[row, column] = ink
