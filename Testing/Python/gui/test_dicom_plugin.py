"""The module's plugin for Slicer's DICOM browser: which objects it offers to load, how surely, and what it loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from dicom_helpers import speckle, ultrasound_header, write_multiframe, write_series
from pydicom import dcmread
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)
from standins.dicom_database import Database

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

CT_IMAGE, ENHANCED_US_VOLUME = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.6.2"


@pytest.fixture
def plugin(module: Any, database: Database) -> Any:
    """The plugin as Slicer's DICOM browser finds it."""
    return slicer.modules.dicomPlugins["UltrasoundLesionSegDICOMPlugin"]()


@pytest.fixture
def cine_file(tmp_path: Path) -> Path:
    return write_multiframe(tmp_path / "cine.dcm", speckle(6, 48, 64))


@pytest.fixture
def exported(cine_file: Path, tmp_path: Path, session: Any) -> tuple[Path, Path, np.ndarray]:
    """SEG and SR of a lesion on two frames of the cine; the scene is empty again."""
    logic = UltrasoundLesionWorkflow()
    browser = logic.loadCine(cine_file)
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:45] = True
    for frame in (1, 4):
        logic.setSeed(browser, mask, frame)
    files = logic.export(browser, tmp_path / "out", ("seg", "sr"))
    slicer.mrmlScene.Clear(0)
    found = {dcmread(path, stop_before_pixels=True).Modality: path for path in files}
    return found["SEG"], found["SR"], mask


def load_as_the_browser_does(plugins: list[Any], file_lists: list[list[str]]) -> list[str]:
    from DICOMLib import load_as_the_browser_does  # found while the session is in place, as Slicer's own is

    return load_as_the_browser_does(plugins, file_lists)


def offers(plugin: Any, *paths: Path) -> list[Any]:
    for path in paths:
        slicer.dicomDatabase.remember(path)
    return plugin.examineForImport([[str(path) for path in paths]])


def shown_table() -> Any:
    """The only table in the scene that a user can choose."""
    (node,) = (one for one in slicer.util.getNodesByClass("vtkMRMLTableNode") if not one.GetHideFromEditors())
    return node


def rows_of(table: Any, column: str) -> list[str]:
    return [table.GetColumnByName(column).GetValue(row) for row in range(table.GetNumberOfRows())]


def browsers() -> list[Any]:
    return slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")


def test_the_database_stand_in_has_nothing_that_ctk_lacks(facts: Any) -> None:
    known = facts.widget_class("ctkDICOMDatabase")
    assert all(known.knows(name) for name in vars(Database) if not name.startswith("_") and name != "remember")


def test_a_cine_is_offered_surer_than_by_slicer_and_loaded_with_its_times(plugin: Any, cine_file: Path) -> None:
    (offer,) = offers(plugin, cine_file)
    assert offer.selected
    assert offer.confidence > 0.95
    assert "Doe" not in offer.name + offer.tooltip
    assert plugin.load(offer)
    (browser,) = browsers()
    cine = UltrasoundLesionWorkflow().cine(browser)
    assert len(cine) == 6
    np.testing.assert_allclose(cine.timing.seconds, np.arange(6) * 0.04)
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    assert plugin.in_hierarchy == [volume]
    shown = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID()
    assert shown == volume.GetID()
    assert slicer.modules.sequences.toolBar().activeBrowserNode() is browser


