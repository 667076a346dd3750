from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from UltrasoundLesionSegLib.evaluation.metrics import FrameScores
from UltrasoundLesionSegLib.evaluation.scores import ScoredFrame, summarize
from UltrasoundLesionSegLib.evaluation.tables import table_text, write_differences

PATIENTS = {"v1": "a", "v2": "a", "v3": "b"}


def scored(method: str, dices: dict[str, list[float]]) -> list[ScoredFrame]:
    """Return rows of a method with these Dice coefficients, video by video and frame by frame."""
    return [
        ScoredFrame(
            method,
            case,
            PATIENTS.get(case, case),
            0,
            frame,
            frame,
            FrameScores(dice, 0.5, 0.5, 0.1, 0.5, 3.0, 1 - dice, 0.1),
        )
        for case, values in dices.items()
        for frame, dice in enumerate(values, 1)
    ]


def test_differences_are_paired_and_patients_are_drawn() -> None:
    # per video the first method is ahead by 0.1, 0.3 (patient a) and 0 (patient b); on the last frame by 0.2, 0.4, -0.1
    rows = scored("first", {"v1": [0.5, 0.9], "v2": [0.4, 0.8], "v3": [0.7, 0.6]})
    rows += scored("second", {"v1": [0.5, 0.7], "v2": [0.2, 0.4], "v3": [0.6, 0.7]})
    summary = summarize(rows, "first", ["second"])
    # two patients are drawn: a twice (0.2), b twice (0), or both (0.4 / 3), each at least a quarter of the time
    assert summary.differences["second"]["dice"] == pytest.approx((0.4 / 3, 0.0, 0.2))
    assert summary.differences["second"]["last_dice"] == pytest.approx((0.5 / 3, -0.1, 0.3))
    assert summary.per_video["dice"][0] == pytest.approx((0.7 + 0.6 + 0.65) / 3)
    assert summary.last_dice[0] == pytest.approx((0.9 + 0.8 + 0.6) / 3)
    assert "last_dice" not in summary.per_video


def test_what_is_hard_for_both_cancels_out() -> None:
    levels = np.random.default_rng(0).uniform(0.3, 0.9, 12)
    rows = scored("better", {f"p{n}": [level + 0.02] for n, level in enumerate(levels)})
    rows += scored("worse", {f"p{n}": [level] for n, level in enumerate(levels)})
    better = summarize(rows, "better", ["worse"])
    assert better.differences["worse"]["dice"] == pytest.approx((0.02, 0.02, 0.02))
    mean, low, high = better.per_video["dice"]
    assert high - low > 0.1  # the intervals of the means themselves overlap widely
    assert summarize(rows, "worse", ["better"]).differences["better"]["dice"][0] == pytest.approx(-0.02)
    assert mean == pytest.approx(levels.mean() + 0.02)


def test_methods_scored_on_different_videos_are_not_compared() -> None:
    rows = scored("first", {"v1": [0.5], "v2": [0.4]}) + scored("second", {"v1": [0.5]})
    with pytest.raises(ValueError, match="different videos"):
        summarize(rows, "first", ["second"])


def test_differences_are_in_the_table_and_in_a_file(tmp_path: Path) -> None:
    rows = scored("held", {"v1": [0.5, 0.9], "v3": [0.4, 0.8]}) + scored("ours", {"v1": [0.6, 1.0], "v3": [0.5, 0.9]})
    summaries = [summarize(rows, "held"), summarize(rows, "ours", ["held"])]
    text = table_text(summaries)
    assert "| ours | +0.100 (+0.100 to +0.100) | 0 |" in text
    assert "Dice per video: mean difference, row minus column" in text
    write_differences(summaries, tmp_path / "differences.csv")
    with (tmp_path / "differences.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["method"], row["other"], row["score"], row["mean"]) for row in found] == [
        ("ours", "held", "dice", "0.10000"),
        ("ours", "held", "last_dice", "0.10000"),
        ("ours", "held", "missed", "-0.10000"),
    ]
    assert "minus" not in table_text(summaries[:1])


def test_small_lesions_and_masks_elsewhere_are_told_apart() -> None:
    rows = [
        replace(row, share=share)
        for row, share in zip(scored("ours", {"v1": [0.9, 0.6, 0.05, 1.0]}), (0.2, 0.005, 0.008, 0.0), strict=True)
    ]
    summary = summarize(rows, "ours")
    assert summary.small[0] == 2
    assert summary.small[1][0] == pytest.approx((0.6 + 0.05) / 2)
    assert summary.elsewhere == pytest.approx(1 / 3)  # of the frames that show the lesion
    assert "| ours | 2 | 0.325 (" in table_text([summary])
    assert "Small lesions" not in table_text([summarize(scored("ours", {"v1": [0.9]}), "ours")])
