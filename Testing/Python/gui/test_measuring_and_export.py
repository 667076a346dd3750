"""Tables, chart, files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import slicer
import vtk
from engine_helpers import clip_of_moving_discs

from UltrasoundLesionSegLib.workflow.export_folder import record_owner

QtCore = pytest.importorskip("PySide6.QtCore", reason="PySide6 is not installed", exc_type=ImportError)
QtGui = pytest.importorskip("PySide6.QtGui", reason="PySide6 is not installed", exc_type=ImportError)
QtWidgets = pytest.importorskip("PySide6.QtWidgets", reason="PySide6 is not installed", exc_type=ImportError)
QTest = pytest.importorskip("PySide6.QtTest", reason="PySide6 is not installed", exc_type=ImportError).QTest

NAME_ROWS = 30  # of the margin above the image


@pytest.fixture
def measured(discs: Any) -> Any:
    """The lesion on all frames, measured in the panel."""
    discs.draw(0, discs.truth[0, 0])
    discs.propagate()
    discs.user.see("measureCollapsibleButton").setProperty("collapsed", False)
    discs.user.click("measureButton")
    return discs


def test_both_tables_are_shown(measured: Any) -> None:
    by_frame = measured.user.see("tablesTabWidget").findChild(object, "frameTableView").model()
    by_lesion = measured.user.see("lesionTableView").model()
    assert by_frame.rowCount() == 12
    assert by_lesion.rowCount() == 1


def test_tables_of_masks_that_changed_say_so(measured: Any) -> None:
    def said() -> str:
        shown = measured.user.sees("measureMessageLabel")
        return measured.user.read("measureMessageLabel") if shown else ""

    outdated = "The masks have changed since this was measured: press Measure again."
    measured.browser.SetSelectedItemNumber(3)
    assert said() == "", "looking at another frame changes nothing"
    measured.draw(5, measured.truth[2, 0])
    measured.browser.SetSelectedItemNumber(6)
    measured.user.wait_until(lambda: said() == outdated)
    measured.user.click("measureButton")
    assert said() == ""
    measured.browser.SetSelectedItemNumber(5)
    measured.user.click("confirmButton")
    measured.propagate()
    assert said() == outdated


def test_tables_of_a_scene_say_so_once_its_masks_change(measured: Any, tmp_path: Path) -> None:
    user, path = measured.user, str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    user.module.session.process_events()
    assert slicer.mrmlScene.ReadFromMRB(path)
    user.module.session.process_events()
    user.see("measureCollapsibleButton").setProperty("collapsed", False)
    loaded = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    loaded.SetSelectedItemNumber(3)
    user.module.session.process_events()
    assert not user.sees("measureMessageLabel")
    type(measured)(user, loaded, measured.truth).draw(5, measured.truth[2, 0])
    loaded.SetSelectedItemNumber(6)
    user.wait_until(lambda: user.sees("measureMessageLabel"))
    assert "masks have changed" in user.read("measureMessageLabel")


def headings(view: Any) -> list[str]:
    model = view.model()
    return [model.headerData(column, QtCore.Qt.Orientation.Horizontal) for column in range(model.columnCount())]


def text_at(view: Any, row: int, column: int) -> str:
    model = view.model()
    return model.data(model.index(row, column))


def cells(view: Any) -> list[str]:
    model = view.model()
    return [text_at(view, row, column) for row in range(model.rowCount()) for column in range(model.columnCount())]


def test_headings_are_words_with_units_and_the_first_columns_those_read_first(measured: Any) -> None:
    by_frame = measured.user.see("tablesTabWidget").findChild(object, "frameTableView")
    by_lesion = measured.user.see("lesionTableView")
    first = ["Frame", "Time (s)", "Lesion", "Long axis (px)", "Perpendicular axis (px)", "Area (px\u00b2)"]
    assert headings(by_frame) == [*first, "Confidence", "Made by"]
    assert headings(by_lesion)[:2] == ["Lesion", "Long axis, largest (px)"]
    assert len(headings(by_lesion)) == 8
    measured.user.click("allColumnsCheckBox")
    assert len(headings(by_frame)) > 20
    assert not any("_" in heading for heading in [*headings(by_frame), *headings(by_lesion)])
    for view in (by_frame, by_lesion):
        assert not {"nan", "None", ""} & set(cells(view))
    measured.user.click("allColumnsCheckBox")
    assert len(headings(by_frame)) == 8


def test_cells_have_sensible_digits_and_the_scene_keeps_all(measured: Any) -> None:
    by_frame = measured.user.see("tablesTabWidget").findChild(object, "frameTableView")
    tables, _ = measured.logic.measurementNodes(measured.browser)
    exact = next(table for table in tables if table.GetTable().GetColumnByName("long_axis_px") is not None)
    shown = [text_at(by_frame, row, 3) for row in range(12)]
    column = exact.GetTable().GetColumnByName("long_axis_px")
    assert shown == [f"{column.GetValue(row):.1f}" for row in range(12)]
    assert any(float(text) != column.GetValue(row) for row, text in enumerate(shown))
    times = {text_at(by_frame, row, 1) for row in range(12)}
    assert times == {"\u2013"}, "the cine has no times"


def test_the_tables_shown_are_not_saved_with_the_scene_nor_listed(measured: Any, tmp_path: Path) -> None:
    node = measured.user.see("lesionTableView").mrmlTableNode()
    assert node.GetHideFromEditors()
    assert not node.GetSaveWithScene()
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    measured.user.module.session.process_events()
    assert measured.user.see("lesionTableView").model().rowCount() == 0
    assert slicer.mrmlScene.ReadFromMRB(path)
    measured.user.module.session.process_events()
    assert headings(measured.user.see("lesionTableView"))[0] == "Lesion"


def test_nothing_drawn_is_said(discs: Any) -> None:
    discs.user.see("measureCollapsibleButton").setProperty("collapsed", False)
    assert not discs.user.see("measureButton").isEnabled()
    discs.user.click("newLesionButton")
    discs.user.click("measureButton")
    assert "nothing to measure yet" in discs.user.read("measureMessageLabel")


def test_the_chart_is_shown_beside_image_and_table_and_gone_again(measured: Any) -> None:
    manager = slicer.app.layoutManager()
    before = manager.layout
    measured.user.click("chartButton")
    assert manager.layout != before
    node = manager.layoutLogic().GetLayoutNode()
    description = node.GetLayoutDescription(manager.layout)
    for view in ("vtkMRMLSliceNode", "vtkMRMLPlotViewNode", "vtkMRMLTableViewNode"):
        assert view in description
    charts = [
        slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode").GetPlotChartNode()
        for tag in ("PlotView1", "PlotView2")
    ]
    assert [chart.GetYAxisTitle() for chart in charts] == ["Long axis (px)", "Area (px\u00b2)"]
    assert not any(chart.GetLegendVisibility() for chart in charts), "the legend would cover the curve"
    measured.user.click("chartButton")
    assert manager.layout == before


def charts_shown() -> list[str | None]:
    views = [slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode") for tag in ("PlotView1", "PlotView2")]
    return [view.GetPlotChartNodeID() for view in views]


def test_charts_go_with_the_scene(measured: Any) -> None:
    """A view that names a chart while a scene is read takes the curves out of the chart that has the same ID."""
    manager = slicer.app.layoutManager()
    before = manager.layout
    measured.user.click("chartButton")
    assert None not in charts_shown()
    slicer.mrmlScene.Clear(0)
    assert charts_shown() == [None, None]
    assert manager.layout == before
    assert not measured.user.see("chartButton").isChecked()


def test_a_cine_that_is_not_measured_is_shown_without_charts(measured: Any) -> None:
    manager = slicer.app.layoutManager()
    before = manager.layout
    measured.user.click("chartButton")
    measured.user.module.widget.logic.addCine(clip_of_moving_discs(frames=3)[0], "Other")
    measured.user.choose("browserSelector", "Other browser")
    assert manager.layout == before
    assert not measured.user.see("chartButton").isChecked()


def test_a_click_on_the_chart_goes_to_the_frame(measured: Any) -> None:
    measured.user.click("chartButton")
    selection = slicer.app.applicationLogic().GetSelectionNode()
    chart = slicer.mrmlScene.GetNodeByID(selection.GetActivePlotChartID())
    series, rows, chosen = vtk.vtkStringArray(), vtk.vtkIdTypeArray(), vtk.vtkCollection()
    series.InsertNextValue(chart.GetNthPlotSeriesNodeID(0))
    rows.InsertNextValue(8)
    chosen.AddItem(rows)
    view = slicer.app.layoutManager().plotWidget(0).plotView()
    view.dataSelected.emit(series, chosen)
    assert measured.browser.GetSelectedItemNumber() == 8
    measured.user.click("chartButton")


def test_copy_puts_the_table_on_the_clipboard(measured: Any) -> None:
    measured.user.click("copyTableButton")
    lines = QtGui.QGuiApplication.clipboard().text().splitlines()
    assert measured.user.read("measureMessageLabel") == "1 row was copied."
    assert len(lines) == 2
    assert lines[1].split("\t")[0] == "Lesion"


def test_what_a_button_did_is_in_sight(discs: Any, low_window: Any, tmp_path: Path) -> None:
    user = discs.user
    area = low_window(user)
    for name in ("measureCollapsibleButton", "exportCollapsibleButton"):
        user.see(name).setProperty("collapsed", False)
    discs.draw(0, discs.truth[0, 0])
    area.ensureWidgetVisible(user.see("measureButton"), 0, 0)
    user.click("measureButton")
    user.wait_until(lambda: not user.see("lesionTableView").visibleRegion().isEmpty())
    user.see("exportFolderButton").setProperty("directory", str(tmp_path))
    area.ensureWidgetVisible(user.see("exportButton"), 0, 0)
    user.click("exportButton")
    assert "measurements.csv" in user.read("exportMessageLabel")
    user.wait_until(lambda: not user.see("exportMessageLabel").visibleRegion().isEmpty())


@pytest.fixture
def window_during(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``window_during(user, button, cancel_at)``: what the progress window says after a button was pressed.

    A person presses its Cancel when it says ``cancel_at``.
    """
    from UltrasoundLesionSegLib.gui import progress_window

    monkeypatch.setattr(progress_window, "OPENS_AFTER_S", 0.0)
    monkeypatch.setattr(progress_window, "SHOWN_EVERY_S", 0.0)

    def windows() -> list[Any]:
        shown = [one for one in QtWidgets.QApplication.topLevelWidgets() if one.isVisible()]
        return [one for one in shown if isinstance(one, QtWidgets.QProgressDialog)]

    def press(user: Any, button: str, cancel_at: str = "") -> list[str]:
        lines: list[str] = []

        def look() -> None:
            for window in windows():
                assert window.isModal()
                lines.append(window.labelText())
                if lines[-1] == cancel_at:
                    QTest.mouseClick(window.findChild(QtWidgets.QPushButton), QtCore.Qt.MouseButton.LeftButton)

        timer = QtCore.QTimer()
        timer.timeout.connect(look)
        timer.start(0)
        user.click(button)
        timer.stop()
        return [*lines, "open" if windows() else "closed"]

    return press


