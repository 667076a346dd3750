"""Lesions on frames: writing, reading, anchors, a person's edits, and nodes that vanish."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from UltrasoundLesionSegLib.cine import Cine, Mask, Origin
from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine
from UltrasoundLesionSegLib.mrml.labelmaps import BINARY_LABELMAP
from UltrasoundLesionSegLib.mrml.layout import TAG_BEFORE
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import MASS_TERMINOLOGY, SegmentInfo, SegmentState, get_tag

from .support import HEIGHT, WIDTH, disk, make_cine, node_ids, paint, random_frames

A, B = "lesion-1", "lesion-2"
EMPTY = np.zeros((HEIGHT, WIDTH), bool)


def shown(lesions: SegmentationSequence, segment_id: str) -> Mask:
    """The mask on the proxy, read by Slicer's own code."""
    volume = lesions.browser.GetProxyNode(lesions.browser.GetMasterSequenceNode())
    return slicer.util.arrayFromSegmentBinaryLabelmap(lesions.proxy, segment_id, volume)[0] != 0


def tag(lesions: SegmentationSequence, frame: int, segment_id: str, name: str) -> str | None:
    node = lesions.sequence.GetNthDataNode(frame)
    return get_tag(node.GetSegmentation().GetSegment(segment_id), name)


def test_a_new_segmentation_is_empty_on_every_frame(lesions: SegmentationSequence, browser: Any) -> None:
    assert lesions.sequence.GetNumberOfDataNodes() == len(lesions) == 6
    assert [(one.id, one.name) for one in lesions.segments()] == [(A, "Lesion 1"), (B, "Lesion 2")]
    for frame in range(6):
        assert not lesions.read(frame, A).any()
        assert lesions.origin(frame, A) is None
        assert math.isnan(lesions.confidence(frame, B))
    assert lesions.anchors() == {A: [], B: []}
    assert not browser.GetSaveChanges(lesions.sequence)
    mode = browser.GetMissingItemMode(lesions.sequence)
    assert mode == slicer.vtkMRMLSequenceBrowserNode.MissingItemSetToDefault
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    proxy_volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    assert lesions.proxy.GetNodeReferenceID(role) == proxy_volume.GetID()
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    for frame in range(6):
        assert lesions.sequence.GetNthDataNode(frame).GetSegmentation().GetConversionParameter(parameter)


def test_find_gives_what_create_made_and_nothing_of_others(scene: Any, browser: Any) -> None:
    theirs = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Theirs")
    theirs.SetDataNodeAtValue(slicer.vtkMRMLSegmentationNode(), browser.GetMasterSequenceNode().GetNthIndexValue(0))
    browser.AddSynchronizedSequenceNode(theirs)
    assert SegmentationSequence.find(browser) is None
    made = SegmentationSequence.create(browser, [])
    assert SegmentationSequence.find(browser).sequence is made.sequence
    with pytest.raises(SceneError, match="already"):
        SegmentationSequence.create(browser, [])


@pytest.mark.parametrize("shape", [(64, 64), (65, 127), (1, 9), (9, 1), (200, 3)])
@pytest.mark.parametrize("color", [False, True])
def test_masks_come_back_exactly_at_any_size(scene: Any, shape: tuple[int, int], color: bool) -> None:
    frames = random_frames(2, *shape, 3) if color else random_frames(2, *shape)
    lesions = SegmentationSequence.create(add_cine(Cine.from_array(frames)), [SegmentInfo.numbered(1)])
    generator = np.random.default_rng(3)
    for mask in [
        generator.random(shape) < 0.3,
        np.ones(shape, bool),
        np.zeros(shape, bool),
        np.eye(*shape, dtype=bool),
    ]:
        lesions.write(1, {A: mask}, {A: Origin.MODEL})
        assert np.array_equal(lesions.read(1, A), mask)
        assert not lesions.read(0, A).any()


def test_one_frame(scene: Any) -> None:
    lesions = SegmentationSequence.create(add_cine(make_cine(1)), [SegmentInfo.numbered(1)])
    lesions.write(0, {A: disk(20, 30, 9)}, {A: Origin.MODEL})
    assert np.array_equal(lesions.read(0, A), disk(20, 30, 9))
    assert np.array_equal(shown(lesions, A), disk(20, 30, 9))


