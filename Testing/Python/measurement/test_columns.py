import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Calibration, Origin
from UltrasoundLesionSegLib.measurement.columns import (
    FRAME_COLUMNS,
    LESION_COLUMNS,
    FrameRow,
    LesionRow,
    lay_out,
    tabulate,
)
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.lesion import summarize_lesion

MM = Calibration(0.2, 0.1, "made for the test")


def row(calibration=MM, side=10, frame=3, **more):
    mask = np.zeros((60, 60), bool)
    mask[20 : 20 + side, 20 : 20 + side] = True
    return FrameRow(frame, 0.5, "Lesion", measure_frame(mask, np.zeros(mask.shape, np.uint8), calibration, **more))


def lesion(*rows):
    return LesionRow("Lesion", summarize_lesion([one.measurement for one in rows], [one.frame for one in rows]))


def test_names_are_unique_and_carry_their_unit():
    for columns in (FRAME_COLUMNS, LESION_COLUMNS):
        for calibrated in (True, False):
            headers = [column.header(calibrated) for column in columns]
            assert len(set(headers)) == len(headers)
            assert all(header.isascii() and header == header.lower() and " " not in header for header in headers)
        assert len({column.title for column in columns}) == len(columns)
    titles = {column.name: column.header(True) for column in FRAME_COLUMNS}
    assert titles["area"] == "area_mm2"
    assert titles["long_axis_angle"] == "long_axis_angle_deg"
    assert titles["echo_mean"] == "echo_mean_level"


def test_a_calibrated_table_has_no_pixels_and_the_other_way_round():
    calibrated = tabulate(FRAME_COLUMNS, [row()])
    assert calibrated["area_mm2"] == [pytest.approx(2.0)]
    assert calibrated["pixel_row_mm"] == [0.2]
    assert "area_px2" not in calibrated
    pixels = tabulate(FRAME_COLUMNS, [row(None)])
    assert pixels["area_px2"] == [100.0]
    assert pixels["pixel_row_mm"] == [None]
    assert not any(header.endswith(("_mm", "_mm2")) for header in pixels if not header.startswith("pixel_"))


def test_a_mixed_table_keeps_the_units_apart():
    table = tabulate(FRAME_COLUMNS, [row(), row(None)])
    assert table["depth_mm"] == [pytest.approx(2.0), None]
    assert table["depth_px"] == [None, 10.0]
    both = tabulate(LESION_COLUMNS, [lesion(row()), lesion(row(None))])
    assert both["area_mean_px2"] == [None, 100.0]


def test_an_empty_frame_does_not_bring_pixels_in():
    table = tabulate(FRAME_COLUMNS, [row(), row(None, side=0)])
    assert "area_px2" not in table
    assert table["area_mm2"] == [pytest.approx(2.0), 0.0]
    assert table["visible"] == [True, False]
    assert np.isnan(table["long_axis_mm"][1])


def test_every_value_is_a_plain_one():
    anchor = row(confidence=0.25, origin=Origin.MANUAL)
    for columns, rows in ((FRAME_COLUMNS, [anchor, row(side=0)]), (LESION_COLUMNS, [lesion(anchor)])):
        for header, values in tabulate(columns, rows).items():
            assert all(type(value) in (int, float, bool, str, type(None)) for value in values), header
    table = tabulate(FRAME_COLUMNS, [anchor])
    assert (table["anchor"], table["origin"], table["confidence"]) == ([True], ["manual"], [0.25])
    first, second = (table[f"long_axis_end{number}_column_px"][0] for number in (1, 2))
    assert isinstance(first, float)
    assert isinstance(second, float)
    assert first < second


def test_empty_tables_have_headers():
    assert tabulate(FRAME_COLUMNS, [])["area_px2"] == []


def printed(name, one):
    (slot,) = lay_out([column for column in FRAME_COLUMNS if column.name == name], [one])
    return slot.heading, slot.printed(one)


def test_print():
    assert printed("area", row()) == ("Area (mm²)", "2.0")
    assert printed("area", row(None)) == ("Area (px²)", "100.0")
    assert printed("visible", row()) == ("Visible", "yes")
    assert printed("long_axis", row(side=0)) == ("Long axis (mm)", "–")
    assert printed("orientation", row()) == ("Orientation", "not parallel")
    assert printed("pixel_row", row(None)) == ("Pixel height (mm)", "–")
