"""Pixels of a seed file, from pictures or volumes, as label maps: numbers, levels, colours, probabilities, alpha."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.seed_color_maps import levels_of_map
from UltrasoundLesionSegLib.readers.seed_levels import (
    LabelMap,
    Painted,
    check_labels,
    pieces,
    read_labels,
    read_paint,
)
from UltrasoundLesionSegLib.readers.seed_paints import MAX_LESIONS
from UltrasoundLesionSegLib.readers.seed_tissue import is_even_inside

_GREY_TOLERANCE = 4
"""Levels by which the channels of a grey picture differ after lossy compression."""

_LEAST_PROBABILITY = 0.75
_LEAST_LOSSY_CONTRAST = 32
_DARK = 40
_WHITE = 255
_MOST_BYTES = 2**32
"""Of levels that are looked at together; plain masks and label images need none."""

_LEAST_ALPHA = 0.2
"""Below it a byte is too coarse to tell whether a colour was multiplied with its transparency."""

_SAME_PAINT = 0.1
"""Share by which the colour of one paint varies that was divided by its transparency."""

_VOID, _THICKEST_VOID = 255, 4.0
_THICKEST_OUTLINE = 3.0
_LEAST_FILLING = 2.0
"""What an outline encloses, as a multiple of its own pixels, from which on it is no ring-shaped lesion."""


@dataclass(frozen=True)
class Page:
    """One picture of a seed file.

    Parameters
    ----------
    values : ndarray, shape (H, W) or (H, W, 3)
    alpha : ndarray of float32 in 0..1, shape (H, W), or None
    """

    values: NDArray[Any]
    alpha: NDArray[np.float32] | None = None


def read_pages(pages: Sequence[Page], is_lossy: bool = False) -> Painted:
    """Return the lesions of pictures that belong together.

    Parameters
    ----------
    pages : sequence of Page
        All of one size and number of channels.
    is_lossy : bool
        Whether compression has changed the values.

    Raises
    ------
    SeedError
        When it cannot be told what they mean; says what was seen.
    """
    remarks: tuple[str, ...] = ()
    if any(page.alpha is not None and _differs(page.alpha) for page in pages):
        painted = _read_transparent(pages, is_lossy)
        remarks = ("painted on a transparent ground",)
    else:
        if all(page.alpha is not None and not page.alpha.any() for page in pages):
            return Painted([np.zeros(page.values.shape[:2], np.uint8) for page in pages])
        painted = _read_opaque([page.values for page in pages], is_lossy)
    labels, is_outline = _filled(painted.labels)
    check_labels(labels)
    remarks += (*painted.remarks, *(("a closed outline was filled",) if is_outline else ()))
    return Painted(labels, (*remarks, *pieces(labels)))


def _differs(alpha: NDArray[np.float32]) -> bool:
    return bool(alpha.min() < alpha.max())


def _read_transparent(pages: Sequence[Page], is_lossy: bool) -> Painted:
    """Read paint on a transparent ground: on black, dark paint on white; where the paint is a picture, its shape."""
    alphas = [np.ones(page.values.shape[:2], np.float32) if page.alpha is None else page.alpha for page in pages]
    most = max(float(alpha.max()) for alpha in alphas)
    levels = [_straight(_levels([page.values])[0], alpha) for page, alpha in zip(pages, alphas, strict=True)]
    alphas = [alpha / most for alpha in alphas]
    visible = [level[alpha >= 0.5] for level, alpha in zip(levels, alphas, strict=True)]
    is_dark = all(not len(one) or float(np.quantile(one.max(axis=1), 0.95)) < _DARK for one in visible)
    ground = 255.0 * is_dark
    blended = [
        (level * alpha[..., np.newaxis] + ground * (1 - alpha[..., np.newaxis])).astype(np.float32)
        for level, alpha in zip(levels, alphas, strict=True)
    ]
    if not all(is_even_inside(level, alpha >= 0.5) for level, alpha in zip(levels, alphas, strict=True)):
        blended = [(255 * alpha[..., np.newaxis]).round().astype(np.float32) for alpha in alphas]
    found = read_paint(blended, is_lossy)
    return Painted(found.labels, tuple(one for one in found.remarks if not (is_dark and one.startswith("inverted"))))


def _straight(level: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return colours without their transparency where a program has multiplied them with it (premultiplied alpha)."""
    is_soft = (alpha > _LEAST_ALPHA) & (alpha < 1)
    strongest, opacity = level.max(axis=2) / 255, np.maximum(alpha, 1e-6)
    ratio = (strongest / opacity)[is_soft]
    is_within = (strongest <= alpha + 0.01).all()
    if not is_within or not ratio.size or float(np.ptp(ratio)) > _SAME_PAINT or float(np.ptp(alpha[is_soft])) < 0.1:
        return level
    return np.asarray(np.where(alpha[..., np.newaxis] > 0, level / opacity[..., np.newaxis], 0), np.float32)


