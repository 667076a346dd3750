"""Networks whose output is known by construction, so that propagation is tested apart from what a network learnt."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from UltrasoundLesionSegLib.engine.click_prompt import INSIDE, OUTSIDE
from UltrasoundLesionSegLib.engine.network_api import (
    ClickNetwork,
    FrameCode,
    MemoryItem,
    MemoryRead,
    PreviousFrame,
    PropagationNetwork,
)


class BrightNetwork(PropagationNetwork):
    """Calls everything brighter than mid-grey lesion; counts its calls and keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0
        self.segmented = 0
        self.reads: list[MemoryRead] = []

    def encode(self, frames: Tensor) -> FrameCode:
        self.encoded += len(frames)
        return FrameCode(avg_pool2d(frames, 16))

    def memorize(self, frames: Tensor, code: FrameCode, masks: Tensor) -> MemoryItem:
        return MemoryItem(code.key, torch.cat([frames, masks], 1))

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        self.segmented += 1
        self.reads.append(memory)
        return (frames.mean(dim=1, keepdim=True) - 0.5) * 40


class HoldNetwork(BrightNetwork):
    """Repeats the previous mask."""

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        self.segmented += 1
        return (previous.masks - 0.5) * 40


class AnchorNetwork(BrightNetwork):
    """Repeats the mask of the nearest anchor in memory, with a logit that tells which one it was."""

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        self.segmented += 1
        return (memory.values[:, memory.nearest_permanent(), 3:4] - 0.5) * 40


class PointedNetwork(ClickNetwork):
    """Sees what is bright or clicked inside, not what is clicked outside; keeps what it was shown."""

    def __init__(self, overflows: int = 0) -> None:
        super().__init__()
        self.overflows = overflows
        self.seen: list[Tensor] = []

    def forward(self, stacked: Tensor) -> Tensor:
        if self.overflows:
            self.overflows -= 1
            raise torch.cuda.OutOfMemoryError("simulated: no GPU is at hand")
        self.seen.append(stacked)
        bright = stacked[:, :3].mean(dim=1, keepdim=True) > 0.5
        prompt = stacked[:, 3:]
        added = max_pool2d(prompt[:, INSIDE : INSIDE + 1], 9, 1, 4) > 0.5
        cut = max_pool2d(prompt[:, OUTSIDE : OUTSIDE + 1], 9, 1, 4) > 0.5
        return ((bright | added) & ~cut).float() * 20 - 10
