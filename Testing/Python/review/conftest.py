"""Batch folders with results of simulated frames, and readers who work on them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from UltrasoundLesionSegLib.review.work.record import How, ReaderAnchor, SourceNote

SHAPE = (24, 32)


def disc(row: float, column: float, radius: float = 5) -> np.ndarray:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


@pytest.fixture
def source() -> SourceNote:
    return SourceNote("ab" * 32, 10, *SHAPE)


@pytest.fixture
def anchor() -> Callable[..., ReaderAnchor]:
    """``anchor(3, how=How.CONFIRMED)`` is a disc on frame 3, at a place that depends on the frame."""

    def make(frame: int, lesion: str = "Lesion", how: How = How.DRAWN, radius: float = 5) -> ReaderAnchor:
        mask = disc(10, 8 + frame, radius) if how is not How.NOT_VISIBLE else np.zeros(SHAPE, bool)
        return ReaderAnchor(frame, lesion, mask, how)

    return make


@pytest.fixture
def machine_case(tmp_path: Path) -> Callable[..., Path]:
    """``machine_case("a", [0.9, 0.5])`` writes a result as a batch does, with an anchor on frame 0."""

    def write(name: str, confidences: Sequence[float], digest: str = "ab" * 32, content: str = "") -> Path:
        folder = tmp_path / "out" / "cases" / name
        (folder / "masks").mkdir(parents=True)
        with (folder / "measurements.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["frame", "segment", "confidence", "origin"])
            writer.writerow([0, "Lesion", "", "manual"])
            for frame, value in enumerate(confidences, start=1):
                writer.writerow([frame, "Lesion", value, "model"])
        (folder / "lesions.csv").write_text("segment,long_axis_there_px\nLesion,31.5\n")
        (folder / "report.html").write_text("<p>report</p>")
        for frame in range(len(confidences) + 1):
            Image.fromarray(disc(10, 8 + frame).astype(np.uint8)).save(folder / "masks" / f"{frame:05d}.png")
        record = {
            "software": {"name": "ultrasound-lesion-seg", "version": "0.1.0"},
            "source": {"sha256": digest, "frames": len(confidences) + 1, "height": SHAPE[0], "width": SHAPE[1]},
            "anchors": {"Lesion": [0]},
            "suggested_on_frame": None,
            "unreadable_frames": {},
            "model": {"name": "bright", "version": "1", "sha256": "0" * 64},
            "device": "cpu",
            "notices": [],
            "seconds": {"network": 0.1},
            "outputs": ["measurements.csv", "lesions.csv", "report.html"],
            "inputs": {"source": content or digest, "seeds": [], "settings": {"model": "bright", "direction": "both"}},
        }
        (folder / "run.json").write_text(json.dumps(record))
        return folder

    return write
