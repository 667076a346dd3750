"""Propagation as a user meets it: progress, cancel, correcting, and everything that may happen meanwhile."""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
import pytest
import slicer

from UltrasoundLesionSegLib.cine import Cine

QtCore = pytest.importorskip("PySide6.QtCore", reason="PySide6 is not installed", exc_type=ImportError)


@pytest.fixture
def seeded(discs: Any) -> Any:
    """The lesion drawn on frame 0."""
    discs.draw(0, discs.truth[0, 0])
    return discs


def steps_until(discs: Any, count: int) -> None:
    """Let a propagation run until some frames have their result."""
    discs.user.click("propagateButton")
    discs.user.wait_until(lambda: sum(discs.mask(frame).any() for frame in range(1, 12)) >= count)
    assert discs.user.read("propagateButton") == "Cancel"


def test_from_a_drawing_to_all_frames(seeded: Any) -> None:
    seeded.propagate()
    for frame in range(12):
        overlap = (seeded.mask(frame) & seeded.truth[frame, 0]).sum() / seeded.truth[frame, 0].sum()
        assert overlap > 0.9, frame
    np.testing.assert_array_equal(seeded.mask(0), seeded.truth[0, 0])
    assert "11 frames in" in seeded.user.read("propagateMessageLabel")
    assert not seeded.user.sees("progressBar")


def shown_during(discs: Any, at_frame: dict[int, int] | None = None) -> list[int]:
    """Propagate; returns the frames shown. ``at_frame``: where the user goes when a frame is shown."""
    shown: list[int] = []

    def note(*_event: Any) -> None:
        frame = discs.browser.GetSelectedItemNumber()
        if shown[-1:] != [frame]:
            shown.append(frame)
            if at_frame and frame in at_frame:
                discs.user.see("followCheckBox").setChecked(False)
                discs.browser.SetSelectedItemNumber(at_frame[frame])

    tag = discs.browser.AddObserver("ModifiedEvent", note)
    discs.propagate()
    discs.browser.RemoveObserver(tag)
    return shown


@pytest.fixture
def shows_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every result is shown, however fast they come."""
    monkeypatch.setattr("UltrasoundLesionSegLib.gui.showing_budget.ShowingBudget.allows_showing", lambda _self: True)


@pytest.mark.usefixtures("shows_all")
def test_results_are_followed_and_the_view_goes_back_to_where_it_was(seeded: Any) -> None:
    seeded.browser.SetSelectedItemNumber(3)
    shown = shown_during(seeded)
    assert {7, 11} <= set(shown)
    assert seeded.browser.GetSelectedItemNumber() == 3


@pytest.mark.usefixtures("shows_all")
def test_the_view_stays_where_the_user_went_meanwhile(seeded: Any) -> None:
    shown_during(seeded, {6: 2})
    assert seeded.browser.GetSelectedItemNumber() == 2


@pytest.mark.usefixtures("shows_all")
def test_the_progress_line_counts_no_frames_because_some_are_computed_twice(seeded: Any) -> None:
    seeded.draw(11, seeded.truth[11, 0])
    seeded.user.see("propagateButton").click()
    lines = []
    while seeded.user.read("propagateButton") == "Cancel":
        seeded.user.module.session.process_events()
        lines += [seeded.user.read("progressLabel")] if seeded.user.sees("progressLabel") else []
    told = [line for line in lines if "a second" in line]
    assert told
    assert all(re.fullmatch(r"[\d.]+ frames a second(, .+ left)?", line) for line in told)


def test_the_view_stays_when_the_user_wants_it(seeded: Any) -> None:
    seeded.user.click("followCheckBox")
    seeded.propagate()
    assert seeded.browser.GetSelectedItemNumber() == 0


def test_only_the_frames_chosen(seeded: Any) -> None:
    seeded.user.see("lastFrameSpinBox").setValue(4)
    seeded.propagate()
    assert [frame for frame in range(12) if seeded.mask(frame).any()] == [0, 1, 2, 3, 4]
    seeded.user.click("allFramesButton")
    seeded.propagate()
    assert all((seeded.mask(frame) & seeded.truth[frame, 0]).any() for frame in range(12))


def test_nothing_drawn_is_said_in_one_sentence(discs: Any) -> None:
    discs.user.click("newLesionButton")
    discs.propagate()
    assert discs.user.read("propagateMessageLabel").startswith("The cine has no seed: draw the lesion")
    discs.draw(0, discs.truth[0, 0])
    assert not discs.user.sees("propagateMessageLabel"), "there is one now"


def test_the_application_works_between_frames(seeded: Any) -> None:
    """Another timer gets its turn between the frames, and no turn takes longer than some frames' time."""
    turns: list[float] = []
    timer = QtCore.QTimer()
    timer.setInterval(0)
    timer.timeout.connect(lambda: turns.append(time.perf_counter()))
    seeded.propagate()  # loads what is loaded once
    seeded.user.click("undoPropagationButton")
    timer.start()
    seeded.propagate()
    timer.stop()
    assert len(turns) >= 11
    assert max(np.diff(turns)) < 0.5


