"""Probes: position and width of the beams, and scan conversion of their samples to an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.simulation.filters import Array, blur, remap

ProbeKind = Literal["linear", "curved"]

# Steps along and across beams, under the sigmas of the pulse and the beam; both grow with the depth as those do.
AXIAL_STEP_MM = 0.09
LATERAL_STEP_MM = 0.15
MOST_SAMPLES = 640  # along a beam
MOST_LINES = 420
REFERENCE_DEPTH_MM = 38.0
FEWEST = 32
# How deep (mm) the tissue is bent to follow a curved probe's face: 1/e of the indentation.
CONTACT_DEPTH_MM = 12.0


@dataclass(frozen=True)
class BeamGrid:
    """A grid of samples along beams, and the image that is made of it.

    Parameters
    ----------
    kind : {"linear", "curved"}
    height, width : int
        The image, in pixels.
    pixel_mm : float
    samples, lines : int
        Size of the grid: along a beam, and beams.
    depth_mm : float
        Length of a beam.
    radius_mm : float
        Radius of a curved probe's face; 0 for linear.
    half_angle : float
        Half the sector in radians; 0 for linear.
    """

    kind: ProbeKind
    height: int
    width: int
    pixel_mm: float
    samples: int
    lines: int
    depth_mm: float
    radius_mm: float
    half_angle: float

    @property
    def axial_mm(self) -> float:
        """Distance of two samples along a beam."""
        return self.depth_mm / self.samples

    @property
    def line_mm(self) -> float:
        """Distance of two beams at half depth."""
        if self.kind == "linear":
            return self.width * self.pixel_mm / self.lines
        return (self.radius_mm + self.depth_mm / 2) * 2 * self.half_angle / self.lines

    def beam_points(self, coarse: int = 1) -> tuple[Array, Array]:
        """Return (x, z) in mm of the grid's samples, or of the centres of its ``coarse`` x ``coarse`` blocks.

        Returns
        -------
        x, z : ndarray of float32, shape (ceil(samples / coarse), ceil(lines / coarse))
            Lateral from the image's middle; depth below the probe's face, as the tissue pressed against it counts it.
        """
        rows, columns = -(-self.samples // coarse), -(-self.lines // coarse)
        along = ((np.arange(rows, dtype=np.float32) + 0.5) * coarse * self.axial_mm)[:, None]
        share = ((np.arange(columns, dtype=np.float32) + 0.5) * np.float32(coarse / self.lines) - 0.5)[None]
        if self.kind == "linear":
            x = np.broadcast_to(share * (self.width * self.pixel_mm), (rows, columns))
            return np.ascontiguousarray(x, np.float32), np.ascontiguousarray(
                np.broadcast_to(along, x.shape), np.float32
            )
        return self._contact(along, share * np.float32(2 * self.half_angle))

    def image_points(self) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Return (x, z) as ``beam_points`` does, but of the image's pixels, and which pixels lie in the sector.

        Returns
        -------
        x, z : ndarray of float32, shape (H, W)
        inside : ndarray of bool, shape (H, W)
        """
        along, angle_or_x = self._polar()
        if self.kind == "linear":
            return angle_or_x, along, np.ones(along.shape, bool)
        inside = (along >= 0) & (along <= self.depth_mm) & (np.abs(angle_or_x) <= self.half_angle)
        x, z = self._contact(along, angle_or_x)
        return x, z, inside

    def _contact(self, along: Array, angle: Array) -> tuple[Array, Array]:
        """Return (x, z) of curved beams: at the face, tissue follows the probe; deeper, it lies as it did."""
        reach = np.float32(self.radius_mm) + along
        x = reach * np.sin(angle)
        z = reach * np.cos(angle) - np.float32(self.radius_mm)
        z = z + (along - z) * np.exp(-np.maximum(along, 0) / np.float32(CONTACT_DEPTH_MM))
        return x.astype(np.float32), z.astype(np.float32)

    def _polar(self) -> tuple[Array, Array]:
        """Return every pixel's distance along its beam in mm, and its angle (curved) or x in mm (linear)."""
        row = (np.arange(self.height, dtype=np.float32) + 0.5)[:, None] * np.float32(self.pixel_mm)
        column = ((np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) * np.float32(self.pixel_mm))[None]
        column = column.astype(np.float32)
        if self.kind == "linear":
            return np.repeat(row, self.width, axis=1), np.repeat(column, self.height, axis=0)
        down = row + np.float32(self.radius_mm * np.cos(self.half_angle))
        return np.hypot(down, column) - np.float32(self.radius_mm), np.arctan2(column, down)

    def conversion_maps(self) -> tuple[Array, Array]:
        """Return for ``cv2.remap`` the (line, sample) that each pixel shows; -10 outside the sector."""
        along, angle_or_x = self._polar()
        sample = along / np.float32(self.axial_mm) - np.float32(0.5)
        if self.kind == "linear":
            line = (angle_or_x / np.float32(self.width * self.pixel_mm) + np.float32(0.5)) * self.lines - np.float32(
                0.5
            )
            return line.astype(np.float32), sample.astype(np.float32)
        line = (angle_or_x / np.float32(2 * self.half_angle) + np.float32(0.5)) * self.lines - np.float32(0.5)
        outside = (along < 0) | (along > self.depth_mm) | (np.abs(angle_or_x) > self.half_angle)
        line[outside] = -10
        sample[outside] = -10
        return line.astype(np.float32), sample.astype(np.float32)

    def antialiasing(self) -> tuple[float, float]:
        """Return the sigma (samples, lines) of the blur that keeps a small image free of aliasing; 0: none is due."""
        axial, lateral = self.pixel_mm / self.axial_mm, self.pixel_mm / self.line_mm
        return 0.45 * axial if axial > 1.3 else 0.0, 0.45 * lateral if lateral > 1.3 else 0.0


