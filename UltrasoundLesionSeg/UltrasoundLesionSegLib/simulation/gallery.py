"""The pictures of Docs/simulator.md.

python -m UltrasoundLesionSegLib.simulation.gallery --output Docs/images
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.simulation.cine import SimulatedCine, simulate_cine
from UltrasoundLesionSegLib.simulation.lesion import LesionKind
from UltrasoundLesionSegLib.simulation.settings import SimulationSettings
from UltrasoundLesionSegLib.writers.atomic import atomic_path

TILE = 260
OUTLINE = (255, 200, 0)
KIND_SEEDS = (21, 23, 25)
SWEEP_SEED, SWEEP_FRAMES = 3, 60
SWEEP_SHOWN = (0, 14, 17, 20, 23, 46, 50, 59)


def tile(simulated: SimulatedCine, index: int, outlined: bool, label: str = "") -> NDArray[np.uint8]:
    """Return a frame, uint8 (H, W, 3), with the truth's outlines if wanted and a label in its corner."""
    frame = simulated.cine.frames[index]
    picture = cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB) if frame.ndim == 2 else frame.copy()
    if outlined:
        for mask in simulated.truth[index]:
            contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, contours, -1, OUTLINE, 1, cv2.LINE_AA)
    if label:
        cv2.putText(picture, label, (6, TILE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def kinds() -> NDArray[np.uint8]:
    """Return every kind of lesion, plain and outlined: a column a kind."""
    columns = []
    for kind in LesionKind:
        cines = [simulate_cine(SimulationSettings(seed, 1, TILE, TILE, kind=kind)) for seed in KIND_SEEDS]
        plain = [tile(one, 0, outlined=False, label=kind.value if one is cines[0] else "") for one in cines]
        columns.append(np.vstack([*plain, tile(cines[-1], 0, outlined=True)]))
    return np.hstack(columns)


def probes() -> NDArray[np.uint8]:
    """Return both probes, with and without a user interface and colour."""
    rows = []
    for outlined in (False, True):
        settings = [
            SimulationSettings(10, 1, TILE, TILE),
            SimulationSettings(10, 1, TILE, TILE, probe="curved"),
            SimulationSettings(30, 1, TILE, TILE, furniture=True),
            SimulationSettings(31, 1, TILE, TILE, furniture=True, color=True, lesions=2),
            SimulationSettings(41, 1, TILE, TILE, probe="curved", color=True, lesions=3),
        ]
        rows.append(np.hstack([tile(simulate_cine(one), 0, outlined) for one in settings]))
    return np.vstack(rows)


def sweep() -> NDArray[np.uint8]:
    """Return frames of a cine whose plane leaves the lesion and comes back."""
    simulated = simulate_cine(SimulationSettings(SWEEP_SEED, SWEEP_FRAMES, TILE, TILE, leaves_plane=True))
    tiles = [tile(simulated, index, outlined=True, label=f"frame {index}") for index in SWEEP_SHOWN]
    half = len(tiles) // 2
    return np.vstack([np.hstack(tiles[:half]), np.hstack(tiles[half:])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pictures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for simulator_*.jpg")
    output = parser.parse_args(arguments).output
    for name, make in (("kinds", kinds), ("probes", probes), ("sweep", sweep)):
        with atomic_path(output / f"simulator_{name}.jpg") as temporary:
            # speckle makes a PNG several times as large
            Image.fromarray(make()).save(temporary, format="JPEG", quality=85)
    return 0


if __name__ == "__main__":
    sys.exit(main())
