"""Sources that vanish, shrink or grow while they are read: each frame is the right one, or an error that names it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from source_makers import dicom_object, jpeg, moving_frames

from UltrasoundLesionSegLib.errors import FrameError
from UltrasoundLesionSegLib.readers.open import read_cine

GREY = moving_frames(40, 48, 64)


def dicom(folder: Path, encoded: bool = False) -> Path:
    path = folder / "a.dcm"
    dicom_object(GREY, [jpeg(one) for one in GREY] if encoded else ()).save_as(path, enforce_file_format=True)
    return path


def series(folder: Path) -> Path:
    for index, frame in enumerate(GREY):
        one = dicom_object(frame[np.newaxis], NumberOfFrames=None, InstanceNumber=index + 1)
        one.save_as(folder / f"{index:02d}.dcm", enforce_file_format=True)
    return folder


def pictures(folder: Path) -> Path:
    for index, frame in enumerate(GREY):
        Image.fromarray(frame).save(folder / f"{index:02d}.png")
    return folder


def volume(folder: Path, encoding: str = "raw", sizes: str = "64 48 40") -> Path:
    path = folder / "a.nrrd"
    kinds = "kinds: list domain domain\n" if sizes.startswith("40") else ""
    data = (np.moveaxis(GREY, 0, -1) if kinds else GREY).tobytes()
    head = f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: {sizes}\n{kinds}encoding: {encoding}\n\n"
    path.write_bytes(head.encode() + (gzip.compress(data) if encoding == "gzip" else data))
    return path


def video(folder: Path, codec: str = "MJPG") -> Path:
    path = folder / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (64, 48))
    for frame in GREY:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def last_file(source: Path) -> Path:
    return sorted(source.iterdir())[-1] if source.is_dir() else source


def cut(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


def grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(path.read_bytes()[-5000:])


SOURCES: dict[str, Callable[[Path], Path]] = {
    "DICOM": dicom,
    "DICOM JPEG": lambda folder: dicom(folder, encoded=True),
    "DICOM series": series,
    "pictures": pictures,
    "volume": volume,
    "volume, frames interleaved": lambda folder: volume(folder, sizes="40 64 48"),
    "volume, compressed": lambda folder: volume(folder, "gzip"),
    "video": video,
    "video, predicted": lambda folder: video(folder, "FFV1"),
}


@pytest.mark.parametrize("change", [cut, Path.unlink, grow])
@pytest.mark.parametrize("name", [*SOURCES])
def test_each_frame_is_right_or_named(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    whole, changed = tmp_path / "whole", tmp_path / "changed"
    whole.mkdir()
    SOURCES[name](whole)
    shutil.copytree(whole, changed)
    expected = list(read_cine(whole if name in ("DICOM series", "pictures") else last_file(whole)))
    source = changed if name in ("DICOM series", "pictures") else last_file(changed)
    cine = read_cine(source)
    change(last_file(source))
    unreadable = {}
    for index, right in enumerate(expected):
        try:
            np.testing.assert_array_equal(cine.frames[index], right)
        except FrameError as error:
            unreadable[index] = error
    assert all(error.frame == index and str(tmp_path) not in str(error) for index, error in unreadable.items())
    assert len(cine) == len(expected)
    if change is grow:
        assert len(unreadable) <= (name in ("DICOM series", "pictures"))  # the picture's or object's own end is gone
    elif name not in ("volume, compressed", "video", "video, predicted"):  # these hold the file open
        assert unreadable
