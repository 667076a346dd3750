"""Which cases a batch has, their names, and which of them must still be computed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from UltrasoundLesionSegLib.batch.fingerprint import fingerprint, what_changed
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.jobs import Job
from UltrasoundLesionSegLib.batch.manifest import (
    DIRECTIONS,
    BatchCase,
    ListedCase,
    SuggestFrame,
    read_listed,
    read_manifest,
)
from UltrasoundLesionSegLib.batch.moved import moved_sources
from UltrasoundLesionSegLib.batch.scan import scan_folder
from UltrasoundLesionSegLib.dicom.body_part import named_organ
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, default_bundle, find_bundle
from UltrasoundLesionSegLib.errors import BatchError, LesionSegError, ReviewError, SeedError
from UltrasoundLesionSegLib.logs import LogLevel
from UltrasoundLesionSegLib.reader_work.record import ReviewRecord
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.readers.sniff import Format, sniff
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest
from UltrasoundLesionSegLib.workflow.kinds import check_kinds

HASHING_THREADS = 4  # hashing waits for disks more than for the processor
DONE, FAILED, WAITING = "done", "failed", "waiting"
_NUMBERED = re.compile(r"case-([0-9]+)")


@dataclass(frozen=True)
class BatchSettings:
    """How the cases of a batch are computed; a manifest's own columns go before these.

    Parameters
    ----------
    model, direction, frames
        As for ``UltrasoundLesionWorkflow.propagate``.
    suggest : int or 'middle' or None
        For cases without a seed: the frame on which a model proposes one.
    further_kinds : tuple of str
        What to write beside masks, tables, SEG and report (``kinds.KINDS``).
    pixels_allowed : bool
        Whether pictures of the frames may be written.
    blank_outside : bool or None
        Whether everything outside the ultrasound image is black in pictures; None: when pictures are allowed.
    allow_overlap : bool
        Whether lesions may share pixels.
    fit : bool
        Whether to fit the model to the lesion of each case (``UltrasoundLesionWorkflow.fitToLesion``).
    reader : str or None
        Code of a reader whose anchors are anchors of the cases; they go before seeds on the same frames, and a case
        that the reader drew on needs no suggestion.
    device : str
        ``auto``: every GPU has one worker; without a GPU, as many work as cores and memory allow.
    processes : int or None
        As many workers as this instead.
    time_limit : float
        Seconds after which a case is given up and its worker killed.
    scheduler : str or None
        Address of a Dask cluster that computes instead of this machine.
    body_part : str
        The organ that SEG and SR name (``ExportOptions.body_part``); '': that of each source.
    log_level : LogLevel
    """

    model: str | None = None
    direction: str = "both"
    frames: tuple[int, int] | None = None
    suggest: SuggestFrame | None = None
    further_kinds: tuple[str, ...] = ()
    pixels_allowed: bool = False
    blank_outside: bool | None = None
    allow_overlap: bool = False
    fit: bool = False
    reader: str | None = None
    device: str = "auto"
    processes: int | None = None
    time_limit: float = 3600.0
    scheduler: str | None = None
    body_part: str = ""
    log_level: LogLevel = LogLevel.INFO


@dataclass
class Plan:
    """What a batch has to do.

    Parameters
    ----------
    jobs : list of Job
        Cases to compute.
    why : dict of str to str
        By case: why a finished one is computed again.
    finished : list of str
        Cases whose result is there and still true.
    failed : dict of str to str
        Cases that cannot be computed, with the reason.
    """

    jobs: list[Job] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def find_cases(
    source: Path, output: Path, progress: Callable[[int], None] | None = None
) -> tuple[list[BatchCase], tuple[str, ...]]:
    """Return the cases of a manifest or of a folder, and notes on what was left out.

    Parameters
    ----------
    source : Path
        Manifest or folder; a DICOMDIR means its folder.
    output : Path
        Not looked into.
    progress : callable, optional
        See ``scan_folder``.

    Raises
    ------
    BatchError
        When there is none, or nothing of that name.
    """
    is_dicomdir = source.is_file() and sniff(source) is Format.DICOMDIR
    if source.is_dir() or is_dicomdir:
        found = scan_folder(source.parent if is_dicomdir else source, [output], progress)
        return list(found.cases), found.notes
    if not source.exists():
        raise BatchError(
            "there is no such folder or manifest; name a folder of cines, or a CSV or JSON file that lists them"
        )
    return read_manifest(source), ()


def named_cases(
    cases: Iterable[BatchCase], folder: BatchFolder, progress: Callable[[int], None] | None = None
) -> list[ListedCase]:
    """Give every case a name, and remember those of earlier runs in the same output folder.

    A name comes from the manifest, or from the earlier run in which the source had one, or is the next free number. A
    source that has another path now keeps its name (``moved_sources``). File names, which can carry a patient's name,
    are never used. A patient that is known from earlier, or was written into the key by hand, stays known.

    Parameters
    ----------
    cases : iterable of BatchCase
    folder : BatchFolder
    progress : callable, optional
        See ``moved_sources``.

    Returns
    -------
    list of ListedCase
        This batch's cases, in state ``waiting``; then those that only earlier runs had, in their state.
    """
    earlier = read_listed(folder.sources) if folder.sources.exists() else []
    known = {listed.case.source.absolute(): listed.case.name for listed in earlier}
    cases = list(cases)
    patients = {listed.case.name.lower(): listed.case.patient for listed in earlier}
    known |= _moved(cases, earlier, folder, progress)
    taken = {case.name for case in cases} | {listed.case.name for listed in earlier} | set(folder.names())
    number = max([int(match[1]) for name in taken if (match := _NUMBERED.fullmatch(name))], default=0)
    named: dict[str, ListedCase] = {}
    for case in cases:
        name = case.name or known.get(case.source.absolute(), "")
        if not name:
            number += 1
            name = f"case-{number:04d}"
        if name.lower() in named:
            raise BatchError("two cases of the batch have the same name; give each another in the column 'case'")
        patient = case.patient or patients.get(name.lower(), "")
        named[name.lower()] = ListedCase(replace(case, name=name, patient=patient), WAITING)
    left = [listed for listed in earlier if listed.case.name.lower() not in named]
    return [*named.values(), *left]


def _moved(
    cases: Sequence[BatchCase],
    earlier: Sequence[ListedCase],
    folder: BatchFolder,
    progress: Callable[[int], None] | None,
) -> dict[Path, str]:
    """Return the names of sources that are new only by their path."""
    before = {one.case.source.absolute() for one in earlier}
    taken = {case.name.lower() for case in cases}
    lost = [one.case for one in earlier if not os.path.exists(one.case.source)]
    new = [replace(case, source=case.source.absolute()) for case in cases if not case.name]
    new = [case for case in new if case.source not in before]
    return moved_sources(new, [one.name for one in lost if one.name.lower() not in taken], folder, progress)


def plan(cases: Sequence[BatchCase], settings: BatchSettings, folder: BatchFolder) -> Plan:
    """Find out what is left to do: finished cases are compared with their inputs and settings as they are now.

    Parameters
    ----------
    cases : sequence of BatchCase
        Named.
    settings : BatchSettings
    folder : BatchFolder
    """
    made = Plan()
    for case, job, why in _checked(cases, settings, folder):
        if isinstance(why, LesionSegError):
            made.failed[case.name] = str(why)
        elif why == "":
            made.finished.append(case.name)
        else:
            made.jobs.append(job)
            if why is not None:
                made.why[case.name] = why
    return made


def _checked(
    cases: Sequence[BatchCase], settings: BatchSettings, folder: BatchFolder
) -> Iterator[tuple[BatchCase, Job, str | LesionSegError | None]]:
    """Yield every case with its job and why it is computed again: '' if it is not, None if it never was."""
    drawn = _drawn(folder, settings.reader)
    jobs = [Job(case.name, _request(case, settings, folder, drawn.get(case.name))) for case in cases]

    def check(job: Job) -> str | LesionSegError | None:
        if isinstance(damage := drawn.get(job.name), ReviewError):
            return damage
        request = job.request
        if not request.seeds and request.suggest_frame is None and request.reader_work is None:
            return SeedError("no seed was found for the source; put one beside it, list one, or let one be suggested")
        record = folder.record(job.name)
        if record is None:
            return "files of the result are missing" if (folder.cases / job.name).exists() else None
        try:
            return what_changed(record.get("inputs"), fingerprint(job.request))
        except LesionSegError as error:
            return error

    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        yield from zip(cases, jobs, pool.map(check, jobs), strict=True)


def check_settings(settings: BatchSettings, folder: BatchFolder) -> None:
    """Raise for what would make every case fail.

    Raises
    ------
    BatchError, ModelError, OutputError, ReviewError
    """
    _check_values(settings)
    find_bundle(settings.model, PROPAGATE) if settings.model else default_bundle(PROPAGATE)
    check_kinds(settings.further_kinds, settings.pixels_allowed)
    named_organ(settings.body_part)
    if settings.reader is not None:
        ReviewFolder(folder.root).check_known(settings.reader)


def _check_values(settings: BatchSettings) -> None:
    """Raise for values that the shell's own options cannot have, but a call from Python can."""
    suggest, frames = settings.suggest, settings.frames
    if settings.direction not in DIRECTIONS:
        raise BatchError(f"the direction {settings.direction!r} is unknown; choose {', '.join(DIRECTIONS)}")
    if suggest is not None and suggest != "middle" and not _is_frame(suggest):
        raise BatchError(f"suggest={suggest!r} names no frame; give 'middle' or a whole number from 0")
    if frames is not None and not (len(frames) == 2 and all(_is_frame(one) for one in frames)):
        raise BatchError(f"frames={frames!r} is no range; give the first frame and the one after the last, as (0, 60)")
    if settings.processes is not None and not (_is_frame(settings.processes) and settings.processes):
        raise BatchError(f"processes={settings.processes!r} is no number of workers; give a whole number from 1")
    if not settings.time_limit > 0:
        raise BatchError(f"time_limit={settings.time_limit!r} leaves no time for a case; give seconds")


