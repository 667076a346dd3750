"""Statistics of agreement against published figures and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from UltrasoundLesionSegLib.review.agreement import bland_altman, intraclass_correlation, mean

# Shrout and Fleiss 1979, table 2: six targets, four judges
JUDGES: list[list[float]] = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_the_correlation_of_shrout_and_fleiss() -> None:
    found = intraclass_correlation(JUDGES)
    assert found.value == pytest.approx(0.29, abs=0.005)
    # the interval that R's psych::ICC prints for ICC2
    assert (found.low, found.high) == pytest.approx((0.019, 0.76), abs=0.002)


def test_readers_that_never_differ_and_readers_that_say_nothing() -> None:
    assert intraclass_correlation([[1, 1], [2, 2], [5, 5]]).value == 1
    assert math.isnan(intraclass_correlation([[2, 2], [2, 2], [2, 2]]).value)
    assert math.isnan(intraclass_correlation([[1, 2], [3, 3]]).value)
    with_gap = intraclass_correlation([*JUDGES, [float("nan"), 1, 2, 3]])
    assert with_gap == intraclass_correlation(JUDGES)


def test_a_reader_who_measures_longer_agrees_less_absolutely() -> None:
    first = np.array([10.0, 12, 15, 21, 30])
    same, shifted = first + np.array([0.1, -0.1, 0.2, -0.2, 0]), first + 5
    assert intraclass_correlation(np.stack([first, same], axis=1)).value > 0.99
    assert intraclass_correlation(np.stack([first, shifted], axis=1)).value < 0.9


def test_bias_and_limits_of_known_differences() -> None:
    first = np.array([10.0, 12, 15, 21, 30, float("nan")])
    differences = np.array([1.0, 2, 3, 4, 5, 0])
    found = bland_altman(first, first - differences)
    assert found.count == 5
    assert found.bias.value == pytest.approx(3)
    spread = math.sqrt(2.5)
    assert found.upper.value == pytest.approx(3 + 1.959964 * spread)
    assert found.lower.value == pytest.approx(3 - 1.959964 * spread)
    # the half width of Student's t, 2.776 with 4 degrees of freedom
    assert found.bias.high - 3 == pytest.approx(2.776 * spread / math.sqrt(5), abs=1e-3)
    assert found.upper.low < found.upper.value < found.upper.high
    assert found.upper.high - 3 == pytest.approx(3 - found.lower.low)


def test_the_limits_intervals_hold_the_true_limit_in_95_of_100_studies() -> None:
    rng = np.random.default_rng(3)
    studies, inside = 2000, 0
    for _ in range(studies):
        upper = bland_altman(rng.normal(0.5, 2, 12), np.zeros(12)).upper
        inside += upper.low <= 0.5 + 1.959964 * 2 <= upper.high
    assert inside / studies == pytest.approx(0.95, abs=0.015)


def test_too_few_values_have_no_interval() -> None:
    assert mean([0.9]).value == 0.9
    assert math.isnan(mean([0.9, 0.8]).low)
    assert math.isnan(mean([]).value)
    assert (mean([0.9] * 4).low, mean([0.9] * 4).high) == (0.9, 0.9)
    assert math.isnan(bland_altman([1, 2], [1, 1]).upper.value)
