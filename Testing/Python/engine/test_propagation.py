from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from engine_helpers import clip_of_moving_discs, dice, disc, inputs_for
from stand_in_networks import AnchorNetwork, BrightNetwork, HoldNetwork

from UltrasoundLesionSegLib.cine import Anchor, Cine, FrameResult
from UltrasoundLesionSegLib.engine.islands import SPECK, plausible_parts
from UltrasoundLesionSegLib.engine.network_input import NetworkInput
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.stretches import Direction
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings
from UltrasoundLesionSegLib.engine.window import Window
from UltrasoundLesionSegLib.errors import FrameError, SeedError

SMALL = TrackerSettings(input_size=64, outline_correction=False)  # its own test: test_outline.py


def run(cine: Cine, anchors: Sequence[Anchor], network: BrightNetwork | None = None, **plan: Any) -> list[FrameResult]:
    inferer = PropagationInferer(SMALL, torch.device("cpu"))
    return list(inferer(inputs_for(cine, anchors, **plan), network or BrightNetwork()))


def test_masks_follow_a_moving_lesion_in_both_directions() -> None:
    cine, truth = clip_of_moving_discs(frames=12)
    results = {r.frame: r for r in run(cine, [Anchor(0, 5, truth[5][0])])}
    assert sorted(results) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert min(dice(results[i].masks[0], truth[i][0]) for i in results) > 0.9
    assert all(r.final.all() and r.computed.all() and 0 <= r.confidence[0] <= 1 for r in results.values())


@pytest.mark.parametrize("shape", [(64, 64), (65, 131), (333, 250), (700, 512)])
@pytest.mark.parametrize("color", [False, True])
def test_any_size_grey_or_colour(shape: tuple[int, int], color: bool) -> None:
    cine, truth = clip_of_moving_discs(frames=3, shape=shape, color=color)
    results = run(cine, [Anchor(0, 0, truth[0][0])])
    assert [r.masks.shape for r in results] == [(1, *shape)] * 2
    assert dice(results[-1].masks[0], truth[2][0]) > 0.9


def test_one_frame_has_nothing_to_compute() -> None:
    cine, truth = clip_of_moving_discs(frames=1)
    assert run(cine, [Anchor(0, 0, truth[0][0])]) == []


def test_a_lesion_that_vanishes_gives_an_empty_mask_and_is_found_again() -> None:
    cine, truth = clip_of_moving_discs(frames=14, hidden=range(5, 9))
    results = {r.frame: r for r in run(cine, [Anchor(0, 0, truth[0][0])])}
    assert not any(results[i].masks.any() for i in range(5, 9))
    assert dice(results[13].masks[0], truth[13][0]) > 0.85


def test_between_two_anchors_forward_and_backward_are_blended() -> None:
    shape = (64, 96)
    left, right = disc(shape, 32, 30, 14), disc(shape, 32, 60, 14)
    cine = Cine.from_array(np.full((9, *shape), 128, np.uint8))
    results = run(cine, [Anchor(0, 0, left), Anchor(0, 8, right)], HoldNetwork())
    assert [r.frame for r in results] == [*range(1, 8), *range(7, 0, -1)]
    assert [bool(r.final[0]) for r in results] == [False] * 7 + [True] * 7
    final = {r.frame: r.masks[0] for r in results if r.final[0]}
    assert dice(final[1], left) > 0.9
    assert dice(final[7], right) > 0.9
    assert dice(final[1], right) < 0.5
    # the two sides disagree, and the confidence says so
    assert max(r.confidence[0] for r in results if r.final[0]) < 0.6
    assert min(r.confidence[0] for r in results if not r.final[0]) > 0.9


def test_both_end_anchors_are_in_memory_from_the_first_step() -> None:
    cine, truth = clip_of_moving_discs(frames=9)
    network = AnchorNetwork()
    results = run(cine, [Anchor(0, 0, truth[0][0]), Anchor(0, 8, truth[8][0])], network)
    assert network.segmented == 14 + 2  # and each anchor once, to see how the network draws it
    assert all(r.masks.any() for r in results)


