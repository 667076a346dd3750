"""The output folder: results appear whole, survive a kill between any two steps, and belong to one batch at a time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.lock import locked
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, read_listed, write_listed
from UltrasoundLesionSegLib.batch.summary import write_summary
from UltrasoundLesionSegLib.errors import BatchError, OutputError
from UltrasoundLesionSegLib.readers.digest import file_digest
from UltrasoundLesionSegLib.writers.atomic import atomic_path


def computed(folder: BatchFolder, text: str) -> Path:
    case = folder.work / f"a-{text}"
    case.mkdir(parents=True)
    (case / "mask.png").write_text(text)
    (case / "run.json").write_text(json.dumps({"outputs": ["mask.png"], "text": text}))
    return case


def test_a_result_replaces_an_earlier_one(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path)
    with folder.held():
        assert folder.record("a") is None
        for text in ("first", "second"):
            folder.publish("a", computed(folder, text))
            assert (folder.record("a") or {})["text"] == text
    assert [path.name for path in tmp_path.rglob("mask.png")] == ["mask.png"]
    assert not (tmp_path / "earlier").exists()


@pytest.mark.parametrize("step", ["rename of the earlier", "rename of the new", "sync", "removal of the earlier"])
def test_killed_between_any_two_steps_of_replacing_it_has_one_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def die(*arguments: object, **options: object) -> None:
        raise Killed

    folder = BatchFolder(tmp_path)
    rename = Path.rename

    def rename_or_die(self: Path, target: Path) -> Path:
        moment = "rename of the earlier" if ".batch" in target.parts else "rename of the new"
        if moment == step:
            raise Killed
        return rename(self, target)

    with folder.held():
        folder.publish("a", computed(folder, "first"))
    folder = BatchFolder(tmp_path)
    with folder.held():
        case = computed(folder, "second")
        monkeypatch.setattr(Path, "rename", rename_or_die)
        if step == "sync":
            monkeypatch.setattr("UltrasoundLesionSegLib.batch.folder.folder_to_disk", die)
        if step == "removal of the earlier":
            monkeypatch.setattr(BatchFolder, "_let_go", die)
        with pytest.raises(Killed):
            folder.publish("a", case)
    monkeypatch.undo()
    folder = BatchFolder(tmp_path)
    with folder.held():
        expected = "second" if step == "removal of the earlier" else "first"
        assert (folder.record("a") or {})["text"] == expected
        assert not list((tmp_path / ".batch" / "old").iterdir())
        assert list((tmp_path / ".batch" / "work").iterdir()) == [folder.work]


def test_half_written_tables_of_a_killed_run_are_cleared(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path)
    with folder.held():
        for place in (tmp_path, tmp_path / "key"):
            with atomic_path(place / "cases.csv") as part:
                part.write_text("half")
                part.with_name(part.name.replace(".part", "0.part")).write_text("half")  # a kill would leave the like
    assert len(list(tmp_path.rglob("*.part.*"))) == 2
    with folder.held():
        assert not list(tmp_path.rglob("*.part.*"))


@pytest.mark.parametrize(
    "name",
    ["cases.csv", "index.html", "index-2.html", "summary.png", "cases/notes.txt", "key/house", "logs", "earlier"],
)
def test_a_folder_with_files_of_others_under_our_names_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("of the user")
    said = r"of another program or person.*choose a new or an empty folder"
    with pytest.raises(OutputError, match=said), BatchFolder(tmp_path).held():
        pass
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]
    assert path.read_text() == "of the user"


def test_files_of_others_under_other_names_stay(tmp_path: Path) -> None:
    for name in ("notes.txt", "index-2 Doe.html", "cines/a.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("of the user")
    (tmp_path / "cases").mkdir()  # empty, as a kill right after the start leaves it
    folder = BatchFolder(tmp_path)
    for text in ("first", "second"):
        with folder.held():
            folder.publish("a", computed(folder, text))
            write_summary(folder, [])
    for name in ("notes.txt", "index-2 Doe.html", "cines/a.dcm"):
        assert (tmp_path / name).read_text() == "of the user"
    assert not (tmp_path / "earlier").exists()


def test_a_copy_of_the_folder_without_its_hidden_files_is_still_known(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "out")
    with folder.held():
        write_summary(folder, [])
        write_listed(folder.sources, [ListedCase(BatchCase(tmp_path / "a.dcm", name="a"), "waiting")])
    shutil.copytree(folder.root, tmp_path / "copy", ignore=shutil.ignore_patterns(".*"))
    copy = BatchFolder(tmp_path / "copy")
    with copy.held():  # which refuses a folder that is no batch's
        assert [one.case.name for one in read_listed(copy.sources)] == ["a"]


@pytest.mark.parametrize("name", ["cases.csv", "summary.png", "index.html"])
def test_a_table_or_page_that_somebody_changed_is_kept_aside(tmp_path: Path, name: str) -> None:
    folder = BatchFolder(tmp_path)
    with folder.held():
        write_summary(folder, [])
        written = (tmp_path / name).read_bytes()
        for text in ("remarks", "more remarks"):
            (tmp_path / name).write_text(text)
            write_summary(folder, [])
            assert (tmp_path / name).read_bytes() == written
        write_summary(folder, [])
    stem, _, suffix = name.partition(".")
    kept = {path.name: path.read_text() for path in (tmp_path / "earlier").iterdir()}
    assert kept == {f"{stem}-1.{suffix}": "remarks", f"{stem}-2.{suffix}": "more remarks"}


def test_a_page_of_somebody_else_in_the_folder_is_not_removed(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path)
    with folder.held():
        write_summary(folder, [])
        (tmp_path / "index-7.html").write_text("of the user")
        write_summary(folder, [])
    assert (tmp_path / "earlier" / "index-7-1.html").read_text() == "of the user"


def test_a_kill_while_tables_are_written_does_not_make_them_look_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = BatchFolder(tmp_path)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with folder.held():
        write_summary(folder, [])
        monkeypatch.setattr("UltrasoundLesionSegLib.batch.summary.write_pages", die)
        listed = [ListedCase(BatchCase(tmp_path / "a.dcm", name="a"), "failed", "why")]
        with pytest.raises(KeyboardInterrupt):
            write_summary(folder, listed)
        monkeypatch.undo()
        write_summary(folder, listed)
    assert not (tmp_path / "earlier").exists()


def test_a_result_with_a_file_of_an_older_date_put_over_one_of_its_own_is_kept_aside(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path)
    with folder.held():
        case = computed(folder, "first")
        digest = file_digest(case / "mask.png")
        (case / "run.json").write_text(json.dumps({"outputs": {"mask.png": {"sha256": digest}}}))
        folder.publish("a", case)
        (folder.cases / "a" / "mask.png").write_text("corrected")
        os.utime(folder.cases / "a" / "mask.png", (1e9, 1e9))
        folder.publish("a", computed(folder, "second"))
    assert (tmp_path / "earlier" / "a-1" / "mask.png").read_text() == "corrected"


def test_what_is_not_complete_is_not_put_in_place(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path)
    with folder.held():
        case = computed(folder, "first")
        (case / "run.json").unlink()
        with pytest.raises(OutputError, match="not complete"):
            folder.publish("a", case)
        assert not (folder.cases / "a").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as POSIX does")
def test_a_second_batch_is_refused_and_a_dead_one_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from UltrasoundLesionSegLib.batch.lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        holder = f"in use by another batch .process {first.pid} on this machine, since"
        with pytest.raises(BatchError, match=holder), locked(tmp_path / "lock"):
            pass
        first.kill()
    with locked(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text().startswith(str(os.getpid()))


def test_two_batches_that_start_at_once_do_not_both_get_it(tmp_path: Path) -> None:
    got: list[str] = []

    def take() -> None:
        try:
            with locked(tmp_path / "lock"):
                got.append("held")
                time.sleep(0.5)
        except BatchError:
            got.append("refused")

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == ["held", "refused", "refused", "refused"]