def coarseness(depth_mm: float) -> float:
    """Return how much longer wave, pulse and beam are than in a picture 38 mm deep, which needs less penetration."""
    return float(np.sqrt(max(depth_mm, 0.8 * REFERENCE_DEPTH_MM) / REFERENCE_DEPTH_MM))


def make_grid(kind: ProbeKind, height: int, width: int, pixel_mm: float, face_radius: float = 0.6) -> BeamGrid:
    """Choose the beams that fill an image.

    Parameters
    ----------
    kind : {"linear", "curved"}
    height, width : int
        The image, in pixels.
    pixel_mm : float
    face_radius : float
        Radius of a curved probe's face relative to the image's height.

    Returns
    -------
    BeamGrid
    """
    tall, wide = height * pixel_mm, width * pixel_mm
    radius, half_angle, depth = 0.0, 0.0, tall
    if kind == "curved":
        radius = face_radius * tall
        for _ in range(20):  # the sector's depth and angle depend on each other
            half_angle = float(np.arcsin(min(0.49 * wide / (radius + depth), np.sin(0.62))))
            depth = float(tall - radius * (1 - np.cos(half_angle)))
    span = wide if kind == "linear" else 2 * half_angle * (radius + depth / 2)
    coarser = coarseness(depth)
    samples = int(np.clip(round(depth / (coarser * AXIAL_STEP_MM)), FEWEST, MOST_SAMPLES))
    lines = int(np.clip(round(span / (coarser * LATERAL_STEP_MM)), FEWEST, MOST_LINES))
    return BeamGrid(kind, height, width, pixel_mm, samples, lines, depth, radius, half_angle)


def scan_convert(grid: BeamGrid, picture: Array, maps: tuple[Array, Array]) -> Array:
    """Turn samples along beams into an image.

    Parameters
    ----------
    grid : BeamGrid
    picture : ndarray of float32, shape (samples, lines)
        Grey levels, log-compressed already, as scanners do it.
    maps : tuple of ndarray
        ``grid.conversion_maps()``, which the caller keeps.

    Returns
    -------
    ndarray of float32, shape (H, W)
        0 outside the sector.
    """
    axial, lateral = grid.antialiasing()
    if axial or lateral:
        picture = blur(picture, max(lateral, 0.1), max(axial, 0.1))
    border = cv2.BORDER_REPLICATE if grid.kind == "linear" else cv2.BORDER_CONSTANT
    return remap(picture, maps[0], maps[1], border)
