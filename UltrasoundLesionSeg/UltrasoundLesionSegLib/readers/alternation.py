"""Folders in which every second picture is of another kind: masks between the frames, or a second series.

Nothing in their names or pixel type tells them apart. A wrong guess would lose half of a cine, so pictures are masks
only where everything says so: they are painted (even areas of a few colours, the same ones in all of them, on an even
ground) and the frames are not. In doubt all are frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.readers.quiet import quiet
from UltrasoundLesionSegLib.readers.seed_paints import ALIKE, EVEN_IF_LOSSY, distinct_colors, local_range

_LEAST_IN_DOUBT, _LEAST = 4, 6
"""Pictures from which on they may alternate, and from which on that can be certain."""

_LOOKED_AT = 12
"""Places at which two pairs in a row are compared, spread over the folder."""

_SMALL = (64, 64)
_NEARER = 0.7
"""Differences between a picture and the next but one are below this share of that between neighbours."""

_MOST_PLACES = 0.75
"""Share of the places where it must be so; a cine may jump."""

_MOST_EXACT = 4
"""Colours up to which a picture was not changed by compression or smoothing."""

_MOST_PAINTS = 3
_OF_ONE_PAINT = 12.0
"""Levels by which the pixels of a paint differ from it."""

_LEAST_OF_A_PAINT = 0.1
"""Share of what is no ground from which on an even colour is a paint."""

_PAINTED, _TEXTURED = 0.25, 0.2
"""Share of what is no ground that lies in paints, from which on and below which a picture is painted and textured:
masks 0.4 to 1 (blurred by 3 pixels, or in JPEG of quality 60), colour flow alone 0 to 0.33, bubbles 0 to 0.05."""

_EVEN_GROUND = 0.8
"""Share of the ground that must be even."""

_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's names for grey values of more than 8 bits."""


@dataclass(frozen=True)
class Alternation:
    """What was found in a folder.

    Parameters
    ----------
    masks : tuple of Path
        Every second picture; () where they are no masks.
    is_doubtful : bool
        Whether they may be masks all the same.
    """

    masks: tuple[Path, ...] = ()
    is_doubtful: bool = False


@dataclass(frozen=True)
class _Picture:
    """The ground of a picture, its paints (colours ``(3,)``), and how much of what is no ground they cover.

    ``share`` is None for a picture of one colour, and 0 where the ground is uneven.
    """

    size: tuple[int, int]
    ground: NDArray[np.float32]
    paints: tuple[NDArray[np.float32], ...]
    share: float | None

    @property
    def is_painted(self) -> bool:
        return self.share is not None and self.share >= _PAINTED


def masks_between(paths: Sequence[Path]) -> Alternation:
    """Find out whether pictures are frame, mask, frame, mask, and so on, or mask, frame, mask, frame.

    Parameters
    ----------
    paths : sequence of Path
        In the order of the frames; those that nothing else sets apart.
    """
    if len(paths) < _LEAST_IN_DOUBT:
        return Alternation()
    pairs = list(zip(paths[::2], paths[1::2], strict=False))
    starts = sorted(set(np.linspace(0, len(pairs) - 2, _LOOKED_AT).round().astype(int).tolist()))
    if not _alternate(pairs, starts):
        return Alternation()
    if len(paths) % 2 == 0 and len(paths) >= _LEAST:
        for masks, frames in ((paths[1::2], paths[::2]), (paths[::2], paths[1::2])):
            if _are_masks_of(masks, frames, starts):
                return Alternation(tuple(masks))
    return Alternation(is_doubtful=True)


def _alternate(pairs: Sequence[tuple[Path, Path]], starts: Sequence[int]) -> bool:
    """Whether each picture is more like the next but one than like the next, at most places of the folder."""
    told = against = 0
    for start in starts:
        (one, other), (next_one, next_other) = ([_small(path) for path in pairs[start + at]] for at in (0, 1))
        between = _apart(one, other)
        if between > 0:  # else a black start, or a picture that stands still
            is_nearer = max(_apart(one, next_one), _apart(other, next_other)) < _NEARER * between
            told, against = told + is_nearer, against + (not is_nearer)
        if against > (1 - _MOST_PLACES) * len(starts):
            return False
    return told >= min(2, len(starts)) and told >= _MOST_PLACES * (told + against)


def _are_masks_of(masks: Sequence[Path], frames: Sequence[Path], places: Sequence[int]) -> bool:
    """Whether these can be the masks of the frames at the same places."""
    seen = []
    for path in masks:
        mask = _look_at(path)
        if mask is None or not (mask.share is None or mask.is_painted):
            return False
        seen.append(mask)
    if not _are_of_one_kind(seen):
        return False
    for place in places:
        frame = _look_at(frames[place])
        if frame is None or frame.size != seen[place].size or not (frame.share is None or frame.share < _TEXTURED):
            return False
    return True