def test_what_is_written_is_what_the_proxy_shows_on_each_frame(lesions: SegmentationSequence, browser: Any) -> None:
    masks = {frame: disk(20 + 3 * frame, 30, 9) if frame != 3 else EMPTY for frame in range(6)}
    for frame, mask in masks.items():
        lesions.write(frame, {A: mask}, {A: Origin.MODEL}, {A: 0.25}, {A: "stpfnet|frames 0:5; 50%\n"})
    for frame in (0, 5, 3, 2, 3, 4):
        browser.SetSelectedItemNumber(frame)
        assert lesions.shown_frame == frame
        assert np.array_equal(shown(lesions, A), masks[frame])
    state = lesions.state(4, A)
    assert state == SegmentState(Origin.MODEL, 0.25, "stpfnet|frames 0:5; 50%\n")
    assert (lesions.provenance(4, A), lesions.provenance(4, B)) == ("stpfnet|frames 0:5; 50%\n", "")
    assert np.array_equal(lesions.confidences(A), np.full(6, 0.25, np.float32))
    assert np.isnan(lesions.confidences(B)).all()
    assert [one.origin for one in lesions.states(A)] == [Origin.MODEL] * 6


def test_segments_that_are_not_named_keep_their_masks(lesions: SegmentationSequence) -> None:
    lesions.write(2, {A: disk(20, 20, 8)}, {A: Origin.MODEL}, {A: 0.5})
    lesions.write(2, {B: disk(40, 60, 8)}, {B: Origin.MODEL}, {B: 0.75})
    assert np.array_equal(lesions.read(2, A), disk(20, 20, 8))
    assert np.array_equal(lesions.read(2, B), disk(40, 60, 8))
    assert (lesions.confidence(2, A), lesions.confidence(2, B)) == (0.5, 0.75)
    segmentation = lesions.sequence.GetNthDataNode(2).GetSegmentation()
    assert segmentation.GetNumberOfLayers(BINARY_LABELMAP) == 1


def test_overlapping_lesions_lie_in_layers(lesions: SegmentationSequence) -> None:
    lesions.add_segment(SegmentInfo.numbered(3))
    masks = {A: disk(30, 30, 12), B: disk(30, 38, 12), "lesion-3": disk(30, 70, 9)}
    lesions.write(0, masks, dict.fromkeys(masks, Origin.MODEL))
    for one, mask in masks.items():
        assert np.array_equal(lesions.read(0, one), mask)
        assert np.array_equal(shown(lesions, one), mask)
    segmentation = lesions.sequence.GetNthDataNode(0).GetSegmentation()
    assert segmentation.GetNumberOfLayers(BINARY_LABELMAP) == 2


def test_the_tags_that_dicom_export_reads(lesions: SegmentationSequence) -> None:
    expected = {
        Origin.MANUAL: "MANUAL",
        Origin.CONFIRMED: "SEMIAUTOMATIC",
        Origin.EDITED: "SEMIAUTOMATIC",
        Origin.MODEL: "AUTOMATIC",
    }
    for frame, (origin, kind) in enumerate(expected.items()):
        lesions.write(frame, {A: disk(20, 20, 5)}, {A: origin})
        assert tag(lesions, frame, A, "DICOM.SegmentAlgorithmType") == kind
        assert tag(lesions, frame, A, "DICOM.SegmentAlgorithmName")
        assert tag(lesions, frame, A, "TerminologyEntry") == MASS_TERMINOLOGY


