"""A simulated person corrects cines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stand_in_networks import PointedNetwork

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.merge import PackedProbabilities
from UltrasoundLesionSegLib.engine.next_frame import Outlook
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.evaluation import people
from UltrasoundLesionSegLib.evaluation.effort import OFFERED, efforts, uncorrected, worth
from UltrasoundLesionSegLib.evaluation.effort_tables import effort_text, lead, summary_text, write_effort
from UltrasoundLesionSegLib.evaluation.interactive import (
    Course,
    Plan,
    Step,
    evaluate_interactive,
    read_courses,
    run_case,
)
from UltrasoundLesionSegLib.evaluation.layouts import Layout, read_cases, write_davis_video
from UltrasoundLesionSegLib.evaluation.people import Situation
from UltrasoundLesionSegLib.evaluation.sessions import Filled, Session

FRAMES = 30


class Holds:
    """Holds the nearest anchor's mask, and knows how far it is."""

    name = "holds"

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], range]] = []

    def fill(self, cine: Cine, anchors: Mapping[int, np.ndarray], frames: range) -> dict[int, Filled]:
        self.asked.append((tuple(anchors), frames))
        found = {}
        for frame in (one for one in frames if one not in anchors):
            nearest = min(anchors, key=lambda one: abs(one - frame))
            masks = tuple(PackedProbabilities.pack(mask) for mask in anchors[nearest])
            found[frame] = Filled(masks, (1 - 0.02 * abs(nearest - frame),) * len(masks))
        return found


@pytest.fixture
def drifting(tmp_path: Path) -> Path:
    """A set of one video whose lesion drifts steadily away from where it was."""
    rows, columns = np.mgrid[:64, :200]
    masks = np.stack([((rows - 32) ** 2 + (columns - 30 - 4 * t) ** 2) < 15**2 for t in range(FRAMES)])
    write_davis_video(tmp_path, "drifts", np.where(masks, 60, 140).astype(np.uint8), masks)
    return tmp_path


def courses_of(folder: Path, plan: Plan) -> tuple[list[Course], Holds]:
    follower = Holds()
    return run_case(next(iter(read_cases(folder, Layout.DAVIS))), follower, plan), follower


def test_every_way_of_working_starts_from_the_same_masks_and_wins_by_drawing(drifting: Path) -> None:
    courses, _ = courses_of(drifting, Plan(random_runs=2))
    assert [(c.chooser, c.run) for c in courses] == [
        ("next frame", 0),
        ("evenly spaced", 0),
        ("random", 0),
        ("random", 1),
        ("oracle", 0),
    ]
    assert len({tuple(c.steps[0].dice) for c in courses}) == 1
    for course in courses:
        means = [np.mean(step.dice) for step in course.steps]
        assert len(means) == 4
        assert means == sorted(means)
        assert means[-1] > means[0] + 0.1
        for before, step in zip(course.steps, course.steps[1:], strict=False):
            assert np.isnan(step.expected[step.frame])  # a drawn frame has no model's mask
            assert step.dice[step.frame] == 1
            assert step.frame != before.frame


def test_evenly_spaced_from_the_first_frame_is_last_middle_quarter(drifting: Path) -> None:
    courses, _ = courses_of(drifting, Plan(choosers=("evenly spaced",)))
    assert [step.frame for step in courses[0].steps] == [0, 29, 14, 7]


def test_the_seed_s_frame(drifting: Path) -> None:
    courses, _ = courses_of(drifting, Plan(1, ("first", "middle", "worst"), ("oracle", "evenly spaced")))
    assert {course.seed: course.steps[0].frame for course in courses} == {"first": 0, "middle": 15, "worst": 0}
    assert [(one.seed, one.chooser) for one in efforts(courses)] == [
        (seed, chooser) for seed in ("first", "middle", "worst") for chooser in ("oracle", "evenly spaced")
    ]
    text = effort_text({"holds": courses})
    assert [text.count(f"seed on the {seed} frame") for seed in ("first", "middle", "worst")] == [1, 1, 1]


def test_one_frame_of_so_many_can_be_taken(drifting: Path) -> None:
    courses, follower = courses_of(drifting, Plan(1, choosers=("evenly spaced",), every=4))
    assert courses[0].frames == list(range(8))
    assert follower.asked == [((0,), range(1, 8)), ((0, 7), range(1, 7))]


def test_a_correction_computes_its_two_stretches_alone_and_nothing_twice(drifting: Path) -> None:
    case = next(iter(read_cases(drifting, Layout.DAVIS)))
    follower = Holds()
    masks = {frame: case.truth(frame) for frame in range(FRAMES)}
    session = Session(case.cine, follower, 1, {}, {0: masks[0]})
    session.results()
    session.draw(20, masks[20])
    assert sorted(session.results()) == [frame for frame in range(FRAMES) if frame not in (0, 20)]
    session.results()
    assert follower.asked == [((0,), range(1, 30)), ((0, 20), range(1, 20)), ((20,), range(21, 30))]


