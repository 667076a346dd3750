"""A reader's work on the disk: what is stored is read back, also by other programs, and damage is noticed."""

from __future__ import annotations

import importlib.resources
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.errors import HeldError, ReviewError
from UltrasoundLesionSegLib.reader_work import store as store_module
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewRecord, ReviewState, SourceNote
from UltrasoundLesionSegLib.reader_work.results import no_masks, read_machine_result
from UltrasoundLesionSegLib.reader_work.store import CaseWork, ReviewFolder
from UltrasoundLesionSegLib.reader_work.work import Work

SCHEMA = json.loads(
    (importlib.resources.files("UltrasoundLesionSegLib.reader_work") / "review.schema.json").read_text()
)
Anchor = Callable[..., ReaderAnchor]


@pytest.fixture
def work(tmp_path: Path) -> CaseWork:
    return ReviewFolder(tmp_path / "out").work("A", "case-0001")


def stored(work: CaseWork) -> dict:
    """Return the record as it lies on the disk, checked against the published schema."""
    content = json.loads((work.folder / "review.json").read_text())
    jsonschema.validate(content, SCHEMA)
    return content


def test_what_a_reader_drew_is_read_back(work: CaseWork, source: SourceNote, anchor: Anchor) -> None:
    drawn = [anchor(7, how=How.NOT_VISIBLE), anchor(3, how=How.CONFIRMED), anchor(3, "Second", How.CLICKED, radius=2)]
    drawn[2].mask[:] = np.roll(drawn[2].mask, 15, axis=1)  # beside the other lesion
    with work.hold() as hold:
        work.store(hold, Work(source, drawn, seconds=61.26, comment="dark rim"))
    record, read = work.record(), work.anchors()
    assert record is not None
    assert (record.state, record.seconds, record.comment) == (ReviewState.IN_WORK, 61.3, "dark rim")
    assert record.frames_drawn == (3, 7)
    assert record.source == source
    assert [(one.frame, one.lesion, one.how) for one in read] == [
        (3, "Lesion", How.CONFIRMED),
        (3, "Second", How.CLICKED),
        (7, "Lesion", How.NOT_VISIBLE),
    ]
    for one, before in zip(read, (drawn[1], drawn[2], drawn[0]), strict=True):
        assert np.array_equal(one.mask, before.mask)
    stored(work)


def test_any_program_reads_the_label_images(work: CaseWork, source: SourceNote, anchor: Anchor) -> None:
    first, second = anchor(3), anchor(3, "Second", radius=3)  # inside the first: they share pixels
    with work.hold() as hold:
        work.store(hold, Work(source, [first, second]))
    content = stored(work)
    (listed,) = content["anchors"]
    labels = np.asarray(Image.open(work.folder / listed["file"]))
    assert labels.dtype == np.uint8
    for lesion, drawn in zip(content["lesions"], (first, second), strict=True):
        assert np.array_equal(np.isin(labels, lesion["labels"]), drawn.mask)


def test_more_lesions_than_a_byte_counts(work: CaseWork, source: SourceNote) -> None:
    masks = np.zeros((300, *source.shape), bool)
    masks.reshape(300, -1)[np.arange(300), np.arange(300)] = True
    drawn = [ReaderAnchor(0, f"Lesion {number}", mask, How.DRAWN) for number, mask in enumerate(masks)]
    with work.hold() as hold:
        work.store(hold, Work(source, drawn))
    assert all(np.array_equal(one.mask, mask) for one, mask in zip(work.anchors(), masks, strict=True))
    (listed,) = stored(work)["anchors"]
    assert np.asarray(Image.open(work.folder / listed["file"])).max() == 300


def test_a_store_writes_what_is_new_and_removes_what_no_longer_counts(
    work: CaseWork, source: SourceNote, anchor: Anchor
) -> None:
    one, two = anchor(1), anchor(2)
    with work.hold() as hold:
        work.store(hold, Work(source, [one, two]))
        before = {path.name: path.stat().st_mtime_ns for path in (work.folder / "anchors").iterdir()}
        work.store(hold, Work(source, [one, anchor(2, radius=3)]))
    after = {path.name: path.stat().st_mtime_ns for path in (work.folder / "anchors").iterdir()}
    assert len(before) == len(after) == 2
    kept = before.keys() & after.keys()
    assert [name for name in kept if name.startswith("00001") and before[name] == after[name]]
    assert len(kept) == 1
    assert sorted(path.name for path in work.folder.iterdir()) == ["anchors", "review.json"]


