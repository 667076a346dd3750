"""What all readers share: random access with a bounded cache, and the choice between grey and colour."""

from __future__ import annotations

import itertools
import math
import threading
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from operator import index as as_index
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame
from UltrasoundLesionSegLib.errors import FrameError, SourceError

CACHE_BYTES = 128 * 2**20
"""Decoded frames one reader keeps: 273 frames of 600 x 800 grey, 91 of colour."""

GREY_SAMPLES = 3
"""Frames looked at on opening, spread over the cine, to learn whether it can be decoded at all."""

COLOR_SAMPLES = 17
"""Frames looked at where colour is stored: colour flow that is on for a tenth of the cine is not missed."""

AS_STORED = (0.0, 255.0)
"""Levels that leave values as they are."""

_HIGHEST_START = 100_000
"""Higher numbers are dates, times or names."""

LOSSY_GREY_TOLERANCE = 4
"""Levels by which the channels of a grey frame differ after lossy compression (chroma rounded by one or two)."""


class CachedFrames(ABC):
    """Frames decoded when asked for; the last ones are kept, within ``cache_bytes``.

    Safe to call from several threads; one of them decodes at a time. Each call returns an array of its own.

    Parameters
    ----------
    count : int
        Number of frames.
    height, width : int
        Size in pixels that every frame must have.
    is_color : bool
        Whether frames are returned as ``(H, W, 3)`` RGB or as ``(H, W)``; decoded frames are converted to it.
    cache_bytes : int
        Bound on the decoded frames kept; the last one is always kept.
    """

    def __init__(self, count: int, height: int, width: int, is_color: bool, cache_bytes: int = CACHE_BYTES) -> None:
        self._count = count
        self._shape = (height, width)
        self._is_color = is_color
        frame_shape = (height, width, 3) if is_color else (height, width)
        self._capacity = max(1, min(count, cache_bytes // max(1, math.prod(frame_shape))))
        # one block of memory, filled as it is needed: thousands of pieces among those of a decoder would tear the heap
        # into holes, as large as the cache again
        self._kept = np.empty((self._capacity, *frame_shape), np.uint8)
        self._cached: OrderedDict[int, int] = OrderedDict()  # place in it by frame, the last one used at the end
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> Frame:
        """Return frame ``index`` (negative: from the end) as uint8 ``(H, W)`` or ``(H, W, 3)``.

        Raises
        ------
        FrameError
            When that frame alone cannot be read.
        IndexError
            When there is no such frame.
        """
        position = as_index(index)
        if position < 0:
            position += self._count
        if not 0 <= position < self._count:
            raise IndexError(f"frame {index} is not in a cine of {self._count} frames")
        with self._lock:
            if position not in self._cached:
                self._keep(position, self._decode(position))
            self._cached.move_to_end(position)
            return self._kept[self._cached[position]].copy()

    @abstractmethod
    def _decode(self, index: int) -> Frame:
        """Return frame ``index``, grey or RGB as stored; raise ``FrameError`` when it cannot be read."""

    def _keep(self, index: int, decoded: Frame) -> None:
        """Bring a decoded frame to the form of the cine and put it into the cache."""
        if decoded.shape[:2] != self._shape:
            raise FrameError(
                index,
                f"it is {decoded.shape[0]} x {decoded.shape[1]} pixels where the cine is "
                f"{self._shape[0]} x {self._shape[1]}",
            )
        place = self._cached.pop(index, len(self._cached))
        if place == self._capacity:
            _, place = self._cached.popitem(last=False)
        self._kept[place] = to_rgb(decoded) if self._is_color else to_grey(decoded)
        self._cached[index] = place


def to_grey(picture: NDArray[np.uint8]) -> Frame:
    """Return ``(H, W)``: RGB by its luma (ITU-R BT.601), which leaves equal channels exactly as they are."""
    return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def to_rgb(picture: NDArray[np.uint8]) -> Frame:
    """Return ``(H, W, 3)``: grey in all three channels."""
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, np.newaxis], 3, axis=2)


def sampled_indices(count: int, samples: int) -> list[int]:
    """Return up to ``samples`` frame indices spread evenly over ``count`` frames, the first and the last among them."""
    return sorted({int(index) for index in np.linspace(0, count - 1, min(count, samples)).round()})


def is_color_picture(picture: NDArray[np.uint8], tolerance: int = 0) -> bool:
    """Whether the channels of a picture, uint8 (H, W[, 3]), differ anywhere by more than ``tolerance`` levels."""
    if picture.ndim == 2:
        return False
    red, green, blue = cv2.split(picture)
    return any(int(cv2.absdiff(red, other).max()) > tolerance for other in (green, blue))


