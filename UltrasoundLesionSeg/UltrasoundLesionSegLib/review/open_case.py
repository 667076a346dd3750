"""A case that a reader has opened: what is known of it, and where the reader's work goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.reader_work.hold import Hold
from UltrasoundLesionSegLib.reader_work.record import ReaderAnchor, ReviewRecord, ReviewState, SourceNote
from UltrasoundLesionSegLib.reader_work.results import CaseMasks
from UltrasoundLesionSegLib.reader_work.store import CaseWork
from UltrasoundLesionSegLib.reader_work.work import Work


@dataclass
class OpenCase:
    """A case in a reader's hands; made by ``Worklist.open``. ``close``, or the end of a ``with`` block, lets go of it.

    Parameters
    ----------
    name : str
    work : CaseWork
    hold : Hold
    source : Path or None
        Where the cine is; None where it is not found: ask for it (``Worklist.find_source``).
    seeds : tuple of Path
        Files of the case that are seeds and no frames.
    machine : CaseMasks or None
        What the batch computed.
    record : ReviewRecord or None
        What the reader did so far, brought up to date by every ``store``.
    anchors : list of ReaderAnchor
        What the reader drew so far, as it was when the case was opened.
    stored : callable, optional
        Called with the record after every store.
    """

    name: str
    work: CaseWork
    hold: Hold
    source: Path | None = None
    seeds: tuple[Path, ...] = ()
    machine: CaseMasks | None = None
    record: ReviewRecord | None = None
    anchors: list[ReaderAnchor] = field(default_factory=list)
    stored: Callable[[ReviewRecord], None] | None = None

    def __post_init__(self) -> None:
        self._seconds_before = self.record.seconds if self.record else 0.0

    def __enter__(self) -> OpenCase:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others take the case up; what was not stored is not in it."""
        self.hold.release()

    @property
    def reader(self) -> str:
        """The reader's code."""
        return self.work.reader

    @property
    def state(self) -> ReviewState:
        """The state as it is stored."""
        return self.record.state if self.record else ReviewState.NEW

    def check_source(self, source: SourceNote) -> None:
        """Raise ``ReviewError`` when a cine is not the one that was worked on before, or that the machine computed.

        Parameters
        ----------
        source : SourceNote
            Without the digest of its pixels as long as they have not been read: everything else is then checked.
        """
        if self.machine is not None and _is_other(self.machine.source, source):
            raise ReviewError(
                "the cine is another one than the batch computed; run the batch again, or choose the cine of this case"
            )
        before = self.record.source if self.record and self.record.anchors else None
        if before is not None and _is_other(before, source):
            raise ReviewError(
                "the reader's anchors are of another version of the cine; bring that one back, or move the case's "
                "folder in 'review' away to start again"
            )

    def is_exported_again(self, source: SourceNote) -> bool:
        """Whether the reader drew on another file with the same pixels."""
        before = self.record.source if self.record and self.record.anchors else None
        return before is not None and before.sha256 != source.sha256 and before.is_same(source)

    def store(
        self,
        anchors: Sequence[ReaderAnchor],
        source: SourceNote,
        seconds: float = 0.0,
        state: ReviewState = ReviewState.IN_WORK,
        comment: str | None = None,
        reason: str = "",
        lesions: Sequence[str] = (),
        result: CaseMasks | None = None,
        machine_lesions: Mapping[str, str | None] | None = None,
        numbers: Mapping[str, int] | None = None,
        removed: Sequence[int] | None = None,
    ) -> ReviewRecord:
        """Store all of the reader's work on the case as it is now.

        Parameters
        ----------
        anchors : sequence of ReaderAnchor
            All of them. Those that are the same objects as at the last store are not looked at again.
        source : SourceNote
            The cine they were drawn on.
        seconds : float
            Spent since the case was opened.
        state : ReviewState
        comment : str, optional
            The earlier one stays when it is left out.
        reason : str
            Of a case that is set aside.
        lesions : sequence of str
            Names in order, also of lesions without an anchor.
        result : CaseMasks, optional
            The masks of all frames. By default those stored before stay; of a case that is done they are the machine's
            with the anchors in their place.
        machine_lesions : mapping of str to str or None, optional
            See ``ReviewRecord``; the earlier ones stay when it is left out.
        numbers : mapping of str to int, optional
            Those of the lesions (``give_numbers``). By default the earlier ones, and those of the machine's lesions.
        removed : sequence of int, optional
            Numbers of lesions that were removed; the earlier ones stay when it is left out.

        Raises
        ------
        HeldError
            When somebody else has taken the case over; the work then lies aside.
        ReviewError, OutputError
            When the work does not fit, or cannot be written.
        """
        if state is ReviewState.DONE and result is None:
            if self.machine is None:
                raise ReviewError("the case has no masks yet; propagate the anchors, then finish it")
            result = self.machine.with_anchors(anchors)
        earlier = self.record or ReviewRecord(self.name, self.reader)
        if numbers is None:
            numbers = {**(self.machine.numbers if self.machine else {}), **earlier.numbers}
        work = Work(
            source=source,
            anchors=anchors,
            lesions=lesions,
            machine_lesions=earlier.machine_lesions if machine_lesions is None else machine_lesions,
            state=state,
            reason=reason,
            seconds=self._seconds_before + seconds,
            comment=earlier.comment if comment is None else comment,
            result=result,
            kept=earlier.result if earlier.source is not None and earlier.source.is_same(source) else None,
            machine=self.machine.digest if self.machine is not None else "",
            numbers=numbers,
            removed=earlier.removed if removed is None else removed,
        )
        self.record = self.work.store(self.hold, work)
        if self.stored:
            self.stored(self.record)
        return self.record


def _is_other(before: SourceNote, source: SourceNote) -> bool:
    return not before.is_same(source if source.pixels else replace(source, pixels=before.pixels))
