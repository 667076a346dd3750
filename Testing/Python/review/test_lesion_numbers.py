"""A lesion keeps its number, and so its DICOM tracking UID, whatever becomes of the other lesions of the case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_helpers import write_multiframe
from engine_helpers import clip_of_moving_discs
from PIL import Image
from review_helpers import square

from UltrasoundLesionSegLib.batch.run import BatchResult
from UltrasoundLesionSegLib.reader_work.label_images import LabelTable, give_numbers
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState
from UltrasoundLesionSegLib.reader_work.store import CaseWork
from UltrasoundLesionSegLib.review.adjudication import Adjudication
from UltrasoundLesionSegLib.review.scene import SceneCase, open_in_scene
from UltrasoundLesionSegLib.review.study import export_study
from UltrasoundLesionSegLib.review.worklist import Worklist
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

CASE = "case-0001"
Batch = Callable[..., BatchResult]


@pytest.fixture
def cines(tmp_path: Path, truth: np.ndarray) -> Path:
    """Two cines; the seed of the first shows lesions with the values 1 and 3."""
    cine, _ = clip_of_moving_discs(frames=len(truth))
    frames = np.stack([cine.frames[index] for index in range(len(truth))])
    for name in ("Doe_1", "Doe_2"):
        write_multiframe(tmp_path / "cines" / f"{name}.dcm", frames)
    seed = truth[1][0].astype(np.uint8)
    seed[80:95, 100:120] = 3
    Image.fromarray(seed).save(tmp_path / "cines" / "Doe_1.seed.1.png")
    return tmp_path / "cines"


@pytest.fixture
def output(cines: Path, batch: Batch) -> Path:
    return cines.parent / "out"


@pytest.fixture
def opened(output: Path, logic: UltrasoundLesionWorkflow) -> Callable[[], SceneCase]:
    """``opened()`` opens the case in the scene as reader A."""
    return lambda: open_in_scene(logic, Worklist(output, "A").open(CASE))


def tracked(folder: Path) -> dict[str, tuple[str, str]]:
    """Return tracking ID and UID of each lesion of a case by name."""
    header = pydicom.dcmread(folder / "cases" / CASE / "segmentation.dcm", stop_before_pixels=True)
    return {str(one.SegmentLabel): (str(one.TrackingID), str(one.TrackingUID)) for one in header.SegmentSequence}


def exported(output: Path) -> dict[str, tuple[str, str]]:
    export_study(output, "A", output.parent / "study")
    return tracked(output.parent / "study")


def test_the_study_tracks_lesions_as_the_batch_does(output: Path, opened: Callable[[], SceneCase]) -> None:
    machine = tracked(output)
    assert [one[0][-8:] for one in machine.values()] == ["lesion 1", "lesion 3"]
    case = opened()
    case.finish()
    case.close()
    assert exported(output) == machine


def test_a_lesion_keeps_its_tracking_uid_when_another_one_is_removed(
    output: Path, opened: Callable[[], SceneCase], batch: Batch
) -> None:
    machine = tracked(output)
    case = opened()
    case._workflow.removeSegment(case.browser, "Lesion")
    case._workflow.renameSegment(case.browser, "lesion-3", "cyst")
    case.finish()
    case.close()
    assert exported(output) == {"cyst": machine["Lesion 3"]}
    case = opened()  # comes back from the disk
    assert [one.id for one in case.sequence.segments()] == ["lesion-3"]
    case.confirm(2)
    case.finish()
    case.close()
    batch(reader="A")
    assert exported(output) == tracked(output) == {"cyst": machine["Lesion 3"]}


def test_a_new_lesion_never_gets_the_number_of_a_removed_one(
    output: Path, opened: Callable[[], SceneCase], batch: Batch
) -> None:
    case = opened()
    added = case._workflow.addSegment(case.browser, "node")
    case._workflow.setSeed(case.browser, square(), frame=4, segment=added)
    case.finish()
    case.close()
    node = exported(output)["node"]
    case = opened()
    case._workflow.removeSegment(case.browser, "node")
    case.store()
    case.close()
    worklist = Worklist(output, "A")
    worklist.set_aside(CASE, "blurred")
    worklist.take_up(CASE)
    case = opened()
    other = case._workflow.addSegment(case.browser, "other")
    case._workflow.setSeed(case.browser, square(), frame=4, segment=other)
    case.finish()
    case.close()
    after = exported(output)
    assert list(after) == ["Lesion", "Lesion 3", "other"]
    assert node not in after.values()
    batch(reader="A")
    assert tracked(output) == after


def test_a_third_reader_tracks_lesions_as_the_first_reader_does(
    output: Path, opened: Callable[[], SceneCase], draw: Callable[..., None], truth: np.ndarray
) -> None:
    case = opened()
    case._workflow.removeSegment(case.browser, "Lesion")
    case._workflow.setSeed(case.browser, square(), frame=4, segment="Lesion 3")
    case.finish()
    case.close()
    draw(CASE, [ReaderAnchor(4, "Lesion", square(), How.DRAWN)], "B", state=ReviewState.DONE)
    with Adjudication(output, "A", "B", into="AB", case=CASE) as decision:
        decision.take_agreed()
        decision.draw(2, "other", square())
        assert decision.store().numbers == {"other": 1, "Lesion 3": 3}
        decision.draw(1, "further", square())
        assert decision.store().numbers == {"further": 2, "other": 1, "Lesion 3": 3}
    work = CaseWork(output / "review" / "AB" / CASE, "AB", CASE)
    assert {one.lesion: int(one.mask.sum()) for one in work.anchors()} == dict.fromkeys(
        ("further", "other", "Lesion 3"), int(square().sum())
    )


def test_lesions_without_a_number_are_counted_from_1() -> None:
    assert give_numbers(["a", "b"]) == {"a": 1, "b": 2}
    assert give_numbers(["a", "b", "c"], {"b": 1}, {"a": 1, "c": 4}, removed=[2]) == {"a": 3, "b": 1, "c": 4}
    assert give_numbers(["a", "b"], {"a": 2, "b": 2}) == {"a": 2, "b": 1}
    assert give_numbers(["a"], {"a": 2**16}) == {"a": 1}


def test_pixels_that_lesions_share_have_a_value_of_no_lesion() -> None:
    table = LabelTable({"a": 1, "b": 3})
    image = table.image({"a": np.array([[True, True, False]]), "b": np.array([[False, True, True]])}, (1, 3))
    assert image.tolist() == [[1, 4, 3]]
    assert {one.name: one.labels for one in table.lesions()} == {"a": (1, 4), "b": (3, 4)}
