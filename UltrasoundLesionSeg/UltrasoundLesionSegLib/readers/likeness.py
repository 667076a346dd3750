"""How alike neighbouring frames are: stills of a study lie in one folder as the frames of a cine do."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame
from UltrasoundLesionSegLib.errors import FrameError
from UltrasoundLesionSegLib.readers.frames import sampled_indices, to_grey

_SIDE = 64
"""Pixels of a side that frames are reduced to."""

_PAIRS = 8
_LEAST_ALIKE = 0.7
"""Correlation of neighbours below which they are hardly of one cine.

Its median was 0.97 or more in 28 real cines, 0.91 or more where they were read at every fifth frame. Of 277 pairs of
views of one lesion in the stills of BUS-BRA, 17% had more than 0.7; of pairs of different lesions, 1%.
"""

_LEAST_CHANGE = 8
"""Grey levels by which a pixel changes over the frames to count as one that changes."""

_LEAST_CHANGING = 0.02
"""Part of the pixels that must change; what changes less are measurements drawn on one frozen image."""


def likeness_note(decode: Callable[[int], Frame], count: int) -> tuple[str, ...]:
    """Return the sentence on frames whose neighbours are hardly alike, nothing where they are, or cannot be read.

    Parameters
    ----------
    decode : callable
        Frame index -> uint8 ``(H, W)`` or ``(H, W, 3)``, raising ``FrameError`` for a bad frame.
    count : int
        Number of frames.
    """
    if count < 2:
        return ()
    pairs = [(first, first + 1) for first in sampled_indices(count - 1, _PAIRS)]
    everywhere = np.ones((_SIDE, _SIDE), bool)
    likenesses = (_correlation(_small(decode, first), _small(decode, second), everywhere) for first, second in pairs)
    found = [one for one in likenesses if one is not None]
    if not found or np.median(found) >= _LEAST_ALIKE:
        return ()
    return ("Neighbouring frames are hardly alike: they may be stills and no cine, or in a wrong order.",)


def least_likeness(decode: Callable[[int], Frame], count: int) -> float | None:
    """Return the lowest correlation of neighbouring frames where the picture changes; None where it cannot be told.

    What stays the same in all frames, for example text and the black around the image, is left out: it makes stills of
    one scanner alike. So is a frame that cannot be read; at least half of the pairs must be left.

    Parameters
    ----------
    decode, count
        As for `likeness_note`.
    """
    firsts = sampled_indices(count - 1, _PAIRS) if count > 1 else []
    small = {index: _small(decode, index) for first in firsts for index in (first, first + 1)}
    known = [one for one in small.values() if one is not None]
    if not known:
        return None
    changing: NDArray[np.bool_] = np.ptp(np.stack(known), axis=0) > _LEAST_CHANGE
    if changing.mean() < _LEAST_CHANGING:
        return None
    pairs = [(small[first], small[first + 1]) for first in firsts]
    read = [(one, other) for one, other in pairs if one is not None and other is not None]
    found = [_correlation(one, other, changing) for one, other in read]
    return None if None in found or 2 * len(read) < len(pairs) else min(one for one in found if one is not None)


def _small(decode: Callable[[int], Frame], index: int) -> NDArray[np.float64] | None:
    """Return a frame as ``(_SIDE, _SIDE)``, None where it cannot be read."""
    try:
        return cv2.resize(to_grey(decode(index)), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
    except FrameError:
        return None


def _correlation(
    one: NDArray[np.float64] | None, other: NDArray[np.float64] | None, where: NDArray[np.bool_]
) -> float | None:
    """Return how alike two reduced frames are, None where one could not be read or is even."""
    if one is None or other is None:
        return None
    levels = np.stack([one[where], other[where]])
    return None if levels.std(axis=1).min() == 0 else float(np.asarray(np.corrcoef(levels))[0, 1])
