"""The worklist: a batch's cases one after the other, the reader's work stored at every change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_helpers import write_multiframe
from engine_helpers import clip_of_moving_discs
from PIL import Image

from UltrasoundLesionSegLib.batch.fingerprint import fingerprint
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, write_listed
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.reader_work.record import How, ReviewState
from UltrasoundLesionSegLib.reader_work.store import CaseWork, ReviewFolder
from UltrasoundLesionSegLib.review.worklist import Worklist
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest


def test_the_section_is_folded_away_until_it_is_used(user: Any) -> None:
    assert user.see("worklistCollapsibleButton").property("collapsed")


def test_a_folder_of_cines_becomes_a_list_of_cases(reader: Any) -> None:
    assert [row[2] for row in reader.rows()] == ["new"] * 3
    assert reader.user.read("worklistPaceLabel") == "0 of 3 done."
    assert not any("Doe" in name for name in reader.names())


def test_beginning_counts_the_files_and_can_be_cancelled(
    reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from UltrasoundLesionSegLib.gui import progress_window

    shown: list[str] = []

    class Cancelled(progress_window.ProgressWindow):
        def count(self, done: int) -> None:
            self._shown = 0.0
            if done == 4:
                self._dialog.cancel()
            try:
                super().count(done)
            finally:
                shown.append(str(self._dialog.labelText))

    monkeypatch.setattr(progress_window, "OPENS_AFTER_S", 0.0)
    monkeypatch.setattr("UltrasoundLesionSegLib.gui.worklist_section.ProgressWindow", Cancelled)
    (tmp_path / "second").mkdir()
    reader.user.module.session.file_dialogs.waiting += [str(tmp_path / "cines"), str(tmp_path / "second")]
    reader.click("worklistBeginButton")
    assert shown == [f"Looking for cines: {number} files" for number in (1, 2, 3, 4)]
    assert reader.message() == "Nothing was begun; press the button again to look through the folder."
    assert list((tmp_path / "second").iterdir()) == []
    assert len(reader.rows()) == 3, "the list that was open stays"


def test_a_folder_that_is_no_batchs_is_refused_and_the_open_list_and_case_stay(reader: Any, tmp_path: Path) -> None:
    reader.activate(0)
    names, browser = reader.names(), reader.browser
    reader.user.module.session.file_dialogs.waiting.append(str(tmp_path / "cines"))
    reader.click("worklistOpenButton")
    assert reader.message().startswith("The folder is no batch's output")
    assert (reader.names(), reader.browser) == (names, browser)
    assert reader.user.read("worklistFolderLabel") == str(reader.output)
    assert reader.user.read("openCaseLabel").startswith(f"{names[0]} is open")
    reader.click("worklistRefreshButton")
    assert reader.message() == ""
    reader.draw(2)
    reader.click("closeCaseButton")
    assert reader.record(names[0]).anchors


def test_work_is_stored_at_every_change_and_is_there_again(reader: Any) -> None:
    first = reader.names()[0]
    reader.activate(0)
    assert reader.message() == ""
    assert reader.user.read("openCaseLabel") == f"{first} is open, 0 frames drawn."
    assert reader.browser.GetNumberOfItems() == len(reader.truth)
    assert reader.record(first) is None, "looking at a case is no work on it"
    reader.draw(2)
    reader.browser.SetSelectedItemNumber(3)
    reader.user.module.session.process_events()
    record = reader.record(first)
    assert record is not None
    assert (record.state, record.frames_drawn) == (ReviewState.IN_WORK, (2,))
    assert reader.rows()[0][2:5] == ["in work", "", "1"]
    assert reader.user.read("openCaseLabel") == f"{first} is open, 1 frame drawn."
    reader.click("closeCaseButton")
    assert reader.browser is None
    assert not reader.user.sees("openCaseLabel")
    reader.activate(0)
    assert reader.user.module.widget.panel.anchors() == {"lesion-1": {2: True}}
    reader.select(1)
    reader.click("openCaseButton")
    assert reader.user.read("openCaseLabel").startswith(reader.names()[1])


def test_a_cine_that_was_exported_again_opens_with_the_work_on_it_and_says_so(reader: Any) -> None:
    first = reader.names()[0]
    reader.activate(0)
    reader.draw(2)
    source = Worklist(reader.output, "A").source_of(first)
    reader.click("closeCaseButton")
    for path in source.iterdir():
        Image.open(path).save(path, compress_level=1)
    reader.activate(0)
    assert reader.message() == (
        "The file of the cine is another one than the reader drew on, but it has the same images."
    )
    assert reader.user.module.widget.panel.anchors() == {"lesion-1": {2: True}}
    reader.draw(3)
    reader.click("closeCaseButton")
    assert reader.record(first).frames_drawn == (2, 3)


def test_next_and_done_go_on_until_no_case_is_left(reader: Any) -> None:
    names = reader.names()
    reader.user.press_keys("UltrasoundLesionSeg", "Alt+J")
    for name in names:
        reader.wait()
        assert reader.user.read("openCaseLabel").startswith(f"{name} is open")
        reader.draw(0)
        reader.user.press_keys("UltrasoundLesionSeg", "Alt+D")
    reader.wait()
    assert [reader.record(name).state for name in names] == [ReviewState.DONE] * 3
    assert reader.browser is None
    assert reader.message() == "No case is left to do."
    assert reader.user.read("worklistPaceLabel").startswith("3 of 3 done")
    assert reader.names() == [], "those to do are listed"
    reader.user.choose("worklistStateComboBox", "Done")
    assert reader.names() == names


def test_next_leaves_a_case_in_work_and_comes_back_to_it_last(reader: Any) -> None:
    first, second, third = reader.names()
    for expected in (first, second, third, first):
        reader.click("nextCaseButton")
        assert reader.user.read("openCaseLabel").startswith(f"{expected} is open")
    reader.draw(1)
    reader.click("nextCaseButton")
    assert reader.record(first).state is ReviewState.IN_WORK
    assert reader.record(second) is None


def test_a_case_without_masks_cannot_be_done(reader: Any) -> None:
    first = reader.names()[0]
    reader.activate(0)
    reader.click("finishCaseButton")
    assert "the case has no masks yet" in reader.message().lower()
    assert reader.user.read("openCaseLabel").startswith(f"{first} is open")


def test_a_case_is_set_aside_with_a_reason_and_taken_up_again(reader: Any) -> None:
    first, second, _ = reader.names()
    reader.activate(0)
    reader.draw(0)
    reader.click("setAsideButton")
    assert "reason" in reader.message()
    reader.user.type_into("caseCommentEdit", "out of the plane")
    reader.click("setAsideButton")
    record = reader.record(first)
    assert (record.state, record.reason, record.frames_drawn) == (ReviewState.SET_ASIDE, "out of the plane", (0,))
    assert reader.browser is None
    assert "1 set aside" in reader.user.read("worklistPaceLabel")
    reader.select(0)
    reader.user.type_into("caseCommentEdit", "not this lesion")
    reader.click("setAsideButton")
    assert reader.record(second).reason == "not this lesion"
    assert len(reader.names()) == 1, "those to do are listed"
    reader.user.choose("worklistStateComboBox", "Set aside")
    assert reader.names() == [first, second]
    reader.select(0)
    reader.click("takeUpButton")
    assert (reader.record(first).state, reader.record(first).frames_drawn) == (ReviewState.IN_WORK, (0,))


def test_a_case_that_another_holds_says_so_and_is_skipped(reader: Any) -> None:
    first, second, _ = reader.names()
    with ReviewFolder(reader.output).work("A", first).hold():
        reader.activate(0)
        assert "in work by somebody else" in reader.message()
        assert reader.browser is None
        reader.click("nextCaseButton")
        assert reader.user.read("openCaseLabel").startswith(f"{second} is open")


def test_a_case_that_was_taken_over_keeps_its_cine_and_what_was_drawn(reader: Any) -> None:
    first = reader.names()[0]
    reader.activate(0)
    hold = reader.output / "review" / "A" / first / "hold.json"
    hold.write_text(hold.read_text().replace('"token": "', '"token": "0'))
    reader.draw(2)
    reader.browser.SetSelectedItemNumber(3)
    reader.wait()
    assert "taken over" in reader.message()
    assert reader.user.module.widget.panel.anchors() == {"lesion-1": {2: True}}
    assert not reader.user.sees("openCaseLabel")
    assert list((reader.output / "review" / "A" / ".aside").iterdir())


def test_a_case_that_cannot_be_stored_stays_open_with_everything_drawn(
    reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = reader.names()[0]
    reader.activate(0)
    with monkeypatch.context() as full_disk:

        def fail(*_arguments: Any) -> None:
            raise OutputError("the disk is full; make room and go on")

        full_disk.setattr(CaseWork, "store", fail)
        reader.draw(2)
        reader.browser.SetSelectedItemNumber(3)
        reader.wait()
        assert "The disk is full" in reader.message()
        for button in ("nextCaseButton", "finishCaseButton", "closeCaseButton"):
            reader.click(button)
            assert "The disk is full" in reader.message()
            assert reader.user.read("openCaseLabel").startswith(f"{first} is open")
            assert reader.user.module.widget.panel.anchors() == {"lesion-1": {2: True}}
    reader.click("closeCaseButton")
    assert reader.record(first).frames_drawn == (2,)


def test_the_hold_lives_on_without_a_thread_of_its_own(reader: Any) -> None:
    """Slicer starves Python threads while nobody does anything: the window's own timer keeps the hold."""
    reader.activate(0)
    hold = reader.output / "review" / "A" / reader.names()[0] / "hold.json"
    long_ago = time.time() - 1000
    os.utime(hold, (long_ago, long_ago))
    timer = reader.section._case._beat_timer
    assert timer.isActive()
    timer.setInterval(1)
    reader.user.wait_until(lambda: hold.stat().st_mtime > long_ago + 900)


