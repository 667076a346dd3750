"""Compressed frames say what they are; a data set that says something else does not change the picture."""

import io
from typing import Any

import numpy as np
import pytest
import SimpleITK
from openjpeg.utils import encode_array
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from source_makers import dicom_object, jpeg, moving_frames

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.codestream import read_codestream
from UltrasoundLesionSegLib.readers.open import read_cine

COLOR = moving_frames(3, color=True)
# a black margin, as every ultrasound picture has
COLOR[:, :, :20] = 0
GREY = moving_frames(3)
YBR = convert_color_space(COLOR, "RGB", "YBR_FULL")
LOSSLESS = [RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1]
NAMES = ["RLE", "JPEG-LS", "JPEG 2000", "JPEG lossless"]


def lossless_jpegs(frames, tmp_path):
    """JPEG lossless streams by GDCM."""
    streams = []
    for index, frame in enumerate(frames):
        writer = SimpleITK.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(tmp_path / f"{index}.dcm"))
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.Execute(SimpleITK.GetImageFromArray(frame[np.newaxis], isVector=frame.ndim == 3))
        written = dcmread(tmp_path / f"{index}.dcm")
        streams += list(generate_frames(written.PixelData, number_of_frames=1))
    return streams


def compressed(frames, syntax, tmp_path, **elements):
    """An object of frames whose samples are coded as they are, without any colour transformation."""
    if syntax == JPEGLosslessSV1:
        data = dicom_object(frames, lossless_jpegs(frames, tmp_path))
        data.file_meta.TransferSyntaxUID = UID(syntax)
        data.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    else:
        data = dicom_object(frames)
        data.compress(syntax, generate_instance_uid=False)
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    return data


def stacked(cine):
    return np.stack(list(cine)).astype(int)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=NAMES)
@pytest.mark.parametrize("frames", [COLOR, GREY], ids=["color", "grey"])
def test_planar_configuration_means_nothing_in_a_compressed_stream(save_dicom, tmp_path, syntax, frames):
    cine = read_cine(save_dicom(compressed(frames, syntax, tmp_path, PlanarConfiguration=1)))
    np.testing.assert_array_equal(stacked(cine), frames)
    assert cine.notes == ()


@pytest.mark.parametrize("told", ["YBR_FULL_422", "RGB", "YBR_FULL"])
def test_planar_configuration_means_nothing_in_jpeg(save_dicom, told):
    tripled = np.repeat(GREY[..., np.newaxis], 3, axis=3)
    for frames in (COLOR, tripled):
        data = dicom_object(
            frames, [jpeg(one) for one in frames], PlanarConfiguration=1, PhotometricInterpretation=told
        )
        cine = read_cine(save_dicom(data))
        expected = frames if cine.is_color else frames[..., 0]
        assert np.abs(stacked(cine) - expected).mean() < 3


@pytest.mark.parametrize("syntax", LOSSLESS, ids=NAMES)
@pytest.mark.parametrize("told", ["YBR_FULL", "YBR_FULL_422"])
def test_rgb_samples_that_the_header_calls_ybr_are_recognised_and_noted(save_dicom, tmp_path, syntax, told):
    cine = read_cine(save_dicom(compressed(COLOR, syntax, tmp_path, PhotometricInterpretation=told)))
    np.testing.assert_array_equal(stacked(cine), COLOR)
    assert cine.notes == (
        "The DICOM header names the wrong kind of colours (YBR): read as RGB, so that black is black.",
    )


@pytest.mark.parametrize("syntax", LOSSLESS, ids=NAMES)
@pytest.mark.parametrize("told", ["YBR_FULL", "RGB"])
def test_ybr_samples_are_converted_once_whatever_the_header_calls_them(save_dicom, tmp_path, syntax, told):
    cine = read_cine(save_dicom(compressed(YBR, syntax, tmp_path, PhotometricInterpretation=told)))
    assert np.abs(stacked(cine) - COLOR).max() <= 3
    assert bool(cine.notes) is (told == "RGB")


