"""What `segment` says and records in the end."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.cli.closing import closing_lines, counted
from UltrasoundLesionSegLib.engine import bundles
from UltrasoundLesionSegLib.workflow.case import CaseResult

Run = Callable[..., tuple[int, str, str]]
Folder = tuple[Path, NDArray[np.bool_]]


def test_the_end_says_what_a_person_wants_to_know(run: Run, bright_model: BrightNetwork, frames_folder: Folder) -> None:
    folder, _ = frames_folder
    out = folder / "out"
    code, said, _ = run("segment", folder / "frames", "--seed", folder / "seed.png", "--output", out)
    assert code == 0
    lines = said.splitlines()
    assert re.match(r"6/6 frames have a result, 5 of them computed by bright 1 on cpu.*, in \d+\.\d s$", lines[0])
    row = next(csv.DictReader((out / "lesions.csv").open()))
    frame, axis = row["largest_long_axis_frame"], float(row["long_axis_there_px"])
    assert lines[1].startswith(f"Lesion: {axis:.1f} x ")
    assert f"px on frame {frame}" in lines[1]
    (look,) = [line for line in lines if line.startswith(("look first at frame", "no frame needs a look first"))]
    assert f"{look[0].upper()}{look[1:18]}" in (out / "report.html").read_text()
    assert "lengths are in pixels" in said
    assert "scene.mrb holds the cine's images" in said
    assert lines[-1] == f"results are in {out}; the report: {out / 'report.html'}"
    assert (out / "report.html").is_file()


def test_frames_that_were_not_computed_are_counted_out(
    run: Run, bright_model: BrightNetwork, frames_folder: Folder
) -> None:
    folder, _ = frames_folder
    arguments = ["--seed", f"{folder / 'seed.png'}@2", "--direction", "forward", "--also", "coco", "--also", "frames"]
    code, said, _ = run("segment", folder / "frames", *arguments, "--output", folder / "out")
    assert code == 0
    assert said.startswith("4/6 frames have a result, 3 of them computed by ")
    record = json.loads((folder / "out" / "run.json").read_text())
    assert record["frames_without_result"] == {"Lesion": [0, 1]}
    content = json.loads((folder / "out" / "masks.json").read_text())
    assert [image["frame_id"] for image in content["images"]] == [2, 3, 4, 5]
    for name, suffix in (("masks", ".png"), ("segmentation", ".seg.nrrd")):
        written = {path.name for path in (folder / "out" / name).iterdir()}
        assert written == {f"{frame:05d}{suffix}" for frame in (2, 3, 4, 5)}


def test_a_lesion_that_is_not_visible_has_an_empty_png(
    run: Run, bright_model: BrightNetwork, frames_folder: Folder
) -> None:
    folder, _ = frames_folder
    Image.fromarray(np.zeros((96, 128), np.uint8)).save(folder / "frames" / "4.png")
    code, _, _ = run("segment", folder / "frames", "--seed", folder / "seed.png", "--output", folder / "out")
    assert code == 0
    assert not np.asarray(Image.open(folder / "out" / "masks" / "00004.png")).any()
    assert json.loads((folder / "out" / "run.json").read_text())["frames_without_result"] == {"Lesion": []}


def test_the_model_that_suggested_the_seed_is_recorded_everywhere(
    run: Run, bright_model: BrightNetwork, frames_folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, truth = frames_folder
    propagating = bundles.default_bundle("propagate")
    hint = replace(propagating, name="hint", role="suggest", version="7", sha256="1" * 64)
    monkeypatch.setattr(bundles, "default_bundle", lambda role: hint if role == "suggest" else propagating)
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.suggestion.suggest_mask", lambda *_: truth[3][0])
    code, said, _ = run("segment", folder / "frames", "--suggest", "middle", "--output", folder / "out")
    assert code == 0
    record = json.loads((folder / "out" / "run.json").read_text())
    assert record["suggested_on_frame"] == 3
    assert record["suggested_by"] == [{"name": "hint", "version": "7", "sha256": "1" * 64}]
    rows = list(csv.DictReader((folder / "out" / "measurements.csv").open()))
    assert [row["suggested_by"] for row in rows] == ["", "", "", "hint 7", "", ""]
    assert next(csv.DictReader((folder / "out" / "lesions.csv").open()))["seed_suggested_by"] == "hint 7"
    report = (folder / "out" / "report.html").read_text()
    assert "Seed suggested by" in report
    assert "hint, version 7" in report
    assert "look first at frame 3: the seed was suggested by hint 7; nobody has looked at it" in said
    assert "no frame needs a look first" not in said


def test_overlapping_lesions_share_pixels_only_when_asked(
    run: Run, bright_model: BrightNetwork, frames_folder: Folder
) -> None:
    folder, truth = frames_folder
    stack = truth[0][0]
    Image.fromarray((np.roll(stack, 6, axis=1) * 2).astype(np.uint8)).save(folder / "second.png")
    shared = {}
    for name, further in (("apart", []), ("shared", ["--overlap"])):
        seeds = ["--seed", folder / "seed.png", "--seed", folder / "second.png"]
        out = folder / name
        assert run("segment", folder / "frames", *seeds, "--also", "coco", "--output", out, *further)[0] == 0
        content = json.loads((out / "masks.json").read_text())
        areas: dict[int, int] = {}
        for one in content["annotations"]:
            areas[one["image_id"]] = areas.get(one["image_id"], 0) + one["area"]
        png = np.asarray(Image.open(out / "masks" / "00003.png"))
        shared[name] = areas[4] - int((png > 0).sum())
    assert shared["apart"] == 0
    assert shared["shared"] > 0


@pytest.mark.parametrize(
    ("look_first", "line"),
    [
        ([(7, 0.61)], "look first at frame 7 (confidence 0.61)"),
        (
            [(7, 0.61), (2, 0.7), (9, 0.5), (1, 0.9)],
            "look first at frames 7 (confidence 0.61), 2 (confidence 0.70), 9 (c",
        ),
        ([], "no frame needs a look first: no correction is expected to change the result much"),
    ],
)
def test_the_frames_to_look_at_first_are_named(look_first: list[tuple[int, float]], line: str) -> None:
    record = {
        "source": {"frames": 10, "notes": ["a note"]},
        "frames_without_result": {"Lesion": [0, 1]},
        "frames_computed": 7,
        "model": {"name": "bright", "version": "1"},
        "device": "cpu",
        "seconds": {"read": 1.0, "network": 2.26},
        "suggested_by": [],
        "suggested_on_frame": None,
        "clicks": [],
        "boxes": [],
        "notices": ["a note", "another"],
        "outputs": {"scene.mrb": {"holds_images": True}, "masks.json": {"holds_images": False}},
    }
    lines = closing_lines(CaseResult(record, look_first=look_first), Path("out"))
    assert lines[0] == "8/10 frames have a result, 7 of them computed by bright 1 on cpu, in 3.3 s"
    assert lines[1].startswith(line)
    assert [one for one in lines if one.startswith("note: a")] == ["note: a note", "note: another"]


def test_numbers_agree_with_their_nouns() -> None:
    assert [counted(number, "case") for number in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
