from __future__ import annotations

import numpy as np

from UltrasoundLesionSegLib.cine import Anchor
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches


def anchors(*places: tuple[int, int]) -> list[Anchor]:
    return [Anchor(lesion, frame, np.ones((2, 2), bool)) for lesion, frame in places]


def described(plan: list) -> list[tuple]:
    return [(s.lesion, s.left.frame if s.left else None, s.right.frame if s.right else None, s.frames) for s in plan]


def test_both_directions_fill_the_clip_around_one_anchor() -> None:
    plan = plan_stretches(anchors((0, 4)), Direction.BOTH, range(10))
    assert described(plan) == [(0, None, 4, range(4)), (0, 4, None, range(5, 10))]


def test_forward_never_looks_back_and_backward_never_ahead() -> None:
    places = anchors((0, 4), (0, 7))
    forward = plan_stretches(places, Direction.FORWARD, range(10))
    assert described(forward) == [(0, 4, None, range(5, 7)), (0, 7, None, range(8, 10))]
    backward = plan_stretches(places, Direction.BACKWARD, range(10))
    assert described(backward) == [(0, None, 4, range(4)), (0, None, 7, range(5, 7))]


def test_between_two_anchors_both_are_used() -> None:
    plan = plan_stretches(anchors((0, 7), (0, 2)), Direction.BOTH, range(3, 7))
    assert described(plan) == [(0, 2, 7, range(3, 7))]
    assert plan[0].is_two_sided


def test_anchors_are_never_computed_and_neighbours_leave_no_empty_stretch() -> None:
    plan = plan_stretches(anchors((0, 0), (0, 1), (0, 9)), Direction.BOTH, range(10))
    assert described(plan) == [(0, 1, 9, range(2, 9))]


def test_a_range_away_from_the_anchor_is_walked_to() -> None:
    plan = plan_stretches(anchors((0, 2)), Direction.BOTH, range(6, 9))
    assert described(plan) == [(0, 2, None, range(6, 9))]
    assert list(plan[0].walk(forward=True)) == [3, 4, 5, 6, 7, 8]
    assert list(plan[0].walk(forward=False)) == []


def test_lesions_have_their_own_stretches() -> None:
    plan = plan_stretches(anchors((1, 5), (0, 0)), Direction.BOTH, range(8))
    assert described(plan) == [(0, 0, None, range(1, 8)), (1, None, 5, range(5)), (1, 5, None, range(6, 8))]


def test_where_no_end_shows_the_lesion_the_nearest_anchor_that_does_is_a_reminder() -> None:
    seen, unseen = np.ones((2, 2), bool), np.zeros((2, 2), bool)
    places = [Anchor(0, 0, seen), Anchor(0, 4, seen), Anchor(0, 8, unseen), Anchor(0, 12, unseen), Anchor(1, 9, seen)]
    plan = plan_stretches(places, Direction.BOTH, range(20))
    reminders = {(s.lesion, s.frames.start): s.reminder.frame if s.reminder else None for s in plan}
    assert reminders == {(0, 1): None, (0, 5): None, (0, 9): 4, (0, 13): 4, (1, 0): None, (1, 10): None}
    assert [anchor.frame for anchor in plan[3].anchors] == [12, 4]
    assert plan_stretches([Anchor(0, 3, unseen)], Direction.BOTH, range(5))[0].reminder is None
