"""A colour Doppler box over a simulated picture: vessels that wind through the tissue and beat."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.simulation.filters import Array
from UltrasoundLesionSegLib.simulation.noise import smooth_noise

BEATS_PER_SECOND = 1.15
VESSEL_MM = 9.0  # distance between vessels, roughly


@dataclass(frozen=True)
class ColorDoppler:
    """The colour box and the tint of the grey picture.

    Parameters
    ----------
    box : tuple of int
        (row_min, column_min, row_max, column_max) in the picture, inclusive.
    tint : ndarray of float32, shape (3,)
        Factors of the grey map's red, green and blue.
    offset : float
        Where in the noise the vessels are read.
    """

    box: tuple[int, int, int, int]
    tint: Array
    offset: float

    def paint(
        self, grey: NDArray[np.uint8], points: tuple[Array, Array, Array], inside: NDArray[np.bool_], seconds: float
    ) -> NDArray[np.uint8]:
        """Return the RGB picture.

        Parameters
        ----------
        grey : ndarray of uint8, shape (H, W)
        points : tuple of ndarray of float32, shape (H, W)
            Tissue coordinates (x, y, z) in mm of the pixels.
        inside : ndarray of bool, shape (H, W)
            The sector.
        seconds : float

        Returns
        -------
        ndarray of uint8, shape (H, W, 3)
        """
        picture = (grey[..., None] * self.tint).astype(np.uint8)
        row_min, column_min, row_max, column_max = self.box
        window = (slice(row_min, row_max + 1), slice(column_min, column_max + 1))
        x, y, z = (np.ascontiguousarray(one[window]) * np.float32(1 / VESSEL_MM) for one in points)
        noise, at = smooth_noise(), np.float32(self.offset)
        # where both are near zero there is a line in space: a vessel
        across = np.hypot(noise(x + at, y, z), noise(x, y + at, z + 5))
        beat = 0.6 + 0.4 * np.sin(2 * np.pi * BEATS_PER_SECOND * seconds)
        speed = np.clip(1 - across / np.float32(0.28 * beat), 0, 1)
        speed[(grey[window] > 150) | ~inside[window]] = 0  # the scanner gives bright echoes priority over colour
        towards = (noise(x, y + at, z) > 0).astype(np.float32)
        warm = np.stack([np.full_like(speed, 200) + 55 * speed, 230 * speed * speed, 20 * speed], axis=-1)
        flow = towards[..., None] * warm + (1 - towards[..., None]) * warm[..., ::-1]
        picture[window] = np.where(speed[..., None] > 0.02, flow, picture[window]).astype(np.uint8)
        cv2.rectangle(picture, (column_min, row_min), (column_max, row_max), (90, 200, 90), 1)
        picture[~inside] = 0
        return picture


def draw_doppler(rng: np.random.Generator, height: int, width: int) -> ColorDoppler:
    """Draw a colour box inside a picture of a size.

    Parameters
    ----------
    rng : numpy.random.Generator
    height, width : int

    Returns
    -------
    ColorDoppler
    """
    tall, wide = rng.uniform(0.3, 0.5, 2)
    top, left = rng.uniform(0.12, 0.3), rng.uniform(0.2, 0.45)
    box = (
        int(top * height),
        int(left * width),
        min(int((top + tall) * height), height - 1),
        min(int((left + wide) * width), width - 1),
    )
    tint = np.ones(3) if rng.random() < 0.5 else np.array([1.0, rng.uniform(0.88, 1.0), rng.uniform(0.7, 0.95)])
    return ColorDoppler(box, tint.astype(np.float32), float(rng.uniform(2, 16)))
