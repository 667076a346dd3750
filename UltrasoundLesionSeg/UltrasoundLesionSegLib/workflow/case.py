"""One case from source to folder: what ``segment`` does once and a batch many times."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from UltrasoundLesionSegLib.cine import Cine, Origin, SourceKind
from UltrasoundLesionSegLib.errors import EmptySeedError, NotExpressibleError, ReviewError, SeedError
from UltrasoundLesionSegLib.logs import collected, log_event
from UltrasoundLesionSegLib.measurement.columns import LesionRow
from UltrasoundLesionSegLib.reader_work.record import EXPORTED_AGAIN, SourceNote
from UltrasoundLesionSegLib.reader_work.store import CaseWork
from UltrasoundLesionSegLib.readers.lesion_names import distinct_names
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest
from UltrasoundLesionSegLib.workflow.kinds import KINDS as RESULT_KINDS
from UltrasoundLesionSegLib.workflow.kinds import check_kinds, check_source
from UltrasoundLesionSegLib.workflow.output_folder import RECORD, OutputFolder
from UltrasoundLesionSegLib.workflow.run_record import file_record, run_record
from UltrasoundLesionSegLib.writers.atomic import atomic_path

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow.measuring import CineMeasurements
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationProgress, PropagationSummary

logger = logging.getLogger(__name__)

LOG = "run.log"
PLAIN = "a plain mask, label image or segmentation"
EMPTY = "nothing is painted in it"
KINDS = ("masks", "csv", "report")
DICOM_KINDS = ("seg",)


@dataclass
class CaseResult:
    """The result of a case.

    Parameters
    ----------
    record : dict
        As written to ``run.json``.
    unreadable : list of str
        A sentence for each frame that could not be read.
    lesions : list of LesionRow
        What was measured.
    look_first : list of (int, float)
        Frames that most need a look, with their lowest confidence; the first one most.
    """

    record: dict[str, Any] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    lesions: list[LesionRow] = field(default_factory=list)
    look_first: list[tuple[int, float]] = field(default_factory=list)


def run_case(request: CaseRequest, progress: Callable[[PropagationProgress], None] | None = None) -> CaseResult:
    """Read, seed, propagate, measure and write one case.

    What can be told from the request is refused before anything is read, what the source tells before anything is
    computed. The output folder appears whole at the end (``OutputFolder``). The scene is left without the case's nodes,
    so that many cases in one process neither pile up nor get into each other's scenes.

    Parameters
    ----------
    request : CaseRequest
    progress : callable, optional
        Called after every frame.

    Raises
    ------
    LesionSegError
        One sentence on what is wrong with source, seed, model or output.
    """
    from UltrasoundLesionSegLib.dicom.body_part import named_organ
    from UltrasoundLesionSegLib.readers.open import read_cine

    check_kinds(request.further_kinds, request.pixels_allowed)
    named_organ(request.body_part)
    _check_seeds(request)
    output = OutputFolder(request.output, request.overwrite)
    seconds: dict[str, float] = {}
    logic = UltrasoundLesionWorkflow()
    logic.efforts.clock = None  # no person works while a case runs, so its seconds do not count
    with collected(request.log_level) as lines:
        with _stage(seconds, "read"):
            browser = logic.addCine(read_cine(request.source, leave_out=[seed.path for seed in request.seeds]))
        try:
            run = _CaseRun(logic, browser, request, seconds, _log_source(logic.cine(browser)))
            run.check(output)
            run.place_seeds()
            run.place_anchors()
            summary = run.propagate(progress)
            with _stage(seconds, "measure"):
                measured = logic.measure(browser)
            with output.written() as folder:
                record = run.write(folder, summary, measured, lines)
            unreadable = [sentence for _, sentence in sorted(summary.unreadable.items())]
            return CaseResult(record, unreadable, measured.lesion_rows(), logic.framesToLookAt(browser))
        finally:
            logic.removeCine(browser)
            logic.release()


def _check_seeds(request: CaseRequest) -> None:
    is_drawn = bool(request.seeds or request.clicks or request.boxes)
    if not is_drawn and request.suggest_frame is None and request.reader_work is None:
        raise SeedError(
            "no seed was given; name a mask with --seed MASK@FRAME, a point inside the lesion with --click X,Y@FRAME, "
            "a box around it with --box X,Y,X,Y@FRAME, or a frame with --suggest"
        )
    if is_drawn and request.suggest_frame is not None:
        raise SeedError(
            "a seed and a frame for a suggestion were both given; give either --seed, --click or --box, or --suggest"
        )


class _CaseRun:
    """The steps of a case whose cine is in the scene, in the order in which they are called.

    Parameters
    ----------
    logic : UltrasoundLesionWorkflow
    browser : vtkMRMLSequenceBrowserNode
    request : CaseRequest
    seconds : dict
        How long each step took; the steps add theirs.
    log_name : str
        What the log calls the cine.
    """

    def __init__(
        self,
        logic: UltrasoundLesionWorkflow,
        browser: Any,
        request: CaseRequest,
        seconds: dict[str, float],
        log_name: str,
    ) -> None:
        self._logic = logic
        self._browser = browser
        self._request = request
        self._seconds = seconds
        self._log_name = log_name
        self._readings: list[str] = []  # how each seed file was read; '' where there was nothing to find out
        self._notices: list[str] = []  # what a person should know, beside the notices of the propagation

    @property
    def _is_dicom(self) -> bool:
        kind = self._logic.sourceIdentity(self._browser).kind
        return kind in (SourceKind.DICOM_MULTIFRAME, SourceKind.DICOM_SERIES)

    @property
    def _is_drawn_by_reader(self) -> bool:
        """Whether a reader's anchors show a lesion."""
        work = self._request.reader_work
        record = CaseWork.at(work).record() if work is not None else None
        return record is not None and record.shows_lesion

    @property
    def _suggest_frame(self) -> int | None:
        """Number of the frame on which a model proposes the seed."""
        wanted = self._request.suggest_frame
        return len(self._logic.cine(self._browser)) // 2 if wanted == "middle" else wanted

    def check(self, output: OutputFolder) -> None:
        """Refuse what the source does not allow, before anything is computed."""
        request = self._request
        if not request.skips_dicom_kinds:
            check_source(request.further_kinds, self._is_dicom)
        output.check_source(self._logic.sourceIdentity(self._browser).digest)
        self._logic.checkPropagation(self._browser, request.model, request.direction, request.frames, request.device)

    def place_seeds(self) -> None:
        """Give the workflow the seeds: from files, from clicks and boxes, or from a suggestion."""
        logic, browser, request = self._logic, self._browser, self._request
        for number, seed in enumerate(request.seeds, start=1):
            self._readings.append(self._place_seed_file(number, seed))
        for frame in sorted({one.frame for one in request.clicks} | {one.frame for one in request.boxes}):
            self._draw_from_prompts(frame)
        suggested_on = self._suggest_frame
        if suggested_on is not None:
            mask = logic.suggest(browser, suggested_on, device=request.device)
            if not mask.any():
                raise SeedError(f"no lesion was found on frame {suggested_on}; give a seed mask or another frame")
            logic.setSeed(browser, mask, suggested_on, origin=Origin.SUGGESTED)

    def _place_seed_file(self, number: int, seed: SeedFileRequest) -> str:
        """Give the workflow the seeds of a file; returns how it was read."""
        logic, browser = self._logic, self._browser
        try:
            logic.setSeed(browser, seed.path, seed.frame, origin=seed.origin)
        except SeedError as error:
            if isinstance(error, EmptySeedError) and self._is_drawn_by_reader:
                self._notices.append(f"seed {number} is not used: no lesion is painted in it")
                return EMPTY
            # what is odd about the cine may be why the seed does not fit it, if there is one
            odd = logic.cine(browser).notes if seed.path.exists() else ()
            notes = "".join(f"; note on the cine: {note}" for note in odd)
            raise SeedError(f"seed {number} cannot be used: {error}{notes}") from error
        reading = logic.lastSeedReading(browser)
        if reading:
            self._notices.append(f"seed {number} was read in this way: {reading}")
        return reading

    def _draw_from_prompts(self, frame: int) -> None:
        """Let a model draw the lesion from the clicks and the box of a frame."""
        points = [(click.row, click.column) for click in self._request.clicks if click.frame == frame]
        boxes = [(one.top, one.left, one.bottom, one.right) for one in self._request.boxes if one.frame == frame]
        if len(boxes) > 1:
            raise SeedError(f"frame {frame} has {len(boxes)} boxes; give one box a frame")
        box = boxes[0] if boxes else None
        if not self._logic.click(self._browser, points, frame, box=box, device=self._request.device).any():
            raise SeedError(
                f"no lesion was found at the points or in the box on frame {frame}; give others or a seed mask"
            )

    def place_anchors(self) -> None:
        """Put a reader's anchors over the seeds; lesions have the reader's names, those the reader removed are gone."""
        if self._request.reader_work is not None:
            self._place_readers_anchors(CaseWork.at(self._request.reader_work))
        anchors = self._logic.anchors(self._browser)
        for frame in sorted({frame for frames in anchors.values() for frame in frames}):
            log_event(logger, logging.INFO, "seeded", case=self._log_name, frame=frame)

    def _place_readers_anchors(self, work: CaseWork) -> None:
        logic, browser = self._logic, self._browser
        record = work.record()
        if record is None or record.source is None:
            return
        source = SourceNote.of(logic.cine(browser))
        if not record.source.is_same(source):
            raise ReviewError(
                "the reader's anchors are of another version of the cine; bring that one back, or have the reader look "
                "at the case again"
            )
        names = {segment: record.name_of(name) for segment, name in logic.segmentNames(browser).items()}
        for segment in [one for one, own in names.items() if own is None]:
            logic.removeSegment(browser, segment)
        kept = {segment: own for segment, own in names.items() if own is not None}
        logic.renameSegments(browser, dict(zip(kept, distinct_names(kept.values()), strict=True)))
        logic.importAnchors(browser, work.anchors(), record.numbers)
        if record.source.sha256 != source.sha256:
            self._notices.append(EXPORTED_AGAIN)

    def propagate(self, progress: Callable[[PropagationProgress], None] | None) -> PropagationSummary:
        """Follow the lesions through the cine, with a model fitted to them where that is asked for."""

        def advance(step: PropagationProgress) -> None:
            if step.error:  # the line names the frame itself
                level, text = logging.WARNING, step.error.removeprefix(f"frame {step.frame} ")
            else:
                level, text = logging.DEBUG, f"{step.stage}: step {step.done} of {step.total}".removeprefix(": ")
            log_event(logger, level, text, case=self._log_name, frame=step.frame)
            if progress:
                progress(step)

        request = self._request
        started = time.perf_counter()
        propagate = self._logic.fitToLesion if request.fit else self._logic.propagate
        summary = propagate(
            self._browser,
            request.model,
            request.direction,
            request.frames,
            request.device,
            allowOverlap=request.allow_overlap,
            progress=advance,
        )
        for notice in summary.notices:
            log_event(logger, logging.WARNING, notice, case=self._log_name)
        self._seconds.update(summary.seconds)
        if request.fit:  # and the other one of the two propagations
            self._seconds["fit"] = time.perf_counter() - started - sum(summary.seconds.values())
        return summary

    def write(
        self, folder: Path, summary: PropagationSummary, measured: CineMeasurements, lines: list[str]
    ) -> dict[str, Any]:
        """Write all files of the case; ``lines`` are those of ``run.log``. Returns what ``run.json`` holds."""
        with _stage(self._seconds, "write"):
            written = self._export(folder, measured)
            area = self._logic.imageArea(self._browser) if self._request.blanks_outside else None
        log_event(
            logger,
            logging.INFO,
            f"{counted(len(summary.frames_computed), 'frame')} computed by {summary.model} on {summary.device}, "
            f"{len(summary.unreadable)} unreadable, in {sum(self._seconds.values()):.1f} s",
            case=self._log_name,
        )
        with atomic_path(folder / LOG) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        record = {
            **run_record(self._logic, self._browser, summary, measured),
            **self._record_of_request(),
            "blank_outside": area.sentence if area else None,
            "seconds": {name: round(value, 4) for name, value in self._seconds.items()},
            "outputs": file_record(folder, [*written, folder / LOG], self._request.pixels_allowed),
            **self._request.stamp,
        }
        record["notices"] = [*self._notices, *record["notices"]]
        with atomic_path(folder / RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        return record

    def _export(self, folder: Path, measured: CineMeasurements) -> list[Path]:
        """Write the results of all kinds; returns the files.

        Where nothing can refer to the DICOM images, all else is written and a notice says why.
        """
        request = self._request
        wanted = KINDS + ("scene",) * request.with_scene + DICOM_KINDS * self._is_dicom + request.further_kinds
        kinds = list(dict.fromkeys(wanted))
        plain = [kind for kind in kinds if not RESULT_KINDS[kind].of_dicom]
        options = {"pixels_allowed": request.pixels_allowed, "blank_outside": request.blank_outside}
        written: list[Path] = self._logic.export(self._browser, folder, plain, measured, **options)
        referring = [kind for kind in kinds if RESULT_KINDS[kind].of_dicom]
        if not referring:
            return written
        names = " and ".join(kind.upper() for kind in referring)
        notice = ""
        try:
            check_source(referring, self._is_dicom)
            job = self._logic.exportJob(self._browser, folder, measured, body_part=request.body_part)
            written += job.write(referring)
            notice = job.organ_note
        except NotExpressibleError as error:
            notice = f"no DICOM {names} could be written: {error}"
        if not notice:
            return written
        log_event(logger, logging.WARNING, notice, case=self._log_name)
        self._notices.append(notice)
        return written

    def _record_of_request(self) -> dict[str, Any]:
        """Return what ``run.json`` says of where the outlines began."""
        request = self._request
        return {
            "clicks": [asdict(click) for click in request.clicks],
            "boxes": [asdict(box) for box in request.boxes],
            "suggested_on_frame": self._suggest_frame,
            "body_part": request.body_part.strip().upper(),
            "seeds": [
                {"frame": seed.frame, "read_as": read or PLAIN}
                for seed, read in zip(request.seeds, self._readings, strict=True)
            ],
        }


def _log_source(cine: Cine) -> str:
    """Log what was read; returns the name that the log calls the cine by."""
    case = cine.identity.short_name
    log_event(
        logger,
        logging.INFO,
        f"read {counted(len(cine), 'frame')} of {cine.height} x {cine.width} pixels ({cine.identity.kind.value})",
        case=case,
    )
    for note in cine.notes:
        log_event(logger, logging.INFO, note, case=case)
    return case


@contextmanager
def _stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