@pytest.mark.parametrize("told", ["YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "RGB"])
def test_jpeg_2000_with_its_own_transformation_is_rgb(save_dicom, told):
    streams = [bytes(encode_array(frame, photometric_interpretation=1, use_mct=True)) for frame in COLOR]
    assert read_codestream(streams[0]).is_transformed
    data = dicom_object(COLOR, streams, PhotometricInterpretation=told, PlanarConfiguration=1)
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    cine = read_cine(save_dicom(data))
    np.testing.assert_array_equal(stacked(cine), COLOR)
    assert cine.notes == ()


def test_colors_of_uncompressed_samples_that_the_header_denies_are_noted(save_dicom):
    cine = read_cine(save_dicom(dicom_object(COLOR, PhotometricInterpretation="YBR_FULL")))
    np.testing.assert_array_equal(stacked(cine), COLOR)
    assert "read as RGB" in cine.notes[0]
    cine = read_cine(save_dicom(dicom_object(YBR)))
    assert np.abs(stacked(cine) - COLOR).max() <= 3
    assert "read as YBR" in cine.notes[0]


def test_a_series_notes_what_its_colors_are(save_dicom, tmp_path):
    for index in range(3):
        data = dicom_object(COLOR[index : index + 1], PhotometricInterpretation="YBR_FULL", InstanceNumber=index + 1)
        save_dicom(data, f"series/{index}.dcm")
    cine = read_cine(tmp_path / "series")
    np.testing.assert_array_equal(stacked(cine), COLOR)
    assert "read as RGB" in cine.notes[0]


@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEGBaseline8Bit], ids=[*NAMES, "JPEG"])
@pytest.mark.parametrize("frames", [COLOR, GREY], ids=["color", "grey"])
def test_the_channels_are_those_of_the_stream(save_dicom, tmp_path, syntax, frames):
    if syntax == JPEGBaseline8Bit:
        data = dicom_object(frames, [jpeg(one) for one in frames])
    else:
        data = compressed(frames, syntax, tmp_path)
    is_color = frames.ndim == 4
    data.SamplesPerPixel = 1 if is_color else 3
    data.PhotometricInterpretation = "MONOCHROME2" if is_color else "RGB"
    data.PlanarConfiguration = 0
    cine = read_cine(save_dicom(data))
    assert cine.is_color is is_color
    assert np.abs(stacked(cine) - frames).mean() < 3


@pytest.mark.parametrize("told", LOSSLESS, ids=NAMES)
def test_a_stream_of_another_kind_than_the_transfer_syntax(save_dicom, told):
    data = dicom_object(GREY, [jpeg(one) for one in GREY])
    data.file_meta.TransferSyntaxUID = told
    assert np.abs(stacked(read_cine(save_dicom(data))) - GREY).mean() < 3


@pytest.mark.parametrize("syntax", LOSSLESS, ids=NAMES)
def test_a_lossless_stream_that_is_said_to_be_jpeg(save_dicom, tmp_path, syntax):
    data = compressed(GREY, syntax, tmp_path)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    np.testing.assert_array_equal(stacked(read_cine(save_dicom(data))), GREY)


def test_jpeg_ls_may_be_filled_up_with_any_byte(save_dicom, tmp_path):
    """DCMTK's encoder leaves what was in memory behind a stream of odd length."""
    streams = list(generate_frames(compressed(GREY, JPEGLSLossless, tmp_path).PixelData, number_of_frames=len(GREY)))
    ends = [one[: one.rindex(b"\xff\xd9") + 2] for one in streams]
    data = dicom_object(GREY, [one + b"\x9f\xad"[: 1 + len(one) % 2] for one in ends])
    data.file_meta.TransferSyntaxUID = JPEGLSLossless
    np.testing.assert_array_equal(stacked(read_cine(save_dicom(data))), GREY)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=NAMES[:3])
def test_eight_bits_that_the_header_calls_sixteen(save_dicom, tmp_path, syntax):
    data = compressed(GREY, syntax, tmp_path, BitsAllocated=16, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(stacked(read_cine(save_dicom(data))), GREY)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=NAMES[:3])
def test_sixteen_bits_that_the_header_calls_eight(save_dicom, tmp_path, syntax):
    deep = GREY.astype(np.uint16) * 257
    data = compressed(deep, syntax, tmp_path, BitsAllocated=8, BitsStored=8, HighBit=7)
    assert np.abs(stacked(read_cine(save_dicom(data))) - GREY).max() <= 1


def test_23_twelve_bit_jpeg_of_the_field(shared_data, capfd):
    field = shared_data / "field"
    cine = read_cine(field / "23_jpeg_extended_12_bit" / "jpeg12.dcm")
    base = read_cine(field / "00_base" / "base.dcm")
    assert np.abs(stacked(cine) - stacked(base)).mean() < 0.5
    assert cine.notes == ()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("syntax", "stored"), [(JPEGExtended12Bit, 8), (JPEGBaseline8Bit, 12)])
def test_twelve_bit_jpeg_whatever_the_header_says(shared_data, tmp_path, syntax, stored):
    data = dcmread(shared_data / "field" / "23_jpeg_extended_12_bit" / "jpeg12.dcm")
    data.file_meta.TransferSyntaxUID = UID(syntax)
    data.BitsStored, data.HighBit, data.BitsAllocated = stored, stored - 1, 8 if stored == 8 else 16
    data.save_as(tmp_path / "12.dcm")
    base = read_cine(shared_data / "field" / "00_base" / "base.dcm")
    assert np.abs(stacked(read_cine(tmp_path / "12.dcm")) - stacked(base)).mean() < 0.5


def test_a_kind_of_jpeg_that_nobody_decodes_is_named(save_dicom):
    stream = jpeg(GREY[0]).replace(b"\xff\xc0", b"\xff\xc5", 1)  # hierarchical
    with pytest.raises(SourceError, match="a kind of JPEG that cannot be decoded here"):
        read_cine(save_dicom(dicom_object(GREY[:1], [stream])))