def test_a_done_case_has_the_masks_of_all_frames(
    work: CaseWork, source: SourceNote, anchor: Anchor, machine_case: Callable[..., Path]
) -> None:
    machine = read_machine_result(machine_case("case-0001", [0.9, 0.8, 0.7] * 3))
    assert machine is not None
    drawn = [anchor(4, radius=2), anchor(4, "Second", radius=4)]
    finished = machine.with_anchors(drawn)
    with work.hold() as hold:
        work.store(hold, Work(source, drawn, state=ReviewState.DONE, result=finished))
    content, result = stored(work), work.result()
    assert content["result"]["model"] == {"name": "bright", "version": "1", "sha256": "0" * 64}
    assert content["result"]["settings"] == {"model": "bright", "direction": "both"}
    assert result is not None
    assert result.lesions == ("Lesion", "Second")
    for frame in range(10):
        assert np.array_equal(result.masks(frame), finished.masks(frame))
    at_4 = result.masks(4)
    assert at_4 is not None
    assert np.array_equal(at_4, [drawn[0].mask, drawn[1].mask])
    assert result.origins["Lesion"][3:6] == [Origin.MODEL, Origin.MANUAL, Origin.MODEL]
    assert result.origins["Second"] == [None] * 4 + [Origin.MANUAL] + [None] * 5
    assert np.isnan(result.confidences["Lesion"][4])
    assert result.confidences["Lesion"][3] == 0.7


def test_frames_without_a_result_have_none(work: CaseWork, source: SourceNote, anchor: Anchor) -> None:
    result = no_masks(source).with_anchors([anchor(4)])
    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(4)], state=ReviewState.DONE, result=result))
    read = work.result()
    assert read is not None
    assert [frame for frame in range(10) if read.masks(frame) is not None] == [4]


def test_masks_are_kept_with_the_anchors_as_they_are_now_or_removed(
    work: CaseWork, source: SourceNote, anchor: Anchor, machine_case: Callable[..., Path]
) -> None:
    machine = read_machine_result(machine_case("case-0001", [0.9] * 9))
    assert machine is not None
    drawn = [anchor(4, radius=2), anchor(6, "Second", radius=2)]
    with work.hold() as hold:
        done = work.store(hold, Work(source, drawn, state=ReviewState.DONE, result=machine.with_anchors(drawn)))
        (file,) = work.folder.glob("result.*")
        written = file.stat().st_mtime_ns
        work.store(hold, Work(source, [anchor(5, radius=3)], kept=done.result))
        assert file.stat().st_mtime_ns == written
        result = work.result()
        assert result is not None
        assert result.origins["Lesion"][3:7] == [Origin.MODEL, None, Origin.MANUAL, Origin.MODEL]
        at_4, at_5, at_6 = (result.masks(frame) for frame in (4, 5, 6))
        assert at_4 is None, "an anchor that was taken back is nowhere"
        assert at_5 is not None
        assert at_6 is not None
        assert np.array_equal(at_5[0], anchor(5, radius=3).mask)
        assert at_6[0].any()
        assert not at_6[1].any()
        work.store(hold, Work(source, drawn))
    assert work.result() is None
    assert not list(work.folder.glob("result.*"))


def test_the_digest_of_anchors_depends_on_them_alone(work: CaseWork, source: SourceNote, anchor: Anchor) -> None:
    assert work.anchors_digest() is None
    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(1)]))
        first = work.anchors_digest()
        result = no_masks(source).with_anchors([anchor(1)])
        done = Work(source, [anchor(1)], state=ReviewState.DONE, seconds=9, comment="fine", result=result)
        work.store(hold, done)
        assert work.anchors_digest() == first
        work.store(hold, Work(source, [anchor(1, how=How.CONFIRMED)]))
        assert work.anchors_digest() != first
    assert first is not None


def test_each_case_of_a_reader_is_listed_and_damage_is_said(tmp_path: Path, source: SourceNote, anchor: Anchor) -> None:
    folder = ReviewFolder(tmp_path)
    for case in ("a", "b"):
        work = folder.work("A", case)
        with work.hold() as hold:
            work.store(hold, Work(source, [anchor(1)]))
    (tmp_path / "review" / "A" / "b" / "review.json").write_text("{")
    records = folder.records("A")
    assert isinstance(records["a"], ReviewRecord)
    assert isinstance(records["b"], ReviewError)
    assert folder.readers() == ["A"]
    with pytest.raises(ReviewError, match="a reader 'A' already"):
        folder.work("a", "a")


