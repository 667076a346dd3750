"""DICOM objects written from the panel: SEG, both classes of SR, and what Slicer's DICOM database is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from dicom_helpers import speckle, write_multiframe
from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage


@pytest.fixture
def drawn(database: Any, user: Any, tmp_path: Path) -> Any:
    """A DICOM cine with a drawn lesion, chosen in the panel, and a folder to export to."""
    logic = user.module.widget.logic
    browser = logic.loadCine(write_multiframe(tmp_path / "cine.dcm", speckle(6, 48, 64)))
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:45] = True
    logic.setSeed(browser, mask, 1)
    user.choose("browserSelector", browser.GetName())
    user.see("exportCollapsibleButton").setProperty("collapsed", False)
    user.see("exportFolderButton").setProperty("directory", str(tmp_path / "out"))
    return user


def sop_classes(folder: Path) -> set[str]:
    return {str(dcmread(path, stop_before_pixels=True).SOPClassUID) for path in folder.glob("measurements*.dcm")}


@pytest.mark.parametrize("is_3d", [False, True])
def test_the_class_of_the_report_is_the_one_chosen(drawn: Any, tmp_path: Path, is_3d: bool) -> None:
    if is_3d:
        drawn.click("sr3dCheckBox")
    drawn.click("exportButton")
    assert sop_classes(tmp_path / "out") == {str(Comprehensive3DSRStorage if is_3d else ComprehensiveSRStorage)}


def test_nothing_goes_into_the_database_unasked(drawn: Any, tmp_path: Path) -> None:
    drawn.click("exportButton")
    assert not (tmp_path / "database").exists()
    assert "database" not in drawn.read("exportMessageLabel")


def test_seg_and_report_go_into_the_database_on_wish_and_are_offered_there(
    drawn: Any, database: Any, tmp_path: Path
) -> None:
    drawn.click("addToDatabaseCheckBox")
    drawn.click("exportButton")
    copies = sorted((tmp_path / "database").iterdir())
    assert {dcmread(copy, stop_before_pixels=True).Modality for copy in copies} == {"SEG", "SR"}
    assert "SEG and SR are in Slicer's DICOM database" in drawn.read("exportMessageLabel")
    assert database.displayed == {str(copy) for copy in copies}
    plugin = slicer.modules.dicomPlugins["UltrasoundLesionSegDICOMPlugin"]()
    offered = plugin.examineForImport([[str(copy)] for copy in copies])
    assert {offer.kind for offer in offered} == {"segmentation", "report"}


def test_a_database_that_takes_nothing_is_told(drawn: Any, database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "insert", lambda _file: None)
    drawn.click("addToDatabaseCheckBox")
    drawn.click("exportButton")
    assert "did not take the files" in drawn.read("exportMessageLabel")


def test_a_segmentation_alone_is_not_said_to_have_a_report_with_it(drawn: Any, database: Any) -> None:
    drawn.click("exportSrCheckBox")
    drawn.click("addToDatabaseCheckBox")
    drawn.click("exportButton")
    assert "SEG is in Slicer's DICOM database." in drawn.read("exportMessageLabel")


def test_an_error_of_the_database_is_told_beside_what_was_written(
    drawn: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: str) -> None:
        raise OSError("no room in /Doe^Jane")

    monkeypatch.setattr(database, "insert", refuse)
    drawn.click("addToDatabaseCheckBox")
    drawn.click("exportButton")
    said = drawn.read("exportMessageLabel")
    assert "DICOM SEG: segmentation.dcm" in said
    assert "Something unexpected went wrong (OSError)" in said
    assert "Doe" not in said


@pytest.mark.parametrize("kind", ["closed", "none"])
def test_without_a_database_it_is_not_offered(
    drawn: Any, database: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    assert drawn.see("addToDatabaseCheckBox").isEnabled()
    if kind == "closed":
        monkeypatch.setattr(database, "isOpen", False)
    else:
        monkeypatch.delattr(slicer, "dicomDatabase")
    drawn.module.widget.panel.busy_changed()
    assert not drawn.see("addToDatabaseCheckBox").isEnabled()


def test_a_cine_of_another_source_has_neither(discs: Any, database: Any) -> None:
    discs.user.see("exportCollapsibleButton").setProperty("collapsed", False)
    for box in ("sr3dCheckBox", "addToDatabaseCheckBox"):
        assert not discs.user.see(box).isEnabled()
