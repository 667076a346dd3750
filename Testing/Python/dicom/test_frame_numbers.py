"""Which frame of which object a SEG names, where the source's header is wrong about its number of frames."""

import numpy as np
import pydicom
import pytest
from dicom_helpers import describe, write_multiframe

from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.open import read_cine


def block(cine):
    """One lesion on every frame, further right on each."""
    masks = np.zeros((len(cine), 1, *cine.shape), bool)
    for frame in range(len(cine)):
        masks[frame, 0, 4:9, frame : frame + 6] = True
    return masks


def written(cine, path, masks):
    write_segmentation(path, DicomSource.from_cine(cine), [describe(cine, 1)], masks)
    groups = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    return [one.DerivationImageSequence[0].SourceImageSequence[0].get("ReferencedFrameNumber") for one in groups]


def assert_comes_back(cine, path, masks):
    segment = read_segmentation(path, cine).segments[0]
    assert sorted(segment.masks) == list(range(len(cine)))
    for frame, mask in enumerate(masks):
        np.testing.assert_array_equal(segment.masks[frame], mask[0])


@pytest.mark.parametrize("attributes", [{}, {"NumberOfFrames": None}, {"NumberOfFrames": 9}])
def test_every_frame_that_is_there_is_named(make_cine, tmp_path, attributes):
    cine = make_cine(count=6, **attributes)
    assert written(cine, tmp_path / "seg.dcm", block(cine)) == [1, 2, 3, 4, 5, 6]
    assert_comes_back(cine, tmp_path / "seg.dcm", block(cine))


@pytest.mark.parametrize(
    ("name", "count"), [("number_of_frames_missing", 6), ("video_says_20", 24)], ids=["missing", "video"]
)
@pytest.mark.parametrize("told", ["as it is", None, 1])
def test_09_frames_of_the_field(shared_data, tmp_path, name, count, told):
    path = shared_data / "field" / "09_number_of_frames_and_seg" / f"{name}.dcm"
    if name.startswith("video") and told != "as it is":
        data = pydicom.dcmread(path)
        data.NumberOfFrames = told
        path = tmp_path / "video.dcm"
        data.save_as(path)
    cine = read_cine(path)
    assert len(cine) == count
    masks = block(cine)
    assert written(cine, tmp_path / "seg.dcm", masks) == list(range(1, count + 1))
    assert_comes_back(cine, tmp_path / "seg.dcm", masks)


def test_a_single_frame_needs_no_number(make_cine, tmp_path):
    cine = make_cine(count=1, NumberOfFrames=None)
    assert written(cine, tmp_path / "seg.dcm", block(cine)) == [None]
    assert_comes_back(cine, tmp_path / "seg.dcm", block(cine))


def test_of_an_object_cut_down_to_one_frame_its_number_is_named(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (4, 48, 64), np.uint8)
    path = write_multiframe(tmp_path / "cine.dcm", frames)
    whole = read_cine(path)
    masks = block(whole)
    written(whole, tmp_path / "whole.dcm", masks)
    path.write_bytes(path.read_bytes()[: -3 * 48 * 64 + 10])
    cut = read_cine(path)
    assert len(cut) == 1
    assert written(cut, tmp_path / "seg.dcm", masks[:1]) == [1]
    assert_comes_back(cut, tmp_path / "seg.dcm", masks[:1])
    with pytest.raises(SeedError, match="beyond the cine's 1"):
        read_segmentation(tmp_path / "whole.dcm", cut)
