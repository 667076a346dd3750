"""One case from source to folder: what ``segment`` does once and a batch many times."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.cine import Origin, SourceKind
from UltrasoundLesionSegLib.errors import OutputError, SeedError
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.writers.atomic import atomic_path

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.propagation_job import PropagationProgress, PropagationSummary

RECORD = "run.json"  # written last: a folder with this file is a finished case
KINDS = ("masks", "csv", "scene")
DICOM_KINDS = ("seg",)
RECORDED_PACKAGES = (
    "torch",
    "monai",
    "numpy",
    "SimpleITK",
    "opencv-python-headless",
    "pydicom",
    "highdicom",
    "slicer-core",
)


@dataclass(frozen=True)
class SeedFileRequest:
    """A seed file and the frame it belongs to (for files that do not say themselves)."""

    path: Path
    frame: int = 0


@dataclass(frozen=True)
class CaseRequest:
    """What to do with one source.

    Parameters
    ----------
    source, output : Path
    seeds : tuple of SeedFileRequest
    suggest_frame : int or None
        Instead of seeds: accept what a model proposes on this frame.
    model, direction, frames, device
        As for ``UltrasoundLesionWorkflow.propagate``.
    further_kinds : tuple of str
        What to write beside masks, tables, scene and SEG (``exports.KINDS``).
    pixels_allowed : bool
        Whether pictures of the frames may be written.
    """

    source: Path
    output: Path
    seeds: tuple[SeedFileRequest, ...] = ()
    suggest_frame: int | None = None
    model: str | None = None
    direction: str = "both"
    frames: tuple[int, int] | None = None
    device: str = "auto"
    further_kinds: tuple[str, ...] = ()
    pixels_allowed: bool = False


@dataclass
class CaseResult:
    """What came of a case: the record also written as ``run.json``, and the frames without a result."""

    record: dict[str, Any] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def run_case(request: CaseRequest, progress: Callable[[PropagationProgress], None] | None = None) -> CaseResult:
    """Read, seed, propagate, measure and write one case.

    Nothing is written before the propagation is through, so that bad input leaves no half-written folder.

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
    check_writable(request.output)
    if not request.seeds and request.suggest_frame is None:
        raise SeedError("no seed was given; name a mask with --seed MASK@FRAME, or a frame with --suggest")
    seconds: dict[str, float] = {}
    logic = UltrasoundLesionWorkflow()
    with _stage(seconds, "read"):
        browser = logic.loadCine(request.source)
    _place_seeds(logic, browser, request)
    summary = logic.propagate(
        browser, request.model, request.direction, request.frames, request.device, progress=progress
    )
    seconds.update(summary.seconds)
    with _stage(seconds, "measure"):
        logic.measure(browser)
    kind = logic.sourceIdentity(browser).kind
    is_dicom = kind in (SourceKind.DICOM_MULTIFRAME, SourceKind.DICOM_SERIES)
    with _stage(seconds, "write"):
        kinds = dict.fromkeys(KINDS + (DICOM_KINDS if is_dicom else ()) + request.further_kinds)
        written = logic.export(browser, request.output, [*kinds], pixels_allowed=request.pixels_allowed)
    record = _record(logic, browser, request, summary, seconds, written)
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


def _place_seeds(logic: UltrasoundLesionWorkflow, browser: Any, request: CaseRequest) -> None:
    for number, seed in enumerate(request.seeds, start=1):
        try:
            logic.setSeed(browser, seed.path, seed.frame)
        except SeedError as error:
            raise SeedError(f"seed {number} cannot be used: {error}") from error
    if request.suggest_frame is not None:
        mask = logic.suggest(browser, request.suggest_frame, device=request.device)
        if not mask.any():
            raise SeedError(f"no lesion was found on frame {request.suggest_frame}; give a seed mask or another frame")
        logic.setSeed(browser, mask, request.suggest_frame, origin=Origin.SUGGESTED)


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
            "timing": cine.timing.source if cine.timing else None,
            "notes": list(cine.notes),
        },
        "seeds": [{"frame": seed.frame} for seed in request.seeds],
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
    }


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
