"""Scores of a whole data set: rows a frame, means a video, differences between methods, Dice over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.evaluation.metrics import SCORES, FrameScores, bootstrap_interval
from UltrasoundLesionSegLib.evaluation.review import ReviewScores, score_review

COMPARED = ("dice", "last_dice", "missed")  # scores of a video that are compared
Interval = tuple[float, float, float]  # mean, and the lower and upper end of 95%
NOTHING = (float("nan"),) * 3
SMALL = 0.01  # share of the frame below which a lesion is counted as small
ELSEWHERE = 0.1  # Dice below which a mask is not of the lesion


@dataclass(frozen=True)
class ScoredFrame:
    """One lesion on one frame of one video.

    Parameters
    ----------
    method, case, patient : str
    lesion, frame : int
    elapsed : int
        Frames since the seed.
    scores : FrameScores
    confidence : float
        The method's own, 0 to 1; nan where it has none.
    share : float
        Of the frame that the true lesion takes.
    """

    method: str
    case: str
    patient: str
    lesion: int
    frame: int
    elapsed: int
    scores: FrameScores
    confidence: float = float("nan")
    share: float = float("nan")


@dataclass(frozen=True)
class Summary:
    """One method over the data set: for each score mean and 95% interval, over frames and over videos.

    Parameters
    ----------
    method : str
    frames, videos : int
    per_frame, per_video : dict
        Score -> (mean, lower, upper); a video's score is the mean over its lesions and frames.
    last_dice : tuple of float
        Dice on the last frame of each video: mean, lower, upper.
    differences : dict
        Another method's name -> score (``COMPARED``) -> by how much this method's mean over videos is
        higher than the other's: mean, lower, upper.
    review : ReviewScores or None
        What the method's confidence is worth; None where it has none.
    small : tuple of int and Interval
        Frames whose lesion takes less than ``SMALL`` of them, and the Dice there.
    elsewhere : float
        Share of the frames that show the lesion on which Dice is below ``ELSEWHERE``: the mask is empty, or elsewhere.
    """

    method: str
    frames: int
    videos: int
    per_frame: dict[str, Interval]
    per_video: dict[str, Interval]
    last_dice: Interval
    differences: dict[str, dict[str, Interval]] = field(default_factory=dict)
    review: ReviewScores | None = None
    small: tuple[int, Interval] = (0, NOTHING)
    elsewhere: float = float("nan")


@dataclass(frozen=True)
class _Videos:
    """One method's scores a video.

    Parameters
    ----------
    names : list of str
        Sorted.
    patients : ndarray of str, shape (N,)
    scores : dict
        Score, and ``last_dice`` -> ndarray of float, shape (N,).
    """

    names: list[str]
    patients: NDArray[np.str_]
    scores: dict[str, NDArray[np.float64]]


def summarize(rows: Sequence[ScoredFrame], method: str, others: Sequence[str] = ()) -> Summary:
    """Summarize one method's rows.

    Parameters
    ----------
    rows : sequence of ScoredFrame
        Of all methods.
    method : str
    others : sequence of str
        Methods it is compared with.

    Raises
    ------
    ValueError
        When another method was scored on other videos.
    """
    own = [row for row in rows if row.method == method]
    patients = np.array([row.patient for row in own])
    per_frame = {
        score: bootstrap_interval(np.array([getattr(row.scores, score) for row in own]), patients) for score in SCORES
    }
    videos = _videos(own)
    per_video = {name: bootstrap_interval(values, videos.patients) for name, values in videos.scores.items()}
    differences = {
        other: _differences(videos, _videos([row for row in rows if row.method == other])) for other in others
    }
    last_dice = per_video.pop("last_dice")
    review = score_review(
        np.array([row.scores.dice for row in own]),
        np.array([row.confidence for row in own]),
        [row.case for row in own],
        [row.patient for row in own],
    )
    small = [row for row in own if 0 < row.share < SMALL]
    dice = [row.scores.dice for row in own if row.share > 0]
    return Summary(
        method,
        len(own),
        len(videos.names),
        per_frame,
        per_video,
        last_dice,
        differences,
        review,
        small=(len(small), _dice_of(small)),
        elsewhere=float(np.mean(np.array(dice) < ELSEWHERE)) if dice else float("nan"),
    )


def _dice_of(rows: Sequence[ScoredFrame]) -> Interval:
    if not rows:
        return NOTHING
    return bootstrap_interval(np.array([row.scores.dice for row in rows]), np.array([row.patient for row in rows]))


def _videos(own: Sequence[ScoredFrame]) -> _Videos:
    by_case: dict[str, list[ScoredFrame]] = {}
    for row in own:
        by_case.setdefault(row.case, []).append(row)
    names = sorted(by_case)
    scores = {
        score: np.array([_mean(np.array([getattr(row.scores, score) for row in by_case[name]])) for name in names])
        for score in SCORES
    }
    last = {name: max(row.elapsed for row in by_case[name]) for name in names}
    scores["last_dice"] = np.array(
        [_mean(np.array([row.scores.dice for row in by_case[name] if row.elapsed == last[name] > 0])) for name in names]
    )
    return _Videos(names, np.array([by_case[name][0].patient for name in names]), scores)


def _differences(own: _Videos, other: _Videos) -> dict[str, Interval]:
    """Return by how much the own scores are higher.

    The difference is taken video by video, before patients are drawn: what makes a video hard for both cancels out.
    """
    if own.names != other.names:
        raise ValueError("two methods were scored on different videos; score them on the same ones to compare them")
    return {score: bootstrap_interval(own.scores[score] - other.scores[score], own.patients) for score in COMPARED}


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean without nan; nan for nothing."""
    valid = values[~np.isnan(values)]
    return float(valid.mean()) if len(valid) else float("nan")


def dice_over_time(rows: Sequence[ScoredFrame], method: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the numbers of frames since the seed, int64 (n,), ascending, and the mean Dice at each, float64 (n,)."""
    own = [row for row in rows if row.method == method]
    elapsed = np.array([row.elapsed for row in own])
    dice = np.array([row.scores.dice for row in own])
    times = np.unique(elapsed)
    return times, np.array([dice[elapsed == time].mean() for time in times])
