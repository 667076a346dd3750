"""The panel shows what lines in Slicer's Python console did, and shows once what its own buttons did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PySide6.QtTest", reason="PySide6 is not installed", exc_type=ImportError)


@pytest.fixture
def console(discs: Any) -> Any:
    """What ``slicer.util.getModuleLogic("UltrasoundLesionSeg")`` gives in Slicer's Python console."""
    return discs.logic


@pytest.fixture
def told(discs: Any) -> list[str]:
    """What the panel tells its sections from now on, in order."""
    from UltrasoundLesionSegLib.gui.section import Section

    happened: list[str] = []

    class Listener(Section):
        """A further section."""

        def cine_changed(self) -> None:
            happened.append("cine")

        def results_changed(self) -> None:
            happened.append("results")

        def propagation_ended(self) -> None:
            happened.append("propagation")

        def tables_changed(self) -> None:
            happened.append("tables")

    panel = discs.user.module.widget.panel
    panel.sections = (*panel.sections, Listener(panel))
    return happened


def settle(discs: Any) -> None:
    """Let the application work."""
    for _ in range(3):
        discs.user.module.session.process_events()


def test_a_seed_set_in_the_console_is_shown(discs: Any, console: Any, told: list[str]) -> None:
    assert not discs.user.see("confirmButton").isEnabled()
    console.setSeed(discs.browser, discs.truth[4, 0], frame=4)
    console.setSeed(discs.browser, discs.truth[8, 0], frame=8)
    assert told == []
    settle(discs)
    assert told == ["results"], "all that one line did is shown at once"
    assert discs.user.read("anchorsLabel") == "Anchors: Lesion on frames 4, 8."
    assert discs.user.see("confirmButton").isEnabled()
    assert discs.user.see("segmentEditor").segmentationNode() is console.segmentationNode(discs.browser)
    console.releaseAnchor(discs.browser, 4)
    settle(discs)
    assert discs.user.read("anchorsLabel") == "Anchors: Lesion on frame 8."


def test_what_another_logic_object_does_is_shown(discs: Any) -> None:
    from UltrasoundLesionSeg import UltrasoundLesionSegLogic

    UltrasoundLesionSegLogic().setSeed(discs.browser, discs.truth[2, 0], frame=2)
    settle(discs)
    assert discs.user.read("anchorsLabel") == "Anchors: Lesion on frame 2."
    UltrasoundLesionSegLogic().renameSegment(discs.browser, "Lesion", "Cyst")
    settle(discs)
    assert discs.user.read("anchorsLabel") == "Anchors: Cyst on frame 2."


def test_a_propagation_in_the_console_begins_another_round_of_review(discs: Any, console: Any, told: list[str]) -> None:
    discs.draw(0, discs.truth[0, 0])
    discs.propagate()
    assert "11 frames in" in discs.user.read("propagateMessageLabel")
    discs.user.click("measureButton")
    console.setSeed(discs.browser, discs.truth[9, 0], frame=9)
    settle(discs)
    assert "11 frames in" in discs.user.read("propagateMessageLabel")
    told.clear()
    console.propagate(discs.browser)
    settle(discs)
    assert told == ["propagation", "results"]
    assert not discs.user.sees("propagateMessageLabel"), "it was of the propagation before"
    said = discs.user.read("reviewMessageLabel")
    assert "to look at" in said or "Nothing further expected" in said
    assert "press Measure again" in discs.user.read("measureMessageLabel")
    assert discs.user.see("undoPropagationButton").isEnabled()
    console.undoPropagation(discs.browser)
    settle(discs)
    assert not discs.user.see("undoPropagationButton").isEnabled()


def test_a_propagation_of_the_console_that_lets_the_window_work_is_over_once(
    discs: Any, console: Any, told: list[str]
) -> None:
    """The timeline grows meanwhile; the new round begins when all frames are there."""
    console.setSeed(discs.browser, discs.truth[0, 0], frame=0)
    settle(discs)
    told.clear()
    console.propagate(discs.browser, progress=lambda _step: settle(discs))
    settle(discs)
    assert told.count("propagation") == 1
    assert told[-2:] == ["propagation", "results"]
    assert len(told) > 10


def test_what_the_panels_own_buttons_store_is_shown_once(discs: Any, told: list[str]) -> None:
    discs.draw(0, discs.truth[0, 0])
    settle(discs)
    told.clear()
    for button, expected in (
        ("confirmButton", ["results"]),
        ("releaseButton", ["results"]),
        ("confirmButton", ["results"]),
        ("measureButton", ["tables"]),
    ):
        discs.user.click(button)
        settle(discs)
        assert told == expected, button
        told.clear()
    discs.propagate()
    settle(discs)
    assert told == ["propagation", "results"]
    told.clear()
    discs.user.click("undoPropagationButton")
    settle(discs)
    assert told == ["results"]
    assert not discs.user.sees("propagateMessageLabel"), "it was of the results that are gone"


