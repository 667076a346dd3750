"""Fitting a model: patients apart, resumed after a kill, written only where it is better, no images left behind."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from UltrasoundLesionSegLib.adaptation import adapt as adapting
from UltrasoundLesionSegLib.adaptation import clips, runs
from UltrasoundLesionSegLib.adaptation.adapt import adapt
from UltrasoundLesionSegLib.adaptation.clips import mixed, training_clips
from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion, outlined_lesion, split_patients
from UltrasoundLesionSegLib.adaptation.outcome import Outcome
from UltrasoundLesionSegLib.adaptation.request import AdaptProgress, AdaptSettings
from UltrasoundLesionSegLib.adaptation.scoring import Difference, LesionScore, difference, mean_over_patients
from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.bundles import read_bundle
from UltrasoundLesionSegLib.engine.merge import PackedProbabilities
from UltrasoundLesionSegLib.errors import ModelError, SourceError
from UltrasoundLesionSegLib.evaluation.sessions import Filled

MakeLesion = Callable[..., OutlinedLesion]


class Holds:
    """Repeats the mask of the outline before, with an expected overlap that the test chooses for each frame."""

    name = "holds"

    def __init__(self, expected: dict[int, float]) -> None:
        self._expected = expected

    def fill(self, cine: Cine, anchors: Mapping[int, np.ndarray], frames: range) -> dict[int, Filled]:
        masks = next(iter(anchors.values()))
        packed = tuple(PackedProbabilities.pack(mask) for mask in masks)
        return {frame: Filled(packed, (self._expected.get(frame, 0.0),)) for frame in frames}


def test_a_lesion_is_the_part_of_the_cine_that_its_outlines_span(outlined: MakeLesion) -> None:
    lesion = outlined(0, "p", (2, 3, 6))
    assert (len(lesion.cine), sorted(lesion.masks)) == (5, [0, 1, 4])
    assert lesion.truth(2) is None
    found = lesion.truth(4)
    assert found is not None
    assert found.shape == (1, *lesion.cine.shape)
    whole = Cine.from_array(np.zeros((4, 8, 8), np.uint8))
    nothing = np.zeros((8, 8), bool)
    assert outlined_lesion("n", "p", whole, {1: ~nothing}) is None  # nothing to score on
    assert outlined_lesion("n", "p", whole, {1: nothing, 2: nothing}) is None


def test_every_patient_is_in_one_fold(outlined: MakeLesion) -> None:
    lesions = [outlined(number, f"p{number % 4}") for number in range(7)]
    folds = split_patients(lesions, 3)
    assert sorted(one for fold in folds for one in fold) == ["p0", "p1", "p2", "p3"]
    assert all(folds)
    assert split_patients(lesions[::-1], 3) == folds  # whatever the order


def test_frames_between_outlines_are_trained_on_where_the_model_is_sure(outlined: MakeLesion) -> None:
    lesion = outlined(0, "p", (0, 3, 7))
    only, more = training_clips(lesion, Holds({1: 0.95, 2: 0.5, 5: 0.91}))
    assert (len(only.frames), len(more.frames)) == (3, 5)
    assert [bool(one.any()) for one in only.masks] == [True] * 3
    height, width = only.masks.shape[1:]
    assert only.frames.shape == (3, height, width)
    assert only.masks[0].sum() == lesion.masks[0].sum()  # cut around the lesion, not made smaller
    assert len(training_clips(lesion, Holds({}))) == 1


def test_simulated_clips_keep_their_share_of_the_samples(outlined: MakeLesion) -> None:
    (own,) = training_clips(outlined(0, "p"), Holds({}))
    drawn = mixed([own] * 2, [replace(own) for _ in range(12)])
    assert len(drawn) == 12 + 36
    assert len(mixed([own] * 100, [own] * 12)) == 112


def score(lesion: str, patient: str, overlap: float) -> LesionScore:
    return LesionScore(lesion, patient, overlap, (overlap, overlap, overlap))


def test_differences_have_patients_as_their_units() -> None:
    before = [score("a", "p", 0.5), score("b", "p", 0.6), score("c", "q", 0.7), score("d", "r", 0.8)]
    after = [score("d", "r", 0.9), score("a", "p", 0.7), score("b", "p", 0.8), score("c", "q", 0.7)]
    found = difference(after, before, lambda one: one.overlap)
    assert (found.mean, found.patients) == (pytest.approx(0.1), 3)  # 0.2, 0 and 0.1
    # Student's t, 2 degrees of freedom: 4.303 * 0.1 / sqrt(3)
    assert found.high - found.mean == pytest.approx(0.2484, abs=1e-3)
    assert np.isnan(difference(after[:1], before[3:], lambda one: one.overlap).low)
    # 0.75, 0.7 and 0.9: so the means tell the same as their difference
    assert mean_over_patients(after, lambda one: one.overlap) == pytest.approx(0.7833, abs=1e-4)


def outcome(overlap: Difference, area: Difference) -> Outcome:
    return Outcome("tiny", "own", 3, 3, 9, 5, (0.5, 0.6), ((0.5, 0.7), (0.6, 0.8)), overlap, area)


def test_better_is_beyond_chance_and_not_at_the_cost_of_a_person_s_work() -> None:
    better, unclear, worse = (Difference(0.1, low, low + 0.1, 5) for low in (0.05, -0.02, -0.3))
    assert outcome(better, unclear).is_better
    assert not outcome(unclear, better).is_better
    assert not outcome(better, worse).is_better
    assert "no model was written" in outcome(unclear, better).sentence
    unknown = Difference(0.1, float("nan"), float("nan"), 1)
    assert not outcome(unknown, unknown).is_better


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "REHEARSED", 1)
    monkeypatch.setattr(clips, "REHEARSED_SIZE", 64)
    monkeypatch.setattr(clips, "REHEARSED_FRAMES", 4)
    monkeypatch.setattr(runs, "BATCH", 2)
    monkeypatch.setattr(runs, "TIMED", 1)
    monkeypatch.setattr(runs, "UNTIMED", 1)


@pytest.fixture
def settings(tiny_model: str) -> AdaptSettings:
    return AdaptSettings(tiny_model, "own", steps=2, workers=0, device="cpu")


def decided(monkeypatch: pytest.MonkeyPatch, better: bool) -> None:
    """Let chance be no judge of two steps of training."""
    monkeypatch.setattr(Outcome, "is_better", property(lambda self: better))


@pytest.mark.usefixtures("quick")
def test_a_better_model_becomes_a_bundle_with_its_card(
    outlined: MakeLesion, settings: AdaptSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(monkeypatch, better=True)
    lesions = [outlined(number, f"p{number // 2}") for number in (0, 1, 2, 4)]
    told: list[AdaptProgress] = []
    found = adapt(lesions, settings, tmp_path / "work", tmp_path / "models", told.append, ["a note"])
    assert (found.patients, found.outlined_frames, found.steps) == (3, 12, 2)
    assert Outcome.read(tmp_path / "work") == found
    assert found.overlap[1] - found.overlap[0] == pytest.approx(found.overlap_difference.mean), "both over patients"
    area = [(curve[0] + 2 * curve[1] + curve[2]) / 4 for curve in found.curves]
    assert area[1] - area[0] == pytest.approx(found.area_difference.mean)

    bundle = read_bundle(tmp_path / "models" / "own")
    state, start = bundle.load_network().state_dict(), read_bundle(tmp_path / "tiny-models" / "tiny").load_network()
    assert any(not np.array_equal(state[name], value) for name, value in start.state_dict().items())
    metadata, began = (
        json.loads((folder / "configs" / "metadata.json").read_text())
        for folder in (bundle.folder, tmp_path / "tiny-models" / "tiny")
    )
    assert metadata.keys() >= began.keys()  # all that MONAI's schema asks for
    assert metadata["eval_metrics"] == {"mean_dice": round(found.overlap[1], 3)}
    card = (bundle.folder / "docs" / "README.md").read_text()
    assert "4 lesions of 3 patients" in card
    assert "A note." in card
    training = json.loads((bundle.folder / "configs" / "train.json").read_text())["train"]
    assert training["stages"][0]["steps"] == 2

    shares = [one.share for one in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    left = {path.name for path in (tmp_path / "work").iterdir()}
    assert not left & {"clips", "runs", "models"}  # no image of a patient stays
    with pytest.raises(ModelError, match="a model named 'own' already"):
        adapt(lesions, settings, tmp_path / "work", tmp_path / "models")


@pytest.mark.skipif(
    not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev,
    reason="needs a second disk",
)
@pytest.mark.usefixtures("quick")
def test_the_folder_for_models_can_be_on_another_disk(
    outlined: MakeLesion, settings: AdaptSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(monkeypatch, better=True)
    lesions = [outlined(number, f"p{number}") for number in range(3)]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        adapt(lesions, settings, tmp_path / "work", Path(other) / "models")
        assert [path.name for path in (Path(other) / "models").iterdir()] == ["own"]
        assert read_bundle(Path(other) / "models" / "own").load_network() is not None


@pytest.mark.usefixtures("quick")
def test_a_stopped_adaptation_goes_on_and_comes_to_the_same(
    outlined: MakeLesion, settings: AdaptSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(monkeypatch, better=False)
    lesions = [outlined(number, f"p{number}") for number in range(3)]
    whole = adapt(lesions, settings, tmp_path / "whole", tmp_path / "models")
    assert not (tmp_path / "models" / "own").exists()

    def stop(step: AdaptProgress) -> None:
        if step.sentence.startswith("training for fold 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt(lesions, settings, tmp_path / "stopped", tmp_path / "models", stop)
    scored: list[str] = []
    monkeypatch.setattr(adapting, "score_lesions", noting(adapting.score_lesions, scored))
    again = adapt(lesions, settings, tmp_path / "stopped", tmp_path / "models")
    assert again == whole
    assert "start" not in scored  # those scores were there


def noting(score_lesions: Callable[..., list[LesionScore]], scored: list[str]) -> Callable[..., list[LesionScore]]:
    """Return the function with a note of each folder for which it needs a model."""

    def call(lesions: list[OutlinedLesion], follower: Callable[[], object], folder: Path, *rest: object) -> object:
        def noted() -> object:
            scored.append(folder.name)
            return follower()

        return score_lesions(lesions, noted, folder, *rest)

    return call  # type: ignore[return-value]


@pytest.mark.usefixtures("quick")
def test_other_outlines_begin_anew(
    outlined: MakeLesion, settings: AdaptSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesions = [outlined(number, f"p{number}") for number in range(3)]

    def stop(step: AdaptProgress) -> None:
        if step.sentence.startswith("training"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt(lesions, settings, tmp_path / "work", tmp_path / "models", stop)
    scored: list[str] = []
    monkeypatch.setattr(adapting, "score_lesions", noting(adapting.score_lesions, scored))
    with pytest.raises(KeyboardInterrupt):
        adapt([*lesions[:2], outlined(2, "p2", (1, 5))], settings, tmp_path / "work", tmp_path / "models", stop)
    assert scored == ["start"]


def test_what_cannot_work_is_said_at_once(outlined: MakeLesion, settings: AdaptSettings, tmp_path: Path) -> None:
    lesions = [outlined(number, f"p{number % 2}") for number in range(4)]
    places = tmp_path / "work", tmp_path / "models"
    with pytest.raises(SourceError, match=r"lesions of 2 patients .* 3 are needed"):
        adapt(lesions, settings, *places)
    with pytest.raises(ModelError, match="made to suggest"):
        adapt(lesions, replace(settings, start="bas_s"), *places)
    with pytest.raises(ModelError, match="'tiny' already"):
        adapt(lesions, replace(settings, name="tiny"), *places)
    assert not places[0].exists()


@pytest.mark.usefixtures("quick")
def test_too_few_minutes_say_how_many_are_needed_and_more_go_on(
    outlined: MakeLesion, settings: AdaptSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesions = [outlined(number, f"p{number}") for number in range(3)]
    with pytest.raises(ModelError, match=r"give at least \d+ minutes"):
        adapt(lesions, replace(settings, steps=None, minutes=0.001), tmp_path / "work", tmp_path / "models")
    scored: list[str] = []
    monkeypatch.setattr(adapting, "score_lesions", noting(adapting.score_lesions, scored))
    told: list[str] = []

    def stop(step: AdaptProgress) -> None:
        told.append(step.sentence)
        if "fold 2" in step.sentence:
            raise KeyboardInterrupt

    for minutes, steps in ((2.0, 2), (3.0, 3)):
        more = replace(settings, minutes=minutes, steps=steps)
        with pytest.raises(KeyboardInterrupt):
            adapt(lesions, more, tmp_path / "work", tmp_path / "models", stop)
    assert scored == ["start", "fold-1", "fold-1"]  # more minutes train anew; the start model's scores are still there
    assert "training for fold 1 of 3: step 3 of 3" in told


class Clock:
    """Stands until the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.usefixtures("quick")
