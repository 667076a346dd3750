"""The small stand-in for ``slicer.app`` on slicer-core: what ``slicer.util`` needs to load and save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from UltrasoundLesionSegLib.mrml.scene_archive import is_sound

# Longest suffix first: .seg.nrrd is a segmentation although .nrrd is a volume
_FILE_TYPES = {
    ".seq.nrrd": "SequenceFile",
    ".seq.nhdr": "SequenceFile",
    ".seq.mrb": "SequenceFile",
    ".seg.nrrd": "SegmentationFile",
    ".seg.nhdr": "SegmentationFile",
    ".mrml": "SceneFile",
    ".mrb": "SceneFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
}
_NODE_CLASSES = {"SegmentationFile": "vtkMRMLSegmentationNode", "TableFile": "vtkMRMLTableNode"}

# vtkSlicerVolumesLogic::LoadingOptions
_LABELMAP, _SINGLE_FILE = 1, 4


class HeadlessApplication:
    """Stands where a Slicer application has ``slicer.app``.

    It knows its scene and logics, has no windows, and loads and saves volumes, segmentations, sequences, tables and
    scenes through ``slicer.util``. Nothing else of ``qSlicerApplication`` is here: an ``AttributeError`` says so.

    Parameters
    ----------
    scene : vtkMRMLScene
    application_logic : vtkSlicerApplicationLogic
    temporary_path : Path
        A folder that is removed when the process ends.
    keep : object
        Whatever must live as long as the scene; VTK does not keep the logics alive itself.
    """

    applicationName = "slicer-core"  # noqa: N815 - Slicer's own names here and below

    def __init__(self, scene: Any, application_logic: Any, temporary_path: Path, keep: Any) -> None:
        self._scene = scene
        self._application_logic = application_logic
        self._io_manager = _IOManager(scene)
        self._keep = keep
        self.temporaryPath = str(temporary_path)

    def mrmlScene(self) -> Any:  # noqa: N802
        """Return the vtkMRMLScene."""
        return self._scene

    def applicationLogic(self) -> Any:  # noqa: N802
        """Return the vtkSlicerApplicationLogic."""
        return self._application_logic

    def coreIOManager(self) -> _IOManager:  # noqa: N802
        """Return the object that loads and saves files."""
        return self._io_manager

    ioManager = coreIOManager  # noqa: N815

    def layoutManager(self) -> None:  # noqa: N802
        """Return None: there are no views."""

    def mainWindow(self) -> None:  # noqa: N802
        """Return None: there is no window."""

    def processEvents(self) -> None:  # noqa: N802
        """Do nothing: there is no event loop."""

    def pauseRender(self) -> None:  # noqa: N802
        """Do nothing: there are no views."""

    def resumeRender(self) -> None:  # noqa: N802
        """Do nothing: there are no views."""


class _IOManager:
    """The four calls of qSlicerCoreIOManager that ``slicer.util`` makes. Paths must be absolute."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene

    def fileType(self, path: str) -> str:  # noqa: N802
        lower = str(path).lower()
        return next((kind for suffix, kind in _FILE_TYPES.items() if lower.endswith(suffix)), "VolumeFile")

    def fileWriterFileType(self, _node: Any) -> str:  # noqa: N802
        return "NodeFile"

    def loadNodes(self, kind: str, properties: dict[str, Any], loaded: Any, messages: Any = None) -> bool:  # noqa: N802
        path = str(properties["fileName"])
        if kind == "SceneFile":
            return self._load_scene(path, bool(properties.get("clear", False)), messages)
        if kind == "SequenceFile":
            node = slicer.modules.sequences.logic().AddSequence(path, messages)
        elif kind in _NODE_CLASSES:
            node = self._load_node(_NODE_CLASSES[kind], path, properties)
        else:
            options = _LABELMAP * bool(properties.get("labelmap")) + _SINGLE_FILE * bool(properties.get("singleFile"))
            node = slicer.modules.volumes.logic().AddArchetypeVolume(path, self._name(path, properties), options)
        if node is None:
            return False
        loaded.AddItem(node)
        return True

    def saveNodes(self, kind: str, properties: dict[str, Any], messages: Any = None) -> bool:  # noqa: N802
        path = str(properties["fileName"])
        if kind == "SceneFile":
            return bool(self._scene.WriteToMRB(path, None, messages))
        node = self._scene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode(path)
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        storage.SetUseCompression(properties.get("useCompression", storage.GetUseCompression()))
        return bool(storage.WriteData(node))

    def _load_scene(self, path: str, clear: bool, messages: Any) -> bool:
        if path.lower().endswith(".mrb"):
            return is_sound(Path(path)) and bool(self._scene.ReadFromMRB(path, clear, messages))
        self._scene.SetURL(path)
        return bool(self._scene.Connect(messages) if clear else self._scene.Import(messages))

    def _load_node(self, class_name: str, path: str, properties: dict[str, Any]) -> Any:
        node = self._scene.AddNewNodeByClass(class_name, self._name(path, properties))
        node.AddDefaultStorageNode(path)
        storage = node.GetStorageNode()
        if not storage.ReadData(node):
            self._scene.RemoveNode(storage)
            self._scene.RemoveNode(node)
            return None
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        return node

    @staticmethod
    def _name(path: str, properties: dict[str, Any]) -> str:
        return str(properties.get("name") or Path(path).name.split(".")[0])
