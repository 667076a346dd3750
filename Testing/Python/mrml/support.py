"""Small cines, masks and nodes for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Calibration, Cine, Mask, Timing

HEIGHT, WIDTH = 67, 93  # odd on purpose


def random_frames(count: int, *form: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (count, *(form or (HEIGHT, WIDTH))), dtype=np.uint8)


def make_cine(count: int = 6, color: bool = False) -> Cine:
    frames = random_frames(count, HEIGHT, WIDTH, 3) if color else random_frames(count)
    calibration = Calibration(0.0812345678, 0.0712345678, "SequenceOfUltrasoundRegions")
    return Cine.from_array(frames, calibration, Timing(np.arange(count) / 25.0, "FrameTime"))


def disk(row: float, column: float, radius: float, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Mask:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def oriented_image(mask: Mask, matrix: Any) -> Any:
    """Make the labelmap that an editor would hand over."""
    import slicer
    from vtk.util.numpy_support import numpy_to_vtk

    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, mask.shape[1] - 1, 0, mask.shape[0] - 1, 0, 0)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    scalars = numpy_to_vtk(np.ascontiguousarray(mask, np.uint8).ravel(), deep=True)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def paint(segmentation_node: Any, segment_id: str, mask: Mask, geometry: Any) -> None:
    """Set a segment's mask on a segmentation node with the call that Segment Editor's effects end in."""
    import slicer

    logic = slicer.vtkSlicerSegmentationsModuleLogic
    image = oriented_image(mask, geometry.ijk_to_ras)
    assert logic.SetBinaryLabelmapToSegment(image, segmentation_node, segment_id, logic.MODE_REPLACE)


def node_ids(scene: Any) -> set[str]:
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}
