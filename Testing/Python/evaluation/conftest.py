"""A tiny labelled data set in each layout: a dark disc that moves over speckle."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from engine_helpers import disc_over_speckle

from UltrasoundLesionSegLib.evaluation.layouts import write_davis_video

FRAMES = 6


def draw_disc(number: int, step: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Return frames uint8 (T, H, W) and masks bool (T, H, W); speckle and disc move together."""
    return disc_over_speckle(number, FRAMES, step)


@pytest.fixture
def moving_disc() -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    return draw_disc


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    folder = tmp_path / "davis"
    for number in range(3):
        write_davis_video(folder, f"video{number}", *draw_disc(number))
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("video", "patient"), ("video0", "a"), ("video1", "a"), ("video2", "b")])
    return folder


@pytest.fixture
def buv(tmp_path: Path) -> Path:
    folder = tmp_path / "buv"
    frames, masks = draw_disc(0)
    frames, masks = np.concatenate([frames] * 2), np.concatenate([masks] * 2)  # 12 frames: 10 follows 9, not 1
    for name in ("images", "labels"):
        (folder / name / "v1").mkdir(parents=True)
    for number in range(12):
        cv2.imwrite(str(folder / "images" / "v1" / f"{number}.png"), frames[number])
        cv2.imwrite(str(folder / "labels" / "v1" / f"{number}.png"), masks[number].astype(np.uint8) * 255)
    return folder


def write_stills(folder: Path, count: int) -> Path:
    """Write stills of as many patients, the first of them in train."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    lines = ["id,patient,split"]
    for number in range(count):
        frames, masks = draw_disc(number)
        cv2.imwrite(str(folder / "images" / f"s{number}.png"), frames[0])
        cv2.imwrite(str(folder / "masks" / f"s{number}.png"), masks[0].astype(np.uint8) * 255)
        lines.append(f"s{number},{number},{'val' if number else 'train'}")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    return write_stills(tmp_path / "stills", 3)


@pytest.fixture
def many_stills(tmp_path: Path) -> Path:
    return write_stills(tmp_path / "many_stills", 8)
