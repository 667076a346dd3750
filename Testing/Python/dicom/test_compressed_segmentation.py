"""Segmentations whose pixels are compressed, by our program and by others."""

import zlib

import numpy as np
import pydicom
import pytest
from dicom_helpers import describe, random_masks
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from UltrasoundLesionSegLib.dicom.pixel_stream import pack_plane
from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.open import read_cine

DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"


def rle(data: bytes) -> bytes:
    """One RLE frame of bytes."""
    return RLELosslessEncoder.encode(
        data,
        rows=1,
        columns=len(data),
        samples_per_pixel=1,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        number_of_frames=1,
    )


def save_compressed(path, data, syntax, streams, pieces=1):
    """Write a data set with compressed pixels; in the header's place of a syntax that pydicom knows."""
    data.PixelData = encapsulate([one + b"\0" * (len(one) % 2) for one in streams], pieces, has_bot=True)
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    data.save_as(path)
    path.write_bytes(path.read_bytes().replace(JPEG2000Lossless.encode(), syntax.encode().ljust(22, b"\0"), 1))


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


ENCODERS = {
    "JPEG 2000": (JPEG2000Lossless, lambda mask: bytes(encode_array(mask.astype(np.uint8), bits_stored=1))),
    "JPEG 2000 of 8 bits": (JPEG2000Lossless, lambda mask: bytes(encode_array(mask.astype(np.uint8)))),
    "RLE of bits": (RLELossless, lambda mask: rle(pack_plane(mask))),
    "RLE of bytes": (RLELossless, lambda mask: rle(mask.astype(np.uint8).tobytes())),
    "deflated frames": (DEFLATED_FRAMES, lambda mask: deflate(pack_plane(mask))),
}


@pytest.fixture
def written(make_cine, tmp_path):
    """A cine, masks of two lesions, their segmentation as a data set, and its planes."""
    cine = make_cine(rows=37, columns=53)
    masks = random_masks(7, 2, 37, 53)
    path = tmp_path / "seg.dcm"
    write_segmentation(path, DicomSource.from_cine(cine), [describe(cine, 1), describe(cine, 2)], masks)
    planes = [masks[frame, lesion] for lesion in (0, 1) for frame in range(7) if masks[frame, lesion].any()]
    return cine, masks, pydicom.dcmread(path), planes


def assert_comes_back(cine, path, masks):
    segments = read_segmentation(path, cine).segments
    for lesion, segment in enumerate(segments):
        for frame in range(7):
            got = segment.masks[frame] if frame in segment.masks else np.zeros(cine.shape, bool)
            np.testing.assert_array_equal(got, masks[frame, lesion])


@pytest.mark.parametrize("how", ENCODERS)
@pytest.mark.parametrize("pieces", [1, 2])
def test_one_bit_segmentations(written, tmp_path, how, pieces):
    cine, masks, data, planes = written
    syntax, encode = ENCODERS[how]
    save_compressed(tmp_path / "compressed.dcm", data, syntax, [encode(plane) for plane in planes], pieces)
    assert_comes_back(cine, tmp_path / "compressed.dcm", masks)


def test_a_deflated_data_set(written, tmp_path):
    cine, masks, data, _ = written
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(tmp_path / "deflated.dcm")
    assert_comes_back(cine, tmp_path / "deflated.dcm", masks)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_label_maps(make_cine, tmp_path, syntax):
    cine, masks = make_cine(rows=37, columns=53), random_masks(7, 2, 37, 53)
    lesions = [describe(cine, 1), describe(cine, 2)]
    write_segmentation(tmp_path / "seg.dcm", DicomSource.from_cine(cine), lesions, masks, SegmentationKind.LABELMAP)
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    data.decompress()
    data.compress(syntax, generate_instance_uid=False)
    data.save_as(tmp_path / "compressed.dcm")
    assert_comes_back(cine, tmp_path / "compressed.dcm", masks)


@pytest.mark.parametrize("stream", [b"", b"\xff\x4f\xff\x51" + bytes(60), bytes(200), b"\xff\xd8\xff\xd9"])
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless, JPEGLSLossless, DEFLATED_FRAMES])
def test_damaged_planes_are_refused_in_a_sentence(written, tmp_path, syntax, stream):
    cine, _, data, planes = written
    save_compressed(tmp_path / "damaged.dcm", data, syntax, [stream or b"\0\0"] * len(planes))
    segment = read_segmentation(tmp_path / "damaged.dcm", cine).segments[0]
    with pytest.raises(SeedError, match="cannot be decoded"):
        segment.masks[min(segment.masks)]


def test_30_of_the_field(shared_data):
    folder = shared_data / "field" / "30_binary_seg_in_jpeg2000"
    segment = read_segmentation(folder / "seg.dcm", read_cine(folder / "image.dcm")).segments[0]
    assert {frame: int(mask.sum()) for frame, mask in segment.masks.items()} == {0: 2926}
