"""What the fuzz runs found, each as small as it gets: damage that ended in another exception, a hang, or silence."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
from dicom_helpers import describe, write_multiframe
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGLSLossless
from source_makers import dicom_object, jpeg, moving_frames

from UltrasoundLesionSegLib.batch.fingerprint import content_digest
from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.dicom.patient import read_patient
from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.errors import FrameError, OutputError, SeedError, SourceError
from UltrasoundLesionSegLib.readers.dicom_dates import seconds_of
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file
from UltrasoundLesionSegLib.workflow.seeding import seeds_from_file

GREY = moving_frames(4, 24, 32)
MASKS = GREY > 90


def volume(path: Path, sizes: str, data: bytes, *lines: str) -> Path:
    head = ["NRRD0004", "type: uint8", f"dimension: {len(sizes.split())}", f"sizes: {sizes}", *lines]
    path.write_bytes("\n".join(head).encode() + b"\n\n" + data)
    return path


# --- what is no file, or has no name a file can have


def test_names_that_no_file_can_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not one that a file can have"):
        read_cine(tmp_path / "a\0b")
    with pytest.raises(SourceError, match="cannot be opened"):
        read_cine(tmp_path / ("a" * 70_000))
    with pytest.raises(SourceError, match="header is damaged"):
        read_cine(volume(tmp_path / "a.nhdr", "32 24 4", b"", "encoding: raw", "data file: a\0b"))


def test_a_name_that_is_too_long_is_one_case_of_a_batch() -> None:
    with pytest.raises(SourceError, match="cannot be opened"):
        content_digest(Path("a" * 70_000))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        read_cine(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        read_cine(volume(tmp_path / "a.nhdr", "32 24 4", b"", "encoding: raw", "data file: pipe"))


# --- numbers of frames that were wrong without a word


def test_a_cut_volume_with_a_fourth_axis_gives_its_whole_frames(tmp_path: Path) -> None:
    path = volume(tmp_path / "a.nrrd", "32 24 4 1", GREY.tobytes()[:-100], "encoding: raw")
    cine = read_cine(path)
    assert len(cine) == 3
    np.testing.assert_array_equal(np.stack(list(cine)), GREY[:3])
    path = volume(tmp_path / "b.nrrd", "32 24 4 1", GREY.tobytes()[:-100], "encoding: raw", "kinds: ? ? list ?")
    assert len(read_cine(path)) == 3


def test_pixels_beyond_what_the_header_describes_are_told(tmp_path: Path) -> None:
    cine = read_cine(volume(tmp_path / "a.nrrd", "32 24 3", GREY.tobytes(), "encoding: raw"))
    assert len(cine) == 3
    assert cine.notes[0].startswith("The file holds 768 bytes more than the 3 frames its header describes")
    assert read_cine(volume(tmp_path / "b.nrrd", "32 24 4", GREY.tobytes() + b"\n", "encoding: raw")).notes == ()
    with pytest.raises(SeedError, match="more than its header describes"):
        read_seed_file(volume(tmp_path / "c.nrrd", "32 24 3", MASKS.tobytes(), "encoding: raw"))


@pytest.mark.parametrize("told", [3, 5])
def test_a_compressed_volume_with_a_wrong_number_of_frames_says_so(tmp_path: Path, told: int) -> None:
    data = gzip.compress(GREY.tobytes())
    cine = read_cine(volume(tmp_path / "a.nrrd", f"32 24 {told}", data, "encoding: gzip"))
    assert len(cine) == min(told, 4)
    assert ("holds 768 bytes more" if told == 3 else "4 of its 5 frames") in cine.notes[0]


def test_gzip_streams_one_after_another_are_one(tmp_path: Path) -> None:
    data = b"".join(gzip.compress(one.tobytes()) for one in GREY)
    cine = read_cine(volume(tmp_path / "a.nrrd", "32 24 4", data, "encoding: gzip"))
    np.testing.assert_array_equal(np.stack(list(cine)), GREY)
    assert cine.notes == ()


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_picture_damaged_beyond_recognition_keeps_its_place(tmp_path: Path, content: bytes) -> None:
    for index in range(12):
        Image.fromarray(np.full((24, 32), index, np.uint8)).save(tmp_path / f"{index:02d}.png")
    (tmp_path / "05.png").write_bytes(content)
    (tmp_path / "README").write_text("not a frame")
    cine = read_cine(tmp_path)
    assert len(cine) == 12
    assert "1 of the 12 pictures are damaged" in cine.notes[0]
    assert cine.frames[6].max() == 6
    with pytest.raises(FrameError, match="frame 5 "):
        cine.frames[5]


def test_an_object_damaged_beyond_recognition_is_told(tmp_path: Path) -> None:
    for index, frame in enumerate(GREY):
        one = dicom_object(frame[np.newaxis], NumberOfFrames=None, InstanceNumber=index + 1)
        one.save_as(tmp_path / f"{index}.dcm", enforce_file_format=True)
    (tmp_path / "2.dcm").write_bytes(b"")
    cine = read_cine(tmp_path)
    assert len(cine) == 3
    assert cine.notes[0] == "1 other DICOM object of the folder is left out."


def test_an_object_that_does_not_say_its_number_of_frames_gets_a_note(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    dicom_object(GREY, [jpeg(one) for one in GREY], NumberOfFrames=None).save_as(path, enforce_file_format=True)
    assert read_cine(path).notes == ("The header does not say the number of frames: the 4 that are stored are used.",)
    path.write_bytes(path.read_bytes()[:-600])
    cine = read_cine(path)
    assert len(cine) < 4
    assert "cut off and does not say its number of frames" in cine.notes[0]
    dicom_object(GREY[:1], NumberOfFrames=None).save_as(path, enforce_file_format=True)
    assert read_cine(path).notes == ()


def test_files_that_are_lacking_or_there_twice_are_told(tmp_path: Path) -> None:
    for index, frame in enumerate(np.concatenate([GREY, GREY])):
        one = dicom_object(frame[np.newaxis], NumberOfFrames=None, InstanceNumber=index + 1)
        one.save_as(tmp_path / f"{index}.dcm", enforce_file_format=True)
    (tmp_path / "2.dcm").rename(tmp_path / "3.dcm.copy")
    (tmp_path / "3.dcm.copy").write_bytes((tmp_path / "3.dcm").read_bytes())
    cine = read_cine(tmp_path)
    assert len(cine) == 7
    assert cine.notes[0] == "1 other DICOM object of the folder is left out."
    assert cine.notes[-1] == "The numbers of the instances leave out 1: frames may be missing."


def test_pictures_that_are_lacking_are_told(tmp_path: Path) -> None:
    for index in (5, 10, 15, 25, 30):
        Image.fromarray(GREY[0] ^ np.uint8(index)).save(tmp_path / f"clip2_{index}.png")
    assert read_cine(tmp_path).notes == ("The numbers of the pictures' names leave out 1: frames may be missing.",)
    (tmp_path / "clip2_25.png").rename(tmp_path / "clip2_20.png")
    (tmp_path / "clip2_30.png").rename(tmp_path / "clip2_25.png")
    assert read_cine(tmp_path).notes == ()


# --- other exceptions


def test_superscripts_are_no_time() -> None:
    assert seconds_of("²²") is None
    assert seconds_of("10.²") is None
    assert seconds_of("101530.25") == 36930.25


def test_a_jpeg_ls_frame_that_is_cut_off_does_not_hang(tmp_path: Path) -> None:
    data = dicom_object(GREY)
    data.compress(JPEGLSLossless, generate_instance_uid=False)
    frames = [*generate_frames(data.PixelData, number_of_frames=4)]
    frames[1] = frames[1].rstrip(b"\0")[:-5]  # without its end marker: the decoder would look for it for ever
    data.PixelData = encapsulate(frames)
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    cine = read_cine(tmp_path / "a.dcm")
    np.testing.assert_array_equal(cine.frames[2], GREY[2])
    with pytest.raises(FrameError, match="frame 1 "):
        cine.frames[1]


def segmentation(folder: Path) -> tuple[Cine, Path]:
    cine = read_cine(write_multiframe(folder / "cine.dcm", GREY))
    path = folder / "seg.dcm"
    lesions = [describe(cine, 1)]
    write_segmentation(path, DicomSource.from_cine(cine), lesions, MASKS[:, np.newaxis], SegmentationKind.BINARY)
    return cine, path


def with_vr(content: bytes, tag: tuple[int, int], vr: bytes) -> bytes:
    at = content.index(struct.pack("<HH", *tag), 132)
    return content[: at + 4] + vr + content[at + 6 :]


@pytest.mark.parametrize(
    ("tag", "vr"),
    [((0x0028, 0x0008), b"FD"), ((0x0028, 0x0010), b"LO"), ((0x0062, 0x0001), b"ET"), ((0x0062, 0x0020), b"ZZ")],
)
def test_a_segmentation_whose_elements_cannot_be_parsed_is_refused(
    tmp_path: Path, tag: tuple[int, int], vr: bytes
) -> None:
    cine, path = segmentation(tmp_path)
    assert seeds_from_file(path, cine, 0, "Lesion").found
    path.write_bytes(with_vr(path.read_bytes(), tag, vr))
    with pytest.raises(SeedError, match=r"damaged|not readable|no masks"):
        read_segmentation(path, cine)


def test_a_segmentation_without_transfer_syntax_is_read_by_its_elements(tmp_path: Path) -> None:
    cine, path = segmentation(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x02\x00\x10\x00UI", b"\x02\x00\x11\x00UI", 1))
    (segment,) = read_segmentation(path, cine).segments
    assert {frame: mask.tolist() for frame, mask in segment.masks.items()} == {
        frame: mask.tolist() for frame, mask in enumerate(MASKS) if mask.any()
    }


def test_a_segmentation_whose_transfer_syntax_is_none_is_refused(tmp_path: Path) -> None:
    cine, path = segmentation(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0", 1))
    with pytest.raises(SeedError, match="damaged"):
        read_segmentation(path, cine)


@pytest.mark.parametrize("elements", [{"MaximumFractionalValue": "x"}, {"NumberOfFrames": "-3"}, {"Rows": [24, 24]}])
def test_segmentations_with_impossible_numbers_are_refused(tmp_path: Path, elements: dict[str, object]) -> None:
    cine, path = segmentation(tmp_path)
    with pydicom.config.disable_value_validation():
        data = pydicom.dcmread(path)
        for keyword, value in elements.items():
            data[keyword] = pydicom.DataElement(keyword, "LO" if isinstance(value, str) else "US", value)
        data.save_as(path, enforce_file_format=False)
    with pytest.raises(SeedError, match=r"damaged|no masks"):
        read_segmentation(path, cine)


def test_a_source_whose_study_cannot_be_parsed_gives_no_output(tmp_path: Path) -> None:
    path = write_multiframe(tmp_path / "cine.dcm", GREY)
    path.write_bytes(with_vr(path.read_bytes(), (0x0020, 0x0010), b"SI"))
    cine = read_cine(path)
    with pytest.raises(OutputError, match=r"damaged where results must repeat it|can no longer be read"):
        DicomSource.from_cine(cine)


def test_a_broken_sequence_is_not_called_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    data = dicom_object(GREY)
    target = io.BytesIO()
    data.save_as(target, enforce_file_format=True)
    content = target.getvalue()
    at = content.index(struct.pack("<HH", 0x0028, 0x0002))
    broken = content[:at] + struct.pack("<HH2sHI", 0x0018, 0x6011, b"SQ", 0, 20) + content[at : at + 10]
    (tmp_path / "a.dcm").write_bytes(broken)
    with pytest.raises(SourceError, match=r"header is damaged|holds no image"):
        read_cine(tmp_path / "a.dcm")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"patient_id": ' + "[" * 100_000])
def test_a_patient_file_nested_without_end_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "patient.json").write_text(content)
    with pytest.raises(OutputError, match="no JSON object"):
        read_patient(tmp_path / "patient.json")
    (tmp_path / "patient.json").write_text(json.dumps({"patient_id": "1", "patient_name": "a"}))
    assert read_patient(tmp_path / "patient.json").patient_id == "1"


def test_a_mask_of_a_million_rows_is_refused_before_it_is_looked_at(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((1_000_000, 32), np.uint8)).convert("P")
    image.save(tmp_path / "a.png")
    begin = time.process_time()
    with pytest.raises(SeedError, match="1000000 x 32 pixels but the cine's frames are 24 x 32"):
        read_seed_file(tmp_path / "a.png", (24, 32))
    assert time.process_time() - begin < 1


def test_a_tiff_page_without_pixels_is_damaged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # bits that no reader knows and no offsets of its strips: tifffile returns an empty array
    tifffile.imwrite(tmp_path / "a.tif", GREY[0], metadata=None)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages.first.tags
        data[tags["BitsPerSample"].valueoffset : tags["BitsPerSample"].valueoffset + 2] = b"\x25\x24"
        for name in ("StripOffsets", "StripByteCounts"):
            data[tags[name].offset : tags[name].offset + 2] = b"\xf0\xff"
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(SourceError, match="damaged"):
        read_cine(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")  # tifffile's own messages quote the file
