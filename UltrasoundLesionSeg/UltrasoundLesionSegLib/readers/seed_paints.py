"""The paints of a picture: its few even colours, and which of them is the background by the frame's border."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import SeedError

Levels = NDArray[np.float32]
"""``(H, W, C)`` with C = 1 (grey) or 3 (RGB)."""

_EVEN = 4.0
"""Levels of 255 by which neighbours in an even area may differ: rounding, and noise of compression."""

EVEN_IF_LOSSY = 6.0

MOST_EXACT = 8
"""So few paints are taken to be exact without further ado."""

_BORDER_OF_BACKGROUND = 0.4
"""Share of the frame's border from which on black is the background."""

_CORNERS = 0.5
"""Share of the frame's corners that black must hold, too."""

_OUTER_SHARE = 0.8
"""Share of an unusual background that is connected with the frame's border; else it is a line around the picture."""

_LEAST_GROUND = 0.05
"""Share of the frame that an unusual background covers at least."""

_BORDER_OF_UNUSUAL_BACKGROUND = 0.8
"""Share of the frame's border from which on another paint is."""

ALIKE = 20.0
"""Levels of 255 within which even areas are one paint, where paints are not exact."""

ASK = "save the lesion as a mask, black where there is none and white where it is"

MAX_LESIONS = 64


@dataclass
class Paints:
    """The even areas of pictures.

    Parameters
    ----------
    colors : ndarray, shape (K, C)
    is_exact : bool
        Whether every pixel has one of these colours.
    border : ndarray, shape (K,)
        Share of the pixels on the frames' borders that are nearest to each.
    corners : ndarray, shape (K,)
        The same of the frames' corners.
    """

    colors: NDArray[np.float32]
    is_exact: bool
    border: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    corners: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


def find_paints(pages: Sequence[Levels], is_lossy: bool) -> Paints:
    """Return the colours of the even areas.

    Parameters
    ----------
    pages : sequence of ndarray of float32, shape (H, W, C)
        Levels 0 to 255; C is 1 for grey, 3 for RGB.
    is_lossy : bool
        Whether the pictures were compressed with loss, which makes even areas a little uneven.

    Raises
    ------
    SeedError
        When no area is even.
    """
    exact = distinct_colors(pages, MAX_LESIONS + 1)
    if exact is not None and (len(exact) <= MOST_EXACT or (not is_lossy and are_all_even(pages, exact))):
        return Paints(exact, True)
    counts: Counter[int] = Counter()
    for page in pages:
        even = page[local_range(page) <= (EVEN_IF_LOSSY if is_lossy else _EVEN)].round()
        codes, numbers = np.unique(_packed(even), return_counts=True)
        counts.update(dict(zip(codes.tolist(), numbers.tolist(), strict=True)))
    if not counts:
        raise SeedError(f"the seed has {how_many(pages)} and no even area, so it is no mask; {ASK}")
    colors = _unpacked(np.array([code for code, _ in counts.most_common()], np.uint32), pages[0].shape[2])
    chosen: list[NDArray[np.float32]] = []
    while len(colors):
        chosen.append(colors[0])
        colors = colors[np.abs(colors - colors[0]).max(axis=1) > ALIKE]
    return Paints(np.array(chosen), False)


