"""A folder of single-frame objects: the order in time, mixtures, damage."""

import numpy as np
import pytest
from source_makers import dicom_object, moving_frames, region

from UltrasoundLesionSegLib.cine import SourceKind
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers.dicom_dates import seconds_of
from UltrasoundLesionSegLib.readers.open import read_cine

COUNT = 12
FRAMES = moving_frames(COUNT)
SHUFFLED = [7, 0, 11, 3, 5, 9, 1, 10, 2, 8, 4, 6]
TIMES = [f"1203{10 + index // 4:02d}.{25 * (index % 4):02d}" for index in range(COUNT)]


@pytest.fixture
def save_series(save_dicom, tmp_path):
    """Write frame ``names[i]`` -> file number i, with elements made by functions of the frame's number."""

    def save(names=range(COUNT), folder="series", frames=FRAMES, **elements):
        for number, frame in enumerate(names):
            values = {keyword: make(frame) for keyword, make in elements.items()}
            data = dicom_object(frames[frame : frame + 1], **{"NumberOfFrames": None, "Modality": "UNKNOWN", **values})
            save_dicom(data, f"{folder}/{number}.dcm")
        return tmp_path / folder

    return save


def assert_in_order(cine, frames=FRAMES):
    np.testing.assert_array_equal(np.stack(list(cine)), frames)


@pytest.mark.parametrize(
    "elements",
    [
        {"TemporalPositionIdentifier": lambda frame: frame + 1, "InstanceNumber": lambda frame: COUNT - frame},
        {"TriggerTime": lambda frame: frame * 40.0, "AcquisitionTime": lambda frame: TIMES[COUNT - 1 - frame]},
        {"AcquisitionDateTime": lambda frame: "20240131" + TIMES[frame], "InstanceNumber": lambda frame: 5},
        {"AcquisitionTime": lambda frame: TIMES[frame], "ContentTime": lambda frame: TIMES[COUNT - 1 - frame]},
        {"ContentTime": lambda frame: TIMES[frame], "InstanceNumber": lambda frame: COUNT - frame},
        {"InstanceNumber": lambda frame: frame, "AcquisitionTime": lambda frame: "120000"},
    ],
    ids=["position", "trigger", "date and time", "acquisition", "content", "number"],
)
def test_the_headers_decide_the_order(save_series, elements):
    cine = read_cine(save_series(SHUFFLED, **elements))
    assert_in_order(cine)
    assert cine.identity.kind is SourceKind.DICOM_SERIES
    assert len(set(cine.identity.sop_instance_uids)) == COUNT
    assert cine.notes == ()


def test_without_any_order_the_natural_order_of_the_names_is_used_and_noted(save_series):
    cine = read_cine(save_series())
    assert_in_order(cine)  # 10.dcm follows 9.dcm
    assert "file names" in cine.notes[0]


def test_instance_numbers_against_the_motion_of_the_picture_lose_to_the_names(save_series):
    cine = read_cine(save_series(InstanceNumber=lambda frame: SHUFFLED[frame]))
    assert_in_order(cine)
    assert "more alike" in cine.notes[0]


def test_instance_numbers_win_where_the_pictures_do_not_tell(save_series):
    noise = np.random.default_rng(3).integers(0, 256, (COUNT, 40, 56), np.uint8)
    cine = read_cine(save_series(SHUFFLED, frames=noise, InstanceNumber=lambda frame: frame))
    assert_in_order(cine, noise)
    assert "the order in the headers is used" in cine.notes[0]


def test_names_that_the_motion_of_the_picture_contradicts_are_not_worth_a_note(save_series):
    cine = read_cine(save_series(SHUFFLED, InstanceNumber=lambda frame: frame))
    assert_in_order(cine)
    assert cine.notes == ()


def test_acquisition_times_become_frame_times(save_series):
    timing = read_cine(save_series(SHUFFLED, AcquisitionTime=lambda frame: TIMES[frame])).timing
    assert timing.source == "AcquisitionTime"
    np.testing.assert_allclose(timing.seconds, np.arange(COUNT) / 4)


