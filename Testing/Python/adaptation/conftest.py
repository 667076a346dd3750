"""Discs that move over speckle, outlined by a person on some frames, and a tiny model to start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engine_helpers import disc_over_speckle
from tiny_bundle import write_tiny_bundle

from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion, outlined_lesion
from UltrasoundLesionSegLib.cine import Cine

FRAMES = 8


def draw_disc(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return frames uint8 (T, H, W) and masks bool (T, H, W)."""
    return disc_over_speckle(number, FRAMES, step=2.0, start=0)


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
