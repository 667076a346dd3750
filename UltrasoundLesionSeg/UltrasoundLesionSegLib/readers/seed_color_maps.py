"""Soft masks that were saved through a colour map: their levels are brought back."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.seed_paints import ALIKE, MOST_EXACT, Levels, distance

_MAPS = (
    *("viridis", "magma", "inferno", "plasma", "cividis", "turbo", "jet", "hot", "parula", "bone", "pink", "rainbow"),
    *("ocean", "deepgreen"),
)
"""Without those that are straight lines in RGB."""

_CYCLIC = ("hsv", "twilight", "twilight_shifted")
"""Maps whose two ends are alike."""

_TOLERANCE = 12.0
"""Levels by which the maps of one name differ between programs, and by which rounding changes them."""

_TOLERANCE_IF_LOSSY = 50.0
_LEAST_ON_MAP = 0.9
"""Share of the pixels of slopes that have a colour of the map."""

_CLEARLY = 0.5
"""How far colours are from the map at most, as a share of how far they are from the straight line."""

_LEAST_LEVELS = 8
"""Levels on slopes; with fewer there is nothing to gain."""


def levels_of_map(pages: Sequence[Levels], is_lossy: bool) -> tuple[list[Levels], str] | None:
    """Return the levels behind colours and the name of their map, None where the colours are of none.

    A map is told by the slopes of soft edges: between the paints, their colours follow the map and not the straight
    line that blending gives.

    Parameters
    ----------
    pages : sequence of ndarray of float32, shape (H, W, 3)
        Levels of 0 to 255.
    is_lossy : bool
        Whether compression has changed the levels.

    Returns
    -------
    (list of ndarray of float32, shape (H, W, 1); str) or None

    Raises
    ------
    SeedError
        When the two ends of the map are alike, so that lesion and background are.
    """
    colors, places, counts = np.unique(
        np.concatenate([page.reshape(-1, 3) for page in pages]).round(), axis=0, return_inverse=True, return_counts=True
    )
    if len(colors) <= MOST_EXACT:
        return None
    is_slope = np.ones(len(colors), bool)
    paints = []
    for _ in range(2):  # the background and the largest lesion
        paints.append(colors[np.where(is_slope, counts, 0).argmax()])
        is_slope &= distance(colors, paints[-1]) > ALIKE
    if np.count_nonzero(is_slope) < _LEAST_LEVELS:
        return None
    weights = counts[is_slope]
    farthest = colors[distance(colors, paints[0]).argmax()]
    off_line = _off_line(colors[is_slope], paints[0], farthest)
    best, found = _CLEARLY * float(np.average(off_line, weights=weights)), None
    for name in (*_MAPS, *_CYCLIC):
        table = _table(name)
        if min(distance(table[[0, -1]], paints[0])) > _TOLERANCE:  # the background is an end of the map
            continue
        away, level = _nearest(colors.astype(np.float32), table)
        off = float(np.average(away[is_slope], weights=weights))
        on_map = away[is_slope] <= (_TOLERANCE_IF_LOSSY if is_lossy else _TOLERANCE)
        if off < best and np.average(on_map, weights=weights) >= _LEAST_ON_MAP:
            best, found = off, (name, level)
    if found is None:
        return None
    name, level = found
    if name in _CYCLIC:
        raise SeedError(
            f"the seed was saved through the colour map {name}, whose two ends are alike, so that lesion and "
            "background look the same; save it in grey levels"
        )
    sizes = np.cumsum([page.shape[0] * page.shape[1] for page in pages])[:-1]
    parts = np.split(level[places.ravel()], sizes)
    return [part.reshape(*page.shape[:2], 1) for part, page in zip(parts, pages, strict=True)], name


def _off_line(colors: NDArray[np.float32], one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far ``(N, 3)`` colours are from the straight line between two others."""
    way = (colors - one) @ (other - one) / float(np.square(other - one).sum())
    return distance(colors, one + way.clip(0, 1)[:, np.newaxis] * (other - one))


def _table(name: str) -> NDArray[np.float32]:
    """Return the colours ``(256, 3)`` of a map."""
    levels = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    return cv2.applyColorMap(levels, getattr(cv2, f"COLORMAP_{name.upper()}"))[:, 0, ::-1].astype(np.float32)


def _nearest(
    colors: NDArray[np.float32], table: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how far ``(N, 3)`` colours are from a map's nearest ones, and the levels of these."""
    away = np.full(len(colors), np.inf, np.float32)
    level = np.zeros(len(colors), np.float32)
    for at, entry in enumerate(table):
        off = distance(colors, entry)
        nearer = off < away
        away[nearer], level[nearer] = off[nearer], at
    return away, level
