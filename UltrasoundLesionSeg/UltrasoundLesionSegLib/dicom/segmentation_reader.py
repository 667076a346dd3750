"""Read a DICOM Segmentation of an ultrasound cine, ours or another program's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sr.coding import Code

from UltrasoundLesionSegLib.cine import Cine, Mask, Origin
from UltrasoundLesionSegLib.dicom import normalize
from UltrasoundLesionSegLib.dicom.instance import PRODUCT
from UltrasoundLesionSegLib.dicom.lesions import ModelIdentity, is_label
from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom
from UltrasoundLesionSegLib.dicom.segmentation_planes import SegmentationPlanes, damaged
from UltrasoundLesionSegLib.dicom.terminology import BACKGROUND, Terminology
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.deflated import plain_stream
from UltrasoundLesionSegLib.readers.lesion_names import distinct_names
from UltrasoundLesionSegLib.readers.sniff import Format, sniff

_ORIGIN_COMMENT = re.compile(r"segment (\d+): (\w+)")
# origin of masks from other programs: in doubt a person's, which no model overwrites
_ORIGIN_OF_TYPE = {"MANUAL": Origin.MANUAL, "SEMIAUTOMATIC": Origin.EDITED}


class SegmentMasks(Mapping[int, Mask]):
    """The masks of one segment by cine frame (counted from 0), decoded when asked for.

    Frames that the segmentation does not hold are not in the mapping: there the lesion was not seen, or not looked for.
    """

    def __init__(self, planes: SegmentationPlanes, segment: int, indices: Mapping[int, tuple[int, ...]]) -> None:
        self._planes = planes
        self._segment = segment
        self._indices = dict(sorted(indices.items()))

    def __getitem__(self, frame: int) -> Mask:
        masks = [self._planes.mask(index, self._segment) for index in self._indices[frame]]
        return np.logical_or.reduce(masks)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)


@dataclass(frozen=True)
class ImportedSegment:
    """One segment of a segmentation file.

    Parameters
    ----------
    number : int
        Segment number in the file.
    name : str
        Its label, with a number behind it where an earlier segment has the same: they are different lesions. Text of
        the file, to be shown to a person but not logged.
    masks : mapping of int to ndarray of bool, shape (H, W)
        By cine frame, counted from 0.
    origins : mapping of int to Origin
        Who made each of those masks. Files of ours say so frame by frame; in others the segment's algorithm type
        decides, and SEMIAUTOMATIC counts as a person's work.
    tracking_uid, tracking_id : str
        '' where the file has none.
    model : ModelIdentity or None
        The algorithm named for the segment.
    terminology : Terminology
    """

    number: int
    name: str
    masks: Mapping[int, Mask]
    origins: Mapping[int, Origin]
    tracking_uid: str
    tracking_id: str
    model: ModelIdentity | None
    terminology: Terminology


@dataclass(frozen=True)
class ImportedSegmentation:
    """The segments of a file, background excluded, and what a person should know of it."""

    segments: tuple[ImportedSegment, ...]
    notes: tuple[str, ...] = ()


def read_segmentation(path: Path, cine: Cine, between_frames: Callable[[], None] | None = None) -> ImportedSegmentation:
    """Read a DICOM Segmentation that was made for a cine.

    Its frames are matched to the cine's by the instances and frame numbers they refer to, never by their order.
    BINARY, LABELMAP and FRACTIONAL segmentations are read.

    Parameters
    ----------
    path : Path
    cine : Cine
    between_frames : callable, optional
        Called before the description of each frame is read, so that a window can repaint itself.

    Raises
    ------
    SeedError
        When the file is not a segmentation, is damaged, is of another cine or size, or does not say which frames its
        masks belong to.
    """
    dataset = _read_file(path)
    if not cine.identity.sop_instance_uids:
        raise SeedError(
            "a DICOM segmentation belongs to DICOM images but this cine came from something else; "
            "load the images the segmentation was made on"
        )
    with quiet_dicom():
        planes = SegmentationPlanes(dataset)
    if (planes.rows, planes.columns) != cine.shape:
        raise SeedError(
            f"the segmentation is {planes.rows} x {planes.columns} pixels but the cine's frames are "
            f"{cine.height} x {cine.width}; choose the segmentation of this cine"
        )
    with quiet_dicom():
        try:
            return _assemble(dataset, planes, cine, between_frames)
        except SeedError:
            raise
        # sequences that must have an item and do not, values that are no numbers; elements are parsed when they are
        # looked at, and pydicom then raises anything: the text may quote the file
        except Exception:
            raise damaged() from None


def _read_file(path: Path) -> Dataset:
    """Read the file; raises ``SeedError`` unless it is a segmentation."""
    try:
        if sniff(path) is not Format.DICOM:
            raise ValueError
        with quiet_dicom(), path.open("rb") as stream:
            dataset = dcmread(plain_stream(stream), force=True)
            modality = normalize.text(dataset, "Modality")
    # any exception of pydicom for a damaged file; its text is not passed on, because it may quote the file
    except Exception:
        raise SeedError("the segmentation file is not readable DICOM; choose a DICOM SEG file") from None
    if modality != "SEG":
        raise SeedError("the file is DICOM but not a segmentation; choose a DICOM SEG file")
    return dataset


def _assemble(
    dataset: Dataset, planes: SegmentationPlanes, cine: Cine, between_frames: Callable[[], None] | None
) -> ImportedSegmentation:
    """Match the planes to the cine and describe the segments."""
    groups = dataset.PerFrameFunctionalGroupsSequence
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    if len(groups) != planes.count:
        raise ValueError
    instances = {uid: number for number, uid in enumerate(cine.identity.sop_instance_uids)}
    indices: dict[int, dict[int, list[int]]] = {}
    comments: dict[tuple[int, int], str] = {}
    for index, group in enumerate(groups):
        if between_frames is not None:
            between_frames()
        frame = _cine_frame(group, shared, instances, len(cine))
        if frame is None:
            continue
        for number in _segment_numbers(group, shared, planes, index):
            indices.setdefault(number, {}).setdefault(frame, []).append(index)
            comments[number, frame] = _frame_comment(group)
    if not indices:
        raise SeedError(
            "the segmentation was made on other images than this cine; choose the segmentation of this cine"
        )
    ours = normalize.text(dataset, "ManufacturerModelName") == PRODUCT
    segments = []
    items = [item for item in dataset.SegmentSequence if not _is_background(item)]
    for item, name in zip(items, distinct_names(_label(item) for item in items), strict=True):
        number = int(item.SegmentNumber)
        frames = {frame: tuple(found) for frame, found in indices.get(number, {}).items()}
        said = {frame: comments[number, frame] if ours else "" for frame in frames}
        segments.append(_segment(item, name, SegmentMasks(planes, number, frames), said))
    return ImportedSegmentation(tuple(segments), _notes(planes))


def _cine_frame(group: Dataset, shared: Dataset, instances: Mapping[str, int], length: int) -> int | None:
    """Return the cine frame (from 0) that a segmentation frame was derived from, None when it is of other images.

    PS3.3 C.7.6.16.2.6: Derivation Image, per frame or shared.

    Parameters
    ----------
    group, shared : Dataset
        Functional groups.
    instances : mapping of str to int
        SOP Instance UIDs of the cine and their order.
    length : int
        Frames of the cine.
    """
    frames: set[int] = set()
    references = 0
    for derivation in group.get("DerivationImageSequence") or shared.get("DerivationImageSequence") or []:
        for reference in derivation.get("SourceImageSequence") or []:
            references += 1
            uid = reference.ReferencedSOPInstanceUID
            if uid in instances:
                # for a single object the stated number counts, even if it has one frame only
                frames |= {instances[uid]} if len(instances) > 1 else _referenced_frames(reference, length)
    if not references or len(frames) > 1:
        raise SeedError(
            "the segmentation does not say which single frame of its images each mask belongs to, so it cannot be "
            "matched to the cine; save it with references to the source frames"
        )
    if any(not 0 <= frame < length for frame in frames):
        raise SeedError(f"the segmentation has a mask for a frame beyond the cine's {length}; load all its frames")
    return frames.pop() if frames else None


def _referenced_frames(reference: Dataset, length: int) -> set[int]:
    """Return the frames (from 0) that a reference to a multi-frame image names."""
    numbers: Any = reference.get("ReferencedFrameNumber")
    if numbers is None:
        return set(range(length))  # PS3.3 Table 10-3: no number means all frames
    return {int(number) - 1 for number in (numbers if isinstance(numbers, MultiValue) else [numbers])}


def _segment_numbers(group: Dataset, shared: Dataset, planes: SegmentationPlanes, index: int) -> list[int]:
    """Return the segments that a frame holds."""
    if planes.type == "LABELMAP":
        return planes.labels(index)
    identification = group.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence
    return [int(identification[0].ReferencedSegmentNumber)]


def _frame_comment(group: Dataset) -> str:
    """Return Frame Comments of a frame, '' when it has none."""
    content = group.get("FrameContentSequence") or [Dataset()]
    return normalize.text(content[0], "FrameComments")


def _is_background(item: Dataset) -> bool:
    """Whether a segment describes what is not segmented."""
    types = item.get("SegmentedPropertyTypeCodeSequence") or [Dataset()]
    return int(item.SegmentNumber) == 0 or normalize.text(types[0], "CodeValue") == BACKGROUND.value


def _label(item: Dataset) -> str:
    """Return a segment's label, which need not be there."""
    return normalize.text(item, "SegmentLabel") or f"Segment {int(item.SegmentNumber)}"


