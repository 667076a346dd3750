"""A study for those who use it: the results of all cases that a reader finished, as the reader saw them."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.batch.folder import CASES, EARLIER, HIDDEN, KEY, LOGS, BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase
from UltrasoundLesionSegLib.batch.summary import write_summary
from UltrasoundLesionSegLib.cine import Cine, SourceKind
from UltrasoundLesionSegLib.dicom.body_part import named_organ
from UltrasoundLesionSegLib.errors import BatchError, LesionSegError, NotExpressibleError, ReviewError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import SegmentInfo
from UltrasoundLesionSegLib.reader_work.record import EXPORTED_AGAIN, How, ReviewRecord, ReviewState, SourceNote
from UltrasoundLesionSegLib.reader_work.results import CaseMasks
from UltrasoundLesionSegLib.reader_work.store import REVIEW, ReviewFolder
from UltrasoundLesionSegLib.review.case_cines import CaseCines
from UltrasoundLesionSegLib.review.scene import fill_masks
from UltrasoundLesionSegLib.review.worklist import Worklist
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.effort_log import EffortLog, write_effort
from UltrasoundLesionSegLib.workflow.exports import ExportJob, ExportOptions, ExportSource
from UltrasoundLesionSegLib.workflow.kinds import KINDS as RESULT_KINDS
from UltrasoundLesionSegLib.workflow.kinds import check_kinds
from UltrasoundLesionSegLib.workflow.output_folder import RECORD
from UltrasoundLesionSegLib.workflow.propagation_job import PropagationSummary
from UltrasoundLesionSegLib.workflow.run_record import file_record, run_record
from UltrasoundLesionSegLib.writers.atomic import atomic_path

KINDS, DICOM_KINDS = ("masks", "csv", "report"), ("seg", "sr")
_DICOM = (SourceKind.DICOM_MULTIFRAME, SourceKind.DICOM_SERIES)


@dataclass
class StudyResult:
    """The result of an export.

    Parameters
    ----------
    written : list of str
        Cases written by this run.
    finished : list of str
        Cases that were there before as the reader finished them.
    failed : dict of str to str
        Cases that could not be written, with the reason.
    left : dict of str to ReviewState
        Cases that the reader has not finished, and how far each is.
    notices : dict of str to str
        What could not be written of a case, by case.
    retired : list of str
        Cases of an earlier export that are no longer done: moved to the study's folder ``earlier``.
    """

    written: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: dict[str, ReviewState] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)
    retired: list[str] = field(default_factory=list)


def export_study(
    output: Path | str,
    reader: str,
    study: Path | str,
    kinds: Sequence[str] = (),
    pixels_allowed: bool = False,
    sources: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    body_part: str = "",
) -> StudyResult:
    """Write masks, measurements, report and, for DICOM, SEG and SR of all cases that a reader finished; and a table.

    Nothing is computed by a network: the masks are those with which the reader finished each case. A second run writes
    what has changed since.

    Parameters
    ----------
    output : Path or str
        The batch's output folder.
    reader : str
    study : Path or str
        Folder for the results, another one; made when it is not there. No source is named in it. Files of others in it
        stay as they are; one that has a name which a study needs is a reason to refuse the folder.
    kinds : sequence of str
        What to write beside (``kinds.KINDS``).
    pixels_allowed : bool
        Whether pictures of the frames may be written.
    sources : Path, optional
        Where to look for cines that are not where they were.
    progress : callable, optional
        Called with the number of cases dealt with, and of all; an exception it raises ends the export and keeps what
        is written.
    body_part : str
        The organ that SEG and SR name (``ExportOptions.body_part``); '': the one that the batch was given, if any.

    Raises
    ------
    ReviewError, BatchError, OutputError
        When there is no such reader, no case is done, or the folder cannot be used.
    """
    check_kinds(kinds, pixels_allowed)
    options = ExportOptions(pixels_allowed=pixels_allowed, body_part=named_organ(body_part))
    worklist, folder = Worklist(output, reader), BatchFolder(Path(study))
    _check_apart(folder, Path(output).resolve())
    reviews = ReviewFolder(Path(output))
    reviews.check_known(reader)
    states = {one.name: one.state for one in worklist.cases()}  # a copy of a case's folder is no case
    done = sorted(name for name, state in states.items() if state is ReviewState.DONE)
    damaged = {
        name: str(one)
        for name, one in reviews.records(reader).items()
        if isinstance(one, ReviewError) and name in states
    }
    if not done and not damaged:
        raise ReviewError(f"reader '{reader}' has finished no case of this batch; finish cases, then export them")
    _check_same_study(folder, reader)
    cines = CaseCines(Path(output), sources)
    cines.check_listed()  # here, not for each case
    left = {name: state for name, state in sorted(states.items()) if name not in {*done, *damaged}}
    result = StudyResult(failed=damaged, left=left)
    job = _Export(worklist, folder, (*KINDS, *kinds), options, cines)
    with folder.held():
        try:
            for number, name in enumerate(done):
                if progress:
                    progress(number, len(done))
                job.write(name, result)
            _retire(folder, {*done, *damaged}, result)
            if progress:
                progress(len(done), len(done))
        finally:
            listed = [_listed(name, result) for name in sorted({*done, *damaged})]
            write_summary(folder, listed, title=f"Study of reader {reader}")
            for empty in (folder.sources.parent, folder.logs):
                with contextlib.suppress(OSError):  # there is no key of a study, and no log
                    empty.rmdir()
    return result


def _check_apart(study: BatchFolder, batch: Path) -> None:
    """Raise ``BatchError`` when a study would lie among the files of a batch, of this one or another."""
    root = study.root.resolve()
    own = {batch / name for name in (CASES, EARLIER, KEY, LOGS, HIDDEN, REVIEW)}
    if root == batch or own & {root, *root.parents} or study.sources.is_file():
        raise BatchError("the study would be written into a batch's own folder; choose another folder")


def _check_same_study(study: BatchFolder, reader: str) -> None:
    """Raise ``BatchError`` when the folder holds the study of another reader, which would be replaced."""
    if set(_exported(study).values()) - {reader}:
        raise BatchError("the folder holds the study of another reader; choose another folder")


def _retire(study: BatchFolder, kept: Collection[str], result: StudyResult) -> None:
    """Take cases out that the reader has taken back since they were exported."""
    for name in sorted(_exported(study).keys() - kept):
        study.retire(name)
        result.retired.append(name)


def _exported(study: BatchFolder) -> dict[str, str]:
    """Return whose work the cases of a study are, by case."""
    found = {}
    for name in study.names() if study.cases.is_dir() else ():
        inputs = (study.record(name) or {}).get("inputs")
        made_by = inputs.get("reader") if isinstance(inputs, dict) else None
        if isinstance(made_by, dict) and "code" in made_by:
            found[name] = str(made_by["code"])
    return found


def _listed(name: str, result: StudyResult) -> ListedCase:
    state = "failed" if name in result.failed else "done" if name in {*result.written, *result.finished} else "waiting"
    return ListedCase(BatchCase(Path(), name=name), state, result.failed.get(name, ""))


class _Export:
    """One export: writes case after case in one scene."""

    def __init__(
        self, worklist: Worklist, folder: BatchFolder, kinds: Sequence[str], options: ExportOptions, cines: CaseCines
    ) -> None:
        self._worklist = worklist
        self._folder = folder
        self._kinds = list(dict.fromkeys(kinds))
        self._options = options
        self._cines = cines
        self._reviews = ReviewFolder(worklist.output)
        self._workflow = UltrasoundLesionWorkflow()
        self._workflow.efforts.clock = None  # nobody is at work while this runs

    def write(self, name: str, result: StudyResult) -> None:
        """Write one case, or say why it cannot be."""
        try:
            work = self._reviews.work(self._worklist.reader, name)
            record, masks = work.record(), work.result()
            if record is None or masks is None:
                raise ReviewError("the case is no longer done; finish it, then export again")
            inputs = self._inputs(record, self._organ(name))
            before = self._folder.record(name)
            if before is not None and before.get("inputs") == inputs:
                result.finished.append(name)
                return
            notice = self._write(name, record, masks, inputs)
        except LesionSegError as error:
            kept = "" if self._folder.record(name) is None else "; what was exported before was kept"
            result.failed[name] = str(error) + kept
            return
        result.written.append(name)
        if notice:
            result.notices[name] = notice

    def _organ(self, name: str) -> str:
        """Return the organ that SEG and SR of a case are to name; '' for that of its source."""
        of_batch = BatchFolder(self._worklist.output).record(name) or {}
        return self._options.body_part or str(of_batch.get("body_part", ""))

    def _inputs(self, record: ReviewRecord, organ: str) -> dict[str, Any]:
        """Return what the exported case depends on."""
        assert record.source is not None
        assert record.result is not None
        finished = {"result": record.result.file, "comment": record.comment, "seconds": record.seconds}
        settings = {"outputs": sorted(self._kinds), "pictures": self._options.pixels_allowed}
        return {
            "source": record.source.sha256,
            "reader": {"code": record.reader, **finished},
            "settings": settings | ({"body part": organ} if organ else {}),
        }

    def _write(self, name: str, record: ReviewRecord, masks: CaseMasks, inputs: Mapping[str, Any]) -> str:
        started = time.perf_counter()
        cine = self._cine(name, masks.source)
        browser = self._workflow.addCine(cine, name)
        try:
            infos = [SegmentInfo.numbered(masks.numbers[lesion], lesion) for lesion in masks.lesions]
            sequence = SegmentationSequence.create(browser, infos)
            fill_masks(sequence, masks, {info.name: info.id for info in infos})
            write_effort(sequence, _effort(record))
            computed = self._folder.work / name
            summary = _summary(masks)
            measured = self._workflow.measure(browser)
            area = self._workflow.imageArea(browser) if self._options.blanks_outside else None
            of_browser = replace(self._workflow.cine(browser), identity=self._workflow.sourceIdentity(browser))
            known = summary if masks.model else None  # a reader may have drawn every frame
            options = replace(self._options, body_part=self._organ(name))
            job = ExportJob(ExportSource(of_browser, sequence, measured, known, area), computed, options)
            written, notice = _write_kinds(job, self._kinds, cine.identity.kind in _DICOM)
            content = {
                **run_record(self._workflow, browser, summary, measured),
                "blank_outside": area.sentence if area else None,
                "suggested_on_frame": None,
                "body_part": options.body_part,
                "review": {"reader": record.reader, "state": record.state.value, "comment": record.comment},
                "seconds": {"export": round(time.perf_counter() - started, 4)},
                "outputs": file_record(computed, written, self._options.pixels_allowed),
                "inputs": inputs,
            }
            again = [EXPORTED_AGAIN] if cine.identity.digest != masks.source.sha256 else []
            content["notices"] = [*([notice] if notice else []), *again, *content["notices"]]
            with atomic_path(computed / RECORD) as temporary:
                temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        finally:
            self._workflow.removeCine(browser)
        self._folder.publish(name, computed)
        return notice

    def _cine(self, name: str, source: SourceNote) -> Cine:
        cine = self._cines.read(name, source)
        if cine is None:
            raise ReviewError("the cine is not where it was; name the folder it was moved to with --sources")
        if not source.shows(cine):
            raise ReviewError(
                "the cine has changed since the reader finished the case; have the reader look at it again"
            )
        return cine


def _write_kinds(job: ExportJob, kinds: Sequence[str], is_dicom: bool) -> tuple[list[Path], str]:
    """Write what can be; returns the files, and what a person should know of those of DICOM, or ''."""
    plain = [kind for kind in kinds if not RESULT_KINDS[kind].of_dicom]
    referring = [kind for kind in kinds if RESULT_KINDS[kind].of_dicom]
    written = job.write(plain)
    if not is_dicom:
        return written, "no DICOM SEG and SR: the cine does not come from DICOM"
    try:
        written += job.write(list(dict.fromkeys([*DICOM_KINDS, *referring])))
    except NotExpressibleError as error:
        return written, f"no DICOM SEG and SR could be written: {error}"
    return list(dict.fromkeys(written)), job.organ_note


def _summary(masks: CaseMasks) -> PropagationSummary:
    """Return what is known of the propagation that made the masks between anchors."""
    model = {"name": "unknown", "version": "", "sha256": "", **masks.model}
    return PropagationSummary(
        model["name"], model["version"], model["sha256"], "not recorded", str(masks.settings.get("direction", "both"))
    )


def _effort(record: ReviewRecord) -> EffortLog:
    def frames(*hows: How) -> tuple[int, ...]:
        return tuple(sorted({one.frame for one in record.anchors if one.how in hows}))

    return EffortLog(
        frames_drawn=frames(How.DRAWN, How.EDITED, How.CLICKED),
        frames_confirmed=frames(How.CONFIRMED),
        frames_not_visible=frames(How.NOT_VISIBLE),
        seconds=record.seconds,
    )
