"""What a person did: counted by the workflow, kept in the scene, said in the report."""

from __future__ import annotations

import json
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from stand_in_networks import PointedNetwork

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.mrml.labelmaps import write_masks
from UltrasoundLesionSegLib.mrml.scene_file import load_scene, save_scene
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.effort_log import EffortLog

Discs = tuple[Any, NDArray[np.bool_]]


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(logic: UltrasoundLesionWorkflow) -> Clock:
    logic.efforts.clock = Clock()
    return logic.efforts.clock


def sequence_of(browser: Any) -> SegmentationSequence:
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    return sequence


def test_frames_and_time_are_counted(logic: UltrasoundLesionWorkflow, discs: Discs, clock: Clock) -> None:
    browser, truth = discs
    assert logic.effort(browser) == EffortLog()
    (segment,) = logic.setSeed(browser, truth[2][0], frame=2)
    assert logic.effort(browser) == EffortLog(frames_drawn=(2,), seconds=0.0)
    clock.now += 40
    sequence_of(browser).write(4, {segment: truth[4][0]}, {segment: Origin.MODEL})
    logic.confirmFrame(browser, 4)
    clock.now += 3600  # a pause counts as five minutes
    logic.markNotVisible(browser, 9)
    clock.now += 20
    logic.setSeed(browser, truth[2][0], frame=2)  # drawn again: the same frame
    clock.now += 5
    logic.confirmFrame(browser, 4)  # an anchor already: time, and nothing else
    clock.now += 1
    logic.releaseAnchor(browser, 4)
    log = logic.effort(browser)
    assert log == EffortLog((2,), (4,), (9,), (), 0, 40 + 300 + 20 + 5 + 1)
    assert log.phrase == "1 frame drawn, 1 confirmed, 1 marked not visible, 6 min"


def test_what_is_painted_is_drawn(logic: UltrasoundLesionWorkflow, discs: Discs, clock: Clock) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[0][0], frame=0, origin=Origin.SIMULATED)
    assert logic.effort(browser) == EffortLog()  # no person made it
    browser.SetSelectedItemNumber(3)
    sequence = sequence_of(browser)
    write_masks(sequence.proxy.GetSegmentation(), {segment: truth[3][0]}, sequence.geometry)
    logic.commitEdit(browser)
    logic.commitEdit(browser)
    assert logic.effort(browser).frames_drawn == (3,)
    browser.SetSelectedItemNumber(8)
    write_masks(sequence.proxy.GetSegmentation(), {segment: truth[8][0]}, sequence.geometry)
    logic.markNotVisible(browser, 8)  # what was painted until then took time as well
    log = logic.effort(browser)
    assert (log.frames_drawn, log.frames_not_visible) == ((3, 8), (8,))
    assert not sequence.read(8, segment).any()


def test_clicks_are_counted_once(
    logic: UltrasoundLesionWorkflow, discs: Discs, clock: Clock, pointed_model: PointedNetwork
) -> None:
    browser, truth = discs
    rows, columns = np.nonzero(truth[5][0])
    first = (float(rows.mean()), float(columns.mean()))
    second = (first[0] + 1, first[1])
    outside = (1.0, 1.0, False)
    logic.click(browser, [first], 5)
    logic.click(browser, [first, second], 5)
    logic.click(browser, [first], 5)  # one taken back
    clock.now += 30
    logic.click(browser, [first, outside], 5)
    log = logic.effort(browser)
    assert log == EffortLog(frames_drawn=(5,), clicks=3, seconds=30.0)
    assert log.phrase == "1 frame drawn, 3 clicks, 30 s"
    logic.click(browser, [], 5)
    assert not any(logic.anchors(browser).values())
    assert logic.effort(browser) == log, "what was taken back took time"
    # as the panel does: proposed, drawn, stored
    mask = logic.proposeFromClicks(browser, [first], np.zeros_like(truth[5][0]), 6)
    logic.setSeed(browser, mask, frame=6)
    assert logic.effort(browser) == EffortLog(frames_drawn=(5, 6), clicks=4, seconds=30.0)


def test_the_log_comes_back_with_the_scene(
    logic: UltrasoundLesionWorkflow, discs: Discs, clock: Clock, tmp_path: Path
) -> None:
    browser, truth = discs
    logic.setSeed(browser, truth[2][0], frame=2)
    clock.now += 100
    logic.markNotVisible(browser, 7)
    before = logic.effort(browser)
    assert before == EffortLog(frames_drawn=(2,), frames_not_visible=(7,), seconds=100.0)
    path = save_scene(tmp_path / "scene.mrb")
    later = UltrasoundLesionWorkflow()
    later.efforts.clock = clock
    (browser,) = load_scene(path)
    assert later.effort(browser) == before
    clock.now += 200  # nobody knows what happened while it was closed
    later.setSeed(browser, truth[3][0], frame=3)
    clock.now += 7
    later.setSeed(browser, truth[4][0], frame=4)
    assert later.effort(browser) == EffortLog((2, 3, 4), (), (7,), (), 0, 107.0)


