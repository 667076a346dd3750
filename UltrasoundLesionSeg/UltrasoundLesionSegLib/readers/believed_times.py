"""Frame times that a source states, if they are plausible for a scanner."""

from __future__ import annotations

from UltrasoundLesionSegLib.cine import Timing

SHORTEST_STEP = 0.002
"""Seconds between frames; no scanner makes more than 500 whole frames a second."""

LONGEST_STEP = 10.0
"""Slower than this is a picture now and then, or milliseconds that are called seconds."""

Found = tuple[Timing | None, tuple[str, ...]]
"""Frame times, None when they are unknown, and notes."""


def believed(timing: Timing) -> Found:
    """Return frame times as they are, or None with a note where no scanner can have taken them, on average."""
    if len(timing.seconds) < 2:
        return timing, ()
    step = float(timing.seconds[-1] - timing.seconds[0]) / (len(timing.seconds) - 1)
    if step < SHORTEST_STEP:
        said = f"there are {timing.frames_per_second:,.0f} frames a second, more than any scanner makes"
    elif step > LONGEST_STEP:
        said = f"there are {step:,.4g} s between frames, more than in any cine"
    else:
        return timing, ()
    return None, (f"Frame times are unknown: by the {timing.source} {said}.",)