def choose_files(measured: Any, folder: Path, *boxes: str) -> None:
    measured.user.see("exportCollapsibleButton").setProperty("collapsed", False)
    measured.user.see("exportFolderButton").setProperty("directory", str(folder))
    for box in boxes:
        measured.user.click(box)


def test_measuring_counts_frames_and_can_be_cancelled(measured: Any, window_during: Any) -> None:
    rows = cells(measured.user.see("lesionTableView"))
    measured.draw(1, measured.truth[5, 0])
    lines = window_during(measured.user, "measureButton", "Measuring: 6 done")
    assert lines[-2:] == ["Measuring: 6 done", "closed"]
    assert measured.user.read("measureMessageLabel") == "Cancelled; the tables are as they were."
    assert cells(measured.user.see("lesionTableView")) == rows
    lines = window_during(measured.user, "measureButton")
    assert {"Measuring...", "Measuring: 6 done", "Measuring: 12 done", "closed"} <= set(lines)
    assert not measured.user.sees("measureMessageLabel")
    assert cells(measured.user.see("lesionTableView")) != rows


def test_an_export_counts_frames(measured: Any, window_during: Any, tmp_path: Path) -> None:
    choose_files(measured, tmp_path, "exportMasksCheckBox", "exportCocoCheckBox")
    lines = window_during(measured.user, "exportButton")
    for doing in ("Measuring", "Writing Masks (DAVIS)", "Writing Masks (COCO)"):
        assert {f"{doing}: 1 done", f"{doing}: 12 done"} <= set(lines)
    assert [one for one in lines if one == "Measuring: 6 done"] == ["Measuring: 6 done"], "it is measured once"
    assert lines[-1] == "closed"
    assert "masks.json" in measured.user.read("exportMessageLabel")