def test_wrong_calls_are_refused_and_change_nothing(lesions: SegmentationSequence) -> None:
    with pytest.raises(SceneError, match="frames 0 to 5"):
        lesions.write(6, {A: EMPTY}, {A: Origin.MODEL})
    with pytest.raises(SceneError, match="frames 0 to 5"):
        lesions.read(-1, A)
    with pytest.raises(SceneError, match="no such segment"):
        lesions.write(0, {"nobody": EMPTY}, {"nobody": Origin.MODEL})
    with pytest.raises(SceneError, match="does not fit"):
        lesions.write(0, {A: disk(20, 20, 5), B: EMPTY.T}, {A: Origin.MODEL, B: Origin.MODEL})
    assert lesions.origin(0, A) is None
    with pytest.raises(SceneError, match="same id"):
        lesions.add_segment(SegmentInfo(A, "again"))
    for call in (lesions.remove_segment, lambda one: lesions.rename_segment(one, "x")):
        with pytest.raises(SceneError, match="no such segment"):
            call("nobody")
    with pytest.raises(SceneError, match="must not be empty"):
        lesions.rename_segment(A, "  ")


# --- anchors


@pytest.mark.parametrize("origin", [Origin.MANUAL, Origin.EDITED, Origin.CONFIRMED])
def test_no_model_overwrites_an_anchor(lesions: SegmentationSequence, origin: Origin) -> None:
    drawn = disk(30, 30, 10)
    lesions.write(2, {A: drawn}, {A: origin})
    masks = {A: disk(10, 10, 5), B: disk(50, 50, 5)}
    assert lesions.write(2, {A: EMPTY}, {A: None}) == []
    assert lesions.write(2, masks, dict.fromkeys(masks, Origin.MODEL), {A: 0.9}) == [B]
    assert np.array_equal(lesions.read(2, A), drawn)
    assert lesions.origin(2, A) is origin
    assert np.array_equal(lesions.read(2, B), masks[B])
    assert lesions.anchors() == {A: [2], B: []}
    assert lesions.write(2, {A: masks[A]}, {A: Origin.MANUAL}) == [A]
    assert np.array_equal(lesions.read(2, A), masks[A])


def test_a_frame_can_go_back_to_nothing_known(lesions: SegmentationSequence) -> None:
    lesions.write(2, {A: disk(30, 30, 10)}, {A: Origin.MODEL}, {A: 0.5}, {A: "p"})
    assert lesions.write(2, {A: EMPTY}, {A: None}) == [A]
    assert (lesions.origin(2, A), lesions.provenance(2, A), lesions.read(2, A).any()) == (None, "", False)


def test_an_empty_anchor_says_that_the_lesion_is_not_visible(lesions: SegmentationSequence) -> None:
    lesions.write(1, {A: EMPTY}, {A: Origin.MANUAL})
    assert lesions.write(1, {A: disk(30, 30, 10)}, {A: Origin.MODEL}) == []
    assert not lesions.read(1, A).any()
    assert lesions.anchors()[A] == [1]


def test_confirming_and_releasing_keep_the_mask(lesions: SegmentationSequence) -> None:
    mask = disk(30, 30, 10)
    lesions.write(1, {A: mask}, {A: Origin.MODEL}, {A: 0.5}, {A: "p"})
    lesions.set_state(1, A, SegmentState(Origin.CONFIRMED, 0.5, "p"))
    assert lesions.anchors()[A] == [1]
    lesions.set_state(1, A, SegmentState(Origin.MODEL, 0.5, "p"))
    assert lesions.anchors()[A] == []
    assert np.array_equal(lesions.read(1, A), mask)


# --- a person paints on the proxy


def test_painting_becomes_manual_or_edited(lesions: SegmentationSequence, browser: Any) -> None:
    drawn, model = disk(30, 30, 10), disk(30, 40, 10)
    lesions.write(1, {A: model}, {A: Origin.MODEL}, {A: 0.5}, {A: "p"})
    lesions.write(2, {A: EMPTY}, {A: Origin.MODEL}, {A: 0.5}, {A: "p"})
    lesions.write(3, {A: model}, {A: Origin.MANUAL})
    for frame, expected in [(0, Origin.MANUAL), (1, Origin.EDITED), (2, Origin.MANUAL), (3, Origin.MANUAL)]:
        browser.SetSelectedItemNumber(frame)
        assert lesions.commit_edit() == []
        paint(lesions.proxy, A, drawn, lesions.geometry)
        assert lesions.commit_edit() == [A]
        assert lesions.commit_edit() == []
        assert np.array_equal(lesions.read(frame, A), drawn)
        state = lesions.state(frame, A)
        assert (state.origin, state.provenance) == (expected, "")
        assert math.isnan(state.confidence)
    browser.SetSelectedItemNumber(1)
    paint(lesions.proxy, A, EMPTY, lesions.geometry)
    assert lesions.commit_edit() == [A]
    assert (lesions.origin(1, A), lesions.read(1, A).any()) == (Origin.EDITED, False)
    browser.SetSelectedItemNumber(0)
    assert np.array_equal(shown(lesions, A), drawn)


