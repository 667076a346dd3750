"""The settings of a training run, read from a bundle's ``configs/train.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.engine.bundles import Bundle, read_bundle
from UltrasoundLesionSegLib.errors import ModelError
from UltrasoundLesionSegLib.training.clip_synthesis import ClipSettings
from UltrasoundLesionSegLib.training.datasets import SampleSettings


@dataclass(frozen=True)
class Stage:
    """A stretch of a run.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batch : int
        Samples a step and process.
    sample : SampleSettings
    """

    steps: int
    batch: int
    sample: SampleSettings


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Parameters
    ----------
    bundle : Bundle
        The model to train: the bundle that holds the configuration describes its network.
    stages : tuple of Stage
        One after another; the learning rate falls over all of them.
    seed : int
    learning_rate, weight_decay : float
        Of AdamW; the rate rises over ``warmup`` steps, then falls as a half cosine to a hundredth.
    warmup : int
    average_decay : float
        Of the exponential moving average of the weights.
    focal : float
        Weight of the focal loss.
    clip_share : float
        Share of samples from cached simulated clips, where a folder of them is given.
    """

    bundle: Bundle
    stages: tuple[Stage, ...]
    seed: int = 0
    learning_rate: float = 3e-4
    weight_decay: float = 0.02
    warmup: int = 200
    average_decay: float = 0.998
    focal: float = 0.0
    clip_share: float = 0.3

    @property
    def steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.steps for stage in self.stages)


def read_train_config(path: Path, overrides: list[str] | None = None) -> TrainConfig:
    """Read a bundle's ``configs/train.json``.

    Parameters
    ----------
    path : Path
    overrides : list of str, or None
        ``key=JSON value`` with dots for nesting, e.g. ``stages.0.steps=500``.

    Raises
    ------
    ModelError
        When a file is missing or is no such configuration.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))["train"]
        for override in overrides or []:
            _override(content, override)
        stages = tuple(_stage(stage) for stage in content.pop("stages"))
        return TrainConfig(bundle=read_bundle(path.resolve().parents[1]), stages=stages, **content)
    except (OSError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(
            f"the training configuration cannot be read ({error}); compare it with the shipped ones"
        ) from error


def _stage(content: dict[str, Any]) -> Stage:
    sample = dict(content["sample"])
    clip = dict(sample.pop("clip", {}))
    if "lifetime" in clip:
        clip["lifetime"] = tuple(clip["lifetime"])
    return Stage(content["steps"], content["batch"], SampleSettings(clip=ClipSettings(**clip), **sample))


def _override(content: dict[str, Any], text: str) -> None:
    key, _, value = text.partition("=")
    *outer, last = key.split(".")
    target: Any = content
    for name in outer:
        target = target[int(name)] if isinstance(target, list) else target[name]
    target[last] = json.loads(value)
