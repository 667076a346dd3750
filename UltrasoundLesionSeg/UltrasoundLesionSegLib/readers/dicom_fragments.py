"""The fragments of compressed DICOM pixel data (PS3.5 A.4), grouped into frames without decoding them."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from typing import BinaryIO

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.codestream import NEXT_STREAM, begins_frame
from UltrasoundLesionSegLib.readers.limits import MAX_FRAGMENTS

Span = tuple[int, int]
"""Offset and length in bytes."""

_ITEM = b"\xfe\xff\x00\xe0"
_HEAD_BYTES = 64
"""Of a fragment, which tell whether it begins a picture."""


def find_frames(stream: BinaryIO, extended: object, told: int | None) -> tuple[list[tuple[Span, ...]], bool]:
    """Group the fragments of compressed pixel data into frames.

    Parameters
    ----------
    stream : binary stream
        At the item of the basic offset table.
    extended : object
        Value of the Extended Offset Table, b'' where there is none.
    told : int or None
        Number of frames that the header says.

    Returns
    -------
    groups : list of tuple
        For each frame the spans of the stream that hold it.
    is_cut : bool
        Whether the file ends early.

    Raises
    ------
    SourceError
        See ``walk_items``.
    """
    table, fragments, is_cut = walk_items(stream)
    groups = _by_offsets(fragments, _offset_table(extended, table), told, is_cut)
    is_sure = groups is not None and len(groups) > 1
    if groups is None:
        groups = _by_content(stream, fragments, told)
        is_sure = told == len(groups) and all(begins_frame(_head(stream, one)) for one in groups)
    if fragments and not is_sure and (told is None or told >= len(groups)):
        groups = _apart(stream, fragments, groups, told)
    return groups, is_cut


def walk_items(stream: BinaryIO) -> tuple[bytes, list[Span], bool]:
    """Return the basic offset table's bytes, the spans of the whole fragments, and whether the file ends early.

    Parameters
    ----------
    stream : binary stream
        At the item of the basic offset table; read to the last item.

    Raises
    ------
    SourceError
        When it ends within the first item, or there are more than ``MAX_FRAGMENTS``.
    """
    size = size_of(stream)
    spans: list[Span] = []
    is_cut = True
    position = stream.tell()
    while position + 8 <= size:
        head = read_at(stream, position, 8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != _ITEM:
            is_cut = head[:4] != b"\xfe\xff\xdd\xe0"  # the sequence delimiter
            break
        if position + 8 + length > size:
            break
        if len(spans) > MAX_FRAGMENTS:
            raise SourceError(f"the DICOM pixel data are in more than {MAX_FRAGMENTS:,} pieces; export the cine again")
        spans.append((position + 8, length))
        position += 8 + length
    if not spans:
        raise SourceError("the DICOM object is cut off before its first frame; copy or export it again")
    return read_at(stream, *spans[0]), spans[1:], is_cut


def _offset_table(extended: object, basic: bytes) -> list[int]:
    """Return the offset of each frame from the first fragment's item, from the extended table or the basic one."""
    data, width = (extended, 8) if isinstance(extended, bytes) and extended else (basic, 4)
    return [int.from_bytes(data[at : at + width], "little") for at in range(0, len(data) - width + 1, width)]


def _by_offsets(
    fragments: list[Span], table: list[int], told: int | None, is_cut: bool
) -> list[tuple[Span, ...]] | None:
    """Group fragments by the offset table; None when there is none or it does not match the fragments."""
    if not fragments or not table or (told is not None and len(table) != told):
        return None
    base = fragments[0][0] - 8
    starts = {offset - 8 - base: position for position, (offset, _) in enumerate(fragments)}
    reached = [offset for offset in table if offset <= max(starts)] if is_cut else table
    if table[0] != 0 or any(offset not in starts for offset in reached) or reached != sorted(set(reached)):
        return None
    bounds = [starts[offset] for offset in reached] + [len(fragments)]
    return [tuple(fragments[first:last]) for first, last in itertools.pairwise(bounds)]


def _by_content(stream: BinaryIO, fragments: list[Span], told: int | None) -> list[tuple[Span, ...]]:
    """Group fragments without an offset table: one a frame, unless there are more and not all begin a picture.

    The standard has one RLE fragment a frame (PS3.5 A.4.2), but some programs cut long ones.
    """
    if told is not None and len(fragments) <= told:
        return [(fragment,) for fragment in fragments]
    begins = [begins_frame(_head(stream, fragments[at:])) for at in range(len(fragments))]
    if not any(begins):
        # damaged beyond recognition, or of one frame: then all of them are it
        return [tuple(fragments)] if told == 1 else [(fragment,) for fragment in fragments]
    groups: list[list[Span]] = []
    for fragment, is_first in zip(fragments, begins, strict=True):
        if is_first or not groups:
            groups.append([])
        groups[-1].append(fragment)
    return [tuple(group) for group in groups]


def _head(stream: BinaryIO, fragments: Sequence[Span]) -> bytes:
    """Return the first bytes of fragments joined; the header of a picture may itself be cut."""
    head = b""
    for offset, length in fragments[:_HEAD_BYTES]:
        head += read_at(stream, offset, min(length, _HEAD_BYTES - len(head)))
        if len(head) == _HEAD_BYTES:
            break
    return head


def _apart(
    stream: BinaryIO, fragments: Sequence[Span], groups: list[tuple[Span, ...]], told: int | None
) -> list[tuple[Span, ...]]:
    """Divide fragments in which several streams follow each other, or that begin within one, each stream a frame."""
    joined = b"".join(read_at(stream, *span) for span in fragments)
    bounds = [0, *(match.end() for match in NEXT_STREAM.finditer(joined)), len(joined)]
    found = [_part(fragments, begin, end) for begin, end in itertools.pairwise(bounds)]
    return found if len(found) > len(groups) or len(found) == told else groups


def _part(spans: Sequence[Span], begin: int, end: int) -> tuple[Span, ...]:
    """Return the spans that hold the bytes ``begin`` to ``end`` of spans joined."""
    parts, at = [], 0
    for offset, length in spans:
        first, last = max(begin - at, 0), min(end - at, length)
        if first < last:
            parts.append((offset + first, last - first))
        at += length
    return tuple(parts)


def read_at(stream: BinaryIO, offset: int, length: int) -> bytes:
    """Return bytes of a stream, fewer where it ends."""
    stream.seek(offset)
    return stream.read(length)


def size_of(stream: BinaryIO) -> int:
    """Return the length of a stream in bytes and leave it where it is."""
    at = stream.tell()
    size = stream.seek(0, io.SEEK_END)
    stream.seek(at)
    return size
