"""Segmentations of 3D Slicer in .seg.nrrd files -> label maps by frame, with their names."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.seed_levels import LabelMap
from UltrasoundLesionSegLib.readers.seed_paints import MAX_LESIONS
from UltrasoundLesionSegLib.readers.seed_volumes import Masks, resampled, target_space
from UltrasoundLesionSegLib.readers.volume import VolumePixels, data_path_of
from UltrasoundLesionSegLib.readers.volume_headers import FrameAxes, VolumeHeader
from UltrasoundLesionSegLib.readers.volume_space import Space, space_of

_Segment = tuple[str, int, int]  # name, layer, label value


def is_segmentation(header: VolumeHeader) -> bool:
    """Whether a NRRD header is that of a segmentation."""
    return "segmentation_masterrepresentation" in header.fields or "segment0_id" in header.fields


def read_segments(
    header: VolumeHeader, path: Path, shape: tuple[int, int] | None, space: Space | None
) -> tuple[Masks, dict[int, str], bool]:
    """Read the segments of a .seg.nrrd as Slicer's segmentation storage node writes them.

    Layers are a list axis; ``SegmentN_Layer`` and ``SegmentN_LabelValue`` say where a segment is, the
    ``Segmentation_ReferenceImageExtentOffset`` where the array lies in the reference image, whose size is at the end of
    the conversion parameter "Reference image geometry". Where the reference image is another grid than the cine, the
    places in space decide.

    Parameters
    ----------
    header : VolumeHeader
    path : Path
    shape : tuple of int, optional
        ``(H, W)`` of the cine, for a file that does not say how large its reference image was.
    space : Space or None
        Of the cine, where it has one.

    Returns
    -------
    masks : dict of (int or None) to ndarray of uint8, shape (H, W)
    names : dict of int to str
    is_resampled : bool

    Raises
    ------
    SeedError, SourceError
    """
    pixels = VolumePixels(data_path_of(path, header), header)
    try:
        stored = pixels.array()  # slowest axis first
    except (ValueError, OSError, zlib.error):
        raise SeedError("the seed's file is damaged or cut off; save it again") from None
    layered = stored if header.axes[0].kind == "list" else stored[..., np.newaxis]
    if layered.ndim != 4:
        raise SeedError("the seed is no segmentation of a cine's frames; segment a frame of the cine and save that")
    columns, rows, slices, offset = _reference(header, layered.shape, shape)
    for height, width in ((rows, columns), layered.shape[1:3]):
        check_frame_size(height, width)
    check_frame_count(layered.shape[0])
    segments = _segments_of(header, layered.shape[3])
    names = {label: name for label, (name, _, _) in enumerate(segments, start=1)}
    grids = _other_grid(header, space, (columns, rows, slices), offset)
    masks: Masks = {}
    if grids is not None:
        for frame, layers in enumerate(resampled([np.asarray(one) for one in layered], *grids)):
            masks[frame] = _labels(layers, segments, layers.shape[:2], (0, 0))
        return {frame: labels for frame, labels in masks.items() if labels.any()}, names, True
    for at in range(layered.shape[0]):
        if not 0 <= at + offset[0] < slices:  # beside the reference image
            continue
        labels = _labels(np.asarray(layered[at]), segments, (rows, columns), offset[1:])
        if labels.any():
            masks[None if slices == 1 else at + offset[0]] = labels
    return masks, names, False


def _other_grid(
    header: VolumeHeader, cine: Space | None, size: tuple[int, int, int], offset: Sequence[int]
) -> tuple[Space, Space] | None:
    """Return the grids of the cine and of the stored array where the reference image is not the cine's grid."""
    if cine is None:
        return None
    first = int(header.axes[0].kind == "list")  # the layers
    stored = space_of(header, FrameAxes(first, first + 1, first + 2, None))
    if stored is None:
        return None
    origin = stored.origin - stored.steps @ np.array([offset[2], offset[1], offset[0]], float)
    reference = Space(stored.steps, origin, size, stored.has_frame_step)
    return None if target_space(cine, reference) is None else (cine, stored)


def _labels(
    layers: NDArray[Any], segments: Sequence[_Segment], shape: tuple[int, ...], offset: Sequence[int]
) -> LabelMap:
    """Return the label map of one slice ``(H, W, layers)`` put at ``offset`` (row, column) of a frame."""
    labels = np.zeros(shape, np.uint8)
    for label, (_, layer, value) in enumerate(segments, start=1):
        painted = np.argwhere(layers[..., layer] == value) + np.array(offset)
        row, column = painted[((painted >= 0) & (painted < shape)).all(axis=1)].T
        labels[row, column] = np.where(labels[row, column] == 0, label, labels[row, column])
    return labels


def _segments_of(header: VolumeHeader, layers: int) -> list[_Segment]:
    """Return the name, layer and label value of each segment, in the order of their numbers."""
    numbered = [int(name[7:-3]) for name in header.fields if name.startswith("segment") and name.endswith("_id")]
    if len(numbered) > MAX_LESIONS:
        raise SeedError(f"the seed has {len(numbered)} segments; give at most {MAX_LESIONS}")
    segments = []
    for label, number in enumerate(sorted(numbered), start=1):
        name = header.fields.get(f"segment{number}_name", f"Segment {label}")
        layer = int(header.fields.get(f"segment{number}_layer", 0))
        if not 0 <= layer < layers:
            raise SeedError("the seed's header is damaged: a segment lies in a layer that is not there; save it again")
        segments.append((name, layer, int(header.fields.get(f"segment{number}_labelvalue", 1))))
    return segments


def _reference(
    header: VolumeHeader, stored: tuple[int, ...], shape: tuple[int, int] | None
) -> tuple[int, int, int, tuple[int, int, int]]:
    """Return columns, rows and slices of the reference image, and the array's offset in it, slowest axis first."""
    written = header.fields.get("segmentation_referenceimageextentoffset", "0 0 0").split()
    offset = (int(written[2]), int(written[1]), int(written[0]))
    parameters = header.fields.get("segmentation_conversionparameters", "").split("&")
    geometry = next((one.split("|")[1] for one in parameters if one.startswith("Reference image geometry|")), "")
    numbers = [float(one) for one in geometry.split(";") if one.strip()]
    if len(numbers) == 22 and all(
        abs(one) < 2**24 for one in numbers
    ):  # a 4 x 4 matrix, then the extent: first and last column, row, slice
        first_column, last_column, first_row, last_row, first_slice, last_slice = (int(one) for one in numbers[16:])
        offset = (offset[0] - first_slice, offset[1] - first_row, offset[2] - first_column)
        return last_column - first_column + 1, last_row - first_row + 1, last_slice - first_slice + 1, offset
    # an old or foreign writer: the reference image is taken to begin where the offset counts from
    rows, columns = shape or (offset[1] + stored[1], offset[2] + stored[2])
    return columns, rows, offset[0] + stored[0], offset
