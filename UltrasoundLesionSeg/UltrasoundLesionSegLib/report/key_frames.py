"""Which frames of a cine a reader of the report should see."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from UltrasoundLesionSegLib.measurement.shape import Box, bounding_box
from UltrasoundLesionSegLib.report.case import CaseReport, LesionReport
from UltrasoundLesionSegLib.report.overlay import PICTURE_WIDTH, View
from UltrasoundLesionSegLib.report.wording import frame_words

MOST_PICTURES = 12  # of about 100 kB each
# Around the lesions as much again as they take on every side, but never less than this share of the frame.
LEAST_SHOWN = 0.4


def key_frames(case: CaseReport) -> dict[int, list[str]]:
    """Choose the frames to show and say why: sizes are read on them, or they need a look.

    Parameters
    ----------
    case : CaseReport

    Returns
    -------
    dict of int to list of str
        Frame to reasons, by frame; at most 12, the first reasons of every lesion first.
    """
    candidates = [_candidates(lesion) for lesion in case.lesions]
    to_look_at = [*case.unseen[:1], *(frame for frame, _ in case.look_first[:1])]
    chosen = {frame: [why] for frame, why in zip(to_look_at, ("to look at first", "to look at next"), strict=False)}
    for rank in range(max((len(one) for one in candidates), default=0)):
        for number, (lesion, ranked) in enumerate(zip(case.lesions, candidates, strict=True)):
            if rank >= len(ranked):
                continue
            frame, reason = ranked[rank]
            if frame in chosen or len(chosen) < MOST_PICTURES:
                named = f"{lesion.name or number + 1}: {reason}" if len(case.lesions) > 1 else reason
                chosen.setdefault(frame, []).append(named)
    return dict(sorted(chosen.items()))


def close_view(case: CaseReport, frames: Iterable[int]) -> View:
    """One view for all key frames, around everything segmented on them, so that they compare.

    Parameters
    ----------
    case : CaseReport
    frames : iterable of int

    Returns
    -------
    View
        In the frame's proportions.
    """
    height, width = case.cine.shape
    union = np.zeros(case.cine.shape, np.bool_)
    for frame in frames:
        union |= case.masks(frame).any(axis=0)
    box = bounding_box(union)
    if box is None:
        return View.whole(case)
    share = min(max(2 * box.depth / height, 2 * box.width / width, LEAST_SHOWN), 1.0)
    depth, across = round(share * height), round(share * width)
    top = min(max((box.row_min + box.row_end - depth) // 2, 0), height - depth)
    left = min(max((box.column_min + box.column_end - across) // 2, 0), width - across)
    return View(Box(top, top + depth, left, left + across), PICTURE_WIDTH / across)


def _candidates(lesion: LesionReport) -> list[tuple[int, str]]:
    """Frames of one lesion with the reason, the most telling first."""
    found: list[tuple[int, str]] = []
    if lesion.summary.largest_long_axis_frame is not None:
        found.append((lesion.summary.largest_long_axis_frame, "longest long axis"))
    if lesion.summary.largest_area_frame is not None:
        found.append((lesion.summary.largest_area_frame, "largest area"))
    unsure = [
        (one.confidence, frame)
        for frame, one in lesion.by_frame.items()
        if not one.is_anchor and not math.isnan(one.confidence)
    ]
    if unsure:
        found.append((min(unsure)[1], "lowest confidence"))
    if lesion.anchors:
        found.append((lesion.anchors[0], "first frame drawn or confirmed by a person"))
    elif lesion.starts:
        start = lesion.starts[0]
        found.append((start, ", ".join(frame_words([lesion.by_frame[start].origin], (), True))))
    return found
