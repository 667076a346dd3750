"""Positions of lesions: in the picture, apart from each other, and mostly at visible places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from UltrasoundLesionSegLib.simulation.lesion import Lesion, LesionKind, draw_lesion
from UltrasoundLesionSegLib.simulation.probe import BeamGrid
from UltrasoundLesionSegLib.simulation.tissue import Tissue

# How often each kind of lesion comes, when none is named.
KIND_WEIGHTS = {
    LesionKind.OVAL: 0.25,
    LesionKind.ISOECHOIC: 0.08,
    LesionKind.CYST: 0.1,
    LesionKind.COMPLEX: 0.07,
    LesionKind.LOBULATED: 0.2,
    LesionKind.ANGULAR: 0.15,
    LesionKind.SPICULATED: 0.15,
}
SEMI_AXIS = (0.1, 0.25)  # of the long side, relative to the picture's depth or half width
TALLEST_MM = 45.0  # deeper pictures do not show larger lesions
# Tissue as dark as this (dB) hides a lesion; places in it are taken only after some tries.
DARK_DB = -9.0
TRIES_FOR_CONTRAST = 12


def place_lesions(
    rng: np.random.Generator, count: int, kind: LesionKind | None, grid: BeamGrid, tissue: Tissue
) -> tuple[Lesion, ...]:
    """Draw lesions and their places.

    Parameters
    ----------
    rng : numpy.random.Generator
    count : int
    kind : LesionKind or None
        Of all; None: drawn for each.
    grid : BeamGrid
    tissue : Tissue

    Returns
    -------
    tuple of Lesion
    """
    placed: list[Lesion] = []
    shrink, tries = 1.0, 0
    while len(placed) < count:
        lesion = _candidate(rng, kind, grid, shrink / count**0.35)
        if lesion is None or not all(_apart(lesion, other) for other in placed):
            shrink *= 0.96  # crowded pictures end up with small lesions
            continue
        around, tries = _surroundings(lesion, tissue), tries + 1
        if around < DARK_DB and tries < TRIES_FOR_CONTRAST:
            continue
        least = 3.5 if lesion.kind is LesionKind.ISOECHOIC else 7.0
        placed.append(replace(lesion, echo_db=min(lesion.echo_db, around - least)))
        tries = 0
    return tuple(placed)


def _candidate(rng: np.random.Generator, kind: LesionKind | None, grid: BeamGrid, scale: float) -> Lesion | None:
    """Draw a lesion somewhere in the picture; None where it does not fit."""
    if kind is None:
        kinds, weights = list(KIND_WEIGHTS), np.array(list(KIND_WEIGHTS.values()))
        kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
    z = rng.uniform(0.2, 0.62) * grid.depth_mm
    half = grid.width * grid.pixel_mm / 2
    if grid.kind == "curved":
        half = (grid.radius_mm + z) * float(np.sin(grid.half_angle))
    long_mm = scale * rng.uniform(*SEMI_AXIS) * min(grid.depth_mm, TALLEST_MM, 2 * half)
    lesion = draw_lesion(rng, kind, np.zeros(3, np.float32), float(long_mm))
    room = 0.95 * half - 1.1 * float(lesion.radii[0])
    top = min(2.5, 0.08 * grid.depth_mm) + 1.15 * float(lesion.radii[2])
    if room <= 0 or top > 0.65 * grid.depth_mm:
        return None
    place = 0.8 * rng.uniform(-room, room), rng.uniform(-0.2, 0.2) * lesion.radii[1], max(z, top)
    return replace(lesion, centre=np.array(place, np.float32))


def _surroundings(lesion: Lesion, tissue: Tissue) -> float:
    """Return the mean echo level (dB) of the tissue around a lesion."""
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False, dtype=np.float32)[None]
    across, deep = (np.float32(1.25) * lesion.radii[[0, 2]])[:, None, None] * np.stack([np.cos(angle), np.sin(angle)])
    ring = lesion.centre[0] + across, np.full_like(across, lesion.centre[1]), lesion.centre[2] + deep
    return float(tissue.layers(*ring)[0].mean())


def _apart(one: Lesion, other: Lesion) -> bool:
    reach = float(one.radii.max() * (1.2 + one.spicules) + other.radii.max() * (1.2 + other.spicules))
    return float(np.hypot(*(one.centre - other.centre)[[0, 2]])) > reach
