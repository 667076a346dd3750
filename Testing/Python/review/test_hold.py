"""One person at a time on a case: processes that live, die, sleep and come at the same moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from UltrasoundLesionSegLib.errors import HeldError, ReviewError
from UltrasoundLesionSegLib.reader_work import hold as hold_module
from UltrasoundLesionSegLib.reader_work.hold import Hold, is_held, take

HOLDER = """
import sys, time; from pathlib import Path; from UltrasoundLesionSegLib.reader_work.hold import take
hold = take(Path(sys.argv[1])); print(hold.token, flush=True); time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert len(process.stdout.readline()) > 8
    return process


def age(folder: Path, seconds: float) -> None:
    now = time.time()
    os.utime(folder / "hold.json", (now - seconds, now - seconds))


def test_another_process_is_told_that_the_case_is_held(tmp_path: Path) -> None:
    process = holder(tmp_path / "case")
    try:
        with pytest.raises(HeldError, match=r"in work by somebody else.*last sign of life 0 s ago"):
            take(tmp_path / "case")
        assert is_held(tmp_path / "case")
    finally:
        process.kill()
        process.wait()


def test_a_released_case_is_free_and_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with take(tmp_path / "case") as hold:
            assert hold.is_ours()
        assert not hold.is_ours()
        assert not is_held(tmp_path / "case")
        assert list((tmp_path / "case").iterdir()) == []


def test_a_dead_holder_on_this_machine_is_seen_after_seconds(tmp_path: Path) -> None:
    process = holder(tmp_path)
    process.kill()
    process.wait()
    with pytest.raises(HeldError):  # it may be one that has just begun and is about to lock
        take(tmp_path)
    age(tmp_path, 6)
    with take(tmp_path) as hold:
        assert hold.is_ours()


def test_a_live_holder_that_does_not_beat_keeps_the_case_for_long(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        os.kill(process.pid, signal.SIGSTOP)
        age(tmp_path, 800)
        with pytest.raises(HeldError):
            take(tmp_path)
        age(tmp_path, 901)
        with take(tmp_path) as hold:
            assert hold.is_ours()
    finally:
        process.kill()
        process.wait()


def test_a_holder_elsewhere_is_gone_after_two_minutes_without_a_beat(tmp_path: Path) -> None:
    (tmp_path / "hold.json").write_text('{"token": "1f", "machine": "another"}')
    age(tmp_path, 100)
    with pytest.raises(HeldError):
        take(tmp_path)
    age(tmp_path, 121)
    with take(tmp_path) as hold:
        assert hold.is_ours()


def test_beats_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_module, "SECONDS_BETWEEN_BEATS", 0.02)
    with take(tmp_path):
        age(tmp_path, 1000)
        time.sleep(0.2)
        assert time.time() - (tmp_path / "hold.json").stat().st_mtime < 60


def test_a_taken_over_holder_neither_beats_nor_releases(tmp_path: Path) -> None:
    first = take(tmp_path)
    (tmp_path / "hold.json").write_text('{"token": "1f", "machine": "another"}')
    age(tmp_path, 50)
    first.beat()
    assert time.time() - (tmp_path / "hold.json").stat().st_mtime > 40
    assert not first.is_ours()
    first.release()
    assert (tmp_path / "hold.json").exists()


@pytest.mark.parametrize("state", ["free", "stale", "stale and damaged"])
def test_of_many_that_come_at_once_one_gets_it(tmp_path: Path, state: str) -> None:
    for trial in range(20):
        folder = tmp_path / str(trial)
        folder.mkdir()
        if state != "free":
            (folder / "hold.json").write_text('{"token": "1f", "machine": "another"}' if state == "stale" else "")
            age(folder, 200)

        def attempt(_: int, folder: Path = folder) -> Hold | None:
            try:
                return take(folder)
            except HeldError:
                return None

        with ThreadPoolExecutor(8) as pool:
            got = [hold for hold in pool.map(attempt, range(8)) if hold is not None]
        assert len(got) == 1
        assert got[0].is_ours()
        got[0].release()
        assert not [path for path in folder.iterdir() if path.name != ".takeover-unreadable"]


def test_a_taker_that_died_in_the_middle_blocks_nobody_for_long(tmp_path: Path) -> None:
    (tmp_path / "hold.json").write_text('{"token": "1f", "machine": "another"}')
    age(tmp_path, 500)
    mutex = tmp_path / ".takeover-1f"
    mutex.touch()
    with pytest.raises(HeldError):
        take(tmp_path)
    os.utime(mutex, (time.time() - 200,) * 2)
    with pytest.raises(HeldError):  # clears it away
        take(tmp_path)
    with take(tmp_path) as hold:
        assert hold.is_ours()


def test_a_drive_without_links_and_locks_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(hold_module.os, "link", refuse)
    monkeypatch.setattr(hold_module, "try_lock", lambda file: None)
    with take(tmp_path) as hold:
        assert hold.is_ours()
        age(tmp_path, 100)
        with pytest.raises(HeldError):
            take(tmp_path)
        age(tmp_path, 121)
        with take(tmp_path) as other:
            assert other.is_ours()
            assert not hold.is_ours()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ReviewError, match="cannot be written"):
        take(tmp_path / "case")
    tmp_path.chmod(0o700)


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "case").write_text("")
    with pytest.raises(ReviewError, match="cannot be written"):
        take(tmp_path / "case")
