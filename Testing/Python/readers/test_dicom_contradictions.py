"""Headers that contradict themselves or the pixel data: read as others read them, or refused, never scrambled."""

import io
import struct

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)
from source_makers import PLANTED, dicom_object, jpeg, moving_frames

from UltrasoundLesionSegLib.cine import SourceKind
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.open import read_cine

FRAMES = moving_frames(6)
ODD = moving_frames(5, 41, 55)
STREAMS = [jpeg(frame) for frame in FRAMES]


def assert_frames(cine, frames=FRAMES, tolerance=0):
    assert len(cine) == len(frames)
    assert np.abs(np.stack(list(cine)).astype(int) - frames).mean() <= tolerance


def padded(frames, surplus, filler=b"\0", **elements):
    return dicom_object(frames, PixelData=np.ascontiguousarray(frames).tobytes() + surplus * filler, **elements)


# --- more bytes than the frames need ------------------------------------------------------------------------------


@pytest.mark.parametrize("filler", [b"\0", b"\x20", b"\xff"])
@pytest.mark.parametrize(("frames", "surplus"), [(FRAMES, 2), (FRAMES, 128), (ODD, 3), (ODD, 127), (ODD[:1], 129)])
def test_padding_is_left_out_and_noted(save_dicom, frames, surplus, filler):
    cine = read_cine(save_dicom(padded(frames, surplus, filler)))
    assert_frames(cine, frames)
    assert cine.notes == (f"{surplus} bytes follow the last frame: they are left out.",)


def test_padding_as_long_as_a_row_of_a_single_frame(save_dicom):
    frame = moving_frames(1, 40, 128)
    assert_frames(read_cine(save_dicom(padded(frame, 128))), frame)
    with pytest.raises(SourceError, match="do not fit"):  # a row more than the header says
        read_cine(save_dicom(dicom_object(frame, Rows=39)))


def test_padding_without_a_number_of_frames(save_dicom):
    cine = read_cine(save_dicom(padded(FRAMES, 4, NumberOfFrames=None)))
    assert_frames(cine)
    assert cine.identity.kind is SourceKind.DICOM_MULTIFRAME


def test_a_file_cut_off_in_its_padding_is_whole(save_dicom):
    path = save_dicom(padded(FRAMES, 128))
    path.write_bytes(path.read_bytes()[:-100])
    cine = read_cine(path)
    assert_frames(cine)
    assert "cut off" not in " ".join(cine.notes)


@pytest.mark.parametrize(("rows", "columns"), [(39, 56), (40, 55), (38, 56), (20, 55)])
def test_wrong_rows_and_columns_are_no_padding(save_dicom, rows, columns):
    with pytest.raises(SourceError, match="do not fit"):
        read_cine(save_dicom(dicom_object(FRAMES, Rows=rows, Columns=columns)))


def test_compressed_frames_with_padding_behind_them(save_dicom):
    data = dicom_object(FRAMES, [one + bytes(128) for one in STREAMS])
    assert_frames(read_cine(save_dicom(data)), tolerance=2)
    data = dicom_object(FRAMES)
    data.compress(RLELossless, generate_instance_uid=False)
    streams = [one + bytes(128) for one in generate_frames(data.PixelData, number_of_frames=6)]
    data.PixelData = encapsulate(streams, has_bot=False)
    assert_frames(read_cine(save_dicom(data)))


# --- the other value representation than the header names ---------------------------------------------------------


def rewritten(data, is_implicit, is_little_endian=True):
    """The file with the data set in another syntax than its file header names."""
    target = io.BytesIO()
    dcmwrite(target, data, enforce_file_format=True)
    head = target.getvalue()
    start = 132 + 12 + int.from_bytes(head[140:144], "little")
    body = io.BytesIO()
    meta, data.file_meta = data.file_meta, None
    del data.file_meta
    dcmwrite(body, data, implicit_vr=is_implicit, little_endian=is_little_endian, enforce_file_format=False)
    data.file_meta = meta
    return head[:start], body.getvalue()


@pytest.mark.parametrize("width", [56, 55])
@pytest.mark.parametrize(
    ("told", "is_implicit"),
    [(ExplicitVRLittleEndian, True), (ImplicitVRLittleEndian, False)],
    ids=["explicit", "implicit"],
)
def test_elements_in_the_other_syntax_than_the_header_names(save_dicom, tmp_path, told, is_implicit, width):
    frames = moving_frames(5, 41, width)
    data = dicom_object(frames, FrameTime="50")
    data.file_meta.TransferSyntaxUID = told
    (tmp_path / "other").write_bytes(b"".join(rewritten(data, is_implicit)))
    cine = read_cine(tmp_path / "other")
    assert_frames(cine, frames)
    assert cine.timing.frames_per_second == pytest.approx(20)


