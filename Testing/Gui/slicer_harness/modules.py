"""The Python modules ``qt`` and ``ctk`` and the widget classes in ``slicer``, as Slicer's Python has them."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore
from standins.making import Maker, qt_class

from slicer_harness.problems import PROBLEMS
from slicer_harness.pythonqt import Proxy, proxy_class
from slicer_harness.uiloader import UiLoader


class FileDialogAnswers:
    """What the user will choose in the next file dialogs; one that nobody foresaw is cancelled and reported."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.titles: list[str] = []

    def ask(self, _parent: Any = None, title: str = "", *_others: Any) -> str:
        """Stand for ``QFileDialog.getOpenFileName`` and its kin; PythonQt returns the path alone."""
        self.titles.append(title)
        if not self.waiting:
            PROBLEMS.report(f"a file dialog was opened that no test foresaw: {title}")
            return ""
        return self.waiting.pop(0)


class QtModule(types.ModuleType):
    """All classes of Qt in one module; widgets and other QObjects under PythonQt's rules."""

    def __init__(self, answers: FileDialogAnswers) -> None:
        super().__init__("qt")
        self.Qt = QtCore.Qt
        self.QUiLoader = UiLoader
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = qt_class(name)
        if found is None:
            PROBLEMS.report(f"qt.{name}: there is no such class")
            raise AttributeError(name)
        if not (isinstance(found, type) and issubclass(found, QtCore.QObject)):
            return found
        made = proxy_class(found)
        if name == "QFileDialog":
            for function in ("getOpenFileName", "getSaveFileName", "getExistingDirectory"):
                setattr(made, function, staticmethod(self._answers.ask))
        return made


class CtkModule(types.ModuleType):
    """All classes of CTK that the facts know."""

    def __init__(self, maker: Maker) -> None:
        super().__init__("ctk")
        self._maker = maker

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._maker.facts:
            PROBLEMS.report(f"ctk.{name}: no such class with Slicer {self._maker.facts.version}")
            raise AttributeError(name)
        return proxy_class(self._maker.make(name))


def add_widget_classes(slicer: types.ModuleType, maker: Maker) -> None:
    """Let ``slicer.qMRMLNodeComboBox`` and all other widget classes of the facts be found."""

    class SlicerModule(types.ModuleType):
        def __getattr__(self, name: str) -> type[Proxy]:
            if name.startswith(("qMRML", "qSlicer")) and name in maker.facts:
                return proxy_class(maker.make(name))
            raise AttributeError(f"module 'slicer' has no attribute {name!r}")

    slicer.__class__ = SlicerModule
