"""The cine with its lesions drawn, as MP4 or AVI."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.report.case import DISCLAIMER, CaseReport, check_pixels_allowed
from UltrasoundLesionSegLib.report.overlay import RgbImage, View, describe, draw_case_frame, write_text
from UltrasoundLesionSegLib.writers.atomic import atomic_path

# MPEG-4 part 2 and Motion JPEG: what opencv-python-headless encodes on every platform; it has no H.264.
CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
# The rate of a cine without timing, as 3D Slicer plays it.
DEFAULT_RATE = 10.0

TEXT_SIZE = 16
LINE = 22
MARGIN = 8
PALE = (225, 225, 225)


def write_overlay_video(target: Path, case: CaseReport, *, pixels_allowed: bool, callipers: bool = True) -> Path:
    """Write every frame with outlines and callipers, and below it what was measured.

    Played at the cine's mean frame rate, or at 10 frames per second where that is unknown. A frame that cannot be
    read is black, so that the others keep their place.

    Parameters
    ----------
    target : Path
        ``.mp4`` or ``.avi``.
    case : CaseReport
    pixels_allowed : bool
        Whether pictures of the cine may be written: they may show a patient's name.
    callipers : bool

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    OutputError
        When pixels are not allowed, the file's type is another, or the file cannot be written.
    """
    check_pixels_allowed(pixels_allowed)
    codec = CODECS.get(target.suffix.lower())
    if codec is None:
        raise OutputError(f"an overlay video cannot be of the type '{target.suffix}'; name it .mp4 or .avi")
    rate = (case.cine.timing.frames_per_second if case.cine.timing else 0) or DEFAULT_RATE
    with atomic_path(target) as temporary:
        writer: cv2.VideoWriter | None = None
        try:
            for frame in range(len(case.cine)):
                picture = _picture(case, frame, callipers)
                if writer is None:
                    size = (picture.shape[1], picture.shape[0])
                    writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*codec), rate, size)
                    if not writer.isOpened():
                        raise OutputError("the overlay video cannot be opened for writing; choose another folder")
                writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        finally:
            if writer is not None:
                writer.release()
    return target


def _picture(case: CaseReport, frame: int, callipers: bool) -> RgbImage:
    """A frame with everything drawn and a band of text below; its sides are even, as the codecs want them."""
    drawn = draw_case_frame(case, frame, View.whole(case), callipers)
    lines = [_head(case, frame), *describe(case, frame)]
    band = MARGIN + LINE * len(lines) + MARGIN
    height, width = drawn.shape[0] + band, drawn.shape[1]
    picture = np.zeros((height + height % 2, width + width % 2, 3), np.uint8)
    picture[: drawn.shape[0], :width] = drawn
    row = drawn.shape[0] + MARGIN
    for number, line in enumerate(lines):
        colour = case.lesions[number - 1].colour if number else PALE
        picture = write_text(picture, (row + LINE * number, MARGIN), line, TEXT_SIZE, colour)
    return picture


def _head(case: CaseReport, frame: int) -> str:
    """Frame, time and the disclaimer."""
    parts = [f"Frame {frame}"]
    if case.cine.timing:
        parts.append(f"{case.seconds(frame):.2f} s")
    if frame in case.unreadable:
        parts.append("cannot be read")
    return "   ".join([*parts, DISCLAIMER])
