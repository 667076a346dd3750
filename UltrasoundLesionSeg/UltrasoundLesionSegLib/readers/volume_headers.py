"""Headers of NRRD, MetaImage and NIfTI-1 files, as far as a stack of frames needs them.

Read here and not by ITK, which for one frame would read the whole file, and would move Slicer's list axis (the frames)
into the components of a pixel.
"""

from __future__ import annotations

import math
import re
import struct
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.sniff import Format

_HEADER_BYTES = 16 * 2**20  # tracked sequences write a kilobyte or two a frame
_MAX_DATA_START = 2**30
_MAX_AXES = 16

_NRRD_TYPES: dict[str, str] = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    **{"float": "f4", "double": "f8", "signed long long int": "i8"},
}
_META_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_NIFTI_TYPES = {
    **{2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 128: "u1", 256: "i1", 512: "u2", 768: "u4", 2304: "u1"},
    **{1024: "i8", 1280: "u8"},
}
_NIFTI_CHANNELS = {128: 3, 2304: 4}
_COLOR_KINDS = ("rgb-color", "rgba-color", "vector", "3-color", "4-color", "3-vector", "4-vector", "covariant-vector")
_FRAME_KINDS = ("list", "time")
_DIRECTIONS = re.compile(r"none|\([^()]*\)")
NO_SCALE = (1.0, 0.0)
_MM_PER_UNIT = {"": 1.0, "mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3}


@dataclass(frozen=True)
class Axis:
    """One axis of a volume file: its length, what it is, and the distance between its samples in mm (nan: unknown)."""

    size: int
    kind: str = "domain"
    spacing: float = math.nan


@dataclass(frozen=True)
class VolumeHeader:
    """What a volume file says of its pixels.

    Parameters
    ----------
    dtype : numpy dtype, with its byte order
    axes : tuple of Axis
        Fastest first, as in the file.
    encoding : str
        'raw', 'gzip' (zlib too), or the name of another.
    data_file : str
        Name of the file of the pixels, '' when they follow the header.
    data_start : int
        Where the pixels begin in their file; -1: they are at its end.
    fields : dict of str to str
        All texts of the header, names in lower case.
    scale : tuple of float
        Slope and intercept that turn stored values into those that are meant.
    """

    dtype: np.dtype
    axes: tuple[Axis, ...]
    encoding: str
    data_file: str
    data_start: int
    fields: dict[str, str] = field(default_factory=dict)
    scale: tuple[float, float] = NO_SCALE

    @property
    def data_bytes(self) -> int:
        """Length of the pixels in bytes, uncompressed."""
        return math.prod(axis.size for axis in self.axes) * self.dtype.itemsize


def read_volume_header(path: Path, kind: Format) -> VolumeHeader:
    """Parse the header of a volume file.

    Raises
    ------
    SourceError
        When it is damaged or of a kind of pixel that is no picture.
    OSError
        When the file cannot be opened.
    """
    parse = {Format.NRRD: _parse_nrrd, Format.META_IMAGE: _parse_meta_image, Format.NIFTI: _parse_nifti}[kind]
    with path.open("rb") as stream:
        try:
            header = parse(stream)
        except (ValueError, KeyError, IndexError, struct.error, OverflowError):
            raise damaged() from None
    sizes = [axis.size for axis in header.axes]
    if not 2 <= len(sizes) <= _MAX_AXES or min(sizes) < 1 or math.prod(sizes) > 2**46:
        raise damaged()
    if not -1 <= header.data_start <= _MAX_DATA_START or "\0" in header.data_file:
        raise damaged()
    return header


def damaged() -> SourceError:
    """Return the error for a header that cannot be understood."""
    return SourceError("the volume's header is damaged or not understood; save it again as NRRD, MHA or NIfTI")


def _lines(stream: BinaryIO, is_last: str = "") -> dict[str, str]:
    """Read 'name: value', 'name:=value' or 'name = value' lines up to an empty line or the line named ``is_last``."""
    fields: dict[str, str] = {}
    while stream.tell() < _HEADER_BYTES:
        line = stream.readline(_HEADER_BYTES)
        text = line.decode("utf-8", "replace").strip()
        if not line or (not text and not is_last):
            break
        # not by a regular expression, whose time grows with the square of the length for a line without a colon
        ends = [at for at in (text.find(":"), text.find("=")) if at > 0]
        if not ends or text[0] in ":=#":
            continue
        name, value = text[: min(ends)].strip().lower(), text[min(ends) :]
        is_pair = value.startswith(":=")
        value = value[2 if is_pair else 1 :].lstrip()
        fields[name] = value.replace("\\n", "\n") if is_pair else value
        if name == is_last:
            break
    return fields


def _dtype(code: str, is_little: bool) -> np.dtype:
    return np.dtype(code).newbyteorder("<" if is_little else ">")


def _parse_nrrd(stream: BinaryIO) -> VolumeHeader:
    """Parse NRRD 1 to 5 (teem.sourceforge.net/nrrd/format.html)."""
    stream.readline(_HEADER_BYTES)  # the magic line
    fields = _lines(stream)
    sizes = [int(size) for size in fields["sizes"].split()]
    kinds = (fields.get("kinds", "").lower().split() + ["domain"] * len(sizes))[: len(sizes)]
    if not set(kinds) & set(_FRAME_KINDS) and (placeless := _placeless_axis(fields, kinds)) is not None:
        kinds[placeless] = _FRAME_KINDS[0]
    spacings = _nrrd_spacings(fields, len(sizes))
    data_file = fields.get("data file", fields.get("datafile", ""))
    line_skip, byte_skip = int(fields.get("line skip", 0)), int(fields.get("byte skip", 0))
    if line_skip or byte_skip > 0:
        raise SourceError("the NRRD file skips parts of its data, which is not supported; save it again in 3D Slicer")
    start = 0 if data_file else stream.tell()
    code = _NRRD_TYPES[fields["type"].lower()]
    is_little = {"little": True, "big": False}[fields.get("endian", sys.byteorder).lower()]
    encoding = fields.get("encoding", "raw").lower()
    encoding = "gzip" if encoding == "gz" else encoding
    axes = tuple(Axis(*one) for one in zip(sizes, kinds, spacings, strict=True))
    return VolumeHeader(_dtype(code, is_little), axes, encoding, data_file, -1 if byte_skip == -1 else start, fields)


def _placeless_axis(fields: dict[str, str], kinds: list[str]) -> int | None:
    """Return the one axis without a direction in space that holds no colours; None unless there is one of several."""
    directions = _DIRECTIONS.findall(fields.get("space directions", ""))
    if len(directions) != len(kinds):
        return None
    pairs = enumerate(zip(directions, kinds, strict=True))
    found = [at for at, (direction, kind) in pairs if direction == "none" and kind not in _COLOR_KINDS]
    return found[0] if len(found) == 1 else None


def _nrrd_spacings(fields: dict[str, str], count: int) -> list[float]:
    """Return the distance between the samples of each axis in mm, nan where the header does not tell."""
    unit = (re.findall(r'"([^"]*)"', fields.get("space units", "")) or [""])[0].strip().lower()
    scale = _MM_PER_UNIT.get(unit, math.nan)
    if "space directions" in fields:
        vectors = _DIRECTIONS.findall(fields["space directions"])
        spacings = [
            math.nan if vector == "none" else scale * math.hypot(*(float(one) for one in vector[1:-1].split(",")))
            for vector in vectors
        ]
    else:
        spacings = [float(one) for one in fields.get("spacings", "").split()]
        units = re.findall(r'"([^"]*)"', fields.get("units", ""))
        for at, one in enumerate(units[: len(spacings)]):
            spacings[at] *= _MM_PER_UNIT.get(one.strip().lower(), 1.0)
    return (spacings + [math.nan] * count)[:count]


def _parse_meta_image(stream: BinaryIO) -> VolumeHeader:
    """Parse MetaImage (itk.org/Wiki/MetaIO)."""
    fields = _lines(stream, is_last="elementdatafile")
    sizes = [int(size) for size in fields["dimsize"].split()]
    spacings = [float(one) for one in fields.get("elementspacing", fields.get("elementsize", "")).split()]
    spacings = (spacings + [math.nan] * len(sizes))[: len(sizes)]
    axes = [Axis(size, "domain", spacing) for size, spacing in zip(sizes, spacings, strict=True)]
    channels = int(fields.get("elementnumberofchannels", 1))
    if channels > 1:
        axes.insert(0, Axis(channels, "vector"))
    is_big = fields.get("binarydatabyteordermsb", fields.get("elementbyteordermsb", "False")).lower() == "true"
    is_ascii = fields.get("binarydata", "True").lower() == "false"
    is_compressed = fields.get("compresseddata", "False").lower() == "true"
    encoding = "ascii" if is_ascii else "gzip" if is_compressed else "raw"
    data_file = fields["elementdatafile"]
    is_local = data_file.upper() == "LOCAL"
    # counted from the beginning of the file of the pixels, that of the header too; -1: the pixels are at its end
    start = int(fields.get("headersize", 0)) or (stream.tell() if is_local else 0)
    code = _META_TYPES[fields["elementtype"].upper()]
    return VolumeHeader(_dtype(code, not is_big), tuple(axes), encoding, "" if is_local else data_file, start, fields)


def _parse_nifti(stream: BinaryIO) -> VolumeHeader:
    """Parse NIfTI-1 (nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h), gzipped or not."""
    head = stream.read(2**16)
    is_gzip = head.startswith(b"\x1f\x8b")
    if is_gzip:
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, 352)
        except zlib.error:
            raise ValueError from None
    order = "<" if struct.unpack_from("<i", head)[0] == 348 else ">"
    if struct.unpack_from(f"{order}i", head)[0] != 348 or head[344:348] != b"n+1\x00":
        raise SourceError("only NIfTI-1 in one file is read (.nii, .nii.gz); save the volume as such or as NRRD")
    dim = struct.unpack_from(f"{order}8h", head, 40)
    code, start = struct.unpack_from(f"{order}h", head, 70)[0], struct.unpack_from(f"{order}f", head, 108)[0]
    pixdim = struct.unpack_from(f"{order}8f", head, 76)
    units = head[123]
    scale = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}.get(units & 7, math.nan)
    axes = [
        Axis(size, "domain", abs(step) * scale) for size, step in zip(dim[1 : dim[0] + 1], pixdim[1:], strict=False)
    ]
    seconds = {8: 1.0, 16: 1e-3, 24: 1e-6}.get(units & 56)
    if len(axes) > 3:
        axes[3] = Axis(dim[4], "time" if dim[4] > 1 else "domain")
    if len(axes) == 5 and struct.unpack_from(f"{order}h", head, 68)[0] == 1007:  # NIFTI_INTENT_VECTOR
        axes[4] = Axis(dim[5], "vector")
    if code in _NIFTI_CHANNELS:
        axes.insert(0, Axis(_NIFTI_CHANNELS[code], "vector"))
    # without a time axis pixdim[4] means nothing; writers leave 1 there
    has_times = len(dim[1 : dim[0] + 1]) > 3 and dim[4] > 1
    fields = {"seconds per frame": repr(pixdim[4] * seconds)} if seconds and has_times else {}
    if affine := _nifti_affine(head, order, pixdim):
        fields["affine"] = " ".join(repr(one) for one in affine)
    dtype = _dtype(_NIFTI_TYPES[code], order == "<")
    encoding = "gzip whole" if is_gzip else "raw"
    return VolumeHeader(dtype, tuple(axes), encoding, "", int(start), fields, _nifti_scale(head, order, code))