def test_strokes_are_stored_before_the_frame_is_left_and_undo_takes_them_back(reader: Any) -> None:
    first = reader.names()[0]
    reader.activate(0)
    reader.draw(2)
    reader.user.wait_until(lambda: reader.record(first) is not None and reader.record(first).frames_drawn == (2,))
    reader.user.see("segmentEditor").undo()
    reader.user.wait_until(lambda: reader.record(first).frames_drawn == ())


def test_the_time_counts_while_the_reader_is_at_work(reader: Any) -> None:
    first = reader.names()[0]
    reader.activate(0)
    now = [0.0]
    case = reader.section._case._case
    case.clock, case._touched = (lambda: now[0]), 0.0
    for frame, at in ((1, 30.0), (2, 50.0), (3, 100_000.0)):  # the last one after a night
        now[0] = at
        reader.browser.SetSelectedItemNumber(frame)
    reader.draw(3)
    reader.click("closeCaseButton")
    assert reader.record(first).seconds == pytest.approx(350.0, abs=1.0)
    assert reader.rows()[0][5] == "6 min"


def test_opening_can_be_stopped(reader: Any) -> None:
    first = reader.names()[0]
    view = reader.user.see("worklistTableView")
    view.activated.emit(view.model().index(0, 0))
    assert reader.user.module.widget.panel.busy
    assert not reader.user.see("nextCaseButton").isEnabled()
    reader.click("closeCaseButton")
    assert reader.browser is None
    assert not ReviewFolder(reader.output).work("A", first).is_held()
    assert reader.user.module.session.scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 0


