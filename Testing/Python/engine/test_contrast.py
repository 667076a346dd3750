from __future__ import annotations

import numpy as np
import pytest
from engine_helpers import disc

from UltrasoundLesionSegLib.engine.contrast import NO_CONTRAST, RIM, contrast

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
    for lesion in (np.zeros(SHAPE, bool), np.ones(SHAPE, bool)):
        assert contrast(picture(40, 120), lesion) == NO_CONTRAST
    assert not contrast(picture(119, 120, noise=20), LESION).clear


@pytest.mark.parametrize(
    ("inside", "around", "gone"),
    [
        (40, 120, False),
        (80, 120, False),  # half as clear as it was
        (110, 120, True),
        (130, 120, True),
        (40, 50, False),  # the surroundings have changed, not the lesion
    ],
)
def test_a_lesion_has_gone_when_the_inside_became_like_the_outside(inside: float, around: float, gone: bool) -> None:
    now = contrast(picture(inside, around), LESION)
    assert now.has_gone(contrast(picture(40, 120), LESION)) is gone
    # the same for a lesion brighter than its surroundings
    inverse = contrast(255 - picture(inside, around), LESION)
    assert inverse.has_gone(contrast(255 - picture(40, 120), LESION)) is gone


def test_nothing_has_gone_where_a_contrast_is_unknown_or_not_clear() -> None:
    dark, bright, unclear = (
        contrast(picture(*levels), LESION) for levels in ((40, 120, 5), (200, 120, 5), (119, 120, 20))
    )
    assert not NO_CONTRAST.has_gone(dark)
    assert not NO_CONTRAST.has_gone(bright)
    assert not dark.has_gone(unclear)