def _segment(item: Dataset, name: str, masks: SegmentMasks, comments: Mapping[int, str]) -> ImportedSegment:
    """Describe one Segment Sequence item."""
    number = int(item.SegmentNumber)
    of_type = _ORIGIN_OF_TYPE.get(normalize.text(item, "SegmentAlgorithmType"), Origin.MODEL)
    return ImportedSegment(
        number,
        name,
        masks,
        {frame: _said_origin(comments[frame], number) or of_type for frame in masks},
        normalize.text(item, "TrackingUID"),
        normalize.text(item, "TrackingID"),
        _model(item),
        _terminology(item),
    )


def _said_origin(comment: str, number: int) -> Origin | None:
    """Return what a frame comment of ours says of a segment's mask."""
    said = {int(segment): origin for segment, origin in _ORIGIN_COMMENT.findall(comment)}
    try:
        return Origin(said.get(number))
    except ValueError:
        return None


def _model(item: Dataset) -> ModelIdentity | None:
    """Return the algorithm a segment names."""
    name = normalize.text(item, "SegmentAlgorithmName")
    identification = (item.get("SegmentationAlgorithmIdentificationSequence") or [Dataset()])[0]
    name = normalize.text(identification, "AlgorithmName") or name
    version = normalize.text(identification, "AlgorithmVersion") or "unknown"
    return ModelIdentity(name, version) if is_label(name) and is_label(version) else None


def _terminology(item: Dataset) -> Terminology:
    """Return a segment's codes; those the file lacks keep their default."""
    default = Terminology()
    region = (item.get("AnatomicRegionSequence") or [Dataset()])[0]
    return Terminology(
        _code(item, "SegmentedPropertyCategoryCodeSequence") or default.category,
        _code(item, "SegmentedPropertyTypeCodeSequence") or default.property_type,
        _code(item, "AnatomicRegionSequence"),
        _code(region, "AnatomicRegionModifierSequence"),
    )


def _code(dataset: Dataset, keyword: str) -> Code | None:
    """Return the first code of a sequence, or None."""
    item = (dataset.get(keyword) or [Dataset()])[0]
    value = normalize.text(item, "CodeValue") or normalize.text(item, "LongCodeValue")
    scheme = normalize.text(item, "CodingSchemeDesignator")
    return Code(value, scheme, normalize.text(item, "CodeMeaning") or value) if value and scheme else None


def _notes(planes: SegmentationPlanes) -> tuple[str, ...]:
    """Return what a person should know of how the masks were read."""
    if planes.type == "FRACTIONAL":
        return ("The segmentation holds fractions; a pixel counts as lesion from one half on.",)
    return ()
