from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.evaluation import val_clips
from UltrasoundLesionSegLib.evaluation.evaluate import evaluate
from UltrasoundLesionSegLib.evaluation.still_walk import (
    ClipPlan,
    StillWalk,
    key_framed,
    mirrored_structure,
    soap_film,
)
from UltrasoundLesionSegLib.evaluation.val_clips import (
    APART_FRAMES,
    DIFFICULTIES,
    choose_records,
    plan_clips,
    plan_clips_apart,
    plan_clips_exits,
    sweep_settings,
    sweep_settings_apart,
    sweep_settings_exits,
    write_simulated_clips,
)
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.training.stills import StillRecord

Discs = Callable[[int], tuple[np.ndarray, np.ndarray]]


def test_a_walk_starts_at_the_still_and_is_the_same_every_time(moving_disc: Discs) -> None:
    still, other = (Still(frames[0], masks[0]) for frames, masks in map(moving_disc, (0, 1)))
    for difficulty in DIFFICULTIES.values():
        plan = ClipPlan(5, 10, difficulty)
        frames, masks = StillWalk(still, other, plan).clip()
        again, _ = StillWalk(still, other, plan).clip()
        assert frames.shape == masks.shape == (10, 96, 120)
        assert np.array_equal(frames, again)
        assert np.mean(masks[0] != still.mask) < 0.01
        assert np.abs(frames[0].astype(int) - still.image).mean() < 12
    easy, hard = (
        StillWalk(still, other, ClipPlan(5, 30, DIFFICULTIES[name])).clip()[0].astype(float)
        for name in ("easy", "hard")
    )
    assert np.abs(np.diff(hard, axis=0)).mean() > np.abs(np.diff(easy, axis=0)).mean()


def test_a_soap_film_is_the_plane_through_the_rim_of_a_hole() -> None:
    rows, columns = np.mgrid[0:60, 0:80].astype(np.float32)
    plane, hole = 50 + rows + 0.5 * columns, np.zeros((60, 80), bool)
    hole[15:45, 20:60] = True
    holed = np.where(hole, np.float32(0), plane)
    filled = soap_film(holed, hole)
    assert np.abs(filled - plane)[hole].max() < 3
    assert np.array_equal(filled[:8], holed[:8])


def test_a_lesion_that_leaves_leaves_nothing_dark_behind(moving_disc: Discs) -> None:
    still, other = (Still(frames[0], masks[0]) for frames, masks in map(moving_disc, (0, 1)))
    gone = replace(DIFFICULTIES["hard"], motion=0.0, tissue=0.0, gain=0.0, exits=1.0)
    frames, masks = StillWalk(still, other, ClipPlan(4, 60, gone)).clip()
    away = np.flatnonzero(~masks.any(axis=(1, 2)))[4:-4]  # past fading, and averaging over frames
    assert len(away) > 10
    around = soap_film(still.image.astype(np.float32), still.mask)
    contrast = float((around - still.image)[still.mask].mean())
    assert contrast > 20  # the disc is darker than its surroundings
    left = (around - frames[away])[:, still.mask].mean(axis=1)
    assert np.abs(left).max() < 0.2 * contrast


