import highdicom
import numpy as np
import pydicom
import pytest
from dicom_helpers import complaints, describe
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from UltrasoundLesionSegLib.cine import Calibration
from UltrasoundLesionSegLib.dicom import terminology
from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.dicom.structured_report import ReportClass, write_measurement_report
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.measurement.frame import measure_frame

CALIBRATION = Calibration(0.1, 0.2, "SequenceOfUltrasoundRegions", "A note on it")


def growing_ellipses(count):
    """Masks (T, 2, 48, 64): a wide ellipse that grows and vanishes at the end, and a tall bar on frame 2."""
    rows, columns = np.mgrid[:48, :64]
    masks = np.zeros((count, 2, 48, 64), bool)
    for frame in range(count - 2):
        masks[frame, 0] = ((rows - 20) / (5 + frame)) ** 2 + ((columns - 30) / (8 + frame)) ** 2 < 1
    masks[2, 1, 30:46, 60:64] = True
    return masks


@pytest.fixture
def report(make_cine, tmp_path):
    """``report(source, calibration, ...)``: what was measured, the lesions, and the report's path."""

    def make(
        source="multiframe",
        calibrations=None,
        kind=SegmentationKind.BINARY,
        report_class=ReportClass.COMPREHENSIVE,
        **fields,
    ):
        cine = make_cine(source)
        masks = growing_ellipses(7)
        calibrations = calibrations or [CALIBRATION] * 7
        lesions = [describe(cine, 1, **fields), describe(cine, 2, **fields)]
        dicom_source = DicomSource.from_cine(cine)
        written = write_segmentation(tmp_path / "seg.dcm", dicom_source, lesions, masks, kind)
        frame = np.zeros((48, 64), np.uint8)
        measured = [
            {index: measure_frame(masks[index, lesion], frame, calibrations[index]) for index in range(7)}
            for lesion in range(2)
        ]
        path = tmp_path / "sr.dcm"
        uid = write_measurement_report(path, dicom_source, written, lesions, measured, report_class)
        assert pydicom.dcmread(path).SOPInstanceUID == uid
        return cine, lesions, written, measured, path

    return make


def values(group):
    """``{(name, derivation): (value, unit)}`` of a measurement group."""
    return {
        (one.name.meaning, one.derivation.meaning if one.derivation else None): (one.value, one.unit.value)
        for one in group.get_measurements()
    }


@pytest.mark.parametrize("source", ["multiframe", "series"])
def test_each_frame_is_tied_to_segmentation_and_source(report, source):
    cine, lesions, written, measured, path = report(source)
    content = highdicom.sr.srread(path).content
    for index, lesion in enumerate(lesions):
        visible = [frame for frame, one in measured[index].items() if one.is_visible]
        groups = content.get_planar_roi_measurement_groups(tracking_uid=lesion.tracking_uid)
        assert len(groups) == len(visible)
        for frame, group in zip(visible, groups, strict=True):
            one = measured[index][frame]
            reference = group.referenced_segmentation_frame
            segmentation = reference[0].ReferencedSOPSequence[0]
            image = reference[1].ReferencedSOPSequence[0]
            uids = cine.identity.sop_instance_uids
            assert segmentation.ReferencedSOPInstanceUID == written.sop_instance_uid
            assert segmentation.ReferencedFrameNumber == written.frame_numbers[index, frame]
            assert "ReferencedSegmentNumber" not in segmentation
            assert image.ReferencedSOPInstanceUID == (uids[0] if source == "multiframe" else uids[frame])
            assert image.get("ReferencedFrameNumber") == (frame + 1 if source == "multiframe" else None)
            assert group.tracking_identifier == lesion.tracking_id
            assert group.finding_type == codes.SCT.Mass
            assert values(group) == {
                ("Area of defined region", None): (one.area, "mm2"),
                ("Long axis", None): (one.long_axis, "mm"),
                ("Perpendicular Axis", None): (one.perpendicular_axis, "mm"),
                ("Perimeter", None): (one.perimeter, "mm"),
                ("Depth", None): (one.depth, "mm"),
                ("Width", None): (one.width, "mm"),
            }
            orientation = group.get_qualitative_evaluations(name=codes.DCM.Orientation)[0].value
            assert orientation == (codes.DCM.NotParallel if index == 1 else codes.DCM.Parallel)


