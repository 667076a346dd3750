"""One case from source to folder: what ``segment`` does once and a batch many times."""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.cine import Cine, Origin, SourceKind
from UltrasoundLesionSegLib.errors import OutputError, SeedError
from UltrasoundLesionSegLib.logs import LogLevel, collected, log_event
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.writers.atomic import atomic_path

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationProgress, PropagationSummary

logger = logging.getLogger(__name__)

LOG = "run.log"
PLAIN = "a plain mask, label image or segmentation"
RECORD = "run.json"  # written last: a folder with this file is a finished case
KINDS = ("masks", "csv", "scene")
DICOM_KINDS = ("seg",)
RECORDED_PACKAGES = (
    "torch",
    "monai",
    "numpy",
    "SimpleITK",
    "opencv-python-headless",
    "av",
    "pydicom",
    "highdicom",
    "slicer-core",
)


@dataclass(frozen=True)
class SeedFileRequest:
    """A seed file, the frame it belongs to (for files that do not say themselves), and who drew it (None: a person)."""

    path: Path
    frame: int = 0
    origin: Origin | None = None


@dataclass(frozen=True)
class ClickRequest:
    """A point inside the lesion, in pixels of its frame; the centre of the first pixel is (0, 0)."""

    row: float
    column: float
    frame: int = 0


