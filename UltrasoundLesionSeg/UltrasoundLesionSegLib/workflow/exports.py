"""Results of a cine written to files: one function a kind, chosen by name."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.cine import Calibration, Cine, Origin
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import SegmentInfo
from UltrasoundLesionSegLib.workflow.effort_log import read_effort
from UltrasoundLesionSegLib.workflow.kinds import KINDS as KINDS
from UltrasoundLesionSegLib.workflow.kinds import check_kinds
from UltrasoundLesionSegLib.workflow.measuring import CineMeasurements
from UltrasoundLesionSegLib.workflow.suggesters import Suggester

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.dicom.lesions import LesionDescription
    from UltrasoundLesionSegLib.dicom.segmentation_writer import WrittenSegmentation
    from UltrasoundLesionSegLib.dicom.source import DicomSource
    from UltrasoundLesionSegLib.dicom.structured_report import ReportClass
    from UltrasoundLesionSegLib.report.case import CaseReport
    from UltrasoundLesionSegLib.report.image_area import ImageArea
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationSummary


@dataclass(frozen=True)
class ExportOptions:
    """How results are written.

    Parameters
    ----------
    pixels_allowed : bool
        Whether pictures may be written: ultrasound images may show the patient's name.
    labelmap_seg : bool
        Write the DICOM SEG as LABELMAP instead of BINARY: smaller, but fewer programs read it.
    blank_outside : bool or None
        Whether everything outside the ultrasound image is black in pictures, videos, report and scene
        (``report.image_area``). None: when pictures are allowed.
    body_part : str
        The organ that SEG and SR name for lesions without one of their own: one of ``dicom.body_part.ORGANS``. '': the
        source's Body Part Examined; where that says nothing, SEG and SR name no organ.
    """

    pixels_allowed: bool = False
    labelmap_seg: bool = False
    blank_outside: bool | None = None
    body_part: str = ""

    @property
    def blanks_outside(self) -> bool:
        """Whether everything outside the ultrasound image is to be black."""
        return self.pixels_allowed if self.blank_outside is None else self.blank_outside


@dataclass(frozen=True)
class ExportSource:
    """A cine with its results.

    Parameters
    ----------
    cine : Cine
        With the identity that names the source's files, where they are known.
    sequence : SegmentationSequence
    measured : CineMeasurements
    propagation : PropagationSummary or None
        What made the masks, when it happened in this process.
    area : ImageArea or None
        Where the ultrasound image is, if everything outside of it is to be black.
    look_first : tuple of (int, float)
        Frames that most need a look, with their confidence (``UltrasoundLesionWorkflow.framesToLookAt``).
    """

    cine: Cine
    sequence: SegmentationSequence
    measured: CineMeasurements
    propagation: PropagationSummary | None
    area: ImageArea | None = None
    look_first: tuple[tuple[int, float], ...] = ()


class ExportJob:
    """One export: what several kinds need is made once.

    Parameters
    ----------
    source : ExportSource
    folder : Path
        Receives the files; made if it does not exist.
    options : ExportOptions
    between_frames : callable, optional
        Called each time that a frame was read or written, so that a window can repaint itself. It may raise to cancel.
    """

    def __init__(
        self,
        source: ExportSource,
        folder: Path,
        options: ExportOptions,
        between_frames: Callable[[], None] | None = None,
    ) -> None:
        self.source = source
        self.cine = source.cine
        self.folder = folder
        self.options = options
        self.between_frames = between_frames

    def write(self, kinds: Sequence[str]) -> list[Path]:
        """Write the kinds named (``kinds.KINDS``); returns the files.

        Raises
        ------
        OutputError
            When a kind is unknown or not allowed, or one cannot be written.
        """
        check_kinds(kinds, self.options.pixels_allowed)
        return [path for kind in kinds for path in WRITERS[kind](self)]

    @cached_property
    def segments(self) -> list[SegmentInfo]:
        """The lesions' segments, in order."""
        return self.source.sequence.segments()

    def masks(self, frame: int) -> NDArray[np.bool_]:
        """Return the masks of a frame, bool (K, H, W), in the order of the segments."""
        if self.between_frames is not None:
            self.between_frames()
        if not self.segments:
            return np.zeros((0, *self.cine.shape), np.bool_)
        return np.stack([self.source.sequence.read(frame, segment.id) for segment in self.segments])

    @cached_property
    def origins(self) -> list[list[Origin | None]]:
        """Who made each lesion's mask on each frame, K x T."""
        return [[state.origin for state in self.source.sequence.states(segment.id)] for segment in self.segments]

    @cached_property
    def calibration(self) -> Calibration | None:
        """The calibration that holds for all masks; None when one lies where another or none holds."""
        visible = [one for segment in self.source.measured.segments for one in segment.measurements if one.is_visible]
        if not visible:
            return self.cine.whole_calibration
        spacings = {one.calibration.spacing if one.calibration else None for one in visible}
        return visible[0].calibration if len(spacings) == 1 else None

    @cached_property
    def frames_without_result(self) -> frozenset[int]:
        """Frames on which nobody drew and nothing was computed, for any lesion: they are no empty masks."""
        known = {frame for one in self.origins for frame, origin in enumerate(one) if origin is not None}
        return frozenset(range(len(self.cine))) - known

    @cached_property
    def dicom_source(self) -> DicomSource:
        """The DICOM instances the cine came from; raises ``OutputError`` where there are none."""
        from UltrasoundLesionSegLib.dicom.source import DicomSource

        return DicomSource.from_cine(self.cine)

    @cached_property
    def body_part(self) -> str:
        """The organ that a person named for the cine, or else the source's Body Part Examined; in capitals."""
        from UltrasoundLesionSegLib.dicom.body_part import named_organ

        return named_organ(self.options.body_part) or self.dicom_source.body_part

    @property
    def organ_note(self) -> str:
        """What a person should know of the organ in SEG and SR; '' where nothing is missing and nothing contradicts."""
        from UltrasoundLesionSegLib.dicom.body_part import ORGANS

        if any(one.terminology.anatomic_region is None for one in self.descriptions):
            return (
                "DICOM SEG and SR name no organ, because the cine's Body Part Examined names none that is known here; "
                "name it with --body-part (from Python body_part), for example THYROID"
            )
        said = ORGANS.get(self.dicom_source.body_part)
        if said is not None and self.body_part != self.dicom_source.body_part:
            named = ORGANS[self.body_part].meaning.lower()
            return f"the cine's Body Part Examined is the {said.meaning.lower()}, but you named the {named}"
        return ""

    @cached_property
    def descriptions(self) -> list[LesionDescription]:
        """The lesions as SEG and SR describe them; raises ``OutputError`` where the source is no DICOM."""
        from UltrasoundLesionSegLib.dicom.identifiers import tracking_id, tracking_uid
        from UltrasoundLesionSegLib.dicom.lesions import LesionDescription, ModelIdentity
        from UltrasoundLesionSegLib.workflow.segment_terminology import terminology_of
        from UltrasoundLesionSegLib.workflow.tracking import lesion_numbers

        summary = self.source.propagation
        # a reopened scene does not say which model made its masks; the version of the software is still right
        model = ModelIdentity(summary.model, summary.version) if summary else ModelIdentity("unknown", __version__)
        found = []
        for number, segment in zip(lesion_numbers(self.segments), self.segments, strict=True):
            states = self.source.sequence.states(segment.id)
            seeds = [Suggester.from_provenance(state.provenance) for state in states]
            found.append(
                LesionDescription(
                    name=segment.name,
                    tracking_uid=tracking_uid(self.cine.identity, segment.id),
                    tracking_id=tracking_id(self.cine.identity, number),
                    origins={frame: state.origin for frame, state in enumerate(states) if state.origin is not None},
                    model=model,
                    seed_models=tuple(
                        dict.fromkeys(ModelIdentity(one.name, one.version) for one in seeds if one is not None)
                    ),
                    terminology=terminology_of(segment.terminology, self.body_part),
                    color=_rgb(segment),
                )
            )
        return found

    @cached_property
    def segmentation(self) -> WrittenSegmentation:
        """The DICOM SEG, written when first asked for: the SR refers to the same object."""
        from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
        from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation

        kind = SegmentationKind.LABELMAP if self.options.labelmap_seg else SegmentationKind.BINARY
        return write_segmentation(
            self.folder / "segmentation.dcm",
            self.dicom_source,
            self.descriptions,
            self.masks,
            kind,
            self.between_frames,
        )

    @cached_property
    def case(self) -> CaseReport:
        """The case as the report's writers take it."""
        from UltrasoundLesionSegLib.report.case import CaseReport, LesionReport, ModelRecord
        from UltrasoundLesionSegLib.report.image_area import blank_outside

        summary = self.source.propagation
        colours = {segment.id: _rgb(segment) for segment in self.segments}
        lesions = tuple(
            LesionReport(one.name, colours[one.segment_id], one.frames, one.measurements, one.summary)
            for one in self.source.measured.segments
        )
        return CaseReport(
            cine=blank_outside(self.cine, self.source.area) if self.source.area else self.cine,
            masks=self.masks,
            lesions=lesions,
            model=ModelRecord(summary.model, summary.version, summary.sha256) if summary else None,
            software={"ultrasound-lesion-seg": __version__, "Python": platform.python_version()},
            settings={"Direction": summary.direction, "Device": summary.device} if summary else {},
            unreadable=summary.unreadable if summary else {},
            created=datetime.now(),
            suggesters=tuple(
                ModelRecord(one.name, one.version, one.sha256) for one in self.source.measured.suggesters()
            ),
            effort=read_effort(self.source.sequence).phrase,
            look_first=self.source.look_first,
        )


