"""What a person says of frames: where it is stored, and what of it is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from engine_helpers import clip_of_moving_discs
from numpy.typing import NDArray
from stand_in_networks import BrightNetwork, PointedNetwork

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.errors import OutputError, SeedError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.suggesters import Suggester

Discs = tuple[Any, NDArray[np.bool_]]


@pytest.fixture
def two(logic: UltrasoundLesionWorkflow) -> Discs:
    """A browser with a 12-frame cine of two bright discs, and the truth (T, K, H, W)."""
    cine, truth = clip_of_moving_discs(frames=12, lesions=2)
    return logic.addCine(cine), truth


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


def test_confirming_says_nothing_of_a_lesion_that_nobody_computed(
    logic: UltrasoundLesionWorkflow, two: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = two
    with pytest.raises(SeedError, match="frame 3 has no mask to confirm"):
        logic.confirmFrame(browser, 3)
    (one,) = logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser)
    (other,) = logic.setSeed(browser, truth[9][1], frame=9, segment="Lesion 2")
    logic.confirmFrame(browser, 3)
    assert logic.anchors(browser) == {one: [3, 5], other: [9]}
    assert logic.framesNotVisible(browser) == {one: [], other: []}
    logic.undoPropagation(browser)
    with pytest.raises(SeedError, match="frame 4 has no mask to confirm; draw the lesion"):
        logic.confirmFrame(browser, 4)
    assert logic.effort(browser).frames_confirmed == (3,)


def test_releasing_an_anchor_leaves_what_a_model_said_of_other_lesions(
    logic: UltrasoundLesionWorkflow, two: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = two
    (one,) = logic.setSeed(browser, truth[5][0], frame=5)
    logic.setSeed(browser, truth[9][1], frame=9, segment="Lesion 2")
    logic.propagate(browser)
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    before = sequence.state(9, one)
    assert before.confidence > 0
    logic.releaseAnchor(browser, 9)
    assert sequence.state(9, one) == before
    assert [len(frames) for frames in logic.anchors(browser).values()] == [1, 0]


@pytest.mark.parametrize("number", [np.int64, np.uint8])
def test_a_frame_may_be_a_number_of_numpy(
    logic: UltrasoundLesionWorkflow, two: Discs, pointed_model: PointedNetwork, number: Any
) -> None:
    browser, truth = two
    (one,) = logic.setSeed(browser, truth[4][0], frame=number(4))
    logic.propagate(browser)
    logic.confirmFrame(browser, number(5))
    logic.markNotVisible(browser, number(6))
    logic.click(browser, [np.argwhere(truth[7][0])[50]], number(7))
    logic.releaseAnchor(browser, number(5))
    assert logic.anchors(browser) == {one: [4, 6, 7]}
    effort = logic.effort(browser)
    assert (effort.frames_drawn, effort.frames_confirmed, effort.frames_not_visible) == ((4, 7), (5,), (6,))


@pytest.mark.parametrize("frame", [1.5, "3", np.float64(3)])
def test_a_frame_that_is_no_whole_number_is_refused_before_anything_is_stored(
    logic: UltrasoundLesionWorkflow, two: Discs, frame: Any
) -> None:
    browser, truth = two
    with pytest.raises(SeedError, match="the frame is no whole number; name one of 0 to 11"):
        logic.setSeed(browser, truth[4][0], frame=frame)
    assert logic.anchors(browser) == {}


def test_what_is_no_seed_no_range_and_no_table_is_said_in_one_sentence(
    logic: UltrasoundLesionWorkflow, two: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = two
    for source in (None, truth[4][0].tolist(), logic.volumeNode(browser)):
        with pytest.raises(SeedError, match="the seed is no array, no segmentation node and no path of a file"):
            logic.setSeed(browser, source, frame=4)
    logic.setSeed(browser, truth[4][0], frame=4)
    for frames in ((3,), 3, (1.5, 4), ("0", "4")):
        with pytest.raises(SeedError, match="the frame range is not two whole numbers; name the first frame"):
            logic.propagate(browser, frames=frames)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="there is no table of 'foo'; ask for 'frames' or 'lesions'"):
        logic.results(browser, of="foo")


def test_a_suggested_seed_that_a_person_confirms_goes_on_naming_its_model(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    logic._suggestions[browser.GetID(), 2] = truth[2][0], Suggester("bas_s", "1", "0" * 64)
    (segment,) = logic.setSeed(browser, truth[2][0], 2, origin=Origin.SUGGESTED)
    assert logic.suggestedSeeds(browser) == [2]
    logic.confirmFrame(browser, 2)
    assert logic.suggestedSeeds(browser) == []
    state = SegmentationSequence.find(browser).state(2, segment)
    assert state.origin is Origin.CONFIRMED
    assert Suggester.from_provenance(state.provenance).name == "bas_s"
    assert logic.effort(browser).frames_confirmed == (2,)
