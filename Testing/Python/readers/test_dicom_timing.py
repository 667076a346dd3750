"""Frame times: order of precedence, approximate rates, nonsense."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
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
    expected: dict[str, tuple[list[float], bool]] = {
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


# --- the Frame Increment Pointer, and times that no scanner takes -----------------------------------------------------

VECTOR, TIME = 0x00181065, 0x00181063


def read(save_dicom, **elements):
    return read_cine(save_dicom(dicom_object(FRAMES, **elements)))


@pytest.mark.parametrize(
    ("pointer", "source"), [(VECTOR, "FrameTimeVector"), (TIME, "FrameTime"), ([TIME], "FrameTime")]
)
def test_the_pointer_decides_where_both_are_there(save_dicom, pointer, source):
    cine = read(save_dicom, FrameTimeVector=ALL["FrameTimeVector"], FrameTime="50", FrameIncrementPointer=pointer)
    assert (cine.timing.source, cine.timing.approximate) == (source, False)
    assert cine.notes == ()


@pytest.mark.parametrize(
    ("pointer", "elements"), [(VECTOR, {"FrameTime": "40"}), (TIME, {"FrameTimeVector": ["0", "40", "40", "40"]})]
)
def test_a_pointer_to_what_is_missing_makes_the_other_approximate_and_noted(save_dicom, pointer, elements):
    cine = read(save_dicom, FrameIncrementPointer=pointer, **elements)
    assert cine.timing.frames_per_second == pytest.approx(25)
    assert cine.timing.approximate
    assert "which the header points to, is unusable" in cine.notes[0]


@pytest.mark.parametrize("elements", [{}, {"FrameTimeVector": ["40", "40", "40"]}, {"CineRate": 25}])
def test_a_pointer_to_what_is_missing_or_too_short_is_noted(save_dicom, elements):
    cine = read(save_dicom, FrameIncrementPointer=0x00181065, **elements)
    assert cine.timing is None or cine.timing.approximate
    assert "FrameTimeVector for its frame times, which is missing or does not fit" in cine.notes[0]


@pytest.mark.parametrize("step", ["0.1", "0.033", "1.9", "33333"])
@pytest.mark.parametrize("pointer", [TIME, VECTOR, None])
def test_frame_times_no_scanner_takes_are_unknown_and_noted(save_dicom, step, pointer):
    elements = {"FrameIncrementPointer": pointer} if pointer else {}
    cine = read(save_dicom, FrameTime=step, **elements)
    assert cine.timing is None
    told = f"{float(step):,.5g}"
    assert cine.notes == (f"FrameTime says {told} ms between frames, which no scanner does: it is not used.",)


def test_an_implausible_vector_is_unknown_and_the_display_rate_stays_approximate(save_dicom):
    cine = read(save_dicom, FrameTimeVector=["0", "0.04", "0.04", "0.04"], FrameIncrementPointer=VECTOR)
    assert cine.timing is None
    assert "FrameTimeVector says 0.04 ms" in cine.notes[0]
    cine = read(save_dicom, FrameTime="0.04", CineRate=25)
    assert (cine.timing.source, cine.timing.approximate) == ("CineRate", True)


@pytest.mark.parametrize("reason", [{"CineRate": 1000}, {"EffectiveDuration": "0.004"}])
def test_fast_imaging_counts_where_the_header_says_it_twice(save_dicom, reason):
    cine = read(save_dicom, FrameTime="1", **reason)
    assert (cine.timing.source, cine.timing.frames_per_second) == ("FrameTime", pytest.approx(1000))


@pytest.mark.parametrize("step", ["2", "10000"])
def test_the_bounds_of_what_a_scanner_takes(save_dicom, step):
    assert read(save_dicom, FrameTime=step).timing.source == "FrameTime"


def test_display_rates_no_scanner_has_are_left_aside(save_dicom):
    assert read(save_dicom, CineRate=30000).timing is None


def groups(keyword, values):
    items = []
    for value in values:
        content, group = Dataset(), Dataset()
        setattr(content, keyword, value)
        place = "TemporalPositionSequence" if keyword == "TemporalPositionTimeOffset" else "FrameContentSequence"
        setattr(group, place, [content])
        items.append(group)
    return items


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("FrameAcquisitionDateTime", ["20240131235959.96", "20240201000000", "20240201000000.04", "20240201000000.08"]),
        ("FrameReferenceDateTime", [f"20240131120000.{40000 * index:06d}" for index in range(4)]),
        ("TemporalPositionTimeOffset", [0.04 * index for index in range(4)]),
    ],
)
def test_times_of_functional_groups(save_dicom, keyword, values):
    timing = read(save_dicom, PerFrameFunctionalGroupsSequence=groups(keyword, values)).timing
    assert timing.source == keyword
    np.testing.assert_allclose(timing.seconds, [0, 0.04, 0.08, 0.12], atol=1e-6)


@pytest.mark.parametrize("values", [["20240131120000"] * 4, [f"2024013112000{4 - one}" for one in range(4)]])
def test_times_of_functional_groups_that_do_not_increase_are_noted(save_dicom, values):
    cine = read(save_dicom, PerFrameFunctionalGroupsSequence=groups("FrameAcquisitionDateTime", values))
    assert cine.timing is None
    assert "do not increase" in cine.notes[0]
    np.testing.assert_array_equal(np.stack(list(cine)), FRAMES)


def test_of_the_times_of_functional_groups_those_that_increase_are_used(save_dicom):
    """Some devices write the start of the acquisition into every frame."""
    items = groups("FrameAcquisitionDateTime", ["20240131120000"] * 4)
    for number, item in enumerate(items):
        item.FrameContentSequence[0].FrameReferenceDateTime = f"20240131120000.{40000 * number:06d}"
    cine = read(save_dicom, PerFrameFunctionalGroupsSequence=items)
    assert cine.timing.source == "FrameReferenceDateTime"
    np.testing.assert_allclose(cine.timing.seconds, [0, 0.04, 0.08, 0.12], atol=1e-6)
    assert cine.notes == (
        "The times of the frames in the DICOM header (FrameAcquisitionDateTime) do not increase: they are not used.",
    )


@pytest.mark.parametrize("has_pointer", [True, False])
def test_a_vector_of_times_instead_of_steps_is_read_as_times(save_dicom, has_pointer):
    frames = moving_frames(6)
    elements: dict[str, Any] = {"FrameIncrementPointer": 0x00181065} if has_pointer else {}
    cine = read_cine(save_dicom(dicom_object(frames, FrameTimeVector=[0, 40, 80, 120, 160, 200], **elements)))
    np.testing.assert_allclose(cine.timing.seconds, 0.04 * np.arange(6))
    assert cine.timing.approximate
    assert "read as times" in cine.notes[0]
    cine = read_cine(save_dicom(dicom_object(frames, FrameTimeVector=[0, 40, 41, 120, 40, 40], **elements)))
    assert (cine.timing.approximate, cine.notes) == (False, ())


@pytest.mark.parametrize(("first", "count"), [(40, 6), (1000, 12), (0, 600)])
def test_a_vector_of_times_is_known_by_its_even_growth_wherever_it_begins(save_dicom, first, count):
    vector = [first + 40 * frame + frame % 2 for frame in range(count)]
    cine = read_cine(save_dicom(dicom_object(moving_frames(count), FrameTimeVector=vector)))
    assert cine.timing is not None
    np.testing.assert_allclose(cine.timing.seconds, (np.array(vector) - first) / 1000)
    assert cine.timing.approximate
    steps = [30, 31, 32, 33, 34, 35]  # as times, 1 ms apart: no scanner's
    cine = read_cine(save_dicom(dicom_object(moving_frames(6), FrameTimeVector=steps)))
    assert cine.timing is not None
    np.testing.assert_allclose(np.diff(cine.timing.seconds), np.array(steps[1:]) / 1000)


@pytest.mark.parametrize("first", [0, 700])
def test_a_vector_of_times_of_which_a_frame_was_lost(save_dicom, first):
    times = np.array([0, 40, 81, 120, 160, 241, 280, 320])
    cine = read_cine(save_dicom(dicom_object(moving_frames(8), FrameTimeVector=(first + times).tolist())))
    assert cine.timing is not None
    np.testing.assert_allclose(cine.timing.seconds, times / 1000)
    assert cine.timing.approximate
    steps = [0, 33.1, 33.2, 33.3, 33.4, 33.5, 33.6, 33.7]  # of a scanner that slows down
    cine = read_cine(save_dicom(dicom_object(moving_frames(8), FrameTimeVector=steps)))
    assert cine.timing is not None
    np.testing.assert_allclose(np.diff(cine.timing.seconds), np.array(steps[1:]) / 1000)


def test_a_vector_that_does_not_fit_the_frames_is_noted(save_dicom):
    cine = read_cine(save_dicom(dicom_object(moving_frames(6), FrameTimeVector=[0, 40, 40])))
    assert (cine.timing, cine.notes) == (
        None,
        ("The times between frames in the DICOM header (FrameTimeVector) do not fit the frames: not used.",),
    )


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"CineRate": 2000}, "CineRate says 2,000 frames a second, which no scanner does: it is not used."),
        ({"RecommendedDisplayFrameRate": 900}, "RecommendedDisplayFrameRate says 900 frames a second"),
        ({"EffectiveDuration": "0.001"}, "EffectiveDuration says"),
    ],
)
def test_implausible_display_rates_are_noted(save_dicom, elements, said):
    cine = read_cine(save_dicom(dicom_object(FRAMES, **elements)))
    assert cine.timing is None
    assert [note.startswith(said) for note in cine.notes] == [True]
    assert read_cine(save_dicom(dicom_object(FRAMES[:1], **elements))).notes == ()
    assert read_cine(save_dicom(dicom_object(FRAMES, FrameTime="40", **elements))).notes == ()


@pytest.mark.parametrize(("rate", "noted"), [(25, True), (4, True), (3, False), (0, False)])
def test_a_rate_to_show_the_cine_at_that_contradicts_its_frame_times_is_noted(save_dicom, rate, noted):
    cine = read(save_dicom, FrameTime="1000", CineRate=rate)
    assert (cine.timing.source, cine.timing.frames_per_second) == ("FrameTime", pytest.approx(1))
    told = f"FrameTime says 1 frames a second, and CineRate says {rate}: FrameTime is used."
    assert cine.notes == ((told,) if noted else ())
