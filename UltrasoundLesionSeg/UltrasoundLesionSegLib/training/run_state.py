"""What a training run leaves on the disk: checkpoints to resume from, averaged weights, a log."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from UltrasoundLesionSegLib.errors import OutputError, SourceError
from UltrasoundLesionSegLib.writers.atomic import atomic_path


class AveragedWeights:
    """Exponential moving average of a network's state.

    Parameters
    ----------
    network : nn.Module
    decay : float
        Share kept at each step; less during the first steps, so that the average soon forgets the start.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.state: dict[str, Tensor] = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Mix the network's present state in after optimiser step ``step`` (from 0)."""
        kept = min(self._decay, (1 + step) / (10 + step))
        held, values = [], []
        for name, value in network.state_dict().items():
            self.state[name] = self.state[name].to(value.device)  # the network may have moved since
            if value.is_floating_point():
                held.append(self.state[name])
                values.append(value)
            else:
                self.state[name].copy_(value)
        torch._foreach_lerp_(held, values, 1 - kept)  # a few kernels on a GPU instead of one a tensor


@dataclass
class Checkpoint:
    """The state of a run, from which it can be resumed.

    Parameters
    ----------
    step : int
        Optimiser steps done.
    network, average, optimizer : dict
        State dicts; ``average`` is the exponential moving average that is shipped.
    """

    step: int
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, object]

    def save(self, path: Path) -> None:
        """Write to a temporary name, then rename."""
        with atomic_path(path) as temporary:
            torch.save(vars(self), temporary)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint.

        Raises
        ------
        SourceError
            When the file is not there, or is no checkpoint of this project.
        """
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True)
            return cls(**stored)
        except FileNotFoundError:
            raise SourceError("the run has no checkpoint.pt; name a run that was begun") from None
        except Exception as error:  # torch raises many kinds of exceptions for a damaged file
            raise SourceError("the run's checkpoint cannot be read; remove it to start the run again") from error


class RunLog:
    """A CSV log that a resumed run continues: rows later than the checkpoint are dropped.

    Parameters
    ----------
    path : Path
    first_step : int
        The step at which the run resumes.
    """

    COLUMNS = ("step", "seconds", "learning_rate", "loss", "train_dice", "val_loss", "val_dice")

    def __init__(self, path: Path, first_step: int) -> None:
        self._path = path
        rows = []
        if path.is_file() and first_step > 0:
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= first_step]
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    def add(self, **values: float | int | str) -> None:
        """Append a row; columns not named stay empty.

        Raises
        ------
        OutputError
            When the log cannot be written.
        """
        row = {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}
        try:
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.COLUMNS).writerow(row)
        except OSError as error:
            raise OutputError(
                f"the training's log cannot be written ({error.strerror or type(error).__name__}); free disk space and "
                "give the same command again"
            ) from None  # the chained error would quote the path
