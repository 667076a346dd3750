"""A seed proposed on one frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from UltrasoundLesionSegLib.engine.network_api import SuggestionNetwork
from UltrasoundLesionSegLib.engine.suggestion import suggest_mask

CPU = torch.device("cpu")


class Bright(SuggestionNetwork):
    """Sees what is bright; runs out of memory as often as it is told."""

    def __init__(self, overflows: int = 0) -> None:
        super().__init__()
        self.overflows = overflows

    def forward(self, frames: Tensor) -> Tensor:
        if self.overflows:
            self.overflows -= 1
            raise torch.cuda.OutOfMemoryError("simulated: no GPU is at hand")
        return (frames.mean(dim=1, keepdim=True) - 0.5) * 100


def frame_with_discs() -> np.ndarray:
    rows, columns = np.mgrid[:96, :128]
    frame = np.full((96, 128), 20, np.uint8)
    frame[(rows - 40) ** 2 + (columns - 50) ** 2 < 400] = 230
    frame[(rows - 80) ** 2 + (columns - 110) ** 2 < 50] = 230
    return frame


def test_the_surest_part_is_proposed() -> None:
    mask = suggest_mask(frame_with_discs(), Bright(), 96, CPU)
    assert mask[40, 50]
    assert not mask[80, 110]
    assert not suggest_mask(np.zeros((96, 128), np.uint8), Bright(), 96, CPU).any()


def test_out_of_gpu_memory_goes_on_on_the_cpu_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    expected = suggest_mask(frame_with_discs(), Bright(), 96, CPU)
    np.testing.assert_array_equal(suggest_mask(frame_with_discs(), Bright(overflows=1), 96, CPU), expected)
    assert "the GPU ran out of memory; the suggestion is computed on the CPU" in caplog.text


def test_what_the_first_look_finds_is_looked_at_again_closer() -> None:
    seen: list[Tensor] = []

    class Noted(Bright):
        def forward(self, frames: Tensor) -> Tensor:
            seen.append(frames)
            return super().forward(frames)

    frame = frame_with_discs()
    mask = suggest_mask(frame, Noted(), 96, CPU)
    whole, closer = ((one.mean(dim=1) > 0.5).float().mean().item() for one in seen)
    assert closer > 2 * whole  # the disc of a radius of 20 in a window of 78 pixels instead of 128
    drawn = frame[:70] == 230
    assert 2 * (mask[:70] & drawn).sum() / (mask[:70].sum() + drawn.sum()) > 0.98
    assert len(seen) == 2
    assert not suggest_mask(np.zeros((96, 128), np.uint8), Noted(), 96, CPU).any()
    assert len(seen) == 3  # nothing was found that could be looked at again


def test_a_small_part_seen_surely_is_preferred_to_a_larger_doubtful_one() -> None:
    frame = frame_with_discs()
    frame[(frame == 230) & (np.mgrid[:96, :128][1] < 80)] = 128  # the larger disc: hardly more than mid-grey
    mask = suggest_mask(frame, Bright(), 96, CPU)
    assert mask[80, 110]
    assert not mask[40, 50]
