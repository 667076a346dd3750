"""The numbers of a structured report, laid out in a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_helpers import describe

from UltrasoundLesionSegLib.dicom.report_reader import ReportedValue, read_report, tabulate_report
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.dicom.structured_report import write_measurement_report
from UltrasoundLesionSegLib.measurement.frame import measure_frame


def test_a_column_is_a_quantity_with_its_unit_and_a_row_a_frame_of_a_lesion() -> None:
    values = [
        ReportedValue("1", 0, "Area", "mm2", 12.5),
        ReportedValue("1", 0, "Long axis", "{pixels}", 7.0),
        ReportedValue("1", None, "Area", "mm2", 13.0),
        ReportedValue("1", None, "Circularity", "1", 0.5),
    ]
    assert tabulate_report(values) == {
        "Lesion": ["1", "1"],
        "Frame": ["0", "all"],
        "Area (mm²)": [12.5, 13.0],
        "Long axis (pixels)": [7.0, None],
        "Circularity": [None, 0.5],
    }


@pytest.mark.parametrize("kind", ["series", "multiframe"])
def test_a_row_is_a_frame_of_the_cine_although_the_first_ones_have_no_lesion(
    make_cine, tmp_path: Path, kind: str
) -> None:
    cine = make_cine(kind)
    masks = np.zeros((len(cine), 1, *cine.shape), bool)
    for frame in (2, 3, 5):
        masks[frame, 0, 10 : 20 + frame, 20:40] = True
    source, lesions = DicomSource.from_cine(cine), [describe(cine, 1)]
    written = write_segmentation(tmp_path / "seg.dcm", source, lesions, masks)
    measured = {frame: measure_frame(masks[frame, 0], picture, None) for frame, picture in enumerate(cine)}
    write_measurement_report(tmp_path / "sr.dcm", source, written, lesions, [measured])
    table = tabulate_report(read_report(tmp_path / "sr.dcm"))
    assert table["Frame"] == ["2", "3", "5", "all"]
    (area,) = (heading for heading in table if heading.startswith("Area") and "," not in heading)
    assert table[area] == [masks[frame].sum() for frame in (2, 3, 5)] + [None]


@pytest.mark.parametrize(
    ("identifiers", "shown"),
    [
        (None, ["Lesion 1", "Lesion 2"]),  # ours, which hold the digest of the cine
        (("Left breast, 3 o'clock", "2"), ["Left breast, 3 o'clock", "2"]),
        (("1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2"), ["Lesion 1", "Lesion 2"]),
        (("Cyst", " "), ["Cyst", "Lesion 1"]),
    ],
)
def test_a_lesion_has_the_name_that_a_person_gave_and_no_identifier_of_a_program(
    make_cine, tmp_path: Path, identifiers: tuple[str, str] | None, shown: list[str]
) -> None:
    cine = make_cine("multiframe")
    masks = np.zeros((len(cine), 2, *cine.shape), bool)
    masks[:2, 0, 10:20, 20:40] = masks[:2, 1, 30:40, 20:40] = True
    lesions = [describe(cine, number) for number in (1, 2)]
    if identifiers is not None:
        lesions = [replace(one, tracking_id=text) for one, text in zip(lesions, identifiers, strict=True)]
    source = DicomSource.from_cine(cine)
    written = write_segmentation(tmp_path / "seg.dcm", source, lesions, masks)
    measured = [
        {frame: measure_frame(masks[frame, lesion], cine.frames[frame], None) for frame in (0, 1)} for lesion in (0, 1)
    ]
    write_measurement_report(tmp_path / "sr.dcm", source, written, lesions, measured)
    table = tabulate_report(read_report(tmp_path / "sr.dcm"))
    assert list(dict.fromkeys(table["Lesion"])) == shown
    assert len(table["Lesion"]) == 6, "each lesion on two frames and over the cine"
