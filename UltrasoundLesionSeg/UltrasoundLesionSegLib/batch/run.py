"""Many cases, resumable: what ``ultrasound-lesion-seg batch`` and the logic's ``processBatch`` do.

Killed at any instant and started again with the same arguments, a batch finishes the rest. A failing case is recorded
with its reason and never stops the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.batch.case_row import read_case
from UltrasoundLesionSegLib.batch.cluster import DaskPool
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.index import add_to_index
from UltrasoundLesionSegLib.batch.jobs import CaseEnded, CaseLogged, CaseStarted, Event, Pool
from UltrasoundLesionSegLib.batch.local import LocalPool
from UltrasoundLesionSegLib.batch.manifest import ListedCase, write_listed
from UltrasoundLesionSegLib.batch.plan import (
    DONE,
    FAILED,
    BatchSettings,
    Plan,
    check_settings,
    find_cases,
    named_cases,
    plan,
)
from UltrasoundLesionSegLib.batch.summary import write_summary
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.logs import log_event, log_to_file
from UltrasoundLesionSegLib.report.wording import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchProgress:
    """Where a batch is; passed on after every event.

    Parameters
    ----------
    event : Event
        What just happened.
    ended, total : int
        Cases that need no more work, of all.
    failed : int
        Of those that ended.
    """

    event: Event
    ended: int
    total: int
    failed: int


@dataclass
class BatchResult:
    """The result of a batch.

    Parameters
    ----------
    output : Path
    computed : list of str
        Cases computed by this run.
    finished : list of str
        Cases that were finished before and still are.
    failed : dict of str to str
        Cases without a result, with the reason.
    left_out : tuple of str
        What in the folder is no case: numbers by kind, without names.
    unseen : int
        Cases in the folder whose suggested seed nobody has looked at.
    """

    output: Path
    computed: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    unseen: int = 0


def run_batch(
    source: str | Path,
    output: str | Path,
    settings: BatchSettings | None = None,
    progress: Callable[[BatchProgress], None] | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> BatchResult:
    """Run all cases of a manifest or a folder, and write tables, a plot and a page over all of them.

    Parameters
    ----------
    source : str or Path
        Manifest (CSV or JSON) or folder; see ``manifest`` and ``scan``.
    output : str or Path
        Folder for the results; made if it does not exist. What earlier runs finished there is not done again.
    settings : BatchSettings, optional
    progress : callable, optional
        Called in this thread after every event; an exception it raises stops the batch and keeps what is finished.
    waiting : callable, optional
        Called in this thread many times a second while there is nothing to tell, so that a window can be repainted.

    Returns
    -------
    BatchResult

    Raises
    ------
    BatchError, ModelError, OutputError
        When the batch cannot start: manifest, model or output is not usable, or another batch is writing there; or when
        the output folder is moved or renamed meanwhile.
    """
    settings = settings or BatchSettings()
    folder = BatchFolder(Path(output))
    check_settings(settings, folder)
    cases, notes = find_cases(Path(source), folder.root)
    with folder.held():
        started = datetime.now(timezone.utc)
        with log_to_file(folder.logs / f"batch-{started:%Y%m%dT%H%M%S}.log", settings.log_level):
            return _Run(folder, settings, progress, waiting).run(named_cases(cases, folder), len(cases), notes)


class _Run:
    """One run of a batch in a folder that it holds."""

    def __init__(
        self,
        folder: BatchFolder,
        settings: BatchSettings,
        progress: Callable[[BatchProgress], None] | None,
        waiting: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._progress = progress
        self._waiting = waiting
        self._result = BatchResult(folder.root)
        self._total = 0

    def run(self, listed: list[ListedCase], own: int, notes: tuple[str, ...]) -> BatchResult:
        """Run the first ``own`` of the cases listed; the others are those of earlier runs."""
        # written first, so that each source keeps its name whatever happens later
        write_listed(self._folder.sources, listed)
        self._total = own
        self._result.left_out = notes
        _log(logging.INFO, f"ultrasound-lesion-seg {__version__}: batch of {counted(own, 'case')}")
        for note in notes:
            _log(logging.INFO, f"left out: {note}")
        try:
            made = plan([one.case for one in listed[:own]], self._settings, self._folder)
            self._begin(made)
            if made.jobs:
                self._compute(made)
        finally:
            self._summarize(listed)
        return self._result

    def _begin(self, made: Plan) -> None:
        """Take over what the plan has decided already."""
        self._result.finished = made.finished
        for name in made.finished:
            _log(logging.INFO, "finished before", name)
            self._tell(CaseEnded(name))
        for name, why in made.why.items():
            _log(logging.INFO, f"computed again: {why}", name)
        for name, reason in made.failed.items():
            self._end(CaseEnded(name, reason=reason))

    def _compute(self, made: Plan) -> None:
        events = self._pool().run(made.jobs)
        try:
            for event in events:
                if event is None:
                    self._waiting()
                    continue
                if isinstance(event, CaseEnded):
                    self._folder.check_there()
                    self._end(event)
                    continue
                if isinstance(event, CaseStarted):
                    _log(logging.INFO, "started", event.name)
                elif isinstance(event, CaseLogged):
                    _log(event.level, event.sentence, event.name, event.frame)
                self._tell(event)
        finally:
            events.close()  # ends the workers, also when the caller stops the batch

    def _pool(self) -> Pool:
        settings = self._settings
        if settings.scheduler:
            return DaskPool(settings.scheduler, self._folder.work.name, settings.time_limit)
        return LocalPool(settings.device, settings.processes, settings.time_limit)

    def _end(self, ended: CaseEnded) -> None:
        """Put a computed case in place, or record why there is none."""
        if ended.folder is not None:
            try:
                self._folder.publish(ended.name, ended.folder)
            except OutputError as error:
                ended = CaseEnded(ended.name, reason=str(error))
        if ended.reason:
            kept = "" if self._folder.record(ended.name) is None else "; the result of its earlier inputs was kept"
            self._result.failed[ended.name] = ended.reason + kept
            _log(logging.ERROR, ended.reason + kept, ended.name)
        else:
            self._result.computed.append(ended.name)
            if row := read_case(self._folder, ended.name):
                add_to_index(self._folder, row)
            _log(logging.INFO, "finished", ended.name)
        self._tell(ended)

    def _tell(self, event: Event) -> None:
        if self._progress:
            result = self._result
            ended = len(result.computed) + len(result.finished) + len(result.failed)
            self._progress(BatchProgress(event, ended, self._total, len(result.failed)))

    def _summarize(self, listed: list[ListedCase]) -> None:
        """Write the lists of cases, the tables, the plot and the page."""
        self._folder.check_there()
        states = [self._with_state(one) for one in listed]
        write_listed(self._folder.sources, states)
        write_listed(self._folder.failed, [one for one in states if one.state == FAILED])
        self._result.unseen = write_summary(self._folder, states)
        failed = sum(one.state == FAILED for one in states)
        _log(
            logging.INFO,
            f"{len(self._result.computed)} computed, {len(self._result.finished)} finished before, {failed} failed",
        )

    def _with_state(self, listed: ListedCase) -> ListedCase:
        name = listed.case.name
        if name in self._result.failed:
            return replace(listed, state=FAILED, reason=self._result.failed[name])
        if name in self._result.computed or name in self._result.finished:
            return replace(listed, state=DONE, reason="")
        return listed  # of an earlier run, or not reached before the batch was stopped


def _log(level: int, sentence: str, case: str | None = None, frame: int | None = None) -> None:
    log_event(logger, level, sentence, case=case, frame=frame)