def test_progressive_jpeg_is_read(save_dicom):
    target = io.BytesIO()
    Image.fromarray(GREY[0]).save(target, "JPEG", quality=95, progressive=True)
    cine = read_cine(save_dicom(dicom_object(GREY[:1], [target.getvalue()])))
    assert np.abs(stacked(cine) - GREY[:1]).mean() < 3


@pytest.mark.parametrize("kind", ["02", "24", "29"])
def test_field_files(shared_data, kind):
    field = shared_data / "field"
    base = read_cine(field / "00_base" / "base.dcm")
    if kind == "02":
        folder = field / "02_planar_configuration_1_in_jpeg"
        right = np.asarray(Image.open(folder / "jpeg_greycontent_planar1_right.png")).astype(int)
        assert np.abs(read_cine(folder / "jpeg_greycontent_planar1.dcm").frames[2] - right).mean() < 1.5
    elif kind == "24":
        cine = read_cine(field / "24_rle_in_fragments" / "one_frame_two_fragments.dcm")
        np.testing.assert_array_equal(cine.frames[0], base.frames[0])
        assert len(cine) == 1
    elif kind == "29":
        folder = field / "29_rgb_that_says_ybr_when_compressed"
        cine = read_cine(folder / "rle_rgb_saysybr.dcm")
        np.testing.assert_array_equal(cine.frames[0], np.asarray(Image.open(folder / "right.png")))


# --- JPEG without a marker that tells RGB from YBR -----------------------------------------------------------------


def unmarked(stream):
    """A JPEG stream without the markers of JFIF and Adobe, its components numbered from 1."""
    parts, at = [stream[:2]], 2
    while True:
        length = 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        segment, at = bytearray(stream[at : at + length]), at + length
        first, step = {0xC0: (10, 3), 0xDA: (5, 2)}.get(segment[1], (0, 0))
        if step:
            segment[first : first + 3 * step : step] = b"\1\2\3"
        if segment[1] not in (0xE0, 0xEE):
            parts.append(bytes(segment))
        if segment[1] == 0xDA:
            return b"".join(parts) + stream[at:]


def pillow_jpeg(picture, **options):
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "JPEG", quality=98, **options)
    return target.getvalue()


SLIGHT = np.repeat(GREY[..., np.newaxis], 3, axis=3)
SLIGHT[:, 5:12, 30:40, 0] = 255  # a coloured mark on grey
SLIGHT[:, :, :10] = 0


@pytest.mark.parametrize("told", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("stored", ["RGB", "YBR", "YBR 422"])
def test_colors_of_jpeg_without_markers_are_told_by_their_black(save_dicom, stored, told):
    options: dict[str, dict[str, Any]] = {"RGB": {"keep_rgb": True}, "YBR": {"subsampling": 0}}
    options["YBR 422"] = {"subsampling": 1}
    streams = [unmarked(pillow_jpeg(frame, **options[stored])) for frame in SLIGHT]
    assert read_codestream(streams[0]).is_unmarked
    cine = read_cine(save_dicom(dicom_object(SLIGHT, streams, PhotometricInterpretation=told)))
    assert np.abs(stacked(cine) - SLIGHT).mean() < 3
    assert bool(cine.notes) is (stored[:3] != told[:3])


# --- the compression is named wrongly, or not at all ---------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.4.55",  # retired: progressive JPEG
        "1.2.840.10008.1.2.4.102",  # H.264
        "1.2.840.10008.1.2.4.110",  # JPEG XL
        "1.2.840.113619.5.2",  # private
    ],
)
def test_a_stream_under_a_syntax_that_it_cannot_have_is_read_as_what_it_is(save_dicom, tmp_path, told):
    data = dicom_object(GREY, [jpeg(frame) for frame in GREY])
    data.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.201")
    path = save_dicom(data)
    old = b"1.2.840.10008.1.2.4.201\0"
    path.write_bytes(path.read_bytes().replace(old, told.encode().ljust(len(old), b"\0"), 1))
    cine = read_cine(path)
    assert np.abs(stacked(cine) - GREY).mean() < 3
    assert any("they are JPEG and read so" in note for note in cine.notes)


def test_uncompressed_frames_in_fragments(save_dicom):
    path = save_dicom(dicom_object(GREY, [frame.tobytes() for frame in GREY]))
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.1.98", 1))
    cine = read_cine(path)
    np.testing.assert_array_equal(stacked(cine), GREY)
    assert cine.notes == ()


def test_a_series_under_a_private_syntax(save_dicom, tmp_path):
    for number, frame in enumerate(GREY):
        path = save_dicom(dicom_object(GREY[:1], [jpeg(frame)], InstanceNumber=number + 1), f"series/{number}")
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.113619.5.2\0\0\0\0", 1))
    cine = read_cine(tmp_path / "series")
    assert np.abs(stacked(cine) - GREY).mean() < 3
    assert any("In 3 of the 3 objects" in note and "they are JPEG" in note for note in cine.notes)
