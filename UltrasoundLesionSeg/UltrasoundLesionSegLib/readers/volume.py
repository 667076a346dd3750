"""NRRD, MHA and NIfTI volumes whose slices are frames, Slicer's .seq.nrrd among them -> `Cine`."""

from __future__ import annotations

import math
import os
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Calibration, Cine, Frame, SourceIdentity, SourceKind
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import frames
from UltrasoundLesionSegLib.readers.dicom_calibration import dots_per_inch, is_of_a_scanner, is_unknown
from UltrasoundLesionSegLib.readers.digest import digest_of_digests, file_digest, unreadable
from UltrasoundLesionSegLib.readers.inflated import InflatedPixels
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.sniff import Format, check_is_file
from UltrasoundLesionSegLib.readers.volume_headers import (
    NO_SCALE,
    FrameAxes,
    VolumeHeader,
    find_frame_axes,
    read_volume_header,
)
from UltrasoundLesionSegLib.readers.volume_timing import frames_without_image, volume_timing

PADDING = 16
"""Bytes after the pixels that mean nothing: line ends, padding to whole words."""

_LONGEST_FRAME = 3
"""Height over width, or the reverse, that frames of a scanner hardly have."""


class VolumePixels:
    """The pixels of a volume file, read when asked for.

    Compressed pixels cannot be entered in the middle: they are inflated, as far as a frame needs, into an unnamed
    temporary file, so that memory stays bounded and nothing is inflated twice.

    Parameters
    ----------
    path : Path
        The file that holds the pixels.
    header : VolumeHeader

    Attributes
    ----------
    available : int
        Bytes of pixels that are there, at most as many as the header states.
    surplus : int
        Bytes that follow them.

    Raises
    ------
    SourceError
        When it is no file, ends before the pixels begin, or the temporary folder has no space for what it inflates to.
    OSError
    """

    def __init__(self, path: Path, header: VolumeHeader) -> None:
        self._path = path
        self._header = header
        check_is_file(path)
        size = path.stat().st_size
        self._start = header.data_start if header.data_start >= 0 else size - header.data_bytes
        if not 0 <= self._start <= size and header.encoding != "gzip whole":
            raise SourceError("the volume is cut off before its first frame ends; copy or save it again")
        self._inflated: InflatedPixels | None = None
        if header.encoding == "raw":
            self.available = min(header.data_bytes, size - self._start)
            self.surplus = size - self._start - self.available
        else:
            self._inflated = InflatedPixels(path, self._start, header)
            self.available, self.surplus = self._inflated.available, self._inflated.surplus

    def piece(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes of the pixels.

        Raises
        ------
        ValueError, OSError, zlib.error
            When the file does not hold them, or not any more.
        """
        if self._inflated is not None:
            found = self._inflated.piece(offset, length)
        else:
            with self._path.open("rb") as stream:
                stream.seek(self._start + offset)
                found = stream.read(length)
        if len(found) != length:
            raise ValueError("cut off")
        return found

    def array(self) -> NDArray[Any]:
        """Return all pixels as an array of the file's axes, slowest first, mapped and not loaded.

        Raises
        ------
        ValueError, OSError, zlib.error
            When the file does not hold them.
        """
        shape = tuple(axis.size for axis in reversed(self._header.axes))
        if self._inflated is None:
            return np.memmap(self._path, self._header.dtype, "r", self._start, shape)
        return np.memmap(self._inflated.whole_file(), self._header.dtype, "r", 0, shape)


class VolumeFrames(frames.CachedFrames):
    """Frames that are slices of a volume.

    Parameters
    ----------
    slices : VolumeSlices
    is_color : bool
    levels : tuple of float
        The values shown as 0 and as 255.
    blank : frozenset of int
        Frames that the header says have no image.
    """

    def __init__(
        self, slices: VolumeSlices, is_color: bool, levels: tuple[float, float], blank: frozenset[int] = frozenset()
    ) -> None:
        super().__init__(len(slices), slices.height, slices.width, is_color)
        self._slices = slices
        self._levels = levels
        self._blank = blank

    def _decode(self, index: int) -> Frame:
        if index in self._blank:
            raise FrameError(index, "the sequence says that it holds no image for it")
        return frames.to_uint8(self._slices.values(index), self._levels)


class VolumeSlices:
    """Slices of a volume in the values of the file."""

    def __init__(self, pixels: VolumePixels, header: VolumeHeader, axes: FrameAxes) -> None:
        self._pixels = pixels
        self._header = header
        self._axes = axes
        self.height, self.width = header.axes[axes.row].size, header.axes[axes.column].size
        check_frame_size(self.height, self.width)
        self._told = 1 if axes.frame is None else header.axes[axes.frame].size
        outer = [at for at, axis in enumerate(header.axes) if axis.size > 1]
        self._is_sequential = axes.frame is None or self._told == 1 or axes.frame == outer[-1]
        self._frame_bytes = header.data_bytes // self._told
        check_frame_count(len(self))

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
        try:
            if not self._is_sequential:
                return self._picked(self._pixels.array(), index)
            # read and not mapped: reading from a map of a file that is being cut off kills the process
            data = self._pixels.piece(index * self._frame_bytes, self._frame_bytes)
            sizes = [1 if at == self._axes.frame else axis.size for at, axis in enumerate(self._header.axes)]
            return self._picked(np.frombuffer(data, self._header.dtype).reshape(sizes[::-1]), 0)
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
        return _scaled(np.array(np.transpose(picked, order)), self._header.scale)


def _scaled(values: NDArray[Any], scale: tuple[float, float]) -> NDArray[Any]:
    """Return what stored values mean; whole numbers stay whole where the scale is."""
    if scale == NO_SCALE:
        return values
    scaled = values * scale[0] + scale[1]
    is_whole = values.dtype.kind in "iub" and scale[0].is_integer() and scale[1].is_integer()
    return scaled.astype(np.int64) if is_whole else scaled.astype(np.float32)


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
        pixels = VolumePixels(data_path, header)
        slices = VolumeSlices(pixels, header, find_frame_axes(header.axes))
    except OSError as error:
        raise unreadable(error) from None
    if not len(slices):
        raise SourceError("the volume is cut off before its first frame ends; copy or save it again")
    notes = []
    if len(slices) < slices.told:
        notes.append(f"The file is cut off: {len(slices)} of its {slices.told} frames are whole and are used.")
    if pixels.surplus > PADDING:
        notes.append(
            f"The file holds {pixels.surplus} bytes more than the {slices.told} frames its header describes: "
            "their number or size may be wrong."
        )
    blank = frames_without_image(header)
    if missing := len(blank & frozenset(range(len(slices)))):
        notes.append(f"The sequence says of {missing} of its {len(slices)} frames that they hold no image.")
    notes += (*_axes_note(slices), *_orientation_note(header))
    levels, is_color, look_notes = _look(slices, header)
    calibration, spacing_notes = volume_calibration(header)
    timing, timing_notes = volume_timing(header, len(slices))
    paths = (path,) if data_path == path else (path, data_path)
    digests = [file_digest(one) for one in paths]
    return Cine(
        VolumeFrames(slices, is_color, levels, blank),
        slices.height,
        slices.width,
        is_color,
        SourceIdentity(SourceKind.VOLUME, digests[0] if len(digests) == 1 else digest_of_digests(digests), (), paths),
        calibration,
        timing=timing,
        notes=(*notes, *look_notes, *spacing_notes, *timing_notes),
    )


def _axes_note(slices: VolumeSlices) -> list[str]:
    """Return the sentence on frames far longer than wide, as when a program has put the frames' axis first."""
    height, width = slices.height, slices.width
    if len(slices) < 2 or max(height, width) <= _LONGEST_FRAME * min(height, width):
        return []
    return [
        f"The {len(slices)} frames are {height} x {width} pixels, so the axes of the volume may be in another order: "
        "the first must be columns, the second rows, the third frames."
    ]


def _orientation_note(header: VolumeHeader) -> list[str]:
    """Return the sentence on a tracked sequence whose frames do not lie as on the screen of the scanner.

    PLUS names the sides that columns and rows run to: M(arked) or U(nmarked), F(ar from the transducer) or N(ear).
    """
    told = header.fields.get("ultrasoundimageorientation", "").strip().upper()
    if not re.fullmatch("[MUFNAD]{2,3}", told) or told.startswith("MF"):
        return []
    return [
        f"The sequence says that its frames are stored in the orientation {told} (MF is that of the screen): they are "
        "shown as stored, so the skin may be below or at a side, and left and right may be exchanged."
    ]


def data_path_of(path: Path, header: VolumeHeader) -> Path:
    """Return the file of the pixels, which must be the header's or one beside it.

    Raises
    ------
    SourceError
        When the pixels are in an encoding that is not read, in several files, in another folder or missing.
    """
    if header.encoding not in ("raw", "gzip", "gzip whole"):
        raise SourceError("the volume's pixels are stored as text or in a rare compression; save it as raw or gzip")
    if not header.data_file:
        return path
    named = Path(header.data_file)
    if named.name != header.data_file.removeprefix("./") or "%" in header.data_file or header.data_file == "LIST":
        raise SourceError("the volume's pixels are in several files or another folder; save it as one file")
    pixels = path.with_name(named.name)
    if not os.path.exists(pixels):
        raise SourceError(
            "the volume's header names a file of pixels that is not beside it; copy that file there, under that name"
        )
    return pixels


def _look(slices: VolumeSlices, header: VolumeHeader) -> tuple[tuple[float, float], bool, tuple[str, ...]]:
    """Return the values shown as 0 and 255, whether the frames are in colour, and notes.

    Grey uint8 needs no look at any frame but the first, so that a compressed volume is not inflated on opening.
    """
    is_bytes = header.dtype == np.uint8 and header.scale == NO_SCALE
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
    """Return the size of a pixel by a volume's header; the 1 mm that programs write for 'unknown' is not used."""
    axes = find_frame_axes(header.axes)
    row_mm, column_mm = header.axes[axes.row].spacing, header.axes[axes.column].spacing
    if is_unknown((row_mm, column_mm)):
        return None, ("The volume's header says 1 mm a pixel, which is what is written for unknown: it is not used.",)
    if dots := dots_per_inch((row_mm, column_mm)):
        return None, (
            f"The volume's header says {row_mm:.4g} mm a pixel, which are {dots} dots an inch, the resolution of a "
            "screen or printer: it is not used.",
        )
    if not (0 < row_mm < math.inf and 0 < column_mm < math.inf):
        return None, ()
    if not is_of_a_scanner((row_mm, column_mm), header.axes[axes.row].size):
        return None, (
            f"The volume's header says {row_mm:g} x {column_mm:g} mm a pixel, which no scanner has: not used.",
        )
    return Calibration(row_mm, column_mm, "spacing of the volume file"), ()
