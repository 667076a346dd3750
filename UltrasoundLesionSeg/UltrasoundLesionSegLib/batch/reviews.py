"""What readers did to the cases of a batch, as its tables, plot and page show it. Only read here, never written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.batch.case_row import CaseRow
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.reader_work.record import ReviewRecord, ReviewState
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder

DAMAGED = "damaged"  # instead of a state
_FURTHEST = (ReviewState.DONE, ReviewState.SET_ASIDE, ReviewState.IN_WORK, ReviewState.NEW)


class Reviews:
    """The work of all readers on the cases of a batch.

    Parameters
    ----------
    records : mapping of str to mapping of str to ReviewRecord or ReviewError
        By reader, then by case; an error where the files of the work are damaged.
    """

    def __init__(self, records: Mapping[str, Mapping[str, ReviewRecord | ReviewError]] | None = None) -> None:
        self._records: dict[str, dict[str, ReviewRecord]] = {}
        self._damaged: dict[str, list[str]] = {}  # readers by case
        for reader, cases in (records or {}).items():
            whole = self._records[reader] = {}
            for case, record in cases.items():
                if isinstance(record, ReviewError):
                    self._damaged.setdefault(case, []).append(reader)
                else:
                    whole[case] = record

    @classmethod
    def of(cls, output: Path) -> Reviews:
        """Read them from a batch's folder.

        Parameters
        ----------
        output : Path
        """
        folder = ReviewFolder(output)
        return cls({reader: folder.records(reader) for reader in folder.readers()})

    def __bool__(self) -> bool:
        return bool(self._records)

    @property
    def columns(self) -> list[str]:
        """The columns of ``cases.csv``: three for each reader."""
        kinds = ("review", "frames_drawn", "review_seconds")
        return [f"{kind}_{reader}" for reader in self._records for kind in kinds]

    def cells(self, row: CaseRow) -> dict[str, Any]:
        """Return what ``cases.csv`` says of readers' work on a case, and of the frames that a person should look at."""
        cells: dict[str, Any] = {f"review_{reader}": DAMAGED for reader in self._damaged.get(row.name, ())}
        if row.has_result:
            first, count = self.to_look_at(row)
            cells["frames_to_look_at"], cells["first_frame_to_look_at"] = count, first[0] if first else ""
        for reader, record in self._of(row).items():
            cells[f"review_{reader}"] = self._state(record, row).value
            cells[f"frames_drawn_{reader}"] = len(record.frames_drawn)
            cells[f"review_seconds_{reader}"] = round(record.seconds, 1)
        return cells

    def phrase(self, row: CaseRow) -> str:
        """Return the states in words: "A: done, B: in work"; '' where nobody has begun."""
        said = {reader: self._state(record, row).value for reader, record in self._of(row).items()}
        said |= dict.fromkeys(self._damaged.get(row.name, ()), DAMAGED)
        return ", ".join(f"{reader}: {said[reader]}" for reader in sorted(said))

    def furthest(self, row: CaseRow) -> ReviewState:
        """Return how far the reader is who is furthest with a case."""
        states = {self._state(record, row) for record in self._of(row).values()}
        return next((state for state in _FURTHEST if state in states), ReviewState.NEW)

    def to_look_at(self, row: CaseRow) -> tuple[tuple[int, ...], int]:
        """Return the first frames to look at, in that order, and how many they are in all.

        A suggested seed that nobody has looked at is the first one: all other masks follow from it.
        """
        unseen = unseen_seed(row, self._of(row).values())
        return (row.offers, row.offer_count) if unseen is None else ((unseen, *row.offers), row.offer_count + 1)

    def urgency(self, row: CaseRow) -> tuple[bool, float, float]:
        """Sorts cases that most need a look to the front: those with an unseen seed, then as their masks need it."""
        return unseen_seed(row, self._of(row).values()) is None, *row.urgency

    def awaits_look(self, row: CaseRow) -> bool:
        """Whether the case began with a suggested seed that nobody has looked at."""
        return unseen_seed(row, self._of(row).values()) is not None

    def remarks(self, row: CaseRow) -> list[str]:
        """Return what a person should know of a case."""
        said = remarks_of(row, self._of(row).values())
        if damaged := self._damaged.get(row.name):
            of = f"reader {damaged[0]}" if len(damaged) == 1 else f"readers {', '.join(damaged)}"
            said.insert(0, f"the files of the work of {of} are damaged")
        return said

    def _of(self, row: CaseRow) -> dict[str, ReviewRecord]:
        return {reader: cases[row.name] for reader, cases in self._records.items() if row.name in cases}

    @staticmethod
    def _state(record: ReviewRecord, row: CaseRow) -> ReviewState:
        return record.state_for(*row.source)


def remarks_of(row: CaseRow, records: Iterable[ReviewRecord]) -> list[str]:
    """Return what a person should know of a case that these readers have worked on.

    Parameters
    ----------
    row : CaseRow
    records : iterable of ReviewRecord
        A suggested seed counts as looked at when one of them outlined or confirmed its frame, or dealt with the case.
    """
    records = list(records)
    outdated = sorted(record.reader for record in records if record.is_of_another(*row.source))
    remarks = [f"the source has changed since the work of {', '.join(outdated)}"] if outdated else []
    if (unseen := unseen_seed(row, records)) is not None:
        remarks.append(f"suggested seed on frame {unseen}, not looked at")
    return [*remarks, *row.remarks]


def unseen_seed(row: CaseRow, records: Iterable[ReviewRecord]) -> int | None:
    """Return the frame of a suggested seed that none of these readers has looked at; None where there is none.

    Parameters
    ----------
    row : CaseRow
    records : iterable of ReviewRecord
        Of readers' work on the case.
    """
    frame = row.suggested_on
    return None if frame is None or any(_has_seen(record, row, frame) for record in records) else frame


def _has_seen(record: ReviewRecord, row: CaseRow, frame: int) -> bool:
    dealt_with = record.state_for(*row.source) in (ReviewState.DONE, ReviewState.SET_ASIDE)
    return dealt_with or (frame in record.frames_drawn and not record.is_of_another(*row.source))
