"""The layout manager and the views that the module reaches through it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal
from slicer_harness.problems import PROBLEMS

from standins import bases
from standins.observing import Observations

WINDOW = (1000, 700)  # px of all views together


class LayoutManager(bases.Object):
    """qSlicerLayoutManager with slicer-core's real layout and one slice view, Red; plot views come when asked for.

    As in Slicer, a view has the size that an arrangement gives it only after Qt's next turn, and a splitter without
    sizes goes by what the views ask for, which for a chart is next to nothing: such an arrangement is reported.
    """

    layoutChanged = Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._plots: dict[int, Any] = {}
        self._make: Callable[[str], Any]  # set by the application
        application_logic = slicer.app.applicationLogic()
        self._slice_logic = slicer.vtkMRMLSliceLogic()
        self._slice_logic.SetMRMLApplicationLogic(application_logic)
        self._slice_logic.SetMRMLScene(slicer.mrmlScene)
        self._slice_logic.AddSliceNode("Red")
        self._slice_logics = vtk.vtkCollection()
        self._slice_logics.AddItem(self._slice_logic)
        # without an application it is made with its events off
        self._slice_logic.GetSliceNode().SetDisableModifiedEvent(0)
        self._slice_logic.GetSliceNode().SetDimensions(WINDOW[0] // 2, WINDOW[1] // 2, 1)
        self._slice_widget: Any = None
        self._observations = Observations(self)
        self._shown = -1
        self._observations.add(self._logic.GetLayoutNode(), vtk.vtkCommand.ModifiedEvent, self._arrangement_changed)

    def _arrangement_changed(self) -> None:
        node = self._logic.GetLayoutNode()
        if node.GetViewArrangement() == self._shown:
            return
        self._shown = node.GetViewArrangement()
        description = node.GetLayoutDescription(self._shown)
        if description:
            self._check_sizes(ElementTree.fromstring(description))
        QtCore.QTimer.singleShot(0, self._resize_red)

    @staticmethod
    def _check_sizes(layout: ElementTree.Element) -> None:
        for one in layout.iter("layout"):
            sizes = [item.get("splitSize") for item in one.findall("item")]
            has_chart = one.find(".//view[@class='vtkMRMLPlotViewNode']") is not None
            if one.get("split") == "true" and has_chart and None in sizes:
                PROBLEMS.report("an arrangement with a chart leaves sizes to the views: the chart gets 54 pixels")

    def _red_width(self) -> int:
        """The width that the arrangement shown gives to the slice view Red, in pixels."""
        description = self._logic.GetLayoutNode().GetLayoutDescription(self._shown)
        layout = ElementTree.fromstring(description) if description else None
        if layout is None or layout.get("split") != "true":
            return WINDOW[0]
        sizes = [(int(item.get("splitSize") or 0), item) for item in layout.findall("item")]
        total = sum(size for size, _ in sizes)
        red = next((size for size, item in sizes if item.find(".//view[@singletontag='Red']") is not None), 0)
        return WINDOW[0] * red // total if total else WINDOW[0] // 2

    def _resize_red(self) -> None:
        self._slice_logic.ResizeSliceNode(self._red_width(), WINDOW[1])

    def sliceWidget(self, name: str) -> QtWidgets.QWidget | None:
        if name != "Red":
            return None
        if self._slice_widget is None:
            self._slice_widget = self._make("qMRMLSliceWidget")()
            self._slice_widget._logic = self._slice_logic
            self._slice_widget._view = self._make("qMRMLSliceView")()
        return self._slice_widget

    def layoutLogic(self) -> slicer.vtkMRMLLayoutLogic:
        return self._logic

    def setLayout(self, layout: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(layout)
        self.layoutChanged.emit(layout)

    def _read_layout(self) -> int:
        return self._logic.GetLayoutNode().GetViewArrangement()

    def _changed_layout(self, layout: int) -> None:
        self.setLayout(layout)

    def _read_plotViewCount(self) -> int:
        return slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotViewNode")

    def plotWidget(self, index: int) -> QtWidgets.QWidget | None:
        if index >= self.property("plotViewCount"):
            return None
        if index not in self._plots:
            widget = self._make("qMRMLPlotWidget")()
            widget.setMRMLPlotViewNode(slicer.mrmlScene.GetNthNodeByClass(index, "vtkMRMLPlotViewNode"))
            widget._view = self._make("qMRMLPlotView")()
            self._plots[index] = widget
        return self._plots[index]

    def mrmlSliceLogics(self) -> vtk.vtkCollection:
        return self._slice_logics

    def resetSliceViews(self) -> None:
        self._slice_logic.FitSliceToAll()

    def sliceViewNames(self) -> list[str]:
        return ["Red"]


class SliceWidget(bases.Widget):
    """qMRMLSliceWidget: holds a slice view; the layout manager gives it both."""

    _view: SliceView
    _logic: slicer.vtkMRMLSliceLogic

    def sliceView(self) -> QtWidgets.QWidget:
        return self._view

    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._logic

    def mrmlSliceCompositeNode(self) -> slicer.vtkMRMLSliceCompositeNode:
        return self._logic.GetSliceCompositeNode()

    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode:
        return self._logic.GetSliceNode()


class SliceView(bases.Widget):
    """qMRMLSliceView with a real renderer; nothing is rendered."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._window = vtk.vtkRenderWindow()
        self._window.AddRenderer(vtk.vtkRenderer())
        self._interactor = vtk.vtkGenericRenderWindowInteractor()

    def renderWindow(self) -> vtk.vtkRenderWindow:
        return self._window

    def interactor(self) -> vtk.vtkRenderWindowInteractor:
        return self._interactor


class PlotWidget(bases.Widget):
    """qMRMLPlotWidget: holds a plot view, which the layout manager gives it."""

    _view: PlotView

    def setMRMLPlotViewNode(self, node: slicer.vtkMRMLPlotViewNode | None) -> None:
        self.__dict__["_node"] = node

    def mrmlPlotViewNode(self) -> slicer.vtkMRMLPlotViewNode | None:
        return self.__dict__.get("_node")

    def plotView(self) -> QtWidgets.QWidget:
        return self._view


class PlotView(bases.Widget):
    """qMRMLPlotView: tells which points were chosen in the chart."""

    dataSelected = Signal(object, object)


BODIES = {
    "qSlicerLayoutManager": LayoutManager,
    "qMRMLSliceWidget": SliceWidget,
    "qMRMLSliceView": SliceView,
    "qMRMLPlotWidget": PlotWidget,
    "qMRMLPlotView": PlotView,
}
