"""Write lesion masks of an ultrasound cine as a DICOM Segmentation (PS3.3 A.51, or A.90 for a label map)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite

from UltrasoundLesionSegLib.dicom.encoding import elements, item
from UltrasoundLesionSegLib.dicom.lesions import LesionDescription
from UltrasoundLesionSegLib.dicom.pixel_stream import (
    PlaneStore,
    compress_plane,
    pack_plane,
    write_bits,
    write_fragments,
)
from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom
from UltrasoundLesionSegLib.dicom.segmentation_header import (
    Segment,
    SegmentationKind,
    frame_groups,
    origin_comments,
    segmentation_header,
)
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.errors import NotExpressibleError, OutputError
from UltrasoundLesionSegLib.writers.atomic import atomic_path

MaskSource = Callable[[int], NDArray[np.bool_]]

_MOST_LABELS = 255
_UNDEFINED_LENGTH = b"\xff\xff\xff\xff"
_PER_FRAME_GROUPS = b"\x00\x52\x30\x92SQ\x00\x00"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


@dataclass(frozen=True)
class WrittenSegmentation:
    """What refers to a segmentation needs: measurements, archives, logs.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, series_instance_uid : str
    segment_numbers : mapping of int to int
        Lesion (counted from 0, as given) to segment number (from 1). A lesion seen on no frame is not written.
    frame_numbers : mapping of (int, int) to int
        ``(lesion, source frame)``, both from 0, to the number of the segmentation's frame, from 1.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    segment_numbers: Mapping[int, int]
    frame_numbers: Mapping[tuple[int, int], int]


def write_segmentation(
    path: Path,
    source: DicomSource,
    lesions: Sequence[LesionDescription],
    masks: MaskSource | NDArray[np.bool_],
    kind: SegmentationKind = SegmentationKind.BINARY,
    between_frames: Callable[[], None] | None = None,
) -> WrittenSegmentation:
    """Write a segmentation file.

    Frames without a lesion are left out, as are lesions without a frame; each frame names the source instance and
    frame it belongs to, so nothing depends on their order. Memory does not grow with the length of the cine.

    Parameters
    ----------
    path : Path
        File to write, ``.dcm``.
    source : DicomSource
        From ``DicomSource.from_cine``.
    lesions : sequence of LesionDescription, length K
    masks : callable or ndarray of bool, shape (T, K, H, W)
        A callable gives the masks ``(K, H, W)`` of a frame; it is asked for each frame once, in order, and may raise to
        cancel: nothing is left behind.
    kind : SegmentationKind
    between_frames : callable, optional
        Called before each frame's attributes are written, so that a window can repaint itself. It may raise to cancel.

    Raises
    ------
    OutputError
        When no frame has a lesion, the masks do not fit the cine, lesions overlap in a label map, or the file cannot be
        written.
    """
    get_masks = masks if callable(masks) else masks.__getitem__
    with PlaneStore() as store:
        seen, overlap = _collect(store, source, len(lesions), get_masks, kind)
        segments = {
            lesion: Segment(_segment_number(kind, lesion, position), lesions[lesion], seen[lesion])
            for position, lesion in enumerate(sorted(seen))
        }
        with quiet_dicom(), atomic_path(path) as temporary, temporary.open("wb") as file:
            dataset = segmentation_header(source, list(segments.values()), kind, len(store), overlap)
            dcmwrite(file, dataset, enforce_file_format=True)
            _write_frame_groups(file, source, segments, store.ordered_keys(), kind, between_frames)
            if kind is SegmentationKind.BINARY:
                write_bits(file, store, source.rows * source.columns)
            else:
                write_fragments(file, store)
        order = {key: number for number, key in enumerate(store.ordered_keys(), start=1)}
    return WrittenSegmentation(
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
        dataset.SeriesInstanceUID,
        {lesion: segment.number for lesion, segment in segments.items()},
        {(lesion, frame): order[_key(kind, lesion, frame)] for lesion, frames in seen.items() for frame in frames},
    )


def _segment_number(kind: SegmentationKind, lesion: int, position: int) -> int:
    """Return a segment's number: its label in a label map, without gaps otherwise (PS3.3 C.8.20.2)."""
    return (position if kind is SegmentationKind.BINARY else lesion) + 1


def _key(kind: SegmentationKind, lesion: int, frame: int) -> tuple[int, int]:
    """Return where a mask is stored: a label map has one plane for all lesions of a frame."""
    return (lesion if kind is SegmentationKind.BINARY else 0, frame)


def _collect(
    store: PlaneStore, source: DicomSource, lesion_count: int, get_masks: MaskSource, kind: SegmentationKind
) -> tuple[dict[int, list[int]], bool]:
    """Encode every mask that is not empty.

    Returns
    -------
    dict of int to list of int
        The frames on which each lesion is seen; lesions seen nowhere are missing.
    bool
        Whether lesions overlap.
    """
    if lesion_count > _MOST_LABELS:
        raise OutputError(f"a segmentation of {lesion_count} lesions is not supported; write at most {_MOST_LABELS}")
    shape = (lesion_count, source.rows, source.columns)
    seen: dict[int, list[int]] = {}
    overlap = False
    for frame in range(source.frame_count):
        planes = np.asarray(get_masks(frame))
        if planes.shape != shape or planes.dtype != np.bool_:
            raise OutputError(
                f"the masks of frame {frame} are {planes.dtype} of shape {planes.shape} but must be bool of shape "
                f"{shape}; give the masks of the cine that the segmentation is written for"
            )
        visible = np.flatnonzero(planes.any(axis=(1, 2))).tolist()
        for lesion in visible:
            seen.setdefault(lesion, []).append(frame)
        overlap = overlap or (len(visible) > 1 and bool((planes.sum(axis=0, dtype=np.uint8) > 1).any()))
        if kind is SegmentationKind.BINARY:
            for lesion in visible:
                store.put((lesion, frame), pack_plane(planes[lesion]))
        elif visible:
            _check_no_overlap(overlap, frame)
            labels = np.arange(1, lesion_count + 1, dtype=np.uint8)
            store.put((0, frame), compress_plane(np.einsum("k,khw->hw", labels, planes.view(np.uint8))))
    if not seen:
        raise NotExpressibleError(
            "no frame has a lesion, and a DICOM segmentation must have one; segment a lesion first"
        )
    return seen, overlap


def _check_no_overlap(overlap: bool, frame: int) -> None:
    """Raise ``OutputError`` when lesions overlap: a label map has one number a pixel."""
    if overlap:
        raise OutputError(
            f"the lesions overlap on frame {frame}, which a label map cannot hold; write a binary segmentation"
        )


def _write_frame_groups(
    file: BinaryIO,
    source: DicomSource,
    segments: Mapping[int, Segment],
    keys: Sequence[tuple[int, int]],
    kind: SegmentationKind,
    between_frames: Callable[[], None] | None,
) -> None:
    """Write the Per-Frame Functional Groups Sequence item by item (PS3.5 7.5), in the order of the planes."""
    by_frame: dict[int, list[Segment]] = {}
    for segment in segments.values():
        for frame in segment.frames:
            by_frame.setdefault(frame, []).append(segment)
    file.write(_PER_FRAME_GROUPS + _UNDEFINED_LENGTH)
    for lesion, frame in keys:
        if between_frames is not None:
            between_frames()
        binary = kind is SegmentationKind.BINARY
        shown = [segments[lesion]] if binary else by_frame[frame]
        number = segments[lesion].number if binary else None
        file.write(item(elements(frame_groups(source, frame, number, origin_comments(shown, frame)))))
    file.write(_SEQUENCE_END)
