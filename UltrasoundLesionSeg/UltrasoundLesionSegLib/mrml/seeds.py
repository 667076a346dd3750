"""Seeds from segmentations that users made themselves, in whatever geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.mrml.cine_of_browser import master_sequence
from UltrasoundLesionSegLib.mrml.labelmaps import BINARY_LABELMAP, FrameGeometry, read_labelmap
from UltrasoundLesionSegLib.mrml.segments import segment_ids


def mask_from_segmentation(segmentation_node: Any, segment: str, browser: Any, frame: int | None = None) -> Mask:
    """Read a segment as a mask of the cine's frame. The segmentation is not changed.

    A segmentation painted on the cine's own volume is copied pixel by pixel; one in another geometry, or under another
    transform, is resampled to the nearest pixel. Where the cine was made of a plain volume (``browser_from_volume``)
    and the segmentation belongs to that volume, the slice of ``frame`` is taken.

    Parameters
    ----------
    segmentation_node : vtkMRMLSegmentationNode
    segment : str
        Id or, where no segment has this id, name.
    browser : vtkMRMLSequenceBrowserNode
    frame : int, optional
        By default the browser's selected frame.

    Returns
    -------
    ndarray of bool, shape (H, W)
        All False when the segment is empty.

    Raises
    ------
    SceneError
        When the segment does not exist or lies outside the cine's frames.
    """
    found = masks_from_segmentation(segmentation_node, segment, browser)
    chosen = int(browser.GetSelectedItemNumber()) if frame is None else frame
    if _source_volume(segmentation_node, browser) is None:
        return next(iter(found.values()))
    return found.get(chosen, np.zeros(_frame_geometry(browser).shape, bool))


def masks_from_segmentation(segmentation_node: Any, segment: str, browser: Any) -> dict[int, Mask]:
    """Read a segment as masks by frame.

    Parameters
    ----------
    segmentation_node, segment, browser
        As for :func:`mask_from_segmentation`.

    Returns
    -------
    dict of int to ndarray of bool, shape (H, W)
        The browser's selected frame alone, except where the segmentation belongs to the volume that the cine was made
        of: then every frame on whose slice something is painted.

    Raises
    ------
    SceneError
        As for :func:`mask_from_segmentation`.
    """
    labelmap, label = _labelmap(segmentation_node, segment)
    geometry = _frame_geometry(browser)
    volume = _source_volume(segmentation_node, browser)
    selected = max(0, int(browser.GetSelectedItemNumber()))
    if labelmap is None:
        return {} if volume is not None else {selected: np.zeros(geometry.shape, bool)}
    if volume is None:
        proxy = browser.GetProxyNode(master_sequence(browser))
        labelmap = _in_coordinates_of(proxy, segmentation_node, labelmap)
        found = {selected: read_labelmap(labelmap, label, geometry)}
    else:
        labelmap = _in_coordinates_of(volume, segmentation_node, labelmap)
        count = master_sequence(browser).GetNumberOfDataNodes()
        slices = {frame: read_labelmap(labelmap, label, _slice_geometry(volume, frame)) for frame in range(count)}
        found = {frame: mask for frame, mask in slices.items() if mask.any()}
    if not any(mask.any() for mask in found.values()):
        raise SceneError("the segment lies outside the cine's frames; paint it on the cine's volume")
    return found


def find_segment(segmentation: Any, segment: str) -> str:
    """Return the id of the segment with this id or, where none has it, this name.

    Parameters
    ----------
    segmentation : vtkSegmentation
    segment : str

    Raises
    ------
    SceneError
        When there is none, or several have this name.
    """
    if segmentation.GetSegment(segment) is not None:
        return segment
    named = [one for one in segment_ids(segmentation) if segmentation.GetSegment(one).GetName() == segment]
    if not named:
        raise SceneError("the segmentation has no such segment; give the name or the id of one of its segments")
    if len(named) > 1:
        raise SceneError("the segmentation has several segments of that name; give the segment's id")
    return named[0]


def _labelmap(segmentation_node: Any, segment: str) -> tuple[Any, int]:
    """Return the segment's vtkOrientedImageData, None when nothing is painted, and its label."""
    if segmentation_node is None or not segmentation_node.IsA("vtkMRMLSegmentationNode"):
        raise SceneError("there is no segmentation; choose one with a painted segment")
    segmentation = segmentation_node.GetSegmentation()
    segment_id = find_segment(segmentation, segment)
    one = segmentation.GetSegment(segment_id)
    labelmap = one.GetRepresentation(BINARY_LABELMAP)
    if labelmap is None:
        one = _converted(segmentation, segment_id)
        labelmap = one.GetRepresentation(BINARY_LABELMAP)
    if labelmap is None or labelmap.IsEmpty():
        return None, 0
    bounds = labelmap.GetScalarRange()
    label = one.GetLabelValue()
    # nothing of this label is the same as nothing painted
    return (labelmap, label) if bounds[0] <= label <= bounds[1] else (None, 0)


def _converted(segmentation: Any, segment_id: str) -> Any:
    """Make the labelmap of a segment that has none (surfaces, contours) in a copy of it."""
    copy = slicer.vtkSegmentation()
    copy.SetSourceRepresentationName(segmentation.GetSourceRepresentationName())
    copy.CopyConversionParameters(segmentation)
    copy.CopySegmentFromSegmentation(segmentation, segment_id)
    if not copy.CreateRepresentation(BINARY_LABELMAP):
        raise SceneError("the segment cannot be turned into a labelmap; export it to a labelmap in Segmentations first")
    return copy.GetSegment(segment_id)


def _frame_geometry(browser: Any) -> FrameGeometry:
    return FrameGeometry.of_volume(master_sequence(browser).GetNthDataNode(0))


def _source_volume(segmentation_node: Any, browser: Any) -> Any:
    """Return the plain volume that the cine was made of when the segmentation belongs to it, else None."""
    volume = master_sequence(browser).GetNodeReference(layout.SOURCE_VOLUME_REFERENCE)
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    belongs = volume is not None and segmentation_node.GetNodeReferenceID(role) == volume.GetID()
    return volume if belongs else None


def _slice_geometry(volume: Any, index: int) -> FrameGeometry:
    """Return the geometry of one slice of a volume."""
    width, height, _ = volume.GetImageData().GetDimensions()
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    for row in range(3):
        matrix.SetElement(row, 3, matrix.GetElement(row, 3) + index * matrix.GetElement(row, 2))
    return FrameGeometry(height, width, matrix)


def _in_coordinates_of(volume: Any, segmentation_node: Any, labelmap: Any) -> Any:
    """Bring the labelmap into the volume node's own coordinates where the two are under different transforms."""
    ours = volume.GetParentTransformNode() if volume is not None else None
    theirs = segmentation_node.GetParentTransformNode()
    if ours is theirs:
        return labelmap
    between = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(theirs, ours, between)
    moved = slicer.vtkOrientedImageData()
    moved.DeepCopy(labelmap)
    slicer.vtkOrientedImageDataResample.TransformOrientedImage(moved, between)
    return moved
