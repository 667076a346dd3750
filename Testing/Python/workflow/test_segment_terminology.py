"""What a person says in Slicer that a lesion is, and where, is in the DICOM files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_helpers import complaints, write_multiframe
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.dicom import terminology
from UltrasoundLesionSegLib.dicom.body_part import named_organ
from UltrasoundLesionSegLib.dicom.terminology import Code, Terminology
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import BREAST_MASS_TERMINOLOGY, MASS_TERMINOLOGY, SegmentInfo
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.segment_terminology import terminology_of

RIGHT_THYROID_CYST = (
    "Segmentation category and type - DICOM master list"
    "~SCT^49755003^Morphologically Altered Structure~SCT^367643001^Cyst~^^"
    "~Anatomic codes - DICOM master list~SCT^69748006^Thyroid~SCT^24028007^Right"
)


def test_a_new_lesion_is_a_mass_in_no_organ() -> None:
    assert SegmentInfo.numbered(1).terminology == MASS_TERMINOLOGY
    assert terminology_of(MASS_TERMINOLOGY) == Terminology()
    assert Terminology().anatomic_region is None


def test_type_organ_and_side_are_taken() -> None:
    assert terminology_of(RIGHT_THYROID_CYST) == Terminology(
        terminology.MORPHOLOGICALLY_ABNORMAL,
        terminology.CYST,
        Code("69748006", "SCT", "Thyroid"),
        terminology.RIGHT,
    )


@pytest.mark.parametrize("entry", ["", "a terminology", "~^^~^^~^^~~^^~^^", "~SCT~SCT^^Mass~~~^1^~SCT^24028007^Right"])
def test_what_is_not_there_keeps_its_default(entry: str) -> None:
    assert terminology_of(entry) == Terminology()


@pytest.mark.parametrize(
    ("entry", "body_part", "region"),
    [
        (BREAST_MASS_TERMINOLOGY, "THYROID", "69748006"),
        (BREAST_MASS_TERMINOLOGY, "BREAST", "76752008"),
        (BREAST_MASS_TERMINOLOGY, "", "76752008"),
        (BREAST_MASS_TERMINOLOGY, "WHOLE HOUSE", "76752008"),
        (MASS_TERMINOLOGY, "BREAST", "76752008"),
        (MASS_TERMINOLOGY, "THYROID", "69748006"),
        (RIGHT_THYROID_CYST, "LIVER", "69748006"),
    ],
)
def test_where_nobody_chose_an_organ_it_is_that_of_the_source(entry: str, body_part: str, region: str) -> None:
    assert terminology_of(entry, body_part).anatomic_region.value == region


@pytest.mark.parametrize("body_part", ["", "WHOLE HOUSE"])
def test_an_organ_that_nobody_names_is_not_guessed(body_part: str) -> None:
    assert terminology_of(MASS_TERMINOLOGY, body_part).anatomic_region is None


def propagated(logic: UltrasoundLesionWorkflow, folder: Path, **header: str) -> Any:
    """Return a browser with a lesion on all frames of a cine whose DICOM header has these values."""
    frames = np.zeros((3, 64, 80), np.uint8)
    frames[:, 20:40, 30:50] = 200
    write_multiframe(folder / "cine.dcm", frames, **header)
    browser = logic.loadCine(folder / "cine.dcm")
    logic.setSeed(browser, frames[0] > 100, frame=0)
    logic.propagate(browser)
    return browser


def test_where_neither_file_nor_user_names_an_organ_seg_and_sr_name_none(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork, tmp_path: Path
) -> None:
    job = logic.exportJob(propagated(logic, tmp_path), tmp_path / "out")
    job.write(("seg", "sr"))
    (item,) = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").SegmentSequence
    assert item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Mass"
    assert "AnatomicRegionSequence" not in item
    report = str(pydicom.dcmread(tmp_path / "out" / "measurements.dcm"))
    assert "Diagnostic ultrasonography" in report
    assert "reast" not in report
    assert "Finding Site" not in report
    assert complaints(tmp_path / "out" / "segmentation.dcm") == complaints(tmp_path / "out" / "measurements.dcm") == []
    assert "name it with --body-part" in job.organ_note


@pytest.mark.parametrize(("header", "note"), [({}, ""), ({"BodyPartExamined": "HEART"}, "is the heart, but you named")])
def test_the_organ_that_a_user_names_is_in_seg_and_sr(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork, tmp_path: Path, header: dict[str, str], note: str
) -> None:
    job = logic.exportJob(propagated(logic, tmp_path, **header), tmp_path / "out", body_part="thyroid")
    job.write(("seg", "sr"))
    (item,) = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").SegmentSequence
    assert item.AnatomicRegionSequence[0].CodeMeaning == "Thyroid"
    assert "Thyroid" in str(pydicom.dcmread(tmp_path / "out" / "measurements.dcm"))
    assert note in job.organ_note
    assert bool(note) == bool(job.organ_note)


def test_an_organ_without_a_code_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(
        OutputError, match=r"'WHOLE HOUSE' has no code here .* give BLADDER, BREAST, .* or leave it out"
    ):
        named_organ("whole house")
    assert (named_organ(" thyroid "), named_organ("")) == ("THYROID", "")


def test_a_lesion_of_another_organ_is_not_called_one_of_the_breast(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork, tmp_path: Path
) -> None:
    browser = propagated(logic, tmp_path, BodyPartExamined="LIVER")
    logic.export(browser, tmp_path / "out", ("seg", "sr"))
    (item,) = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").SegmentSequence
    assert item.AnatomicRegionSequence[0].CodeMeaning == "Liver"
    report = str(pydicom.dcmread(tmp_path / "out" / "measurements.dcm"))
    assert "Liver" in report
    assert "reast" not in report


def test_what_was_chosen_in_the_editor_is_in_seg_and_sr(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork, tmp_path: Path
) -> None:
    frames = np.zeros((3, 64, 80), np.uint8)
    frames[:, 20:40, 30:50] = 200
    write_multiframe(tmp_path / "cine.dcm", frames)
    browser = logic.loadCine(tmp_path / "cine.dcm")
    (segment,) = logic.setSeed(browser, frames[0] > 100, frame=0)
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    sequence.proxy.GetSegmentation().GetSegment(segment).SetTag("TerminologyEntry", RIGHT_THYROID_CYST)
    logic.propagate(browser)
    logic.export(browser, tmp_path / "out", ("seg", "sr"))

    (item,) = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").SegmentSequence
    assert item.SegmentedPropertyTypeCodeSequence[0].CodeValue == "367643001"
    (region,) = item.AnatomicRegionSequence
    assert region.CodeMeaning == "Thyroid"
    assert region.AnatomicRegionModifierSequence[0].CodeMeaning == "Right"
    report = str(pydicom.dcmread(tmp_path / "out" / "measurements.dcm"))
    assert "Thyroid" in report
    assert "Breast" not in report
