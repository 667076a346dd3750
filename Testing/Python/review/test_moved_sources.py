"""A cine under a new name in the folder of a batch: its case, its result and its readers' work stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dicom_helpers import export_again
from review_helpers import square

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import read_listed
from UltrasoundLesionSegLib.batch.run import BatchResult
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState
from UltrasoundLesionSegLib.review.case_cines import CaseCines
from UltrasoundLesionSegLib.review.worklist import Worklist, begin

Batch = Callable[..., BatchResult]
Draw = Callable[..., None]


@pytest.fixture
def output(cines: Path, batch: Batch, draw: Draw) -> Path:
    """A batch of two cines, the second without a result; reader A has drawn on both."""
    draw("case-0001", [ReaderAnchor(2, "Lesion", square(), How.DRAWN)], state=ReviewState.DONE)
    draw("case-0002", [ReaderAnchor(3, "Lesion", square(), How.DRAWN)])
    return cines.parent / "out"


def names(output: Path) -> dict[str, str]:
    return {one.case.source.name: one.case.name for one in read_listed(BatchFolder(output).sources)}


def rename(cines: Path) -> None:
    (cines / "Doe_1.dcm").rename(cines / "Roe_9.dcm")
    (cines / "Doe_1.seed.1.png").rename(cines / "Roe_9.seed.1.png")
    (cines / "Doe_2.dcm").rename(cines / "Aoe_2.dcm")


def test_renamed_files_keep_their_cases(cines: Path, output: Path, batch: Batch) -> None:
    rename(cines)
    result = batch()
    assert result.finished == ["case-0001"]
    assert list(result.failed) == ["case-0002"], "it has no seed, as before"
    assert names(output) == {"Roe_9.dcm": "case-0001", "Aoe_2.dcm": "case-0002"}
    worklist = Worklist(output, "A")
    assert [one.name for one in worklist.cases()] == ["case-0002", "case-0001"]
    assert worklist.case("case-0001").state is ReviewState.DONE
    assert worklist.source_of("case-0002") == cines / "Aoe_2.dcm"
    assert CaseCines(output).cine("case-0001") is not None


def test_a_cine_exported_again_under_a_new_name_keeps_its_case(cines: Path, output: Path, batch: Batch) -> None:
    rename(cines)
    export_again(cines / "Roe_9.dcm")
    export_again(cines / "Aoe_2.dcm", changed=True)
    result = batch(reader="A")
    assert result.computed == ["case-0001"], "the file is another one"
    assert names(output) == {"Roe_9.dcm": "case-0001", "Aoe_2.dcm": "case-0003", "Doe_2.dcm": "case-0002"}
    assert json.loads((output / "cases" / "case-0001" / "run.json").read_text())["anchors"] == {"Lesion": [1, 2]}
    assert Worklist(output, "A").case("case-0001").state is ReviewState.DONE


def test_a_copy_is_a_case_of_its_own_and_never_takes_a_case_over(cines: Path, output: Path, batch: Batch) -> None:
    shutil.copy(cines / "Doe_2.dcm", cines / "Aoe_1.dcm")
    batch()
    assert names(output) == {"Doe_1.dcm": "case-0001", "Doe_2.dcm": "case-0002", "Aoe_1.dcm": "case-0003"}
    (cines / "Doe_2.dcm").unlink()
    batch()
    assert names(output)["Aoe_1.dcm"] == "case-0003"


def test_two_files_with_the_content_of_one_lost_case_share_no_name(cines: Path, output: Path, batch: Batch) -> None:
    rename(cines)
    shutil.copy(cines / "Aoe_2.dcm", cines / "Boe_2.dcm")
    batch()
    assert names(output) == {"Roe_9.dcm": "case-0001", "Aoe_2.dcm": "case-0002", "Boe_2.dcm": "case-0003"}


def test_a_manifest_without_names_knows_them_too(cines: Path, output: Path) -> None:
    from UltrasoundLesionSegLib.batch.plan import find_cases, named_cases

    rename(cines)
    (cines.parent / "list.csv").write_text("source\ncines/Aoe_2.dcm\ncines/Roe_9.dcm\n")
    folder = BatchFolder(output)
    listed = named_cases(find_cases(cines.parent / "list.csv", output)[0], folder)
    assert [one.case.name for one in listed] == ["case-0002", "case-0001"]


def test_the_list_that_the_panel_begins_anew_has_the_cases_where_they_are_now(cines: Path, output: Path) -> None:
    rename(cines)
    counted: list[int] = []
    assert begin(cines, output, counted.append) == 2
    assert counted
    assert names(output) == {"Roe_9.dcm": "case-0001", "Aoe_2.dcm": "case-0002"}
    (first,) = [one for one in read_listed(BatchFolder(output).sources) if one.case.name == "case-0001"]
    assert [seed.path.name for seed in first.case.seeds] == ["Roe_9.seed.1.png"]
    assert first.state == "done"
    with Worklist(output, "A").open("case-0002") as case:
        assert case.source == cines / "Aoe_2.dcm"
        assert [one.frame for one in case.anchors] == [3]


def test_a_search_that_is_cancelled_changes_nothing(cines: Path, output: Path) -> None:
    rename(cines)
    before = BatchFolder(output).sources.read_bytes()

    def cancel(number: int) -> None:
        looked_at.append(number)
        if looked_at.count(1) == 2:  # the second search, that for moved sources, has begun
            raise KeyboardInterrupt

    looked_at: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        begin(cines, output, cancel)
    assert BatchFolder(output).sources.read_bytes() == before
