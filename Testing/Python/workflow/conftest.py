"""A workflow on an empty scene, a small cine in it, and a model whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from engine_helpers import clip_of_moving_discs
from numpy.typing import NDArray
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow


@pytest.fixture
def logic() -> Iterator[UltrasoundLesionWorkflow]:
    import slicer

    workflow = UltrasoundLesionWorkflow()
    slicer.mrmlScene.Clear(0)
    yield workflow
    workflow.release()
    slicer.mrmlScene.Clear(0)


@pytest.fixture
def bright_model(monkeypatch: pytest.MonkeyPatch) -> BrightNetwork:
    """Let every model be the network that calls bright pixels lesion; its counters tell what was computed."""
    network = BrightNetwork()
    described = Bundle(
        "bright",
        "Bright",
        "stand-in",
        "propagate",
        64,
        "1",
        "0" * 64,
        None,
        {},
        {"input_size": 64},  # type: ignore[arg-type]
    )
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.bundles.default_bundle", lambda role: described)
    monkeypatch.setattr(Bundle, "load_network", lambda self, device: network)
    return network


@pytest.fixture
def discs(logic: UltrasoundLesionWorkflow) -> tuple[Any, NDArray[np.bool_]]:
    """A browser with a 12-frame cine of one bright disc, and the truth (T, K, H, W)."""
    cine, truth = clip_of_moving_discs(frames=12)
    return logic.addCine(cine), truth
