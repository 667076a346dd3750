"""Discs that move over speckle, outlined by a person on some frames, and a tiny model to start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_bundle import write_tiny_bundle

from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion, outlined_lesion
from UltrasoundLesionSegLib.cine import Cine

FRAMES = 8


def draw_disc(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return frames uint8 (T, H, W) and masks bool (T, H, W)."""
    rng = np.random.default_rng(number)
    wide = cv2.GaussianBlur(rng.normal(0, 1, (96, 160)).astype(np.float32), (0, 0), 2)
    wide = 120 + 25 * wide / wide.std()
    disc = np.zeros((96, 160), np.uint8)
    cv2.circle(disc, (60, 45), 16, 1, -1)
    wide[disc > 0] -= 70
    frames, masks = [], []
    for time in range(FRAMES):
        shift = np.array([[1.0, 0, -2.0 * time], [0, 1.0, 0]])
        frames.append(np.clip(cv2.warpAffine(wide, shift, (120, 96)), 0, 255).astype(np.uint8))
        masks.append(cv2.warpAffine(disc, shift, (120, 96)) > 0)
    return np.stack(frames), np.stack(masks)


@pytest.fixture
def moving_disc() -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    return draw_disc


@pytest.fixture
def outlined() -> Callable[..., OutlinedLesion]:
    """``outlined(3, "p1")`` is a disc outlined on frames 1, 4 and 6 of eight, of a patient."""

    def make(number: int, patient: str, frames: tuple[int, ...] = (1, 4, 6)) -> OutlinedLesion:
        images, masks = draw_disc(number)
        named = {frame: masks[frame] for frame in frames}
        lesion = outlined_lesion(f"case-{number}-1", patient, Cine.from_array(images), named)
        assert lesion is not None
        return lesion

    return make


@pytest.fixture
def tiny_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an untrained model that every command finds."""
    folder = tmp_path / "tiny-models" / "tiny"
    write_tiny_bundle(folder)
    monkeypatch.setenv("ULS_MODELS", str(folder.parent))
    return "tiny"