def test_painting_survives_results_that_arrive_meanwhile(lesions: SegmentationSequence, browser: Any) -> None:
    browser.SetSelectedItemNumber(2)
    drawn = disk(30, 30, 10)
    paint(lesions.proxy, A, drawn, lesions.geometry)
    lesions.write(4, {A: disk(10, 10, 5)}, {A: Origin.MODEL}, {A: 0.5})
    lesions.rename_segment(B, "Other")
    lesions.set_state(4, A, SegmentState(Origin.CONFIRMED))
    assert np.array_equal(shown(lesions, A), drawn)
    # a result for the very frame that is being painted on: the person wins
    masks = {A: disk(10, 10, 5), B: disk(50, 70, 5)}
    assert lesions.write(2, masks, dict.fromkeys(masks, Origin.MODEL)) == [B]
    assert np.array_equal(lesions.read(2, A), drawn)
    assert lesions.origin(2, A) is Origin.MANUAL
    assert np.array_equal(shown(lesions, A), drawn)
    assert np.array_equal(shown(lesions, B), masks[B])


def test_painting_is_stored_on_the_frame_it_was_painted_on(lesions: SegmentationSequence, browser: Any) -> None:
    browser.SetSelectedItemNumber(2)
    paint(lesions.proxy, A, disk(30, 30, 10), lesions.geometry)
    modifying = browser.StartModify()
    browser.SetSelectedItemNumber(5)  # the browser has moved, Slicer has not yet refreshed the proxy
    assert lesions.shown_frame == 2
    assert lesions.commit_edit() == [A]
    browser.EndModify(modifying)
    assert lesions.anchors()[A] == [2]
    assert lesions.shown_frame == 5
    assert not shown(lesions, A).any()


def test_looking_for_edits_changes_nothing_that_an_editors_undo_would_notice(lesions: SegmentationSequence) -> None:
    lesions.write(0, {A: disk(30, 30, 10)}, {A: Origin.MODEL}, {A: 0.5})
    paint(lesions.proxy, A, disk(30, 36, 10), lesions.geometry)
    assert lesions.commit_edit() == [A]
    changes: list[str] = []
    segmentation = lesions.proxy.GetSegmentation()
    for event in (slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SourceRepresentationModified):
        segmentation.AddObserver(event, lambda _caller, name: changes.append(name))
    assert lesions.commit_edit() == []
    lesions.write(3, {A: EMPTY}, {A: Origin.MODEL})
    assert changes == []


def test_a_stored_drawing_that_is_undone_gives_the_frame_its_earlier_state_back(lesions: SegmentationSequence) -> None:
    computed = SegmentState(Origin.MODEL, 0.5, "a|model")
    lesions.write(0, {A: disk(30, 30, 10)}, {A: computed.origin}, {A: computed.confidence}, {A: computed.provenance})
    for mask in (disk(30, 36, 10), disk(30, 40, 10)):  # two strokes, both stored
        paint(lesions.proxy, A, mask, lesions.geometry)
        lesions.commit_edit()
    paint(lesions.proxy, A, disk(30, 36, 10), lesions.geometry)
    lesions.commit_edit()
    assert lesions.origin(0, A) is Origin.EDITED
    paint(lesions.proxy, A, disk(30, 30, 10), lesions.geometry)
    assert lesions.painted()[A][1] is Origin.MODEL
    assert lesions.commit_edit() == [A]
    assert lesions.state(0, A) == computed
    paint(lesions.proxy, B, disk(50, 70, 5), lesions.geometry)  # where nothing was
    lesions.commit_edit()
    paint(lesions.proxy, B, EMPTY, lesions.geometry)
    lesions.commit_edit()
    assert lesions.origin(0, B) is None


