"""The expected overlap of a mask: curves of signals, summed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_helpers import SignalsListener, dice, inputs_for
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.cine import Anchor, Cine
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, default_bundle, default_overlap, find_bundle, list_bundles
from UltrasoundLesionSegLib.engine.expected_overlap import Curve, OverlapEstimate, Surface, blend_inputs, log_odds
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.signals import SIGNALS, Signals, overlap, soft_overlap
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings
from UltrasoundLesionSegLib.errors import ModelError

GOOD = Signals(0.95, soft_overlap=0.97, flow_overlap=0.97, likeness=0.7, anchor_overlap=0.96, distance=3.0)


def content(**changes: Any) -> dict[str, Any]:
    """Return a small estimate as JSON: the flow's overlap and no more, and for a blend the weighted expectation."""
    one = {"curves": {"flow_overlap": {"knots": [0, 1], "values": [0, 1], "missing": 0.25}}}
    blend = {"curves": {"weighted": {"knots": [-9, 9], "values": [-9, 9]}}}
    line = {"knots": [0, 1], "values": [0, 1]}
    return {
        "seen": one | {"overlap": line},
        "unseen": {"curves": {}, "overlap": {"knots": [0], "values": [0.7]}},
        "blend": blend | {"overlap": line},
    } | changes


def test_a_curve_is_linear_between_knots_and_constant_beyond() -> None:
    curve = Curve((0.0, 1.0, 3.0), (1.0, 2.0, 0.0), missing=7.0)
    assert [curve(x) for x in (-5, 0, 0.5, 2, 3, 50, math.nan)] == [1.0, 1.0, 1.5, 1.0, 0.0, 0.0, 7.0]


def test_curves_are_summed_and_what_is_missing_has_its_own_value() -> None:
    estimate = OverlapEstimate.from_json(content())
    assert estimate.of_one(replace(GOOD, flow_overlap=0.6)) == pytest.approx(0.6)
    assert estimate.of_one(replace(GOOD, flow_overlap=math.nan)) == pytest.approx(0.25)
    assert estimate.of_one(Signals(unseen=0.9, hidden=1.0)) == pytest.approx(0.7)  # an empty mask has its own


def test_a_surface_is_bilinear_between_knots_and_has_values_for_what_is_missing() -> None:
    surface = Surface(("certainty", "likeness"), ((0.0, 1.0), (0.0, 2.0)), ((0, 4, 7), (1, 5, 8), (2, 6, 9)))
    inputs = [(0, 0), (1, 2), (0.5, 1), (0.5, 50), (-3, 0.5), (math.nan, 1), (0.5, math.nan), (math.nan, math.nan)]
    found = [surface({"certainty": one, "likeness": other}) for one, other in inputs]
    assert found == pytest.approx([0, 5, 2.5, 4.5, 1, 4, 7.5, 9])


def test_a_surface_joins_the_sum() -> None:
    surface = {
        "inputs": ["certainty", "flow_overlap"],
        "knots": [[0, 1], [0, 1]],
        "values": [[0] * 3, [0, 0.2, 0], [0] * 3],
    }
    seen = content()["seen"]
    estimate = OverlapEstimate.from_json(content(seen=seen | {"surfaces": [surface]}))
    assert estimate.of_one(replace(GOOD, certainty=0.5, flow_overlap=0.6)) == pytest.approx(0.6 + 0.5 * 0.6 * 0.2)
    assert estimate.of_one(replace(GOOD, certainty=0.5, flow_overlap=math.nan)) == pytest.approx(0.25)


def test_a_blend_means_the_same_played_backwards() -> None:
    one, other = blend_inputs((0.9, 0.6), (2, 10), 0.8, 0.9), blend_inputs((0.6, 0.9), (10, 2), 0.8, 0.9)
    assert one.keys() == other.keys()
    assert list(one.values()) == pytest.approx(list(other.values()))
    assert one["weighted"] > log_odds(0.8)  # the nearer side counts more


@pytest.mark.parametrize(
    "changes",
    [
        {"seen": {"curves": {"colour": {"knots": [0], "values": [0]}}, "overlap": {"knots": [0], "values": [0]}}},
        {"seen": {"curves": {}, "overlap": {"knots": [0, 0], "values": [0, 1]}}},
        {"seen": {"curves": {}, "overlap": {"knots": [0, 1], "values": [0, 1.5]}}},
        {"seen": {"curves": {}, "overlap": {"knots": [0, 1], "values": [0]}}},
        {"seen": {"curves": {}, "overlap": {"knots": [0, 1], "values": [0, float("nan")]}}},
        {"seen": {"curves": {}, "overlap": {"knots": [0, 1], "values": [0, True]}}},
        {"seen": {"curves": [], "overlap": {"knots": [0], "values": [0]}}},
        *(
            {"seen": content()["seen"] | {"surfaces": [one]}}
            for one in (
                {"inputs": ["certainty", "colour"], "knots": [[0], [0]], "values": [[0, 0], [0, 0]]},
                {"inputs": ["certainty"], "knots": [[0], [0]], "values": [[0, 0], [0, 0]]},
                {"inputs": ["certainty", "likeness"], "knots": [[0], [1, 0]], "values": [[0, 0, 0], [0, 0, 0]]},
                {"inputs": ["certainty", "likeness"], "knots": [[0], [0]], "values": [[0, 0], [0]]},
                {"inputs": ["certainty", "likeness"], "knots": [[0], [0]], "values": [[0, 0]]},
                {"inputs": ["certainty", "likeness"], "knots": [[0], [0]], "values": [[0, 0], [0, float("inf")]]},
            )
        ),
        {"seen": {"curves": {}}},
        {"blend": None},
    ],
)
def test_what_is_no_estimate_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, AttributeError, ValueError)):
        OverlapEstimate.from_json(content(**changes))


