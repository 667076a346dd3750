"""Frame times of a video, and notes on what its file says of them or lacks."""

from __future__ import annotations

import numpy as np

from UltrasoundLesionSegLib.cine import Timing
from UltrasoundLesionSegLib.readers.believed_times import Found, believed
from UltrasoundLesionSegLib.readers.video_index import VideoIndex

_LONGER = 1.02
"""Share by which the duration in a header may be longer than the frames."""

_LAST = 1.5
"""Frames at most between the time of the last picture and the end of a file that is whole."""

_GAP = 1.75
_CLOCK = 0.0011
"""Seconds by which containers round times."""

_MOSTLY = 0.75
"""Share of even steps from which on a long step counts as a gap, and not as part of a rate that varies."""


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
    shown = 0.0 if timing is None else float(timing.seconds[-1])
    if index.told not in (0, count):
        what = "the file may be cut off" if count < index.told else "these are used"
        if count < index.told and (shown + _LAST / max(1.0, index.nominal_rate)) * index.nominal_rate >= index.told:
            what = "their times reach the end, so the others were dropped when it was recorded"
        return (f"The video's header says {index.told} frames but {count} could be decoded: {what}.",)
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
