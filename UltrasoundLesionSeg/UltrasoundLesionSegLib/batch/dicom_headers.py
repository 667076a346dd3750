"""What a scan of a folder needs to know of a DICOM object: is it an image or a SEG, which instance, of which others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.dicom import normalize
from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom

_TAGS = ["SOPInstanceUID", "Modality", "NumberOfFrames", "Rows"]
_REFERENCES = ["ReferencedSeriesSequence", "SourceImageSequence"]


class DicomRole(str, Enum):
    """What a DICOM object is to a batch."""

    IMAGE = "image"
    SEGMENTATION = "segmentation"
    OTHER = "other"


@dataclass(frozen=True)
class DicomHeader:
    """A DICOM object as a scan sees it.

    Parameters
    ----------
    role : DicomRole
    uid : str
        SOP Instance UID, '' when it has none.
    is_multi_frame : bool
    references : frozenset of str
        Of a segmentation: the SOP Instance UIDs of its source images.
    """

    role: DicomRole
    uid: str = ""
    is_multi_frame: bool = False
    references: frozenset[str] = frozenset()


def read_dicom_header(path: Path) -> DicomHeader:
    """Read a header without its pixels; what cannot be read counts as an image, whose reader says what is wrong.

    Parameters
    ----------
    path : Path
    """
    try:
        with quiet_dicom():
            header = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            uid = normalize.text(header, "SOPInstanceUID")
            if normalize.text(header, "Modality") == "SEG":
                return DicomHeader(DicomRole.SEGMENTATION, uid, references=frozenset(_references(path)))
            if "Rows" not in header:
                return DicomHeader(DicomRole.OTHER, uid)
            return DicomHeader(DicomRole.IMAGE, uid, is_multi_frame=_frames(header) > 1)
    # whatever a damaged file makes pydicom raise
    except Exception:
        return DicomHeader(DicomRole.IMAGE)


def _frames(header: Dataset) -> int:
    try:
        return int(header.get("NumberOfFrames") or 1)
    except (TypeError, ValueError):
        return 1


def _references(path: Path) -> set[str]:
    """Return the instances a SEG names in its Common Instance Reference module (PS3.3 C.12.2) or its source images.

    A SEG without either names them frame by frame (PS3.3 C.7.6.16.2.6), which takes reading all its header.
    """
    header = dcmread(path, stop_before_pixels=True, specific_tags=list(_REFERENCES))
    images = list(header.get("SourceImageSequence") or [])
    for series in header.get("ReferencedSeriesSequence") or []:
        images += list(series.get("ReferencedInstanceSequence") or [])
    if not images:
        header = dcmread(path, stop_before_pixels=True)
        groups = [*(header.get("SharedFunctionalGroupsSequence") or [])]
        groups += [*(header.get("PerFrameFunctionalGroupsSequence") or [])]
        derivations = [one for group in groups for one in group.get("DerivationImageSequence") or []]
        images = [image for one in derivations for image in one.get("SourceImageSequence") or []]
    return {normalize.text(image, "ReferencedSOPInstanceUID") for image in images} - {""}
