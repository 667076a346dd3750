"""Measure how well names beside the ultrasound image are made black, and how much of the image stays.

    python Testing/Benchmarks/blank_outside.py
    python Testing/Benchmarks/blank_outside.py --data $ULS_DATA/cine

Simulated cines, and with ``--data`` real ones, are put on a black or grey screen with a patient's name, an identifier,
a date, a running clock and a logo around them, and written as compressed video. The image area is found from that video
as the product finds it where no DICOM header tells it. Text drawn into the image itself is not tried: it stays. The
table is Markdown, for Docs/results/blank_outside.md.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.report.image_area import find_image_area
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine

MOST_FRAMES = 60
TISSUE_LEVEL = 24  # mean level above which a pixel of the original counts as image
INK = 200
SCREENS = {"black": 0, "grey": 60}


def with_names(cine: Cine, background: int) -> tuple[list[NDArray[np.uint8]], NDArray[np.bool_], NDArray[np.bool_]]:
    """Put a cine on a screen with names; gives the frames, where text is, and where the image is not dark."""
    height, width = cine.shape
    margin, scale = max(40, height // 8), max(0.4, height / 900)
    frames, mean = [], np.zeros(cine.shape)
    count = min(len(cine), MOST_FRAMES)
    text = np.zeros((height + 2 * margin, width + 2 * margin), bool)
    for index in range(count):
        frame = cine.frames[index]
        grey = frame.max(axis=2) if frame.ndim == 3 else frame
        mean += grey / count
        canvas = np.full(text.shape, background, np.uint8)
        canvas[margin : margin + height, margin : margin + width] = grey
        before = canvas.copy()
        for words, row, column in (
            ("DOE^JANE  1961-04-23", 0.4 * margin, 5),
            ("ID 4711-0815", 0.8 * margin, 5),
            (f"2026-11-28  12:00:{index % 60:02d}", height + 1.6 * margin, 5),
            ("GENERAL HOSPITAL", height + 1.6 * margin, 0.55 * width + margin),
            ("MI 0.9", 0.5 * height + margin, width + margin + 3),
        ):
            cv2.putText(
                canvas, words, (round(column), round(row)), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA
            )
        # the screen's text never covers the image
        canvas[margin : margin + height, margin : margin + width] = grey
        text |= canvas != before
        frames.append(canvas)
    image = np.zeros(text.shape, bool)
    image[margin : margin + height, margin : margin + width] = mean > TISSUE_LEVEL
    return frames, text, image


def measure(cine: Cine, background: int, folder: Path) -> tuple[float, float]:
    """Return the share of text pixels made black and the share of image pixels kept."""
    frames, text, image = with_names(cine, background)
    height, width = text.shape
    target = folder / "screen.avi"
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"MJPG"), 20, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    area = find_image_area(read_cine(target))
    inside = np.ones(text.shape, bool) if area.mask is None else area.mask
    return float((text & ~inside).sum() / text.sum()), float((image & inside).sum() / image.sum())


def simulated() -> Iterator[Cine]:
    """Yield cines of the simulator."""
    for seed in range(1, 9):
        yield simulate_cine(SimulationSettings(seed=seed, frames=20)).cine


def real(folder: Path) -> Iterator[Cine]:
    """Yield the cines of a folder that can be read and have more than one frame."""
    paths = [
        *sorted(folder.glob("lung_video/*")),
        folder / "breast_series_dicom",
        *sorted(folder.glob("dicom_us/*.dcm")),
    ]
    for path in paths:
        try:
            cine = read_cine(path)
        except LesionSegError:
            continue
        if len(cine) > 1:
            yield cine


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with real cines")
    chosen = parser.parse_args()
    kinds = {"simulated": list(simulated())} | ({"real": list(real(chosen.data))} if chosen.data else {})
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}\n")
    print("| clips | screen | number | text made black, mean | least | clips without text | image kept, mean | least |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, cines in kinds.items():
        for screen, background in SCREENS.items():
            with tempfile.TemporaryDirectory() as folder:
                black, kept = zip(*(measure(cine, background, Path(folder)) for cine in cines), strict=True)
            print(
                f"| {kind} | {screen} | {len(cines)} | {np.mean(black):.1%} | {min(black):.1%} | "
                f"{sum(one > 0.999 for one in black)} | {np.mean(kept):.1%} | {min(kept):.1%} |"
            )


if __name__ == "__main__":
    main()
