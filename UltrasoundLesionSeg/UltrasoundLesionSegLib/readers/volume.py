"""NRRD, MHA and NIfTI volumes whose slices are frames, Slicer's .seq.nrrd among them -> `Cine`."""

from __future__ import annotations

import itertools
import math
import re
import tempfile
import weakref
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Calibration, Cine, Frame, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import frames
from UltrasoundLesionSegLib.readers.digest import digest_of_digests, file_digest, unreadable
from UltrasoundLesionSegLib.readers.sniff import Format
from UltrasoundLesionSegLib.readers.volume_headers import FrameAxes, VolumeHeader, find_frame_axes, read_volume_header

_BLOCK = 2**20
_MAX_FRAME_BYTES = 2**30
_SECONDS_PER_UNIT = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3}


class VolumePixels:
    """The pixels of a volume file as an array of its own axes, read when asked for.

    Uncompressed pixels are mapped. Compressed ones cannot be entered in the middle: they are inflated, as far as a
    frame needs, into an unnamed temporary file, so that memory stays bounded and nothing is inflated twice.

    Parameters
    ----------
    path : Path
        The file that holds the pixels.
    header : VolumeHeader
    """

    def __init__(self, path: Path, header: VolumeHeader) -> None:
        self._path = path
        self._header = header
        self._source: BinaryIO | None = None
        self._spool: Any = None
        self._inflated = 0
        size = path.stat().st_size
        start = header.data_start if header.data_start >= 0 else size - header.data_bytes
        self._start = start
        if header.encoding == "raw":
            self.available = max(0, min(header.data_bytes, size - start))
        else:
            self.available = header.data_bytes  # until inflating proves otherwise

    def array(self, needed: int) -> NDArray[Any]:
        """Return the pixels, slowest axis first, of which the first ``needed`` bytes hold what the file says.

        Raises
        ------
        ValueError, OSError, zlib.error
            When the file does not hold them.
        """
        shape = tuple(axis.size for axis in reversed(self._header.axes))
        if self._header.encoding == "raw":
            if self.available < self._header.data_bytes:  # a cut file: whole slowest slices only
                shape = (self.available // (self._header.data_bytes // shape[0]), *shape[1:])
            return np.memmap(self._path, self._header.dtype, "r", self._start, shape)
        self._inflate_to(needed)
        return np.memmap(self._spool, self._header.dtype, "r", 0, shape)

    def _inflate_to(self, needed: int) -> None:
        if self._source is None:
            self._source = self._path.open("rb")
            weakref.finalize(self, self._source.close)
            is_whole = self._header.encoding == "gzip whole"
            self._source.seek(0 if is_whole else self._start)
            self._inflater = zlib.decompressobj(wbits=47)  # gzip or zlib
            self._skip = self._start if is_whole else 0
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the reader
            weakref.finalize(self, self._spool.close)
            self._spool.truncate(self._header.data_bytes)
        while self._inflated < needed:
            block = self._inflater.unconsumed_tail or self._source.read(_BLOCK)
            data = self._inflater.decompress(block, 4 * _BLOCK)
            if not data and (not block or self._inflater.eof):
                raise ValueError("cut off")
            data, self._skip = data[self._skip :], max(0, self._skip - len(data))
            data = data[: self._header.data_bytes - self._inflated]
            self._spool.seek(self._inflated)
            self._spool.write(data)
            self._inflated += len(data)
        self._spool.flush()


class VolumeFrames(frames.CachedFrames):
    """Frames that are slices of a volume.

    Parameters
    ----------
    slices : VolumeSlices
    is_color : bool
    levels : tuple of float
        The values shown as 0 and as 255.
    """

    def __init__(self, slices: VolumeSlices, is_color: bool, levels: tuple[float, float]) -> None:
        super().__init__(len(slices), slices.height, slices.width, is_color)
        self._slices = slices
        self._levels = levels

    def _decode(self, index: int) -> Frame:
        return frames.to_uint8(self._slices.values(index), self._levels)


class VolumeSlices:
    """Slices of a volume in the values of the file."""

    def __init__(self, pixels: VolumePixels, header: VolumeHeader, axes: FrameAxes) -> None:
        self._pixels = pixels
        self._header = header
        self._axes = axes
        self.height, self.width = header.axes[axes.row].size, header.axes[axes.column].size
        self._told = 1 if axes.frame is None else header.axes[axes.frame].size
        outer = [at for at, axis in enumerate(header.axes) if axis.size > 1]
        self._is_sequential = axes.frame is not None and axes.frame == outer[-1]
        self._frame_bytes = header.data_bytes // self._told
        if self._frame_bytes > _MAX_FRAME_BYTES:
            raise SourceError(
                f"the volume's frames are {self.height} x {self.width} pixels, too large for a cine; check its header"
            )

    @property
    def told(self) -> int:
        """Number of frames by the header."""
        return self._told

    def __len__(self) -> int:
        if self._pixels.available == self._header.data_bytes:
            return self._told
        return self._pixels.available // self._frame_bytes if self._is_sequential else 0

    def values(self, index: int) -> NDArray[Any]:
        """Return frame ``index`` as ``(H, W)`` or ``(H, W, C)`` in the values of the file.

        Raises
        ------
        FrameError
            When the file is damaged or cut off before it.
        """
        needed = (index + 1) * self._frame_bytes if self._is_sequential else self._header.data_bytes
        try:
            return self._picked(self._pixels.array(needed), index)
        except (ValueError, OSError, zlib.error, MemoryError):
            raise FrameError(index, "the volume is damaged or cut off before it") from None

    def _picked(self, array: NDArray[Any], index: int) -> NDArray[Any]:
        """Return frame ``index`` of the whole array, rows, columns and channels in this order."""
        count = array.ndim
        kept = [count - 1 - at for at in (self._axes.row, self._axes.column)]
        kept += [] if self._axes.channel is None else [count - 1 - self._axes.channel]
        frame_axis = None if self._axes.frame is None else count - 1 - self._axes.frame
        picked = array[tuple(slice(None) if at in kept else index if at == frame_axis else 0 for at in range(count))]
        order = np.argsort(np.argsort(kept))  # where the kept axes went
        return np.array(np.transpose(picked, order))


def read_volume(path: Path, kind: Format) -> Cine:
    """Read a volume whose slices are the frames.

    Values of other types than uint8 that all lie in 0..255 on the sampled frames are taken as they are; others are
    stretched linearly from the lowest to the highest value of the sampled frames.

    Raises
    ------
    SourceError
        When it is no stack of frames, or cannot be read.
    """
    try:
        header = read_volume_header(path, kind)
        data_path = data_path_of(path, header)
        slices = VolumeSlices(VolumePixels(data_path, header), header, find_frame_axes(header.axes))
    except OSError as error:
        raise unreadable(error) from None
    if not len(slices):
        raise SourceError("the volume is cut off before its first frame ends; copy or save it again")
    notes = []
    if len(slices) < slices.told:
        notes.append(f"The file is cut off: {len(slices)} of its {slices.told} frames are whole and are used.")
    levels, is_color, look_notes = _look(slices, header)
    calibration, spacing_notes = volume_calibration(header)
    paths = (path,) if data_path == path else (path, data_path)
    digests = [file_digest(one) for one in paths]
    return Cine(
        VolumeFrames(slices, is_color, levels),
        slices.height,
        slices.width,
        is_color,
        SourceIdentity(SourceKind.VOLUME, digests[0] if len(digests) == 1 else digest_of_digests(digests), (), paths),
        calibration,
        timing=volume_timing(header, len(slices)),
        notes=(*notes, *look_notes, *spacing_notes),
    )


def data_path_of(path: Path, header: VolumeHeader) -> Path:
    """Return the file of the pixels, which must be the header's or one beside it."""
    if header.encoding not in ("raw", "gzip", "gzip whole"):
        raise SourceError("the volume's pixels are stored as text or in a rare compression; save it as raw or gzip")
    if not header.data_file:
        return path
    named = Path(header.data_file)
    if named.name != header.data_file.removeprefix("./") or "%" in header.data_file or header.data_file == "LIST":
        raise SourceError("the volume's pixels are in several files or another folder; save it as one file")
    return path.with_name(named.name)


def _look(slices: VolumeSlices, header: VolumeHeader) -> tuple[tuple[float, float], bool, tuple[str, ...]]:
    """Return the values shown as 0 and 255, whether the frames are in colour, and notes.

    Grey uint8 needs no look at any frame but the first, so that a compressed volume is not inflated on opening.
    """
    is_bytes = header.dtype == np.uint8
    if is_bytes and slices.values(0).ndim == 2:
        return frames.AS_STORED, False, ()
    sampled: list[NDArray[Any]] = []
    for index in frames.sampled_indices(len(slices), frames.COLOR_SAMPLES):
        try:
            sampled.append(slices.values(index))
        except FrameError:
            continue
    levels = frames.AS_STORED if is_bytes else frames.choose_levels(sampled)
    is_color = any(frames.is_color_picture(frames.to_uint8(one, levels)) for one in sampled)
    return levels, is_color, frames.levels_note(levels)


def volume_calibration(header: VolumeHeader) -> tuple[Calibration | None, tuple[str, ...]]:
    """Return the size of a pixel by a volume's header; the 1 mm that programs write for 'unknown' is not believed."""
    axes = find_frame_axes(header.axes)
    row_mm, column_mm = header.axes[axes.row].spacing, header.axes[axes.column].spacing
    if row_mm == column_mm == 1.0:
        return None, ("The volume's header says 1 mm a pixel, which is what is written for unknown: it is not used.",)
    if not (0 < row_mm < math.inf and 0 < column_mm < math.inf):
        return None, ()
    return Calibration(row_mm, column_mm, "spacing of the volume file"), ()


def volume_timing(header: VolumeHeader, count: int) -> Timing | None:
    """Return the frame times by a volume's header: the index values of a .seq.nrrd, or the time step of a NIfTI."""
    step = float(header.fields.get("seconds per frame", "nan"))
    if 0 < step < math.inf:
        return Timing(np.arange(count, dtype=np.float64) * step, "time step of the volume file")
    written = next((text for name, text in header.fields.items() if re.fullmatch(r"axis \d+ index values", name)), "")
    axes = find_frame_axes(header.axes)
    units = re.findall(r'"([^"]*)"', header.fields.get("units", ""))
    if axes.frame is None or len(units) <= axes.frame or units[axes.frame].strip().lower() not in _SECONDS_PER_UNIT:
        return None
    try:
        times = [float(one) for one in written.split()][:count]
    except ValueError:
        return None
    if len(times) != count or count < 2 or not all(one < after for one, after in itertools.pairwise(times)):
        return None
    scale = _SECONDS_PER_UNIT[units[axes.frame].strip().lower()]
    seconds = np.array([(one - times[0]) * scale for one in times], dtype=np.float64)
    return Timing(seconds, "index of the sequence")
