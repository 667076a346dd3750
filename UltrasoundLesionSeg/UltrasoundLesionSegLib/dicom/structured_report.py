"""Write measurements of lesions as a DICOM SR after TID 1500 Measurement Report (PS3.16).

For each lesion and frame there is

* a TID 1410 group: the region's measurements, tied to the segmentation's frame and, by tracking UID, to its segment;
* a TID 1501 group: the callipers, long and perpendicular axis as lines on the source frame. TID 1410 has no place for
  lines, so the two lengths appear in both.

and for each lesion over the cine a TID 1501 group with maxima and means, each maximum tied to its frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from math import isfinite
from pathlib import Path

from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, ExplicitVRLittleEndian

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.dicom import report_items as items
from UltrasoundLesionSegLib.dicom import terminology as terms
from UltrasoundLesionSegLib.dicom.identifiers import device_uid
from UltrasoundLesionSegLib.dicom.instance import PRODUCT, add_instance, by_series, file_meta, instance_reference
from UltrasoundLesionSegLib.dicom.lesions import LesionDescription
from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom
from UltrasoundLesionSegLib.dicom.report_items import Relation
from UltrasoundLesionSegLib.dicom.segmentation_writer import WrittenSegmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource, Instance
from UltrasoundLesionSegLib.errors import NotExpressibleError, OutputError
from UltrasoundLesionSegLib.measurement.frame import FrameMeasurement
from UltrasoundLesionSegLib.measurement.lesion import LesionSummary, Spread, summarize_lesion
from UltrasoundLesionSegLib.measurement.shape import Orientation
from UltrasoundLesionSegLib.writers.atomic import atomic_path


class ReportClass(Enum):
    """SOP class of a report; the content is the same, as it has no 3-D coordinates: value and series number."""

    COMPREHENSIVE = (ComprehensiveSRStorage, 901)  # PS3.3 A.35.3
    COMPREHENSIVE_3D = (Comprehensive3DSRStorage, 902)  # PS3.3 A.35.13


# attribute of FrameMeasurement and LesionSummary, concept, whether it is an area
_QUANTITIES = (
    ("area", terms.AREA, True),
    ("long_axis", terms.LONG_AXIS, False),
    ("perpendicular_axis", terms.PERPENDICULAR_AXIS, False),
    ("perimeter", terms.PERIMETER, False),
    ("depth", terms.DEPTH, False),
    ("width", terms.WIDTH, False),
)
_AXES = {"long_axis": "long_axis_ends", "perpendicular_axis": "perpendicular_axis_ends"}
_ORIENTATIONS = {Orientation.PARALLEL: terms.PARALLEL, Orientation.NOT_PARALLEL: terms.NOT_PARALLEL}

FrameMeasurements = Mapping[int, FrameMeasurement]


def write_measurement_report(
    path: Path,
    source: DicomSource,
    segmentation: WrittenSegmentation,
    lesions: Sequence[LesionDescription],
    measurements: Sequence[FrameMeasurements],
    kind: ReportClass = ReportClass.COMPREHENSIVE,
    between_frames: Callable[[], None] | None = None,
) -> str:
    """Write the measurements of a segmentation that was just written.

    Lengths are in mm and areas in mm2 on calibrated frames, in ``{pixels}`` otherwise. The report is unverified and
    preliminary: no person signed it.

    Parameters
    ----------
    path : Path
        File to write, ``.dcm``.
    source : DicomSource
        What the segmentation was written with.
    segmentation : WrittenSegmentation
        From ``write_segmentation``.
    lesions : sequence of LesionDescription
        Those of the segmentation, in the same order.
    measurements : sequence of mapping of int to FrameMeasurement
        For each lesion, its measurements by frame (counted from 0). Frames on which it is not visible are passed over.
    kind : ReportClass
        SOP class of the report.
    between_frames : callable, optional
        Called after each frame of a lesion, so that a window can repaint itself. It may raise to cancel: nothing is
        left behind.

    Returns
    -------
    str
        SOP Instance UID of the report.

    Raises
    ------
    OutputError
        When nothing was measured, or a measured frame is not in the segmentation.
    """
    if len(measurements) != len(lesions):
        raise OutputError(
            f"there are {len(lesions)} lesions but measurements of {len(measurements)}; measure all of them"
        )
    with quiet_dicom():
        groups: list[bytes] = []
        frames: set[int] = set()
        for index, (lesion, by_frame) in enumerate(zip(lesions, measurements, strict=True)):
            visible = {frame: one for frame, one in sorted(by_frame.items()) if one.is_visible}
            for group in _LesionGroups(source, segmentation, index, lesion, visible).build(by_frame):
                groups.append(group)
                if between_frames is not None:
                    between_frames()
            frames |= visible.keys()
        if not groups:
            raise NotExpressibleError("no lesion was measured on any frame; segment and measure a lesion first")
        dataset = _document(source, segmentation, len(frames), kind)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            dcmwrite(file, dataset, enforce_file_format=True)
            file.write(_content(lesions, groups))  # its tag is the last one of the object
    return str(dataset.SOPInstanceUID)


@dataclass(frozen=True)
class _LesionGroups:
    """Builds the measurement groups of one lesion."""

    source: DicomSource
    segmentation: WrittenSegmentation
    index: int
    lesion: LesionDescription
    visible: FrameMeasurements

    def build(self, by_frame: FrameMeasurements) -> Iterator[bytes]:
        """Yield all groups; none for a lesion that is never visible."""
        for frame, one in self.visible.items():
            yield self._region(frame, one) + self._callipers(frame, one)
        if self.visible:
            yield self._summary(by_frame)

    def _region(self, frame: int, one: FrameMeasurement) -> bytes:
        """Return the TID 1410 group of a frame."""
        number = self.segmentation.frame_numbers.get((self.index, frame))
        if number is None:
            raise OutputError(
                f"lesion {self.index + 1} was measured on frame {frame} but the segmentation has no mask there; "
                "write the segmentation again and then the measurements"
            )
        segmentation = Instance(
            self.segmentation.sop_class_uid,
            self.segmentation.sop_instance_uid,
            self.segmentation.series_instance_uid,
            len(self.segmentation.frame_numbers),
        )
        numbers = [self._number(name, one) for name, _, _ in _QUANTITIES if isfinite(getattr(one, name))]
        content = [
            items.image(terms.SEGMENTATION_FRAME, instance_reference(segmentation, number), Relation.CONTAINS),
            self._image(terms.SEGMENTATION_SOURCE, frame, Relation.CONTAINS),
            *numbers,
        ]
        if one.orientation is not None:
            content.append(items.code_value(terms.ORIENTATION, _ORIENTATIONS[one.orientation], Relation.CONTAINS))
        return self._group("1410", content)

    def _callipers(self, frame: int, one: FrameMeasurement) -> bytes:
        """Return the TID 1501 group with the axes as lines."""
        axes = [self._number(name, one, [self._line(name, frame, one)]) for name in _AXES]
        return self._group("1501", [*axes, self._image(terms.SOURCE_OF_MEASUREMENT, frame, Relation.CONTAINS)])

    def _summary(self, by_frame: FrameMeasurements) -> bytes:
        """Return the TID 1501 group with the lesion's maxima and means over the cine."""
        summary = summarize_lesion(list(by_frame.values()), list(by_frame))
        pooled = {frame: one for frame, one in self.visible.items() if one.is_calibrated == summary.is_calibrated}
        content = []
        for name, concept, is_area in _QUANTITIES:
            spread = getattr(summary, name, None)
            if not isinstance(spread, Spread):
                continue
            unit = _unit(summary.is_calibrated, is_area)
            frame, one = next((frame, one) for frame, one in pooled.items() if getattr(one, name) == spread.maximum)
            tie = (
                self._line(name, frame, one)
                if name in _AXES
                else self._image(terms.SOURCE_OF_MEASUREMENT, frame, Relation.INFERRED)
            )
            maximum = items.code_value(terms.DERIVATION, terms.MAXIMUM, Relation.MODIFIER)
            mean = items.code_value(terms.DERIVATION, terms.MEAN, Relation.MODIFIER)
            content.append(items.number(concept, spread.maximum, unit, [maximum, tie]))
            content.append(items.number(concept, spread.mean, unit, [mean]))
        content.append(items.text_value(terms.COMMENT, " ".join(self._reservations(summary)), Relation.CONTAINS))
        return self._group("1501", content)

    def _reservations(self, summary: LesionSummary) -> Iterator[str]:
        """Yield what a reader must know to use the figures: sentences without anything of the patient."""
        calibrations = {one.calibration for one in self.visible.values()} - {None}
        for source, note in sorted({(one.source, one.note) for one in calibrations if one is not None}):
            yield f"Pixel size from {source}."
            if note:
                yield note if note.endswith(".") else f"{note}."
        if not summary.is_calibrated:
            yield "The pixel size is not known: lengths and areas are in pixels."
        if summary.frames_left_out:
            yield f"Not in these figures, because their pixel size is not known: {_frames(summary.frames_left_out)}."
        if summary.frames_cut:
            on = _frames(summary.frames_cut)
            yield f"On {on} the lesion reaches the image border: its sizes are lower bounds."
        yield summary.note
        yield "Research software, not for diagnosis."

    @cached_property
    def _head(self) -> list[bytes]:
        """What every group says of the lesion and of what measured it."""
        what = self.lesion.terminology
        laterality = (
            [items.code_value(terms.LATERALITY, what.laterality, Relation.MODIFIER)]
            if what.laterality is not None
            else []
        )
        region = what.anatomic_region
        site = [items.code_value(terms.FINDING_SITE, region, Relation.MODIFIER, laterality)] if region else []
        return [
            items.text_value(terms.TRACKING_IDENTIFIER, self.lesion.tracking_id, Relation.CONTEXT),
            items.uid_value(terms.TRACKING_UID, self.lesion.tracking_uid, Relation.CONTEXT),
            items.code_value(terms.FINDING_CATEGORY, what.category, Relation.CONTAINS),
            items.code_value(terms.FINDING, what.property_type, Relation.CONTAINS),
            *site,
            items.text_value(terms.ALGORITHM_NAME, PRODUCT, Relation.MODIFIER),
            items.text_value(terms.ALGORITHM_VERSION, __version__, Relation.MODIFIER),
        ]

    def _group(self, template: str, content: Sequence[bytes]) -> bytes:
        """Return a Measurement Group about this lesion."""
        return items.container(terms.MEASUREMENT_GROUP, [*self._head, *content], template)

    def _number(self, name: str, one: FrameMeasurement, children: Sequence[bytes] = ()) -> bytes:
        """Return one quantity of a frame."""
        concept, is_area = next((concept, area) for quantity, concept, area in _QUANTITIES if quantity == name)
        return items.number(concept, getattr(one, name), _unit(one.is_calibrated, is_area), children)

    def _line(self, name: str, frame: int, one: FrameMeasurement) -> bytes:
        """Return the line of an axis on its frame."""
        return items.line(terms.SOURCE, getattr(one, _AXES[name]), self._image(terms.SOURCE, frame, Relation.SELECTED))

    def _image(self, name: Code, frame: int, relation: Relation) -> bytes:
        """Return a reference to a source frame."""
        reference = instance_reference(self.source.instance(frame), self.source.frame_number(frame))
        return items.image(name, reference, relation)


