"""Slicer's MRML widgets that the module uses, on slicer-core's real nodes."""

from __future__ import annotations

from typing import Any, ClassVar

import slicer
import vtk
from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Qt, Signal

from standins import bases
from standins.observing import Observations


class MRMLWidget(bases.Widget):
    """qMRMLWidget: knows the scene and tells its children."""

    mrmlSceneChanged = Signal(object)

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        if self.mrmlScene() is not scene:
            self.__dict__["_scene"] = scene
            self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self.__dict__.get("_scene")


ACTIONS = {  # Slicer lists them below the nodes
    "addEnabled": "Create new",
    "editEnabled": "Edit current",
    "renameEnabled": "Rename current",
    "removeEnabled": "Delete current",
}


class NodeComboBox(bases.Widget):
    """qMRMLNodeComboBox: lists the scene's nodes of some classes; follows their coming and going."""

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    initial: ClassVar[dict[str, Any]] = {
        "noneEnabled": False,
        "addEnabled": True,
        "removeEnabled": True,
        "editEnabled": False,
        "renameEnabled": False,
        "showChildNodeTypes": True,
        "noneDisplay": "None",
    }

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._scene = None
        self._observations = Observations(self)
        self._node = None
        self._box = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(lambda index: self.setCurrentNodeID(self._box.itemData(index) or ""))

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self._observations.clear()
        self._scene = scene
        if scene is not None:
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
                self._observations.add(scene, event, self._refill)
        self._refill()

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def currentNode(self) -> slicer.vtkMRMLNode | None:
        return self._node

    def nodeCount(self) -> int:
        return len(self._nodes())

    def setCurrentNode(self, node: slicer.vtkMRMLNode | str | None) -> None:
        if isinstance(node, str):
            self.setCurrentNodeID(node)
            return
        if node is not None and node not in self._nodes():
            node = None
        changed = node is not self._node
        self._node = node
        self._show()
        if changed:
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def setCurrentNodeID(self, identifier: str) -> None:
        self.setCurrentNode(self._scene.GetNodeByID(identifier) if self._scene and identifier else None)

    def _read_currentNodeID(self) -> str:
        return self._node.GetID() if self._node else ""

    def _changed_currentNodeID(self, identifier: str) -> None:
        self.setCurrentNodeID(identifier)

    def _changed_nodeTypes(self, types: list[str]) -> None:
        self._refill()

    def _changed_noneDisplay(self, text: str) -> None:
        self._refill()

    def _nodes(self) -> list[slicer.vtkMRMLNode]:
        if self._scene is None:
            return []
        every = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        types = self.property("nodeTypes")
        return [one for one in every if any(one.IsA(kind) for kind in types) and not one.GetHideFromEditors()]

    def _refill(self) -> None:
        if self._scene is not None and self._scene.IsBatchProcessing():
            return
        nodes = self._nodes()
        self._box.clear()
        if self.property("noneEnabled"):
            self._box.addItem(self.property("noneDisplay"), "")
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
        for permission, action in ACTIONS.items():
            if self.property(permission):
                self._box.addItem(f"{action} node", "")
        if self._node not in nodes:
            automatic = nodes[0] if nodes and not self.property("noneEnabled") else None
            self.setCurrentNode(automatic)
        self._show()

    def _show(self) -> None:
        self._box.setCurrentIndex(self._box.findData(self._node.GetID() if self._node else ""))


class TableView(bases.TableView):
    """qMRMLTableView: shows a table node."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._table = None
        self._observations = Observations(self)
        self.setModel(QtGui.QStandardItemModel(self))

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self.__dict__["_scene"] = scene

    def mrmlTableNode(self) -> slicer.vtkMRMLTableNode | None:
        return self._table

    def setMRMLTableNode(self, table: slicer.vtkMRMLTableNode | None) -> None:
        self._observations.clear()
        self._table = table
        if table is not None:
            self._observations.add(table, vtk.vtkCommand.ModifiedEvent, self._refill)
        self._refill()

    def copySelection(self) -> None:
        rows: dict[int, list[str]] = {}
        for index in sorted(self.selectedIndexes()):
            rows.setdefault(index.row(), []).append(str(index.data()))
        if rows:
            QtGui.QGuiApplication.clipboard().setText("\n".join("\t".join(cells) for cells in rows.values()))

    def _refill(self) -> None:
        model = self.model()
        assert isinstance(model, QtGui.QStandardItemModel)
        model.clear()
        table = self._table.GetTable() if self._table is not None else None
        if table is None:
            return
        columns = [table.GetColumnName(index) for index in range(table.GetNumberOfColumns())]
        rows = [
            [table.GetValue(row, column).ToString() for column in range(len(columns))]
            for row in range(table.GetNumberOfRows())
        ]
        headings = columns
        if not self._table.GetUseColumnTitleAsColumnHeader():  # as in Slicer: letters above, the names in the first row
            headings = [chr(ord("A") + number) for number in range(len(columns))]
            rows.insert(0, columns)
        # by setData, not by items made here: with those, PySide6 freed an item twice in one test run of three
        model.setColumnCount(len(columns))
        model.setRowCount(len(rows))
        for column, heading in enumerate(headings):
            model.setHeaderData(column, Qt.Orientation.Horizontal, heading)
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                model.setData(model.index(row, column), text)
        self.resizeColumnsToContents()


BODIES = {"qMRMLWidget": MRMLWidget, "qMRMLNodeComboBox": NodeComboBox, "qMRMLTableView": TableView}
