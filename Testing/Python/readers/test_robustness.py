"""Damaged files of every format end in a cine, or in one of our errors; never in anything else."""

import contextlib
import functools
import gzip
import io
import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from source_makers import dicom_object, jpeg, moving_frames, region

from UltrasoundLesionSegLib.errors import FrameError, LesionSegError, SeedError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file

EXAMPLES = int(os.environ.get("ULS_FUZZ_EXAMPLES", "40"))
FRAMES = moving_frames(4, 24, 32)
COLOR = moving_frames(4, 24, 32, color=True)


def dicom_bytes(data):
    target = io.BytesIO()
    data.save_as(target, enforce_file_format=True)
    return target.getvalue()


def written(suffix, write):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write(path)
        return path.read_bytes()


def video_bytes(suffix, codec):
    def write(path):
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (32, 24))
        for frame in COLOR:
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
        writer.release()

    return written(suffix, write)


def volume_bytes(suffix, frames, compress=False):
    image = SimpleITK.GetImageFromArray(frames, isVector=frames.ndim == 4)
    return written(suffix, lambda path: SimpleITK.WriteImage(image, str(path), useCompression=compress))


def png_bytes(picture):
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "PNG")
    return target.getvalue()


def seg_bytes():
    header = (
        "NRRD0004\ntype: unsigned char\ndimension: 4\nsizes: 2 32 24 1\nkinds: list domain domain domain\n"
        "encoding: gzip\nSegment0_ID:=a\nSegment0_Layer:=1\nSegment0_LabelValue:=1\n"
        "Segmentation_ConversionParameters:="
        "Reference image geometry|1;0;0;0;0;1;0;0;0;0;1;0;0;0;0;1;0;31;0;23;0;0;|x&\n"
        "Segmentation_ReferenceImageExtentOffset:=0 0 0\n\n"
    )
    return header.encode() + gzip.compress(np.repeat(FRAMES[0] > 90, 2).tobytes())


@functools.cache
def sources():
    elements: dict[str, Any] = {
        "FrameTimeVector": ["0", "40", "40", "40"],
        "SequenceOfUltrasoundRegions": [region((0, 0, 31, 23), (0.01, 0.01))],
    }
    rle = dicom_object(FRAMES)
    rle.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    return {
        "uncompressed DICOM": dicom_bytes(dicom_object(FRAMES, **elements)),
        "JPEG DICOM": dicom_bytes(dicom_object(COLOR, [jpeg(frame) for frame in COLOR], **elements)),
        "RLE DICOM": dicom_bytes(rle),
        "AVI": video_bytes(".avi", "MJPG"),
        "MP4": video_bytes(".mp4", "mp4v"),
        "PNG": png_bytes(FRAMES[0]),
        "JPEG": jpeg(COLOR[0]),
        "NRRD": volume_bytes(".nrrd", FRAMES),
        "gzip NRRD": volume_bytes(".nrrd", COLOR, True),
        "MHA": volume_bytes(".mha", FRAMES.astype(np.int16), True),
        "NIfTI": volume_bytes(".nii", FRAMES),
        "gzip NIfTI": volume_bytes(".nii.gz", FRAMES),
    }


@functools.cache
def seeds():
    return {"PNG": png_bytes(FRAMES[0]), "NRRD": volume_bytes(".nrrd", FRAMES), ".seg.nrrd": seg_bytes()}


@st.composite
def damage(draw):
    """A recipe: where to cut, and bytes to overwrite, most of them in the header."""
    changes = draw(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.binary(min_size=1, max_size=4)), max_size=6))
    return draw(st.one_of(st.none(), st.floats(0, 1))), changes


def damaged(content, recipe):
    cut, changes = recipe
    result = bytearray(content if cut is None else content[: int(cut * len(content))])
    for where, is_header, values in changes:
        at = int(where * (min(len(result), 700) if is_header else len(result)))
        result[at : at + len(values)] = values
    return bytes(result)


@contextlib.contextmanager
def file_of(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source"
        path.write_bytes(content)
        yield path


def outcome(call, kind):
    """What a call returns, or the error of ours it raises."""
    try:
        return call()
    except kind as error:
        return error


@pytest.mark.parametrize("name", list(sources()))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 1000)
@given(recipe=damage())
def test_damaged_sources(name, recipe):
    with file_of(damaged(sources()[name], recipe)) as path:
        cine = outcome(lambda: read_cine(path), LesionSegError)
        if isinstance(cine, LesionSegError):
            assert str(path) not in str(cine)
            return
        for index in {0, len(cine) // 2, len(cine) - 1}:
            frame = outcome(functools.partial(cine.frames.__getitem__, index), FrameError)
            if isinstance(frame, FrameError):
                assert frame.frame == index
            else:
                assert frame.dtype == np.uint8
                assert frame.shape == (*cine.shape, 3)[: 3 if cine.is_color else 2]
        del cine


@pytest.mark.parametrize("name", list(seeds()))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 1000)
@given(recipe=damage())
def test_damaged_seeds(name, recipe):
    with file_of(damaged(seeds()[name], recipe)) as path:
        found = outcome(lambda: read_seed_file(path), SeedError)
        if isinstance(found, SeedError):
            assert str(path) not in str(found)
        else:
            assert found.masks
            assert all(mask.any() and mask.ndim == 2 for mask in found.masks.values())


@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 1000)
@given(
    content=st.binary(max_size=300),
    magic=st.sampled_from([b"", b"NRRD0004\n", b"\x89PNG\r\n\x1a\n", b"NDims = 3\n", b"RIFF0000AVI "]),
)
def test_arbitrary_bytes(content, magic):
    with file_of(magic + content) as path, contextlib.suppress(LesionSegError):
        read_cine(path)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 1000)
@given(elements=st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.binary(max_size=12)), max_size=20))
def test_arbitrary_dicom_elements(elements):
    body = b"".join(struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, value in elements)
    head = bytes(128) + b"DICM\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\x00"
    with file_of(head + body) as path, contextlib.suppress(LesionSegError):
        read_cine(path)