def test_moved_cines_are_asked_for_once_and_found_by_themselves_from_then_on(reader: Any, tmp_path: Path) -> None:
    (tmp_path / "cines").rename(tmp_path / "moved")
    dialogs = reader.user.module.session.file_dialogs
    dialogs.waiting.append("")
    reader.activate(0)
    assert "was not found" in reader.message()
    dialogs.waiting.append(str(tmp_path))
    reader.activate(0)
    assert reader.browser.GetNumberOfItems() == len(reader.truth)
    reader.click("nextCaseButton")
    assert reader.browser.GetNumberOfItems() == len(reader.truth)
    assert dialogs.waiting == []


def test_a_reader_sees_own_work_alone(reader: Any) -> None:
    reader.activate(0)
    reader.draw(0)
    reader.user.type_into("worklistReaderEdit", "B")
    reader.wait()
    assert reader.browser is None
    assert [row[2] for row in reader.rows()] == ["new"] * 3
    reader.user.type_into("worklistReaderEdit", "Jane Doe")
    assert "code is not usable" in reader.message()
    assert reader.rows() == []


def test_the_folder_and_the_reader_are_remembered(reader: Any) -> None:
    names = reader.names()
    reader.user.module.reload()
    assert reader.section._list is None, "nothing is read before the section is unfolded"
    reader.user.see("worklistCollapsibleButton").setProperty("collapsed", False)
    assert reader.user.see("worklistReaderEdit").text() == "A"
    assert reader.names() == names


