"""How well a method's confidence tells which frames a person should look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.evaluation.metrics import bootstrap_interval

POOR = 0.8  # Dice below it: a mask a person would correct
LOOKED_AT = 0.1  # of a video's masks: what a person looks at


@dataclass(frozen=True)
class ReviewScores:
    """What confidence is worth.

    Parameters
    ----------
    least_sure : tuple of float
        Mean Dice of the tenth of a video's masks with the lowest confidence: mean over videos, lower, upper.
    worst : tuple of float
        The same of the tenth with the lowest Dice: what the best possible confidence would find.
    poor : int
        Masks with a Dice below ``POOR``, in all videos.
    told_apart : float
        How often such a mask has a lower confidence than one that is not poor, ties counted half: the area under the
        ROC curve, 0.5 for a confidence that says nothing; nan without poor or without other masks.
    """

    least_sure: tuple[float, float, float]
    worst: tuple[float, float, float]
    poor: int
    told_apart: float


def score_review(
    dice: NDArray[np.float64], confidence: NDArray[np.float64], videos: Sequence[str], patients: Sequence[str]
) -> ReviewScores | None:
    """Score the confidence of masks; None where there is none.

    Parameters
    ----------
    dice, confidence : ndarray of float, shape (N,)
        Masks whose confidence is nan are left out.
    videos, patients : sequence of str, length N
        Which video, and whose, each mask is of.
    """
    told = ~np.isnan(confidence)
    if not told.any():
        return None
    dice, confidence = dice[told], confidence[told]
    names, first, owner = np.unique(np.array(videos)[told], return_index=True, return_inverse=True)
    least_sure, worst = np.zeros(len(names)), np.zeros(len(names))
    for video in range(len(names)):
        own = np.flatnonzero(owner == video)
        looked_at = max(1, round(LOOKED_AT * len(own)))
        least_sure[video] = dice[own[np.argsort(confidence[own], kind="stable")[:looked_at]]].mean()
        worst[video] = np.sort(dice[own])[:looked_at].mean()
    whose = np.array(patients)[told][first]
    poor = dice < POOR
    return ReviewScores(
        bootstrap_interval(least_sure, whose),
        bootstrap_interval(worst, whose),
        int(poor.sum()),
        told_apart(confidence[poor], confidence[~poor]),
    )


def told_apart(lower: NDArray[np.float64], higher: NDArray[np.float64]) -> float:
    """Return the share of pairs in which the value of ``lower`` is the lower one, ties counted half.

    This is the area under the ROC curve (Mann-Whitney statistic). nan where one side is empty.

    Parameters
    ----------
    lower, higher : ndarray of float64, shapes (n,) and (m,)
    """
    if not len(lower) or not len(higher):
        return float("nan")
    ordered = np.sort(higher)
    above = len(ordered) - np.searchsorted(ordered, lower, side="right")
    equal = len(ordered) - above - np.searchsorted(ordered, lower, side="left")
    return float((above + equal / 2).sum() / (len(lower) * len(higher)))
