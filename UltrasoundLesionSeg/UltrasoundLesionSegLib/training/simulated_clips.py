"""Cache simulated clips for training: ``python -m UltrasoundLesionSegLib.training.simulated_clips --output FOLDER``."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2

from UltrasoundLesionSegLib.fitting.simulated import simulated_clip


def write_clip(number: int, folder: Path, frames: int, size: int) -> None:
    """Simulate training clip ``number`` and write it to ``NUMBER.npz``, unless it is there."""
    target = folder / f"{number:05d}.npz"
    if target.is_file():
        return
    cv2.setNumThreads(1)
    simulated_clip(number, frames, size).save(target)


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
