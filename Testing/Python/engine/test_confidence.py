"""What the confidence compares."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.engine.confidence import STEADY, THUMBNAIL, steadiness, thumbnail


@pytest.mark.parametrize("shape", [(64, 64), (301, 455), (600, 800), (600, 800, 3), (1537, 1001)])
def test_a_thumbnail_is_the_averaged_frame_however_it_is_shrunk(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 256, shape, np.uint8), (0, 0), min(shape[:2]) / 30)
    frame = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    averaged = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
    averaged -= averaged.mean()
    got = thumbnail(frame)
    assert np.linalg.norm(got) == pytest.approx(1, abs=1e-5)
    assert got @ averaged / np.linalg.norm(averaged) > 0.99


def test_a_uniform_frame_has_an_empty_thumbnail() -> None:
    assert not thumbnail(np.full((300, 400), 7, np.uint8)).any()


def test_small_changes_of_size_are_how_lesions_change() -> None:
    assert steadiness(100, 97) == steadiness(97, 100) == steadiness(100, 100 * STEADY) == 1
    assert steadiness(0, 0) == 1


def test_a_jump_of_size_is_a_sign_in_both_directions() -> None:
    assert steadiness(100, 30) == steadiness(30, 100) == pytest.approx(0.3 / STEADY)
    assert steadiness(100, 0) == steadiness(0, 100) == pytest.approx(0.5 / STEADY)
    assert steadiness(100, 1) < 0.05
