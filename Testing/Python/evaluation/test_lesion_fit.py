"""A model fitted to one lesion, beside the model as it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import write_tiny_bundle

from UltrasoundLesionSegLib.engine.bundles import Bundle, find_bundle
from UltrasoundLesionSegLib.evaluation.layouts import Layout, read_cases
from UltrasoundLesionSegLib.evaluation.lesion_fit import main, score_case, score_on_others, shortened
from UltrasoundLesionSegLib.fitting import lesion_fit, way_back
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.fitting.lesion_fit import FitSettings

QUICK = FitSettings(steps=3, batch=2, learning_rate=1e-2)


@pytest.fixture
def bundle(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moving_disc: Callable[[int], tuple[np.ndarray, np.ndarray]],
) -> Bundle:
    write_tiny_bundle(tmp_path / "models" / "tiny")
    monkeypatch.setenv("ULS_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(lesion_fit, "other_clips", lambda: (Clip(*moving_disc(7)),))
    return find_bundle("tiny")


def test_both_models_are_scored_on_the_same_frames(bundle: Bundle, davis: Path) -> None:
    case = next(iter(read_cases(davis, Layout.DAVIS)))
    names = ("tiny", "tiny fitted 0.5", "tiny fitted 0.5 where kept", "tiny fitted 1", "tiny fitted 1 where kept")
    scores = score_case(case, bundle, QUICK, (0.5, 1.0))
    assert scores is not None
    assert [(row.method, row.frame) for row in scores.rows] == [
        (name, frame) for name in names for frame in range(1, 6)
    ]
    told = {name: [(row.scores.dice, row.confidence) for row in scores.rows if row.method == name] for name in names}
    assert told["tiny"] != told["tiny fitted 1"] != told["tiny fitted 0.5"] != told["tiny"]
    assert scores.fit_seconds > 0
    assert scores.plain_seconds > 0


def test_other_videos_show_whether_a_fit_forgets(bundle: Bundle, davis: Path) -> None:
    case, *others = read_cases(davis, Layout.DAVIS)
    scores = score_case(case, bundle, QUICK, (1.0,), others[:1])
    assert scores is not None
    fitted = [row for row in scores.rows if row.method == "tiny fitted 1 on others"]
    plain = score_on_others(bundle, bundle.name, others[:1])
    assert {row.method for row in plain} == {"tiny on others"}
    assert {row.case for row in (*plain, *fitted)} == {others[0].name}
    assert [row.frame for row in plain] == [row.frame for row in fitted] != []
    assert [row.scores.dice for row in plain] != [row.scores.dice for row in fitted]


@pytest.mark.parametrize("kept", [True, False])
def test_masks_of_a_fit_that_the_program_would_not_keep_are_not_taken(
    bundle: Bundle, davis: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr(way_back, "LESS", 1.0 if kept else -1.1)
    monkeypatch.setattr(way_back, "LOST", 0.0)
    scores = score_case(next(iter(read_cases(davis, Layout.DAVIS))), bundle, QUICK, (1.0,))
    assert scores is not None
    plain, fitted, taken = (scores.rows[place : place + 5] for place in (0, 5, 10))
    assert [row.scores for row in taken] == [row.scores for row in (fitted if kept else plain)]
    assert set(scores.ways_back) == {"tiny", "tiny fitted 1"}
    assert all(0 <= one <= 1 for one in scores.ways_back.values())


def test_a_shortened_video_has_the_truth_of_its_frames(davis: Path) -> None:
    case = next(iter(read_cases(davis, Layout.DAVIS)))
    short = shortened(case, 5, 2)
    assert len(short.cine) == 3
    for place, frame in enumerate((0, 2, 4)):
        np.testing.assert_array_equal(short.cine.frames[place], case.cine.frames[frame])
        np.testing.assert_array_equal(short.truth(place), case.truth(frame))


def test_the_command_writes_a_table_with_the_difference(
    bundle: Bundle, davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = f"x {davis} --output {tmp_path / 'out'} --model {bundle.name} --skip 1 --limit 2 --steps 1 --batch 1"
    given += f" --others {davis} --other-videos 1"
    monkeypatch.setattr(sys, "argv", given.split())
    main()
    text = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "| tiny fitted 0.3 |" in text
    assert "minus tiny |" in text
    assert "minus tiny on others |" in text
    cases = len(list(read_cases(davis, Layout.DAVIS)))
    assert text.count("of processor time") == 1 + min(cases - 1, 2)
    rows = (tmp_path / "out" / "frames.csv").read_text(encoding="utf-8")
    assert rows.count("tiny fitted 0.3,") == min(cases - 1, 2) * 5
    assert rows.count("tiny fitted 0.3 on others,") == min(cases - 1, 2) * 5
    assert rows.count("tiny on others,") == 5  # the model as it is does not depend on the video fitted to
