"""Video files (AVI, MP4, MOV, MPEG, ...) -> `Cine`."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from UltrasoundLesionSegLib.cine import Cine, SourceIdentity, SourceKind
from UltrasoundLesionSegLib.readers.digest import file_digest
from UltrasoundLesionSegLib.readers.merged_frames import merged_note
from UltrasoundLesionSegLib.readers.sniff import is_animated_png
from UltrasoundLesionSegLib.readers.video_frames import VideoFrames
from UltrasoundLesionSegLib.readers.video_index import index_video
from UltrasoundLesionSegLib.readers.video_timing import aspect_notes, count_notes, damage_notes, gap_notes, video_timing

_HEAD_BYTES = 1024
_PNG_MAGIC_BYTES = 8


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
