"""Video files (AVI, MP4, MOV, MPEG, ...) -> `Cine`.

What a video's header says of its frames is not believed: one pass over the file on opening counts them by decoding and
keeps each one's time and a checksum. After a seek frames are known by their times, and every frame is checked before it
is handed out.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from UltrasoundLesionSegLib.cine import Cine, Frame, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import frames
from UltrasoundLesionSegLib.readers.believed_times import Found, believed
from UltrasoundLesionSegLib.readers.digest import file_digest, unreadable
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.merged_frames import merged_note
from UltrasoundLesionSegLib.readers.sniff import is_animated_png
from UltrasoundLesionSegLib.readers.video_stream import (
    UPRIGHT,
    Matrix,
    Opener,
    Picture,
    VideoStream,
    checksum,
    display_matrix,
)

_BLOCK_FRAMES = 64
_LONGEST_STEP = 8
"""Frames from one to the next wanted, for who looks through a cine backward."""

_KEYS_BACK = (0, 1, 4)
_HEAD_BYTES = 1024
_PNG_MAGIC_BYTES = 8
_LONGER = 1.02
"""Share by which the duration in a header may be longer than the frames."""

_GAP = 1.75
_CLOCK = 0.0011
"""Seconds by which containers round times."""

_MOSTLY = 0.75
"""Share of even steps from which on a long one is told from a rate that varies."""

_MAX_FAILED_SEEKS = 3
"""After so many the container counts as one that cannot be entered in the middle."""


@dataclass(frozen=True)
class VideoIndex:
    """What one pass over a video tells.

    Parameters
    ----------
    checksums : tuple of (int or None)
        Of each frame; None for one that cannot be decoded, or is predicted from such a one.
    times : tuple of (int or None)
        When each frame is shown, in ticks.
    tick : float
        Seconds of one tick.
    height, width : int
    is_color : bool
    told : int
        The number of frames by the header, 0 when it has none.
    nominal_rate : float
        Frames per second by the header, 0 when it has none.
    told_seconds : float
        How long the video lasts by a header without a number of frames, 0 when it does not say.
    key_times : tuple of int
        The times at which decoding can begin, in order.
    pixel_aspect : float or None
        Height of a pixel divided by its width, where the file says it.
    matrix : tuple of int
        How the pictures are turned and flipped; see `video_stream.display_matrix`.
    is_ragged : bool
        Whether the file ends or breaks within a packet.
    is_raw : bool
        Whether it is a stream without a container, which cannot say how many frames it has.
    others : int
        Video streams of the file that are not read.
    """

    checksums: tuple[int | None, ...]
    times: tuple[int | None, ...]
    tick: float
    height: int
    width: int
    is_color: bool
    told: int = 0
    nominal_rate: float = 0.0
    told_seconds: float = 0.0
    key_times: tuple[int, ...] = ()
    pixel_aspect: float | None = None
    matrix: Matrix = UPRIGHT
    is_ragged: bool = False
    is_raw: bool = False
    others: int = 0
    positions: dict[int, int] = field(init=False, repr=False)
    """Frame by time; empty where times are missing or not different."""

    def __post_init__(self) -> None:
        known = [one for one in self.times if one is not None]
        is_ordered = len(known) == len(self.times) and all(b > a for a, b in itertools.pairwise(known))
        object.__setattr__(self, "positions", {one: at for at, one in enumerate(known)} if is_ordered else {})


def index_video(opener: Opener) -> VideoIndex:
    """Decode a video once, keeping nothing but times and checksums.

    Raises
    ------
    SourceError
        When not one frame can be decoded.
    """
    try:
        stream = VideoStream(opener)
    except OSError as error:
        raise unreadable(error) from None
    with stream:
        shown = _decode_all(stream)
    found = _in_order(shown.found)
    told = max(0, stream.told - stream.discarded)
    while len(found) < told and found[-1][1] is None:  # the file was cut off within a frame
        found.pop()
    is_turned = shown.matrix[0] == 0
    height, width = shown.shape[::-1] if is_turned else shown.shape
    aspect = 1 / stream.pixel_aspect if stream.pixel_aspect and is_turned else stream.pixel_aspect
    first = found[0][0] or 0
    begin = first * stream.tick if stream.counts_from_zero else 0.0
    return VideoIndex(
        tuple(value for _, value in found),
        tuple(time for time, _ in found),
        stream.tick,
        height,
        width,
        shown.is_color,
        told,
        stream.rate,
        stream.told_seconds - begin,
        tuple(sorted(stream.key_times)),
        aspect,
        shown.matrix,
        stream.is_ragged,
        stream.is_raw,
        stream.others,
    )


@dataclass(frozen=True)
class _Decoded:
    """What all pictures of a video tell.

    Parameters
    ----------
    found : list of (int or None, int or None)
        Time and checksum of each picture as in `VideoIndex`, in the order in which the decoder gives them.
    shape : tuple of int
        ``(H, W)`` of the first picture, before it is turned. Pictures of another size count as not decoded.
    is_color : bool
    matrix : tuple of int
    """

    found: list[tuple[int | None, int | None]]
    shape: tuple[int, int]
    is_color: bool
    matrix: Matrix


def _decode_all(stream: VideoStream) -> _Decoded:
    found: list[tuple[int | None, int | None]] = []
    shape: tuple[int, int] | None = None
    is_color, looked_at, matrix = False, 0, UPRIGHT
    for picture in stream.pictures():
        check_frame_count(len(found) + 1)
        frame = picture.frame
        if frame is not None and shape is None:
            check_frame_size(frame.height, frame.width)
            shape, matrix = (frame.height, frame.width), display_matrix(frame)
        if frame is None or (frame.height, frame.width) != shape:
            found.append((picture.time, None))
            continue
        found.append((picture.time, checksum(frame)))
        # every 16th frame, so that colour flow that is switched on late is noticed
        if not is_color and looked_at % 16 == 0:
            is_color = _is_color(stream, frame)
        looked_at += 1
    if shape is None:
        raise SourceError("the video file holds no frame that can be decoded; convert it to MP4 (H.264) or AVI")
    return _Decoded(found, shape, is_color, matrix)


def _in_order(found: list[tuple[int | None, int | None]]) -> list[tuple[int | None, int | None]]:
    """Put the pictures that the decoder dropped, which come last, in their places; the others are in order already.

    AVI numbers pictures as they are decoded: where they are shown in another order, its times mean nothing, and nothing
    is moved.
    """
    known = [time for time, _ in found if time is not None]
    decoded = [time or 0 for time, value in found if value is not None]
    if len(set(known)) != len(found) or decoded != sorted(decoded):
        return list(found)
    return sorted(found, key=lambda one: one[0] or 0)


def _is_color(stream: VideoStream, frame: av.VideoFrame) -> bool:
    try:
        return frames.is_color_picture(stream.as_array(frame, True), frames.LOSSY_GREY_TOLERANCE)
    except (av.FFmpegError, ValueError):
        raise SourceError(
            "the video's pictures are in a form that cannot be converted; convert it to MP4 (H.264) or AVI"
        ) from None


class VideoFrames(frames.CachedFrames):
    """Frames of a video. Forward access decodes each frame once; walking back, 64 frames are decoded at a time.

    Parameters
    ----------
    opener : callable
        Opens the video's bytes.
    index : VideoIndex
    cache_bytes : int
        Bound on the decoded frames kept.
    """

    def __init__(self, opener: Opener, index: VideoIndex, cache_bytes: int = frames.CACHE_BYTES) -> None:
        super().__init__(len(index.checksums), index.height, index.width, index.is_color, cache_bytes)
        self._opener = opener
        self._index = index
        self._block = max(1, min(_BLOCK_FRAMES, self._capacity // 2 if self._capacity < len(self) else len(self)))
        self._stream: VideoStream | None = None
        self._pictures: Iterator[Picture] = iter(())
        self._next = 0
        self._failed_seeks = 0
        self._has_sought = False

    def _decode(self, index: int) -> Frame:
        if self._index.checksums[index] is None:
            raise FrameError(index, "its part of the video is damaged, or that of a frame which it is predicted from")
        if self._stream is None:
            self._restart(index)
        is_near = self._next <= index < self._next + self._block
        # after a step back the frames before this one are wanted next, after a jump only this one
        is_step_back = any(index + step in self._cached for step in range(1, _LONGEST_STEP + 1))
        kept = max(self._block, self._capacity // 2) if is_step_back else _LONGEST_STEP
        if not is_near:
            wanted = max(0, index - self._block + 1) if is_step_back else index
            if not self._seek(wanted) and index < self._next:
                self._restart(index)
        if not self._index.positions or self._failed_seeks >= _MAX_FAILED_SEEKS:
            kept = self._capacity  # the way is always the longest, so it is decoded as rarely as possible
        frame = self._read_until(index, kept)
        if frame is None and self._has_sought:
            # wrong position, or pictures whose reference pictures are missing
            self._failed_seeks += 1
            self._restart(index)
            frame = self._read_until(index, self._capacity)
        if frame is None:
            self._close()
            raise FrameError(index, "the video decodes to another picture than when it was opened")
        return frame

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def _restart(self, index: int) -> None:
        """Go to the first frame."""
        self._close()
        try:
            self._stream = VideoStream(self._opener)
        except (SourceError, OSError):
            raise FrameError(index, "the source cannot be opened any more") from None
        self._pictures = self._stream.pictures()
        self._next, self._has_sought = 0, False

    def _read_until(self, index: int, kept: int) -> Frame | None:
        """Decode from where we are up to ``index``, keeping the last ``kept`` frames on the way.

        Returns None when ``index`` is not met, or is not the picture its checksum says.
        """
        for picture in self._pictures:
            position = self._position(picture)
            if position is None:  # not of those seen on opening: pictures before the one sought
                continue
            self._next = position + 1
            if position > index:
                return None
            if index - position >= kept and position < index:
                continue
            frame = self._checked(picture, position)
            if position == index:
                return frame
            if frame is not None:
                self._keep(position, frame)
        return None

    def _position(self, picture: Picture) -> int | None:
        """Return which frame a picture is: by its time, or by counting where times do not tell."""
        if self._index.positions:
            return None if picture.time is None else self._index.positions.get(picture.time)
        return self._next if self._next < len(self) else None

    def _checked(self, picture: Picture, position: int) -> Frame | None:
        """Return a picture when it is the one seen on opening."""
        assert self._stream is not None
        if picture.frame is None or checksum(picture.frame) != self._index.checksums[position]:
            return None
        try:
            return self._stream.as_array(picture.frame, self._index.is_color, self._index.matrix)
        except (av.FFmpegError, ValueError):
            return None

    def _seek(self, wanted: int) -> bool:
        """Go to ``wanted`` or some frames before it; False when that is not possible.

        All frames read after it are checked, so a mistake does not go unnoticed.
        """
        if self._stream is None or not self._index.positions or self._failed_seeks >= _MAX_FAILED_SEEKS:
            return False
        keys = self._index.key_times
        last = bisect.bisect_right(keys, self._index.times[wanted] or 0) - 1
        for back in _KEYS_BACK:
            # reading from the beginning is as fast
            if last - back < 1 or self._index.positions.get(keys[last - back], 0) <= self._next <= wanted:
                return False
            landed = self._land(keys[last - back])
            if landed is not None and landed <= wanted:
                self._next = landed
                return True
        self._failed_seeks += 1
        self._next = len(self)  # the position is unknown: no frame can be read without a seek
        return False

    def _land(self, time: int) -> int | None:
        """Seek to a time and return which frame comes next, None when no frame does."""
        assert self._stream is not None
        if not self._stream.seek(time):
            return None
        self._has_sought = True
        self._pictures = self._stream.pictures()
        for picture in self._pictures:
            position = self._position(picture)
            if position is not None:
                self._pictures = itertools.chain([picture], self._pictures)
                return position
        return None


def video_timing(index: VideoIndex) -> Found:
    """Return the frame times of a video and notes on them.

    The container's times are used where they increase and a scanner can have taken them. Frames at the end for which
    it has none (MPEG program streams) follow at the median interval, which is noted. They are playback times, so they
    count as approximate.
    """
    times = np.array([np.nan if one is None else one * index.tick for one in index.times])
    is_later = np.diff(times) > 0  # False for what is not known
    known = len(times) if is_later.all() else int(np.argmin(is_later)) + 1
    if known < max(2, len(times) - 8) or not np.isfinite(times[:known]).all():
        if not 0 < index.nominal_rate < 1000:
            return None, ()
        seconds = np.arange(len(times)) / index.nominal_rate
        return believed(Timing(seconds, "frame rate of the video file", approximate=True))
    seconds = times[:known] - times[0]
    missing = len(times) - known
    if missing:
        interval = float(np.median(np.diff(seconds)))
        seconds = np.concatenate([seconds, seconds[-1] + interval * np.arange(1, missing + 1)])
    notes = (
        (f"The video has no time for {missing} of its frames, at the end: they follow at the usual interval.",)
        if missing
        else ()
    )
    timing, doubts = believed(Timing(seconds, "frame times of the video file", approximate=True))
    return timing, doubts or notes


def gap_notes(timing: Timing | None) -> tuple[str, ...]:
    """Return the note on long steps between frames that are even otherwise."""
    steps = np.diff(timing.seconds) if timing is not None else np.empty(0)
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = int((steps > _GAP * usual).sum())
    if not gaps or (np.abs(steps - usual) < 0.25 * usual + _CLOCK).mean() < _MOSTLY:
        return ()
    are = "is" if gaps == 1 else "are"
    return (
        f"{gaps} of the {len(steps)} steps between frames {are} twice as long as usual or longer: frames may be "
        "missing there.",
    )


def count_notes(index: VideoIndex, timing: Timing | None) -> tuple[str, ...]:
    """Return notes where the header of a video states another number of frames, or more seconds, than there are."""
    count = len(index.checksums)
    if index.told not in (0, count):
        what = "the file may be cut off" if count < index.told else "these are used"
        return (f"The video's header says {index.told} frames but {count} could be decoded: {what}.",)
    shown = 0.0 if timing is None else float(timing.seconds[-1])
    interval = shown / (count - 1) if count > 1 else 1 / max(1.0, index.nominal_rate)
    if timing is not None and shown + interval < (index.told_seconds - 1.5 * interval) / _LONGER:
        return (
            f"The video's header says {index.told_seconds:.2f} s or more but its {count} frames last "
            f"{shown + interval:.2f} s: the file may be cut off.",
        )
    if index.is_ragged:
        return (
            f"The video file is cut off or damaged within a packet: besides the {count} frames decoded, others may be "
            "lost.",
        )
    if index.is_raw:
        return (f"This kind of file does not say how many frames it has: {count} were found.",)
    return ()


def aspect_notes(index: VideoIndex) -> tuple[str, ...]:
    """Return the note on pixels that are not square."""
    if index.pixel_aspect in (None, 1.0):
        return ()
    return (f"Only the shape of a pixel is known (height to width {index.pixel_aspect:.3g} to 1), not its size.",)


def damage_notes(index: VideoIndex) -> tuple[str, ...]:
    """Return the note on frames that cannot be decoded."""
    count = sum(one is None for one in index.checksums)
    if not count:
        return ()
    return (
        f"{count} of the {len(index.checksums)} frames of the video are damaged, or predicted from a damaged one: "
        "they are named when they are asked for, the others are used.",
    )


def read_video(path: Path) -> Cine:
    """Read a video file. Its display matrix (rotation) is applied, as players do.

    Raises
    ------
    SourceError
        When it cannot be decoded.
    """
    digest = file_digest(path)
    opener = functools.partial(open, path, "rb")
    told, lasting = animated_png(path)
    index = index_video(opener)
    index = dataclasses.replace(index, told=told or index.told)
    timing, timing_notes = video_timing(index)
    if not all(lasting):
        timing, timing_notes = None, ("The animation does not say how long each frame is shown: times are unknown.",)
    if index.others:
        timing_notes = (*timing_notes, f"The file has {index.others + 1} videos: the one with most pixels is read.")
    timing_notes = (*timing_notes, *(merged_note(lasting) if lasting else gap_notes(timing)))
    return Cine(
        VideoFrames(opener, index),
        index.height,
        index.width,
        index.is_color,
        SourceIdentity(SourceKind.VIDEO, digest, (), (path,)),
        timing=timing,
        pixel_aspect=index.pixel_aspect,
        notes=(*count_notes(index, timing), *damage_notes(index), *timing_notes, *aspect_notes(index)),
    )


def animated_png(path: Path) -> tuple[int, tuple[float, ...]]:
    """Return what FFmpeg does not say of an animated PNG.

    Returns
    -------
    told : int
        The number of its frames by the header, 0 for any other file.
    lasting : tuple of float
        Seconds for which each frame is shown; 0 where that is not told, for which FFmpeg puts a time of its own.
    """
    told, lasting = 0, []
    with path.open("rb") as stream:
        if not is_animated_png(stream.read(_HEAD_BYTES)):
            return 0, ()
        stream.seek(_PNG_MAGIC_BYTES)
        while len(head := stream.read(8)) == 8:
            begin, length = stream.tell(), int.from_bytes(head[:4], "big")
            if head[4:] == b"acTL":
                told = int.from_bytes(stream.read(4), "big")
            elif head[4:] == b"fcTL":
                delay = stream.read(24)[20:]
                lasting.append(int.from_bytes(delay[:2], "big") / (int.from_bytes(delay[2:], "big") or 100))
            stream.seek(begin + length + 4)
    return told, tuple(lasting)
