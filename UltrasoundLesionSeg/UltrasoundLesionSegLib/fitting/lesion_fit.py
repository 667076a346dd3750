"""A model fitted to the lesions that were drawn on one cine.

A few gradient steps on clips made of the drawn frames (``clip_synthesis``), mixed with simulated lesions so that little
is forgotten. The weights are then moved only a share of the way. Such weights are better on most cines;
``way_back.is_kept`` says whether their result is kept (Docs/results/ablations.md).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache

import numpy as np
import torch
from torch import nn

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork
from UltrasoundLesionSegLib.errors import ModelError, SeedError
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip, ClipSettings
from UltrasoundLesionSegLib.fitting.objectives import ClipObjective, MaskLoss
from UltrasoundLesionSegLib.fitting.samples import NoLesionError, PropagationSamples, SampleSettings
from UltrasoundLesionSegLib.fitting.simulated import simulated_clip
from UltrasoundLesionSegLib.fitting.still import Still

CLIPPED_NORM = 1.0  # of the gradient
BETAS = (0.9, 0.95)  # of AdamW
OTHERS, OTHER_FRAMES, OTHER_SIZE = 6, 6, 200  # simulated clips, their frames, their shorter side in pixels
FITTED = " (fitted to this cine)"  # behind the model's name
# the lesion's own tissue and outline, moved and lit a little otherwise; the training's own clips go much further
MILD = ClipSettings(strength=0.7, change=0.3, reshape=0.0, exit_share=0.0, floor=0.7, look=0.4)


@dataclass(frozen=True)
class FitSettings:
    """How a network is fitted.

    Parameters
    ----------
    steps, batch : int
        Optimiser steps, and clips a step.
    learning_rate : float
        Of AdamW.
    other_share : float
        Share of clips that show other, simulated lesions.
    share : float
        How far the weights go from where they were to where the steps led.
    clip : ClipSettings
        How far the clips of the lesion go.
    seed : int
    """

    steps: int = 20
    batch: int = 2
    learning_rate: float = 3e-4
    other_share: float = 0.25
    share: float = 0.3
    clip: ClipSettings = field(default_factory=lambda: MILD)
    seed: int = 0


@dataclass(frozen=True)
class FittedBundle(Bundle):
    """A model with weights of its own for one cine, which are in memory alone.

    Parameters
    ----------
    fitted : Module
        The network with these weights, on the CPU.
    """

    fitted: nn.Module = field(repr=False, compare=False)

    def load_network(self, device: torch.device | str = "cpu") -> nn.Module:
        """Return a copy of the fitted network, in evaluation mode."""
        return copy.deepcopy(self.fitted).eval().to(device)


@cache
def other_clips() -> tuple[Clip, ...]:
    """Return clips of simulated lesions, the same ones always; made once in a process, in a few seconds."""
    return tuple(simulated_clip(number, OTHER_FRAMES, OTHER_SIZE) for number in range(OTHERS))


def fit_steps(
    bundle: Bundle, drawn: Sequence[tuple[Frame, Mask]], settings: FitSettings, device: torch.device | str = "cpu"
) -> Generator[int, None, nn.Module]:
    """Fit a model's network to the lesions that were drawn on a cine; yields the number of steps done.

    The samples are seen as the tracker sees them: at the model's own input size, and with what it remembers.

    Parameters
    ----------
    bundle : Bundle
        A model whose role is to propagate; its own weights stay as they are.
    drawn : sequence of (frame, mask)
        Frames, uint8 (H, W) or (H, W, 3), each with a lesion on it, bool (H, W), not empty.
    settings : FitSettings
    device : torch.device or str

    Returns
    -------
    Module
        Where the steps led, in evaluation mode. On one machine the same arguments give the same weights.

    Raises
    ------
    SeedError
        When the lesions drawn are too small to be seen in the clips.
    """
    network = bundle.load_network(device).requires_grad_(True)  # in evaluation mode: normalisations keep statistics
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert isinstance(network, PropagationNetwork)
    view = bundle.tracker_settings()
    objective = ClipObjective(network, MaskLoss(), remembers_passing=view.memory.capacity > 0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, betas=BETAS, weight_decay=0.0)
    sample = SampleSettings(size=view.input_size, wrongness=0.6, whole_share=0.05, clip=settings.clip)
    others = other_clips()
    tissue = [Still(clip.frames[0], clip.masks[0]) for clip in others]
    stills = [_still(frame, mask) for frame, mask in drawn]
    samples = PropagationSamples(stills, sample, settings.seed, others, settings.other_share, tissue)
    for step in range(settings.steps):
        try:
            items = [samples[step * settings.batch + number] for number in range(settings.batch)]
        except NoLesionError as error:
            raise SeedError("the lesion drawn is too small to fit a model to") from error
        batch = {name: torch.stack([item[name] for item in items]).to(device) for name in items[0]}
        with torch.enable_grad():
            loss, _ = objective(**batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIPPED_NORM)
        optimizer.step()
        yield step + 1
    return network


def between(bundle: Bundle, led_to: nn.Module, share: float) -> FittedBundle:
    """Return a model whose weights lie a share of the way from the bundle's own to those that a fit led to.

    Such a mean forgets less than the fitted weights (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR
    2022).

    Parameters
    ----------
    bundle : Bundle
    led_to : Module
        As ``fit_steps`` returned it.
    share : float

    Returns
    -------
    FittedBundle
        Called otherwise than the bundle, and with the SHA-256 of its own weights.

    Raises
    ------
    ModelError
        When the steps led to weights that are no numbers.
    """
    merged = bundle.load_network("cpu")
    digest = hashlib.sha256()
    with torch.no_grad():
        for one, other in zip(merged.parameters(), led_to.parameters(), strict=True):
            one.lerp_(other.cpu(), share)
            if not bool(torch.isfinite(one).all()):
                raise ModelError(f"the steps led to weights of '{bundle.name}' that are not numbers")
            digest.update(one.contiguous().numpy().tobytes())
    named = {one.name: getattr(bundle, one.name) for one in fields(Bundle)}
    named |= {"name": bundle.name + FITTED, "sha256": digest.hexdigest()}
    return FittedBundle(**named, fitted=merged)


def _still(frame: Frame, mask: Mask) -> Still:
    grey = frame if frame.ndim == 2 else frame.mean(axis=2).astype(np.uint8)
    return Still(np.ascontiguousarray(grey), mask)
