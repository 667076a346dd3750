"""Networks as they are compared, and a way to drive a tracker frame by frame."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import torch
from clips import Clip
from torch import nn

from UltrasoundLesionSegLib.engine.bundles import Bundle, find_bundle
from UltrasoundLesionSegLib.engine.networks.fused import fuse
from UltrasoundLesionSegLib.engine.openvino_backend import compiled
from UltrasoundLesionSegLib.engine.tracker import LesionTracker, TrackerSettings


def network_of(model: str, variant: str) -> tuple[Bundle, Any]:
    """Return a model and its network on the CPU: ``plain``, ``ours`` or ``openvino`` (see worker.py)."""
    bundle = find_bundle(model)
    plain = plain_network(bundle)
    if variant == "plain":
        return bundle, plain
    if variant == "ours":
        return bundle, as_product(plain)
    if variant == "openvino":
        return bundle, compiled(plain)
    raise ValueError(f"the variant '{variant}' is unknown")


def plain_network(bundle: Bundle) -> nn.Module:
    """Return the network layer by layer as its paper writes it; with random weights where the model has none."""
    torch.manual_seed(0)
    return (bundle.load_network() if bundle.weights is not None else bundle.build_network()).eval()


def as_product(network: nn.Module) -> nn.Module:
    """Return a network as the package runs it on the CPU."""
    return fuse(network)


def follow(clip: Clip, settings: TrackerSettings, network: Any, device: str = "cpu") -> Generator[None, None, None]:
    """Carry the first mask through a clip, once more from its start when it ends, one frame a step.

    Every frame is accepted with its true mask, so that networks with random weights have a lesion to follow too: the
    window stays, and each frame is written into the memory.
    """
    tracker = LesionTracker(network, settings, torch.device(device))
    tracker.start_at_anchor(0, clip.frames[0], clip.masks[0])
    for index in count(1):
        at = index % len(clip.frames)
        tracker.step(clip.frames[at], index)
        tracker.accept(index, clip.masks[at].astype(np.float32))
        yield


def with_input_size(settings: TrackerSettings, size: int) -> TrackerSettings:
    """Return settings that look at the lesion through another number of pixels."""
    return replace(settings, input_size=size)
