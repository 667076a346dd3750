"""A batch from manifest to tables: what it writes, what it does again and what not, what it says of failures."""

from __future__ import annotations

import csv
import json
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from UltrasoundLesionSegLib.batch.jobs import CaseEnded, CaseProgress
from UltrasoundLesionSegLib.batch.run import BatchProgress, BatchResult
from UltrasoundLesionSegLib.errors import BatchError, DeviceError, ModelError, OutputError

Batch = Callable[..., BatchResult]
Cases = Callable[..., Path]


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


def test_every_case_has_a_folder_and_all_have_one_table_one_plot_and_one_page(
    batch: Batch, cases: Cases, tmp_path: Path
) -> None:
    result = batch(cases(sure="0.9 0.8", unsure="0.9 0.2 0.7", broken="refuse"))
    assert sorted(result.computed) == ["sure", "unsure"]
    assert result.failed == {"broken": "the source is refused"}
    out = tmp_path / "out"
    assert sorted(path.name for path in (out / "cases").iterdir()) == ["sure", "unsure"]
    rows = {row["case"]: row for row in table(out / "cases.csv")}
    assert (rows["unsure"]["lowest_confidence"], rows["unsure"]["lowest_confidence_frame"]) == ("0.2", "1")
    assert (rows["unsure"]["frames_to_look_at"], rows["unsure"]["first_frame_to_look_at"]) == ("1", "1")
    assert (rows["sure"]["frames_to_look_at"], rows["sure"]["first_frame_to_look_at"]) == ("0", "")
    assert rows["sure"]["long_axis_there_px"] == "31.5"
    assert (rows["broken"]["state"], rows["broken"]["reason"]) == ("failed", "the source is refused")
    assert (out / "summary.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "index.html").read_text()
    links = re.findall(r'href="([^"]+)"', page)
    assert links == ["cases/unsure/report.html", "cases/sure/report.html"], "most to win first"
    assert all((out / link).is_file() for link in links)
    assert "the source is refused" in page
    assert "<td>1 frame: 1</td>" in page
    assert "<td>none</td>" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_case_with_a_suggested_seed_that_nobody_looked_at_comes_first(
    batch: Batch, cases: Cases, tmp_path: Path
) -> None:
    result = batch(cases(sure="0.98 0.98", unsure="0.9 0.2 0.7", unseen="suggested"))
    assert result.unseen == 1
    row = {row["case"]: row for row in table(tmp_path / "out" / "cases.csv")}["unseen"]
    assert (row["frames_to_look_at"], row["first_frame_to_look_at"]) == ("1", "1")
    page = (tmp_path / "out" / "index.html").read_text()
    assert re.findall(r'href="cases/([a-z]+)/', page) == ["unseen", "unsure", "sure"]
    assert page.count("<td>1 frame: 1</td>") == 2


def test_finished_cases_are_not_computed_twice(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    manifest = cases(a="0.9", b="refuse")
    batch(manifest)
    before = (tmp_path / "out" / "cases" / "a" / "run.json").stat().st_mtime_ns
    (tmp_path / "Doe_b.cine").write_text("0.5")
    result = batch(manifest)
    assert (result.finished, result.computed, result.failed) == (["a"], ["b"], {})
    assert (tmp_path / "out" / "cases" / "a" / "run.json").stat().st_mtime_ns == before
    assert [row["state"] for row in table(tmp_path / "out" / "cases.csv")] == ["done", "done"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda folder: (folder / "Doe_a.cine").write_text("0.4"), "the source has changed"),
        (lambda folder: (folder / "seed.png").write_bytes(b"other"), "the seeds have changed"),
        (lambda folder: (folder / "out/cases/a/masks/00000.png").unlink(), "files of the result are missing"),
        (lambda folder: (folder / "out/cases/a/run.json").write_text("{}"), "files of the result are missing"),
    ],
)
def test_what_changed_is_computed_anew_and_the_log_says_why(
    batch: Batch, cases: Cases, tmp_path: Path, change: Callable[[Path], None], why: str
) -> None:
    manifest = cases(a="0.9")
    batch(manifest)
    change(tmp_path)
    assert batch(manifest).computed == ["a"]
    log = max((tmp_path / "out" / "logs").iterdir(), key=lambda path: path.name).read_text()
    assert f"INFO a computed again: {why}" in log
    assert batch(manifest).finished == ["a"]