def _read_opaque(values: Sequence[NDArray[Any]], is_lossy: bool) -> Painted:
    values = [_as_grey(one, is_lossy) for one in values]
    if len({one.ndim for one in values}) > 1:  # one picture of a stack is in colour
        values = [one if one.ndim == 3 else np.repeat(one[..., np.newaxis], 3, axis=2) for one in values]
    if values[0].ndim == 3:
        return _read_colors(_levels(values), is_lossy)
    if not all(np.isfinite(one).all() for one in values):
        raise SeedError("the seed has values that are no numbers; save it as a mask of whole numbers")
    lowest, highest = min(float(one.min()) for one in values), max(float(one.max()) for one in values)
    if lowest < 0:
        raise SeedError(f"the seed's values, {lowest:g} to {highest:g}, are no labels; give whole numbers from 0 on")
    is_whole = all(one.dtype.kind in "iub" or (one == np.round(one)).all() for one in values)
    if is_lossy:
        if highest - lowest < _LEAST_LOSSY_CONTRAST:
            raise SeedError(
                f"the seed's levels, {lowest:g} to {highest:g}, are too close for a JPEG file, which changes them; "
                "save it as PNG"
            )
    elif is_whole:
        found = _read_whole(values, lowest, highest)
        if found is not None:
            return found
    elif highest <= 1:
        return _read_probabilities(values, highest)
    return read_paint(_levels(values), is_lossy)


def _read_colors(levels: Sequence[NDArray[np.float32]], is_lossy: bool) -> Painted:
    mapped = levels_of_map(levels, is_lossy)
    if mapped is None:
        return read_paint(levels, is_lossy)
    found = read_paint(mapped[0], is_lossy)
    return Painted(found.labels, (f"levels of the colour map {mapped[1]}", *found.remarks))


def _read_whole(values: Sequence[NDArray[Any]], lowest: float, highest: float) -> Painted | None:
    """Read whole numbers as labels or as a mask, None where they are levels."""
    void = void_pixels(values)
    if void is not None:
        found = read_labels([np.where(one == _VOID, 0, one) for one in values])
        remark = f"{void} pixels of {_VOID} around lesions are background"
        return None if found is None else Painted(found.labels, (*found.remarks, remark))
    if lowest == 0 and _has_two_values(values, highest):
        found = read_labels([(one != 0).astype(np.uint8) for one in values])
        assert found is not None
        how = "white" if values[0].dtype == np.uint8 and highest == _WHITE else f"{highest:g}, not 0"
        return _numbered(found, highest, f"inverted: the background was {how}")
    return read_labels(values) if highest <= MAX_LESIONS else None


