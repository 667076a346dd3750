"""Multi-frame DICOM: right frames from whole files, and each defect of DICOM-FACTS.md ends in a sentence or a note."""

import struct

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.pixels import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from source_makers import PLANTED, dicom_object, jpeg, moving_frames

from UltrasoundLesionSegLib.cine import SourceKind
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers.dicom_multiframe import DicomFrames
from UltrasoundLesionSegLib.readers.open import read_cine

FRAMES = moving_frames(6)
STREAMS = [jpeg(frame) for frame in FRAMES]


def assert_near(cine, frames, tolerance=3):
    """Every frame is the one expected, to within what JPEG loses (neighbouring frames differ by far more)."""
    assert len(cine) == len(frames)
    for got, expected in zip(cine, frames, strict=True):
        assert got.dtype == np.uint8
        assert np.abs(got.astype(int) - expected).mean() < tolerance


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("width", [56, 55])
def test_uncompressed_frames_are_exact(save_dicom, syntax, width):
    frames = moving_frames(3, 41, width)
    data = dicom_object(frames)
    if syntax:
        data.file_meta.TransferSyntaxUID = UID(syntax)
        if syntax == ExplicitVRBigEndian:
            data["PixelData"].VR = "OB"
    cine = read_cine(save_dicom(data))
    assert cine.shape == (41, width)
    assert not cine.is_color
    assert cine.identity.kind is SourceKind.DICOM_MULTIFRAME
    assert cine.identity.sop_instance_uids == (data.SOPInstanceUID,)
    np.testing.assert_array_equal(np.stack(list(cine)), frames)
    assert cine.notes == ()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("color", [False, True])
def test_losslessly_compressed_frames_are_exact(save_dicom, syntax, color):
    frames = moving_frames(3, color=color)
    data = dicom_object(frames)
    data.compress(syntax, generate_instance_uid=False)
    cine = read_cine(save_dicom(data))
    np.testing.assert_array_equal(np.stack(list(cine)), frames)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
@pytest.mark.parametrize("frames", [moving_frames(3), moving_frames(3, color=True)], ids=["grey", "color"])
def test_jpeg_lossless_and_jpeg_2000_are_exact(save_dicom, tmp_path, compressor, frames):
    streams, syntax = [], ""
    for index, frame in enumerate(frames):
        writer = SimpleITK.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(tmp_path / f"{index}.dcm"))
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.Execute(SimpleITK.GetImageFromArray(frame[np.newaxis], isVector=frame.ndim == 3))
        written = dcmread(tmp_path / f"{index}.dcm")
        syntax = written.file_meta.TransferSyntaxUID
        streams += list(generate_frames(written.PixelData, number_of_frames=1))
    assert syntax == (JPEGLosslessSV1 if compressor == "JPEG" else JPEG2000Lossless)
    photometric = written.PhotometricInterpretation
    data = dicom_object(frames, streams, PhotometricInterpretation=photometric)
    data.file_meta.TransferSyntaxUID = UID(syntax)
    np.testing.assert_array_equal(np.stack(list(read_cine(save_dicom(data)))), frames)


def test_jpeg_frames_are_those_of_pydicom(save_dicom):
    color = moving_frames(5, color=True)
    path = save_dicom(dicom_object(color, [jpeg(frame) for frame in color]))
    cine = read_cine(path)
    assert cine.is_color
    assert_near(cine, color)
    reference = dcmread(path).pixel_array
    assert max(np.abs(got.astype(int) - one).max() for got, one in zip(cine, reference, strict=True)) <= 1


@pytest.mark.parametrize("offsets", ["basic", "none", "extended", "wrong", "split", "split without table"])
def test_frames_are_found_however_the_fragments_are_listed(save_dicom, offsets):
    data = dicom_object(FRAMES, STREAMS)
    if offsets == "none":
        data.PixelData = encapsulate(STREAMS, has_bot=False)
    elif offsets == "extended":
        data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = encapsulate_extended(STREAMS)
    elif offsets == "wrong":
        table = struct.pack("<6L", *(7 * index for index in range(6)))
        data.PixelData = b"\xfe\xff\x00\xe0" + struct.pack("<L", 24) + table + encapsulate(STREAMS, has_bot=False)[8:]
    elif offsets.startswith("split"):
        data.PixelData = encapsulate(STREAMS, fragments_per_frame=3, has_bot=offsets == "split")
    cine = read_cine(save_dicom(data))
    assert_near(cine, FRAMES)
    assert cine.notes == ()


