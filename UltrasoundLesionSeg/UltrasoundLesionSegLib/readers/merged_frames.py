"""Animations whose writer merged equal frames: Pillow, ffmpeg and gifsicle show the first of them longer instead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_ROUNDING = 0.0101
"""Seconds; GIF counts in hundredths."""


def frames_shown(lasting: Sequence[float]) -> list[int]:
    """Return for how many frames each picture is shown, 1 for all where durations are not told.

    The time of one frame is the shortest where all others are multiples of it, else the usual one.

    Parameters
    ----------
    lasting : sequence of float
        Seconds for which each picture is shown.
    """
    told = np.array(lasting, np.float64)
    if not len(told) or told.min() <= 0:
        return [1] * len(told)
    multiples = told / told.min()
    is_even = bool((np.abs(multiples - multiples.round()) * told.min() < 0.001).all())
    usual = float(told.min() if is_even else np.median(told))
    counts = np.maximum(1, (told / usual).round()).astype(int)
    is_near = np.abs(told - counts * usual) <= np.maximum(_ROUNDING, 0.25 * usual)
    return [int(count) if near else 1 for count, near in zip(counts, is_near, strict=True)]


def merged_note(lasting: Sequence[float]) -> tuple[str, ...]:
    """Return the sentence on pictures that seem to replace several equal frames; a long last one may be a pause."""
    merged = sum(count > 1 for count in frames_shown(lasting)[:-1])
    if not merged:
        return ()
    return (
        f"{merged} of the {len(lasting)} frames are shown for twice the usual time or longer: where equal frames were "
        "merged, later ones have other numbers than in the original.",
    )


def pages_by_frame(lasting: Sequence[float], count: int) -> list[int] | None:
    """Return the page of each frame, where pages shown longer make up the frames of a cine; None where they do not.

    Parameters
    ----------
    lasting : sequence of float
        Seconds for which each page is shown.
    count : int
        Frames of the cine.
    """
    pages = [page for page, frames in enumerate(frames_shown(lasting)) for _ in range(frames)]
    return pages if len(lasting) < count == len(pages) else None
