"""The trainings of an adaptation: how they are set up, how long a step takes, and what they leave."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator

from UltrasoundLesionSegLib.engine.bundles import Bundle, read_bundle
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.fitting.samples import SampleSettings
from UltrasoundLesionSegLib.training.export import export_runs
from UltrasoundLesionSegLib.training.train_config import Stage, TrainConfig
from UltrasoundLesionSegLib.training.trainer import Trainer
from UltrasoundLesionSegLib.writers.atomic import atomic_path

BATCH = 4
FRAMES = 4  # of a sample
LONGEST_GAP = 20.0
LEARNING_RATE = 2e-4
AVERAGE_DECAY = 0.98
SEED = 17
TIMED, UNTIMED = 4, 2  # steps to find out how long one takes; the first ones load libraries and are not counted


def configuration(start: Bundle, steps: int) -> TrainConfig:
    """Return the settings of a training of so many steps that begins with a model."""
    sample = SampleSettings(frames=FRAMES, size=start.input_size, longest_gap=LONGEST_GAP, whole_share=0.05)
    return TrainConfig(
        start,
        (Stage(steps, BATCH, sample),),
        seed=SEED,
        learning_rate=LEARNING_RATE,
        warmup=max(steps // 10, 1),
        average_decay=AVERAGE_DECAY,
        clip_share=1.0,
    )


def run_training(
    accelerator: Accelerator,
    start: Bundle,
    steps: int,
    clips: list[Clip],
    folder: Path,
    workers: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Train a model further, or go on with a run that was interrupted.

    Parameters
    ----------
    accelerator : Accelerator
    start : Bundle
    steps : int
    clips : list of Clip
    folder : Path
        Of the run.
    workers : int
        Processes that make samples.
    progress : callable or None
        Called after every step with the steps done.
    """
    config = configuration(start, steps)
    torch.manual_seed(config.seed)
    trainer = Trainer(config, accelerator, start.load_network(), [], [], clips, folder, workers, progress)
    trainer.run()
    accelerator.free_memory()


def seconds_per_step(accelerator: Accelerator, start: Bundle, clips: list[Clip], folder: Path, workers: int) -> float:
    """Return how long a step takes here, by taking a few; all processes of a training must call it."""
    if accelerator.is_main_process:
        shutil.rmtree(folder, ignore_errors=True)
    accelerator.wait_for_everyone()
    ends: list[float] = []
    run_training(accelerator, start, UNTIMED + TIMED, clips, folder, workers, lambda _: ends.append(time.monotonic()))
    return (ends[-1] - ends[UNTIMED - 1]) / TIMED


def bundle_of_run(start: Bundle, run: Path, folder: Path) -> Bundle:
    """Put a run's weights into a bundle that is otherwise the start model; its card is left to the caller.

    Parameters
    ----------
    start : Bundle
    run : Path
    folder : Path
        Of the bundle, replaced where it is there.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start.folder, folder, ignore=shutil.ignore_patterns("models", "train*.json", ".*"))
    export_runs([run], folder)
    return read_bundle(folder)


def write_configuration(target: Path, start: Bundle, steps: int) -> None:
    """Write the settings of a training as a bundle's ``configs/train.json``."""
    config = asdict(configuration(start, steps))
    del config["bundle"]
    with atomic_path(target) as path:
        path.write_text(json.dumps({"train": config}, indent=2) + "\n", encoding="utf-8")
