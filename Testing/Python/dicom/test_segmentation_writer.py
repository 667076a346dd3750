import os
import tracemalloc
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_helpers import MODEL, complaints, describe, random_masks

from UltrasoundLesionSegLib.cine import Cine, Origin, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.dicom import terminology
from UltrasoundLesionSegLib.dicom.identifiers import tracking_uid
from UltrasoundLesionSegLib.dicom.lesions import LesionDescription, ModelIdentity
from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.errors import LesionSegError, OutputError
from UltrasoundLesionSegLib.readers.open import read_cine

KINDS = list(SegmentationKind)
SOURCES = ["multiframe", "series"]


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "segmentation.dcm"


def write(target, cine, masks, kind=SegmentationKind.BINARY, lesions=None):
    lesions = lesions or [describe(cine, number + 1) for number in range(masks.shape[1])]
    return write_segmentation(target, DicomSource.from_cine(cine), lesions, masks, kind)


def read_with_highdicom(target, cine, segments):
    """Masks (T, K, H, W) as highdicom finds them by reference to the source."""
    segmentation = highdicom.seg.segread(target)
    uids = cine.identity.sop_instance_uids
    options = {"segment_numbers": segments, "assert_missing_frames_are_empty": True}
    if len(uids) == 1:
        numbers = list(range(1, len(cine) + 1))
        found = segmentation.get_pixels_by_source_frame(uids[0], numbers, **options)
    else:
        found = segmentation.get_pixels_by_source_instance(uids, **options)
    return np.moveaxis(found, -1, 1) != 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", [(48, 64), (37, 53), (1, 3)])
def test_highdicom_reads_back_the_same_masks(make_cine, target, kind, source, size):
    cine = make_cine(source, 7, *size)
    masks = random_masks(7, 2, *size)
    masks[1, 0, 0, 0], masks[1, 1, 0, 0] = True, False
    masks[2, 1, 0, -1], masks[2, 0, 0, -1] = True, False
    written = write(target, cine, masks, kind)
    assert written.segment_numbers == {0: 1, 1: 2}
    np.testing.assert_array_equal(read_with_highdicom(target, cine, [1, 2]), masks)


def test_simpleitk_reads_back_the_same_masks(make_cine, target):
    cine = make_cine()
    masks = random_masks(7, 2, 48, 64)
    written = write(target, cine, masks)
    found = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(target))) != 0
    assert len(found) == len(written.frame_numbers)
    for (lesion, frame), number in written.frame_numbers.items():
        np.testing.assert_array_equal(found[number - 1], masks[frame, lesion])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_validator_finds_nothing_wrong(make_cine, target, kind, source):
    cine = make_cine(source, AcquisitionDateTime="20240131101529.5")
    left = terminology.Terminology(
        terminology.MORPHOLOGICALLY_ABNORMAL, terminology.CYST, terminology.BREAST, terminology.LEFT
    )
    lesions = [
        describe(cine, 1, {0: Origin.MANUAL, 4: Origin.EDITED}, color=(220, 60, 20)),
        describe(cine, 2, dict.fromkeys(range(7), Origin.MANUAL), terminology=left),
        describe(cine, 3),
    ]
    write(target, cine, random_masks(7, 3, 48, 64), kind, lesions)
    assert complaints(target) == []


@pytest.mark.parametrize("source", SOURCES)
def test_each_frame_names_its_source_frame_and_empty_frames_are_left_out(make_cine, target, source):
    cine = make_cine(source)
    masks = np.zeros((7, 2, 48, 64), bool)
    masks[[5, 2], 0, 3:9, 4:20] = True
    masks[2, 1, 20:25] = True
    written = write(target, cine, masks)
    dataset = pydicom.dcmread(target)
    assert written.frame_numbers == {(0, 2): 1, (0, 5): 2, (1, 2): 3}
    assert dataset.NumberOfFrames == len(dataset.PerFrameFunctionalGroupsSequence) == 3
    for (lesion, frame), number in written.frame_numbers.items():
        groups = dataset.PerFrameFunctionalGroupsSequence[number - 1]
        content = groups.FrameContentSequence[0]
        reference = groups.DerivationImageSequence[0].SourceImageSequence[0]
        uids = cine.identity.sop_instance_uids
        assert groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == lesion + 1
        assert list(content.DimensionIndexValues) == [lesion + 1, frame + 1]
        assert content.TemporalPositionIndex == frame + 1
        assert reference.ReferencedSOPInstanceUID == (uids[0] if source == "multiframe" else uids[frame])
        assert reference.get("ReferencedFrameNumber") == (frame + 1 if source == "multiframe" else None)
    listed = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    expected = uids if source == "multiframe" else (uids[2], uids[5])
    assert tuple(item.ReferencedSOPInstanceUID for item in listed) == expected


