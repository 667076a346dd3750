"""Cine -> nodes -> cine, and browsers that others made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration, Cine, Frame, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import FrameError, SceneError, SourceError
from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine, browser_from_volume
from UltrasoundLesionSegLib.mrml.cine_of_browser import cine_from_browser
from UltrasoundLesionSegLib.mrml.frames import image_from_array
from UltrasoundLesionSegLib.mrml.layout import DICOM_INSTANCE_UIDS
from UltrasoundLesionSegLib.mrml.removal import remove_cine
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

from .support import HEIGHT, WIDTH, make_cine, node_ids, random_frames


def proxy_of(browser: Any) -> Any:
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


def test_the_layout_is_that_of_slicers_dicom_import(scene: Any) -> None:
    cine = make_cine()
    browser = add_cine(cine, "US 1")
    sequence, proxy = browser.GetMasterSequenceNode(), proxy_of(browser)
    assert (browser.GetName(), sequence.GetName(), proxy.GetName()) == ("US 1 browser", "US 1", "US 1")
    assert proxy.GetClassName() == "vtkMRMLScalarVolumeNode"
    assert slicer.util.arrayFromVolume(proxy).shape == (1, HEIGHT, WIDTH)
    matrix = vtk.vtkMatrix4x4()
    proxy.GetIJKToRASMatrix(matrix)
    expected = np.diag([-cine.calibration.column_mm, -cine.calibration.row_mm, 1, 1])
    assert np.allclose(slicer.util.arrayFromVTKMatrix(matrix), expected, rtol=1e-12)
    assert (sequence.GetIndexName(), sequence.GetIndexUnit()) == ("time", "s")
    assert sequence.GetStorageNode().GetClassName() == "vtkMRMLVolumeSequenceStorageNode"
    assert browser.GetPlaybackRateFps() == pytest.approx(25)
    assert not browser.GetPlaybackItemSkippingEnabled()
    assert proxy.GetDisplayNode() is not None
    for frame in range(len(cine)):
        browser.SetSelectedItemNumber(frame)
        assert np.array_equal(slicer.util.arrayFromVolume(proxy)[0], cine.frames[frame])


@pytest.mark.parametrize(("color", "count"), [(False, 1), (True, 1), (False, 6), (True, 6)])
def test_a_cine_comes_back(scene: Any, color: bool, count: int) -> None:
    cine = make_cine(count, color)
    found = cine_from_browser(add_cine(cine))
    assert (found.shape, found.is_color, len(found)) == (cine.shape, color, count)
    assert np.array_equal(np.stack(list(found)), np.stack(list(cine)))
    assert (found.identity.digest, found.identity.kind) == (cine.identity.digest, cine.identity.kind)
    assert found.calibration == cine.calibration
    assert np.array_equal(found.timing.seconds, cine.timing.seconds)
    assert (found.timing.source, found.timing.approximate) == ("FrameTime", False)


def test_the_shape_of_a_pixel_and_parts_over_time_come_back(scene: Any) -> None:
    cine = replace(make_cine(), calibration=None, pixel_aspect=4 / 3, other_regions=((0, 1, 2, 3), (4, 5, 6, 7)))
    found = cine_from_browser(add_cine(cine))
    assert (found.pixel_aspect, found.other_regions) == (4 / 3, ((0, 1, 2, 3), (4, 5, 6, 7)))
    found = cine_from_browser(add_cine(make_cine()))
    assert (found.pixel_aspect, found.other_regions) == (None, ())


def test_color_frames_are_rgb_vector_volumes(scene: Any) -> None:
    proxy = proxy_of(add_cine(make_cine(2, color=True)))
    assert proxy.GetClassName() == "vtkMRMLVectorVolumeNode"
    assert slicer.util.arrayFromVolume(proxy).shape == (1, HEIGHT, WIDTH, 3)
    assert proxy.GetVoxelVectorType() == slicer.vtkMRMLVolumeNode.VoxelVectorTypeColorRGB


@pytest.mark.parametrize(
    "seconds",
    [
        np.arange(6) / 4000.0,  # closer than Slicer's own tolerance of 1 ms
        np.array([0, 0, 0.1, 0.1, 0.1, 0.3]),  # equal times cannot be an index
        np.array([0, 1e-7, 0.1, 0.2, 1 / 3, 2 / 3]),
        np.array([0, 0.04, 0.08, 86400.125, 1e6 + 1 / 3, 1e6 + 2 / 3]),
    ],
)
def test_no_frame_is_lost_to_its_time(scene: Any, seconds: np.ndarray) -> None:
    frames = random_frames(6)
    browser = add_cine(Cine.from_array(frames, timing=Timing(seconds, "FrameTimeVector", approximate=True)))
    found = cine_from_browser(browser)
    assert np.array_equal(np.stack(list(found)), frames)
    assert np.array_equal(found.timing.seconds, seconds)
    assert found.timing.approximate
    for frame in range(6):
        browser.SetSelectedItemNumber(frame)
        assert np.array_equal(slicer.util.arrayFromVolume(proxy_of(browser))[0], frames[frame])


def test_unknown_calibration_and_timing_stay_unknown(scene: Any) -> None:
    browser = add_cine(
        Cine.from_array(random_frames(2), notes=("No regions: 100% of it; see a=b:c|d.", "Zweite Äußerung"))
    )
    found = cine_from_browser(browser)
    assert found.calibration is None
    assert found.timing is None
    assert found.notes == ("No regions: 100% of it; see a=b:c|d.", "Zweite Äußerung")
    assert browser.GetPlaybackRateFps() == 10
    assert browser.GetMasterSequenceNode().GetIndexName() == "frame"


def test_a_calibration_of_exactly_one_millimetre_stays_known(scene: Any) -> None:
    calibration = Calibration(1.0, 1.0, "PixelSpacing", "a note")
    found = cine_from_browser(add_cine(Cine.from_array(random_frames(2), calibration)))
    assert found.calibration == calibration


def test_regions_and_instance_uids_come_back(scene: Any) -> None:
    regions = (
        CalibratedRegion((0, 0, 30, 40), Calibration(0.1, 0.2, "region 1", "x")),
        CalibratedRegion((31, 0, 60, 40), Calibration(0.3, 0.4, "region 2")),
    )
    for uids in [("1.2.3",), ("1.2.3", "1.2.4", "1.2.5")]:
        identity = SourceIdentity(SourceKind.DICOM_SERIES, "ab" * 32, uids)
        browser = add_cine(Cine(random_frames(3), HEIGHT, WIDTH, False, identity, None, regions))
        found = cine_from_browser(browser)
        assert found.regions == regions
        assert found.identity == identity
        assert proxy_of(browser).GetAttribute(DICOM_INSTANCE_UIDS) == "1.2.3"
        assert browser.GetName() == "cine-abababab browser" or len(uids) == 3


class LazyFrames:
    """A source that decodes one frame at a time, cannot read one, and may fail altogether."""

    def __init__(self, count: int, broken: int | None = None, fails_at: int | None = None) -> None:
        self.count, self.broken, self.fails_at = count, broken, fails_at
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> Frame:
        self.asked.append(index)
        if index == self.broken:
            raise FrameError(index, "its data are damaged")
        if index == self.fails_at:
            raise SourceError("the source went away")
        return np.full((HEIGHT, WIDTH), index, np.uint8)


def lazy_cine(frames: LazyFrames) -> Cine:
    return Cine(frames, HEIGHT, WIDTH, False, SourceIdentity(SourceKind.VIDEO, "0" * 64))


def test_each_frame_is_decoded_once_and_an_unreadable_one_is_named_and_black(scene: Any) -> None:
    frames = LazyFrames(5, broken=3)
    browser = add_cine(lazy_cine(frames))
    assert frames.asked == [0, 1, 2, 3, 4]
    found = cine_from_browser(browser)
    assert found.frames[4].max() == 4
    with pytest.raises(FrameError, match=r"frame 3 .*damaged"):
        found.frames[3]
    browser.SetSelectedItemNumber(3)
    assert slicer.util.arrayFromVolume(proxy_of(browser)).max() == 0


def test_a_source_that_fails_leaves_the_scene_as_it_was(scene: Any) -> None:
    before = node_ids(scene)
    with pytest.raises(SourceError):
        add_cine(lazy_cine(LazyFrames(5, fails_at=2)))
    assert node_ids(scene) == before


def test_a_cine_that_is_opened_again_has_the_name_it_had(scene: Any) -> None:
    for _ in range(2):
        browser = add_cine(make_cine(), "case-0001")
        lesions = SegmentationSequence.create(browser, [], "case-0001 lesions").sequence
        names = [one.GetName() for one in (browser, browser.GetMasterSequenceNode(), lesions)]
        assert names == ["case-0001 browser", "case-0001", "case-0001 lesions"]
        remove_cine(browser)


def test_names_are_unique_and_equal_cines_do_not_mix(scene: Any) -> None:
    first, second = add_cine(make_cine(2), "x"), add_cine(make_cine(3), "x")
    assert first.GetName() != second.GetName()
    assert proxy_of(first).GetName() != proxy_of(second).GetName()
    assert (len(cine_from_browser(first)), len(cine_from_browser(second))) == (2, 3)


def test_frames_are_read_only_views_and_end_with_the_scene(scene: Any) -> None:
    browser = add_cine(make_cine())
    cine = cine_from_browser(browser)
    image = browser.GetMasterSequenceNode().GetNthDataNode(2).GetImageData()
    image.SetScalarComponentFromDouble(5, 4, 0, 0, 77)
    assert cine.frames[2][4, 5] == 77
    with pytest.raises(ValueError, match="read-only"):
        cine.frames[2][0, 0] = 1
    assert np.array_equal(cine.frames[-1], cine.frames[5])
    with pytest.raises(IndexError):
        cine.frames[6]
    scene.Clear(0)
    with pytest.raises(SceneError, match="no longer in the scene"):
        cine.frames[2]
    with pytest.raises(SceneError):
        cine_from_browser(browser)


# --- browsers that others made


def others_browser(
    scene: Any, arrays: list[np.ndarray], index: tuple[str, str, list[str]], spacing: float = 1.0
) -> Any:
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Theirs")
    sequence.SetIndexName(index[0])
    sequence.SetIndexUnit(index[1])
    for array, value in zip(arrays, index[2], strict=True):
        name = "vtkMRMLVectorVolumeNode" if array.ndim == 3 else "vtkMRMLScalarVolumeNode"
        volume = getattr(slicer, name)()
        volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
        volume.SetSpacing(spacing, spacing * 1.5 if spacing != 1.0 else 1.0, 1.0)
        volume.SetAndObserveImageData(image_from_array(array))
        sequence.SetDataNodeAtValue(volume, value)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Theirs browser")
    browser.AddSynchronizedSequenceNode(sequence)
    return browser


def test_slicers_own_import_reads_as_uncalibrated_and_untimed(scene: Any) -> None:
    frames = random_frames(3)
    browser = others_browser(scene, list(frames), ("frame", "", ["0", "1", "2"]))
    found = cine_from_browser(browser)
    assert found.calibration is None
    assert found.timing is None
    assert found.identity.kind is SourceKind.SCENE
    assert found.identity.digest == Cine.from_array(frames).identity.digest
    assert np.array_equal(np.stack(list(found)), frames)


def test_others_spacing_and_time_are_taken_over(scene: Any) -> None:
    browser = others_browser(scene, list(random_frames(3)), ("Time", "ms", ["100", "140", "180"]), spacing=0.2)
    found = cine_from_browser(browser)
    assert found.calibration.spacing == pytest.approx((0.3, 0.2))
    assert np.allclose(found.timing.seconds, [0, 0.04, 0.08])


@pytest.mark.parametrize(
    ("array", "expected", "color"),
    [
        (np.array([[0, 1000], [2000, 4000]], np.uint16), [[0, 64], [128, 255]], False),
        (np.array([[0, 10], [20, 200]], np.int16), [[0, 10], [20, 200]], False),
        (np.array([[-100, 0], [0, 155]], np.int16), [[0, 100], [100, 255]], False),
        (np.array([[0, 0.25], [np.nan, 1]], np.float32), [[0, 64], [0, 255]], False),
        (np.zeros((2, 2), np.float64), [[0, 0], [0, 0]], False),
        (np.arange(16, dtype=np.uint8).reshape(2, 2, 4), [[[0, 1, 2], [4, 5, 6]], [[8, 9, 10], [12, 13, 14]]], True),
        (np.arange(8, dtype=np.uint8).reshape(2, 2, 2), [[0, 2], [4, 6]], False),
    ],
)
def test_other_voxels_become_uint8(scene: Any, array: np.ndarray, expected: list[Any], color: bool) -> None:
    found = cine_from_browser(others_browser(scene, [array], ("frame", "", ["0"])))
    assert found.frames[0].dtype == np.uint8
    assert found.is_color is color
    assert found.frames[0].tolist() == expected


def test_brightness_is_scaled_once_for_all_frames(scene: Any) -> None:
    dim, bright = np.array([[0, 500]], np.uint16), np.array([[0, 1000]], np.uint16)
    found = cine_from_browser(others_browser(scene, [dim, bright], ("frame", "", ["0", "1"])))
    assert (found.frames[0].max(), found.frames[1].max()) == (128, 255)


def test_what_is_no_cine_is_refused(scene: Any) -> None:
    mixed = others_browser(scene, [np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8)], ("frame", "", ["0", "1"]))
    with pytest.raises(SceneError, match="differ in size"):
        cine_from_browser(mixed)
    empty = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    for nothing in (None, empty, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")):
        with pytest.raises(SceneError):
            cine_from_browser(nothing)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    volume = slicer.vtkMRMLScalarVolumeNode()
    slicer.util.updateVolumeFromArray(volume, np.zeros((3, 4, 5), np.uint8))
    sequence.SetDataNodeAtValue(volume, "0")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.AddSynchronizedSequenceNode(sequence)
    with pytest.raises(SceneError, match="3 slices"):
        cine_from_browser(browser)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    sequence.SetDataNodeAtValue(slicer.vtkMRMLModelNode(), "0")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.AddSynchronizedSequenceNode(sequence)
    with pytest.raises(SceneError, match="no images"):
        cine_from_browser(browser)


# --- plain volumes


@pytest.mark.parametrize("color", [False, True])
def test_a_volume_whose_slices_are_frames(scene: Any, color: bool) -> None:
    frames = np.stack(list(make_cine(4, color)))
    node = slicer.vtkMRMLVectorVolumeNode() if color else slicer.vtkMRMLScalarVolumeNode()
    scene.AddNode(node)
    slicer.util.updateVolumeFromArray(node, frames)
    node.SetSpacing(0.2, 0.1, 3.0)
    node.SetName("Stack")
    node.SetAttribute(DICOM_INSTANCE_UIDS, "1.1 1.2 1.3 1.4")
    before, matrix = slicer.util.arrayFromVolume(node).copy(), vtk.vtkMatrix4x4()
    found = cine_from_browser(browser_from_volume(node))
    assert np.array_equal(np.stack(list(found)), frames)
    assert found.is_color is color
    assert found.calibration.spacing == pytest.approx((0.1, 0.2))
    assert found.identity.sop_instance_uids == ("1.1", "1.2", "1.3", "1.4")
    assert np.array_equal(slicer.util.arrayFromVolume(node), before)
    node.GetIJKToRASMatrix(matrix)
    assert matrix.GetElement(0, 0) == pytest.approx(0.2)


def test_volumes_without_voxels_and_label_maps_are_refused(scene: Any) -> None:
    for nothing in (None, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")):
        with pytest.raises(SceneError, match="no voxels"):
            browser_from_volume(nothing)
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    slicer.util.updateVolumeFromArray(labels, np.ones((2, 4, 5), np.uint8))
    with pytest.raises(SceneError, match="label map"):
        browser_from_volume(labels)


def test_a_sequence_file_keeps_everything_but_the_browser(scene: Any, tmp_path: Path) -> None:
    cine = make_cine()
    browser = add_cine(cine)
    path = str(tmp_path / "cine.seq.nrrd")
    assert slicer.util.saveNode(browser.GetMasterSequenceNode(), path, {})
    scene.Clear(0)
    sequence = slicer.util.loadSequence(path, {})
    again = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    again.AddSynchronizedSequenceNode(sequence)
    found = cine_from_browser(again)
    assert np.array_equal(np.stack(list(found)), np.stack(list(cine)))
    assert found.calibration.spacing == pytest.approx(cine.calibration.spacing, rel=1e-9)
    assert found.calibration.source == cine.calibration.source
    assert np.array_equal(found.timing.seconds, cine.timing.seconds)
    assert found.identity.digest == cine.identity.digest
