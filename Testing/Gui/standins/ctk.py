"""CTK's widgets that the module uses."""

from __future__ import annotations

from typing import Any, ClassVar

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Signal

from standins import bases

HEADER = 24  # px


class CollapsibleButton(bases.AbstractButton):
    """ctkCollapsibleButton: a header that shows and hides what is below it."""

    contentsCollapsed = Signal(bool)
    initial: ClassVar[dict[str, Any]] = {"collapsed": False, "contentsFrameShape": 0}

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self.setContentsMargins(0, HEADER, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred)
        self.clicked.connect(lambda: self.setProperty("collapsed", not self.property("collapsed")))

    def sizeHint(self) -> QtCore.QSize:
        inside = (
            self.layout().sizeHint() if self.layout() and not self.property("collapsed") else QtCore.QSize(0, HEADER)
        )
        return inside.expandedTo(QtCore.QSize(120, HEADER))

    def minimumSizeHint(self) -> QtCore.QSize:
        is_open = self.layout() and not self.property("collapsed")
        inside = self.layout().totalMinimumSize() if is_open else QtCore.QSize(0, HEADER)
        return inside.expandedTo(QtCore.QSize(120, HEADER))

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < HEADER

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        palette = self.palette()
        painter.fillRect(0, 0, self.width(), HEADER - 2, palette.button())
        painter.setPen(palette.buttonText().color())
        arrow = "\u25b8" if self.property("collapsed") else "\u25be"
        place = QtCore.QRect(6, 0, self.width() - 12, HEADER - 2)
        painter.drawText(place, QtCore.Qt.AlignmentFlag.AlignVCenter, f"{arrow} {self.text()}")

    def _changed_collapsed(self, collapsed: bool) -> None:
        for child in self.children():
            if not isinstance(child, QtWidgets.QWidget):
                continue
            if collapsed and not child.isHidden():
                child.setProperty("shownWhenExpanded", True)
                child.hide()
            elif not collapsed and child.property("shownWhenExpanded"):
                child.setProperty("shownWhenExpanded", None)
                child.show()
        self.setMaximumHeight(HEADER if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)


class DirectoryButton(bases.Widget):
    """ctkDirectoryButton: a button that shows a folder and lets the user choose another."""

    directoryChanged = Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._button = QtWidgets.QPushButton(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        icon = self.style().standardIcon(QtWidgets.QStyle.StandardPixmap.SP_DirIcon)
        self._button.setIcon(icon)

    def _changed_directory(self, directory: str) -> None:
        self._button.setText(directory)
        self.directoryChanged.emit(directory)


BODIES = {"ctkCollapsibleButton": CollapsibleButton, "ctkDirectoryButton": DirectoryButton}
