"""The layout manager and the views that the module reaches through it."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Signal


class LayoutManager:
    """qSlicerLayoutManager with slicer-core's real layout and one slice view, Red; plot views come when asked for."""

    layoutChanged = Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._plots: dict[int, QtWidgets.QWidget] = {}
        self._make = None
        application_logic = slicer.app.applicationLogic()
        self._slice_logic = slicer.vtkMRMLSliceLogic()
        self._slice_logic.SetMRMLApplicationLogic(application_logic)
        self._slice_logic.SetMRMLScene(slicer.mrmlScene)
        self._slice_logic.AddSliceNode("Red")
        self._slice_logics = vtk.vtkCollection()
        self._slice_logics.AddItem(self._slice_logic)

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
        return None

    def sliceViewNames(self) -> list[str]:
        return ["Red"]


class PlotWidget:
    """qMRMLPlotWidget: holds a plot view."""

    def setMRMLPlotViewNode(self, node: slicer.vtkMRMLPlotViewNode | None) -> None:
        self.__dict__["_node"] = node

    def mrmlPlotViewNode(self) -> slicer.vtkMRMLPlotViewNode | None:
        return self.__dict__.get("_node")

    def plotView(self) -> QtWidgets.QWidget:
        return self._view


class PlotView:
    """qMRMLPlotView: tells which points were chosen in the chart."""

    dataSelected = Signal(object, object)


BODIES = {"qSlicerLayoutManager": LayoutManager, "qMRMLPlotWidget": PlotWidget, "qMRMLPlotView": PlotView}