def _nifti_scale(head: bytes, order: str, code: int) -> tuple[float, float]:
    """Return scl_slope and scl_inter; a slope of 0, and colours, have none (nifti1.h, "DATA SCALING")."""
    slope, intercept = struct.unpack_from(f"{order}2f", head, 112)
    is_scaled = code not in _NIFTI_CHANNELS and math.isfinite(slope) and math.isfinite(intercept) and slope != 0
    return (float(slope), float(intercept)) if is_scaled else NO_SCALE


def _nifti_affine(head: bytes, order: str, pixdim: tuple[float, ...]) -> list[float]:
    """Return the rows of the matrix from voxels to mm in RAS: sform, else qform (nifti1.h, "method 3" and 2)."""
    q_code, s_code = struct.unpack_from(f"{order}2h", head, 252)
    if s_code > 0:
        return [float(one) for one in struct.unpack_from(f"{order}12f", head, 280)]
    if q_code <= 0:
        return []
    b, c, d, *offset = struct.unpack_from(f"{order}6f", head, 256)
    a = math.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    rows = (
        (a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)),
        (2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)),
        (2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c),
    )
    steps = (pixdim[1], pixdim[2], pixdim[3] * (-1 if pixdim[0] < 0 else 1))
    return [
        number
        for row, shift in zip(rows, offset, strict=True)
        for number in (*(one * step for one, step in zip(row, steps, strict=True)), shift)
    ]


