"""DICOM files whose data set is deflated (PS3.5 A.5), inflated into memory within bounds.

pydicom inflates such a file as a whole, however large it becomes: a few megabytes can become as many gigabytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.limits import MAX_INFLATED_BYTES

_META_BYTES = 2**16
_SYNTAX = struct.pack("<HH", 0x0002, 0x0010)
_LONG_VRS = (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR")


def plain_stream(stream: BinaryIO) -> BinaryIO:
    """Return the stream itself, or for a deflated file one in memory of the same elements, not deflated.

    Parameters
    ----------
    stream : BinaryIO
        A DICOM file at its beginning; left there when it is not deflated.

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
    value, data_set = found
    stream.seek(data_set)
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(stream.read(), MAX_INFLATED_BYTES)
    except (zlib.error, MemoryError):
        raise SourceError("the DICOM data set cannot be inflated; export the cine again") from None
    if inflater.unconsumed_tail:
        raise SourceError("the DICOM data set inflates to more than 1 GB; export the cine uncompressed or as JPEG")
    # a UID may be padded (PS3.5 9.1), so the rest of the header stays where it is
    plain = ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    return io.BytesIO(head[:value] + plain + head[value + len(plain) : data_set] + data)


def _find_syntax(head: bytes) -> tuple[int, int] | None:
    """Return where the transfer syntax's value and the data set begin in a deflated file, None in any other."""
    at = 132 if head[128:132] == b"DICM" else 0
    value = None
    while at + 8 <= len(head) and head[at : at + 2] == b"\x02\x00":
        is_long = head[at + 4 : at + 6] in _LONG_VRS
        start = at + (12 if is_long else 8)
        if start > len(head):
            break
        length = int.from_bytes(head[start - (4 if is_long else 2) : start], "little")
        if head[at : at + 4] == _SYNTAX and head[start : start + length].rstrip(b"\0 ") == _DEFLATED:
            value = start
        at = start + length
    return None if value is None else (value, at)


_DEFLATED = DeflatedExplicitVRLittleEndian.encode()
