"""Whether a video file ends or breaks within a packet, by the rules of its container, without decoding it."""

from __future__ import annotations

import io
import struct

_SYNC = b"\x47"
_TAIL_BYTES = 2**18
_PACK, _SYSTEM, _END = 0xBA, 0xBB, 0xB9
_OGG_LAST = 4
_TAG_HEAD, _TAGS = 11, (8, 9, 18)
RAW_STREAMS = ("h264", "hevc", "mpegvideo", "m4v", "mjpeg", "obu")
"""FFmpeg's names of streams without a container: nothing in them says how many pictures there are."""


def is_broken(file: io.IOBase, container: str) -> bool:
    """Whether a file is cut off within a packet, or its packets do not follow each other; it stays where it is.

    Known of MPEG transport streams (packets of one size), MPEG program streams (packets that state their length), FLV
    (packets whose length is stated before and behind them), Ogg (a mark on the last page) and YUV4MPEG (frames of one
    size); False for any other. Only of FLV is more looked at than the end.

    Parameters
    ----------
    file : file object
    container : str
        FFmpeg's name of the container.
    """
    check = {"mpegts": _transport, "mpeg": _program, "flv": _flash, "ogg": _ogg, "yuv4mpegpipe": _yuv4mpeg}.get(
        container
    )
    if check is None:
        return False
    at = file.tell()
    length = file.seek(0, io.SEEK_END)
    try:
        return check(file, length)
    finally:
        file.seek(at)


def _tail(file: io.IOBase, length: int) -> bytes:
    file.seek(max(0, length - _TAIL_BYTES))
    return bytes(file.read(_TAIL_BYTES))


def _transport(file: io.IOBase, length: int) -> bool:
    """Packets have 188 bytes, or 192 with a time before each."""
    file.seek(0)
    size = 192 if bytes(file.read(5))[4:] == _SYNC and file.seek(192 + 4) and file.read(1) == _SYNC else 188
    return length % size != 0


def _program(file: io.IOBase, length: int) -> bool:
    """From the last pack on, packets state their lengths (ISO/IEC 13818-1, 2.5.3; 11172-1, 2.4.3)."""
    tail = _tail(file, length)
    at = tail.rfind(b"\0\0\1\xba")
    if at < 0:
        return False
    while at + 4 <= len(tail):
        kind = tail[at + 3]
        if tail[at : at + 3] != b"\0\0\1" or kind < _END:
            return bool(tail[at:].strip(b"\0"))
        if kind == _END:
            return False
        if kind == _PACK:
            is_second = len(tail) > at + 4 and tail[at + 4] >> 6 == 1
            stuffing = tail[at + 13] & 7 if is_second and len(tail) > at + 13 else 0
            at += 14 + stuffing if is_second else 12
        elif len(tail) < at + 6:
            return True
        else:
            at += 6 + struct.unpack_from(">H", tail, at + 4)[0]
    return at > len(tail) or bool(tail[at:].strip(b"\0"))


def _flash(file: io.IOBase, length: int) -> bool:
    """Each tag states the length of what is in it, and its own length follows it (Adobe FLV 10.1, annex E.3).

    Some programs leave 11 or 1 out of the second length.
    """
    file.seek(5)
    at = int.from_bytes(file.read(4), "big") + 4
    if at >= length:
        return True
    while at < length:
        file.seek(at)
        head = bytes(file.read(_TAG_HEAD))
        size = int.from_bytes(head[1:4], "big")
        file.seek(at + _TAG_HEAD + size)
        behind = bytes(file.read(4))
        if len(behind) < 4 or head[0] & 0x1F not in _TAGS:
            return True
        if int.from_bytes(behind, "big") not in (size + _TAG_HEAD, size + _TAG_HEAD - 1, size):
            return True
        at += _TAG_HEAD + size + 4
    return False


def _ogg(file: io.IOBase, length: int) -> bool:
    """The last page is marked, and states its length (RFC 3533, 6)."""
    tail = _tail(file, length)
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27 or not tail[at + 5] & _OGG_LAST:
        return at >= 0
    begin = at + 27 + tail[at + 26]
    return len(tail) < begin + sum(tail[at + 27 : begin])


def _yuv4mpeg(file: io.IOBase, length: int) -> bool:
    """Every frame has a line of its own and as many bytes as the first."""
    file.seek(0)
    head = bytes(file.read(_TAIL_BYTES))
    begin = head.find(b"\n") + 1
    words = head[:begin].split()
    sizes = {word[:1]: int(word[1:]) for word in words if word[:1] in (b"W", b"H") and word[1:].isdigit()}
    form = next((word[1:] for word in words if word.startswith(b"C")), b"420")
    if len(sizes) < 2 or not head[begin:].startswith(b"FRAME\n") or b"p1" in form:
        return False
    width, height = sizes[b"W"], sizes[b"H"]
    half_width, half_height = (width + 1) // 2, (height + 1) // 2
    chroma = {b"mono": 0, b"444": width * height, b"422": half_width * height}.get(form, half_width * half_height)
    return (length - begin) % (6 + width * height + 2 * chroma) != 0
