"""MPEG-2, H.264 or HEVC inside DICOM -> `Cine`: the fragments joined are a video stream (PS3.5 8.2.5 to 8.2.12)."""

from __future__ import annotations

import bisect
import functools
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.dicom_calibration import read_calibration
from UltrasoundLesionSegLib.readers.dicom_fragments import Span
from UltrasoundLesionSegLib.readers.dicom_identity import identity_of
from UltrasoundLesionSegLib.readers.dicom_pixels import StoredFrames
from UltrasoundLesionSegLib.readers.dicom_timing import order_notes, read_timing
from UltrasoundLesionSegLib.readers.video_frames import VideoFrames
from UltrasoundLesionSegLib.readers.video_index import index_video
from UltrasoundLesionSegLib.readers.video_timing import aspect_notes, damage_notes, gap_notes, video_timing


def read_encapsulated_video(path: Path, header: Dataset, stored: StoredFrames) -> Cine:
    """Read the video stream of a DICOM object, where it lies in the file.

    Raises
    ------
    SourceError
        When the stream cannot be decoded or its frames are not of the size the header states.
    """
    spans = list(itertools.chain.from_iterable(stored.frames))
    opener = functools.partial(JoinedSpans, path, spans)
    index = index_video(opener)
    height, width = dicom_header.frame_size(header)
    if (index.height, index.width) != (height, width):
        raise SourceError(
            f"the DICOM header says frames of {height} x {width} pixels but its video has {index.height} x "
            f"{index.width}; export the cine again"
        )
    reader = VideoFrames(opener, index)
    count, told = len(reader), dicom_header.told_frames(header)
    notes = []
    if told is not None and told != count:
        notes.append(f"The header says {told} frames but {count} could be decoded: these are used.")
    known = read_timing(header, count)
    timing = known.timing
    notes += known.notes
    if timing is None:
        timing, timing_notes = video_timing(index)
        notes += (*timing_notes, *gap_notes(timing))
    notes += damage_notes(index)
    calibration = read_calibration(header)
    aspect = calibration.pixel_aspect
    if aspect is None and calibration.whole is None and not calibration.regions:
        aspect = index.pixel_aspect
        notes += aspect_notes(index)
    return Cine(
        reader,
        height,
        width,
        index.is_color,
        identity_of(path, header, count),
        calibration.whole,
        calibration.regions,
        timing,
        (*notes, *calibration.notes, *order_notes(header, count)),
        aspect,
        calibration.other_regions,
    )


class JoinedSpans(io.RawIOBase):
    """Spans of a file, read as if they were one file.

    Parameters
    ----------
    path : Path
    spans : sequence of (int, int)
        Offset and length of each.
    """

    def __init__(self, path: Path, spans: Sequence[Span]) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._spans = spans
        self._starts = [0, *itertools.accumulate(length for _, length in spans)]
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place from the beginning, from here or from the end, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read up to the end of a span; return the number of bytes, 0 at the end."""
        number = bisect.bisect_right(self._starts, self._at) - 1
        if number >= len(self._spans):
            return 0
        begin = self._at - self._starts[number]
        offset, length = self._spans[number]
        self._file.seek(offset + begin)
        # a slice of the view writes into the caller's buffer; one of a bytearray would be a copy
        count = self._file.readinto(memoryview(buffer)[: min(len(buffer), length - begin)])
        self._at += count
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