def test_a_lesion_never_seen_is_left_out(make_cine, target):
    cine = make_cine()
    masks = np.zeros((7, 3, 48, 64), bool)
    masks[1, 0, :4], masks[1, 2, 6:9] = True, True
    assert write(target, cine, masks).segment_numbers == {0: 1, 2: 2}
    assert [item.SegmentLabel for item in pydicom.dcmread(target).SegmentSequence] == ["Lesion 1", "Lesion 3"]
    np.testing.assert_array_equal(read_with_highdicom(target, cine, [1, 2]), masks[:, [0, 2]])


@pytest.mark.skipif(os.name != "posix", reason="the limit of a file's size is POSIX's")
def test_a_full_folder_for_temporary_files_is_said(make_cine, target):
    import resource

    cine = make_cine()
    masks = random_masks(len(cine), 2, *cine.shape)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(OutputError, match="no room for the segmentation; make room"):
            write(target, cine, masks)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", KINDS)
def test_no_lesion_at_all_is_refused_and_leaves_no_file(make_cine, target, kind):
    cine = make_cine()
    with pytest.raises(OutputError, match="no frame has a lesion"):
        write(target, cine, np.zeros((7, 1, 48, 64), bool), kind)
    assert not target.exists()
    assert not target.parent.exists() or not list(target.parent.iterdir())


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ({}, "AUTOMATIC"),
        ({0: Origin.SUGGESTED}, "AUTOMATIC"),  # a model's seed that no person looked at
        (dict.fromkeys(range(3), Origin.MANUAL), "MANUAL"),
        ({0: Origin.MANUAL}, "SEMIAUTOMATIC"),  # propagated from a seed that a person drew
        ({0: Origin.CONFIRMED}, "SEMIAUTOMATIC"),
        (dict.fromkeys(range(3), Origin.CONFIRMED), "SEMIAUTOMATIC"),
        ({1: Origin.EDITED}, "SEMIAUTOMATIC"),
        ({3: Origin.MANUAL}, "SEMIAUTOMATIC"),  # a person said that the lesion is not visible on frame 3
        ({0: Origin.MANUAL, 1: Origin.MANUAL, 2: Origin.EDITED}, "SEMIAUTOMATIC"),
    ],
)
def test_who_made_the_masks_is_said_for_segment_and_frame(make_cine, target, origins, expected):
    cine = make_cine(count=4)
    masks = np.zeros((4, 1, 48, 64), bool)
    masks[:3, 0, 2:5] = True
    write(target, cine, masks, lesions=[describe(cine, 1, origins)])
    dataset = pydicom.dcmread(target)
    segment = dataset.SegmentSequence[0]
    assert segment.SegmentAlgorithmType == expected
    assert segment.get("SegmentAlgorithmName") == (None if expected == "MANUAL" else MODEL.name)
    comments = [item.FrameContentSequence[0].FrameComments for item in dataset.PerFrameFunctionalGroupsSequence]
    assert comments == [f"segment 1: {origins.get(frame, Origin.MODEL).value}" for frame in range(3)]
    assert complaints(target) == []


def test_the_model_is_identified_and_must_be_named(make_cine, target):
    cine = make_cine()
    masks = random_masks(7, 1, 48, 64)
    write(target, cine, masks)
    algorithm = pydicom.dcmread(target).SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("stpfnet", "1.2")
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    with pytest.raises(OutputError, match="no model is named"):
        write(target, cine, masks, lesions=[describe(cine, 1, {1: Origin.MANUAL}, model=None)])


def test_the_models_that_drew_seeds_are_named_where_highdicom_can_read_them(make_cine, target):
    cine = make_cine()
    clicked, suggested = ModelIdentity("bas_s_click", "0.1.0"), ModelIdentity("bas_s", "0.3.0")
    lesion = replace(describe(cine, 1, {0: Origin.EDITED}), seed_models=(clicked, suggested, clicked, MODEL))
    masks = random_masks(7, 1, 48, 64)
    write(target, cine, masks, lesions=[lesion])
    np.testing.assert_array_equal(read_with_highdicom(target, cine, [1]), masks)
    segment = highdicom.seg.segread(target).get_segment_description(1)
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (MODEL.name, MODEL.version)
    parameters = segment.algorithm_identification.parameters
    assert parameters == {"seed_model": "bas_s_click 0.1.0; bas_s 0.3.0"}
    assert segment.SegmentAlgorithmName == MODEL.name
    assert complaints(target) == []


