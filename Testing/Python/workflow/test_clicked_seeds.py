"""Lesions drawn and mended with clicks, in the scene."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_helpers import dice
from numpy.typing import NDArray
from stand_in_networks import PointedNetwork

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import read_bundle
from UltrasoundLesionSegLib.errors import ModelError, SeedError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.suggesters import Suggester

Discs = tuple[Any, NDArray[np.bool_]]


def middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(rows.mean()), float(columns.mean())


def sequence_of(browser: Any) -> SegmentationSequence:
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    return sequence


def test_one_click_makes_a_seed_that_is_propagated(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    mask = logic.click(browser, [middle(truth[5][0])], frame=5)
    assert dice(mask, truth[5][0]) > 0.9
    ((segment, frames),) = logic.anchors(browser).items()
    assert frames == [5]
    sequence = sequence_of(browser)
    assert np.array_equal(sequence.read(5, segment), mask)
    assert sequence.origin(5, segment) is Origin.EDITED  # SEMIAUTOMATIC in DICOM SEG
    assert Suggester.from_provenance(sequence.provenance(5, segment)) == Suggester("click", "1", "c" * 64)
    logic.propagate(browser)
    assert np.array_equal(sequence.read(5, segment), mask)
    assert dice(sequence.read(9, segment), truth[9][0]) > 0.9


def test_clicks_are_taken_back_by_leaving_them_out(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[2][0], frame=2)
    logic.propagate(browser)
    sequence = sequence_of(browser)
    before, state = sequence.read(6, segment), sequence.state(6, segment)
    assert state.origin is Origin.MODEL
    row, column = middle(before)
    points = [(row, column), (row, column + 4, False)]
    one, two = logic.click(browser, points[:1], frame=6), logic.click(browser, points, frame=6)
    assert one[int(row), int(column) + 4]
    assert not two[int(row), int(column) + 4]
    looks = len(pointed_model.seen)
    assert np.array_equal(logic.click(browser, points[:1], frame=6), one)
    assert len(pointed_model.seen) == looks
    assert logic.anchors(browser)[segment] == [2, 6]
    # without any click everything is as it was, and a model may compute the frame again
    assert np.array_equal(logic.click(browser, [], frame=6), before)
    assert np.array_equal(sequence.read(6, segment), before)
    assert sequence.state(6, segment) == state
    assert logic.anchors(browser)[segment] == [2]
    assert logic.propagate(browser).frames_computed == []


def test_clicks_correct_what_is_there_and_are_not_called_a_new_seed(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    browser, truth = discs
    row, column = middle(truth[5][0])
    with caplog.at_level(logging.INFO, "UltrasoundLesionSegLib"):
        one = logic.click(browser, [(row, column)], frame=5)
        two = logic.click(browser, [(row, column), (row, column - 6, False)], frame=5)
        assert not np.array_equal(one, two)
        logic.setSeed(browser, truth[2][0], frame=2)
        logic.click(browser, [(row, column - 6, False)], frame=2)
    assert not np.array_equal(logic.masks(browser)[2], truth[2][0])
    assert not caplog.records


def test_a_proposal_is_written_by_whoever_accepts_it(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    nothing = np.zeros_like(truth[3][0])
    mask = logic.proposeFromClicks(browser, [middle(truth[3][0])], nothing, frame=3)
    assert dice(mask, truth[3][0]) > 0.9
    assert logic.anchors(browser) == {}
    looks = len(pointed_model.seen)
    again = logic.proposeFromClicks(browser, [middle(truth[3][0])], nothing, frame=3)
    assert np.array_equal(again, mask)
    assert len(pointed_model.seen) == looks
    (segment,) = logic.setSeed(browser, mask, frame=3)
    assert sequence_of(browser).origin(3, segment) is Origin.CONFIRMED
    logic.proposeFromClicks(browser, [middle(truth[3][0])], mask, frame=3)  # from another mask: looked at anew
    assert len(pointed_model.seen) > looks
    rows, columns = np.nonzero(truth[6][0])
    box = (rows.min() - 1, columns.min() - 1, rows.max() + 1, columns.max() + 1)
    everything = np.ones_like(nothing)
    boxed = logic.proposeFromClicks(browser, [], everything, frame=6, box=box)  # a box draws anew
    assert dice(boxed, truth[6][0]) > 0.9
    with pytest.raises(SeedError, match="the box is not on the frame"):
        logic.proposeFromClicks(browser, [], nothing, frame=6, box=(5, 5, 4000, 9))


def test_the_lesions_size_on_the_nearest_frame_drawn_tells_where_to_look(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    """From nothing the first look holds the whole frame; beside a drawing, a window of twice the lesion's size."""
    browser, truth = discs

    def first_look(frame: int, segment: str | None) -> float:
        """Return the share of the first look that is bright: the larger, the closer it was."""
        before = len(pointed_model.seen)
        logic.proposeFromClicks(
            browser, [middle(truth[frame][0])], np.zeros_like(truth[0][0]), frame=frame, segment=segment
        )
        return float((pointed_model.seen[before][0, :3].mean(0) > 0.5).float().mean())

    (segment,) = logic.setSeed(browser, truth[2][0], frame=2)
    logic.markNotVisible(browser, frame=5)
    unknown, known = first_look(7, None), first_look(7, segment)
    assert known > 1.5 * unknown
    before = len(pointed_model.seen)
    logic.click(browser, [middle(truth[8][0])], frame=8)
    assert (pointed_model.seen[before][0, :3].mean(0) > 0.5).float().mean() == pytest.approx(known, rel=0.2)
    # the frame that is clicked does not count: the drawing of all its clicks stays the same one
    looks = len(pointed_model.seen)
    logic.click(browser, [], frame=8)
    assert len(pointed_model.seen) == looks


