"""Every lesion keeps an ID and a name of its own: nothing of one comes to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from engine_helpers import disc
from numpy.typing import NDArray
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.mrml.scene_file import load_scene, save_scene
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import SegmentInfo
from UltrasoundLesionSegLib.simulation.cine import simulate_cine
from UltrasoundLesionSegLib.simulation.settings import SimulationSettings
from UltrasoundLesionSegLib.simulation.write import write_simulation
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.tracking import distinct_lesions, numbers_by_lesion

Discs = tuple[Any, NDArray[np.bool_]]
FRAMES, SHAPE = 3, (96, 120)
A, B, C = (disc(SHAPE, row, column, 12) for row, column in ((25, 30), (60, 60), (75, 95)))


@pytest.fixture(scope="module")
def dicom_cine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dicom")
    settings = SimulationSettings(seed=3, frames=FRAMES, height=SHAPE[0], width=SHAPE[1])
    write_simulation(simulate_cine(settings), folder, "dicom")
    return folder / "cine.dcm"


def areas(logic: UltrasoundLesionWorkflow, browser: Any, segment: str) -> list[int]:
    return [int(mask.sum()) for mask in logic.masks(browser, segment)]


def exported(logic: UltrasoundLesionWorkflow, browser: Any, folder: Path) -> tuple[Path, list[Any]]:
    (path,) = logic.export(browser, folder, ("seg",))
    return path, list(pydicom.dcmread(path).SegmentSequence)


# ---- IDs


def test_the_id_of_a_removed_lesion_is_not_given_again(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, _ = discs
    given = [logic.addSegment(browser)]
    for _number in range(3):
        logic.removeSegment(browser, given[-1])
        given.append(logic.addSegment(browser))
    third = logic.addSegment(browser, "Lesion 3")
    assert len({*given, third}) == 5


def test_nor_after_the_scene_was_saved_and_loaded(
    logic: UltrasoundLesionWorkflow, discs: Discs, tmp_path: Path
) -> None:
    browser, _ = discs
    removed, kept = logic.addSegment(browser), logic.addSegment(browser)
    logic.removeSegment(browser, removed)
    (again,) = load_scene(save_scene(tmp_path / "scene.mrb"))
    assert logic.addSegment(again) not in {removed, kept}
    lesions = SegmentationSequence.find(again)
    assert lesions is not None
    lesions.sequence.SetAttribute(layout.REMOVED_SEGMENTS, "{damaged")  # by hand: it opens all the same
    assert len(lesions.used_ids) == 2


def test_undo_puts_nothing_of_a_removed_lesion_into_a_new_one(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (old,) = logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser)
    logic.setSeed(browser, truth[8][0], frame=8)
    logic.propagate(browser)
    logic.removeSegment(browser, old)
    drawn = disc(truth[0][0].shape, 20, 20, 6)
    (new,) = logic.setSeed(browser, drawn, frame=2)
    logic.undoPropagation(browser)
    assert areas(logic, browser, new) == [drawn.sum() if frame == 2 else 0 for frame in range(12)]


def test_a_running_propagation_writes_nothing_into_a_lesion_added_since(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (old,) = logic.setSeed(browser, truth[5][0], frame=5)
    steps = logic.propagateSteps(browser)
    next(steps)
    logic.removeSegment(browser, old)
    new = logic.addSegment(browser)
    assert len([*steps]) == 10
    assert not logic.masks(browser, new).any()


def test_two_lesions_never_have_one_identity_in_dicom(
    logic: UltrasoundLesionWorkflow, dicom_cine: Path, tmp_path: Path
) -> None:
    browser = logic.loadCine(dicom_cine)
    logic.setSeed(browser, A, frame=1, segment="left mass")
    _, (left,) = exported(logic, browser, tmp_path / "1")
    logic.removeSegment(browser, "left mass")
    logic.setSeed(browser, B, frame=1, segment="other mass")
    path, (other,) = exported(logic, browser, tmp_path / "2")
    assert left.TrackingUID != other.TrackingUID
    assert left.TrackingID != other.TrackingID
    # and who takes the file over goes on with the same lesion
    logic.removeCine(browser)
    browser = logic.loadCine(dicom_cine)
    logic.importSegmentation(browser, path)
    _, (again,) = exported(logic, browser, tmp_path / "3")
    assert (again.TrackingUID, again.TrackingID) == (other.TrackingUID, other.TrackingID)


def test_a_dicom_seg_given_as_seeds_goes_on_with_the_same_lesions(
    logic: UltrasoundLesionWorkflow, dicom_cine: Path, tmp_path: Path
) -> None:
    browser = logic.loadCine(dicom_cine)
    for name, mask in (("Lesion", A), ("left mass", B), ("right mass", C)):
        logic.setSeed(browser, mask, frame=1, segment=name)
    logic.removeSegment(browser, "Lesion")
    path, before = exported(logic, browser, tmp_path / "1")
    logic.removeCine(browser)
    browser = logic.loadCine(dicom_cine)
    logic.setSeed(browser, path)
    _, again = exported(logic, browser, tmp_path / "2")
    assert [(one.SegmentLabel, one.TrackingUID) for one in again] == [
        (one.SegmentLabel, one.TrackingUID) for one in before
    ]


def test_lesions_that_were_added_in_slicer_have_numbers_of_their_own(
    logic: UltrasoundLesionWorkflow, dicom_cine: Path, tmp_path: Path
) -> None:
    browser = logic.loadCine(dicom_cine)
    segmentation = logic.startSegmentation(browser).GetSegmentation()
    assert segmentation.AddEmptySegment("", "Cyst")
    logic.commitEdit(browser)
    for name, mask in (("Lesion", C), ("Cyst", A), ("Lesion 2", B)):
        logic.setSeed(browser, mask, frame=1, segment=name)
    _, found = exported(logic, browser, tmp_path)
    assert [one.TrackingID.rpartition(" ")[2] for one in found] == ["1", "3", "2"]


# ---- names


def test_a_new_lesion_gets_a_free_name(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, _ = discs
    for _number in range(2):
        logic.addSegment(browser)
    logic.removeSegment(browser, "Lesion")
    logic.addSegment(browser)
    assert [*logic.segmentNames(browser).values()] == ["Lesion 2", "Lesion 3"]
    with pytest.raises(SceneError, match="another lesion of this cine has this name already"):
        logic.addSegment(browser, "Lesion  2")


def test_a_lesion_cannot_be_renamed_to_the_name_of_another(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, _ = discs
    one, two = logic.addSegment(browser), logic.addSegment(browser)
    with pytest.raises(SceneError, match="another lesion of this cine has this name already; choose another name"):
        logic.renameSegment(browser, one, " Lesion 2 ")
    assert logic.segmentNames(browser) == {one: "Lesion", two: "Lesion 2"}
    logic.renameSegment(browser, one, "Lesion")
    logic.renameSegments(browser, {one: "Lesion 2", two: "Lesion"})
    assert logic.segmentNames(browser) == {one: "Lesion 2", two: "Lesion"}
    with pytest.raises(SceneError, match="this name already"):
        logic.renameSegments(browser, {one: "Cyst", two: "Cyst"})


def test_a_name_is_found_however_it_is_spaced(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, truth = discs
    for frame in (2, 5):
        logic.setSeed(browser, truth[frame][0], frame=frame, segment="left  mass ")
    assert [*logic.segmentNames(browser).values()] == ["left mass"]


def test_a_name_that_slicer_gave_twice_gets_a_number(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, _ = discs
    one, two, three = (logic.addSegment(browser) for _ in range(3))
    shown = logic.segmentationNode(browser).GetSegmentation()
    shown.GetSegment(one).SetName("Lesion 2")
    added = shown.AddEmptySegment("", "Lesion 3")
    logic.commitEdit(browser)
    names = {one: "Lesion 2 (2)", two: "Lesion 2", three: "Lesion 3", added: "Lesion 3 (2)"}
    assert logic.segmentNames(browser) == names
    assert {segment: shown.GetSegment(segment).GetName() for segment in names} == names
    shown.GetSegment(one).SetName("Lesion 2")  # exchanged, both before anything is stored
    shown.GetSegment(two).SetName("Lesion 2 (2)")
    shown.GetSegment(three).SetName(" ")
    logic.commitEdit(browser)
    assert logic.segmentNames(browser) == {one: "Lesion 2", two: "Lesion 2 (2)", three: three, added: "Lesion 3 (2)"}


def with_equal_labels(path: Path, label: str) -> Path:
    """Give all segments of a DICOM SEG one label, as a scene of an earlier version may have written it."""
    dataset = pydicom.dcmread(path)
    for item in dataset.SegmentSequence:
        item.SegmentLabel = label
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("label", ["Lesion", "lesion-1"])
def test_segments_of_one_label_stay_apart_when_a_dicom_seg_is_read(
    logic: UltrasoundLesionWorkflow, dicom_cine: Path, tmp_path: Path, label: str
) -> None:
    browser = logic.loadCine(dicom_cine)
    for name, mask in (("Lesion", A), ("Lesion 2", B), ("Lesion 3", C)):
        logic.setSeed(browser, mask, frame=1, segment=name)
    path = with_equal_labels(exported(logic, browser, tmp_path)[0], label)
    for read in (logic.importSegmentation, logic.setSeed):
        logic.removeCine(browser)
        browser = logic.loadCine(dicom_cine)
        read(browser, path)
        read(browser, path)  # again: the same lesions
        assert [*logic.segmentNames(browser).values()] == [label, f"{label} (2)", f"{label} (3)"]
        for segment, mask in zip(logic.segmentNames(browser), (A, B, C), strict=True):
            assert np.array_equal(logic.masks(browser, segment)[1], mask)


def test_a_label_that_is_the_id_of_another_lesion_is_a_name(
    logic: UltrasoundLesionWorkflow, dicom_cine: Path, tmp_path: Path
) -> None:
    browser = logic.loadCine(dicom_cine)
    logic.setSeed(browser, A, frame=1)
    logic.setSeed(browser, B, frame=1, segment="Lesion 2")
    logic.renameSegment(browser, "Lesion 2", "lesion-1")
    path, _ = exported(logic, browser, tmp_path)
    for read in (logic.importSegmentation, logic.setSeed):
        logic.removeCine(browser)
        browser = logic.loadCine(dicom_cine)
        read(browser, path)
        assert [*logic.segmentNames(browser).values()] == ["Lesion", "lesion-1"]
        for segment, mask in zip(logic.segmentNames(browser), (A, B), strict=True):
            assert np.array_equal(logic.masks(browser, segment)[1], mask)


def test_segments_of_one_name_stay_apart_when_a_seg_nrrd_is_read(
    logic: UltrasoundLesionWorkflow, dicom_cine: Path, tmp_path: Path
) -> None:
    browser = logic.loadCine(dicom_cine)
    for name, mask in (("Lesion", A), ("Lesion 2", B)):
        logic.setSeed(browser, mask, frame=1, segment=name)
    browser.SetSelectedItemNumber(1)
    node = logic.segmentationNode(browser)
    node.GetSegmentation().GetNthSegment(0).SetName("Lesion 2")
    storage = node.CreateDefaultStorageNode()
    storage.SetFileName(str(tmp_path / "two.seg.nrrd"))
    assert storage.WriteData(node)
    logic.removeCine(browser)
    browser = logic.loadCine(dicom_cine)
    first, second = logic.setSeed(browser, tmp_path / "two.seg.nrrd", frame=1)
    assert logic.segmentNames(browser) == {first: "Lesion 2", second: "Lesion 2 (2)"}
    assert np.array_equal(logic.masks(browser, first)[1], A)
    assert np.array_equal(logic.masks(browser, second)[1], B)


# ---- what a lesion is called by


def test_an_id_comes_before_a_name(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, truth = discs
    (one,) = logic.setSeed(browser, truth[2][0], frame=2)
    (two,) = logic.setSeed(browser, truth[5][0], frame=5, segment="Lesion 2")
    logic.renameSegment(browser, one, two)
    logic.removeSegment(browser, two)
    assert logic.segmentNames(browser) == {one: two}
    assert logic.anchors(browser) == {one: [2]}


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_lesion_to_rename_or_remove_must_be_named(
    logic: UltrasoundLesionWorkflow, discs: Discs, nothing: Any
) -> None:
    browser, truth = discs
    for _number in range(2):
        with pytest.raises(SceneError, match="; give the name or the ID of"):
            logic.removeSegment(browser, nothing)
        with pytest.raises(SceneError, match="; give the name or the ID of"):
            logic.renameSegment(browser, nothing, "Cyst")
        logic.setSeed(browser, truth[2][0], frame=2)
    assert [*logic.segmentNames(browser).values()] == ["Lesion"]
    with pytest.raises(SceneError, match="there is no segment '5' in this cine"):
        logic.removeSegment(browser, "5")


def test_numbers_go_by_what_lesions_are_called_also_where_two_have_one_name() -> None:
    segments = [SegmentInfo.numbered(3, "Mass"), SegmentInfo("Segment_x", "Cyst"), SegmentInfo.numbered(1, "Mass")]
    names = distinct_lesions({one.id: one.name for one in segments})
    assert list(names.values()) == ["Mass (lesion-3)", "Cyst", "Mass (lesion-1)"]
    assert numbers_by_lesion(segments, names) == {"Mass (lesion-3)": 3, "Cyst": 2, "Mass (lesion-1)": 1}
