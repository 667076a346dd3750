"""Two readers' outlines over the open case; a third reader takes one, the other, or draws anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from UltrasoundLesionSegLib.mrml.labelmaps import read_mask
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState, SourceNote
from UltrasoundLesionSegLib.reader_work.results import no_masks
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.review.worklist import Worklist


def work_through(reader: Any, code: str, anchors: list[ReaderAnchor]) -> None:
    """Do the first case as another reader did it."""
    listed = Worklist(reader.output, code)
    name = listed.cases()[0].name
    cine = read_cine(listed.source_of(name))
    note = SourceNote(cine.identity.digest, len(cine), cine.height, cine.width)
    with listed.open(name) as case:
        case.store(anchors, note, state=ReviewState.DONE, result=no_masks(note).with_anchors(anchors))


@pytest.fixture
def third(reader: Any) -> Any:
    """Reader C, who has the first case open; A and B agree on frame 0 and differ on 2 and, more, on 4."""
    truth = reader.truth
    smaller = truth[2] & np.roll(truth[2], 4, axis=0)
    first = [ReaderAnchor(frame, "Lesion", truth[frame], How.DRAWN) for frame in (0, 2, 4)]
    second = [
        ReaderAnchor(0, "Lesion", truth[0], How.DRAWN),
        ReaderAnchor(2, "Lesion", smaller, How.EDITED),
        ReaderAnchor(4, "Lesion", np.zeros_like(truth[4]), How.NOT_VISIBLE),
    ]
    work_through(reader, "A", first)
    work_through(reader, "B", second)
    reader.user.type_into("worklistReaderEdit", "C")
    reader.wait()
    reader.user.see("compareCollapsibleButton").setProperty("collapsed", False)
    reader.activate(0)
    return reader


def outlines(reader: Any) -> Any:
    nodes = reader.user.module.session.scene.GetNodesByClass("vtkMRMLSegmentationNode")
    every = [nodes.GetItemAsObject(number) for number in range(nodes.GetNumberOfItems())]
    return next((one for one in every if one.GetName().startswith("Outlines of readers")), None)


def anchors(reader: Any) -> dict[int, ReaderAnchor]:
    name = reader.section._case.name
    return {one.frame: one for one in ReviewFolder(reader.output).work("C", name).anchors()}


def test_what_a_comparison_needs_is_imported_while_the_window_is_repainted(
    third: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported: list[str] = []
    steps = "UltrasoundLesionSegLib.gui.reader_comparison.import_steps"
    monkeypatch.setattr(steps, lambda module: iter((imported.append(module),)))
    third.click("compareButton")
    assert imported == ["scipy.optimize"]
    assert outlines(third) is not None


def test_both_outlines_lie_over_the_cine_on_every_frame(third: Any) -> None:
    assert outlines(third) is None
    third.click("compareButton")
    node = outlines(third)
    assert not node.GetSaveWithScene()
    assert not node.GetDisplayNode().GetVisibility2DFill()
    geometry = third.section._case._case.sequence.geometry
    for frame, drawn in ((2, True), (3, False), (4, True)):
        third.browser.SetSelectedItemNumber(frame)
        mask = read_mask(node.GetSegmentation(), "Reader A", geometry)
        assert np.array_equal(mask, third.truth[frame] if drawn else np.zeros_like(mask))
    assert not read_mask(node.GetSegmentation(), "Reader B", geometry).any()
    third.click("compareButton")
    assert outlines(third) is None


def test_the_third_reader_takes_one_takes_the_other_and_draws_anew(third: Any) -> None:
    user, truth = third.user, third.truth
    third.click("compareButton")
    assert "3 of 3 outlines to decide" in user.read("compareLabel")
    third.click("takeAgreedButton")
    assert sorted(anchors(third)) == [0]
    third.click("nextDifferenceButton")
    assert third.browser.GetSelectedItemNumber() == 4
    assert "Dice 0.00" in user.read("compareLabel")
    assert user.read("takeFirstButton") == "Take A"
    third.click("takeSecondButton")
    assert (anchors(third)[4].how, anchors(third)[4].provenance) == (How.NOT_VISIBLE, "reader B")
    assert "1 of 3 outlines to decide" in user.read("compareLabel")
    third.click("nextDifferenceButton")
    assert third.browser.GetSelectedItemNumber() == 2
    third.click("takeFirstButton")
    assert np.array_equal(anchors(third)[2].mask, truth[2])
    assert "0 of 3 outlines to decide" in user.read("compareLabel")
    assert "decided" in user.read("compareLabel")
    third.click("takeSecondButton")  # changed one's mind
    assert anchors(third)[2].how is How.EDITED
    third.click("drawAnewButton")
    assert user.read("compareLabel") == "Draw Lesion on frame 2."
    own = np.roll(truth[2], 3, axis=1)
    user.paint("segmentEditor", own)
    third.browser.SetSelectedItemNumber(5)
    third.wait()
    assert np.array_equal(anchors(third)[2].mask, own), "nothing of the earlier outline is left"


def test_a_case_that_a_reader_is_not_done_with_says_so_and_the_next_one_is_compared_by_itself(third: Any) -> None:
    third.click("compareButton")
    third.click("nextCaseButton")
    assert third.user.read("compareLabel") == "Reader A is not done with it."
    assert outlines(third) is None
    assert not third.user.see("takeFirstButton").isEnabled()
    third.activate(0)
    assert outlines(third) is not None
    third.click("closeCaseButton")
    assert outlines(third) is None


def test_two_different_readers_are_needed(third: Any) -> None:
    for code, offered in (("B", ["A", "C", "B", "model"]), ("D", ["A", "B", "C", "model"])):
        with ReviewFolder(third.output).work("C", "any").hold():  # C has a folder of work
            third.user.type_into("worklistReaderEdit", code)
        boxes = [third.user.see(name) for name in ("firstReaderComboBox", "secondReaderComboBox")]
        assert [box.itemText(row) for box in boxes for row in range(box.count())] == offered * 2
        assert boxes[0].currentText() != boxes[1].currentText()
        assert [box.currentText() for box in boxes] == offered[:2], "two readers first, as long as nobody chose others"
    third.user.type_into("worklistReaderEdit", "C")
    third.wait()
    third.activate(0)
    third.click("compareButton")
    third.user.choose("secondReaderComboBox", "A")
    assert "choose two different ones" in third.user.read("compareLabel")
    third.user.choose("secondReaderComboBox", "B")
    assert "outlines to decide" in third.user.read("compareLabel")
