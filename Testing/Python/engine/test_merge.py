from __future__ import annotations

import numpy as np
import pytest

from UltrasoundLesionSegLib.engine.merge import PackedProbabilities, blend, merge_lesions, soft_aggregate


def test_soft_aggregation_is_the_published_formula() -> None:
    p = np.array([[[0.9]], [[0.6]]], np.float32)
    odds = [0.9 / 0.1, 0.6 / 0.4]
    background = 0.1 * 0.4
    odds_background = background / (1 - background)
    expected = [o / (odds_background + sum(odds)) for o in odds]
    assert soft_aggregate(p).ravel().tolist() == pytest.approx(expected, rel=1e-5)


def test_merged_lesions_never_overlap() -> None:
    p = np.random.default_rng(0).random((3, 40, 50)).astype(np.float32)
    assert ((merge_lesions(p, np.zeros((40, 50), bool), False) > 0.5).sum(axis=0) <= 1).all()


def test_one_lesion_is_returned_unchanged() -> None:
    p = np.random.default_rng(0).random((1, 20, 20)).astype(np.float32)
    assert np.array_equal(merge_lesions(p, np.zeros((20, 20), bool), False), p)


def test_pixels_taken_by_an_anchor_are_left_to_it_unless_overlap_is_asked_for() -> None:
    p = np.ones((1, 4, 4), np.float32)
    taken = np.zeros((4, 4), bool)
    taken[1] = True
    assert not merge_lesions(p, taken, False)[0, 1].any()
    assert merge_lesions(p, taken, False)[0, 2].all()
    assert merge_lesions(p, taken, True).all()


def test_blend_leans_to_the_nearer_anchor_and_the_surer_side() -> None:
    one, zero = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    assert blend(one, zero, (1, 1), (1, 3))[0, 0] == pytest.approx(0.75)
    assert blend(one, zero, (1, 1), (2, 2))[0, 0] == pytest.approx(0.5)
    assert blend(one, zero, (0.2, 0.6), (2, 2))[0, 0] == pytest.approx(0.25)
    assert blend(one, zero, (0, 0), (1, 1))[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("filled", [True, False])
def test_packed_probabilities_come_back_within_half_a_step_and_are_small(filled: bool) -> None:
    rows, columns = np.mgrid[:600, :800]
    blob = 1 / (1 + np.exp((np.hypot(rows - 300, columns - 400) - 75) / 2))
    p = (blob * filled).astype(np.float32)
    packed = PackedProbabilities.pack(p)
    assert np.abs(packed.unpack() - p).max() <= 0.5 / 255 + 1e-6
    assert len(packed.packed) < 8000


@pytest.mark.parametrize("box", [(0, 0, 60, 80), (13, 7, 14, 50), (0, 0, 0, 0)])
def test_packed_masks_come_back_as_they_were(box: tuple[int, int, int, int]) -> None:
    mask = np.zeros((60, 80), bool)
    mask[box[0] : box[2], box[1] : box[3]] = True
    mask[20, 30] ^= mask.any()
    assert np.array_equal(PackedProbabilities.pack(mask).unpack() > 0.5, mask)


def test_packing_rounds_every_probability_to_the_nearest_step() -> None:
    p = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)
    assert np.array_equal(PackedProbabilities.pack(p).unpack(), np.round(p * 255).astype(np.float32) / 255)
