"""``slicer.app`` and the module manager: what the widget and Slicer's own Python files ask of the application."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from slicer_harness.pythonqt import Proxy, wrap


class _Signals:
    """Signals of an object that is no QObject here: remembers who listens."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[..., Any]]] = {}

    def connect(self, signature: str, function: Callable[..., Any]) -> bool:
        self._listeners.setdefault(signature, []).append(function)
        return True

    def disconnect(self, signature: str, function: Callable[..., Any]) -> bool:
        listeners = self._listeners.get(signature, [])
        if function in listeners:
            listeners.remove(function)
        return True

    def send(self, signature: str, *arguments: Any) -> None:
        """Call everyone who listens; not a name that Slicer has."""
        for function in list(self._listeners.get(signature, [])):
            function(*arguments)


class ModuleManager(_Signals):
    """Slicer's qSlicerModuleManager, for the modules that tests load."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: dict[str, Any] = {}  # modules by name

    def module(self, name: str) -> Any:
        return self.loaded.get(name) or getattr(slicer.modules, name.lower(), None)

    def modulesNames(self) -> list[str]:
        return [*self.loaded, *vars(slicer.modules)]

    def factoryManager(self) -> Any:
        return types.SimpleNamespace(loadedModuleNames=self.modulesNames)


class Application(_Signals):
    """The headless application with an event loop and views.

    Parameters
    ----------
    headless : object
        The embedded application that the library's own headless start made.
    layout_manager : Proxy
    settings_folder : Path
        Where the user's settings go, away from those of the person who runs the tests.
    """

    applicationName = "Slicer"
    documentationBaseUrl = ""

    def __init__(self, headless: Any, layout_manager: Proxy, settings_folder: Path) -> None:
        super().__init__()
        self._headless = headless
        self._layout_manager = layout_manager
        self._module_manager = ModuleManager()
        self._settings = str(settings_folder / "Slicer.ini")
        self.testing = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._headless, name)

    def layoutManager(self) -> Proxy | None:
        return self._layout_manager

    def moduleManager(self) -> ModuleManager:
        return self._module_manager

    def translate(self, context: str, text: str) -> str:
        return text

    def moduleDocumentationUrl(self, name: str) -> str:
        return ""

    def processEvents(self, *flags: Any) -> None:
        QtWidgets.QApplication.processEvents(*flags)

    def testingEnabled(self) -> bool:
        return self.testing

    def topLevelWidgets(self) -> list[Proxy]:
        return [wrap(widget) for widget in QtWidgets.QApplication.topLevelWidgets()]

    def palette(self) -> Any:
        return QtWidgets.QApplication.palette()

    def clipboard(self) -> Any:
        return wrap(QtWidgets.QApplication.clipboard())

    def userSettings(self) -> Proxy:
        import qt

        return qt.QSettings(self._settings, qt.QSettings.IniFormat)

    settings = userSettings

    def setOverrideCursor(self, cursor: Any) -> None:
        QtWidgets.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        QtWidgets.QApplication.restoreOverrideCursor()
