"""Simulated and real ultrasound side by side: a table of statistics and a contact sheet.

    python -m UltrasoundLesionSegLib.simulation.compare --output DIR [--stills FOLDER] [--cine SOURCE ...]

Without real data it shows and measures simulations alone.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine, Frame
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.simulation.cine import simulate_cine
from UltrasoundLesionSegLib.simulation.probe import ProbeKind
from UltrasoundLesionSegLib.simulation.settings import SimulationSettings
from UltrasoundLesionSegLib.simulation.statistics import CORRELATION_LAGS, FRAME_LAGS, Texture, decorrelation, texture
from UltrasoundLesionSegLib.writers.atomic import atomic_path

SIZE = (370, 320)  # rows, columns of the simulations compared: those of the real stills
TILE = 300
COLUMNS = 6
MOVING_FRAMES = 30
STILLS = 60  # spread over the folder
LONG_SIDE = 400  # cines are brought to this size, for correlations are in pixels

HEADER = (
    ["source", "p1", "p10", "p50", "p90", "p99", "speckle_sd", "speckle_skewness"]
    + [f"axial_{lag}px" for lag in CORRELATION_LAGS]
    + [f"lateral_{lag}px" for lag in CORRELATION_LAGS]
    + [f"after_{lag}_frames" for lag in FRAME_LAGS]
)


@dataclass(frozen=True)
class _Shrunk:
    """A cine's frames with their long side at most ``LONG_SIDE`` pixels."""

    cine: Cine

    def __len__(self) -> int:
        return len(self.cine)

    def __getitem__(self, index: int, /) -> Frame:
        return shrink(self.cine.frames[index], LONG_SIDE)


def shrink(picture: Frame, side: int) -> Frame:
    """Return a picture, uint8 (H, W) or (H, W, 3), reduced so that its long side has at most ``side`` pixels."""
    height, width = picture.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _row(name: str, measured: Texture, correlation: NDArray[np.float32] | None) -> list[str]:
    """Return a row of the table; empty cells for what a still cannot tell."""
    numbers = [*measured.percentiles, measured.contrast]
    ratios = [measured.skewness, *measured.axial, *measured.lateral]
    ratios += list(correlation) if correlation is not None else []
    cells = [name, *(f"{one:.0f}" for one in numbers), *(f"{one:.2f}" for one in ratios)]
    return cells + [""] * (len(HEADER) - len(cells))


def _simulated(probe: ProbeKind, count: int) -> tuple[list[str], list[Frame]]:
    """Measure simulations, a third of them moving; returns their row and some pictures."""
    pictures = [_still(seed, probe) for seed in range(count)]
    settings = (SimulationSettings(seed, frames=MOVING_FRAMES, probe=probe) for seed in range((count + 2) // 3))
    moving = [simulate_cine(one).cine.frames for one in settings]
    correlation = np.mean([decorrelation(frames) for frames in moving], axis=0)
    return _row(f"simulated, {probe}", texture(pictures), correlation), pictures[:COLUMNS]


def _still(seed: int, probe: ProbeKind) -> Frame:
    settings = SimulationSettings(seed, frames=1, height=SIZE[0], width=SIZE[1], probe=probe)
    return simulate_cine(settings).cine.frames[0]


def _stills(folder: Path) -> list[Frame]:
    """Return some of a folder's pictures, grey."""
    names = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".png"))
    chosen = names[:: max(1, len(names) // STILLS)]
    pictures = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in chosen)
    return [picture.astype(np.uint8) for picture in pictures if picture is not None]


def _tile(picture: Frame) -> NDArray[np.uint8]:
    """Return the picture in a square of its own, BGR."""
    small = shrink(picture, TILE)
    colour = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR if small.ndim == 2 else cv2.COLOR_RGB2BGR)
    square = np.zeros((TILE, TILE, 3), np.uint8)
    square[: colour.shape[0], : colour.shape[1]] = colour
    return square


def _sheet(lines: Sequence[Sequence[Frame]]) -> NDArray[np.uint8]:
    blank = np.zeros((TILE, TILE, 3), np.uint8)
    rows = [[_tile(one) for one in line[:COLUMNS]] + [blank] * (COLUMNS - len(line[:COLUMNS])) for line in lines]
    return np.vstack([np.hstack(row) for row in rows])


def _measure(stills: Path | None, cines: Sequence[Path], simulations: int) -> Iterator[tuple[list[str], list[Frame]]]:
    """Yield a row of the table and a line of pictures for each source."""
    opened = [_Shrunk(read_cine(path)) for path in cines]  # first, so that a wrong path is known at once
    yield _simulated("linear", simulations)
    yield _simulated("curved", simulations)
    if stills is not None:
        pictures = _stills(stills)
        yield _row("real stills", texture(pictures), None), pictures[:: max(1, len(pictures) // COLUMNS)]
    for number, frames in enumerate(opened, start=1):
        chosen = [frames[int(at)] for at in np.linspace(0, len(frames) - 1, COLUMNS)]
        yield _row(f"real cine {number}", texture(chosen), decorrelation(frames)), chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for comparison.csv and comparison.png")
    parser.add_argument("--stills", type=Path, help="folder of real pictures")
    parser.add_argument("--cine", type=Path, action="append", default=[], help="a real cine; repeatable")
    parser.add_argument("--simulations", type=int, default=24, help="how many of each probe to measure")
    options = parser.parse_args(arguments)
    try:
        measured = list(_measure(options.stills, options.cine, options.simulations))
        with atomic_path(options.output / "comparison.csv") as table, table.open("w", newline="") as file:
            csv.writer(file).writerows([HEADER, *(row for row, _ in measured)])
        with atomic_path(options.output / "comparison.png") as sheet:
            sheet.write_bytes(cv2.imencode(".png", _sheet([pictures for _, pictures in measured]))[1].tobytes())
    except LesionSegError as error:
        print(error, file=sys.stderr)
        return 2
    for row, _ in measured:
        print("; ".join(f"{name} {cell}" for name, cell in zip(HEADER, row, strict=True) if cell))
    return 0


if __name__ == "__main__":
    sys.exit(main())