def test_a_frame_without_the_lesion_ends_no_run_of_frames(drifting: Path) -> None:
    case = next(iter(read_cases(drifting, Layout.DAVIS)))
    follower = Holds()
    masks = {frame: case.truth(frame) for frame in range(FRAMES)}
    session = Session(case.cine, follower, 1, {}, {0: masks[0], 20: masks[20], 10: np.zeros_like(masks[0])})
    assert sorted(session.results()) == [frame for frame in range(FRAMES) if frame not in (0, 10, 20)]
    assert follower.asked == [((0, 10, 20), range(1, 20)), ((20,), range(21, 30))]


def test_who_corrects_poor_masks_alone_confirms_the_others(drifting: Path) -> None:
    plan = Plan(5, choosers=("evenly spaced",), people=("draws", "draws_where_poor"))
    draws, sparing = courses_of(drifting, plan)[0]
    assert all(step.drawn for step in draws.steps)
    person = people.PEOPLE["draws_where_poor"]
    truth = np.ones((1, 8, 8), bool)
    good, poor = truth.copy(), truth.copy()
    good[0, 0, :5], poor[0, :3] = False, False
    assert person.answer(np.zeros((8, 8), np.uint8), good, truth).drawn is False
    assert np.array_equal(person.answer(np.zeros((8, 8), np.uint8), poor, truth).masks, truth)
    assert sum(step.drawn for step in sparing.steps) <= sum(step.drawn for step in draws.steps)


def test_who_clicks_mends_poor_masks_and_confirms_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "click_model", lambda: (PointedNetwork(), 64))
    rows, columns = np.mgrid[:96, :96]
    truth = ((rows - 48) ** 2 + (columns - 40) ** 2 < 15**2)[None]
    frame = np.where(truth[0], 230, 20).astype(np.uint8)
    poor, good = truth & (rows < 44), truth & (rows < 60)
    person = people.PEOPLE["clicks_where_poor"]
    mended = person.answer(frame, poor, truth)
    assert mended.drawn
    assert 1 <= mended.clicks <= people.MOST_CLICKS
    assert people.dice(mended.masks, truth) > people.GOOD > people.dice(poor, truth)
    gone = person.answer(frame, poor, np.zeros_like(truth))
    assert (gone.drawn, gone.clicks) == (True, 0)
    assert not gone.masks.any()  # marked "not visible"
    monkeypatch.setattr(people.ClickDrawing, "mask", lambda self, clicks: rows < 3)  # answers nonsense
    useless = person.answer(frame, poor, truth)
    assert np.array_equal(useless.masks, poor)
    assert useless.clicks == people.MOST_CLICKS  # they were made, and taken back
    left = person.answer(frame, good, truth)
    assert (left.drawn, left.clicks) == (False, 0)
    assert np.array_equal(left.masks, good)


