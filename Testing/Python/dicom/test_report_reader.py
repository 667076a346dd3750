"""The numbers of a structured report, laid out in a table."""

from __future__ import annotations

from UltrasoundLesionSegLib.dicom.report_reader import ReportedValue, tabulate_report


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
