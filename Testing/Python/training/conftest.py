"""A tiny data set of stills: dark ellipses on speckle."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_stills import draw_still

from UltrasoundLesionSegLib.fitting.still import Still


@pytest.fixture(scope="session")
def stills() -> list[Still]:
    return [Still(*draw_still(number)) for number in range(4)]


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
