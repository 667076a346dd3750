import copy

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_helpers import MODEL, describe, random_masks, write_multiframe
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian

from UltrasoundLesionSegLib.cine import Cine, Origin
from UltrasoundLesionSegLib.dicom import terminology
from UltrasoundLesionSegLib.dicom.lesions import ModelIdentity
from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.errors import SeedError


@pytest.fixture
def target(tmp_path):
    return tmp_path / "segmentation.dcm"


@pytest.fixture
def written(make_cine, target):
    """A cine of 7 frames of 37 x 53 pixels, masks of two lesions, and their segmentation in ``target``."""
    cine = make_cine(rows=37, columns=53)
    masks = random_masks(7, 2, 37, 53)
    write_segmentation(target, DicomSource.from_cine(cine), [describe(cine, 1), describe(cine, 2)], masks)
    return cine, masks


def change(path, edit):
    """Edit a data set in its file."""
    dataset = pydicom.dcmread(path)
    edit(dataset)
    dataset.save_as(path)


def assert_masks(segment, masks):
    """The segment's masks are those of (T, H, W), and frames it lacks are empty."""
    assert set(segment.masks) <= set(range(len(masks)))
    for frame, mask in enumerate(masks):
        np.testing.assert_array_equal(segment.masks[frame] if frame in segment.masks else np.zeros_like(mask), mask)


@pytest.mark.parametrize("kind", list(SegmentationKind))
@pytest.mark.parametrize("source", ["multiframe", "series"])
@pytest.mark.parametrize("size", [(48, 64), (37, 53), (1, 3)])
def test_our_own_come_back_exactly(make_cine, target, kind, source, size):
    cine, masks = make_cine(source, 7, *size), random_masks(7, 2, *size)
    masks[:, :, 0, :2] = masks[2, :, 0, :2] = False
    masks[2, 0, 0, 0] = masks[2, 1, 0, 1] = True
    origins = {2: Origin.MANUAL, 4: Origin.EDITED, 5: Origin.CONFIRMED}
    terms = terminology.Terminology(
        property_type=terminology.CYST, anatomic_region=terminology.BREAST, laterality=terminology.RIGHT
    )
    lesions = [describe(cine, 1, origins), describe(cine, 2, terminology=terms, name="Lésion 二")]
    write_segmentation(target, DicomSource.from_cine(cine), lesions, masks, kind)
    found = read_segmentation(target, cine)
    assert found.notes == ()
    assert [one.name for one in found.segments] == ["Lesion 1", "Lésion 二"]
    for segment, lesion, mask in zip(found.segments, lesions, masks.swapaxes(0, 1), strict=True):
        assert_masks(segment, mask)
        assert (segment.tracking_uid, segment.tracking_id) == (lesion.tracking_uid, lesion.tracking_id)
        assert (segment.model, segment.terminology) == (MODEL, lesion.terminology)
        assert segment.origins == {frame: lesion.origin(frame) for frame in segment.masks}


def test_order_of_frames_does_not_matter(written, target):
    cine, masks = written

    def reverse(dataset):
        count = int(dataset.NumberOfFrames)
        planes = pydicom.pixels.pixel_array(dataset).reshape(count, 37, 53)[::-1]
        packed = np.packbits(planes.ravel(), bitorder="little").tobytes()
        dataset.PixelData = packed + b"\0" * (len(packed) % 2)
        dataset.PerFrameFunctionalGroupsSequence = list(dataset.PerFrameFunctionalGroupsSequence)[::-1]

    change(target, reverse)
    for segment, mask in zip(read_segmentation(target, cine).segments, masks.swapaxes(0, 1), strict=True):
        assert_masks(segment, mask)


def test_origins_of_other_programs_follow_the_algorithm_type(written, target):
    cine, _ = written

    def another(dataset):
        dataset.ManufacturerModelName = "Another program"
        dataset.SegmentSequence[0].SegmentAlgorithmType = "MANUAL"
        dataset.SegmentSequence[1].SegmentAlgorithmType = "SEMIAUTOMATIC"

    change(target, another)
    first, second = read_segmentation(target, cine).segments
    assert set(first.origins.values()) == {Origin.MANUAL}
    assert set(second.origins.values()) == {Origin.EDITED}


