"""DICOM files that pydicom cannot read as they are: in memory they become such that it can.

These are deflated files (PS3.5 A.5), inflated within bounds, and files whose elements are in another byte order than
their header says, or not deflated though it says so. pydicom inflates such a file as a whole, however large it becomes:
a few megabytes can become as many gigabytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import BinaryIO

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.limits import MAX_INFLATED_BYTES

_META_BYTES = 2**16
_SYNTAX = struct.pack("<HH", 0x0002, 0x0010)
_LONG_VRS = (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR")


def plain_stream(stream: BinaryIO) -> BinaryIO:
    """Return the stream itself, or one in memory of the same elements, not deflated and in the byte order it names.

    Parameters
    ----------
    stream : BinaryIO
        A DICOM file at its beginning; left there when it can be read as it is.

    Raises
    ------
    SourceError
        When the data set cannot be inflated, or becomes too large.
    """
    head = stream.read(_META_BYTES)
    found = _find_syntax(head)
    if found is None:
        stream.seek(0)
        return stream
    value, told, data_set = found
    first = head[data_set : data_set + 6]
    stored = _stored_in(told, first)
    if stored == told:
        stream.seek(0)
        return stream
    stream.seek(data_set)
    is_deflated = told == DeflatedExplicitVRLittleEndian and not _begins_elements(first)
    data = _inflated(stream) if is_deflated else stream.read()
    length = int.from_bytes(head[value - 2 : value], "little")
    uid = stored.encode()
    # a UID may be padded (PS3.5 9.1), so the rest of the header stays where it is
    uid = uid.ljust(max(length, len(uid) + len(uid) % 2), b"\0")
    meta = head[: value - 2] + len(uid).to_bytes(2, "little") + uid + head[value + length : data_set]
    return io.BytesIO(meta + data)


def _stored_in(told: UID, first: bytes) -> UID:
    """Return the syntax of the elements once they are not deflated; ``first`` are the data set's first bytes."""
    if told == DeflatedExplicitVRLittleEndian:
        return ExplicitVRLittleEndian
    # the first group is below 256 in all objects of images: one of its bytes is 0
    if told == ExplicitVRBigEndian and first[1:2] == b"\0" != first[:1]:
        return ExplicitVRLittleEndian
    if told in (ExplicitVRLittleEndian, ImplicitVRLittleEndian) and first[:1] == b"\0" != first[1:2]:
        return ExplicitVRBigEndian
    return told


def _begins_elements(first: bytes) -> bool:
    """Whether bytes are the beginning of an explicit element of group 8, and so not deflated."""
    return first[:2] == b"\x08\0" and first[4:6].isalpha() and first[4:6].isupper()


def _inflated(stream: BinaryIO) -> bytes:
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(stream.read(), MAX_INFLATED_BYTES)
    except (zlib.error, MemoryError):
        raise SourceError("the DICOM data set cannot be inflated; export the cine again") from None
    if inflater.unconsumed_tail:
        raise SourceError("the DICOM data set inflates to more than 1 GB; export the cine uncompressed or as JPEG")
    return data


def _find_syntax(head: bytes) -> tuple[int, UID, int] | None:
    """Return where the transfer syntax's value begins, the syntax, and where the data set begins; None without one."""
    at = 132 if head[128:132] == b"DICM" else 0
    value, told = 0, UID("")
    while at + 8 <= len(head) and head[at : at + 2] == b"\x02\x00":
        is_long = head[at + 4 : at + 6] in _LONG_VRS
        start = at + (12 if is_long else 8)
        if start > len(head):
            break
        length = int.from_bytes(head[start - (4 if is_long else 2) : start], "little")
        if head[at : at + 4] == _SYNTAX and not is_long:
            value, told = start, UID(head[start : start + length].rstrip(b"\0 ").decode("latin-1"))
        at = start + length
    return (value, told, at) if told else None
