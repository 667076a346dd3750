"""The forward and the backward result of frames between two anchors, joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from engine_helpers import clip_of_moving_discs, inputs_for
from numpy.typing import NDArray
from stand_in_networks import BrightNetwork
from torch import Tensor

from UltrasoundLesionSegLib.cine import Anchor
from UltrasoundLesionSegLib.engine.both_directions import BothDirections
from UltrasoundLesionSegLib.engine.bundles import default_overlap
from UltrasoundLesionSegLib.engine.memory import MemoryRead
from UltrasoundLesionSegLib.engine.network_api import FrameCode, PreviousFrame
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings

LAST = 6  # frame of the right anchor; the left one is on frame 0
SURE = 0.9


def outline() -> NDArray[np.bool_]:
    mask = np.zeros((32, 32), np.bool_)
    mask[8:20, 10:22] = True
    return mask


def masks_after_both(seen_forward: Sequence[int], seen_back: Sequence[int], frames: range) -> dict[int, bool]:
    """Return on which frames the lesion is seen when both passes, which saw it on these frames, have ended."""
    anchors = [Anchor(0, frame, outline()) for frame in (0, LAST)]
    (stretch,) = [one for one in plan_stretches(anchors, Direction.BOTH, frames) if one.is_two_sided]
    both, seen, nothing = (
        BothDirections(default_overlap()),
        outline().astype(np.float32),
        np.zeros((32, 32), np.float32),
    )
    for index in stretch.frames:
        both.hold(stretch, index, seen if index in seen_forward else nothing, SURE)
    found = {}
    for index in reversed(stretch.frames):
        joined = both.join(stretch, index, seen if index in seen_back else nothing, SURE)
        assert joined.is_final == ((index in seen_forward) == (index in seen_back))
        found[index] = bool((joined.probabilities > 0.5).any())
    decided = list(both.decided())
    assert all(one.is_final for one in decided)
    assert {one.index for one in decided} == set(seen_forward) ^ set(seen_back)
    assert not list(both.decided())
    return found | {one.index: bool((one.probabilities > 0.5).any()) for one in decided}


@pytest.mark.parametrize(
    ("forward", "backward", "seen"),
    [
        pytest.param([1, 2, 3, 4, 5], [5], [1, 2, 3, 4, 5], id="backward lost it"),
        pytest.param([1], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5], id="forward lost it"),
        pytest.param([1, 2, 5], [4, 5], [1, 2, 4, 5], id="what forward found again, backward sees, too"),
        pytest.param([1, 2, 3, 4], [5], [1, 2, 3, 4, 5], id="both lost it for good: what each followed counts"),
        pytest.param([1, 4], [5], [1, 5], id="what forward found again does not count"),
        pytest.param(
            [1, 2, 3, 4], [1, 3, 5], [1, 2, 3, 5], id="backward found it again: forward counts, nearer to its anchor"
        ),
        pytest.param([1, 5], [1, 2, 5], [1, 5], id="both found it again: what one sees alone does not count"),
    ],
)
def test_what_a_pass_follows_without_a_gap_counts_where_the_other_has_lost_it_for_good(
    forward: list[int], backward: list[int], seen: list[int]
) -> None:
    found = masks_after_both(forward, backward, range(LAST + 1))
    assert [index for index in sorted(found) if found[index]] == seen


def test_what_a_pass_found_again_does_not_count_near_its_anchor_either() -> None:
    """The blend would follow it: its anchor is the nearer one."""
    assert masks_after_both([1, 3], [5], range(LAST + 1)) == {1: True, 2: False, 3: False, 4: False, 5: True}
    assert masks_after_both([1], [3, 5], range(LAST + 1)) == {1: True, 2: False, 3: False, 4: False, 5: True}
    assert masks_after_both([1], [4, 3], range(LAST + 1)) == {1: True, 2: False, 3: False, 4: False, 5: False}


def test_in_part_of_a_stretch_nothing_tells_who_arrived() -> None:
    found = masks_after_both([1, 2, 4], [], range(1, 5))  # the right anchor is two frames further
    assert found == {1: True, 2: True, 3: False, 4: False}


class BlindLater(BrightNetwork):
    """Sees nothing from a call on."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        logits = super().segment(frames, code, previous, memory)
        return logits if self.segmented <= self.calls else torch.full_like(logits, -20.0)


def test_frames_that_one_direction_lost_come_again_when_both_have_ended() -> None:
    cine, truth = clip_of_moving_discs(frames=8)
    anchors = [Anchor(0, frame, truth[frame][0]) for frame in (0, 7)]
    network = BlindLater(7 + 3)  # the anchor and six frames forward; the anchor and two frames backward
    inferer = PropagationInferer(TrackerSettings(input_size=64), torch.device("cpu"))
    results = list(inferer(inputs_for(cine, anchors), network))
    backward, decided = results[6:12], results[12:]
    assert [one.frame for one in backward if not one.final[0]] == [4, 3, 2, 1]
    assert [(one.frame, bool(one.final[0])) for one in decided] == [(4, True), (3, True), (2, True), (1, True)]
    for one in decided:
        drawn = truth[one.frame][0]
        assert 2 * (one.masks[0] & drawn).sum() / (one.masks[0].sum() + drawn.sum()) > 0.9
        assert one.confidence[0] > 0.5


@pytest.mark.parametrize("with_absent", [False, True])
def test_near_a_frame_marked_not_visible_the_pass_from_beyond_it_counts_if_masks_cannot_be_compared(
    with_absent: bool,
) -> None:
    nothing = np.zeros((32, 32), np.float32)
    anchors = [Anchor(0, 0, outline()), Anchor(0, 5, nothing > 0), Anchor(0, 10, outline())]
    (stretch,) = plan_stretches(anchors, Direction.BOTH, range(1, 10))
    both = BothDirections(default_overlap())
    both.hold(stretch, 4, outline().astype(np.float32), SURE)
    joined = both.join(stretch, 4, nothing, SURE, with_absent=with_absent)
    assert bool((joined.probabilities > 0.5).any()) is not with_absent