def test_what_other_programs_leave_out_is_filled_in(written, target):
    cine, _ = written

    def leave_out(dataset):
        first, second = dataset.SegmentSequence
        del first.SegmentationAlgorithmIdentificationSequence, first.TrackingUID
        del first.SegmentedPropertyTypeCodeSequence[0].CodeMeaning
        first.SegmentLabel = ""
        del second.SegmentAlgorithmName, second.SegmentationAlgorithmIdentificationSequence

    change(target, leave_out)
    first, second = read_segmentation(target, cine).segments
    assert (first.name, first.tracking_uid) == ("Segment 1", "")
    assert (first.model, second.model) == (ModelIdentity("stpfnet", "unknown"), None)
    assert first.terminology.anatomic_region is None
    assert first.terminology.property_type == Code("4147007", "SCT", "4147007")


# --- written by highdicom on images with a frame of reference


def slices_with_frame_of_reference(cine: Cine) -> list[Dataset]:
    """The cine's instances as highdicom needs them to segment them: placed in space."""
    slices: list[Dataset] = []
    for index, path in enumerate(cine.identity.paths):
        dataset = pydicom.dcmread(path)
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = "2.25.7", ""
        dataset.ImagePositionPatient = [0, 0, 2 * index]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.5], 2
        slices.append(dataset)
    return slices


def write_with_highdicom(target, cine, pixels, kind, count=1, **options):
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"Theirs {number}",
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Cyst,
            algorithm_type="MANUAL",
        )
        for number in range(1, count + 1)
    ]
    segmentation = highdicom.seg.Segmentation(
        slices_with_frame_of_reference(cine)[::-1],  # highdicom sorts by place, whatever order it is given
        pixels[::-1],
        kind,
        descriptions,
        series_instance_uid="2.25.201",
        series_number=1,
        sop_instance_uid="2.25.202",
        instance_number=1,
        manufacturer="Theirs",
        manufacturer_model_name="Theirs",
        software_versions="1",
        device_serial_number="1",
        **options,
    )
    segmentation.save_as(target)


@pytest.mark.parametrize("size", [(48, 64), (37, 53)])
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_written_by_highdicom(make_cine, target, kind, size):
    cine, masks = make_cine("series", 7, *size), random_masks(7, 2, *size)
    write_with_highdicom(target, cine, np.moveaxis(masks, 1, -1).astype(np.uint8), kind, 2)
    found = read_segmentation(target, cine).segments
    assert [one.name for one in found] == ["Theirs 1", "Theirs 2"]
    for segment, mask in zip(found, masks.swapaxes(0, 1), strict=True):
        assert_masks(segment, mask)
        assert (segment.model, segment.tracking_uid) == (None, "")
        assert segment.terminology.property_type.value == "367643001"
        assert set(segment.origins.values()) == {Origin.MANUAL}


def test_frames_stored_empty_are_kept_as_empty_masks(make_cine, target):
    cine = make_cine("series")
    masks = np.zeros((7, 48, 64), np.uint8)
    masks[3, 4:9] = 1
    write_with_highdicom(target, cine, masks, "BINARY", omit_empty_frames=False)
    segment = read_segmentation(target, cine).segments[0]
    assert set(segment.masks) == set(range(7))
    assert_masks(segment, masks.astype(bool))


def test_fractions_count_from_one_half(make_cine, target):
    cine = make_cine("series")
    fractions = np.random.default_rng(3).random((7, 48, 64)).astype(np.float32)
    fractions[:, 0, 0], fractions[:, 0, 1] = 0.5, 0.49
    write_with_highdicom(target, cine, fractions, "FRACTIONAL", max_fractional_value=200)
    found = read_segmentation(target, cine)
    assert "one half" in found.notes[0]
    assert_masks(found.segments[0], np.rint(fractions * 200) >= 100)


