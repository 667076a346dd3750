"""Smooth random motion of tissue under a hand-held probe: where each pixel of a frame lies in the still."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Wobble:
    """Several independent smooth functions of time, each a sum of three sinusoids within about [-1, 1].

    Parameters
    ----------
    frequencies, phases, amplitudes : ndarray, shape (count, 3)
        In radians a frame, radians, and 1.
    """

    frequencies: NDArray[np.float64]
    phases: NDArray[np.float64]
    amplitudes: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, shortest: float = 10.0, longest: float = 90.0) -> Wobble:
        """Draw ``count`` functions whose periods lie between ``shortest`` and ``longest`` frames."""
        periods = np.exp(rng.uniform(np.log(shortest), np.log(longest), (count, 3)))
        # slow components carry more of the motion than fast ones, as hands do
        weights = periods * rng.uniform(0.3, 1.0, (count, 3))
        return cls(2 * np.pi / periods, rng.uniform(0, 2 * np.pi, (count, 3)), weights / weights.sum(1, keepdims=True))

    def at(self, time: float) -> NDArray[np.float64]:
        """Return the values at a time in frames, shape (count,)."""
        return (self.amplitudes * np.sin(self.frequencies * time + self.phases)).sum(1)


@dataclass(frozen=True)
class TissueMotion:
    """The motion of one clip: probe translation, tilt and compression, elastic change, growth of the lesion's section.

    Parameters
    ----------
    centre : tuple of float
        (row, column) of the lesion in the still.
    radii : tuple of float
        Half the lesion's extent in (rows, columns), in pixels.
    translation, rotation, stretch, growth, elastic, ripple : float
        Largest translation in lesion extents, rotation in radians, logarithm of the stretch of an axis, logarithm of
        the growth of the lesion's section, and displacement of the coarse and the fine elastic field in lesion extents.
    wobble : Wobble
        Of ``WOBBLES`` functions.
    jumps : tuple of (time, row, column)
        Sudden slips of the probe, in frames and lesion extents.
    """

    COARSE = 4
    FINE = 9
    WOBBLES = 7 + 2 * (COARSE**2 + FINE**2)

    centre: tuple[float, float]
    radii: tuple[float, float]
    translation: float
    rotation: float
    stretch: float
    growth: float
    elastic: float
    ripple: float
    wobble: Wobble
    jumps: tuple[tuple[float, float, float], ...] = ()

    def maps(self, time: float, size: int, shrink: float = 1.0) -> tuple[Field, Field]:
        """Return for each pixel of the frame its column and row in the still.

        Parameters
        ----------
        time : float
            In frames.
        size : int
            The frame and the still are ``size`` x ``size`` pixels.
        shrink : float
            A further factor on the size of the lesion's section, for a plane that leaves it.

        Returns
        -------
        tuple of two ndarray of float32, shape (size, size)
            Columns, rows.
        """
        values = self.wobble.at(time)
        extent = float(np.mean(self.radii)) * 2
        shift = values[:2] * self.translation
        for when, slip_row, slip_column in self.jumps:
            if time >= when:
                shift = shift + np.array((slip_row, slip_column))
        angle = values[2] * self.rotation
        scale_row, scale_column = np.exp(values[3:5] * self.stretch)
        grid = np.arange(size, dtype=np.float32)
        rows = (grid - np.float32(self.centre[0] + shift[0] * extent))[:, None]
        columns = (grid - np.float32(self.centre[1] + shift[1] * extent))[None, :]
        cosine, sine = np.cos(angle), np.sin(angle)
        row = np.float32(cosine * scale_row) * rows + np.float32(-sine) * columns
        column = np.float32(sine) * rows + np.float32(cosine * scale_column) * columns
        growth_row, growth_column = np.exp(values[5:7] * self.growth) * shrink
        ratio_row, ratio_column = self._section(row, column, growth_row, growth_column)
        row, column = row * ratio_row, column * ratio_column
        coarse = values[7 : 7 + 2 * self.COARSE**2].reshape(2, self.COARSE, self.COARSE)
        fine = values[7 + 2 * self.COARSE**2 :].reshape(2, self.FINE, self.FINE)
        for axis, target in ((0, row), (1, column)):
            field = coarse[axis] * self.elastic * extent
            target += cv2.resize(field.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
            field = fine[axis] * self.ripple * extent
            target += cv2.resize(field.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        return column + np.float32(self.centre[1]), row + np.float32(self.centre[0])

    def _section(self, row: Field, column: Field, growth_row: float, growth_column: float) -> tuple[Field, Field]:
        """Return the factors from frame to still positions that grow the lesion and leave far tissue in place."""
        radius = np.sqrt((row / np.float32(self.radii[0])) ** 2 + (column / np.float32(self.radii[1])) ** 2) + 1e-3
        ratios = []
        for growth in (growth_row, growth_column):
            growth = float(np.clip(growth, 0.15, 2.0))
            far = 2.6  # in radii of the lesion; beyond it nothing moves
            between = 1 + (radius - growth) * np.float32((far - 1) / (far - growth))
            source = np.where(radius < growth, radius / np.float32(growth), np.where(radius < far, between, radius))
            ratios.append((source / radius).astype(np.float32))
        return ratios[0], ratios[1]


def draw_motion(
    rng: np.random.Generator, centre: tuple[float, float], radii: tuple[float, float], strength: float
) -> TissueMotion:
    """Draw the motion of a clip.

    Parameters
    ----------
    rng : Generator
    centre, radii : tuple of float
        Of the lesion, (row, column), in pixels.
    strength : float
        1 for motion as strong as on hand-held cines, 0 for none.
    """
    radii = (max(radii[0], 4.0), max(radii[1], 4.0))
    wobble = Wobble.draw(rng, TissueMotion.WOBBLES, float(rng.uniform(5, 16)), float(rng.uniform(40, 120)))
    jumps = []
    if rng.random() < 0.15 * strength:
        jumps.append((float(rng.uniform(1, 40)), float(rng.normal(0, 0.1)), float(rng.normal(0, 0.25))))
    return TissueMotion(
        centre,
        radii,
        translation=float(rng.uniform(0.1, 0.7)) * strength,
        rotation=float(rng.uniform(0.0, 0.16)) * strength,
        stretch=float(rng.uniform(0.02, 0.16)) * strength,
        growth=float(rng.uniform(0.05, 0.45)) * strength,
        elastic=float(rng.uniform(0.05, 0.25)) * strength,
        ripple=float(rng.uniform(0.02, 0.09)) * strength,
        wobble=wobble,
        jumps=tuple(jumps),
    )
