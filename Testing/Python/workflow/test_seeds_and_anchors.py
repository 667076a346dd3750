"""What a person says of frames: where it is stored, and what of it is kept."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow


def test_a_segmentation_of_a_plain_volume_seeds_the_frame_named(logic: UltrasoundLesionWorkflow) -> None:
    volume = slicer.util.addVolumeFromArray(np.random.default_rng(0).integers(0, 255, (6, 40, 50), dtype=np.uint8))
    browser = logic.useNode(volume)
    painted = np.zeros((6, 40, 50), np.uint8)
    painted[4, 10:20, 10:20] = painted[0, 30:35, 30:35] = 1
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Own")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("S1", "Tumour")
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, "S1", volume)
    logic.setSeed(browser, node, frame=4)
    assert np.array_equal(logic.masks(browser), (painted != 0) & (np.arange(6) == 4)[:, None, None])
    with pytest.raises(SeedError, match="the seed is empty"):
        logic.setSeed(browser, node, frame=3)