def is_painted(path: Path) -> bool:
    """Whether what is no ground in a picture lies in a few even paints, as in a mask and not as in a dark frame."""
    picture = _look_at(path)
    return picture is not None and picture.is_painted


def _are_of_one_kind(masks: Sequence[_Picture]) -> bool:
    """Whether masks have the same ground and paints, and one of them at least a paint."""
    grounds: list[NDArray[np.float32]] = []
    paints: list[NDArray[np.float32]] = []
    for mask in masks:
        for seen, colors in ((grounds, (mask.ground,)), (paints, mask.paints)):
            seen += [one for one in colors if all(np.abs(one - other).max() > ALIKE for other in seen)]
    return len(grounds) == 1 and 1 <= len(paints) <= _MOST_PAINTS


def _look_at(path: Path) -> _Picture | None:
    """Return what is compared of a picture, None for a damaged one."""
    pixels = _pixels(path)
    if pixels is None:
        return None
    levels = pixels.astype(np.float32)
    is_exact = distinct_colors([levels], _MOST_EXACT) is not None
    ground = _ground(pixels)
    # channel by channel: the maximum along an axis of three takes ten times as long
    away = np.maximum.reduce([np.abs(one - own) for one, own in zip(cv2.split(levels), ground, strict=True)])
    is_other = away > (0 if is_exact else ALIKE)
    even = np.full(is_other.shape, True) if is_exact else local_range(levels) <= EVEN_IF_LOSSY
    size = (pixels.shape[0], pixels.shape[1])
    if not is_other.any():
        return _Picture(size, ground, (), None)
    paints, covered = _paints(pixels[is_other & even], int(is_other.sum()))
    is_ground_even = np.count_nonzero(even & ~is_other) >= _EVEN_GROUND * np.count_nonzero(~is_other)
    return _Picture(size, ground, paints, covered if is_ground_even else 0.0)


def _paints(even: NDArray[np.uint8], total: int) -> tuple[tuple[NDArray[np.float32], ...], float]:
    """Return the colours that most even pixels ``(N, 3)`` have, and how much of ``total`` pixels these cover."""
    # as whole numbers: sorting them as rows of three takes 40 times as long
    packed, counts = np.unique(even.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32), return_counts=True)
    colors = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.uint8)
    paints: list[NDArray[np.float32]] = []
    covered = 0
    while len(colors) and len(paints) < _MOST_PAINTS:
        paint = colors[counts.argmax()].astype(np.float32)
        is_near = np.abs(colors - paint).max(axis=1) <= _OF_ONE_PAINT
        if counts[is_near].sum() < _LEAST_OF_A_PAINT * total:
            break
        paints.append(paint)
        covered += int(counts[is_near].sum())
        colors, counts = colors[~is_near], counts[~is_near]
    return tuple(paints), covered / total


def _small(path: Path) -> NDArray[np.float32] | None:
    """Return a picture in grey and small, None for a damaged one."""
    pixels = _pixels(path)
    if pixels is None:
        return None
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.resize(grey, _SMALL, interpolation=cv2.INTER_AREA))


def _apart(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> float:
    """Return the mean difference in levels, 0 where one is damaged."""
    return 0.0 if one is None or other is None else float(np.abs(one - other).mean())


def _ground(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    return np.asarray(np.median(border, axis=0), np.float32)


def _pixels(path: Path) -> NDArray[np.uint8] | None:
    """Return a picture as ``(H, W, 3)``, where it has a layer of transparency that layer; None for a damaged one."""
    try:
        with quiet(), Image.open(path) as image:
            if image.mode in ("RGBA", "LA") and np.ptp(alpha := np.asarray(image.getchannel("A"))):
                return np.repeat(alpha[..., np.newaxis], 3, axis=2)
            return np.asarray(eight_bits(image).convert("RGB"))
    except Exception:  # Pillow raises whatever the damage leads to
        return None


def eight_bits(image: Image.Image) -> Image.Image:
    """Return a grey picture of more than 8 bits scaled to 8, by its highest value; any other as it is.

    Pillow's own conversion cuts values at 255, which makes a mask of a frame of 12 bits.
    """
    if image.mode not in _DEEP_MODES:
        return image
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    highest = max(float(values.max()), 255.0)
    return Image.fromarray((values.clip(0) * (255 / highest)).astype(np.uint8))