def test_an_anchor_that_shows_a_small_part_goes_with_the_one_that_shows_most() -> None:
    cine, truth = clip_of_moving_discs(frames=9)
    whole, part = truth[0][0], truth[4][0].copy()
    part[:, : int(np.flatnonzero(part.any(axis=0)).mean()) + 3] = False
    remembered: list[int] = []

    class Remembering(BrightNetwork):
        def memorize(self, frames, code, masks):
            remembered.append(int((masks > 0.5).sum()))
            return super().memorize(frames, code, masks)

    run(cine, [Anchor(0, 4, part), Anchor(0, 0, whole)], Remembering(), frames=range(5, 6))
    assert len(remembered) == 3  # both anchors, then the frame
    remembered.clear()
    run(cine, [Anchor(0, 4, truth[4][0]), Anchor(0, 0, whole)], Remembering(), frames=range(5, 6))
    assert len(remembered) == 2


def test_lesions_compete_and_anchors_of_others_are_left_alone() -> None:
    cine, truth = clip_of_moving_discs(frames=6, lesions=2)
    # BrightNetwork sees both discs in a window that holds both: soft aggregation must still keep them apart
    anchors = [Anchor(0, 0, truth[0][0]), Anchor(1, 3, truth[3][1])]
    results = {r.frame: r for r in run(cine, anchors)}
    assert all((r.masks.sum(axis=0) <= 1).all() for r in results.values())
    assert np.array_equal(results[3].masks[1], truth[3][1])
    assert results[3].computed.tolist() == [True, False]
    assert not (results[3].masks[0] & truth[3][1]).any()
    assert results[0].computed.tolist() == [False, True]
    assert np.array_equal(results[0].masks[0], truth[0][0])


def test_a_result_is_final_lesion_by_lesion() -> None:
    cine, truth = clip_of_moving_discs(frames=7, lesions=2)
    anchors = [Anchor(0, 0, truth[0][0]), Anchor(0, 6, truth[6][0]), Anchor(1, 0, truth[0][1])]
    results = run(cine, anchors)
    forward, backward = results[:6], results[6:]
    assert [r.final.tolist() for r in forward] == [[False, True]] * 6
    assert [(r.frame, r.final.tolist()) for r in backward] == [(i, [True, False]) for i in (5, 4, 3, 2, 1)]


def test_overlap_only_where_asked_for() -> None:
    cine = Cine.from_array(np.full((3, 64, 64), 100, np.uint8))
    mask = disc((64, 64), 32, 32, 14)
    anchors = [Anchor(0, 0, mask), Anchor(1, 0, mask)]
    together = run(cine, anchors, HoldNetwork(), allow_overlap=True)
    assert all((r.masks.sum(axis=0) == 2).any() for r in together)
    apart = run(cine, anchors, HoldNetwork())
    assert not any((r.masks.sum(axis=0) == 2).any() for r in apart)


def test_an_unreadable_frame_is_named_and_the_others_are_done() -> None:
    cine, truth = clip_of_moving_discs(frames=8, broken=(3,))
    results = {r.frame: r for r in run(cine, [Anchor(0, 0, truth[0][0])])}
    assert "frame 3 cannot be read" in results[3].error
    assert not results[3].computed.any()
    assert all(not results[i].error and dice(results[i].masks[0], truth[i][0]) > 0.9 for i in (1, 2, 4, 5, 6, 7))


def test_a_broken_frame_under_an_anchor_is_an_error() -> None:
    cine, truth = clip_of_moving_discs(frames=4, broken=(0,))
    with pytest.raises(FrameError, match="frame 0"):
        run(cine, [Anchor(0, 0, truth[0][0])])


def test_stopping_early_keeps_what_is_done_and_computes_at_most_the_next_frame() -> None:
    cine, truth = clip_of_moving_discs(frames=30)
    network = BrightNetwork()
    steps = PropagationInferer(SMALL, torch.device("cpu"))(inputs_for(cine, [Anchor(0, 0, truth[0][0])]), network)
    taken = [next(steps) for _ in range(4)]
    steps.close()
    assert [r.frame for r in taken] == [1, 2, 3, 4]
    assert network.segmented in (5, 6)  # the anchor is one


