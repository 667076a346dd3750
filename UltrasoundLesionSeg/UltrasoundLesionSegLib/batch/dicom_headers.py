"""What a scan of a folder needs to know of a DICOM object: is it an image or a SEG, which instance, of which others."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import UltrasoundImageStorage

from UltrasoundLesionSegLib.dicom import normalize
from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.deflated import plain_stream
from UltrasoundLesionSegLib.readers.dicom_order import TIMES, read_moment
from UltrasoundLesionSegLib.readers.dicom_pixels import read_object

_WHEN = [*TIMES, "AcquisitionDate", "ContentDate"]
_TAGS = ["SOPInstanceUID", "SOPClassUID", "Modality", "NumberOfFrames", "Rows", *_WHEN]
# transfer syntaxes of video (PS3.6 A): MPEG-2, H.264, HEVC
_VIDEO = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?")
_SINGLE_FRAME_CLASSES = (UltrasoundImageStorage, "1.2.840.10008.5.1.4.1.1.6")  # the second is retired
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
    is_readable : bool
        Whether this was found in the header, and is not what is assumed of a damaged one.
    times : tuple of float
        When the image was taken by each of the header's clocks, in seconds, in the order of `TIMES`; nan where one is
        missing.
    """

    role: DicomRole
    uid: str = ""
    is_multi_frame: bool = False
    references: frozenset[str] = frozenset()
    is_readable: bool = True
    times: tuple[float, ...] = ()


def read_dicom_header(path: Path) -> DicomHeader:
    """Read a header without its pixels; what cannot be read counts as an image, whose reader says what is wrong.

    Parameters
    ----------
    path : Path
    """
    try:
        with quiet_dicom(), path.open("rb") as stream:
            header = dcmread(plain_stream(stream), stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
            uid = normalize.text(header, "SOPInstanceUID")
            if normalize.text(header, "Modality") == "SEG":
                return DicomHeader(DicomRole.SEGMENTATION, uid, references=frozenset(_references(path)))
            if "Rows" not in header:
                is_whole = "SOPClassUID" in header or "MediaStorageSOPClassUID" in header.file_meta
                return DicomHeader(DicomRole.OTHER if is_whole else DicomRole.IMAGE, uid, is_readable=is_whole)
            moment = read_moment(header)
            times = tuple(moment.times.get(keyword, math.nan) for keyword in TIMES)
            return DicomHeader(DicomRole.IMAGE, uid, is_multi_frame=_is_multi_frame(header, path), times=times)
    # whatever a damaged file makes pydicom raise
    except Exception:
        return DicomHeader(DicomRole.IMAGE, is_readable=False)


def _is_multi_frame(header: FileDataset, path: Path) -> bool:
    """Whether an object is a cine; a number of frames that is missing, or contradicts a video stream, says nothing."""
    if _VIDEO.fullmatch(str(getattr(header.file_meta, "TransferSyntaxUID", ""))):
        return True
    try:
        frames = int(header.get("NumberOfFrames") or 0)
    except (TypeError, ValueError):
        frames = 0
    if frames > 0 or normalize.text(header, "SOPClassUID") in _SINGLE_FRAME_CLASSES:
        return frames > 1
    try:
        return len(read_object(path)[1]) > 1
    except SourceError:  # it stays a case: its reader reports what is wrong
        return True


def _read_before_pixels(path: Path, tags: list[str] | None = None) -> FileDataset:
    """Read a header in the byte order that it is stored in, whatever it names."""
    with path.open("rb") as stream:
        return dcmread(
            plain_stream(stream), stop_before_pixels=True, force=True, specific_tags=list(tags or []) or None
        )


def _references(path: Path) -> set[str]:
    """Return the instances a SEG names in its Common Instance Reference module (PS3.3 C.12.2) or its source images.

    A SEG without either names them frame by frame (PS3.3 C.7.6.16.2.6), which takes reading all its header.
    """
    header = _read_before_pixels(path, list(_REFERENCES))
    images = list(header.get("SourceImageSequence") or [])
    for series in header.get("ReferencedSeriesSequence") or []:
        images += list(series.get("ReferencedInstanceSequence") or [])
    if not images:
        header = _read_before_pixels(path)
        groups = [*(header.get("SharedFunctionalGroupsSequence") or [])]
        groups += [*(header.get("PerFrameFunctionalGroupsSequence") or [])]
        derivations = [one for group in groups for one in group.get("DerivationImageSequence") or []]
        images = [image for one in derivations for image in one.get("SourceImageSequence") or []]
    return {normalize.text(image, "ReferencedSOPInstanceUID") for image in images} - {""}