def _rgb(segment: SegmentInfo) -> tuple[int, int, int]:
    red, green, blue = segment.color
    return round(255 * red), round(255 * green), round(255 * blue)


def _masks(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.writers.masks import write_davis

    return write_davis(job.folder / "masks", job.masks, len(job.cine), job.frames_without_result, job.origins)


def _csv(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.writers.tables import write_frame_table, write_lesion_table

    return [
        write_frame_table(job.folder / "measurements.csv", job.source.measured.frame_rows()),
        write_lesion_table(job.folder / "lesions.csv", job.source.measured.lesion_rows()),
    ]


def _scene(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.mrml.blanking import blanked
    from UltrasoundLesionSegLib.mrml.scene_file import save_scene

    area = job.source.area
    with blanked(job.source.sequence.browser, area.mask) if area and area.mask is not None else nullcontext():
        save_scene(job.folder / "scene.mrb")
    return [job.folder / "scene.mrb"]


def _sequence(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.mrml.scene_file import save_segmentation_sequence

    return [save_segmentation_sequence(job.source.sequence.sequence, job.folder / "segmentation.seq.mrb")]


def _frames(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.mrml.scene_file import save_segmentation_frames

    return save_segmentation_frames(
        job.source.sequence.sequence, job.folder / "segmentation", job.frames_without_result
    )


def _seg(job: ExportJob) -> list[Path]:
    assert job.segmentation
    return [job.folder / "segmentation.dcm"]


def _sr(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.dicom.structured_report import ReportClass

    return _write_sr(job, "measurements.dcm", ReportClass.COMPREHENSIVE)


def _sr3d(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.dicom.structured_report import ReportClass

    return _write_sr(job, "measurements_3d.dcm", ReportClass.COMPREHENSIVE_3D)


def _write_sr(job: ExportJob, name: str, kind: ReportClass) -> list[Path]:
    from UltrasoundLesionSegLib.dicom.structured_report import write_measurement_report

    segmentation = job.segmentation
    target = job.folder / name
    measurements = [dict(zip(one.frames, one.measurements, strict=True)) for one in job.source.measured.segments]
    write_measurement_report(
        target, job.dicom_source, segmentation, job.descriptions, measurements, kind, job.between_frames
    )
    return [job.folder / "segmentation.dcm", target]


def _coco(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.writers.coco import write_coco

    states = [job.source.sequence.states(segment.id) for segment in job.segments]
    written = write_coco(
        job.folder / "masks.json",
        job.masks,
        len(job.cine),
        [segment.name for segment in job.segments],
        job.cine.identity.short_name,
        np.array([[state.confidence for state in one] for one in states]) if states else None,
        job.origins,
        job.frames_without_result,
    )
    return [written]


def _nifti(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.writers.masks import write_nifti

    return [write_nifti(job.folder / "masks.nii.gz", job.masks, len(job.cine), job.calibration, job.origins)]


def _report(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.report.html import write_report

    return [write_report(job.folder / "report.html", job.case, pixels_allowed=job.options.pixels_allowed)]


def _sheet(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.report.contact_sheet import write_contact_sheet

    target = job.folder / "contact_sheet.png"
    return [write_contact_sheet(target, job.case, pixels_allowed=job.options.pixels_allowed)]


def _video(job: ExportJob) -> list[Path]:
    from UltrasoundLesionSegLib.report.video import write_overlay_video

    return [write_overlay_video(job.folder / "overlay.mp4", job.case, pixels_allowed=job.options.pixels_allowed)]


WRITERS: dict[str, Callable[[ExportJob], list[Path]]] = {
    "masks": _masks,
    "csv": _csv,
    "scene": _scene,
    "sequence": _sequence,
    "frames": _frames,
    "seg": _seg,
    "sr": _sr,
    "sr3d": _sr3d,
    "coco": _coco,
    "nifti": _nifti,
    "report": _report,
    "sheet": _sheet,
    "video": _video,
}