@pytest.mark.parametrize(
    ("empty", "said"),
    [
        ([18], "No lesion was seen on 1 frame (18)."),
        ([3, *range(18, 60)], "No lesion was seen on 43 frames (3, 18 to 59)."),
        ([1, 3, 5, 7, 9], "No lesion was seen on 5 frames (1, 3, 5, ...)."),
        ([], ""),
    ],
)
def test_the_outcome_says_where_no_lesion_was_seen(session: Any, empty: list[int], said: str) -> None:
    from UltrasoundLesionSegLib.gui.propagation_section import outcome
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationSummary

    summary = PropagationSummary("m", "1", "0", "cpu", "both", [*range(1, 60)], frames_without_lesion=empty)
    text, _ = outcome(summary, cancelled=False, seconds=2.0)
    assert text == f"59 frames in 2.0 s on cpu. {said}".strip()


def test_the_outcome_says_which_frames_cannot_be_read(session: Any) -> None:
    from UltrasoundLesionSegLib.gui.propagation_section import outcome
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationSummary

    summary = PropagationSummary("m", "1", "0", "cpu", "both", [*range(1, 60)], unreadable={6: "why", 7: "why"})
    text, _ = outcome(summary, cancelled=False, seconds=2.0)
    assert text == "59 frames in 2.0 s on cpu. Nothing was computed on 2 frames that cannot be read (6 to 7)."


def test_review_promises_nothing_when_nothing_was_computed(seeded: Any) -> None:
    seeded.user.see("propagateButton").click()
    seeded.user.module.widget.panel.cancel()
    seeded.user.wait_until(lambda: seeded.user.read("propagateButton") == "Propagate")
    assert not [frame for frame in range(1, 12) if seeded.mask(frame).any()]
    assert not seeded.user.sees("reviewMessageLabel")


def test_cancel_keeps_what_is_done(seeded: Any) -> None:
    steps_until(seeded, 3)
    seeded.user.click("propagateButton")
    assert seeded.user.read("propagateButton") == "Propagate"
    done = [frame for frame in range(1, 12) if seeded.mask(frame).any()]
    assert 3 <= len(done) < 11
    assert seeded.user.read("propagateMessageLabel") == f"Cancelled: {len(done)} frames were computed and are kept."
    seeded.user.module.session.process_events()
    assert [frame for frame in range(1, 12) if seeded.mask(frame).any()] == done
    seeded.propagate()
    assert all((seeded.mask(frame) & seeded.truth[frame, 0]).any() for frame in range(12))


