"""The list of cases: order, states, progress, opening and storing, sources that moved."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from UltrasoundLesionSegLib.batch.case_row import read_case
from UltrasoundLesionSegLib.batch.fingerprint import content_digest
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.index import read_index, read_rows, write_index
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, read_listed, write_listed
from UltrasoundLesionSegLib.batch.reviews import Reviews
from UltrasoundLesionSegLib.errors import HeldError, ReviewError
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState, SourceNote
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.review.open_case import OpenCase
from UltrasoundLesionSegLib.review.pace import Pace
from UltrasoundLesionSegLib.review.worklist import Worklist, begin

Anchor = Callable[..., ReaderAnchor]
POOR, FAIR, GOOD = [0.4] * 9, [0.7] * 9, [0.97] * 9


@pytest.fixture
def output(tmp_path: Path, machine_case: Callable[..., Path]) -> Path:
    """A batch folder with three computed cases and a failed one."""
    sources = tmp_path / "Doe" / "2026"
    sources.mkdir(parents=True)
    folder, listed = BatchFolder(tmp_path / "out"), []
    for name, confidences in (("good", GOOD), ("poor", POOR), ("fair", FAIR)):
        cine = sources / f"Doe_{name}.cine"
        cine.write_text(name)
        machine_case(name, confidences, content=content_digest(cine))
        listed.append(ListedCase(BatchCase(cine, name=name), "done"))
    listed.append(ListedCase(BatchCase(sources / "Doe_broken.cine", name="broken"), "failed", "no seed was found"))
    with folder.held():
        write_listed(folder.sources, listed)
        write_index(folder, read_rows(folder, listed))
    return folder.root


def names(worklist: Worklist, *states: ReviewState) -> list[str]:
    return [one.name for one in worklist.cases(states or None)]


def store(case: OpenCase, anchors: list[ReaderAnchor], **options: Any) -> None:
    case.store(anchors, SourceNote("ab" * 32, 10, 24, 32), **options)


def test_what_is_to_be_won_comes_first(output: Path) -> None:
    worklist = Worklist(output, "A")
    assert names(worklist) == ["poor", "fair", "good", "broken"]
    poor, broken = worklist.case("poor"), worklist.case("broken")
    assert (poor.state, poor.frames, poor.machine, poor.frames_drawn) == (ReviewState.NEW, 10, "done", 0)
    assert poor.overlap == pytest.approx(0.4)
    assert poor.stretch is not None
    assert (poor.stretch.first, poor.stretch.last) == (0, 9)
    assert poor.gain > worklist.case("fair").gain > worklist.case("good").gain == 0
    assert poor.next_frame in range(3, 10)
    assert (broken.machine, broken.remark) == ("failed", "not computed: no seed was found")


def test_the_same_list_without_an_index_or_a_key(output: Path) -> None:
    with_index = Worklist(output, "A").cases()
    (output / ".batch" / "index.jsonl").unlink()
    assert Worklist(output, "A").cases() == with_index
    shutil.rmtree(output / "key")
    worklist = Worklist(output, "A")
    assert names(worklist) == ["poor", "fair", "good"]
    assert worklist.source_of("poor") is None


def test_a_cut_line_of_the_index_is_read_from_the_cases(output: Path) -> None:
    expected = Worklist(output, "A").cases()
    index = output / ".batch" / "index.jsonl"
    index.write_text(index.read_text()[:-200])
    assert len(read_index(BatchFolder(output))) == 2
    assert Worklist(output, "A").cases() == expected


@pytest.mark.parametrize("how", ["confirmed", "another frame", "done", "set aside"])
def test_a_suggested_seed_is_looked_at_once_a_reader_confirmed_it(output: Path, anchor: Anchor, how: str) -> None:
    record = output / "cases" / "poor" / "run.json"
    record.write_text(record.read_text().replace('"suggested_on_frame": null', '"suggested_on_frame": 4'))
    (output / ".batch" / "index.jsonl").unlink()
    worklist, unseen = Worklist(output, "A"), "suggested seed on frame 4, not looked at"
    assert (worklist.case("poor").remark, worklist.case("poor").next_frame) == (unseen, 4)
    with worklist.open("poor") as case:
        if how == "confirmed":
            store(case, [anchor(4, how=How.CONFIRMED)])
        elif how == "set aside":
            store(case, [], state=ReviewState.SET_ASIDE, reason="no lesion")
        else:
            store(case, [anchor(5)], state=ReviewState.DONE if how == "done" else ReviewState.IN_WORK)
    expected = unseen if how == "another frame" else ""
    assert worklist.case("poor").remark == expected
    assert (worklist.case("poor").next_frame == 4) is (how == "another frame")
    assert Worklist(output, "B").case("poor").remark == unseen, "each reader looks for herself"
    row = read_case(BatchFolder(output), "poor")
    assert row is not None
    assert Reviews.of(output).remarks(row) == ([expected] if expected else [])


def test_cases_with_a_suggested_seed_come_first_and_keep_their_place(output: Path, anchor: Anchor) -> None:
    for name in ("good", "fair"):
        record = output / "cases" / name / "run.json"
        record.write_text(record.read_text().replace('"suggested_on_frame": null', '"suggested_on_frame": 4'))
    (output / ".batch" / "index.jsonl").unlink()
    worklist = Worklist(output, "A")
    assert names(worklist) == ["fair", "good", "poor", "broken"]
    with worklist.open("fair") as case:
        store(case, [anchor(4, how=How.CONFIRMED)])
    assert names(worklist) == ["fair", "good", "poor", "broken"]
    assert worklist.next_case(after="fair") == "good"


def test_a_case_is_opened_drawn_on_and_done(output: Path, anchor: Anchor) -> None:
    worklist = Worklist(output, "A")
    with worklist.open("poor") as case:
        assert case.source is not None
        assert case.source.name == "Doe_poor.cine"
        assert case.machine is not None
        assert case.machine.lesions == ("Lesion",)
        assert case.state is ReviewState.NEW
        assert case.anchors == []
        store(case, [anchor(4)], seconds=30)
        assert worklist.case("poor").state is ReviewState.IN_WORK
        assert (worklist.case("poor").frames_drawn, worklist.case("poor").seconds) == (1, 30)
        store(case, [anchor(4), anchor(7)], seconds=50, state=ReviewState.DONE, comment="rim")
    assert names(worklist) == ["fair", "good", "broken", "poor"]
    assert names(Worklist(output, "A"), ReviewState.DONE) == ["poor"]
    assert names(Worklist(output, "B"), ReviewState.DONE) == []
    with worklist.open("poor") as again:
        assert [one.frame for one in again.anchors] == [4, 7]
        store(again, again.anchors, seconds=10)
        assert again.record is not None
        assert (again.record.seconds, again.record.comment, again.state) == (60, "rim", ReviewState.IN_WORK)


def test_a_done_case_keeps_the_masks_that_the_reader_saw(
    output: Path, anchor: Anchor, machine_case: Callable[..., Path]
) -> None:
    worklist = Worklist(output, "A")
    with worklist.open("poor") as case:
        store(case, [anchor(4, radius=2)], state=ReviewState.DONE)
        seen = case.work.result()
        assert seen is not None
        before = [seen.masks(frame) for frame in range(10)]
    shutil.rmtree(output / "cases" / "poor")
    machine_case("poor", GOOD[:9])
    (output / "cases" / "poor" / "masks" / "00003.png").unlink()
    result = worklist.open("poor").work.result()
    assert result is not None
    assert all(np.array_equal(result.masks(frame), mask) for frame, mask in enumerate(before))
    at_4 = result.masks(4)
    assert at_4 is not None
    assert at_4.sum() == anchor(4, radius=2).mask.sum()


def test_a_source_that_changed_makes_a_done_case_one_in_work(
    output: Path, anchor: Anchor, machine_case: Callable[..., Path]
) -> None:
    worklist = Worklist(output, "A")
    with worklist.open("poor") as case:
        store(case, [anchor(4)], state=ReviewState.DONE)
    shutil.rmtree(output / "cases" / "poor")
    machine_case("poor", POOR, digest="cd" * 32)
    (output / ".batch" / "index.jsonl").unlink()
    worklist.refresh()
    assert worklist.case("poor").state is ReviewState.IN_WORK
    assert worklist.case("poor").remark == "the source has changed since the work of A"
    row = read_case(BatchFolder(output), "poor")
    assert row is not None
    assert Reviews.of(output).remarks(row) == ["the source has changed since the work of A"], "so says the page"
    with (
        worklist.open("poor") as case,
        pytest.raises(ReviewError, match="another version of the cine"),
    ):
        case.check_source(SourceNote("cd" * 32, 10, 24, 32))
    with worklist.open("fair") as case, pytest.raises(ReviewError, match="another one than the batch computed"):
        case.check_source(SourceNote("cd" * 32, 10, 24, 32))


def test_a_case_that_another_has_says_so_and_is_not_next(output: Path) -> None:
    mine, theirs = Worklist(output, "A"), Worklist(output, "A")
    with theirs.open("poor"):
        with pytest.raises(HeldError, match="in work by somebody else"):
            mine.open("poor")
        with pytest.raises(HeldError):
            mine.set_aside("poor", "blurred")
        assert mine.next_case() == "fair"
        Worklist(output, "B").open("poor").close()  # another reader is not in the way
    assert mine.next_case() == "poor"


def test_the_next_case_is_the_one_after_and_never_one_that_was_done_elsewhere(output: Path, anchor: Anchor) -> None:
    mine, theirs = Worklist(output, "A"), Worklist(output, "A")
    assert mine.next_case() == "poor"
    assert mine.next_case(after="poor") == "fair"
    assert mine.next_case(after="broken") == "poor"
    with theirs.open("fair") as case:
        store(case, [anchor(4)], state=ReviewState.DONE)
    assert mine.next_case(after="poor") == "good"
    for name in ("poor", "good", "broken"):
        mine.set_aside(name, "not for this study")
    assert mine.next_case() is None


def test_a_case_is_set_aside_and_taken_up_again(output: Path, anchor: Anchor) -> None:
    worklist = Worklist(output, "A")
    with pytest.raises(ReviewError, match="no reason"):
        worklist.set_aside("poor", "  ")
    worklist.set_aside("fair", "wrong organ")
    with worklist.open("poor") as case:
        store(case, [anchor(4)], seconds=5)
    worklist.set_aside("poor", "blurred")
    assert names(worklist) == ["good", "broken", "poor", "fair"]
    assert worklist.case("poor").reason == "blurred"
    worklist.take_up("poor")
    worklist.take_up("fair")
    assert (worklist.case("poor").state, worklist.case("fair").state) == (ReviewState.IN_WORK, ReviewState.NEW)
    with worklist.open("poor") as case:
        assert [one.frame for one in case.anchors] == [4]


def test_damage_of_one_case_is_a_remark_of_that_case(output: Path, anchor: Anchor) -> None:
    worklist = Worklist(output, "A")
    with worklist.open("poor") as case:
        store(case, [anchor(4)])
    (output / "review" / "A" / "poor" / "review.json").write_text("{}")
    worklist.refresh()
    assert "damaged" in worklist.case("poor").remark
    with pytest.raises(ReviewError, match="damaged"):
        worklist.open("poor")
    assert not (output / "review" / "A" / "poor" / "hold.json").exists()
    assert worklist.open("fair").name == "fair"


@pytest.mark.parametrize(
    ("pace", "sentence"),
    [
        (Pace(0, 0, 210), "0 of 210 done"),
        (Pace(37, 0, 210, 4 * 3600), "37 of 210 done, about 4 h left at this pace"),
        (Pace(37, 2, 210, 95 * 60), "37 of 210 done, 2 set aside, about 1.6 h left at this pace"),
        (Pace(1, 0, 2, 20), "1 of 2 done, about 1 min left at this pace"),
        (Pace(2, 0, 2, 0), "2 of 2 done"),
    ],
)
def test_progress_is_a_sentence(pace: Pace, sentence: str) -> None:
    assert str(pace) == sentence


def test_the_pace_is_that_of_the_cases_done(output: Path, anchor: Anchor) -> None:
    worklist = Worklist(output, "A")
    for name, seconds in (("poor", 300), ("fair", 900)):
        with worklist.open(name) as case:
            store(case, [anchor(4)], seconds=seconds, state=ReviewState.DONE)
    worklist.set_aside("broken", "no lesion")
    assert worklist.pace() == Pace(2, 1, 4, 600.0)


def test_a_moved_source_is_found_and_the_others_with_it(output: Path, tmp_path: Path) -> None:
    (tmp_path / "Doe").rename(tmp_path / "moved")
    worklist = Worklist(output, "A")
    assert worklist.source_of("poor") is None
    found = worklist.find_source("poor", tmp_path / "moved")
    assert found == tmp_path / "moved" / "2026" / "Doe_poor.cine"
    assert worklist.source_of("fair") == tmp_path / "moved" / "2026" / "Doe_fair.cine"
    assert Worklist(output, "A", worklist.moves).source_of("good") is not None
    assert worklist.find_source("poor", output) is None


def test_a_renamed_source_is_found_by_its_content_and_another_of_its_name_is_not(output: Path, tmp_path: Path) -> None:
    (tmp_path / "Doe").rename(tmp_path / "moved")
    (tmp_path / "moved" / "2026" / "Doe_poor.cine").rename(tmp_path / "moved" / "x.cine")
    (tmp_path / "moved" / "2026" / "Doe_poor.cine").write_text("another cine")
    looked_at: list[int] = []
    worklist = Worklist(output, "A")
    assert worklist.find_source("poor", tmp_path / "moved", looked_at.append) == tmp_path / "moved" / "x.cine"
    assert looked_at == list(range(1, len(looked_at) + 1))


def test_paths_of_another_system_are_understood(output: Path, tmp_path: Path) -> None:
    key = output / "key" / "sources.csv"
    folder = str(tmp_path / "Doe" / "2026")
    key.write_text(key.read_text().replace(f"{folder}/", "D:\\Doe\\2026\\"))
    worklist = Worklist(output, "A")
    assert worklist.source_of("poor") is None
    assert worklist.find_source("poor", tmp_path) == tmp_path / "Doe" / "2026" / "Doe_poor.cine"
    assert worklist.source_of("fair") == tmp_path / "Doe" / "2026" / "Doe_fair.cine"


def test_a_list_begins_with_a_folder_of_cines(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "cines" / name).mkdir(parents=True)
        (tmp_path / "cines" / name / f"Doe_{name}.dcm").write_bytes(b"\0" * 128 + b"DICM" + name.encode())
    assert begin(tmp_path / "cines", tmp_path / "out") == 2
    worklist = Worklist(tmp_path / "out", "A")
    assert [(one.name, one.machine, one.frames) for one in worklist.cases()] == [
        ("case-0001", "waiting", None),
        ("case-0002", "waiting", None),
    ]
    with worklist.open("case-0001") as case:
        assert case.machine is None
        assert case.source == tmp_path / "cines" / "a" / "Doe_a.dcm"
        store(case, [ReaderAnchor(3, "Lesion", np.ones((24, 32), bool), How.DRAWN)])
        with pytest.raises(ReviewError, match="no masks yet"):
            store(case, [], state=ReviewState.DONE)
    assert begin(tmp_path / "cines", tmp_path / "out") == 2
    assert [one.case.name for one in read_listed(tmp_path / "out" / "key" / "sources.csv")] == [
        "case-0001",
        "case-0002",
    ]


def test_a_folder_that_is_no_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="no batch's output"):
        Worklist(tmp_path, "A")
    with pytest.raises(ReviewError, match="1 to 16 letters"):
        Worklist(tmp_path, "Dr. Doe")


@pytest.mark.parametrize("code", ["con", "NUL", "com1"])
def test_a_code_that_is_a_device_on_windows_is_refused(output: Path, code: str) -> None:
    with pytest.raises(ReviewError, match="name of a device on Windows"):
        Worklist(output, code)
    (output / "review" / code).mkdir(parents=True)
    assert Worklist(output, "A").readers() == []


def test_masks_that_are_gone_are_said_and_not_taken_for_frames_without_a_result(output: Path, anchor: Anchor) -> None:
    with Worklist(output, "A").open("poor") as case:
        (output / "cases" / "poor" / "masks" / "00005.png").unlink()
        with pytest.raises(ReviewError, match="result of this case cannot be read; run the batch again"):
            store(case, [anchor(2)], state=ReviewState.DONE)
        assert case.work.record() is None, "a case is not done without the masks that the reader vouches for"
        shutil.rmtree(output / "cases" / "poor")
        with pytest.raises(ReviewError, match="replaced or removed meanwhile; open the case again"):
            store(case, [anchor(2)], state=ReviewState.DONE)
        store(case, [anchor(2)])
    record = ReviewFolder(output).work("A", "poor").record()
    assert record is not None
    assert record.frames_drawn == (2,)


def test_masks_of_two_results_are_not_mixed(output: Path, anchor: Anchor, machine_case: Callable[..., Path]) -> None:
    with Worklist(output, "A").open("poor") as case:
        assert case.machine is not None
        assert case.machine.masks(3) is not None
        (output / "cases" / "poor").rename(output / "before")
        machine_case("poor", [0.9] * 9)
        with pytest.raises(ReviewError, match="replaced or removed meanwhile; open the case again"):
            case.machine.masks(4)
    with Worklist(output, "A").open("poor") as case:
        assert case.machine is not None
        assert case.machine.masks(4) is not None