@pytest.mark.parametrize("kind", KINDS)
def test_overlapping_lesions(make_cine, target, kind):
    cine = make_cine()
    masks = random_masks(7, 2, 48, 64)
    masks[4, :, 10, 10] = True
    if kind is SegmentationKind.LABELMAP:
        with pytest.raises(OutputError, match="overlap on frame 4"):
            write(target, cine, masks, kind)
        return
    write(target, cine, masks)
    assert pydicom.dcmread(target).SegmentsOverlap == "YES"
    np.testing.assert_array_equal(read_with_highdicom(target, cine, [1, 2]), masks)


def test_the_same_lesion_has_the_same_tracking_uid_in_every_export(make_cine, target):
    cine, masks = make_cine(), random_masks(7, 2, 48, 64)
    write(target, cine, masks)
    first = pydicom.dcmread(target)
    write(target, cine, ~masks & (masks.sum(1, keepdims=True) == 0))
    second = pydicom.dcmread(target)
    uids = [item.TrackingUID for item in first.SegmentSequence]
    assert uids == [tracking_uid(cine.identity, "Segment_1"), tracking_uid(cine.identity, "Segment_2")]
    assert uids == [item.TrackingUID for item in second.SegmentSequence]
    assert len(set(uids)) == 2
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_frames_carry_their_acquisition_times(make_cine, target):
    cine = make_cine(AcquisitionDateTime="20240131235959.980000", TimezoneOffsetFromUTC="+0100")
    write(target, cine, random_masks(7, 1, 48, 64))
    times = [
        item.FrameContentSequence[0].FrameReferenceDateTime
        for item in pydicom.dcmread(target).PerFrameFunctionalGroupsSequence
    ]
    # frames 0, 3 and 6 are empty; 40 ms a frame cross midnight
    assert times == [
        "20240201000000.020000+0100",
        "20240201000000.060000+0100",
        "20240201000000.140000+0100",
        "20240201000000.180000+0100",
    ]


def test_times_that_are_not_of_the_acquisition_are_not_written(make_cine, target):
    derived = make_cine(ImageType=["DERIVED", "PRIMARY"])
    assert DicomSource.from_cine(derived).frame_date_times is None
    original = make_cine()
    assert DicomSource.from_cine(original).frame_date_times is not None
    guessed = Cine(
        original.frames,
        48,
        64,
        False,
        original.identity,
        timing=Timing(np.arange(7) / 30, "CineRate", approximate=True),
    )
    assert DicomSource.from_cine(guessed).frame_date_times is None


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # of the source, which is made to be defective
def test_identity_of_patient_and_study_is_kept_and_defects_are_mended(make_cine, target):
    cine = make_cine(
        PatientName="山田^太郎",
        StudyTime="14:04:38",
        StudyDate="2016.05.03",
        PatientSex="UNKNOWN",
        PatientBirthDate="about 1960",
        StudyID=None,
        AccessionNumber=None,
    )
    write(target, cine, random_masks(7, 1, 48, 64))
    found = pydicom.dcmread(target)
    assert (found.PatientName, found.PatientID) == ("山田^太郎", "P-4711")
    assert found.StudyInstanceUID == "2.25.101"
    assert (found.StudyTime, found.StudyDate) == ("140438", "20160503")
    assert found.PatientSex == found.PatientBirthDate == found.StudyID == found.AccessionNumber == ""
    assert [line for line in complaints(target) if "DICOMDIR" not in line] == []


def test_lossy_compression_of_the_source_is_repeated(make_cine, target):
    lossy = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "19",
        "LossyImageCompressionMethod": "ISO_10918_1",
    }
    write(target, make_cine(**lossy), random_masks(7, 1, 48, 64))
    found = pydicom.dcmread(target)
    assert {keyword: str(found[keyword].value) for keyword in lossy} == lossy
    assert complaints(target) == []


@pytest.mark.parametrize(
    "kind", [SourceKind.VIDEO, SourceKind.IMAGES, SourceKind.VOLUME, SourceKind.SCENE, SourceKind.MEMORY]
)
def test_a_cine_without_dicom_is_refused_with_a_way_out(kind):
    cine = Cine(np.zeros((2, 8, 8), np.uint8), 8, 8, False, SourceIdentity(kind, "ab" * 32))
    with pytest.raises(OutputError, match="make an ultrasound multi-frame image of it first"):
        DicomSource.from_cine(cine)


