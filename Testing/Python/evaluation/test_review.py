"""What a confidence is worth to whoever looks at the masks."""

from __future__ import annotations

import numpy as np
import pytest

from UltrasoundLesionSegLib.evaluation.metrics import FrameScores
from UltrasoundLesionSegLib.evaluation.review import score_review
from UltrasoundLesionSegLib.evaluation.scores import ScoredFrame, summarize
from UltrasoundLesionSegLib.evaluation.tables import table_text

VIDEOS = ["a"] * 10 + ["b"] * 20
DICE = np.concatenate((np.linspace(0.5, 0.95, 10), np.linspace(0.9, 0.6, 20)))


def test_a_confidence_in_the_order_of_dice_finds_the_worst() -> None:
    review = score_review(DICE, DICE**3, VIDEOS, VIDEOS)
    assert review is not None
    assert review.least_sure == review.worst
    assert review.worst[0] == pytest.approx((0.5 + np.mean(np.sort(DICE[10:])[:2])) / 2)
    assert review.poor == int((DICE < 0.8).sum())
    assert review.told_apart == 1


def test_the_opposite_order_finds_the_best_masks() -> None:
    review = score_review(DICE, -DICE, VIDEOS, VIDEOS)
    assert review is not None
    assert review.least_sure[0] == pytest.approx((0.95 + np.mean(np.sort(DICE[10:])[-2:])) / 2)
    assert review.told_apart == 0


def test_a_confidence_that_is_always_the_same_says_nothing() -> None:
    review = score_review(DICE, np.full(30, 0.7), VIDEOS, VIDEOS)
    assert review is not None
    assert review.told_apart == 0.5


def test_pairs_are_counted() -> None:
    # poor: 0.2 and 0.6; others: 0.5, 0.6, 0.9. Lower in 3 and 1 of 3 pairs, equal in one
    dice, confidence = np.array([0.1, 0.2, 0.9, 0.9, 0.8]), np.array([0.2, 0.6, 0.5, 0.6, 0.9])
    review = score_review(dice, confidence, ["v"] * 5, ["v"] * 5)
    assert review is not None
    assert review.told_apart == pytest.approx((3 + 1 + 0.5) / 6)


def test_masks_without_a_confidence_are_left_out() -> None:
    nan = float("nan")
    assert score_review(DICE, np.full(30, nan), VIDEOS, VIDEOS) is None
    partly = score_review(np.array([0.1, 0.5, 0.9]), np.array([nan, 0.3, 0.4]), ["v"] * 3, ["v"] * 3)
    assert partly is not None
    assert partly.worst[0] == 0.5


def test_it_is_in_the_summary_and_the_table_where_there_is_one() -> None:
    rows = [
        ScoredFrame(method, "v", "p", 0, frame, frame, FrameScores(dice, 0.5, 0.5, 0.1, 0.5, 3.0, 0.5, 0.1), confidence)
        for method, confidence in (("held", float("nan")), ("ours", 0.4))
        for frame, dice in enumerate((0.7, 0.9), 1)
    ]
    held, ours = (summarize(rows, name) for name in ("held", "ours"))
    assert held.review is None
    text = table_text([held, ours])
    assert "| ours | 0.800 (0.800-0.800) | 0.700 (0.700-0.700) | 0.700 (0.700-0.700) | 1 | 0.500 |" in text
    assert text.count("| held") == 2
    assert "AUC" not in table_text([held])
