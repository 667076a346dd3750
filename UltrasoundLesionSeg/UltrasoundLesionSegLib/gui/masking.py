"""Draws a mask into a segment the way Slicer's own effects do, so that the editor's masking settings are respected."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from UltrasoundLesionSegLib.cine import Mask


def draw_mask(mask: Mask, editor_node: Any, segment_id: str) -> None:
    """Replace a segment on the frame shown by a mask, within the editable area and intensity range of the editor.

    Other segments are changed only as the editor's overwrite mode says.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    editor_node : vtkMRMLSegmentEditorNode
        With segmentation and source volume set.
    segment_id : str
    """
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    logic.SetSegmentEditorNode(editor_node)
    logic.UpdateReferenceGeometryImage()
    logic.ModifySegmentByLabelmap(
        editor_node.GetSegmentationNode(),
        segment_id,
        _labelmap(mask, editor_node.GetSourceVolumeNode()),
        logic.ModificationModeSet,
        False,
        False,
    )
    logic.SetSegmentEditorNode(None)


def _labelmap(mask: Mask, volume: Any) -> Any:
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(mask.shape[1], mask.shape[0], 1)
    scalars = numpy_to_vtk(np.ascontiguousarray(mask, np.uint8).ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image
