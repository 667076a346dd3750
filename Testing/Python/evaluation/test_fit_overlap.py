"""Fitting what tells the expected overlap, and the clips it is tested on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Cine, FrameResult
from UltrasoundLesionSegLib.engine.bundles import find_bundle
from UltrasoundLesionSegLib.engine.expected_overlap import OverlapEstimate
from UltrasoundLesionSegLib.engine.propagation import PropagationInputs
from UltrasoundLesionSegLib.engine.signals import SIGNALS, Signals
from UltrasoundLesionSegLib.evaluation.calibration import (
    calibration_error,
    mean_rank_correlation,
    rank_correlation,
    reliability,
)
from UltrasoundLesionSegLib.evaluation.fit_overlap import Told, fit, fit_curves, one_sided
from UltrasoundLesionSegLib.evaluation.layouts import write_davis_video
from UltrasoundLesionSegLib.evaluation.overlap_records import Recorder, Run, record, run_of
from UltrasoundLesionSegLib.evaluation.phantom_clips import Phantom


def made_up_run(number: int, anchors: list[int], frames: int = 40) -> Run:
    """Return a run in which Dice is what the flow says, and nothing else tells; every tenth mask is empty."""
    rng = np.random.default_rng(number)
    forward, backward = range(1, frames), range(frames - 2, 0, -1) if len(anchors) == 2 else []
    steps = np.array([*forward, *backward])
    signals = np.full((len(steps), len(SIGNALS)), np.nan)
    flow = rng.uniform(0.6, 0.98, len(steps))
    values = {"certainty": rng.uniform(0.6, 0.97, len(steps)), "soft_overlap": 0.95, "flow_overlap": flow}
    values |= {"likeness": 0.5, "anchor_overlap": 0.95, "distance": steps.astype(float)}
    for name, value in values.items():
        signals[:, SIGNALS.index(name)] = value
    dice = np.clip(flow + rng.normal(0, 0.01, len(steps)), 0, 1)
    empty = steps % 10 == 0
    signals[empty] = np.nan
    signals[empty, SIGNALS.index("unseen")] = rng.uniform(0, 1, int(empty.sum()))
    signals[empty, SIGNALS.index("hidden")] = 1.0
    dice[empty] = signals[empty, SIGNALS.index("unseen")] > 0.4
    final = np.array([len(anchors) == 1] * len(forward) + [True] * len(backward))
    blends = [(frame - anchors[0], anchors[-1] - frame, 0.9, 0.9) for frame in backward]
    return Run(f"m/set/{number}", np.array(anchors), steps, final, dice, signals, np.array(blends).reshape(-1, 4))


def test_a_fit_finds_what_tells_and_is_calibrated() -> None:
    runs = [made_up_run(number, [0] if number % 2 else [0, 39]) for number in range(12)]
    estimate = OverlapEstimate.from_json(fit(runs))
    told = one_sided([made_up_run(number, [0]) for number in range(100, 106)])
    expected = np.array([estimate.of_one(Signals(*map(float, row))) for row in zip(*told.inputs.values(), strict=True)])
    seen = np.isnan(told.inputs["unseen"])
    assert mean_rank_correlation(expected[seen], told.found[seen], told.runs[seen]) > 0.95
    assert calibration_error(expected, told.found) < 0.03
    good = Signals(0.9, soft_overlap=0.95, flow_overlap=0.95, likeness=0.5, anchor_overlap=0.95, distance=5.0)
    assert estimate.of_one(good) == pytest.approx(0.95, abs=0.03)
    assert (
        estimate.of_one(Signals(unseen=0.1, hidden=1.0)) < 0.4 < 0.7 < estimate.of_one(Signals(unseen=0.9, hidden=1.0))
    )


def test_what_tells_masks_of_one_run_apart_is_fitted_although_runs_say_the_opposite() -> None:
    rng = np.random.default_rng(0)
    runs, inside = np.repeat(np.arange(20), 30), rng.uniform(0, 0.05, 600)
    level = np.repeat(np.linspace(0.75, 0.9, 20), 30)  # runs of which the network is more certain are worse
    found = np.clip(1.6 - level + inside, 0, 1)
    told = Told({"certainty": level + inside}, found, runs.astype(str))

    def rank(weight: float) -> float:
        (curve,) = (fit_curves(told, weight)["curves"]).values()
        expected = np.interp(told.inputs["certainty"], curve["knots"], curve["values"])
        return mean_rank_correlation(expected + rng.normal(0, 1e-3, 600), found, told.runs)

    assert rank(0.0) < 0.5
    assert rank(10.0) > 0.9


def test_a_run_in_which_masks_were_taken_back_is_left_out() -> None:
    class TakingBack:
        """A model that is asked about more masks than it gives, as where masks are taken back."""

        def __init__(self, recorder: Recorder, more: int) -> None:
            self.recorder, self.more = recorder, more

        def propagate(self, inputs: PropagationInputs) -> Iterator[FrameResult]:
            one = np.ones(1, bool)
            for frame in range(1, len(inputs.cine)):
                for _ in range(1 + self.more):
                    self.recorder.of_one(Signals(0.9))
                yield FrameResult(frame, inputs.known(frame), np.ones(1, np.float32), one, one)

    truth = np.ones((5, 16, 16), bool)
    cine, recorder = Cine.from_array(np.zeros((5, 16, 16), np.uint8)), Recorder()
    whole = run_of(cine, truth, [0], TakingBack(recorder, 0), recorder)
    assert whole is not None
    assert whole.dice.tolist() == [1.0] * 4
    assert run_of(cine, truth, [0], TakingBack(recorder, 1), recorder) is None


def test_rank_correlation_is_spearman_s_with_ties() -> None:
    assert rank_correlation(np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 4, 9, 16, 25])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2, 3, 4, 5]), np.array([5.0, 4, 3, 2, 1])) == pytest.approx(-1)
    # by hand: ranks 1.5 1.5 3 4 5 against 1 2 3 4 5
    assert rank_correlation(np.array([1.0, 1, 3, 4, 5]), np.array([1.0, 2, 3, 4, 5])) == pytest.approx(0.97467943)
    assert np.isnan(rank_correlation(np.ones(9), np.arange(9.0)))
    assert np.isnan(rank_correlation(np.arange(3.0), np.arange(3.0)))


def test_reliability_has_bins_of_equal_size_and_its_error_is_their_mean_distance() -> None:
    expected = np.linspace(0, 1, 200)
    assert [one.masks for one in reliability(expected, expected)] == [20] * 10
    assert calibration_error(expected, expected) == pytest.approx(0)
    assert calibration_error(expected, np.full(200, 0.5)) == pytest.approx(0.25, abs=0.01)
    assert calibration_error(np.full(200, 0.9), np.tile([1.0, 0.8], 100)) == pytest.approx(0)


def test_a_phantom_never_rests_and_its_lesion_is_seen_and_drawn() -> None:
    images, masks = Phantom(3, 6).clip()
    assert images.shape == masks.shape
    assert images.dtype == np.uint8
    change = np.abs(np.diff(images.astype(float), axis=0)).mean(axis=(1, 2))
    assert change.min() > 8
    seen = masks.any(axis=(1, 2))
    assert seen.sum() >= 4
    inside = np.mean([images[t][masks[t]].mean() for t in np.flatnonzero(seen)])
    assert inside < images.mean() - 5
    again = Phantom(3, 6).clip()
    assert np.array_equal(images, again[0])


def test_records_are_made_once_for_a_model_and_its_settings_and_know_frames_marked_not_visible(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:64, :80]
    shown = ((rows - 32) ** 2 + (columns - 40) ** 2) < 15**2
    masks = np.stack([shown & (not 4 <= t < 8) for t in range(12)])
    write_davis_video(tmp_path / "clips" / "leaves", "one", np.where(masks, 60, 140).astype(np.uint8), masks)
    bundle = find_bundle("bas_l_propagate")
    single, double, four, told = record(bundle, tmp_path / "clips", tmp_path / "records", "cpu")
    assert told.anchors.tolist() == [0]
    assert told.frames.tolist() == [frame for frame in range(1, 12) if frame != 6]
    assert told.signals[:, SIGNALS.index("absence")].tolist() == [abs(frame - 6) for frame in told.frames]
    assert masks[single.anchors].any(axis=(1, 2)).all()
    assert double.anchors.tolist() == [2, 9]
    assert 6 not in double.frames  # the middle of the frames without the lesion
    assert four.anchors.tolist() == [0, 2, 8, 11]
    assert len(double.signals) == len(double.frames) == 2 * 5 + 2 + 2
    assert ((double.blends[:, 2:] >= 0) & (double.blends[:, 2:] <= 1)).all()
    assert double.blends[:, :2].tolist() == [[2, 1], [1, 2], [3, 1], [2, 2], [1, 3]]
    (kept,) = (tmp_path / "records").rglob("one.npz")
    before = kept.stat().st_mtime_ns
    record(bundle, tmp_path / "clips", tmp_path / "records", "cpu")
    assert kept.stat().st_mtime_ns == before
    other = replace(bundle, propagation={**bundle.propagation, "window_margin": 2.5})
    record(other, tmp_path / "clips", tmp_path / "records", "cpu")
    assert len(list((tmp_path / "records").rglob("one.npz"))) == 2
