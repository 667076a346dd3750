"""The embedded start, and what slicer.util can do with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from UltrasoundLesionSegLib.mrml import headless


def test_start_gives_one_scene_and_is_no_application() -> None:
    import slicer

    scene = headless.start()
    assert scene is headless.start() is slicer.mrmlScene
    assert not headless.is_application()
    assert slicer.modules.sequences.logic().GetMRMLScene() is scene


def test_inside_an_application_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    headless.start()
    theirs = object()
    monkeypatch.setattr(slicer, "app", object())
    monkeypatch.setattr(slicer, "mrmlScene", theirs)
    assert headless.is_application()
    assert headless.start() is theirs


def test_missing_slicer_is_one_sentence() -> None:
    code = (
        "import sys; sys.modules['slicer'] = None\n"
        "from UltrasoundLesionSegLib.mrml import headless\n"
        "from UltrasoundLesionSegLib.errors import SceneError\n"
        "assert not headless.is_application()\n"
        "try: headless.start()\n"
        "except SceneError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "install slicer-core" in result.stdout
    assert result.stdout.count("\n") == 1


def test_nothing_reaches_the_terminal_and_the_temporary_folder_goes() -> None:
    code = (
        "from UltrasoundLesionSegLib.mrml import headless\n"
        "scene = headless.start()\n"
        "import slicer\n"
        "slicer.vtkMRMLSequenceNode().GetNthIndexValue(5)\n"  # VTK complains of this
        "print(slicer.app.temporaryPath)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert not Path(result.stdout.strip()).exists()


def test_util_saves_and_loads_nodes(scene: Any, tmp_path: Path) -> None:
    import slicer

    frames = np.arange(2 * 5 * 7, dtype=np.uint8).reshape(2, 5, 7)
    volume = slicer.util.addVolumeFromArray(frames)
    path = str(tmp_path / "v.nrrd")
    assert slicer.util.saveNode(volume, path, {})
    assert np.array_equal(slicer.util.arrayFromVolume(slicer.util.loadVolume(path, {})), frames)
    with pytest.raises(RuntimeError, match="Failed to load"):
        slicer.util.loadSegmentation(str(tmp_path / "missing.seg.nrrd"))
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "S")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("a", "A")
    slicer.util.updateSegmentBinaryLabelmapFromArray(frames % 2, segmentation, "a", volume)
    path = str(tmp_path / "s.seg.nrrd")
    assert slicer.util.saveNode(segmentation, path, {})
    loaded = slicer.util.loadSegmentation(path, {})
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(loaded, "a", volume), frames % 2)
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path, {})
    scene.Clear(0)
    slicer.util.loadScene(path, {})
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2
