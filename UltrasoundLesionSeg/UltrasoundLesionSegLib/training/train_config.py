"""The settings of a training run, read from a bundle's ``configs/train.json``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.engine.bundles import Bundle, read_bundle
from UltrasoundLesionSegLib.errors import ModelError
from UltrasoundLesionSegLib.fitting.clip_synthesis import ClipSettings
from UltrasoundLesionSegLib.fitting.samples import SampleSettings


@dataclass(frozen=True)
class Stage:
    """A part of a run with its own samples and number of steps.

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

    def __post_init__(self) -> None:
        _check(type(self.steps) is int and self.steps >= 0, "steps is not a whole number from 0 on")
        _check(type(self.batch) is int and self.batch >= 1, "batch is not a whole number from 1 on")
        size, frames = self.sample.size, self.sample.frames
        _check(type(size) is int and size >= 32 and size % 16 == 0, "sample.size is not a multiple of 16 from 32 on")
        _check(type(frames) is int and frames >= 1, "sample.frames is not a whole number from 1 on")
        lifetime = self.sample.clip.lifetime
        _check(len(lifetime) == 2 and 0 < lifetime[0] <= lifetime[1], "sample.clip.lifetime is no range above 0")


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


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

    def __post_init__(self) -> None:
        _check(type(self.seed) is int and self.seed >= 0, "seed is not a whole number from 0 on")
        _check(0 < self.learning_rate < 1, "learning_rate is not between 0 and 1")
        _check(self.weight_decay >= 0, "weight_decay is below 0")
        _check(self.focal >= 0, "focal is below 0")
        _check(type(self.warmup) is int and self.warmup >= 0, "warmup is not a whole number from 0 on")
        _check(0 <= self.average_decay < 1, "average_decay is not from 0 to below 1")
        _check(0 <= self.clip_share <= 1, "clip_share is not from 0 to 1")

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
    except OSError as error:
        raise ModelError(
            f"the training configuration cannot be opened ({error.strerror or type(error).__name__}); name the "
            "configs/train.json of a model"
        ) from None  # the chained error would quote the path
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        what = _said(error)
        raise ModelError(
            f"the training configuration is not valid ({what}); compare it with the shipped ones"
        ) from error


def _stage(content: dict[str, Any]) -> Stage:
    sample = dict(content["sample"])
    clip = dict(sample.pop("clip", {}))
    if "lifetime" in clip:
        clip["lifetime"] = tuple(clip["lifetime"])
    return Stage(content["steps"], content["batch"], SampleSettings(clip=ClipSettings(**clip), **sample))


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return "it is no JSON"
    if unknown := re.search(r"unexpected keyword argument '(.*)'", str(error)):
        return f"there is no setting '{unknown[1]}'"
    return str(error)


def _override(content: dict[str, Any], text: str) -> None:
    key, _, value = text.partition("=")
    *outer, last = key.split(".")
    target: Any = content
    try:
        for name in outer:
            target = target[int(name)] if isinstance(target, list) else target[name]
        if not isinstance(target, dict):
            raise TypeError
    except (LookupError, TypeError, ValueError):
        raise ModelError(
            f"--set {key}: the training configuration has nothing of this name; give one as stages.0.steps=500"
        ) from None
    try:
        target[last] = json.loads(value)
    except ValueError:
        raise ModelError(
            f"--set {key}: the value is no JSON; give a number, true, false, or a text in double quotes, as "
            "stages.0.steps=500"
        ) from None
