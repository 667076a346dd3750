"""Statistics of agreement on arrays: Bland and Altman's limits, the intraclass correlation, means with intervals.

All intervals are of 95%. The units (a lesion each) count as independent: where a patient has several, they are too
narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
FEWEST = 3  # units: with fewer there is nothing to say of their spread


@dataclass(frozen=True)
class Estimate:
    """A value and its 95% confidence interval; nan where it cannot be told."""

    value: float
    low: float
    high: float


NOTHING = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class BlandAltman:
    """How one measurement differs from another.

    Parameters
    ----------
    count : int
        Pairs.
    bias : Estimate
        Mean difference, the first minus the second.
    lower, upper : Estimate
        Limits of agreement: 95% of differences are expected between them.
    spread : float
        Standard deviation of the differences.
    """

    count: int
    bias: Estimate
    lower: Estimate
    upper: Estimate
    spread: float


def mean(values: ArrayLike) -> Estimate:
    """Return the mean with its interval by Student's t; nan is left out.

    Parameters
    ----------
    values : array_like of float, shape (N,)
    """
    known = _known(np.asarray(values, float))
    if len(known) < FEWEST:
        return Estimate(float(known.mean()), float("nan"), float("nan")) if len(known) else NOTHING
    if np.ptp(known) == 0:
        return Estimate(float(known[0]), float(known[0]), float(known[0]))
    low, high = stats.ttest_1samp(known, 0).confidence_interval(LEVEL)
    return Estimate(float(known.mean()), float(low), float(high))


def bland_altman(first: ArrayLike, second: ArrayLike) -> BlandAltman:
    """Return bias and limits of agreement.

    Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical measurement", Lancet
    327, 1986. The limits' intervals are the exact ones of Carkeet, "Exact parametric confidence intervals for
    Bland-Altman limits of agreement", Optometry and Vision Science 92, 2015: by the noncentral t distribution.

    Parameters
    ----------
    first, second : array_like of float, shape (N,)
        Pairs; one with a nan is left out.
    """
    differences = _known(np.asarray(first, float) - np.asarray(second, float))
    count = len(differences)
    bias = mean(differences)
    if count < FEWEST:
        return BlandAltman(count, bias, NOTHING, NOTHING, float("nan"))
    spread = float(differences.std(ddof=1))
    reach = float(stats.norm.ppf((1 + LEVEL) / 2))
    tail = (1 - LEVEL) / 2
    near, far = stats.nct.ppf([tail, 1 - tail], count - 1, reach * np.sqrt(count)) / np.sqrt(count) * spread
    upper = Estimate(bias.value + reach * spread, bias.value + float(near), bias.value + float(far))
    lower = Estimate(bias.value - reach * spread, bias.value - float(far), bias.value - float(near))
    return BlandAltman(count, bias, lower, upper, spread)


def intraclass_correlation(measurements: ArrayLike) -> Estimate:
    """Return ICC(2,1): two-way random effects, absolute agreement, single measurement.

    Shrout and Fleiss, "Intraclass correlations: uses in assessing rater reliability", Psychological Bulletin 86, 1979;
    the interval as in McGraw and Wong, "Forming inferences about some intraclass correlation coefficients",
    Psychological Methods 1, 1996 (case 2A, ICC(A,1)).

    Parameters
    ----------
    measurements : array_like of float, shape (N, K)
        N units, measured by each of K readers; a unit with a nan is left out.

    Returns
    -------
    Estimate
        nan for fewer than three units, or where all measurements are the same.
    """
    table = np.asarray(measurements, float)
    table = table[~np.isnan(table).any(axis=1)]
    units, readers = table.shape
    if units < FEWEST or readers < 2:
        return NOTHING
    between, columns, error = _mean_squares(table)
    denominator = between + (readers - 1) * error + readers * (columns - error) / units
    if denominator <= 0:
        return NOTHING
    value = float((between - error) / denominator)
    if error == 0 and columns == 0:
        return Estimate(1.0, 1.0, 1.0)  # the readers never differ
    return Estimate(value, *_icc_interval(value, (between, columns, error), units, readers))


def _mean_squares(table: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean squares of a two-way analysis of variance: units, readers, error."""
    units, readers = table.shape
    grand = table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    between = readers * float(((rows - grand) ** 2).sum()) / (units - 1)
    among = units * float(((columns - grand) ** 2).sum()) / (readers - 1)
    rest = table - rows[:, None] - columns[None] + grand
    return between, among, float((rest**2).sum()) / ((units - 1) * (readers - 1))


def _icc_interval(value: float, squares: tuple[float, float, float], units: int, readers: int) -> tuple[float, float]:
    between, columns, error = squares
    # Satterthwaite's degrees of freedom of a * columns + b * error; a and b are divided by 1 - ICC in the paper, which
    # cancels and would divide by 0
    a, b = readers * value / units, 1 - value + readers * value * (units - 1) / units
    weighted = (a * columns) ** 2 / (readers - 1) + (b * error) ** 2 / ((units - 1) * (readers - 1))
    freedom = (a * columns + b * error) ** 2 / weighted
    below = stats.f.ppf((1 + LEVEL) / 2, units - 1, freedom)
    above = stats.f.ppf((1 + LEVEL) / 2, freedom, units - 1)
    rest = readers * columns + (readers * units - readers - units) * error
    low = units * (between - below * error) / (below * rest + units * between)
    high = units * (above * between - error) / (rest + units * above * between)
    return float(low), float(high)


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]
