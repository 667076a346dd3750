"""The size that a compressed frame itself states, read before a decoder makes room for it.

Decoders believe the codestream: one that says 65,535 x 65,535 pixels where the DICOM header says 24 x 32 costs
gigabytes or minutes before anyone compares.
"""

from __future__ import annotations

import struct

_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # JPEG (T.81 B.1.1.3), JPEG-LS (T.87)
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD9)) | {0x01, 0xFF}
_JPEG_2000 = b"\xff\x4f\xff\x51"
_BOXES = 512
"""Bytes in which the codestream of a JPEG 2000 file begins."""


def stated_form(encoded: bytes) -> tuple[int, int, int] | None:
    """Return ``(rows, columns, channels)`` of a JPEG, JPEG-LS or JPEG 2000 frame; None when it does not say."""
    if encoded.startswith(b"\xff\xd8"):
        return _jpeg_form(encoded)
    start = encoded[:_BOXES].find(_JPEG_2000)
    # SIZ marker segment (T.800 A.5.1): length, capabilities, extent, offset, tile size and offset, components
    if start < 0 or len(encoded) < start + 42:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", encoded, start + 8)
    return max(0, bottom - top), max(0, right - left), struct.unpack_from(">H", encoded, start + 40)[0]


def _jpeg_form(encoded: bytes) -> tuple[int, int, int] | None:
    at = 2
    while at + 4 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _STARTS_OF_FRAME and at + 10 <= len(encoded):
            rows, columns, channels = struct.unpack_from(">HHB", encoded, at + 5)
            return rows, columns, channels
        at += 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    return None