def test_references_shared_by_all_frames_and_other_images_are_understood(written, target):
    """As dcmqi writes: each frame refers to several images, of which one is of this cine."""
    cine, masks = written

    def add_reference(dataset):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            images = group.DerivationImageSequence[0].SourceImageSequence
            other = copy.deepcopy(images[0])
            other.ReferencedSOPInstanceUID = "2.25.999"
            images.append(other)

    change(target, add_reference)
    assert_masks(read_segmentation(target, cine).segments[0], masks[:, 0])

    def share_segment(dataset):
        groups = [
            g
            for g in dataset.PerFrameFunctionalGroupsSequence
            if g.FrameContentSequence[0].DimensionIndexValues[0] == 1
        ]
        dataset.SharedFunctionalGroupsSequence[0].SegmentIdentificationSequence = groups[
            0
        ].SegmentIdentificationSequence
        for group in groups:
            del group.SegmentIdentificationSequence
        dataset.PerFrameFunctionalGroupsSequence = groups
        dataset.NumberOfFrames = len(groups)

    change(target, share_segment)
    assert_masks(read_segmentation(target, cine).segments[0], masks[:, 0])


# --- refused


@pytest.mark.usefixtures("written")
def test_of_another_cine(target, make_cine):
    other = make_cine(rows=37, columns=53)
    with pytest.raises(SeedError, match="other images than this cine"):
        read_segmentation(target, other)


@pytest.mark.usefixtures("written")
def test_of_another_size(target, make_cine):
    with pytest.raises(SeedError, match="37 x 53 pixels but the cine's frames are 48 x 64"):
        read_segmentation(target, make_cine())


@pytest.mark.usefixtures("written")
def test_a_cine_that_is_not_dicom(target):
    with pytest.raises(SeedError, match="came from something else"):
        read_segmentation(target, Cine.from_array(np.zeros((7, 37, 53), np.uint8)))


def test_no_dicom_and_no_segmentation(make_cine, target, tmp_path):
    cine = make_cine()
    target.write_bytes(b"no DICOM at all")
    with pytest.raises(SeedError, match="not readable DICOM"):
        read_segmentation(target, cine)
    with pytest.raises(SeedError, match="not readable DICOM"):
        read_segmentation(tmp_path / "missing.dcm", cine)
    image = write_multiframe(target, np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(SeedError, match="not a segmentation"):
        read_segmentation(image, cine)


def lose_references(dataset):
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence


def lose_frame_numbers(dataset):
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber


def name_two_frames(dataset):
    group = dataset.PerFrameFunctionalGroupsSequence[0]
    group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = [1, 2]


def name_a_frame_beyond(dataset):
    group = dataset.PerFrameFunctionalGroupsSequence[0]
    group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = 8


def cut_pixels(dataset):
    dataset.PixelData = dataset.PixelData[:-2]


def lose_pixels(dataset):
    del dataset.PixelData


def lose_groups(dataset):
    dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[:-1]


def lose_segments(dataset):
    del dataset.SegmentSequence


def lose_segment_numbers(dataset):
    for item in dataset.SegmentSequence:
        item.SegmentNumber = None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lose_references, "does not say which single frame"),
        (lose_frame_numbers, "does not say which single frame"),
        (name_two_frames, "does not say which single frame"),
        (name_a_frame_beyond, "a frame beyond the cine's 7"),
        (cut_pixels, "cut short"),
        (lose_pixels, "no masks this program can read"),
        (lose_groups, "header is damaged"),
        (lose_segments, "header is damaged"),
        (lose_segment_numbers, "header is damaged"),
    ],
)
def test_defects_are_named(written, target, edit, message):
    cine, _ = written
    change(target, edit)
    with pytest.raises(SeedError, match=message) as caught:
        read_segmentation(target, cine)
    assert "\n" not in str(caught.value)


def test_big_endian_bits_are_refused(written, target):
    cine, _ = written
    dataset = pydicom.dcmread(target)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(target, dataset, implicit_vr=False, little_endian=False)
    with pytest.raises(SeedError, match="byte order"):
        read_segmentation(target, cine)


def test_a_compressed_plane_that_is_damaged_is_named(make_cine, target):
    cine = make_cine()
    source = DicomSource.from_cine(cine)
    write_segmentation(target, source, [describe(cine, 1)], random_masks(7, 1, 48, 64), SegmentationKind.LABELMAP)

    def damage(dataset):
        frames = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=int(dataset.NumberOfFrames)))
        frames[1] = frames[1][:70] + b"\0" * (len(frames[1]) - 70)
        dataset.PixelData = pydicom.encaps.encapsulate(frames)

    change(target, damage)
    with pytest.raises(SeedError, match="mask 2 of the segmentation cannot be decoded"):
        read_segmentation(target, cine)
