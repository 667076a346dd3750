"""The Segment Editor's masking settings, respected by what the module draws and by what it propagates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import slicer
import vtk

from UltrasoundLesionSegLib.cine import Cine, Frame, Mask
from UltrasoundLesionSegLib.mrml.frames import image_from_array
from UltrasoundLesionSegLib.mrml.labelmaps import FrameGeometry, read_mask


def draw_mask(mask: Mask, editor_node: Any, segment_id: str) -> None:
    """Replace a segment on the frame shown by a mask, within the editable area and intensity range of the editor.

    Other segments stay as they are, whatever the editor's overwrite mode says.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    editor_node : vtkMRMLSegmentEditorNode
        With segmentation and source volume set.
    segment_id : str
    """
    overwrite = editor_node.GetOverwriteMode()
    editor_node.SetOverwriteMode(editor_node.OverwriteNone)
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    logic.SetSegmentEditorNode(editor_node)
    logic.UpdateReferenceGeometryImage()
    logic.ModifySegmentByLabelmap(
        editor_node.GetSegmentationNode(),
        segment_id,
        labelmap_of(mask, editor_node.GetSourceVolumeNode()),
        logic.ModificationModeSet,
        False,
        False,
    )
    logic.SetSegmentEditorNode(None)
    editor_node.SetOverwriteMode(overwrite)


def other_segments(editor_node: Any, segment_id: str) -> Mask:
    """Return where segments other than this one are on the frame shown, bool (H, W)."""
    geometry = FrameGeometry.of_volume(editor_node.GetSourceVolumeNode())
    segmentation = editor_node.GetSegmentationNode().GetSegmentation()
    masks = {one: read_mask(segmentation, one, geometry) for one in segmentation.GetSegmentIDs() if one != segment_id}
    return _union(masks, geometry.shape)


def shown_mask(editor_node: Any, segment_id: str) -> Mask:
    """Return a segment's mask on the frame shown, stored or not yet, bool (H, W)."""
    geometry = FrameGeometry.of_volume(editor_node.GetSourceVolumeNode())
    return read_mask(editor_node.GetSegmentationNode().GetSegmentation(), segment_id, geometry)


def restricts(editor_node: Any | None) -> bool:
    """Whether the editor's masking lets only a part of the image be changed."""
    everywhere = slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere
    return editor_node is not None and bool(
        editor_node.GetSourceVolumeIntensityMask() or editor_node.GetMaskMode() != everywhere
    )


def describe_masking(editor_node: Any | None) -> str:
    """Return the sentence on what the editor's masking kept masks out of, '' where it restricts nothing."""
    if editor_node is None or not restricts(editor_node):
        return ""
    limits = []
    if editor_node.GetSourceVolumeIntensityMask():
        lowest, highest = editor_node.GetSourceVolumeIntensityMaskRange()
        limits.append(f"intensity range {lowest:g} to {highest:g}")
    if editor_node.GetMaskMode() != slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere:
        limits.append("editable area")
    return f"Limited by the editor's masking ({' and '.join(limits)})."


def editable_area(
    editor_node: Any, frame: Frame, masks: Mapping[str, Mask], segment_id: str, visible: Collection[str]
) -> Mask:
    """Return where the editor's masking lets a segment be changed on a frame.

    Parameters
    ----------
    editor_node : vtkMRMLSegmentEditorNode
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    masks : mapping of str to ndarray of bool, shape (H, W)
        All segments on that frame.
    segment_id : str
        The segment that is to be changed; it does not mask itself.
    visible : collection of str
        Segments that are shown.

    Returns
    -------
    ndarray of bool, shape (H, W)
    """
    area = np.ones(frame.shape[:2], bool)
    if editor_node.GetSourceVolumeIntensityMask():
        lowest, highest = editor_node.GetSourceVolumeIntensityMaskRange()
        grey = frame if frame.ndim == 2 else frame.mean(axis=2)
        area &= (grey >= lowest) & (grey <= highest)
    mode, segmentation = editor_node.GetMaskMode(), slicer.vtkMRMLSegmentationNode
    others = {one: mask for one, mask in masks.items() if one != segment_id}
    shown = {one: mask for one, mask in others.items() if one in visible}
    if mode == segmentation.EditAllowedInsideAllSegments:
        area &= _union(others, area.shape)
    elif mode == segmentation.EditAllowedInsideVisibleSegments:
        area &= _union(shown, area.shape)
    elif mode == segmentation.EditAllowedOutsideAllSegments:
        area &= ~_union(others, area.shape)
    elif mode == segmentation.EditAllowedOutsideVisibleSegments:
        area &= ~_union(shown, area.shape)
    elif mode == segmentation.EditAllowedInsideSingleSegment and editor_node.GetMaskSegmentID() in others:
        area &= others[editor_node.GetMaskSegmentID()]
    return area


def area_for_propagation(editor_node: Any, browser: Any, cine: Cine) -> Callable[[int, str], Mask] | None:
    """Return the editor's masking as ``propagateSteps`` takes it, None where the editor restricts nothing.

    Parameters
    ----------
    editor_node : vtkMRMLSegmentEditorNode or None
    browser : vtkMRMLSequenceBrowserNode
    cine : Cine
    """
    if not restricts(editor_node):
        return None
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

    sequence = SegmentationSequence.find(browser)
    if sequence is None:
        return None
    display = sequence.proxy.GetDisplayNode()
    identifiers = [segment.id for segment in sequence.segments()]
    visible = [one for one in identifiers if display is None or display.GetSegmentVisibility(one)]

    def area(frame: int, segment_id: str) -> Mask:
        masks = {one: sequence.read(frame, one) for one in identifiers}
        return editable_area(editor_node, cine.frames[frame], masks, segment_id, visible)

    return area


def _union(masks: Mapping[str, Mask], shape: tuple[int, ...]) -> Mask:
    return np.logical_or.reduce([np.zeros(shape, bool), *masks.values()])


def labelmap_of(mask: Mask, volume: Any) -> Any:
    """Return a mask as the vtkOrientedImageData that Slicer's segment editor works with.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    volume : vtkMRMLVolumeNode
        Gives the geometry.
    """
    image = slicer.vtkOrientedImageData()
    image.ShallowCopy(image_from_array(mask.astype(np.uint8)))
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image