@pytest.mark.parametrize("how", ["close scene", "delete cine", "reload"])
def test_the_case_is_let_go_when_the_scene_or_the_panel_goes(reader: Any, how: str) -> None:
    first = reader.names()[0]
    reader.activate(0)
    reader.draw(1)
    if how == "close scene":
        reader.user.module.session.scene.Clear(0)
    elif how == "delete cine":
        reader.user.module.session.scene.RemoveNode(reader.browser)
    else:
        reader.user.module.reload()
    reader.wait()
    assert reader.record(first).frames_drawn == (1,)
    assert not ReviewFolder(reader.output).work("A", first).is_held()
    assert not reader.user.sees("openCaseLabel")


@pytest.fixture
def computed(user: Any, as_reader: Callable[..., Any], tmp_path: Path) -> Any:
    """Reader A in front of a batch with one computed case of 12 frames, whose seed was on frame 0."""
    cine, truth = clip_of_moving_discs(frames=12)
    source, seed = tmp_path / "cines" / "Doe.dcm", tmp_path / "cines" / "Doe.seed.0.png"
    write_multiframe(source, np.stack([cine.frames[index] for index in range(12)]))
    Image.fromarray(truth[0, 0]).save(seed)
    folder, seeds = BatchFolder(tmp_path / "out"), (SeedFileRequest(seed, 0),)
    with folder.held():
        request = CaseRequest(source, folder.cases / "case-0001", seeds=seeds, device="cpu", with_scene=False)
        run_case(replace(request, stamp={"inputs": fingerprint(request)}))
        write_listed(folder.sources, [ListedCase(BatchCase(source, seeds, "case-0001"), "done")])
    user.see("worklistCollapsibleButton").setProperty("collapsed", False)
    user.type_into("worklistReaderEdit", "A")
    user.module.session.file_dialogs.waiting.append(str(folder.root))
    user.click("worklistOpenButton")
    return as_reader(folder.root, truth[:, 0])


def test_a_computed_case_has_its_masks_and_is_reviewed_as_any_other(computed: Any) -> None:
    assert computed.rows()[0][:3] == ["case-0001", "12", "new"]
    overlap = float(computed.rows()[0][3])
    computed.activate(0)
    logic, browser = computed.user.module.widget.logic, computed.browser
    assert computed.user.module.widget.panel.anchors() == {"lesion-1": {0: True}}
    confidences = logic.confidences(browser)["lesion-1"]
    assert np.nanmin(confidences) <= overlap + 0.005
    order = logic.reviewOrder(browser)
    if order:
        assert browser.GetSelectedItemNumber() == order[0], "the case opens where a correction wins most"
    computed.user.click("reviewNextButton")
    assert computed.user.see("reviewMessageLabel").isVisibleTo(computed.user.see("reviewCollapsibleButton"))
    computed.click("confirmButton")
    computed.click("finishCaseButton")
    record = computed.record("case-0001")
    assert record.state is ReviewState.DONE
    assert len(record.frames_drawn) == 1
    result = ReviewFolder(computed.output).work("A", "case-0001").result()
    assert all(result.masks(frame) is not None for frame in range(12))


def test_a_reader_is_compared_with_the_model_and_takes_its_mask(computed: Any) -> None:
    user = computed.user
    user.choose("worklistStateComboBox", "All")
    user.see("compareCollapsibleButton").setProperty("collapsed", False)
    computed.activate(0)
    before = user.module.widget.logic.masks(computed.browser)
    logic = user.module.widget.logic
    logic.setSeed(computed.browser, before[3], 3, "Lesion")
    logic.setSeed(computed.browser, computed.truth[2], 5, "Lesion")
    logic.markNotVisible(computed.browser, 7)
    computed.click("finishCaseButton")
    computed.activate(0)
    user.click("worklistRefreshButton")
    computed.click("compareButton")
    assert user.see("firstReaderComboBox").currentText() == "A"
    assert user.see("secondReaderComboBox").currentText() == "model"
    assert "Blue: A. Pink: model. 2 of 3 outlines differ." in user.read("compareLabel")
    computed.click("nextDifferenceButton")
    assert computed.browser.GetSelectedItemNumber() == 7
    assert user.read("takeSecondButton") == "Take model"
    computed.click("takeSecondButton")
    work = ReviewFolder(computed.output).work("A", "case-0001")
    taken = {one.frame: one for one in work.anchors()}[7]
    assert (taken.how, taken.provenance) == (How.CONFIRMED, "model")
    assert np.array_equal(taken.mask, before[7])
    assert work.record().state is ReviewState.IN_WORK