def test_frame_time_of_the_header_is_used_where_instances_have_no_times(save_series):
    timing = read_cine(save_series(InstanceNumber=lambda frame: frame, FrameTime=lambda frame: "20")).timing
    assert (timing.source, timing.frames_per_second) == ("FrameTime", pytest.approx(50))


def test_strays_of_another_series_or_size_are_left_out_and_noted(save_series, save_dicom):
    folder = save_series(InstanceNumber=lambda frame: frame)
    save_dicom(dicom_object(moving_frames(1, 20, 30), NumberOfFrames=None), "series/other_size.dcm")
    save_dicom(dicom_object(FRAMES[:1], NumberOfFrames=None, SeriesInstanceUID="1.9"), "series/other_series.dcm")
    save_dicom(dicom_object(FRAMES[:1], Rows=None, NumberOfFrames=None), "series/report.dcm")
    (folder / "damaged.dcm").write_bytes(bytes(128) + b"DICM" + b"\x08\x00\x05\x00XX\xff\xff" * 9)
    cine = read_cine(folder)
    assert_in_order(cine)
    assert cine.notes == ("4 other DICOM objects of the folder are left out.",)


def test_two_series_of_one_length_are_ambiguous(save_series):
    save_series(range(6), "both/a", SeriesInstanceUID=lambda frame: "1.1")
    save_series(range(6), "both/b", SeriesInstanceUID=lambda frame: "1.2")
    folder = save_series(range(3)).parent / "both"
    for part in ("a", "b"):
        for path in (folder / part).iterdir():
            path.rename(folder / f"{part}{path.name}")
        (folder / part).rmdir()
    with pytest.raises(SourceError, match="2 DICOM series"):
        read_cine(folder)


def test_several_multiframe_objects_are_ambiguous(save_dicom, tmp_path):
    for name in ("a", "b"):
        save_dicom(dicom_object(FRAMES), f"clips/{name}.dcm")
    with pytest.raises(SourceError, match="2 multi-frame"):
        read_cine(tmp_path / "clips")


def test_a_damaged_file_of_the_series_is_a_frame_error(save_series):
    folder = save_series(InstanceNumber=lambda frame: frame)
    path = folder / "5.dcm"
    path.write_bytes(path.read_bytes()[:-700])
    cine = read_cine(folder)
    with pytest.raises(FrameError, match="frame 5 cannot be read") as caught:
        cine.frames[5]
    assert caught.value.frame == 5
    np.testing.assert_array_equal(cine.frames[6], FRAMES[6])


def test_a_calibration_that_changes_is_not_used(save_series):
    regions = {"SequenceOfUltrasoundRegions": lambda frame: [region((0, 0, 55, 39), (0.01 + 0.01 * (frame > 6), 0.01))]}
    cine = read_cine(save_series(InstanceNumber=lambda frame: frame, **regions))
    assert cine.calibration is None
    assert cine.regions == ()
    assert "calibration changes" in cine.notes[0]


def test_a_calibration_that_stays_is_used(save_series):
    regions = {"SequenceOfUltrasoundRegions": lambda frame: [region((0, 0, 55, 39), (0.01, 0.02))]}
    cine = read_cine(save_series(InstanceNumber=lambda frame: frame, **regions))
    assert cine.calibration.spacing == pytest.approx((0.2, 0.1))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("14", 50400),
        ("1404", 50640),
        ("140438", 50678),
        ("140438.25", 50678.25),
        ("14:04:38", 50678),
        ("20240102000001.5+0100", 1.5 + 86400 * 19724),
        ("", None),
        ("noon", None),
        ("1", None),
        ("20241399000000", None),
    ],
)
def test_times_as_dicom_writes_them(written, seconds):
    assert seconds_of(written) == seconds


def test_the_real_breast_series(shared_data):
    cine = read_cine(shared_data / "cine" / "breast_series_dicom")
    assert (len(cine), cine.shape, cine.is_color) == (123, (670, 670), False)
    assert cine.calibration is None
    assert cine.timing is None
    small = np.stack([frame[::4, ::4] for frame in cine]).astype(int)
    changes = np.abs(np.diff(small, axis=0)).mean(axis=(1, 2))
    # two joined parts: one cut, between frames 62 and 63, and smooth motion everywhere else
    assert int(np.argmax(changes)) == 62
    assert sorted(changes)[-2] < 6 < 15 < max(changes)


