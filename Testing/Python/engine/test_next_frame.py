"""Which frame to look at next."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from UltrasoundLesionSegLib.engine import next_frame as rule
from UltrasoundLesionSegLib.engine.next_frame import Outlook, expected_gains, next_frame, review_order


def outlook(expected: list[float], *anchors: int) -> Outlook:
    values = np.array(expected)
    values[list(anchors)] = np.nan
    return Outlook(values, anchors)


def test_gains_are_the_written_formula_between_anchors() -> None:
    rng = np.random.default_rng(0)
    expected = rng.uniform(0.4, 1.0, 40).tolist()
    gains = expected_gains([outlook(expected, 7, 25)])
    reach = rule.REACH * 40 + rule.NEAR
    for frame in (0, 3, 12, 16, 30, 39):
        left, right = (-1, 7) if frame < 7 else (7, 25) if frame < 25 else (25, 40)
        errors = {t: max(1 - rule.FLOOR - expected[t], 0) for t in range(left + 1, right)}
        half = rule.RUN // 2
        runs = [[t for t in range(middle - half, middle + half + 1) if t in errors] for middle in errors]
        wins = [errors[frame]]
        for t in errors:
            # the highest error that a whole run of frames with this one has
            shared = max(min(errors[one] for one in run) for run in runs if t in run)
            wins.append((t != frame) * rule.SHARE * shared * np.exp(-abs(t - frame) / reach))
        assert gains[frame] == pytest.approx(sum(wins))


def test_neighbours_of_an_anchor_are_never_offered() -> None:
    expected = [0.95] * 30
    for frame in (9, 11, 12):
        expected[frame] = 0.01
    for anchors in ((10,), (0, 10), (10, 14)):
        order = [offer.frame for offer in review_order([outlook(expected, *anchors)])]
        near = {frame for anchor in anchors for frame in range(anchor - rule.NEIGHBOURS, anchor + rule.NEIGHBOURS + 1)}
        assert not near & set(order)
        # nor of one of those before it in the order
        assert all(abs(a - b) > rule.NEIGHBOURS for i, a in enumerate(order) for b in order[:i])


def test_beside_a_frame_marked_not_visible_any_frame_may_be_offered_and_a_correction_acts_past_it() -> None:
    expected = [0.96] * 30
    expected[11] = 0.1
    values = np.array(expected)
    values[[0, 10]] = np.nan
    offer = next_frame([Outlook(values, (0, 10), absent=(10,))])
    assert offer is not None
    assert offer.frame == 11
    values[11 : 11 + rule.RUN] = 0.1
    assert next_frame([Outlook(values, (0, 10), absent=(10,))]).frame == 11 + rule.RUN // 2
    assert next_frame([Outlook(values, (0, 10))]).frame > 10 + rule.NEIGHBOURS
    gains = expected_gains([Outlook(values, (0, 10), absent=(10,))])
    assert gains[10] == 0
    assert gains[8] > expected_gains([Outlook(values, (0, 10))])[8]
    order = [one.frame for one in review_order([Outlook(np.where(np.isnan(values), np.nan, 0.6), (0, 10), (10,))])]
    assert 10 not in order


def test_a_poor_run_of_frames_comes_before_the_worst_frame() -> None:
    expected = [0.96] * 60
    expected[50] = 0.3
    expected[15:30] = [0.75] * 15
    order = [offer.frame for offer in review_order([outlook(expected, 0)])]
    assert 18 <= order[0] <= 27
    assert 50 in order


def test_an_error_of_few_frames_is_not_put_right_by_a_correction_beside_it() -> None:
    for length, spreads in ((rule.RUN - 1, False), (rule.RUN, True)):
        expected = [0.98] * 40
        expected[20 : 20 + length] = [0.5] * length
        gains = expected_gains([outlook(expected, 0)])
        assert gains[20] == pytest.approx(0.47, abs=0.001) if not spreads else gains[20] > 1
        assert bool(gains[19] > 0) == spreads
        order = [offer.frame for offer in review_order([outlook(expected, 0)])]
        assert len(order) > 1 or spreads  # a correction leaves the others of the few frames as they are


def test_what_is_expected_to_fall_in_place_already_is_not_offered_again() -> None:
    expected = np.linspace(0.99, 0.8, 50).tolist()
    offers = review_order([outlook(expected, 0)])
    assert 1 <= len(offers) <= 5
    assert all(a.gain > b.gain for a, b in pairwise(offers))


@pytest.mark.parametrize("expected", [[0.99] * 50, [1 - rule.FLOOR] * 50, [np.nan] * 50, [0.9] * 3])
def test_nothing_is_offered_where_nothing_is_to_be_won(expected: list[float]) -> None:
    assert next_frame([outlook(expected, 0)]) is None
    assert review_order([outlook(expected, 0)]) == []


def test_no_lesion_no_frame() -> None:
    assert next_frame([]) is None
    assert review_order([]) == []


def test_lesions_count_together_each_with_its_own_anchors() -> None:
    first, second = [0.97] * 40, [0.97] * 40
    first[20:25] = [0.7] * 5
    second[8:14] = [0.8] * 6
    both = [outlook(first, 0), outlook(second, 39)]
    assert 18 <= next_frame(both).frame <= 27
    # the first lesion has an anchor there: nothing is left to win for it
    there = [Outlook(np.where(np.arange(40) == 22, np.nan, np.array(first)), (0, 22)), outlook(second, 39)]
    total = expected_gains(there)
    assert total[22] == pytest.approx(expected_gains([outlook(second, 39)])[22])
    assert next_frame(there).frame < 18


def test_the_order_of_a_long_cine_takes_no_time_that_a_person_notices() -> None:
    expected = (0.9 + 0.08 * np.sin(np.arange(5000) / 40)).tolist()
    offers = review_order([outlook(expected, 0)])
    assert 1 <= len(offers) < 200
