"""A third reader decides between two: takes the first one's outline, takes the second one's, or draws again.

The adjudicated work is a reader's as any other, with a code of its own, so that everything that works with a reader
(batch, comparison, adaptation, export) works with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.measurement.overlap import dice
from UltrasoundLesionSegLib.reader_work.hold import Hold
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewRecord, ReviewState
from UltrasoundLesionSegLib.reader_work.store import CaseWork, ReviewFolder
from UltrasoundLesionSegLib.reader_work.work import Work
from UltrasoundLesionSegLib.review.comparison import MODEL, Named, Side, match_lesions, shared_source, side_of

AGREED = 0.999  # Dice from which on two masks are the same to a person


@dataclass(frozen=True, eq=False)
class Choice:
    """One lesion on one frame that at least one of two readers outlined.

    Parameters
    ----------
    frame : int
    lesion : str
        As the first reader calls it.
    first, second : ndarray of bool, shape (H, W), or None
        Both readers' masks: outlined, or carried by a model from their outlines; None where a reader has none.
    hows : tuple of How
        What each did to it; ``CONFIRMED`` for a mask of a model: who chooses it confirms it.
    dice : float
        Of both masks; 0 where one has none.
    """

    frame: int
    lesion: str
    first: Mask | None
    second: Mask | None
    hows: tuple[How, How]
    dice: float

    @property
    def is_agreed(self) -> bool:
        """Whether there is nothing to decide."""
        return self.dice >= AGREED


def choices(first: Side, second: Side) -> list[Choice]:
    """Return what is to be decided between two readers, the lowest Dice first.

    Parameters
    ----------
    first, second : Side
    """
    frames = sorted({one.frame for side in (first, second) for one in side.anchors})
    shown = {frame: (all_masks(first, frame), all_masks(second, frame)) for frame in frames}
    matched = match_lesions([(frame, *both) for frame, both in shown.items()])
    names = set(_lesions(both[0] for both in shown.values()))
    theirs = {other: one for one, other in matched.items()}
    for other in _lesions(both[1] for both in shown.values()):
        theirs.setdefault(other, other if other not in names else f"{other} (second reader)")
    anchored = [{(one.frame, one.lesion): one.how for one in side.anchors} for side in (first, second)]
    found = []
    for frame, (mine, others) in shown.items():
        renamed = {theirs[name]: (name, mask) for name, mask in others.items()}
        for lesion in dict.fromkeys([*mine, *renamed]):
            name, counterpart = renamed.get(lesion, ("", None))
            hows = (
                anchored[0].get((frame, lesion), How.CONFIRMED),
                anchored[1].get((frame, name), How.CONFIRMED),
            )
            if (frame, lesion) not in anchored[0] and (frame, name) not in anchored[1]:
                continue  # nobody outlined this lesion here
            own = mine.get(lesion)
            value = dice(own, counterpart) if own is not None and counterpart is not None else 0.0
            if (first.is_model and own is None) or (second.is_model and counterpart is None):
                continue  # the model says nothing here
            found.append(Choice(frame, lesion, own, counterpart, hows, value))
    return sorted(found, key=lambda one: (one.dice, one.frame, one.lesion))


def all_masks(side: Side, frame: int) -> Named:
    """Return a reader's masks on a frame by lesion: outlined, confirmed or carried by a model; the model's its own."""
    if side.is_model:
        return side.followed(frame)
    found: dict[str, Mask] = {}
    masks = side.result.masks(frame) if side.result is not None else None
    if side.result is not None and masks is not None:
        known = [name for name in side.result.lesions if side.result.origins[name][frame] is not None]
        found = {name: mask for name, mask in zip(side.result.lesions, masks, strict=True) if name in known}
    return found | {one.lesion: one.mask for one in side.anchors if one.frame == frame}


def taken_from(code: str) -> str:
    """Return what is kept of where a mask was taken from: ``reader A``, or ``model``."""
    return MODEL if code == MODEL else f"reader {code}"


def _lesions(frames: Iterable[Named]) -> list[str]:
    return list(dict.fromkeys(name for masks in frames for name in masks))


class Adjudication:
    """One case that a third reader decides on; a context manager that holds the case.

    Parameters
    ----------
    output : Path
        Folder of a batch.
    first, second : str
        The readers, both done with the case; one of them can be ``model``.
    into : str
        Code of the third reader, whose earlier decisions on the case are kept.
    case : str

    Raises
    ------
    ReviewError
        When the codes are not three different ones, or one of the readers is not done with the case.
    HeldError
        When another person is at the case with the third reader's code.
    """

    def __init__(self, output: Path, first: str, second: str, into: str, case: str) -> None:
        if len({first.lower(), second.lower(), into.lower()}) < 3 or into.lower() == MODEL:
            raise ReviewError(
                "the adjudicated result needs a reader's code of its own, and two readers to decide between"
            )
        self._codes = first, second
        sides = side_of(output, first, case), side_of(output, second, case)
        self._source = shared_source(sides)
        self.choices = choices(*sides)
        self._work: CaseWork = ReviewFolder(output).work(into, case)
        self._hold: Hold = self._work.hold()
        try:
            record = self._work.record()
            self._seconds = record.seconds if record else 0.0
            self._comment = record.comment if record else ""
            is_same = record is not None and record.source is not None and record.source.is_same(self._source)
            self._result = record.result if record is not None and is_same else None
            self._numbers = dict(sides[0].result.numbers) if sides[0].result is not None else {}
            self._numbers |= record.numbers if record else {}
            self._removed = record.removed if record else ()
            self._anchors = {(one.frame, one.lesion): one for one in self._work.anchors()}
        except BaseException:
            self._hold.release()
            raise

    def __enter__(self) -> Adjudication:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the case."""
        self._hold.release()

    @property
    def anchors(self) -> list[ReaderAnchor]:
        """What has been decided, by frame."""
        return [self._anchors[at] for at in sorted(self._anchors)]

    @property
    def undecided(self) -> list[Choice]:
        """What is still to be decided, the lowest Dice first."""
        return [one for one in self.choices if (one.frame, one.lesion) not in self._anchors]

    def take(self, choice: Choice, side: int) -> None:
        """Take a reader's mask as it is.

        Parameters
        ----------
        choice : Choice
        side : int
            0 for the first reader, 1 for the second.

        Raises
        ------
        ReviewError
            When that reader has no mask there.
        """
        mask = (choice.first, choice.second)[side]
        if mask is None:
            raise ReviewError(
                f"reader {self._codes[side]} has no outline of {choice.lesion} on frame {choice.frame}; take the other "
                "one or draw it again"
            )
        self._decide(choice.frame, choice.lesion, mask, choice.hows[side], taken_from(self._codes[side]))

    def take_agreed(self) -> int:
        """Take what both outlined alike, and return how many outlines those are."""
        agreed = [one for one in self.undecided if one.is_agreed]
        for one in agreed:
            self.take(one, 0)
        return len(agreed)

    def draw(self, frame: int, lesion: str, mask: Mask) -> None:
        """Put a new outline on a frame.

        Parameters
        ----------
        frame : int
        lesion : str
        mask : ndarray of bool, shape (H, W)
            An empty one says that the lesion is not visible.
        """
        drawn = np.asarray(mask, bool)
        self._decide(frame, lesion, drawn, How.DRAWN if drawn.any() else How.NOT_VISIBLE, "")

    def _decide(self, frame: int, lesion: str, mask: Mask, how: How, provenance: str) -> None:
        self._anchors[frame, lesion] = ReaderAnchor(frame, lesion, mask, how, provenance)

    def store(self, seconds: float = 0.0) -> ReviewRecord:
        """Store all decisions as the third reader's anchors; the case is then in work.

        It becomes done as any reader's case does, once the frames in between have their masks.

        Parameters
        ----------
        seconds : float
            Spent since the last store.

        Raises
        ------
        HeldError, OutputError
            See ``CaseWork.store``.
        """
        self._seconds += seconds
        work = Work(
            self._source,
            self.anchors,
            state=ReviewState.IN_WORK,
            seconds=self._seconds,
            comment=self._comment,
            kept=self._result,
            numbers=self._numbers,
            removed=self._removed,
        )
        record = self._work.store(self._hold, work)
        self._numbers |= record.numbers
        return record
