"""Where each frame of a DICOM file lies, found without decoding and without trusting NumberOfFrames.

Compressed frames are items of fragments (DICOM PS3.5 A.4), found in one pass over the item headers: 5,000 frames take
about 30 ms. Uncompressed frames follow one another.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
    RLELossless,
)

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.codestream import KINDS, read_codestream
from UltrasoundLesionSegLib.readers.deflated import plain_stream
from UltrasoundLesionSegLib.readers.dicom_colors import YBR_422
from UltrasoundLesionSegLib.readers.dicom_fragments import Span, find_frames, read_at, size_of, walk_items
from UltrasoundLesionSegLib.readers.digest import unreadable
from UltrasoundLesionSegLib.readers.limits import check_frame_count

_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
_PIXEL_DATA = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF
_PADDING = 128
"""Bytes that programs pad pixel data with beyond the one that makes the length even."""

_VIDEO_SYNTAXES = tuple(
    f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109)
)  # MPEG-2 to HEVC, fragmentable too
_RELABELLED = "The header says that the pixels are compressed but they are not: read as they are."
_PIXEL_DATA_TAG = b"\xe0\x7f\x10\x00"
_UNDEFINED_LENGTH = b"\xff\xff\xff\xff"
_JPEG = b"\xff\xd8\xff"
_NAMES = {
    JPEGBaseline8Bit: "JPEG",
    JPEGExtended12Bit: "JPEG",
    JPEGLosslessSV1: "lossless JPEG",
    JPEGLSNearLossless: "JPEG-LS",
    JPEG2000: "JPEG 2000",
    HTJ2K: "high-throughput JPEG 2000",
    RLELossless: "RLE",
}


@dataclass(frozen=True)
class StoredFrames:
    """The encoded frames of one DICOM file.

    Parameters
    ----------
    path : Path
    frames : tuple
        For each frame the spans of the file that hold it; joined they are the encoded frame.
    notes : tuple of str
        Where the header and what is stored disagree.
    vr : str
        'OB' or 'OW': tells whether bytes are swapped in big-endian files.
    inflated : bytes
        A deflated file's elements, which have to be held in memory; spans then count in them.
    """

    path: Path
    frames: tuple[tuple[Span, ...], ...]
    notes: tuple[str, ...] = ()
    vr: str = "OW"
    inflated: bytes = field(default=b"", repr=False)

    def __len__(self) -> int:
        return len(self.frames)

    def encoded(self, index: int) -> bytes:
        """Return the encoded bytes of frame ``index``; raises ``OSError`` when the file has gone."""
        with io.BytesIO(self.inflated) if self.inflated else self.path.open("rb") as stream:
            return b"".join(read_at(stream, offset, length) for offset, length in self.frames[index])


def read_object(path: Path) -> tuple[Dataset, StoredFrames]:
    """Return the header of a DICOM file and where its frames are.

    Raises
    ------
    SourceError
        When the file cannot be opened, holds no picture, or its header contradicts its pixel data.
    """
    with _pixel_data_of(path) as (stream, header, notes):
        stored = _locate(path, stream, header)
        return header, replace(stored, notes=(*notes, *stored.notes))


def look_at_object(path: Path) -> tuple[Dataset, int, tuple[str, ...]]:
    """Return the header of a DICOM file, how many frames it has and the notes on them.

    Of damaged pixel data, and of a video stream, the number is what the header says, 1 when it does not.

    Raises
    ------
    SourceError
        When the file cannot be opened or holds no picture.
    """
    with _pixel_data_of(path) as (stream, header, notes):
        told = dicom_header.told_frames(header) or 1
        try:
            stored = _locate(path, stream, header)
        except SourceError:
            return header, told, ()
        return header, told if is_video(header) else len(stored), (*notes, *stored.notes)


@contextmanager
def _pixel_data_of(path: Path) -> Iterator[tuple[BinaryIO, Dataset, tuple[str, ...]]]:
    """Open a DICOM file: its elements as a stream that stands at the pixel data, its header checked, notes on that."""
    try:
        with path.open("rb") as file:
            stream = plain_stream(file)
            header = dicom_header.parse_header(stream)
            notes = _name_compression(stream, header)
            check_header(header)
            yield stream, header, notes
    except OSError as error:
        raise unreadable(error) from None


def check_header(header: Dataset) -> None:
    """Raise ``SourceError`` when the object is no cine whatever its pixel data hold."""
    if dicom_header.is_segmentation(header):
        raise SourceError("the DICOM object is a segmentation; choose the cine it belongs to")
    if dicom_header.is_volume(header):
        raise SourceError(
            "the DICOM object is a 3-D ultrasound volume, whose frames are slices and follow no time; choose a 2-D cine"
        )
    dicom_header.frame_size(header)
    dicom_header.transfer_syntax(header)


def _name_compression(stream: BinaryIO, header: Dataset) -> tuple[str, ...]:
    """Put the compression that the first frame shows into a header that names none that it could be.

    That is a header without a transfer syntax, with an uncompressed, private or retired one, or with that of a video
    where the frames are JPEG pictures. ``stream`` stands at the pixel data element, and is left there.
    """
    syntax = dicom_header.transfer_syntax(header) if dicom_header.knows_syntax(header) else UID("")
    if any(syntax in kind for kind in KINDS):
        return ()
    start = stream.tell()
    head = stream.read(12)
    is_implicit = head[4:8] == _UNDEFINED_LENGTH
    found = None
    if head[:4] == _PIXEL_DATA_TAG and (is_implicit or head[8:] == _UNDEFINED_LENGTH):
        stream.seek(start + (8 if is_implicit else 12))
        _, fragments, _ = walk_items(stream)
        first = read_at(stream, *fragments[0]) if fragments else b""
        if not syntax.startswith(_VIDEO_SYNTAXES) or first.startswith(_JPEG):
            found = read_codestream(first)
    stream.seek(start)
    if found is None or found.syntax is None:
        return ()
    header.file_meta.TransferSyntaxUID = found.syntax
    return (f"The header does not name the pixels' compression rightly: they are {_NAMES[found.syntax]} and read so.",)


def _locate(path: Path, stream: BinaryIO, header: Dataset) -> StoredFrames:
    """Find the frames from the pixel data element, at which ``stream`` stands."""
    syntax = dicom_header.transfer_syntax(header)
    vr, length = _pixel_data_element(stream, syntax)
    start = stream.tell()
    available = size_of(stream) - start
    is_encapsulated = length == _UNDEFINED
    if is_encapsulated and not dicom_header.says_syntax(header):
        raise SourceError(
            "the DICOM file does not say how its pixels are compressed; export it again with a complete file header"
        )
    is_relabelled = not is_encapsulated and syntax.is_encapsulated and _is_uncompressed(header, length)
    if is_relabelled:
        header.file_meta.TransferSyntaxUID = syntax = ExplicitVRLittleEndian
    if is_encapsulated != syntax.is_encapsulated:
        raise SourceError("the DICOM pixel data contradict the transfer syntax; export the cine again from its origin")
    if not is_encapsulated:
        frames, notes = _native_frames(header, stream, length, available)
        notes = (*_syntax_note(header), *((_RELABELLED,) if is_relabelled else ()), *notes)
        if vr == "OW" and not syntax.is_little_endian and frames[0][0][1] % 2:
            return _in_byte_order(path, stream, start, frames, notes)
        inflated = stream.getvalue() if isinstance(stream, io.BytesIO) else b""
        return StoredFrames(path, frames, notes, vr, inflated)
    if is_video(header):
        _, fragments, _ = walk_items(stream)
        return StoredFrames(path, (tuple(fragments),))
    frames, notes = _encapsulated_frames(header, stream)
    if syntax == _ENCAPSULATED_UNCOMPRESSED:
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian  # what a frame is once its items are joined
    return StoredFrames(path, frames, notes)


def _is_uncompressed(header: Dataset, length: int) -> bool:
    """Whether pixel data under a compressed transfer syntax are as long as the header's frames are uncompressed."""
    whole = native_frame_bytes(header) * (dicom_header.told_frames(header) or 1)
    is_422 = dicom_header.text(header, "PhotometricInterpretation") in YBR_422
    return any(one <= length <= one + one % 2 for one in ((whole, whole * 3 // 2) if is_422 else (whole,)))


def _in_byte_order(
    path: Path, stream: BinaryIO, start: int, frames: tuple[tuple[Span, ...], ...], notes: tuple[str, ...]
) -> StoredFrames:
    """Return frames of an odd length in big-endian words, whose bytes are swapped across their bounds, in memory."""
    data = read_at(stream, start, sum(length for ((_, length),) in frames) + 1)
    data += b"\0" * (len(data) % 2)
    swapped = bytearray(data)
    swapped[0::2], swapped[1::2] = data[1::2], data[0::2]
    spans = tuple(((offset - start, length),) for ((offset, length),) in frames)
    return StoredFrames(path, spans, notes, "OB", bytes(swapped))


def _syntax_note(header: Dataset) -> tuple[str, ...]:
    if dicom_header.says_syntax(header):
        return ()
    return ("The file does not say its transfer syntax: it is read in the one that its elements are written in.",)


def is_video(header: Dataset) -> bool:
    """Whether the pixel data are one MPEG-2, MPEG-4 or HEVC stream, whose fragments are no frames (PS3.5 8.2.5 ff.)."""
    return dicom_header.transfer_syntax(header).startswith(_VIDEO_SYNTAXES)


def _pixel_data_element(stream: BinaryIO, syntax: UID) -> tuple[str, int]:
    """Read the value representation and the length of the pixel data element (PS3.5 7.1).

    Whether it is explicit is seen from the element itself: some headers name the other of the two syntaxes. An explicit
    one cannot be taken for an implicit one, because the letters of a value representation would be an odd length.
    """
    head = stream.read(8)
    order = "<" if syntax.is_little_endian else ">"
    is_explicit = head[4:8] in (b"OB\0\0", b"OW\0\0", b"UN\0\0")
    vr = "OB" if is_explicit and head[4:6] == b"OB" else "OW"
    if len(head) == 8 and is_explicit:
        head = head[:4] + stream.read(4)
    if len(head) < 8:
        raise SourceError("the DICOM object has no pixel data; choose an ultrasound image or cine")
    group, element, length = struct.unpack(f"{order}HHL", head)
    if (group << 16 | element) != _PIXEL_DATA:
        raise SourceError(
            "the DICOM object holds measured values instead of pixels; choose an ultrasound image or cine"
        )
    return vr, int(length)


def _native_frames(
    header: Dataset, stream: BinaryIO, length: int, available: int
) -> tuple[tuple[tuple[Span, ...], ...], tuple[str, ...]]:
    """Divide uncompressed pixel data, at which ``stream`` stands, into frames.

    A file that ends before the declared length was cut off. A declared length that is no whole number of frames means
    padding (PS3.5 8.1.1) or wrong rows, columns or bits; see `_is_padding`.
    """
    start = stream.tell()
    told = dicom_header.told_frames(header)
    frame_bytes = native_frame_bytes(header)
    # 422 data that were expanded to three bytes a pixel while the header still says 422
    expanded = math.ceil(frame_bytes * 3 / 2)
    is_422 = dicom_header.text(header, "PhotometricInterpretation") in YBR_422
    if is_422 and 0 <= length - expanded * (told or 1) <= _PADDING:
        frame_bytes = expanded
    stored = length // frame_bytes
    surplus = length - stored * frame_bytes
    notes: tuple[str, ...] = ()
    if stored < 1:
        raise _unfitting()
    if surplus > 1:
        is_small = surplus <= _PADDING
        tail = read_at(stream, start + length - surplus, surplus) if is_small else b""
        if not _is_padding(header, stored, surplus, tail) or not (is_small or stored == told):
            raise _unfitting()
        notes = (f"{surplus} bytes follow the last frame: they are left out.",)
    whole = min(stored, available // frame_bytes)
    count, count_notes = _agreed_count(told, whole, is_cut=available < length - max(1, surplus))
    check_frame_count(count)
    spans = tuple(((start + index * frame_bytes, frame_bytes),) for index in range(count))
    return spans, (*count_notes, *notes)


def _is_padding(header: Dataset, count: int, surplus: int, tail: bytes) -> bool:
    """Whether bytes after ``count`` frames are padding, and no sign of wrong rows or columns.

    A surplus of a whole number of rows or columns in each frame would mean that every frame but the first is read
    shifted. So small a one as programs pad with still is padding when its bytes are all equal.
    """
    rows, columns = dicom_header.frame_size(header)
    sample = native_frame_bytes(header) // (rows * columns)
    is_wrong_size = surplus % (count * columns * sample) == 0 or surplus % (count * rows * sample) == 0
    return not is_wrong_size or len(set(tail)) == 1


def _unfitting() -> SourceError:
    return SourceError(
        "the DICOM pixel data do not fit the rows, columns and bits its header states; "
        "export the cine again from its origin"
    )


def native_frame_bytes(header: Dataset) -> int:
    """Return the length of one uncompressed frame in bytes.

    Raises
    ------
    SourceError
        When the header does not describe pixels of 8 or 16 bits in one or three channels.
    """
    rows, columns = dicom_header.frame_size(header)
    channels = dicom_header.integer(header, "SamplesPerPixel")
    bits = dicom_header.integer(header, "BitsAllocated")
    if channels not in (1, 3) or bits not in (8, 16):
        raise SourceError(
            "the DICOM header does not describe pixels of 8 or 16 bits, grey or RGB; export the cine again"
        )
    if channels == 3 and dicom_header.text(header, "PhotometricInterpretation") in YBR_422:
        channels = 2  # two pixels share their chroma (PS3.3 C.7.6.3.1.2)
    return rows * columns * channels * bits // 8


def _agreed_count(told: int | None, stored: int, is_cut: bool) -> tuple[int, tuple[str, ...]]:
    """Decide between what the header says and what is there; nothing is ever invented."""
    if stored < 1:
        raise SourceError("the DICOM object is cut off before its first frame ends; copy or export it again")
    if told is None and is_cut:
        return stored, (f"The file is cut off and does not say its number of frames: {stored} are whole and are used.",)
    if told is None and stored > 1:
        return stored, (f"The header does not say the number of frames: the {stored} that are stored are used.",)
    if told is None or told == stored:
        return stored, ()
    if stored > told == 1:
        return 1, (f"The header says 1 frame but {stored} are stored: only the first is used.",)
    if stored > told:
        return told, (f"The header says {told} frames but {stored} are stored: the first {told} are used.",)
    if is_cut:
        return stored, (f"The file is cut off: {stored} of its {told} frames are whole and are used.",)
    return stored, (f"The header says {told} frames but only {stored} are stored: these are used.",)


def _encapsulated_frames(header: Dataset, stream: BinaryIO) -> tuple[tuple[tuple[Span, ...], ...], tuple[str, ...]]:
    """Divide compressed pixel data, at which ``stream`` stands, into frames."""
    told = dicom_header.told_frames(header)
    groups, is_cut = find_frames(stream, dicom_header.value_or(header, "ExtendedOffsetTable", b""), told)
    count, notes = _agreed_count(told, len(groups), is_cut)
    check_frame_count(count)
    return tuple(groups[:count]), notes
