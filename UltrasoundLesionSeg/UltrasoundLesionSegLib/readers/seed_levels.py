"""What a painted picture means: which of its paints is the background, which are lesions, and where their edges are.

Programs keep masks as 0 and 255, in colours, inverted, resized with interpolation, blurred, through JPEG, through a
palette or a colour map. Common to all: a few even areas, the paints, of which one makes up the frame's border. What
lies between two paints belongs to the nearer one, so an edge is where half the level is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.seed_edges import close_levels, smooth_coarse_edges, way_to
from UltrasoundLesionSegLib.readers.seed_paints import (
    ALIKE,
    ASK,
    EVEN_IF_LOSSY,
    MAX_LESIONS,
    MOST_EXACT,
    Levels,
    Paints,
    are_all_even,
    closest_color,
    distance,
    find_background,
    find_paints,
    is_black,
    is_white,
    kind_of_values,
    local_range,
    measure_border,
)
from UltrasoundLesionSegLib.readers.seed_tissue import MOST_PARTS, LabelMap, check_is_painting, count_parts

_NOISE = 0.15
"""Share of the highest contrast below which an even area is no paint but noise, where paints are not exact."""

_WIDE = 30
"""Pixels of one level, as their neighbours, from which on a dark area is paint, where nothing was lost."""

_CLOSE = 0.2
"""Share of the highest contrast below which two paints are one, where paints are not exact."""

_BETWEEN = 0.8
"""Share of a paint's pixels that lie on a slope between two others from which on it is no paint but an edge."""

_LEAST_PLATEAU = 0.25
"""Share of a paint's pixels that are wholly even, below which it may be part of a wide slope."""

_FAINT = 0.4
"""Share of the highest contrast below which a soft lesion without an even area is one that fades."""

_TOP = 0.05
"""Share of a slope's area that is clearly higher; in a lesion of its own, a few pixels are that compression changed."""

_APART = 0.4
"""Share of the way to the nearest other paint within which a pixel is clearly of one paint."""

_SLOPE = 6
"""Pixels around one within which the two others of a slope are looked for."""

_STRANGE = 0.55
"""Share of the highest contrast by which a pixel may differ from the paints around it before others are tried."""

_FEW_LEVELS = 16
_UNSURE = 0.04
"""Share of a lesion's pixels from which on it is said that the levels of its edge are too few."""

