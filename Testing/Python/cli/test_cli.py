"""The command line as a person at the shell meets it: what it writes, what it says, how it exits."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import slicer
from dicom_helpers import write_multiframe
from engine_helpers import clip_of_moving_discs, dice
from numpy.typing import NDArray
from PIL import Image
from stand_in_networks import BrightNetwork, PointedNetwork

from UltrasoundLesionSegLib.batch.run import BatchResult
from UltrasoundLesionSegLib.cli import main as cli
from UltrasoundLesionSegLib.cli.options import ORGANS
from UltrasoundLesionSegLib.dicom.body_part import ORGANS as ORGAN_CODES
from UltrasoundLesionSegLib.mrml.scene_file import load_scene
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

Run = Callable[..., tuple[int, str, str]]


def test_segment_writes_everything_and_the_scene_reopens(
    run: Run, bright_model: BrightNetwork, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, truth = frames_folder
    out = folder / "out"
    code, said, _ = run("segment", folder / "frames", "--seed", f"{folder / 'seed.png'}@0", "--output", out)
    assert code == 0
    assert "results are in" in said
    masks = [np.asarray(Image.open(out / "masks" / f"{i:05d}.png")) for i in range(6)]
    assert all(Image.open(out / "masks" / f"{i:05d}.png").mode == "P" for i in range(6))
    assert min(dice(mask == 1, truth[i][0]) for i, mask in enumerate(masks)) > 0.9
    rows = list(csv.DictReader((out / "measurements.csv").open()))
    assert [int(row["frame"]) for row in rows] == list(range(6))
    assert float(rows[0]["area_px2"]) == truth[0][0].sum()
    assert len(list(csv.DictReader((out / "lesions.csv").open()))) == 1
    record = json.loads((out / "run.json").read_text())
    assert record["model"]["name"] == "bright"
    assert record["frames_computed"] == 5
    assert set(record["outputs"]) == {
        str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and path.name != "run.json"
    }
    slicer.mrmlScene.Clear(0)
    load_scene(out / "scene.mrb")
    browser = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    logic = UltrasoundLesionWorkflow()
    (segment,) = logic.anchors(browser)
    assert logic.anchors(browser)[segment] == [0]
    assert np.isfinite(logic.confidences(browser)[segment]).sum() == 5
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 3


def test_several_seeds_directions_and_ranges(
    run: Run, bright_model: BrightNetwork, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, truth = frames_folder
    Image.fromarray(truth[4][0]).save(folder / "later.png")
    out = folder / "out"
    arguments = ["segment", folder / "frames", "--output", out, "--frames", "1:4", "--direction", "forward"]
    code, _, _ = run(*arguments, "--seed", f"{folder / 'seed.png'}@0", "--seed", f"{folder / 'later.png'}@4")
    assert code == 0
    record = json.loads((out / "run.json").read_text())
    assert record["anchors"] == {"Lesion": [0, 4]}
    assert record["frames_computed"] == 3
    # files took nobody's time here
    effort = {name: value for name, value in record["effort"].items() if value}
    assert effort == {"frames_from_files": 2}
    assert record["effort"]["seconds"] is None
    assert "Work of a person" not in (out / "report.html").read_text(encoding="utf-8")
    # nothing was computed on frame 5: that is not the same as an empty mask
    assert record["frames_without_result"] == {"Lesion": [5]}
    assert sorted(path.name for path in (out / "masks").iterdir()) == [f"{frame:05d}.png" for frame in range(5)]
    assert [int(row["frame"]) for row in csv.DictReader((out / "measurements.csv").open())] == [0, 1, 2, 3, 4]


def test_a_lesion_is_clicked_column_first(
    run: Run, pointed_model: PointedNetwork, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, truth = frames_folder
    rows, columns = np.nonzero(truth[2][0])
    out = folder / "out"
    point = f"{columns.mean():.1f},{rows.mean():.1f}@2"
    code, said, _ = run("segment", folder / "frames", "--click", point, "--output", out)
    assert code == 0
    assert "results are in" in said
    assert all(dice(np.asarray(Image.open(out / "masks" / f"{i:05d}.png")) > 0, truth[i][0]) > 0.9 for i in range(6))
    record = json.loads((out / "run.json").read_text())
    assert record["clicks"] == [{"row": round(rows.mean(), 1), "column": round(columns.mean(), 1), "frame": 2}]
    assert list(record["anchors"].values()) == [[2]]
    assert {name: value for name, value in record["effort"].items() if value} == {"frames_drawn": 1, "clicks": 1}
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "<td>1 frame drawn, 1 click</td>" in report
    assert "by a person: frame 2" in report
    assert "drew the lesion from your clicks" in said
    assert "nobody has looked at it" not in said


def test_a_lesion_is_drawn_from_a_box_with_its_corners_in_any_order(
    run: Run, pointed_model: PointedNetwork, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, truth = frames_folder
    rows, columns = np.nonzero(truth[2][0])
    top, left, bottom, right = rows.min(), columns.min(), rows.max(), columns.max()
    out = folder / "out"
    code, said, _ = run("segment", folder / "frames", "--box", f"{right},{top},{left},{bottom}@2", "--output", out)
    assert code == 0
    assert "from your clicks or box" in said
    assert dice(np.asarray(Image.open(out / "masks" / "00002.png")) > 0, truth[2][0]) > 0.9
    record = json.loads((out / "run.json").read_text())
    assert record["boxes"] == [{"top": top, "left": left, "bottom": bottom, "right": right, "frame": 2}]
    assert list(record["anchors"].values()) == [[2]]


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        (["1,2,3"], "the box '1,2,3' is not two corners; write it as X,Y,X,Y"),
        (["1,2,3,4@x"], "is not two corners"),
        (["1,2,9000,4"], "the box is not on the frame"),
        (["1,2,30,40", "2,3,30,40"], "frame 0 has 2 boxes; give one box a frame"),
    ],
)
def test_a_box_that_is_none_is_refused_in_one_sentence(
    run: Run,
    pointed_model: PointedNetwork,
    frames_folder: tuple[Path, NDArray[np.bool_]],
    boxes: list[str],
    said: str,
) -> None:
    folder, _ = frames_folder
    options = [word for box in boxes for word in ("--box", box)]
    code, _, err = run("segment", folder / "frames", *options, "--output", folder / "out")
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("12", "the click '12' is not a pixel; write it as X,Y"),
        ("12,3@x", "the click '12,3@x' is not a pixel"),
        ("1,2,3", "the click '1,2,3' is not a pixel"),
        ("9000,2", "in the shell X,Y"),
        ("3,3@77", "frame 77 is not in the cine"),
    ],
)
def test_a_click_that_is_none_is_refused_in_one_sentence(
    run: Run, pointed_model: PointedNetwork, frames_folder: tuple[Path, NDArray[np.bool_]], point: str, said: str
) -> None:
    folder, _ = frames_folder
    code, _, err = run("segment", folder / "frames", "--click", point, "--output", folder / "out")
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not (folder / "out").exists()


def test_a_seed_with_nothing_in_its_direction_says_so(
    run: Run, bright_model: BrightNetwork, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, _ = frames_folder
    for direction, at, is_said in (("forward", 5, True), ("backward", 0, True), ("both", 0, False)):
        arguments = ["--seed", f"{folder / 'seed.png'}@{at}", "--direction", direction, "--output", folder / direction]
        code, said, _ = run("segment", folder / "frames", *arguments)
        assert code == 0
        assert (f"No frame lies in the direction {direction} of the seeds" in said) == is_said


def test_an_unreadable_frame_is_named_the_others_are_done_and_the_exit_code_is_2(
    run: Run, bright_model: BrightNetwork, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, truth = frames_folder
    content = (folder / "frames" / "3.png").read_bytes()
    (folder / "frames" / "3.png").write_bytes(content[: len(content) // 2])
    out = folder / "out"
    code, _, said = run("segment", folder / "frames", "--seed", f"{folder / 'seed.png'}@0", "--output", out)
    assert code == 2
    assert said.startswith("error: frame 3 cannot be read: its picture is damaged")  # and no empty line above it
    assert said.count("frame 3") == said.count("\n") == 1
    (line,) = [one for one in (out / "run.log").read_text().splitlines() if "frame 3" in one]
    assert line.count("frame 3") == 1
    assert dice(np.asarray(Image.open(out / "masks" / "00005.png")) == 1, truth[5][0]) > 0.9
    rows = list(csv.DictReader((out / "measurements.csv").open()))
    assert [int(row["frame"]) for row in rows] == [0, 1, 2, 4, 5]


def test_bad_input_gets_one_sentence_exit_code_2_and_leaves_nothing_half_written(
    run: Run, bright_model: BrightNetwork, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, _ = frames_folder
    seed, out = folder / "seed.png", folder / "out"
    (folder / "letter.txt").write_text("not a cine")
    (folder / "empty").mkdir()
    Image.fromarray(np.ones((10, 10), bool)).save(folder / "small.png")
    Image.fromarray(np.zeros((96, 128), bool)).save(folder / "blank.png")
    (folder / "file").write_text("in the way")
    cases = {
        "not a cine": [folder / "letter.txt", "--seed", seed, "--output", out],
        "zero frames": [folder / "empty", "--seed", seed, "--output", out],
        "no such source": [folder / "nowhere", "--seed", seed, "--output", out],
        "seed of another size": [folder / "frames", "--seed", folder / "small.png", "--output", out],
        "empty seed": [folder / "frames", "--seed", folder / "blank.png", "--output", out],
        "no such seed": [folder / "frames", "--seed", folder / "nowhere.png", "--output", out],
        "seed is no mask": [folder / "frames", "--seed", folder / "letter.txt", "--output", out],
        "seed frame out of range": [folder / "frames", "--seed", f"{seed}@6", "--output", out],
        "unknown model": [folder / "frames", "--seed", seed, "--model", "magic", "--output", out],
        "unknown device": [folder / "frames", "--seed", seed, "--device", "tpu", "--output", out],
        "frame range": [folder / "frames", "--seed", seed, "--frames", "4:2", "--output", out],
        "frame range in words": [folder / "frames", "--seed", seed, "--frames", "all", "--output", out],
        "no seed": [folder / "frames", "--output", out],
        "output is a file": [folder / "frames", "--seed", seed, "--output", folder / "file"],
    }
    sentences = set()
    for name, arguments in cases.items():
        code, _, said = run("segment", *arguments)
        assert code == 2, (name, said)
        assert "Traceback" not in said, name
        (sentence,) = [line for line in said.splitlines() if line.startswith("error: ")]
        assert str(folder) not in sentence, name
        sentences.add(sentence)
        assert not out.exists(), name
    assert len(sentences) >= len(cases) - 1


def test_a_damaged_weight_file_is_refused(
    run: Run, frames_folder: tuple[Path, NDArray[np.bool_]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
    from UltrasoundLesionSegLib.engine.bundles import read_bundle

    bundle = tmp_path / "models" / "tiny"
    target = "UltrasoundLesionSegLib.engine.networks.bas.BasPropagate"
    write_bundle(bundle, {"_target_": target, "channels": [4, 8, 8], "blocks": [1, 1, 1]}, "Tiny", "for a test")
    save_weights(bundle, read_bundle(bundle).build_network())
    monkeypatch.setenv("ULS_MODELS", str(bundle.parent))
    folder, _ = frames_folder
    arguments = ["segment", folder / "frames", "--seed", folder / "seed.png", "--model", "tiny", "--output"]
    assert run(*arguments, folder / "sound")[0] == 0
    weights = bundle / "models" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 255
    weights.write_bytes(bytes(content))
    code, _, said = run(*arguments, folder / "damaged")
    assert code == 2
    assert "SHA-256" in said
    assert not (folder / "damaged").exists()


def test_debug_shows_where_an_error_came_from(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from UltrasoundLesionSegLib.errors import SourceError

    command = ["segment", str(tmp_path / "nowhere"), "--seed", "x.png", "--output", str(tmp_path / "out"), "--debug"]
    monkeypatch.setattr(sys, "argv", ["ultrasound-lesion-seg", *command])
    with pytest.raises(SourceError):
        cli.main()


def test_simulate_writes_a_cine_that_segment_reads(run: Run, bright_model: BrightNetwork, tmp_path: Path) -> None:
    code, said, _ = run("simulate", "--output", tmp_path / "sim", "--frames", 4, "--seed", 2)
    assert code == 0
    assert "truth" in said
    cine, truth = tmp_path / "sim" / "cine.dcm", tmp_path / "sim" / "truth"
    code, _, _ = run("segment", cine, "--seed", f"{truth / '00001.png'}@1", "--output", tmp_path / "out")
    assert code == 0
    assert (tmp_path / "out" / "segmentation.dcm").is_file()


def test_evaluate_prints_the_papers_table_with_baselines(run: Run, tmp_path: Path) -> None:
    cine, truth = clip_of_moving_discs(frames=5)
    for index in range(5):
        for folder, picture in (("JPEGImages", cine.frames[index]), ("Annotations", truth[index][0].astype(np.uint8))):
            (tmp_path / "set" / folder / "clip").mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(tmp_path / "set" / folder / "clip" / f"{index:05d}.png")
    code, said, _ = run("evaluate", tmp_path / "set", "--output", tmp_path / "out", "--device", "cpu")
    assert code == 0
    # of several tables that have rows of the same names, the first one
    rows = {line.split("|")[1].strip(): line for line in reversed(said.splitlines()) if line.startswith("|")}
    assert {"seed copied", "DIS optical flow"} < set(rows)
    assert (tmp_path / "out" / "dice_over_time.png").is_file()
    held = float(rows["seed copied"].split("|")[2].split()[0])
    drift = dice(truth[0][0], truth[4][0])
    assert drift < held < 1


def test_a_batch_that_is_stopped_says_how_to_go_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("UltrasoundLesionSegLib.batch.run.run_batch", stop)
    code, _, said = run("batch", tmp_path, "--output", tmp_path / "out")
    assert code == 130
    assert "the same command resumes" in said


def test_segment_logs_its_events_at_the_level_asked_for(
    run: Run, bright_model: BrightNetwork, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, _ = frames_folder
    for level in ("info", "debug", "error"):
        arguments = ["--seed", folder / "seed.png", "--log-level", level, "--output", folder / level]
        assert run("segment", folder / "frames", *arguments)[0] == 0
    lines = (folder / "info" / "run.log").read_text().splitlines()
    # the seed of this cine is just what is bright on its frame, which is worth a remark
    assert all(" INFO cine-" in line or "one level on frame 0" in line for line in lines)
    assert any(line.endswith("frame 0 seeded") for line in lines)
    debug = (folder / "debug" / "run.log").read_text()
    assert sum(f" frame {frame} step " in debug for frame in range(6)) == 5
    assert (folder / "error" / "run.log").read_text() == ""


def test_make_dicom_takes_a_frame_rate_where_the_source_has_none(
    run: Run, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, _ = frames_folder
    (folder / "patient.json").write_text('{"patient_name": null, "patient_id": "P1"}')
    arguments = ["make-dicom", folder / "frames", "--patient", folder / "patient.json", "--output", folder / "a.dcm"]
    code, _, said = run(*arguments)
    assert code == 2
    assert "--frame-rate" in said
    code, _, _ = run(*arguments, "--frame-rate", "12.5")
    assert code == 0
    cine = read_cine(folder / "a.dcm")
    assert cine.timing is not None
    assert cine.timing.frames_per_second == pytest.approx(12.5)


def test_make_dicom_replaces_no_file(run: Run, frames_folder: tuple[Path, NDArray[np.bool_]]) -> None:
    folder, _ = frames_folder
    (folder / "patient.json").write_text('{"patient_id": "P1"}')
    (folder / "a.dcm").write_text("an image that SEGs refer to")
    arguments = ["make-dicom", folder / "frames", "--patient", folder / "patient.json", "--frame-rate", "12.5"]
    code, _, said = run(*arguments, "--output", folder / "a.dcm")
    assert code == 2
    assert "exists already and is not replaced" in said
    assert (folder / "a.dcm").read_text() == "an image that SEGs refer to"
    (folder / "patient.json").unlink()
    code, _, said = run(*arguments, "--output", folder / "b.dcm")
    assert code == 2
    assert "the patient file cannot be opened (No such file or directory)" in said


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nothing can be made")
def test_an_evaluation_that_cannot_be_written_is_refused_before_it_begins(run: Run, tmp_path: Path) -> None:
    code, _, said = run("evaluate", tmp_path / "none", "--output", "/proc/results")
    assert code == 2
    assert "the output folder cannot be written" in said
    code, _, said = run("evaluate", tmp_path / "none", "--output", tmp_path / "results")
    assert code == 2
    assert "the data set's folder does not exist" in said


def test_how_a_seed_was_read_is_recorded(
    run: Run, bright_model: BrightNetwork, frames_folder: tuple[Path, NDArray[np.bool_]]
) -> None:
    folder, truth = frames_folder
    Image.fromarray(~truth[0][0]).save(folder / "inverted.png")
    seeds = ["--seed", folder / "inverted.png", "--seed", f"{folder / 'seed.png'}@0"]
    code, _, _ = run("segment", folder / "frames", *seeds, "--output", folder / "out")
    assert code == 0
    record = json.loads((folder / "out" / "run.json").read_text())
    cut = "nearly what is brighter or darker than one level on frame 0, so it may be no drawing"
    assert record["seeds"] == [
        {"frame": 0, "read_as": f"inverted: the background was 1, not 0; {cut}"},
        {"frame": 0, "read_as": cut},
    ]
    assert f"seed 1 was read in this way: inverted: the background was 1, not 0; {cut}" in record["notices"]
    rows = list(csv.DictReader((folder / "out" / "measurements.csv").open()))
    assert float(rows[0]["area_px2"]) == truth[0][0].sum()


def test_the_organ_is_named_for_seg_and_run_json(run: Run, bright_model: BrightNetwork, tmp_path: Path) -> None:
    frames = np.zeros((3, 64, 80), np.uint8)
    frames[:, 20:40, 30:50] = 200
    write_multiframe(tmp_path / "cine.dcm", frames)
    Image.fromarray(frames[0] > 100).save(tmp_path / "seed.png")
    call = ("segment", tmp_path / "cine.dcm", "--seed", tmp_path / "seed.png", "--output", tmp_path / "out")
    code, said, _ = run(*call)
    assert code == 0
    assert "note: DICOM SEG and SR name no organ" in said
    assert "SEG and SR name no organ" in json.loads((tmp_path / "out" / "run.json").read_text())["notices"][-1]
    code, said, _ = run(*call, "--body-part", "Heart")
    assert code == 0
    assert "name no organ" not in said
    assert json.loads((tmp_path / "out" / "run.json").read_text())["body_part"] == "HEART"
    code, _, said = run(*call, "--body-part", "knee")
    assert code == 2
    assert said.startswith("error: the body part 'KNEE' has no code here")


def test_the_organs_that_the_shell_completes_are_those_with_a_code() -> None:
    assert tuple(ORGAN_CODES) == ORGANS


def test_a_batch_says_how_many_suggested_seeds_nobody_has_looked_at(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = BatchResult(tmp_path, computed=["a", "b"], unseen=2)
    monkeypatch.setattr("UltrasoundLesionSegLib.batch.run.run_batch", lambda *_: result)
    code, said, _ = run("batch", tmp_path, "--output", tmp_path / "out")
    assert code == 0
    assert said.splitlines()[-2] == (
        "note: 2 cases with a seed that a model suggested and nobody has looked at; index.html lists them first"
    )