def test_compressed_pixels_among_implicit_elements(tmp_path):
    (tmp_path / "other").write_bytes(b"".join(rewritten(dicom_object(FRAMES, STREAMS), True)))
    assert_frames(read_cine(tmp_path / "other"), tolerance=2)


# --- no header before the data set --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_implicit", [False, True])
@pytest.mark.parametrize("preamble", [b"", bytes(128) + b"DICM"])
def test_a_bare_data_set_is_read_and_noted(tmp_path, is_implicit, preamble):
    _, body = rewritten(dicom_object(FRAMES), is_implicit)
    (tmp_path / "bare").write_bytes(preamble + body)
    cine = read_cine(tmp_path / "bare")
    assert_frames(cine)
    assert "does not say its transfer syntax" in cine.notes[0]
    (tmp_path / "folder").mkdir()
    (tmp_path / "bare").rename(tmp_path / "folder" / "1")
    assert_frames(read_cine(tmp_path / "folder"))


def test_a_bare_data_set_in_big_endian(tmp_path):
    data = dicom_object(FRAMES)
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    data["PixelData"].VR = "OB"
    target = io.BytesIO()
    dcmwrite(target, data, enforce_file_format=True)
    content = target.getvalue()
    (tmp_path / "bare").write_bytes(content[content.index(b"\x00\x08\x00\x16UI") :])
    assert_frames(read_cine(tmp_path / "bare"))


def test_bare_compressed_pixels_are_read_as_what_they_are(tmp_path):
    (tmp_path / "bare").write_bytes(rewritten(dicom_object(FRAMES, STREAMS), False)[1])
    cine = read_cine(tmp_path / "bare")
    assert_frames(cine, tolerance=2)
    assert any("they are JPEG and read so" in note for note in cine.notes)


def test_bare_compressed_pixels_of_an_unknown_kind_are_refused_with_the_reason(tmp_path):
    (tmp_path / "bare").write_bytes(rewritten(dicom_object(FRAMES, [b"\x01" * 90] * len(FRAMES)), False)[1])
    with pytest.raises(SourceError, match="does not say how its pixels are compressed"):
        read_cine(tmp_path / "bare")


def test_a_file_header_without_a_transfer_syntax(save_dicom):
    path = save_dicom(dicom_object(FRAMES))
    element = b"\x02\x00\x10\x00UI"
    path.write_bytes(path.read_bytes().replace(element, b"\x02\x00\x11\x00UI"))
    assert_frames(read_cine(path))


@pytest.mark.parametrize("head", [b"\x08\x00", b"\x08\x00\x05\x00" * 90, struct.pack("<HHL", 8, 5, 10) + bytes(200)])
def test_what_only_begins_like_a_data_set_is_none(tmp_path, head):
    (tmp_path / "no.bin").write_bytes(head)
    with pytest.raises(SourceError, match="no cine this program knows"):
        read_cine(tmp_path / "no.bin")


# --- frames in pieces ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [None, 1])
@pytest.mark.parametrize("pieces", [2, 5])
def test_one_rle_frame_in_fragments(save_dicom, told, pieces):
    frame = moving_frames(1)
    data = dicom_object(frame, NumberOfFrames=told)
    data.compress(RLELossless, generate_instance_uid=False)
    stream = next(generate_frames(data.PixelData, number_of_frames=1))
    data.PixelData = encapsulate([stream], fragments_per_frame=pieces, has_bot=False)
    cine = read_cine(save_dicom(data))
    assert_frames(cine, frame)
    assert cine.notes == ()


@pytest.mark.parametrize("has_table", [False, True])
@pytest.mark.parametrize("color", [False, True])
def test_several_rle_frames_in_fragments(save_dicom, has_table, color):
    frames = moving_frames(4, color=color)
    data = dicom_object(frames)
    data.compress(RLELossless, generate_instance_uid=False)
    streams = list(generate_frames(data.PixelData, number_of_frames=4))
    data.PixelData = encapsulate(streams, fragments_per_frame=3, has_bot=has_table)
    cine = read_cine(save_dicom(data))
    assert_frames(cine, frames)
    assert cine.notes == ()


