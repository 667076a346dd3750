"""Our arrangements of views: the cine alone, beside charts and table, and above a table."""

from __future__ import annotations

from typing import Any

import slicer

# any numbers that no other extension is likely to use
CINE, CINE_WITH_CHARTS, CINE_WITH_TABLE = 41769, 41768, 41767
_SLICE_VIEW = """<view class="vtkMRMLSliceNode" singletontag="Red">
  <property name="orientation" action="default">Axial</property>
  <property name="viewlabel" action="default">R</property>
  <property name="viewcolor" action="default">#F34A33</property>
 </view>"""
# without a splitSize Qt uses the size hints of the views, and a chart's is 54 pixels
LAYOUTS = {
    CINE: f"""<layout type="horizontal" label="Ultrasound cine"><item>{_SLICE_VIEW}</item></layout>""",
    CINE_WITH_CHARTS: f"""
<layout type="horizontal" split="true" label="Ultrasound cine with charts">
 <item splitSize="600">{_SLICE_VIEW}</item>
 <item splitSize="400"><layout type="vertical" split="true">
  <item splitSize="350"><view class="vtkMRMLPlotViewNode" singletontag="PlotView1">
   <property name="viewlabel" action="default">1</property>
  </view></item>
  <item splitSize="350"><view class="vtkMRMLPlotViewNode" singletontag="PlotView2">
   <property name="viewlabel" action="default">2</property>
  </view></item>
  <item splitSize="300"><view class="vtkMRMLTableViewNode" singletontag="TableView1">
   <property name="viewlabel" action="default">T</property>
  </view></item>
 </layout></item>
</layout>
""",
    CINE_WITH_TABLE: f"""
<layout type="vertical" split="true" label="Ultrasound cine with a table">
 <item splitSize="650">{_SLICE_VIEW}</item>
 <item splitSize="350"><view class="vtkMRMLTableViewNode" singletontag="TableView1">
  <property name="viewlabel" action="default">T</property>
 </view></item>
</layout>
""",
}


def register() -> None:
    """Tell Slicer of our arrangements: a scene that was saved in one of them shows it again."""
    node = _layout_node()
    if node is None:
        return
    for number, description in LAYOUTS.items():
        if node.IsLayoutDescription(number):
            node.SetLayoutDescription(number, description)
        else:
            node.AddLayoutDescription(number, description)


def with_table(arrangement: int) -> int | None:
    """Return which of our arrangements shows a table beside a cine; None where the user's own is better kept.

    Parameters
    ----------
    arrangement : int
        The one that is shown: one of ours, the DICOM browser, which shows no images, or the user's.
    """
    if arrangement == CINE or arrangement == slicer.vtkMRMLLayoutNode.SlicerLayoutDicomBrowserView:
        register()
        return CINE_WITH_TABLE
    return arrangement if arrangement in LAYOUTS else None


class ViewLayout:
    """Arranges the views for a cine, and gives the user's arrangement back.

    A user who chooses another arrangement while the module is open keeps it.
    """

    def __init__(self) -> None:
        self._before: int | None = None
        self._without_charts = CINE  # what is shown when the charts go
        self._declined = False

    @property
    def shows_charts(self) -> bool:
        """Whether charts and table are beside the cine now."""
        return _arrangement() == CINE_WITH_CHARTS

    def show_cine(self) -> bool:
        """Show one large view, unless the user chose something else meanwhile; returns whether anything changed."""
        if _arrangement() in LAYOUTS:
            return False
        self._declined = self._declined or self._before is not None
        return not self._declined and self._arrange(CINE)

    def scene_was_read(self) -> None:
        """The arrangement now is the scene's: nobody chose it instead of ours."""
        self._declined, self._before = False, None

    def show_charts(self, shown: bool) -> bool:
        """Show charts and table beside the cine, or what was shown before; returns whether anything changed."""
        before = _arrangement()
        if shown == (before == CINE_WITH_CHARTS):
            return False
        if shown:
            self._without_charts = CINE if before is None or not _is_users(before) else before
        self._declined = False
        return self._arrange(CINE_WITH_CHARTS if shown else self._without_charts)

    def scene_is_closed(self) -> None:
        """Show the cine alone: the tables and the charts go with the scene."""
        self._without_charts = CINE
        if _arrangement() in LAYOUTS:
            self._arrange(CINE)

    def leave(self) -> None:
        """Give the user's arrangement back, if the views are still arranged our way."""
        node = _layout_node()
        if node is not None and node.GetViewArrangement() in LAYOUTS:
            node.SetViewArrangement(node.SlicerLayoutFourUpView if self._before is None else self._before)
            self._before = None

    def _arrange(self, number: int) -> bool:
        node = _layout_node()
        if node is None:
            return False
        before = node.GetViewArrangement()
        if _is_users(before):
            self._before = before
        register()
        node.SetViewArrangement(number)
        return True


def _is_users(arrangement: int) -> bool:
    """Whether it is worth going back to: not one of ours, nor the DICOM browser, which shows no images."""
    return arrangement not in (*LAYOUTS, slicer.vtkMRMLLayoutNode.SlicerLayoutDicomBrowserView)


def _arrangement() -> int | None:
    node = _layout_node()
    return None if node is None else int(node.GetViewArrangement())


def _layout_node() -> Any | None:
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None else None
