from __future__ import annotations

import numpy as np
import psutil
import torch
from engine_helpers import disc, inputs_for
from numpy.typing import NDArray
from stand_in_networks import HoldNetwork

from UltrasoundLesionSegLib.cine import Anchor, Cine, SourceIdentity, SourceKind
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings

FRAMES, SHAPE = 5000, (64, 64)


class MadeFrames:
    """Frames that are made when asked for; keeping them would be the propagation's doing."""

    def __len__(self) -> int:
        return FRAMES

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.full(SHAPE, index % 200, np.uint8)


def resident_mb() -> float:
    return psutil.Process().memory_info().rss / 2**20


def test_five_thousand_frames_need_no_more_memory_than_two_hundred() -> None:
    """Between two anchors, where forward results wait for the backward pass: the worst case for memory."""
    cine = Cine(MadeFrames(), *SHAPE, False, SourceIdentity(SourceKind.MEMORY, "0" * 64))
    anchors = [Anchor(0, frame, disc(SHAPE, 32, 32, 12)) for frame in (0, FRAMES - 1)]
    inferer = PropagationInferer(TrackerSettings(input_size=32), torch.device("cpu"))
    resident = []
    done = 0
    for result in inferer(inputs_for(cine, anchors), HoldNetwork()):
        assert not result.error
        done += 1
        if done % 200 == 0:
            resident.append(resident_mb())
    assert done == 2 * (FRAMES - 2)
    # 5,000 frames would be 20 MB, their masks as many, their probabilities 80 MB: none of that may pile up
    assert max(resident) - resident[0] < 40
