"""Scenes that close and load, modules that are reloaded and unloaded, sample data, the self test."""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

REPOSITORY = Path(__file__).resolve().parents[3]


def test_a_scene_brings_the_whole_state_back(discs: Any, tmp_path: Any) -> None:
    user, truth = discs.user, discs.truth
    discs.draw(0, truth[0, 0])
    discs.propagate()
    discs.browser.SetSelectedItemNumber(6)
    user.click("confirmButton")
    user.see("measureCollapsibleButton").setProperty("collapsed", False)
    user.click("measureButton")
    user.choose("directionComboBox", "Forward")
    user.click("overlapCheckBox")
    user.see("lastFrameSpinBox").setValue(9)
    masks = [discs.mask(frame) for frame in range(12)]
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    user.module.session.process_events()
    assert user.read("cineInfoLabel") == "No cine is chosen."
    assert slicer.mrmlScene.ReadFromMRB(path)
    user.module.session.process_events()
    assert "12 frames" in user.read("cineInfoLabel")
    assert user.read("anchorsLabel") == "Anchors: Lesion on frames 0, 6."
    assert user.see("directionComboBox").currentText() == "Forward"
    assert user.see("overlapCheckBox").isChecked()
    assert user.see("lastFrameSpinBox").value() == 9
    assert user.see("lesionTableView").model().rowCount() == 1
    loaded = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    assert user.see("segmentEditor").segmentationNode() is discs.logic.segmentationNode(loaded)
    after = type(discs)(user, loaded, truth)
    for frame, mask in enumerate(masks):
        np.testing.assert_array_equal(after.mask(frame), mask)
    user.click("propagateAgainButton")
    user.wait_until(lambda: user.read("propagateButton") == "Propagate")
    np.testing.assert_array_equal(after.mask(6), masks[6])


@pytest.mark.parametrize("lost", ["all", "cine", "lesions"])
def test_a_scene_whose_data_files_are_missing_is_told_in_one_sentence(discs: Any, tmp_path: Path, lost: str) -> None:
    user = discs.user
    discs.draw(0, discs.truth[0, 0])
    discs.browser.SetSelectedItemNumber(1)
    folder = tmp_path / "scene"
    folder.mkdir()
    assert slicer.mrmlScene.SaveSceneToSlicerDataBundleDirectory(str(folder))
    slicer.mrmlScene.Clear(0)
    for file in folder.rglob("*"):
        is_lesions = "lesions" in file.name
        if file.is_file() and file.suffix != ".mrml" and (lost == "all" or is_lesions == (lost == "lesions")):
            file.unlink()
    (scene,) = folder.rglob("*.mrml")
    slicer.mrmlScene.SetURL(str(scene))
    slicer.mrmlScene.Import()
    user.module.session.process_events()
    if lost == "lesions":
        assert "12 frames" in user.read("cineInfoLabel")
    else:
        assert user.read("cineInfoLabel").startswith("This cannot be used as a cine: the sequence holds no images;")
        shown = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID()
        assert not shown, "Slicer draws the picture of before where a volume has no image"
        user.click("newLesionButton")
        assert "holds no images" in user.read("lesionMessageLabel")
    slicer.mrmlScene.Clear(0)
    user.module.session.process_events()
    assert user.read("cineInfoLabel") == "No cine is chosen."
    user.click("loadSampleButton")
    assert "60 frames" in user.read("cineInfoLabel")


def test_a_scene_that_is_added_changes_no_drawing_of_the_cines_that_are_there(discs: Any, tmp_path: Path) -> None:
    user, path = discs.user, str(tmp_path / "scene.mrb")
    discs.draw(9, discs.truth[9, 0])
    discs.browser.SetSelectedItemNumber(8)
    discs.browser.SetSelectedItemNumber(9)
    assert slicer.mrmlScene.WriteToMRB(path)
    discs.draw(9, discs.truth[2, 0])
    discs.draw(4, discs.truth[4, 0])
    drawn = discs.mask(9)
    assert slicer.mrmlScene.ReadFromMRB(path)
    user.module.session.process_events()
    for frame in (5, 9, 4):
        discs.browser.SetSelectedItemNumber(frame)
    assert discs.logic.anchors(discs.browser) == {"lesion-1": [4, 9]}
    np.testing.assert_array_equal(discs.mask(4), discs.truth[4, 0])
    np.testing.assert_array_equal(discs.mask(9), drawn)