def test_one_frame_alone_is_decoded(save_dicom, monkeypatch):
    cine = read_cine(save_dicom(dicom_object(moving_frames(60), [jpeg(frame) for frame in moving_frames(60)])))
    decoded = []
    assert isinstance(cine.frames, DicomFrames)
    decode = DicomFrames._decode
    monkeypatch.setattr(DicomFrames, "_decode", lambda self, index: decoded.append(index) or decode(self, index))
    cine.frames[41]
    cine.frames[41]
    assert decoded == [41]


# --- defects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoded", [(), STREAMS])
def test_number_of_frames_too_large(save_dicom, encoded):
    cine = read_cine(save_dicom(dicom_object(FRAMES, encoded, NumberOfFrames=9)))
    assert_near(cine, FRAMES)
    assert cine.notes == ("The header says 9 frames but only 6 are stored: these are used.",)


@pytest.mark.parametrize("encoded", [(), STREAMS])
def test_number_of_frames_too_small(save_dicom, encoded):
    data = dicom_object(FRAMES, encoded, NumberOfFrames=4)
    if encoded:
        data.PixelData = encapsulate(STREAMS, has_bot=False)
    cine = read_cine(save_dicom(data))
    assert_near(cine, FRAMES[:4])
    assert cine.notes == ("The header says 4 frames but 6 are stored: the first 4 are used.",)


@pytest.mark.parametrize("value", [None, 0])
def test_number_of_frames_missing_or_zero(save_dicom, value):
    assert_near(read_cine(save_dicom(dicom_object(FRAMES, STREAMS, NumberOfFrames=value))), FRAMES)


@pytest.mark.parametrize("encoded", [(), STREAMS])
def test_a_file_cut_off_gives_its_whole_frames(save_dicom, encoded):
    path = save_dicom(dicom_object(FRAMES, encoded))
    whole = path.read_bytes()
    frame_bytes = len(STREAMS[-1]) if encoded else FRAMES[0].size
    path.write_bytes(whole[: len(whole) - frame_bytes * 3 // 2])
    cine = read_cine(path)
    assert_near(cine, FRAMES[:4])
    assert cine.notes == ("The file is cut off: 4 of its 6 frames are whole and are used.",)


@pytest.mark.parametrize("encoded", [(), STREAMS])
def test_a_file_cut_off_before_its_first_frame_ends_is_refused(save_dicom, encoded):
    path = save_dicom(dicom_object(FRAMES, encoded))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(STREAMS[0][:8] if encoded else FRAMES[0].tobytes()[:64]) + 20])
    with pytest.raises(SourceError, match="cut off before its first frame"):
        read_cine(path)


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xd8" + bytes(40), STREAMS[3][: len(STREAMS[3]) // 2], jpeg(moving_frames(1, 20, 30)[0]), bytes(300)],
    ids=["no picture", "half a stream", "another size", "zeros"],
)
def test_one_bad_frame_is_named_and_the_others_are_read(save_dicom, damage):
    streams = [*STREAMS[:3], damage, *STREAMS[4:]]
    cine = read_cine(save_dicom(dicom_object(FRAMES, streams)))
    assert len(cine) == 6
    for index in (0, 1, 2, 4, 5):
        assert np.abs(cine.frames[index].astype(int) - FRAMES[index]).mean() < 3
    for _ in range(2):
        with pytest.raises(FrameError, match="frame 3 cannot be read") as caught:
            cine.frames[3]
    assert caught.value.frame == 3
    assert PLANTED not in str(caught.value)


def test_an_empty_fragment_is_a_frame_that_cannot_be_read(save_dicom):
    items = [
        struct.pack("<HHL", 0xFFFE, 0xE000, len(one) + len(one) % 2) + one + b"\0" * (len(one) % 2) for one in STREAMS
    ]
    items[3] = b"\xfe\xff\x00\xe0\0\0\0\0"
    data = dicom_object(FRAMES, STREAMS)
    data.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0" + b"".join(items)
    cine = read_cine(save_dicom(data))
    with pytest.raises(FrameError, match="it is empty"):
        cine.frames[3]
    assert np.abs(cine.frames[4].astype(int) - FRAMES[4]).mean() < 3


def test_a_bad_frame_among_those_looked_at_is_noted(save_dicom):
    cine = read_cine(save_dicom(dicom_object(FRAMES, [b"\xff\xd8", *STREAMS[1:]])))
    assert cine.notes[0].startswith("1 of the 3 frames looked at on opening cannot be read")
    assert cine.frames[1].shape == cine.shape


