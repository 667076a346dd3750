"""Tables and charts: their content, and that they are found, reused and removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import vtk

from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine
from UltrasoundLesionSegLib.mrml.removal import remove_cine
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.tables import charts, find_chart, find_table, tables, write_chart, write_table

from .support import disk, make_cine, node_ids, paint

COLUMNS: dict[str, Sequence[Any]] = {
    "Frame": [0, 1, 2],
    "Area (mm2)": [1.5, float("nan"), 123.456789012345],
    "Long axis (mm)": [10, None, 12.25],
    "Anchor": [True, False, True],
    "Segment": ["Läsion", "", None],
}


def content(node: Any) -> dict[str, list[str]]:
    table = node.GetTable()
    names = [table.GetColumnName(index) for index in range(table.GetNumberOfColumns())]
    return {
        name: [table.GetValueByName(row, name).ToString() for row in range(table.GetNumberOfRows())] for name in names
    }


def test_columns_keep_their_kind_and_values(browser: Any) -> None:
    node = write_table("Frames", COLUMNS, browser)
    table = node.GetTable()
    kinds = [vtk.vtkIntArray, vtk.vtkDoubleArray, vtk.vtkDoubleArray, vtk.vtkStringArray, vtk.vtkStringArray]
    assert [isinstance(table.GetColumn(index), kind) for index, kind in enumerate(kinds)] == [True] * 5
    assert table.GetColumnByName("Area (mm2)").GetValue(2) == 123.456789012345
    assert np.isnan(table.GetColumnByName("Area (mm2)").GetValue(1))
    assert np.isnan(table.GetColumnByName("Long axis (mm)").GetValue(1))
    assert content(node)["Anchor"] == ["yes", "no", "yes"]
    assert content(node)["Segment"] == ["Läsion", "", ""]


def test_fifty_rewrites_use_the_same_nodes(scene: Any, browser: Any) -> None:
    table = write_table("Frames", COLUMNS, browser)
    chart = write_chart("Lesion", table, "Frame", ["Area (mm2)", "Long axis (mm)"], browser)
    before = node_ids(scene)
    for count in range(50):
        assert write_table("Frames", {"Frame": [0, 1], "Area (mm2)": [float(count), 2.0]}, browser) is table
        assert write_chart("Lesion", table, "Frame", ["Area (mm2)"], browser) is chart
        write_table("Frames", COLUMNS, browser)
        write_chart("Lesion", table, "Frame", ["Area (mm2)", "Long axis (mm)"], browser)
    assert len(node_ids(scene)) == len(before)
    assert (tables(browser), charts(browser)) == ([table], [chart])
    table.SetName("renamed by someone")
    assert (find_table("Frames", browser), find_chart("Lesion", browser)) == (table, chart)
    assert find_table("Lesion", browser) is None


def test_a_chart_draws_columns_over_a_column(browser: Any) -> None:
    table = write_table("Frames", COLUMNS, browser)
    chart = write_chart("Lesion", table, "Frame", ["Area (mm2)"], browser)
    series = chart.GetNthPlotSeriesNode(0)
    assert (series.GetXColumnName(), series.GetYColumnName()) == ("Frame", "Area (mm2)")
    assert series.GetTableNode() is table
    assert (series.GetPlotTypeAsString(series.GetPlotType()), series.GetMarkerStyle()) == ("Scatter", 0)
    assert (chart.GetTitle(), chart.GetXAxisTitle(), chart.GetYAxisTitle()) == ("Lesion", "Frame", "Area (mm2)")
    with pytest.raises(SceneError, match="lacks a column"):
        write_chart("Lesion", table, "Frame", ["Volume"], browser)


def test_tables_of_two_cines_do_not_mix(scene: Any) -> None:
    first, second = add_cine(make_cine()), add_cine(make_cine())
    one, other = write_table("Frames", {"a": [1]}, first), write_table("Frames", {"a": [2]}, second)
    assert one is not other
    assert one.GetName() != other.GetName()
    assert (tables(first), tables(second)) == ([one], [other])


def test_uneven_columns_are_refused(scene: Any, browser: Any) -> None:
    before = node_ids(scene)
    with pytest.raises(SceneError, match="columns of one length"):
        write_table("Frames", {"a": [1], "b": [1, 2]}, browser)
    assert node_ids(scene) == before
    assert write_table("Nothing", {}, browser).GetNumberOfRows() == 0


def test_writing_tables_does_not_touch_what_is_being_painted(lesions: SegmentationSequence, browser: Any) -> None:
    paint(lesions.proxy, "lesion-1", disk(30, 30, 10), lesions.geometry)
    table = write_table("Frames", COLUMNS, browser)
    write_chart("Lesion", table, "Frame", ["Area (mm2)"], browser)
    assert lesions.commit_edit() == ["lesion-1"]


def test_removing_a_cine_removes_all_that_was_made_of_it(scene: Any) -> None:
    kept = add_cine(make_cine(), "kept")
    kept_table = write_table("Frames", COLUMNS, kept)
    before = node_ids(scene)
    browser = add_cine(make_cine(), "removed")
    lesions = SegmentationSequence.create(browser, [])
    assert lesions.proxy is not None
    table = write_table("Frames", COLUMNS, browser)
    table.AddDefaultStorageNode()
    write_chart("Lesion", table, "Frame", ["Area (mm2)", "Long axis (mm)"], browser)
    remove_cine(browser)
    assert node_ids(scene) == before
    assert tables(kept) == [kept_table]
    remove_cine(browser)  # again: nothing happens
