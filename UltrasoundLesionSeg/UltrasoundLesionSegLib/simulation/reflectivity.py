"""Reflectivity on the image plane: scatterers and interfaces, attenuated by the tissue above them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from UltrasoundLesionSegLib.simulation import filters
from UltrasoundLesionSegLib.simulation.filters import Array
from UltrasoundLesionSegLib.simulation.lesion import Lesion
from UltrasoundLesionSegLib.simulation.motion import Motion, Pose
from UltrasoundLesionSegLib.simulation.noise import SLICE_SIGMA_MM
from UltrasoundLesionSegLib.simulation.probe import BeamGrid
from UltrasoundLesionSegLib.simulation.tissue import Tissue

Points = tuple[Array, Array, Array]

COARSE = 2  # layers are evaluated on every second sample and line, and interpolated
# Where (in sigmas) the slice thickness is sampled for the partial volume at a lesion's margin, and the weights.
SLAB = ((-1.2, 0.27), (0.0, 0.46), (1.2, 0.27))
CALCIFICATION_AMPLITUDE = 4.5
CLUTTER_REACH_MM = 3.0
HALO_MM = 1.3
EDGE_SHADOW_DB_MM = 1.1
SHADOW_BLUR_MM = 0.6  # the aperture is wide: shadows have soft sides


@dataclass(frozen=True)
class Reflectivity:
    """The reflectivity of the image plane at one moment, on the beam grid.

    Parameters
    ----------
    amplitude : ndarray of float32, shape (samples, lines)
        Of the scatterers; 1 is the mean of fibroglandular tissue.
    interfaces : ndarray of float32, shape (samples, lines)
        Amplitude of smooth interfaces, which add up coherently.
    points : tuple of ndarray of float32, shape (samples, lines)
        Tissue coordinates (x, y, z) in mm.
    """

    amplitude: Array
    interfaces: Array
    points: Points


class Plane:
    """Computes the reflectivity of a tissue with lesions on the beams of a probe.

    Parameters
    ----------
    grid : BeamGrid
    tissue : Tissue
    lesions : tuple of Lesion
    motion : Motion
    clutter_db : float
        Side lobes and reverberation relative to the echoes around.
    """

    def __init__(
        self, grid: BeamGrid, tissue: Tissue, lesions: tuple[Lesion, ...], motion: Motion, clutter_db: float
    ) -> None:
        self._grid, self._tissue, self._lesions, self._motion = grid, tissue, lesions, motion
        self._clutter_power = np.float32(10 ** (clutter_db / 10))
        self._coarse = grid.beam_points(COARSE)
        self._row_mm, self._column_mm = grid.axial_mm * COARSE, grid.line_mm * COARSE

    def reflectivity(self, pose: Pose) -> Reflectivity:
        """Return what returns from the plane in a pose."""
        points = self._motion.to_tissue(*self._coarse, pose)
        level, fatness, attenuation = self._tissue.layers(*points)
        margins = []
        for lesion in self._lesions:
            level, fatness, attenuation, margin = self._insert(lesion, points, level, fatness, attenuation)
            margins.append(margin)
        lost = np.cumsum(attenuation, axis=0, dtype=np.float32) * np.float32(self._row_mm)
        lost = filters.blur(lost, SHADOW_BLUR_MM / self._column_mm, 0.5)
        x, y, z = (self._enlarge(one) for one in points)
        lines = self._tissue.interfaces(x, y, z, self._enlarge(fatness), self._grid.axial_mm, self._grid.line_mm)
        for lesion, margin in zip(self._lesions, margins, strict=True):
            lines = self._draw_margin(lesion, self._enlarge(margin), lines, (x, y, z))
        lines *= filters.amplitude(-self._enlarge(lost))
        amplitude = filters.amplitude(self._enlarge(self._with_clutter(level - lost)))
        return Reflectivity(amplitude, lines, (x, y, z))

    def _enlarge(self, coarse: Array) -> Array:
        return filters.enlarge(coarse, COARSE, self._grid.samples, self._grid.lines)

    def _insert(
        self, lesion: Lesion, points: Points, level: Array, fatness: Array, attenuation: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Put a lesion into the coarse maps, as the slice thickness averages it; returns them and the body's margin."""
        x, y, z = points
        inside = lesion.echo_level(x, y, z)
        share, power = np.zeros_like(x), np.zeros_like(x)
        margin, _ = lesion.margin_distance(x, y, z)
        outside = level + np.float32(lesion.halo_db) * filters.bell(np.maximum(margin, 0), HALO_MM)
        for sigmas, weight in SLAB:
            _, distance = lesion.margin_distance(x, y + np.float32(sigmas * SLICE_SIGMA_MM), z)
            part = np.clip(np.float32(0.5) - distance * np.float32(0.5 / lesion.edge_mm), 0, 1)
            share += np.float32(weight) * part
            # a soft margin passes in dB, so that half-way in grey is at the margin; slices add up in power
            power += np.float32(weight) * filters.power(outside + (inside - outside) * part)
        level = filters.decibel(power)
        attenuation = attenuation * (1 - share) + np.float32(lesion.attenuation_db_mm) * share
        attenuation += self._edge_shadow(margin)
        fatness = np.where(margin < 0.6, np.float32(-1.0), fatness)
        return level, fatness, attenuation, margin

    def _with_clutter(self, level: Array) -> Array:
        """Add what side lobes and reverberation bring from around: no cyst is quite black in a real image."""
        power = filters.power(level)
        around = filters.blur(power, CLUTTER_REACH_MM / self._column_mm, CLUTTER_REACH_MM / self._row_mm)
        return filters.decibel(power + around * self._clutter_power)

    def _edge_shadow(self, margin: Array) -> Array:
        """Return the loss (dB/mm) where beams graze the margin and are refracted away."""
        down, across = filters.slopes(margin, self._row_mm, self._column_mm)
        grazing = np.square(np.square(across * across / (across * across + down * down + np.float32(1e-6))))
        return grazing * (np.float32(EDGE_SHADOW_DB_MM) * filters.bell(margin, 0.45))

    def _draw_margin(self, lesion: Lesion, margin: Array, lines: Array, points: Points) -> Array:
        """Take the tissue's interfaces out of the lesion, add its capsule and calcifications."""
        lines = lines * np.clip(margin * np.float32(1.5) + np.float32(0.6), 0, 1)
        if np.isfinite(lesion.capsule_db):
            down, _ = filters.slopes(margin, self._grid.axial_mm, self._grid.line_mm)
            square = np.square(np.square(np.clip(down, -1, 1)))  # only where the beam meets it squarely
            lines += np.float32(10 ** (lesion.capsule_db / 20)) * square * filters.bell(margin - np.float32(0.1), 0.16)
        for x, y, z in lesion.calcification_points():
            near = np.square(points[1] - y) * 2 + np.square(points[0] - x) * 16 + np.square(points[2] - z) * 36
            if near.min() < 4:
                lines += np.float32(CALCIFICATION_AMPLITUDE) * filters.bell(np.sqrt(near), 1.0)
        return lines
