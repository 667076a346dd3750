"""A person's work on a segmentation: frames, clicks and time, stored with the lesions in the scene.

It does not say who worked or when: no name, no date, no time of day.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

LONGEST_PAUSE = 300.0
"""Seconds that count at most between two acts: a longer pause is no work on this cine."""

Points = Sequence[Sequence[float]]


@dataclass(frozen=True)
class EffortLog:
    """What a person did so far.

    A frame counts once in each list, however often it was corrected and however many lesions it has. What was undone
    later still counts: it took time.

    Parameters
    ----------
    frames_drawn : tuple of int
        Frames on which a person drew or corrected a mask, by hand or with clicks, ascending.
    frames_confirmed : tuple of int
        Frames on which a person declared what a model made right.
    frames_not_visible : tuple of int
        Frames on which a person said that a lesion is not visible.
    frames_from_files : tuple of int
        Frames whose seed was read from a file. They take none of the time below: nobody knows who drew them, or for
        how long.
    clicks : int
        Clicks for a model that draws; a box counts as one.
    seconds : float or None
        From the first act of a person to the last, pauses as ``LONGEST_PAUSE`` at most, time in which the scene was
        closed left out. None when no person's time was watched.
    """

    frames_drawn: tuple[int, ...] = ()
    frames_confirmed: tuple[int, ...] = ()
    frames_not_visible: tuple[int, ...] = ()
    frames_from_files: tuple[int, ...] = ()
    clicks: int = 0
    seconds: float | None = None

    @property
    def has_acts(self) -> bool:
        """Whether a person did anything in this software."""
        return bool(self.frames_drawn or self.frames_confirmed or self.frames_not_visible or self.clicks)

    @property
    def phrase(self) -> str:
        """What a person did, in words: "3 frames drawn, 2 clicks, 4 min"; '' when a person did nothing."""
        kinds = (
            (self.frames_drawn, "drawn"),
            (self.frames_confirmed, "confirmed"),
            (self.frames_not_visible, "marked not visible"),
        )
        parts = [f"{len(frames)} {words}" for frames, words in kinds if frames]
        if parts:
            number, words = parts[0].split(" ", 1)
            parts[0] = f"{number} {'frame' if number == '1' else 'frames'} {words}"
        if self.clicks:
            parts.append(f"{self.clicks} {'click' if self.clicks == 1 else 'clicks'}")
        whole = round(self.seconds or 0.0)
        if parts and whole:
            parts.append(f"{whole} s" if whole < 60 else f"{round(whole / 60)} min")
        return ", ".join(parts)

    def as_record(self) -> dict[str, Any]:
        """Return what a run record says: the number of frames of each kind, clicks, seconds."""
        values = {name: len(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return values | {"seconds": None if self.seconds is None else round(self.seconds, 1)}

    def as_text(self) -> str:
        """Return the log as it is kept in the scene."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> EffortLog:
        """Read what ``as_text`` wrote.

        Raises
        ------
        ValueError
            When it is something else.
        """
        try:
            content = json.loads(text)
            frames = {name: _frames(content[name]) for name in asdict(cls()) if name.startswith("frames_")}
            clicks, seconds = content["clicks"], content["seconds"]
            valid = type(clicks) is int and clicks >= 0
            valid &= seconds is None or (type(seconds) in (int, float) and seconds >= 0 and math.isfinite(seconds))
        except (KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError("this is no log of a person's work") from error
        if not valid:
            raise ValueError("this is no log of a person's work")
        return cls(**frames, clicks=clicks, seconds=seconds)


def read_effort(sequence: SegmentationSequence | None) -> EffortLog:
    """Return the log kept with a cine's lesions; an empty one where there is none, or none that can be read."""
    text = sequence.sequence.GetAttribute(layout.EFFORT) if sequence is not None else None
    try:
        return EffortLog.from_text(text or "")
    except ValueError:
        return EffortLog()


class EffortKeeper:
    """Writes the log of each cine while a person works.

    Attributes
    ----------
    clock : callable or None
        Returns seconds. None in a program that works without a person: then acts count and no time does.
    """

    def __init__(self) -> None:
        self.clock: Callable[[], float] | None = time.monotonic
        self._last: dict[str, tuple[EffortLog, float]] = {}  # by browser ID: the log after the last act, and when
        self._points: dict[tuple[str, int, str], tuple[tuple[float, ...], ...]] = {}  # the latest of each drawing

    def forget(self, browser_id: str | None = None) -> None:
        """Forget when a cine's last act was (of all cines when none is named); the log itself stays in the scene."""
        self._last = {key: one for key, one in self._last.items() if browser_id not in (None, key)}
        self._points = {key: one for key, one in self._points.items() if browser_id not in (None, key[0])}

    def act(
        self,
        sequence: SegmentationSequence,
        drawn: Iterable[int] = (),
        confirmed: Iterable[int] = (),
        not_visible: Iterable[int] = (),
        clicks: int = 0,
    ) -> None:
        """A person did something: with frames or clicks, or anything else that takes time once the work has begun."""
        log = read_effort(sequence)
        counted = replace(
            log,
            frames_drawn=_joined(log.frames_drawn, drawn),
            frames_confirmed=_joined(log.frames_confirmed, confirmed),
            frames_not_visible=_joined(log.frames_not_visible, not_visible),
            clicks=log.clicks + clicks,
        )
        if not counted.has_acts:
            return
        if self.clock is None:
            write_effort(sequence, counted)
            return
        key, now = sequence.browser.GetID(), self.clock()
        left, then = self._last.get(key, (None, now))
        # the log is not the one kept here: another scene was opened, so the time since the last act does not count
        pause = min(max(now - then, 0.0), LONGEST_PAUSE) if left == log else 0.0
        counted = replace(counted, seconds=(log.seconds or 0.0) + pause)
        write_effort(sequence, counted)
        self._last[key] = counted, now

    def seeded_from_file(self, sequence: SegmentationSequence, frames: Iterable[int]) -> None:
        """Seeds were read from a file: no act of a person that takes time."""
        log = read_effort(sequence)
        counted = replace(log, frames_from_files=_joined(log.frames_from_files, frames))
        write_effort(sequence, counted)
        left = self._last.get(sequence.browser.GetID())
        if left is not None and left[0] == log:
            self._last[sequence.browser.GetID()] = counted, left[1]

    def clicked(self, sequence: SegmentationSequence, frame: int, points: Points, segment: str = "") -> None:
        """All points of a drawing were given; those that were not in the last call for it are new clicks."""
        key = sequence.browser.GetID(), frame, segment
        before, given = self._points.get(key, ()), tuple(tuple(point) for point in points)
        kept = 0
        while kept < min(len(before), len(given)) and before[kept] == given[kept]:
            kept += 1
        self._points[key] = given
        self.act(sequence, clicks=len(given) - kept)

    def has_clicks(self, browser: Any, frame: int) -> bool:
        """Whether clicks drew on a frame in this session."""
        return any(points and key[:2] == (browser.GetID(), frame) for key, points in self._points.items())


def _frames(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(one) is int and one >= 0 for one in value):
        raise TypeError("no list of frames")
    return _joined((), value)


def _joined(frames: tuple[int, ...], further: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({*frames, *further}))


def write_effort(sequence: SegmentationSequence, log: EffortLog) -> None:
    """Keep a log with a cine's lesions instead of the one that is there."""
    # silently: a modified sequence makes Slicer copy the stored frame over what is being painted
    with layout.without_events(sequence.sequence):
        sequence.sequence.SetAttribute(layout.EFFORT, log.as_text())
