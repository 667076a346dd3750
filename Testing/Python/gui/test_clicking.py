"""The Click tool: a lesion drawn with clicks or a box in the cine's view, undone, masked, kept."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from engine_helpers import dice
from stand_in_networks import PointedNetwork

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

LEFT, RIGHT = vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.RightButtonPressEvent
MOVE, RELEASE = vtk.vtkCommand.MouseMoveEvent, vtk.vtkCommand.LeftButtonReleaseEvent


@pytest.fixture
def clicks(discs: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The cine of discs, with a model that answers clicks."""
    from types import SimpleNamespace

    network = PointedNetwork()
    bundle = SimpleNamespace(
        name="pointed", version="1", input_size=64, role="click", sha256="0", load_for_inference=lambda device: network
    )
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.bundles.default_bundle", lambda role: bundle)
    return discs


def interactor() -> Any:
    return slicer.app.layoutManager().sliceWidget("Red").sliceView().interactor()


def place_of(discs: Any, row: float, column: float) -> tuple[int, int]:
    """Where a pixel of the frame shown is in the view."""
    volume = discs.logic.volumeNode(discs.browser)
    to_world, to_view = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_world)
    slice_node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    vtk.vtkMatrix4x4.Invert(slice_node.GetXYToRAS(), to_view)
    place = to_view.MultiplyPoint(to_world.MultiplyPoint((column, row, 0, 1)))
    return round(place[0]), round(place[1])


def mouse(discs: Any, event: Any, row: float, column: float, control: bool = False) -> bool:
    """Let the mouse do something at a pixel; returns whether Slicer's own mouse would have got the event too."""
    reached = []
    view = interactor()
    tag = view.AddObserver(event, lambda *_: reached.append(True))
    view.SetEventInformation(*place_of(discs, row, column), int(control))
    view.InvokeEvent(event)
    view.RemoveObserver(tag)
    discs.user.module.session.process_events()
    return bool(reached)


def press(discs: Any, row: float, column: float, event: Any = LEFT, control: bool = False) -> bool:
    """Click on a pixel of the frame shown; returns whether Slicer's own mouse would have got the event too."""
    reached = mouse(discs, event, row, column, control)
    if event == LEFT:
        mouse(discs, RELEASE, row, column, control)
    return reached