@pytest.mark.parametrize("half_width", [20, 50])  # beside the wide one there is too little tissue: from above and below
def test_a_lesion_that_leaves_leaves_no_even_patch_behind(half_width: int) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (120, 120)).astype(np.float32)
    tissue = 100 + 20 * cv2.GaussianBlur(noise, (0, 0), 2) / np.float32(0.14)
    hole = np.zeros((120, 120), bool)
    hole[40:70, 60 - half_width : 60 + half_width] = True
    tissue[hole] = 10  # a lesion without structure
    film = soap_film(tissue, hole)
    filled = film + mirrored_structure(tissue, hole)
    inside = cv2.erode(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert film[inside].std() < 0.5 * tissue[~hole].std()
    assert 0.7 * tissue[~hole].std() < filled[inside].std() < 1.3 * tissue[~hole].std()
    assert filled[inside].min() > 20
    assert np.abs(filled - film)[:30].max() == 0


def test_key_frames_start_at_zero_and_are_smooth() -> None:
    path = key_framed(np.random.default_rng(0), 40, (3,))
    assert path.shape == (40, 3)
    assert np.all(path[0] == 0)
    assert np.abs(np.diff(path, axis=0)).max() < 0.6
    assert np.abs(path).max() > 0.5
    slower = key_framed(np.random.default_rng(0), 40, (3,), interval=14)
    assert np.allclose(slower[::2], path[:20])  # the same key frames, twice as far apart


def test_simulated_clips_are_a_davis_data_set(tmp_path: Path) -> None:
    write_simulated_clips([sweep_settings(0, 3)], tmp_path / "simulated")
    held, _ = evaluate(tmp_path / "simulated", "davis", [], tmp_path / "out", device="cpu")
    assert held.frames == 2
    assert held.per_frame["dice"][0] > 0.5


def test_clips_apart_are_of_other_patients_with_other_seeds_and_settings() -> None:
    records = [StillRecord(f"s{n}", f"p{n // 2}", "val", Path(), Path()) for n in range(40)]
    first = choose_records(records, 6)
    apart = choose_records(records, 99, without=first)
    patients = [record.patient for record in first + apart]
    assert (len(first), len(apart)) == (6, 14)  # all of the twenty patients, and none twice
    assert len(set(patients)) == 20

    usual, drawn = plan_clips("hard", 20, 32), plan_clips_apart("hard", 20)
    assert not {plan.seed for plan in usual} & {plan.seed for plan in drawn}
    assert all(plan.frames == 32 and plan.difficulty == DIFFICULTIES["hard"] for plan in usual)
    assert all(APART_FRAMES[0] <= plan.frames <= APART_FRAMES[1] for plan in drawn)
    assert len({plan.difficulty.motion for plan in drawn}) == 20
    assert drawn == plan_clips_apart("hard", 20)

    leaving = plan_clips_exits(20)
    assert all(plan.difficulty.exits == 1 for plan in leaving)
    assert not {plan.seed for plan in leaving} & {plan.seed for plan in usual + drawn}

    sweeps, sweeps_apart = [sweep_settings(n, 40) for n in range(12)], [sweep_settings_apart(n) for n in range(12)]
    assert not {sweep.seed for sweep in sweeps} & {sweep.seed for sweep in sweeps_apart}
    assert sum(sweep.leaves_plane for sweep in sweeps_apart) == 4
    exits = [sweep_settings_exits(n) for n in range(12)]
    assert all(sweep.leaves_plane for sweep in exits)
    assert not {sweep.seed for sweep in exits} & {sweep.seed for sweep in sweeps + sweeps_apart}


def test_the_command_writes_eight_folders(many_stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short clips: what is checked is who is in which folder."""
    monkeypatch.setattr(val_clips, "APART_FRAMES", (4, 5))
    short = replace(sweep_settings(0, 2), seed=9)
    monkeypatch.setattr(val_clips, "sweep_settings_apart", lambda *_: short)
    monkeypatch.setattr(val_clips, "EXIT_FRAMES", 2)
    arguments = ["--data", str(many_stills), "--output", str(tmp_path / "val"), "--clips", "2", "--frames", "3"]
    monkeypatch.setattr(sys, "argv", ["val_clips", *arguments])
    val_clips.main()

    patients = {}
    for folder in (tmp_path / "val").iterdir():
        with (folder / "patients.csv").open(newline="") as file:
            patients[folder.name] = [row["patient"] for row in csv.DictReader(file)]
    counts = {name: len(found) for name, found in patients.items()}
    assert counts == {
        "easy": 2, "hard": 2, "hard_exits": 2, "simulated": 1, "exits": 2,
        "easy_apart": 2, "hard_apart": 5, "simulated_apart": 2,
    }  # fmt: skip  # hard_apart: all that are left of seven patients
    assert patients["easy"] == patients["hard"] == patients["hard_exits"]
    assert not set(patients["hard"]) & {*patients["hard_apart"], *patients["easy_apart"]}
    lengths = {len(list(video.iterdir())) for video in (tmp_path / "val" / "hard_apart" / "JPEGImages").iterdir()}
    assert lengths <= {4, 5}
