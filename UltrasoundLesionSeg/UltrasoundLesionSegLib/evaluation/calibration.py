"""How well an expected overlap agrees with the true one: in rank, in level, and for masks that are poor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10
FEWEST = 5  # masks of a clip below which it has no rank correlation

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Masks of about the same expected overlap.

    Parameters
    ----------
    expected, found : float
        Mean expected overlap, mean Dice.
    masks : int
    """

    expected: float
    found: float
    masks: int


def rank_correlation(one: Values, other: Values) -> float:
    """Return Spearman's rank correlation, ties at their mean rank; nan where one side does not vary or is short."""
    if len(one) < FEWEST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: Values) -> Values:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: Values = (last - (count - 1) / 2)[place]
    return ranks


def mean_rank_correlation(expected: Values, found: Values, clips: NDArray[np.str_]) -> float:
    """Return the mean of the clips' rank correlations, nan for none; each argument has one value a mask, (n,)."""
    each = [rank_correlation(expected[clips == clip], found[clips == clip]) for clip in np.unique(clips)]
    valid = [one for one in each if not np.isnan(one)]
    return float(np.mean(valid)) if valid else float("nan")


def reliability(expected: Values, found: Values) -> list[Bin]:
    """Return bins of equally many masks, ascending by expected overlap."""
    order = np.argsort(expected, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return [Bin(float(expected[one].mean()), float(found[one].mean()), len(one)) for one in parts]


def calibration_error(expected: Values, found: Values) -> float:
    """Return the mean distance of expected from true overlap over the bins, weighted by their masks."""
    bins = reliability(expected, found)
    masks = sum(one.masks for one in bins)
    return sum(abs(one.expected - one.found) * one.masks for one in bins) / masks if masks else float("nan")
