"""Edits of stored DICOM elements: the bytes of an explicit-VR data set, taken apart without pydicom.

pydicom would not write most of what these make: wrong value representations, lengths that lie, elements twice or out
of order.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV")
_VRS = (*_LONG, *(b"US", b"SS", b"UL", b"SL", b"FD", b"FL", b"IS", b"DS", b"UI", b"LO", b"PN", b"TM", b"AT", b"ZZ"))
_NUMBERS = (0, 1, 2, 3, 5, 8, 16, 127, 255, 256, 1000, 32767, 32768, 65534, 65535)
_TEXTS = (b"", b"0", b"-1", b"4 ", b"5 ", b"999999", b"1e400", b"nan", b"1\\2", b"\xb2", b"\xff\xfe", b"1.5", b"RGB")


@dataclass(frozen=True)
class Element:
    """Where an element lies: its head, its value, and how its length is written."""

    start: int
    value: int
    stop: int
    vr: bytes
    is_long: bool


def elements(content: bytes) -> list[Element]:
    """Return the elements of an explicit-VR little-endian file, those inside sequences among them."""
    found: list[Element] = []
    at = 132
    while at + 8 <= len(content):
        vr = content[at + 4 : at + 6]
        if content[at : at + 2] == b"\xfe\xff":  # items and delimiters: step into them
            at += 8
            continue
        is_long = vr in _LONG
        if is_long and at + 12 > len(content):
            break
        length = (
            struct.unpack_from("<I", content, at + 8)[0] if is_long else struct.unpack_from("<H", content, at + 6)[0]
        )
        value = at + (12 if is_long else 8)
        is_nested = vr == b"SQ" or length == 0xFFFFFFFF
        stop = value if length == 0xFFFFFFFF else min(len(content), value + length)
        found.append(Element(at, value, stop, vr, is_long))
        at = value if is_nested else stop
    return found


def edit_stored_element(content: bytes, rng: np.random.Generator) -> bytes:
    """Change one element: its value, value representation or length; drop, repeat or exchange it."""
    known = elements(content)
    if not known:
        return content
    one = known[int(rng.integers(len(known)))]
    choice = rng.random()
    if choice < 0.1:
        return content[: one.start] + content[one.stop :]
    if choice < 0.2:
        other = known[int(rng.integers(len(known)))]
        return content[: other.start] + content[one.start : one.stop] + content[other.start :]
    if choice < 0.3:
        vr = _VRS[int(rng.integers(len(_VRS)))]
        return content[: one.start + 4] + vr + content[one.start + 6 :]
    if choice < 0.45:
        return _with_length(content, one, rng)
    if choice < 0.5:
        tag = rng.bytes(4)
        return content[: one.start] + tag + content[one.start + 4 :]
    return _with_value(content, one, rng)


def _with_length(content: bytes, one: Element, rng: np.random.Generator) -> bytes:
    length = one.stop - one.value
    choices = (0, 1, length - 1, length + 1, length + 2, 2 * length, 0xFFFE, 0xFFFFFFFE, 0xFFFFFFFF)
    wanted = max(0, choices[int(rng.integers(len(choices)))])
    at, packed = (8, struct.pack("<I", wanted)) if one.is_long else (6, struct.pack("<H", wanted % 65536))
    return content[: one.start + at] + packed + content[one.value :]


def _with_value(content: bytes, one: Element, rng: np.random.Generator) -> bytes:
    """Give the element another value, with the length that goes with it."""
    if one.vr in (b"US", b"SS"):
        value = struct.pack("<H", _NUMBERS[int(rng.integers(len(_NUMBERS)))]) * int(rng.choice([1, 1, 1, 0, 2]))
    elif one.vr in (b"UL", b"SL"):
        value = struct.pack("<I", int(rng.choice([*_NUMBERS, 2**31 - 1, 2**31, 2**32 - 1])))
    elif one.vr in (b"FD", b"FL"):
        code = "<d" if one.vr == b"FD" else "<f"
        value = struct.pack(code, float(rng.choice([0, -1, np.nan, np.inf, 1e38, 1e-38, 0.01])))
    elif one.vr in (b"OB", b"OW", b"UN"):
        value = rng.bytes(int(rng.choice([0, 1, 2, 3, 8]))) + content[one.value : one.stop][: int(rng.integers(4000))]
    else:
        value = _TEXTS[int(rng.integers(len(_TEXTS)))] + rng.bytes(2) * int(rng.random() < 0.2)
        value += b" " * (len(value) % 2)
    length = struct.pack("<I", len(value)) if one.is_long else struct.pack("<H", len(value))
    return content[: one.value - len(length)] + length + value + content[one.stop :]