def drag(discs: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one pixel of the frame shown to another; nothing of it reaches Slicer's own mouse."""
    half_way = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    for event, place in ((LEFT, start), (MOVE, half_way), (MOVE, end), (RELEASE, end)):
        assert not mouse(discs, event, *place)


def outlines_drawn() -> int:
    """How many rectangles the view shows."""
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    props = view.renderWindow().GetRenderers().GetFirstRenderer().GetViewProps()
    actors = [props.GetItemAsObject(number) for number in range(props.GetNumberOfItems())]
    return sum(type(actor) is vtk.vtkActor2D for actor in actors)


def box_around(mask: np.ndarray, margin: int = 1) -> tuple[tuple[float, float], tuple[float, float]]:
    rows, columns = np.nonzero(mask)
    return (rows.min() - margin, columns.min() - margin), (rows.max() + margin, columns.max() + margin)


def middle(mask: np.ndarray) -> tuple[float, float]:
    return tuple(float(place.mean()) for place in np.nonzero(mask))  # type: ignore[return-value]


def test_a_click_draws_the_lesion_and_makes_the_frame_an_anchor(clicks: Any) -> None:
    clicks.user.click("clickButton")
    assert "Click into the lesion" in clicks.user.read("lesionMessageLabel")
    assert not press(clicks, *middle(clicks.truth[0][0]))  # the view itself does nothing with it
    assert dice(clicks.mask(0), clicks.truth[0][0]) > 0.85
    assert clicks.logic.anchors(clicks.browser) == {"lesion-1": [0]}
    assert SegmentationSequence.find(clicks.browser).origin(0, "lesion-1") is Origin.CONFIRMED
    assert "1 click" in clicks.user.read("lesionMessageLabel")


@pytest.mark.parametrize(("event", "control"), [(LEFT, True), (RIGHT, False)])
def test_a_click_outside_takes_away_and_undo_brings_it_back(clicks: Any, event: Any, control: bool) -> None:
    row, column = middle(clicks.truth[0][0])
    clicks.user.click("clickButton")
    press(clicks, row, column)
    one = clicks.mask(0)
    press(clicks, row, column + 4, event, control)
    two = clicks.mask(0)
    assert one[round(row), round(column) + 4]
    assert not two[round(row), round(column) + 4]
    assert "2 clicks" in clicks.user.read("lesionMessageLabel")
    clicks.user.see("segmentEditor").undo()
    clicks.logic.commitEdit(clicks.browser)
    np.testing.assert_array_equal(clicks.mask(0), one)
    press(clicks, row, column + 4, event, control)  # the click undone is not counted
    np.testing.assert_array_equal(clicks.mask(0), two)
    assert "2 clicks" in clicks.user.read("lesionMessageLabel")


def test_clicks_keep_to_the_editable_area_and_to_other_lesions(clicks: Any) -> None:
    row, column = (round(place) for place in middle(clicks.truth[0][0]))
    user, editor = clicks.user, clicks.user.see("segmentEditor")
    other = clicks.truth[0][0].copy()
    other[:, column:] = False
    user.click("newLesionButton")
    user.paint("segmentEditor", other)
    user.click("newLesionButton")
    editor.mrmlSegmentEditorNode().SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    user.click("clickButton")
    press(clicks, row, column + 2)
    np.testing.assert_array_equal(clicks.mask(0, 0), other)
    assert clicks.mask(0, 1)[row, column + 2]
    assert not (clicks.mask(0, 1) & other).any()


def test_what_is_painted_in_between_is_mended_not_lost(clicks: Any) -> None:
    row, column = middle(clicks.truth[0][0])
    clicks.user.click("clickButton")
    press(clicks, row, column)
    stroke = np.zeros(clicks.truth.shape[2:], bool)
    stroke[2:6, 2:6] = True
    clicks.user.paint("segmentEditor", stroke)
    press(clicks, row, column)
    assert "1 click." in clicks.user.read("lesionMessageLabel")  # the stroke is what is mended now
    clicks.user.see("segmentEditor").undo()
    clicks.logic.commitEdit(clicks.browser)
    assert clicks.mask(0)[stroke].all()


def test_each_frame_has_its_own_clicks(clicks: Any) -> None:
    clicks.user.click("clickButton")
    press(clicks, *middle(clicks.truth[0][0]))
    clicks.browser.SetSelectedItemNumber(5)
    press(clicks, *middle(clicks.truth[5][0]))
    assert "1 click." in clicks.user.read("lesionMessageLabel")
    assert dice(clicks.mask(5), clicks.truth[5][0]) > 0.85
    assert clicks.logic.anchors(clicks.browser) == {"lesion-1": [0, 5]}


def test_the_tool_gives_the_mouse_back(clicks: Any) -> None:
    user = clicks.user
    place = middle(clicks.truth[0][0])
    user.click("clickButton")
    user.click("clickButton")
    assert press(clicks, *place)
    user.click("clickButton")
    user.click("newLesionButton")  # takes the Paint effect
    assert not user.see("clickButton").isChecked()
    user.click("clickButton")
    assert clicks.user.see("segmentEditor").mrmlSegmentEditorNode().GetActiveEffectName() == ""
    user.module.leave()
    assert press(clicks, *place)
    assert clicks.logic.anchors(clicks.browser) == {"lesion-1": []}


def test_the_tool_is_on_again_after_a_propagation(clicks: Any) -> None:
    """As the editor's tools are: the next frame is corrected with the same tool."""
    user = clicks.user
    user.click("clickButton")
    press(clicks, *middle(clicks.truth[0][0]))
    clicks.propagate()
    assert user.see("clickButton").isChecked()
    clicks.browser.SetSelectedItemNumber(5)
    press(clicks, *middle(clicks.truth[5][0]))
    assert clicks.logic.anchors(clicks.browser) == {"lesion-1": [0, 5]}
    user.click("clickButton")
    clicks.propagate()
    assert not user.see("clickButton").isChecked()


def test_the_tool_stays_off_after_a_propagation_that_another_module_saw(clicks: Any) -> None:
    user = clicks.user
    user.click("clickButton")
    press(clicks, *middle(clicks.truth[0][0]))
    user.click("propagateButton")
    user.module.leave()
    user.wait_until(lambda: not user.module.widget.panel.busy)
    assert not user.see("clickButton").isChecked()


def test_a_click_beside_the_frame_and_one_that_finds_nothing_change_nothing(clicks: Any) -> None:
    clicks.user.click("clickButton")
    press(clicks, -30, -30)
    assert clicks.logic.segmentationNode(clicks.browser) is None
    press(clicks, 3, 3, RIGHT)
    assert "No lesion of its own was found" in clicks.user.read("lesionMessageLabel")
    assert clicks.logic.anchors(clicks.browser) == {"lesion-1": []}


def test_a_box_draws_the_lesion_and_clicks_correct_it(clicks: Any) -> None:
    truth = clicks.truth[0][0]
    row, column = (round(place) for place in middle(truth))
    clicks.user.click("clickButton")
    drag(clicks, *box_around(truth))
    drawn = clicks.mask(0)
    assert dice(drawn, truth) > 0.85
    assert clicks.logic.anchors(clicks.browser) == {"lesion-1": [0]}
    assert "A box." in clicks.user.read("lesionMessageLabel")
    press(clicks, row, column + 4, RIGHT)
    assert not clicks.mask(0)[row, column + 4]
    assert "A box and 1 click." in clicks.user.read("lesionMessageLabel")
    assert clicks.logic.effort(clicks.browser).clicks == 2
    clicks.user.see("segmentEditor").undo()
    clicks.logic.commitEdit(clicks.browser)
    np.testing.assert_array_equal(clicks.mask(0), drawn)
    press(clicks, row, column + 4, RIGHT)  # the box still counts, the click undone does not
    assert "A box and 1 click." in clicks.user.read("lesionMessageLabel")


def test_undo_takes_a_box_back(clicks: Any) -> None:
    clicks.user.click("clickButton")
    drag(clicks, *box_around(clicks.truth[0][0]))
    clicks.user.see("segmentEditor").undo()
    clicks.logic.commitEdit(clicks.browser)
    assert not clicks.mask(0).any()
    press(clicks, *middle(clicks.truth[0][0]))
    assert "1 click." in clicks.user.read("lesionMessageLabel")
    assert "box and" not in clicks.user.read("lesionMessageLabel")


def test_clicks_undone_one_by_one_leave_no_anchor(clicks: Any) -> None:
    row, column = middle(clicks.truth[0][0])
    clicks.user.click("clickButton")
    press(clicks, row, column)
    press(clicks, row, column + 4, RIGHT)
    editor = clicks.user.see("segmentEditor")
    editor.undo()
    clicks.user.module.session.process_events()
    assert clicks.user.read("anchorsLabel") == "Anchors: Lesion on frame 0."
    assert clicks.user.read("lesionMessageLabel").startswith("1 click. Click into")
    clicks.logic.commitEdit(clicks.browser)  # as measuring does
    editor.undo()
    clicks.user.module.session.process_events()
    assert clicks.user.read("anchorsLabel") == "No anchors yet: draw the lesion on one frame."
    assert clicks.user.read("lesionMessageLabel").startswith("Click into")
    clicks.browser.SetSelectedItemNumber(1)
    assert clicks.logic.anchors(clicks.browser) == {"lesion-1": []}
    assert not clicks.mask(0).any()


def test_the_hint_goes_with_the_tool_and_what_was_clicked_with_the_frame(clicks: Any) -> None:
    user = clicks.user
    user.click("clickButton")
    press(clicks, *middle(clicks.truth[0][0]))
    assert user.read("lesionMessageLabel").startswith("1 click.")
    clicks.browser.SetSelectedItemNumber(1)
    clicks.user.module.session.process_events()
    assert user.read("lesionMessageLabel").startswith("Click into the lesion")
    user.see("segmentEditor").setActiveEffectByName("Paint")
    clicks.user.module.session.process_events()
    assert not user.see("clickButton").isChecked()
    assert not user.sees("lesionMessageLabel")


def test_the_hint_stays_when_another_cine_is_chosen(clicks: Any) -> None:
    user = clicks.user
    other = clicks.logic.loadCine(np.zeros((2, 64, 64), np.uint8))
    user.click("clickButton")
    press(clicks, *middle(clicks.truth[0][0]))
    user.choose("browserSelector", other.GetName())
    user.module.session.process_events()
    assert user.see("clickButton").isChecked()
    assert user.read("lesionMessageLabel").startswith("Click into the lesion")


def test_a_box_may_be_dragged_from_any_corner_and_past_the_edge_of_the_frame(clicks: Any) -> None:
    truth = clicks.truth[0][0]
    (top, left), (bottom, right) = box_around(truth)
    clicks.user.click("clickButton")
    drag(clicks, (bottom, left), (top, right))
    first = clicks.mask(0)
    assert dice(first, truth) > 0.85
    clicks.browser.SetSelectedItemNumber(5)
    (_, _), (bottom, right) = box_around(clicks.truth[5][0])
    drag(clicks, (bottom, right), (-40, -40))
    assert dice(clicks.mask(5), clicks.truth[5][0]) > 0.85


def test_a_box_draws_anew_what_clicks_had_drawn(clicks: Any) -> None:
    truth = clicks.truth[0][0]
    clicks.user.click("clickButton")
    press(clicks, *middle(truth))
    one = clicks.mask(0)
    stroke = np.zeros(truth.shape, bool)
    stroke[2:6, 2:6] = True
    clicks.user.paint("segmentEditor", one | stroke)
    drag(clicks, *box_around(truth))
    assert not clicks.mask(0)[stroke].any()
    assert dice(clicks.mask(0), truth) > 0.85
    clicks.user.see("segmentEditor").undo()
    clicks.logic.commitEdit(clicks.browser)
    assert clicks.mask(0)[stroke].all()


def test_a_box_keeps_to_the_editable_area(clicks: Any) -> None:
    truth = clicks.truth[0][0]
    column = round(middle(truth)[1])
    other = truth.copy()
    other[:, column:] = False
    user = clicks.user
    user.click("newLesionButton")
    user.paint("segmentEditor", other)
    user.click("newLesionButton")
    node = user.see("segmentEditor").mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    user.click("clickButton")
    drag(clicks, *box_around(truth))
    np.testing.assert_array_equal(clicks.mask(0, 0), other)
    assert clicks.mask(0, 1).any()
    assert not (clicks.mask(0, 1) & other).any()
    assert "editable area" in user.read("lesionMessageLabel")


def test_the_box_is_seen_while_it_is_dragged_and_a_short_drag_is_a_click(clicks: Any) -> None:
    start, end = box_around(clicks.truth[0][0])
    clicks.user.click("clickButton")
    mouse(clicks, LEFT, *start)
    assert outlines_drawn() == 0
    mouse(clicks, MOVE, *end)
    assert outlines_drawn() == 1
    clicks.user.module.leave()  # in the middle of it
    assert outlines_drawn() == 0
    assert mouse(clicks, RELEASE, *end)
    assert clicks.logic.segmentationNode(clicks.browser) is None
    clicks.user.module.open()
    clicks.user.click("clickButton")
    assert mouse(clicks, MOVE, *end)  # without a button it is the view's own
    row, column = middle(clicks.truth[0][0])
    view = interactor()
    x, y = place_of(clicks, row, column)
    for event, shift in ((LEFT, 0), (MOVE, 5), (RELEASE, 5)):
        view.SetEventInformation(x + shift, y, 0)
        view.InvokeEvent(event)
    clicks.user.module.session.process_events()
    assert outlines_drawn() == 0
    assert "1 click." in clicks.user.read("lesionMessageLabel")


def test_clicks_made_while_libraries_are_loaded_are_drawn_afterwards(
    clicks: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from UltrasoundLesionSegLib.gui import library_loading

    until = tmp_path / "loaded"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(until)!r}).exists(): time.sleep(0.01)"
    (tmp_path / "library_of_clicks.py").write_text(waits)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "library_of_clicks", raising=False)
    monkeypatch.setattr(library_loading, "MODULES", (("library_of_clicks", "A slow library"),))
    clicks.user.see("clickButton").click()
    assert not press(clicks, *middle(clicks.truth[0][0])), "the click reached Slicer's own mouse"
    assert clicks.user.read("lesionMessageLabel").startswith("Loading A slow library")
    until.touch()
    clicks.user.wait_until(lambda: clicks.user.read("lesionMessageLabel").startswith("1 click."))
    assert dice(clicks.mask(0), clicks.truth[0][0]) > 0.85


@pytest.mark.parametrize("lost", ["sequence", "image"])
def test_clicks_into_a_cine_whose_images_are_lost_say_so(clicks: Any, lost: str) -> None:
    """Where the sequence of images is deleted, Slicer makes that of the lesions the browser's first."""
    clicks.user.click("newLesionButton")
    clicks.user.click("clickButton")
    place = place_of(clicks, *middle(clicks.truth[0][0]))
    if lost == "sequence":
        slicer.mrmlScene.RemoveNode(clicks.browser.GetMasterSequenceNode())
    else:
        clicks.logic.volumeNode(clicks.browser).SetAndObserveImageData(None)
    clicks.user.module.session.process_events()
    for event in (LEFT, RELEASE):
        interactor().SetEventInformation(*place, 0)
        interactor().InvokeEvent(event)
    clicks.user.module.session.process_events()
    assert clicks.user.read("lesionMessageLabel") == "The cine has no images here; load it again."
