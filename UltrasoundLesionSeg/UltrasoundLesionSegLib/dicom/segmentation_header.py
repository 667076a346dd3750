"""The attributes of a Segmentation for an ultrasound cine (PS3.3 A.51, A.90), all but its pixels.

An ultrasound cine has no Frame of Reference, so its frames have no position in space: they are identified by segment
and by time, and tied to the source by instance and frame number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import highdicom
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
)

from UltrasoundLesionSegLib.dicom.identifiers import new_uid
from UltrasoundLesionSegLib.dicom.instance import PRODUCT, add_instance, by_series, file_meta, instance_reference
from UltrasoundLesionSegLib.dicom.lesions import AlgorithmType, LesionDescription, ModelIdentity
from UltrasoundLesionSegLib.dicom.source import DicomSource, Instance
from UltrasoundLesionSegLib.dicom.terminology import (
    ARTIFICIAL_INTELLIGENCE,
    BACKGROUND,
    SEGMENTATION_DERIVATION,
    SOURCE_IMAGE_PURPOSE,
    code_item,
)

SEGMENTATION_SERIES_NUMBER = 900

# PS3.4 B.5 since 2024; not yet named by pydicom 3
LABEL_MAP_SEGMENTATION_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")

_SEGMENT_NUMBER = (Tag("ReferencedSegmentNumber"), Tag("SegmentIdentificationSequence"))
_TEMPORAL_POSITION = (Tag("TemporalPositionIndex"), Tag("FrameContentSequence"))


class SegmentationKind(str, Enum):
    """Segmentation Type (0062,0001)."""

    BINARY = "BINARY"  # one bit a pixel, one frame a segment and source frame; every reader knows it
    LABELMAP = "LABELMAP"  # one number a pixel, one frame a source frame; compressed; few readers know it yet

    @property
    def sop_class(self) -> UID:
        """The SOP class that holds it (PS3.4 B.5)."""
        return SegmentationStorage if self is SegmentationKind.BINARY else LABEL_MAP_SEGMENTATION_STORAGE

    @property
    def transfer_syntax(self) -> UID:
        """One-bit pixels cannot be compressed; a label map is small only when it is."""
        return ExplicitVRLittleEndian if self is SegmentationKind.BINARY else RLELossless


@dataclass(frozen=True)
class Segment:
    """A lesion as a segment: its number and the source frames (counted from 0, ascending) that show it."""

    number: int
    lesion: LesionDescription
    frames: Sequence[int]


def segmentation_header(
    source: DicomSource, segments: Sequence[Segment], kind: SegmentationKind, frame_count: int, overlap: bool
) -> Dataset:
    """Return everything before the per-frame functional groups, with its file meta information.

    Parameters
    ----------
    source : DicomSource
    segments : sequence of Segment
    kind : SegmentationKind
    frame_count : int
        Frames of the segmentation.
    overlap : bool
        Whether a pixel belongs to two segments.

    Raises
    ------
    OutputError
        When a model made a segment and none is named.
    """
    dataset = Dataset()
    dataset.update(source.study)
    dataset.update(source.lossy)
    add_instance(dataset, kind.sop_class, "SEG", SEGMENTATION_SERIES_NUMBER, "Lesion segmentation")
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.PatientOrientation = ""  # type 2C: asked for where there is no geometry of the patient
    dataset.BurnedInAnnotation = "NO"
    dataset.ContentLabel = "US_LESION"
    dataset.ContentDescription = "Lesions in an ultrasound cine"
    dataset.ContentCreatorName = ""
    # exactly the instances that frames refer to (PS3.3 C.12.2), each once, in the order of their frames
    frames = sorted({frame for segment in segments for frame in segment.frames})
    dataset.ReferencedSeriesSequence = _referenced_series(source.instance(frame) for frame in frames)
    _add_pixel_description(dataset, source, kind, frame_count)
    dataset.SegmentationType = kind.value
    dataset.SegmentsOverlap = "YES" if overlap else "NO"
    dataset.SegmentSequence = [_segment(segment) for segment in segments]
    if kind is SegmentationKind.LABELMAP:
        dataset.SegmentSequence.insert(0, _background())
    _add_dimensions(dataset, kind)
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    dataset.file_meta = file_meta(dataset, kind.transfer_syntax)
    return dataset


def frame_groups(source: DicomSource, frame: int, segment: int | None, comments: str) -> Dataset:
    """Return one item of the Per-Frame Functional Groups Sequence (PS3.3 C.7.6.16).

    Parameters
    ----------
    source : DicomSource
    frame : int
        Source frame, counted from 0.
    segment : int or None
        Segment number, counted from 1; None in a label map.
    comments : str
        Who made the masks of this frame.
    """
    content = Dataset()
    content.FrameComments = comments
    content.TemporalPositionIndex = frame + 1
    # PS3.3 C.7.6.17.2: the value of a dimension that points to an index is that index itself
    content.DimensionIndexValues = [frame + 1] if segment is None else [segment, frame + 1]
    if source.frame_date_times is not None:
        content.FrameReferenceDateTime = source.frame_date_times[frame]
    groups = Dataset()
    groups.FrameContentSequence = [content]
    groups.DerivationImageSequence = [_derivation(source, frame)]
    if segment is not None:
        identification = Dataset()
        identification.ReferencedSegmentNumber = segment
        groups.SegmentIdentificationSequence = [identification]
    return groups


def origin_comments(segments: Sequence[Segment], frame: int) -> str:
    """Return who made each segment's mask on a frame, e.g. ``segment 1: manual; segment 2: model``.

    Segment Algorithm Type describes a segment as a whole; this describes each frame, for people and for our reader.
    """
    return "; ".join(f"segment {segment.number}: {segment.lesion.origin(frame).value}" for segment in segments)


def _derivation(source: DicomSource, frame: int) -> Dataset:
    """Return the item that says which source frame a frame was made from (PS3.3 C.7.6.16.2.6)."""
    reference = instance_reference(source.instance(frame), source.frame_number(frame))
    reference.SpatialLocationsPreserved = "YES"
    reference.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE_PURPOSE)]
    derivation = Dataset()
    derivation.SourceImageSequence = [reference]
    derivation.DerivationCodeSequence = [code_item(SEGMENTATION_DERIVATION)]
    return derivation


def _referenced_series(instances: Iterable[Instance]) -> list[Dataset]:
    """Return the items of the Common Instance Reference module (PS3.3 C.12.2)."""
    items = []
    for series, members in by_series(instances).items():
        item = Dataset()
        item.SeriesInstanceUID = series
        item.ReferencedInstanceSequence = [instance_reference(member) for member in members]
        items.append(item)
    return items


def _add_pixel_description(dataset: Dataset, source: DicomSource, kind: SegmentationKind, frame_count: int) -> None:
    """Add the Image Pixel attributes that the Segmentation Image module fixes (PS3.3 C.8.20.2)."""
    bits = 1 if kind is SegmentationKind.BINARY else 8
    dataset.NumberOfFrames = frame_count
    dataset.Rows, dataset.Columns = source.rows, source.columns
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelRepresentation = 0
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    if kind is SegmentationKind.LABELMAP:
        dataset.PixelPaddingValue = 0  # the background segment


def _segment(segment: Segment) -> Dataset:
    """Return a Segment Sequence item (PS3.3 Table C.8.20-4)."""
    lesion, terms = segment.lesion, segment.lesion.terminology
    algorithm_type = lesion.algorithm_type(segment.frames)
    item = Dataset()
    item.SegmentNumber = segment.number
    item.SegmentLabel = lesion.name
    item.SegmentAlgorithmType = algorithm_type.value
    item.SegmentedPropertyCategoryCodeSequence = [code_item(terms.category)]
    item.SegmentedPropertyTypeCodeSequence = [code_item(terms.property_type)]
    if terms.anatomic_region is not None:
        region = code_item(terms.anatomic_region)
        if terms.laterality is not None:
            region.AnatomicRegionModifierSequence = [code_item(terms.laterality)]
        item.AnatomicRegionSequence = [region]
    item.TrackingUID = lesion.tracking_uid
    item.TrackingID = lesion.tracking_id
    if algorithm_type is not AlgorithmType.MANUAL and lesion.model is not None:
        item.SegmentAlgorithmName = lesion.model.name
        item.SegmentationAlgorithmIdentificationSequence = [_algorithm(lesion.model, lesion.seed_models)]
    if lesion.color is not None:
        color = highdicom.color.CIELabColor.from_rgb(*lesion.color)
        item.RecommendedDisplayCIELabValue = list(color.value)
    return item


def _algorithm(model: ModelIdentity, seed_models: Sequence[ModelIdentity]) -> Dataset:
    """Return the Algorithm Identification item (PS3.3 Table 10-19) of the model that propagated.

    The standard allows an item for each model, but highdicom opens no SEG with more than one: models that drew seeds
    are a parameter.
    """
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = [code_item(ARTIFICIAL_INTELLIGENCE)]
    item.AlgorithmName = model.name
    item.AlgorithmVersion = model.version
    if drawn_by := [f"{one.name} {one.version}" for one in dict.fromkeys(seed_models) if one != model]:
        item.AlgorithmParameters = f"seed_model={'; '.join(drawn_by)}"
    return item


def _background() -> Dataset:
    """Return the item that describes label 0 of a label map."""
    item = Dataset()
    item.SegmentNumber = 0
    item.SegmentLabel = "Background"
    item.SegmentAlgorithmType = AlgorithmType.AUTOMATIC.value
    item.SegmentAlgorithmName = PRODUCT
    item.SegmentedPropertyCategoryCodeSequence = [code_item(BACKGROUND)]
    item.SegmentedPropertyTypeCodeSequence = [code_item(BACKGROUND)]
    return item


def _add_dimensions(dataset: Dataset, kind: SegmentationKind) -> None:
    """Add the Multi-frame Dimension module (PS3.3 C.7.6.17): segment, then time."""
    organization = Dataset()
    organization.DimensionOrganizationUID = new_uid()
    dataset.DimensionOrganizationSequence = [organization]
    dimensions = [("Temporal Position Index", _TEMPORAL_POSITION)]
    if kind is SegmentationKind.BINARY:
        dimensions.insert(0, ("Segment Number", _SEGMENT_NUMBER))
    dataset.DimensionIndexSequence = []
    for label, (pointer, group) in dimensions:
        item = Dataset()
        item.DimensionOrganizationUID = organization.DimensionOrganizationUID
        item.DimensionIndexPointer = pointer
        item.FunctionalGroupPointer = group
        item.DimensionDescriptionLabel = label
        dataset.DimensionIndexSequence.append(item)