# --- midnight, and clocks that are not those of the acquisition -------------------------------------------------------


def across_midnight(frame):
    return f"235959.{440000 + 80000 * frame:06d}" if frame < 7 else f"000000.{80000 * (frame - 7):06d}"


@pytest.mark.parametrize("keyword", ["Acquisition", "Content"])
@pytest.mark.parametrize("dates", ["right", "none", "of the examination"])
def test_a_series_across_midnight(save_series, keyword, dates):
    elements = {f"{keyword}Time": across_midnight}
    if dates != "none":
        next_day = "20000102" if dates == "right" else "20000101"
        elements[f"{keyword}Date"] = lambda frame: "20000101" if frame < 7 else next_day
    cine = read_cine(save_series(SHUFFLED, **elements))
    assert_in_order(cine)
    assert cine.timing.source == f"{keyword}Time"
    np.testing.assert_allclose(cine.timing.seconds, 0.08 * np.arange(COUNT), atol=1e-6)


@pytest.mark.parametrize("exported", [SHUFFLED, list(range(COUNT))[::-1]], ids=["shuffled", "reversed"])
@pytest.mark.parametrize("keyword", ["ContentTime", "AcquisitionTime", "AcquisitionDateTime"])
def test_two_orders_that_agree_beat_the_time_of_export(save_series, exported, keyword):
    date = "20240131" if keyword == "AcquisitionDateTime" else ""
    cine = read_cine(
        save_series(InstanceNumber=lambda frame: frame + 1, **{keyword: lambda frame: date + TIMES[exported[frame]]})
    )
    assert_in_order(cine)
    assert "InstanceNumber and file names agree" in cine.notes[0]
    assert cine.timing is None


def test_a_clock_that_the_picture_confirms_stays(save_series):
    """Files named and numbered by an export in any order, and the right time in the headers."""
    numbers = {frame: number for number, frame in enumerate(SHUFFLED)}
    cine = read_cine(save_series(SHUFFLED, AcquisitionTime=lambda frame: TIMES[frame], InstanceNumber=numbers.get))
    assert_in_order(cine)
    assert "more alike" in cine.notes[0]


def test_two_clocks_that_agree_are_kept_against_numbers_and_names(save_series):
    reversed_names = list(range(COUNT))[::-1]
    clocks = {key: lambda frame: TIMES[frame] for key in ("AcquisitionTime", "ContentTime")}
    cine = read_cine(save_series(reversed_names, InstanceNumber=lambda frame: COUNT - frame, **clocks))
    assert_in_order(cine)


def test_series_times_no_scanner_takes_are_unknown_and_noted(save_series):
    cine = read_cine(save_series(AcquisitionTime=lambda frame: f"120000.{frame:06d}"))
    assert_in_order(cine)
    assert cine.timing is None
    assert "which no scanner does" in cine.notes[0]


def test_one_uid_in_every_file_makes_no_copies(save_series):
    cine = read_cine(save_series(SOPInstanceUID=lambda frame: "1.2.3", InstanceNumber=lambda frame: frame))
    assert_in_order(cine)
    assert cine.identity.sop_instance_uids == ()
    assert_in_order(read_cine(save_series(folder="bare", SOPInstanceUID=lambda frame: "1.2.3")))


def test_copies_of_an_object_are_left_out(save_series):
    folder = save_series(InstanceNumber=lambda frame: frame)
    (folder / "copy.dcm").write_bytes((folder / "3.dcm").read_bytes())
    cine = read_cine(folder)
    assert_in_order(cine)
    assert cine.notes == ("1 other DICOM object of the folder is left out.",)


def test_frame_times_that_differ_within_the_series_are_noted(save_series):
    cine = read_cine(
        save_series(InstanceNumber=lambda frame: frame, FrameTime=lambda frame: "20" if frame < 6 else "30")
    )
    assert cine.timing.approximate
    assert any("differ in the time between frames (FrameTime)" in note for note in cine.notes)


