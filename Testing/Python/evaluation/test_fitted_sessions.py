"""A simulated person whose model is fitted to the lesion after each correction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import write_tiny_bundle

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.bundles import Bundle, find_bundle
from UltrasoundLesionSegLib.engine.merge import PackedProbabilities
from UltrasoundLesionSegLib.evaluation.fitted_sessions import ModelFit
from UltrasoundLesionSegLib.evaluation.interactive import Course, Plan, evaluate_interactive, run_case
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases
from UltrasoundLesionSegLib.evaluation.people import FITTED
from UltrasoundLesionSegLib.evaluation.sessions import Filled
from UltrasoundLesionSegLib.fitting import lesion_fit, way_back
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.fitting.lesion_fit import FitSettings

BOTH = ("next frame", FITTED)


class Shifted:
    """Finds the truth so many pixels to the right."""

    def __init__(self, case: Case, shift: int) -> None:
        self.name = f"shifted by {shift}"
        self._case, self._shift = case, shift

    def fill(self, cine: Cine, anchors: Mapping[int, np.ndarray], frames: range) -> dict[int, Filled]:
        found = {}
        for frame in (one for one in frames if one not in anchors):
            masks = np.roll(self._case.truth(frame), self._shift, axis=2)
            packed = tuple(PackedProbabilities.pack(mask) for mask in masks)
            found[frame] = Filled(packed, (0.8,) * len(masks))
        return found


def courses_of(case: Case, shift: int) -> tuple[dict[str, Course], list[list[int]]]:
    """Return the courses without and with fits that are so many pixels wrong, and what they were fitted to."""
    fitted_to: list[list[int]] = []

    def fit(cine: Cine, anchors: Mapping[int, np.ndarray]) -> Shifted:
        fitted_to.append(sorted(anchors))
        return Shifted(case, shift)

    courses = run_case(case, Shifted(case, 8), Plan(2, choosers=BOTH), fit)
    return {course.chooser: course for course in courses}, fitted_to


def test_the_model_is_fitted_to_all_anchors_after_each_correction(davis: Path) -> None:
    courses, fitted_to = courses_of(next(iter(read_cases(davis, Layout.DAVIS))), 0)
    plain, fitted = (courses[chooser].steps for chooser in BOTH)
    assert np.mean(plain[0].dice) < 0.9
    assert all(np.mean(step.dice) == 1 for step in fitted)
    drawn = [step.frame for step in fitted]
    assert fitted_to == [sorted(drawn[: number + 1]) for number in range(3)]


def test_a_fit_that_the_program_would_not_keep_is_not_used(davis: Path) -> None:
    courses, _ = courses_of(next(iter(read_cases(davis, Layout.DAVIS))), 14)
    plain, fitted = (courses[chooser].steps for chooser in BOTH)
    assert [step.dice for step in fitted] == [step.dice for step in plain]


def test_fits_are_asked_for() -> None:
    assert FITTED not in Plan().choosers


@pytest.fixture
def bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving_disc: Callable[[int], tuple[np.ndarray, np.ndarray]]
) -> Bundle:
    write_tiny_bundle(tmp_path / "models" / "tiny")
    monkeypatch.setenv("ULS_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(lesion_fit, "other_clips", lambda: (Clip(*moving_disc(7)),))
    settings = FitSettings(steps=2, batch=1, learning_rate=3e-2, share=1.0)
    monkeypatch.setattr("UltrasoundLesionSegLib.evaluation.fitted_sessions.FitSettings", lambda: settings)
    return find_bundle("tiny")


def test_the_program_s_own_fit_gives_other_masks_each_time(bundle: Bundle, davis: Path) -> None:
    case = next(iter(read_cases(davis, Layout.DAVIS)))
    fit = ModelFit(bundle, "cpu")
    masks = {frame: truth for frame in (0, 3) if (truth := case.truth(frame)) is not None}
    one, other = fit(case.cine, {0: masks[0]}), fit(case.cine, masks)
    assert one is not None
    assert other is not None
    assert one.name != other.name
    given = {0: masks[0]}, range(1, 3)
    first, second = (
        [filled.masks[0].unpack() for filled in each.fill(case.cine, *given).values()] for each in (one, other)
    )
    assert len(first) == 2
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_lesion_too_small_to_fit_to_is_followed_without(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = FitSettings(steps=1, batch=1, other_share=0.0)
    monkeypatch.setattr("UltrasoundLesionSegLib.evaluation.fitted_sessions.FitSettings", lambda: settings)
    speck = np.zeros((1, 96, 128), bool)
    speck[0, 20, 20] = True
    assert ModelFit(bundle, "cpu")(Cine.from_array(np.zeros((3, 96, 128), np.uint8)), {0: speck}) is None


def test_kept_results_are_computed_again_where_the_rule_of_the_fit_is_another(
    bundle: Bundle, davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(choosers: tuple[str, ...]) -> int:
        output = tmp_path / "results" / str(len(choosers))
        evaluate_interactive(davis, "davis", [bundle], output, Plan(0, choosers=choosers), device="cpu", limit=1)
        (kept,) = (output / "courses" / "tiny").glob("*.json")
        return kept.stat().st_mtime_ns

    before = [computed(BOTH), computed(BOTH[:1])]
    assert [computed(BOTH), computed(BOTH[:1])] == before
    monkeypatch.setattr(way_back, "LESS", 0.5)
    monkeypatch.setattr(way_back, "LOST", 0.0)
    after = [computed(BOTH), computed(BOTH[:1])]
    assert after[0] != before[0]
    assert after[1] == before[1]