def _packed(colors: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return colours ``(N, C)`` of whole levels as a number each."""
    if colors.shape[1] == 1:
        return colors[:, 0].astype(np.uint32)
    return np.asarray(colors.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32), np.uint32)


def _unpacked(codes: NDArray[np.uint32], channels: int) -> NDArray[np.float32]:
    """Return the colours ``(N, C)`` of numbers that ``_packed`` made."""
    parts = [codes] if channels == 1 else [codes >> 16, codes >> 8 & 255, codes & 255]
    return np.stack(parts, axis=1).astype(np.float32)


def distinct_colors(pages: Sequence[Levels], most: int) -> NDArray[np.float32] | None:
    """Return the distinct colours of pages (H, W, C), float32 (N, C), ascending; None where they exceed ``most``."""
    found: NDArray[np.float32] | None = None
    for page in pages:
        flat = page.reshape(-1, page.shape[2])
        is_grey = page.shape[2] == 1  # grey levels need not be whole
        colors = np.unique(flat)[:, np.newaxis] if is_grey else _unpacked(np.unique(_packed(flat)), 3)
        found = colors if found is None else np.unique(np.concatenate([found, colors]), axis=0)
        if len(found) > most:
            return None
    return found


def local_range(page: Levels) -> NDArray[np.float32]:
    """Return the range of the levels in the 3 x 3 pixels around each pixel, in the channel where it is largest.

    Parameters
    ----------
    page : ndarray of float32, shape (H, W, C)

    Returns
    -------
    ndarray of float32, shape (H, W)
    """
    kernel = np.ones((3, 3), np.uint8)
    spans = [cv2.dilate(one, kernel) - cv2.erode(one, kernel) for one in cv2.split(page)]
    return np.asarray(np.max(spans, axis=0), np.float32)


def are_all_even(pages: Sequence[Levels], colors: NDArray[np.float32]) -> bool:
    """Whether each colour, float32 (N, C), has a pixel whose neighbours all have the same colour."""
    even = [page[local_range(page) == 0][np.newaxis] for page in pages]
    found = distinct_colors([one for one in even if one.size], len(colors))
    return found is not None and len(found) == len(colors)


def measure_border(pages: Sequence[Levels], paints: Paints) -> None:
    """Find out how much of the frames' borders, and how many of their corners, each paint makes up."""
    counts, corners = np.zeros(len(paints.colors)), np.zeros(len(paints.colors))
    for page in pages:
        border = np.concatenate([page[0], page[-1], page[1:-1, 0], page[1:-1, -1]])
        counts += np.bincount(closest_color(border, paints.colors), minlength=len(counts))
        at_corners = page[[0, 0, -1, -1], [0, -1, 0, -1]]
        corners += np.bincount(closest_color(at_corners, paints.colors), minlength=len(counts))
    paints.border, paints.corners = counts / counts.sum(), corners / corners.sum()


def closest_color(pixels: NDArray[np.float32], colors: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the place of the closest colour for ``(N, C)`` pixels."""
    best = np.zeros(len(pixels), np.intp)
    least = np.full(len(pixels), np.inf, np.float32)
    for place, color in enumerate(colors):
        away = distance(pixels, color)
        nearer = away < least
        best[nearer], least[nearer] = place, away[nearer]
    return best


def distance(pixels: NDArray[np.float32], color: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far pixels ``(..., C)`` are from a colour."""
    return np.asarray(np.sqrt(np.square(pixels - color).sum(axis=-1)), np.float32)


def is_black(color: NDArray[np.float32]) -> bool:
    """Whether a colour, float32 (C,), counts as black."""
    return bool(color.max() <= ALIKE)


def is_white(color: NDArray[np.float32]) -> bool:
    """Whether a colour, float32 (C,), counts as white."""
    return bool(color.min() >= 255 - ALIKE)


def find_background(pages: Sequence[Levels], paints: Paints, darkest_level: float) -> int:
    """Return which paint is the background: black where it touches enough of the border, else what touches most of it.

    A lesion may be cut by the border, a large one even along most of it, but it does not cover the corners. Black, up
    to ``darkest_level``, is the background if it has at least 40% of the border and half of the corners. Another paint
    must have nearly all of the border or all corners, and be one area. Anything else is refused.

    Parameters
    ----------
    pages : sequence of ndarray of float32, shape (H, W, C)
    paints : Paints
        With its share of the border and of the corners (``measure_border``).
    darkest_level : float

    Returns
    -------
    int
        Place in ``paints.colors``.

    Raises
    ------
    SeedError
        When no paint is the background by these rules, or there is one paint only.
    """
    darkest = int(paints.colors.sum(axis=1).argmin())
    most = int(paints.border.argmax())
    has_black = bool(paints.colors[darkest].max() <= darkest_level)
    if has_black and paints.border[darkest] >= _BORDER_OF_BACKGROUND and paints.corners[darkest] >= _CORNERS:
        return darkest
    if len(paints.colors) == 1:
        raise SeedError(f"the seed covers 100% of the frame; {ASK}")
    cornered = int(paints.corners.argmax())
    found = most if paints.border[most] >= _BORDER_OF_UNUSUAL_BACKGROUND else cornered
    is_at_border = found == most and paints.border[most] >= _BORDER_OF_UNUSUAL_BACKGROUND
    if (is_at_border or paints.corners[cornered] == 1) and _is_ground(pages, paints, found):
        return found
    raise SeedError(
        f"it cannot be told what is background in the seed: it has {how_many(pages)}, of which the most frequent makes "
        f"up {paints.border[most]:.0%} of the frame's border; {ASK}"
    )


def _is_ground(pages: Sequence[Levels], paints: Paints, place: int) -> bool:
    """Whether a paint is an area around the others, and not a line around the picture."""
    total = outer = size = 0
    for page in pages:
        is_paint = closest_color(page.reshape(-1, page.shape[2]), paints.colors).reshape(page.shape[:2]) == place
        _, parts = cv2.connectedComponents(is_paint.astype(np.uint8))
        at_border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
        total += int(is_paint.sum())
        outer += int(np.isin(parts, at_border[at_border > 0]).sum())
        size += is_paint.size
    return outer >= _OUTER_SHARE * total and outer >= _LEAST_GROUND * size


def kind_of_values(pages: Sequence[Levels]) -> str:
    """Return what a message calls the values of pictures."""
    return "colours" if pages[0].shape[2] == 3 else "grey levels"


def how_many(pages: Sequence[Levels]) -> str:
    """Return how many different values there are, for a message."""
    codes = {int(one) for page in pages for one in np.unique(_packed(page.round().reshape(-1, page.shape[2])))}
    return f"{len(codes)} {kind_of_values(pages)}"
