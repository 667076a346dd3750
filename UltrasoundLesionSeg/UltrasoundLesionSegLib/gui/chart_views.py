"""The charts and the table beside the cine."""

from __future__ import annotations

from typing import Any

import slicer

PLOT_VIEWS = ("PlotView1", "PlotView2")


def show_table_and_charts(table: Any | None, charts: list[Any]) -> None:
    """Show a table in the table view, and each chart in a plot view of its own.

    Parameters
    ----------
    table : vtkMRMLTableNode or None
    charts : list of vtkMRMLPlotChartNode
        As many as there are plot views; further ones are left out.
    """
    logic = slicer.app.applicationLogic()
    selection = logic.GetSelectionNode()
    if table is not None and selection is not None:
        selection.SetActiveTableID(table.GetID())
        logic.PropagateTableSelection()
    if charts and selection is not None:
        selection.SetActivePlotChartID(charts[0].GetID())
    for tag, chart in zip(PLOT_VIEWS, charts, strict=False):
        view = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode")
        if view is not None:
            view.SetPlotChartNodeID(chart.GetID())


def empty_chart_views() -> None:
    """Show no chart.

    A view that still names a chart while a scene is read takes the curves away from the scene's chart of the same ID:
    Slicer reads a chart before its curves, and the view's list of curves then removes what is not there yet.
    """
    for tag in PLOT_VIEWS:
        view = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode")
        if view is not None:
            view.SetPlotChartNodeID(None)