@pytest.mark.parametrize("count", [1, 4])
def test_rle_fragments_shorter_than_the_header_of_a_frame(save_dicom, count):
    frames = moving_frames(count)
    data = dicom_object(frames)
    data.compress(RLELossless, generate_instance_uid=False)
    streams = list(generate_frames(data.PixelData, number_of_frames=count))
    data.PixelData = encapsulate(in_pieces(streams, 32), has_bot=False)
    cine = read_cine(save_dicom(data))
    assert_frames(cine, frames)
    assert cine.notes == ()


def in_pieces(streams, size):
    return [stream[at : at + size] for stream in streams for at in range(0, len(stream), size)]


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless])
@pytest.mark.parametrize("told", [None, 6])
@pytest.mark.parametrize("size", [10**6, 1000, 300])
def test_streams_that_follow_each_other_whatever_the_fragments(save_dicom, syntax, told, size):
    frames = moving_frames(6, 64, 96)
    if syntax == JPEGBaseline8Bit:
        streams = [jpeg(frame) for frame in frames]
    else:
        data = dicom_object(frames)
        data.compress(syntax, generate_instance_uid=False)
        streams = list(generate_frames(data.PixelData, number_of_frames=6))
    data = dicom_object(frames, streams, NumberOfFrames=told)
    data.file_meta.TransferSyntaxUID = syntax
    padded = b"".join(stream + bytes(len(stream) % 2) for stream in streams)
    data.PixelData = encapsulate(in_pieces([padded], size), has_bot=False)
    cine = read_cine(save_dicom(data))
    assert_frames(cine, frames, tolerance=2)
    said = ("The header does not say the number of frames: the 6 that are stored are used.",)
    assert cine.notes == (said if told is None else ())


@pytest.mark.parametrize(("told", "said"), [(9, "only 6 are stored"), (4, "the first 4 are used")])
def test_streams_in_one_fragment_that_are_not_as_many_as_told(save_dicom, told, said):
    data = dicom_object(FRAMES, STREAMS, NumberOfFrames=told)
    data.PixelData = encapsulate([b"".join(STREAMS)], has_bot=False)
    cine = read_cine(save_dicom(data))
    assert_frames(cine, FRAMES[:told], tolerance=2)
    assert said in cine.notes[0]


def test_messages_of_contradictions_hold_nothing_of_the_header(save_dicom):
    path = save_dicom(dicom_object(FRAMES, Rows=39))
    with pytest.raises(SourceError) as caught:
        read_cine(path)
    assert PLANTED not in str(caught.value)
    assert dcmread(path).PatientName == PLANTED


@pytest.mark.parametrize("count", [1, 4])
def test_odd_frames_in_big_endian_words(save_dicom, count):
    frames = moving_frames(count, 41, 55)
    data = dicom_object(frames)
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    stored = bytearray(data.PixelData)
    stored[0::2], stored[1::2] = stored[1::2], stored[0::2]
    data.PixelData = bytes(stored)
    assert_frames(read_cine(save_dicom(data)), frames)


def test_a_file_header_of_one_element_without_preamble(save_dicom):
    content = save_dicom(dicom_object(FRAMES)).read_bytes()
    at = content.index(b"\x02\x00\x10\x00UI")
    length = 8 + int.from_bytes(content[at + 6 : at + 8], "little")
    path = save_dicom(dicom_object(FRAMES))
    path.write_bytes(content[at : at + length] + content[content.index(b"\x28\x00\x02\x00US") :])
    assert_frames(read_cine(path))


# --- a header that names another transfer syntax ------------------------------------------------------------------


def renamed(path, syntax, told):
    """Give the header of a file another transfer syntax, and leave all else as it is."""
    length = len(syntax) + len(syntax) % 2
    uid = told.encode().ljust(len(told) + len(told) % 2, b"\0")
    old = b"UI" + struct.pack("<H", length) + syntax.encode().ljust(length, b"\0")
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, b"UI" + struct.pack("<H", len(uid)) + uid))
    return path


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (ExplicitVRLittleEndian, ExplicitVRBigEndian),
        (ImplicitVRLittleEndian, ExplicitVRBigEndian),
        (ExplicitVRBigEndian, ExplicitVRLittleEndian),
        (ExplicitVRBigEndian, ImplicitVRLittleEndian),
        (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian),
    ],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_elements_of_another_syntax_than_the_header_says(save_dicom, stored, told, bits):
    frames = FRAMES if bits == 8 else FRAMES.astype(np.uint16) * 257
    data = dicom_object(frames)
    data.file_meta.TransferSyntaxUID = stored
    data["PixelData"].VR = "OB" if bits == 8 else "OW"
    if bits == 16 and stored == ExplicitVRBigEndian:
        data.PixelData = frames.byteswap().tobytes()
    cine = read_cine(renamed(save_dicom(data), stored, told))
    assert_frames(cine)
    assert cine.identity.sop_instance_uids == (data.SOPInstanceUID,)


