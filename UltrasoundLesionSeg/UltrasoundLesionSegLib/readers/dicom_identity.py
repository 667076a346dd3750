"""Which DICOM object a cine was read from."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import SourceIdentity, SourceKind
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.digest import file_digest


def identity_of(path: Path, header: Dataset) -> SourceIdentity:
    """Return the identity of the object in a file; the digest is over the file's bytes.

    The kind is ``DICOM_MULTIFRAME`` where the header has a NumberOfFrames, so that its frames are referenced by
    number, and ``DICOM_SERIES`` with one instance where it has none.
    """
    is_multiframe = dicom_header.told_frames(header) is not None
    kind = SourceKind.DICOM_MULTIFRAME if is_multiframe else SourceKind.DICOM_SERIES
    uid = dicom_header.text(header, "SOPInstanceUID")
    return SourceIdentity(kind, file_digest(path), (uid,) if uid else (), (path,))
