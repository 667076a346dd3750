"""What the views show: the chosen cine, fitted and alone, in an arrangement that is given back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import slicer

from UltrasoundLesionSegLib.cine import Cine

QtGui = pytest.importorskip("PySide6.QtGui", reason="PySide6 is not installed", exc_type=ImportError)


@pytest.fixture
def users_arrangement(session: Any) -> Iterator[int]:
    """The arrangement of views before the module is opened: four of them."""
    four = int(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.app.layoutManager().layout = four
    yield four
    slicer.app.layoutManager().layout = four


def red() -> Any:
    return slicer.app.layoutManager().sliceWidget("Red")


def shown_volume() -> str:
    return red().mrmlSliceCompositeNode().GetBackgroundVolumeID()


def assert_fitted(volume: Any) -> None:
    """The image fills the view in one direction and is cut off in none."""
    width, height = red().mrmlSliceNode().GetDimensions()[:2]
    view = red().mrmlSliceNode().GetFieldOfView()[:2]
    columns, rows, _ = volume.GetImageData().GetDimensions()
    across, down = columns * volume.GetSpacing()[0], rows * volume.GetSpacing()[1]
    assert view[0] / width == pytest.approx(view[1] / height, rel=1e-3)
    assert min(view[0] / across, view[1] / down) == pytest.approx(1, abs=0.02)
    assert max(view[0] / across, view[1] / down) >= 1


def add(logic: Any, name: str, lesion: bool = True) -> Any:
    browser = logic.addCine(Cine.from_array(np.zeros((4, 60, 90), np.uint8)), name)
    if lesion:
        logic.setSeed(browser, np.pad(np.ones((20, 20), bool), ((10, 30), (10, 60))), 0)
    return browser


def drawn(logic: Any, browser: Any) -> bool:
    return bool(logic.segmentationNode(browser).GetDisplayNode().GetVisibility())


@pytest.fixture
def two(users_arrangement: int, user: Any) -> tuple[Any, Any, Any]:
    """The user, and two cines with a lesion each, the first one chosen."""
    logic = user.module.widget.logic
    browsers = add(logic, "One"), add(logic, "Two")
    user.choose("browserSelector", browsers[0].GetName())
    return (user, *browsers)


def test_a_cine_chosen_in_the_list_is_shown_and_fitted(two: Any) -> None:
    user, one, other = two
    logic = user.module.widget.logic
    for browser in (one, other, one):
        user.choose("browserSelector", browser.GetName())
        assert shown_volume() == logic.volumeNode(browser).GetID()
        assert_fitted(logic.volumeNode(browser))


def test_a_cine_is_alone_in_the_view(two: Any) -> None:
    user, _, other = two
    composite = red().mrmlSliceCompositeNode()
    composite.SetForegroundVolumeID(shown_volume())
    user.choose("browserSelector", other.GetName())
    assert composite.GetForegroundVolumeID() is None


def test_lesions_of_other_cines_are_hidden_and_given_back(two: Any) -> None:
    user, one, other = two
    logic = user.module.widget.logic
    assert (drawn(logic, one), drawn(logic, other)) == (True, False)
    user.choose("browserSelector", other.GetName())
    assert (drawn(logic, one), drawn(logic, other)) == (False, True)
    user.choose("browserSelector", "Choose or load a cine")
    assert (drawn(logic, one), drawn(logic, other)) == (True, True)


def test_what_the_user_hid_stays_hidden(two: Any) -> None:
    user, one, other = two
    logic = user.module.widget.logic
    logic.segmentationNode(one).GetDisplayNode().SetVisibility(False)
    user.choose("browserSelector", other.GetName())
    user.choose("browserSelector", one.GetName())
    assert not drawn(logic, one)


def test_hidden_lesions_are_given_back_after_a_scene_was_saved_and_loaded(two: Any, tmp_path: Any) -> None:
    user, _, _ = two
    logic = user.module.widget.logic
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.ReadFromMRB(path)
    user.module.session.process_events()
    other = slicer.util.getNode("Two browser")
    user.choose("browserSelector", other.GetName())
    assert drawn(logic, other)


def test_unloading_the_module_gives_the_lesions_back(two: Any) -> None:
    user, one, other = two
    logic = user.module.widget.logic
    user.module.unload()
    assert (drawn(logic, one), drawn(logic, other)) == (True, True)


def test_the_toolbars_keys_play_the_chosen_cine(two: Any) -> None:
    user, one, other = two
    for browser in (other, one):
        user.choose("browserSelector", browser.GetName())
        assert slicer.modules.sequences.toolBar().activeBrowserNode() is browser
    user.click("loadSampleButton")
    assert slicer.modules.sequences.toolBar().activeBrowserNode() is user.module.widget.panel.browser


@pytest.mark.parametrize("chosen", [0, 1])
def test_the_toolbar_has_the_chosen_cine_after_a_scene_was_opened(two: Any, tmp_path: Any, chosen: int) -> None:
    user, *browsers = two
    user.choose("browserSelector", browsers[chosen].GetName())
    name, path = browsers[chosen].GetName(), str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.ReadFromMRB(path)
    tool_bar = slicer.modules.sequences.toolBar()
    until = time.monotonic() + 0.3  # Slicer's own choice comes later than the scene
    while time.monotonic() < until:
        user.module.session.process_events()
    assert user.module.widget.panel.browser.GetName() == name
    assert tool_bar.activeBrowserNode() is user.module.widget.panel.browser
    tool_bar.setActiveBrowserNode(None)
    user.module.session.process_events()
    assert tool_bar.activeBrowserNode() is None, "what is chosen there later is left alone"


def test_the_keys_of_the_toolbar_are_the_panels_while_the_toolbar_is_hidden(user: Any) -> None:
    from slicer_harness.pythonqt import unwrap

    bar = unwrap(slicer.modules.sequences.toolBar())
    own = [one for one in user.see("playWidget").findChildren(QtGui.QShortcut) if "Ctrl+Shift" in one.key().toString()]
    assert len(own) == 3
    for shown in (True, False, True):
        bar.setVisible(shown)
        user.module.session.process_events()
        assert [one.isEnabled() for one in own] == [not shown] * 3
    bar.hide()


def test_one_large_view_is_shown_and_the_users_arrangement_given_back(two: Any, users_arrangement: int) -> None:
    user, one, _ = two
    manager = slicer.app.layoutManager()
    description = manager.layoutLogic().GetLayoutNode().GetLayoutDescription(manager.layout)
    assert description.count("<view") == 1
    user.module.leave()
    assert manager.layout == users_arrangement
    user.module.open()
    assert manager.layout != users_arrangement
    user.module.session.process_events()
    assert_fitted(user.module.widget.logic.volumeNode(one))


def test_one_large_view_waits_for_the_first_cine(users_arrangement: int, user: Any) -> None:
    manager = slicer.app.layoutManager()
    description = manager.layoutLogic().GetLayoutNode().GetLayoutDescription(manager.layout)
    assert description.count("<view") == 1
    user.module.leave()
    assert manager.layout == users_arrangement


def test_an_arrangement_that_the_user_chooses_meanwhile_stays(two: Any) -> None:
    user, _, other = two
    manager = slicer.app.layoutManager()
    manager.layout = chosen = int(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpYellowSliceView)
    user.choose("browserSelector", other.GetName())
    assert manager.layout == chosen
    user.module.leave()
    assert manager.layout == chosen


def test_a_scene_that_brings_another_arrangement_shows_one_large_view(
    two: Any, users_arrangement: int, tmp_path: Any
) -> None:
    user, _, _ = two
    manager = slicer.app.layoutManager()
    ours, path = manager.layout, str(tmp_path / "scene.mrb")
    user.module.leave()
    manager.layout = int(slicer.vtkMRMLLayoutNode.SlicerLayoutDicomBrowserView)  # saved from the DICOM module
    assert slicer.mrmlScene.WriteToMRB(path)
    manager.layout = users_arrangement
    user.module.open()
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.ReadFromMRB(path)
    user.module.session.process_events()
    assert manager.layout == ours
    user.module.leave()
    assert manager.layout == users_arrangement


def test_no_empty_table_stays_beside_the_next_cine(two: Any) -> None:
    from UltrasoundLesionSegLib.gui import view_layout

    user, _, _ = two
    manager = slicer.app.layoutManager()
    manager.setLayout(view_layout.with_table(manager.layout))
    assert manager.layout == view_layout.CINE_WITH_TABLE
    slicer.mrmlScene.Clear(0)
    assert manager.layout == view_layout.CINE
    user.click("loadSampleButton")
    assert manager.layout == view_layout.CINE


def test_the_image_stays_fitted_while_the_view_changes_its_size(two: Any) -> None:
    user, one, _ = two
    volume = user.module.widget.logic.volumeNode(one)
    # the panel of the module before was narrower: the view becomes narrower when this one is shown
    for size in ((400, 500), (700, 300), (900, 900)):
        red().sliceLogic().ResizeSliceNode(*size)
        user.module.session.process_events()
        assert red().mrmlSliceNode().GetDimensions()[:2] == size
        assert_fitted(volume)


def test_what_the_user_zoomed_or_moved_is_not_fitted_again(two: Any) -> None:
    user, _, _ = two
    node = red().mrmlSliceNode()
    across, down, _ = node.GetFieldOfView()
    node.SetFieldOfView(across / 2, down / 2, 1)
    user.module.session.process_events()
    red().sliceLogic().ResizeSliceNode(400, 500)
    user.module.session.process_events()
    assert node.GetFieldOfView()[0] < 0.6 * across


def test_views_are_left_alone_when_the_module_is_left(two: Any) -> None:
    user, _, _ = two
    user.module.leave()
    red().sliceLogic().ResizeSliceNode(400, 500)
    before = red().mrmlSliceNode().GetFieldOfView()
    user.module.session.process_events()
    assert red().mrmlSliceNode().GetFieldOfView() == before


def test_the_image_is_fitted_when_the_charts_come_and_go(two: Any) -> None:
    user, one, _ = two
    volume = user.module.widget.logic.volumeNode(one)
    user.see("measureCollapsibleButton").setProperty("collapsed", False)
    user.click("measureButton")
    for _ in range(2):
        user.click("chartButton")
        user.module.session.process_events()
        assert_fitted(volume)


def test_without_the_charts_the_arrangement_before_is_back(two: Any, users_arrangement: int) -> None:
    """One large view, unless the user chose another arrangement while the module is open."""
    user, _, other = two
    user.see("measureCollapsibleButton").setProperty("collapsed", False)
    user.click("measureButton")
    manager = slicer.app.layoutManager()
    one_view = manager.layout
    for chosen in (one_view, users_arrangement):
        manager.layout = chosen
        user.click("chartButton")
        assert manager.layout not in (one_view, users_arrangement)
        user.click("chartButton")
        assert manager.layout == chosen
    user.choose("browserSelector", other.GetName())
    assert manager.layout == users_arrangement, "it was chosen, so another cine does not change it"
    user.module.leave()
    assert manager.layout == users_arrangement


def test_charts_come_back_with_the_module(two: Any, users_arrangement: int) -> None:
    user, _, _ = two
    user.see("measureCollapsibleButton").setProperty("collapsed", False)
    user.click("measureButton")
    user.click("chartButton")
    manager = slicer.app.layoutManager()
    with_charts = manager.layout
    user.module.leave()
    assert manager.layout == users_arrangement
    user.module.open()
    assert manager.layout == with_charts


def test_a_cine_chosen_because_it_is_the_only_one_is_shown_and_fitted(module: Any, bright_model: Any) -> None:
    from slicer_harness.user import User

    from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

    logic = UltrasoundLesionWorkflow()
    browser = add(logic, "Only", lesion=False)
    module.open()
    User(module).module.session.process_events()
    assert shown_volume() == logic.volumeNode(browser).GetID()
    assert_fitted(logic.volumeNode(browser))


def test_the_sample_data_button_shows_the_cine_without_the_module(module: Any, session: Any) -> None:
    import SampleData

    SampleData.SampleDataLogic.sources.clear()
    session.start_up()
    (browser,) = SampleData.SampleDataLogic().press("BreastLesionCine")
    session.process_events()
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    assert shown_volume() == volume.GetID()
    assert_fitted(volume)


def test_a_scene_saved_in_our_arrangement_shows_it_where_the_module_was_not_opened(module: Any, session: Any) -> None:
    session.start_up()
    from UltrasoundLesionSegLib.gui.view_layout import LAYOUTS

    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    assert all(node.IsLayoutDescription(number) for number in LAYOUTS)


def test_the_eye_and_the_opacity_hold_on_other_frames(two: Any) -> None:
    user, one, _ = two
    segmentation = user.module.widget.logic.segmentationNode(one)
    display = segmentation.GetDisplayNode()
    (segment,) = segmentation.GetSegmentation().GetSegmentIDs()
    display.SetSegmentVisibility(segment, False)
    display.SetSegmentOpacity2DFill(segment, 0.7)
    for frame in (1, 2, 0):
        one.SetSelectedItemNumber(frame)
        assert not display.GetSegmentVisibility(segment)
        assert display.GetSegmentOpacity2DFill(segment) == pytest.approx(0.7)
    display.SetSegmentVisibility(segment, True)
    one.SetPlaybackRateFps(7)
    assert display.GetSegmentVisibility(segment)


def test_the_outline_is_seen_and_the_fill_seen_through(two: Any) -> None:
    user, one, _ = two
    display = user.module.widget.logic.segmentationNode(one).GetDisplayNode()
    assert display.GetSliceIntersectionThickness() >= 2
    assert 0 < display.GetOpacity2DFill() <= 0.25


class TestAnnotation:
    """The text in the view's corner."""

    @staticmethod
    def text() -> str:
        renderer = red().sliceView().renderWindow().GetRenderers().GetFirstRenderer()
        actors = renderer.GetViewProps()
        texts = [actors.GetItemAsObject(number) for number in range(actors.GetNumberOfItems())]
        assert not any(one.IsA("vtkCornerAnnotation") for one in texts), "it takes 30 ms a frame to find a font's size"
        return "".join(one.GetInput() or "" for one in texts if one.IsA("vtkTextActor"))

    def test_it_tells_frame_time_and_confidence(self, discs: Any) -> None:
        discs.draw(0, discs.truth[0, 0])
        discs.propagate()
        discs.browser.SetSelectedItemNumber(3)
        first, *others = self.text().splitlines()
        assert first == "Frame 3 / 11"
        assert others == [f"Confidence {discs.logic.confidences(discs.browser)['lesion-1'][3]:.2f}"]
        discs.user.module.leave()
        assert self.text() == ""
        discs.user.module.open()
        assert self.text().startswith("Frame 3 / 11")
        discs.user.choose("browserSelector", "Choose or load a cine")
        assert self.text() == ""

    def test_it_tells_the_time_where_it_is_known(self, user: Any) -> None:
        user.click("loadSampleButton")
        user.module.widget.panel.browser.SetSelectedItemNumber(10)
        seconds = user.module.widget.logic.cine(user.module.widget.panel.browser).timing.seconds[10]
        assert self.text().splitlines()[:2] == ["Frame 10 / 59", f"{seconds:.2f} s"]
