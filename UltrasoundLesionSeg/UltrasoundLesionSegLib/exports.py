"""Results of a cine written to files: one function a kind, chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.measuring import CineMeasurements
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.propagation_job import PropagationSummary


@dataclass(frozen=True)
class ExportOptions:
    """How results are written.

    Parameters
    ----------
    pixels_allowed : bool
        Whether pictures may be written: ultrasound images may show the patient's name.
    labelmap_seg : bool
        Write the DICOM SEG as LABELMAP instead of BINARY: smaller, but fewer programs read it.
    """

    pixels_allowed: bool = False
    labelmap_seg: bool = False


@dataclass(frozen=True)
class ExportJob:
    """A cine with its results, ready to be written.

    Parameters
    ----------
    cine : Cine
        With the identity that names the source's files, where they are known.
    sequence : SegmentationSequence
    measured : CineMeasurements
    propagation : PropagationSummary or None
        What made the masks, when it happened in this process.
    options : ExportOptions
    """

    cine: Cine
    sequence: SegmentationSequence
    measured: CineMeasurements
    propagation: PropagationSummary | None
    options: ExportOptions

    def write(self, folder: Path, kinds: Sequence[str]) -> list[Path]:
        """Write the kinds named (``KINDS``) into a folder; returns the files.

        Raises
        ------
        OutputError
            When a kind is unknown, or one cannot be written.
        """
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise OutputError(f"the kind of export '{unknown[0]}' is unknown; choose among {', '.join(KINDS)}")
        return [path for kind in kinds for path in KINDS[kind](self, folder)]

    def masks(self, frame: int) -> NDArray[np.bool_]:
        """Return the masks of a frame, bool (K, H, W), in the order of the segments."""
        segments = self.sequence.segments()
        if not segments:
            return np.zeros((0, *self.cine.shape), np.bool_)
        return np.stack([self.sequence.read(frame, segment.id) for segment in segments])


def _masks(job: ExportJob, folder: Path) -> list[Path]:
    from UltrasoundLesionSegLib.writers.masks import write_davis

    written = write_davis(folder / "masks", job.masks, len(job.cine))
    for left_over in set((folder / "masks").glob("[0-9]*.png")) - set(written):
        left_over.unlink()  # of a longer clip that was written here before
    return written


def _csv(job: ExportJob, folder: Path) -> list[Path]:
    from UltrasoundLesionSegLib.writers.tables import write_frame_table, write_lesion_table

    return [
        write_frame_table(folder / "measurements.csv", job.measured.frame_rows()),
        write_lesion_table(folder / "lesions.csv", job.measured.lesion_rows()),
    ]


def _scene(job: ExportJob, folder: Path) -> list[Path]:
    from UltrasoundLesionSegLib.mrml.scene_file import save_scene

    save_scene(folder / "scene.mrb")
    return [folder / "scene.mrb"]


def _seg(job: ExportJob, folder: Path) -> list[Path]:
    from UltrasoundLesionSegLib.dicom.identifiers import tracking_id, tracking_uid
    from UltrasoundLesionSegLib.dicom.lesions import LesionDescription, ModelIdentity
    from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
    from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
    from UltrasoundLesionSegLib.dicom.source import DicomSource

    summary = job.propagation
    model = ModelIdentity(summary.model, summary.version) if summary else None
    lesions = []
    for number, segment in enumerate(job.sequence.segments(), start=1):
        states = job.sequence.states(segment.id)
        red, green, blue = segment.color
        lesions.append(
            LesionDescription(
                name=segment.name,
                tracking_uid=tracking_uid(job.cine.identity, segment.id),
                tracking_id=tracking_id(job.cine.identity, number),
                origins={frame: state.origin for frame, state in enumerate(states) if state.origin is not None},
                model=model,
                color=(round(255 * red), round(255 * green), round(255 * blue)),
            )
        )
    target = folder / "segmentation.dcm"
    kind = SegmentationKind.LABELMAP if job.options.labelmap_seg else SegmentationKind.BINARY
    write_segmentation(target, DicomSource.from_cine(job.cine), lesions, job.masks, kind)
    return [target]


def _coco(job: ExportJob, folder: Path) -> list[Path]:
    from UltrasoundLesionSegLib.writers.coco import write_coco

    segments = job.sequence.segments()
    names = [segment.name for segment in segments]
    confidences = np.stack([job.sequence.confidences(segment.id) for segment in segments])
    name = job.cine.identity.short_name
    return [write_coco(folder / "masks.json", job.masks, len(job.cine), names, name, confidences)]


def _nifti(job: ExportJob, folder: Path) -> list[Path]:
    from UltrasoundLesionSegLib.writers.masks import write_nifti

    return [write_nifti(folder / "masks.nii.gz", job.masks, len(job.cine), job.cine.calibration)]


KINDS: dict[str, Callable[[ExportJob, Path], list[Path]]] = {
    "masks": _masks,
    "csv": _csv,
    "scene": _scene,
    "seg": _seg,
    "coco": _coco,
    "nifti": _nifti,
}
