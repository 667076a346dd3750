from __future__ import annotations

import pytest
import torch
from stand_in_networks import BrightNetwork
from torch import Tensor

from UltrasoundLesionSegLib.engine.network_api import FrameCode, MemoryRead, PreviousFrame
from UltrasoundLesionSegLib.fitting.objectives import ClipObjective, MaskLoss, code_at, mean_dice, roll_out, to_network


class Recorder(BrightNetwork):
    """Keeps what it was shown; its logits are a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.previous: list[Tensor] = []
        self.memory: list[MemoryRead] = []

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        self.previous.append(previous.masks)
        self.memory.append(memory)
        return torch.full_like(previous.masks, 0.3)


def test_later_frames_are_seen_with_the_prediction_not_the_truth() -> None:
    network = Recorder()
    frames, anchor, prior = torch.rand(2, 5, 3, 32, 32), torch.ones(2, 1, 32, 32), torch.full((2, 1, 32, 32), 0.7)
    logits = roll_out(network, frames, anchor, prior)
    assert len(logits) == 3
    assert network.encoded == 10
    assert torch.equal(network.previous[0], prior)
    for masks in network.previous[1:]:
        assert torch.allclose(masks, torch.sigmoid(torch.tensor(0.3)))
    # the anchor's value is its frame and mask, and it is never dropped
    last = network.memory[-1]
    assert last.values.shape == (2, 4, 4, 32, 32)
    assert torch.equal(last.values[:, 0], torch.cat([frames[:, 0], anchor], 1))
    assert last.permanent == (True, False, False, False)
    assert last.distances == (4, 3, 2, 1)
    assert last.nearest_permanent() == 0


def test_a_network_that_forgets_passing_frames_is_shown_the_anchor_alone() -> None:
    network = Recorder()
    frames, anchor, prior = torch.rand(2, 5, 3, 32, 32), torch.ones(2, 1, 32, 32), torch.full((2, 1, 32, 32), 0.7)
    roll_out(network, frames, anchor, prior, remembers_passing=False)
    for now, memory in enumerate(network.memory, start=2):
        assert torch.equal(memory.values[:, 0], torch.cat([frames[:, 0], anchor], 1))
        assert (memory.values.shape[1], memory.permanent, memory.distances) == (1, (True,), (now,))


def test_a_frames_code_is_picked_from_the_batch() -> None:
    key = torch.arange(6.0).reshape(6, 1, 1, 1)
    picked = code_at(FrameCode(key, (key * 10,)), 2, 3)
    assert picked.key.flatten().tolist() == [2.0, 5.0]
    assert picked.features[0].flatten().tolist() == [20.0, 50.0]


def test_the_loss_prefers_the_truth_and_bears_empty_frames() -> None:
    loss = MaskLoss(focal=1.0)
    truth = torch.zeros(1, 1, 64, 64)
    truth[..., 20:40, 20:40] = 1
    right, wrong = (truth - 0.5) * 20, (0.5 - truth) * 20
    assert loss(right, truth) < 0.02 < 1 < loss(wrong, truth)
    empty = torch.zeros_like(truth)
    assert loss(empty - 10, empty) < 0.01
    speck = empty - 10
    speck[..., :2, :2] = 10
    assert 0.01 < loss(speck, empty) < 0.6


def test_frames_become_rgb_between_0_and_1() -> None:
    frames = torch.tensor([[0, 255]], dtype=torch.uint8).reshape(1, 1, 1, 2)
    seen = to_network(frames)
    assert seen.shape == (1, 1, 3, 1, 2)
    assert seen[0, 0, :, 0].tolist() == [[0.0, 1.0]] * 3


def test_dice_counts_empty_on_both_sides_as_right() -> None:
    masks = torch.zeros(2, 1, 4, 4)
    masks[0, 0, :2] = 1
    logits = torch.full((2, 1, 4, 4), -1.0)
    logits[0, 0, 0] = 1.0
    assert mean_dice(logits, masks).item() == pytest.approx((2 * 4 / (4 + 8) + 1) / 2)


def test_the_clip_loss_sums_over_predicted_frames() -> None:
    network = Recorder()
    frames, masks = torch.zeros(1, 4, 32, 32, dtype=torch.uint8), torch.ones(1, 4, 1, 32, 32)
    loss = MaskLoss()
    total, _ = ClipObjective(network, loss)(frames, masks, masks[:, 1])
    single = loss(torch.full((1, 1, 32, 32), 0.3), masks[:, 0])
    assert total.item() == pytest.approx(2 * single.item(), rel=1e-5)
