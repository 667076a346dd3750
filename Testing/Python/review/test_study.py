"""The export of a study: what the reader finished, as the reader saw it, in files that others read."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from UltrasoundLesionSegLib.batch.run import BatchResult
from UltrasoundLesionSegLib.cli import study_commands
from UltrasoundLesionSegLib.errors import BatchError, OutputError, ReviewError
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState
from UltrasoundLesionSegLib.reader_work.results import no_masks
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.review.study import export_study
from UltrasoundLesionSegLib.review.worklist import Worklist

FRAMES = 6
Batch = Callable[..., BatchResult]
Draw = Callable[..., None]


@pytest.fixture
def output(cines: Path, batch: Batch, draw: Draw, truth: np.ndarray) -> Path:
    """A batch whose first case reader A has finished; the second one is in work."""
    square = np.zeros((96, 128), bool)
    square[30:60, 40:70] = True
    anchors = [ReaderAnchor(4, "Lesion", square, How.DRAWN), ReaderAnchor(5, "Lesion", truth[5][0], How.CONFIRMED)]
    draw("case-0001", anchors, state=ReviewState.DONE, seconds=95, comment="dark rim")
    draw("case-0002", [ReaderAnchor(2, "Lesion", truth[2][0], How.CLICKED)])
    return cines.parent / "out"


def test_a_finished_case_is_written_as_the_reader_saw_it(output: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    result = export_study(output, "A", tmp_path / "study", progress=lambda *step: told.append(step))
    assert (result.written, result.finished, result.failed, result.left) == (
        ["case-0001"],
        [],
        {},
        {"case-0002": ReviewState.IN_WORK},
    )
    page = (tmp_path / "study" / "index.html").read_text()
    assert "<h1>Study of reader A</h1>" in page
    assert "1 case: 1 with a result, 0 failed" in page
    assert told == [(0, 1), (1, 1)]
    case = tmp_path / "study" / "cases" / "case-0001"
    finished = ReviewFolder(output).work("A", "case-0001").result()
    assert finished is not None
    for frame in range(FRAMES):
        written = np.asarray(Image.open(case / "masks" / f"{frame:05d}.png"))
        masks = finished.masks(frame)
        assert masks is not None
        assert np.array_equal(written == 1, masks[0])
    origins = [row["origin"] for row in csv.DictReader((case / "measurements.csv").open())]
    assert origins == ["model", "manual", "model", "model", "manual", "confirmed"]
    segmentation, report = pydicom.dcmread(case / "segmentation.dcm"), pydicom.dcmread(case / "measurements.dcm")
    assert (segmentation.Modality, report.Modality) == ("SEG", "SR")
    assert {str(one.SegmentAlgorithmType) for one in segmentation.SegmentSequence} <= {
        "MANUAL",
        "SEMIAUTOMATIC",
        "AUTOMATIC",
    }
    record = json.loads((case / "run.json").read_text())
    assert record["review"] == {"reader": "A", "state": "done", "comment": "dark rim"}
    assert record["model"]["name"] == "bright"
    assert (record["effort"]["frames_drawn"], record["effort"]["frames_confirmed"]) == (1, 1)
    assert record["effort"]["seconds"] == 95
    (row,) = csv.DictReader((tmp_path / "study" / "cases.csv").open())
    assert (row["case"], row["state"], row["reader"], row["segment"]) == ("case-0001", "done", "A", "Lesion")
    assert 'href="cases/case-0001/report.html"' in (tmp_path / "study" / "index.html").read_text()


def test_no_source_is_named_in_a_study(output: Path, tmp_path: Path) -> None:
    export_study(output, "A", tmp_path / "study")
    assert {path.name for path in (tmp_path / "study").iterdir()} == {
        ".batch",
        "cases",
        "cases.csv",
        "index.html",
        "summary.png",
    }
    for path in (tmp_path / "study").rglob("*"):
        assert "Doe" not in path.name
        if path.is_file() and path.suffix != ".dcm":
            assert b"Doe" not in path.read_bytes(), path.name


def test_a_second_run_writes_what_changed(output: Path, tmp_path: Path, draw: Draw, truth: np.ndarray) -> None:
    study = tmp_path / "study"
    export_study(output, "A", study)
    assert export_study(output, "A", study).finished == ["case-0001"]
    assert export_study(output, "A", study, ["coco"]).written == ["case-0001"]
    assert (study / "cases" / "case-0001" / "masks.json").exists()
    draw("case-0001", [ReaderAnchor(4, "Lesion", truth[4][0], How.DRAWN)], state=ReviewState.DONE)
    assert export_study(output, "A", study, ["coco"]).written == ["case-0001"]
    assert np.array_equal(np.asarray(Image.open(study / "cases/case-0001/masks/00004.png")) == 1, truth[4][0])


def test_a_later_batch_changes_nothing_of_what_the_reader_saw(output: Path, tmp_path: Path, batch: Batch) -> None:
    export_study(output, "A", tmp_path / "before")
    batch(reader="A", direction="forward")
    export_study(output, "A", tmp_path / "after")
    for frame in range(FRAMES):
        name = f"cases/case-0001/masks/{frame:05d}.png"
        assert (tmp_path / "before" / name).read_bytes() == (tmp_path / "after" / name).read_bytes()


def test_a_cine_that_moved_is_found_and_one_that_is_gone_is_said(output: Path, tmp_path: Path) -> None:
    (tmp_path / "cines").rename(tmp_path / "moved")
    result = export_study(output, "A", tmp_path / "study")
    assert result.failed == {
        "case-0001": "the cine is not where it was; name the folder it was moved to with --sources"
    }
    (row,) = csv.DictReader((tmp_path / "study" / "cases.csv").open())
    assert (row["state"], row["reason"]) == ("failed", result.failed["case-0001"])
    assert export_study(output, "A", tmp_path / "study", sources=tmp_path / "moved").written == ["case-0001"]


def test_what_cannot_be_exported_is_said_at_once(output: Path, tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="no work of reader 'B'; the readers are: A"):
        export_study(output, "B", tmp_path / "study")
    (output / "review" / "C").mkdir()
    with pytest.raises(ReviewError, match="has finished no case"):
        export_study(output, "C", tmp_path / "study")
    with pytest.raises(OutputError, match="unknown"):
        export_study(output, "A", tmp_path / "study", ["magic"])
    with pytest.raises(OutputError, match="name may be burned"):
        export_study(output, "A", tmp_path / "study", ["video"])
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("where", [".", "cases", "review", "review/B", "key", "../copy"])
def test_a_study_is_not_written_among_the_files_of_a_batch(output: Path, where: str) -> None:
    shutil.copytree(output, output.parent / "copy")
    before = {path: path.stat().st_mtime_ns for path in output.parent.rglob("*")}
    with pytest.raises(BatchError, match="into a batch's own folder; choose another folder"):
        export_study(output, "A", output / where)
    assert {path: path.stat().st_mtime_ns for path in output.parent.rglob("*")} == before


def test_the_study_of_another_reader_is_not_replaced(output: Path, tmp_path: Path, draw: Draw) -> None:
    square = np.ones((96, 128), bool)
    draw("case-0001", [ReaderAnchor(4, "Lesion", square, How.DRAWN)], reader="B", state=ReviewState.DONE)
    export_study(output, "A", tmp_path / "study")
    with pytest.raises(BatchError, match="the study of another reader; choose another folder"):
        export_study(output, "B", tmp_path / "study")
    assert export_study(output, "A", tmp_path / "study").finished == ["case-0001"]
    assert export_study(output, "B", output / "study of B").written == ["case-0001"]


def test_nothing_of_the_user_is_replaced_by_a_study(output: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "cases.csv").write_text("my own table")
    (study / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"'cases.csv' of another program or person.*choose a new or an empty folder"):
        export_study(output, "A", study)
    assert {path.name for path in study.iterdir()} == {"cases.csv", "notes.txt"}
    (study / "cases.csv").unlink()
    assert export_study(output, "A", study).written == ["case-0001"]
    assert (study / "notes.txt").read_text() == "mine"
    (study / "cases.csv").write_text("with a column of mine")
    (study / "cases" / "case-0001" / "masks" / "00000.png").write_text("corrected by hand")
    assert export_study(output, "A", study, ["coco"]).written == ["case-0001"]
    assert (study / "earlier" / "cases-1.csv").read_text() == "with a column of mine"
    assert (study / "earlier" / "case-0001-1" / "masks" / "00000.png").read_text() == "corrected by hand"


def test_a_case_that_was_taken_back_leaves_the_study(
    output: Path, tmp_path: Path, draw: Draw, truth: np.ndarray
) -> None:
    study, anchors = tmp_path / "study", [ReaderAnchor(2, "Lesion", truth[2][0], How.DRAWN)]
    record = ReviewFolder(output).work("A", "case-0002").record()
    assert record is not None
    assert record.source is not None
    draw("case-0002", anchors, state=ReviewState.DONE, result=no_masks(record.source).with_anchors(anchors))
    assert export_study(output, "A", study).written == ["case-0001", "case-0002"]
    Worklist(output, "A").take_up("case-0001")
    result = export_study(output, "A", study)
    assert (result.finished, result.retired) == (["case-0002"], ["case-0001"])
    assert [path.name for path in (study / "cases").iterdir()] == ["case-0002"]
    assert (study / "earlier" / "case-0001-1" / "segmentation.dcm").is_file()
    assert [row["case"] for row in csv.DictReader((study / "cases.csv").open())] == ["case-0002"]


def test_the_command_names_the_cases_that_are_left_out(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study_commands.export_study(output, "A", tmp_path / "study")
    note, last = capsys.readouterr().out.splitlines()
    assert note == "note: left out, because reader A has not finished them (in work): case-0002"
    assert last.startswith("1 case written, 0 unchanged, 0 failed, 1 left out; ")


def test_a_damaged_case_is_said_and_the_others_are_written(output: Path, tmp_path: Path) -> None:
    (output / "review" / "A" / "case-0002" / "review.json").write_text("{")
    result = export_study(output, "A", tmp_path / "study")
    assert (result.written, list(result.failed), result.left) == (["case-0001"], ["case-0002"], {})
    assert "damaged" in result.failed["case-0002"]
    states = {row["case"]: row["state"] for row in csv.DictReader((tmp_path / "study" / "cases.csv").open())}
    assert states == {"case-0001": "done", "case-0002": "failed"}


def test_a_copy_of_a_case_that_somebody_made_is_no_damaged_case(output: Path, tmp_path: Path) -> None:
    shutil.copytree(output / "review" / "A" / "case-0001", output / "review" / "A" / "case-0001 - Copy")
    result = export_study(output, "A", tmp_path / "study")
    assert (result.written, result.failed) == (["case-0001"], {})


def test_without_the_list_of_sources_nothing_is_written(output: Path, tmp_path: Path) -> None:
    shutil.rmtree(output / "key")
    with pytest.raises(BatchError, match=r"key/sources\.csv"):
        export_study(output, "A", tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_case_without_a_lesion_is_a_result(output: Path, tmp_path: Path, draw: Draw) -> None:
    empty = np.zeros((96, 128), bool)
    anchors = [ReaderAnchor(frame, "Lesion", empty, How.NOT_VISIBLE) for frame in range(FRAMES)]
    source = ReviewFolder(output).work("A", "case-0002").record()
    assert source is not None
    assert source.source is not None
    draw("case-0002", anchors, state=ReviewState.DONE, result=no_masks(source.source).with_anchors(anchors))
    result = export_study(output, "A", tmp_path / "study")
    assert (result.written, result.failed) == (["case-0001", "case-0002"], {})
    assert "no DICOM SEG" in result.notices["case-0002"]
    masks = (tmp_path / "study" / "cases" / "case-0002" / "masks").iterdir()
    assert not any(np.asarray(Image.open(path)).any() for path in masks)


def test_stopping_keeps_what_is_written(output: Path, tmp_path: Path, draw: Draw, truth: np.ndarray) -> None:
    source = ReviewFolder(output).work("A", "case-0002").record()
    assert source is not None
    assert source.source is not None
    anchors = [ReaderAnchor(2, "Lesion", truth[2][0], How.DRAWN)]
    draw("case-0002", anchors, state=ReviewState.DONE, result=no_masks(source.source).with_anchors(anchors))

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_study(output, "A", tmp_path / "study", progress=stop)
    states = {row["case"]: row["state"] for row in csv.DictReader((tmp_path / "study" / "cases.csv").open())}
    assert states == {"case-0001": "done", "case-0002": "waiting"}
    shutil.rmtree(output / "cases")  # a study needs the reader's work and the cines alone
    result = export_study(output, "A", tmp_path / "study")
    assert (result.finished, result.written) == (["case-0001"], ["case-0002"])


def organs(case: Path) -> set[str]:
    segments = pydicom.dcmread(case / "segmentation.dcm").SegmentSequence
    return {str(one.AnatomicRegionSequence[0].CodeMeaning) for one in segments}


def test_the_organ_that_the_batch_was_given_is_that_of_the_study_unless_another_is_named(
    output: Path, batch: Batch, tmp_path: Path
) -> None:
    batch(body_part="thyroid")
    assert organs(output / "cases" / "case-0001") == {"Thyroid"}
    study = tmp_path / "study" / "cases" / "case-0001"
    assert export_study(output, "A", tmp_path / "study").notices == {
        "case-0001": "the cine's Body Part Examined is the breast, but you named the thyroid"
    }
    assert organs(study) == {"Thyroid"}
    assert json.loads((study / "run.json").read_text())["body_part"] == "THYROID"
    assert export_study(output, "A", tmp_path / "study").finished == ["case-0001"]
    assert export_study(output, "A", tmp_path / "study", body_part="LIVER").written == ["case-0001"]
    assert organs(study) == {"Liver"}
    with pytest.raises(OutputError, match="'KNEE' has no code here"):
        export_study(output, "A", tmp_path / "study", body_part="knee")
