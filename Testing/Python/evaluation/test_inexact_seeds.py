"""Seeds that are off, as people draw them."""

from __future__ import annotations

import numpy as np
import pytest

from UltrasoundLesionSegLib.evaluation.inexact_seeds import SeedMask, inexact


@pytest.fixture
def lesion() -> np.ndarray:
    rows, columns = np.mgrid[:80, :120]
    disc = (rows - 40) ** 2 / 400 + (columns - 50) ** 2 / 900 < 1
    disc[35:45, 75:95] = True  # a lobe, which no ellipse has
    return disc


def test_each_kind_is_off_as_it_says(lesion: np.ndarray) -> None:
    assert np.array_equal(inexact(lesion, SeedMask.EXACT), lesion)
    shifted = inexact(lesion, SeedMask.SHIFTED)
    assert np.array_equal(shifted[:, 5:], lesion[:, :-5])
    assert not shifted[:, :5].any()
    smaller, larger = inexact(lesion, SeedMask.ERODED), inexact(lesion, SeedMask.DILATED)
    assert (smaller & lesion).sum() == smaller.sum() < lesion.sum() == (larger & lesion).sum() < larger.sum()
    ellipse = inexact(lesion, SeedMask.ELLIPSE)
    assert 0.8 < 2 * (ellipse & lesion).sum() / (ellipse.sum() + lesion.sum()) < 0.98
    assert not ellipse[36, 94]


@pytest.mark.parametrize("kind", SeedMask)
def test_a_speck_stays_what_it_is_rather_than_nothing(kind: SeedMask) -> None:
    speck = np.zeros((30, 30), bool)
    speck[10, 29] = True
    assert inexact(speck, kind).any()
    assert not inexact(np.zeros((30, 30), bool), kind).any()