def test_no_readable_frame_at_all_is_refused(save_dicom):
    with pytest.raises(SourceError, match="no frame of the source can be read"):
        read_cine(save_dicom(dicom_object(FRAMES, [b"\xff\xd8" + bytes(60)] * 6)))


@pytest.mark.parametrize(
    ("rows", "encoded"), [(39, ()), (41, ()), (50, ()), (30, STREAMS), (39, STREAMS), (50, STREAMS)]
)
def test_wrong_rows_are_refused_and_never_scramble_the_picture(save_dicom, rows, encoded):
    with pytest.raises(SourceError, match=r"do not fit|no frame of the source"):
        read_cine(save_dicom(dicom_object(FRAMES, encoded, Rows=rows)))


def test_rows_that_divide_the_pixel_data_are_noted(save_dicom):
    cine = read_cine(save_dicom(dicom_object(FRAMES, Rows=30)))
    assert cine.notes == ("The header says 6 frames but 8 are stored: the first 6 are used.",)


@pytest.mark.parametrize("keyword", ["PixelData", "Rows", "BitsAllocated", "SamplesPerPixel", "PixelRepresentation"])
@pytest.mark.parametrize("encoded", [(), STREAMS])
def test_a_header_without_pixels_is_refused(save_dicom, keyword, encoded):
    with pytest.raises(SourceError, match=r"no pixel data|holds no image|does not describe pixels"):
        read_cine(save_dicom(dicom_object(FRAMES, encoded, **{keyword: None})))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.55", "1.2.840.10008.1.2.4.95", "1.2.3.4.5.6.7.8.9.1.22"])
def test_a_compression_without_decoder_is_refused(save_dicom, syntax):
    path = save_dicom(dicom_object(FRAMES, [b"\x01" * 90] * len(FRAMES)))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.4.50", syntax.encode(), 1))
    with pytest.raises(SourceError, match="cannot be decoded here"):
        read_cine(path)


def test_a_segmentation_is_no_cine(save_dicom):
    with pytest.raises(SourceError, match="is a segmentation"):
        read_cine(save_dicom(dicom_object(FRAMES, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")))


def test_malformed_values_do_not_reach_messages_notes_or_logs(save_dicom, caplog, recwarn, capfd):
    path = save_dicom(dicom_object(FRAMES, [*STREAMS[:5], b"\xff\xd8bad"], FrameTime="40"))
    content = path.read_bytes()
    assert content.count(b"40") >= 1
    path.write_bytes(
        content.replace(struct.pack("<HH2sH", 0x18, 0x1063, b"DS", 2) + b"40", b"\x18\x00\x63\x10DS\x02\x00Q!")
    )
    cine = read_cine(path)
    assert cine.timing is None
    with pytest.raises(FrameError):
        cine.frames[5]
    seen = "".join(capfd.readouterr()) + caplog.text + "".join(str(one.message) for one in recwarn) + repr(cine.notes)
    assert "Q!" not in seen
    assert PLANTED not in seen


def test_a_file_without_preamble_is_read(save_dicom):
    path = save_dicom(dicom_object(FRAMES))
    path.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(np.stack(list(read_cine(path))), FRAMES)


def test_a_source_that_goes_away_is_a_frame_error(save_dicom):
    path = save_dicom(dicom_object(FRAMES))
    cine = read_cine(path)
    path.unlink()
    with pytest.raises(FrameError, match="cannot be opened any more") as caught:
        cine.frames[5]
    assert PLANTED not in str(caught.value)


def test_a_single_frame_object_is_a_series_of_one(save_dicom):
    cine = read_cine(save_dicom(dicom_object(FRAMES[:1], NumberOfFrames=None)))
    assert len(cine) == 1
    assert cine.identity.kind is SourceKind.DICOM_SERIES
    assert cine.timing is None


# --- against shared data ---------------------------------------------------------------------------------------------


def test_real_cines_equal_pydicom(shared_data):
    for name, count in [
        ("echo_sonosite_120f_ybr422_jpegbaseline", 120),
        ("echo_sonosite_30f_240x320_examples_ybr_color", 30),
    ]:
        path = shared_data / "cine" / "dicom_us" / f"{name}.dcm"
        cine = read_cine(path)
        assert len(cine) == count
        for index in (0, 7, count - 1):
            assert np.abs(cine.frames[index].astype(int) - pixel_array(path, index=index)).max() <= 1
