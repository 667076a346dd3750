"""A session of Slicer without Slicer: starts it, loads a scripted module, shows, leaves and reloads it."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
import tempfile
import traceback
import types
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtWidgets

from slicer_harness.facts import Facts
from slicer_harness.problems import PROBLEMS
from slicer_harness.pythonqt import Proxy, Rules, unwrap, wrap

BASE_FOLDER = Path(__file__).resolve().parents[1] / "standins" / "slicer_base"


class Session:
    """One application and one scene. A process can have only one.

    Use it as a context manager: outside of ``with``, ``slicer.app``, ``qt`` and ``ctk`` are what they were before, so
    that tests of other rooms can run in the same process.

    Parameters
    ----------
    facts : Facts
        Which members of widgets there are.
    slicer_python : Path, optional
        A folder with Slicer's own ScriptedLoadableModule.py, util.py, i18n.py and parameterNodeWrapper, to be used
        instead of the stand-ins.
    """

    def __init__(self, facts: Facts, slicer_python: Path | None = None) -> None:
        _keep_none()
        self.qt_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
        from UltrasoundLesionSegLib.mrml import headless

        self.scene = headless.start()
        import slicer
        from standins import ctk, qmrml, segment_editor, sequences, views
        from standins.making import Maker

        from slicer_harness import modules
        from slicer_harness.application import Application

        bodies = {
            name: body for part in (ctk, qmrml, segment_editor, sequences, views) for name, body in part.BODIES.items()
        }
        self.maker = Maker(facts, bodies)
        Rules.install(facts, self.maker)
        self.file_dialogs = modules.FileDialogAnswers()
        self._qt_modules = {"qt": modules.QtModule(self.file_dialogs), "ctk": modules.CtkModule(self.maker)}
        self._use_python_of(slicer, slicer_python)
        layout_manager = self.maker.make("qSlicerLayoutManager")()
        layout_manager._make = self.maker.make
        self._settings = tempfile.TemporaryDirectory(prefix="slicer-settings-")
        self._headless_application = slicer.app
        self._headless_sequences = slicer.modules.sequences
        self._sequences = self.maker.make("qSlicerSequencesModule")()
        self._sequences._logic = slicer.modules.sequences.logic()
        self._sequences._toolbar = self.maker.make("qMRMLSequenceBrowserToolBar")()
        self._sequences.setMRMLScene(self.scene)
        self.application = Application(slicer.app, wrap(layout_manager), Path(self._settings.name))
        modules.add_widget_classes(slicer, self.maker)
        for kind in ("vtkMRMLPlotViewNode", "vtkMRMLTableViewNode", "vtkMRMLSliceCompositeNode"):
            self.scene.RegisterNodeClass(getattr(slicer, kind)())

    def __enter__(self) -> Session:
        import slicer

        slicer.app = self.application
        slicer.modules.sequences = wrap(self._sequences)
        sys.modules.update(self._qt_modules)
        self._excepthook, sys.excepthook = sys.excepthook, _report_exception
        QtCore.qInstallMessageHandler(_report_warning)
        return self

    def __exit__(self, *_error: object) -> None:
        import slicer

        self.process_events()
        slicer.app = self._headless_application
        slicer.modules.sequences = self._headless_sequences
        sys.excepthook = self._excepthook
        QtCore.qInstallMessageHandler(None)
        for name in self._qt_modules:
            sys.modules.pop(name, None)

    @staticmethod
    def _use_python_of(slicer: Any, slicer_python: Path | None) -> None:
        slicer.__path__.append(str(slicer_python or BASE_FOLDER))
        if str(BASE_FOLDER) not in sys.path:
            sys.path.append(str(BASE_FOLDER))  # SampleData is a module of its own
        if slicer_python is not None:
            spec = importlib.util.spec_from_file_location("slicer.util", slicer_python / "util.py")
            own = importlib.util.module_from_spec(spec)
            sys.modules["slicer.util"] = own
            slicer.util = own
            spec.loader.exec_module(own)

    def load_module(self, path: Path) -> Module:
        """Do what Slicer does with a scripted module's file: import it, make its module object."""
        return Module(self, path)

    def start_up(self) -> None:
        """Tell the modules that the application has started."""
        self.application.send("startupCompleted()")

    def process_events(self) -> None:
        """Let Qt work once."""
        self.qt_application.processEvents()
        self.qt_application.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def _keep_none() -> None:
    """Let None survive PySide6 6.12 before Python 3.12: None is counted there, and each call without result takes one.

    Without this, a process that paints much ends with "deallocating None".
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def _report_exception(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """What VTK and Qt do with an exception in a callback: print it and go on. A test must not."""
    traceback.print_exception(kind, error, trace)
    place = traceback.extract_tb(trace)[-1] if trace else None
    PROBLEMS.report(
        f"{kind.__name__} in a callback: {error} ({place.filename}:{place.lineno})" if place else str(error)
    )


def _report_warning(kind: QtCore.QtMsgType, _context: QtCore.QMessageLogContext, text: str) -> None:
    """Qt's warnings are problems, but for one that every offscreen window causes."""
    if kind != QtCore.QtMsgType.QtDebugMsg and "propagateSizeHints" not in text:
        PROBLEMS.report(f"Qt warns: {text}")