def test_a_seed_that_does_not_fit_is_refused() -> None:
    cine, truth = clip_of_moving_discs(frames=4)
    with pytest.raises(SeedError, match="10 x 10"):
        run(cine, [Anchor(0, 0, np.ones((10, 10), bool))])
    with pytest.raises(SeedError, match="frames 0 to 3"):
        run(cine, [Anchor(0, 4, truth[0][0])])


def test_the_same_input_gives_the_same_masks() -> None:
    cine, truth = clip_of_moving_discs(frames=10, noise=40)
    first, second = (run(cine, [Anchor(0, 4, truth[4][0])]) for _ in range(2))
    assert all(
        np.array_equal(a.masks, b.masks) and a.confidence == b.confidence for a, b in zip(first, second, strict=True)
    )


def test_a_picture_that_changes_is_no_reason_to_doubt_but_a_lesion_that_jumps_is() -> None:
    cine, truth = clip_of_moving_discs(frames=10, cut=6)
    results = {r.frame: float(r.confidence[0]) for r in run(cine, [Anchor(0, 0, truth[0][0])])}
    assert min(results.values()) > 0.85
    jumping = np.stack([np.roll(cine.frames[t], 40 if t >= 6 else 0, axis=1) for t in range(10)])
    seen = {r.frame: float(r.confidence[0]) for r in run(Cine.from_array(jumping), [Anchor(0, 0, truth[0][0])])}
    assert max(seen[frame] for frame in range(6, 10)) < min(seen[frame] for frame in range(1, 6)) - 0.02


def test_a_range_away_from_the_seed_returns_only_that_range_as_computed() -> None:
    cine, truth = clip_of_moving_discs(frames=12)
    results = run(cine, [Anchor(0, 0, truth[0][0])], frames=range(5, 8))
    assert [r.frame for r in results if r.computed.any()] == [5, 6, 7]
    assert not any(r.masks.any() for r in results if r.frame < 5)


def test_count_steps_is_what_will_be_yielded() -> None:
    cine, truth = clip_of_moving_discs(frames=12)
    anchors = [Anchor(0, 2, truth[2][0]), Anchor(0, 8, truth[8][0])]
    for direction in Direction:
        inputs = inputs_for(cine, anchors, direction=direction)
        steps = list(PropagationInferer(SMALL, torch.device("cpu"))(inputs, BrightNetwork()))
        assert len(steps) == inputs.count_steps()


def test_out_of_gpu_memory_at_the_anchor_goes_on_on_the_cpu_too() -> None:
    class Overflowing(BrightNetwork):
        failed = False

        def memorize(self, frames, code, masks):
            if not self.failed:
                self.failed = True
                raise torch.cuda.OutOfMemoryError("simulated: no GPU is at hand")
            return super().memorize(frames, code, masks)

    cine, truth = clip_of_moving_discs(frames=4)
    said: list[str] = []
    inferer = PropagationInferer(SMALL, torch.device("cpu"), said.append)
    results = list(inferer(inputs_for(cine, [Anchor(0, 0, truth[0][0])]), Overflowing()))
    assert [r.masks.any() for r in results] == [True] * 3
    assert said == ["the GPU ran out of memory at frame 0; the rest is computed on the CPU, which is slower"]


def test_out_of_gpu_memory_goes_on_on_the_cpu_and_says_so() -> None:
    class Overflowing(BrightNetwork):
        def segment(self, frames, code, previous, memory):
            if self.segmented == 4:  # the anchor, and three frames
                self.segmented += 1
                raise torch.cuda.OutOfMemoryError("simulated: no GPU is at hand")
            return super().segment(frames, code, previous, memory)

    cine, truth = clip_of_moving_discs(frames=8)
    said: list[str] = []
    inferer = PropagationInferer(SMALL, torch.device("cpu"), said.append)
    results = list(inferer(inputs_for(cine, [Anchor(0, 0, truth[0][0])]), Overflowing()))
    assert len(results) == 7
    assert all(r.masks.any() for r in results)
    assert said == ["the GPU ran out of memory at frame 4; the rest is computed on the CPU, which is slower"]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_optical_flow_and_the_network_see_the_same_grey_levels(channels: tuple[int, ...]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (256, 256, *channels), np.uint8)
    tensor, grey = NetworkInput(BrightNetwork(), 256, torch.device("cpu")).cut(frame, Window.whole(256, 256))
    assert tensor.shape == (1, 3, 256, 256)
    assert np.array_equal(grey, (tensor[0].mean(0) * 255).round().to(torch.uint8).numpy())


