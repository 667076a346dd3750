"""Which pages of a TIFF file are its frames: stacks of ImageJ, OME, ITK, tifffile and plain pages.

A page is an image file directory (TIFF 6.0, section 2). ImageJ also writes one directory alone and lets all frames
follow its pixels; it says so in the text of the directory.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.quiet import quiet
from UltrasoundLesionSegLib.readers.tiff_values import as_picture, can_decode, is_beyond_pillow, is_slow_by_pillow

_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "µs": 1e-6, "min": 60.0}
_TRANSPARENCY_MASK = 4
_CHANNELS = 3
_LONGEST_LOOP = 99  # directories; a loop that is longer is not ended by tifffile


@dataclass(frozen=True)
class TiffStack:
    """Where the frames of a TIFF file are.

    Parameters
    ----------
    frames : tuple of tuple of int
        For each frame the number of its page, or of three pages that are its red, green and blue. A page of -1 is not
        there. Where ``data_offset`` is set, the place of each picture among those that follow it.
    data_offset : int or None
        For frames without a page of their own, where the first begins.
    dtype : dtype
    plane : tuple of int
        ``(H, W)`` or ``(H, W, 3)`` of one of those pictures.
    interval : float
        Seconds from frame to frame as the file says, 0 when it does not.
    notes : tuple of str
    first : tifffile.TiffPage
        What the other pages are like.
    is_for_tifffile : bool
        Whether their values come from `tiff_values.PageReader`.
    """

    frames: tuple[tuple[int, ...], ...]
    data_offset: int | None
    dtype: np.dtype[Any]
    plane: tuple[int, ...]
    interval: float
    notes: tuple[str, ...]
    first: Any = None
    is_for_tifffile: bool = False

    def read_plane(self, stream: BinaryIO, place: int) -> NDArray[Any]:
        """Return picture ``place`` of a stack with one page; raises ``ValueError`` when it is cut off."""
        assert self.data_offset is not None
        size = int(np.prod(self.plane)) * self.dtype.itemsize
        stream.seek(self.data_offset + place * size)
        return as_picture(np.frombuffer(stream.read(size), self.dtype).reshape(self.plane), self.first)


def find_stack(path: Path) -> TiffStack:
    """Return where the frames of a TIFF file are.

    Pages of another size (previews, smaller copies) and transparency masks are left out, which is noted.

    Raises
    ------
    SourceError
        When its pictures have more than one axis besides rows, columns and colours, so that their order in time is
        not told.
    OSError, ValueError and others
        Whatever tifffile raises for a damaged file.
    """
    import tifffile

    with path.open("rb") as stream:
        pages, is_cut = _count_directories(stream)
    check_frame_count(pages)
    with quiet(), tifffile.TiffFile(path, _multifile=False) as file:  # never opens other files that this one names
        # to count the pages ends a chain of directories that leads back into itself; `series` would follow it for ever
        has_one_page = len(file.pages) == 1
        found = [one for one in file.series if not _is_mask(one.keyframe)]
        if not found:
            raise ValueError
        main = max(found, key=lambda one: one.keyframe.imagelength * one.keyframe.imagewidth)
        plane = _plane(main)
        # programs that write each picture in its own form mix bilevel, grey and coloured pages
        same = [one for one in found if _plane(one)[:2] == plane[:2]]
        frames = _all_frames(same, (file.imagej_metadata or {}) if has_one_page else {})
        is_apart = len(file.pages) < sum(len(frame) for frame in frames)
        offset = _offset_of_first(main) if is_apart else None
        told = len(frames)
        if offset is not None:
            size = int(np.prod(plane)) * main.dtype.itemsize
            frames = [one for one in frames if offset + (max(one) + 1) * size <= path.stat().st_size]
        check_frame_size(*plane[:2])
        check_frame_count(len(frames))
        notes = []
        if is_cut or len(frames) < told:
            notes.append(f"The TIFF file is cut off: {len(frames)} of its frames could be found.")
        notes += _rest_note(main, path.stat().st_size) if pages == len(frames) == 1 else []
        others = 0 if is_apart else pages - sum(len(frame) for frame in frames)
        if others > 0:
            notes.append(f"{others} of the {pages} pages of the TIFF file have another size or are masks: left out.")
        dtype = main.dtype.newbyteorder(file.byteorder)
        kinds = [one.keyframe for one in same]
        is_beyond = any(is_beyond_pillow(one) for one in kinds)
        if is_beyond and offset is None:
            _check_decodable(kinds)
        is_other = is_beyond or all(is_slow_by_pillow(one, pages) for one in kinds)
        return TiffStack(tuple(frames), offset, dtype, plane, _interval(file), tuple(notes), main.keyframe, is_other)


def _all_frames(stacks: list[Any], imagej: dict[str, Any]) -> list[tuple[int, ...]]:
    """Return the pages of each frame; ``imagej`` has what ImageJ says of a file with one page."""
    frames = [frame for one in stacks for frame in _frames_of(one)]
    told = int(imagej.get("images", 0))
    check_frame_count(told)
    if len(frames) == 1 < told:  # tifffile reads a truncated stack with one directory like this
        return [(place,) for place in range(told)]
    return sorted(frames) if len(stacks) > 1 else frames


def _offset_of_first(series: Any) -> int:
    """Return where the first of the pictures begins that have one directory for all of them."""
    if not series.keyframe.is_contiguous:
        raise SourceError("the TIFF file keeps its frames in a form that is not read; save them as pages")
    return int(series.keyframe.dataoffsets[0])


def _check_decodable(kinds: list[Any]) -> None:
    """Refuse a page of a kind that neither Pillow nor `tiff_values.PageReader` reads."""
    undecodable = next((one for one in kinds if not can_decode(one)), None)
    if undecodable is not None:
        raise SourceError(
            f"the TIFF file has {undecodable.samplesperpixel} x {undecodable.bitspersample} bits a pixel in a "
            "compression that is not read for them; save it without compression"
        )


def _rest_note(series: Any, length: int) -> list[str]:
    """Return the sentence on bytes behind the only picture of a file that could hold more of them."""
    page = series.keyframe
    size = page.imagelength * page.imagewidth * page.samplesperpixel * series.dtype.itemsize
    if page.compression != 1 or not page.is_contiguous:
        return []
    more = (length - page.dataoffsets[0] - size) // size
    what = "another picture follow" if more == 1 else f"{more} more pictures follow"
    return [f"As many bytes as {what} the only one of the TIFF file: they are not read."] if more > 0 else []


def _count_directories(stream: BinaryIO) -> tuple[int, bool]:
    """Return the number of directories in a TIFF file's chain, and whether the chain leads out of the file."""
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    offset_form, count_form, entry = (f"{order}Q", f"{order}Q", 20) if is_big else (f"{order}L", f"{order}H", 12)
    at = struct.unpack_from(offset_form, head, 8 if is_big else 4)[0]
    end = stream.seek(0, 2)
    seen: set[int] = set()
    while at:
        stream.seek(min(at, end))
        if at in seen:
            if len(seen) >= _LONGEST_LOOP:
                raise ValueError
            return len(seen), True
        count = stream.read(struct.calcsize(count_form))
        if len(count) < struct.calcsize(count_form):
            return len(seen), True
        stream.seek(min(end, at + len(count) + struct.unpack(count_form, count)[0] * entry))
        following = stream.read(struct.calcsize(offset_form))
        if len(following) < struct.calcsize(offset_form):
            return len(seen), True
        seen.add(at)
        check_frame_count(len(seen))
        at = struct.unpack(offset_form, following)[0]
    return len(seen), False