def test_a_mask_declared_by_a_person_is_no_undone_drawing(lesions: SegmentationSequence) -> None:
    paint(lesions.proxy, A, disk(30, 30, 10), lesions.geometry)
    lesions.commit_edit()
    lesions.write(0, {A: EMPTY}, {A: Origin.MANUAL})  # not visible here
    paint(lesions.proxy, A, disk(30, 30, 10), lesions.geometry)
    lesions.commit_edit()
    paint(lesions.proxy, A, EMPTY, lesions.geometry)
    lesions.commit_edit()
    assert lesions.origin(0, A) is Origin.MANUAL


@pytest.mark.parametrize("tag", ["{", "7", '{"mask": 1}', '{"origin": "nobody"}', "%7B%22mask%22"])
def test_a_drawing_is_stored_where_the_remembered_state_is_damaged(lesions: SegmentationSequence, tag: str) -> None:
    lesions.write(0, {A: disk(30, 30, 10)}, {A: Origin.MODEL})
    paint(lesions.proxy, A, disk(30, 36, 10), lesions.geometry)
    lesions.commit_edit()
    for node in (lesions.sequence.GetNthDataNode(0), lesions.proxy):
        node.GetSegmentation().GetSegment(A).SetTag(TAG_BEFORE, tag)
    paint(lesions.proxy, A, disk(30, 40, 10), lesions.geometry)
    assert lesions.commit_edit() == [A]
    assert np.array_equal(lesions.read(0, A), disk(30, 40, 10))
    assert lesions.origin(0, A) is Origin.EDITED


def test_overlap_painted_by_a_person_is_kept(lesions: SegmentationSequence) -> None:
    lesions.write(0, {A: disk(30, 30, 10)}, {A: Origin.MODEL})
    paint(lesions.proxy, B, disk(30, 36, 10), lesions.geometry)
    assert lesions.commit_edit() == [B]
    assert np.array_equal(lesions.read(0, A), disk(30, 30, 10))
    assert np.array_equal(lesions.read(0, B), disk(30, 36, 10))


def test_segments_added_renamed_or_deleted_on_the_proxy(lesions: SegmentationSequence, browser: Any) -> None:
    lesions.write(3, {A: disk(30, 30, 10), B: disk(50, 70, 5)}, {A: Origin.MODEL, B: Origin.MODEL})
    segmentation = lesions.proxy.GetSegmentation()
    added = segmentation.AddEmptySegment("", "Cyst")
    segmentation.GetSegment(A).SetName("Index lesion")
    segmentation.GetSegment(A).SetColor(0.1, 0.2, 0.3)
    segmentation.RemoveSegment(B)
    paint(lesions.proxy, added, disk(10, 80, 4), lesions.geometry)
    assert lesions.commit_edit() == [added]
    assert [one.name for one in lesions.segments()] == ["Index lesion", "Lesion 2", "Cyst"]
    assert lesions.segments()[0].color == pytest.approx((0.1, 0.2, 0.3))
    assert np.array_equal(lesions.read(3, A), disk(30, 30, 10))
    assert np.array_equal(lesions.read(3, B), disk(50, 70, 5))
    assert np.array_equal(lesions.read(0, added), disk(10, 80, 4))
    browser.SetSelectedItemNumber(3)
    names = [lesions.proxy.GetSegmentation().GetNthSegment(index).GetName() for index in range(3)]
    assert names == ["Index lesion", "Lesion 2", "Cyst"]
    lesions.proxy.GetSegmentation().RemoveSegment(B)
    assert lesions.missing_on_proxy() == [B]


# --- segments on all frames


