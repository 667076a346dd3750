import csv

import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Calibration, Origin
from UltrasoundLesionSegLib.measurement.columns import FrameRow, LesionRow
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.lesion import summarize_lesion
from UltrasoundLesionSegLib.writers.tables import write_frame_table, write_lesion_table


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    frame = random.integers(0, 255, (60, 80)).astype(np.uint8)
    made = []
    for index, side in enumerate((12, 0, 17)):
        mask = np.zeros(frame.shape, bool)
        mask[20 : 20 + side, 30 : 30 + side + index] = True
        calibration = Calibration(1 / 7, 1 / 11, "made for the test")
        origin = Origin.MANUAL if index == 0 else Origin.MODEL
        measured = measure_frame(mask, frame, calibration, confidence=1 / 3, origin=origin)
        made.append(FrameRow(index, index / 30, 'Lesion, "left"', measured))
    return made


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_number_reads_back_exactly(tmp_path, rows):
    found = read(write_frame_table(tmp_path / "measurements.csv", rows))
    assert len(found) == 3
    for line, row in zip(found, rows, strict=True):
        assert int(line["frame"]) == row.frame
        assert float(line["time_s"]) == row.seconds
        assert line["segment"] == 'Lesion, "left"'
        assert float(line["area_mm2"]) == row.measurement.area
        assert float(line["confidence"]) == 1 / 3
        if row.is_visible:
            assert float(line["long_axis_mm"]) == row.measurement.long_axis
            assert float(line["perimeter_mm"]) == row.measurement.perimeter
            assert float(line["long_axis_end2_row_px"]) == row.measurement.long_axis_ends[1][0]
            assert line["orientation"] == row.measurement.orientation.value
    assert [line["visible"] for line in found] == ["true", "false", "true"]
    assert [line["anchor"] for line in found] == ["true", "false", "false"]
    assert found[1]["long_axis_mm"] == found[1]["orientation"] == found[1]["centroid_row_px"] == ""


def test_lesions(tmp_path, rows):
    summary = summarize_lesion([row.measurement for row in rows], [row.frame for row in rows])
    (line,) = read(write_lesion_table(tmp_path / "lesions.csv", [LesionRow("Lesion", summary)]))
    assert float(line["area_maximum_mm2"]) == summary.area.maximum
    assert float(line["long_axis_sd_mm"]) == summary.long_axis.sd
    assert line["largest_area_frame"] == "2"
    assert line["time_visible_s"] == ""
    assert "right angle" in line["note"]


def test_no_frames_give_a_header_alone(tmp_path):
    text = write_frame_table(tmp_path / "measurements.csv", []).read_bytes()
    assert text.startswith(b"frame,time_s,segment,visible,area_px2,")
    assert text.count(b"\r\n") == 1
