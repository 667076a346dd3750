"""Which frame a person should look at next: the one whose correction is expected to improve the whole cine most.

That is not the worst frame (Yin et al., Learning to Recommend Frame for Interactive Video Object Segmentation in the
Wild, CVPR 2021): a correction in the middle of several poor frames improves its neighbours too. A correction has no
effect beyond the neighbouring anchors that show the lesion.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# A correction puts its own frame right, and reduces the error of a frame d frames away by the share
# SHARE * exp(-d / (REACH * n + NEAR)), where n is the length of the cine. An error of fewer than RUN frames, as beside
# a lesion that leaves the plane, has no part in that: its neighbours are right already. Only the error above FLOOR
# counts, because two people do not agree closer than that. Docs/results/interactive.md compares the expected gain with
# the real one.
SHARE, FLOOR = 0.6, 0.03
REACH, NEAR = 0.05, 8.0
RUN = 5
NEIGHBOURS = 2  # frames on both sides of an anchor that are never offered, because their masks are almost the anchor's
# Least expected gain in Dice, summed over frames and as a mean over the frames with a mask. A correction below either
# is not worth a person's time.
LEAST_SUM, LEAST_MEAN = 0.25, 0.004
STRETCH = 10  # frames of a stretch that is called the worst: what a person sees at a glance


@dataclass(frozen=True)
class Outlook:
    """What is expected of one lesion's masks.

    Parameters
    ----------
    expected : ndarray of float, shape (T,)
        Expected overlap of each frame's mask, 0 to 1; nan where there is no mask of a model.
    anchors : tuple of int
        Frames that a person drew or confirmed.
    absent : tuple of int
        Those of them that a person marked "not visible". Masks are carried past them, so that they end no run of
        frames, and the masks beside them are as uncertain as any.
    """

    expected: NDArray[np.floating]
    anchors: tuple[int, ...]
    absent: tuple[int, ...] = ()


@dataclass(frozen=True)
class Offer:
    """A frame to look at.

    Parameters
    ----------
    frame : int
    gain : float
        Dice its correction is expected to win, summed over the frames and lesions of the cine.
    """

    frame: int
    gain: float


@dataclass(frozen=True)
class Stretch:
    """A run of frames, both ends included.

    Parameters
    ----------
    first, last : int
    overlap : float
        Mean of the expected overlap of its frames that a model made.
    """

    first: int
    last: int
    overlap: float


def next_frame(lesions: Sequence[Outlook]) -> Offer | None:
    """Return the frame to look at next; None when no correction is worth a person's time.

    Parameters
    ----------
    lesions : sequence of Outlook
        Of the same cine.
    """
    return _best(_Errors.of(lesions))


def review_order(lesions: Sequence[Outlook]) -> list[Offer]:
    """Return the frames to look at, each chosen as if those before it were corrected, until no more is worth it."""
    errors = _Errors.of(lesions)
    order = []
    while (offer := _best(errors)) is not None:
        order.append(offer)
        errors.correct(offer.frame)
    return order


def worst_stretch(lesions: Sequence[Outlook], length: int = STRETCH) -> Stretch | None:
    """Return the run of frames, of one lesion, whose expected overlap is lowest; None where no model made a mask.

    Parameters
    ----------
    lesions : sequence of Outlook
        Of the same cine.
    length : int
        Frames of a run; a shorter cine is one run.
    """
    worst: Stretch | None = None
    for lesion in lesions:
        known = ~np.isnan(lesion.expected)
        window = np.ones(min(length, len(known)))
        counts = np.convolve(known, window, "valid")
        if not counts.any():
            continue
        sums = np.convolve(np.where(known, lesion.expected, 0.0), window, "valid")
        means = np.divide(sums, counts, out=np.full(len(sums), np.inf), where=counts > 0)
        first = int(np.argmin(means))
        if worst is None or means[first] < worst.overlap:
            worst = Stretch(first, first + len(window) - 1, float(means[first]))
    return worst


def expected_gains(lesions: Sequence[Outlook]) -> NDArray[np.float64]:
    """Return what the correction of each frame is expected to win, Dice summed over frames and lesions, shape (T,)."""
    return _Errors.of(lesions).gains()


class _Errors:
    """Expected errors of the lesions' masks, stretch by stretch between anchors that show the lesion."""

    def __init__(self, lesions: Sequence[Outlook], errors: list[NDArray[np.float64]], masks: int) -> None:
        self._errors = errors
        self._anchors = [set(one.anchors) - set(one.absent) for one in lesions]
        self._absent = [list(one.absent) for one in lesions]
        self.masks = masks
        self._frames = len(errors[0]) if errors else 0
        self._decay = math.exp(-1 / (REACH * self._frames + NEAR))

    @classmethod
    def of(cls, lesions: Sequence[Outlook]) -> _Errors:
        known = [~np.isnan(one.expected) for one in lesions]
        errors = [
            np.where(seen, np.maximum(1 - FLOOR - np.nan_to_num(one.expected), 0.0), 0.0)
            for one, seen in zip(lesions, known, strict=True)
        ]
        for one, error in zip(lesions, errors, strict=True):
            error[list(one.anchors)] = 0
        return cls(lesions, errors, int(sum(seen.sum() for seen in known)))

    def gains(self) -> NDArray[np.float64]:
        total = np.zeros(self._frames)
        for errors, anchors, absent in zip(self._errors, self._anchors, self._absent, strict=True):
            own = np.zeros(self._frames)
            for start, stop in _stretches(anchors, self._frames):
                own[start + 1 : stop] = self._within(errors[start + 1 : stop], start in anchors, stop in anchors)
            own[absent] = 0
            total += own
        return total

    def _within(self, errors: NDArray[np.float64], after: bool, before: bool) -> NDArray[np.float64]:
        """Return the gains in a run of frames between two anchors, or an anchor and an end of the cine."""
        spread = _of_runs(errors)
        forward = np.fromiter(accumulate(spread, self._faded), float, len(errors))
        backward = np.fromiter(accumulate(spread[::-1], self._faded), float, len(errors))[::-1]
        gains = errors + SHARE * (forward + backward - 2 * spread)
        if after:
            gains[:NEIGHBOURS] = 0
        if before:
            gains[max(len(gains) - NEIGHBOURS, 0) :] = 0
        return gains

    def _faded(self, total: float, error: float) -> float:
        return total * self._decay + error

    def correct(self, frame: int) -> None:
        """Reduce the errors as a correction of this frame is expected to."""
        for errors, anchors in zip(self._errors, self._anchors, strict=True):
            start, stop = _neighbours(anchors, frame, self._frames)
            away = np.abs(np.arange(start + 1, stop) - frame)
            run = errors[start + 1 : stop]
            run -= SHARE * self._decay**away * _of_runs(run)
            errors[frame] = 0
            anchors.add(frame)


def _of_runs(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of errors that at least ``RUN`` frames on end share: their opening (Serra 1982)."""
    for extreme, outside in ((np.min, np.inf), (np.max, -np.inf)):
        padded = np.pad(errors, RUN // 2, constant_values=outside)
        errors = extreme(sliding_window_view(padded, RUN), axis=1)
    return errors


def _best(errors: _Errors) -> Offer | None:
    gains = errors.gains()
    if not gains.any():
        return None
    frame = int(np.argmax(gains))
    worth = gains[frame] >= LEAST_SUM and gains[frame] >= LEAST_MEAN * errors.masks
    return Offer(frame, float(gains[frame])) if worth else None


def _stretches(anchors: Iterable[int], frames: int) -> list[tuple[int, int]]:
    """Return the frames before and after each run of frames without an anchor: anchors, -1, or the number of frames."""
    ends = [-1, *sorted(anchors), frames]
    return [(left, right) for left, right in pairwise(ends) if right - left > 1]


def _neighbours(anchors: set[int], frame: int, frames: int) -> tuple[int, int]:
    """Return the anchors before and after a frame; -1 and the number of frames where there is none."""
    return (
        max((one for one in anchors if one < frame), default=-1),
        min((one for one in anchors if one > frame), default=frames),
    )