def test_other_settings_are_a_reason_and_the_device_is_none(batch: Batch, cases: Cases) -> None:
    manifest = cases(a="0.9")
    batch(manifest)
    assert batch(manifest, direction="forward").computed == ["a"]
    assert batch(manifest, direction="forward", processes=1, device="auto").finished == ["a"]
    assert batch(manifest, direction="forward", further_kinds=("coco",)).computed == ["a"]
    assert batch(manifest, body_part="LIVER").computed == ["a"]
    assert batch(manifest, body_part=" liver").finished == ["a"]


def test_a_result_that_somebody_worked_on_is_kept_aside(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    manifest = cases(a="0.9")
    batch(manifest)
    (tmp_path / "out" / "cases" / "a" / "corrected.mrb").write_text("hours of work")
    batch(manifest, direction="forward")
    assert (tmp_path / "out" / "earlier" / "a-1" / "corrected.mrb").read_text() == "hours of work"
    assert not (tmp_path / "out" / "cases" / "a" / "corrected.mrb").exists()


def test_the_manifest_is_not_replaced_by_the_table_of_the_same_name(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    manifest = cases(a="0.9")
    (tmp_path / "out").mkdir()
    text = manifest.read_text().replace("Doe_a", "../Doe_a").replace("seed.png", "../seed.png")
    (tmp_path / "out" / "cases.csv").write_text(text)
    with pytest.raises(OutputError, match=r"holds 'cases.csv' of another program or person"):
        batch(tmp_path / "out" / "cases.csv")
    assert (tmp_path / "out" / "cases.csv").read_text() == text


def test_a_patient_that_was_written_into_the_key_stays(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    manifest = cases(a="0.9", b="0.8")
    batch(manifest)
    key = tmp_path / "out" / "key" / "sources.csv"
    rows = table(key)
    with key.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "patient": f"p-{row['case']}"} for row in rows)
    assert batch(manifest).finished == ["a", "b"]
    assert [row["patient"] for row in table(key)] == ["p-a", "p-b"]


def test_an_earlier_result_survives_when_its_case_then_fails(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    manifest = cases(a="0.9")
    batch(manifest)
    (tmp_path / "Doe_a.cine").write_text("refuse")
    assert batch(manifest).failed == {"a": "the source is refused; the result of its earlier inputs was kept"}
    assert (tmp_path / "out" / "cases" / "a" / "run.json").is_file()


def test_a_hanging_worker_is_killed_with_its_children_and_the_others_go_on(
    batch: Batch, cases: Cases, tmp_path: Path
) -> None:
    result = batch(cases(a="hang", b="0.9", c="0.8"), time_limit=3, processes=1)
    assert result.computed == ["b", "c"]
    assert "time limit of 3 s" in result.failed["a"]
    for pid in (tmp_path / "Doe_a.pids").read_text().split():
        assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE


def test_a_worker_that_dies_is_recorded_and_replaced(batch: Batch, cases: Cases) -> None:
    result = batch(cases(a="die", b="crash", c="stumble", d="0.9"), processes=1)
    assert result.computed == ["d"]
    assert "killed from outside" in result.failed["a"]
    assert "code 7" in result.failed["b"]
    assert result.failed["c"] == "an unforeseen RuntimeError; run segment --debug on the source to see where"


def test_the_list_of_failures_is_the_manifest_of_a_second_run(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    batch(cases(a="0.9", b="refuse", c="refuse"))
    failed = tmp_path / "out" / "key" / "failed.csv"
    assert [row["case"] for row in table(failed)] == ["b", "c"]
    (tmp_path / "Doe_b.cine").write_text("0.5")
    result = batch(failed)
    assert (result.computed, list(result.failed)) == (["b"], ["c"])
    states = {row["case"]: row["state"] for row in table(tmp_path / "out" / "cases.csv")}
    assert states == {"a": "done", "b": "done", "c": "failed"}, "the tables are over all cases of the folder"
    assert [row["case"] for row in table(failed)] == ["c"]


def test_names_of_files_stand_in_the_key_and_nowhere_else(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    manifest = cases(a="0.9", b="refuse", c="stumble", d="die")
    manifest.write_text(re.sub(r"(?m)^\w,", ",", manifest.read_text()).replace("case,", "case,", 1))
    batch(manifest)
    out = tmp_path / "out"
    assert sorted(path.name for path in (out / "cases").iterdir()) == ["case-0001"]
    for path in out.rglob("*"):
        assert "Doe" not in path.name
        if path.is_file() and path.parent.name != "key":
            assert b"Doe" not in path.read_bytes(), path
    assert [Path(row["source"]).name for row in table(out / "key" / "sources.csv")] == [
        f"Doe_{name}.cine" for name in "abcd"
    ]


def test_a_source_keeps_its_name_when_others_come_before_it(batch: Batch, tmp_path: Path) -> None:
    (tmp_path / "seed.png").write_bytes(b"seed")
    manifest = tmp_path / "cases.csv"
    for order in ("b", "ab"):
        for name in order:
            (tmp_path / f"{name}.cine").write_text("0.9")
        manifest.write_text("source,seed\n" + "".join(f"{name}.cine,seed.png\n" for name in order))
        result = batch(manifest)
    assert (result.finished, result.computed) == (["case-0001"], ["case-0002"])
    named = {Path(row["source"]).name: row["case"] for row in table(tmp_path / "out" / "key" / "sources.csv")}
    assert named == {"b.cine": "case-0001", "a.cine": "case-0002"}


def test_progress_tells_cases_and_frames(batch: Batch, cases: Cases) -> None:
    told: list[BatchProgress] = []
    batch(cases(a="0.9 0.8 0.7", b="refuse"), told.append)
    assert (told[-1].ended, told[-1].total, told[-1].failed) == (2, 2, 1)
    frames = [one.event for one in told if isinstance(one.event, CaseProgress)]
    assert [(event.frame, event.done, event.total) for event in frames] == [(0, 1, 3), (1, 2, 3), (2, 3, 3)]
    assert sum(isinstance(one.event, CaseEnded) for one in told) == 2


def test_stopping_keeps_what_is_finished_and_ends_the_workers(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    def stop(step: BatchProgress) -> None:
        if step.ended == 1:
            raise KeyboardInterrupt

    manifest = cases(a="0.9", b="wait 60", c="wait 60")
    before = psutil.Process().children()
    with pytest.raises(KeyboardInterrupt):
        batch(manifest, stop, processes=1)
    assert set(psutil.Process().children()) <= set(before)
    states = {row["case"]: row["state"] for row in table(tmp_path / "out" / "cases.csv")}
    assert states == {"a": "done", "b": "waiting", "c": "waiting"}


def test_what_is_wrong_with_every_case_is_said_at_once(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    manifest = cases(a="0.9")
    with pytest.raises(ModelError):
        batch(manifest, model="magic")
    with pytest.raises(ModelError, match=r"'bas_s' is made to suggest, not to propagate; .*stpfnet_light"):
        batch(manifest, model="bas_s")
    with pytest.raises(OutputError, match="magic"):
        batch(manifest, further_kinds=("magic",))
    with pytest.raises(DeviceError):
        batch(manifest, device="cuda:7")
    with pytest.raises(BatchError, match="no such folder or manifest"):
        batch(tmp_path / "nowhere.csv")
    assert not (tmp_path / "out" / "cases" / "a").exists()


def test_an_output_that_is_a_file_is_refused(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError) as refused:
        batch(cases(a="0.9"))
    assert str(tmp_path) not in str(refused.value)


def test_the_log_has_one_line_an_event_with_case_and_frame(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    batch(cases(a="0.9", b="refuse"))
    (log,) = (tmp_path / "out" / "logs").iterdir()
    lines = log.read_text().splitlines()
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) (\S+) (frame \d+ )?\S.*"
    assert all(re.fullmatch(pattern, line) for line in lines)
    assert any(re.search("ERROR b the source is refused$", line) for line in lines)
    assert any(re.search("INFO a finished$", line) for line in lines)


def test_lines_in_a_console_that_shows_messages_only_name_the_case_and_no_file(
    batch: Batch, cases: Cases, caplog: pytest.LogCaptureFixture
) -> None:
    """Slicer's console shows nothing of a record but its message."""
    with caplog.at_level(logging.INFO, "UltrasoundLesionSegLib"):
        batch(cases(a="0.9", b="refuse", c="log"))
    assert {"a: started", "a: finished", "b: the source is refused", "c, frame 2: something was seen"} <= set(
        caplog.messages
    )
    assert "Doe" not in caplog.text


def test_run_json_says_what_the_result_was_made_of(batch: Batch, cases: Cases, tmp_path: Path) -> None:
    batch(cases(a="0.9"))
    inputs = json.loads((tmp_path / "out" / "cases" / "a" / "run.json").read_text())["inputs"]
    assert len(inputs["source"]) == 64
    assert inputs["seeds"][0]["frame"] == 1
    assert inputs["settings"]["model"] == "stpfnet_light"
    assert len(inputs["settings"]["weights"]) == 64
    assert os.sep not in json.dumps(inputs)


def test_what_is_to_know_of_a_cine_is_on_the_page(cases: Callable[..., Path], batch: Batch, tmp_path: Path) -> None:
    batch(cases(a="note", b="0.9"))
    assert (tmp_path / "out" / "index.html").read_text().count("Something to know of the cine<") == 1


def test_a_window_can_be_repainted_while_workers_start_and_work(batch: Batch, cases: Cases) -> None:
    moments = [time.perf_counter()]

    def alive(*_event: object) -> None:
        moments.append(time.perf_counter())

    result = batch(cases(a="wait 1.5"), progress=alive, waiting=alive)
    assert result.computed == ["a"]
    gaps = np.diff(moments)
    # starting the worker alone takes longer than this, and so does the case
    assert moments[-1] - moments[0] > 1.5
    assert np.sort(gaps)[-1] < 1.0
    assert len(gaps) > 15


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"direction": "sideways"}, "direction 'sideways'"),
        ({"suggest": "first"}, "suggest='first'"),
        ({"suggest": True}, "suggest=True"),
        ({"suggest": -1}, "suggest=-1"),
        ({"frames": (3,)}, r"frames=\(3,\)"),
        ({"frames": (0, "9")}, r"frames=\(0, '9'\)"),
        ({"processes": 0}, "processes=0"),
        ({"time_limit": 0}, "time_limit=0"),
    ],
)
def test_a_value_that_no_case_can_use_is_refused_before_the_first(
    batch: Batch, cases: Cases, tmp_path: Path, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(BatchError, match=told):
        batch(cases(a="0.9"), **settings)
    assert not (tmp_path / "out" / "cases").exists()


def test_a_folder_that_is_renamed_meanwhile_ends_the_batch_and_loses_nothing(
    cases: Cases, batch: Batch, tmp_path: Path
) -> None:
    out, moved = tmp_path / "out", tmp_path / "moved"

    def rename(step: BatchProgress) -> None:
        if isinstance(step.event, CaseEnded) and step.event.name == "a":
            out.rename(moved)

    manifest = cases(a="0.9 0.8", b="0.9 0.8", c="0.9 0.8")
    with pytest.raises(OutputError, match=r"not where it was, as if it was moved or renamed.*put it back"):
        batch(manifest, progress=rename)
    assert not out.exists()
    moved.rename(out)
    result = batch(manifest)
    assert (result.finished, result.computed) == (["a"], ["b", "c"])
