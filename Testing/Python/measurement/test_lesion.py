import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Calibration, Origin, Timing
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.lesion import Spread, summarize_lesion, time_on_screen

MM = Calibration(0.1, 0.1, "made for the test")


def square(side, calibration=MM, at=10, **more):
    mask = np.zeros((80, 80), bool)
    mask[at : at + side, at : at + side] = True
    return measure_frame(mask, np.zeros(mask.shape, np.uint8), calibration, **more)


def test_summary_of_a_clip():
    sides = [10, 20, 0, 30, 20]
    found = summarize_lesion(
        [square(side, confidence=0.5 + side / 100, origin=Origin.MODEL) for side in sides],
        [4, 5, 6, 7, 8],
        Timing(np.arange(20, dtype=np.float64) * 0.05, "made for the test"),
    )
    assert found.is_calibrated
    assert (found.frames_measured, found.frames_visible, found.frames_left_out, found.frames_anchored) == (5, 4, 0, 0)
    assert found.time_visible == pytest.approx(4 * 0.05)
    assert found.largest_area_frame == found.largest_long_axis_frame == 7
    assert found.area.maximum == pytest.approx(9.0)
    assert found.area.mean == pytest.approx(np.mean([1, 4, 9, 4]))
    assert found.area.sd == pytest.approx(np.std([1, 4, 9, 4], ddof=1))
    assert found.area.range == pytest.approx(8.0)
    assert found.depth.minimum == pytest.approx(1.0)
    assert found.long_axis_there == found.long_axis.maximum
    assert found.perpendicular_axis_there == pytest.approx(found.perpendicular_axis.maximum)
    assert found.confidence.mean == pytest.approx(0.5 + np.mean(sides) / 100)
    assert "right angle" in found.note


def test_largest_area_and_longest_axis_may_be_on_different_frames():
    mask = np.zeros((80, 80), bool)
    mask[10:14, 5:70] = True
    thin = measure_frame(mask, np.zeros(mask.shape, np.uint8), MM)
    found = summarize_lesion([square(30), thin, square(30)], [3, 9, 5])
    assert found.largest_area_frame == 3
    assert found.largest_long_axis_frame == 9
    assert found.perpendicular_axis_there == thin.perpendicular_axis


def test_a_lesion_never_visible():
    found = summarize_lesion([square(0), square(0)], [0, 1], Timing(np.array([0.0, 0.1]), "test"))
    assert found.frames_visible == 0
    assert found.time_visible == 0
    assert found.largest_area_frame is None
    assert found.is_calibrated
    assert np.isnan([found.area.mean, found.long_axis.maximum, found.long_axis_there]).all()
    assert summarize_lesion([], []).frames_measured == 0


def test_millimetres_and_pixels_are_never_pooled():
    found = summarize_lesion([square(10), square(40, calibration=None), square(20)], [0, 1, 2])
    assert found.is_calibrated
    assert found.frames_visible == 3
    assert found.frames_left_out == 1
    assert found.area.maximum == pytest.approx(4.0)
    pixels = summarize_lesion([square(10, None), square(20, None)], [0, 1])
    assert not pixels.is_calibrated
    assert pixels.area.maximum == 400


def test_an_empty_frame_without_calibration_does_not_unsettle_the_unit():
    found = summarize_lesion([square(10), square(0, None)], [0, 1])
    assert found.is_calibrated
    assert found.frames_left_out == 0


def test_anchors_and_cut_frames_are_counted():
    origins = [Origin.MANUAL, Origin.MODEL, Origin.CONFIRMED, Origin.EDITED]
    found = summarize_lesion([square(10, at=0, origin=origin) for origin in origins], range(4))
    assert found.frames_anchored == 3
    assert found.frames_cut == 4


def test_time_counts_each_frame_until_the_next():
    timing = Timing(np.array([0.0, 0.1, 0.3, 0.4, 0.5]), "test")
    assert time_on_screen([1], timing) == pytest.approx(0.2)
    assert time_on_screen([4], timing) == pytest.approx(0.1)  # the median of 0.1, 0.2, 0.1, 0.1
    assert time_on_screen(range(5), timing) == pytest.approx(0.6)
    assert np.isnan(time_on_screen([1], None))
    with pytest.raises(ValueError, match="5 frame times"):
        time_on_screen([5], timing)


def test_frames_and_measurements_must_match():
    with pytest.raises(ValueError, match="2 measurements"):
        summarize_lesion([square(5), square(6)], [0])
    with pytest.raises(ValueError, match="1 different"):
        summarize_lesion([square(5), square(6)], [3, 3])


def test_spread_leaves_nan_out():
    found = Spread.of([1.0, float("nan"), 3.0])
    assert (found.mean, found.minimum, found.maximum, found.range) == (2, 1, 3, 2)
    assert Spread.of([2.1, 2.4]).range == 0.3
    assert Spread.of([0.968120456, 0.987089992]).range == 0.018969536
    one = Spread.of([5.0])
    assert one.mean == 5
    assert np.isnan(one.sd)


def test_the_note_says_which_pixels_lengths_are_in():
    found = summarize_lesion([square(10, None, pixel_aspect=4 / 3)], [0], further_notes=["A further sentence."])
    assert "A pixel is 1.333 times as high as wide" in found.note
    assert "widths of a pixel" in found.note
    assert found.note.endswith("A further sentence.")
    for one in (square(10, None), square(10, None, pixel_aspect=1.0), square(10)):
        assert "widths of a pixel" not in summarize_lesion([one], [0]).note
