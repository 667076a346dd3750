"""Observing VTK objects from a Qt widget, as QVTK connections do: over when the widget is deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore


class Observations:
    """The VTK observers of one widget.

    Parameters
    ----------
    widget : QObject
    """

    def __init__(self, widget: QtCore.QObject) -> None:
        self._widget = widget
        self._tags: list[tuple[Any, int]] = []

    def add(self, observed: Any, event: Any, callback: Callable[[], None]) -> None:
        """Call ``callback`` on an event of a VTK object, as long as the widget lives."""

        def call(*_arguments: Any) -> None:
            if shiboken6.isValid(self._widget):
                callback()
            else:
                self.clear()

        self._tags.append((observed, observed.AddObserver(event, call)))

    def clear(self) -> None:
        """Observe nothing any more."""
        tags, self._tags = self._tags, []
        for observed, tag in tags:
            observed.RemoveObserver(tag)
