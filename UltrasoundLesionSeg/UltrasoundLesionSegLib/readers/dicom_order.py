"""In which order the single-frame objects of a series were taken, told by what their headers and names say."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.believed_times import LONGEST_STEP
from UltrasoundLesionSegLib.readers.dicom_dates import SECONDS_OF_A_DAY, days_of, seconds_of

_PLACES = ("TemporalPositionIndex", "TemporalPositionIdentifier", "TriggerTime")
_DATES = {"AcquisitionTime": "AcquisitionDate", "ContentTime": "ContentDate"}
TIMES = ("AcquisitionDateTime", *_DATES)
_CLEARLY_SMOOTHER = 0.8
_FEW, _LONGEST_STEP_OF_FEW = 4, 1.0
"""So few images more than so many seconds apart are stills and no series."""


@dataclass(frozen=True)
class Moment:
    """What one object says of its place in a series.

    Parameters
    ----------
    places : dict of str to float
        Elements that state a place in time.
    times : dict of str to float
        Seconds by keyword; from 1970 for those in ``dated``, else from midnight.
    dated : frozenset of str
    number : float or None
        InstanceNumber.
    """

    places: dict[str, float]
    times: dict[str, float]
    dated: frozenset[str]
    number: float | None


def read_moment(header: Dataset) -> Moment:
    """Return what a header says of the object's place in its series."""
    places = {key: value for key in _PLACES if (value := dicom_header.number(header, key)) is not None}
    times, dated = {}, {"AcquisitionDateTime"}
    for keyword in TIMES:
        seconds = seconds_of(dicom_header.text(header, keyword))
        if seconds is None:
            continue
        day = days_of(dicom_header.text(header, _DATES[keyword])) if keyword in _DATES else None
        if day is not None and seconds < SECONDS_OF_A_DAY:
            dated.add(keyword)
            seconds += day * SECONDS_OF_A_DAY
        times[keyword] = seconds
    number = dicom_header.number(header, "InstanceNumber")
    return Moment(places, times, frozenset(dated & times.keys()), number)


class Placed(Protocol):
    """An object of a series; ``position`` is its place in the folder by name."""

    @property
    def moment(self) -> Moment:
        """What its header says."""

    @property
    def position(self) -> int:
        """Where the order of names puts it."""


T = TypeVar("T", bound=Placed)


