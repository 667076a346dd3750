"""Tables of measurements as a person reads them: headings in words with units, sensible digits, a short set of columns.

The tables in the scene hold every quantity with all digits under the names of the CSV files. What the panel shows is a
table of text made from one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
import vtk

# in the order in which they are read
SHORT_FRAMES = ("frame", "time", "segment", "long_axis", "perpendicular_axis", "area", "confidence", "origin")
SHORT_LESIONS = (
    *("segment", "long_axis_maximum", "perpendicular_axis_maximum", "area_maximum", "largest_long_axis_frame"),
    *("frames_visible", "frames_anchored", "confidence_minimum"),
)


class DisplayedTable:
    """The table node that one view shows, filled from a table of measurements.

    Parameters
    ----------
    tag : str
        Names the node in the scene. It is hidden from other modules' lists and not saved.
    short : sequence of str
        Names of the columns of the short set, in their order.
    """

    def __init__(self, tag: str, short: Sequence[str]) -> None:
        self._tag, self._short = tag, short

    def fill(self, measured: Any | None, all_columns: bool) -> Any | None:
        """Return the node to show, None where nothing is measured.

        Parameters
        ----------
        measured : vtkMRMLTableNode or None
            Written by ``workflow.measuring.show_measurements``.
        all_columns : bool
        """
        if measured is None:
            return None
        shown = _columns_to_show(measured.GetTable(), None if all_columns else self._short)
        node = self._node()
        was_modifying = node.StartModify()
        node.RemoveAllColumns()
        node.SetUseColumnTitleAsColumnHeader(True)  # otherwise the headings are row 1, under the letters A, B, C
        for heading, texts in shown:
            column = vtk.vtkStringArray()
            column.SetName(heading)
            for text in texts:
                column.InsertNextValue(text)
            node.AddColumn(column)
        node.EndModify(was_modifying)
        return node

    def _node(self) -> Any:
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(self._tag, "vtkMRMLTableNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLTableNode")
            node.UnRegister(None)
            node.SetSingletonTag(self._tag)
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
            node.SetLocked(True)
            node = scene.AddNode(node)
        return node


def _columns_to_show(table: Any, short: Sequence[str] | None) -> list[tuple[str, list[str]]]:
    """Return heading and texts of each column to show: of those named, or of all."""
    from UltrasoundLesionSegLib.measurement.columns import FRAME_COLUMNS, LESION_COLUMNS, Column

    columns: tuple[Column[Any], ...] = (*FRAME_COLUMNS, *LESION_COLUMNS)
    known = {column.header(calibrated): (column, calibrated) for column in columns for calibrated in (True, False)}
    present = [known[name] for name in _names(table) if name in known]
    if short is not None:
        chosen = [one for one in present if one[0].name in short]
        present = sorted(chosen, key=lambda one: short.index(one[0].name))
    return [
        (column.heading(calibrated), _texts(table.GetColumnByName(column.header(calibrated)), column.quantity))
        for column, calibrated in present
    ]


def _names(table: Any) -> Sequence[str]:
    return [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]


def _texts(values: Any, quantity: Any) -> list[str]:
    from UltrasoundLesionSegLib.measurement.columns import print_cell

    if values.IsA("vtkStringArray"):
        return [values.GetValue(row) or print_cell(None, quantity) for row in range(values.GetNumberOfValues())]
    return [print_cell(values.GetValue(row), quantity) for row in range(values.GetNumberOfValues())]
