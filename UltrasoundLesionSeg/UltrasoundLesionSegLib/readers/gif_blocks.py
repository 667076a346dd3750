"""The blocks of a GIF file, set so that Pillow composes the frames as players do (GIF89a specification)."""

from __future__ import annotations

from dataclasses import dataclass

_HEAD = 13
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL = 0xF9
_KEEP, _CLEAR, _RESTORE = 1, 2, 3
"""What becomes of a frame before the next one is drawn ("disposal method", section 23)."""


@dataclass(frozen=True)
class PlayableGif:
    """A GIF file for Pillow.

    Parameters
    ----------
    data : bytes
    frames : int
    is_whole : bool
        Whether it ends with the mark of the end.
    """

    data: bytes
    frames: int
    is_whole: bool


def playable(data: bytes) -> PlayableGif:
    """Return a GIF whose frames say what Pillow would guess otherwise.

    Pillow lets a frame without a disposal method have that of the frame before, and keeps a first frame that is to be
    replaced by what was before it, which is nothing. Players keep the one and clear the other.
    """
    out = bytearray(data[:_HEAD])
    at = _HEAD + _palette_bytes(data[10:11])
    out += data[_HEAD:at]
    control: int | None = None  # where the flags of the next frame are
    frames = 0
    while at < len(data) and data[at] in (_EXTENSION, _IMAGE):
        begin = at
        if data[at] == _EXTENSION:
            is_control = data[at + 1 : at + 3] == bytes([_CONTROL, 4])
            control = len(out) + 3 if is_control else control
            at = _end_of_blocks(data, at + 2)
        else:
            if control is None:
                control = len(out) + 3
                out += bytes([_EXTENSION, _CONTROL, 4, 0, 0, 0, 0, 0])
            if control < len(out):
                out[control] = _with_disposal(out[control], frames == 0)
            at = _end_of_blocks(data, at + 11 + _palette_bytes(data[at + 9 : at + 10]))
            control, frames = None, frames + 1
        out += data[begin:at]
    return PlayableGif(bytes(out + data[at:]), frames, data[at : at + 1] == bytes([_TRAILER]))


def _palette_bytes(flags: bytes) -> int:
    """Return the length of the palette that flags announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _end_of_blocks(data: bytes, at: int) -> int:
    """Return where a chain of sub-blocks ends, each of which begins with its length."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return min(len(data), at + 1)


def _with_disposal(flags: int, is_first: bool) -> int:
    method = flags >> 2 & 7
    if method == 0:
        method = _KEEP
    elif method == _RESTORE and is_first:
        method = _CLEAR
    return flags & ~0x1C | method << 2