@pytest.mark.parametrize(("first", "is_said"), [(0, False), (1, False), (2, True)])
def test_instance_numbers_that_begin_late_are_noted(save_series, first, is_said):
    notes = read_cine(save_series(InstanceNumber=lambda frame: frame + first)).notes
    assert notes == (
        ("The numbers of the instances begin with 2: the frames before may be missing.",) if is_said else ()
    )


@pytest.mark.parametrize(
    "uid",
    [lambda index: f"1.2.3.{index + 1}", lambda index: "" if index % 2 else "1.2.3"],
    ids=["each its own", "half empty"],
)
def test_series_uids_that_an_anonymiser_changed(save_series, uid):
    cine = read_cine(save_series(InstanceNumber=lambda index: index + 1, SeriesInstanceUID=uid))
    assert_in_order(cine)
    assert any("do not name one series" in note for note in cine.notes)


def test_stills_with_a_series_each_are_no_cine(save_series):
    folder = save_series(
        SeriesInstanceUID=lambda index: f"1.2.3.{index + 1}", ContentTime=lambda index: f"12{index:02d}00"
    )
    with pytest.raises(SourceError, match="none is the main one"):
        read_cine(folder)


def test_a_calibration_that_differs_by_rounding_stays(save_series):
    cine = read_cine(
        save_series(
            InstanceNumber=lambda index: index + 1,
            SequenceOfUltrasoundRegions=lambda index: [region((4, 4, 50, 36), (0.02 + 1e-9 * index, 0.03))],
        )
    )
    assert cine.calibration.spacing == pytest.approx((0.3, 0.2))
    assert not any("calibration changes" in note for note in cine.notes)


FAR_APART = "The images were taken far apart: they may be stills and no cine."
UNLIKE = "Neighbouring frames are hardly alike: they may be stills and no cine, or in a wrong order."


@pytest.mark.parametrize(
    ("frames", "seconds", "said"),
    [
        ([0, 11], None, UNLIKE),
        ([0, 11, 1, 10], None, UNLIKE),
        ([0, 1], None, None),
        ([0, 1, 2, 3], None, None),
        ([0, 1, 2], 5, FAR_APART),
        ([0, 1, 2, 3, 4, 5], 30, FAR_APART),
        ([0, 11, 1], 0.25, None),
    ],
)
def test_images_that_may_be_stills_are_noted(save_series, frames, seconds, said):
    elements = {"InstanceNumber": lambda frame: frames.index(frame) + 1}
    if seconds is not None:
        elements["ContentTime"] = lambda frame: (
            f"10{int(frames.index(frame) * seconds) // 60:02d}{frames.index(frame) * seconds % 60:05.2f}"
        )
    notes = read_cine(save_series(frames, **elements)).notes
    assert [note for note in notes if "stills" in note] == ([] if said is None else [said])


@pytest.mark.parametrize(
    ("keyword", "value_of", "is_noted"),
    [
        ("ViewNumber", lambda frame: frame % 2 + 1, True),
        ("StageNumber", lambda frame: frame // 6 + 1, True),
        ("ImageType", lambda frame: ["ORIGINAL", "PRIMARY"] if frame % 3 else ["DERIVED", "SECONDARY"], True),
        ("AcquisitionNumber", lambda frame: frame // 4, True),
        ("AcquisitionNumber", lambda frame: frame, False),
        ("AcquisitionNumber", lambda frame: 3, False),
    ],
)
def test_a_series_that_may_be_several_cines_is_noted(save_series, keyword, value_of, is_noted):
    notes = read_cine(save_series(**{keyword: value_of, "InstanceNumber": lambda frame: frame + 1})).notes
    assert (
        any("The series may hold" in note and f"{keyword} has that many values" in note for note in notes) == is_noted
    )


def test_what_lies_beside_the_only_cine_of_a_folder_is_counted(save_dicom, tmp_path):
    data = dicom_object(FRAMES)
    save_dicom(data, "folder/a.dcm")
    assert read_cine(tmp_path / "folder").notes == ()
    (tmp_path / "folder" / "b.dcm").write_bytes((tmp_path / "folder" / "a.dcm").read_bytes()[:300])
    assert read_cine(tmp_path / "folder").notes == ("1 other DICOM object of the folder is left out.",)