def void_pixels(values: Sequence[NDArray[Any]]) -> int | None:
    """Return how many pixels of label images are marked as unknown, None where the label images have no such marks.

    Data sets in the form of PASCAL VOC draw lines of the label 255 around the objects of a label image.

    Parameters
    ----------
    values : sequence of ndarray of whole numbers, shape (H, W)
    """
    if any(((one > MAX_LESIONS) & (one != _VOID)).any() for one in values):
        return None
    pixels = 0
    for one in values:
        is_void = (one == _VOID).astype(np.uint8)
        if float(cv2.distanceTransform(is_void, cv2.DIST_L2, 3).max()) > _THICKEST_VOID:
            return None
        beside = cv2.dilate(((one > 0) & (one != _VOID)).astype(np.uint8), np.ones((3, 3), np.uint8))
        _, parts = cv2.connectedComponents(is_void)
        if set(np.unique(parts)) - set(np.unique(parts[beside > 0])) - {0}:
            return None
        pixels += int(is_void.sum())
    return pixels or None


def _has_two_values(values: Sequence[NDArray[Any]], highest: float) -> bool:
    return all(((one == 0) | (one == highest)).all() for one in values)


def _numbered(found: Painted, highest: float, remark: str) -> Painted:
    """Give the one lesion of a mask its number, where the mask's value is one."""
    if found.remarks:
        return Painted(found.labels, (remark,))
    number = int(highest) if highest <= MAX_LESIONS else 1
    return Painted([one * np.uint8(number) for one in found.labels])


def _read_probabilities(values: Sequence[NDArray[Any]], highest: float) -> Painted:
    if highest < _LEAST_PROBABILITY:
        raise SeedError(
            f"the seed's values, up to {highest:g}, are no labels and no likely lesion; give whole numbers, 0 where "
            "there is no lesion"
        )
    found = read_labels([(one >= 0.5).astype(np.uint8) for one in values])
    assert found is not None
    return Painted(found.labels, (*found.remarks, "0.5 and up of a map of probabilities"))


def _as_grey(values: NDArray[Any], is_lossy: bool) -> NDArray[Any]:
    """Return ``(H, W)`` where all channels are alike."""
    if values.ndim == 2:
        return values
    spread = values.max(axis=2).astype(np.float32) - values.min(axis=2)
    return values[:, :, 1] if spread.max() <= (_GREY_TOLERANCE if is_lossy else 0) else values


def _levels(values: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
    """Return values as levels of 0 to 255, ``(H, W, C)``: bytes as they are, others by the highest of all."""
    if sum(4 * one.size for one in values) > _MOST_BYTES:
        raise SeedError("the seed has too many soft or coloured pictures to be read together; give fewer frames")
    highest = max(float(one.max()) for one in values)
    is_bytes = all(one.dtype == np.uint8 for one in values) and highest > MAX_LESIONS
    scale = 1.0 if is_bytes or highest <= 0 else 255.0 / highest
    levels = [np.asarray(one, np.float32) * np.float32(scale) for one in values]
    return [one if one.ndim == 3 else one[..., np.newaxis] for one in levels]


# ---- outlines


def _filled(labels: Sequence[LabelMap]) -> tuple[list[LabelMap], bool]:
    """Fill lesions that are drawn as closed outlines; returns whether there was one."""
    filled, is_outline = [], False
    for page in labels:
        result = page.copy()
        for label in np.unique(page[page > 0]).tolist():
            whole = _filled_outline(page == label)
            if whole is not None:
                result[page == label] = 0
                result[whole & ((page == 0) | (page == label))] = label
                is_outline = True
        filled.append(result)
    return filled, is_outline


def _filled_outline(drawn: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return what lies within the middle of thin closed lines, None where they are no outline."""
    thickness = float(cv2.distanceTransform(np.pad(drawn.astype(np.uint8), 1), cv2.DIST_L2, 3).max())
    if thickness > _THICKEST_OUTLINE:
        return None
    outside = np.pad((~drawn).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(outside, None, (0, 0), 2, flags=4)
    whole = (outside != 2).astype(np.uint8)
    if np.count_nonzero(whole) < (1 + _LEAST_FILLING) * np.count_nonzero(drawn):
        return None
    within = cv2.distanceTransform(whole, cv2.DIST_L2, 5) > max(0.0, thickness - 1)
    return np.asarray(within[1:-1, 1:-1])
