"""How alike neighbouring frames are: stills of a study lie in one folder as the frames of a cine do."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

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
    found = [one for first, second in pairs if (one := _correlation(decode, first, second)) is not None]
    if not found or np.median(found) >= _LEAST_ALIKE:
        return ()
    return ("Neighbouring frames are hardly alike: they may be stills and no cine, or in a wrong order.",)


def _correlation(decode: Callable[[int], Frame], first: int, second: int) -> float | None:
    """Return how alike two frames are, None where one cannot be read, is even, or has another size."""
    try:
        pictures = [to_grey(decode(index)) for index in (first, second)]
    except FrameError:
        return None
    if pictures[0].shape != pictures[1].shape:
        return None
    small = [cv2.resize(one, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel().astype(float) for one in pictures]
    return None if min(one.std() for one in small) == 0 else float(np.corrcoef(small)[0, 1])
