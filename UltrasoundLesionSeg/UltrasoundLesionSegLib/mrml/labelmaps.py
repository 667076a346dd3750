"""Masks of a frame as the binary labelmaps of a vtkSegmentation, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml.frames import NO_IMAGES, image_of
from UltrasoundLesionSegLib.mrml.plain_images import plain_classes, scalars_of, set_scalars
from UltrasoundLesionSegLib.mrml.segments import segment_ids

BINARY_LABELMAP = "Binary labelmap"
_LABELS_PER_LAYER = 255  # labelmaps are uint8, 0 is background
_ALIGNED = 1e-2  # pixels by which two pixel grids may differ at the frame's corners and still count as one


@dataclass(frozen=True)
class FrameGeometry:
    """Size and place of a cine's frames.

    Parameters
    ----------
    height, width : int
    ijk_to_ras : vtkMatrix4x4
        From (column, row, slice) to mm in the volume's own coordinates.
    """

    height: int
    width: int
    ijk_to_ras: Any

    @classmethod
    def of_volume(cls, volume_node: Any) -> FrameGeometry:
        """Take the geometry of a one-slice volume node.

        Raises
        ------
        SceneError
            When the node has no voxels, as in a scene whose data files are missing.
        """
        with plain_classes:
            image = image_of(volume_node)
            if image is None:
                raise SceneError(NO_IMAGES)
            width, height, _ = image.GetDimensions()
        matrix = vtk.vtkMatrix4x4()
        volume_node.GetIJKToRASMatrix(matrix)
        return cls(height, width, matrix)

    @property
    def shape(self) -> tuple[int, int]:
        """``(H, W)``."""
        return self.height, self.width

    def reference_image(self) -> Any:
        """Return an empty vtkOrientedImageData that covers the frame."""
        image = slicer.vtkOrientedImageData()
        image.SetExtent(0, self.width - 1, 0, self.height - 1, 0, 0)
        image.SetGeometryFromImageToWorldMatrix(self.ijk_to_ras)
        return image

    def make_reference_of(self, segmentation: Any) -> None:
        """Set the vtkSegmentation's reference geometry.

        Without it, a labelmap that is all zero or one pixel can be saved, but reading the file crashes Slicer.
        """
        converter = slicer.vtkSegmentationConverter
        segmentation.SetConversionParameter(
            converter.GetReferenceImageGeometryParameterName(),
            converter.SerializeImageGeometry(self.ijk_to_ras, self.reference_image()),
        )


def read_mask(segmentation: Any, segment_id: str, geometry: FrameGeometry) -> Mask:
    """Read a segment's mask on the frame.

    Parameters
    ----------
    segmentation : vtkSegmentation
    segment_id : str
    geometry : FrameGeometry

    Returns
    -------
    ndarray of bool, shape (H, W)
        All False where the segment is missing or has no labelmap.
    """
    segment = segmentation.GetSegment(segment_id)
    labelmap = segment.GetRepresentation(BINARY_LABELMAP) if segment is not None else None
    if labelmap is None or labelmap.IsEmpty():
        return np.zeros(geometry.shape, bool)
    return read_labelmap(labelmap, segment.GetLabelValue(), geometry)


def read_labelmap(labelmap: Any, label: int, geometry: FrameGeometry) -> Mask:
    """Read where a vtkOrientedImageData has this label, on the frame's own pixels.

    A labelmap on the frame's pixel grid is copied; one on another grid is resampled to the nearest pixel.
    """
    offset = _grid_offset(labelmap, geometry)
    if offset is None:
        labelmap, offset = _resampled(labelmap, label, geometry), (0, 0, 0)
        label = 1
    mask = np.zeros(geometry.shape, bool)
    i0, i1, j0, j1, k0, k1 = (int(bound) for bound in labelmap.GetExtent())
    scalars = scalars_of(labelmap)
    if scalars is None:
        return mask
    voxels = vtk_to_numpy(scalars).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    i0, j0, k0 = i0 + offset[0], j0 + offset[1], k0 + offset[2]
    if not k0 <= 0 < k0 + len(voxels):
        return mask
    # the part of the labelmap that lies on the frame
    rows = slice(max(j0, 0), min(j0 + voxels.shape[1], geometry.height))
    columns = slice(max(i0, 0), min(i0 + voxels.shape[2], geometry.width))
    if rows.start < rows.stop and columns.start < columns.stop:
        part = voxels[-k0, rows.start - j0 : rows.stop - j0, columns.start - i0 : columns.stop - i0]
        mask[rows, columns] = part == label
    return mask


def write_masks(segmentation: Any, masks: Mapping[str, Mask], geometry: FrameGeometry) -> None:
    """Replace the labelmaps of all segments.

    Segments that do not overlap share one labelmap, cropped to them; overlapping ones lie in further layers. A segment
    without a pixel has no voxel of its label in the first layer. It is not left without a labelmap at all: Slicer's
    writer of .seg.nrrd crashes on that.

    Parameters
    ----------
    segmentation : vtkSegmentation
    masks : mapping of str to ndarray of bool, shape (H, W)
        One a segment; segments that are not named become empty.
    geometry : FrameGeometry
    """
    ids = segment_ids(segmentation)
    boxes = {one: box for one in ids if one in masks and (box := _bounding_box(masks[one])) is not None}
    layers = _layers(boxes, masks) or [[]]
    layers[0] = layers[0] + [one for one in ids if one not in boxes]
    for members in layers:
        labelmap = _labelmap([(masks[one], boxes[one]) for one in members if one in boxes], geometry)
        for label, one in enumerate(members, start=1):
            segment = segmentation.GetSegment(one)
            segment.SetLabelValue(label)
            segment.AddRepresentation(BINARY_LABELMAP, labelmap)


_Box = tuple[int, int, int, int]  # first and last row, first and last column, all inclusive


def _bounding_box(mask: Mask) -> _Box | None:
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def _layers(boxes: Mapping[str, _Box], masks: Mapping[str, Mask]) -> list[list[str]]:
    """Put each segment in the first layer where it overlaps no other."""
    layers: list[list[str]] = []
    for one in boxes:
        for members in layers:
            if len(members) < _LABELS_PER_LAYER and not any(_overlap(one, other, boxes, masks) for other in members):
                members.append(one)
                break
        else:
            layers.append([one])
    return layers


def _overlap(one: str, other: str, boxes: Mapping[str, _Box], masks: Mapping[str, Mask]) -> bool:
    top, bottom = max(boxes[one][0], boxes[other][0]), min(boxes[one][1], boxes[other][1])
    left, right = max(boxes[one][2], boxes[other][2]), min(boxes[one][3], boxes[other][3])
    if top > bottom or left > right:
        return False
    common = np.s_[top : bottom + 1, left : right + 1]
    return bool((masks[one][common] & masks[other][common]).any())


def _labelmap(members: list[tuple[Mask, _Box]], geometry: FrameGeometry) -> Any:
    """Make the labelmap that holds these masks with labels 1, 2, ..., cropped to them; empty without any."""
    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(geometry.ijk_to_ras)
    if not members:
        image.SetExtent(0, -1, 0, -1, 0, -1)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        return image
    boxes = np.array([box for _, box in members])
    top, left, bottom, right = boxes[:, 0].min(), boxes[:, 2].min(), boxes[:, 1].max(), boxes[:, 3].max()
    voxels = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    for label, (mask, _) in enumerate(members, start=1):
        voxels[mask[top : bottom + 1, left : right + 1]] = label
    image.SetExtent(int(left), int(right), int(top), int(bottom), 0, 0)
    scalars = numpy_to_vtk(voxels.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    scalars.SetName("ImageScalars")
    set_scalars(image, scalars)
    return image


def _grid_offset(labelmap: Any, geometry: FrameGeometry) -> tuple[int, int, int] | None:
    """Return by how many whole pixels the labelmap's grid is shifted against the frame's; None when grids differ."""
    to_world = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(to_world)
    from_world = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(geometry.ijk_to_ras, from_world)
    to_frame = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Multiply4x4(from_world, to_world, to_frame)
    matrix = _as_array(to_frame)
    offset = np.rint(matrix[:3, 3])
    drift = np.abs(matrix[:3, :2] - np.eye(3)[:, :2]) * (geometry.width, geometry.height)
    # the slice axis only has to point out of the frame: a one-slice labelmap's thickness says nothing
    through = matrix[2, 2] != 0 and np.abs(matrix[:2, 2]).max() < _ALIGNED
    if drift.max() > _ALIGNED or not through or np.abs(matrix[:3, 3] - offset).max() > _ALIGNED:
        return None
    if matrix[2, 2] != 1 and labelmap.GetDimensions()[2] > 1:
        return None
    return int(offset[0]), int(offset[1]), int(offset[2])


def _resampled(labelmap: Any, label: int, geometry: FrameGeometry) -> Any:
    """Bring one label of a labelmap on the frame's grid, nearest neighbour."""
    threshold = vtk.vtkImageThreshold()
    threshold.SetInputData(labelmap)
    threshold.ThresholdBetween(label, label)
    threshold.SetInValue(1)
    threshold.SetOutValue(0)
    threshold.SetOutputScalarTypeToUnsignedChar()
    threshold.Update()
    only = slicer.vtkOrientedImageData()
    only.ShallowCopy(threshold.GetOutput())
    only.CopyDirections(labelmap)
    result = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        only, geometry.reference_image(), result, False, False
    )
    return result


def _as_array(matrix: Any) -> NDArray[np.float64]:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
