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


def test_the_largest_part_is_proposed() -> None:
    mask = suggest_mask(frame_with_discs(), Bright(), 96, CPU)
    assert mask[40, 50]
    assert not mask[80, 110]
    assert not suggest_mask(np.zeros((96, 128), np.uint8), Bright(), 96, CPU).any()


def test_out_of_gpu_memory_goes_on_on_the_cpu_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    expected = suggest_mask(frame_with_discs(), Bright(), 96, CPU)
    np.testing.assert_array_equal(suggest_mask(frame_with_discs(), Bright(overflows=1), 96, CPU), expected)
    assert "the GPU ran out of memory; the suggestion is computed on the CPU" in caplog.text
