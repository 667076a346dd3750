"""Saving and loading scenes: one .mrb file with everything in it."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import slicer
import vtk

from UltrasoundLesionSegLib.errors import OutputError, SceneError
from UltrasoundLesionSegLib.mrml import headless
from UltrasoundLesionSegLib.mrml.cine_nodes import show_stored_frames
from UltrasoundLesionSegLib.mrml.names import name_to_save
from UltrasoundLesionSegLib.mrml.scene_archive import is_sound
from UltrasoundLesionSegLib.writers.atomic import NumberedFiles, atomic_path


def save_scene(path: Path | str) -> Path:
    """Write the whole scene to a .mrb file and check that the file is complete.

    Parameters
    ----------
    path : Path or str
        Ends in ``.mrb``. An existing file is replaced once the new one is complete.

    Returns
    -------
    Path
        Absolute.

    Raises
    ------
    OutputError
        When the scene cannot be written there; an existing file is then as it was.
    """
    # Slicer writes a relative path and then fails to read it
    target = Path(path).expanduser().absolute()
    if target.suffix.lower() != ".mrb":
        raise OutputError("a scene is written to a file that ends in .mrb; choose such a name")
    _check_name(target)
    scene = headless.start()
    with atomic_path(target) as temporary, tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        # the folder inside the bundle is named like the file, so it is written under its own name and then renamed
        written = Path(folder) / name_to_save(target.name)
        messages = slicer.vtkMRMLMessageCollection()
        done = scene.WriteToMRB(str(written), None, messages)
        if not done or messages.GetNumberOfMessagesOfType(vtk.vtkCommand.ErrorEvent):
            raise OutputError("the scene cannot be written; choose a folder that is writable and has room")
        if not is_sound(written, with_images=False):
            raise OutputError(
                "Slicer wrote the scene incompletely; make room on the disk, and take brackets and & out of the names "
                "of nodes"
            )
        written.replace(temporary)
    return target


def load_scene(path: Path | str, clear: bool = True) -> list[Any]:
    """Read a .mrb file into the scene.

    Parameters
    ----------
    path : Path or str
    clear : bool
        Empty the scene first; otherwise the file's nodes are added.

    Returns
    -------
    list of vtkMRMLSequenceBrowserNode
        Those that came with the file and have a cine.

    Raises
    ------
    SceneError
        When the file is not a complete .mrb, reaches outside itself (`scene_archive.is_sound`), or Slicer cannot read
        it.
    """
    source = Path(path).expanduser().absolute()
    if not (_is_utf8(source) and is_sound(source)):
        raise SceneError(
            "the scene file is missing, damaged, not a .mrb, reaches outside itself, or its name or folder is no "
            "UTF-8; choose another or save the scene again"
        )
    scene = headless.start()
    before = set() if clear else set(_browsers(scene))
    messages = slicer.vtkMRMLMessageCollection()
    if not scene.ReadFromMRB(str(source), clear, messages):
        raise SceneError("the scene file cannot be read; it may come from a newer version of Slicer")
    found = [one for one in _browsers(scene) if one not in before and one.GetMasterSequenceNode() is not None]
    # Slicer leaves the proxies as they were saved until the browser moves; an unsaved or stale one shows nothing
    show_stored_frames([*before, *found])
    return found


def _browsers(scene: Any) -> list[Any]:
    name = "vtkMRMLSequenceBrowserNode"
    return [scene.GetNthNodeByClass(index, name) for index in range(scene.GetNumberOfNodesByClass(name))]


def save_segmentation_sequence(sequence: Any, path: Path | str) -> Path:
    """Write a segmentation sequence node to one ``.seq.mrb`` file, which Slicer loads as a sequence.

    Parameters
    ----------
    sequence : vtkMRMLSequenceNode
        Of vtkMRMLSegmentationNode.
    path : Path or str
        Ends in ``.seq.mrb``.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    target = Path(path).expanduser().absolute()
    with atomic_path(target) as temporary, tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        # under its own name first: the folder inside the bundle is named like the file
        written = Path(folder) / target.name
        _write_node(slicer.vtkMRMLSequenceStorageNode(), sequence, written)
        written.replace(temporary)
    return target


def save_segmentation_frames(sequence: Any, folder: Path | str, skipped: Collection[int] = ()) -> list[Path]:
    """Write every frame of a segmentation sequence as ``00000.seg.nrrd`` and on.

    Parameters
    ----------
    sequence : vtkMRMLSequenceNode
        Of vtkMRMLSegmentationNode.
    folder : Path or str
        Made if absent. Frames that an earlier export left there are removed.
    skipped : collection of int
        Frames without a result, which get no file.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    with NumberedFiles(Path(folder).expanduser().absolute(), ".seg.nrrd") as files:
        for frame in range(sequence.GetNumberOfDataNodes()):
            if frame not in skipped:
                _write_node(slicer.vtkMRMLSegmentationStorageNode(), sequence.GetNthDataNode(frame), files.path(frame))
    return files.written


def _write_node(storage: Any, node: Any, path: Path) -> None:
    """Write one node with a storage node of its own, which leaves the node's own storage as it was."""
    _check_name(path)
    # in the scene while it writes, because a sequence's storage node looks up the nodes' classes there
    slicer.mrmlScene.AddNode(storage)
    try:
        storage.SetFileName(str(path))
        if not storage.WriteData(node):
            raise OutputError("the segmentation cannot be written; choose a folder that is writable and has room")
    finally:
        slicer.mrmlScene.RemoveNode(storage)


def _check_name(path: Path) -> None:
    """Raise ``OutputError`` where Slicer cannot write: handed such a name, it ends at once and all work is lost."""
    if not _is_utf8(path):
        raise OutputError(
            "the folder has a name that is no UTF-8, and Slicer cannot write there; choose another folder"
        )


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