def test_every_shipped_model_that_propagates_has_an_estimate_that_falls_with_what_tells() -> None:
    for bundle in [one for one in list_bundles() if one.role == PROPAGATE]:
        estimate = bundle.overlap_estimate()
        assert 0.9 < estimate.of_one(GOOD) < 1
        fair = replace(GOOD, certainty=0.9)  # of a mask of which the network is surer, the flow tells little
        for worse in (
            replace(fair, flow_overlap=0.6),
            replace(fair, certainty=0.6, soft_overlap=0.75),
            replace(fair, flow_overlap=0.8, likeness=0.1, distance=40.0),
        ):
            assert estimate.of_one(worse) < estimate.of_one(fair) - 0.01
        clear = estimate.of_one(Signals(unseen=0.99, hidden=3.0))
        doubtful = estimate.of_one(Signals(unseen=0.2, hidden=3.0, refused=0.7))
        assert doubtful < clear - 0.01
        agreed, differing = (estimate.of_blend((0.95, 0.95), (8, 8), one, 0.98) for one in (0.98, 0.6))
        assert differing < agreed - 0.05


def test_a_bundle_without_an_estimate_takes_that_of_a_model_with_the_same_network(tmp_path: Path) -> None:
    bundle = replace(default_bundle(PROPAGATE), folder=tmp_path)
    assert bundle.overlap_estimate() == default_overlap()
    of_bas = find_bundle("bas_s_propagate")
    assert replace(of_bas, folder=tmp_path).overlap_estimate() == of_bas.overlap_estimate() != default_overlap()
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "expected_overlap.json").write_text(json.dumps(content()))
    assert bundle.overlap_estimate().of_one(replace(GOOD, flow_overlap=0.5)) == pytest.approx(0.5)


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"seen": 1, "unseen": 2, "blend": 3}'])
def test_a_bundle_s_damaged_estimate_is_named_in_one_sentence(tmp_path: Path, text: str) -> None:
    bundle = replace(next(one for one in list_bundles() if one.role == PROPAGATE), folder=tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "expected_overlap.json").write_text(text)
    with pytest.raises(ModelError, match=r"expected.overlap .*of the model"):
        bundle.overlap_estimate()


def test_soft_and_hard_overlap() -> None:
    one, other = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    assert overlap(one, other) == soft_overlap(one.astype(np.float32), other.astype(np.float32)) == 1
    one[:4], other[2:6] = True, True
    assert overlap(one, other) == pytest.approx(0.5)
    assert soft_overlap(one.astype(np.float32), other * np.float32(0.5)) == pytest.approx(2 * 8 / (32 + 16))


# with six other textures the difference is 0.089 to 0.102 and 0.115 to 0.130
@pytest.mark.parametrize(("correction", "difference"), [(True, 0.08), (False, 0.11)])
def test_a_mask_that_leaves_the_tissue_disagrees_with_the_outline_carried_by_flow(
    correction: bool, difference: float
) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:96, :96]
    truth = [((rows - 48) / 20) ** 2 + ((columns - 48) / (15 - 1.2 * t)) ** 2 < 1 for t in range(8)]
    texture = rng.integers(0, 60, (96, 96))
    # the bright body shrinks, the tissue around and in it stays where it is: nothing that flows says so
    cine = Cine.from_array(np.stack([np.where(mask, 180, 40) + texture for mask in truth]).astype(np.uint8))
    listener = SignalsListener()
    settings = TrackerSettings(input_size=96, outline_correction=correction)
    inferer = PropagationInferer(settings, torch.device("cpu"), overlap=listener)
    results = list(inferer(inputs_for(cine, [Anchor(0, 0, truth[0])]), BrightNetwork()))
    assert dice(results[-1].masks[0], truth[-1]) > 0.8
    assert all(result.confidence[0] == 0.5 for result in results)
    assert [one.distance for one in listener.told] == [1, 2, 3, 4, 5, 6, 7]
    assert listener.told[0].flow_overlap > 0.93
    assert listener.told[-1].flow_overlap < listener.told[0].flow_overlap - difference
    assert all(one.anchor_overlap > 0.95 and math.isnan(one.unseen) for one in listener.told)
    assert SIGNALS[0] == "certainty"