def choose_levels(sampled: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Return the values to show as 0 and 255 for frames that are not of 8 bits.

    Whole numbers within 0..255 stay as they are, also as floats if they reach beyond 1; anything else is stretched from
    the lowest to the highest value of the sampled frames, the same for all frames, so that echo levels stay comparable.

    Parameters
    ----------
    sampled : sequence of ndarray of numbers, any shape
    """
    finite = [one[np.isfinite(one)] for one in sampled]
    low = min((float(one.min()) for one in finite if one.size), default=0.0)
    high = max((float(one.max()) for one in finite if one.size), default=0.0)
    is_whole = all(one.dtype.kind in "iub" for one in sampled) or (high > 1 and _are_whole(sampled))
    if is_whole and low >= 0 and high <= 255:
        return AS_STORED
    return (low, high) if high > low else (low, low + max(1.0, abs(low)))  # large numbers swallow a 1


def _are_whole(sampled: Sequence[NDArray[Any]]) -> bool:
    """Whether all values are finite whole numbers."""
    return all(bool((np.isfinite(one) & (np.floor(one) == one)).all()) for one in sampled)


def levels_note(levels: tuple[float, float]) -> tuple[str, ...]:
    """Return the sentence on values that were stretched, nothing when they were not."""
    if levels == AS_STORED:
        return ()
    return (f"The values {levels[0]:g} to {levels[1]:g} of the source are shown as 0 to 255.",)


def to_uint8(values: NDArray[Any], levels: tuple[float, float]) -> Frame:
    """Return values ``(H, W)`` or ``(H, W, C)`` as a picture: ``levels`` become 0 and 255.

    One or two channels give grey, of four the last (transparency) is dropped.
    """
    if values.ndim == 3:
        values = values[:, :, 0] if values.shape[2] < 3 else values[:, :, :3]
    if levels != AS_STORED:
        values = np.nan_to_num(values.astype(np.float32), nan=levels[0], posinf=levels[1], neginf=levels[0])
        values = ((values - levels[0]) * (255 / (levels[1] - levels[0]))).round()
    return values if values.dtype == np.uint8 else np.asarray(np.clip(values, 0, 255), np.uint8)


def look_at_samples(
    decode: Callable[[int], NDArray[np.uint8]], indices: Sequence[int], tolerance: int = 0
) -> tuple[bool, dict[int, str]]:
    """Decode some frames to learn whether the cine is in colour and whether it can be decoded.

    Parameters
    ----------
    decode : callable
        Frame index -> picture, raising ``FrameError`` for a bad frame.
    indices : sequence of int
        The frames to look at.
    tolerance : int
        See `is_color_picture`.

    Returns
    -------
    is_color : bool
    failed : dict of int to str
        The frames that cannot be read, and why.

    Raises
    ------
    SourceError
        When none of them can be read.
    """
    is_color, failed = False, dict[int, str]()
    for picture in _readable(decode, indices, failed):
        is_color = is_color or is_color_picture(picture, tolerance)
    return is_color, failed


def look_at_values(
    read: Callable[[int], NDArray[Any]], indices: Sequence[int], tolerance: int = 0
) -> tuple[tuple[float, float], bool, int]:
    """Look at some pictures in their own values.

    Parameters
    ----------
    read : callable
        Frame index -> values, raising ``FrameError`` for a bad frame.
    indices : sequence of int
        The frames to look at.
    tolerance : int
        See `is_color_picture`.

    Returns
    -------
    levels : tuple of float
        The values to show as 0 and 255.
    is_color : bool
    failed : int
        How many of them cannot be read.

    Raises
    ------
    SourceError
        When none of them can be read.
    """
    failed: dict[int, str] = {}
    sampled = list(_readable(read, indices, failed))
    is_bytes = all(one.dtype == np.uint8 for one in sampled)
    levels = AS_STORED if is_bytes else choose_levels(sampled)
    is_color = any(is_color_picture(to_uint8(one, levels), tolerance) for one in sampled)
    return levels, is_color, len(failed)


def _readable(
    read: Callable[[int], NDArray[Any]], indices: Sequence[int], failed: dict[int, str]
) -> Iterator[NDArray[Any]]:
    """Yield the frames that can be read, note in ``failed`` why the others cannot; none at all is an error."""
    for index in indices:
        try:
            picture = read(index)
        except FrameError as error:
            failed[index] = error.reason
        else:
            yield picture
    if len(failed) == len(indices):
        reason = next(iter(failed.values()))
        raise SourceError(f"no frame of the source can be read ({reason}); export the cine again")


def gap_note(numbers: Sequence[int], what: str) -> tuple[str, ...]:
    """Return the sentence on frames whose numbers leave some out, nothing when they do not or are no counters.

    Parameters
    ----------
    numbers : sequence of int
        Of the frames, in any order; [] when not all of them have one.
    what : str
        What they are the numbers of, in the plural.
    """
    ordered = sorted(numbers)
    steps = Counter(after - one for one, after in itertools.pairwise(ordered))
    usual = max(steps, key=lambda step: (steps[step], -step), default=0)
    if usual < 1 or any(step % usual for step in steps):
        return ()
    missing = sum((step // usual - 1) * count for step, count in steps.items())
    # file names whose numbers leave out more frames than there are number something else, times for example
    if not 0 < missing < len(ordered):
        return ()
    return (f"The numbers of the {what} leave out {missing}: frames may be missing.",)


def late_start_note(numbers: Sequence[int], what: str) -> tuple[str, ...]:
    """Return the sentence on frames whose numbers count, but neither from 0 nor from 1 nor from their own step."""
    ordered = sorted(numbers)
    steps = {after - one for one, after in itertools.pairwise(ordered)}
    if not steps or min(steps) < 1 or ordered[0] in (0, 1, min(steps)) or ordered[0] > _HIGHEST_START:
        return ()
    if any(step % min(steps) for step in steps):  # no counter
        return ()
    return (f"The numbers of the {what} begin with {ordered[0]}: the frames before may be missing.",)


def unreadable_note(failed: int, looked_at: int) -> str:
    """Return the sentence on unreadable frames among those looked at on opening."""
    return (
        f"{failed} of the {looked_at} frames looked at on opening cannot be read; "
        "such frames are named when they are asked for, the others are used."
    )
