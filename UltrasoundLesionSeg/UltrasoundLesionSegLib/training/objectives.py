"""The losses of networks that see single frames, each as one module; that of clips is in ``fitting.objectives``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from UltrasoundLesionSegLib.engine.click_prompt import MASK, draw_clicks
from UltrasoundLesionSegLib.engine.network_api import ClickNetwork, SuggestionNetwork
from UltrasoundLesionSegLib.fitting.objectives import MaskLoss, mean_dice, to_network
from UltrasoundLesionSegLib.training.click_simulation import next_click


class StillObjective(nn.Module):
    """The loss of a network without a seed over a batch of frames."""

    def __init__(self, network: SuggestionNetwork, loss: MaskLoss) -> None:
        super().__init__()
        self.network = network
        self.loss = loss

    def forward(self, frames: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the mean Dice. Parameters as for ``ClipObjective``, T = 1."""
        logits = self.network(to_network(frames[:, 0]))
        return self.loss(logits, masks[:, 0]), mean_dice(logits, masks[:, 0])


class ClickObjective(nn.Module):
    """A click network's loss after some rounds of clicks into its own errors, as RITM is trained.

    Clicks are drawn without a gradient; the loss is that of the last answer alone.
    """

    def __init__(self, network: ClickNetwork, loss: MaskLoss) -> None:
        super().__init__()
        self.network = network
        self.loss = loss

    def forward(self, frames: Tensor, masks: Tensor, prompt: Tensor, rounds: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the mean Dice of the last answer.

        Parameters
        ----------
        frames : Tensor of uint8, shape (B, 1, N, N)
        masks : Tensor, shape (B, 1, 1, N, N)
        prompt : Tensor, shape (B, 4, N, N)
            See ``engine.click_prompt``.
        rounds : Tensor of int, shape (B,)
            Clicks to come; all samples get as many as the first one, so that no answer is computed without use.
        """
        pixels, truth = to_network(frames[:, 0]), masks[:, 0]
        training = self.network.training
        self.network.eval()
        for _ in range(int(rounds[0])):
            prompt = self._clicked(pixels, truth, prompt)
        self.network.train(training)
        logits = self.network(torch.cat((pixels, prompt), dim=1))
        return self.loss(logits, truth), mean_dice(logits, truth)

    @torch.no_grad()
    def _clicked(self, pixels: Tensor, truth: Tensor, prompt: Tensor) -> Tensor:
        """Return the prompts with the network's answer as the mask so far and a click into its largest error."""
        found = torch.sigmoid(self.network(torch.cat((pixels, prompt), dim=1)).float()).cpu().numpy()
        true, updated = truth.cpu().numpy() > 0.5, prompt.cpu().numpy().copy()
        updated[:, MASK] = found[:, 0]
        for number, one in enumerate(updated):
            # where a click falls depends on the sample alone, not on the process that draws it
            rng = np.random.default_rng(int(true[number].sum()))
            click = next_click(one[MASK] > 0.5, true[number, 0], rng)
            draw_clicks(one, [click] if click else [])
        return torch.from_numpy(updated).to(prompt.device)
