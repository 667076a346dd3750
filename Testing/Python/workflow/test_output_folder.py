"""A result appears whole in its folder, and what a person saved there is never lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.readers.digest import file_digest
from UltrasoundLesionSegLib.workflow import output_folder
from UltrasoundLesionSegLib.workflow.output_folder import OutputFolder


def write_result(folder: Path, files: dict[str, str], digest: str = "a" * 64, overwrite: bool = False) -> None:
    """Write a result as ``run_case`` does: its files, then run.json, through ``OutputFolder``."""
    output = OutputFolder(folder, overwrite)
    output.check_source(digest)
    with output.written() as stage:
        fill(stage, files, digest)


def fill(stage: Path, files: dict[str, str], digest: str) -> None:
    for name, text in files.items():
        (stage / name).parent.mkdir(exist_ok=True)
        (stage / name).write_text(text)
    record: dict[str, Any] = {
        "software": {"name": "ultrasound-lesion-seg"},
        "source": {"sha256": digest},
        "outputs": {name: {"sha256": file_digest(stage / name)} for name in files},
    }
    (stage / "run.json").write_text(json.dumps(record))


def texts(folder: Path) -> dict[str, str]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in found.items() if name != "run.json"}


OLD = {"masks/00000.png": "old", "masks/00001.png": "old", "masks.json": "old"}
NEW = {"masks/00000.png": "new", "report.html": "new"}


@pytest.mark.parametrize("prepared", ["absent", "empty", "only a file manager's file"])
def test_a_result_appears_whole(tmp_path: Path, prepared: str) -> None:
    folder = tmp_path / "out ü [1]"
    if prepared != "absent":
        folder.mkdir()
    if prepared.startswith("only"):
        (folder / ".DS_Store").write_text("x")
    write_result(folder, NEW)
    assert {name: text for name, text in texts(folder).items() if name != ".DS_Store"} == NEW
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_an_earlier_result_of_the_same_source_is_replaced_whole(tmp_path: Path) -> None:
    write_result(tmp_path / "out", OLD)
    write_result(tmp_path / "out", NEW)
    assert texts(tmp_path / "out") == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_where_names_cannot_be_exchanged_files_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(one: Path, other: Path) -> None:
        raise OSError("a mount point")

    monkeypatch.setattr(output_folder, "_exchange", refuse)
    write_result(tmp_path / "out", OLD)
    write_result(tmp_path / "out", NEW)
    assert texts(tmp_path / "out") == NEW
    assert json.loads((tmp_path / "out" / "run.json").read_text())["outputs"].keys() == NEW.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_working_directory_stays_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    before = os.stat(".").st_ino
    for files in (OLD, NEW):
        write_result(Path("."), files)
        assert texts(tmp_path / "out") == files
    assert os.stat(tmp_path / "out").st_ino == before


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    write_result(tmp_path / "out", OLD)
    write_result(tmp_path / "out", NEW)
    assert (tmp_path / "out").is_symlink()
    assert texts(tmp_path / "disk") == NEW


def change(folder: Path) -> None:
    (folder / "masks.json").write_text("corrected by hand")


def add(folder: Path) -> None:
    (folder / "masks" / "notes.txt").write_text("mine")


def remove(folder: Path) -> None:
    (folder / "masks.json").unlink()


@pytest.mark.parametrize("touch", [change, add, remove])
def test_a_result_that_a_person_touched_is_not_replaced(tmp_path: Path, touch: Any) -> None:
    write_result(tmp_path / "out", OLD)
    touch(tmp_path / "out")
    before = texts(tmp_path / "out")
    with pytest.raises(OutputError, match="--overwrite"):
        write_result(tmp_path / "out", NEW)
    assert texts(tmp_path / "out") == before


def test_a_result_of_another_source_is_not_replaced(tmp_path: Path) -> None:
    write_result(tmp_path / "out", OLD)
    with pytest.raises(OutputError, match="another cine"):
        write_result(tmp_path / "out", NEW, "b" * 64)
    assert texts(tmp_path / "out") == OLD


@pytest.mark.parametrize("record", [None, "no json", "[]", '{"outputs": ["../../x"], "source": {}}'])
def test_a_folder_with_other_files_is_refused(tmp_path: Path, record: str | None) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    if record is not None:
        (tmp_path / "run.json").write_text(record)
    with pytest.raises(OutputError, match="no result of this program"):
        OutputFolder(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "mine"


def test_overwrite_replaces_the_earlier_result_and_files_of_the_same_names_alone(tmp_path: Path) -> None:
    write_result(tmp_path / "out", OLD)
    add(tmp_path / "out")
    (tmp_path / "out" / "report.html").write_text("of another program")
    write_result(tmp_path / "out", NEW, "b" * 64, overwrite=True)
    assert texts(tmp_path / "out") == {**NEW, "masks/notes.txt": "mine"}


@pytest.mark.parametrize("prepared", [None, OLD])
def test_an_error_while_writing_leaves_what_was_there(tmp_path: Path, prepared: dict[str, str] | None) -> None:
    if prepared:
        write_result(tmp_path / "out", prepared)
    with pytest.raises(IsADirectoryError), OutputFolder(tmp_path / "out").written() as stage:
        fill(stage, {**NEW, ".": "no file has this name"}, "a" * 64)
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if prepared else [])
    if prepared:
        assert texts(tmp_path / "out") == prepared


KILLED = """
import sys, signal, os
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_output_folder import NEW, fill
from UltrasoundLesionSegLib.workflow import output_folder
steps = [0]
def trace(frame, event, argument):
    if "output_folder" in frame.f_code.co_filename and event == "line":
        steps[0] += 1
        if steps[0] == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
    return trace
output = output_folder.OutputFolder(Path(sys.argv[1]))
sys.settrace(trace)
with output.written() as stage:
    fill(stage, NEW, "a" * 64)
"""


def test_a_kill_at_any_line_leaves_the_old_result_or_the_new_one(tmp_path: Path) -> None:
    ends = set()
    for step in range(1, 400, 9):
        folder = tmp_path / str(step) / "out"
        write_result(folder, OLD)
        command = [sys.executable, "-c", KILLED, str(folder), str(Path(__file__).parent), str(step)]
        code = subprocess.run(command, capture_output=True, check=False).returncode
        assert texts(folder) in (OLD, NEW), step
        ends.add((code == -signal.SIGKILL, texts(folder) == NEW))
        if code == 0:
            break
    assert {(True, False), (False, True)} <= ends
    # and the next run is not in its way
    write_result(folder, OLD)
    assert texts(folder) == OLD


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_a_folder_that_only_seems_writable_is_refused_at_once() -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        OutputFolder(Path("/proc/result"))


def test_the_check_leaves_nothing_behind(tmp_path: Path) -> None:
    OutputFolder(tmp_path / "new" / "result")
    assert list(tmp_path.iterdir()) == []
