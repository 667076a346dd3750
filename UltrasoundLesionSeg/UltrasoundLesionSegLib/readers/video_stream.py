"""The pictures of one video stream, decoded by FFmpeg (PyAV), each with its time and whether it can be trusted.

A picture that FFmpeg reports as damaged, or that is predicted from a damaged one, is never returned: FFmpeg fills it
with old content of its memory, or with parts of other pictures.
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.limits import MAX_FRAME_PIXELS, check_frame_size
from UltrasoundLesionSegLib.readers.video_ends import RAW_STREAMS, is_broken

Opener = Callable[[], io.IOBase]
"""Opens the bytes of a video, from the beginning."""

Matrix = tuple[int, int, int, int]
UPRIGHT: Matrix = (1, 0, 0, 1)

_CONTAINERS = (
    "avi,mov,mp4,3gp,mpeg,mpegvideo,mpegts,matroska,webm,asf,h264,hevc,m4v,mjpeg,flv,dv,ivf,av1,obu,ogg,mxf,"
    "yuv4mpegpipe,apng"
)
# only the open file: a playlist inside it could open other files or the network
_CONTAINER_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}
_CODEC_OPTIONS = {"err_detect": "crccheck+explode", "max_pixels": str(MAX_FRAME_PIXELS)}
_IO_BYTES = 2**18
_REORDERED = 20
"""More pictures than any decoder holds back."""

_INEXACT = 0.5
"""Seconds by which the durations of WMV are too long at most, by a preroll."""

_CONCEALED = "concealing "
_LISTENING = threading.Lock()
_LISTENERS: list[int | None] = []
logging.getLogger("libav").setLevel(logging.CRITICAL + 1)  # hides messages of other threads' streams
_CHECKED_ROWS = 64
_CANNOT = (
    "the video file cannot be decoded: it is cut off, damaged or of a rare kind; copy it again, or convert it to MP4 "
    "(H.264) or AVI"
)


@dataclass(frozen=True)
class Picture:
    """One picture in the order of display.

    Parameters
    ----------
    time : int or None
        When to show it, in ticks of the stream's clock.
    frame : av.VideoFrame or None
        None where it cannot be decoded, or is predicted from one that cannot.
    """

    time: int | None
    frame: av.VideoFrame | None


class VideoStream:
    """The video in a file, decoded from where it stands; a context manager.

    Parameters
    ----------
    opener : callable
        Opens the file.

    Attributes
    ----------
    told : int
        The number of pictures by the header, 0 when it has none.
    tick : float
        Seconds of one tick, 0 when unknown.
    rate : float
        Pictures per second by the header, 0 when it has none.
    told_seconds : float
        How long the video lasts at least by a header that has no number of pictures, 0 when it does not say.
    pixel_aspect : float or None
        Height of a pixel divided by its width as it is stored, None when unknown.
    key_times : set of int
        The times of the pictures met so far from which decoding can begin.
    counts_from_zero : bool
        Whether that is counted from the time 0 and not from the first picture.
    is_ragged : bool
        Whether the file ends or breaks within a packet; see `video_ends.is_broken`.
    is_raw : bool
        Whether it is a stream without a container, which cannot say how many pictures it has.
    others : int
        Video streams that are not shown, but for covers and stills.
    discarded : int
        Pictures met so far that the header says not to show (edit lists).

    Raises
    ------
    SourceError
        When FFmpeg finds no video in the file, or one larger than any cine.
    OSError
        When the file cannot be opened.
    """

    def __init__(self, opener: Opener) -> None:
        self._file = opener()
        try:
            self._container = cast(
                av.container.InputContainer,
                av.open(
                    self._file,
                    container_options=_CONTAINER_OPTIONS,
                    options=_CODEC_OPTIONS,
                    buffer_size=_IO_BYTES,
                    metadata_errors="replace",
                ),
            )
        except Exception:  # PyAV raises whatever the damage leads to; what matters is that there is no video
            self._file.close()
            raise SourceError(_CANNOT) from None
        try:
            self._begin()
        except SourceError:
            self.close()
            raise
        except Exception:
            self.close()
            raise SourceError(_CANNOT) from None
        self.key_times: set[int] = set()
        self.discarded = 0
        self._gray, self._rgb = VideoReformatter(), VideoReformatter()

    def _begin(self) -> None:
        videos = [one for one in self._container.streams.video if one.codec_context is not None]
        # a cover picture is a stream of its own, and so is the still of an animated AVIF
        stream = max(videos, key=lambda one: (not _is_cover(one), one.width * one.height, one.frames), default=None)
        if stream is None:
            raise SourceError(_CANNOT)
        check_frame_size(stream.height, stream.width)
        self._stream = stream
        self.others = sum(one is not stream and not _is_cover(one) and one.frames != 1 for one in videos)
        codec = stream.codec_context
        codec.options = dict(_CODEC_OPTIONS)
        codec.thread_count = 1  # with more threads, errors are reported for a later picture
        codec.copy_opaque = True
        self.told = stream.frames if 0 < stream.frames < 2**31 else 0
        self.tick = float(stream.time_base or 0)
        self.rate = float(stream.average_rate or stream.guessed_rate or 0)
        form = self._container.format.name
        self.is_ragged = is_broken(self._file, form)
        self.is_raw = form in RAW_STREAMS
        has_header_duration = any(name in form for name in ("matroska", "flv", "asf"))
        is_alone = len(self._container.streams) == 1
        duration = self._container.duration if has_header_duration and is_alone and not self.told else None
        inexact = _INEXACT if form == "asf" else 0.0
        self.counts_from_zero = form == "flv"
        self.told_seconds = max(0.0, (duration or 0) / 1e6 - inexact)
        ratio = stream.sample_aspect_ratio or codec.sample_aspect_ratio
        is_told = bool(ratio) and 0.1 <= float(ratio or 0) <= 10
        self.pixel_aspect = float(1 / ratio) if ratio and is_told else None

    def __enter__(self) -> VideoStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._file.close()

    def seek(self, time: int) -> bool:
        """Go to a picture at or before ``time`` as well as FFmpeg can; False when it cannot."""
        try:
            self._container.seek(time, stream=self._stream)
        except (av.FFmpegError, ValueError, OverflowError):
            return False
        return True

    def pictures(self) -> Iterator[Picture]:
        """Decode to the end, in the order in which the decoder shows the pictures.

        Pictures that cannot be decoded come without a frame: where the decoder shows them all the same, in their place;
        else behind the others.
        """
        trust = _Trust()
        shown: set[int] = set()
        waiting: dict[int, int | None] = {}
        failed: dict[int, int | None] = {}
        for number, packet in enumerate(self._packets()):
            self.discarded += packet.is_discard
            is_key = packet.size > 0 and packet.is_keyframe
            if is_key and packet.pts is not None:
                self.key_times.add(packet.pts)
            trust.add(number, packet.pts, is_key)
            packet.opaque = number
            frames, is_sound = _decoded(packet)
            if packet.size and not packet.is_discard:
                waiting[number] = packet.pts
                waiting.pop(number - _REORDERED, None)
            if not is_sound and packet.size:
                trust.fail(number, packet.is_disposable)
                failed |= waiting  # the decoder may also drop pictures that it has not returned yet
            for frame in frames:
                origin = frame.opaque if isinstance(frame.opaque, int) else number
                shown.add(origin)
                waiting.pop(origin, None)
                yield Picture(frame.pts, frame if trust.holds(origin) and not frame.is_corrupt else None)
        for one, time in failed.items():
            if one not in shown:
                yield Picture(time, None)

    def _packets(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError, OSError):
                return  # the file ends here, whatever its header says
            if packet is None:
                return
            yield packet

    def as_array(self, frame: av.VideoFrame, is_color: bool, matrix: Matrix = UPRIGHT) -> Frame:
        """Return a picture as RGB ``(H, W, 3)``, or by its luma over the whole range of levels as grey ``(H, W)``.

        A display matrix is applied in steps of 90 degrees, as players do. Grey stored as RGB or by a palette comes
        as RGB, which is exact.

        Raises
        ------
        ValueError, av.FFmpegError
            When the conversion fails.
        """
        to_gray = not is_color and not frame.format.is_rgb and not frame.format.has_palette
        reformatter, form = (self._gray, "gray") if to_gray else (self._rgb, "rgb24")
        converted = reformatter.reformat(frame, format=form, threads=1)
        return oriented(np.asarray(converted.to_ndarray(), np.uint8), matrix)


def _decoded(packet: Any) -> tuple[list[Any], bool]:
    """Return what comes out of a packet, and whether it was decoded without a fault.

    Some decoders (MPEG-4 part 2, H.263, WMV) fill what they could not read with parts of other pictures and say so in
    FFmpeg's log alone.
    """
    with _listening() as messages:
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError):
            return [], False
    return frames, not any(text.startswith(_CONCEALED) for _, _, text in messages)


@contextlib.contextmanager
def _listening() -> Iterator[Any]:
    """Collect what FFmpeg says in this thread; it goes nowhere else, because it can quote the file."""
    with _LISTENING:
        _LISTENERS.append(av.logging.get_level())
        av.logging.set_level(av.logging.INFO)
        av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=True) as messages:
            yield messages
    finally:
        with _LISTENING:
            before = _LISTENERS.pop()
            if not _LISTENERS:
                av.logging.set_level(before)


class _Trust:
    """Which packets' pictures are sound: what follows a damaged one, up to the next key picture, is not."""

    def __init__(self) -> None:
        self._doubtful: set[int] = set()
        self._is_broken = False
        self._key_time: int | None = None  # pictures before it in time may be predicted across it

    def add(self, number: int, time: int | None, is_key: bool) -> None:
        """Take note of a packet, in the order of decoding."""
        if is_key:
            self._key_time = time if self._is_broken else None
            self._is_broken = False
        is_leading = self._key_time is not None and (time is None or time < self._key_time)
        if self._is_broken or is_leading:
            self._doubtful.add(number)

    def fail(self, number: int, is_disposable: bool) -> None:
        """Take note that a packet could not be decoded; nothing is predicted from a disposable one."""
        self._doubtful.add(number)
        self._is_broken = self._is_broken or not is_disposable

    def holds(self, number: int) -> bool:
        """Whether the picture of a packet is sound."""
        return number not in self._doubtful


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def checksum(frame: av.VideoFrame) -> int:
    """Return a CRC-32 over 64 rows or more, spread over the first plane of a decoded picture."""
    plane, form = frame.planes[0], frame.format
    bits = form.padded_bits_per_pixel if not form.is_planar else 8 if form.components[0].bits <= 8 else 16
    row_bytes = min(plane.line_size, (plane.width * bits + 7) // 8)  # the padding of a row is uninitialised memory
    rows = np.frombuffer(plane, np.uint8)[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)
    step = max(1, plane.height // _CHECKED_ROWS)
    return zlib.crc32(np.ascontiguousarray(rows[step // 2 :: step, :row_bytes]))


def display_matrix(frame: av.VideoFrame) -> Matrix:
    """Return ``a, b, c, d`` of a picture's display matrix as whole quarter turns and flips, 1, 0, 0, 1 without one.

    A point (x, y) is shown at (a x + c y, b x + d y) (ISO/IEC 14496-12, 8.3.2). To be asked of one picture alone: PyAV
    keeps a picture in memory for long after that.
    """
    found = cast(Any, frame.side_data).get(Type.DISPLAYMATRIX)
    if found is None:
        return UPRIGHT
    values = np.frombuffer(bytes(found), np.int32)[[0, 1, 3, 4]]
    turn = np.sign(values) * (np.abs(values) >= 0x8000)
    is_quarter = np.abs(turn).tolist() in ([1, 0, 0, 1], [0, 1, 1, 0])
    return cast(Matrix, tuple(int(one) for one in turn)) if is_quarter else UPRIGHT


def oriented(picture: NDArray[np.uint8], matrix: Matrix) -> Frame:
    """Return a picture, uint8 (H, W) or (H, W, 3), turned and flipped as its display matrix says."""
    a, b, c, d = matrix
    if a == 0:  # columns become rows
        picture = picture.swapaxes(0, 1)
        a, d = c, b
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