def test_cancel_counts_frames_that_saw_one_direction_only(seeded: Any) -> None:
    seeded.draw(11, seeded.truth[11, 0])
    seeded.browser.SetSelectedItemNumber(0)
    seeded.user.click("propagateButton")
    seeded.user.wait_until(lambda: sum(seeded.mask(frame).any() for frame in range(1, 11)) >= 2)
    seeded.user.click("propagateButton")
    done = sum(seeded.mask(frame).any() for frame in range(1, 11))
    said = seeded.user.read("propagateMessageLabel")
    assert said.startswith(f"Cancelled: {done} frames were computed and are kept. Of these, ")
    assert said.endswith(" in one direction only; propagate again to finish.")


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "Cancelled: 1 frame was computed and is kept."),
        ([4], "Cancelled: 2 frames were computed and are kept. Of these, 1 in one direction only;"),
    ],
)
def test_cancel_speaks_of_one_frame_and_of_several(session: Any, frames: list[int], said: str) -> None:
    from UltrasoundLesionSegLib.gui.propagation_section import outcome
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationSummary

    summary = PropagationSummary("m", "1", "0", "cpu", "both", frames_computed=[1], frames_unfinished=frames)
    assert outcome(summary, True, 1.0)[0].startswith(said)


def test_cancel_before_the_first_frame_says_nothing_of_the_time_before(seeded: Any) -> None:
    seeded.propagate()
    seeded.browser.SetSelectedItemNumber(4)
    seeded.user.click("confirmButton")
    button = seeded.user.see("propagateButton")
    button.click()
    button.click()
    assert seeded.user.read("propagateMessageLabel") == "Cancelled; nothing was changed."


def test_the_tool_that_was_on_is_on_again_afterwards(seeded: Any) -> None:
    editor = seeded.user.see("segmentEditor")
    editor.setActiveEffectByName("Erase")
    seeded.propagate()
    assert editor.activeEffect().objectName() == "Erase"
    editor.setActiveEffect(None)
    seeded.propagate()
    assert editor.activeEffect() is None


