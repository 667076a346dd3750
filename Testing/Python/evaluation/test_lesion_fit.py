"""A model fitted to one lesion, beside the model as it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import Bundle, read_bundle
from UltrasoundLesionSegLib.engine.networks.bas import BasPropagate
from UltrasoundLesionSegLib.evaluation import lesion_fit
from UltrasoundLesionSegLib.evaluation.layouts import Layout, read_cases
from UltrasoundLesionSegLib.evaluation.lesion_fit import (
    FitSettings,
    between,
    fitted_network,
    main,
    score_case,
    shortened,
)
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip

SMALL = {"channels": [8, 8, 8], "blocks": [1, 1, 1], "token_grid": [2, 2]}
QUICK = FitSettings(steps=3, batch=2, learning_rate=1e-2)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    torch.manual_seed(0)
    folder = tmp_path / "models" / "tiny"
    target = "UltrasoundLesionSegLib.engine.networks.bas.BasPropagate"
    write_bundle(folder, {"_target_": target, **SMALL}, "Tiny", "Random weights.", {"input_size": 64})
    save_weights(folder, BasPropagate(**SMALL), torch.float32)
    return read_bundle(folder)


@pytest.fixture
def others(moving_disc: Callable[[int], tuple[np.ndarray, np.ndarray]]) -> list[Clip]:
    return [Clip(*moving_disc(7))]


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([one.detach().flatten() for one in network.state_dict().values() if one.is_floating_point()])


def test_the_fit_moves_a_copy_by_the_share_asked_for_and_repeats(
    bundle: Bundle, others: list[Clip], moving_disc: Callable[[int], tuple[np.ndarray, np.ndarray]]
) -> None:
    frames, masks = moving_disc(1)
    drawn = [(frames[0], masks[0]), (np.repeat(frames[4][..., None], 3, axis=2), masks[4])]

    fitted = fitted_network(bundle, drawn, others, QUICK)
    none, half, all_the_way = (weights(between(bundle, fitted, share)) for share in (0.0, 0.5, 1.0))
    assert torch.equal(none, weights(bundle.load_for_inference("cpu")))
    assert float((all_the_way - none).abs().max()) > 5e-3
    assert 0 < float((half - none).norm()) < float((all_the_way - none).norm())
    assert torch.equal(weights(fitted), weights(fitted_network(bundle, drawn, others, QUICK)))


def test_both_models_are_scored_on_the_same_frames(bundle: Bundle, others: list[Clip], davis: Path) -> None:
    case = next(iter(read_cases(davis, Layout.DAVIS)))
    names = ("tiny", "tiny fitted 0.5", "tiny fitted 0.5 where surer", "tiny fitted 1", "tiny fitted 1 where surer")
    rows = score_case(case, bundle, others, QUICK, (0.5, 1.0))
    assert [(row.method, row.frame) for row in rows] == [(name, frame) for name in names for frame in range(1, 6)]
    dice = {name: [row.scores.dice for row in rows if row.method == name] for name in names}
    assert dice["tiny"] != dice["tiny fitted 1"] != dice["tiny fitted 0.5"] != dice["tiny"]


@pytest.mark.parametrize("surer", [-1.0, 1.0])
def test_masks_of_a_fitted_model_that_is_no_surer_are_not_taken(
    bundle: Bundle, others: list[Clip], davis: Path, monkeypatch: pytest.MonkeyPatch, surer: float
) -> None:
    monkeypatch.setattr(lesion_fit, "SURER", surer)
    rows = score_case(next(iter(read_cases(davis, Layout.DAVIS))), bundle, others, QUICK, (1.0,))
    plain, fitted, taken = (rows[place : place + 5] for place in (0, 5, 10))
    assert [row.scores for row in taken] == [row.scores for row in (fitted if surer < 0 else plain)]


def test_a_shortened_video_has_the_truth_of_its_frames(davis: Path) -> None:
    case = next(iter(read_cases(davis, Layout.DAVIS)))
    short = shortened(case, 5, 2)
    assert len(short.cine) == 3
    for place, frame in enumerate((0, 2, 4)):
        np.testing.assert_array_equal(short.cine.frames[place], case.cine.frames[frame])
        np.testing.assert_array_equal(short.truth(place), case.truth(frame))


def test_the_command_writes_a_table_with_the_difference(
    bundle: Bundle, others: list[Clip], davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clips").mkdir()
    others[0].save(tmp_path / "clips" / "0.npz")
    monkeypatch.setenv("ULS_MODELS", str(tmp_path / "models"))
    given = (
        f"x {davis} --clips {tmp_path / 'clips'} --output {tmp_path / 'out'} --model tiny --limit 2 --steps 1 --batch 1"
    )
    monkeypatch.setattr(sys, "argv", given.split())
    main()
    text = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "| tiny fitted 0.3 |" in text
    assert "minus tiny" in text
    assert (tmp_path / "out" / "frames.csv").read_text(encoding="utf-8").count("tiny fitted 0.3,") == 2 * 5
