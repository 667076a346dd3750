"""A cine that was exported again: another file with the same pixels. The reader's work on it goes on."""

from __future__ import annotations

import csv
import importlib.resources
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import slicer
from dicom_helpers import export_again
from review_helpers import square

from UltrasoundLesionSegLib.adaptation.reviewed import reviewed_lesions
from UltrasoundLesionSegLib.batch.run import BatchResult
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.reader_work.record import EXPORTED_AGAIN, How, ReaderAnchor, ReviewState
from UltrasoundLesionSegLib.review.compare import compare_and_write
from UltrasoundLesionSegLib.review.scene import open_in_scene
from UltrasoundLesionSegLib.review.study import export_study
from UltrasoundLesionSegLib.review.worklist import Worklist
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

CASE = "case-0001"
Batch = Callable[..., BatchResult]
Draw = Callable[..., None]


def record_of(output: Path, reader: str = "A") -> dict:
    content = json.loads((output / "review" / reader / CASE / "review.json").read_text())
    schema = importlib.resources.files("UltrasoundLesionSegLib.reader_work") / "review.schema.json"
    jsonschema.validate(content, json.loads(schema.read_text()))
    return content


@pytest.fixture
def output(cines: Path, batch: Batch, draw: Draw) -> Path:
    """A batch whose first case reader A has done, before its cine was exported again."""
    anchors = [ReaderAnchor(frame, "Lesion", square(), How.DRAWN) for frame in (2, 4)]
    draw(CASE, anchors, state=ReviewState.DONE)
    export_again(cines / "Doe_1.dcm")
    return cines.parent / "out"


def test_the_case_opens_with_the_work_on_it_and_says_so(output: Path, logic: UltrasoundLesionWorkflow) -> None:
    before = record_of(output)
    case = open_in_scene(logic, Worklist(output, "A").open(CASE))
    assert case.notice == EXPORTED_AGAIN
    segment = case.segment_of("Lesion")
    assert np.array_equal(case.sequence.read(2, segment), square())
    assert case.sequence.read(3, segment).any(), "the masks that the case was done with"
    case.finish()
    case.close()
    after = record_of(output)
    assert after["source"]["sha256"] != before["source"]["sha256"]
    assert after["source"]["pixels"] == before["source"]["pixels"]
    assert after["anchors"] == before["anchors"]
    case = open_in_scene(logic, Worklist(output, "A").open(CASE))
    assert case.notice == ""
    case.close()


def test_a_batch_takes_the_anchors_and_the_case_stays_done(output: Path, batch: Batch) -> None:
    assert batch(reader="A").computed == [CASE]
    record = json.loads((output / "cases" / CASE / "run.json").read_text())
    assert record["anchors"] == {"Lesion": [1, 2, 4]}
    assert EXPORTED_AGAIN in record["notices"]
    listed = Worklist(output, "A").case(CASE)
    assert listed.state is ReviewState.DONE
    assert "changed" not in listed.remark
    row = next(row for row in csv.DictReader((output / "cases.csv").open()) if row["case"] == CASE)
    assert row["review_A"] == "done"
    assert batch(reader="A").finished == [CASE]


def test_the_study_is_exported_and_a_model_can_learn_from_it(output: Path, tmp_path: Path) -> None:
    assert export_study(output, "A", tmp_path / "study").written == [CASE]
    exported = json.loads((tmp_path / "study" / "cases" / CASE / "run.json").read_text())
    assert EXPORTED_AGAIN in exported["notices"]
    (lesion,) = reviewed_lesions(output, "A").lesions
    assert len(lesion.masks) == 2


def test_readers_who_worked_before_and_after_are_compared(output: Path, draw: Draw, tmp_path: Path) -> None:
    anchors = [ReaderAnchor(frame, "Lesion", square(), How.DRAWN) for frame in (2, 4)]
    draw(CASE, anchors, reader="B", state=ReviewState.DONE)
    assert record_of(output, "B")["source"]["sha256"] != record_of(output)["source"]["sha256"]
    written = compare_and_write(output, ("A", "B"), tmp_path / "compared", pixels_allowed=True)
    assert written.left_out == 0
    assert "data:image/jpeg" in (tmp_path / "compared" / "comparison.html").read_text()


def test_it_is_found_under_another_name_too(output: Path, cines: Path, tmp_path: Path) -> None:
    (tmp_path / "archive" / "IM").mkdir(parents=True)
    (tmp_path / "archive" / "IM" / "note.txt").write_text("no cine")
    (cines / "Doe_2.dcm").rename(tmp_path / "archive" / "IM" / "0001")
    export_again(tmp_path / "archive" / "IM" / "0001")
    found = (cines / "Doe_1.dcm").rename(tmp_path / "archive" / "IM" / "0002")
    export_again(tmp_path / "archive" / "IM" / "0001", changed=True)
    worklist = Worklist(output, "A")
    assert worklist.source_of(CASE) is None
    assert worklist.find_source(CASE, tmp_path / "archive") == found
    assert worklist.source_of(CASE) == found


def test_other_pixels_are_another_cine(
    output: Path, cines: Path, logic: UltrasoundLesionWorkflow, batch: Batch
) -> None:
    export_again(cines / "Doe_1.dcm", changed=True)
    with Worklist(output, "A").open(CASE) as case, pytest.raises(ReviewError, match="another one than the batch"):
        open_in_scene(logic, case)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 0
    assert batch(reader="A").failed[CASE].startswith("the reader's anchors are of another version of the cine")
    assert reviewed_lesions(output, "A").lesions == []


def test_work_from_before_pixels_were_stored_goes_on_with_its_own_file_alone(
    cines: Path, batch: Batch, draw: Draw, logic: UltrasoundLesionWorkflow
) -> None:
    output = cines.parent / "out"
    draw(CASE, [ReaderAnchor(2, "Lesion", square(), How.DRAWN)])
    stored = output / "review" / "A" / CASE / "review.json"
    content = json.loads(stored.read_text())
    del content["source"]["pixels"]
    stored.write_text(json.dumps(content | {"schema_version": 1}))
    computed = batch(reader="A").computed
    assert computed == [CASE]
    case = open_in_scene(logic, Worklist(output, "A").open(CASE))
    assert case.notice == ""
    case.take(ReaderAnchor(5, "Lesion", square(), How.DRAWN))
    case.close()
    assert "pixels" in record_of(output)["source"]
    stored.write_text(json.dumps(content | {"schema_version": 1}))
    export_again(cines / "Doe_1.dcm")
    with Worklist(output, "A").open(CASE) as again, pytest.raises(ReviewError, match="of another version of the cine"):
        open_in_scene(logic, again)


def test_knowing_the_pixels_is_no_reason_to_compute_again(cines: Path, batch: Batch, draw: Draw) -> None:
    draw(CASE, [ReaderAnchor(2, "Lesion", square(), How.DRAWN)])
    stored = cines.parent / "out" / "review" / "A" / CASE / "review.json"
    content = json.loads(stored.read_text())
    without = {name: value for name, value in content["source"].items() if name != "pixels"}
    stored.write_text(json.dumps(content | {"schema_version": 1, "source": without}))
    assert batch(reader="A").computed == [CASE]
    stored.write_text(json.dumps(content))
    assert batch(reader="A").finished == [CASE]
