"""When each frame of a multi-frame DICOM object was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from UltrasoundLesionSegLib.cine import Timing
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.believed_times import LONGEST_STEP, SHORTEST_STEP
from UltrasoundLesionSegLib.readers.dicom_dates import seconds_of
from UltrasoundLesionSegLib.readers.dicom_groups import items_of_frames

_RATES = ("CineRate", "RecommendedDisplayFrameRate")
_DURATIONS = ("EffectiveDuration", "AcquisitionDuration")
_AGREES = 0.1

_SLOWED_DOWN = 4
"""Times from which on the rate to show a cine at and that of its frame times contradict each other."""

_FEWEST_FROM_ZERO, _FEWEST_TIMES = 4, 6
"""Frames from which on a vector that grows evenly, from 0 or from another value, is taken to hold times."""

_UNEVEN, _ROUNDED = 0.1, 0.0011
"""Share of a step, and seconds of rounding, by which steps between times may differ."""

_MOSTLY = 0.75
"""Share of the steps between times that must be even; where a frame was lost, one is longer."""


@dataclass(frozen=True)
class KnownTiming:
    """What a header says of the frame times: the times, None where it does not tell, and what a person should know."""

    timing: Timing | None = None
    notes: tuple[str, ...] = ()


def read_timing(header: Dataset, count: int) -> KnownTiming:
    """Return the times of ``count`` frames.

    FrameTimeVector or FrameTime, whichever the Frame Increment Pointer names (PS3.3 C.7.6.5); without a pointer the
    vector first. Then the times of the functional groups, then CineRate, RecommendedDisplayFrameRate and
    EffectiveDuration divided by the frames (PS3.3 C.8.5.4), which are approximate: they say how fast the cine is to be
    shown. Times that no scanner can have taken are unknown, and noted.

    Parameters
    ----------
    header : Dataset
    count : int
        The frames that are there, at most as many as the header states.
    """
    notes: list[str] = []
    pointed = _pointed(header)
    found = {"FrameTimeVector": _vector(header, count), "FrameTime": _constant(header, count)}
    for keyword in sorted(found, key=lambda one: one != pointed):
        seconds = found[keyword]
        if seconds is None:
            continue
        from_first = _times_of_vector(header, count) if keyword == "FrameTimeVector" else None
        if from_first is not None:
            notes.append(
                "The DICOM header lists times where the steps between frames belong (FrameTimeVector): read as times."
            )
            notes += _contradictions(keyword, from_first, header)
            return KnownTiming(Timing(from_first, keyword, approximate=True), tuple(notes))
        if not is_plausible(seconds, header):
            notes.append(implausible_note(keyword, seconds))
            if keyword == pointed:
                break
            continue
        is_other = pointed in found and keyword != pointed
        if is_other:
            notes.append(f"The frame times are those of {keyword}: {pointed}, which the header points to, is unusable.")
        notes += _contradictions(keyword, seconds, header)
        return KnownTiming(Timing(seconds, keyword, approximate=is_other), tuple(notes))
    if count > 1 and pointed and not notes:
        notes.append(
            f"The DICOM header points to {pointed} for its frame times, which is missing or does not fit the frames."
        )
    elif count > 1 and not notes and dicom_header.text(header, "FrameTimeVector"):
        notes.append("The times between frames in the DICOM header (FrameTimeVector) do not fit the frames: not used.")
    groups = _from_groups(header, count)
    if groups.timing is not None:
        return KnownTiming(groups.timing, (*notes, *groups.notes))
    shown = _from_display_rates(header, count)
    return KnownTiming(shown.timing, (*notes, *groups.notes, *shown.notes))


def is_plausible(seconds: NDArray[np.float64], header: Dataset | None = None) -> bool:
    """Whether frame times are those of a scanner: 0.1 to 500 frames/s on average.

    Faster or slower ones count where the header says the same in another way: by its rate or its duration.

    Parameters
    ----------
    seconds : ndarray of float64, shape (T,)
        Ascending.
    header : Dataset or None
    """
    if len(seconds) < 2:
        return True
    step = float(seconds[-1] - seconds[0]) / (len(seconds) - 1)
    if SHORTEST_STEP <= step <= LONGEST_STEP:
        return True
    if header is None or step <= 0:
        return False
    rates = [dicom_header.number(header, keyword) or 0.0 for keyword in _RATES]
    durations = [dicom_header.number(header, keyword) or 0.0 for keyword in _DURATIONS]
    steps = [1 / rate for rate in rates if rate > 0] + [one / len(seconds) for one in durations if one > 0]
    return any(abs(one - step) <= _AGREES * step for one in steps)


def _contradictions(keyword: str, seconds: NDArray[np.float64], header: Dataset) -> list[str]:
    """Return a note where the rate to show the cine at is far from that of its frame times: one may be a default."""
    shown = next((one for one in _RATES if (dicom_header.number(header, one) or 0.0) > 0), None)
    if shown is None or len(seconds) < 2:
        return []
    rate = dicom_header.number(header, shown) or 0.0
    own = (len(seconds) - 1) / float(seconds[-1] - seconds[0])
    if 1 / _SLOWED_DOWN < own / rate < _SLOWED_DOWN or not is_plausible(np.arange(2) / rate):
        return []
    return [f"{keyword} says {own:,.4g} frames a second, and {shown} says {rate:,.4g}: {keyword} is used."]


def implausible_note(keyword: str, seconds: NDArray[np.float64]) -> str:
    """Return the sentence on frame times in s, float64 (T,), that no scanner can have taken."""
    step = 1000 * float(seconds[-1] - seconds[0]) / (len(seconds) - 1)
    told = f"{step:.4g}" if step < 1000 else f"{step:,.0f}"
    return f"{keyword} says {told} ms between frames, which no scanner does: it is not used."


def _pointed(header: Dataset) -> str:
    """Return which of FrameTime and FrameTimeVector the Frame Increment Pointer names, '' when neither."""
    tags = _pointers(header)
    for keyword in ("FrameTimeVector", "FrameTime"):
        if any(one == Tag(keyword) for one in tags):
            return keyword
    return ""


def order_notes(header: Dataset, count: int) -> tuple[str, ...]:
    """Return what the header says of frames that are no single run in time, or that a viewer does not show.

    Parameters
    ----------
    header : Dataset
    count : int
        The frames that are there.
    """
    notes = []
    others = [keyword_for_tag(one) or "a private element" for one in _pointers(header)]
    others = [one for one in others if "Time" not in one and "Interval" not in one]
    if others and count > 1:
        notes.append(
            f"The header says that the frames follow each other by {' and '.join(others)}, not by time alone: they may "
            "be pages, slices or views and no cine."
        )
    first, last = (dicom_header.integer(header, keyword) for keyword in ("StartTrim", "StopTrim"))
    if first is not None and last is not None and 0 < first <= last <= count and last - first + 1 < count:
        notes.append(
            f"The header asks viewers to show frames {first} to {last} of {count} alone, counted from 1 (Start Trim, "
            "Stop Trim): all are read."
        )
    return tuple(notes)


def _pointers(header: Dataset) -> list[BaseTag]:
    """Return the elements that the Frame Increment Pointer names."""
    value = dicom_header.value_or(header, "FrameIncrementPointer", None)
    try:
        return [Tag(one) for one in (value if isinstance(value, (MultiValue, list, tuple)) else [value])]
    except Exception:  # a malformed value raises many things
        return []


def _vector(header: Dataset, count: int) -> NDArray[np.float64] | None:
    """Return the times of FrameTimeVector, None when it is absent or does not fit the frames.

    It holds the time from the frame before; the first value is 0 or meaningless.
    """
    told = dicom_header.told_frames(header) or count
    milliseconds = dicom_header.numbers(header, "FrameTimeVector")
    fits = len(milliseconds) in (told, count) and len(milliseconds) >= count
    if not fits or min(milliseconds) < 0 or sum(milliseconds[1:]) <= 0:
        return None
    return np.cumsum([0.0, *milliseconds[1:count]]) / 1000


def _times_of_vector(header: Dataset, count: int) -> NDArray[np.float64] | None:
    """Return FrameTimeVector from its first value on where it holds times and not steps, else None.

    Times grow evenly, from 0 or from any other value, but for a few frames that were lost; steps hardly do so.
    """
    seconds = np.array(dicom_header.numbers(header, "FrameTimeVector")[:count]) / 1000
    if len(seconds) < (_FEWEST_FROM_ZERO if seconds[0] == 0 else _FEWEST_TIMES):
        return None
    steps = np.diff(seconds)
    usual = float(np.median(steps))
    even = float((np.abs(steps - usual) <= _UNEVEN * usual + _ROUNDED).mean())
    grows = even >= _MOSTLY and steps.min() > usual / 2 and is_plausible(np.array([0.0, usual]))
    return seconds - seconds[0] if grows and is_plausible(seconds) else None


def _constant(header: Dataset, count: int) -> NDArray[np.float64] | None:
    step = dicom_header.number(header, "FrameTime") or 0.0
    return np.arange(count) * step / 1000 if step > 0 else None


def _from_groups(header: Dataset, count: int) -> KnownTiming:
    """Return the times of the functional groups (PS3.3 C.7.6.16.2.2): of each frame's acquisition, or its offset."""
    notes: list[str] = []
    contents = items_of_frames(header, "FrameContentSequence")
    positions = items_of_frames(header, "TemporalPositionSequence")
    told: list[tuple[str, Sequence[float | None]]] = [
        (keyword, [seconds_of(dicom_header.text(one, keyword)) for one in contents])
        for keyword in ("FrameAcquisitionDateTime", "FrameReferenceDateTime")
    ]
    offsets = [dicom_header.number(one, "TemporalPositionTimeOffset") for one in positions]
    for keyword, values in (*told, ("TemporalPositionTimeOffset", offsets)):
        known = [value for value in values[:count] if value is not None]
        if len(known) != count or count < 2:
            continue
        seconds = np.array(known) - known[0]
        if (np.diff(seconds) <= 0).any():
            notes.append(f"The times of the frames in the DICOM header ({keyword}) do not increase: they are not used.")
        elif not is_plausible(seconds, header):
            notes.append(implausible_note(keyword, seconds))
        else:
            return KnownTiming(Timing(seconds, keyword), tuple(notes))
    return KnownTiming(None, tuple(notes))


def _from_display_rates(header: Dataset, count: int) -> KnownTiming:
    told = dicom_header.told_frames(header) or count
    notes = []
    for keyword in _RATES:
        rate = dicom_header.number(header, keyword) or 0.0
        if rate <= 0:
            continue
        if is_plausible(np.arange(max(count, 2)) / rate):
            return KnownTiming(Timing(np.arange(count) / rate, keyword, approximate=True))
        notes.append(f"{keyword} says {rate:,.4g} frames a second, which no scanner does: it is not used.")
    duration = dicom_header.number(header, "EffectiveDuration") or 0.0
    seconds = np.arange(count) * duration / max(told, count)
    if count > 1 and duration > 0:
        if is_plausible(seconds):
            return KnownTiming(Timing(seconds, "EffectiveDuration", approximate=True))
        notes.append(implausible_note("EffectiveDuration", seconds))
    return KnownTiming(None, tuple(notes) if count > 1 else ())