def _unit(is_calibrated: bool, is_area: bool) -> Code:
    """Return the unit; without a calibration, lengths are in pixels and areas are a number of pixels."""
    if not is_calibrated:
        return terms.PIXELS
    return terms.SQUARE_MILLIMETER if is_area else terms.MILLIMETER


def _content(lesions: Sequence[LesionDescription], groups: Sequence[bytes]) -> bytes:
    """Return what the root content item holds (TID 1500)."""
    regions = {one.value if (one := lesion.terminology.anatomic_region) else None for lesion in lesions}
    procedure = terms.BREAST_ULTRASONOGRAPHY if regions == {terms.BREAST.value} else terms.ULTRASONOGRAPHY
    return items.content(
        [
            items.code_value(terms.LANGUAGE, terms.ENGLISH, Relation.MODIFIER),
            items.code_value(terms.OBSERVER_TYPE, terms.DEVICE, Relation.CONTEXT),
            items.uid_value(terms.DEVICE_UID, device_uid(), Relation.CONTEXT),
            items.text_value(terms.DEVICE_NAME, PRODUCT, Relation.CONTEXT),
            items.text_value(terms.DEVICE_MODEL, f"{PRODUCT} {__version__}", Relation.CONTEXT),
            items.code_value(terms.PROCEDURE, procedure, Relation.MODIFIER),
            items.container(terms.IMAGING_MEASUREMENTS, groups),
        ]
    )


