"""The clip that is measured on: 200 frames of 600 x 800 with a lesion, simulated, as a DICOM object and as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import RESULTS
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine, SourceIdentity, SourceKind

HEIGHT, WIDTH = 600, 800


@dataclass(frozen=True)
class Clip:
    """Decoded frames (T, H, W) uint8 with the lesion on each, (T, H, W) bool."""

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]

    @property
    def cine(self) -> Cine:
        """The frames as a cine without a source."""
        _, height, width = self.frames.shape
        return Cine(self.frames, height, width, False, SourceIdentity(SourceKind.MEMORY, "0" * 64))


def dicom_clip(count: int, frame: int = 0) -> tuple[Path, NDArray[np.bool_]]:
    """Return a simulated cine as a DICOM file (JPEG Baseline) and the lesion on one of its frames, made once."""
    folder = RESULTS / f"cine_{count}"
    target, truth = folder / "cine.dcm", folder / "truth.npy"
    if not truth.exists():
        from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
        from UltrasoundLesionSegLib.simulation.write import write_simulation

        simulated = simulate_cine(SimulationSettings(seed=3, frames=count, height=HEIGHT, width=WIDTH))
        write_simulation(simulated, folder)
        np.save(folder / "seed.npy", simulated.truth[0][0])  # for startup.py, which must not spend time on more
        np.save(truth, np.packbits(np.stack([simulated.truth[frame][0] for frame in range(count)]), axis=-1))
    return target, np.unpackbits(np.load(truth)[frame], axis=-1).astype(bool)


def drifting_disc(count: int, side: int) -> Clip:
    """Return a dark disc that drifts over speckle: cheap to make at any length, and its truth is known."""
    random = np.random.default_rng(0)
    speckle = random.integers(60, 180, (side, side + count), np.uint8)
    rows, columns = np.mgrid[:side, :side]
    frames, masks = [], []
    for index in range(count):
        turn = 2 * np.pi * index / 100
        row, column = side * (0.5 + 0.04 * np.sin(turn)), side * (0.5 + 0.04 * np.cos(turn))
        mask = np.hypot(rows - row, columns - column) < 0.2 * side
        frame = speckle[:, index % side : index % side + side].copy()
        frame[mask] //= 3
        frames.append(frame)
        masks.append(mask)
    return Clip(np.stack(frames), np.stack(masks))
