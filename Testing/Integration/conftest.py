"""Orthanc servers, and the source, SEG and SR that go through them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from dicom_helpers import describe, speckle, write_certificate, write_multiframe, write_series
from orthanc_server import DICOMWEB_PLUGIN, TOKEN, Orthanc, free_port, https_in_front, running_orthanc

from UltrasoundLesionSegLib.cine import Calibration, Cine, Origin
from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
from UltrasoundLesionSegLib.dicom.segmentation_writer import WrittenSegmentation, write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.dicom.structured_report import write_measurement_report
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.readers.open import read_cine

LUA = """
function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
  return httpHeaders["authorization"] == "Bearer %s"
end
"""


@pytest.fixture(scope="session", autouse=True)
def orthanc_installed():
    """Skip where Orthanc is not installed; fail there if ULS_REQUIRE_ORTHANC is set, as run.sh does."""
    if shutil.which("Orthanc") and DICOMWEB_PLUGIN.exists():
        return
    reason = "Orthanc is not here: run Testing/Integration/run.sh, which installs it"
    if os.environ.get("ULS_REQUIRE_ORTHANC"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def one_orthanc(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), Orthanc(free_port(), free_port())) as server:
        yield server


@pytest.fixture
def orthanc(one_orthanc):
    """An empty Orthanc."""
    yield one_orthanc
    one_orthanc.clear()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Paths of a certificate for localhost that signs itself, and of its key."""
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure_orthanc(tmp_path, certificate):
    """Orthanc with TLS on both its ports, which wants a token on HTTP and a certificate on DICOM."""
    folder = tmp_path / "secure"
    folder.mkdir()
    (folder / "token.lua").write_text(LUA % TOKEN)
    server = Orthanc(free_port(), free_port(), headers={"Authorization": f"Bearer {TOKEN}"})
    options = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(certificate[0]),
        "DicomTlsPrivateKey": str(certificate[1]),
        "DicomTlsTrustedCertificates": str(certificate[0]),
        "DicomTlsRemoteCertificateRequired": True,
        "LuaScripts": [str(folder / "token.lua")],
    }
    with running_orthanc(folder, server, **options), https_in_front(server, *certificate) as secure:
        yield secure


@dataclass(frozen=True)
class Case:
    """A cine with its results, all as files."""

    cine: Cine
    masks: np.ndarray
    written: WrittenSegmentation
    segmentation: Path
    report: Path

    @property
    def files(self) -> list[Path]:
        """Source, SEG and SR."""
        return [*self.cine.identity.paths, self.segmentation, self.report]


@pytest.fixture
def make_case(tmp_path):
    """``make_case(source, kind)``: 12 frames of 120 x 160 with two lesions, segmented and measured."""

    def make(source="multiframe", kind=SegmentationKind.BINARY):
        frames = speckle(12, 120, 160)
        if source == "multiframe":
            cine = read_cine(write_multiframe(tmp_path / "cine.dcm", frames))
        else:
            cine = read_cine(write_series(tmp_path / "series", frames))
        rows, columns = np.mgrid[:120, :160]
        masks = np.zeros((12, 2, 120, 160), bool)
        for frame in range(10):
            masks[frame, 0] = ((rows - 40) / (15 + frame)) ** 2 + ((columns - 60) / 30) ** 2 < 1
        masks[3:6, 1, 90:110, 100:140] = True
        lesions = [describe(cine, 1, {0: Origin.MANUAL}), describe(cine, 2)]
        dicom_source = DicomSource.from_cine(cine)
        segmentation, report = tmp_path / "seg.dcm", tmp_path / "sr.dcm"
        written = write_segmentation(segmentation, dicom_source, lesions, masks, kind)
        calibration = Calibration(0.1, 0.1, "SequenceOfUltrasoundRegions")
        measured = [
            {frame: measure_frame(masks[frame, lesion], frames[frame], calibration) for frame in range(12)}
            for lesion in range(2)
        ]
        write_measurement_report(report, dicom_source, written, lesions, measured)
        return Case(cine, masks, written, segmentation, report)

    return make
