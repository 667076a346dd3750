"""Clicks until a lesion is right, counted."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from stand_in_networks import PointedNetwork
from torch import Tensor

from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.engine.network_api import SuggestionNetwork
from UltrasoundLesionSegLib.errors import ModelError
from UltrasoundLesionSegLib.evaluation import clicks
from UltrasoundLesionSegLib.evaluation.clicks import MOST_CLICKS, Clicked, ClickScorer, Lesion, lesions_of, table_text
from UltrasoundLesionSegLib.evaluation.layouts import Layout, write_davis_video


class SeesNothing(SuggestionNetwork):
    def forward(self, frames: Tensor) -> Tensor:
        return frames[:, :1] * 0 - 5


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> PointedNetwork:
    made = {"click": PointedNetwork(), "suggest": SeesNothing()}
    monkeypatch.setattr(
        clicks,
        "default_bundle",
        lambda role: Bundle(role, role, "", role, 96, "1", "0" * 64, Path(), {"_target_": "stand-in"}, {}),
    )
    monkeypatch.setattr(Bundle, "load_for_inference", lambda self, device: made[self.role])
    return made["click"]  # type: ignore[return-value]


def disc(radius: float, bright: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:120, :160]
    truth = (rows - 60) ** 2 + (columns - 70) ** 2 < radius**2
    return np.where(truth, 230 if bright else 90, 20 if bright else 100).astype(np.uint8), truth


def test_a_lesion_is_clicked_until_it_is_right(networks: PointedNetwork) -> None:
    frame, truth = disc(20)
    row = ClickScorer().score(Lesion("a", "p", 0, frame, truth), 0)
    assert row.dice[0] > 0.9
    assert row.boxed > 0.9
    assert row.suggested == 0
    assert len(row.dice) == 5
    assert row.clicks_until(0.9) == 1
    assert row.faint  # brighter than its surroundings
    assert row.share == pytest.approx(truth.mean())


def test_what_clicks_do_not_reach_counts_the_most(networks: PointedNetwork) -> None:
    frame, truth = disc(20, bright=False)  # the network sees nothing but the disks of the clicks
    row = ClickScorer(hand=1).score(Lesion("a", "p", 0, frame, truth), 0)
    assert len(row.dice) > 5
    assert row.clicks_until(0.999) == MOST_CLICKS
    assert row.dice[1] > row.dice[0] > 0
    other = ClickScorer(hand=2).score(Lesion("a", "p", 0, frame, truth), 0)
    assert other.dice != row.dice


def test_small_and_faint_lesions_are_told_apart() -> None:
    rows = [
        Clicked("a", "1", 0, 0.2, False, 0.8, 0.9, (0.6, 0.86, 0.92, 0.93, 0.94)),
        Clicked("b", "2", 0, 0.005, True, 0.0, 0.7, (0.3,) * MOST_CLICKS),
    ]
    lines = table_text(rows, "clicking 1", "suggesting 2").splitlines()
    found = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines[4:7]}
    assert [cells[0] for cells in found.values()] == ["2", "1", "1"]
    assert found["all"][1].startswith("0.400")
    assert found["all"][3].startswith("0.450")
    assert found["all"][7].startswith(f"{(2 + MOST_CLICKS) / 2:.2f}")
    assert found["all"][9:] == ["50.0%", "50.0%"]
    assert found["under 1% of the frame"][7].startswith(f"{MOST_CLICKS}.00")
    assert lines[-1] == "One click minus no click, lesion by lesion: 0.050 (-0.200 to 0.300)."


def test_frames_of_a_video_are_taken_evenly_and_the_command_writes_what_it_found(
    networks: PointedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, truth = disc(20)
    masks = np.repeat(truth[None], 8, axis=0)
    masks[0] = False
    write_davis_video(tmp_path / "set", "one", np.repeat(frame[None], 8, axis=0), masks)
    found = list(lesions_of(tmp_path / "set", Layout.DAVIS, None, 3))
    assert [lesion.number for lesion in found] == [1, 4, 7]
    command = ["clicks", str(tmp_path / "set"), "--layout", "davis", "--every", "3", "--limit", "2"]
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(tmp_path / "out")])
    clicks.main()
    assert (tmp_path / "out" / "table.md").read_text() in capsys.readouterr().out
    with (tmp_path / "out" / "clicks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["1", "7"]
    assert float(rows[0]["dice_1"]) > 0.9
    assert not rows[0]["dice_6"]


def test_a_model_of_another_role_is_refused() -> None:
    with pytest.raises(ModelError, match="'bas_s' is made to suggest, not to click"):
        ClickScorer("bas_s")
