"""What a file is, from its first bytes: suffixes of ultrasound exports are often missing or wrong."""

from __future__ import annotations

import stat
import struct
import zlib
from enum import Enum
from pathlib import Path

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.digest import unreadable

_HEAD_BYTES = 1024
_IMAGE_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"BM",
    b"II*\x00",  # TIFF, and BigTIFF below
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
    b"GIF87a",
    b"GIF89a",
)
_VIDEO_MAGIC = (
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video elementary stream
    b"\x00\x00\x01\xb0",  # MPEG-4 visual elementary stream
    b"\x00\x00\x00\x01",  # H.264, HEVC byte streams
    b"\x00\x00\x01\x67",
    b"\x00\x00\x01\x09",
    b"\x00\x00\x01\x40",
    b"\x12\x00\x0a",  # AV1 units
    b"DKIF",  # IVF
    b"FLV\x01",
    b"\x1f\x07\x00",  # DV
    b"OggS",
    b"YUV4MPEG2 ",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01",  # MXF
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"0&\xb2u\x8ef\xcf\x11",  # ASF (WMV)
)
# the class of a DICOMDIR in the header before its data set, which is explicit little endian (PS3.10 7.1)
_DICOMDIR = b"\x02\x00\x02\x00UI\x14\x001.2.840.10008.1.3.10"
_QUICKTIME_ATOMS = (b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"mdat", b"wide", b"free", b"skip", b"pnot")
_ARCHIVE_MAGIC = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ")
_BARE_ELEMENTS = 3
# value representations that begin a data set, with lengths of 16 bits (PS3.5 7.1.2)
_SHORT_VRS = (b"AE", b"CS", b"DA", b"DT", b"LO", b"PN", b"SH", b"ST", b"TM", b"UI", b"UL", b"US")
_NIFTI_MAGIC = (b"n+1\x00", b"ni1\x00", b"n+2\x00")


class Format(str, Enum):
    """What the bytes of a file say it is."""

    DICOM = "DICOM"
    DICOMDIR = "DICOMDIR"
    NRRD = "NRRD"
    META_IMAGE = "MetaImage"
    NIFTI = "NIfTI"
    IMAGE = "image"
    VIDEO = "video"
    UNKNOWN = "unknown"


def sniff(path: Path) -> Format:
    """Return what the file is by its content.

    Raises
    ------
    SourceError
        When the file cannot be opened.
    """
    check_is_file(path)
    try:
        with path.open("rb") as stream:
            return sniff_head(stream.read(_HEAD_BYTES))
    except OSError as error:
        raise unreadable(error) from None


def check_is_file(path: Path) -> None:
    """Raise ``SourceError`` for what is no file: opening a pipe would wait for ever.

    Raises
    ------
    SourceError
        Also when there is nothing of that name, or no file can have it.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise unreadable(error) from None
    except ValueError:  # a null character, or one that the system's encoding lacks
        raise SourceError("the name of the source is not one that a file can have; correct it") from None
    if not stat.S_ISREG(mode):
        raise SourceError("the source is neither a file nor a folder; choose one of these")


def sniff_head(head: bytes) -> Format:
    """Return what a file is that begins with ``head`` (at least 1,024 bytes of it where it has them)."""
    # a DICOM file may carry another format in its preamble (dual TIFF files do): DICOM goes first
    if head[128:132] == b"DICM" or head[:4] in (b"\x02\x00\x00\x00", b"\x02\x00\x01\x00") or _is_bare_dicom(head):
        return Format.DICOMDIR if _DICOMDIR in head else Format.DICOM
    if head.startswith(b"NRRD000"):
        return Format.NRRD
    if head.startswith(b"\x1f\x8b"):
        head = _inflated(head)
        return Format.NIFTI if _is_nifti(head) else Format.UNKNOWN
    if _is_nifti(head):
        return Format.NIFTI
    if _is_meta_image(head):
        return Format.META_IMAGE
    if _is_video(head):
        return Format.VIDEO
    return Format.IMAGE if head.startswith(_IMAGE_MAGIC) or _is_webp(head) else Format.UNKNOWN


def _is_bare_dicom(head: bytes) -> bool:
    """Whether the head is that of a DICOM file without preamble: elements of its header or of group 8 in order."""
    order, at, before = ("<" if head[:2] in (b"\x02\x00", b"\x08\x00") else ">"), 0, -1
    for seen in range(_BARE_ELEMENTS):
        if len(head) < at + 12:
            return False
        group, element = struct.unpack_from(f"{order}HH", head, at)
        if group not in (2, 8):
            return group > 8 and (seen > 1 or before >> 16 == 2)
        if (group << 16 | element) <= before:
            return False
        vr = head[at + 4 : at + 6]
        if vr in _SHORT_VRS:
            length, start = struct.unpack_from(f"{order}H", head, at + 6)[0], at + 8
        elif vr == b"SQ":
            return before >= 0
        else:
            length, start = struct.unpack_from(f"{order}L", head, at + 4)[0], at + 8
        if length % 2 or length > _HEAD_BYTES:
            return False
        before, at = group << 16 | element, start + length
    return True


def _inflated(head: bytes) -> bytes:
    """Return the beginning of what a gzip stream holds, b'' when it is damaged."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
    except zlib.error:
        return b""


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in _NIFTI_MAGIC or head[4:8] == b"n+2\x00"


def _is_meta_image(head: bytes) -> bool:
    """Whether the head is 'key = value' lines that include the number of dimensions."""
    return b"NDims" in head and any(
        line.split(b"=")[0].strip() in (b"ObjectType", b"NDims", b"Comment") for line in head.splitlines()[:1]
    )


def _is_video(head: bytes) -> bool:
    is_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    # packets of 188 bytes, or of 192 with a time before each
    is_transport_stream = any(
        len(head) > 2 * size + begin and all(head[begin + size * number] == 0x47 for number in range(3))
        for begin, size in ((0, 188), (4, 192))
    )
    is_video = is_avi or head[4:8] in _QUICKTIME_ATOMS or head.startswith(_VIDEO_MAGIC)
    return is_video or is_transport_stream or is_animated_png(head)


def is_animated_png(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is an animated PNG: its control chunk is before the pixels."""
    return head.startswith(_IMAGE_MAGIC[0]) and b"acTL" in head.partition(b"IDAT")[0]


def is_archive(path: Path) -> bool:
    """Whether a file is packed (ZIP, gzip, 7-Zip, RAR, bzip2, xz).

    Raises
    ------
    SourceError
        When the file cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(8).startswith(_ARCHIVE_MAGIC)
    except OSError as error:
        raise unreadable(error) from None


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"
