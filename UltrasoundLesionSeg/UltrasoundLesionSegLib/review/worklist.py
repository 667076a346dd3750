"""The list of cases that a reader has to look at: suggested seeds first, then where a correction gains most."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from UltrasoundLesionSegLib.batch.case_row import read_case
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.index import read_index
from UltrasoundLesionSegLib.batch.manifest import ListedCase, read_listed, write_listed
from UltrasoundLesionSegLib.batch.plan import find_cases, named_cases
from UltrasoundLesionSegLib.batch.reviews import remarks_of, unseen_seed
from UltrasoundLesionSegLib.engine.next_frame import Stretch
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.reader_work.record import ReviewRecord, ReviewState, SourceNote, check_reader
from UltrasoundLesionSegLib.reader_work.results import read_machine_result
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.reader_work.work import Work
from UltrasoundLesionSegLib.review.case_cines import recognizers
from UltrasoundLesionSegLib.review.open_case import OpenCase
from UltrasoundLesionSegLib.review.pace import Pace
from UltrasoundLesionSegLib.review.sources import MovedSources

OPEN = (ReviewState.NEW, ReviewState.IN_WORK)
_ORDER = {ReviewState.NEW: 0, ReviewState.IN_WORK: 0, ReviewState.DONE: 1, ReviewState.SET_ASIDE: 2}


@dataclass(frozen=True)
class WorkCase:
    """A case as the list shows it.

    Parameters
    ----------
    name : str
    state : ReviewState
        Done is what was done on the source as it is now.
    frames : int or None
        None where nothing was computed.
    stretch : Stretch or None
        Where the expected overlap of the machine's masks is lowest, and how low.
    gain : float
        Dice that corrections are expected to win, summed over frames and lesions.
    next_frame : int or None
        The frame to look at first: that of a suggested seed that the reader has not looked at, or the one whose
        correction is expected to win most.
    frames_drawn : int
        Frames that the reader drew or confirmed.
    seconds : float
        Spent by the reader.
    reason : str
        Why it was set aside.
    machine : str
        ``done``, ``failed`` or ``waiting``: how far the batch is with it.
    remark : str
        What a person should know, or ''.
    is_suggested : bool
        Whether a model suggested the seed.
    """

    name: str
    state: ReviewState = ReviewState.NEW
    frames: int | None = None
    stretch: Stretch | None = None
    gain: float = 0.0
    next_frame: int | None = None
    frames_drawn: int = 0
    seconds: float = 0.0
    reason: str = ""
    machine: str = "waiting"
    remark: str = ""
    is_suggested: bool = False

    @property
    def overlap(self) -> float | None:
        """Expected overlap of the worst stretch, 0 to 1."""
        return self.stretch.overlap if self.stretch else None

    @property
    def place(self) -> tuple[bool, float, str]:
        """Sorts cases whose seed was suggested to the front, then those with the largest expected gain.

        Cases without a result come last. The place stays while the reader works, so that "the next one" has a meaning.
        """
        return not self.is_suggested, (-self.gain if self.frames is not None else math.inf), self.name


class Worklist:
    """The cases of a batch folder for one reader.

    Parameters
    ----------
    output : Path or str
        The batch's output folder; ``begin`` makes one where no batch has run yet.
    reader : str
        A short code, no name.
    moves : mapping of Path to Path, optional
        Folders of sources that were moved; ``moves`` of an earlier list.

    Raises
    ------
    ReviewError
        When the folder is no batch's, or the code is not usable.
    """

    def __init__(self, output: Path | str, reader: str, moves: dict[Path, Path] | None = None) -> None:
        self.reader = check_reader(reader)
        self._folder = BatchFolder(Path(output))
        self._reviews = ReviewFolder(self._folder.root)
        self._sources = MovedSources(moves)
        self.refresh()

    @property
    def output(self) -> Path:
        """The batch's output folder."""
        return self._folder.root

    @property
    def moves(self) -> dict[Path, Path]:
        """Folders of sources that were moved, former to present."""
        return self._sources.moves

    def refresh(self) -> None:
        """Read the disk again: a batch may still be running, and others may work with the same reader's code.

        Raises
        ------
        ReviewError
            When the folder is no batch's, or no longer there; the list is then as it was.
        """
        self._check_folder()
        listed = read_listed(self._folder.sources) if self._folder.sources.is_file() else []
        self._listed = {one.case.name: one for one in listed}
        indexed = read_index(self._folder)
        on_disk = self._folder.names() if self._folder.cases.is_dir() else []
        # the files of a case are read where the batch wrote no index
        rows = {name: indexed.get(name) or read_case(self._folder, name) for name in on_disk}
        self._rows = {name: row for name, row in rows.items() if row is not None}
        self._records = self._reviews.records(self.reader)
        self._aside = self._reviews.aside(self.reader)
        names = [*self._listed, *(name for name in on_disk if name not in self._listed)]
        self._cases = {name: self._case(name) for name in names}

    def _check_folder(self) -> None:
        """Work on a case makes the folders that it needs: in a batch that was moved away, nobody would find it."""
        if not (self._folder.sources.is_file() or self._folder.cases.is_dir()):
            raise ReviewError(
                "the folder is no batch's output, or its disk is not connected; choose the folder that holds 'cases' "
                "and 'index.html', or begin one from a folder of cines"
            )

    def _case(self, name: str) -> WorkCase:
        row, listed, record = self._rows.get(name), self._listed.get(name), self._records.get(name)
        remarks = []
        case = WorkCase(name, machine="done" if row else listed.state or "waiting" if listed else "waiting")
        if listed is not None and listed.state == "failed":
            case = replace(case, machine="failed")
            remarks.append(f"not computed: {listed.reason}")
        if row is not None and row.has_result:
            records = [record] if isinstance(record, ReviewRecord) else []
            unseen = unseen_seed(row, records)
            case = replace(
                case,
                frames=int(row.cells["frames"]),
                stretch=row.stretch,
                gain=row.gain,
                next_frame=unseen if unseen is not None else next(iter(row.offers), None),
                is_suggested=row.suggested_on is not None,
            )
            remarks += remarks_of(row, records)
        if isinstance(record, ReviewError):
            remarks.append(str(record))
        elif record is not None:
            case = replace(
                case,
                state=record.state_for(*row.source) if row else record.state,
                frames_drawn=len(record.frames_drawn),
                seconds=record.seconds,
                reason=record.reason,
            )
        if name in self._aside:
            remarks.append(f"work that came after the case had been taken over lies aside ({self._aside[name]})")
        return replace(case, remark="; ".join(remarks))

    def readers(self) -> list[str]:
        """Return the codes of all readers who have work on the batch, in order."""
        return self._reviews.readers()

    def cases(self, states: Collection[ReviewState] | None = None) -> list[WorkCase]:
        """Return the cases in the order of ``WorkCase.place``; done ones and those set aside come last.

        Parameters
        ----------
        states : collection of ReviewState, optional
            Return these alone.
        """
        chosen = [one for one in self._cases.values() if states is None or one.state in states]
        return sorted(chosen, key=lambda one: (_ORDER[one.state], *one.place))

    def case(self, name: str) -> WorkCase:
        """Return one case.

        Raises
        ------
        ReviewError
            When there is none of this name.
        """
        if name not in self._cases:
            raise ReviewError("the batch has no case of this name; take one from its list")
        return self._cases[name]

    def pace(self) -> Pace:
        """Return how far the reader is, and how long the rest takes at this pace."""
        cases = list(self._cases.values())
        done = [one for one in cases if one.state is ReviewState.DONE]
        left = sum(one.state in OPEN for one in cases)
        timed = [one.seconds for one in done if one.seconds > 0]
        seconds_left = left * sum(timed) / len(timed) if timed else None
        return Pace(len(done), sum(one.state is ReviewState.SET_ASIDE for one in cases), len(cases), seconds_left)

    def next_case(self, after: str | None = None) -> str | None:
        """Return the case to open next: new or in work, in nobody's hands, the first one of the list.

        Parameters
        ----------
        after : str, optional
            The case that was open: the next one in the list's order, so that a case that was left is not next again
            before all others. From the end of the list it goes on at its beginning.

        Returns
        -------
        str or None
            None when nothing is left.
        """
        waiting = [one for one in self.cases(OPEN) if one.name != after]
        if after in self._cases:
            place = self._cases[after].place
            waiting.sort(key=lambda one: one.place <= place)
        for one in waiting:
            self._update(one.name)  # it may have been done on another machine since
            if self._cases[one.name].state in OPEN and not self._reviews.work(self.reader, one.name).is_held():
                return one.name
        return None

    def source_of(self, name: str) -> Path | None:
        """Return where the source of a case is now; None where it is not found or the batch's key is not here."""
        listed = self._listed.get(self.case(name).name)
        return self._sources.present(listed.case.source) if listed else None

    def seeds_of(self, name: str) -> tuple[Path, ...]:
        """Return the seed files of a case that are found: in a folder of frames they are none of them."""
        listed = self._listed.get(self.case(name).name)
        found = (self._sources.present(seed.path) for seed in listed.case.seeds) if listed else ()
        return tuple(path for path in found if path is not None)

    def find_source(self, name: str, folder: Path, progress: Callable[[int], None] | None = None) -> Path | None:
        """Look for the source of a case below a folder; sources that were moved with it are then found by themselves.

        Parameters
        ----------
        name : str
        folder : Path
        progress : callable, optional
            Called with the number of files looked at; an exception it raises ends the search.
        """
        listed = self._listed.get(self.case(name).name)
        by_content, by_pixels = recognizers(self._folder, name, self._worked_on(name))
        path = listed.case.source if listed else None
        return self._sources.search(path, Path(folder), by_content, by_pixels, progress)

    def _worked_on(self, name: str) -> SourceNote | None:
        """Return the cine of a case as this reader, or else any other one, worked on it."""
        for reader in dict.fromkeys([self.reader, *self.readers()]):
            with contextlib.suppress(ReviewError):
                record = self._reviews.work(reader, name).record()
                if record is not None and record.source is not None:
                    return record.source
        return None

    def open(self, name: str) -> OpenCase:
        """Take a case up: nobody else can with this reader's code until it is closed.

        Raises
        ------
        HeldError
            When somebody else has it.
        ReviewError
            When there is no such case, its files are damaged, or the batch's folder is no longer there.
        """
        self.case(name)
        self._check_folder()
        work = self._reviews.work(self.reader, name)
        hold = work.hold()
        try:
            return OpenCase(
                name,
                work,
                hold,
                source=self.source_of(name),
                seeds=self.seeds_of(name),
                machine=read_machine_result(self._folder.cases / name),
                record=work.record(),
                anchors=work.anchors(),
                stored=self._take,
            )
        except BaseException:
            hold.release()
            raise

    def set_aside(self, name: str, reason: str) -> None:
        """Set a case aside without opening its cine; what was drawn stays.

        Parameters
        ----------
        name : str
        reason : str
            Why, for the person who decides what to do with it.

        Raises
        ------
        HeldError
            When somebody is at work on it.
        ReviewError
            When no reason is given.
        """
        if not reason.strip():
            raise ReviewError("no reason was given; say why the case is set aside")
        self._change(name, ReviewState.SET_ASIDE, reason.strip())

    def take_up(self, name: str) -> None:
        """Put a case that was set aside or done back among those to look at; what was drawn stays.

        Raises
        ------
        HeldError
            When somebody is at work on it.
        """
        self._change(name, ReviewState.IN_WORK)

    def _change(self, name: str, state: ReviewState, reason: str = "") -> None:
        self.case(name)
        self._check_folder()
        work = self._reviews.work(self.reader, name)
        with work.hold() as hold:
            before, anchors = work.record() or ReviewRecord(name, self.reader), work.anchors()
            if state is ReviewState.IN_WORK and not anchors and not before.seconds and before.result is None:
                state = ReviewState.NEW
            lesions = [one.name for one in before.lesions]
            changed = Work(
                before.source,
                anchors,
                lesions,
                before.machine_lesions,
                state,
                reason,
                before.seconds,
                before.comment,
                kept=before.result,
                numbers=before.numbers,
                removed=before.removed,
            )
            self._take(work.store(hold, changed))

    def _take(self, record: ReviewRecord) -> None:
        self._records[record.case] = record
        self._cases[record.case] = self._case(record.case)

    def _update(self, name: str) -> None:
        try:
            record = self._reviews.work(self.reader, name).record()
        except ReviewError as error:
            self._records[name] = error
        else:
            if record is not None:
                self._records[name] = record
        self._cases[name] = self._case(name)


