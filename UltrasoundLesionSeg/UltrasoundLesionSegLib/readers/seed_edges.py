"""Edges of soft masks: how far a pixel is on the way to the lesion, edges of few levels, areas of close levels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.readers.seed_paints import Levels, distinct_colors, local_range
from UltrasoundLesionSegLib.readers.seed_tissue import LabelMap

_FEW_LEVELS = 16
_UNSURE = 0.04
"""Share of a lesion's pixels from which on the levels of its edge are too few."""

_TAIL = 4.0
"""Levels in which the edge of a blurred mask runs out over even pixels."""

_LEAST_AREA = 30
"""Pixels of one level, as their neighbours, from which on an area of nearly the same level as another is remarked."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def way_to(page: Levels, ground: NDArray[np.float32], lesion: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far each pixel is between the background's colour, 0, and the lesion's, 1.

    The luma of the colours (ITU-R BT.601) is compared where background and lesion differ in it: JPEG keeps luma sharper
    than colour, and colour maps change evenly in luma but not along a straight line in RGB.

    Parameters
    ----------
    page : ndarray of float32, shape (H, W, C)
        Levels 0 to 255; C is 1 for grey, 3 for RGB.
    ground, lesion : ndarray of float32, shape (C,)

    Returns
    -------
    ndarray of float32, shape (H, W)
    """
    direction = lesion - ground
    if len(direction) == 3 and abs(float(direction @ _LUMA)) >= 0.25 * float(np.linalg.norm(direction)):
        direction = float(direction @ _LUMA) * _LUMA
    return np.asarray((page - ground) @ direction / float((lesion - ground) @ direction), np.float32)


def smooth_coarse_edges(
    pages: Sequence[Levels], labels: Sequence[LabelMap], ground: NDArray[np.float32], lesions: NDArray[np.float32]
) -> list[LabelMap] | None:
    """Return the label maps with smoothed edges of the lesions whose edge has few levels, None where none has.

    Parameters
    ----------
    pages : sequence of ndarray
    labels : sequence of ndarray of uint8, shape (H, W)
        What they were read as: k is ``lesions[k - 1]``.
    ground, lesions : ndarray
        Colours.
    """
    if len(lesions) > 1 and distinct_colors(pages, _FEW_LEVELS * (len(lesions) + 1)) is None:
        return None  # before anything is computed for each lesion
    result = [label.copy() for label in labels]
    is_smoothed = False
    for number, lesion in enumerate(lesions, start=1):
        alone = pages
        if len(lesions) > 1:
            others = [_nearer_to_others(label, number) for label in labels]
            alone = [np.where(far[..., np.newaxis], ground, page) for page, far in zip(pages, others, strict=True)]
        coarse = _coarse_edge(alone, ground, lesion)
        if coarse is None:
            continue
        is_smoothed = True
        for label, mask in zip(result, coarse, strict=True):
            label[label == number] = 0
            label[mask & (label == 0)] = number
    return result if is_smoothed else None


def _nearer_to_others(label: LabelMap, number: int) -> NDArray[np.bool_]:
    """Return the pixels that are nearer to another lesion than to lesion ``number``; all where it is not there."""
    own, other = label == number, (label > 0) & (label != number)
    if not own.any() or not other.any():
        return np.full(label.shape, not own.any())
    away = [cv2.distanceTransform((~one).astype(np.uint8), cv2.DIST_L2, 5) for one in (own, other)]
    return np.asarray(away[1] < away[0])


def _coarse_edge(
    pages: Sequence[Levels], ground: NDArray[np.float32], lesion: NDArray[np.float32]
) -> list[NDArray[np.bool_]] | None:
    """Return the lesion where its edge has so few levels that half the level lies in the range of one of them.

    Levels that adaptive palettes leave out are brought back by smoothing over a pixel. None for any other edge.
    """
    ways = [way_to(page, ground, lesion).round(3) for page in pages]
    levels, counts = np.unique(np.concatenate([one.ravel() for one in ways]), return_counts=True)
    above = int(np.searchsorted(levels, 0.5))
    if not 2 < len(levels) <= _FEW_LEVELS or not 0 < above < len(levels):
        return None
    middle = float(levels[above - 1] + levels[above]) / 2
    # the level whose range includes half the level, and the rest of that range
    place = above if middle < 0.5 else above - 1
    around = float(levels[min(place + 1, len(levels) - 1)] - levels[max(place - 1, 0)]) / 2
    share = counts[place] * abs(middle - 0.5) / max(around, 1e-6) / counts[above:].sum()
    return [cv2.GaussianBlur(one, (0, 0), 1) >= 0.5 for one in ways] if share > _UNSURE else None


def close_levels(
    pages: Sequence[Levels], labels: Sequence[NDArray[np.uint8]], paints: Sequence[NDArray[np.float32]], reach: float
) -> tuple[str, ...]:
    """Return remarks on even areas that are counted to a paint whose level is only near to theirs.

    Parameters
    ----------
    pages : sequence of ndarray
    labels : sequence of ndarray of uint8, shape (H, W)
        What they were read as.
    paints : sequence of ndarray
        The background and the lesions in the order of their labels.
    reach : float
        Levels up to which an area is near to the background; what is further off lies on an edge.
    """
    pixels = [0] * len(paints)
    for page, label in zip(pages, labels, strict=True):
        even = local_range(page) == 0
        for number, paint in enumerate(paints):
            off = np.abs(page - paint).max(axis=2)
            is_near = even & (label == number) & (off > _TAIL)
            if not number:
                is_near &= off <= reach
            counts = np.unique(page[is_near], axis=0, return_counts=True)[1]
            # an even area has one level; on a wide edge each level has a few even pixels
            pixels[number] += int(counts[counts >= _LEAST_AREA].sum())
    remarks = []
    if pixels[0]:
        remarks.append(f"{pixels[0]} pixels of nearly the background's level are background")
    if any(pixels[1:]):
        remarks.append(f"{sum(pixels[1:])} pixels of a level near to that of a lesion are lesion")
    return tuple(remarks)