def test_a_cancelled_export_keeps_what_was_written_and_says_so(
    measured: Any, window_during: Any, tmp_path: Path
) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "00000.png").write_bytes(b"of an earlier export")
    record_owner(tmp_path, measured.logic.cine(measured.browser).identity)
    choose_files(measured, tmp_path, "exportMasksCheckBox", "exportCocoCheckBox")
    window_during(measured.user, "exportButton", "Writing Masks (DAVIS): 6 done")
    said = measured.user.read("exportMessageLabel")
    assert "Measurements: measurements.csv, lesions.csv" in said
    assert "Cancelled: what is listed above is kept; not written: Masks (DAVIS), Masks (COCO)." in said
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "export.json",
        "lesions.csv",
        "masks",
        "measurements.csv",
    ]
    assert [path.read_bytes() for path in (tmp_path / "masks").iterdir()] == [b"of an earlier export"]
    assert measured.user.see("exportButton").isEnabled()


def test_an_export_that_is_cancelled_at_once_writes_nothing(measured: Any, window_during: Any, tmp_path: Path) -> None:
    choose_files(measured, tmp_path)
    window_during(measured.user, "exportButton", "Measuring: 3 done")
    assert measured.user.read("exportMessageLabel") == "Cancelled; nothing was written."
    assert list(tmp_path.iterdir()) == []