def test_who_clicks_the_seed_too_is_counted_in_clicks(drifting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dark(PointedNetwork):
        """Sees the dark disc of the set, a little too small."""

        def forward(self, stacked: torch.Tensor) -> torch.Tensor:
            seen = super().forward(torch.cat((0.9 - stacked[:, :3], stacked[:, 3:]), dim=1))
            return -torch.nn.functional.max_pool2d(-seen, 3, 1, 1)

    monkeypatch.setattr(people, "click_model", lambda: (Dark(), 64))
    courses, _ = courses_of(drifting, Plan(2, choosers=("evenly spaced",), people=("draws", "clicks")))
    drawing, clicking = courses
    assert [step.clicks for step in drawing.steps] == [0, 0, 0]
    assert all(step.clicks >= 1 for step in clicking.steps)
    assert 0.8 < clicking.steps[0].dice[0] < 1 == drawing.steps[0].dice[0]  # what was clicked is no truth
    by_hand, by_clicks = efforts(courses)
    assert not by_hand.clicks.any()
    assert by_clicks.clicks.tolist() == np.cumsum([step.clicks for step in clicking.steps]).tolist()
    text = effort_text({"holds": courses})
    assert f"{by_clicks.curve[-1]:.3f} ({by_clicks.clicks[-1]:.1f})" in text
    assert f"| {by_hand.curve[-1]:.3f} |" in text


def test_choosers() -> None:
    expected = np.full(20, 0.97)
    expected[[0, 19]] = np.nan
    expected[8:13] = 0.6
    labelled = np.ones(20, bool)
    labelled[10] = False
    true = np.full(20, 0.9)
    true[4] = 0.1
    situation = Situation([Outlook(expected, (0, 19))], labelled, true, np.random.default_rng(0))
    assert people.product(situation) == 9
    assert people.evenly_spaced(situation) == 9
    assert people.oracle(situation) == 4
    drawn = {people.at_random(situation) for _ in range(200)}
    assert drawn == set(range(1, 19)) - {10}
    assert not people.says_done(situation)
    assert people.says_done(replace(situation, outlook=[Outlook(np.where(expected < 0.7, 0.97, expected), (0, 19))]))


def step(frame: int, dice: list[float], expected: list[float], done: bool = False, gain: float = 1.0) -> Step:
    return Step(frame, True, done, gain, dice, expected)


def test_effort_is_averaged_over_runs_then_cases() -> None:
    nan = float("nan")

    def course(case: str, chooser: str, run: int, curve: list[float]) -> Course:
        steps = [step(0, [1.0, value], [nan, value]) for value in curve]
        return Course(case, case, "first", chooser, "draws", run, [0, 1], steps)

    found = efforts(
        [
            course("a", "random", 0, [0.0, 1.0, 1.0]),
            course("a", "random", 1, [0.0, 0.0, 1.0]),
            course("b", "random", 0, [0.8, 0.85]),  # nothing was left to offer
        ]
    )
    assert len(found) == 1
    assert found[0].curve.tolist() == pytest.approx([(0.5 + 0.9) / 2, (0.75 + 0.925) / 2, (1.0 + 0.925) / 2])
    assert found[0].area == pytest.approx(((0.7 + 0.8375) / 2 + (0.8375 + 0.9625) / 2) / 2)
    assert found[0].finished == pytest.approx(0.5)
    assert found[0].until == pytest.approx((1.5 + 3) / 2)
    assert found[0].cases == 2


def test_what_the_expected_overlap_is_worth() -> None:
    nan = float("nan")
    true = [0.5, 0.7, 0.9, 0.92, 0.94, 0.96, 1.0]
    told = [0.55, 0.75, 0.8, 0.9, 0.95, 0.97, nan]
    better = [0.9, 0.9, 1.0, 0.95, 0.95, 0.96, 1.0]
    steps = [step(6, true, told), step(2, better, [0.9, 0.9, nan, 0.9, 0.9, 0.9, nan], done=True)]
    found = worth([Course("a", "a", "first", OFFERED, "draws", 0, list(range(7)), steps)])
    assert found is not None
    assert (found.masks, found.poor) == (11, 2)
    assert found.inside == pytest.approx(1.0)  # the second state says the same of all: it has no rank
    assert found.told_apart == 1.0
    assert found.first_in_worst_third == 0.0  # frame 2 is the third lowest of six
    assert (found.done, found.offered_until_done) == (1.0, 1.0)
    assert found.gain_won == pytest.approx(sum(better) - sum(true))
    assert worth([]) is None


def test_the_expected_overlap_before_the_first_correction() -> None:
    told = [0.5, 0.6, 0.7, 0.8, 0.9, float("nan")]
    steps = [step(5, [0.5, 0.6, 0.7, 0.8, 0.0, 1.0], told), step(0, [0.95, 0.9, 0.8, 0.7, 0.6, 1.0], told)]
    courses = [Course("a", "a", "first", OFFERED, "draws", 0, list(range(6)), steps)]
    before, after = worth(uncorrected(courses)), worth(courses)
    assert before is not None
    assert after is not None
    assert (before.masks, after.masks) == (5, 10)
    assert before.inside == pytest.approx(0.0)  # four in order, and one that the model lost and is surest of
    assert np.isnan(before.inside_seen)  # four masks alone show the lesion
    assert after.inside == pytest.approx(-0.5)  # the other state is in the opposite order
    table = summary_text({"tiny": {"holds": courses}})
    assert "| tiny | holds | first | seed alone | 0.00 |" in table
    assert "| tiny | holds | first | all | -0.50 |" in table


def test_a_model_on_a_data_set_and_what_is_written(davis: Path, tmp_path: Path) -> None:
    plan = Plan(corrections=1, random_runs=1)
    output = tmp_path / "results"
    results = evaluate_interactive(davis, "davis", ["bas_l_propagate"], output, plan, device="cpu", limit=2)
    assert len({course.case for course in results["bas_l_propagate"]}) == 2
    kept = sorted((output / "courses" / "bas_l_propagate").glob("*.json"))
    assert len(kept) == 2
    assert read_courses(output) == results or json.loads(kept[0].read_text())  # nan is not equal to itself
    before = kept[0].stat().st_mtime_ns
    evaluate_interactive(davis, "davis", ["bas_l_propagate"], output, plan, device="cpu", limit=2)
    assert kept[0].stat().st_mtime_ns == before  # taken, not computed again
    write_effort(results, output)
    text = (output / "effort.md").read_text()
    assert "next frame" in text
    assert "oracle" in text
    assert "calibration error" in text
    assert (output / "effort.png").stat().st_size > 1000
    assert "bas_l_propagate" in summary_text({"tiny": results})
    assert effort_text({"nothing": []}) == ""
    seed_alone = run_case(next(iter(read_cases(davis, Layout.DAVIS))), Holds(), Plan(0, choosers=("next frame",)))
    assert "| - | - |" in summary_text({"tiny": {"holds": seed_alone}})
    assert "A correction was expected" not in effort_text({"holds": seed_alone})
    assert "A correction was expected" in text
    assert "nan%" not in text
    above, _ = lead(efforts(results["bas_l_propagate"]))
    assert abs(above) < 1


def test_what_is_not_known_is_refused(davis: Path, tmp_path: Path) -> None:
    for wrong in ({"seeds": ("last",)}, {"choosers": ("best",)}, {"people": ("nobody",)}):
        with pytest.raises(SourceError, match="choose among"):
            Plan(**wrong)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="stills"):
        evaluate_interactive(davis, "stills", ["bas_l_propagate"], tmp_path)