_REDDISH = 10
"""Degrees of hue before red that are red."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

_LARGEST_SHARE = 0.9


@dataclass(frozen=True)
class Painted:
    """The lesions of pictures.

    Parameters
    ----------
    labels : list of ndarray of uint8, shape (H, W)
        One a picture.
    remarks : tuple of str
        How they were found, in phrases; () where there was nothing to find out.
    lasting : tuple of float
        Seconds for which an animation shows each of them; () for a still.
    """

    labels: list[LabelMap]
    remarks: tuple[str, ...] = ()
    lasting: tuple[float, ...] = ()


def read_labels(pages: Sequence[NDArray[Any]]) -> Painted | None:
    """Read whole numbers up to 64 as labels: k is lesion k.

    Parameters
    ----------
    pages : sequence of ndarray, shape (H, W)
        Whole numbers of 0 to 64.

    Returns
    -------
    Painted or None
        None where the numbers are no labels but levels of a soft or noisy picture.

    Raises
    ------
    SeedError
        When it cannot be told which number is the background, or one lesion covers nearly all.
    """
    values = sorted({int(one) for page in pages for one in np.unique(page)})
    levels = [page[..., np.newaxis] for page in pages]
    paints = Paints(np.array(values, np.float32)[:, np.newaxis], True)
    if len(values) > MOST_EXACT and not are_all_even(levels, paints.colors):
        return None
    measure_border(levels, paints)
    background = find_background(levels, paints, 0)
    numbers = [at for at in range(len(values)) if at != background]
    is_usual = values[background] == 0
    numbering = {at: values[at] if is_usual else place for place, at in enumerate(numbers, start=1)}
    table = np.zeros(max(values) + 1, np.uint8)
    for at, label in numbering.items():
        table[values[at]] = label
    labels = [table[page.astype(np.intp)] for page in pages]
    return Painted(labels, () if is_usual else (f"the background was {values[background]}, not 0",))


def read_paint(pages: Sequence[Levels], is_lossy: bool = False) -> Painted:
    """Read pictures painted in levels or colours.

    Parameters
    ----------
    pages : sequence of ndarray of float32, shape (H, W, C)
        Levels of 0 to 255, the same C for all; one scale for all.
    is_lossy : bool
        Whether compression has changed the levels.

    Raises
    ------
    SeedError
        When it is no painting, or it cannot be told what is the background; says what was seen.
    """
    paints = find_paints(pages, is_lossy)
    measure_border(pages, paints)
    background = find_background(pages, paints, ALIKE)
    ground, lesions = paints.colors[background], _lesion_paints(pages, paints, background, is_lossy)
    is_soft = not paints.is_exact or len(lesions) + 1 < len(paints.colors)
    if not len(lesions):
        lesions = _highest(pages, ground)
        is_soft = True
    if not len(lesions):
        return Painted([np.zeros(page.shape[:2], np.uint8) for page in pages])
    lesions = lesions[_order(lesions, ground)]
    if len(lesions) > MAX_LESIONS:
        raise SeedError(
            f"the seed has {len(lesions)} {kind_of_values(pages)}; number the lesions from 1, at most {MAX_LESIONS}"
        )
    labels = [_nearest(page, ground, lesions, is_soft) for page in pages]
    if is_soft or len(lesions) > MOST_EXACT:
        check_is_painting(pages, ground, lesions, labels)
    remarks = _remarks(ground, lesions, is_soft)
    if is_soft:
        smoothed = smooth_coarse_edges(pages, labels, ground, lesions)
        if smoothed is not None:
            labels = smoothed
            remarks += ("its edge has few levels, so it was smoothed by a pixel before",)
        highest = float(distance(lesions, ground).max())
        reach = max(ALIKE, _NOISE * highest) if is_lossy else ALIKE
        remarks += close_levels(pages, labels, [ground, *lesions], reach)
    return Painted(labels, remarks)


def _remarks(ground: NDArray[np.float32], lesions: NDArray[np.float32], is_soft: bool) -> tuple[str, ...]:
    remarks = []
    if is_white(ground):
        remarks.append("inverted: the background was white")
    elif not is_black(ground):
        remarks.append("the background was what touches the frame's border, not black")
    if len(lesions) > 1:
        remarks.append(f"{len(lesions)} lesions by {'colour' if len(ground) == 3 else 'grey level'}")
    if is_soft:
        remarks.append("half level and up of a soft-edged mask")
    return tuple(remarks)


# ---- lesions


def _lesion_paints(pages: Sequence[Levels], paints: Paints, background: int, is_lossy: bool) -> NDArray[np.float32]:
    """Return the colours that are lesions: no noise, no shade of another, no step of an edge."""
    ground = paints.colors[background]
    colors = np.delete(paints.colors, background, axis=0)
    contrast = distance(colors, ground)
    if not paints.is_exact and len(colors):
        order = np.argsort(-contrast)
        kept: list[int] = []
        for at in order:
            is_near = any(distance(colors[at], colors[other]) < _CLOSE * contrast[order[0]] for other in kept)
            is_noise = contrast[at] < _NOISE * contrast[order[0]] and (is_lossy or _plateau(pages, colors[at]) < _WIDE)
            if not is_noise and not is_near:
                kept.append(int(at))
        colors = colors[kept]
    if len(colors) < 2:
        return colors
    tolerance = 0.0 if paints.is_exact else ALIKE
    faint = 0.0 if paints.is_exact else _FAINT * float(distance(colors, ground).max())
    even = EVEN_IF_LOSSY if is_lossy else 1.0
    return colors[[not _is_step(pages, ground, color, tolerance, faint, even) for color in colors]]


def _plateau(pages: Sequence[Levels], color: NDArray[np.float32]) -> int:
    """Return the number of pixels of exactly a colour whose neighbours are, too."""
    return sum(int(((page == color).all(axis=2) & (local_range(page) == 0)).sum()) for page in pages)


def _is_step(
    pages: Sequence[Levels],
    ground: NDArray[np.float32],
    color: NDArray[np.float32],
    tolerance: float,
    faint: float,
    most_even: float,
) -> bool:
    """Whether nearly all pixels of a colour lie on a slope, with less contrast on one side and more on the other.

    A wide slope differs from an even area by its few even pixels, inside an outline of more contrast; so is the top of
    a lesion that fades, by less contrast than ``faint``. ``most_even`` is by how much the levels of even pixels differ.
    """
    kernel = np.ones((2 * _SLOPE + 1, 2 * _SLOPE + 1), np.uint8)
    height = float(distance(color, ground))
    here = even = narrow = wide = 0
    for page in pages:
        inside = np.abs(page - color).max(axis=2) <= tolerance
        if inside.any():
            contrast = distance(page, ground)
            lower, higher = cv2.erode(contrast, kernel), cv2.dilate(contrast, kernel)
            here += int(inside.sum())
            even += int((inside & (local_range(page) <= most_even)).sum())
            narrow += int((inside & (lower < height - tolerance - 0.5) & (higher > height + tolerance + 0.5)).sum())
            _, parts = cv2.connectedComponents((contrast >= height - tolerance).astype(np.uint8))
            sizes = np.bincount(parts.ravel())
            climbing = np.bincount(parts[contrast > height + tolerance + 0.5], minlength=len(sizes)) >= _TOP * sizes
            wide += int((inside & climbing[parts]).sum())
    is_slope = wide >= _BETWEEN * here or height < faint
    return narrow >= _BETWEEN * here or (is_slope and even < _LEAST_PLATEAU * here)


def _highest(pages: Sequence[Levels], ground: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the colour of the strongest contrast, for a lesion so soft that it has no even area; () when none."""
    best, found = 0.0, np.empty((0, len(ground)), np.float32)
    for page in pages:
        contrast = distance(page, ground)
        at = np.unravel_index(int(contrast.argmax()), contrast.shape)
        if contrast[at] > best:
            best, found = float(contrast[at]), page[at][np.newaxis]
    return found


