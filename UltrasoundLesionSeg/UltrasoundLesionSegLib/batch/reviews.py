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
        """Return what ``cases.csv`` says of readers' work on a case."""
        cells: dict[str, Any] = {f"review_{reader}": DAMAGED for reader in self._damaged.get(row.name, ())}
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
    if row.suggested_on is not None and not any(_has_seen(record, row, row.suggested_on) for record in records):
        remarks.append(f"suggested seed on frame {row.suggested_on}, not looked at")
    return [*remarks, *row.remarks]


def _has_seen(record: ReviewRecord, row: CaseRow, frame: int) -> bool:
    dealt_with = record.state_for(*row.source) in (ReviewState.DONE, ReviewState.SET_ASIDE)
    return dealt_with or (frame in record.frames_drawn and not record.is_of_another(*row.source))