def test_a_drawing_is_mended_and_comes_back(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    drawn = truth[3][0].copy()
    drawn[: int(middle(drawn)[0])] = False
    (segment,) = logic.setSeed(browser, drawn, frame=3)
    mended = logic.click(browser, [middle(truth[3][0])], frame=3, segment=segment)
    assert dice(mended, truth[3][0]) > 0.9
    assert (pointed_model.seen[0][0, 6] > 0.5).any()  # the drawing was part of the prompt
    assert np.array_equal(logic.click(browser, [], frame=3, segment=segment), drawn)
    assert sequence_of(browser).origin(3, segment) is Origin.MANUAL


def test_what_somebody_else_did_since_is_mended_not_forgotten(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    logic.click(browser, [middle(truth[3][0])], frame=3)
    painted = np.zeros_like(truth[3][0])
    painted[2:8, 2:8] = True
    (segment,) = logic.setSeed(browser, painted, frame=3)
    logic.click(browser, [middle(truth[3][0])], frame=3)
    assert np.array_equal(logic.click(browser, [], frame=3), painted)
    assert sequence_of(browser).origin(3, segment) is Origin.MANUAL


@pytest.mark.parametrize("said", ["confirmed", "not visible"])
@pytest.mark.parametrize("again", [True, False])
def test_what_was_said_of_a_frame_since_the_last_click_is_what_was_there(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork, said: str, again: bool
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[5][0], frame=5)
    if said == "confirmed":
        logic.propagate(browser)
    points = [middle(truth[8][0])]
    logic.click(browser, points, frame=8)
    before = logic.click(browser, [], frame=8)
    assert logic.anchors(browser)[segment] == [5]
    logic.confirmFrame(browser, 8) if said == "confirmed" else logic.markNotVisible(browser, 8)
    if again:
        logic.click(browser, points, frame=8)
    logic.click(browser, [], frame=8)
    assert logic.anchors(browser)[segment] == [5, 8]
    assert np.array_equal(sequence_of(browser).read(8, segment), before)


def test_a_mask_copied_to_another_frame_is_not_what_was_clicked_there(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    mask = logic.click(browser, [middle(truth[8][0])], frame=8)
    (segment,) = logic.setSeed(browser, mask, frame=9)
    logic.click(browser, [(20, 20)], frame=9)
    assert (pointed_model.seen[-1][0, 6] > 0.5).any()  # the copy was part of the prompt
    assert np.array_equal(logic.click(browser, [], frame=9), mask)
    assert logic.anchors(browser)[segment] == [8, 9]


def test_clicks_are_taken_back_after_a_proposal_on_another_frame(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    logic.click(browser, [middle(truth[8][0])], frame=8)
    logic.proposeFromClicks(browser, [middle(truth[2][0])], np.zeros_like(truth[2][0]), frame=2)
    assert not logic.click(browser, [], frame=8).any()
    assert [*logic.anchors(browser).values()] == [[]]


def test_other_lesions_and_masked_pixels_are_kept(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    row, column = middle(truth[4][0])
    other = np.zeros_like(truth[4][0])
    other[:, : int(column)] = truth[4][0][:, : int(column)]
    logic.setSeed(browser, other, frame=4, segment="Other")
    editable = np.ones_like(other)
    editable[: int(row)] = False
    mask = logic.click(browser, [(row + 1, column + 2)], frame=4, segment="Mine", editable=editable)
    assert mask.any()
    assert not (mask & other).any()
    assert not mask[: int(row)].any()
    sequence = sequence_of(browser)
    ids = {one.name: one.id for one in sequence.segments()}
    assert np.array_equal(sequence.read(4, ids["Other"]), other)
    assert np.array_equal(sequence.read(4, ids["Mine"]), mask)


def test_a_box_alone_is_a_prompt_and_nothing_found_writes_nothing(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    rows, columns = np.nonzero(truth[1][0])
    box = (rows.min() - 1, columns.min() - 1, rows.max() + 1, columns.max() + 1)
    assert dice(logic.click(browser, [], frame=1, box=box), truth[1][0]) > 0.9
    assert not logic.click(browser, [(1.0, 1.0, False)], frame=8).any()
    assert list(logic.anchors(browser).values()) == [[1]]


@pytest.mark.parametrize(
    ("points", "box", "said"),
    [
        ([(5, 5), (5, 4000)], None, r"point 2 \(row 5, column 4000\) is not on the frame of \d+ x \d+ pixels \(rows"),
        ([(float("nan"), 5)], None, r"point 1 \(row nan, column 5\) is not on the frame"),
        ([(5,)], None, "point 1 is not on the frame"),
        ((50, 60), None, "point 1 is not on the frame"),
        ([("a", 5)], None, "point 1 is not on the frame"),
        (["50"], None, "point 1 is not on the frame"),
        ([], ("a", 5, 20, 9), "the box is not on the frame"),
        ([], 5, "the argument .box. of click is of type int, not a list; give .top, left, bottom, right."),
        ([], (30, 5, 20, 9), "the box is not on the frame"),
        ([], (0, 5, 20), "the box is not on the frame"),
    ],
)
def test_what_is_not_on_the_frame_is_refused_in_one_sentence(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork, points: Any, box: Any, said: str
) -> None:
    with pytest.raises(SeedError, match=said):
        logic.click(discs[0], points, frame=0, box=box)
    assert logic.anchors(discs[0]) == {}


def test_masks_of_another_size_are_refused_in_one_sentence(
    logic: UltrasoundLesionWorkflow, discs: Discs, pointed_model: PointedNetwork
) -> None:
    browser, small = discs[0], np.ones((3, 3), bool)
    with pytest.raises(SeedError, match=r"the area that may be changed has not the frame's 96 x 128 pixels"):
        logic.click(browser, [(5, 5)], frame=0, editable=small)
    with pytest.raises(SeedError, match="the mask to start from has not the frame's 96 x 128 pixels"):
        logic.proposeFromClicks(browser, [(5, 5)], small, frame=0)
    assert logic.anchors(browser) == {}


def test_a_real_model_answers_and_another_role_is_refused(
    logic: UltrasoundLesionWorkflow, discs: Discs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = {"channels": [8, 8, 8], "blocks": [1, 1, 1], "token_grid": [2, 2]}
    for name, kind in (("pointed", "BasClick"), ("plain", "Bas")):
        folder = tmp_path / name
        write_bundle(folder, {"_target_": f"UltrasoundLesionSegLib.engine.networks.bas.{kind}", **network}, name, name)
        save_weights(folder, read_bundle(folder).build_network())
    monkeypatch.setenv("ULS_MODELS", str(tmp_path))
    browser, truth = discs
    mask = logic.click(browser, [middle(truth[0][0])], frame=0, model="pointed")
    assert mask.shape == truth[0][0].shape
    with pytest.raises(ModelError, match="'plain' is made to suggest, not to click"):
        logic.click(browser, [middle(truth[0][0])], frame=0, model="plain")
