"""Reading a DICOM header without trusting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.deflated import plain_stream
from UltrasoundLesionSegLib.readers.digest import unreadable
from UltrasoundLesionSegLib.readers.limits import check_frame_size
from UltrasoundLesionSegLib.readers.quiet import quiet

_SEGMENTATION_STORAGE = (
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation Storage
    "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation Storage
)

_PHOTOMETRIC = (
    *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "HSV", "ARGB", "CMYK", "XYB"),
    *("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"),
)
"""What PS3.3 C.7.6.3.1.2 knows, retired ones too."""

_VOLUME_STORAGE = "1.2.840.10008.5.1.4.1.1.6.2"  # Enhanced US Volume Storage


def read_header(path: Path) -> Dataset:
    """Return everything before the pixel data.

    Raises
    ------
    SourceError
        When the file cannot be opened or its elements cannot be parsed.
    """
    try:
        with path.open("rb") as stream:
            return parse_header(plain_stream(stream))
    except OSError as error:
        raise unreadable(error) from None


def parse_header(stream: BinaryIO) -> Dataset:
    """Return everything before the pixel data and leave ``stream`` at the pixel data element, or at its end.

    Parameters
    ----------
    stream : BinaryIO
        Of `plain_stream`.

    Raises
    ------
    SourceError
        When the elements cannot be parsed. The text says nothing of their values.
    """
    with quiet():
        try:
            return _with_usual_photometric(pydicom.dcmread(stream, stop_before_pixels=True, force=True))
        except Exception as error:  # pydicom raises whatever a damaged element leads to
            if isinstance(error, OSError) and error.errno is not None:  # pydicom's own have no number
                raise
            raise SourceError(
                f"the DICOM header is damaged ({type(error).__name__}); export the cine again from its origin"
            ) from None


def _with_usual_photometric(header: Dataset) -> Dataset:
    """Return a header with its Photometric Interpretation as the standard spells it, or empty if it knows none such.

    Some programs write it in small letters or with a space before it, or write MONOCHROME, which says nothing of black.
    """
    if "PhotometricInterpretation" in header:
        told = " ".join(text(header, "PhotometricInterpretation").upper().replace("\0", " ").split())
        header.PhotometricInterpretation = told if told in _PHOTOMETRIC else ""
    return header


def number(header: Dataset, keyword: str) -> float | None:
    """Return an element as a finite number, None when it is absent, empty, has several values or is no number."""
    try:
        with quiet():
            value = float(header.get(keyword))
    except Exception:  # converting a malformed value raises many things, see parse_header
        return None
    return value if abs(value) < 1e30 else None


def integer(header: Dataset, keyword: str) -> int | None:
    """Return an element as a whole number, None when it is absent, empty, has several values or is no number."""
    value = number(header, keyword)
    return int(value) if value is not None and value == int(value) else None


def numbers(header: Dataset, keyword: str) -> list[float]:
    """Return an element's values as finite numbers, [] when it is absent, empty or one of them is no number."""
    try:
        with quiet():
            value = header.get(keyword)
            values = [float(one) for one in (value if isinstance(value, (MultiValue, list, tuple)) else [value])]
    except Exception:  # see number()
        return []
    return values if all(abs(one) < 1e30 for one in values) else []


def text(header: Dataset, keyword: str) -> str:
    """Return an element as text, '' when it is absent or cannot be decoded."""
    try:
        with quiet():
            value = header.get(keyword)
            return "" if value is None else str(value).strip()
    except Exception:  # see number()
        return ""


def items(header: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence element, [] when it is absent or is no sequence."""
    try:
        with quiet():
            return [item for item in header.get(keyword) or [] if isinstance(item, Dataset)]
    except Exception:  # see number()
        return []


def says_syntax(header: Dataset) -> bool:
    """Whether the file has a transfer syntax; one without the header group before the data set has none."""
    return bool(text(getattr(header, "file_meta", Dataset()), "TransferSyntaxUID"))


def transfer_syntax(header: Dataset) -> UID:
    """Return the transfer syntax; of a file that does not say it, that in which its elements could be read.

    Raises
    ------
    SourceError
        When it is not one of the standard's.
    """
    if not says_syntax(header):
        is_implicit, is_little_endian = header.original_encoding
        if is_little_endian is False:
            return ExplicitVRBigEndian
        return ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    if not knows_syntax(header):
        raise SourceError(
            "the DICOM file is in a transfer syntax that the standard does not know and that cannot be decoded here; "
            "export the cine uncompressed or as JPEG"
        )
    return UID(text(header.file_meta, "TransferSyntaxUID"))


def knows_syntax(header: Dataset) -> bool:
    """Whether the file has a transfer syntax that is one of the standard's."""
    with quiet():
        syntax = UID(text(getattr(header, "file_meta", Dataset()), "TransferSyntaxUID"))
        return bool(syntax) and not syntax.is_private and syntax.is_transfer_syntax


def frame_size(header: Dataset) -> tuple[int, int]:
    """Return ``(rows, columns)``.

    Raises
    ------
    SourceError
        When the object holds no picture.
    """
    rows, columns = integer(header, "Rows") or 0, integer(header, "Columns") or 0
    if not (0 < rows < 2**16 and 0 < columns < 2**16):
        raise SourceError("the DICOM object holds no image; choose an ultrasound image or cine")
    check_frame_size(rows, columns)
    return rows, columns


def told_frames(header: Dataset) -> int | None:
    """Return NumberOfFrames, None where it is absent or makes no sense."""
    told = integer(header, "NumberOfFrames")
    return told if told is not None and told > 0 else None


def is_segmentation(header: Dataset) -> bool:
    """Whether the object is a DICOM SEG, which is a result and not a cine."""
    return text(header, "SOPClassUID") in _SEGMENTATION_STORAGE


def is_volume(header: Dataset) -> bool:
    """Whether the object is a 3-D ultrasound volume: its frames are slices in space (PS3.3 A.59)."""
    return text(header, "SOPClassUID") == _VOLUME_STORAGE


def value_or(header: Dataset, keyword: str, otherwise: Any) -> Any:
    """Return an element's value as pydicom gives it, ``otherwise`` when it is absent, empty or malformed."""
    try:
        with quiet():
            value = header.get(keyword)
    except Exception:  # see number()
        return otherwise
    return otherwise if value is None or value == "" else value
