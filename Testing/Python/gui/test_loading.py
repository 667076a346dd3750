"""Loading cines through the panel, and what it says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from source_makers import dicom_object, moving_frames

from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration, Cine, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation


@pytest.fixture(scope="module")
def simulated():
    return simulate_cine(SimulationSettings(seed=3, frames=5, height=64, width=80, pixel_mm=0.125))


def load(user: Any, button: str, path: Path | str) -> None:
    user.module.session.file_dialogs.waiting.append(str(path))
    user.click(button)  # and wait until it is loaded


def test_a_dicom_file_has_its_spacing_and_timing(user: Any, simulated: Any, tmp_path: Path) -> None:
    load(user, "loadFileButton", write_simulation(simulated, tmp_path, "dicom"))
    assert user.read("cineInfoLabel").startswith("5 frames, 80 \u00d7 64 pixels, 20 frames/s; 0.125 mm per pixel")
    volume = user.module.widget.logic.volumeNode(user.module.widget.panel.browser)
    shown = slicer.app.layoutManager().mrmlSliceLogics().GetItemAsObject(0).GetSliceCompositeNode()
    assert shown.GetBackgroundVolumeID() == volume.GetID()
    user.see("exportCollapsibleButton").setProperty("collapsed", False)
    assert user.see("exportSegCheckBox").isEnabled()


def test_one_image_of_a_series_says_that_there_are_more(user: Any, tmp_path: Path) -> None:
    frames = moving_frames(4)
    for number in range(4):
        data = dicom_object(frames[number : number + 1], NumberOfFrames=None, InstanceNumber=number + 1)
        data.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    load(user, "loadFileButton", tmp_path / "2.dcm")
    assert user.read("cineInfoLabel").startswith("1 frame, ")
    assert "The folder holds 3 more images of this series." in user.read("cineInfoLabel")
    load(user, "loadFolderButton", tmp_path)
    assert user.read("cineInfoLabel").startswith("4 frames, ")
    assert "more images" not in user.read("cineInfoLabel")


def test_a_video_is_not_calibrated_and_says_so_in_amber(user: Any, simulated: Any, tmp_path: Path) -> None:
    load(user, "loadFileButton", write_simulation(simulated, tmp_path, "avi"))
    assert "not calibrated: measurements in pixels" in user.read("cineInfoLabel")
    assert "color:#8f5400" in user.see("cineInfoLabel").text()


def test_a_folder_of_images(user: Any, simulated: Any, tmp_path: Path) -> None:
    load(user, "loadFolderButton", write_simulation(simulated, tmp_path, "davis"))
    assert user.read("cineInfoLabel").startswith("5 frames, 80 \u00d7 64 pixels")


def test_what_is_no_cine_gets_one_sentence_without_its_name(user: Any, tmp_path: Path) -> None:
    path = tmp_path / "Doe^Jane.txt"
    path.write_text("no cine")
    load(user, "loadFileButton", path)
    said = user.read("cineMessageLabel")
    assert said.endswith(".")
    assert "Doe" not in said
    assert user.read("cineInfoLabel") == "No cine is chosen."


def test_what_was_wrong_with_a_file_is_not_said_of_the_cine_chosen_next(discs: Any, tmp_path: Path) -> None:
    user = discs.user
    (tmp_path / "notes.txt").write_text("no cine")
    load(user, "loadFileButton", tmp_path / "notes.txt")
    assert user.read("cineMessageLabel")
    other = user.module.widget.logic.loadCine(np.zeros((3, 40, 50), np.uint8))
    user.choose("browserSelector", other.GetName())
    assert not user.sees("cineMessageLabel")


def test_only_cines_can_be_chosen_as_a_cine(discs: Any) -> None:
    from PySide6.QtWidgets import QComboBox

    box = discs.user.see("browserSelector").findChild(QComboBox)
    entries = [box.itemText(index) for index in range(box.count())]
    assert entries == ["Choose or load a cine", discs.browser.GetName()]


def test_cancelling_the_dialog_does_nothing(user: Any) -> None:
    load(user, "loadFileButton", "")
    load(user, "loadFolderButton", "")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 0


def test_the_folder_is_remembered_on_this_computer_not_in_the_scene(user: Any, simulated: Any, tmp_path: Path) -> None:
    path = write_simulation(simulated, tmp_path, "avi")
    load(user, "loadFileButton", path)
    assert slicer.app.userSettings().value("UltrasoundLesionSeg/LastFolder") == str(Path(path).parent)
    assert (
        str(tmp_path) not in slicer.mrmlScene.GetSceneXMLString()
        if hasattr(slicer.mrmlScene, "GetSceneXMLString")
        else True
    )


def test_a_volume_whose_slices_are_frames_becomes_a_cine(user: Any) -> None:
    import numpy as np

    stack = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Stack")
    slicer.util.updateVolumeFromArray(stack, np.zeros((7, 30, 40), np.uint8))
    single = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Single")
    slicer.util.updateVolumeFromArray(single, np.zeros((1, 30, 40), np.uint8))
    menu = user.see("useVolumeButton").menu()
    menu.aboutToShow.emit()
    assert [action.text() for action in menu.actions()] == ["Stack"]
    menu.actions()[0].trigger()
    user.module.session.process_events()
    assert user.read("cineInfoLabel").startswith("7 frames, 40 \u00d7 30 pixels")
    slicer.mrmlScene.RemoveNode(stack)
    menu.aboutToShow.emit()
    assert not menu.actions()[0].isEnabled()


def test_the_window_lives_while_a_cine_is_loaded(user: Any) -> None:
    """Another timer gets its turn between the frames; meanwhile nothing else can be started."""
    import time

    from PySide6 import QtCore

    turns: list[float] = []
    timer = QtCore.QTimer()
    timer.setInterval(0)
    timer.timeout.connect(lambda: turns.append(time.perf_counter()))
    timer.start()
    user.see("loadSampleButton").click()
    assert user.is_loading()
    assert not user.see("loadFileButton").isEnabled()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 0
    user.wait_until(lambda: not user.is_loading(), 120)
    timer.stop()
    assert len(turns) >= 10
    assert "60 frames" in user.read("cineInfoLabel")
    assert user.see("loadFileButton").isEnabled()


def test_a_scene_closed_while_a_cine_is_loaded_stays_empty(user: Any) -> None:
    user.see("loadSampleButton").click()
    slicer.mrmlScene.Clear(0)
    for _ in range(5):
        user.module.session.process_events()
    assert not user.is_loading()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 0
    user.click("loadSampleButton")
    assert "60 frames" in user.read("cineInfoLabel")


def test_the_slider_counts_frames_without_decimals(user: Any) -> None:
    import numpy as np

    browser = user.module.widget.logic.addCine(Cine.from_array(np.zeros((4, 30, 40), np.uint8)), "Plain")
    user.choose("browserSelector", browser.GetName())
    browser.SetSelectedItemNumber(2)
    texts = [one.text() for one in user.see("seekWidget").findChildren(type(user.see("cineInfoLabel")))]
    assert texts[0] == "frame"
    assert texts[1].strip() == "2"


def test_a_cine_that_slicer_loaded_plays_at_its_own_rate(user: Any) -> None:
    """Slicer gives every sequence 10 frames a second and lets playback skip frames."""
    import numpy as np

    browser = user.module.widget.logic.addCine(
        Cine.from_array(np.zeros((4, 30, 40), np.uint8), timing=Timing(np.arange(4) / 25.0, "test")), "Theirs"
    )
    fresh = slicer.vtkMRMLSequenceBrowserNode()
    browser.SetPlaybackRateFps(fresh.GetPlaybackRateFps())
    browser.SetPlaybackItemSkippingEnabled(fresh.GetPlaybackItemSkippingEnabled())
    user.choose("browserSelector", browser.GetName())
    assert browser.GetPlaybackRateFps() == pytest.approx(25)
    browser.SetPlaybackRateFps(10)  # the user wants it slower
    user.choose("browserSelector", "Choose or load a cine")
    user.choose("browserSelector", browser.GetName())
    assert browser.GetPlaybackRateFps() == 10


def test_a_browser_that_holds_no_images_is_refused_in_one_sentence(user: Any) -> None:
    scene = slicer.mrmlScene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    sequence.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), "0")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Transforms")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    user.choose("browserSelector", "Transforms")
    assert user.read("cineInfoLabel").startswith("This cannot be used as a cine:")


class TestDescription:
    """The line under the cine."""

    @pytest.fixture
    def describe(self, user: Any) -> Any:
        from slicer_harness.user import plain_text

        from UltrasoundLesionSegLib.gui.cine_section import describe

        label = user.module.widget.ui.cineInfoLabel
        return lambda **known: plain_text(describe(self.cine(**known), label))

    @staticmethod
    def cine(**known: Any) -> Cine:
        import numpy as np

        frames = np.zeros((known.pop("count", 4), 10, 20), np.uint8)
        return Cine(frames, 10, 20, False, SourceIdentity(SourceKind.MEMORY, "0"), **known)

    def test_one_frame(self, describe: Any) -> None:
        assert describe(count=1).startswith("1 frame, 20 \u00d7 10 pixels, frame rate unknown")

    def test_pixels_that_are_not_square(self, describe: Any) -> None:
        assert "0.1 (down) \u00d7 0.2 (across) mm per pixel" in describe(calibration=Calibration(0.1, 0.2, "test"))

    def test_a_reservation_about_the_calibration(self, describe: Any) -> None:
        assert "(resampled since)" in describe(calibration=Calibration(0.1, 0.1, "test", "resampled since"))

    def test_regions_that_differ(self, describe: Any) -> None:
        regions = tuple(CalibratedRegion((0, 0, 4, 4), Calibration(mm, mm, "test")) for mm in (0.1, 0.2))
        assert "2 regions with calibrations of their own" in describe(regions=regions)

    def test_a_display_rate_is_about_right(self, describe: Any) -> None:
        import numpy as np

        timing = Timing(np.arange(4) / 25.0, "test", approximate=True)
        assert "about 25 frames/s" in describe(timing=timing)

    def test_notes_are_shown_as_text(self, describe: Any) -> None:
        assert "a < b" in describe(notes=("a < b",))


def test_a_real_series_of_single_frames(user: Any, shared_data: Path) -> None:
    load(user, "loadFolderButton", shared_data / "cine" / "breast_series_dicom")
    said = user.read("cineInfoLabel")
    assert said.startswith("123 frames, 670 \u00d7 670 pixels, frame rate unknown; not calibrated")
    user.see("exportCollapsibleButton").setProperty("collapsed", False)
    assert user.see("exportSegCheckBox").isEnabled()


def test_the_panel_does_not_scroll_away_when_a_button_is_switched_off(user: Any, low_window: Any) -> None:
    """Qt passes the focus on, and a scroll area shows what gets it."""
    area = low_window(user)
    button = user.see("loadSampleButton")
    area.activateWindow()
    button.setFocus()
    user.module.session.process_events()
    area.verticalScrollBar().setValue(0)
    area.ensureWidgetVisible(button, 0, 0)
    before = area.verticalScrollBar().value()
    user.click_at("loadSampleButton", 0.5)
    assert not button.isEnabled()
    assert area.verticalScrollBar().value() == before
    user.wait_until(button.isEnabled, 60)
    assert area.verticalScrollBar().value() == before
