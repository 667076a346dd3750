from __future__ import annotations

import numpy as np
import pytest
from engine_helpers import disc

from UltrasoundLesionSegLib.engine.contrast import RIM, contrast

SHAPE = (96, 128)
LESION = disc(SHAPE, 48, 60, 14)


def picture(inside: float, around: float, noise: float = 5.0) -> np.ndarray:
    speckle = np.random.default_rng(0).normal(0, noise, SHAPE)
    return np.clip(np.where(LESION, inside, around) + speckle, 1, 255).astype(np.uint8)


@pytest.mark.parametrize(("inside", "around"), [(40, 120), (170, 120)])
def test_contrast_is_how_much_brighter_the_surroundings_are(inside: float, around: float) -> None:
    found = contrast(picture(inside, around), LESION)
    assert found.clear
    assert found.difference == pytest.approx(around - inside, abs=1)


def test_an_outline_that_is_two_pixels_off_changes_nothing() -> None:
    assert RIM == 2
    grown = disc(SHAPE, 48, 60, 16)
    assert contrast(picture(40, 120), grown).difference == pytest.approx(80, abs=1)


def test_black_beyond_the_sector_is_no_surroundings() -> None:
    cut = picture(40, 120)
    cut[:, 70:] = 0
    at_the_edge = LESION & (np.arange(SHAPE[1]) < 70)
    assert contrast(cut, at_the_edge).difference == pytest.approx(80, abs=1)


def test_without_a_lesion_surroundings_or_a_difference_there_is_no_clear_contrast() -> None:
    assert not contrast(picture(40, 120), np.zeros(SHAPE, bool)).clear
    assert not contrast(picture(40, 120), np.ones(SHAPE, bool)).clear
    assert not contrast(picture(119, 120, noise=20), LESION).clear


def test_a_share_is_of_the_reference_and_whole_where_that_is_not_clear() -> None:
    dark, faint, bright = (contrast(picture(inside, 120), LESION) for inside in (40, 100, 140))
    assert faint.share_of(dark) == pytest.approx(0.25, abs=0.03)
    assert bright.share_of(dark) < 0
    assert faint.share_of(contrast(picture(119, 120, noise=20), LESION)) == 1