@dataclass(frozen=True)
class CaseRequest:
    """What to do with one source.

    Parameters
    ----------
    source, output : Path
    seeds : tuple of SeedFileRequest
    clicks : tuple of ClickRequest
        A model draws the lesion from those of a frame; beside seeds or instead of them.
    suggest_frame : int or 'middle' or None
        Instead of seeds: accept what a model proposes on this frame, or on the one in the middle.
    model, direction, frames, device
        As for ``UltrasoundLesionWorkflow.propagate``.
    further_kinds : tuple of str
        What to write beside masks, tables, scene and SEG (``exports.KINDS``).
    pixels_allowed : bool
        Whether pictures of the frames may be written.
    log_level : LogLevel
        What ``run.log`` holds.
    stamp : mapping
        Further entries of ``run.json``: plain values.
    """

    source: Path
    output: Path
    seeds: tuple[SeedFileRequest, ...] = ()
    clicks: tuple[ClickRequest, ...] = ()
    suggest_frame: int | Literal["middle"] | None = None
    model: str | None = None
    direction: str = "both"
    frames: tuple[int, int] | None = None
    device: str = "auto"
    further_kinds: tuple[str, ...] = ()
    pixels_allowed: bool = False
    log_level: LogLevel = LogLevel.INFO
    stamp: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class CaseResult:
    """What came of a case: the record also written as ``run.json``, and the frames without a result."""

    record: dict[str, Any] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def run_case(request: CaseRequest, progress: Callable[[PropagationProgress], None] | None = None) -> CaseResult:
    """Read, seed, propagate, measure and write one case.

    Nothing is written before the propagation is through, so that bad input leaves no half-written folder. The scene is
    left without the case's nodes, so that many cases in one process neither pile up nor get into each other's scenes.

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

    check_writable(request.output)
    if not request.seeds and not request.clicks and request.suggest_frame is None:
        raise SeedError(
            "no seed was given; name a mask with --seed MASK@FRAME, a point inside the lesion with --click X,Y@FRAME, "
            "or a frame with --suggest"
        )
    seconds: dict[str, float] = {}
    logic = UltrasoundLesionWorkflow()
    with collected(request.log_level) as lines:
        with _stage(seconds, "read"):
            browser = logic.addCine(read_cine(request.source, leave_out=[seed.path for seed in request.seeds]))
        try:
            return _run_loaded(logic, browser, request, seconds, progress, lines)
        finally:
            logic.removeCine(browser)
            logic.release()


def _run_loaded(
    logic: UltrasoundLesionWorkflow,
    browser: Any,
    request: CaseRequest,
    seconds: dict[str, float],
    progress: Callable[[PropagationProgress], None] | None,
    lines: list[str],
) -> CaseResult:
    case = _log_source(logic.cine(browser))
    readings = _place_seeds(logic, browser, request)
    for frame in sorted({frame for frames in logic.anchors(browser).values() for frame in frames}):
        log_event(logger, logging.INFO, "seeded", case=case, frame=frame)

    def advance(step: PropagationProgress) -> None:
        level = logging.WARNING if step.error else logging.DEBUG
        log_event(logger, level, step.error or f"step {step.done} of {step.total}", case=case, frame=step.frame)
        if progress:
            progress(step)

    summary = logic.propagate(
        browser, request.model, request.direction, request.frames, request.device, progress=advance
    )
    for notice in summary.notices:
        log_event(logger, logging.WARNING, notice, case=case)
    seconds.update(summary.seconds)
    with _stage(seconds, "measure"):
        measured = logic.measure(browser)
    kind = logic.sourceIdentity(browser).kind
    is_dicom = kind in (SourceKind.DICOM_MULTIFRAME, SourceKind.DICOM_SERIES)
    with _stage(seconds, "write"):
        kinds = dict.fromkeys(KINDS + (DICOM_KINDS if is_dicom else ()) + request.further_kinds)
        written = logic.export(browser, request.output, [*kinds], measured, pixels_allowed=request.pixels_allowed)
    log_event(
        logger,
        logging.INFO,
        f"{len(summary.frames_computed)} frames computed by {summary.model} on {summary.device}, "
        f"{len(summary.unreadable)} unreadable, in {sum(seconds.values()):.1f} s",
        case=case,
    )
    with atomic_path(request.output / LOG) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    record = _record(logic, browser, request, summary, seconds, [*written, request.output / LOG])
    record["seeds"] = [
        {"frame": seed.frame, "read_as": read or PLAIN} for seed, read in zip(request.seeds, readings, strict=True)
    ]
    record["notices"] = [
        *(f"seed {number} was read in this way: {read}" for number, read in enumerate(readings, start=1) if read),
        *record["notices"],
    ]
    with atomic_path(request.output / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return CaseResult(record, [f"frame {frame}: {why}" for frame, why in sorted(summary.unreadable.items())])


def check_writable(folder: Path) -> None:
    """Raise ``OutputError`` now rather than after minutes of computing when a folder cannot be written.

    Parameters
    ----------
    folder : Path
        Need not exist.
    """
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError("the output folder cannot be written; choose a folder, not a file, with permission to write")


def _place_seeds(logic: UltrasoundLesionWorkflow, browser: Any, request: CaseRequest) -> list[str]:
    """Give the workflow its seeds; returns how each file was read, '' where there was nothing to find out."""
    readings = []
    for number, seed in enumerate(request.seeds, start=1):
        try:
            logic.setSeed(browser, seed.path, seed.frame, origin=seed.origin)
            readings.append(logic.lastSeedReading(browser))
        except SeedError as error:
            raise SeedError(f"seed {number} cannot be used: {error}") from error
    for frame in sorted({click.frame for click in request.clicks}):
        points = [(click.row, click.column) for click in request.clicks if click.frame == frame]
        if not logic.click(browser, points, frame, device=request.device).any():
            raise SeedError(f"no lesion was found at the points on frame {frame}; give other points or a seed mask")
    if request.suggest_frame is not None:
        frame = len(logic.cine(browser)) // 2 if request.suggest_frame == "middle" else request.suggest_frame
        mask = logic.suggest(browser, frame, device=request.device)
        if not mask.any():
            raise SeedError(f"no lesion was found on frame {frame}; give a seed mask or another frame")
        logic.setSeed(browser, mask, frame, origin=Origin.SUGGESTED)
    return readings


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


def _record(
    logic: UltrasoundLesionWorkflow,
    browser: Any,
    request: CaseRequest,
    summary: PropagationSummary,
    seconds: dict[str, float],
    written: list[Path],
) -> dict[str, Any]:
    cine = logic.cine(browser)
    outputs = sorted({path.relative_to(request.output).as_posix() for path in written})
    return {
        "software": {"name": "ultrasound-lesion-seg", "version": __version__, "python": platform.python_version()},
        "packages": {name: _version_of(name) for name in RECORDED_PACKAGES},
        "platform": sys.platform,
        "source": {
            "kind": cine.identity.kind.value,
            "sha256": cine.identity.digest,
            "frames": len(cine),
            "height": cine.height,
            "width": cine.width,
            "calibration": asdict(cine.calibration) if cine.calibration else None,
            "pixel_aspect": cine.pixel_aspect,
            "timing": cine.timing.source if cine.timing else None,
            "notes": list(cine.notes),
        },
        "clicks": [asdict(click) for click in request.clicks],
        "suggested_on_frame": request.suggest_frame,
        "anchors": {name: frames for name, frames in logic.anchors(browser).items()},
        "model": {"name": summary.model, "version": summary.version, "sha256": summary.sha256},
        "device": summary.device,
        "direction": summary.direction,
        "frames_computed": len(summary.frames_computed),
        "unreadable_frames": {str(frame): why for frame, why in sorted(summary.unreadable.items())},
        "notices": summary.notices,
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "outputs": outputs,
        **request.stamp,
    }


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
