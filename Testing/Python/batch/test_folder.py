"""The output folder: results appear whole, survive a kill between any two steps, and belong to one batch at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.lock import locked
from UltrasoundLesionSegLib.errors import BatchError, OutputError
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