def test_a_run_ends_when_its_minutes_are_over_and_the_same_call_goes_on(
    outlined: MakeLesion, settings: AdaptSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(monkeypatch, better=False)
    lesions = [outlined(number, f"p{number}") for number in range(3)]
    clock, timed = Clock(), replace(settings, steps=None, minutes=60.0)
    monkeypatch.setattr(adapting, "time", clock)
    monkeypatch.setattr(adapting, "MOST_STEPS", 3)
    monkeypatch.setattr(adapting, "FEWEST_STEPS", 1)
    told: list[str] = []

    def slow(step: AdaptProgress) -> None:
        told.append(step.sentence)
        if step.sentence.startswith("training for fold 2 of 3: step 2"):
            clock.now += 3601

    with pytest.raises(ModelError, match=r"the 60 minutes are over .* the same training, started again, goes on"):
        adapt(lesions, timed, tmp_path / "work", tmp_path / "models", slow)
    assert told[-1].startswith("training for fold 2 of 3: step 2"), "it ends at once"
    told.clear()
    found = adapt(lesions, timed, tmp_path / "work", tmp_path / "models", lambda step: told.append(step.sentence))
    assert found.steps == 3
    assert not any("start model scored" in one or "fold 1" in one for one in told), "what was done is not done again"


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_timed_run_takes_its_minutes_and_no_more(
    outlined: MakeLesion, settings: AdaptSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(monkeypatch, better=True)
    lesions = [outlined(number, f"p{number}") for number in range(3)]
    monkeypatch.setattr(adapting, "FEWEST_STEPS", 1)
    minutes, found = 0.15, None
    over: list[float] = []
    while found is None and len(over) < 6:
        timed, began = replace(settings, steps=None, minutes=minutes), time.monotonic()
        try:
            found = adapt(lesions, timed, tmp_path / "work", tmp_path / "models")
        except ModelError as error:  # on a machine that others use it needs more
            assert re.search("minutes are over|min is not enough", str(error)), error  # noqa: PT017
            minutes *= 2
        over.append(time.monotonic() - began - 60 * timed.minutes)
    assert max(over) < 60, "a step and a score more at most, also on a machine that others use"
    assert found is not None
    assert found.steps < adapting.MOST_STEPS
    assert (tmp_path / "models" / "own").is_dir()