@pytest.mark.parametrize("code", ["", "Dr. Doe", "a/b", "..", "é", "x" * 17, "a\n"])
def test_a_reader_is_a_short_code(tmp_path: Path, code: str) -> None:
    with pytest.raises(ReviewError, match="1 to 16 letters"):
        ReviewFolder(tmp_path).work(code, "a")


@pytest.mark.parametrize("case", ["", "..", "../x", ".hidden", "a/b"])
def test_a_case_is_a_folder_of_the_reader(tmp_path: Path, case: str) -> None:
    with pytest.raises(ReviewError, match="no case of this name"):
        ReviewFolder(tmp_path).work("A", case)


@pytest.mark.parametrize(
    "damage", ["cut", "other pixels", "other size", "no file", "an earlier version", "a later version", "a loop"]
)
def test_damaged_files_are_said_in_a_sentence(work: CaseWork, source: SourceNote, anchor: Anchor, damage: str) -> None:
    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(1)]))
    (image,) = (work.folder / "anchors").iterdir()
    record = work.folder / "review.json"
    if damage == "cut":
        image.write_bytes(image.read_bytes()[:50])
    elif damage == "other pixels":
        Image.fromarray(np.zeros(source.shape, np.uint8)).save(image)
    elif damage == "other size":
        Image.fromarray(np.zeros((5, 5), np.uint8)).save(image)
    elif damage == "no file":
        image.unlink()
    elif damage == "an earlier version":
        record.write_text(record.read_text().replace('"result"', '"finished"'))
    elif damage == "a later version":
        record.write_text(record.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    else:
        record.write_text("[" * 100_000)
    said = "later version.*update this one" if damage == "a later version" else "damaged.*earlier version.*move it away"
    with pytest.raises(ReviewError, match=said):
        work.anchors()


@pytest.mark.parametrize("damage", ["cut", "no content", "another length", "a bomb", "no file"])
def test_a_damaged_result_is_said_in_a_sentence(
    work: CaseWork, source: SourceNote, anchor: Anchor, damage: str
) -> None:
    result = no_masks(source).with_anchors([anchor(1)])
    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(1)], state=ReviewState.DONE, result=result))
    (path,) = work.folder.glob("result.*.zip")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "no file":
        path.unlink()
    else:
        content = '{"lesions": [{"name": "Lesion", "labels": [1]}], "origins": {"Lesion": [null]}, "confidences": {}}'
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("00001.png", b"no picture")
            if damage == "another length":
                archive.writestr("result.json", content)
            elif damage == "a bomb":
                archive.writestr("result.json", bytes(2**26 + 1))
    with pytest.raises(ReviewError, match="damaged"):
        work.result()


def test_every_field_of_a_wrong_kind_is_refused(work: CaseWork, source: SourceNote, anchor: Anchor) -> None:
    result = no_masks(source).with_anchors([anchor(1)])
    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(1)], state=ReviewState.DONE, result=result))
    content = stored(work)
    for name in content:
        for wrong in (None, 7.5, [3], {"a": 1}, "../../x"):
            if wrong == content[name] or (name, type(wrong)) in {
                ("seconds", float),
                ("result", type(None)),
                ("removed", list),
            }:
                continue
            if isinstance(wrong, str) and name in ("case", "comment", "reason"):
                continue
            with pytest.raises(ReviewError):
                ReviewRecord.from_json({**content, name: wrong})
        without = {key: value for key, value in content.items() if key != name}
        if name == "removed":  # not in files of earlier versions
            assert ReviewRecord.from_json(without) == ReviewRecord.from_json(content)
            continue
        with pytest.raises(ReviewError):
            ReviewRecord.from_json(without)


def test_work_that_does_not_fit_is_refused_and_what_was_stored_stays(
    work: CaseWork, source: SourceNote, anchor: Anchor
) -> None:
    other = no_masks(replace(source, frames=11))
    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(1)]))
        for wrong in (
            Work(source, [anchor(10)]),
            Work(source, [anchor(1), anchor(1)]),
            Work(None, [anchor(1)]),
            Work(source, [ReaderAnchor(1, "Lesion", np.zeros((3, 3), bool), How.DRAWN)]),
            Work(source, state=ReviewState.DONE),
            Work(source, state=ReviewState.SET_ASIDE),
            Work(source, reason="blurred"),
            Work(source, result=other),
        ):
            with pytest.raises(ReviewError):
                work.store(hold, wrong)
    assert [one.frame for one in work.anchors()] == [1]


