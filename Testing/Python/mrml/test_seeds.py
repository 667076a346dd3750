"""Seeds from segmentations in the cine's geometry, in others, and on plain volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml.cine_nodes import browser_from_volume
from UltrasoundLesionSegLib.mrml.labelmaps import FrameGeometry
from UltrasoundLesionSegLib.mrml.seeds import mask_from_segmentation, masks_from_segmentation

from .support import HEIGHT, WIDTH, disk, oriented_image, paint, random_frames


@pytest.fixture
def geometry(browser: Any) -> FrameGeometry:
    return FrameGeometry.of_volume(browser.GetMasterSequenceNode().GetNthDataNode(0))


@pytest.fixture
def own(scene: Any) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Own")
    node.GetSegmentation().AddEmptySegment("S1", "Tumour")
    return node


def with_labelmap(node: Any, mask: np.ndarray, matrix: Any) -> None:
    image = oriented_image(mask, matrix)
    node.GetSegmentation().GetSegment("S1").AddRepresentation("Binary labelmap", image)


def moved(
    geometry: FrameGeometry, scale: float = 1.0, columns: float = 0.0, rows: float = 0.0, depth: float = 0.0
) -> Any:
    """The frame's matrix with other spacing and its first pixel elsewhere (in the frame's pixels and mm of depth)."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(geometry.ijk_to_ras)
    for axis, shift in enumerate((columns, rows)):
        matrix.SetElement(axis, 3, shift * matrix.GetElement(axis, axis))
        matrix.SetElement(axis, axis, scale * matrix.GetElement(axis, axis))
    matrix.SetElement(2, 3, depth)
    return matrix


@pytest.mark.parametrize("key", ["S1", "Tumour"])
def test_painted_on_the_cines_volume(browser: Any, own: Any, geometry: FrameGeometry, key: str) -> None:
    mask = disk(30, 40, 11)
    paint(own, "S1", mask, geometry)
    before = own.GetSegmentation().GetMTime()
    assert np.array_equal(mask_from_segmentation(own, key, browser), mask)
    assert own.GetSegmentation().GetMTime() == before


def test_a_segment_of_several_in_one_layer(browser: Any, own: Any, geometry: FrameGeometry) -> None:
    own.GetSegmentation().AddEmptySegment("S2", "Other")
    paint(own, "S1", disk(20, 20, 8), geometry)
    paint(own, "S2", disk(50, 60, 8), geometry)
    own.GetSegmentation().CollapseBinaryLabelmaps(True)
    assert np.array_equal(mask_from_segmentation(own, "S2", browser), disk(50, 60, 8))


def test_a_grid_shifted_by_whole_pixels_is_copied_exactly(browser: Any, own: Any, geometry: FrameGeometry) -> None:
    part = np.random.default_rng(0).random((20, 30)) < 0.5
    with_labelmap(own, part, moved(geometry, columns=50, rows=-5))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[0:15, 50:80] = part[5:]
    assert np.array_equal(mask_from_segmentation(own, "S1", browser), expected)


def test_a_finer_grid_is_resampled(browser: Any, own: Any, geometry: FrameGeometry) -> None:
    fine = disk(60, 80, 24, (2 * HEIGHT, 2 * WIDTH))
    with_labelmap(own, fine, moved(geometry, scale=0.5))
    found = mask_from_segmentation(own, "S1", browser)
    expected = fine[::2, ::2]
    assert np.count_nonzero(found != expected) <= 0.03 * expected.sum()


def test_a_coarser_grid_slightly_out_of_the_plane_is_resampled(browser: Any, own: Any, geometry: FrameGeometry) -> None:
    coarse = disk(15, 20, 6, (HEIGHT // 2, WIDTH // 2))
    with_labelmap(own, coarse, moved(geometry, scale=2, depth=0.3))
    found = mask_from_segmentation(own, "S1", browser)
    assert found.sum() == pytest.approx(4 * coarse.sum(), rel=0.1)
    rows, columns = np.nonzero(found)
    assert (rows.mean(), columns.mean()) == pytest.approx((30, 40), abs=1)


def test_transforms_of_both_are_respected(scene: Any, browser: Any, own: Any, geometry: FrameGeometry) -> None:
    mask = disk(30, 40, 11)
    paint(own, "S1", mask, geometry)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 10 * geometry.ijk_to_ras.GetElement(0, 0))
    shift = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift.SetMatrixTransformToParent(matrix)
    own.SetAndObserveTransformNodeID(shift.GetID())
    assert np.array_equal(mask_from_segmentation(own, "S1", browser), disk(30, 50, 11))
    browser.GetProxyNode(browser.GetMasterSequenceNode()).SetAndObserveTransformNodeID(shift.GetID())
    assert np.array_equal(mask_from_segmentation(own, "S1", browser), mask)


def test_a_segment_that_is_a_surface(browser: Any, own: Any, geometry: FrameGeometry) -> None:
    paint(own, "S1", disk(30, 40, 11), geometry)
    geometry.make_reference_of(own.GetSegmentation())
    segmentation = own.GetSegmentation()
    assert segmentation.CreateRepresentation("Closed surface")
    segmentation.SetSourceRepresentationName("Closed surface")
    segmentation.RemoveRepresentation("Binary labelmap")
    found = mask_from_segmentation(own, "S1", browser)
    assert np.count_nonzero(found != disk(30, 40, 11)) <= 0.2 * found.sum()
    assert not segmentation.ContainsRepresentation("Binary labelmap")


def test_an_empty_segment_is_an_empty_mask(browser: Any, own: Any, geometry: FrameGeometry) -> None:
    assert not mask_from_segmentation(own, "S1", browser).any()
    paint(own, "S1", np.zeros((HEIGHT, WIDTH), bool), geometry)
    assert not mask_from_segmentation(own, "S1", browser).any()


def test_what_cannot_be_a_seed_is_refused(scene: Any, browser: Any, own: Any, geometry: FrameGeometry) -> None:
    with pytest.raises(SceneError, match="no such segment"):
        mask_from_segmentation(own, "Tumo", browser)
    own.GetSegmentation().AddEmptySegment("S2", "Tumour")
    with pytest.raises(SceneError, match="several segments"):
        mask_from_segmentation(own, "Tumour", browser)
    for nothing in (None, scene.AddNewNodeByClass("vtkMRMLModelNode")):
        with pytest.raises(SceneError, match="no segmentation"):
            mask_from_segmentation(nothing, "S1", browser)
    for elsewhere in (moved(geometry, columns=500), moved(geometry, depth=40)):
        with_labelmap(own, disk(30, 40, 11), elsewhere)
        with pytest.raises(SceneError, match="outside"):
            mask_from_segmentation(own, "S1", browser)


def test_painted_on_the_slices_of_a_plain_volume(scene: Any, own: Any) -> None:
    volume = slicer.util.addVolumeFromArray(random_frames(5))
    volume.SetSpacing(0.3, 0.2, 2.5)
    volume.SetOrigin(5, 6, 7)
    browser = browser_from_volume(volume)
    own.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    painted = np.zeros((5, HEIGHT, WIDTH), np.uint8)
    painted[1], painted[3] = disk(30, 40, 11), disk(20, 50, 9)
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, own, "S1", volume)
    found = masks_from_segmentation(own, "S1", browser)
    assert sorted(found) == [1, 3]
    assert np.array_equal(found[3], painted[3] != 0)
    assert np.array_equal(mask_from_segmentation(own, "S1", browser, frame=1), painted[1] != 0)
    assert not mask_from_segmentation(own, "S1", browser).any()
