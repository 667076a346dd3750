from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_helpers import clip_of_moving_discs, dice
from numpy.typing import NDArray
from PIL import Image
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.errors import DeviceError, ModelError, SceneError, SeedError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import SegmentState
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.propagation_job import PropagationProgress

Discs = tuple[Any, NDArray[np.bool_]]


def stored(browser: Any, segment: str) -> list[NDArray[np.bool_]]:
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    return [sequence.read(frame, segment) for frame in range(len(sequence))]


def test_one_seed_segments_every_frame(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[5][0], frame=5)
    seen: list[PropagationProgress] = []
    summary = logic.propagate(browser, progress=seen.append)
    masks = stored(browser, segment)
    assert min(dice(mask, truth[i][0]) for i, mask in enumerate(masks)) > 0.9
    assert np.array_equal(masks[5], truth[5][0])
    assert summary.frames_computed == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert [step.done for step in seen] == list(range(1, 12))
    assert seen[-1].total == 11
    assert seen[-1].seconds_left == 0
    assert not summary.cancelled
    assert summary.seconds["network"] > 0


@pytest.mark.parametrize(
    ("direction", "frames", "reached"),
    [("both", None, 12), ("forward", None, 7), ("backward", None, 6), ("both", (3, 9), 6)],
)
def test_progress_counts_the_frames_that_can_get_a_result(
    logic: UltrasoundLesionWorkflow,
    discs: Discs,
    bright_model: BrightNetwork,
    direction: str,
    frames: tuple[int, int] | None,
    reached: int,
) -> None:
    browser, truth = discs
    logic.setSeed(browser, truth[5][0], frame=5)
    seen: list[PropagationProgress] = []
    logic.propagate(browser, direction=direction, frames=frames, progress=seen.append)
    assert {step.frames for step in seen} == {reached}
    assert [step.frames_done for step in seen] == list(range(2, reached + 1))


def test_progress_between_two_seeds_counts_a_frame_once(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[2][0], frame=2)
    logic.setSeed(browser, truth[8][0], frame=8, segment=segment)
    seen: list[PropagationProgress] = []
    logic.propagate(browser, progress=seen.append)
    assert {step.frames for step in seen} == {12}
    assert (seen[-1].frames_done, seen[-1].done, seen[-1].total) == (12, 15, 15)


def test_anchors_are_never_overwritten(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[5][0], frame=5)
    wrong = np.roll(truth[8][0], 9, axis=1)
    logic.setSeed(browser, wrong, frame=8)
    logic.markNotVisible(browser, frame=10)
    logic.propagate(browser)
    masks = stored(browser, segment)
    assert np.array_equal(masks[8], wrong)
    assert not masks[10].any()
    assert masks[9].any()
    assert logic.anchors(browser) == {segment: [5, 8, 10]}


