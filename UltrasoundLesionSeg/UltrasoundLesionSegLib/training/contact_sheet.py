"""Pictures of what the clip synthesis makes: ``python -m UltrasoundLesionSegLib.training.contact_sheet``."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.engine.window import Window
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip, ClipSettings, synthesize_clip
from UltrasoundLesionSegLib.training.stills import read_index, read_still
from UltrasoundLesionSegLib.writers.atomic import atomic_path

TILE = 144  # pixels


def draw_row(clip: Clip) -> NDArray[np.uint8]:
    """Return a clip's frames side by side with the lesion's outline, (N, T * N, 3) uint8."""
    tiles = []
    for frame, mask in zip(clip.frames, clip.masks, strict=True):
        tile = cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tile, outlines, -1, (80, 220, 80), 1)
        tiles.append(tile)
    row: NDArray[np.uint8] = np.hstack(tiles).astype(np.uint8)
    return row


def main() -> None:
    """Write a contact sheet: one clip a row, time from left to right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of stills with index.csv")
    parser.add_argument("--output", type=Path, default=Path("Docs/images/clip_synthesis.jpg"))
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strength", type=float, default=1.0)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    records = read_index(chosen.data, "train")
    rows = []
    for _ in range(chosen.rows):
        still, other = (read_still(records[int(rng.integers(len(records)))]) for _ in range(2))
        window = Window.around(still.mask, float(rng.uniform(2.0, 4.0)), 48)
        times = [0.0, 1.0, 2.0, 3.0, 6.0, 10.0, 15.0, 30.0]
        rows.append(draw_row(synthesize_clip(still, other, window, TILE, times, rng, ClipSettings(chosen.strength))))
    with atomic_path(chosen.output) as path:
        Image.fromarray(np.vstack(rows)).save(path, format="JPEG", quality=85)  # speckle makes a PNG ten times as large


if __name__ == "__main__":
    main()
