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
        """Watch no longer."""
        self._filter.root = None
        self._root.removeEventFilter(self._filter)


class _LayoutRequests(qt.QObject):
    def __init__(self, parent: Any = None) -> None:
        qt.QObject.__init__(self, parent)
        self.root: Any = None

    def eventFilter(self, _watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        if self.root is not None and event.type() == qt.QEvent.LayoutRequest:
            item = _item_of(self.root.parent())
            for width in range(STORED_HEIGHTS if item is not None else 0):  # no panel is as narrow as these
                item.heightForWidth(width)
        return False


def _item_of(widget: Any) -> Any | None:
    """Return the item that holds a widget in the layout it lies in, None where it lies in none."""
    parent = widget.parent() if widget is not None else None
    layout = parent.layout() if parent is not None else None
    index = layout.indexOf(widget) if layout is not None else -1
    return layout.itemAt(index) if index >= 0 else None
