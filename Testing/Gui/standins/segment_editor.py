"""The Segment Editor widget, on slicer-core's real segment editor logic: masking, undo and redo are Slicer's own."""

from __future__ import annotations

from typing import Any, ClassVar

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Signal

from standins import bases
from standins.observing import Observations

EFFECTS = ("Paint", "Draw", "Erase", "Threshold", "Smoothing", "Scissors", "Islands", "Level tracing", "Margin")

# the texts of Slicer's options; those of one tool stand beside each other
OPTIONS = {
    "Paint": ("Sphere brush", "Edit in 3D views", "Color smudge"),
    "Erase": ("Sphere brush", "Edit in 3D views", "Erase all segments"),
    "Scissors": (
        "Apply to visible segments:",
        "Centered",
        "Slice cut:",
        "Unlimited",
        "Positive",
        "Negative",
        "Symmetric",
    ),
}

# rows of a form: a label and what is chosen beside it, of this width
LABELED = {"Smoothing": (("Smoothing method:", 250), ("Kernel size:", 250))}


class SegmentEditor(bases.Widget):
    """qMRMLSegmentEditorWidget: a list of segments, buttons for the effects, undo and redo.

    Like Slicer's, it draws nothing by itself: a test draws through ``_logic``, as an effect does.
    """

    currentSegmentIDChanged = Signal(str)
    initial: ClassVar[dict[str, Any]] = {
        "undoEnabled": True,
        "unorderedEffectsVisible": True,
        "addRemoveSegmentButtonsVisible": True,
        "segmentationNodeSelectorVisible": True,
        "sourceVolumeNodeSelectorVisible": True,
        "switchToSegmentationsButtonVisible": True,
        "show3DButtonVisible": True,
        "maskingSectionVisible": True,
        "maximumNumberOfUndoStates": 0,
        "effectColumnCount": 2,
    }

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._node = None
        self._of_node, self._of_segmentation = Observations(self), Observations(self)
        self._order = list(EFFECTS)
        self._active = ""
        self._shortcuts_installed = False
        self._arrange()
        self._fill_effects()
        self._show()

    def _arrange(self) -> None:
        """Two columns, each with an empty space at its end, and boxes that are there for a tool only, as in Slicer."""
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._add_row = _row(layout, ("+ Add", "\u2013 Remove"), (self._add, self._remove))
        columns = QtWidgets.QHBoxLayout()
        layout.addLayout(columns)
        tools, segments = _column(columns, "verticalLayout_3"), _column(columns, "verticalLayout")
        self._grid = QtWidgets.QGridLayout()
        tools.addLayout(self._grid)
        self._undo_row = _row(tools, ("Undo", "Redo"), (self.undo, self.redo))
        resizable = QtWidgets.QWidget(self)
        resizable.setObjectName("SegmentsTableResizableFrame")
        self._segments = QtWidgets.QListWidget(resizable)
        self._segments.setFixedHeight(72)
        self._segments.setMinimumWidth(120)
        self._segments.currentRowChanged.connect(self._row_chosen)
        QtWidgets.QVBoxLayout(resizable).addWidget(self._segments)
        segments.addWidget(resizable)
        self._options, self._masking = QtWidgets.QGroupBox(self), QtWidgets.QGroupBox("Masking", self)
        self._options.setObjectName("OptionsGroupBox")
        self._masking.setObjectName("MaskingGroupBox")
        QtWidgets.QVBoxLayout(self._options).setContentsMargins(4, 4, 4, 4)
        QtWidgets.QVBoxLayout(self._masking).addWidget(QtWidgets.QLabel("Modify other segments:"))
        self._effects = {
            name: qSlicerSegmentEditorAbstractEffect(self, name, OPTIONS.get(name, ("Option",))) for name in EFFECTS
        }
        for box in (self._options, self._masking):
            segments.addWidget(box)
            box.hide()
        for effect in self._effects.values():
            self._options.layout().addWidget(effect.optionsFrame())
        for column in (tools, segments):
            column.addSpacerItem(
                QtWidgets.QSpacerItem(
                    20, 40, QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Expanding
                )
            )

    # -- what it works on

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self.__dict__["_scene"] = scene
        self._logic.SetMRMLScene(scene)

    def setMRMLSegmentEditorNode(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        self._node = node
        self._logic.SetSegmentEditorNode(node)
        self._active = (node.GetActiveEffectName() or "") if node is not None else ""
        self._fill_effects()
        self._observe()

    def mrmlSegmentEditorNode(self) -> slicer.vtkMRMLSegmentEditorNode | None:
        return self._node

    def setSegmentationNode(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        if self._node is None:
            if node is not None:
                raise AssertionError(
                    "setSegmentationNode before setMRMLSegmentEditorNode: Slicer logs an error and ignores it"
                )
            return
        self._logic.SetSegmentationNode(node)
        self._observe()
        if node is not None and not self.currentSegmentID() and node.GetSegmentation().GetNumberOfSegments():
            self.setCurrentSegmentID(node.GetSegmentation().GetNthSegmentID(0))

    def segmentationNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        return self._node.GetSegmentationNode() if self._node is not None else None

    def setSourceVolumeNode(self, node: slicer.vtkMRMLVolumeNode | None) -> None:
        if self._node is not None:
            self._logic.SetSourceVolumeNode(node)

    def sourceVolumeNode(self) -> slicer.vtkMRMLVolumeNode | None:
        return self._node.GetSourceVolumeNode() if self._node is not None else None

    def currentSegmentID(self) -> str:
        return (self._node.GetSelectedSegmentID() or "") if self._node is not None else ""

    def setCurrentSegmentID(self, identifier: str) -> None:
        before = self.currentSegmentID()
        self._logic.SetCurrentSegmentID(identifier)
        self._show()
        if self.currentSegmentID() != before:
            self.currentSegmentIDChanged.emit(identifier)

    def updateWidgetFromMRML(self) -> None:
        self._observe()

    # -- effects

    def setEffectNameOrder(self, names: list[str]) -> None:
        self._order = list(names)
        self._fill_effects()

    def effectNameOrder(self) -> list[str]:
        return self._order

    def setActiveEffectByName(self, name: str) -> None:
        self._active = name if not self.property("readOnly") else ""
        if self._node is not None:
            self._node.SetActiveEffectName(self._active)
        self._fill_effects()

    def activeEffect(self) -> QtCore.QObject | None:
        return self._effects.get(self._active)

    def effectByName(self, name: str) -> QtCore.QObject | None:
        return self._effects.get(name)

    def setActiveEffect(self, effect: object | None) -> None:
        self.setActiveEffectByName("")

    def saveStateForUndo(self) -> None:
        self._logic.SaveStateForUndo()

    def undo(self) -> None:
        self._logic.Undo()

    def redo(self) -> None:
        self._logic.Redo()

    def installKeyboardShortcuts(self, parent: QtWidgets.QWidget | None = None) -> None:
        self._shortcuts_installed = True

    def uninstallKeyboardShortcuts(self) -> None:
        self._shortcuts_installed = False

    # -- properties with an effect of their own

    def _changed_undoEnabled(self, enabled: bool) -> None:
        self._undo_row.setVisible(enabled)

    def setUndoEnabled(self, enabled: bool) -> None:
        if enabled:
            self._logic.ClearUndoState()
        self.setProperty("undoEnabled", enabled)

    def _changed_maximumNumberOfUndoStates(self, count: int) -> None:
        self._logic.SetMaximumNumberOfUndoStates(count)

    def _changed_addRemoveSegmentButtonsVisible(self, visible: bool) -> None:
        self._add_row.setVisible(visible)

    def _changed_unorderedEffectsVisible(self, visible: bool) -> None:
        self._fill_effects()

    def _changed_readOnly(self, read_only: bool) -> None:
        if read_only:
            self._active = ""
        for row in (self._add_row, self._undo_row):
            row.setEnabled(not read_only)
        self._fill_effects()

    # -- inside

    def _observe(self) -> None:
        self._of_node.clear()
        if self._node is not None:
            self._of_node.add(self._node, vtk.vtkCommand.ModifiedEvent, self._node_changed)
        self._node_changed()

    def _node_changed(self) -> None:
        self._of_segmentation.clear()
        segmentation = self.segmentationNode()
        if segmentation is not None:
            self._of_segmentation.add(segmentation, vtk.vtkCommand.AnyEvent, self._show)
        self._show()

    def _show(self) -> None:
        node = self.segmentationNode()
        self._segments.blockSignals(True)
        self._segments.clear()
        if node is not None:
            segmentation = node.GetSegmentation()
            for index in range(segmentation.GetNumberOfSegments()):
                segment = segmentation.GetNthSegment(index)
                picture = QtGui.QPixmap(14, 14)
                picture.fill(QtGui.QColor.fromRgbF(*segment.GetColor()))
                self._segments.addItem(QtWidgets.QListWidgetItem(QtGui.QIcon(picture), segment.GetName()))
                if segmentation.GetNthSegmentID(index) == self.currentSegmentID():
                    self._segments.setCurrentRow(index)
        self._segments.blockSignals(False)

    def _row_chosen(self, row: int) -> None:
        node = self.segmentationNode()
        if node is not None and row >= 0:
            self.setCurrentSegmentID(node.GetSegmentation().GetNthSegmentID(row))

    def _fill_effects(self) -> None:
        for box in (self._options, self._masking):
            box.setVisible(bool(self._active))
        for name, effect in self._effects.items():
            effect.optionsFrame().setVisible(name == self._active)
        while self._grid.count():
            self._grid.takeAt(0).widget().deleteLater()
        others = (
            [name for name in EFFECTS if name not in self._order] if self.property("unorderedEffectsVisible") else []
        )
        columns = max(1, self.property("effectColumnCount"))
        for index, name in enumerate([*self._order, *others]):
            button = QtWidgets.QToolButton(self)
            button.setText(name)
            button.setCheckable(True)
            button.setChecked(name == self._active)
            button.setEnabled(not self.property("readOnly"))
            button.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
            button.clicked.connect(lambda checked, name=name: self.setActiveEffectByName(name if checked else ""))
            self._grid.addWidget(button, index // columns, index % columns)

    def _add(self) -> None:
        self._logic.AddEmptySegment()

    def _remove(self) -> None:
        self._logic.RemoveSelectedSegment()


class qSlicerSegmentEditorAbstractEffect(QtCore.QObject):
    """A tool, with a frame for its options."""

    def __init__(self, editor: QtWidgets.QWidget, name: str, options: tuple[str, ...]) -> None:
        super().__init__(editor)
        self.setObjectName(name)  # PythonQt's name of an object is its objectName
        self._frame = QtWidgets.QFrame()
        if name in LABELED:
            form = QtWidgets.QFormLayout(self._frame)
            for label, width in LABELED[name]:
                field = QtWidgets.QComboBox(self._frame)
                field.setMinimumWidth(width)
                form.addRow(QtWidgets.QLabel(label), field)
            return
        row = QtWidgets.QHBoxLayout(self._frame)
        for text in options:
            option = QtWidgets.QCheckBox(text, self._frame)
            option.setFixedWidth(110)
            row.addWidget(option)

    def optionsFrame(self) -> QtWidgets.QFrame:
        return self._frame


def _column(columns: QtWidgets.QHBoxLayout, name: str) -> QtWidgets.QVBoxLayout:
    column = QtWidgets.QVBoxLayout()
    column.setObjectName(name)
    columns.addLayout(column)
    return column


def _row(layout: QtWidgets.QVBoxLayout, texts: tuple[str, ...], actions: tuple) -> QtWidgets.QWidget:
    row = QtWidgets.QWidget()
    inside = QtWidgets.QHBoxLayout(row)
    inside.setContentsMargins(0, 0, 0, 0)
    for text, action in zip(texts, actions, strict=True):
        button = QtWidgets.QPushButton(text, row)
        button.clicked.connect(lambda checked=False, action=action: action())
        inside.addWidget(button)
    layout.addWidget(row)
    row.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground, False)
    return row


BODIES = {"qMRMLSegmentEditorWidget": SegmentEditor}
