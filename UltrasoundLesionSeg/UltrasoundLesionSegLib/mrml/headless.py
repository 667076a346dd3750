"""Slicer's scene where there is no Slicer application: the embedded start of slicer-core.

Inside a Slicer application everything here is a no-op. Elsewhere :func:`start` makes the scene, the logics that keep
sequence proxies, display nodes and storage nodes right, and the small :class:`HeadlessApplication`, and puts them where
Slicer's own code looks for them: ``slicer.mrmlScene``, ``slicer.modules`` and ``slicer.app``.

Only this module of the room imports ``slicer`` late, so that a platform without slicer-core gets one clear sentence:
call :func:`start` before importing the others.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import shutil
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.writers.atomic import UNFINISHED

_logger = logging.getLogger(__name__)

# Module name as Slicer knows it -> its logic. The order matters: volumes ask the colour logic for their colour table.
# Terminologies is left out: its files are not in slicer-core, and segments carry their terminology as plain tags.
_LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Units": "vtkSlicerUnitsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
}


def is_application() -> bool:
    """Tell whether this process is a Slicer application, as opposed to plain Python with or without slicer-core."""
    application = getattr(sys.modules.get("slicer"), "app", None)
    if application is None:
        return False
    # looked up rather than imported: the class needs slicer, which a plain Python may not have
    ours = sys.modules.get("UltrasoundLesionSegLib.mrml.headless_application")
    return ours is None or not isinstance(application, ours.HeadlessApplication)


def start() -> Any:
    """Give the MRML scene, starting slicer-core where there is no Slicer application; the same scene at every call.

    Returns
    -------
    vtkMRMLScene

    Raises
    ------
    SceneError
        When neither a Slicer application nor slicer-core is there.
    """
    slicer = _import_slicer()
    if getattr(slicer, "app", None) is None:
        _start_embedded(slicer)
    return slicer.mrmlScene


def _import_slicer() -> Any:
    try:
        slicer = importlib.import_module("slicer")
        importlib.import_module("slicer.util")
    except ImportError as error:
        raise SceneError(
            "3D Slicer's MRML library is not installed in this Python; "
            "install slicer-core (pip install slicer-core) or run inside 3D Slicer"
        ) from error
    return slicer


def _start_embedded(slicer: Any) -> None:
    """Make scene, logics and application object. Every object is kept alive by the application object."""
    from UltrasoundLesionSegLib.mrml.headless_application import HeadlessApplication

    _route_vtk_messages()
    home = Path(tempfile.mkdtemp(prefix="ultrasound-lesion-seg-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    UNFINISHED.add(home)  # a process that Ctrl+C ends at once runs no atexit
    scene = slicer.vtkMRMLScene()
    application_logic = _application_logic(slicer, scene, home)
    data_io = _data_io(slicer, scene, application_logic, home)
    modules = types.ModuleType("slicer.modules")
    logics = {name: _module_logic(slicer, scene, application_logic, name) for name in _LOGICS}
    for name, logic in logics.items():
        setattr(modules, name.lower(), _Module(name, logic))
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    slicer.modules = modules
    sys.modules["slicer.modules"] = modules
    slicer.mrmlScene = scene
    slicer.app = HeadlessApplication(scene, application_logic, home, keep=(data_io, logics))


class _Module:
    """What scripts ask of an entry of ``slicer.modules``: its name and its logic."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name = name
        self._logic = logic

    def logic(self) -> Any:
        return self._logic


def _application_logic(slicer: Any, scene: Any, home: Path) -> Any:
    logic = slicer.vtkSlicerApplicationLogic()
    # the share folder is named relative to home; with an empty one Slicer makes its built-in colours and no others
    (home / "share" / "ColorFiles").mkdir(parents=True)
    logic.SetHomeDirectory(str(home))
    logic.SetShareDirectory("share")
    logic.SetTemporaryPath(str(home))
    # slice views (mrml/slice_view.py) register here; an application has these collections from the start
    vtk = importlib.import_module("vtk")
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    logic.SetMRMLScene(scene)
    return logic


def _data_io(slicer: Any, scene: Any, application_logic: Any, home: Path) -> tuple[Any, Any]:
    """Connect the cache folder that scene bundles are unpacked to; without one a .mrb can be written but not read."""
    remote_logic = slicer.vtkMRMLRemoteIOLogic()
    manager_logic = slicer.vtkDataIOManagerLogic()
    cache = home / "cache"
    cache.mkdir()
    (cache / ".slicer-cache").touch()  # Slicer's mark of a folder that it may clean
    remote_logic.GetCacheManager().SetRemoteCacheDirectory(str(cache))
    application_logic.SetMRMLSceneDataIO(scene, remote_logic, manager_logic)
    return remote_logic, manager_logic


def _module_logic(slicer: Any, scene: Any, application_logic: Any, name: str) -> Any:
    logic = getattr(slicer, _LOGICS[name])()
    logic.SetMRMLApplicationLogic(application_logic)
    logic.SetMRMLScene(scene)
    application_logic.SetModuleLogic(name, logic)
    return logic


def _route_vtk_messages() -> None:
    """Send VTK's messages to this library's log at level DEBUG.

    VTK prints them on the terminal, file paths included, and a path can carry a patient's name. Everything that can go
    wrong here is checked where it happens and raised as one sentence.
    """
    vtk = importlib.import_module("vtk")
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
    window = vtk.vtkOutputWindow()
    window.SetDisplayModeToNever()

    @vtk.calldata_type(vtk.VTK_STRING)
    def log(_caller: Any, event: str, text: str) -> None:
        # which line of which source file complains, not what it says: that quotes paths
        _logger.debug("%s from %s", event, text.strip().splitlines()[0] if text.strip() else "VTK")

    for event in ("ErrorEvent", "WarningEvent"):
        window.AddObserver(event, log)
    vtk.vtkOutputWindow.SetInstance(window)
