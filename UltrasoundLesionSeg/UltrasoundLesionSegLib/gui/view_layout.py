"""The arrangement of views with the image beside chart and table."""

from __future__ import annotations

from typing import Any

import slicer

LAYOUT_ID = 41768  # any number that no other extension is likely to use
LAYOUT = """
<layout type="horizontal" split="true">
 <item splitSize="600"><view class="vtkMRMLSliceNode" singletontag="Red">
  <property name="orientation" action="default">Axial</property>
  <property name="viewlabel" action="default">R</property>
  <property name="viewcolor" action="default">#F34A33</property>
 </view></item>
 <item splitSize="400"><layout type="vertical" split="true">
  <item><view class="vtkMRMLPlotViewNode" singletontag="PlotView1">
   <property name="viewlabel" action="default">P</property>
  </view></item>
  <item><view class="vtkMRMLTableViewNode" singletontag="TableView1">
   <property name="viewlabel" action="default">T</property>
  </view></item>
 </layout></item>
</layout>
"""


class ViewLayout:
    """Shows image, chart and table together, and goes back to the arrangement before."""

    def __init__(self) -> None:
        self._before: int | None = None

    @property
    def shown(self) -> bool:
        """Whether the views are arranged so now."""
        node = _layout_node()
        return node is not None and node.GetViewArrangement() == LAYOUT_ID

    def show(self) -> None:
        """Arrange the views."""
        node = _layout_node()
        if node is None:
            return
        if not self.shown:
            self._before = node.GetViewArrangement()
        if node.IsLayoutDescription(LAYOUT_ID):
            node.SetLayoutDescription(LAYOUT_ID, LAYOUT)
        else:
            node.AddLayoutDescription(LAYOUT_ID, LAYOUT)
        node.SetViewArrangement(LAYOUT_ID)

    def leave(self) -> None:
        """Go back to the arrangement before, if the views are still arranged so."""
        node = _layout_node()
        if node is not None and self.shown:
            node.SetViewArrangement(node.SlicerLayoutFourUpView if self._before is None else self._before)
        self._before = None


def show_table_and_chart(table: Any | None, chart: Any | None) -> None:
    """Show a table and a chart in whatever table and chart views there are.

    Parameters
    ----------
    table : vtkMRMLTableNode or None
    chart : vtkMRMLPlotChartNode or None
    """
    logic = slicer.app.applicationLogic()
    selection = logic.GetSelectionNode()
    if selection is None:
        return
    if table is not None:
        selection.SetActiveTableID(table.GetID())
        logic.PropagateTableSelection()
    if chart is not None:
        selection.SetActivePlotChartID(chart.GetID())
        logic.PropagatePlotChartSelection()


def _layout_node() -> Any | None:
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None else None