def test_files_that_are_gone_or_changed_are_refused(make_cine, tmp_path):
    cine = make_cine()
    make_cine()  # the same file name with another SOP Instance UID
    with pytest.raises(OutputError, match="have changed"):
        DicomSource.from_cine(cine)
    (tmp_path / "source" / "cine.dcm").unlink()
    with pytest.raises(OutputError, match="can no longer be read"):
        DicomSource.from_cine(cine)


def test_files_of_two_patients_are_refused(make_cine, tmp_path):
    cine = make_cine("series")
    other = pydicom.dcmread(tmp_path / "series" / "0003.dcm")
    other.PatientID = "someone else"
    other.save_as(tmp_path / "series" / "0003.dcm")
    with pytest.raises(OutputError, match="not of one patient"):
        DicomSource.from_cine(cine)


def test_a_header_without_study_is_refused(make_cine):
    with pytest.raises(OutputError, match="lacks the unique identifiers"):
        DicomSource.from_cine(make_cine(StudyInstanceUID=None))


@pytest.mark.parametrize(
    "masks", [np.zeros((7, 1, 48, 63), bool), np.zeros((7, 2, 48, 64), bool), np.ones((7, 1, 48, 64))]
)
def test_masks_that_do_not_fit_are_refused(make_cine, target, masks):
    cine = make_cine()
    with pytest.raises(OutputError, match="masks of frame 0"):
        write(target, cine, masks, lesions=[describe(cine, 1)])


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\\b", "two\nlines"])
def test_names_that_are_no_segment_labels_are_refused(name):
    with pytest.raises(OutputError, match="1 to 64 characters"):
        LesionDescription(name, "2.25.1", "x")


@pytest.mark.parametrize(("name", "version"), [("", "1"), ("model", ""), ("x" * 65, "1")])
def test_models_must_be_named(name, version):
    with pytest.raises(OutputError, match="name and version"):
        ModelIdentity(name, version)


@pytest.mark.parametrize("at", [4, 7 + 4], ids=["while masks are read", "while the file is written"])
def test_cancelling_leaves_the_old_file(make_cine, target, at):
    cine, masks = make_cine(), random_masks(7, 1, 48, 64)
    write(target, cine, masks)
    before = target.read_bytes()
    asked = []

    def next_frame():
        asked.append(1)
        if len(asked) == at:
            raise LesionSegError("cancelled")

    def read(frame):
        next_frame()
        return masks[frame]

    source, lesions = DicomSource.from_cine(cine), [describe(cine, 1)]
    with pytest.raises(LesionSegError, match="cancelled"):
        write_segmentation(target, source, lesions, read, between_frames=next_frame)
    assert target.read_bytes() == before
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_cine(make_cine, target, kind):
    mask = np.zeros((1, 96, 128), bool)
    mask[0, 20:70, 30:90] = True

    def peak(count):
        cine = make_cine(count=count, rows=96, columns=128)
        source = DicomSource.from_cine(cine)
        tracemalloc.start()
        write_segmentation(target, source, [describe(cine, 1)], lambda frame: mask, kind)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)  # what is loaded once
    few, many = peak(20), peak(320)
    # 300 more frames are 460 KB packed and 3.7 MB as bool; what may grow is the list of frames
    assert many - few < 300 * 1000


@pytest.mark.parametrize(
    "name",
    ["dicom_us/echo_sonosite_120f_ybr422_jpegbaseline.dcm", "dicom_us/breast_toshiba_IM128.dcm", "breast_series_dicom"],
)
def test_real_objects(shared_data, target, name):
    cine = read_cine(shared_data / "cine" / name)
    masks = np.zeros((len(cine), 1, *cine.shape), bool)
    masks[::2, 0, 100:180, 90:200] = True
    write(target, cine, masks)
    # the sources' own names and missing study dates are theirs to answer for
    own = [line for line in complaints(target) if "Retired Person Name" not in line and "DICOMDIR" not in line]
    assert own == []
    if len(cine) > 1:
        np.testing.assert_array_equal(read_with_highdicom(target, cine, [1]), masks)
    found = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(target))) != 0
    if cine.height * cine.width % 8 == 0:
        np.testing.assert_array_equal(found, masks[::2, 0])