def test_axes_are_lines_on_the_source_frame(report):
    _, lesions, _, measured, path = report()
    groups = highdicom.sr.srread(path).content.get_image_measurement_groups(tracking_uid=lesions[0].tracking_uid)
    assert len(groups) == 6  # five frames and the summary
    for frame, group in enumerate(groups[:5]):
        one = measured[0][frame]
        for measurement, ends in zip(
            group.get_measurements(), (one.long_axis_ends, one.perpendicular_axis_ends), strict=True
        ):
            (line,) = measurement.referenced_coordinates
            # (column, row) with the centre of the first pixel at (0.5, 0.5)
            np.testing.assert_allclose(line.value, np.array(ends)[:, ::-1] + 0.5, atol=1e-4)
            assert line.GraphicType == "POLYLINE"
            image = line.ContentSequence[0].ReferencedSOPSequence[0]
            assert image.ReferencedFrameNumber == frame + 1
            # the line is as long as the axis says, in pixels that are not square
            length = np.hypot(*((line.value[1] - line.value[0]) * (0.2, 0.1)))
            assert length == pytest.approx(measurement.value, abs=1e-4)


def test_maxima_and_means_of_the_lesion(report):
    _, lesions, _, measured, path = report()
    content = highdicom.sr.srread(path).content
    summary = content.get_image_measurement_groups(tracking_uid=lesions[0].tracking_uid)[-1]
    visible = [one for one in measured[0].values() if one.is_visible]
    found = values(summary)
    for meaning, name, unit in [
        ("Area of defined region", "area", "mm2"),
        ("Long axis", "long_axis", "mm"),
        ("Perpendicular Axis", "perpendicular_axis", "mm"),
        ("Depth", "depth", "mm"),
        ("Width", "width", "mm"),
    ]:
        all_of_it = [getattr(one, name) for one in visible]
        assert found[meaning, "Maximum"] == (max(all_of_it), unit)
        assert found[meaning, "Mean"] == (pytest.approx(np.mean(all_of_it)), unit)
    maximum = next(one for one in summary.get_measurements() if one.name.meaning == "Area of defined region")
    assert maximum.referenced_images[0].referenced_frame_numbers == [5]  # the largest ellipse is on frame 4 from 0
    (line,) = next(one for one in summary.get_measurements() if one.name.meaning == "Long axis").referenced_coordinates
    assert line.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber == 5


def comments(path):
    """The comment of each lesion."""
    measurements = pydicom.dcmread(path).ContentSequence[-1]
    texts = [
        item for group in measurements.ContentSequence for item in group.ContentSequence if item.ValueType == "TEXT"
    ]
    return [one.TextValue for one in texts if one.ConceptNameCodeSequence[0].CodeMeaning == "Comment"]


def test_reservations_are_written_down(report):
    first, second = comments(report()[-1])
    assert "Pixel size from SequenceOfUltrasoundRegions. A note on it." in first
    assert "border" not in first
    assert "On 1 frame the lesion reaches the image border" in second


def test_without_calibration_everything_is_in_pixels(report):
    _, lesions, _, measured, path = report(calibrations=[None] * 7)
    content = highdicom.sr.srread(path).content
    for lesion in lesions:
        groups = [
            *content.get_planar_roi_measurement_groups(tracking_uid=lesion.tracking_uid),
            *content.get_image_measurement_groups(tracking_uid=lesion.tracking_uid),
        ]
        assert {unit for group in groups for _, unit in values(group).values()} == {"{pixels}"}
    assert (
        values(content.get_planar_roi_measurement_groups()[0])["Area of defined region", None][0] == measured[0][0].area
    )
    assert "The pixel size is not known" in comments(path)[0]
    assert complaints(path) == []


def test_pixels_and_mm_are_never_pooled(report):
    _, lesions, _, measured, path = report(calibrations=[CALIBRATION] * 3 + [None] * 4)
    content = highdicom.sr.srread(path).content
    summary = values(content.get_image_measurement_groups(tracking_uid=lesions[0].tracking_uid)[-1])
    assert summary["Area of defined region", "Maximum"] == (measured[0][2].area, "mm2")
    assert "because their pixel size is not known: 2 frames" in comments(path)[0]


@pytest.mark.parametrize("source", ["multiframe", "series"])
@pytest.mark.parametrize("kind", list(SegmentationKind))
def test_validator_finds_nothing_wrong(report, source, kind):
    left = terminology.Terminology(
        terminology.MORPHOLOGICALLY_ABNORMAL, terminology.CYST, terminology.BREAST, terminology.LEFT
    )
    path = report(source, kind=kind, terminology=left)[-1]
    found = complaints(path)
    if kind is SegmentationKind.LABELMAP:
        # the validator does not know yet that a Label Map Segmentation is multi-frame (PS3.3 A.90)
        found = [line for line in found if "Referenced SOP Class that is not multi-frame" not in line]
    assert found == []
    group = highdicom.sr.srread(path).content.get_planar_roi_measurement_groups()[0]
    assert group.finding_sites[0].laterality == codes.SCT.Left