def test_a_drawing_stored_when_another_frame_is_shown_is_shown_once(discs: Any, told: list[str]) -> None:
    discs.draw(0, discs.truth[0, 0])
    told.clear()
    discs.browser.SetSelectedItemNumber(5)
    settle(discs)
    assert told == ["results"]


def test_what_the_console_stores_during_a_propagation_is_shown_at_its_end(
    discs: Any, console: Any, told: list[str]
) -> None:
    discs.draw(0, discs.truth[0, 0])
    settle(discs)
    panel = discs.user.module.widget.panel
    discs.user.click("propagateButton")
    told.clear()
    discs.user.wait_until(lambda: discs.mask(3).any())
    assert panel.busy
    console.setSeed(discs.browser, discs.truth[11, 0], frame=11)
    assert panel.busy
    discs.user.wait_until(lambda: not panel.busy)
    settle(discs)
    assert told == ["propagation", "results"]
    assert discs.user.read("anchorsLabel") == "Anchors: Lesion on frames 0, 11."


def test_tables_measured_in_the_console_are_shown(discs: Any, console: Any, told: list[str]) -> None:
    console.setSeed(discs.browser, discs.truth[0, 0], frame=0)
    settle(discs)
    told.clear()
    console.measure(discs.browser)
    settle(discs)
    assert told == ["tables"]
    assert discs.user.see("copyTableButton").isEnabled()
    assert not discs.user.sees("measureMessageLabel")
    console.measure(discs.browser)
    console.setSeed(discs.browser, discs.truth[5, 0], frame=5)  # before anything is shown
    settle(discs)
    assert "press Measure again" in discs.user.read("measureMessageLabel")


def test_tables_that_could_not_be_saved_say_so_for_longer_than_a_moment(discs: Any, tmp_path: Path) -> None:
    """Saving measures, and showing those tables must not wipe the line."""
    discs.draw(0, discs.truth[0, 0])
    discs.user.click("measureButton")
    (tmp_path / "lesions.csv").mkdir()
    discs.user.module.session.file_dialogs.waiting.append(str(tmp_path))
    discs.user.click("saveTablesButton")
    settle(discs)
    assert "cannot" in discs.user.read("measureMessageLabel")


def test_a_cine_made_in_the_console_is_not_chosen(discs: Any, console: Any, told: list[str]) -> None:
    other = console.loadCine(np.zeros((3, 64, 64), np.uint8), "Other")
    console.setSeed(other, np.pad(np.ones((8, 8), bool), 28), frame=1)
    settle(discs)
    assert told == []
    assert discs.user.module.widget.panel.browser is discs.browser
    discs.user.choose("browserSelector", other.GetName())
    assert discs.user.read("anchorsLabel") == "Anchors: Lesion on frame 1."


def test_messages_stay_when_the_console_changes_results(discs: Any, console: Any) -> None:
    from UltrasoundLesionSegLib.gui.messages import tell

    ui = discs.user.module.widget.ui
    for name in ("cineMessageLabel", "lesionMessageLabel", "exportMessageLabel", "propagateMessageLabel"):
        tell(getattr(ui, name), f"Said in {name}.")
    console.setSeed(discs.browser, discs.truth[0, 0], frame=0)
    settle(discs)
    for name in ("cineMessageLabel", "lesionMessageLabel", "exportMessageLabel", "propagateMessageLabel"):
        assert discs.user.read(name) == f"Said in {name}."


def test_a_panel_that_is_gone_hears_nothing(discs: Any, console: Any) -> None:
    browser = discs.browser
    discs.user.module.unload()
    console.setSeed(browser, discs.truth[0, 0], frame=0)
    assert console.anchors(browser) == {"lesion-1": [0]}


def test_another_cine_is_shown_once_whatever_was_chosen_for_the_last_one(discs: Any, told: list[str]) -> None:
    user = discs.user
    other = discs.logic.loadCine(np.zeros((20, 64, 64), np.uint8))
    user.see("firstFrameSpinBox").setValue(3)
    user.see("lastFrameSpinBox").setValue(8)
    user.click("pixelsAllowedCheckBox")
    settle(discs)
    told.clear()
    user.choose("browserSelector", other.GetName())
    settle(discs)
    assert told == ["cine", "results"]
    assert not user.see("pixelsAllowedCheckBox").isChecked()
    assert [user.see(name).value() for name in ("firstFrameSpinBox", "lastFrameSpinBox")] == [0, 19]
