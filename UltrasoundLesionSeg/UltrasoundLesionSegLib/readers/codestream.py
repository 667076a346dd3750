"""What a compressed frame itself states, read before a decoder allocates memory for it.

The data set says nothing that overrides it (PS3.5 8.2), and headers are often wrong about it. Decoders believe the
stream: one that says 65,535 x 65,535 pixels where the DICOM header says 24 x 32 costs gigabytes or minutes before
anyone compares.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

JPEG_8_BIT = (JPEGBaseline8Bit, JPEGExtended12Bit)
JPEG_LS = (JPEGLSLossless, JPEGLSNearLossless)
KINDS = (
    JPEG_8_BIT,
    (JPEGLossless, JPEGLosslessSV1),
    JPEG_LS,
    (JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K),
    (RLELossless,),
)
"""Transfer syntaxes of one kind of stream each; within a kind, the data set may say which."""

NEXT_STREAM = re.compile(rb"\xff\xd9\0*(?=\xff\xd8\xff|\xff\x4f\xff\x51)")
"""The end of a JPEG or JPEG 2000 stream before the beginning of another; within one it cannot be."""

_COLOR_MARKERS = (b"JFIF\0", b"Adobe")
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD9)) | {0x01, 0xFF}
_JPEG_2000 = b"\xff\x4f\xff\x51"
_BOXES = 512
"""Bytes in which the codestream of a JPEG 2000 file begins."""

# start of frame (JPEG T.81 B.1.1.3, JPEG-LS T.87): baseline, extended, progressive, lossless, JPEG-LS
_SYNTAX_OF_FRAME = {
    0xC0: JPEGBaseline8Bit,
    0xC1: JPEGExtended12Bit,
    0xC2: JPEGBaseline8Bit,
    0xC3: JPEGLosslessSV1,
    0xF7: JPEGLSNearLossless,
}
_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_RLE_HEADER = 64
_CODING_STYLE, _HIGH_THROUGHPUT, _START_OF_TILE = 0xFF52, 0xFF50, 0xFF90


@dataclass(frozen=True)
class Codestream:
    """What a frame states.

    Parameters
    ----------
    rows, columns : int
        0 where it does not say them (RLE).
    channels : int
    bits : int
        Of a sample; for RLE, whole bytes.
    syntax : UID or None
        A transfer syntax whose decoder understands it; None for kinds of JPEG that nobody decodes.
    is_transformed : bool
        Whether the stream itself tells its decoder to turn its components into RGB (JPEG 2000).
    is_unmarked : bool
        Whether three components of JPEG have no marker that tells RGB from YBR (JFIF, Adobe, the letters R, G and B).
    is_subsampled : bool
        Whether components of JPEG are smaller than the first, which RGB never is.
    """

    rows: int
    columns: int
    channels: int
    bits: int
    syntax: UID | None
    is_transformed: bool = False
    is_unmarked: bool = False
    is_subsampled: bool = False


def read_codestream(encoded: bytes) -> Codestream | None:
    """Return what a JPEG, JPEG-LS, JPEG 2000 or RLE frame states; None when it does not say."""
    if encoded.startswith(b"\xff\xd8"):
        return _jpeg(encoded)
    start = encoded[:_BOXES].find(_JPEG_2000)
    if start >= 0:
        return _jpeg_2000(encoded, start)
    return _rle(encoded)


def begins_frame(head: bytes) -> bool:
    """Whether a fragment that begins with ``head`` (64 bytes of it) begins a picture."""
    return head.startswith((b"\xff\xd8", _JPEG_2000, b"\x00\x00\x00\x0c")) or _rle(head) is not None


def _jpeg(encoded: bytes) -> Codestream | None:
    at, is_marked = 2, False
    while at + 4 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _STARTS_OF_FRAME and at + 10 <= len(encoded):
            bits, rows, columns, channels = struct.unpack_from(">BHHB", encoded, at + 4)
            names, samplings = (encoded[at + first : at + 10 + 3 * channels : 3] for first in (10, 11))
            is_unmarked = channels == 3 and not is_marked and names != b"RGB"
            syntax, is_subsampled = _SYNTAX_OF_FRAME.get(marker), len(set(samplings)) > 1
            return Codestream(rows, columns, channels, bits, syntax, False, is_unmarked, is_subsampled)
        is_marked |= encoded.startswith(_COLOR_MARKERS, at + 4)
        at += 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    return None


def _jpeg_2000(encoded: bytes, start: int) -> Codestream | None:
    if len(encoded) < start + 43:
        return None
    # SIZ marker segment (T.800 A.5.1): length, capabilities, extent, offset, tile size and offset, components
    right, bottom, left, top = struct.unpack_from(">4I", encoded, start + 8)
    channels, depth = struct.unpack_from(">HB", encoded, start + 40)
    syntax, is_transformed = JPEG2000, False
    at = start + 4 + int.from_bytes(encoded[start + 4 : start + 6], "big")
    while at + 9 <= len(encoded):
        marker, length = struct.unpack_from(">HH", encoded, at)
        if marker == _START_OF_TILE or length < 2:
            break
        if marker == _CODING_STYLE:  # COD (T.800 A.6.1): style, progression, layers, component transformation
            is_transformed = encoded[at + 8] == 1
        if marker == _HIGH_THROUGHPUT:
            syntax = HTJ2K
        at += 2 + length
    size = (max(0, bottom - top), max(0, right - left))
    return Codestream(*size, channels, (depth & 0x7F) + 1, syntax, is_transformed)


def _rle(encoded: bytes) -> Codestream | None:
    """Read an RLE header (PS3.5 G.5): one segment for each byte of a sample in each channel."""
    if len(encoded) < _RLE_HEADER:
        return None
    count, *offsets = struct.unpack_from("<16L", encoded)
    used, unused = offsets[:count], offsets[count:]
    if not 0 < count <= 15 or used[0] != _RLE_HEADER or used != sorted(set(used)) or any(unused):
        return None
    channels = 3 if count % 3 == 0 else 1
    return Codestream(0, 0, channels, 8 * (count // channels), RLELossless)