def test_a_cine_whose_frames_are_deleted_is_no_longer_the_chosen_one(discs: Any) -> None:
    user = discs.user
    slicer.mrmlScene.RemoveNode(discs.browser.GetMasterSequenceNode())
    user.module.session.process_events()
    assert user.module.widget._parameterNode.browser is None
    user.click("followCheckBox")  # a change of the parameters would bring the browser back
    assert user.read("cineInfoLabel") == "No cine is chosen."


def test_a_cine_whose_images_were_deleted_is_said_to_have_its_lesions_alone(discs: Any) -> None:
    user = discs.user
    discs.draw(0, discs.truth[0, 0])
    sequence = discs.logic._sequence(discs.browser).sequence
    slicer.mrmlScene.RemoveNode(discs.browser.GetMasterSequenceNode())
    user.module.session.process_events()
    assert "the cine's images were deleted from the scene" in user.read("cineInfoLabel")
    assert not user.sees("anchorsLabel")
    assert not user.see("exportButton").isEnabled()
    user.click("newLesionButton")
    assert "its lesions alone are left; load the cine" in user.read("lesionMessageLabel")
    drawn = sequence.GetNthDataNode(0).GetSegmentation().GetNthSegment(0)
    assert not drawn.GetRepresentation("Binary labelmap").IsEmpty()


def test_an_editor_node_that_somebody_deletes_is_made_again(discs: Any) -> None:
    user = discs.user
    discs.draw(3, discs.truth[3, 0])  # and not stored
    editor = user.see("segmentEditor")
    user.click("clickButton")
    slicer.mrmlScene.RemoveNode(editor.mrmlSegmentEditorNode())
    user.module.session.process_events()
    assert editor.mrmlSegmentEditorNode().GetScene() is slicer.mrmlScene
    assert editor.segmentationNode() is discs.logic.segmentationNode(discs.browser)
    assert editor.sourceVolumeNode() is discs.logic.volumeNode(discs.browser)
    assert not user.see("clickButton").isChecked()
    discs.draw(5, discs.truth[5, 0])
    user.module.widget.panel.store_edit()
    for frame in (3, 5):
        np.testing.assert_array_equal(discs.mask(frame), discs.truth[frame, 0])


def test_a_parameter_node_that_somebody_deletes_is_made_again(discs: Any) -> None:
    user = discs.user
    discs.draw(3, discs.truth[3, 0])  # and not stored
    slicer.mrmlScene.RemoveNode(user.module.widget._parameterNode.parameterNode)
    user.module.session.process_events()
    assert user.module.widget._parameterNode.parameterNode.GetScene() is slicer.mrmlScene
    assert user.module.widget.panel.browser is discs.browser
    np.testing.assert_array_equal(discs.mask(3), discs.truth[3, 0])
    other = discs.logic.addCine(discs.logic.cine(discs.browser), "Other")
    user.choose("browserSelector", other.GetName())
    assert user.module.widget.panel.browser is other


def test_a_scene_without_its_tables_opens_without_charts(discs: Any, tmp_path: Path) -> None:
    user, manager = discs.user, slicer.app.layoutManager()
    alone = manager.layout
    discs.draw(0, discs.truth[0, 0])
    user.see("measureCollapsibleButton").setProperty("collapsed", False)
    user.click("measureButton")
    user.click("chartButton")
    assert manager.layout != alone
    folder = tmp_path / "scene"
    folder.mkdir()
    assert slicer.mrmlScene.SaveSceneToSlicerDataBundleDirectory(str(folder))
    slicer.mrmlScene.Clear(0)
    for file in folder.rglob("*.tsv"):
        file.unlink()
    (scene,) = folder.rglob("*.mrml")
    slicer.mrmlScene.SetURL(str(scene))
    slicer.mrmlScene.Import()
    user.module.session.process_events()
    assert "12 frames" in user.read("cineInfoLabel")
    assert manager.layout == alone
    assert not user.see("chartButton").isChecked()