def _document(source: DicomSource, segmentation: WrittenSegmentation, frame_count: int, kind: ReportClass) -> Dataset:
    """Return the report with its root content item, without what that holds."""
    dataset = Dataset()
    dataset.update(source.study)
    sop_class, series_number = kind.value
    add_instance(dataset, sop_class, "SR", series_number, "Lesion measurements")
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PreliminaryFlag = "PRELIMINARY"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    dataset.update(items.root(terms.MEASUREMENT_REPORT, "1500"))
    # all of the cine, in the order of its frames: without it, nothing numbers the frames of single-frame images
    written = Instance(
        segmentation.sop_class_uid, segmentation.sop_instance_uid, segmentation.series_instance_uid, frame_count
    )
    dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(source, [*source.instances, written])]
    dataset.file_meta = file_meta(dataset, ExplicitVRLittleEndian)
    return dataset


def _evidence(source: DicomSource, instances: Sequence[Instance]) -> Dataset:
    """Return the item that lists the images and what the content refers to (PS3.3 C.17.2, Table C.17-3)."""
    study = Dataset()
    study.StudyInstanceUID = source.study.StudyInstanceUID
    study.ReferencedSeriesSequence = []
    for series, members in by_series(instances).items():
        item = Dataset()
        item.SeriesInstanceUID = series
        item.ReferencedSOPSequence = [instance_reference(member) for member in members]
        study.ReferencedSeriesSequence.append(item)
    return study


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