def test_single_pictures_are_offered_as_a_cine_but_not_ticked(plugin: Any, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", speckle(5, 48, 64))
    (offer,) = offers(plugin, *sorted(folder.iterdir()))
    assert not offer.selected
    assert offer.confidence < 0.2, "the browser ticks the surest of a series: Slicer's single volume is this sure"
    assert plugin.load(offer)
    assert len(UltrasoundLesionWorkflow().cine(browsers()[0])) == 5


def write_other(path: Path, sop_class: str, **attributes: Any) -> Path:
    header = ultrasound_header(speckle(3, 8, 8), sop_class, NumberOfFrames=3, **attributes)
    header.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("sop_class", "attributes"),
    [
        (CT_IMAGE, {}),
        (ENHANCED_US_VOLUME, {}),
        (UltrasoundMultiFrameImageStorage, {"ManufacturerModelName": "Invenia"}),
        ("1.2.840.10008.5.1.4.1.1.66.4", {}),
        ("1.2.840.10008.5.1.4.1.1.88.33", {"ManufacturerModelName": "Other"}),
    ],
    ids=["CT", "ultrasound volume", "automated breast ultrasound", "SEG that says nothing", "others' SR"],
)
def test_other_objects_are_left_to_slicer(
    plugin: Any, tmp_path: Path, sop_class: str, attributes: dict[str, Any]
) -> None:
    assert offers(plugin, write_other(tmp_path / "other.dcm", sop_class, **attributes)) == []


