"""The panel's height, measured anew whenever something in it changes.

Slicer leaks the layout's item of a module's widget when another module is shown (``takeAt`` in qSlicerModulePanel.cxx).
Qt then no longer tells the item that comes next when to forget the heights that it has stored, so a line that appears
later is cut. The item stores three heights, the oldest of which it forgets when it is asked for a fourth.
"""

from __future__ import annotations

from typing import Any

import qt

STORED_HEIGHTS = 3


class HeightWatch:
    """Makes the item of Slicer's layout forget the heights it stored, before Qt arranges a changed panel.

    Parameters
    ----------
    root : qt.QWidget
        The widget of the .ui file; it lies in the module's widget, which lies in Slicer's layout.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._filter = _LayoutRequests(root)
        self._filter.root = root
        root.installEventFilter(self._filter)

    def stop(self) -> None:
        """Stop watching."""
        self._filter.root = None
        self._root.removeEventFilter(self._filter)


class _LayoutRequests(qt.QObject):
    def __init__(self, parent: Any = None) -> None:
        qt.QObject.__init__(self, parent)
        self.root: Any = None

    def eventFilter(self, _watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        if self.root is not None and event.type() == qt.QEvent.LayoutRequest:
            _forget_heights(self.root.parent())
        return False


def _forget_heights(widget: Any) -> None:
    """Make the item that holds a widget in the layout it lies in forget the heights it stored."""
    layout: Any = widget.parent().layout() if widget is not None and widget.parent() is not None else None
    index = -1 if layout is None else layout.indexOf(widget)
    if index >= 0:
        item = layout.itemAt(index)
        for width in range(STORED_HEIGHTS):  # no panel is as narrow as these
            item.heightForWidth(width)
