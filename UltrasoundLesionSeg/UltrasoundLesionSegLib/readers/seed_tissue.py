"""Whether a picture is a painted mask or one of tissue."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.seed_paints import ALIKE, ASK, Levels, distance, how_many, local_range

LabelMap = NDArray[np.uint8]
"""``(H, W)``: 0 is background, k is lesion k."""

_PROMINENCE = 0.16
"""Share of the highest contrast by which a peak or hollow must stand out to count as one."""

_MOST_BUMPS = 100
"""Peaks and hollows between the paints: JPEG of a coloured mask has up to 55, speckle 70 to 1,000."""

_LEAST_EVEN = 0.45
"""Share of pixels well inside the lesions whose neighbours are like them: masks 0.7 and more, frames 0.02 to 0.4."""

MOST_PARTS = 40
"""Pieces at half the level: masks with a hand's count of lesions, frames 30 to 400."""

_MOST_STRANGE_BORDER = 0.2
"""Share of the frame's border that is no paint: masks 0 to 0.14, frames that fill the picture 0.2 to 0.4."""

_LEAST_TOLD = 0.98
"""Share of the variance of levels that the distance from the outline explains: masks 0.983 and more
(JPEG of quality 10 to 30, blurred by 1 to 20 pixels, enlarged), smoothed frames 0.3 to 0.98 for the most part."""

_LEAST_TOLD_IF_LARGE = 0.995
_LARGE = 0.25
"""Share of the frame from which on a mask must be told by its outline better, because smoothed frames are as well."""

_THIN = 8.0
"""Pixels from the outline to the middle; the edges of smaller lesions, and of outlines, are too coarse for that."""

_FAR = 60
_WIDTHS = (0, 1, 2, 3, 4.5, 7, 10, 15)
"""Pixels, where there are about 256 a side, by which a frame is smoothed to see whether a mask was made of it."""

_LOOKED_AT = 256
_SAME_AS_LEVEL = 0.95
"""Overlap (Dice) of a mask with what is brighter or darker than a level, from which on it is no drawing."""


def check_is_painting(
    pages: Sequence[Levels],
    ground: NDArray[np.float32],
    lesions: NDArray[np.float32],
    labels: Sequence[LabelMap],
) -> None:
    """Raise ``SeedError`` for a picture of tissue.

    The limits are between what was measured on masks (blurred, resized, noisy, in JPEG) and on frames.
    """
    strength = distance(lesions, ground)
    kernel = np.ones((11, 11), np.uint8)
    lesion_pixels = even_pixels = border_pixels = strange_pixels = bumps = parts = 0
    for page in pages:
        off = np.min([np.abs(page - color).max(axis=2) for color in [ground, *lesions]], axis=0)
        border = np.concatenate([off[0], off[-1], off[1:-1, 0], off[1:-1, -1]])
        border_pixels, strange_pixels = border_pixels + len(border), strange_pixels + int((border > ALIKE).sum())
        contrast = distance(page, ground)
        high, low = cv2.dilate(contrast, kernel), cv2.erode(contrast, kernel)
        slopes = (off > ALIKE) & (high - low > _PROMINENCE * float(strength.max()))
        bumps = max(bumps, sum(count_parts(slopes & (contrast == extreme)) for extreme in (high, low)))
        inside = contrast >= 0.5 * float(strength.min())
        parts = max(parts, count_parts(inside))
        core = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        lesion_pixels += int(core.sum())
        even_pixels += int((core & (local_range(page) <= ALIKE / 2)).sum())
    is_many = bumps > _MOST_BUMPS / 2 or parts > MOST_PARTS / 4
    is_rough = (is_many and even_pixels < _LEAST_EVEN * lesion_pixels) or bumps > _MOST_BUMPS or parts > MOST_PARTS
    share = max(float(np.count_nonzero(one)) / one.size for one in labels)
    told = _told_by_outline(pages, ground, strength, labels)
    is_smooth_tissue = told < (_LEAST_TOLD if share < _LARGE else _LEAST_TOLD_IF_LARGE)
    if is_rough or is_smooth_tissue or strange_pixels > _MOST_STRANGE_BORDER * border_pixels:
        raise SeedError(f"the seed has {how_many(pages)} and looks like a picture of tissue, not like a mask; {ASK}")


def _told_by_outline(
    pages: Sequence[Levels], ground: NDArray[np.float32], strength: NDArray[np.float32], labels: Sequence[LabelMap]
) -> float:
    """Return the share of the levels' variance that the distance from the outline explains (R squared).

    In a soft mask a level is a matter of how far the edge of the nearest lesion is; in smoothed tissue there is more to
    it. Thin lesions do not count.
    """
    shares = []
    for page, label in zip(pages, labels, strict=True):
        depth = cv2.distanceTransform((label > 0).astype(np.uint8), cv2.DIST_L2, 5)
        if depth.max() <= _THIN:
            continue
        outside = np.full(label.shape, np.inf, np.float32)
        height = np.ones(label.shape, np.float32)
        for one in np.unique(label[label > 0]).tolist():
            away = cv2.distanceTransform((label != one).astype(np.uint8), cv2.DIST_L2, 5)
            height[away < outside] = strength[one - 1]
            outside = np.minimum(outside, away)
        level = np.minimum(distance(page, ground) / height, 1).ravel()
        place = (np.clip(depth - outside, -_FAR, _FAR).round().astype(np.intp) + _FAR).ravel()
        mean = np.bincount(place, level) / np.maximum(1, np.bincount(place))
        rest, whole = np.square(level - mean[place]).sum(), np.square(level - level.mean()).sum()
        shares.append(1 - float(rest / max(1e-9, whole)))
    return float(np.median(shares)) if shares else 1.0


def cut_at_a_level(frame: NDArray[np.uint8], mask: NDArray[np.bool_]) -> bool:
    """Whether a mask is nearly what is brighter, or darker, than one level on its frame: the frame itself, thresholded.

    The frame is also tried smoothed. No lesion drawn on the first 12 images of BUS-BRA is one (test_seed_paint.py).

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    mask : ndarray of bool, shape (H, W)
    """
    grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    step = max(1, round(max(grey.shape) / _LOOKED_AT))
    grey, drawn = np.ascontiguousarray(grey[::step, ::step]), mask[::step, ::step]
    count = int(drawn.sum())
    if not 0 < count < drawn.size:
        return False
    for width in _WIDTHS:
        smooth = cv2.GaussianBlur(grey, (0, 0), width) if width else grey
        ordered = np.sort(smooth, axis=None)
        for chosen in (smooth >= ordered[-count], smooth <= ordered[count - 1]):
            if 2 * int((chosen & drawn).sum()) > _SAME_AS_LEVEL * (int(chosen.sum()) + count):
                return True
    return False


def is_even_inside(page: Levels, shape: NDArray[np.bool_]) -> bool:
    """Whether a shape is filled with paint, not with a picture."""
    core = cv2.erode(shape.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    even = local_range(page) <= ALIKE / 2
    return bool(np.count_nonzero(core & even) >= _LEAST_EVEN * np.count_nonzero(core))


def count_parts(mask: NDArray[np.bool_]) -> int:
    """Return the number of 8-connected areas of a mask, bool (H, W)."""
    return int(cv2.connectedComponents(mask.astype(np.uint8))[0]) - 1
