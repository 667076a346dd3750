"""Train a model: ``ultrasound-lesion-seg train`` runs it.

``accelerate launch`` runs the same command as several processes, on GPUs or, where ``ACCELERATE_USE_CPU=true`` is set,
on CPUs. An interrupted run resumes from its last checkpoint when the command is given again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import cv2
import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from torch import Tensor, nn

from UltrasoundLesionSegLib.engine.bundles import read_bundle
from UltrasoundLesionSegLib.engine.networks.trunks import Trunk, load_trunk_weights
from UltrasoundLesionSegLib.errors import DeviceError, ModelError
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.training.datasets import load_clips, load_stills
from UltrasoundLesionSegLib.training.run_state import Checkpoint
from UltrasoundLesionSegLib.training.train_config import TrainConfig, read_train_config
from UltrasoundLesionSegLib.training.trainer import Trainer


def start_from_trunk(network: nn.Module, path: Path) -> None:
    """Load ImageNet weights into every trunk of a network.

    Parameters
    ----------
    network : nn.Module
    path : Path
        Safetensors in torchvision's names.

    Raises
    ------
    ModelError
        When the network has no trunk, or the weights are of another one.
    """
    trunks = [module for module in network.modules() if isinstance(module, Trunk)]
    if not trunks:
        raise ModelError("the model has no trunk to give ImageNet weights to; leave --trunk away")
    for trunk in trunks:
        load_trunk_weights(trunk, path)


def make_accelerator(precision: str, longest_wait: timedelta | None = None) -> Accelerator:
    """Return the accelerator of this process.

    Parameters
    ----------
    precision : {"no", "bf16", "fp16"}
    longest_wait : timedelta or None
        How long processes may wait for each other; None leaves PyTorch's choice.

    Raises
    ------
    DeviceError
        When several processes were launched and accelerate took each for the only one: all would write the checkpoint.
        When the device cannot compute in that precision.
    """
    try:
        waiting = [InitProcessGroupKwargs(timeout=longest_wait)] if longest_wait else []
        accelerator = Accelerator(mixed_precision=precision, kwargs_handlers=waiting)
    except ValueError as error:
        raise DeviceError(
            f"this machine does not train with --precision {precision}; use bf16 or no, or a GPU that does"
        ) from error
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise DeviceError(
            f"{launched} training processes were launched but each has no GPU of its own and trains alone; "
            "set ACCELERATE_USE_CPU=true to train with several processes on CPUs"
        )
    return accelerator


def start_from_run(network: nn.Module, path: Path) -> None:
    """Load another run's averaged weights, of the same network or of a larger one of the same kind.

    BaS-L is BaS-S with fewer blocks: each of its weights has a counterpart there of the same name and shape. Where the
    network takes more input channels than the other one, the further ones begin with weights of 0.

    Parameters
    ----------
    network : nn.Module
    path : Path
        Another run's ``checkpoint.pt``, or the folder of a bundle: its weights.

    Raises
    ------
    ModelError
        When a weight of the network has no counterpart, or the bundle cannot be read.
    SourceError
        When the checkpoint cannot be read.
    """
    stored = read_bundle(path).load_network().state_dict() if path.is_dir() else Checkpoint.load(path).average
    own = network.state_dict()
    stored = {name: _widened(value, own[name]) for name, value in stored.items() if name in own}
    missing = [name for name, value in own.items() if name not in stored or stored[name].shape != value.shape]
    if missing:
        raise ModelError(
            f"the run or model to start from has no weights for {len(missing)} of the network's {len(own)} tensors; "
            "start from the same network or from a larger one of its kind"
        )
    network.load_state_dict({name: stored[name] for name in own})


def _widened(stored: Tensor, wanted: Tensor) -> Tensor:
    """Return a convolution's weights for more input channels, the further ones 0; anything else as it is."""
    further = wanted.shape[1] - stored.shape[1] if stored.ndim == wanted.ndim == 4 else 0
    if further <= 0 or stored.shape[2:] != wanted.shape[2:]:
        return stored
    return torch.cat((stored, stored.new_zeros(stored.shape[0], further, *stored.shape[2:])), dim=1)


def train_model(
    config: TrainConfig,
    accelerator: Accelerator,
    stills: tuple[list[Still], list[Still]],
    clips: list[Clip],
    output: Path,
    workers: int,
    trunk: Path | None = None,
    start: Path | None = None,
) -> None:
    """Train a model from its seed, or resume an interrupted run.

    Parameters
    ----------
    config : TrainConfig
    accelerator : Accelerator
    stills : tuple of two lists of Still
        To train and to validate.
    clips : list of Clip
        Simulated clips for training, may be empty.
    output : Path
        Folder of the checkpoint and the log.
    workers : int
        Processes that make samples.
    trunk : Path or None
        See ``start_from_trunk``.
    start : Path or None
        See ``start_from_run``.

    Raises
    ------
    ModelError
        When the weights to start from do not fit.
    """
    torch.manual_seed(config.seed)
    network = config.bundle.build_network()
    if trunk:
        start_from_trunk(network, trunk)
    if start:
        start_from_run(network, start)
    Trainer(config, accelerator, network, *stills, clips, output, workers).run()
    accelerator.end_training()


def run_training(
    config: Path,
    data: Path,
    output: Path,
    clips: Path | None = None,
    trunk: Path | None = None,
    start: Path | None = None,
    overrides: Sequence[str] = (),
    workers: int = 2,
    threads: int = 0,
    precision: str = "no",
) -> None:
    """Train a model of files, or resume an interrupted run.

    Parameters
    ----------
    config : Path
        A bundle's ``configs/train.json``.
    data : Path
        Folder of stills with ``index.csv``; its splits are ``train`` and ``val``.
    output : Path
        Folder of the checkpoint and the log.
    clips : Path or None
        Folder of clips, ``*.npz``: simulated ones, or of videos.
    trunk, start : Path or None
        See ``start_from_trunk`` and ``start_from_run``.
    overrides : sequence of str
        See ``read_train_config``.
    workers : int
        Processes that make samples.
    threads : int
        CPU threads of the training itself; 0 leaves torch's choice.
    precision : {"no", "bf16", "fp16"}

    Raises
    ------
    LesionSegError
        When a file is missing or is not what it should be, the device does not do what is asked, or nothing can be
        written.
    """
    settings = read_train_config(config, list(overrides))
    if threads:
        torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    torch.backends.cudnn.benchmark = True  # batches of a stage have one shape
    accelerator = make_accelerator(precision)
    stills = load_stills(data, "train"), load_stills(data, "val")
    train_model(settings, accelerator, stills, load_clips(clips) if clips else [], output, workers, trunk, start)