def test_of_several_parts_those_beside_the_largest_are_weighed_by_their_area() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        p = cv2.GaussianBlur(rng.random((80, 90), np.float32), (0, 0), 2)
        p = (p - p.min()) / (p.max() - p.min())
        count, labels, statistics, _ = cv2.connectedComponentsWithStats((p > 0.5).astype(np.uint8), connectivity=8)
        areas = statistics[1:, cv2.CC_STAT_AREA]
        small = 1 + np.flatnonzero(areas < SPECK * areas.max())
        assert count > 2
        assert np.array_equal(plausible_parts(p, np.zeros(p.shape, bool)), np.where(np.isin(labels, small), 0, p))


def islands() -> np.ndarray:
    p = np.zeros((60, 60), np.float32)
    p[5:25, 5:25] = 0.9
    p[30:40, 30:40] = 0.8
    p[50:52, 50:52] = 0.99
    return p


def test_specks_go_and_large_parts_stay_when_it_is_not_known_where_the_lesion_was() -> None:
    p = islands()
    cleaned = plausible_parts(p, np.zeros((60, 60), bool))
    assert not cleaned[50:52, 50:52].any()
    assert cleaned[35, 35] == np.float32(0.8)
    assert cleaned[10, 10] == np.float32(0.9)
    assert p[50, 50] == np.float32(0.99)


def test_parts_away_from_the_previous_mask_are_another_structure() -> None:
    before = np.zeros((60, 60), bool)
    before[41:45, 30:34] = True
    cleaned = plausible_parts(islands(), before)
    assert cleaned[35, 35] == np.float32(0.8)
    assert not cleaned[5:25, 5:25].any()


def test_a_single_part_stays_wherever_it_is() -> None:
    p = islands()
    p[30:, 30:] = 0
    before = np.zeros((60, 60), bool)
    before[50:, 50:] = True
    assert np.array_equal(plausible_parts(p, before), p)


@pytest.mark.parametrize("ends", [(0,), (0, 11)])
def test_a_drawing_of_a_tiny_part_changes_its_own_frame_alone(ends: tuple[int, ...]) -> None:
    cine, truth = clip_of_moving_discs(frames=12)
    whole = [Anchor(0, frame, truth[frame][0]) for frame in ends]
    part = np.zeros_like(truth[5][0])
    rows, columns = np.nonzero(truth[5][0])
    part[rows[:9], columns[:9]] = True
    with_part = {r.frame: r for r in run(cine, [*whole, Anchor(0, 5, part)]) if r.computed.any()}
    without = {r.frame: r for r in run(cine, whole) if r.frame != 5}
    assert sorted(with_part) == sorted(without)
    for frame, result in without.items():
        np.testing.assert_array_equal(with_part[frame].masks, result.masks)
        assert with_part[frame].final.all()


@pytest.mark.parametrize("ends", [(2,), (2, 11), (11,)])
def test_a_drawing_that_is_walked_past_keeps_its_pixels_and_no_others(ends: tuple[int, ...]) -> None:
    cine, truth = clip_of_moving_discs(frames=12)
    anchors = []
    for frame in ends:
        right = truth[frame][0] & (np.arange(128) > np.nonzero(truth[frame][0])[1].mean())
        anchors += [Anchor(0, frame, truth[frame][0] & ~right), Anchor(1, frame, right)]
    row, column = np.argwhere(truth[7][0]).mean(axis=0)
    tiny = disc(cine.shape, row, column - 7, 3)  # in the middle of the other lesion
    inputs = inputs_for(cine, [*anchors, Anchor(1, 7, tiny)])
    results = {r.frame: r for r in PropagationInferer(SMALL, torch.device("cpu"))(inputs, BrightNetwork())}
    first, second = results[7].masks
    np.testing.assert_array_equal(second, tiny)
    assert not (first & tiny).any()
    assert dice(first, truth[7][0] & ~tiny) > 0.9
