"""Masks of the shipped models do not depend on what says nothing about the lesion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import dice, inputs_for
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine, FrameResult
from UltrasoundLesionSegLib.engine.bundles import find_bundle
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine

MODELS = ("stpfnet_light", "bas_s_propagate")


def propagated(cine: Cine, seed: NDArray[np.bool_], name: str, network: object) -> list[FrameResult]:
    assert isinstance(network, PropagationNetwork)
    inferer = PropagationInferer(find_bundle(name).tracker_settings(), torch.device("cpu"))
    return list(inferer(inputs_for(cine, [Anchor(0, 0, seed)]), network))


@pytest.mark.parametrize("name", MODELS)
def test_grey_frames_and_the_same_frames_in_nearly_grey_colours_give_the_same_masks(name: str) -> None:
    made = simulate_cine(SimulationSettings(seed=3, frames=6))
    grey = np.stack([made.cine.frames[index].clip(4, 251) for index in range(6)])
    tint = np.random.default_rng(0).integers(-2, 3, (*grey.shape, 1)) * np.array([1, -1, 0])
    tinted = (grey[..., None] + tint).astype(np.uint8)
    network = find_bundle(name).load_for_inference("cpu")
    in_grey, in_colour = (
        propagated(replace(made.cine, frames=frames), made.truth[0][0], name, network) for frames in (grey, tinted)
    )
    for one, other in zip(in_grey, in_colour, strict=True):
        assert one.masks.any()
        assert np.array_equal(one.masks, other.masks)
        assert np.array_equal(one.confidence, other.confidence)


@pytest.mark.parametrize("name", MODELS)
def test_fused_and_unfused_convolutions_agree_over_forty_frames(name: str) -> None:
    made = simulate_cine(SimulationSettings(seed=5, frames=41))
    bundle = find_bundle(name)
    fused, unfused = (
        propagated(made.cine, made.truth[0][0], name, network)
        for network in (bundle.load_for_inference("cpu"), bundle.load_network())
    )
    agreement = [dice(one.masks[0], other.masks[0]) for one, other in zip(fused, unfused, strict=True)]
    assert len(agreement) == 40
    assert min(agreement) > 0.998
