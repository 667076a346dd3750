from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import read_bundle
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.evaluation.evaluate import evaluate
from UltrasoundLesionSegLib.evaluation.methods import HeldMask, OpticalFlow

Discs = Callable[[int], tuple[np.ndarray, np.ndarray]]
TINY = {"channels": [8, 8, 8], "blocks": [1, 1, 1], "token_grid": [2, 2]}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two untrained models in a folder of their own."""
    folder = tmp_path / "models"
    for name, target in (("tiny_propagate", "BasPropagate"), ("tiny", "Bas")):
        network = {"_target_": f"UltrasoundLesionSegLib.engine.networks.bas.{target}", **TINY}
        size = {"input_size": 32, "window_margin": 2.0} if target == "BasPropagate" else {"input_size": 32}
        write_bundle(folder / name, network, name, "for tests", size)
        torch.manual_seed(0)
        save_weights(folder / name, read_bundle(folder / name).build_network())
    monkeypatch.setenv("ULS_MODELS", str(folder))
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_held_mask_stays_and_optical_flow_follows(moving_disc: Discs) -> None:
    frames, masks = moving_disc(0)
    cine = Cine.from_array(frames)
    held = {found.frame: found.masks for found in HeldMask().follow(cine, masks[:1], 0)}
    moved = {found.frame: found.masks for found in OpticalFlow().follow(cine, masks[:1], 0)}
    assert sorted(held) == sorted(moved) == [1, 2, 3, 4, 5]
    assert np.array_equal(held[5][0], masks[0])
    for frame in held:
        assert 2 * (moved[frame][0] & masks[frame]).sum() / (moved[frame].sum() + masks[frame].sum()) > 0.9


def test_a_data_set_of_videos_is_scored(davis: Path, models: Path, tmp_path: Path, moving_disc: Discs) -> None:
    seen: list[tuple[int, str]] = []
    output = tmp_path / "out"
    summaries = evaluate(
        davis, "davis", ["tiny_propagate"], output, device="cpu", progress=lambda done, text: seen.append((done, text))
    )
    names = [one.method for one in summaries]
    assert names == ["seed copied", "DIS optical flow", "tiny_propagate"]
    held, flow, _ = summaries
    assert held.frames == 3 * 5
    assert held.videos == 3
    # a disc of radius 16 that moves by 3 pixels a frame
    expected = []
    for number in range(3):
        _, masks = moving_disc(number)
        expected.append(np.mean([2 * (masks[0] & now).sum() / (masks[0].sum() + now.sum()) for now in masks[1:]]))
    assert held.per_video["dice"][0] == pytest.approx(np.mean(expected), abs=1e-5)
    assert held.last_dice[0] < held.per_frame["dice"][0] < flow.per_frame["dice"][0]
    frames = read(output / "frames.csv")
    assert len(frames) == 3 * 3 * 5
    assert {row["patient"] for row in frames} == {"a", "b"}
    assert float(frames[0]["dice"]) < 1
    sure = {method: [float(row["confidence"]) for row in frames if row["method"] == method] for method in names}
    assert np.isnan(sure["seed copied"] + sure["DIS optical flow"]).all()
    assert all(0 <= one <= 1 for one in sure["tiny_propagate"])
    rows = read(output / "summary.csv")
    means = {(row["method"], row["level"], row["score"]): float(row["mean"]) for row in rows}
    assert means["seed copied", "frame", "dice"] == pytest.approx(held.per_frame["dice"][0], abs=1e-5)
    table = (output / "table.md").read_text()
    assert f"{held.per_video['dice'][0]:.3f}" in table
    assert "tiny_propagate" in table
    compared = {(row["method"], row["other"]) for row in read(output / "differences.csv")}
    assert compared == {("tiny_propagate", "seed copied"), ("tiny_propagate", "DIS optical flow")}
    assert (output / "dice_over_time.png").stat().st_size > 1000
    assert [done for done, _ in seen] == [1, 2, 3]


def test_buv_and_stills_are_scored(buv: Path, stills: Path, models: Path, tmp_path: Path) -> None:
    (held, _) = evaluate(buv, "buv", [], tmp_path / "buv_out", device="cpu")
    assert held.frames == 11
    (summary,) = evaluate(stills, "stills", ["tiny"], tmp_path / "stills_out", split="val", device="cpu")
    assert summary.frames == 2
    assert not (tmp_path / "stills_out" / "dice_over_time.png").exists()


def test_what_does_not_fit_together_is_refused(stills: Path, davis: Path, models: Path, tmp_path: Path) -> None:
    with pytest.raises(LesionSegError, match="no frame to propagate to"):
        evaluate(stills, "stills", ["tiny_propagate"], tmp_path / "out", device="cpu")
    with pytest.raises(LesionSegError, match="unknown"):
        evaluate(davis, "davis", ["nobody"], tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()
