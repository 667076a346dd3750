"""Which DICOM object a cine was read from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from UltrasoundLesionSegLib.cine import SourceIdentity, SourceKind
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.digest import file_digest


def identity_of(path: Path, header: Dataset, count: int) -> SourceIdentity:
    """Return the identity of the object in a file; the digest is over the file's bytes.

    The kind is ``DICOM_MULTIFRAME`` where the header has a NumberOfFrames or the object holds several, so that its
    frames are referenced by number, and ``DICOM_SERIES`` with one instance otherwise.

    Parameters
    ----------
    path : Path
    header : Dataset
    count : int
        The frames that are there, whatever the header says.
    """
    is_multiframe = count > 1 or dicom_header.told_frames(header) is not None
    kind = SourceKind.DICOM_MULTIFRAME if is_multiframe else SourceKind.DICOM_SERIES
    uid = dicom_header.text(header, "SOPInstanceUID")
    return SourceIdentity(kind, file_digest(path), (uid,) if uid else (), (path,))


def patient_digest(path: Path) -> str | None:
    """Return the SHA-256 (hex) of whose an object is, by Patient ID and its issuer; None where it does not say.

    It tells patients apart and is written nowhere: who knows the IDs of a hospital can find the one of a digest.

    Parameters
    ----------
    path : Path
        A DICOM file.
    """
    try:
        header = pydicom.dcmread(
            path, stop_before_pixels=True, force=True, specific_tags=["PatientID", "IssuerOfPatientID"]
        )
    except (OSError, ValueError, AttributeError, InvalidDicomError):
        return None
    identifier = dicom_header.text(header, "PatientID")
    if not identifier:
        return None
    issuer = dicom_header.text(header, "IssuerOfPatientID")
    return hashlib.sha256(f"{issuer}\n{identifier}".encode()).hexdigest()