class Module:
    """A scripted module in a session.

    Parameters
    ----------
    session : Session
    path : Path
        The module's .py file.
    """

    def __init__(self, session: Session, path: Path) -> None:
        import slicer

        self.session, self.path, self.name = session, path, path.stem
        sys.path.insert(0, str(path.parent))
        self.python = self._import()
        parent = types.SimpleNamespace(
            path=str(path), title="", categories=[], dependencies=[], contributors=[], icon=None
        )
        self.description = getattr(self.python, self.name)(parent)
        self.panel: Proxy | None = None
        manager = session.application.moduleManager()
        manager.loaded[self.name] = self
        setattr(slicer.modules, self.name.lower(), self)

    def _import(self) -> types.ModuleType:
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = module
        spec.loader.exec_module(module)
        return module

    def widgetRepresentation(self) -> Proxy | None:
        return self.panel

    @property
    def widget(self) -> Any:
        """The module's widget object."""
        import slicer

        return getattr(slicer.modules, f"{self.name}Widget")

    def open(self) -> Any:
        """Show the module, making its panel the first time; returns the widget object."""
        if self.panel is None:
            self._make_panel()
        panel = unwrap(self.panel)
        panel.entered = True
        self.panel.show()
        self.widget.enter()
        self.session.process_events()
        return self.widget

    def leave(self) -> None:
        """Switch to another module."""
        self.widget.exit()
        unwrap(self.panel).entered = False
        self.panel.hide()
        self.session.process_events()

    def reload(self) -> Any:
        """What the developer's Reload button does; returns the new widget object."""
        self.python = self._import()
        for child in self.panel.children():
            if isinstance(unwrap(child), QtWidgets.QWidget):
                child.hide()
        self.widget.cleanup()
        layout = unwrap(self.panel).layout()
        while layout.count():
            layout.removeItem(layout.itemAt(0))
        self._make_widget()
        self.session.process_events()
        return self.widget

    def unload(self) -> None:
        """What the application does when it closes."""
        if self.panel is None:
            return
        self.session.application.moduleManager().send("moduleAboutToBeUnloaded(QString)", self.name)
        unwrap(self.panel).deleteLater()
        self.panel = None
        self.session.process_events()

    def _make_panel(self) -> None:
        # the real one is a qSlicerScriptedLoadableModuleWidget, a qMRMLWidget with these two properties for Python
        base = self.session.maker.make("qMRMLWidget")
        kind = type(
            "qSlicerScriptedLoadableModuleWidget",
            (base,),
            {"entered": False, "isEntered": QtCore.Property(bool, lambda self: self.entered)},
        )
        panel = kind()
        QtWidgets.QVBoxLayout(panel)
        self.panel = wrap(panel)
        self._make_widget()

    def _make_widget(self) -> None:
        import slicer

        widget = getattr(self.python, f"{self.name}Widget")(self.panel)
        setattr(slicer.modules, f"{self.name}Widget", widget)
        unwrap(self.panel).setMRMLScene(slicer.mrmlScene)
        widget.setup()
