"""A batch that takes a reader's anchors: what is computed anew, what the result has, what tables and page say."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engine_helpers import dice
from PIL import Image
from review_helpers import square

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.plan import BatchSettings, find_cases, named_cases, plan
from UltrasoundLesionSegLib.batch.run import BatchResult
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.review.worklist import Worklist

FRAMES = 6


Batch = Callable[..., BatchResult]
Draw = Callable[..., None]


@pytest.fixture
def folder(cines: Path) -> Path:
    return cines.parent


def rows(folder: Path) -> dict[str, dict[str, str]]:
    return {row["case"]: row for row in csv.DictReader((folder / "out" / "cases.csv").open())}


def masks(folder: Path, case: str, value: int = 1) -> list[np.ndarray]:
    places = [folder / "out" / "cases" / case / "masks" / f"{frame:05d}.png" for frame in range(FRAMES)]
    return [np.asarray(Image.open(place)) == value for place in places]


def test_only_what_the_reader_changed_is_computed_and_the_anchors_are_kept(
    folder: Path, batch: Batch, draw: Draw, truth: np.ndarray
) -> None:
    empty = np.zeros((96, 128), bool)
    draw("case-0001", [ReaderAnchor(4, "Lesion", square(), How.DRAWN)])
    # a case without a seed, which the reader gives one
    draw(
        "case-0002",
        [ReaderAnchor(2, "Lesion", truth[2][0], How.CLICKED), ReaderAnchor(5, "Lesion", empty, How.NOT_VISIBLE)],
        state=ReviewState.IN_WORK,
    )
    assert batch(reader="A").computed == ["case-0001", "case-0002"]
    assert np.array_equal(masks(folder, "case-0001")[4], square())
    assert np.array_equal(masks(folder, "case-0001")[1], truth[1][0]), "the seed file still holds"
    second = masks(folder, "case-0002")
    assert np.array_equal(second[2], truth[2][0])
    assert not second[5].any()
    assert dice(second[1], truth[1][0]) > 0.8
    record = json.loads((folder / "out" / "cases" / "case-0001" / "run.json").read_text())
    assert record["anchors"] == {"Lesion": [1, 4]}
    assert record["inputs"]["reader"]["code"] == "A"
    table = rows(folder)
    assert (table["case-0002"]["reader"], table["case-0002"]["review_A"]) == ("A", "in work")
    assert table["case-0002"]["frames_drawn_A"] == "2"
    page = (folder / "out" / "index.html").read_text()
    assert "computed with the anchors of reader A" in page
    assert "<td>A: in work</td>" in page

    before = {path: path.stat().st_mtime_ns for path in (folder / "out" / "review").rglob("*")}
    assert batch(reader="A").finished == ["case-0001", "case-0002"]
    draw("case-0002", [ReaderAnchor(2, "Lesion", truth[2][0], How.CLICKED)])
    assert batch(reader="A").computed == ["case-0002"]
    log = "".join(path.read_text() for path in (folder / "out" / "logs").iterdir())
    assert "case-0002 computed again: the reader's anchors have changed" in log
    others = [path for path in before if "case-0001" in str(path)]
    assert all(path.stat().st_mtime_ns == before[path] for path in others), "the machine writes nothing there"
    for path in (folder / "out").rglob("*"):
        assert "Doe" not in path.name
        if path.is_file() and path.parent.name != "key" and path.suffix != ".dcm":
            assert b"Doe" not in path.read_bytes(), path.name


def test_a_done_case_keeps_its_state_and_the_tables_show_it(
    folder: Path, batch: Batch, draw: Draw, truth: np.ndarray
) -> None:
    anchor = ReaderAnchor(4, "Lesion", truth[4][0], How.CONFIRMED)
    draw("case-0001", [anchor], state=ReviewState.DONE, seconds=40)
    draw("case-0001", [anchor], reader="B")
    before = (folder / "out" / "review" / "A" / "case-0001" / "review.json").read_bytes()
    assert batch(reader="A").computed == ["case-0001"]
    assert batch(reader="A").finished == ["case-0001"]
    assert (folder / "out" / "review" / "A" / "case-0001" / "review.json").read_bytes() == before
    assert Worklist(folder / "out", "A").case("case-0001").state is ReviewState.DONE
    row = rows(folder)["case-0001"]
    assert (row["review_A"], row["review_seconds_A"], row["review_B"]) == ("done", "40.0", "in work")
    assert "<td>A: done, B: in work</td>" in (folder / "out" / "index.html").read_text()
    assert "by readers: 1 new, 0 in work, 1 done, 0 set aside" in (folder / "out" / "index.html").read_text()


def test_a_lesion_that_the_reader_renamed_is_one_lesion(
    folder: Path, batch: Batch, draw: Draw, truth: np.ndarray
) -> None:
    anchor = ReaderAnchor(4, "Mass", truth[4][0], How.CONFIRMED)
    draw("case-0001", [anchor], machine_lesions={"Lesion": "Mass"})
    batch(reader="A")
    record = json.loads((folder / "out" / "cases" / "case-0001" / "run.json").read_text())
    assert record["anchors"] == {"Mass": [1, 4]}


def test_names_that_the_reader_exchanged_are_exchanged(
    folder: Path, batch: Batch, draw: Draw, truth: np.ndarray
) -> None:
    (seed,) = (folder / "cines").glob("*.seed.1.png")
    other = np.roll(truth[1][0], 40, axis=1) & ~truth[1][0]
    Image.fromarray(np.where(other, 2, truth[1][0]).astype(np.uint8)).save(seed)
    batch()
    anchor = ReaderAnchor(4, "Lesion 2", truth[4][0], How.CONFIRMED)
    draw("case-0001", [anchor], machine_lesions={"Lesion": "Lesion 2", "Lesion 2": "Lesion"})
    assert "case-0001" in batch(reader="A").computed
    record = json.loads((folder / "out" / "cases" / "case-0001" / "run.json").read_text())
    assert record["anchors"] == {"Lesion 2": [1, 4], "Lesion": [1]}


def test_anchors_of_another_version_of_the_cine_are_no_anchors(
    folder: Path, batch: Batch, draw: Draw, truth: np.ndarray
) -> None:
    draw("case-0001", [ReaderAnchor(4, "Lesion", truth[4][0], How.DRAWN)])
    path = folder / "out" / "review" / "A" / "case-0001" / "review.json"
    content = json.loads(path.read_text())
    content["source"] |= {"sha256": "0" * 64, "pixels": "1" * 64}
    path.write_text(json.dumps(content))
    reason = batch(reader="A").failed["case-0001"]
    assert reason.startswith("the reader's anchors are of another version of the cine")
    assert (folder / "out" / "cases" / "case-0001" / "run.json").exists(), "the earlier result is kept"


def test_a_copy_of_a_reader_s_folder_is_nobody_s_work(folder: Path, batch: Batch, draw: Draw) -> None:
    draw("case-0001", [ReaderAnchor(4, "Lesion", np.ones((96, 128), bool), How.DRAWN)])
    shutil.copytree(folder / "out" / "review" / "A", folder / "out" / "review" / "A - Copy (2)")
    assert ReviewFolder(folder / "out").readers() == ["A"]
    assert batch(reader="A").computed == ["case-0001"]


def test_damaged_work_fails_its_case_alone(folder: Path, batch: Batch, draw: Draw, truth: np.ndarray) -> None:
    for case in ("case-0001", "case-0002"):
        draw(case, [ReaderAnchor(4, "Lesion", truth[4][0], How.DRAWN)])
    (folder / "out" / "review" / "A" / "case-0001" / "review.json").write_text("{")
    result = batch(reader="A")
    assert result.computed == ["case-0002"]
    assert result.failed["case-0001"].startswith("the files of the reader's work on this case are damaged")


def test_a_reader_whom_nobody_knows_is_said_before_anything_is_computed(folder: Path, batch: Batch) -> None:
    with pytest.raises(ReviewError, match="has no work of reader 'X'; nobody has worked on it"):
        batch(reader="X")
    assert BatchFolder(folder / "out").record("case-0001") is not None


def test_without_the_option_the_anchors_are_not_taken(
    folder: Path, batch: Batch, draw: Draw, truth: np.ndarray
) -> None:
    draw("case-0001", [ReaderAnchor(4, "Lesion", truth[4][0], How.DRAWN)])
    assert batch().finished == ["case-0001"]
    assert batch(reader="A").computed == ["case-0001"]
    assert batch().computed == ["case-0001"]
    record = json.loads((folder / "out" / "cases" / "case-0001" / "run.json").read_text())
    assert record["anchors"] == {"Lesion": [1]}


def test_a_suggestion_gives_way_to_what_the_reader_drew(
    folder: Path, batch: Batch, draw: Draw, truth: np.ndarray
) -> None:
    output = BatchFolder(folder / "out")
    cases = [one.case for one in named_cases(find_cases(folder / "cines", output.root)[0], output)]
    settings = BatchSettings(reader="A", suggest=3)
    for mask, how, frame in ((np.zeros((96, 128), bool), How.NOT_VISIBLE, 3), (truth[4][0], How.DRAWN, None)):
        draw("case-0002", [ReaderAnchor(4, "Lesion", mask, how)])
        (request,) = [job.request for job in plan(cases, settings, output).jobs if job.name == "case-0002"]
        assert request.reader_work == output.root / "review" / "A" / "case-0002"
        assert request.suggest_frame == frame


def test_the_command_with_shipped_weights(folder: Path, cines: Path, draw: Draw, truth: np.ndarray) -> None:
    from UltrasoundLesionSegLib.review.worklist import begin

    begin(cines, folder / "out")
    draw("case-0002", [ReaderAnchor(2, "Lesion", truth[2][0], How.CLICKED)])
    command = [sys.executable, "-c", "from UltrasoundLesionSegLib.cli.main import main; main()", "batch", str(cines)]
    command += ["--output", str(folder / "out"), "--device", "cpu", "--processes", "1", "--reader", "A"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 cases computed, 0 were finished before, 0 failed" in done.stdout
    assert np.array_equal(masks(folder, "case-0002")[2], truth[2][0])
    assert dice(masks(folder, "case-0002")[1], truth[1][0]) > 0.8


def test_a_cine_that_is_no_dicom_gets_all_but_the_report_that_was_asked_for(
    folder: Path, batch: Batch, truth: np.ndarray
) -> None:
    frames = folder / "cines" / "pictures"
    frames.mkdir()
    for index, frame in enumerate(read_cine(folder / "cines" / "Doe_1.dcm")):
        Image.fromarray(frame).save(frames / f"{index}.png")
    Image.fromarray(truth[1][0]).save(folder / "cines" / "pictures.seed.1.png")
    result = batch(further_kinds=("sr",))
    assert result.computed == ["case-0001", "case-0003"]
    written = {one.name for one in (folder / "out" / "cases" / "case-0003").iterdir()}
    assert {"masks", "report.html", "measurements.csv"} <= written
    assert (folder / "out" / "cases" / "case-0001" / "measurements.dcm").exists()
    assert "no DICOM SR could be written" in (folder / "out" / "index.html").read_text()


def test_an_empty_seed_file_does_not_matter_where_the_reader_drew(folder: Path, batch: Batch, draw: Draw) -> None:
    empty = np.zeros((96, 128), bool)
    Image.fromarray(empty).save(folder / "cines" / "Doe_1.seed.1.png")
    draw("case-0001", [ReaderAnchor(5, "Lesion", empty, How.NOT_VISIBLE)])
    assert batch(reader="A").failed["case-0001"].startswith("seed 1 cannot be used: the seed is empty")
    draw("case-0001", [ReaderAnchor(4, "Lesion", square(), How.DRAWN)])
    assert batch(reader="A").computed == ["case-0001"]
    record = json.loads((folder / "out" / "cases" / "case-0001" / "run.json").read_text())
    assert record["anchors"] == {"Lesion": [4]}
    assert record["seeds"] == [{"frame": 1, "read_as": "nothing is painted in it"}]
    assert "seed 1 is not used: no lesion is painted in it" in record["notices"]
    assert batch().failed["case-0001"].startswith("seed 1 cannot be used: the seed is empty")