def _is_mask(page: Any) -> bool:
    return bool(int(page.subfiletype or 0) & _TRANSPARENCY_MASK)


def _plane(series: Any) -> tuple[int, ...]:
    """Return ``(H, W)`` or ``(H, W, S)`` of a series' pictures."""
    page = series.keyframe
    samples = (page.samplesperpixel,) if page.samplesperpixel > 1 else ()
    return (page.imagelength, page.imagewidth, *samples)


def _frames_of(series: Any) -> list[tuple[int, ...]]:
    """Return the pages of each frame of a series."""
    axes = [(name, size) for name, size in zip(series.axes, series.shape, strict=True) if name not in "YXS"]
    axes = [(name, size) for name, size in axes if size > 1]
    count = int(np.prod([size for _, size in axes], dtype=np.int64))
    check_frame_count(count)
    if len(axes) == 2 and axes[1] == ("C", _CHANNELS):
        places = [tuple(range(at, at + _CHANNELS)) for at in range(0, count, _CHANNELS)]
    elif len(axes) <= 1:
        places = [(at,) for at in range(count)]
    else:
        kinds = " x ".join(str(size) for _, size in axes)
        raise SourceError(
            f"the TIFF file holds {kinds} pictures, so that it does not say which follow each other in time; save one "
            "picture a frame, in grey or RGB"
        )
    pages = list(series.pages)
    if len(pages) < count:  # one directory for all
        return places
    numbers = [-1 if page is None else int(page.index) for page in pages]
    return [tuple(numbers[place] for place in frame) for frame in places]


def _interval(file: Any) -> float:
    """Return the seconds from frame to frame by the texts of ImageJ or OME, 0 when they say nothing of use."""
    described = file.imagej_metadata or {}
    value, unit = described.get("finterval", 0), str(described.get("tunit", "s"))
    if file.is_ome:
        text = file.ome_metadata or ""
        found = {name: re.search(rf'\bTimeIncrement{name}="([^"]{{1,30}})"', text) for name in ("", "Unit")}
        value = found[""][1] if found[""] else 0
        unit = found["Unit"][1] if found["Unit"] else "s"
    try:
        seconds = float(value) * _SECONDS.get(unit, 0.0)
    except (TypeError, ValueError):
        return 0.0
    return seconds if 0 < seconds < 1e6 else 0.0
