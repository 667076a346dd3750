"""Stills whose outline is not the edge of the dark core."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.fitting.outlines import drawn_otherwise
from UltrasoundLesionSegLib.fitting.samples import PropagationSamples, SampleSettings
from UltrasoundLesionSegLib.fitting.still import Still


@pytest.fixture
def still() -> Still:
    rng = np.random.default_rng(0)
    image = rng.normal(120, 20, (240, 320)).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    cv2.ellipse(mask, (160, 110), (60, 35), 10, 0, 360, 1, -1)
    image[mask > 0] -= 80
    return Still(np.clip(image, 0, 255).astype(np.uint8), mask > 0)


def test_the_outline_leaves_the_edge_of_the_dark_core(still: Still) -> None:
    shares, isoechoic = [], 0
    for seed in range(40):
        other = drawn_otherwise(still, np.random.default_rng(seed))
        assert other.mask.dtype == bool
        assert other.image.dtype == np.uint8
        assert other.mask.shape == other.image.shape == still.image.shape
        shares.append(other.mask.sum() / still.mask.sum())
        added = other.mask & ~still.mask
        if added.sum() > 0.1 * still.mask.sum() and abs(np.median(other.image[added]) - 120) < 30:
            isoechoic += 1
    assert min(shares) >= 0.5
    assert min(shares) < 0.95  # drawn inside the edge
    assert max(shares) > 1.3  # and well outside of it
    assert isoechoic > 5  # so that darkness does not say what belongs to the lesion


def test_the_same_seed_gives_the_same_still(still: Still) -> None:
    one, two = (drawn_otherwise(still, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.mask, two.mask)


def test_a_still_of_which_too_little_would_be_left_stays_as_it_is() -> None:
    mask = np.zeros((64, 64), bool)
    mask[30:33, 30:33] = True
    speck = Still(np.full((64, 64), 90, np.uint8), mask)
    for seed in range(20):
        assert drawn_otherwise(speck, np.random.default_rng(seed)).mask.sum() >= 4


def test_samples_take_their_share_of_such_outlines(still: Still) -> None:
    usual, otherwise = (
        PropagationSamples([still], SampleSettings(size=64, whole_share=0, outline_share=share), seed=5)[3]
        for share in (0.0, 1.0)
    )
    assert usual["masks"].shape == otherwise["masks"].shape
    assert not np.array_equal(usual["masks"].numpy(), otherwise["masks"].numpy())
