"""``run.json``: source, software, settings and files of a result. It holds no path and no name of a patient."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.readers.digest import file_digest
from UltrasoundLesionSegLib.workflow.kinds import holds_images
from UltrasoundLesionSegLib.workflow.tracking import distinct_lesions, numbers_by_lesion

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
    from UltrasoundLesionSegLib.workflow.measuring import CineMeasurements
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationSummary

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


def run_record(
    logic: UltrasoundLesionWorkflow, browser: Any, summary: PropagationSummary, measured: CineMeasurements
) -> dict[str, Any]:
    """Return what is recorded of a case: source, anchors, models, device, frames, notices.

    Lesions are called as they are in tables and report. ``frames_without_result`` lists the frames on which nobody drew
    a lesion and nothing was computed; files that must have every frame (NIfTI, the scene) are empty there.
    ``lesion_numbers`` are those of the DICOM tracking IDs. ``effort`` is what a person did (``EffortLog``).

    Parameters
    ----------
    logic : UltrasoundLesionWorkflow
    browser : vtkMRMLSequenceBrowserNode
    summary : PropagationSummary
    measured : CineMeasurements
    """
    cine = logic.cine(browser)
    anchors = logic.anchors(browser)
    names = distinct_lesions({one.segment_id: one.name for one in measured.segments})
    sequence = SegmentationSequence.find(browser)
    return {
        "software": {"name": "ultrasound-lesion-seg", "version": __version__, "python": platform.python_version()},
        "packages": {name: _version_of(name) for name in RECORDED_PACKAGES},
        "platform": sys.platform,
        "source": {
            "kind": cine.identity.kind.value,
            "sha256": cine.identity.digest,
            "pixels": cine.identity.pixels,
            "frames": len(cine),
            "height": cine.height,
            "width": cine.width,
            "calibration": asdict(cine.calibration) if cine.calibration else None,
            "pixel_aspect": cine.pixel_aspect,
            "timing": cine.timing.source if cine.timing else None,
            "notes": list(cine.notes),
        },
        "anchors": {names[one]: frames for one, frames in anchors.items()},
        "lesion_numbers": numbers_by_lesion(sequence.segments() if sequence else [], names),
        "effort": logic.effort(browser).as_record(),
        "suggested_by": [asdict(one) for one in measured.suggesters()],
        "model": {"name": summary.model, "version": summary.version, "sha256": summary.sha256},
        "fit": asdict(summary.fit) if summary.fit else None,
        "device": summary.device,
        "direction": summary.direction,
        "frames_computed": len(summary.frames_computed),
        "frames_without_result": _frames_without_result(browser, names),
        "unreadable_frames": {str(frame): why for frame, why in sorted(summary.unreadable.items())},
        "notices": summary.notices,
    }


def file_record(folder: Path, files: Sequence[Path], pixels_allowed: bool) -> dict[str, dict[str, Any]]:
    """Return what is recorded of each file of a result: whether it shows the cine's images, and its SHA-256.

    Parameters
    ----------
    folder : Path
    files : sequence of Path
        Below it.
    pixels_allowed : bool
        Whether the report has pictures.
    """
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: {"holds_images": holds_images(name, pixels_allowed), "sha256": file_digest(names[name])}
        for name in sorted(names)
    }


def _frames_without_result(browser: Any, names: dict[str, str]) -> dict[str, list[int]]:
    sequence = SegmentationSequence.find(browser)
    states = {one: sequence.states(one) for one in names} if sequence else {}
    return {
        names[one]: [frame for frame, state in enumerate(of_frames) if state.origin is None]
        for one, of_frames in states.items()
    }


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