@pytest.mark.parametrize("told", [RLELossless, JPEGBaseline8Bit, JPEG2000Lossless, MPEG2MPML])
@pytest.mark.parametrize("frames", [FRAMES, ODD, ODD[:1], moving_frames(3, color=True)])
def test_uncompressed_pixels_that_the_header_calls_compressed(save_dicom, told, frames):
    data = dicom_object(frames)
    if frames.ndim == 4:
        data.PhotometricInterpretation = "YBR_FULL_422"  # as the compressed object had
    cine = read_cine(renamed(save_dicom(data), ExplicitVRLittleEndian, told))
    assert_frames(cine, frames)
    assert any("says that the pixels are compressed but they are not" in note for note in cine.notes)


@pytest.mark.parametrize("surplus", [-2, 2, 40])
def test_pixels_of_another_length_under_a_compressed_syntax_are_refused(save_dicom, surplus):
    data = dicom_object(FRAMES)
    data.PixelData = (data.PixelData + bytes(40))[: len(data.PixelData) + surplus]
    with pytest.raises(SourceError, match="contradict the transfer syntax"):
        read_cine(renamed(save_dicom(data), ExplicitVRLittleEndian, RLELossless))


@pytest.mark.parametrize("at", [2, 5])
def test_an_offset_past_the_end_joins_no_frames(save_dicom, at):
    frames = moving_frames(6)
    data = dicom_object(frames, [jpeg(frame) for frame in frames])
    items = bytearray(data.PixelData)
    items[8 + 4 * at : 12 + 4 * at] = (12345678).to_bytes(4, "little")
    data.PixelData = bytes(items)
    cine = read_cine(save_dicom(data))
    assert np.abs(np.stack(list(cine)).astype(int) - frames).mean() < 2
    assert cine.notes == ()


def test_a_volume_of_ultrasound_is_no_cine(save_dicom, tmp_path):
    data = dicom_object(moving_frames(6))
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.6.2")
    path = save_dicom(data)
    for chosen in (path, tmp_path):
        with pytest.raises(SourceError, match="3-D ultrasound volume, whose frames are slices and follow no time"):
            read_cine(chosen)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        (["PageNumberVector"], "PageNumberVector"),
        (["StageNumber", "FrameTime"], "StageNumber"),
        (["FrameTime"], None),
        (["FrameTimeVector"], None),
    ],
)
def test_frames_that_follow_each_other_by_something_else_than_time_are_noted(save_dicom, keywords, said):
    frames = moving_frames(4)
    data = dicom_object(frames, FrameTime=40, FrameIncrementPointer=[Tag(one) for one in keywords])
    notes = [note for note in read_cine(save_dicom(data)).notes if "they may be pages" in note]
    assert len(notes) == (said is not None)
    assert all(f" by {said}, not by time alone" in note for note in notes)


@pytest.mark.parametrize(("first", "last", "is_noted"), [(2, 4, True), (1, 6, False), (4, 2, False), (0, 9, False)])
def test_frames_that_viewers_do_not_show_are_noted_and_read(save_dicom, first, last, is_noted):
    cine = read_cine(save_dicom(dicom_object(moving_frames(6), StartTrim=first, StopTrim=last)))
    assert len(cine) == 6
    assert any("frames 2 to 4 of 6 alone, counted from 1" in note for note in cine.notes) == is_noted


@pytest.mark.parametrize("step", [0.0, 0.5])
def test_frames_at_different_places_in_space_are_noted(save_dicom, tmp_path, step):
    frames, many = moving_frames(6), []
    for number in range(6):
        place, group = Dataset(), Dataset()
        place.ImagePositionPatient = [0.0, 0.0, number * step]
        group.PlanePositionSequence = [place]
        many.append(group)
        one = dicom_object(frames[number : number + 1], InstanceNumber=number + 1, NumberOfFrames=None)
        one.ImagePositionPatient = place.ImagePositionPatient
        save_dicom(one, f"series/{number}.dcm")
    path = save_dicom(dicom_object(frames, PerFrameFunctionalGroupsSequence=many))
    for chosen in (path, tmp_path / "series"):
        assert any("slices of a volume and no cine" in note for note in read_cine(chosen).notes) == (step > 0)
