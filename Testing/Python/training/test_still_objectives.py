"""The losses of networks that see single frames."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from UltrasoundLesionSegLib.engine.click_prompt import INSIDE, MASK, OUTSIDE
from UltrasoundLesionSegLib.engine.network_api import ClickNetwork
from UltrasoundLesionSegLib.engine.networks.bas import Bas
from UltrasoundLesionSegLib.fitting.objectives import MaskLoss
from UltrasoundLesionSegLib.training.objectives import ClickObjective, StillObjective


def test_gradients_reach_the_network() -> None:
    network = Bas(channels=(8, 8, 8), blocks=(1, 1, 1), token_grid=(2, 2))
    loss, _ = StillObjective(network, MaskLoss())(
        torch.zeros(2, 1, 32, 32, dtype=torch.uint8), torch.ones(2, 1, 1, 32, 32)
    )
    loss.backward()
    assert all(value.grad is not None for value in network.parameters())


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