def test_propagating_again_after_a_correction_computes_its_two_stretches_alone(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    logic.setSeed(browser, truth[2][0], frame=2)
    logic.setSeed(browser, truth[9][0], frame=9)
    logic.propagate(browser)
    anchors = 4  # two ways from each: an anchor is segmented too, to know what the network gets wrong on it
    assert bright_model.segmented == 2 + 2 * 6 + 2 + anchors
    again = logic.propagate(browser)
    assert again.frames_computed == []
    assert bright_model.segmented == 20
    logic.setSeed(browser, truth[6][0], frame=6)
    corrected = logic.propagate(browser)
    assert corrected.frames_computed == [3, 4, 5, 7, 8]
    assert bright_model.segmented == 20 + 2 * 3 + 2 * 2 + anchors


def test_a_frame_marked_not_visible_makes_the_frames_up_to_the_next_drawings_stale(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[2][0], frame=2)
    logic.setSeed(browser, truth[9][0], frame=9)
    logic.propagate(browser)
    logic.markNotVisible(browser, frame=6)
    again = logic.propagate(browser)
    assert again.frames_computed == [3, 4, 5, 7, 8]
    assert not stored(browser, segment)[6].any()
    assert logic.propagate(browser).frames_computed == []
    logic.setSeed(browser, truth[4][0], frame=4)
    assert logic.propagate(browser).frames_computed == [3, 5, 7, 8]
    logic.releaseAnchor(browser, 6)
    assert logic.propagate(browser).frames_computed == [5, 6, 7, 8]
    assert dice(stored(browser, segment)[6], truth[6][0]) > 0.9


def test_a_drawing_that_shows_much_more_of_the_lesion_makes_what_knows_a_small_part_of_it_stale(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    part = truth[2][0].copy()
    part[:, int(np.flatnonzero(part.any(axis=0)).mean()) :] = False
    part[: int(np.flatnonzero(part.any(axis=1)).mean())] = False
    logic.setSeed(browser, part, frame=2)
    logic.propagate(browser)
    logic.setSeed(browser, truth[6][0], frame=6)
    assert logic.propagate(browser).frames_computed == [0, 1, 3, 4, 5, 7, 8, 9, 10, 11]
    logic.setSeed(browser, truth[9][0], frame=9)
    assert logic.propagate(browser).frames_computed == [7, 8, 10, 11]


def test_a_drawing_of_a_tiny_part_leaves_every_other_frame_and_is_named(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[2][0], frame=2)
    before = logic.propagate(browser)
    assert before.notices == []
    rows, columns = np.nonzero(truth[6][0])
    part = np.zeros_like(truth[6][0])
    part[rows[:9], columns[:9]] = True
    logic.setSeed(browser, part, frame=6)
    again = logic.propagate(browser)
    assert again.frames_computed == []
    assert again.notices == [
        "Less than a tenth of the lesion is drawn on frame 6: such a drawing changes no other frame."
    ]
    assert np.array_equal(stored(browser, segment)[6], part)
    logic.releaseAnchor(browser, 6)
    assert 6 in logic.propagate(browser).frames_computed
    assert dice(stored(browser, segment)[6], truth[6][0]) > 0.9


def test_a_released_anchor_is_computed_again(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[2][0], frame=2)
    logic.setSeed(browser, np.roll(truth[7][0], 20, axis=0), frame=7)
    logic.propagate(browser)
    logic.releaseAnchor(browser, 7)
    assert logic.anchors(browser) == {segment: [2]}
    logic.propagate(browser)
    assert dice(stored(browser, segment)[7], truth[7][0]) > 0.9


def test_a_confirmed_frame_is_an_anchor_with_the_models_mask(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[0][0], frame=0)
    logic.propagate(browser)
    before = stored(browser, segment)[6]
    logic.confirmFrame(browser, 6)
    assert logic.anchors(browser) == {segment: [0, 6]}
    assert np.array_equal(stored(browser, segment)[6], before)
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    assert sequence.origin(6, segment) is Origin.CONFIRMED


def test_cancel_keeps_what_is_done(logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[0][0], frame=0)
    steps = logic.propagateSteps(browser)
    for _ in range(4):
        next(steps)
    steps.close()
    masks = stored(browser, segment)
    assert [frame for frame, mask in enumerate(masks) if mask.any()] == [0, 1, 2, 3, 4]
    assert logic.lastPropagation(browser).cancelled
    # going on finishes the clip
    logic.propagate(browser)
    assert all(mask.any() for mask in stored(browser, segment))


def test_a_cancelled_propagation_past_a_frame_marked_not_visible_is_done_again(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    """Masks before that frame may still have been taken back."""
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[0][0], frame=0)
    logic.setSeed(browser, truth[4][0], frame=4)
    logic.markNotVisible(browser, frame=8)

    steps = logic.propagateSteps(browser)
    while next(steps).frame != 11:
        pass
    steps.close()  # before the pass back from frame 4 to 0
    again = logic.propagate(browser)
    assert again.frames_computed == [1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert logic.propagate(browser).frames_computed == []
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    assert {sequence.provenance(frame, segment) for frame in (5, 6, 7)} == {sequence.provenance(9, segment)}


def test_undo_takes_the_whole_propagation_back_but_nothing_drawn_since(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[0][0], frame=0)
    logic.propagate(browser, frames=(1, 4))
    logic.setSeed(browser, truth[11][0], frame=11)
    first = stored(browser, segment)
    logic.propagate(browser)
    assert logic.canUndoPropagation(browser)
    logic.setSeed(browser, truth[7][0], frame=7)
    logic.undoPropagation(browser)
    after = stored(browser, segment)
    assert not logic.canUndoPropagation(browser)
    assert np.array_equal(after[7], truth[7][0])
    assert all(np.array_equal(after[i], first[i]) for i in range(12) if i != 7)
    assert set(logic.confidences(browser)) == {segment}
    assert np.isfinite(logic.confidences(browser)[segment]).sum() == 3


def test_the_summary_names_the_frames_without_a_lesion(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork
) -> None:
    cine, truth = clip_of_moving_discs(frames=12, hidden=range(5, 8))
    browser = logic.addCine(cine)
    logic.setSeed(browser, truth[0][0], frame=0)
    summary = logic.propagate(browser)
    assert summary.frames_computed == [*range(1, 12)]
    assert summary.frames_without_lesion == [5, 6, 7]


def test_undo_leaves_out_a_lesion_that_was_deleted_since(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (kept,) = logic.setSeed(browser, truth[0][0], frame=0)
    deleted = logic.addSegment(browser)
    logic.setSeed(browser, truth[0][0], frame=0, segment=deleted)
    logic.propagate(browser)
    logic.removeSegment(browser, deleted)
    logic.undoPropagation(browser)
    assert [frame for frame, mask in enumerate(stored(browser, kept)) if mask.any()] == [0]


def test_a_propagation_with_nothing_to_do_leaves_the_last_one_to_be_taken_back(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[0][0], frame=0)
    logic.propagate(browser)
    assert logic.propagate(browser).frames_computed == []
    assert logic.canUndoPropagation(browser)
    logic.undoPropagation(browser)
    assert [frame for frame, mask in enumerate(stored(browser, segment)) if mask.any()] == [0]
    assert not logic.canUndoPropagation(browser)


def test_frames_and_direction_are_kept_to(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser, direction="forward", frames=(0, 8))
    assert [i for i, mask in enumerate(stored(browser, segment)) if mask.any()] == [5, 6, 7]


def expect(logic: UltrasoundLesionWorkflow, browser: Any, expected: list[float]) -> None:
    """Let every frame without an anchor have this expected overlap."""
    sequence = SegmentationSequence.find(browser)
    segment = sequence.segments()[0].id
    for frame, value in enumerate(expected):
        state = sequence.state(frame, segment)
        if not state.origin.is_anchor:
            sequence.set_state(frame, segment, SegmentState(state.origin, value, state.provenance))


def test_the_next_frame_is_the_one_whose_correction_wins_most(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork
) -> None:
    cine, truth = clip_of_moving_discs(frames=20)
    browser = logic.addCine(cine)
    assert logic.nextToReview(browser) is None
    logic.setSeed(browser, truth[0][0], frame=0)
    logic.propagate(browser)
    poor_run = [0.96] * 20
    poor_run[1] = 0.2  # the seed's neighbour: never
    poor_run[4] = 0.5  # the worst, alone
    poor_run[11:17] = [0.7] * 6
    expect(logic, browser, poor_run)
    first = logic.nextToReview(browser)
    assert first in (12, 13, 14)
    order = logic.reviewOrder(browser)
    assert order[0] == first
    assert {3, 4} & set(order)
    assert 1 not in order
    logic.confirmFrame(browser, first)
    assert logic.nextToReview(browser) not in (None, first, first - 1, first + 1)
    expect(logic, browser, [0.96] * 20)
    assert logic.nextToReview(browser) is None
    assert logic.reviewOrder(browser) == []


def test_several_lesions_with_seeds_on_different_frames(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork
) -> None:
    cine, truth = clip_of_moving_discs(frames=6, lesions=2)
    browser = logic.addCine(cine)
    logic.setSeed(browser, truth[0][0], frame=0, segment="First")
    logic.setSeed(browser, truth[4][1], frame=4, segment="Second")
    logic.propagate(browser)
    first, second = logic.anchors(browser)
    one, two = stored(browser, first), stored(browser, second)
    assert all(a.any() and b.any() and not (a & b).any() for a, b in zip(one, two, strict=True))
    logic.renameSegment(browser, "First", "Cyst")
    logic.removeSegment(browser, "Second")
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    assert [segment.name for segment in sequence.segments()] == ["Cyst"]


def test_a_label_image_seeds_several_lesions(logic: UltrasoundLesionWorkflow, tmp_path: Path) -> None:
    cine, truth = clip_of_moving_discs(frames=3, lesions=2)
    browser = logic.addCine(cine)
    labels = (truth[1][0] + 2 * truth[1][1]).astype(np.uint8)
    Image.fromarray(labels).save(tmp_path / "seed.png")
    segments = logic.setSeed(browser, tmp_path / "seed.png", frame=1)
    assert len(segments) == 2
    assert np.array_equal(stored(browser, segments[1])[1], truth[1][1])


def test_a_colour_cine_and_a_plain_volume_are_cines_too(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork
) -> None:
    import slicer

    cine, truth = clip_of_moving_discs(frames=4, color=True)
    browser = logic.addCine(cine)
    assert logic.cine(browser).is_color
    logic.setSeed(browser, truth[0][0], frame=0)
    logic.propagate(browser)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "plain")
    slicer.util.updateVolumeFromArray(volume, np.stack([cine.frames[i][..., 0] for i in range(4)]))
    other = logic.useNode(volume)
    (segment,) = logic.setSeed(other, truth[0][0], frame=0)
    logic.propagate(other)
    assert dice(stored(other, segment)[3], truth[3][0]) > 0.9
    assert volume.GetImageData().GetDimensions() == (128, 96, 4)


def test_what_cannot_be_done_is_said_in_one_sentence(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    with pytest.raises(SeedError, match="no seed"):
        logic.propagate(browser)
    with pytest.raises(SeedError, match="is empty"):
        logic.setSeed(browser, np.zeros_like(truth[0][0]), frame=0)
    with pytest.raises(SeedError, match="96 x 128"):
        logic.setSeed(browser, np.ones((10, 10), bool), frame=0)
    with pytest.raises(SeedError, match="frames 0 to 11"):
        logic.setSeed(browser, truth[0][0], frame=12)
    logic.setSeed(browser, truth[0][0], frame=0)
    with pytest.raises(ModelError, match="is unknown"):
        logic.propagate(browser, model="no such model")
    with pytest.raises(DeviceError, match="'tpu' is unknown"):
        logic.propagate(browser, device="tpu")
    with pytest.raises(SeedError, match="5:40"):
        logic.propagate(browser, frames=(5, 40))
    with pytest.raises(SceneError, match="sideways"):
        logic.propagate(browser, direction="sideways")
    with pytest.raises(SceneError, match="no segment 'Cyst'"):
        logic.removeSegment(browser, "Cyst")
    with pytest.raises(SceneError, match="no cine is selected"):
        logic.useNode(None)


def test_a_cine_removed_from_the_scene_is_named(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    import slicer

    browser, truth = discs
    logic.setSeed(browser, truth[0][0], frame=0)
    slicer.mrmlScene.Clear(0)
    with pytest.raises(SceneError, match="no longer in the scene"):
        logic.propagate(browser)


def test_measuring_gives_a_row_a_frame_and_the_same_nodes_twice(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    import slicer

    browser, truth = discs
    logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser)
    measured = logic.measure(browser)
    rows = measured.frame_rows()
    assert [row.frame for row in rows] == list(range(12))
    assert rows[5].measurement.area == truth[5][0].sum()
    assert rows[5].measurement.is_anchor
    assert not rows[5].measurement.is_calibrated
    assert measured.frame_table.GetNumberOfRows() == 12
    count = slicer.mrmlScene.GetNumberOfNodes()
    again = logic.measure(browser)
    assert again.frame_table is measured.frame_table
    assert slicer.mrmlScene.GetNumberOfNodes() == count


class SeesTheDisc(torch.nn.Module):
    """A suggestion network that calls bright pixels lesion."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return (frames.mean(dim=1, keepdim=True) - 0.5) * 40


def test_results_are_written_where_masking_lets_them_and_nowhere_else(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[0][0], frame=0)
    logic.propagate(browser)
    whole = stored(browser, segment)
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    left = np.zeros(truth[0][0].shape, bool)
    left[:, :38] = True
    for frame in range(1, 12):  # something else was there, and stays where nothing may be changed
        sequence.write(frame, {segment: ~left & ~whole[frame]}, {segment: Origin.MODEL})
    logic.propagate(browser, editable=lambda frame, segment_id: left)
    after = stored(browser, segment)
    assert all(np.array_equal(after[i] & left, whole[i] & left) for i in range(1, 12))
    assert all(np.array_equal(after[i] & ~left, ~left & ~whole[i]) for i in range(1, 12))
    assert np.array_equal(after[0], truth[0][0])


def test_a_suggestion_is_recorded_for_what_it_is(
    logic: UltrasoundLesionWorkflow, discs: Discs, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, truth = discs
    described = Bundle("eye", "Eye", "stand-in", "suggest", 96, "1", "0" * 64, None, {"_target_": "stand-in"}, {})
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.bundles.default_bundle", lambda role: described)
    monkeypatch.setattr(Bundle, "load_network", lambda self, device: SeesTheDisc())
    mask = logic.suggest(browser, 3)
    assert dice(mask, truth[3][0]) > 0.9
    assert logic.anchors(browser) == {}
    (segment,) = logic.setSeed(browser, mask, frame=3)
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    assert sequence.origin(3, segment) is Origin.CONFIRMED
    changed = mask.copy()
    changed[:40] = False
    logic.setSeed(browser, changed, frame=3)
    assert sequence.origin(3, segment) is Origin.EDITED
    logic.setSeed(browser, truth[5][0], frame=5)
    assert sequence.origin(5, segment) is Origin.MANUAL
    logic.setSeed(browser, logic.suggest(browser, 7), frame=7, origin=Origin.SUGGESTED)
    assert sequence.origin(7, segment) is Origin.SUGGESTED
    assert logic.anchors(browser)[segment] == [3, 5, 7]
    effort = logic.effort(browser)
    assert (effort.frames_confirmed, effort.frames_drawn) == ((3,), (3, 5))
    suggested = sequence.state(7, segment)
    logic.confirmFrame(browser, 7)  # somebody has looked at it now; which model drew it is not forgotten
    assert sequence.origin(7, segment) is Origin.CONFIRMED
    assert sequence.state(7, segment).provenance == suggested.provenance != ""
    assert logic.effort(browser).frames_confirmed == (3, 7)