def test_rename_and_remove_reach_all_frames_and_the_proxy(lesions: SegmentationSequence, browser: Any) -> None:
    for frame in range(6):
        masks = {A: disk(30, 30, 10), B: disk(50, 70, 5)}
        lesions.write(frame, masks, dict.fromkeys(masks, Origin.MODEL))
    lesions.rename_segment(B, "Läsion links,\n 3 Uhr")
    assert lesions.proxy.GetSegmentation().GetSegment(B).GetName() == "Läsion links, 3 Uhr"
    lesions.remove_segment(A)
    for frame in range(6):
        browser.SetSelectedItemNumber(frame)
        segmentation = lesions.proxy.GetSegmentation()
        assert segmentation.GetNumberOfSegments() == 1
        assert segmentation.GetNthSegment(0).GetName() == "Läsion links, 3 Uhr"
        assert np.array_equal(lesions.read(frame, B), disk(50, 70, 5))


def test_a_segment_added_later_is_on_all_frames(lesions: SegmentationSequence) -> None:
    lesions.write(2, {A: disk(30, 30, 10)}, {A: Origin.MODEL})
    lesions.add_segment(SegmentInfo("x", "X", (0.5, 0.25, 0.125), "terminology"))
    assert lesions.segments()[-1] == SegmentInfo("x", "X", (0.5, 0.25, 0.125), "terminology")
    assert np.array_equal(lesions.read(2, A), disk(30, 30, 10))
    lesions.write(2, {"x": disk(30, 35, 10)}, {"x": Origin.MODEL})
    assert np.array_equal(lesions.read(2, "x"), disk(30, 35, 10))


# --- hazards, and nodes that vanish


def test_save_changes_switched_on_by_someone_loses_nothing(lesions: SegmentationSequence, browser: Any) -> None:
    for frame in range(6):
        lesions.write(frame, {A: disk(30, 10 + 10 * frame, 7)}, {A: Origin.MODEL})
    browser.SetSaveChanges(lesions.sequence, True)
    browser.SetSelectedItemNumber(3)
    lesions.write(3, {B: disk(50, 70, 5)}, {B: Origin.MODEL})
    assert lesions.commit_edit() == []
    found = SegmentationSequence.find(browser)
    assert not browser.GetSaveChanges(found.sequence)
    for frame in (3, 0, 5, 3):
        browser.SetSelectedItemNumber(frame)
        assert np.array_equal(shown(found, A), disk(30, 10 + 10 * frame, 7))
    assert np.array_equal(found.read(3, B), disk(50, 70, 5))
    paint(found.proxy, A, EMPTY, found.geometry)
    assert found.read(3, A).any()  # the proxy is a copy again


def test_a_frame_without_item_shows_no_mask_and_gets_its_item_back(lesions: SegmentationSequence, browser: Any) -> None:
    lesions.write(1, {A: disk(30, 30, 10)}, {A: Origin.MODEL})
    lesions.sequence.RemoveDataNodeAtValue(browser.GetMasterSequenceNode().GetNthIndexValue(2))
    browser.SetSelectedItemNumber(1)
    browser.SetSelectedItemNumber(2)
    assert lesions.proxy.GetSegmentation().GetNumberOfSegments() == 0
    assert lesions.commit_edit() == []
    assert not lesions.read(2, A).any()
    lesions.write(2, {A: disk(40, 40, 10)}, {A: Origin.MODEL})
    assert np.array_equal(lesions.read(2, A), disk(40, 40, 10))
    assert np.array_equal(shown(lesions, A), disk(40, 40, 10))
    assert np.array_equal(lesions.read(1, A), disk(30, 30, 10))


def test_a_deleted_proxy_is_made_again(scene: Any, lesions: SegmentationSequence, browser: Any) -> None:
    lesions.write(2, {A: disk(30, 30, 10)}, {A: Origin.MODEL})
    browser.SetSelectedItemNumber(2)
    scene.RemoveNode(lesions.proxy)
    assert lesions.commit_edit() == []
    assert np.array_equal(shown(lesions, A), disk(30, 30, 10))
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert lesions.proxy.GetNodeReferenceID(role)