def test_evidence_lists_the_whole_cine_in_the_order_of_its_frames_and_the_segmentation(report):
    cine, _, written, _, path = report("series")
    listed = [uid for _, _, uid, _ in highdicom.sr.srread(path).get_evidence()]
    assert listed == [*cine.identity.sop_instance_uids, written.sop_instance_uid]


def test_patient_and_study_are_the_sources(report):
    found = pydicom.dcmread(report()[-1])
    assert (str(found.PatientName), found.PatientID, found.PatientBirthDate) == ("Doe^Jane", "P-4711", "19600229")
    assert (found.StudyInstanceUID, found.AccessionNumber) == ("2.25.101", "A-1")
    assert (found.VerificationFlag, found.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_thyroid_is_not_reported_as_breast(report):
    thyroid = terminology.Terminology(anatomic_region=Code("69748006", "SCT", "Thyroid"))
    found = pydicom.dcmread(report(terminology=thyroid)[-1])
    procedure = next(
        i for i in found.ContentSequence if i.ConceptNameCodeSequence[0].CodeMeaning == "Procedure reported"
    )
    assert procedure.ConceptCodeSequence[0].CodeValue == "16310003"


def test_nothing_measured_and_frames_without_mask_are_refused(report, tmp_path):
    cine, lesions, written, measured, _ = report()
    source, path = DicomSource.from_cine(cine), tmp_path / "other.dcm"
    nothing = [{6: measured[0][6]}, {}]
    with pytest.raises(OutputError, match="no lesion was measured"):
        write_measurement_report(path, source, written, lesions, nothing)
    with pytest.raises(OutputError, match="measured on frame 3 but the segmentation has no mask"):
        write_measurement_report(path, source, written, lesions, [measured[0], {3: measured[0][3]}])
    with pytest.raises(OutputError, match="measure all of them"):
        write_measurement_report(path, source, written, lesions, measured[:1])
    assert not path.exists()


@pytest.mark.parametrize("source", ["multiframe", "series"])
def test_comprehensive_3d_sr_says_the_same_in_its_own_class_and_series(report, source):
    usual = pydicom.dcmread(report(source)[-1])
    _, lesions, _, measured, path = report(source, report_class=ReportClass.COMPREHENSIVE_3D)
    read = pydicom.dcmread(path)
    assert read.SOPClassUID == read.file_meta.MediaStorageSOPClassUID == pydicom.uid.Comprehensive3DSRStorage
    assert usual.SOPClassUID == pydicom.uid.ComprehensiveSRStorage
    assert read.SeriesNumber != usual.SeriesNumber
    assert read.StudyInstanceUID == usual.StudyInstanceUID
    assert complaints(path) == []
    groups = highdicom.sr.srread(path).content.get_planar_roi_measurement_groups(tracking_uid=lesions[0].tracking_uid)
    visible = [one for one in measured[0].values() if one.is_visible]
    assert [values(group)["Area of defined region", None] for group in groups] == [(one.area, "mm2") for one in visible]


@pytest.mark.parametrize("source", ["multiframe", "series"])
def test_the_file_is_what_pydicom_writes_of_its_content(report, source):
    path = report(source)[-1]
    read = pydicom.dcmread(path)
    read.walk(lambda _dataset, _element: None)  # every item at every level is taken apart
    again = path.with_name("again.dcm")
    pydicom.dcmwrite(again, read, enforce_file_format=True)
    assert again.read_bytes() == path.read_bytes()


def test_a_code_keeps_its_own_meaning(report):
    for meaning in ("Thyroid gland", "Schilddr\u00fcse"):
        site = terminology.Terminology(anatomic_region=Code("69748006", "SCT", meaning))
        path = report(terminology=site)[-1]
        group = highdicom.sr.srread(path).content.get_planar_roi_measurement_groups()[0]
        assert group.finding_sites[0].value.meaning == meaning


def test_a_report_that_is_cancelled_leaves_nothing(report, tmp_path):
    cine, lesions, written, measured, path = report()
    whole = path.read_bytes()
    calls = []

    def cancel_at_the_third_frame():
        calls.append(1)
        if len(calls) == 3:
            raise OutputError("cancelled")

    with pytest.raises(OutputError, match="cancelled"):
        write_measurement_report(
            path, DicomSource.from_cine(cine), written, lesions, measured, between_frames=cancel_at_the_third_frame
        )
    assert path.read_bytes() == whole
    assert sorted(one.name for one in tmp_path.iterdir() if "sr" in one.name) == ["sr.dcm"]