def test_another_cine_under_the_same_id_does_not_inherit_time(
    logic: UltrasoundLesionWorkflow, discs: Discs, clock: Clock
) -> None:
    import slicer

    browser, truth = discs
    cine, name = logic.cine(browser), browser.GetID()
    pixels = np.stack([cine.frames[frame] for frame in range(len(cine))])
    logic.setSeed(browser, truth[2][0], frame=2)
    slicer.mrmlScene.Clear(0)
    again = logic.loadCine(pixels)
    assert again.GetID() == name
    clock.now += 60
    logic.setSeed(again, truth[2][0], frame=2)
    assert logic.effort(again).seconds == 0.0


def test_writing_the_log_leaves_what_is_being_painted_alone(
    logic: UltrasoundLesionWorkflow, discs: Discs, clock: Clock
) -> None:
    browser, truth = discs
    (segment,) = logic.setSeed(browser, truth[0][0], frame=0)
    sequence = sequence_of(browser)
    write_masks(sequence.proxy.GetSegmentation(), {segment: truth[5][0]}, sequence.geometry)
    logic.efforts.act(sequence, confirmed=[8])
    assert list(sequence.painted()) == [segment]


def test_seeds_from_files_claim_no_person(
    logic: UltrasoundLesionWorkflow, discs: Discs, clock: Clock, bright_model: Any, tmp_path: Path
) -> None:
    browser, truth = discs
    Image.fromarray(truth[2][0].astype(np.uint8)).save(tmp_path / "seed.png")
    logic.setSeed(browser, tmp_path / "seed.png", frame=2)
    clock.now += 50
    logic.propagate(browser)
    log = logic.effort(browser)
    assert log == EffortLog(frames_from_files=(2,))
    assert log.phrase == ""
    logic.export(browser, tmp_path / "out", ["report"])
    assert "Work of a person" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_report_says_it_in_a_phrase(
    logic: UltrasoundLesionWorkflow, discs: Discs, clock: Clock, tmp_path: Path
) -> None:
    browser, truth = discs
    for frame in (1, 2, 3):
        logic.setSeed(browser, truth[frame][0], frame=frame)
        clock.now += 80
    logic.export(browser, tmp_path, ["report"])  # is an act as well
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<th>Work of a person</th><td>3 frames drawn, 4 min</td>" in page


def test_without_a_clock_acts_count_and_no_time_does(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, truth = discs
    logic.efforts.clock = None
    logic.setSeed(browser, truth[1][0], frame=1)
    logic.setSeed(browser, truth[2][0], frame=2)
    assert logic.effort(browser) == EffortLog(frames_drawn=(1, 2))
    assert logic.effort(browser).phrase == "2 frames drawn"


@pytest.mark.parametrize(
    ("log", "phrase"),
    [
        (EffortLog(), ""),
        (EffortLog(clicks=1, seconds=0.2), "1 click"),
        (EffortLog((1, 2, 3), clicks=2, seconds=240.0), "3 frames drawn, 2 clicks, 4 min"),
        (EffortLog(frames_confirmed=(1, 4), seconds=59.4), "2 frames confirmed, 59 s"),
        (EffortLog(frames_drawn=(1,), seconds=59.7), "1 frame drawn, 1 min"),
        (EffortLog(frames_from_files=(1, 2), seconds=100.0), ""),
    ],
)
def test_phrases(log: EffortLog, phrase: str) -> None:
    assert log.phrase == phrase
    assert EffortLog.from_text(log.as_text()) == log


def test_a_record_is_numbers_alone() -> None:
    record = EffortLog((1, 2), (3,), (), (0,), 4, 12.345).as_record()
    assert record == {
        "frames_drawn": 2,
        "frames_confirmed": 1,
        "frames_not_visible": 0,
        "frames_from_files": 1,
        "clicks": 4,
        "seconds": 12.3,
    }
    assert [one.name for one in fields(EffortLog)] == list(record)
    assert len(astuple(EffortLog())) == len(record)


GOOD = json.loads(EffortLog((1,), clicks=2, seconds=3.0).as_text())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "3",
        "null",
        "{}",
        "[" * 100_000,
        json.dumps(GOOD | {"clicks": -1}),
        json.dumps(GOOD | {"clicks": True}),
        json.dumps(GOOD | {"clicks": "2"}),
        json.dumps(GOOD | {"seconds": float("nan")}),
        json.dumps(GOOD | {"seconds": float("inf")}),
        json.dumps(GOOD | {"seconds": -1}),
        json.dumps(GOOD | {"seconds": 10**400}),
        json.dumps(GOOD | {"frames_drawn": [-1]}),
        json.dumps(GOOD | {"frames_drawn": ["a"]}),
        json.dumps(GOOD | {"frames_drawn": 4}),
    ],
)
def test_a_log_that_cannot_be_read_is_an_empty_one(
    logic: UltrasoundLesionWorkflow, discs: Discs, clock: Clock, text: str
) -> None:
    browser, truth = discs
    logic.startSegmentation(browser)
    sequence_of(browser).sequence.SetAttribute(layout.EFFORT, text)
    assert logic.effort(browser) == EffortLog()
    logic.setSeed(browser, truth[2][0], frame=2)
    assert logic.effort(browser) == EffortLog(frames_drawn=(2,), seconds=0.0)
