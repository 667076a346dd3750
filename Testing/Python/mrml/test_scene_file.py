"""Scenes in .mrb files: complete, atomic, and safe from the two hazards that crash Slicer's reader."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from UltrasoundLesionSegLib.cine import Cine, Origin
from UltrasoundLesionSegLib.errors import OutputError, SceneError
from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine
from UltrasoundLesionSegLib.mrml.cine_of_browser import cine_from_browser
from UltrasoundLesionSegLib.mrml.scene_file import (
    load_scene,
    save_scene,
    save_segmentation_frames,
    save_segmentation_sequence,
)
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import SegmentInfo
from UltrasoundLesionSegLib.mrml.tables import charts, find_table, tables, write_chart, write_table

from .support import HEIGHT, WIDTH, disk, make_cine

A, B = "lesion-1", "lesion-2"
PIXEL = np.zeros((HEIGHT, WIDTH), bool)
PIXEL[17, 23] = True
MASKS = [
    {A: disk(20, 30, 9), B: disk(50, 70, 6)},
    {A: disk(20, 30, 9), B: disk(22, 36, 9)},  # overlapping
    {A: np.zeros((HEIGHT, WIDTH), bool), B: disk(50, 70, 6)},
    {A: np.zeros((HEIGHT, WIDTH), bool), B: np.zeros((HEIGHT, WIDTH), bool)},
    {A: PIXEL, B: np.zeros((HEIGHT, WIDTH), bool)},
    {A: np.ones((HEIGHT, WIDTH), bool), B: PIXEL},
]


def fill(cine: Cine, name: str) -> Any:
    browser = add_cine(cine, name)
    lesions = SegmentationSequence.create(
        browser, [SegmentInfo.numbered(1, "Läsion: a;b|c=d"), SegmentInfo.numbered(2)]
    )
    for frame, masks in enumerate(MASKS):
        origins = {A: Origin.MODEL, B: Origin.MANUAL}
        lesions.write(frame, masks, origins, {A: frame / 7}, {A: f"stpfnet|{frame}:x;y=z"})
    table = write_table("Frames", {"Frame": range(6), "Area": [1.0, 2, 3, float("nan"), 5, 6]}, browser)
    write_chart("Lesion", table, "Frame", ["Area"], browser)
    return browser


@pytest.mark.parametrize("color", [False, True])
def test_a_scene_comes_back_complete_on_every_frame(scene: Any, tmp_path: Path, color: bool) -> None:
    cine = make_cine(6, color)
    fill(cine, "US 3 [1] ü").SetSelectedItemNumber(4)
    path = save_scene(tmp_path / "new folder" / "scene.mrb")
    assert [one.name for one in path.parent.iterdir()] == ["scene.mrb"]
    (browser,) = load_scene(path)
    found = cine_from_browser(browser)
    assert np.array_equal(np.stack(list(found)), np.stack(list(cine)))
    assert found.calibration.spacing == pytest.approx(cine.calibration.spacing, rel=1e-9)
    assert np.array_equal(found.timing.seconds, cine.timing.seconds)
    assert found.identity == cine.identity
    lesions = SegmentationSequence.find(browser)
    assert [one.name for one in lesions.segments()] == ["Läsion: a;b|c=d", "Lesion 2"]
    assert lesions.shown_frame == browser.GetSelectedItemNumber() == 4
    assert lesions.anchors() == {A: [], B: list(range(6))}
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    for frame, masks in enumerate(MASKS):
        browser.SetSelectedItemNumber(frame)
        assert np.array_equal(slicer.util.arrayFromVolume(volume)[0], cine.frames[frame])
        for one, mask in masks.items():
            assert np.array_equal(lesions.read(frame, one), mask)
            shown = slicer.util.arrayFromSegmentBinaryLabelmap(lesions.proxy, one, volume)[0] != 0
            assert np.array_equal(shown, mask)
        state = lesions.state(frame, A)
        assert state.confidence == pytest.approx(frame / 7, rel=1e-7)
        assert state.provenance == f"stpfnet|{frame}:x;y=z"
    assert not browser.GetPlaybackItemSkippingEnabled()
    assert not browser.GetSaveChanges(lesions.sequence)
    (table,), (chart,) = tables(browser), charts(browser)
    assert np.isnan(table.GetTable().GetColumnByName("Area").GetValue(3))
    assert chart.GetNthPlotSeriesNode(0).GetTableNode() is table
    # and goes on: what came from a file can be written, saved and read again
    lesions.write(0, {A: MASKS[1][A]}, {A: Origin.MODEL})
    assert write_table("Frames", {"Frame": [0]}, browser) is table
    (again,) = load_scene(save_scene(path))
    assert np.array_equal(SegmentationSequence.find(again).read(0, A), MASKS[1][A])


def test_loading_beside_what_is_there_gives_the_new_cine_only(scene: Any, tmp_path: Path) -> None:
    old = fill(make_cine(6), "one")
    path = save_scene(tmp_path / "scene.mrb")
    (new,) = load_scene(path, clear=False)
    assert new is not old
    lesions, others = SegmentationSequence.find(new), SegmentationSequence.find(old)
    assert lesions.sequence is not others.sequence
    assert lesions.proxy is not others.proxy
    lesions.remove_segment(A)
    assert np.array_equal(others.read(0, A), MASKS[0][A])
    assert [len(tables(one)) for one in (old, new)] == [1, 1]
    assert [len(charts(one)) for one in (old, new)] == [1, 1]


def test_an_interrupted_or_impossible_save_leaves_the_old_file(
    scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(make_cine(6), "one")
    path = save_scene(tmp_path / "scene.mrb")
    old = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("UltrasoundLesionSegLib.mrml.scene_file.is_sound", lambda *_, **__: False)
        with pytest.raises(OutputError, match="incompletely"):
            save_scene(path)
    assert path.read_bytes() == old
    assert [one.name for one in tmp_path.iterdir()] == ["scene.mrb"]
    with pytest.raises(OutputError, match=r"ends in \.mrb"):
        save_scene(tmp_path / "scene.mrml")


def test_brackets_do_not_empty_the_file(scene: Any, tmp_path: Path) -> None:
    """Slicer's archiver takes [1] for a pattern; Slicer's DICOM import names cines so."""
    fill(make_cine(6), "1: US [1]")
    (loaded,) = load_scene(save_scene(tmp_path / "scene [1]*.mrb"))
    assert loaded.GetName() == "1: US (1) browser"
    lesions = SegmentationSequence.find(loaded)
    assert np.array_equal(lesions.read(0, A), MASKS[0][A])


def test_an_ampersand_in_a_name_does_not_make_the_scene_unreadable(scene: Any, tmp_path: Path) -> None:
    """Slicer writes names of files into the scene's XML as they are."""
    browser = fill(make_cine(6), "L & R")
    SegmentationSequence.find(browser).rename_segment(A, "Cyst & node")
    write_table("Cyst & node over time", {"Frame": [1]}, browser)
    path = tmp_path / "scene & more.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "by_slicer.mrb"))
    for saved in (save_scene(path), tmp_path / "by_slicer.mrb"):
        (loaded,) = load_scene(saved)
        lesions = SegmentationSequence.find(loaded)
        assert np.array_equal(lesions.read(0, A), MASKS[0][A])
        assert lesions.segments()[0].name == "Cyst & node"
        assert find_table("Cyst & node over time", loaded) is not None


