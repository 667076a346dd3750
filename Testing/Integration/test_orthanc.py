"""Source, SEG and SR go to a real archive, are found there, and come back equal."""

from io import BytesIO

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from orthanc_server import CALLING_TITLE, TITLE, TOKEN
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation
from UltrasoundLesionSegLib.dicom.send import Sent, StoreNode, Tls, WebServer, send_by_store, send_by_web
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.readers.open import read_cine

BY = ["store", "web"]


def send(by, files, server, tls=None, token=""):
    if by == "store":
        return send_by_store(files, StoreNode("localhost", server.dicom_port, TITLE, CALLING_TITLE, tls))
    return send_by_web(files, WebServer(server.web, token, tls or Tls()))


def find(server, level, **keys):
    """C-FIND, study root."""
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    entity = AE(ae_title=CALLING_TITLE)
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = entity.associate("127.0.0.1", server.dicom_port, ae_title=TITLE)
    assert association.is_established
    answers = association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind)
    found = [identifier for status, identifier in answers if status.Status in (0xFF00, 0xFF01)]
    association.release()
    return found


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("source", ["multiframe", "series"])
@pytest.mark.parametrize("kind", list(SegmentationKind))
def test_stored_queried_and_fetched_back_equal(orthanc, make_case, tmp_path, by, source, kind):
    case = make_case(source, kind)
    steps = len(case.files)
    assert send(by, case.files, orthanc) == Sent(steps, 0)

    # queried: one study with three series of the right modalities
    study = pydicom.dcmread(case.report).StudyInstanceUID
    series = find(orthanc, "SERIES", StudyInstanceUID=study, SeriesInstanceUID="", Modality="")
    assert sorted(one.Modality for one in series) == ["SEG", "SR", "US"]
    client = DICOMwebClient(orthanc.web)
    instances = client.search_for_instances(study)
    sent = {pydicom.dcmread(path).SOPInstanceUID for path in case.files}
    assert {one["00080018"]["Value"][0] for one in instances} == sent

    # fetched back: every data set equal, pixel data included
    stored = orthanc.files()
    assert set(stored) == sent
    for path in case.files:
        original = pydicom.dcmread(path)
        content = stored[original.SOPInstanceUID]
        assert pydicom.dcmread(BytesIO(content)) == original
        assert original.file_meta.TransferSyntaxUID == pydicom.dcmread(BytesIO(content)).file_meta.TransferSyntaxUID
        if by == "web":
            assert content == path.read_bytes()

    # and used: the masks lie on the fetched source as they did on the sent one
    folder = tmp_path / "fetched"
    folder.mkdir()
    for uid in case.cine.identity.sop_instance_uids:
        (folder / f"{uid}.dcm").write_bytes(stored[uid])
    (tmp_path / "back.dcm").write_bytes(stored[case.written.sop_instance_uid])
    segments = read_segmentation(tmp_path / "back.dcm", read_cine(folder)).segments
    for lesion, segment in enumerate(segments):
        for frame in range(12):
            mask = segment.masks.get(frame, np.zeros((120, 160), bool))
            np.testing.assert_array_equal(mask, case.masks[frame, lesion])


def test_retrieved_by_wado(orthanc, make_case):
    case = make_case()
    send("web", case.files, orthanc)
    client = DICOMwebClient(orthanc.web)
    for path in case.files:
        original = pydicom.dcmread(path)
        uids = original.StudyInstanceUID, original.SeriesInstanceUID, original.SOPInstanceUID
        assert client.retrieve_instance(*uids) == original


def test_single_masks_of_the_segmentation_can_be_fetched(orthanc, make_case):
    """Rows times columns is a multiple of 8 here; Orthanc cannot cut other sizes at the right bit."""
    case = make_case()
    send("web", [case.segmentation], orthanc)
    (instance,) = orthanc.get("/instances").json()
    for (lesion, frame), number in case.written.frame_numbers.items():
        raw = orthanc.get(f"/instances/{instance}/frames/{number - 1}/raw").content
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[: 120 * 160]
        np.testing.assert_array_equal(bits.reshape(120, 160), case.masks[frame, lesion])


def test_sent_again_is_no_error(orthanc, make_case):
    case = make_case()
    for by in (*BY, *BY):
        assert send(by, case.files, orthanc).stored == 3
    assert len(orthanc.files()) == 3


def test_titles_the_archive_does_not_know(orthanc, make_case):
    case = make_case()
    with pytest.raises(OutputError, match="entity titles"):
        send_by_store(case.files, StoreNode("127.0.0.1", orthanc.dicom_port, "OTHER", CALLING_TITLE))
    with pytest.raises(OutputError, match="archive"):
        send_by_store(case.files, StoreNode("127.0.0.1", orthanc.dicom_port, TITLE, "STRANGER"))
    assert orthanc.files() == {}


@pytest.mark.parametrize("by", BY)
def test_over_tls_with_token_and_certificate(secure_orthanc, make_case, certificate, by):
    case = make_case()
    mutual = Tls(certificate[0], *certificate)
    assert send(by, case.files, secure_orthanc, mutual, TOKEN) == Sent(3, 0)
    stored = secure_orthanc.files()
    for path in case.files:
        original = pydicom.dcmread(path)
        assert pydicom.dcmread(BytesIO(stored[original.SOPInstanceUID])) == original


def test_without_trust_token_or_certificate_nothing_is_stored(secure_orthanc, make_case, certificate):
    case = make_case()
    trusted = Tls(trusted=certificate[0])
    with pytest.raises(OutputError, match="token"):
        send("web", case.files, secure_orthanc, trusted)
    with pytest.raises(OutputError, match="token"):
        send("web", case.files, secure_orthanc, trusted, "another")
    with pytest.raises(OutputError, match="not trusted"):
        send("web", case.files, secure_orthanc, None, TOKEN)
    with pytest.raises(OutputError, match="archive"):
        send("store", case.files, secure_orthanc, trusted)  # without a certificate of our own
    with pytest.raises(OutputError, match="cannot be reached"):
        send("store", case.files, secure_orthanc, Tls())
    with pytest.raises(OutputError, match="cannot be reached"):
        send("store", case.files, secure_orthanc)
    assert secure_orthanc.files() == {}
