"""One run of a training: its steps, its checkpoints, what is measured on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from UltrasoundLesionSegLib.engine.network_api import ClickNetwork, PropagationNetwork, SuggestionNetwork
from UltrasoundLesionSegLib.errors import DeviceError, ModelError
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.fitting.objectives import ClipObjective, MaskLoss
from UltrasoundLesionSegLib.fitting.samples import PropagationSamples
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.training.click_samples import ClickSamples
from UltrasoundLesionSegLib.training.datasets import StepBatches, StillSamples, single_threaded
from UltrasoundLesionSegLib.training.objectives import ClickObjective, StillObjective
from UltrasoundLesionSegLib.training.run_state import AveragedWeights, Checkpoint, RunLog
from UltrasoundLesionSegLib.training.train_config import Stage, TrainConfig

CHECKPOINT_SECONDS = 60
LOG_STEPS = 20
VALIDATION_BATCHES = 12
VALIDATION_SEED = 900_001  # samples that no training seed draws, from the validation split
CLIPPED_NORM = 1.0
FEWEST_FRAMES = 3  # of a clip to propagate through: the anchor, the frame before, and one to predict


class Trainer:
    """One run of one model.

    Parameters
    ----------
    config : TrainConfig
    accelerator : Accelerator
        Device, precision and processes.
    network : nn.Module
        Fresh, or with the weights to start from.
    train, val : list of Still
        Both may be empty where ``clips`` are all that is trained on; nothing is then measured on the way.
    clips : list of Clip
        Simulated clips for training, may be empty.
    output : Path
        Folder of the checkpoint and the log.
    workers : int
        Processes that make samples.
    progress : callable or None
        Called after every step with the steps done; what it raises ends the run, which can be resumed.
    """

    def __init__(
        self,
        config: TrainConfig,
        accelerator: Accelerator,
        network: nn.Module,
        train: list[Still],
        val: list[Still],
        clips: list[Clip],
        output: Path,
        workers: int,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._config = config
        self._progress = progress
        self._accelerator = accelerator
        self._stills = {"train": train, "val": val}
        self._clips = clips
        self._output = output
        self._workers = workers
        self._network = network
        objective = _objective(network, config)
        optimizer = torch.optim.AdamW(
            _decay_groups(network, config.weight_decay),
            lr=config.learning_rate,
            betas=(0.9, 0.95),
            fused=accelerator.device.type == "cuda",  # one kernel a group instead of dozens
        )
        self.step = self._resume(network, optimizer)
        # convolutions are faster with channels innermost, on CPUs (1.4 times) as on GPUs
        objective = objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._objective, self._optimizer = accelerator.prepare(objective, optimizer)
        self._log = RunLog(output / "log.csv", self.step) if accelerator.is_main_process else None

    @property
    def _checkpoint_path(self) -> Path:
        return self._output / "checkpoint.pt"

    def _resume(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        self._average = AveragedWeights(network, self._config.average_decay)
        if not self._checkpoint_path.is_file():
            return 0
        stored = Checkpoint.load(self._checkpoint_path)
        try:
            network.load_state_dict(stored.network)
            optimizer.load_state_dict(stored.optimizer)
        except (RuntimeError, ValueError, KeyError) as error:
            raise ModelError(
                "the output folder holds the checkpoint of another network; name another folder, or remove it there"
            ) from error
        self._average.state = stored.average
        return stored.step

    def run(self) -> None:
        """Train until the configured number of steps is done.

        Raises
        ------
        DeviceError
            When the GPU's memory does not hold a step.
        """
        done = 0
        for stage in self._config.stages:
            first = max(self.step, done)
            done += stage.steps
            if first < done:
                try:
                    self._run_stage(stage, first, done)
                except torch.OutOfMemoryError as error:
                    raise DeviceError(
                        f"the GPU's memory does not hold a step of {stage.batch} samples; give a smaller batch, for "
                        "example --set stages.0.batch=2"
                    ) from error
        self._save()

    def _run_stage(self, stage: Stage, first: int, last: int) -> None:
        losses: list[Tensor] = []  # read when they are logged: a GPU would wait for every reading
        dices: list[Tensor] = []
        started = saved = time.monotonic()
        self._objective.train()
        for batch in self._batches(stage, "train", self._config.seed, first, last):
            loss, dice = self._optimize(batch)
            losses.append(loss)
            dices.append(dice)
            self.step += 1
            self._average.update(self._network, self.step)
            if self.step % LOG_STEPS == 0 or self.step == last:
                self._write(losses, dices, (time.monotonic() - started) / len(losses))
                losses, dices, started = [], [], time.monotonic()
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self._save()
                started = saved = time.monotonic()
            if self._progress is not None:
                self._progress(self.step)
        self._validate(stage)
        self._save()

    def _optimize(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate(self.step)
        batch = {name: value.to(self._accelerator.device, non_blocking=True) for name, value in batch.items()}
        with self._accelerator.autocast():
            loss, dice = self._objective(**batch)
        self._optimizer.zero_grad(set_to_none=True)
        self._accelerator.backward(loss)
        self._accelerator.clip_grad_norm_(self._objective.parameters(), CLIPPED_NORM)
        self._optimizer.step()
        self._share_statistics()
        return loss.detach(), dice

    @torch.no_grad()
    def _share_statistics(self) -> None:
        """Make the normalisations' running statistics those of all processes' samples, as the gradients are."""
        buffers = [value for value in self._network.buffers() if value.is_floating_point()]
        if self._accelerator.num_processes == 1 or not buffers:
            return
        mean = self._accelerator.reduce(torch.cat([value.flatten() for value in buffers]), "mean")
        for value, shared in zip(buffers, mean.split([value.numel() for value in buffers]), strict=True):
            value.copy_(shared.view_as(value))

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of an optimiser step: linear warm-up, then a half cosine to a hundredth."""
        config = self._config
        if step < config.warmup:
            return config.learning_rate * (step + 1) / config.warmup
        share = (step - config.warmup) / max(config.steps - config.warmup, 1)
        return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))

    def _batches(self, stage: Stage, split: str, seed: int, first: int, last: int) -> Iterator[dict[str, Tensor]]:
        stills = self._stills[split]
        clips = self._clips if split == "train" else []
        dataset: PropagationSamples | StillSamples | ClickSamples
        if isinstance(self._network, PropagationNetwork):
            dataset = PropagationSamples(stills, stage.sample, seed, clips, self._config.clip_share)
        elif isinstance(self._network, ClickNetwork):
            dataset = ClickSamples(stills, stage.sample, seed, clips, self._config.clip_share)
        else:
            dataset = StillSamples(stills, stage.sample, seed)
        rank, processes = self._accelerator.process_index, self._accelerator.num_processes
        return iter(
            DataLoader(
                dataset,
                batch_sampler=StepBatches(first, last, stage.batch, rank, processes),
                num_workers=self._workers,
                worker_init_fn=single_threaded,
                prefetch_factor=4 if self._workers else None,
                pin_memory=self._accelerator.device.type == "cuda",
            )
        )

    @torch.no_grad()
    def _validate(self, stage: Stage) -> None:
        """Measure the averaged weights on samples of the validation split, always the same ones."""
        if self._log is None or not self._stills["val"]:
            return
        own = {name: value.clone() for name, value in self._network.state_dict().items()}
        self._network.load_state_dict(self._average.state)
        self._network.eval()
        stage = replace(stage, sample=replace(stage.sample, wrongness=0.0))
        totals, count = [0.0, 0.0], 0
        for batch in self._batches(stage, "val", VALIDATION_SEED, 0, VALIDATION_BATCHES):
            moved = {name: value.to(self._accelerator.device) for name, value in batch.items()}
            objective = self._accelerator.unwrap_model(self._objective)
            with self._accelerator.autocast():
                loss, dice = objective(**moved)
            totals = [totals[0] + float(loss), totals[1] + float(dice)]
            count += 1
        self._network.load_state_dict(own)
        self._objective.train()
        self._log.add(step=self.step, val_loss=totals[0] / count, val_dice=totals[1] / count)
        self._accelerator.print(
            f"step {self.step}: validation loss {totals[0] / count:.4f}, Dice {totals[1] / count:.4f}"
        )

    def _write(self, losses: list[Tensor], dices: list[Tensor], seconds: float) -> None:
        loss, dice = float(torch.stack(losses).mean()), float(torch.stack(dices).mean())
        rate = self.learning_rate(self.step - 1)
        if self._log is not None:
            self._log.add(step=self.step, seconds=seconds, learning_rate=rate, loss=loss, train_dice=dice)
        if self._progress is not None:
            return  # told there
        self._accelerator.print(
            f"step {self.step}/{self._config.steps}: loss {loss:.4f}, Dice {dice:.4f}, {seconds:.2f} s a step",
            flush=True,
        )

    def _save(self) -> None:
        if self._accelerator.is_main_process:
            state = self._network.state_dict()
            Checkpoint(self.step, state, self._average.state, self._optimizer.state_dict()).save(self._checkpoint_path)


def _decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return optimiser groups: weight decay pulls on weights alone, not on biases and normalisations."""
    trained = [value for value in network.parameters() if value.requires_grad]
    return [
        {"params": [value for value in trained if value.ndim > 1], "weight_decay": weight_decay},
        {"params": [value for value in trained if value.ndim <= 1], "weight_decay": 0.0},
    ]


def _objective(network: nn.Module, config: TrainConfig) -> nn.Module:
    """Return what is minimised: by what the network does."""
    loss = MaskLoss(config.focal)
    if isinstance(network, PropagationNetwork):
        if any(stage.sample.frames < FEWEST_FRAMES for stage in config.stages):
            raise ModelError(
                f"a network that propagates is trained on samples of at least {FEWEST_FRAMES} frames; correct "
                "sample.frames in the training configuration"
            )
        return ClipObjective(network, loss)
    if isinstance(network, SuggestionNetwork):
        return StillObjective(network, loss)
    if isinstance(network, ClickNetwork):
        return ClickObjective(network, loss)
    raise ModelError("the network neither propagates nor suggests nor takes clicks; train one that does")