def test_a_single_picture_is_left_to_slicer(plugin: Any, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", speckle(1, 48, 64))
    assert offers(plugin, *folder.iterdir()) == []


def test_another_programs_segmentation_of_other_images_is_left_to_slicer(
    plugin: Any, exported: tuple[Path, Path, np.ndarray], tmp_path: Path
) -> None:
    seg, _, _ = exported
    dataset = dcmread(seg)
    for series in dataset.ReferencedSeriesSequence:
        for one in series.ReferencedInstanceSequence:
            one.ReferencedSOPClassUID = CT_IMAGE
    dataset.ManufacturerModelName = "Other"
    dataset.save_as(tmp_path / "ct_seg.dcm")
    assert offers(plugin, tmp_path / "ct_seg.dcm") == []


@pytest.mark.parametrize("cine_is_in_the_scene", [True, False])
def test_a_segmentation_goes_into_its_cine(
    plugin: Any, exported: tuple[Path, Path, np.ndarray], cine_file: Path, cine_is_in_the_scene: bool
) -> None:
    seg, _, mask = exported
    (cine,) = offers(plugin, cine_file)
    if cine_is_in_the_scene:
        assert plugin.load(cine)
    offer = offers(plugin, seg)[-1]
    assert offer.confidence > 0.95
    assert plugin.load(offer)
    (browser,) = browsers()
    logic = UltrasoundLesionWorkflow()
    (segment,) = logic.anchors(browser)
    assert logic.anchors(browser)[segment] == [1, 4]
    sequence = logic._find_sequence(browser)
    np.testing.assert_array_equal(sequence.read(4, segment), mask)
    assert sequence.origin(4, segment) is Origin.MANUAL


def test_a_segmentation_whose_cine_is_nowhere_is_told_in_one_sentence(
    plugin: Any, exported: tuple[Path, Path, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    seg, _, _ = exported
    (offer,) = offers(plugin, seg)
    assert not plugin.load(offer)
    assert "the cine of the segmentation is not in the DICOM database; import it first" in caplog.text
    assert browsers() == []


@pytest.mark.parametrize("chosen", ["segmentation", "segmentation and cine", "cine, then segmentation"])
def test_the_browser_loads_a_segmentation_and_its_cine_once_each(
    plugin: Any, exported: tuple[Path, Path, np.ndarray], cine_file: Path, chosen: str
) -> None:
    seg = str(exported[0])
    for path in (cine_file, exported[0]):
        slicer.dicomDatabase.remember(path)
    if chosen == "cine, then segmentation":
        load_as_the_browser_does([plugin], [[str(cine_file)]])
    both = [[seg], [str(cine_file)]] if chosen == "segmentation and cine" else [[seg]]
    assert len(load_as_the_browser_does([plugin], both)) == 2
    (browser,) = browsers()
    assert list(UltrasoundLesionWorkflow().anchors(browser).values()) == [[1, 4]]


def test_slicer_has_no_reason_to_ask_for_the_cine_of_a_segmentation(
    plugin: Any, exported: tuple[Path, Path, np.ndarray], cine_file: Path
) -> None:
    slicer.dicomDatabase.remember(cine_file)
    found = offers(plugin, exported[0])
    assert [str(cine_file)] in [one.files for one in found]
    assert not any(hasattr(one, "referencedInstanceUIDs") for one in found)


def test_the_cine_of_single_pictures_is_whole_although_only_some_are_segmented(
    plugin: Any, tmp_path: Path, session: Any
) -> None:
    pictures = sorted(write_series(tmp_path / "series", speckle(5, 48, 64)).iterdir())
    logic = UltrasoundLesionWorkflow()
    browser = logic.loadCine(tmp_path / "series")
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:45] = True
    logic.setSeed(browser, mask, 2)
    (seg,) = logic.export(browser, tmp_path / "out", ("seg",))
    slicer.mrmlScene.Clear(0)
    for path in (*pictures, seg):
        slicer.dicomDatabase.remember(path)
    load_as_the_browser_does([plugin], [[str(seg)]])
    (browser,) = browsers()
    assert len(logic.cine(browser)) == 5
    assert list(logic.anchors(browser).values()) == [[2]]


def export_of_a_folder(folder: Path, output: Path, frames: Sequence[int]) -> tuple[Path, Path, list[str]]:
    """SEG and SR of a lesion on these frames of a folder's cine, and the cine's instances; the scene is empty again."""
    logic = UltrasoundLesionWorkflow()
    browser = logic.loadCine(folder)
    cine = logic.cine(browser)
    mask = np.zeros(cine.shape, bool)
    mask[10:30, 20:45] = True
    for frame in frames:
        logic.setSeed(browser, mask, frame)
    files = {dcmread(path).Modality: path for path in logic.export(browser, output, ("seg", "sr"))}
    slicer.mrmlScene.Clear(0)
    return files["SEG"], files["SR"], list(cine.identity.sop_instance_uids)


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """A folder of Secondary Capture images of which the names alone tell the order, as after some anonymisers."""
    brighter = speckle(1, 48, 64) // 2 + 10 * np.arange(12, dtype=np.uint8)[:, None, None]
    folder = write_series(tmp_path / "captures", brighter, Modality="OT")
    for number, path in zip(sorted(range(12), key=str), sorted(folder.iterdir()), strict=True):
        picture = dcmread(path)
        picture.SOPClassUID = picture.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        picture.InstanceNumber = number
        picture.save_as(path)
    return folder


def loaded_by_the_browser(plugin: Any, seg: Path) -> tuple[list[str], list[int]]:
    """Instances of the cine that comes with a segmentation, in order, and the frames of its only lesion."""
    load_as_the_browser_does([plugin], [[str(seg)]])
    (browser,) = browsers()
    logic = UltrasoundLesionWorkflow()
    (anchors,) = logic.anchors(browser).values()
    return list(logic.cine(browser).identity.sop_instance_uids), anchors


@pytest.mark.parametrize("series", ["one", "one for each picture"])
def test_our_segmentation_of_other_images_goes_into_the_cine_that_their_folder_gives(
    plugin: Any, captures: Path, tmp_path: Path, series: str
) -> None:
    frames = [4, 9]
    if series == "one for each picture":
        frames = list(range(12))
        for path in captures.iterdir():
            picture = dcmread(path)
            picture.SeriesInstanceUID = generate_uid()
            picture.save_as(path)
    seg, _, uids = export_of_a_folder(captures, tmp_path / "out", frames)
    for path in [seg, *sorted(captures.iterdir(), reverse=True)]:
        slicer.dicomDatabase.remember(path)
    assert uids == [slicer.dicomDatabase.instanceForFile(str(path)) for path in sorted(captures.iterdir())]
    assert loaded_by_the_browser(plugin, seg) == (uids, frames)


def test_copies_in_the_database_are_in_the_order_of_our_segmentation(
    plugin: Any, captures: Path, tmp_path: Path
) -> None:
    seg, _, uids = export_of_a_folder(captures, tmp_path / "out", range(12))
    for path in captures.iterdir():
        slicer.dicomDatabase.insert(str(path))  # the copy is named by its instance
    slicer.dicomDatabase.remember(seg)
    assert loaded_by_the_browser(plugin, seg) == (uids, list(range(12)))


def test_our_segmentation_of_a_multi_frame_object_of_another_class_brings_that_object(
    plugin: Any, cine_file: Path, tmp_path: Path
) -> None:
    cine = dcmread(cine_file)
    cine.SOPClassUID = cine.file_meta.MediaStorageSOPClassUID = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    cine.save_as(cine_file)
    seg, _, uids = export_of_a_folder(cine_file, tmp_path / "out", [2])
    for path in (cine_file, seg):
        slicer.dicomDatabase.remember(path)
    assert loaded_by_the_browser(plugin, seg) == (uids, [2])


def test_our_segmentation_goes_into_a_cine_of_the_scene_that_the_database_lacks(
    plugin: Any, captures: Path, tmp_path: Path
) -> None:
    seg, _, uids = export_of_a_folder(captures, tmp_path / "out", [4, 9])
    UltrasoundLesionWorkflow().loadCine(captures)
    slicer.dicomDatabase.remember(seg)
    assert loaded_by_the_browser(plugin, seg) == (uids, [4, 9])


def test_the_real_breast_series_comes_back_from_the_database(plugin: Any, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "cine" / "breast_series_dicom"
    seg, report, uids = export_of_a_folder(folder, tmp_path / "out", [20, 21, 100])
    for path in [seg, report, *folder.glob("*.dcm")]:
        slicer.dicomDatabase.remember(path)
    assert loaded_by_the_browser(plugin, seg) == (uids, [20, 21, 100])
    load_as_the_browser_does([plugin], [[str(report)]])
    assert rows_of(shown_table().GetTable(), "Frame") == ["20", "21", "100", "all"]


def test_a_cine_that_is_in_the_scene_is_not_loaded_a_second_time(plugin: Any, cine_file: Path) -> None:
    slicer.dicomDatabase.remember(cine_file)
    for _ in range(2):
        assert len(load_as_the_browser_does([plugin], [[str(cine_file)]])) == 1
    assert len(browsers()) == 1


def test_what_is_loaded_is_chosen_in_the_panel(plugin: Any, discs: Any, cine_file: Path) -> None:
    assert discs.user.module.widget.panel.browser is discs.browser
    slicer.dicomDatabase.remember(cine_file)
    load_as_the_browser_does([plugin], [[str(cine_file)]])
    loaded = next(one for one in browsers() if one is not discs.browser)
    assert discs.user.module.widget.panel.browser is loaded
    assert discs.user.see("browserSelector").currentNode() is loaded


def test_the_panel_shows_the_lesions_of_a_segmentation_just_loaded(
    plugin: Any, user: Any, exported: tuple[Path, Path, np.ndarray], cine_file: Path
) -> None:
    for path in (cine_file, exported[0]):
        slicer.dicomDatabase.remember(path)
    load_as_the_browser_does([plugin], [[str(exported[0])]])
    assert user.see("segmentEditor").segmentationNode() is not None
    assert user.see("segmentEditor").isEnabled()
    assert "frames 1, 4" in user.read("anchorsLabel")


def test_a_propagation_goes_on_while_another_cine_is_loaded(
    plugin: Any, discs: Any, cine_file: Path, bright_model: Any
) -> None:
    discs.draw(0, discs.truth[0, 0])
    discs.user.click("propagateButton")
    discs.user.wait_until(lambda: bright_model.segmented > 0)
    slicer.dicomDatabase.remember(cine_file)
    load_as_the_browser_does([plugin], [[str(cine_file)]])
    panel = discs.user.module.widget.panel
    assert panel.busy
    assert panel.browser is discs.browser
    discs.user.wait_until(lambda: not panel.busy)


def test_our_report_becomes_a_table(plugin: Any, exported: tuple[Path, Path, np.ndarray]) -> None:
    _, report, mask = exported
    (offer,) = offers(plugin, report)
    assert offer.confidence > 0.95
    assert plugin.load(offer)
    node = shown_table()
    assert slicer.app.applicationLogic().GetSelectionNode().GetActiveTableID() == node.GetID()
    table = node.GetTable()
    names = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    assert names[:2] == ["Lesion", "Frame"]
    assert rows_of(table, "Frame") == ["1", "4", "all"]
    areas = [name for name in names if name.startswith("Area") and "," not in name]
    assert float(table.GetColumnByName(areas[0]).GetValue(0)) == pytest.approx(mask.sum())
    assert rows_of(table, areas[0])[2] == "–"  # the row over the cine has no area of one frame
    cells = [cell for name in names for cell in rows_of(table, name)]
    assert not any("nan" in text for text in (*names, *cells))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("CINE", "CINE_WITH_TABLE"),
        ("CINE_WITH_TABLE", "CINE_WITH_TABLE"),
        ("CINE_WITH_CHARTS", "CINE_WITH_CHARTS"),
        ("SlicerLayoutDicomBrowserView", "CINE_WITH_TABLE"),
        ("SlicerLayoutFourUpView", "SlicerLayoutFourUpTableView"),
    ],
)
def test_our_report_is_shown_beside_one_large_view_unless_the_user_has_other_views(
    plugin: Any, exported: tuple[Path, Path, np.ndarray], before: str, after: str
) -> None:
    from UltrasoundLesionSegLib.gui import view_layout

    def number(name: str) -> int:
        return int(getattr(view_layout if name.startswith("CINE") else slicer.vtkMRMLLayoutNode, name))

    manager = slicer.app.layoutManager()
    view_layout.register()
    manager.setLayout(number(before))
    (offer,) = offers(plugin, exported[1])
    assert plugin.load(offer)
    assert manager.layout == number(after)
    assert "vtkMRMLTableViewNode" in manager.layoutLogic().GetLayoutNode().GetCurrentLayoutDescription()


def test_the_window_is_repainted_between_the_numbers_of_a_report(
    plugin: Any, exported: tuple[Path, Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from UltrasoundLesionSegLib.gui import repainting

    repainted: list[Any] = []
    (offer,) = offers(plugin, exported[1])
    monkeypatch.setattr(repainting, "REPAINTED_EVERY_S", 0.0)
    monkeypatch.setattr(repainting, "repaint", lambda: repainted.append(1))
    assert plugin.load(offer)
    assert len(repainted) >= 2 * 6, "two frames of a lesion, with six quantities each"


def test_the_window_is_repainted_between_the_masks_of_a_segmentation(
    plugin: Any, exported: tuple[Path, Path, np.ndarray], cine_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from UltrasoundLesionSegLib.gui import repainting

    repainted: list[Any] = []
    for path in (cine_file, exported[0]):
        slicer.dicomDatabase.remember(path)
    cine, segmentation = offers(plugin, exported[0])
    assert plugin.load(cine)
    monkeypatch.setattr(repainting, "REPAINTED_EVERY_S", 0.0)
    monkeypatch.setattr(repainting, "repaint", lambda: repainted.append(1))
    assert plugin.load(segmentation)
    assert len(repainted) == 2 * 2, "a lesion is on two frames: each is read, then stored"


def test_the_window_is_repainted_between_the_frames_of_a_cine(
    plugin: Any, cine_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from UltrasoundLesionSegLib.gui import repainting

    repainted: list[Any] = []
    process = slicer.app.processEvents
    monkeypatch.setattr(slicer.app, "processEvents", lambda *flags: (repainted.append(flags), process(*flags)))
    (offer,) = offers(plugin, cine_file)
    monkeypatch.setattr(repainting, "REPAINTED_EVERY_S", 1e9)
    assert plugin.load(offer)
    often, repainted[:] = len(repainted), []
    slicer.mrmlScene.Clear(0)
    monkeypatch.setattr(repainting, "REPAINTED_EVERY_S", 0.0)
    assert plugin.load(offer)
    assert len(repainted) >= often + 6
    assert [browser.GetNumberOfItems() for browser in browsers()] == [6]
