"""Small files that state, or inflate to, more than any cine: one sentence, in little time and memory."""

from __future__ import annotations

import gzip
import io
import struct
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless
from source_makers import dicom_object, jpeg, moving_frames

from UltrasoundLesionSegLib.errors import FrameError, SeedError, SourceError
from UltrasoundLesionSegLib.readers import deflated, dicom_fragments, inflated, limits
from UltrasoundLesionSegLib.readers.codestream import read_codestream
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file

GREY = moving_frames(4, 24, 32)


def dicom_bytes(data) -> bytes:
    target = io.BytesIO()
    data.save_as(target, enforce_file_format=True)
    return target.getvalue()


def save(folder: Path, content: bytes, name: str = "source") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def png_of(height: int, width: int) -> bytes:
    """A PNG whose header states a size and whose data are a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def nrrd(sizes: str, data: bytes, *lines: str) -> bytes:
    head = ["NRRD0004", "type: uint8", f"dimension: {len(sizes.split())}", f"sizes: {sizes}", *lines]
    return "\n".join(head).encode() + b"\n\n" + data


def test_a_picture_bomb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="9000 x 9000 pixels, too large"):
        read_cine(save(tmp_path, png_of(9000, 9000)))
    with pytest.raises(SourceError, match="no picture of the source can be read"):  # Pillow refuses it on its own
        read_cine(save(tmp_path, png_of(60000, 60000)))
    for side in (9000, 60000):
        with pytest.raises(SeedError, match=r"too large|picture is damaged"):
            read_seed_file(save(tmp_path, png_of(side, side)))


def test_one_huge_picture_among_others_is_one_bad_frame(tmp_path: Path) -> None:
    for index in range(20):
        Image.fromarray(GREY[0]).save(tmp_path / f"{index:02d}.png")
    save(tmp_path, png_of(60000, 60000), "07.png")
    cine = read_cine(tmp_path)
    assert len(cine) == 20
    assert "1 of the 20 pictures are damaged" in cine.notes[0]
    with pytest.raises(FrameError, match="frame 7"):
        cine.frames[7]


@pytest.mark.parametrize("elements", [{"Rows": 65535, "Columns": 65535}, {"Rows": 9000, "Columns": 9000}])
def test_dicom_frames_too_large_are_refused(tmp_path: Path, elements: dict[str, int]) -> None:
    content = dicom_bytes(dicom_object(GREY, [jpeg(one) for one in GREY], **elements))
    with pytest.raises(SourceError, match="too large for a cine"):
        read_cine(save(tmp_path, content))


def stated_form(encoded: bytes) -> tuple[int, int, int] | None:
    stream = read_codestream(encoded)
    return (stream.rows, stream.columns, stream.channels) if stream else None


def test_a_codestream_that_states_another_size_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = bytearray(jpeg(GREY[0]))
    at = stream.index(b"\xff\xc0")
    assert stated_form(bytes(stream)) == (24, 32, 1)
    stream[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    assert stated_form(bytes(stream)) == (65535, 65535, 1)
    path = save(tmp_path, dicom_bytes(dicom_object(GREY, [jpeg(GREY[0]), bytes(stream), jpeg(GREY[2]), jpeg(GREY[3])])))
    cine = read_cine(path)
    monkeypatch.setattr(Image, "open", pytest.fail)  # of the frame that is refused before
    with pytest.raises(FrameError, match="frame 1 cannot be read: its pixels do not fit the size"):
        cine.frames[1]


def test_the_size_of_jpeg_2000_is_read_from_its_codestream() -> None:
    data = dicom_object(moving_frames(1, 64, 96, color=True))
    data.compress(JPEG2000Lossless, generate_instance_uid=False)
    stream = data.PixelData[data.PixelData.index(b"\xff\x4f\xff\x51") :]
    assert stated_form(stream) == (64, 96, 3)
    assert stated_form(b"\xff\x4f\xff\x51") is None
    assert stated_form(b"RLE") is None


def test_frames_of_one_pixel_are_not_counted_without_end(tmp_path: Path) -> None:
    data = dicom_object(np.zeros((limits.MAX_FRAMES + 2, 1, 1), np.uint8), NumberOfFrames=None)
    with pytest.raises(SourceError, match="more than 100,000 frames"):
        read_cine(save(tmp_path, dicom_bytes(data)))
    with pytest.raises(SourceError, match="more than 100,000 frames"):
        read_cine(save(tmp_path, nrrd("1 1 200000", bytes(200000), "encoding: raw")))


def test_fragments_are_not_counted_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, dicom_bytes(dicom_object(GREY, [jpeg(one) for one in GREY])))
    monkeypatch.setattr(dicom_fragments, "MAX_FRAGMENTS", 3)
    with pytest.raises(SourceError, match="in more than 3 pieces"):
        read_cine(path)


def test_a_deflated_object_is_read_and_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dicom_object(np.zeros((40, 100, 100), np.uint8))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = save(tmp_path, dicom_bytes(data))
    assert path.stat().st_size < 5000
    assert len(read_cine(path)) == 40
    monkeypatch.setattr(deflated, "MAX_INFLATED_BYTES", 100_000)
    with pytest.raises(SourceError, match="inflates to more than"):
        read_cine(path)


def test_a_gzip_volume_that_holds_less_than_it_states_is_counted(tmp_path: Path) -> None:
    data = gzip.compress(bytes(10_000_000))
    started = time.process_time()
    cine = read_cine(save(tmp_path, nrrd("1000 1000 20000", data, "encoding: gzip")))
    assert len(cine) == 10
    assert cine.notes[0] == "The file is cut off: 10 of its 20000 frames are whole and are used."
    with pytest.raises(SourceError, match="cut off before its first frame"):
        read_cine(save(tmp_path, nrrd("8000 8000 60000", data, "encoding: gzip")))
    assert time.process_time() - started < 5


def test_a_gzip_bomb_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflated.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**28 + 10**6))
    path = save(tmp_path, nrrd("1000 1000 1000", gzip.compress(bytes(10**7)), "encoding: gzip"))
    with pytest.raises(SourceError, match="inflates to more than the folder for temporary files has room for"):
        read_cine(path)


def test_a_segmentation_whose_reference_is_huge_is_refused(tmp_path: Path) -> None:
    lines = (
        "encoding: gzip",
        "Segment0_ID:=a",
        "Segmentation_ConversionParameters:="
        "Reference image geometry|1;0;0;0;0;1;0;0;0;0;1;0;0;0;0;1;0;9999999;0;9999999;0;0;|x&",
    )
    path = save(tmp_path, nrrd("32 24 1", gzip.compress(bytes(768)), *lines), "a.seg.nrrd")
    with pytest.raises(SeedError, match="10000000 x 10000000 pixels, too large"):
        read_seed_file(path)


@pytest.mark.parametrize(
    "line",
    [
        "a" + " " * 1_000_000 + "b",  # no mark: a pattern that looks for one tries every place
        "space directions: " + "(" * 200_000,
        "keyword:=" + '"' * 200_000,
    ],
)
def test_long_header_lines_take_no_time(tmp_path: Path, line: str) -> None:
    started = time.process_time()
    cine = read_cine(save(tmp_path, nrrd("32 24 4", GREY.tobytes(), "encoding: raw", line)))
    assert len(cine) == 4
    assert time.process_time() - started < 2
