"""Video streams inside DICOM objects."""

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID
from source_makers import dicom_object, moving_frames, region

from UltrasoundLesionSegLib.cine import SourceKind
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.encapsulated_video import JoinedSpans
from UltrasoundLesionSegLib.readers.open import read_cine

MPEG4_HP41 = UID("1.2.840.10008.1.2.4.102")
FRAMES = moving_frames(30, 64, 96)


@pytest.fixture
def save_video_object(save_video, save_dicom):
    def save(path=None, frames=FRAMES, fragments=3, **elements):
        stream = (path or save_video(frames, "clip.mp4", "mp4v")).read_bytes()
        data = dicom_object(frames, [stream], **elements)
        data.file_meta.TransferSyntaxUID = MPEG4_HP41
        data.PixelData = encapsulate([stream], fragments_per_frame=fragments, has_bot=False)
        return save_dicom(data)

    return save


@pytest.mark.parametrize("fragments", [1, 3])
def test_a_video_stream_in_dicom_is_a_multiframe_cine(save_video_object, fragments):
    calibrated = [region((0, 0, 95, 63), (0.01, 0.01))]
    path = save_video_object(fragments=fragments, FrameTime="50", SequenceOfUltrasoundRegions=calibrated)
    cine = read_cine(path)
    assert cine.identity.kind is SourceKind.DICOM_MULTIFRAME
    assert len(cine) == 30
    assert cine.timing.source == "FrameTime"
    assert cine.calibration.spacing == pytest.approx((0.1, 0.1))
    assert cine.notes == ()
    for at in (29, 0, 15):
        assert np.abs(cine.frames[at].astype(int) - FRAMES[at]).mean() < 6


def test_frames_are_counted_by_decoding(save_video_object):
    cine = read_cine(save_video_object(NumberOfFrames=99))
    assert len(cine) == 30
    assert cine.notes[0] == "The header says 99 frames but 30 could be decoded: these are used."
    assert cine.timing.source == "frame times of the video file"


def test_a_size_that_contradicts_the_header_is_refused(save_video_object):
    with pytest.raises(SourceError, match="says frames of 60 x 96 pixels but its video has 64 x 96"):
        read_cine(save_video_object(Rows=60))


def test_a_damaged_stream_is_refused(save_dicom):
    data = dicom_object(FRAMES, [b"\0\0\0\1nothing" * 40])
    data.file_meta.TransferSyntaxUID = MPEG4_HP41
    with pytest.raises(SourceError, match=r"cannot be decoded|no frame that can be decoded"):
        read_cine(save_dicom(data))


def test_the_stream_is_read_where_it_lies(save_video_object, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no folder"))  # no copy is made
    cine = read_cine(save_video_object(fragments=5))
    assert len(list(cine)) == 30


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_joined_spans_are_one_file(tmp_path, size):
    (tmp_path / "a").write_bytes(bytes(range(100)))
    with JoinedSpans(tmp_path / "a", [(10, 20), (50, 0), (60, 5), (90, 10)]) as joined:
        expected = bytes([*range(10, 30), *range(60, 65), *range(90, 100)])
        assert b"".join(iter(lambda: joined.read(size), b"")) == expected
        assert joined.seek(-12, 2) == 23
        assert joined.read(2) == expected[23:25]
        assert joined.tell() == 25


def test_real_h264(save_video_object, shared_data):
    path = shared_data / "cine" / "lung_video" / "Pneu_prospective_file3.mp4"
    stream = read_cine(path)
    cine = read_cine(save_video_object(path, np.zeros((151, 260, 260, 3), np.uint8)))
    assert len(cine) == 151
    np.testing.assert_array_equal(cine.frames[100], stream.frames[100])