def test_a_segmentation_that_someone_gave_brackets_is_refused_rather_than_lost(scene: Any, tmp_path: Path) -> None:
    browser = fill(make_cine(6), "one")
    SegmentationSequence.find(browser).sequence.SetName("Lesions [1]")
    with pytest.raises(OutputError, match="brackets"):
        save_scene(tmp_path / "scene.mrb")
    assert list(tmp_path.iterdir()) == []


def test_saving_does_not_move_the_scene(scene: Any, tmp_path: Path) -> None:
    browser = fill(make_cine(6), "one")
    storage = browser.GetMasterSequenceNode().GetStorageNode()
    before = (scene.GetURL(), storage.GetFileName() or "")
    save_scene(tmp_path / "scene.mrb")
    assert (scene.GetURL(), storage.GetFileName() or "") == before


def test_damaged_files_are_refused_and_the_scene_stays(scene: Any, tmp_path: Path) -> None:
    fill(make_cine(6), "one")
    path = save_scene(tmp_path / "scene.mrb")
    whole = path.read_bytes()
    lacking = tmp_path / "lacking.mrb"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(lacking, "w") as other:
        for name in archive.namelist():
            if not name.endswith(".seq.mrb"):
                other.writestr(name, archive.read(name))
    for name, data in {
        "cut": whole[: len(whole) // 2],
        "no zip": b"PK",
        "flipped": whole[:5000] + b"?" + whole[5001:],
    }.items():
        (tmp_path / f"{name}.mrb").write_bytes(data)
    (tmp_path / "empty.mrb").touch()
    for name in ("cut", "no zip", "flipped", "lacking", "empty", "absent"):
        with pytest.raises(SceneError, match="missing, damaged, not a"):
            load_scene(tmp_path / f"{name}.mrb")
    assert scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 1


def test_empty_and_one_pixel_masks_do_not_crash_the_reader(tmp_path: Path) -> None:
    """In a process of its own: without a reference geometry each of these files crashes whoever reads it."""
    code = f"""
        import numpy as np
        from UltrasoundLesionSegLib.mrml import headless
        scene = headless.start()
        import slicer
        from UltrasoundLesionSegLib.cine import Cine, Origin
        from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine
        from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
        from UltrasoundLesionSegLib.mrml.segments import SegmentInfo
        browser = add_cine(Cine.from_array(np.zeros((3, 64, 64), np.uint8)))
        lesions = SegmentationSequence.create(browser, [SegmentInfo.numbered(1)])
        pixel = np.zeros((64, 64), bool)
        lesions.write(0, {{"lesion-1": pixel}}, {{"lesion-1": Origin.MODEL}})
        pixel[5, 6] = True
        lesions.write(1, {{"lesion-1": pixel}}, {{"lesion-1": Origin.MODEL}})
        folder = {str(tmp_path)!r}
        volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
        for frame in range(3):
            browser.SetSelectedItemNumber(frame)
            assert slicer.util.saveNode(lesions.proxy, folder + "/frame.seg.nrrd", {{}})
            node = slicer.util.loadSegmentation(folder + "/frame.seg.nrrd", {{}})
            assert slicer.util.arrayFromSegmentBinaryLabelmap(node, "lesion-1", volume).sum() == (frame == 1)
        assert slicer.util.saveNode(lesions.sequence, folder + "/lesions.seq.mrb", {{}})
        assert slicer.util.loadSequence(folder + "/lesions.seq.mrb", {{}}).GetNumberOfDataNodes() == 3
        assert slicer.util.saveScene(folder + "/scene.mrb", {{}})
        scene.Clear(0)
        slicer.util.loadScene(folder + "/scene.mrb", {{}})
        lesions = SegmentationSequence.find(scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode"))
        assert [int(lesions.read(frame, "lesion-1").sum()) for frame in range(3)] == [0, 1, 0]
        print("alive")
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.returncode) == ("alive", 0), result.stderr[-500:]


def test_a_name_that_is_no_utf8_is_refused_because_slicer_would_abort(scene: Any, tmp_path: Path) -> None:
    sequence = SegmentationSequence.find(fill(make_cine(6), "US"))
    assert sequence is not None
    folder = tmp_path / b"M\xfcller".decode("utf-8", "surrogateescape")
    for write in (
        lambda: save_scene(folder / "scene.mrb"),
        lambda: save_segmentation_sequence(sequence.sequence, folder / "lesions.seq.mrb"),
        lambda: save_segmentation_frames(sequence.sequence, folder),
    ):
        with pytest.raises(OutputError, match="a name that is no UTF-8"):
            write()
    with pytest.raises(SceneError, match="no UTF-8; choose another"):
        load_scene(folder / "scene.mrb")
