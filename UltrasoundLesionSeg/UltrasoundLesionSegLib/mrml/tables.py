"""Measurements as table and chart nodes that belong to a browser.

The nodes refer to the browser, not the browser to them: adding a reference to the browser would modify it, and Slicer
would then overwrite what is being painted (see ``layout.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import slicer
import vtk

from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.mrml.cine_of_browser import master_sequence
from UltrasoundLesionSegLib.mrml.names import name_to_save

_SERIES_COLORS = ((0.0, 0.45, 0.70), (0.84, 0.37, 0.0), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.90, 0.62, 0.0))


def write_table(name: str, columns: Mapping[str, Sequence[Any]], browser: Any) -> Any:
    """Write a table, into the browser's table of this name where there is one.

    Slicer's table files keep 6 significant digits: for exact values write the CSV.

    Parameters
    ----------
    name : str
    columns : mapping of str to sequence
        All of one length. Numbers become number columns (None is nan in those with fractions), all else text.
    browser : vtkMRMLSequenceBrowserNode

    Returns
    -------
    vtkMRMLTableNode

    Raises
    ------
    SceneError
        When the columns differ in length, or the browser has no cine.
    """
    master_sequence(browser)
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise SceneError(f"the table's columns have {sorted(lengths)} rows; give columns of one length")
    node = find_table(name, browser) or _add(browser, "vtkMRMLTableNode", layout.TABLE_KEY, name)
    was_modifying = node.StartModify()
    node.RemoveAllColumns()
    node.SetUseColumnTitleAsColumnHeader(True)
    for title, values in columns.items():
        node.AddColumn(_column(title, values))
    node.EndModify(was_modifying)
    return node


def add_table(name: str, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Add a table that belongs to no cine.

    Parameters
    ----------
    name : str
    columns : mapping of str to sequence
        As for :func:`write_table`.

    Returns
    -------
    vtkMRMLTableNode
    """
    node = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLTableNode", slicer.mrmlScene.GenerateUniqueName(name_to_save(name))
    )
    node.SetUseColumnTitleAsColumnHeader(True)
    for title, values in columns.items():
        node.AddColumn(_column(title, values))
    return node


def write_chart(name: str, table: Any, x: str, ys: Sequence[str], browser: Any) -> Any:
    """Plot columns of a table as lines, in the browser's chart of this name where there is one.

    Parameters
    ----------
    name : str
        Title of the chart.
    table : vtkMRMLTableNode
    x : str
        Column of the horizontal axis, and its title.
    ys : sequence of str
        Columns to plot; with one, its name is the title of the vertical axis.
    browser : vtkMRMLSequenceBrowserNode

    Returns
    -------
    vtkMRMLPlotChartNode

    Raises
    ------
    SceneError
        When the table lacks one of the columns, or the browser has no cine.
    """
    master_sequence(browser)
    if any(table.GetTable().GetColumnByName(title) is None for title in (x, *ys)):
        raise SceneError("the table lacks a column of the chart; measure again")
    chart = find_chart(name, browser)
    chart = chart or _add(browser, "vtkMRMLPlotChartNode", layout.CHART_KEY, name)
    old = _series_of(chart)
    was_modifying = chart.StartModify()
    chart.RemoveAllPlotSeriesNodeIDs()
    for index, title in enumerate(ys):
        series = old[index] if index < len(old) else browser.GetScene().AddNewNodeByClass("vtkMRMLPlotSeriesNode")
        _plot(series, table, x, title, _SERIES_COLORS[index % len(_SERIES_COLORS)])
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    for series in old[len(ys) :]:
        browser.GetScene().RemoveNode(series)
    chart.SetTitle(name)
    chart.SetXAxisTitle(x)
    chart.SetYAxisTitle(ys[0] if len(ys) == 1 else "")
    chart.SetLegendVisibility(len(ys) > 1)  # with one curve the axis says what it is, and the legend would cover it
    chart.EndModify(was_modifying)
    return chart


def find_table(name: str, browser: Any) -> Any:
    """Return the browser's vtkMRMLTableNode that was written under this name, None where there is none."""
    return next((one for one in tables(browser) if one.GetAttribute(layout.TABLE_KEY) == name), None)


def find_chart(name: str, browser: Any) -> Any:
    """Return the browser's vtkMRMLPlotChartNode that was written under this name, None where there is none."""
    return next((one for one in charts(browser) if one.GetAttribute(layout.CHART_KEY) == name), None)


def tables(browser: Any) -> list[Any]:
    """Return the browser's vtkMRMLTableNodes that :func:`write_table` made."""
    return _belonging(browser, "vtkMRMLTableNode", layout.TABLE_KEY)


def charts(browser: Any) -> list[Any]:
    """Return the browser's vtkMRMLPlotChartNodes that :func:`write_chart` made."""
    return _belonging(browser, "vtkMRMLPlotChartNode", layout.CHART_KEY)


def remove_tables_and_charts(
    browser: Any, kept_tables: Collection[str] = (), kept_charts: Collection[str] = ()
) -> None:
    """Remove the browser's tables and charts with everything that hangs on them.

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode
    kept_tables, kept_charts : collection of str
        Names under which those were written that stay: a table and a chart may have the same name.
    """
    scene = browser.GetScene()
    for chart in charts(browser):
        if chart.GetAttribute(layout.CHART_KEY) in kept_charts:
            continue
        for series in _series_of(chart):
            scene.RemoveNode(series)
        scene.RemoveNode(chart)
    for table in tables(browser):
        if table.GetAttribute(layout.TABLE_KEY) in kept_tables:
            continue
        storage = table.GetStorageNode()
        if storage is not None:
            scene.RemoveNode(storage)
        scene.RemoveNode(table)


def _belonging(browser: Any, class_name: str, key: str) -> list[Any]:
    scene = browser.GetScene()
    nodes = [scene.GetNthNodeByClass(index, class_name) for index in range(scene.GetNumberOfNodesByClass(class_name))]
    mine = browser.GetID()
    return [one for one in nodes if one.GetAttribute(key) and one.GetNodeReferenceID(layout.BROWSER_REFERENCE) == mine]


def _add(browser: Any, class_name: str, key: str, name: str) -> Any:
    scene = browser.GetScene()
    node = scene.AddNewNodeByClass(class_name, scene.GenerateUniqueName(name_to_save(name)))
    node.SetAttribute(key, name)
    node.SetNodeReferenceID(layout.BROWSER_REFERENCE, browser.GetID())
    return node


def _series_of(chart: Any) -> list[Any]:
    nodes = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    return [one for one in nodes if one is not None]


def _plot(series: Any, table: Any, x: str, y: str, color: tuple[float, float, float]) -> None:
    series.SetName(y)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName(x)
    series.SetYColumnName(y)
    # "scatter" is the type that takes x from a column; with a line and no markers it draws a line
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
    series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
    series.SetColor(*color)


def _column(title: str, values: Sequence[Any]) -> Any:
    """Make a vtkIntArray, vtkDoubleArray or vtkStringArray of a column."""
    kinds = {type(value) for value in values}
    if kinds and all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
        column: Any = vtk.vtkIntArray()
    elif kinds and all(issubclass(kind, (int, float, np.number, type(None))) and kind is not bool for kind in kinds):
        column = vtk.vtkDoubleArray()
        values = [float("nan") if value is None else float(value) for value in values]
    else:
        column = vtk.vtkStringArray()
        values = [
            "" if value is None else ("yes" if value else "no") if _is_bool(value) else str(value) for value in values
        ]
    column.SetName(title)
    for value in values:
        column.InsertNextValue(value)
    return column


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))
