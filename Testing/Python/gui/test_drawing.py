"""Drawing, anchors, suggestions: nothing drawn is ever lost, nothing of others is ever changed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slicer
from engine_helpers import clip_of_moving_discs

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

QtWidgets = pytest.importorskip("PySide6.QtWidgets", reason="PySide6 is not installed", exc_type=ImportError)


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


@pytest.fixture
def drawing(discs: Any) -> np.ndarray:
    """A drawing on frame 3, not stored yet."""
    mask = disc(discs.truth.shape[2:], 20, 24, 6)
    discs.draw(3, mask)
    assert not discs.mask(3).any()
    return mask


def test_a_drawing_is_an_anchor_at_once(discs: Any, drawing: np.ndarray) -> None:
    user = discs.user
    assert user.read("anchorsLabel") == "Anchors: Lesion on frame 3."
    user.see("segmentEditor").undo()
    user.module.session.process_events()
    assert user.read("anchorsLabel").startswith("No anchors yet")


def test_the_first_drawing_after_a_scene_was_read_can_be_undone(
    discs: Any, drawing: np.ndarray, tmp_path: Path
) -> None:
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    discs.user.module.session.process_events()
    assert slicer.mrmlScene.ReadFromMRB(path)
    discs.user.module.session.process_events()
    loaded = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    after = type(discs)(discs.user, loaded, discs.truth)
    assert loaded.GetSelectedItemNumber() == 3
    discs.user.paint("segmentEditor", disc(discs.truth.shape[2:], 10, 10, 3))
    discs.user.see("segmentEditor").undo()
    discs.logic.commitEdit(loaded)
    np.testing.assert_array_equal(after.mask(3), drawing)


def test_no_tool_is_on_in_a_scene_that_was_opened(discs: Any, drawing: np.ndarray, tmp_path: Path) -> None:
    """The scene holds the tool, and Slicer would switch it on: the first click would draw or erase."""
    path, editor = str(tmp_path / "scene.mrb"), discs.user.see("segmentEditor")
    editor.setActiveEffectByName("Erase")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    discs.user.module.session.process_events()
    assert slicer.mrmlScene.ReadFromMRB(path)
    discs.user.module.session.process_events()
    assert editor.activeEffect() is None


def test_a_name_typed_in_the_segments_table_is_shown_everywhere(discs: Any, drawing: np.ndarray) -> None:
    discs.logic.segmentationNode(discs.browser).GetSegmentation().GetSegment("lesion-1").SetName("Left mass")
    discs.user.module.session.process_events()
    assert discs.user.read("anchorsLabel") == "Anchors: Left mass on frame 3."
    assert discs.user.see("segmentNameEdit").text() == "Left mass"


def test_a_drawing_is_kept_when_another_frame_is_shown(discs: Any, drawing: np.ndarray) -> None:
    discs.user.press_keys("playWidget", "Shift+Right")
    assert discs.browser.GetSelectedItemNumber() == 4
    np.testing.assert_array_equal(discs.mask(3), drawing)
    assert not discs.mask(4).any()
    discs.user.wait_until(lambda: discs.user.read("anchorsLabel") == "Anchors: Lesion on frame 3.", 2)


def test_a_drawing_is_kept_whatever_modifies_the_browser(discs: Any, drawing: np.ndarray) -> None:
    discs.browser.SetPlaybackRateFps(7)
    np.testing.assert_array_equal(discs.mask(3), drawing)


def test_a_drawing_is_kept_when_another_module_is_opened(discs: Any, drawing: np.ndarray) -> None:
    discs.user.module.leave()
    np.testing.assert_array_equal(discs.mask(3), drawing)


def test_a_drawing_is_in_the_scene_that_is_saved(discs: Any, drawing: np.ndarray, tmp_path: Any) -> None:
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    np.testing.assert_array_equal(discs.mask(3), drawing)


def test_a_drawing_is_kept_when_another_cine_is_chosen(discs: Any, drawing: np.ndarray) -> None:
    discs.user.choose("browserSelector", "Choose or load a cine")
    np.testing.assert_array_equal(discs.mask(3), drawing)
    assert discs.user.read("cineInfoLabel") == "No cine is chosen."


def test_a_drawing_is_kept_when_the_module_is_reloaded(discs: Any, drawing: np.ndarray) -> None:
    discs.user.module.reload()
    np.testing.assert_array_equal(discs.mask(3), drawing)
    assert discs.user.read("anchorsLabel") == "Anchors: Lesion on frame 3."


def test_undo_takes_a_stroke_back_but_not_on_another_frame(discs: Any, drawing: np.ndarray) -> None:
    user, editor = discs.user, discs.user.see("segmentEditor")
    user.paint("segmentEditor", disc(drawing.shape, 40, 40, 5))
    editor.undo()
    editor.undo()
    editor.redo()
    discs.browser.SetSelectedItemNumber(4)
    np.testing.assert_array_equal(discs.mask(3), drawing)
    editor.undo()  # there is nothing to undo on this frame
    discs.browser.SetSelectedItemNumber(5)
    assert not discs.mask(4).any()
    assert discs.logic.anchors(discs.browser) == {"lesion-1": [3]}


def test_a_stroke_undone_leaves_no_anchor(discs: Any, drawing: np.ndarray) -> None:
    discs.user.see("segmentEditor").undo()
    discs.browser.SetSelectedItemNumber(4)
    assert discs.logic.anchors(discs.browser) == {"lesion-1": []}


def test_several_lesions_are_segments_of_their_own(discs: Any, drawing: np.ndarray) -> None:
    second = disc(drawing.shape, 45, 45, 4)
    discs.user.click("newLesionButton")
    discs.user.paint("segmentEditor", second)
    discs.browser.SetSelectedItemNumber(0)
    np.testing.assert_array_equal(discs.mask(3, 0), drawing)
    np.testing.assert_array_equal(discs.mask(3, 1), second)


def test_confirm_not_visible_and_release(discs: Any, drawing: np.ndarray) -> None:
    user = discs.user
    user.press_keys("UltrasoundLesionSeg", "Alt+R")
    assert user.read("anchorsLabel") == "Anchors: Lesion on frame 3."
    discs.browser.SetSelectedItemNumber(8)
    user.click("notVisibleButton")
    assert user.read("anchorsLabel") == "Anchors: Lesion on frame 3, not visible on frame 8."
    assert discs.logic.framesNotVisible(discs.browser) == {"lesion-1": [8]}
    user.click("releaseButton")
    assert user.read("anchorsLabel") == "Anchors: Lesion on frame 3."
    np.testing.assert_array_equal(discs.mask(3), drawing)


def test_a_frame_marked_not_visible_and_released_has_a_mask_after_the_next_propagation(discs: Any) -> None:
    user = discs.user
    discs.draw(0, discs.truth[0, 0])
    discs.propagate()
    before = discs.mask(8)
    user.click("followCheckBox")
    discs.browser.SetSelectedItemNumber(8)
    user.click("notVisibleButton")
    assert not discs.mask(8).any()
    user.click("releaseButton")
    said = "Frame 8 is no anchor any more: propagate again to have its mask computed."
    assert user.read("lesionMessageLabel") == said
    assert user.read("anchorsLabel") == "Anchors: Lesion on frame 0."
    discs.propagate()
    assert before.any()
    np.testing.assert_array_equal(discs.mask(8), before)
    assert not user.sees("lesionMessageLabel"), "it is computed"


def test_a_frame_drawn_on_again_after_it_was_released_is_shown_as_an_anchor(discs: Any, drawing: np.ndarray) -> None:
    discs.user.click("releaseButton")
    assert discs.user.read("anchorsLabel").startswith("No anchors yet")
    discs.user.paint("segmentEditor", disc(drawing.shape, 45, 45, 4))
    assert discs.user.read("anchorsLabel") == "Anchors: Lesion on frame 3."


def test_the_same_frame_drawn_on_in_the_next_cine_is_shown_as_an_anchor(discs: Any, drawing: np.ndarray) -> None:
    other = discs.logic.loadCine(np.zeros((12, *drawing.shape), np.uint8))
    other.SetSelectedItemNumber(3)
    discs.user.choose("browserSelector", other.GetName())
    discs.user.click("newLesionButton")
    discs.user.paint("segmentEditor", drawing)
    assert discs.user.read("anchorsLabel") == "Anchors: Lesion on frame 3."


def test_segments_that_others_add_and_remove_are_seen(discs: Any, drawing: np.ndarray) -> None:
    user, shown = discs.user, discs.user.see("segmentEditor").segmentationNode().GetSegmentation()
    discs.browser.SetSelectedItemNumber(4)
    user.module.session.process_events()
    shown.RemoveSegment("lesion-1")
    user.module.session.process_events()
    assert user.read("segmentNameEdit") == ""
    assert not user.see("deleteSegmentButton").isEnabled()
    discs.browser.SetSelectedItemNumber(3)
    user.module.session.process_events()
    assert user.read("anchorsLabel") == "Anchors: Lesion on frame 3."
    assert user.read("segmentNameEdit") == "Lesion"
    assert user.see("deleteSegmentButton").isEnabled()


def test_other_peoples_segmentations_and_sequences_stay_as_they_are(discs: Any, drawing: np.ndarray) -> None:
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Somebody's")
    other.GetSegmentation().AddEmptySegment("theirs", "Theirs")
    before = (other.GetMTime(), other.GetSegmentation().GetMTime())
    discs.user.click("newLesionButton")
    discs.user.paint("segmentEditor", disc(drawing.shape, 50, 20, 4))
    discs.propagate()
    assert (other.GetMTime(), other.GetSegmentation().GetMTime()) == before


class TestSuggestion:
    @pytest.fixture
    def suggested(self, discs: Any, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
        """What the model will suggest: the left part of the picture's middle."""
        mask = np.zeros(discs.truth.shape[2:], bool)
        mask[20:40, 10:30] = True
        self.let_the_model_say(mask, discs, monkeypatch)
        return mask

    @staticmethod
    def let_the_model_say(mask: np.ndarray, discs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        bundle = SimpleNamespace(
            name="eye", version="1", input_size=64, role="suggest", sha256="0", load_for_inference=lambda device: None
        )
        monkeypatch.setattr("UltrasoundLesionSegLib.engine.bundles.default_bundle", lambda role: bundle)
        monkeypatch.setattr("UltrasoundLesionSegLib.engine.suggestion.suggest_mask", lambda *_: mask)

    def test_it_is_drawn_and_can_be_undone(self, discs: Any, suggested: np.ndarray) -> None:
        discs.user.click("suggestButton")
        assert "suggestion" in discs.user.read("lesionMessageLabel")
        assert discs.user.read("anchorsLabel") == "Anchors: Lesion on frame 0."
        discs.browser.SetSelectedItemNumber(1)
        np.testing.assert_array_equal(discs.mask(0), suggested)
        assert SegmentationSequence.find(discs.browser).origin(0, "lesion-1") is Origin.CONFIRMED

    def test_one_that_was_corrected_is_recorded_so(self, discs: Any, suggested: np.ndarray) -> None:
        discs.user.click("suggestButton")
        discs.user.paint("segmentEditor", np.roll(suggested, 3, 1))
        discs.browser.SetSelectedItemNumber(1)
        assert SegmentationSequence.find(discs.browser).origin(0, "lesion-1") is Origin.EDITED

    def test_undo_takes_it_away(self, discs: Any, suggested: np.ndarray) -> None:
        discs.user.click("suggestButton")
        assert "suggestion" in discs.user.read("lesionMessageLabel")
        discs.user.see("segmentEditor").undo()
        assert SegmentationSequence.find(discs.browser).commit_edit() == []
        discs.user.module.session.process_events()
        assert not discs.user.sees("lesionMessageLabel")

    def test_it_is_not_told_of_another_frame(self, discs: Any, suggested: np.ndarray) -> None:
        discs.user.click("suggestButton")
        assert "suggestion" in discs.user.read("lesionMessageLabel")
        discs.browser.SetSelectedItemNumber(1)
        assert not discs.user.sees("lesionMessageLabel")

    def test_it_respects_the_editable_area_and_other_segments(self, discs: Any, suggested: np.ndarray) -> None:
        user, editor = discs.user, discs.user.see("segmentEditor")
        user.click("newLesionButton")
        user.paint("segmentEditor", np.pad(np.ones((8, 8), bool), ((22, 34), (12, 44))))
        user.click("newLesionButton")
        node = editor.mrmlSegmentEditorNode()
        node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
        user.click("suggestButton")
        discs.browser.SetSelectedItemNumber(1)
        first, second = discs.mask(0, 0), discs.mask(0, 1)
        assert first.sum() == 64
        np.testing.assert_array_equal(second, suggested & ~first)

    @pytest.fixture
    def first_drawn(self, discs: Any, suggested: np.ndarray) -> np.ndarray:
        """Lesion 1 drawn on frame 0 where the suggestion will be, and stored; lesion 2 selected."""
        first = np.pad(np.ones((8, 8), bool), ((22, 66), (12, 108)))
        discs.draw(0, first)
        discs.user.click("confirmButton")
        discs.logic.releaseAnchor(discs.browser)
        discs.user.click("newLesionButton")
        return first

    def test_it_takes_no_pixel_of_another_lesion(
        self, discs: Any, suggested: np.ndarray, first_drawn: np.ndarray
    ) -> None:
        discs.user.click("suggestButton")
        discs.browser.SetSelectedItemNumber(1)
        np.testing.assert_array_equal(discs.mask(0, 0), first_drawn)
        np.testing.assert_array_equal(discs.mask(0, 1), suggested & ~first_drawn)
        assert discs.logic.anchors(discs.browser) == {"lesion-1": [], "lesion-2": [0]}

    def test_it_shares_pixels_where_lesions_may_overlap(
        self, discs: Any, suggested: np.ndarray, first_drawn: np.ndarray
    ) -> None:
        discs.user.click("overlapCheckBox")
        discs.user.click("suggestButton")
        discs.browser.SetSelectedItemNumber(1)
        np.testing.assert_array_equal(discs.mask(0, 0), first_drawn)
        np.testing.assert_array_equal(discs.mask(0, 1), suggested)

    def test_masking_is_told(self, discs: Any, suggested: np.ndarray) -> None:
        editor_node = discs.user.see("segmentEditor").mrmlSegmentEditorNode()
        editor_node.SourceVolumeIntensityMaskOn()
        editor_node.SetSourceVolumeIntensityMaskRange(5, 100)
        discs.user.click("suggestButton")
        assert "intensity range 5 to 100" in discs.user.read("lesionMessageLabel")

    def test_nothing_seen_is_said(self, discs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        nothing = np.zeros(discs.truth.shape[2:], bool)
        self.let_the_model_say(nothing, discs, monkeypatch)
        discs.user.click("suggestButton")
        assert "sees no lesion" in discs.user.read("lesionMessageLabel")
        assert discs.logic.segmentationNode(discs.browser) is None
        discs.user.click("newLesionButton")
        discs.user.click("suggestButton")
        assert "sees no lesion" in discs.user.read("lesionMessageLabel")
        discs.user.paint("segmentEditor", discs.truth[0, 0])
        assert not discs.user.sees("lesionMessageLabel"), "somebody saw one"


def test_a_colour_cine_is_drawn_on_and_propagated_too(user: Any) -> None:
    cine, truth = clip_of_moving_discs(frames=4, color=True)
    browser = user.module.widget.logic.addCine(cine, "Colour")
    user.choose("browserSelector", browser.GetName())
    user.click("newLesionButton")
    user.paint("segmentEditor", truth[0, 0])
    user.click("propagateButton")
    user.wait_until(lambda: user.read("propagateButton") == "Propagate")
    assert "3 frames in" in user.read("propagateMessageLabel")
    sequence = SegmentationSequence.find(browser)
    np.testing.assert_array_equal(sequence.read(0, "lesion-1"), truth[0, 0])
    assert (sequence.read(3, "lesion-1") & truth[3, 0]).sum() > 0.9 * truth[3, 0].sum()


def test_a_tool_with_options_does_not_make_the_editor_wider(discs: Any) -> None:
    editor = discs.user.see("segmentEditor")
    discs.user.click("newLesionButton")
    assert editor.activeEffect().objectName() == "Paint"
    needed = set()
    for tool in ("", "Paint", "Threshold"):
        editor.setActiveEffectByName(tool)
        discs.user.module.session.process_events()
        needed.add(editor.minimumSizeHint().width())
    assert len(needed) == 1


def test_options_that_a_cine_has_no_use_for_are_not_shown(discs: Any) -> None:
    editor = discs.user.see("segmentEditor")
    discs.user.click("newLesionButton")
    shown = {}
    for tool in ("Paint", "Erase", "Scissors"):
        editor.setActiveEffectByName(tool)
        options = editor.activeEffect().optionsFrame().findChildren(QtWidgets.QCheckBox)
        shown[tool] = [option.text() for option in options if option.isVisibleTo(editor)]
    assert shown == {
        "Paint": ["Color smudge"],
        "Erase": ["Erase all segments"],
        "Scissors": ["Apply to visible segments:", "Centered"],
    }


def test_no_empty_space_is_under_the_editor(discs: Any) -> None:
    discs.user.click("newLesionButton")
    discs.user.module.session.process_events()
    editor = discs.user.see("segmentEditor")
    shown = [one for one in editor.findChildren(QtWidgets.QWidget) if one.isVisibleTo(editor)]
    needed = max(one.mapTo(editor, one.rect().bottomLeft()).y() for one in shown)
    assert editor.sizeHint().height() - needed < 20