@dataclass(frozen=True)
class FrameAxes:
    """Which axes of a volume file, counted from the fastest, are columns, rows, frames and channels."""

    column: int
    row: int
    frame: int | None
    channel: int | None


def find_frame_axes(axes: tuple[Axis, ...]) -> FrameAxes:
    """Return what each axis of a stack of frames is.

    Channels are told by their kind; frames by the kind 'list' or 'time', else they are the one axis longer than 1
    beyond columns and rows.

    Raises
    ------
    SourceError
        When there are slices as well as time points.
    """
    channel = next((at for at, axis in enumerate(axes) if axis.kind in _COLOR_KINDS), None)
    if channel is not None and axes[channel].size not in (1, 3, 4):
        raise SourceError(f"the volume has {axes[channel].size} values a pixel; give a grey or RGB cine")
    frame = next((at for at, axis in enumerate(axes) if axis.kind in _FRAME_KINDS), None)
    rest = [at for at in range(len(axes)) if at not in (channel, frame)]
    if len(rest) < 2:
        raise damaged()
    longer = [at for at in rest[2:] if axes[at].size > 1]
    if frame is not None and axes[frame].size == 1 and len(longer) == 1:
        frame = None
    if len(longer) > (1 if frame is None else 0):
        raise SourceError("the volume has slices as well as time points; give a cine, whose third axis alone is time")
    if frame is None and longer:
        frame = longer[0]
    return FrameAxes(rest[0], rest[1], frame, channel)
