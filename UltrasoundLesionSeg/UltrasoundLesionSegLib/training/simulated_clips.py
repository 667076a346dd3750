"""Cache simulated clips for training: ``python -m UltrasoundLesionSegLib.training.simulated_clips --output FOLDER``."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.training.clip_synthesis import Clip

FIRST_SEED = 100_000  # seeds below it are left to demos, tests and validation
SKIPPED = 2  # every second frame is kept: neighbouring simulated frames differ little


def draw_settings(number: int, frames: int, size: int) -> SimulationSettings:
    """Return the settings of training clip ``number``; a third of the clips leave the lesion's plane.

    Parameters
    ----------
    number : int
    frames : int
        Frames kept; ``SKIPPED`` times as many are simulated.
    size : int
        Shorter side of the image in pixels.
    """
    rng = np.random.default_rng(FIRST_SEED + number)
    return SimulationSettings(
        seed=FIRST_SEED + number,
        frames=frames * SKIPPED,
        height=int(size * rng.uniform(1.0, 1.3)),
        width=int(size * rng.uniform(1.0, 1.3)),
        probe="curved" if rng.random() < 0.15 else "linear",
        motion=float(rng.uniform(0.8, 3.0)),
        leaves_plane=bool(rng.random() < 0.33),
        furniture=bool(rng.random() < 0.3),
    )


def write_clip(number: int, folder: Path, frames: int, size: int) -> None:
    """Simulate training clip ``number`` and write it to ``NUMBER.npz``, unless it is there."""
    target = folder / f"{number:05d}.npz"
    if target.is_file():
        return
    cv2.setNumThreads(1)
    simulated = simulate_cine(draw_settings(number, frames, size))
    kept = range(0, len(simulated.cine), SKIPPED)
    clip = Clip(
        np.stack([simulated.cine.frames[index] for index in kept]),
        np.stack([simulated.truth[index][0] for index in kept]),
    )
    clip.save(target)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of *.npz, outside the repository")
    parser.add_argument("--clips", type=int, default=160)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=280)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    write = partial(write_clip, folder=chosen.output, frames=chosen.frames, size=chosen.size)
    with ProcessPoolExecutor(chosen.processes) as pool:
        for _ in pool.map(write, range(chosen.clips)):
            pass


if __name__ == "__main__":
    main()
