"""The frames of a video, decoded when they are asked for, in any order.

After a seek frames are known by their times, and every frame is compared with its checksum before it is returned.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator

import av

from UltrasoundLesionSegLib.cine import Frame
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import frames
from UltrasoundLesionSegLib.readers.video_index import VideoIndex
from UltrasoundLesionSegLib.readers.video_stream import Opener, Picture, VideoStream, checksum

_BLOCK_FRAMES = 64
_LONGEST_STEP = 8
"""Largest step, in frames, between two requests that still counts as looking through a cine backward."""

_KEYS_BACK = (0, 1, 4)
_MAX_FAILED_SEEKS = 3
"""After this number of failed seeks a video is read from the beginning only."""


class VideoFrames(frames.CachedFrames):
    """Frames of a video. Read forward, each frame is decoded once; read backward, 64 frames are decoded at a time.

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
            kept = self._capacity  # each step back decodes from the beginning, so that as much as possible is kept
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
