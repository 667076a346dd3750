"""Video files (AVI, MP4, MOV, MPEG, ...) -> `Cine`, through OpenCV's FFmpeg.

What a video's header says of its frames is not believed: one pass over the file on opening counts them by decoding and
keeps each one's time and a checksum. The checksums make random access exact: FFmpeg's seeking lands where it likes,
so each frame after a seek is recognised by its checksum before it is given out.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# must be set before FFmpeg is first used: its messages go to stderr past Python, and quote what they find in the file
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine, Frame, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import frames
from UltrasoundLesionSegLib.readers.digest import file_digest
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.sniff import counts_frames

_OPTIONS_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_CONTAINERS = "avi,mov,mp4,mpeg,mpegvideo,mpegts,matroska,webm,asf,h264,hevc,m4v,mjpeg"
_OPENING = threading.Lock()
_CHECKED_ROWS = 64
_BLOCK_FRAMES = 64
_SEEK_MARGINS = (1, 16, 128)
_MAX_FAILED_SEEKS = 3
"""After so many the container counts as one that cannot be entered in the middle."""


@dataclass(frozen=True)
class VideoIndex:
    """What one pass over a video tells.

    Parameters
    ----------
    checksums : tuple of int
        Of each frame, over some of its rows.
    milliseconds : ndarray of float64, shape (T,)
        Presentation times as the container has them; unordered where it has none.
    height, width : int
    is_color : bool
    told : int
        The number of frames by the header, 0 when it has none.
    nominal_rate : float
        Frames per second by the header.
    is_told_exactly : bool
        False for containers whose header only says how long the video lasts, such as MPEG program streams.
    """

    checksums: tuple[int, ...]
    milliseconds: NDArray[np.float64]
    height: int
    width: int
    is_color: bool
    told: int
    nominal_rate: float
    is_told_exactly: bool = True


def checksum(picture: NDArray[Any]) -> int:
    """Return a CRC-32 over 64 rows or more spread over a picture."""
    step = max(1, len(picture) // _CHECKED_ROWS)
    return zlib.crc32(np.ascontiguousarray(picture[step // 2 :: step]))


def open_capture(path: Path) -> cv2.VideoCapture:
    """Open a video with FFmpeg; raises ``SourceError`` when it finds no video in it, or one larger than any cine."""
    with _closed_to_playlists():
        # absolute, because FFmpeg takes what precedes a colon for a protocol
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise SourceError("the video file cannot be decoded; convert it to MP4 (H.264) or AVI and try again")
    check_frame_size(int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))
    return capture


@contextlib.contextmanager
def _closed_to_playlists() -> Iterator[None]:
    """Let FFmpeg read the one file it is given, as a video: playlists inside it would open others, or the network."""
    with _OPENING:
        before = os.environ.get(_OPTIONS_VARIABLE)
        os.environ[_OPTIONS_VARIABLE] = f"protocol_whitelist;file|format_whitelist;{_CONTAINERS}"
        try:
            yield
        finally:
            os.environ.pop(_OPTIONS_VARIABLE)
            if before is not None:
                os.environ[_OPTIONS_VARIABLE] = before


def index_video(path: Path) -> VideoIndex:
    """Decode a video once, keeping nothing but times and checksums.

    Raises
    ------
    SourceError
        When not one frame can be decoded.
    """
    capture = open_capture(path)
    told = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    rate = capture.get(cv2.CAP_PROP_FPS)
    checksums: list[int] = []
    times: list[float] = []
    shape: tuple[int, ...] = ()
    is_color = False
    while True:
        is_read, picture = capture.read()
        if not is_read or (shape and picture.shape != shape):
            break
        shape = picture.shape
        check_frame_count(len(checksums) + 1)
        checksums.append(checksum(picture))
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        # every 16th frame: colour flow that is switched on late must not be lost
        if not is_color and len(checksums) % 16 == 1:
            is_color = frames.is_color_picture(_as_rgb(picture), frames.LOSSY_GREY_TOLERANCE)
    capture.release()
    if not checksums:
        raise SourceError("the video file holds no frame that can be decoded; convert it to MP4 (H.264) or AVI")
    told = int(told) if 0 < told < 2**31 else 0
    with path.open("rb") as stream:
        is_told_exactly = counts_frames(stream.read(12))
    return VideoIndex(tuple(checksums), np.array(times), shape[0], shape[1], is_color, told, rate, is_told_exactly)


class VideoFrames(frames.CachedFrames):
    """Frames of a video. Forward access decodes each frame once; going back, 64 frames are decoded at a time.

    Parameters
    ----------
    path : Path
    index : VideoIndex
    cache_bytes : int
        Bound on the decoded frames kept.
    """

    def __init__(self, path: Path, index: VideoIndex, cache_bytes: int = frames.CACHE_BYTES) -> None:
        super().__init__(len(index.checksums), index.height, index.width, index.is_color, cache_bytes)
        self._path = path
        self._index = index
        frame_bytes = index.height * index.width * (3 if index.is_color else 1)
        self._capacity = max(1, cache_bytes // frame_bytes)
        self._block = max(1, min(_BLOCK_FRAMES, self._capacity // 2))
        self._positions: dict[int, list[int]] = {}
        for position, value in enumerate(index.checksums):
            self._positions.setdefault(value, []).append(position)
        self._capture: cv2.VideoCapture | None = None
        self._next = 0
        self._failed_seeks = 0
        self._has_sought = False

    def _decode(self, index: int) -> Frame:
        if self._capture is None:
            self._restart(index)
        is_near = self._next <= index < self._next + self._block
        kept = self._block
        if not is_near:
            # a step back wants the frames before it next, a jump ahead those after it
            wanted = max(0, index - self._block + 1) if index < self._next else index
            if not self._seek(wanted) or not self._next <= index:
                self._restart(index)
                kept = self._capacity  # a way this long is gone as rarely as can be
        frame = self._read_until(index, kept)
        if frame is None and self._has_sought:
            # not where we believed to be, or pictures that lack those they are predicted from
            self._failed_seeks += 1
            self._restart(index)
            frame = self._read_until(index, self._capacity)
        if frame is None:
            self._capture = None
            raise FrameError(index, "the video decodes to another picture than when it was opened")
        return frame

    def _restart(self, index: int) -> None:
        """Go to the first frame."""
        try:
            self._capture = open_capture(self._path)
        except SourceError:
            raise FrameError(index, "the source cannot be opened any more") from None
        self._next, self._has_sought = 0, False

    def _read_until(self, index: int, kept: int) -> Frame | None:
        """Decode from where we are up to ``index``, keeping the last ``kept`` frames on the way.

        Returns None when a picture is not the one its checksum says.
        """
        assert self._capture is not None
        while True:
            is_read, picture = self._capture.read()
            if not is_read or checksum(picture) != self._index.checksums[self._next]:
                return None
            position, self._next = self._next, self._next + 1
            if position == index:
                return _as_rgb(picture)
            if index - position < kept:
                self._keep(position, _as_rgb(picture))

    def _seek(self, wanted: int) -> bool:
        """Go to ``wanted`` or some frames before it; False when that is not possible.

        Where FFmpeg landed is told by the checksum of the frame there; of several equal frames the nearest to where it
        was sent. All frames read after it are checked, so a mistake does not go unnoticed.
        """
        assert self._capture is not None
        for margin in _SEEK_MARGINS:
            target = wanted - margin
            if target <= 0 or self._failed_seeks >= _MAX_FAILED_SEEKS:
                return False
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, target)
            is_read, picture = self._capture.read()
            positions = self._positions.get(checksum(picture), []) if is_read else []
            if not positions:
                self._failed_seeks += 1
                return False
            landed = min(positions, key=lambda position: abs(position - target)) + 1
            if landed <= wanted:
                self._next, self._has_sought = landed, True
                return True
        return False


def _as_rgb(picture: NDArray[Any]) -> Frame:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if picture.ndim == 3 else picture, np.uint8)


def video_timing(index: VideoIndex) -> tuple[Timing | None, tuple[str, ...]]:
    """Return the frame times of a video and notes on them.

    The container's times are used where they increase. Frames at the end for which it has none (MPEG program streams)
    follow at the median interval, which is noted. They are playback times, so they count as approximate.
    """
    times = index.milliseconds
    steps = np.diff(times)
    known = len(times) if (steps > 0).all() else int(np.argmin(steps > 0)) + 1
    if known < max(2, len(times) - 8):
        if not 0 < index.nominal_rate < 1000:
            return None, ()
        seconds = np.arange(len(times)) / index.nominal_rate
        return Timing(seconds, "frame rate of the video file", approximate=True), ()
    seconds = (times[:known] - times[0]) / 1000
    missing = len(times) - known
    if missing:
        interval = float(np.median(np.diff(seconds)))
        seconds = np.concatenate([seconds, seconds[-1] + interval * np.arange(1, missing + 1)])
    notes = (
        (f"The video has no time for {missing} of its frames, at the end: they follow at the usual interval.",)
        if missing
        else ()
    )
    return Timing(seconds, "frame times of the video file", approximate=True), notes


def count_note(index: VideoIndex) -> tuple[str, ...]:
    """Return a note where the header of a video states another number of frames than can be decoded."""
    count = len(index.checksums)
    if index.told in (0, count):
        return ()
    # where the number is reckoned from the duration it is often wrong by two, or nonsense; a cut file is short by more
    if not index.is_told_exactly and not count + 2 < index.told <= 100 * count:
        return ()
    what = "the file may be cut off" if count < index.told else "these are used"
    return (f"The video's header says {index.told} frames but {count} could be decoded: {what}.",)


def read_video(path: Path) -> Cine:
    """Read a video file. A rotation flag is applied, as players do.

    Raises
    ------
    SourceError
        When it cannot be decoded.
    """
    digest = file_digest(path)
    index = index_video(path)
    timing, timing_notes = video_timing(index)
    return Cine(
        VideoFrames(path, index),
        index.height,
        index.width,
        index.is_color,
        SourceIdentity(SourceKind.VIDEO, digest, (), (path,)),
        timing=timing,
        notes=(*count_note(index), *timing_notes),
    )
