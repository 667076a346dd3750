"""Lines that were written in one theme (light or dark) and are to be read in another."""

from __future__ import annotations

from typing import Any

import qt
import slicer

from UltrasoundLesionSegLib.gui.messages import recolor


class ThemeWatch:
    """Gives the lines of the panel their colours again when Slicer's style changes.

    Parameters
    ----------
    root : qt.QWidget
        The widget that holds the labels.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._filter = _PaletteEvents(root)
        self._filter.root = root
        root.installEventFilter(self._filter)

    def stop(self) -> None:
        """Stop listening."""
        self._filter.root = None
        self._root.removeEventFilter(self._filter)


class _PaletteEvents(qt.QObject):
    def __init__(self, parent: Any = None) -> None:
        qt.QObject.__init__(self, parent)
        self.root: Any = None

    def eventFilter(self, _watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        if self.root is not None and event.type() == qt.QEvent.PaletteChange:
            # the labels have the new palette after this event
            qt.QTimer.singleShot(0, self._recolor)
        return False

    def _recolor(self) -> None:
        if self.root is not None:
            for label in slicer.util.findChildren(self.root, className="QLabel"):
                recolor(label)