def clock(series: Sequence[Placed], keyword: str) -> list[float]:
    """Return the times of a series by one element, [] when not all objects have it or two are equal.

    A time of day without its date starts again at midnight, and so does one whose date is that of the examination in
    all objects. A cine never lasts half a day, so where such times leave a gap of half a day, those before the gap
    belong to the next day.
    """
    values = [one.moment.times.get(keyword) for one in series]
    known = _distinct(values)
    is_dated = all(keyword in one.moment.dated for one in series)
    if known and not (is_dated and len({value // SECONDS_OF_A_DAY for value in known}) > 1):
        known = [value % SECONDS_OF_A_DAY for value in known]
        if len(set(known)) < len(known):
            return []
        ordered = sorted(known)
        gaps = [(after - before, after) for before, after in itertools.pairwise(ordered)]
        widest, evening = max(gaps)
        if widest > SECONDS_OF_A_DAY / 2:
            known = [value if value >= evening else value + SECONDS_OF_A_DAY for value in known]
    return known


def _distinct(values: Sequence[float | None]) -> list[float]:
    """Return the values when all are there and no two are equal, else []."""
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) == len(set(known)) and len(known) > 1 else []


def are_stills(clocks: Iterable[Sequence[float]]) -> bool | None:
    """Whether single images were taken so far apart that they are no frames of one cine; None where no clock tells.

    Parameters
    ----------
    clocks : iterable of sequence of float
        The images' times in seconds by each of `TIMES`, nan where one is missing.
    """
    steps = steps_of(clocks)
    if steps is None:
        return None
    return bool(np.median(steps) > (LONGEST_STEP if len(steps) >= _FEW else _LONGEST_STEP_OF_FEW))


def steps_of(clocks: Iterable[Sequence[float]]) -> NDArray[np.float64] | None:
    """Return the seconds between neighbours, ``(N - 1,)``, by the first clock that tells; None where none does.

    Parameters
    ----------
    clocks : iterable of sequence of float
        As for `are_stills`.
    """
    for times in clocks:
        steps = np.diff(np.sort(np.asarray(times, np.float64)))
        if np.isfinite(steps).all() and len(steps) and steps.max() > 0:
            return steps
    return None


def in_temporal_order(
    series: list[T], changes: Callable[[Sequence[Sequence[T]]], list[float]]
) -> tuple[list[T], list[str]]:
    """Return the objects of one series in the order they were taken, and notes on how it was found.

    What counts is there and different for every object. First TemporalPositionIndex, TemporalPositionIdentifier or
    TriggerTime, which state a place in time; then the time of acquisition, then that of the content, each with its
    date; then InstanceNumber, which only numbers the objects (PS3.3 C.7.6.1), and the file names. One that says another
    order than two that agree loses to them, as the time of the content is often that of the export; unless neighbouring
    frames are clearly more alike in it. InstanceNumber alone against the names loses where they are so by name; where
    the pictures do not tell, that is noted.

    Parameters
    ----------
    series : list of Placed
    changes : callable
        Takes orders of the series, returns for each how much a frame differs from the next.
    """
    by_name = sorted(series, key=lambda one: one.position)
    orders: dict[str, list[T]] = {}
    for source, keys in _keys(series):
        if keys and source not in orders:
            orders[source] = [one for _, one in sorted(zip(keys, series, strict=True), key=lambda pair: pair[0])]
    if not orders:
        return by_name, [
            "The DICOM headers do not tell the order of the frames: they are in the order of the file names."
        ]
    orders["file names"] = by_name
    first = next(iter(orders))
    if first == "InstanceNumber" and orders[first] != by_name:
        return _number_or_name(orders[first], by_name, changes)
    supporters = {source: [one for one in orders if orders[one] == orders[source]] for source in orders}
    best = max(orders, key=lambda source: len(supporters[source]))
    if len(supporters[best]) <= len(supporters[first]):
        return orders[first], []
    agreeing = " and ".join(supporters[best])
    changes_by_first, changes_by_best = changes([orders[first], orders[best]])
    if changes_by_first < _CLEARLY_SMOOTHER * changes_by_best:
        reason = "is used, because neighbouring frames look more alike in it"
        return orders[first], [f"The order of the frames by {first} {reason}; {agreeing} give another one."]
    agreeing = f"{agreeing[0].upper()}{agreeing[1:]}"
    return orders[best], [f"{agreeing} agree on the order of the frames, which is used; {first} gives another one."]


def _keys(series: Sequence[Placed]) -> list[tuple[str, list[float]]]:
    """Return what orders a series, by its source; of elements of one kind the first that tells."""
    acquired = clock(series, "AcquisitionDateTime") or clock(series, "AcquisitionTime")
    return [
        *((key, _distinct([one.moment.places.get(key) for one in series])) for key in _PLACES),
        ("the time of acquisition", acquired),
        ("the time of the content", clock(series, "ContentTime")),
        ("InstanceNumber", _distinct([one.moment.number for one in series])),
    ]


def _number_or_name(
    by_number: list[T], by_name: list[T], changes: Callable[[Sequence[Sequence[T]]], list[float]]
) -> tuple[list[T], list[str]]:
    changes_by_number, changes_by_name = changes([by_number, by_name])
    if changes_by_number < _CLEARLY_SMOOTHER * changes_by_name:
        return by_number, []
    if changes_by_name < _CLEARLY_SMOOTHER * changes_by_number:
        order, used = by_name, "the order of the file names is used, because neighbouring frames look more alike in it"
    else:
        order, used = by_number, "the order in the headers is used; see whether the cine runs smoothly"
    return order, [
        f"The DICOM headers number the frames (InstanceNumber) in another order than the file names: {used}."
    ]
