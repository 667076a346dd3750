"""Loads a .ui file with Qt's own loader, Slicer's and CTK's classes replaced by their stand-ins."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from PySide6 import QtCore, QtUiTools
from standins.making import qt_class

from slicer_harness.problems import PROBLEMS
from slicer_harness.pythonqt import Rules, unwrap, wrap


class UiLoader:
    """Stands for ``qt.QUiLoader``: same loader, but connections between stand-ins are made by name.

    PySide6 gives a Python class's signals other signatures than C++ has, so the loader itself could not connect
    ``mrmlSceneChanged(vtkMRMLScene*)``; they are taken out of the file, checked against the facts and connected here.
    """

    def load(self, file: Any) -> Any:
        """Return the root widget, or None as Qt does when the file is no valid .ui file."""
        path = unwrap(file).fileName()
        root = ElementTree.parse(path).getroot()
        loader = QtUiTools.QUiLoader()
        for name in sorted({widget.get("class", "") for widget in root.iter("widget")}):
            if qt_class(name) is None:
                self._register(loader, name)
        connections = [
            tuple(connection.findtext(part) or "" for part in ("sender", "signal", "receiver", "slot"))
            for connection in root.iter("connection")
        ]
        for element in root.findall("connections"):
            root.remove(element)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = loader.load(buffer)
        if widget is None:
            PROBLEMS.report(f"the loader refuses the .ui file: {loader.errorString()}")
            return None
        widget.__dict__["_loader"] = loader  # the loader owns the stand-ins' factories
        for connection in connections:
            _connect(widget, *connection)
        return wrap(widget)

    @staticmethod
    def _register(loader: QtUiTools.QUiLoader, name: str) -> None:
        if not Rules.facts.has_designer_plugin(name):
            PROBLEMS.report(f".ui: {name} has no designer plugin in Slicer {Rules.facts.version}")
        loader.registerCustomWidget(Rules.maker.make(name))


def _connect(root: QtCore.QObject, sender: str, signal: str, receiver: str, slot: str) -> None:
    ends = []
    for name in (sender, receiver):
        found = root if root.objectName() == name else root.findChild(QtCore.QObject, name)
        if found is None:
            PROBLEMS.report(f".ui connection {sender} -> {receiver}: there is no {name}")
            return
        ends.append(found)
    for end, member in zip(ends, (signal, slot), strict=True):
        if not Rules.reachable(type(end), member.partition("(")[0]):
            PROBLEMS.report(f".ui connection: {type(end).__name__} has no {member}")
            return
    target = getattr(ends[1], slot.partition("(")[0])
    getattr(ends[0], signal.partition("(")[0]).connect(lambda *arguments: target(*arguments))
