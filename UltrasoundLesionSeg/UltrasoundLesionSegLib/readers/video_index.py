"""One pass over a video on opening: the time and a checksum of each frame that it decodes to.

The number of frames in a video's header is often wrong, so the frames are counted by decoding.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import av

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers import frames
from UltrasoundLesionSegLib.readers.digest import unreadable
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.video_stream import (
    UPRIGHT,
    Matrix,
    Opener,
    VideoStream,
    checksum,
    display_matrix,
)


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
