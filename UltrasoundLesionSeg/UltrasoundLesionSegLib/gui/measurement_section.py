"""Section 5: tables, chart, copying and saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer

from UltrasoundLesionSegLib.cine import SourceIdentity
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.gui.chart_views import empty_chart_views, show_table_and_charts
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.messages import Tone, reveal, tell, telling
from UltrasoundLesionSegLib.gui.progress_window import ProgressWindow
from UltrasoundLesionSegLib.gui.results_of_others import may_write
from UltrasoundLesionSegLib.gui.section import Section
from UltrasoundLesionSegLib.gui.table_display import SHORT_FRAMES, SHORT_LESIONS, DisplayedTable
from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.workflow.export_folder import record_owner

OUTDATED = "The masks have changed since this was measured: press Measure again."


class MeasurementSection(Section):
    """Measures and shows what was measured."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._plot_views: list[Any] = []
        self._measured: dict[str, int] = {}  # cines' IDs, and how recent their masks were
        self.ui.measureButton.connect("clicked(bool)", self.measure)
        self.ui.copyTableButton.connect("clicked(bool)", self.copy)
        self.ui.saveTablesButton.connect("clicked(bool)", self.save)
        self.ui.chartButton.connect("clicked(bool)", self.show_chart)
        self.ui.allColumnsCheckBox.connect("toggled(bool)", lambda _checked: self._show_tables())
        self._frames_shown = DisplayedTable("UltrasoundLesionSegFramesShown", SHORT_FRAMES)
        self._lesions_shown = DisplayedTable("UltrasoundLesionSegLesionsShown", SHORT_LESIONS)

    # ---- showing

    def enter(self) -> None:
        """Bring the charts back that were shown when the module was left."""
        if self.ui.chartButton.checked and self.ui.chartButton.enabled:
            self.show_chart()

    def let_go(self) -> None:
        """The scene is about to be closed: the views show its charts no longer."""
        self._measured.clear()
        empty_chart_views()

    def cine_changed(self) -> None:
        """Show the tables that the scene holds for this cine; those of a scene just read belong to its masks."""
        tell(self.ui.measureMessageLabel, "")
        self._show_tables()
        changed_at = self._changed_at()
        if changed_at is not None and any(self._tables()):
            self._measured.setdefault(self.host.browser.GetID(), changed_at)
            self.results_changed()

    def tables_changed(self) -> None:
        """Show the tables that were made, and remember of which masks."""
        if OUTDATED in str(self.ui.measureMessageLabel.text):
            tell(self.ui.measureMessageLabel, "")
        table = self._tables()[0]
        if table is not None and (changed_at := self._changed_at()) is not None:
            # a script may have changed masks after it measured: VTK's times are of one clock
            self._measured[self.host.browser.GetID()] = min(changed_at, table.GetTable().GetMTime())
        self._show_tables()

    def results_changed(self) -> None:
        """Say so where the tables are of masks that are no more."""
        browser = self.host.browser
        before = self._measured.get(browser.GetID()) if browser is not None else None
        if before is not None and self._changed_at() != before:
            tell(self.ui.measureMessageLabel, OUTDATED, Tone.CAUTION)

    def _changed_at(self) -> int | None:
        """Return when the masks of the chosen cine changed, None where it has none."""
        try:
            sequence = SegmentationSequence.find(self.host.browser) if self.host.browser is not None else None
        except LesionSegError:
            return None
        return None if sequence is None else sequence.changed_at

    def _show_tables(self) -> None:
        by_frame, by_lesion = self._tables()
        every = bool(self.ui.allColumnsCheckBox.checked)
        self.ui.frameTableView.setMRMLTableNode(self._frames_shown.fill(by_frame, every))
        self.ui.lesionTableView.setMRMLTableNode(self._lesions_shown.fill(by_lesion, every))
        if self.host.shows_charts:
            # a scene may have been saved with charts shown, and its tables be missing
            self.ui.chartButton.checked = by_frame is not None and by_frame.GetNumberOfRows() > 0
            self.show_chart()

    def _nodes(self) -> tuple[list[Any], list[Any]]:
        """Return the tables and the charts of the chosen cine."""
        if self.host.browser is None:
            return [], []
        try:
            return self.logic.measurementNodes(self.host.browser)
        except LesionSegError:
            return [], []

    def _tables(self) -> tuple[Any | None, Any | None]:
        """Return the table by frame and the table by lesion."""
        named = {table.GetAttribute(layout.TABLE_KEY): table for table in self._nodes()[0]}
        return named.get(layout.FRAME_TABLE), named.get(layout.LESION_TABLE)

    def busy_changed(self) -> None:
        """Measure only what is finished."""
        free = self.host.browser is not None and not self.host.busy
        has_tables = free and self.ui.frameTableView.mrmlTableNode() is not None
        self.ui.measureButton.enabled = free and self.host.segmentation() is not None
        self.ui.copyTableButton.enabled = has_tables
        self.ui.saveTablesButton.enabled = has_tables
        self.ui.chartButton.enabled = has_tables

    # ---- buttons

    def measure(self) -> None:
        """Measure every lesion on every frame."""
        if not self.host.offer("read", self.ui.measureMessageLabel):
            return
        with telling(self.ui.measureMessageLabel, wait=True):
            self.host.store_edit()
            with ProgressWindow(self.host.root, "cancelled; the tables are as they were") as progress:
                progress.begin("Measuring")
                measured = self.logic.measure(self.host.browser, progress)
            self.host.tables_changed()
            count = sum(len(segment.frames) for segment in measured.segments)
            if count == 0:
                tell(
                    self.ui.measureMessageLabel,
                    "There is nothing to measure yet: draw or propagate first.",
                    Tone.CAUTION,
                )
            reveal(self.ui.tablesTabWidget if count else self.ui.measureMessageLabel)

    def copy(self) -> None:
        """Copy the table shown, with its headings, as tab-separated text."""
        view = self.ui.lesionTableView if self.ui.tablesTabWidget.currentIndex == 0 else self.ui.frameTableView
        table = view.mrmlTableNode()
        if table is None:
            return
        rows = table.GetNumberOfRows()
        slicer.app.clipboard().setText(as_text(table.GetTable()))
        tell(self.ui.measureMessageLabel, f"{rows} {'row was' if rows == 1 else 'rows were'} copied.", Tone.GOOD)

    def save(self) -> None:
        """Save both tables as CSV in a folder."""
        folder = qt.QFileDialog.getExistingDirectory(
            self.host.root, "Save measurements in folder", str(self.ui.exportFolderButton.directory)
        )
        if not folder:
            return
        with telling(self.ui.measureMessageLabel):
            identity = self.logic.cine(self.host.browser).identity
            if may_write(Path(folder), identity, self.ui.measureMessageLabel):
                self._save(Path(folder), identity)

    def _save(self, folder: Path, identity: SourceIdentity) -> None:
        with telling(self.ui.measureMessageLabel, wait=True):
            written = self.logic.export(self.host.browser, folder, ("csv",))
            record_owner(folder, identity)
            names = " and ".join(Path(path).name for path in written)
            tell(self.ui.measureMessageLabel, f"Written: {names} in {folder}", Tone.GOOD)

    # ---- chart

    def show_chart(self) -> None:
        """Show image, chart and table together, or go back."""
        with telling(self.ui.measureMessageLabel):
            self.host.show_charts(bool(self.ui.chartButton.checked))
            if self.host.shows_charts:
                self._fill_views()

    def _fill_views(self) -> None:
        show_table_and_charts(self.ui.frameTableView.mrmlTableNode(), self._charts())
        self._listen_to_charts()

    def _charts(self) -> list[Any]:
        """Return the charts of the selected lesion, or of the first one that has any."""
        _, charts = self._nodes()
        names = layout.chart_names(self.host.selected_name())
        return [one for one in charts if one.GetAttribute(layout.CHART_KEY) in names] or charts[: len(names)]

    def _listen_to_charts(self) -> None:
        manager = slicer.app.layoutManager()
        for number in range(manager.plotViewCount if manager is not None else 0):
            widget = manager.plotWidget(number)
            view = widget.plotView() if widget else None
            if view is not None and view not in self._plot_views:
                view.connect("dataSelected(vtkStringArray*,vtkCollection*)", self.point_chosen)
                self._plot_views.append(view)

    def _stop_listening(self) -> None:
        for view in self._plot_views:
            if view:  # a deleted Qt object is false
                view.disconnect("dataSelected(vtkStringArray*,vtkCollection*)", self.point_chosen)
        self._plot_views = []

    def point_chosen(self, series_ids: Any, selections: Any) -> None:
        """Go to the frame of a point that was clicked in the chart.

        Parameters
        ----------
        series_ids : vtkStringArray
            IDs of the series with chosen points.
        selections : vtkCollection
            For each series the rows of its table, as vtkIdTypeArray.
        """
        _, charts = self._nodes()
        known = {
            chart.GetNthPlotSeriesNodeID(index)
            for chart in charts
            for index in range(chart.GetNumberOfPlotSeriesNodes())
        }
        for number in range(series_ids.GetNumberOfValues()):
            if series_ids.GetValue(number) not in known:
                continue  # somebody else's chart
            series = slicer.mrmlScene.GetNodeByID(series_ids.GetValue(number))
            rows = selections.GetItemAsObject(number)
            frames = (
                series.GetTableNode().GetTable().GetColumnByName(layout.CHART_FRAME) if series.GetTableNode() else None
            )
            if frames is not None and rows is not None and rows.GetNumberOfValues():
                self.host.show_frame(int(frames.GetVariantValue(rows.GetValue(0)).ToInt()))
                return

    def cleanup(self) -> None:
        """Stop listening."""
        self._stop_listening()


def as_text(table: Any) -> str:
    """Return a vtkTable as tab-separated text with its column names in the first line."""
    columns = range(table.GetNumberOfColumns())
    lines = ["\t".join(table.GetColumnName(column) for column in columns)]
    for row in range(table.GetNumberOfRows()):
        lines.append("\t".join(table.GetValue(row, column).ToString() for column in columns))
    return "\n".join(lines) + "\n"
