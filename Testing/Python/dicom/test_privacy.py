"""Plant unique texts wherever a source can hold them and look for them in all that leaves the DICOM room."""

import logging
import traceback
import warnings

import numpy as np
import pydicom
import pytest
from dicom_helpers import describe, random_masks, speckle, write_multiframe, write_series
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from UltrasoundLesionSegLib.cine import Calibration, Origin
from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.send import StoreNode, WebServer, send_by_store, send_by_web
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.dicom.structured_report import write_measurement_report
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.readers.open import read_cine

# what every object of a study must have alike
MANDATED = {"PatientName", "PatientID", "StudyID", "AccessionNumber"}
TEXT = {"LO", "SH", "PN", "LT", "ST", "UT", "UC"}
# groups of the patient, study, series, equipment, acquisition and procedure, and the overlays' and curves' comments
GROUPS = {0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0028, 0x0032, 0x0038, 0x0040, 0x0088, 0x2110}


def mark_of(keyword: str) -> str:
    """A text no other attribute has, short enough for SH."""
    return f"MK{abs(hash(keyword)) % 10**9:09d}Q"


def planted_attributes() -> dict[str, str]:
    """Every text attribute of the dictionary that an image header can hold, with a mark of its own."""
    found = {}
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if vr in TEXT and keyword and not retired and Tag(tag).group in GROUPS:
            found[keyword] = mark_of(keyword)
    return found


def nested(mark: str) -> Dataset:
    item = Dataset()
    item.PatientID, item.IssuerOfPatientID, item.InstitutionName = mark + "a", mark + "b", mark + "c"
    return item


@pytest.fixture
def planted(tmp_path):
    """``planted(kind)``: a cine full of marks, and the marks that nothing of ours may show."""

    def make(kind):
        attributes: dict = planted_attributes()
        assert len(attributes) > 150
        assert {"InstitutionName", "PatientComments", "StationName", "DeviceSerialNumber", "OperatorsName"} <= set(
            attributes
        )
        attributes["OtherPatientIDsSequence"] = [nested(mark_of("OtherPatientIDsSequence"))]
        attributes["RequestAttributesSequence"] = [nested(mark_of("RequestAttributesSequence"))]
        # defects that pydicom would complain of by quoting them
        attributes["StudyTime"], attributes["PatientBirthDate"] = "Mk:Time", "MkBirth"
        attributes["PatientSex"], attributes["SpecificCharacterSet"] = "MKSEX", "MKCHARSET"
        folder = tmp_path / mark_of("folder")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frames = speckle(5, 40, 48)
            if kind == "series":
                path = write_series(folder / mark_of("file"), frames, **attributes)
            else:
                path = write_multiframe(folder / f"{mark_of('file')}.dcm", frames, **attributes)
            add_private_elements(path)
        secrets = {mark_of(keyword) for keyword in attributes if keyword not in MANDATED}
        secrets |= {mark_of("folder"), mark_of("file"), mark_of("private"), "Mk:Time", "MkBirth", "MKSEX", "MKCHARSET"}
        return read_cine(path), secrets, {mark_of(keyword) for keyword in MANDATED}

    return make


def add_private_elements(path):
    for file in [path] if path.is_file() else path.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.private_block(0x0019, mark_of("private"), create=True).add_new(1, "LO", mark_of("private"))
        dataset.save_as(file)


def shown(secrets, text):
    return {secret for secret in secrets if secret in text}


