"""What a person does in front of the panel: finds a widget by its name, clicks, chooses, types, draws, waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtTest import QTest

from slicer_harness.pythonqt import unwrap
from slicer_harness.session import Module


class User:
    """Acts on one module's panel, on the Qt objects themselves.

    Parameters
    ----------
    module : Module
    """

    def __init__(self, module: Module) -> None:
        self.module = module

    def see(self, name: str) -> Any:
        """The widget of this object name."""
        found = unwrap(self.module.panel).findChildren(QtCore.QObject, name)
        shown = [one for one in found if not one.isWidgetType() or one.isVisibleTo(unwrap(self.module.panel))]
        if not shown:
            raise AssertionError(f"there is no {name} to be seen in the panel")
        return shown[-1]

    def sees(self, name: str) -> bool:
        """Whether the widget of this object name is visible in the panel."""
        found = unwrap(self.module.panel).findChildren(QtWidgets.QWidget, name)
        return any(one.isVisibleTo(unwrap(self.module.panel)) for one in found)

    def read(self, name: str) -> str:
        """The text of a label or button, without markup."""
        text = self.see(name).property("text")
        return plain_text(text) if "<" in text else text

    def click(self, name: str) -> None:
        """Press a button; fails when it is disabled, as a click on it would do nothing."""
        button = self.see(name)
        assert button.isEnabled(), f"{name} is disabled"
        button.click()
        self.module.session.process_events()
        self.wait_until(lambda: not self.is_loading(), 120)

    def is_loading(self) -> bool:
        """Whether the panel says that a cine is being loaded."""
        return self.sees("cineMessageLabel") and self.read("cineMessageLabel").startswith("Loading")

    def choose(self, name: str, text: str) -> None:
        """Choose an entry of a combo box by its text."""
        box = self.see(name)
        box = box if isinstance(box, QtWidgets.QComboBox) else box.findChild(QtWidgets.QComboBox)
        index = box.findText(text)
        assert index >= 0, f"{name} has no entry {text!r}, only {[box.itemText(i) for i in range(box.count())]}"
        box.setCurrentIndex(index)
        box.activated.emit(index)
        self.module.session.process_events()

    def press_keys(self, name: str, keys: str) -> None:
        """Use a keyboard shortcut that belongs to the widget of this name."""
        shortcuts = [one for one in self.see(name).findChildren(QtCore.QObject) if type(one).__name__ == "QShortcut"]
        found = [one for one in shortcuts if one.key().toString() == keys and one.isEnabled()]
        assert len(found) == 1, f"{len(found)} enabled shortcuts are {keys} in {name}"
        found[0].activated.emit()
        self.module.session.process_events()

    def type_into(self, name: str, text: str) -> None:
        """Replace the text of a line edit and press Enter."""
        edit = self.see(name)
        edit.setFocus()
        edit.selectAll()
        QTest.keyClicks(edit, text)
        QTest.keyClick(edit, QtCore.Qt.Key.Key_Return)
        self.module.session.process_events()

    def click_at(self, name: str, share: float) -> None:
        """Click on a widget at this share of its width."""
        widget = self.see(name)
        place = QtCore.QPoint(int(share * (widget.width() - 1)), widget.height() // 2)
        QTest.mouseClick(widget, QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier, place)
        self.module.session.process_events()

    def drag(self, name: str, shares: tuple[float, ...]) -> None:
        """Press the mouse at the first of these shares of a widget's width, move through the others, and let go."""
        widget = self.see(name)
        places = [QtCore.QPoint(int(share * (widget.width() - 1)), widget.height() // 2) for share in shares]
        left, none = QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier
        QTest.mousePress(widget, left, none, places[0])
        for place in places[1:]:
            event = QtGui.QMouseEvent(
                QtCore.QEvent.Type.MouseMove,
                place,
                widget.mapToGlobal(place),
                QtCore.Qt.MouseButton.NoButton,
                left,
                none,
            )
            QtWidgets.QApplication.sendEvent(widget, event)
        QTest.mouseRelease(widget, left, none, places[-1])
        self.module.session.process_events()

    def paint(self, editor_name: str, mask: NDArray[np.bool_], erase: bool = False) -> None:
        """Draw with the Segment Editor on the frame shown, through Slicer's own logic, masking included.

        Parameters
        ----------
        mask : ndarray of bool, shape (H, W)
        """
        from UltrasoundLesionSegLib.gui.masking import labelmap_of

        editor = self.see(editor_name)
        assert not editor.property("readOnly"), "the editor takes no drawing now"
        logic = editor._logic
        segmentation = editor.segmentationNode()
        logic.SaveStateForUndo()
        logic.UpdateReferenceGeometryImage()
        mode = logic.ModificationModeRemove if erase else logic.ModificationModeAdd
        logic.ModifySegmentByLabelmap(
            segmentation, editor.currentSegmentID(), labelmap_of(mask, editor.sourceVolumeNode()), mode, False, False
        )
        self.module.session.process_events()

    def wait_until(self, happened: Callable[[], Any], seconds: float = 20.0) -> None:
        """Let the application work until something has happened."""
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing happened within {seconds} s")
            self.module.session.process_events()
            time.sleep(0.001)


def plain_text(text: str) -> str:
    """Rich text without its markup."""
    document = QtGui.QTextDocument()
    document.setHtml(text)
    return document.toPlainText()
