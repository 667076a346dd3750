"""What is asked for when a model is fitted to reviewed cases, how far it is, and what is refused at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, Bundle, find_bundle, list_bundles
from UltrasoundLesionSegLib.engine.device import resolve_device
from UltrasoundLesionSegLib.errors import ModelError, OutputError, SourceError
from UltrasoundLesionSegLib.report.wording import counted

FEWEST_PATIENTS = 3


@dataclass(frozen=True)
class AdaptSettings:
    """How a model is fitted.

    Parameters
    ----------
    start : str
        Name of the model to begin with.
    name : str
        Of the new one.
    minutes : float
        How long it may take, of this machine's time.
    steps : int or None
        Steps of each training instead: the same on every machine.
    workers : int
        Processes that make samples.
    precision : {"no", "bf16", "fp16"}
    device : str
        Where models are scored, see ``resolve_device``.
    """

    start: str
    name: str
    minutes: float = 60.0
    steps: int | None = None
    workers: int = 1
    precision: str = "no"
    device: str = "auto"


@dataclass(frozen=True)
class AdaptProgress:
    """How far an adaptation is.

    Parameters
    ----------
    share : float
        Of the work, 0 to 1.
    sentence : str
        What is being done.
    seconds_left : float or None
        None while it cannot be told.
    """

    share: float
    sentence: str
    seconds_left: float | None = None


Tell = Callable[[AdaptProgress], None]


def checked_start(settings: AdaptSettings, models: Path) -> Bundle:
    """Return the model to begin with, when all that is wanted can be done.

    Parameters
    ----------
    settings : AdaptSettings
    models : Path
        Folder in which the new model's bundle is to appear.

    Raises
    ------
    ModelError, DeviceError, OutputError
    """
    start = find_bundle(settings.start, PROPAGATE)
    if (models / settings.name).exists() or settings.name in {one.name for one in list_bundles()}:
        raise ModelError(f"there is a model named '{settings.name}' already; give the new one another name")
    resolve_device(settings.device)
    there = next(one for one in (models, *models.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError("the folder for the models cannot be written; name a folder with permission to write")
    return start


def check_patients(lesions: Sequence[OutlinedLesion]) -> None:
    """Raise ``SourceError`` when the lesions are of too few patients."""
    patients = {lesion.patient for lesion in lesions}
    if len(patients) < FEWEST_PATIENTS:
        raise SourceError(
            f"there are lesions of {counted(len(patients), 'patient')} to learn from, but {FEWEST_PATIENTS} are needed "
            "to score a model on unseen ones; review more cases, outline each lesion on two frames or more, and where "
            "the sources do not tell patients apart, do so in the manifest's column 'patient'"
        )