def test_a_scene_is_written_while_a_window_says_that_it_cannot_be_cancelled(
    measured: Any, window_during: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from UltrasoundLesionSegLib.gui import progress_window
    from UltrasoundLesionSegLib.mrml import scene_file

    windows: list[Any] = []
    save = scene_file.save_scene

    def watched(path: Path) -> Path:
        shown = [one for one in QtWidgets.QApplication.topLevelWidgets() if one.isVisible()]
        windows.extend(one for one in shown if isinstance(one, QtWidgets.QProgressDialog))
        assert windows[0].labelText() == "Writing Slicer scene (cannot be cancelled)..."
        windows[0].cancel()
        return save(path)

    monkeypatch.setattr(progress_window, "OPENS_AFTER_S", 3600.0)
    monkeypatch.setattr(scene_file, "save_scene", watched)
    choose_files(measured, tmp_path, "exportSceneCheckBox", "exportReportCheckBox")
    window_during(measured.user, "exportButton")
    said = measured.user.read("exportMessageLabel")
    assert "Slicer scene: scene.mrb" in said, "it was complete when the cancel was seen"
    assert "Cancelled: what is listed above is kept; not written: Report." in said


def test_mouse_and_keys_wait_while_there_is_no_window(
    measured: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from UltrasoundLesionSegLib.gui import progress_window

    monkeypatch.setattr(progress_window, "OPENS_AFTER_S", 1e9)
    monkeypatch.setattr(progress_window, "SHOWN_EVERY_S", 0.0)
    choose_files(measured, tmp_path, "exportMasksCheckBox")
    flags: list[Any] = []
    process = slicer.app.processEvents
    with monkeypatch.context() as only:
        only.setattr(slicer.app, "processEvents", lambda *given: (flags.append(given), process(*given)))
        measured.user.see("exportButton").click()
    assert len(flags) > 12
    assert all(QtCore.QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents in given for given in flags)


def test_save_writes_both_tables(measured: Any, tmp_path: Path) -> None:
    measured.user.module.session.file_dialogs.waiting.append(str(tmp_path))
    measured.user.click("saveTablesButton")
    with (tmp_path / "measurements.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12
    assert (tmp_path / "lesions.csv").exists()
    assert "measurements.csv and lesions.csv" in measured.user.read("measureMessageLabel")


class TestExport:
    @pytest.fixture
    def ready(self, measured: Any, tmp_path: Path) -> Any:
        return self.open(measured, tmp_path)

    def open(self, discs: Any, folder: Path) -> Any:
        """Open the section and choose a folder."""
        discs.user.see("exportCollapsibleButton").setProperty("collapsed", False)
        discs.user.see("exportFolderButton").setProperty("directory", str(folder))
        return discs

    @pytest.fixture
    def named(self, choose_drawn: Any, tmp_path: Path) -> Any:
        """A cine with a bright name in the margin above the image."""
        cine, truth = clip_of_moving_discs(frames=6, noise=40)
        frames = np.zeros((6, NAME_ROWS + 96 + 30, 188), np.uint8)
        lesion = np.zeros(frames.shape[1:], bool)
        lesion[NAME_ROWS : NAME_ROWS + 96, 30:158] = truth[0, 0]
        for index in range(6):
            frames[index, NAME_ROWS : NAME_ROWS + 96, 30:158] = cine.frames[index]
            cv2.putText(frames[index], "DOE^JANE", (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
        return self.open(choose_drawn(frames, lesion), tmp_path)

    @pytest.fixture
    def still(self, choose_drawn: Any, tmp_path: Path) -> Any:
        """A cine on which nothing moves, so that nobody can tell where the image is."""
        cine, truth = clip_of_moving_discs(frames=1)
        frames = np.repeat(np.asarray(cine.frames[0])[np.newaxis], 4, axis=0)
        return self.open(choose_drawn(frames, truth[0, 0]), tmp_path)

    def test_it_says_what_it_wrote_and_where(self, ready: Any, tmp_path: Path) -> None:
        for box in ("exportMasksCheckBox", "exportCocoCheckBox"):
            ready.user.click(box)
        ready.user.click("exportButton")
        said = ready.user.read("exportMessageLabel")
        assert "Measurements: measurements.csv, lesions.csv" in said
        assert "Masks (DAVIS): 12 files in masks" in said
        assert "Masks (COCO): masks.json" in said
        assert str(tmp_path) in said
        assert len(list((tmp_path / "masks").glob("*.png"))) == 12

    def test_dicom_is_offered_for_dicom_only(self, ready: Any) -> None:
        assert not ready.user.see("exportSegCheckBox").isEnabled()
        assert ready.user.read("exportHintLabel") == "DICOM SEG and SR need a cine that comes from DICOM."
        assert not ready.user.see("exportSrCheckBox").isEnabled()
        assert not ready.user.see("labelmapSegCheckBox").isEnabled()

    def test_pictures_need_a_tick(self, ready: Any) -> None:
        assert not ready.user.see("exportVideoCheckBox").isEnabled()
        ready.user.click("pixelsAllowedCheckBox")
        assert ready.user.see("exportVideoCheckBox").isEnabled()
        assert ready.user.see("exportReportCheckBox").isEnabled()

    def test_outside_of_the_image_is_black_by_default_once_pictures_are_allowed(self, ready: Any) -> None:
        blank = ready.user.see("blankOutsideCheckBox")
        assert blank.isChecked()
        assert not blank.isEnabled()
        ready.user.click("pixelsAllowedCheckBox")
        assert blank.isEnabled()
        ready.user.click("pixelsAllowedCheckBox")
        assert not blank.isEnabled()

    @pytest.mark.parametrize("is_blank", [True, False])
    def test_a_name_beside_the_image_is_in_pictures_only_without_the_tick(
        self, named: Any, tmp_path: Path, is_blank: bool
    ) -> None:
        named.user.click("pixelsAllowedCheckBox")
        if not is_blank:
            named.user.click("blankOutsideCheckBox")
        named.user.click("exportVideoCheckBox")
        named.user.click("exportButton")
        read, frame = cv2.VideoCapture(str(tmp_path / "overlay.mp4")).read()
        assert read
        assert (frame[:NAME_ROWS].max() < 64) == is_blank
        said = named.user.read("exportMessageLabel")
        assert ("everything outside the area that moves over the cine is black" in said) == is_blank

    def test_it_is_said_when_the_image_was_not_found_and_pictures_are_whole(self, still: Any, tmp_path: Path) -> None:
        still.user.click("pixelsAllowedCheckBox")
        still.user.click("exportReportCheckBox")
        still.user.click("exportButton")
        assert (tmp_path / "report.html").exists()
        assert "pictures are whole" in still.user.read("exportMessageLabel")

    def test_nothing_is_said_of_black_where_no_picture_is_written(self, ready: Any) -> None:
        ready.user.click("pixelsAllowedCheckBox")
        ready.user.click("exportButton")
        said = ready.user.read("exportMessageLabel")
        assert "measurements.csv" in said
        assert "outside" not in said

    def test_one_kind_that_fails_keeps_the_others(self, ready: Any, tmp_path: Path) -> None:
        (tmp_path / "masks").write_text("a file where the folder should be")
        record_owner(tmp_path, ready.logic.cine(ready.browser).identity)
        ready.user.click("exportMasksCheckBox")
        ready.user.click("exportButton")
        said = ready.user.read("exportMessageLabel")
        assert "Measurements: measurements.csv, lesions.csv" in said
        assert "Masks (DAVIS):" in said
        assert "files in" not in said
        assert (tmp_path / "measurements.csv").exists()

    def test_nothing_ticked_is_said(self, ready: Any) -> None:
        ready.user.click("exportCsvCheckBox")
        ready.user.click("exportButton")
        assert "Nothing is ticked" in ready.user.read("exportMessageLabel")
