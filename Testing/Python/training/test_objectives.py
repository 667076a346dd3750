from __future__ import annotations

import pytest
import torch
from stand_in_networks import BrightNetwork
from torch import Tensor

from UltrasoundLesionSegLib.engine.click_prompt import INSIDE, MASK, OUTSIDE
from UltrasoundLesionSegLib.engine.network_api import ClickNetwork, FrameCode, MemoryRead, PreviousFrame
from UltrasoundLesionSegLib.engine.networks.bas import Bas
from UltrasoundLesionSegLib.training.objectives import (
    ClickObjective,
    ClipObjective,
    MaskLoss,
    StillObjective,
    code_at,
    mean_dice,
    roll_out,
    to_network,
)


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


def test_gradients_reach_the_network() -> None:
    network = Bas(channels=(8, 8, 8), blocks=(1, 1, 1), token_grid=(2, 2))
    loss, _ = StillObjective(network, MaskLoss())(
        torch.zeros(2, 1, 32, 32, dtype=torch.uint8), torch.ones(2, 1, 1, 32, 32)
    )
    loss.backward()
    assert all(value.grad is not None for value in network.parameters())


def test_the_clip_loss_sums_over_predicted_frames() -> None:
    network = Recorder()
    frames, masks = torch.zeros(1, 4, 32, 32, dtype=torch.uint8), torch.ones(1, 4, 1, 32, 32)
    loss = MaskLoss()
    total, _ = ClipObjective(network, loss)(frames, masks, masks[:, 1])
    single = loss(torch.full((1, 1, 32, 32), 0.3), masks[:, 0])
    assert total.item() == pytest.approx(2 * single.item(), rel=1e-5)


class LeftHalf(ClickNetwork):
    """Answers with the left half of what it is shown, whatever is clicked; keeps the prompts and its mode."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(9.0))
        self.seen: list[tuple[Tensor, bool]] = []

    def forward(self, stacked: Tensor) -> Tensor:
        self.seen.append((stacked[:, 3:].detach().clone(), self.training))
        columns = torch.arange(stacked.shape[3]).expand(stacked.shape[0], 1, stacked.shape[2], -1)
        return torch.where(columns < stacked.shape[3] // 2, self.scale, -self.scale)


@pytest.mark.parametrize(("right", "channel"), [(True, INSIDE), (False, OUTSIDE)])
def test_a_click_network_is_clicked_where_it_errs(right: bool, channel: int) -> None:
    network = LeftHalf().train()
    truth = torch.zeros(2, 1, 1, 32, 32)
    truth[..., :8] = 1
    if right:
        truth[..., :] = 1
    frames, prompt = torch.zeros(2, 1, 32, 32, dtype=torch.uint8), torch.zeros(2, 4, 32, 32)
    loss, dice = ClickObjective(network, MaskLoss())(frames, truth, prompt, torch.tensor([2, 0]))
    assert [training for _, training in network.seen] == [False, False, True]
    last = network.seen[-1][0]
    assert torch.allclose(last[:, MASK], torch.sigmoid(torch.where(torch.arange(32) < 16, 9.0, -9.0)).expand(2, 32, 32))
    wrong = slice(16, 32) if right else slice(8, 16)
    assert all(one[channel, :, wrong].max() == 1 for one in last)
    assert last[:, [INSIDE, OUTSIDE]].sum() == last[:, channel].sum()
    assert not prompt.any()  # what the caller gave stays as it was
    loss.backward()
    assert network.scale.grad is not None
    assert network.scale.grad != 0
    assert float(dice) == pytest.approx(2 / 3, abs=1e-6)
