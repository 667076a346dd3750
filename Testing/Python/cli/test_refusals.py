"""What can be known before computing is refused before computing, in one sentence that says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.cli.main import app
from UltrasoundLesionSegLib.cli.options import parse_seed
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.review import study
from UltrasoundLesionSegLib.workflow import case
from UltrasoundLesionSegLib.workflow.kinds import KINDS

Run = Callable[..., tuple[int, str, str]]
Folder = tuple[Path, NDArray[np.bool_]]


def sentence_of(said: str) -> str:
    (sentence,) = said.strip().splitlines()
    assert sentence.startswith("error: ")
    return sentence


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (["--also", "paint"], ["'paint'", "coco"]),
        (["--also", "video"], ["'video'", "--pixels-allowed"]),
        (["--also", "sheet"], ["'sheet'", "--pixels-allowed"]),
        (["--also", "sr"], ["'sr'", "make-dicom"]),
        (["--also", "seg"], ["'seg'", "make-dicom"]),
        (["--suggest", "2"], ["--seed", "--suggest"]),
        (["--suggest", "middle"], ["--seed", "--suggest"]),
        (["--suggest", "first"], ["'first'", "middle"]),
        (["--model", "magic"], ["magic"]),
        (["--device", "tpu"], ["tpu"]),
        (["--frames", "0:99"], ["0:99"]),
    ],
)
def test_nothing_is_computed_or_written(
    run: Run, bright_model: BrightNetwork, frames_folder: Folder, further: list[str], words: list[str]
) -> None:
    folder, _ = frames_folder
    command = ["segment", folder / "frames", "--seed", folder / "seed.png", "--output", folder / "out", *further]
    code, out, said = run(*command)
    assert code == 2
    assert out == ""
    assert all(word in sentence_of(said) for word in words)
    assert bright_model.segmented == 0
    assert not (folder / "out").exists()


@pytest.mark.parametrize("kind", ["paint", "video", "sheet"])
def test_a_batch_refuses_kinds_before_it_starts(run: Run, frames_folder: Folder, kind: str) -> None:
    folder, _ = frames_folder
    code, _, said = run("batch", folder, "--output", folder / "out", "--also", kind)
    assert code == 2
    assert f"'{kind}'" in sentence_of(said)
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("adapt out --reader A --from m --name n --minutes 0", ["--minutes", "greater than or equal to 1", "adapt -h"]),
        ("adapt out --minutes long", ["--minutes", "number"]),
        ("adapt out --reader A", ["--from is missing", "adapt -h"]),
        ("adapt", ["OUT is missing"]),
        ("adapt out --precision half", ["--precision", "'half'", "'bf16'"]),
        ("train --threads 1.5", ["--threads", "integer"]),
        ("batch cines --output out --processes 0", ["--processes", "1"]),
        ("batch cines --time-limit nan", ["--time-limit", "1"]),
        ("segment cine --direction up", ["--direction", "'up'", "'both'"]),
        ("segment cine --outptu out", ["no option --outptu", "--output"]),
        ("segment cine --output", ["the value of --output is missing"]),
        ("segment cine --overlap=3", ["--overlap is a switch"]),
        ("simulate --output out --lesions 4", ["--lesions", "3"]),
        ("simulate --output out --seed -1", ["--seed", "0"]),
        ("send file --host h --port 70000", ["--port", "65535"]),
        ("segmnt cine", ["none of the commands", "segment"]),
        ("--model m segment", ["no option --model"]),
    ],
)
def test_a_line_that_is_not_understood_gets_one_sentence(run: Run, line: str, words: list[str]) -> None:
    code, out, said = run(*line.split())
    assert code == 2
    assert out == ""
    sentence = sentence_of(said)
    assert all(word in sentence for word in words), sentence


def test_words_that_may_be_a_name_are_not_repeated(run: Run) -> None:
    for line in (("segment", "cine", "Doe John.dcm", "--output", "out"), ("Doe John.dcm",)):
        code, _, said = run(*line)
        assert code == 2
        assert "Doe" not in sentence_of(said)


def test_without_words_the_commands_are_listed(run: Run) -> None:
    code, out, _ = run()
    assert code == 0
    assert "export-study" in out


def test_what_is_wrong_with_a_choice_is_said_before_a_seed_is_suggested(
    run: Run, frames_folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(*_: object) -> None:
        raise AssertionError("a suggestion was computed")

    monkeypatch.setattr("UltrasoundLesionSegLib.engine.suggestion.suggest_mask", compute)
    folder, _ = frames_folder
    command = ["segment", folder / "frames", "--suggest", "middle", "--output", folder / "out"]
    for further in (["--model", "magic"], ["--device", "tpu"], ["--frames", "3:2"], ["--also", "sr"]):
        code, _, said = run(*command, *further)
        assert code == 2
        sentence_of(said)


def test_an_output_folder_in_use_is_refused_before_computing(
    run: Run, bright_model: BrightNetwork, frames_folder: Folder
) -> None:
    folder, _ = frames_folder
    (folder / "out").mkdir()
    (folder / "out" / "letter.txt").write_text("mine")
    command = ["segment", folder / "frames", "--seed", folder / "seed.png", "--output", folder / "out"]
    code, _, said = run(*command)
    assert code == 2
    assert "--overwrite" in sentence_of(said)
    assert bright_model.segmented == 0
    assert [path.name for path in (folder / "out").iterdir()] == ["letter.txt"]
    assert run(*command, "--overwrite")[0] == 0
    assert (folder / "out" / "letter.txt").read_text() == "mine"
    assert (folder / "out" / "run.json").is_file()


def test_a_second_run_replaces_the_first_whole_and_another_cine_does_not(
    run: Run, bright_model: BrightNetwork, frames_folder: Folder
) -> None:
    folder, _ = frames_folder
    command = ["segment", folder / "frames", "--seed", folder / "seed.png", "--output", folder / "out"]
    assert run(*command, "--also", "coco", "--also", "nifti")[0] == 0
    assert (folder / "out" / "masks.json").is_file()
    assert run(*command, "--frames", "0:3")[0] == 0
    names = {path.relative_to(folder / "out").as_posix() for path in (folder / "out").rglob("*") if path.is_file()}
    record = json.loads((folder / "out" / "run.json").read_text())
    assert names == {*record["outputs"], "run.json"}
    assert "masks.json" not in names
    assert "masks/00003.png" not in names
    Image.fromarray(255 - np.asarray(Image.open(folder / "frames" / "0.png"))).save(folder / "frames" / "0.png")
    before = bright_model.segmented
    code, _, said = run(*command)
    assert code == 2
    assert "another cine" in sentence_of(said)
    assert bright_model.segmented == before


@pytest.mark.parametrize("where", ["out", "out with spaces", "Kurz\u00fcbung \u4e2d", "out [1]"])
@pytest.mark.parametrize("is_relative", [True, False])
def test_every_kind_is_written_to_every_kind_of_path(
    run: Run,
    bright_model: BrightNetwork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    is_relative: bool,
) -> None:
    from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
    from UltrasoundLesionSegLib.simulation.write import write_simulation
    from UltrasoundLesionSegLib.workflow.kinds import KINDS

    cine = write_simulation(
        simulate_cine(SimulationSettings(seed=2, frames=3, height=96, width=96)), tmp_path / "s", "dicom"
    )
    monkeypatch.chdir(tmp_path)
    output = Path(where) if is_relative else tmp_path / where
    command = ["segment", cine, "--seed", f"{tmp_path / 's' / 'truth' / '00001.png'}@1", "--output", output]
    also = [word for kind in KINDS for word in ("--also", kind)]
    code, said, wrong = run(*command, *also, "--pixels-allowed")
    assert code == 0, wrong
    record = json.loads((tmp_path / where / "run.json").read_text())
    written = {
        path.relative_to(tmp_path / where).as_posix() for path in (tmp_path / where).rglob("*") if path.is_file()
    }
    assert written == {*record["outputs"], "run.json"}
    expected = {"scene.mrb", "segmentation.seq.mrb", "segmentation/00002.seg.nrrd", "masks/00002.png", "masks.json"}
    expected |= {"segmentation.dcm", "measurements.dcm", "measurements_3d.dcm", "masks.nii.gz"}
    expected |= {"contact_sheet.png", "overlay.mp4"}
    assert expected <= written
    shown = {name for name, one in record["outputs"].items() if one["holds_images"]}
    assert shown == {"scene.mrb", "report.html", "contact_sheet.png", "overlay.mp4"}
    assert str(output / "report.html") in said


def test_help_shows_the_brackets_and_h_and_completion_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))  # tests may run without a shell
    for flag in ("--help", "-h"):
        code, out, _ = run("segment", flag)
        assert code == 0
        assert "MASK[@FRAME]:" in out
        assert "X,Y[@FRAME]:" in out
        assert "--overlap" in out
        assert "\\[" not in out
        assert all(re.search(rf"\b{kind}\b", out.split("--also")[1], re.IGNORECASE) for kind in KINDS)
    assert "--install-completion" in run("-h")[1]
    code, out, _ = run("--show-completion", "bash")
    assert code == 0
    assert "complete" in out


def offered_by_tab(command: str, typed: str) -> dict[str, list[str]]:
    """What the Tab key offers behind each option of a command."""
    one = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    context = one.make_context(command, [], resilient_parsing=True)
    return {option.name: [item.value for item in option.shell_complete(context, typed)] for option in one.params}


def test_the_tab_key_completes_kinds_devices_and_models() -> None:
    assert offered_by_tab("segment", "s")["also"] == ["sr", "sr3d", "sequence", "sheet"]
    assert "cpu" in offered_by_tab("segment", "")["device"]
    assert offered_by_tab("segment", "bas_")["model"] == ["bas_l_propagate", "bas_s_propagate"]
    assert offered_by_tab("evaluate", "bas_s")["model"] == ["bas_s", "bas_s_click", "bas_s_propagate"]
    assert offered_by_tab("adapt", "st")["start"] == ["stpfnet_light"]


@pytest.mark.parametrize(
    ("command", "always"),
    [
        ("segment", {*case.KINDS, "scene", *case.DICOM_KINDS}),
        ("batch", {*case.KINDS, *case.DICOM_KINDS}),
        ("export-study", {*study.KINDS, *study.DICOM_KINDS}),
    ],
)
def test_what_is_always_written_is_said_and_not_offered(command: str, always: set[str]) -> None:
    assert set(offered_by_tab(command, "")["also"]) == set(KINDS) - always
    params = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    (also,) = [one for one in params if one.name == "also"]
    offered, said = also.help.split("Always written: ")
    assert set(said.strip(".").replace("; of DICOM cines also ", ", ").split(", ")) == always
    assert not any(f" {kind}," in offered or f" {kind}." in offered for kind in always)


def test_a_frame_that_is_no_number_is_said_not_a_file_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"")
    with pytest.raises(SeedError, match="'3O' after the @ of --seed is not a frame; write MASK@FRAME"):
        parse_seed(f"{tmp_path / 'mask.png'}@3O")
    (tmp_path / "mask.png@left").write_bytes(b"")
    assert parse_seed(f"{tmp_path / 'mask.png@left'}").path.name == "mask.png@left"
    assert parse_seed(f"{tmp_path / 'none.png@left'}").path.name == "none.png@left"