def test_progress_and_a_long_outcome_are_in_sight_though_the_tools_options_fold_and_unfold(
    seeded: Any, low_window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from UltrasoundLesionSegLib.gui import propagation_section

    user = seeded.user
    user.see("segmentEditor").setActiveEffectByName("Paint")
    monkeypatch.setattr(propagation_section, "describe_masking", lambda _node: "The editor limits the results. " * 6)
    area = low_window(user)
    user.module.session.process_events()

    def is_whole(name: str) -> bool:
        label = user.see(name)
        seen = label.visibleRegion().boundingRect().height()
        return bool(label.text()) and seen == label.height() >= label.heightForWidth(label.width())

    def scroll_to_the_button() -> None:
        area.verticalScrollBar().setValue(0)
        area.ensureWidgetVisible(user.see("propagateButton"), 0, 0)

    scroll_to_the_button()
    steps_until(seeded, 1)
    steps = user.module.widget.panel.propagation._timer
    steps.stop()  # twelve small frames can be done before the panel has scrolled
    user.wait_until(lambda: is_whole("progressLabel"))
    scroll_to_the_button()
    steps.start()
    user.wait_until(lambda: user.read("propagateButton") == "Propagate")
    user.wait_until(lambda: is_whole("propagateMessageLabel"))


def test_the_outcome_tells_the_time_that_a_person_waited(seeded: Any, session: Any) -> None:
    """Also the time in which the views show the frames."""
    seconds = 0.15

    def draw_slowly(*_: Any) -> None:
        time.sleep(seconds)

    tag = seeded.browser.AddObserver("ModifiedEvent", draw_slowly)
    started = time.perf_counter()
    seeded.propagate()
    waited = time.perf_counter() - started
    seeded.browser.RemoveObserver(tag)
    number = float(seeded.user.read("propagateMessageLabel").split(" in ")[1].split(" s ")[0])
    assert seconds < number <= waited + 0.1


class TestShowing:
    """How often progress is shown."""

    @pytest.fixture
    def clock(self, session: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        from UltrasoundLesionSegLib.gui import showing_budget

        now = [100.0]
        monkeypatch.setattr(showing_budget.time, "perf_counter", lambda: now[0])
        return now

    @pytest.mark.parametrize(("computing", "showing"), [(0.03, 0.012), (0.03, 0.5), (0.002, 0.02), (1.0, 0.3)])
    def test_it_takes_less_than_a_third_of_the_time_at_400_frames(
        self, clock: list[float], computing: float, showing: float
    ) -> None:
        from UltrasoundLesionSegLib.gui.showing_budget import ShowingBudget

        budget = ShowingBudget()
        budget.start()
        shown = 0
        for _ in range(400):
            budget.begin_step()
            clock[0] += computing
            if budget.allows_showing():
                shown += 1
                clock[0] += showing
        budget.begin_step()
        assert shown >= 5
        assert shown * showing < budget.seconds / 3


def test_the_editors_masking_is_told_with_the_outcome(seeded: Any) -> None:
    seeded.propagate()
    assert "masking" not in seeded.user.read("propagateMessageLabel")
    editor_node = seeded.user.see("segmentEditor").mrmlSegmentEditorNode()
    editor_node.SourceVolumeIntensityMaskOn()
    editor_node.SetSourceVolumeIntensityMaskRange(0, 100)
    seeded.propagate()
    assert "masking (intensity range 0 to 100)" in seeded.user.read("propagateMessageLabel")
    editor_node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    seeded.propagate()
    assert "(intensity range 0 to 100 and editable area)" in seeded.user.read("propagateMessageLabel")


def test_the_editor_takes_no_drawing_while_the_model_writes(seeded: Any) -> None:
    steps_until(seeded, 1)
    assert seeded.user.see("segmentEditor").property("readOnly")
    seeded.user.click("propagateButton")
    assert not seeded.user.see("segmentEditor").property("readOnly")


def test_a_correction_costs_its_stretch_only(seeded: Any, bright_model: Any) -> None:
    seeded.propagate()
    for frame in (4, 8):
        seeded.browser.SetSelectedItemNumber(frame)
        seeded.user.click("confirmButton")
    seeded.user.click("propagateAgainButton")
    seeded.user.wait_until(lambda: seeded.user.read("propagateButton") == "Propagate")
    before = bright_model.segmented
    smaller = seeded.mask(8) & (np.arange(seeded.truth.shape[3]) % 2 == 0)
    assert smaller.any()
    seeded.browser.SetSelectedItemNumber(8)
    seeded.user.paint("segmentEditor", ~smaller, erase=True)
    seeded.user.click("propagateAgainButton")
    seeded.user.wait_until(lambda: seeded.user.read("propagateButton") == "Propagate")
    np.testing.assert_array_equal(seeded.mask(8), smaller)
    # frames 5 to 7 both ways and 9 to 11 forward; frames 1 to 3 are left alone
    assert bright_model.segmented - before == 9 + 3  # each stretch begins with its anchor
    seeded.user.click("propagateAgainButton")
    seeded.user.wait_until(lambda: seeded.user.read("propagateButton") == "Propagate")
    assert bright_model.segmented - before == 9 + 3  # each stretch begins with its anchor
    assert "Nothing to do" in seeded.user.read("propagateMessageLabel")


def test_undo_takes_the_whole_propagation_back(seeded: Any) -> None:
    assert not seeded.user.see("undoPropagationButton").isEnabled()
    seeded.propagate()
    seeded.user.click("undoPropagationButton")
    assert [frame for frame in range(12) if seeded.mask(frame).any()] == [0]
    assert not seeded.user.see("undoPropagationButton").isEnabled()
    assert not seeded.user.sees("propagateMessageLabel")


# ---- what may happen meanwhile


def test_another_module_is_opened_and_this_one_again(seeded: Any) -> None:
    steps_until(seeded, 2)
    seeded.user.module.leave()
    seeded.user.wait_until(lambda: all(seeded.mask(frame).any() for frame in range(12)))
    seeded.user.module.open()
    assert seeded.user.read("propagateButton") == "Propagate"


def test_the_module_is_opened_again_before_it_is_done(seeded: Any) -> None:
    steps_until(seeded, 2)
    seeded.user.module.leave()
    seeded.user.module.open()
    assert seeded.user.read("propagateButton") == "Cancel"
    seeded.user.wait_until(lambda: seeded.user.read("propagateButton") == "Propagate")
    assert all((seeded.mask(frame) & seeded.truth[frame, 0]).any() for frame in range(12))


def test_the_scene_is_closed(seeded: Any) -> None:
    steps_until(seeded, 2)
    slicer.mrmlScene.Clear(0)
    seeded.user.module.session.process_events()
    assert seeded.user.read("propagateButton") == "Propagate"
    assert seeded.user.read("cineInfoLabel") == "No cine is chosen."


def test_the_module_is_reloaded(seeded: Any) -> None:
    steps_until(seeded, 2)
    done = [frame for frame in range(12) if seeded.mask(frame).any()]
    seeded.user.module.reload()
    assert seeded.user.read("propagateButton") == "Propagate"
    assert [frame for frame in range(12) if seeded.mask(frame).any()] == done


def test_a_frame_is_declared_right_meanwhile(seeded: Any) -> None:
    steps_until(seeded, 2)
    wrong = np.zeros_like(seeded.truth[9, 0])
    wrong[:5, :5] = True
    seeded.logic.setSeed(seeded.browser, wrong, frame=9, segment="Lesion")
    seeded.user.wait_until(lambda: seeded.user.read("propagateButton") == "Propagate")
    np.testing.assert_array_equal(seeded.mask(9), wrong)


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("meanwhile", [True, False], ids=["while propagating", "at rest"])
def test_any_node_of_the_cine_is_deleted(seeded: Any, index: int, meanwhile: bool) -> None:
    """Browser, the two sequences and their proxies: no traceback, and the panel goes on working."""
    nodes = seeded.logic.nodesOf(seeded.browser)
    assert len(nodes) == 5
    if meanwhile:
        steps_until(seeded, 1)
    slicer.mrmlScene.RemoveNode(nodes[index])
    for _ in range(3):
        seeded.user.module.session.process_events()
    assert seeded.user.read("propagateButton") == "Propagate"
    if nodes[index].IsA("vtkMRMLSegmentationNode"):
        np.testing.assert_array_equal(seeded.mask(0), seeded.truth[0, 0])
    if seeded.browser.GetScene() is not None and seeded.browser.GetMasterSequenceNode() is not None:
        seeded.browser.SetSelectedItemNumber(5)
    seeded.user.module.widget.panel.choose_cine(seeded.logic.addCine(Cine.from_array(np.zeros((3, 40, 50), np.uint8))))
    assert "3 frames, 50 \u00d7 40 pixels" in seeded.user.read("cineInfoLabel")


def test_the_editors_masking_holds_for_results_too(seeded: Any) -> None:
    editor_node = seeded.user.see("segmentEditor").mrmlSegmentEditorNode()
    editor_node.SourceVolumeIntensityMaskOn()
    editor_node.SetSourceVolumeIntensityMaskRange(0, 100)  # the lesion is brighter: nothing of it may be changed
    seeded.propagate()
    assert not any((seeded.mask(frame) & seeded.truth[frame, 0]).any() for frame in range(1, 12))
    np.testing.assert_array_equal(seeded.mask(0), seeded.truth[0, 0])
    editor_node.SourceVolumeIntensityMaskOff()
    seeded.propagate()
    assert all((seeded.mask(frame) & seeded.truth[frame, 0]).any() for frame in range(12))
