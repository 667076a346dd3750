"""Frame times: order of precedence, approximate rates, nonsense."""

import numpy as np
import pytest
from source_makers import dicom_object, moving_frames

from UltrasoundLesionSegLib.readers.open import read_cine

FRAMES = moving_frames(4)
ALL = {
    "FrameTimeVector": ["0", "10", "20", "40"],
    "FrameTime": "50",
    "CineRate": 25,
    "RecommendedDisplayFrameRate": 10,
    "EffectiveDuration": "8",
}


def timing(save_dicom, **elements):
    return read_cine(save_dicom(dicom_object(FRAMES, **elements))).timing


def test_the_order_of_precedence(save_dicom):
    expected = {
        "FrameTimeVector": ([0, 0.01, 0.03, 0.07], False),
        "FrameTime": ([0, 0.05, 0.1, 0.15], False),
        "CineRate": ([0, 0.04, 0.08, 0.12], True),
        "RecommendedDisplayFrameRate": ([0, 0.1, 0.2, 0.3], True),
        "EffectiveDuration": ([0, 2, 4, 6], True),
    }
    elements = dict(ALL)
    for keyword, (seconds, is_approximate) in expected.items():
        found = timing(save_dicom, **elements)
        assert (found.source, found.approximate) == (keyword, is_approximate)
        np.testing.assert_allclose(found.seconds, seconds)
        del elements[keyword]
    assert timing(save_dicom) is None


@pytest.mark.parametrize("vector", [["0", "10", "20"], ["0", "10", "-20", "40"], ["0", "0", "0", "0"]])
def test_a_vector_that_makes_no_sense_is_left_aside(save_dicom, vector):
    assert timing(save_dicom, FrameTimeVector=vector, FrameTime="50").source == "FrameTime"


@pytest.mark.parametrize("value", ["0", "-33"])
def test_a_frame_time_that_is_not_positive_is_left_aside(save_dicom, value):
    assert timing(save_dicom, FrameTime=value, CineRate=25).source == "CineRate"
    assert timing(save_dicom, FrameTime=value) is None


def test_a_cut_cine_keeps_the_times_of_its_frames(save_dicom):
    path = save_dicom(dicom_object(FRAMES, FrameTimeVector=ALL["FrameTimeVector"]))
    path.write_bytes(path.read_bytes()[: -FRAMES[0].size - 10])
    cine = read_cine(path)
    np.testing.assert_allclose(cine.timing.seconds, [0, 0.01])


def test_real_frame_time(shared_data):
    cine = read_cine(shared_data / "cine" / "dicom_us" / "echo_sonosite_120f_ybr422_jpegbaseline.dcm")
    assert cine.timing.source == "FrameTime"
    assert cine.timing.frames_per_second == pytest.approx(30, abs=0.01)
