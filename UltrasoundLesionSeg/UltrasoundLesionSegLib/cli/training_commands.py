"""The command ``train``, and options of commands that train: they need the training tools of ``.[train]``."""

from __future__ import annotations

from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from UltrasoundLesionSegLib.cli import interrupts
from UltrasoundLesionSegLib.errors import ModelError


class Precision(str, Enum):
    """Precision of the numbers that a training computes with."""

    NO = "no"
    BF16 = "bf16"
    FP16 = "fp16"


Workers = Annotated[int, typer.Option(min=0, help="Processes that make samples.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads of the training itself; 0 leaves PyTorch's choice.")]
PrecisionOption = Annotated[Precision, typer.Option(help="bf16 halves the time where the device can compute with it.")]


def train(
    config: Annotated[Path, typer.Option(help="A model's configs/train.json.")],
    data: Annotated[Path, typer.Option(help="Folder of still images with index.csv.")],
    output: Annotated[Path, typer.Option(help="Folder of checkpoint and log; an interrupted run resumes there.")],
    clips: Annotated[Path | None, typer.Option(help="Folder of clips, *.npz: simulated ones, or of videos.")] = None,
    trunk: Annotated[Path | None, typer.Option(help="ImageNet weights of the trunk, safetensors.")] = None,
    start: Annotated[
        Path | None, typer.Option(help="A run's checkpoint.pt, or a model's folder, whose weights to start from.")
    ] = None,
    workers: Workers = 2,
    threads: Threads = 0,
    precision: PrecisionOption = Precision.NO,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Other setting, e.g. stages.0.steps=500. Repeatable."),
    ] = None,
) -> None:
    """Train a model; given again after an interruption, go on from the last checkpoint."""
    check_training_tools()
    from UltrasoundLesionSegLib.training.train import run_training

    with interrupts.resumable("stopped; the same command goes on from the last checkpoint"):
        run_training(
            config, data, output, clips, trunk, start, change or (), workers, threads, precision=precision.value
        )


def check_training_tools() -> None:
    """Check that the training tools are installed.

    Raises
    ------
    ModelError
        When they are not.
    """
    if find_spec("accelerate") is None:
        raise ModelError(
            "the training tools are not installed; install them (pip install '.[train]' in this project's folder)"
        )