def test_deleted_nodes_give_one_sentence(scene: Any) -> None:
    for victim in ("sequence", "master", "browser", "all"):
        browser = add_cine(make_cine())
        lesions = SegmentationSequence.create(browser, [SegmentInfo.numbered(1)])
        gone = {"sequence": lesions.sequence, "master": browser.GetMasterSequenceNode(), "browser": browser}
        scene.Clear(0) if victim == "all" else scene.RemoveNode(gone[victim])
        for call in (
            lambda one=lesions: one.read(0, A),
            lambda one=lesions: one.write(0, {A: EMPTY}, {A: Origin.MODEL}),
            lambda one=lesions: one.commit_edit(),
            lambda one=lesions: one.anchors(),
            lambda one=lesions: one.segments(),
        ):
            with pytest.raises(SceneError):
                call()


def test_rewriting_fifty_times_leaves_no_orphans(scene: Any, lesions: SegmentationSequence) -> None:
    lesions.write(0, {A: disk(30, 30, 10)}, {A: Origin.MODEL})
    nodes, inner = node_ids(scene), lesions.sequence.GetSequenceScene().GetNumberOfNodes()
    for round_ in range(50):
        lesions.write(round_ % 6, {A: disk(30, 10 + round_, 7)}, {A: Origin.MODEL})
    assert node_ids(scene) == nodes
    assert lesions.sequence.GetSequenceScene().GetNumberOfNodes() == inner


def test_other_segmentations_are_never_changed(scene: Any, lesions: SegmentationSequence, browser: Any) -> None:
    own = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Own")
    own.GetSegmentation().AddEmptySegment(A, "same id as ours")
    paint(own, A, disk(20, 20, 6), lesions.geometry)
    theirs = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Theirs")
    master = browser.GetMasterSequenceNode()
    theirs.SetIndexName(master.GetIndexName())
    for frame in range(6):
        theirs.SetDataNodeAtValue(own, master.GetNthIndexValue(frame))
    browser.AddSynchronizedSequenceNode(theirs)
    proxy = browser.GetProxyNode(theirs)
    paint(proxy, A, disk(50, 50, 6), lesions.geometry)  # painted there and not stored
    modified = (own.GetMTime(), theirs.GetMTime())
    for frame in range(6):
        lesions.write(frame, {A: disk(30, 30, 10)}, {A: Origin.MODEL})
    paint(lesions.proxy, A, disk(31, 31, 10), lesions.geometry)
    lesions.commit_edit()
    lesions.rename_segment(A, "new")
    lesions.remove_segment(A)
    assert (own.GetMTime(), theirs.GetMTime()) == modified
    for node, mask in [(own, disk(20, 20, 6)), (proxy, disk(50, 50, 6)), (theirs.GetNthDataNode(3), disk(20, 20, 6))]:
        labelmap = node.GetSegmentation().GetSegment(A).GetRepresentation(BINARY_LABELMAP)
        assert vtk.util.numpy_support.vtk_to_numpy(labelmap.GetPointData().GetScalars()).sum() == mask.sum()
        assert node.GetSegmentation().GetSegment(A).GetName() == "same id as ours"


def test_a_cine_under_a_transform_has_its_lesions_under_it(scene: Any, browser: Any) -> None:
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    browser.GetProxyNode(browser.GetMasterSequenceNode()).SetAndObserveTransformNodeID(transform.GetID())
    lesions = SegmentationSequence.create(browser, [SegmentInfo.numbered(1)])
    browser.SetSelectedItemNumber(3)
    assert lesions.proxy.GetTransformNodeID() == transform.GetID()


def test_unsaved_results_ask_to_be_saved(scene: Any, lesions: SegmentationSequence, tmp_path: Any) -> None:
    assert slicer.util.saveNode(lesions.sequence, str(tmp_path / "x.seq.mrb"), {})
    assert not lesions.sequence.GetModifiedSinceRead()
    lesions.write(2, {A: disk(30, 30, 10)}, {A: Origin.MODEL})
    assert lesions.sequence.GetModifiedSinceRead()


def test_a_closed_scene_frees_its_masks_whoever_still_holds_the_segmentation(scene: Any, browser: Any) -> None:
    lesions = SegmentationSequence.create(browser, [SegmentInfo.numbered(1)])
    watch = vtk.vtkWeakReference()
    watch.Set(lesions.sequence)
    del browser
    scene.Clear(0)
    assert watch.Get() is None
    with pytest.raises(SceneError, match="no longer in the scene"):
        lesions.segments()
