"""A case in a scene of real MRML: what is drawn there is on the disk after every store, and comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from dicom_helpers import write_multiframe
from engine_helpers import clip_of_moving_discs
from PIL import Image
from review_helpers import square

from UltrasoundLesionSegLib.batch.fingerprint import fingerprint
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, write_listed
from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.errors import HeldError, OutputError, ReviewError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState
from UltrasoundLesionSegLib.reader_work.store import CaseWork
from UltrasoundLesionSegLib.review.scene import SceneCase, open_in_scene, opening_steps
from UltrasoundLesionSegLib.review.worklist import Worklist
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest

FRAMES = 8


@pytest.fixture
def output(tmp_path: Path, bright_model: Any) -> Path:
    """A batch folder with one computed case: a DICOM cine with a seed file on frame 2."""
    cine, truth = clip_of_moving_discs(frames=FRAMES)
    source, seed = tmp_path / "cines" / "Doe.dcm", tmp_path / "cines" / "Doe.seed.2.png"
    write_multiframe(source, np.stack([cine.frames[index] for index in range(FRAMES)]))
    Image.fromarray(truth[2][0]).save(seed)
    folder = BatchFolder(tmp_path / "out")
    seeds = (SeedFileRequest(seed, 2),)
    with folder.held():
        request = CaseRequest(source, folder.cases / "case-0001", seeds=seeds, device="cpu", with_scene=False)
        run_case(replace(request, stamp={"inputs": fingerprint(request)}))
        write_listed(folder.sources, [ListedCase(BatchCase(source, seeds, "case-0001"), "done")])
    return folder.root


@pytest.fixture
def opened(output: Path, logic: UltrasoundLesionWorkflow) -> Callable[[], SceneCase]:
    """``opened()`` opens the case in the scene as reader A."""
    return lambda: open_in_scene(logic, Worklist(output, "A").open("case-0001"))


def work_of(output: Path) -> CaseWork:
    return CaseWork(output / "review" / "A" / "case-0001", "A", "case-0001")


def paint(case: SceneCase, frame: int, mask: np.ndarray, commit: bool = True) -> None:
    """Paint on the shown segmentation, as the Segment Editor does."""
    from UltrasoundLesionSegLib.mrml.labelmaps import write_masks

    case.browser.SetSelectedItemNumber(frame)
    sequence = case.sequence
    write_masks(sequence.proxy.GetSegmentation(), {sequence.segments()[0].id: mask}, sequence.geometry)
    if commit:
        case._workflow.commitEdit(case.browser)


def test_the_machines_masks_are_in_the_scene(output: Path, opened: Callable[[], SceneCase]) -> None:
    case = opened()
    sequence, (lesion,) = case.sequence, case.sequence.segments()
    assert lesion.name == "Lesion"
    assert [sequence.origin(frame, lesion.id) for frame in range(FRAMES)] == [
        Origin.MANUAL if frame == 2 else Origin.MODEL for frame in range(FRAMES)
    ]
    for frame in range(FRAMES):
        written = np.asarray(Image.open(output / "cases" / "case-0001" / "masks" / f"{frame:05d}.png")) == 1
        assert np.array_equal(sequence.read(frame, lesion.id), written)
    assert 0 < sequence.confidence(3, lesion.id) <= 1
    assert not case.store(), "the seed is the machine's, the reader has done nothing"
    case.close()
    assert not (output / "review" / "A" / "case-0001" / "review.json").exists()


def test_strokes_are_stored_before_they_are_committed(output: Path, opened: Callable[[], SceneCase]) -> None:
    case = opened()
    before = case.sequence.read(5, case.sequence.segments()[0].id)
    for size in (10, 20):
        paint(case, 5, square(size), commit=False)
        assert case.store()
        (anchor,) = work_of(output).anchors()
        assert (anchor.frame, anchor.how, anchor.mask.sum()) == (5, How.EDITED, size**2)
    case._workflow.commitEdit(case.browser)
    assert not case.store(), "committing changes nothing of what is stored"
    paint(case, 4, square(), commit=False)
    assert case.store()
    paint(case, 4, case.sequence.read(4, case.sequence.segments()[0].id), commit=False)  # as undo does
    assert case.store()
    assert [one.frame for one in work_of(output).anchors()] == [5]
    assert before.any()


def test_another_readers_mask_is_taken_as_it_is(output: Path, opened: Callable[[], SceneCase]) -> None:
    case = opened()
    empty = np.zeros_like(square())
    for anchor in (
        ReaderAnchor(5, "Lesion", square(), How.CLICKED, "reader B"),
        ReaderAnchor(6, "Second", square(10), How.DRAWN, "reader B"),
        ReaderAnchor(2, "Lesion", empty, How.NOT_VISIBLE, "reader A"),  # in place of the seed that came with the case
    ):
        case.take(anchor)
        assert case.store()
    kept = {(one.frame, one.lesion): (one.how, one.provenance) for one in work_of(output).anchors()}
    assert kept == {
        (2, "Lesion"): (How.NOT_VISIBLE, "reader A"),
        (5, "Lesion"): (How.CLICKED, "reader B"),
        (6, "Second"): (How.DRAWN, "reader B"),
    }


def test_every_stroke_is_on_the_disk_and_comes_back(output: Path, opened: Callable[[], SceneCase]) -> None:
    case = opened()
    paint(case, 5, square())
    assert case.store()
    (anchor,) = work_of(output).anchors()
    assert (anchor.frame, anchor.lesion, anchor.how) == (5, "Lesion", How.EDITED)
    assert np.array_equal(anchor.mask, square())
    assert not case.store()
    case._workflow.markNotVisible(case.browser, 7)
    case.confirm(2)  # the seed that the case came with
    case._workflow.confirmFrame(case.browser, 3)
    assert case.store()
    hows = {one.frame: one.how for one in work_of(output).anchors()}
    assert hows == {2: How.CONFIRMED, 3: How.CONFIRMED, 5: How.EDITED, 7: How.NOT_VISIBLE}
    case.close()
    again = opened()
    lesion = again.sequence.segments()[0].id
    assert np.array_equal(again.sequence.read(5, lesion), square())
    assert again.sequence.origin(5, lesion) is Origin.EDITED
    assert not again.sequence.read(7, lesion).any()
    assert not again.store()
    again._workflow.releaseAnchor(again.browser, 5)
    assert again.store()
    assert 5 not in {one.frame for one in work_of(output).anchors()}


def test_a_suggested_seed_that_is_confirmed_by_the_workflow_is_the_readers(
    output: Path, opened: Callable[[], SceneCase]
) -> None:
    table = output / "cases" / "case-0001" / "measurements.csv"
    assert table.read_text().count(",manual,") == 1
    table.write_text(table.read_text().replace(",manual,", ",suggested,"))
    case = opened()
    assert case.sequence.origin(2, case.sequence.segments()[0].id) is Origin.SUGGESTED
    assert not case.store()
    case._workflow.confirmFrame(case.browser, 2)
    assert case.store()
    assert {one.frame: one.how for one in work_of(output).anchors()} == {2: How.CONFIRMED}


def test_a_second_lesion_and_a_new_name_come_back(output: Path, opened: Callable[[], SceneCase]) -> None:
    case = opened()
    second = case._workflow.addSegment(case.browser, "Cyst")
    case._workflow.setSeed(case.browser, square(), 4, "Cyst")
    case._workflow.renameSegment(case.browser, case.sequence.segments()[0].id, "Mass")
    assert second == case.sequence.segments()[1].id
    assert case.store()
    case.close()
    case = opened()
    names = {one.name: one.id for one in case.sequence.segments()}
    assert list(names) == ["Mass", "Cyst"]
    assert np.array_equal(case.sequence.read(4, names["Cyst"]), square())
    assert case.sequence.origin(3, names["Mass"]) is Origin.MODEL
    assert case.sequence.read(3, names["Mass"]).any(), "the machine's masks go by the reader's name"
    assert not case.store()


def test_a_lesion_that_the_reader_removed_does_not_come_back(output: Path, opened: Callable[[], SceneCase]) -> None:
    case = opened()
    case._workflow.setSeed(case.browser, square(), 4, "Cyst")
    case._workflow.removeSegment(case.browser, "Lesion")
    case.close()
    record = work_of(output).record()
    assert record is not None
    assert record.machine_lesions == {"Lesion": None}
    assert [one.name for one in opened().sequence.segments()] == ["Cyst"]


def test_a_finished_case_is_what_the_reader_saw(output: Path, opened: Callable[[], SceneCase]) -> None:
    case = opened()
    paint(case, 5, square())
    case._workflow.propagate(case.browser, device="cpu")
    lesion = case.sequence.segments()[0].id
    seen = [case.sequence.read(frame, lesion) for frame in range(FRAMES)]
    record = case.finish("rim")
    assert (record.state, record.comment) == (ReviewState.DONE, "rim")
    assert record.result is not None
    assert record.result.model["name"] == "bright"
    assert record.result.settings["direction"] == "both"
    result = work_of(output).result()
    assert result is not None
    for frame in range(FRAMES):
        masks = result.masks(frame)
        assert masks is not None
        assert np.array_equal(masks[0], seen[frame])
    assert result.origins["Lesion"][5] is Origin.EDITED
    assert result.origins["Lesion"][4] is Origin.MODEL
    assert result.confidences["Lesion"][4] == pytest.approx(case.sequence.confidence(4, lesion), abs=1e-5)
    case.close()
    assert work_of(output).record() == record
    again = opened()
    assert all(np.array_equal(again.sequence.read(frame, lesion), seen[frame]) for frame in range(FRAMES))
    again.close()
    assert work_of(output).record() == record, "looking at a done case leaves it done"
    again = opened()
    paint(again, 6, square(10))
    again.close()
    later = work_of(output).record()
    assert later is not None
    assert (later.state, later.result) == (ReviewState.IN_WORK, record.result), "the masks of all frames are kept"
    again = opened()
    assert all(np.array_equal(again.sequence.read(frame, lesion), seen[frame]) for frame in (0, 1, 3, 4, 5))
    assert np.array_equal(again.sequence.read(6, lesion), square(10))


def test_what_was_propagated_is_there_after_a_crash(output: Path, opened: Callable[[], SceneCase]) -> None:
    case = opened()
    paint(case, 5, square())
    case.store()
    assert work_of(output).result() is None
    case._workflow.propagate(case.browser, device="cpu")
    assert case.store()
    lesion = case.sequence.segments()[0].id
    seen = [case.sequence.read(frame, lesion) for frame in range(FRAMES)]
    record = work_of(output).record()
    assert record is not None
    assert record.state is ReviewState.IN_WORK, "nobody called it done"
    assert not case.store()

    paint(case, 6, square(10))
    paint(case, 4, square(8))
    assert case.store()
    case._workflow.markNotVisible(case.browser, 5)
    assert case.store()
    later = work_of(output).record()
    assert later is not None
    assert later.result == record.result, "a stroke costs as little as ever: the masks are not written again"
    case.case.hold.release()  # the process is gone

    again = opened()
    for frame in range(FRAMES):
        expected = {4: square(8), 5: np.zeros_like(square()), 6: square(10)}.get(frame, seen[frame])
        assert np.array_equal(again.sequence.read(frame, lesion), expected)
    assert [again.sequence.origin(frame, lesion) for frame in (2, 3, 5, 6)] == [
        Origin.MANUAL,
        Origin.MODEL,
        Origin.MANUAL,
        Origin.EDITED,
    ]
    assert not again.store()
    again._workflow.renameSegment(again.browser, lesion, "Mass")
    assert again.store()
    result = work_of(output).result()
    assert result is not None
    assert result.lesions == ("Mass",)
    assert [one.frame for one in work_of(output).anchors()] == [4, 5, 6]


def test_masks_that_a_batch_made_since_are_shown_instead_of_those_of_a_case_in_work(
    output: Path, opened: Callable[[], SceneCase]
) -> None:
    case = opened()
    paint(case, 5, square())
    case._workflow.propagate(case.browser, device="cpu")
    case.close()
    record = output / "cases" / "case-0001" / "run.json"
    record.write_text(record.read_text() + "\n")
    again = opened()
    lesion = again.sequence.segments()[0].id
    written = np.asarray(Image.open(output / "cases" / "case-0001" / "masks" / "00004.png")) == 1
    assert np.array_equal(again.sequence.read(4, lesion), written)
    assert np.array_equal(again.sequence.read(5, lesion), square())


def test_what_is_set_aside_keeps_its_drawings(output: Path, opened: Callable[[], SceneCase]) -> None:
    case = opened()
    paint(case, 5, square())
    with pytest.raises(ReviewError, match="no reason"):
        case.set_aside("")
    case.set_aside("two lesions")
    case.close()
    record = work_of(output).record()
    assert record is not None
    assert (record.state, record.reason, record.frames_drawn) == (ReviewState.SET_ASIDE, "two lesions", (5,))


def test_a_closed_case_leaves_no_node_behind(opened: Callable[[], SceneCase]) -> None:
    before = slicer.mrmlScene.GetNumberOfNodes()
    opened().close()
    first = slicer.mrmlScene.GetNumberOfNodes()
    case = opened()
    paint(case, 5, square())
    case.discard()
    assert slicer.mrmlScene.GetNumberOfNodes() == first <= before + 8
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 0


def test_time_counts_while_the_reader_works_and_pauses_count_little(
    output: Path, opened: Callable[[], SceneCase]
) -> None:
    case, now = opened(), [0.0]
    case.clock = lambda: now[0]
    case._touched = 0.0
    for moment in (100.0, 10_000.0):
        now[0] = moment
        case.touch()
    now[0] += 20
    paint(case, 5, square())
    case.store()
    record = work_of(output).record()
    assert record is not None
    assert record.seconds == 100 + 300 + 20


def test_another_cine_in_its_place_is_refused_and_leaves_nothing(output: Path, logic: UltrasoundLesionWorkflow) -> None:
    cine, _ = clip_of_moving_discs(frames=FRAMES, noise=5)
    frames = np.stack([cine.frames[index] for index in range(FRAMES)])
    other = write_multiframe(output.parent / "other.dcm", frames)
    with Worklist(output, "A").open("case-0001") as case:
        with pytest.raises(ReviewError, match="another one than the batch computed"):
            open_in_scene(logic, case, output.parent / "other.dcm")
        (output.parent / "cines" / "Doe.dcm").unlink()
        with pytest.raises(ReviewError, match="choose the folder it was moved to"):
            open_in_scene(logic, replace(case, source=None))
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 0
    del other


def test_opening_can_be_stopped(output: Path, logic: UltrasoundLesionWorkflow) -> None:
    with Worklist(output, "A").open("case-0001") as case:
        steps = opening_steps(logic, case)
        next(steps)
        steps.close()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 0


def test_work_on_a_case_that_was_taken_over_is_aside_and_in_the_scene(
    output: Path, opened: Callable[[], SceneCase]
) -> None:
    case = opened()
    (output / "review" / "A" / "case-0001" / "hold.json").write_text('{"token": "1f", "machine": "x"}')
    paint(case, 5, square())
    with pytest.raises(HeldError):
        case.close()
    (aside,) = (output / "review" / "A" / ".aside").iterdir()
    assert [one.frame for one in CaseWork(aside, "A", "case-0001").anchors()] == [5]
    assert np.array_equal(case.sequence.read(5, case.sequence.segments()[0].id), square())
    case.discard()


def test_a_full_disk_is_said_and_the_scene_still_has_the_drawing(
    output: Path, opened: Callable[[], SceneCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = opened()
    paint(case, 5, square())
    case.store()
    paint(case, 6, square())
    replace_file = Path.replace
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="No space left"):
        case.store()
    monkeypatch.setattr(Path, "replace", replace_file)
    assert [one.frame for one in work_of(output).anchors()] == [5]
    assert SegmentationSequence.find(case.browser) is not None
    case.close()
    assert [one.frame for one in work_of(output).anchors()] == [5, 6]
