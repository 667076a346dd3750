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
from UltrasoundLesionSegLib.errors import NotExpressibleError, ReviewError, SeedError
from UltrasoundLesionSegLib.logs import collected, log_event
from UltrasoundLesionSegLib.measurement.columns import LesionRow
from UltrasoundLesionSegLib.reader_work.record import EXPORTED_AGAIN, SourceNote
from UltrasoundLesionSegLib.reader_work.store import CaseWork
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest
from UltrasoundLesionSegLib.workflow.kinds import KINDS as RESULT_KINDS
from UltrasoundLesionSegLib.workflow.kinds import check_kinds, check_source
from UltrasoundLesionSegLib.workflow.output_folder import RECORD, OutputFolder
from UltrasoundLesionSegLib.workflow.run_record import file_record, run_record
from UltrasoundLesionSegLib.writers.atomic import atomic_path

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow.measuring import CineMeasurements
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationProgress

logger = logging.getLogger(__name__)

LOG = "run.log"
PLAIN = "a plain mask, label image or segmentation"
KINDS = ("masks", "csv", "report")
DICOM_KINDS = ("seg",)


@dataclass
class CaseResult:
    """What came of a case.

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
    from UltrasoundLesionSegLib.readers.open import read_cine

    check_kinds(request.further_kinds, request.pixels_allowed)
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
    output = OutputFolder(request.output, request.overwrite)
    seconds: dict[str, float] = {}
    logic = UltrasoundLesionWorkflow()
    logic.efforts.clock = None  # no person works while a case runs, so its seconds do not count
    with collected(request.log_level) as lines:
        with _stage(seconds, "read"):
            browser = logic.addCine(read_cine(request.source, leave_out=[seed.path for seed in request.seeds]))
        try:
            return _run_loaded(logic, browser, request, output, seconds, progress, lines)
        finally:
            logic.removeCine(browser)
            logic.release()


def _run_loaded(
    logic: UltrasoundLesionWorkflow,
    browser: Any,
    request: CaseRequest,
    output: OutputFolder,
    seconds: dict[str, float],
    progress: Callable[[PropagationProgress], None] | None,
    lines: list[str],
) -> CaseResult:
    case = _log_source(logic.cine(browser))
    identity = logic.sourceIdentity(browser)
    is_dicom = identity.kind in (SourceKind.DICOM_MULTIFRAME, SourceKind.DICOM_SERIES)
    check_source(request.further_kinds, is_dicom)
    output.check_source(identity.digest)
    logic.checkPropagation(browser, request.model, request.direction, request.frames, request.device)
    readings = _place_seeds(logic, browser, request)
    known = []
    if request.reader_work is not None:
        known = _place_anchors(logic, browser, CaseWork.at(request.reader_work))
    for frame in sorted({frame for frames in logic.anchors(browser).values() for frame in frames}):
        log_event(logger, logging.INFO, "seeded", case=case, frame=frame)

    def advance(step: PropagationProgress) -> None:
        if step.error:  # the line names the frame itself
            level, text = logging.WARNING, step.error.removeprefix(f"frame {step.frame} ")
        else:
            level, text = logging.DEBUG, f"{step.stage}: step {step.done} of {step.total}".removeprefix(": ")
        log_event(logger, level, text, case=case, frame=step.frame)
        if progress:
            progress(step)

    started = time.perf_counter()
    propagate = logic.fitToLesion if request.fit else logic.propagate
    summary = propagate(
        browser,
        request.model,
        request.direction,
        request.frames,
        request.device,
        allowOverlap=request.allow_overlap,
        progress=advance,
    )
    for notice in summary.notices:
        log_event(logger, logging.WARNING, notice, case=case)
    seconds.update(summary.seconds)
    if request.fit:  # and the other one of the two propagations
        seconds["fit"] = time.perf_counter() - started - sum(summary.seconds.values())
    with _stage(seconds, "measure"):
        measured = logic.measure(browser)
    kinds = dict.fromkeys(KINDS + ("scene",) * request.with_scene + DICOM_KINDS * is_dicom + request.further_kinds)
    with output.written() as folder:
        with _stage(seconds, "write"):
            options = {"pixels_allowed": request.pixels_allowed, "blank_outside": request.blank_outside}
            plain = [kind for kind in kinds if not RESULT_KINDS[kind].of_dicom]
            written = logic.export(browser, folder, plain, measured, **options)
            referring, without = _export_referring(logic, browser, folder, [*kinds], measured)
            written += referring
            area = logic.imageArea(browser) if request.blanks_outside else None
        for notice in without:
            log_event(logger, logging.WARNING, notice, case=case)
        log_event(
            logger,
            logging.INFO,
            f"{len(summary.frames_computed)} frames computed by {summary.model} on {summary.device}, "
            f"{len(summary.unreadable)} unreadable, in {sum(seconds.values()):.1f} s",
            case=case,
        )
        with atomic_path(folder / LOG) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        record = {
            **run_record(logic, browser, summary, measured),
            "clicks": [asdict(click) for click in request.clicks],
            "boxes": [asdict(box) for box in request.boxes],
            "blank_outside": area.sentence if area else None,
            "suggested_on_frame": _suggest_frame(request, len(logic.cine(browser))),
            "seeds": [
                {"frame": seed.frame, "read_as": read or PLAIN}
                for seed, read in zip(request.seeds, readings, strict=True)
            ],
            "seconds": {name: round(value, 4) for name, value in seconds.items()},
            "outputs": file_record(folder, [*written, folder / LOG], request.pixels_allowed),
            **request.stamp,
        }
        record["notices"] = [
            *(f"seed {number} was read in this way: {read}" for number, read in enumerate(readings, start=1) if read),
            *known,
            *without,
            *record["notices"],
        ]
        with atomic_path(folder / RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return CaseResult(
        record,
        [sentence for _, sentence in sorted(summary.unreadable.items())],
        measured.lesion_rows(),
        logic.framesToLookAt(browser),
    )


def _export_referring(
    logic: UltrasoundLesionWorkflow, browser: Any, folder: Path, kinds: list[str], measured: CineMeasurements
) -> tuple[list[Path], list[str]]:
    """Write what refers to DICOM images, or where that cannot be, say why: everything else is written all the same."""
    referring = [kind for kind in kinds if RESULT_KINDS[kind].of_dicom]
    try:
        return (logic.export(browser, folder, referring, measured) if referring else []), []
    except NotExpressibleError as error:
        names = " and ".join(kind.upper() for kind in referring)
        return [], [f"no DICOM {names} could be written: {error}"]


def _draw_from_prompts(logic: UltrasoundLesionWorkflow, browser: Any, request: CaseRequest, frame: int) -> None:
    """Let a model draw the lesion from the clicks and the box of a frame."""
    points = [(click.row, click.column) for click in request.clicks if click.frame == frame]
    boxes = [(one.top, one.left, one.bottom, one.right) for one in request.boxes if one.frame == frame]
    if len(boxes) > 1:
        raise SeedError(f"frame {frame} has {len(boxes)} boxes; give one box a frame")
    if not logic.click(browser, points, frame, box=boxes[0] if boxes else None, device=request.device).any():
        raise SeedError(f"no lesion was found at the points or in the box on frame {frame}; give others or a seed mask")


def _place_seeds(logic: UltrasoundLesionWorkflow, browser: Any, request: CaseRequest) -> list[str]:
    """Give the workflow its seeds; returns how each file was read, '' where there was nothing to find out."""
    readings = []
    for number, seed in enumerate(request.seeds, start=1):
        try:
            logic.setSeed(browser, seed.path, seed.frame, origin=seed.origin)
            readings.append(logic.lastSeedReading(browser))
        except SeedError as error:
            # what is odd about the cine may be why the seed does not fit it
            notes = "".join(f"; note on the cine: {note}" for note in logic.cine(browser).notes)
            raise SeedError(f"seed {number} cannot be used: {error}{notes}") from error
    for frame in sorted({one.frame for one in request.clicks} | {one.frame for one in request.boxes}):
        _draw_from_prompts(logic, browser, request, frame)
    suggested_on = _suggest_frame(request, len(logic.cine(browser)))
    if suggested_on is not None:
        mask = logic.suggest(browser, suggested_on, device=request.device)
        if not mask.any():
            raise SeedError(f"no lesion was found on frame {suggested_on}; give a seed mask or another frame")
        logic.setSeed(browser, mask, suggested_on, origin=Origin.SUGGESTED)
    return readings


def _place_anchors(logic: UltrasoundLesionWorkflow, browser: Any, work: CaseWork) -> list[str]:
    """Put a reader's anchors over the seeds; lesions have the reader's names, those the reader removed are gone.

    Returns what a person should know.
    """
    record = work.record()
    if record is None or record.source is None:
        return []
    source = SourceNote.of(logic.cine(browser))
    if not record.source.is_same(source):
        raise ReviewError(
            "the reader's anchors are of another version of the cine; bring that one back, or have the reader look at "
            "the case again"
        )
    for segment, name in logic.segmentNames(browser).items():
        own = record.name_of(name)
        if own is None:
            logic.removeSegment(browser, segment)
        elif own != name:
            logic.renameSegment(browser, segment, own)
    logic.importAnchors(browser, work.anchors())
    return [EXPORTED_AGAIN] if record.source.sha256 != source.sha256 else []


def _suggest_frame(request: CaseRequest, frames: int) -> int | None:
    """Return the number of the frame on which a model proposes the seed."""
    return frames // 2 if request.suggest_frame == "middle" else request.suggest_frame


def _log_source(cine: Cine) -> str:
    """Log what was read; returns the name that the log calls the cine by."""
    case = cine.identity.short_name
    log_event(
        logger,
        logging.INFO,
        f"read {len(cine)} frames of {cine.height} x {cine.width} pixels ({cine.identity.kind.value})",
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