def _is_frame(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _drawn(folder: BatchFolder, reader: str | None) -> dict[str, ReviewRecord | ReviewError]:
    """Return the cases that a reader drew on or confirmed."""
    records = ReviewFolder(folder.root).records(reader) if reader is not None else {}
    return {name: one for name, one in records.items() if isinstance(one, ReviewError) or one.anchors}


def _request(
    case: BatchCase, settings: BatchSettings, folder: BatchFolder, record: ReviewRecord | ReviewError | None
) -> CaseRequest:
    is_drawn = isinstance(record, ReviewRecord)
    shows_lesion = isinstance(record, ReviewRecord) and record.shows_lesion
    suggest = settings.suggest if case.suggest is None else case.suggest
    return CaseRequest(
        source=case.source.absolute(),
        output=folder.work,
        seeds=case.seeds,
        reader_work=ReviewFolder(folder.root).root / str(settings.reader) / case.name if is_drawn else None,
        suggest_frame=None if case.seeds or shows_lesion else suggest,
        model=case.model or settings.model,
        direction=case.direction or settings.direction,
        frames=case.frames or settings.frames,
        device=settings.device,
        further_kinds=tuple(dict.fromkeys(("report", *settings.further_kinds))),
        skips_dicom_kinds=True,  # a batch can hold cines of all kinds
        pixels_allowed=settings.pixels_allowed,
        blank_outside=settings.blank_outside,
        with_scene=False,  # scenes hold all images and are large: a batch writes them only with --also scene
        allow_overlap=settings.allow_overlap,
        fit=settings.fit,
        body_part=settings.body_part,
        log_level=settings.log_level,
    )