def _order(lesions: NDArray[np.float32], ground: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the order in which lesions are numbered: colours by hue from red over green to blue, greys by contrast."""
    contrast = distance(lesions, ground)
    if lesions.shape[1] == 1 or len(lesions) < 2:
        return np.argsort(contrast, kind="stable")
    hues = cv2.cvtColor(np.asarray(lesions[np.newaxis] / 255, np.float32), cv2.COLOR_RGB2HSV)[0, :, 0]
    from_red = (hues.round() + _REDDISH) % 360  # compression makes 359 degrees of 0
    return np.lexsort((contrast, np.maximum(from_red, _REDDISH)))


def _nearest(page: Levels, ground: NDArray[np.float32], lesions: NDArray[np.float32], is_soft: bool) -> LabelMap:
    """Return for each pixel the lesion it belongs to, 0 for the background."""
    if is_soft and len(lesions) == 1:
        return (way_to(page, ground, lesions[0]) >= 0.5).astype(np.uint8)
    colors = np.concatenate([lesions, ground[np.newaxis]])  # the ground last, so that half a level is lesion
    closest = closest_color(page.reshape(-1, page.shape[2]), colors).reshape(page.shape[:2])
    if is_soft:
        closest = _within_reach(page, colors, closest)
    return np.where(closest == len(lesions), 0, closest + 1).astype(np.uint8)


def _within_reach(page: Levels, colors: NDArray[np.float32], closest: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give each pixel of an edge to one of the paints that it lies between, not to a third of the same level.

    A pixel far from all of these by its colour stays with the closest paint wherever that is.
    """
    away = np.stack([distance(page, color) for color in colors])
    span = local_range(page)
    reach = np.full(away.shape, np.inf, np.float32)
    for place, color in enumerate(colors):
        nearest = min(float(distance(other, color)) for at, other in enumerate(colors) if at != place)
        alike = min(ALIKE, _APART * nearest)
        area = (span <= alike) & (np.abs(page - color).max(axis=2) <= alike)
        if area.any():
            reach[place] = cv2.distanceTransform((~area).astype(np.uint8), cv2.DIST_L2, 5)
    among = np.where(reach <= 2 * reach.min(axis=0) + 3, away, np.inf)
    most = float(distance(colors[:-1], colors[-1]).max())
    return np.where(among.min(axis=0) > _STRANGE * most, closest, among.argmin(axis=0))


# ---- what is refused


def check_labels(labels: Sequence[LabelMap]) -> None:
    """Raise ``SeedError`` for lesions that cover nearly all of a frame, or that are scattered over it."""
    share = max(float(np.count_nonzero(one)) / one.size for one in labels)
    if share > _LARGEST_SHARE:
        raise SeedError(f"the seed covers {share:.0%} of the frame; {ASK}")
    for page in labels:
        count, _, statistics, _ = cv2.connectedComponentsWithStats((page > 0).astype(np.uint8))
        areas = statistics[1:, cv2.CC_STAT_AREA]
        if count - 1 > MOST_PARTS and areas.max() < areas.sum() / 2:
            raise SeedError(f"the seed falls into {count - 1} pieces, so it is no mask of lesions; {ASK}")


def pieces(labels: Sequence[LabelMap]) -> tuple[str, ...]:
    """Return remarks on lesions in pieces, with holes, or around one: perhaps several, a picture, an outline."""
    remarks = []
    for label in sorted({int(one) for page in labels for one in np.unique(page)} - {0}):
        most = holes = enclosed = 0
        for page in labels:
            shape = (page == label).astype(np.uint8)
            most = max(most, count_parts(shape > 0))
            others = np.pad(page != label, 1, constant_values=True)
            holes = max(holes, count_parts(others) - 1)
            hole = _largest_hole(others)
            enclosed = max(enclosed, hole if 2 * hole > np.count_nonzero(shape) else 0)
        if most > 1 or holes > 1:
            has_holes = f" with {holes} holes" if holes > 1 else ""
            remarks.append(f"lesion {label} is in {most} piece{'s' if most > 1 else ''}{has_holes}")
        if enclosed:
            remarks.append(f"lesion {label} is a ring around {enclosed} pixels; if it is an outline, fill it")
    return tuple(remarks)


def _largest_hole(others: NDArray[np.bool_]) -> int:
    """Return the pixels of the largest area that touches no border, 0 where there is none."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats(others.astype(np.uint8), connectivity=4)
    inner = statistics[1:][(statistics[1:, :2] > 0).all(axis=1), cv2.CC_STAT_AREA]
    return int(inner.max(initial=0))
