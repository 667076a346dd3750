"""The loss of a clip, as one module, so that it can be distributed over several processes."""

from __future__ import annotations

import torch
from monai.losses import DiceLoss, FocalLoss
from torch import Tensor, nn
from torch.nn import functional

from UltrasoundLesionSegLib.engine.network_api import (
    FrameCode,
    MemoryItem,
    MemoryRead,
    PreviousFrame,
    PropagationNetwork,
)


class MaskLoss(nn.Module):
    """Binary cross-entropy plus Dice loss, plus focal loss where a network was published with it.

    Parameters
    ----------
    focal : float
        Weight of the focal loss (gamma 2).
    """

    def __init__(self, focal: float = 0.0) -> None:
        super().__init__()
        # a hundred pixels of smoothing: an empty frame with a few false pixels is a small error, not a total one
        self._dice = DiceLoss(sigmoid=True, smooth_nr=100.0, smooth_dr=100.0)
        self._focal = FocalLoss(gamma=2.0) if focal else None
        self._focal_weight = focal

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Return the mean loss of logits (B, 1, h, w) against masks (B, 1, h, w) of 0 and 1."""
        logits = logits.float()
        loss: Tensor = functional.binary_cross_entropy_with_logits(logits, masks) + self._dice(logits, masks)
        if self._focal is not None:
            loss = loss + self._focal_weight * self._focal(logits, masks)
        return loss


def to_network(frames: Tensor) -> Tensor:
    """Turn grey uint8 frames (..., N, N) into what networks take: float32 RGB (..., 3, N, N) in [0, 1]."""
    return (frames.float() / 255).unsqueeze(-3).expand(*frames.shape[:-2], 3, *frames.shape[-2:])


def read_memory(items: list[MemoryItem], times: list[int], now: int) -> MemoryRead:
    """Stack remembered frames; the first one is the anchor.

    Parameters
    ----------
    items : list of MemoryItem
    times : list of int
        The frame of each item.
    now : int
    """
    return MemoryRead(
        torch.stack([item.key for item in items], dim=1),
        torch.stack([item.value for item in items], dim=1),
        tuple(number == 0 for number in range(len(items))),
        tuple(abs(now - time) for time in times),
    )


def code_at(code: FrameCode, time: int, frames: int) -> FrameCode:
    """Pick one frame's code from the code of (B * T) frames in batch-major order."""
    return FrameCode(
        code.key.unflatten(0, (-1, frames))[:, time],
        tuple(feature.unflatten(0, (-1, frames))[:, time] for feature in code.features),
    )


def roll_out(
    network: PropagationNetwork, frames: Tensor, anchor: Tensor, prior: Tensor, remembers_passing: bool = True
) -> list[Tensor]:
    """Carry a mask through a clip as the engine does.

    The first frame is the anchor, with its true mask; the second the previous frame, with a given mask that may be
    wrong; each later one is segmented from its own predecessor's *predicted* probabilities.

    Parameters
    ----------
    network : PropagationNetwork
    frames : Tensor, shape (B, T, 3, h, w)
    anchor : Tensor, shape (B, 1, h, w)
    prior : Tensor, shape (B, 1, h, w)
    remembers_passing : bool
        Whether frames passed on the way are remembered beside the anchor.

    Returns
    -------
    list of Tensor, length T - 2
        Logits (B, 1, h, w).
    """
    count = frames.shape[1]
    codes = network.encode(frames.flatten(0, 1))
    masks = [anchor, prior]
    items: list[MemoryItem] = []
    logits: list[Tensor] = []
    for time in range(2, count):
        for past in range(len(items), time if remembers_passing else 1):
            items.append(network.memorize(frames[:, past], code_at(codes, past, count), masks[past]))
        previous = PreviousFrame(frames[:, time - 1], code_at(codes, time - 1, count), masks[-1])
        memory = read_memory(items, list(range(len(items))), time)
        logits.append(network.segment(frames[:, time], code_at(codes, time, count), previous, memory))
        masks.append(torch.sigmoid(logits[-1].float()))
    return logits


class ClipObjective(nn.Module):
    """A propagation network's loss over a batch of clips: summed over predicted frames, as STPFNet was published.

    Parameters
    ----------
    network : PropagationNetwork
    loss : MaskLoss
    remembers_passing : bool
        See ``roll_out``.
    """

    def __init__(self, network: PropagationNetwork, loss: MaskLoss, remembers_passing: bool = True) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self._remembers_passing = remembers_passing

    def forward(self, frames: Tensor, masks: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the mean Dice of the last frame.

        Parameters
        ----------
        frames : Tensor of uint8, shape (B, T, N, N)
        masks : Tensor, shape (B, T, 1, N, N)
        prior : Tensor, shape (B, 1, N, N)
        """
        logits = roll_out(self.network, to_network(frames), masks[:, 0], prior, self._remembers_passing)
        loss = sum((self.loss(one, masks[:, time + 2]) for time, one in enumerate(logits)), logits[0].new_zeros(()))
        return loss, mean_dice(logits[-1], masks[:, -1])


@torch.no_grad()
def mean_dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the batch's mean Dice of logits > 0, both of shape (B, 1, h, w); empty on both sides counts as 1."""
    found = (logits > 0).float()
    overlap = (found * masks).sum((1, 2, 3))
    total = found.sum((1, 2, 3)) + masks.sum((1, 2, 3))
    return torch.where(total > 0, 2 * overlap / total.clamp(min=1), torch.ones_like(total)).mean()
