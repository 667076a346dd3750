"""Simulated breast ultrasound cines with the truth of every frame, deterministic by seed."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration, Cine, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.simulation.lesion import LesionKind
from UltrasoundLesionSegLib.simulation.scene import draw_scene
from UltrasoundLesionSegLib.simulation.settings import SimulationSettings

VERSION = 1  # part of the digest: raise it when the same settings give other pictures
CACHED_FRAMES = 8

__all__ = ["MaskReader", "SimulatedCine", "SimulationSettings", "simulate_cine"]


class MaskReader(Protocol):
    """Random access to truth, made when asked for."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def __getitem__(self, index: int, /) -> NDArray[np.bool_]:
        """Return the lesions on frame ``index``: bool, shape (K, H, W), all False for one that is out of the plane."""


@dataclass(frozen=True)
class SimulatedCine:
    """A cine and its truth; both make their frames when asked, in any order, and keep only a few.

    Parameters
    ----------
    settings : SimulationSettings
    cine : Cine
    truth : MaskReader
    kinds : tuple of LesionKind
        What each lesion is.
    """

    settings: SimulationSettings
    cine: Cine
    truth: MaskReader
    kinds: tuple[LesionKind, ...]


class _Computed:
    """Frames or masks computed on demand, the last few kept.

    Parameters
    ----------
    count : int
    compute : callable
        Makes number ``index``; must not depend on what was made before.
    """

    def __init__(self, count: int, compute: Callable[[int], NDArray]) -> None:
        self._count = count
        self._compute = compute
        self._kept: OrderedDict[int, NDArray] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> NDArray:
        position = index + self._count if index < 0 else index
        if not 0 <= position < self._count:
            raise IndexError(f"frame {index} of {self._count}")
        if position not in self._kept:
            self._kept[position] = self._compute(position)
            if len(self._kept) > CACHED_FRAMES:
                self._kept.popitem(last=False)
        return self._kept[position].copy()  # the caller may draw on it


def simulate_cine(settings: SimulationSettings) -> SimulatedCine:
    """Simulate a cine; nothing is computed until a frame is asked for.

    Parameters
    ----------
    settings : SimulationSettings

    Returns
    -------
    SimulatedCine

    Examples
    --------
    >>> simulated = simulate_cine(SimulationSettings(seed=3, frames=5, height=96, width=96))
    >>> simulated.cine.frames[4].shape, simulated.truth[0].shape
    ((96, 96), (1, 96, 96))
    """
    scene = draw_scene(settings)
    digest = hashlib.sha256(f"simulation {VERSION} {settings}".encode()).hexdigest()
    calibration = Calibration(scene.grid.pixel_mm, scene.grid.pixel_mm, "simulation")
    seconds = np.arange(settings.frames) / settings.frames_per_second
    cine = Cine(
        frames=_Computed(settings.frames, scene.frame),
        height=settings.height,
        width=settings.width,
        is_color=settings.color,
        identity=SourceIdentity(SourceKind.MEMORY, digest),
        calibration=calibration,
        regions=(CalibratedRegion(scene.box, calibration),),
        timing=Timing(seconds, "simulation"),
    )
    kinds = tuple(lesion.kind for lesion in scene.imager.lesions)
    return SimulatedCine(settings, cine, _Computed(settings.frames, scene.truth), kinds)
