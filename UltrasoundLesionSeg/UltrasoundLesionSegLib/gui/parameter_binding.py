"""Binds a parameter node to the widgets, and unbinds it altogether.

Slicer 5.10's ``disconnectGui`` leaves the observer that ``connectGui`` made on the node. Each opening of the module
would leave another, and once Python's garbage collector took such a forgotten callback, the node's next change crashes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class ParameterBinding:
    """A parameter node wrapper connected to widgets, until ``end``.

    Parameters
    ----------
    parameters : object
        What ``parameterNodeWrapper`` made of a parameter node.
    ui : object
        The widgets as attributes; those with a ``SlicerParameterName`` are bound.
    """

    def __init__(self, parameters: Any, ui: Any) -> None:
        self._parameters = parameters
        self._observers: list[int] = []
        add_observer: Callable[..., int] = parameters.AddObserver

        def add_and_remember(*arguments: Any, **options: Any) -> int:
            self._observers.append(add_observer(*arguments, **options))
            return self._observers[-1]

        parameters.AddObserver = add_and_remember
        try:
            self._tag = parameters.connectGui(ui)
        finally:
            del parameters.AddObserver  # the class's own is there again

    def end(self) -> None:
        """Disconnect the widgets and remove every observer that connecting them made."""
        self._parameters.disconnectGui(self._tag)
        for tag in self._observers:
            self._parameters.RemoveObserver(tag)  # a tag that is gone already is ignored
        self._observers = []
