"""A small cine in the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engine_helpers import clip_of_moving_discs
from numpy.typing import NDArray

from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow


@pytest.fixture
def discs(logic: UltrasoundLesionWorkflow) -> tuple[Any, NDArray[np.bool_]]:
    """A browser with a 12-frame cine of one bright disc, and the truth (T, K, H, W)."""
    cine, truth = clip_of_moving_discs(frames=12)
    return logic.addCine(cine), truth
