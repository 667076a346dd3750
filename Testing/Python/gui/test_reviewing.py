"""Review: the timeline, the least certain frame, names, deletion in all frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import SegmentState

pytest.importorskip("PySide6.QtTest", reason="PySide6 is not installed", exc_type=ImportError)
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QWidget
from slicer_harness.pythonqt import unwrap


@pytest.fixture
def results(discs: Any) -> Any:
    """The lesion drawn on frame 0 and propagated; frame 7 is the least certain, frame 2 the next."""
    discs.draw(0, discs.truth[0, 0])
    discs.propagate()
    sequence = SegmentationSequence.find(discs.browser)
    for frame, confidence in ((7, 0.21), (3, 0.23)):
        old = sequence.state(frame, "lesion-1")
        sequence.set_state(frame, "lesion-1", SegmentState(old.origin, confidence, old.provenance))
    discs.user.module.widget.panel.results_changed()
    return discs


def test_review_next_goes_where_a_correction_wins_most_and_says_how_many_are_left(results: Any) -> None:
    user = results.user
    user.press_keys("UltrasoundLesionSeg", "Alt+N")
    assert results.browser.GetSelectedItemNumber() == 7
    assert user.read("reviewInfoLabel") == "Frame 7: confidence 0.21."
    assert user.read("reviewMessageLabel") == "1 more frame to look at."
    user.click("reviewNextButton")
    assert results.browser.GetSelectedItemNumber() == 3
    assert user.read("reviewMessageLabel").startswith("Nothing further expected")
    user.click("reviewNextButton")
    assert results.browser.GetSelectedItemNumber() == 3, "there is nowhere else to go"


def test_a_frame_that_is_drawn_has_no_confidence_of_a_model_any_more(results: Any) -> None:
    results.browser.SetSelectedItemNumber(7)
    assert results.user.read("reviewInfoLabel") == "Frame 7: confidence 0.21."
    results.draw(7, results.truth[7, 0])
    results.user.wait_until(lambda: results.user.read("reviewInfoLabel") == "Frame 7.")


def test_propagate_again_unfolds_the_section_with_its_progress_and_outcome(results: Any) -> None:
    user = results.user
    user.see("propagateCollapsibleButton").setProperty("collapsed", True)
    results.draw(7, results.truth[7, 0])
    user.click("propagateAgainButton")
    user.wait_until(lambda: user.read("propagateButton") == "Propagate")
    assert user.see("propagateCollapsibleButton").property("collapsed") is False
    assert user.sees("propagateMessageLabel")


def test_when_everything_is_right_it_says_so(results: Any) -> None:
    for frame in range(12):
        results.browser.SetSelectedItemNumber(frame)
        results.user.click("confirmButton")
    button = results.user.see("reviewNextButton")
    assert not button.isEnabled()
    assert button.toolTip() == "Nothing to review: every frame is drawn or declared right."
    assert results.user.read("reviewInfoLabel") == f"Frame 11. {button.toolTip()}"


def test_before_anything_is_drawn_the_button_says_what_to_do(discs: Any) -> None:
    assert discs.user.see("reviewNextButton").toolTip().startswith("Nothing to review yet: draw the lesion")
    assert discs.user.read("reviewInfoLabel") == "Frame 0."


def test_masks_without_a_confidence_say_why_there_is_nothing_to_review(results: Any) -> None:
    """As after a DICOM SEG was loaded, which has no confidences."""
    user, button = results.user, results.user.see("reviewNextButton")
    tool_tip = button.toolTip()
    assert tool_tip.startswith("Go to the frame")
    user.click("undoPropagationButton")
    assert button.toolTip().startswith("Nothing to review yet: press Propagate")
    assert user.read("reviewInfoLabel") == "Frame 0.", "before a propagation that goes without saying"
    sequence = SegmentationSequence.find(results.browser)
    for frame in range(1, 12):
        sequence.write(frame, {"lesion-1": results.truth[frame, 0]}, {"lesion-1": Origin.MODEL})
    user.module.session.process_events()
    said = "Nothing to review: these masks have no confidence. Press Propagate to compute them with one."
    assert not button.isEnabled()
    assert button.toolTip() == said
    assert user.read("reviewInfoLabel") == f"Frame 0. {said}"
    user.click("releaseButton")
    assert "Draw or confirm one frame" in user.read("reviewInfoLabel")
    user.click("confirmButton")
    results.propagate()
    assert button.isEnabled()
    assert button.toolTip() == tool_tip
    assert "Nothing to review" not in user.read("reviewInfoLabel")


def test_a_click_on_the_timeline_goes_to_the_frame(results: Any) -> None:
    for frame in (0, 5, 11):
        results.user.click_at("timelineLabel", (frame + 0.5) / 12)
        assert results.browser.GetSelectedItemNumber() == frame


def test_dragging_on_the_timeline_goes_through_the_frames(results: Any) -> None:
    shown = []
    tag = results.browser.AddObserver("ModifiedEvent", lambda *_: shown.append(results.browser.GetSelectedItemNumber()))
    results.user.drag("timelineLabel", (1.5 / 12, 3.5 / 12, 6.5 / 12, 2.5 / 12))
    results.browser.RemoveObserver(tag)
    assert [frame for frame in dict.fromkeys(shown)] == [1, 3, 6, 2]


def test_the_timeline_paints_only_what_changed(results: Any) -> None:
    """Painting in steps gives the same picture as painting everything, with fewer strokes."""
    from UltrasoundLesionSegLib.gui.timeline import Timeline, TimelineRow

    label = results.user.module.widget.ui.timelineLabel
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0.3, 1, 12).astype(np.float32)
    stepwise = Timeline(label, lambda _frame: None)
    painted = []
    paint = Timeline._paint_rows

    def count(self: Any, painter: Any, rows: Any, columns: Any, spans: Any) -> None:
        painted.append([stop - start for one in spans for start, stop in one])
        paint(self, painter, rows, columns, spans)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Timeline, "_paint_rows", count)
        for step in range(6):
            confidences = confidences.copy()
            confidences[step] = 0.5
            rows = [
                TimelineRow("One", confidences, {0: True, 7: False}),
                TimelineRow("Two", confidences[::-1].copy(), {3: True}),
            ]
            stepwise.show(rows, 12, step, [5])
        before = len(painted)
        stepwise.show_current(9)
        assert len(painted) == before, "another frame shown changes no confidence"
    seen = label.pixmap
    assert sum(map(sum, painted[1:])) < sum(painted[0]) * 5 / 4
    fresh = Timeline(label, lambda _frame: None)
    fresh.show(rows, 12, 9, [5])
    assert _picture(label.pixmap) == _picture(seen)
    for one in (stepwise, fresh):
        one.stop()


def _picture(pixmap: Any) -> Any:
    from slicer_harness.pythonqt import unwrap

    return unwrap(pixmap).toImage()


def test_the_timeline_shows_confidence_anchors_and_the_frame_shown(results: Any) -> None:
    label = results.user.see("timelineLabel")
    label.resize(480, label.height())
    results.browser.SetSelectedItemNumber(4)
    picture = label.pixmap().toImage()
    row = 12 + 7  # the middle of the first lesion's row

    def color(frame: float) -> tuple[int, int, int]:
        return picture.pixelColor(int((frame + 0.25) * 40), row).getRgb()[:3]

    red, _, blue = color(7)
    assert red > blue, "an unsure frame is orange"
    red, _, blue = color(9)
    assert blue > red, "a sure frame is blue"
    assert picture.pixelColor(20, row).getRgb()[:3] == (25, 25, 25), "the anchor on frame 0"
    assert picture.pixelColor(180, row).getRgb()[:3] == (214, 40, 120), "frame 4 is shown"
    below = picture.height() - 2
    assert picture.pixelColor(300, below).getRgb()[:3] == (178, 60, 20), "frame 7 is worth a look"
    assert picture.pixelColor(380, below).getRgb()[:3] != (178, 60, 20), "frame 9 is not"


def test_the_timeline_shows_which_anchors_are_not_visible(results: Any) -> None:
    results.browser.SetSelectedItemNumber(9)
    results.user.click("notVisibleButton")
    results.browser.SetSelectedItemNumber(4)
    label = results.user.see("timelineLabel")
    label.resize(480, label.height())
    picture = label.pixmap().toImage()
    ink = (25, 25, 25)
    middle, cap = 12 + 7, 12 - 4  # of the first lesion's row
    assert [picture.pixelColor(x, cap).getRgb()[:3] == ink for x in (20, 60, 380)] == [True, False, True]
    assert picture.pixelColor(20, middle).getRgb()[:3] == ink, "the lesion is drawn on frame 0"
    assert picture.pixelColor(380, middle).getRgb()[:3] != ink, "the lesion is not visible on frame 9"


def test_renaming_holds_on_all_frames(results: Any) -> None:
    results.user.type_into("segmentNameEdit", "Left mass")
    sequence = SegmentationSequence.find(results.browser)
    names = {
        sequence.sequence.GetNthDataNode(frame).GetSegmentation().GetNthSegment(0).GetName() for frame in range(12)
    }
    assert names == {"Left mass"}
    assert "Left mass on frame 0" in results.user.read("anchorsLabel")


def test_the_name_box_is_the_selected_lesions(results: Any) -> None:
    box = results.user.see("segmentNameEdit")
    box.activateWindow()
    box.setFocus()  # as after a click into it
    assert box.hasFocus()
    results.user.click("newLesionButton")
    assert box.text() == "Lesion 2"
    QTest.keyClicks(box, " typed")
    results.user.see("segmentEditor").setCurrentSegmentID("lesion-1")
    results.user.module.session.process_events()
    assert box.text() == "Lesion"


def test_after_a_button_that_becomes_disabled_keys_write_nothing(results: Any) -> None:
    box, button = results.user.see("segmentNameEdit"), results.user.see("undoPropagationButton")
    left = Qt.MouseButton.LeftButton
    box.activateWindow()
    button.setFocus()
    QTest.mouseClick(button, left)
    results.user.module.session.process_events()
    assert not button.isEnabled()
    focused = QApplication.focusWidget()
    assert focused is unwrap(results.user.module.widget.panel.root)
    assert not isinstance(focused, (QLineEdit, QAbstractSpinBox))
    QTest.mouseClick(box, left)
    assert box.hasFocus()
    QTest.keyClicks(box, "s")
    assert box.text() == "Lesions"


def test_the_keys_reach_no_field_with_text_or_a_number_from_another_widget(results: Any) -> None:
    """Walks through all that can have the keyboard, as Qt does when the widget that has it is disabled."""
    panel = unwrap(results.user.module.panel)
    for box in panel.findChildren(QWidget):
        if box.objectName().endswith("CollapsibleButton"):
            box.setProperty("collapsed", False)
    panel.activateWindow()
    panel.focusNextChild()
    reached = []
    while QApplication.focusWidget() not in reached:
        reached.append(QApplication.focusWidget())
        panel.focusNextChild()
    names = {one.objectName() for one in reached}
    assert {"worklistOpenButton", "propagateButton", "reviewNextButton", "measureButton"} <= names
    assert names.isdisjoint({"worklistReaderEdit", "caseCommentEdit", "segmentNameEdit", "ownModelNameEdit"})
    assert names.isdisjoint({"firstFrameSpinBox", "lastFrameSpinBox", "ownModelMinutesSpinBox", "qt_spinbox_lineedit"})


def test_an_empty_name_is_refused_in_one_sentence(results: Any) -> None:
    results.user.type_into("segmentNameEdit", " ")
    assert "must not be empty" in results.user.read("reviewMessageLabel")
    assert [one.name for one in SegmentationSequence.find(results.browser).segments()] == ["Lesion"]


def test_the_name_of_another_lesion_is_refused_and_stays_to_be_changed(results: Any) -> None:
    results.logic.addSegment(results.browser, "Cyst")
    results.user.type_into("segmentNameEdit", "Cyst")
    assert "another lesion of this cine has this name already" in results.user.read("reviewMessageLabel").lower()
    assert results.user.see("segmentNameEdit").text() == "Cyst"
    assert [*results.logic.segmentNames(results.browser).values()] == ["Lesion", "Cyst"]


def test_deleting_needs_two_presses_and_holds_on_all_frames(results: Any) -> None:
    results.user.click("deleteSegmentButton")
    assert results.user.read("deleteSegmentButton") == "Delete on all frames?"
    assert results.mask(5).any()
    results.user.click("deleteSegmentButton")
    assert SegmentationSequence.find(results.browser).segments() == []
    assert results.user.read("deleteSegmentButton") == "Delete"
    assert not results.user.see("deleteSegmentButton").isEnabled()


def test_deleting_a_lesion_that_touched_another_says_that_it_is_to_be_computed(results: Any) -> None:
    results.user.click("newLesionButton")
    half = results.truth[8, 0].copy()
    half[:, : int(np.nonzero(half)[1].mean())] = False
    results.draw(8, half)
    results.propagate()
    for _press in range(2):
        results.user.click("deleteSegmentButton")
    assert "propagate again to compute those" in results.user.read("reviewMessageLabel")


def test_a_seed_that_a_model_suggested_is_the_first_to_look_at(discs: Any) -> None:
    from UltrasoundLesionSegLib.cine import Origin

    user, logic = discs.user, discs.logic
    logic.setSeed(discs.browser, discs.truth[4, 0], 4, origin=Origin.SUGGESTED)
    user.module.session.process_events()
    user.click("reviewNextButton")  # before anything is propagated, too
    assert discs.frame_shown == 4
    said = user.read("reviewMessageLabel")
    assert said.startswith("A model suggested the seed on this frame, and nobody has looked at it: correct it,")
    user.click("reviewNextButton")
    assert user.read("reviewMessageLabel") == "Nothing else to look at than the seed that a model suggested."
    discs.propagate()
    discs.browser.SetSelectedItemNumber(0)
    user.click("reviewNextButton")
    assert discs.frame_shown == 4
    user.click("confirmButton")
    (states,) = ([*discs.logic._sequence(discs.browser).states(one)] for one in logic.segmentNames(discs.browser))
    assert states[4].origin is Origin.CONFIRMED
    assert logic.suggestedSeeds(discs.browser) == []
    user.module.widget.panel.refresh()
    user.click("reviewNextButton")
    assert discs.frame_shown == 4  # nothing further is offered: the view stays
    assert "suggested" not in user.read("reviewMessageLabel")


class TestTimelineArithmetic:
    """Parts of the strip that need no widget."""

    @pytest.fixture(autouse=True)
    def import_timeline(self, session: Any) -> None:
        from UltrasoundLesionSegLib.gui import timeline

        self.timeline = timeline

    def test_one_bad_frame_of_thousands_shows(self) -> None:
        confidences = np.full(5000, 0.95, np.float32)
        confidences[1234] = 0.1
        columns = self.timeline.column_confidences(confidences, 300)
        assert len(columns) == 300
        assert (columns < 0.5).sum() == 1
        assert np.argmin(columns) == 1234 * 300 // 5000

    def test_few_frames_fill_the_width(self) -> None:
        columns = self.timeline.column_confidences(np.array([0.2, np.nan, 0.9], np.float32), 30)
        np.testing.assert_allclose(columns[:10], 0.2)
        assert np.isnan(columns[10:20]).all()
        np.testing.assert_allclose(columns[20:], 0.9)

    def test_colours_go_from_unsure_to_sure(self) -> None:
        assert self.timeline.color_of(0.0) == self.timeline.SCALE[0]
        assert self.timeline.color_of(1.0) == self.timeline.SCALE[-1]

    def test_runs_join_equal_columns(self) -> None:
        found = self.timeline.runs(np.array([0.9, 0.9, np.nan, 0.1], np.float32))
        assert [(start, stop) for start, stop, _ in found] == [(0, 2), (3, 4)]