@pytest.mark.parametrize("kind", ["multiframe", "series"])
@pytest.mark.parametrize("segmentation_kind", list(SegmentationKind))
def test_outputs_hold_nothing_they_should_not(planted, tmp_path, caplog, recwarn, kind, segmentation_kind):
    caplog.set_level(logging.DEBUG)
    cine, secrets, mandated = planted(kind)
    # what making the files and reading the cine say is not what is tested here
    caplog.clear()
    recwarn.clear()
    masks = random_masks(5, 1, 40, 48)
    lesions = [describe(cine, 1, {1: Origin.MANUAL})]
    source = DicomSource.from_cine(cine)
    segmentation, report = tmp_path / "seg.dcm", tmp_path / "sr.dcm"
    written = write_segmentation(segmentation, source, lesions, masks, segmentation_kind)
    calibration = Calibration(0.1, 0.1, "SequenceOfUltrasoundRegions")
    measured = {
        frame: measure_frame(masks[frame, 0], np.zeros((40, 48), np.uint8), calibration) for frame in range(len(masks))
    }
    write_measurement_report(report, source, written, lesions, [measured])
    read_segmentation(segmentation, cine)
    for path in (segmentation, report):
        content = path.read_bytes().decode("latin-1")
        assert shown(secrets, content) == set()
        assert shown(mandated, content) == mandated
    assert shown(secrets | mandated, caplog.text) == set()
    assert shown(secrets | mandated, " ".join(str(one.message) for one in recwarn)) == set()
    assert shown(secrets | mandated, lesions[0].tracking_id + lesions[0].tracking_uid) == set()
    # objects end in logs and tracebacks by their repr
    assert shown(secrets | mandated, repr(source) + repr(written) + repr(cine.identity)) == set()


def calls_that_fail(cine, tmp_path):
    """Calls that must raise, on files full of marks; some damage the source first."""
    source = DicomSource.from_cine(cine)
    masks = random_masks(5, 1, 40, 48)
    folder = tmp_path / mark_of("folder")
    segmentation, lesions = folder / "seg.dcm", [describe(cine, 1)]
    written = write_segmentation(segmentation, source, lesions, masks)
    image = cine.identity.paths[0]
    whole = image.read_bytes()
    not_a_segmentation, without_numbers = folder / f"{mark_of('file')}x.dcm", folder / f"{mark_of('file')}y.dcm"
    header = pydicom.dcmread(image)
    header.Modality = "SEG"
    header.save_as(not_a_segmentation)
    dataset = pydicom.dcmread(segmentation)
    dataset.SegmentSequence[0].SegmentNumber = None
    dataset.save_as(without_numbers)
    one = measure_frame(masks[1, 0], np.zeros((40, 48), np.uint8), None)

    def from_damaged(content):
        image.write_bytes(content)
        DicomSource.from_cine(cine)

    return [
        lambda: write_segmentation(segmentation, source, lesions, np.zeros_like(masks)),
        lambda: write_segmentation(segmentation, source, lesions, masks[:, :, 1:]),
        lambda: write_measurement_report(segmentation, source, written, lesions, [{0: one}]),
        lambda: read_segmentation(image, cine),
        lambda: read_segmentation(not_a_segmentation, cine),
        lambda: read_segmentation(without_numbers, cine),
        lambda: read_segmentation(folder / "none", cine),
        lambda: send_by_store([image], StoreNode("127.0.0.1", 1, "NOBODY")),
        lambda: send_by_web([image], WebServer("http://127.0.0.1:1")),
        lambda: send_by_web([folder], WebServer("http://127.0.0.1:1")),
        lambda: from_damaged(whole[:1000]),
        lambda: from_damaged(whole[:132] + mark_of("PatientName").encode() * 100),
        lambda: from_damaged(whole.replace(cine.identity.sop_instance_uids[0].encode(), b"1.2.3")),
    ]


def test_exceptions_logs_and_warnings_hold_nothing(planted, tmp_path, caplog, recwarn):
    cine, secrets, mandated = planted("multiframe")
    calls = calls_that_fail(cine, tmp_path)
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    recwarn.clear()
    for call in calls:
        with pytest.raises(LesionSegError) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert shown(secrets | mandated, "".join(traceback.format_exception(caught.value))) == set()
    assert shown(secrets | mandated, caplog.text) == set()
    assert shown(secrets | mandated, " ".join(str(one.message) for one in recwarn)) == set()


def test_the_search_finds_what_is_there(planted):
    """The test of the test: the marks are in the source."""
    cine, secrets, mandated = planted("multiframe")
    content = cine.identity.paths[0].read_bytes().decode("latin-1") + str(cine.identity.paths[0])
    assert len(shown(secrets, content)) > 150
    assert shown(mandated, content) == mandated