def test_a_new_scene_has_the_default_model(user: Any, models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from UltrasoundLesionSegLib.engine import bundles

    bright = bundles.find_bundle("bright")
    other = dataclasses.replace(bright, name="other", title="Other model")
    monkeypatch.setattr(bundles, "list_bundles", lambda: [other, bright])
    user.module.leave()
    user.module.open()
    user.choose("modelComboBox", other.title)
    assert user.module.widget._parameterNode.model == other.name
    slicer.mrmlScene.Clear(0)
    user.module.session.process_events()
    assert user.see("modelComboBox").currentText() == bright.title


def test_closing_the_scene_gives_the_memory_back(user: Any) -> None:
    from UltrasoundLesionSegLib.cine import Cine

    logic = user.module.widget.logic
    cine = Cine.from_array(np.zeros((20, 64, 64), np.uint8))
    frames = weakref.ref(cine)
    browser = logic.addCine(cine)
    user.choose("browserSelector", browser.GetName())
    logic.cine(browser)
    node = weakref.ref(browser)
    del cine, browser
    slicer.mrmlScene.Clear(0)
    user.module.session.process_events()
    gc.collect()
    assert frames() is None
    assert node() is None


def test_a_scene_that_is_closed_elsewhere_is_met_when_the_module_is_opened_again(discs: Any) -> None:
    discs.draw(0, discs.truth[0, 0])
    discs.user.module.leave()
    slicer.mrmlScene.Clear(0)
    discs.user.module.open()
    assert discs.user.read("cineInfoLabel") == "No cine is chosen."
    discs.user.click("loadSampleButton")
    assert "60 frames" in discs.user.read("cineInfoLabel")


def test_reloading_keeps_the_choices(discs: Any) -> None:
    discs.user.choose("directionComboBox", "Backward")
    discs.user.module.reload()
    assert discs.user.see("directionComboBox").currentText() == "Backward"
    assert "12 frames" in discs.user.read("cineInfoLabel")
    discs.draw(2, discs.truth[2, 0])
    discs.propagate()
    assert [frame for frame in range(12) if discs.mask(frame).any()] == [0, 1, 2]


def test_after_unloading_nothing_listens_any_more(module: Any, user: Any) -> None:
    observers = slicer.mrmlScene.HasObserver("AnyEvent")
    panel = weakref.ref(module.widget.panel)
    module.unload()
    module.session.process_events()
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.HasObserver("AnyEvent") == observers
    assert panel() is None or panel().browser is None


def test_sample_data_is_registered_when_the_application_has_started(module: Any, session: Any) -> None:
    import SampleData

    SampleData.SampleDataLogic.sources.clear()
    session.start_up()
    assert [one.sampleName for one in SampleData.SampleDataLogic.sources["Ultrasound"]] == ["BreastLesionCine"]
    (browser,) = SampleData.SampleDataLogic().press("BreastLesionCine")
    assert browser.GetNumberOfItems() == 60
    from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

    assert UltrasoundLesionWorkflow().anchors(browser) == {"lesion-1": [0]}


def test_the_self_test_passes(bright_model: Any, module: Any) -> None:
    module.description.runTest(msec=0)


def test_the_self_test_fails_when_propagation_overwrites_the_drawing(
    bright_model: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    logic = module.python.UltrasoundLesionSegLogic

    def propagate(self: Any, browser: Any, **_others: Any) -> Any:
        self.markNotVisible(browser, 0)
        return type("Summary", (), {"frames_computed": [1, 2, 3, 4]})

    monkeypatch.setattr(logic, "propagate", propagate)
    with pytest.raises(AssertionError):
        module.description.runTest(msec=0)


def test_the_batch_example_segments_a_folder_and_names_what_failed(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = REPOSITORY / "Testing" / "Python" / "batch" / "stand_in_worker.py"
    # Slicer would start itself as the worker
    monkeypatch.setattr("UltrasoundLesionSegLib.batch.child.worker_command", lambda: [sys.executable, str(worker)])
    manifest = tmp_path / "cases.csv"
    manifest.write_text("case,source,seed\none,one.txt,one.txt\ntwo,Doe.txt,one.txt\n")
    (tmp_path / "one.txt").write_text("0.9 0.8")
    (tmp_path / "Doe.txt").write_text("refuse")
    script = importlib.util.spec_from_file_location("slicer_batch", REPOSITORY / "Docs/examples/slicer_batch.py")
    example = importlib.util.module_from_spec(script)
    script.loader.exec_module(example)
    arguments = ["--cines", str(manifest), "--output", str(tmp_path / "out"), "--processes", "1"]
    monkeypatch.setattr("sys.argv", ["slicer_batch.py", *arguments])
    assert example.main() == 1
    assert (tmp_path / "out" / "cases" / "one" / "run.json").exists()
    said = capsys.readouterr()
    assert said.out.startswith("cases computed: 1, finished before: 0")
    assert said.err == "two: the source is refused\n"


def test_inside_slicer_the_workers_are_slicers_without_a_window(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    from UltrasoundLesionSegLib.batch.child import worker_command

    monkeypatch.setattr(slicer.app, "launcherExecutableFilePath", "/opt/Slicer/Slicer", raising=False)
    command = worker_command()
    assert command[:3] == ["/opt/Slicer/Slicer", "--no-main-window", "--no-splash"]
    compile(command[-1], "--python-code", "exec")
