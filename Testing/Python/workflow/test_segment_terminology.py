"""What a person says in Slicer that a lesion is, and where, is in the DICOM files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_helpers import write_multiframe
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.dicom import terminology
from UltrasoundLesionSegLib.dicom.terminology import Code, Terminology
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import BREAST_MASS_TERMINOLOGY
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.segment_terminology import terminology_of

RIGHT_THYROID_CYST = (
    "Segmentation category and type - DICOM master list"
    "~SCT^49755003^Morphologically Altered Structure~SCT^367643001^Cyst~^^"
    "~Anatomic codes - DICOM master list~SCT^69748006^Thyroid~SCT^24028007^Right"
)


def test_a_new_lesion_is_a_mass_of_the_breast() -> None:
    assert terminology_of(BREAST_MASS_TERMINOLOGY) == Terminology()


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
        (RIGHT_THYROID_CYST, "LIVER", "69748006"),
    ],
)
def test_where_nobody_chose_an_organ_it_is_that_of_the_source(entry: str, body_part: str, region: str) -> None:
    assert terminology_of(entry, body_part).anatomic_region.value == region


def test_a_lesion_of_another_organ_is_not_called_one_of_the_breast(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork, tmp_path: Path
) -> None:
    frames = np.zeros((3, 64, 80), np.uint8)
    frames[:, 20:40, 30:50] = 200
    write_multiframe(tmp_path / "cine.dcm", frames, BodyPartExamined="LIVER")
    browser = logic.loadCine(tmp_path / "cine.dcm")
    logic.setSeed(browser, frames[0] > 100, frame=0)
    logic.propagate(browser)
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