def test_a_propagation_is_on_the_disk_before_the_case_is_done(computed: Any) -> None:
    computed.activate(0)
    computed.draw(6)
    computed.user.click("propagateButton")
    computed.wait()
    work = ReviewFolder(computed.output).work("A", "case-0001")
    record = work.record()
    assert record.state is ReviewState.IN_WORK
    masks = computed.user.module.widget.logic.masks(computed.browser)
    result = work.result()
    assert all(np.array_equal(result.masks(frame)[0], masks[frame]) for frame in range(12))
    computed.browser.SetSelectedItemNumber(9)
    computed.user.paint("segmentEditor", np.roll(computed.truth[9], 6, axis=0))
    computed.browser.SetSelectedItemNumber(10)
    computed.wait()
    assert work.record().frames_drawn == (6, 9)
    assert work.record().result == record.result, "a stroke writes no masks of other frames"


def test_what_a_cancelled_propagation_has_made_is_on_the_disk(computed: Any) -> None:
    computed.activate(0)
    logic, browser, user = computed.user.module.widget.logic, computed.browser, computed.user
    (segment,) = logic.segmentNames(browser)
    before = logic.confidences(browser)[segment].copy()
    computed.draw(6)
    user.click("propagateButton")
    user.wait_until(lambda: (logic.confidences(browser)[segment] != before).sum() >= 3)
    assert user.read("propagateButton") == "Cancel"
    user.click("propagateButton")
    assert 1 <= len(logic.lastPropagation(browser).frames_computed) < 10
    result = ReviewFolder(computed.output).work("A", "case-0001").result()
    masks, confidences = logic.masks(browser), logic.confidences(browser)[segment]
    assert all(np.array_equal(result.masks(frame)[0], masks[frame]) for frame in range(12))
    np.testing.assert_allclose(result.confidences["Lesion"], confidences, atol=1e-6)


def test_a_change_of_a_done_case_says_that_it_is_in_work_again(computed: Any) -> None:
    computed.user.choose("worklistStateComboBox", "All")
    computed.activate(0)
    computed.click("finishCaseButton")
    computed.activate(0)
    assert computed.rows()[0][2] == "done"
    assert computed.message() == ""
    computed.draw(5)
    computed.browser.SetSelectedItemNumber(6)
    computed.wait()
    assert computed.rows()[0][2] == "in work"
    assert computed.message().startswith("case-0001 is in work again: press Done")
    computed.click("finishCaseButton")
    assert computed.record("case-0001").state is ReviewState.DONE


def test_a_seed_of_the_batch_is_confirmed_by_the_reader(computed: Any) -> None:
    computed.activate(0)
    computed.browser.SetSelectedItemNumber(0)
    assert computed.record("case-0001") is None
    computed.click("confirmButton")
    assert computed.record("case-0001").frames_drawn == (0,)


def test_thousands_of_rows_are_filled_between_events(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from UltrasoundLesionSegLib.gui import case_table
    from UltrasoundLesionSegLib.review.worklist import WorkCase

    monkeypatch.setattr(case_table, "TURN_S", 0.0)  # one row a turn
    user.see("worklistCollapsibleButton").setProperty("collapsed", False)
    activated: list[Any] = []
    table = case_table.CaseTable(user.module.widget.ui.worklistTableView, activated.append)
    cases = [WorkCase(f"case-{number:04d}", frames=number % 7, seconds=float(number % 11)) for number in range(2000)]
    table.show(cases)
    view = user.see("worklistTableView")
    model = view.model()
    assert model.rowCount() == 2000
    assert model.index(1999, 0).data() is None, "not all at once"
    view.activated.emit(model.index(1999, 0))
    assert activated == ["case-1999"], "a row that is not filled yet opens its own case"
    monkeypatch.setattr(case_table, "TURN_S", 0.05)
    user.wait_until(lambda: model.index(1999, 0).data() == "case-1999")
    user.module.widget.ui.worklistTableView.horizontalHeader().sectionClicked.emit(5)
    user.wait_until(lambda: model.index(1999, 0).data() is not None)
    times = [int((model.index(row, 5).data() or "0 s").split()[0]) for row in range(2000)]
    assert times == sorted(times)
    assert model.index(0, 0).data() == "case-0000", "equal ones keep their order"
    for _ in range(2):
        user.module.widget.ui.worklistTableView.horizontalHeader().sectionClicked.emit(5)
    user.wait_until(lambda: model.index(1999, 0).data() is not None)
    assert [model.index(row, 0).data() for row in (0, 1, 1999)] == ["case-0000", "case-0001", "case-1999"]
    table.stop()
