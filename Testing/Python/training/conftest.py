"""A tiny data set of stills: dark ellipses on speckle."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.training.stills import Still, StillRecord


def draw_still(number: int, height: int = 150, width: int = 130) -> tuple[np.ndarray, np.ndarray]:
    """Return image uint8 and mask bool: a dark ellipse in brighter speckle."""
    rng = np.random.default_rng(number)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 1.2)
    mask = np.zeros((height, width), np.uint8)
    centre = (int(rng.integers(50, width - 50)), int(rng.integers(55, height - 55)))
    cv2.ellipse(
        mask, centre, (int(rng.integers(16, 24)), int(rng.integers(12, 18))), float(rng.uniform(0, 90)), 0, 360, 1, -1
    )
    level = np.where(mask > 0, 50, 130) + 20 * noise / noise.std()
    return np.clip(level, 0, 255).astype(np.uint8), mask > 0


@pytest.fixture(scope="session")
def stills() -> list[Still]:
    return [Still(*draw_still(n), StillRecord(f"s{n}", f"p{n}", "train", Path(), Path())) for n in range(4)]


@pytest.fixture
def still_folder(tmp_path: Path) -> Path:
    """Six stills of four patients: 0 and 1 of one patient, two patients in val."""
    folder = tmp_path / "stills"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    rows = []
    for number in range(6):
        image, mask = draw_still(number)
        cv2.imwrite(str(folder / "images" / f"s{number}.png"), image)
        cv2.imwrite(str(folder / "masks" / f"s{number}.png"), mask.astype(np.uint8) * 255)
        rows.append({"id": f"s{number}", "patient": str(max(number, 1)), "split": "val" if number >= 4 else "train"})
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "patient", "split"])
        writer.writeheader()
        writer.writerows(rows)
    return folder
