from __future__ import annotations

import numpy as np
import pytest

from UltrasoundLesionSegLib.evaluation.metrics import bootstrap_interval, boundary_f, hausdorff95, score_frame


def square(row: int, column: int, side: int, shape: tuple[int, int] = (80, 100)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[row : row + side, column : column + side] = True
    return mask


def test_scores_of_a_shifted_square() -> None:
    truth, found = square(20, 20, 20), square(20, 30, 20)
    scores = score_frame(found, truth)
    assert scores.dice == pytest.approx(0.5)
    assert scores.iou == pytest.approx(1 / 3)
    assert scores.recall == pytest.approx(0.5)
    assert (scores.missed, scores.extra) == (pytest.approx(0.5), pytest.approx(0.5))
    assert scores.mae == pytest.approx(400 / 8000)
    assert scores.hd95 == pytest.approx(10)
    assert 0 < scores.boundary < 0.7


def test_the_truth_itself_scores_best() -> None:
    truth = square(5, 60, 30)
    scores = score_frame(truth, truth)
    assert (scores.dice, scores.iou, scores.recall, scores.mae, scores.boundary, scores.hd95) == (1, 1, 1, 0, 1, 0)


def test_empty_masks() -> None:
    empty, truth = np.zeros((80, 100), bool), square(5, 5, 10)
    both = score_frame(empty, empty)
    assert (both.dice, both.iou, both.boundary, both.mae) == (1, 1, 1, 0)
    assert np.isnan(both.recall)
    assert np.isnan(both.hd95)
    missed, invented = score_frame(empty, truth), score_frame(truth, empty)
    assert (missed.dice, missed.recall, missed.boundary) == (0, 0, 0)
    assert (invented.dice, invented.boundary) == (0, 0)
    assert np.isnan([invented.recall, invented.missed, invented.extra]).all()
    assert (missed.missed, missed.extra) == (1, 0)
    assert np.isnan(missed.hd95)


def test_missed_and_extra_area_are_told_apart() -> None:
    truth, core, halo = square(20, 20, 20), square(25, 25, 10), square(15, 15, 30)
    smaller, larger = score_frame(core, truth), score_frame(halo, truth)
    assert (smaller.missed, smaller.extra) == (pytest.approx(0.75), 0)
    assert (larger.missed, larger.extra) == (0, pytest.approx(1.25))


def test_scores_do_not_depend_on_how_much_frame_there_is() -> None:
    small = score_frame(square(20, 20, 20), square(24, 22, 18))
    large = score_frame(square(20, 20, 20, (800, 1000)), square(24, 22, 18, (800, 1000)))
    assert (small.dice, small.iou, small.recall, small.hd95) == (large.dice, large.iou, large.recall, large.hd95)
    assert small.mae == pytest.approx(large.mae * 100)


def test_masks_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        score_frame(np.zeros((4, 4), bool), np.zeros((4, 5), bool))


def test_the_boundary_is_found_within_the_tolerance_alone() -> None:
    truth, near, far = square(20, 20, 30), square(22, 22, 30), square(27, 27, 30)
    assert boundary_f(near, truth, 3) == 1
    assert boundary_f(far, truth, 3) < 0.3


def test_hausdorff_against_brute_force() -> None:
    rng = np.random.default_rng(1)
    first, second = square(10, 12, 17), square(14, 10, 21)
    first[10:14, 12 + rng.integers(0, 10, 4)] = False

    def rim(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        neighbours = [padded[1 + r : 81 + r, 1 + c : 101 + c] for r in (-1, 0, 1) for c in (-1, 0, 1)]
        return np.argwhere(mask & ~np.all(neighbours, axis=0)).astype(float)

    distances = np.linalg.norm(rim(first)[:, None] - rim(second)[None], axis=2)
    expected = max(np.percentile(distances.min(1), 95), np.percentile(distances.min(0), 95))
    assert hausdorff95(first, second) == pytest.approx(expected, abs=0.01)


def test_patients_are_drawn_not_frames() -> None:
    rng = np.random.default_rng(0)
    levels = rng.normal(0.8, 0.1, 20)
    values = np.repeat(levels, 50) + rng.normal(0, 0.001, 1000)
    together = bootstrap_interval(values, np.repeat(np.arange(20), 50))
    apart = bootstrap_interval(values, np.arange(1000))
    assert together[0] == apart[0] == pytest.approx(values.mean())
    assert together[1] < together[0] < together[2]
    # fifty frames of one patient are one patient
    assert (together[2] - together[1]) > 4 * (apart[2] - apart[1])
    assert bootstrap_interval(values, np.repeat(np.arange(20), 50)) == together
    assert np.isnan(bootstrap_interval(np.array([np.nan]), np.array([1]))[0])