def test_work_that_comes_after_the_case_was_taken_over_lies_aside(
    work: CaseWork, source: SourceNote, anchor: Anchor
) -> None:
    with work.hold() as hold:
        before = work.store(hold, Work(source, [anchor(1)], result=no_masks(source).with_anchors([anchor(3)])))
        (work.folder / "hold.json").write_text('{"token": "another", "machine": "x"}')
        with pytest.raises(HeldError, match="stored beside it"):
            work.store(hold, Work(source, [anchor(1), anchor(2)], kept=before.result))
    assert [one.frame for one in work.anchors()] == [1]
    (aside,) = (work.folder.parent / ".aside").iterdir()
    late = CaseWork(aside, "A", "case-0001").result()
    assert late is not None
    assert [frame for frame in range(10) if late.masks(frame) is not None] == [1, 2, 3]
    folder = ReviewFolder(work.folder.parents[2])
    assert folder.aside("A") == {"case-0001": 1}
    assert folder.cases("A") == ["case-0001"]
    (aside,) = (work.folder.parent / ".aside").iterdir()
    assert [one.frame for one in CaseWork(aside, "A", "case-0001").anchors()] == [1, 2]
    assert (work.folder / "hold.json").exists()  # it is the other's


def test_work_on_a_batch_that_was_renamed_meanwhile_lies_under_the_earlier_name_and_says_so(
    work: CaseWork, source: SourceNote, anchor: Anchor
) -> None:
    root = work.folder.parents[2]
    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(1)]))
        moved = root.rename(root.with_name("renamed"))
        with pytest.raises(HeldError, match=r"not where it was.* moved or renamed; this work was stored"):
            work.store(hold, Work(source, [anchor(1), anchor(2)]))
    assert not work.folder.exists()
    (aside,) = (root / "review" / "A" / ".aside").iterdir()
    assert [one.frame for one in CaseWork(aside, "A", "case-0001").anchors()] == [1, 2]
    there = ReviewFolder(moved).work("A", "case-0001")
    assert [one.frame for one in there.anchors()] == [1]


@pytest.mark.parametrize("moment", ["before the images", "before the record"])
def test_who_was_taken_over_in_the_middle_of_a_store_replaces_nothing(
    work: CaseWork, source: SourceNote, anchor: Anchor, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def taken_over(*arguments: Any) -> bytes:
        """Let another take the case over, store, and let go of it."""
        monkeypatch.undo()
        (work.folder / "hold.json").unlink()
        other = ReviewFolder(work.folder.parents[2]).work("A", "case-0001")
        with other.hold() as theirs:
            other.store(theirs, Work(source, [anchor(5)]))
        return encode(*arguments) if arguments else b""

    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(1)]))
        encode = store_module.encode
        if moment == "before the images":
            monkeypatch.setattr(store_module, "encode", taken_over)
        else:
            as_json = ReviewRecord.as_json
            monkeypatch.setattr(ReviewRecord, "as_json", lambda self: (taken_over(), as_json(self))[1])
        with pytest.raises(HeldError, match="stored beside it"):
            work.store(hold, Work(source, [anchor(1), anchor(2)]))
    assert [one.frame for one in work.anchors()] == [5]
    (aside,) = (work.folder.parent / ".aside").iterdir()
    assert [one.frame for one in CaseWork(aside, "A", "case-0001").anchors()] == [1, 2]


def test_a_case_that_is_stored_while_it_is_read_is_read_again(
    work: CaseWork, source: SourceNote, anchor: Anchor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(1)]))
        read = CaseWork.record

        def record_then_store(self: CaseWork) -> ReviewRecord | None:
            found = read(self)
            monkeypatch.setattr(store_module.CaseWork, "record", read)
            work.store(hold, Work(source, [anchor(1, radius=2)]))
            return found

        monkeypatch.setattr(store_module.CaseWork, "record", record_then_store)
        assert work.anchors()[0].mask.sum() == anchor(1, radius=2).mask.sum()


def test_no_name_of_a_source_or_a_machine_is_in_any_file(work: CaseWork, source: SourceNote, anchor: Anchor) -> None:
    import socket

    with work.hold() as hold:
        work.store(hold, Work(source, [anchor(1)]))
        content = b"".join(path.read_bytes() for path in work.folder.rglob("*") if path.is_file())
    assert str(work.folder).encode() not in content
    assert socket.gethostname().encode() not in content