def begin(source: Path | str, output: Path | str, progress: Callable[[int], None] | None = None) -> int:
    """Make the list of a folder of cines, or of a manifest, without computing anything; returns the number of cases.

    A batch that runs later over the same source and output computes these cases under the same names.

    Parameters
    ----------
    source, output : Path or str
        As for ``run_batch``.
    progress : callable, optional
        Called with the number of files looked at; an exception it raises ends the work, and nothing is written.

    Raises
    ------
    BatchError, OutputError
        When there is no cine, the folder cannot be written, or a batch is running in it.
    """
    folder = BatchFolder(Path(output))
    cases, _ = find_cases(Path(source), folder.root, progress)
    with folder.held():
        before = {one.case.name: one for one in read_listed(folder.sources)} if folder.sources.is_file() else {}
        named = [_as_before(one, before.get(one.case.name)) for one in named_cases(cases, folder, progress)]
        write_listed(folder.sources, named)
    return len(cases)


def _as_before(one: ListedCase, before: ListedCase | None) -> ListedCase:
    """Return a case as it was listed before; where its source has moved, with the source and seeds as they are now."""
    if before is None:
        return one
    if before.case.source.absolute() == one.case.source.absolute():
        return before
    return replace(before, case=replace(before.case, source=one.case.source, seeds=one.case.seeds))
