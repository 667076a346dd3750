from __future__ import annotations

import numpy as np
import pytest

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


SEEN, UNSEEN = np.ones((2, 2), bool), np.zeros((2, 2), bool)


def test_an_anchor_without_the_lesion_is_passed_and_ends_nothing() -> None:
    places = [Anchor(0, 0, SEEN), Anchor(0, 4, UNSEEN), Anchor(0, 8, SEEN), Anchor(0, 12, UNSEEN), Anchor(1, 4, SEEN)]
    plan = plan_stretches(places, Direction.BOTH, range(20))
    assert described(plan) == [
        (0, 0, 8, range(1, 8)),
        (0, 8, None, range(9, 20)),
        (1, None, 4, range(4)),
        (1, 4, None, range(5, 20)),
    ]
    assert [list(stretch.absent) for stretch in plan] == [[4], [12], [], []]
    assert plan[0].computed == [1, 2, 3, 5, 6, 7]
    assert [plan[0].computes(frame) for frame in (0, 3, 4, 8)] == [False, True, False, False]
    assert [plan[0].distances(frame) for frame in (1, 3, 5, 7)] == [(1, 7), (3, 5), (5, 3), (7, 1)]
    past_absent = [plan[0].distances(frame, with_absent=True) for frame in (1, 3, 5, 7)]
    assert past_absent == [(1, 3), (3, 1), (1, 3), (3, 1)]
    forward = plan_stretches(places[:4], Direction.FORWARD, range(20))
    assert described(forward) == [(0, 0, None, range(1, 8)), (0, 8, None, range(9, 20))]
    assert [list(stretch.absent) for stretch in forward] == [[4], [12]]


def test_what_a_range_is_walked_to_past_is_known_and_what_lies_behind_it_is_not() -> None:
    places = [Anchor(0, 2, SEEN), Anchor(0, 4, UNSEEN), Anchor(0, 12, UNSEEN), Anchor(0, 15, SEEN)]
    assert list(plan_stretches(places, Direction.FORWARD, range(6, 9))[0].absent) == [4]
    assert list(plan_stretches(places, Direction.BACKWARD, range(6, 9))[0].absent) == [12]
    assert list(plan_stretches(places, Direction.BOTH, range(6, 9))[0].absent) == [4, 12]


def test_nothing_is_left_to_compute_where_every_frame_is_declared_empty() -> None:
    places = [Anchor(0, 0, SEEN), Anchor(0, 1, UNSEEN), Anchor(0, 2, UNSEEN), Anchor(0, 3, SEEN)]
    assert described(plan_stretches(places, Direction.BOTH, range(5))) == [(0, 3, None, range(4, 5))]


def test_a_lesion_that_no_anchor_shows_is_looked_for_from_each_of_them() -> None:
    plan = plan_stretches([Anchor(0, 3, UNSEEN), Anchor(0, 6, UNSEEN)], Direction.BOTH, range(8))
    assert described(plan) == [(0, None, 3, range(3)), (0, 3, 6, range(4, 6)), (0, 6, None, range(7, 8))]
    assert not any(stretch.absent for stretch in plan)


def test_a_stretch_whose_anchors_show_a_small_part_also_knows_the_anchor_that_shows_most() -> None:
    part, most = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    part[0, 0] = True
    half = np.array([[True, True], [False, False]])
    plan = plan_stretches([Anchor(0, 2, most), Anchor(0, 5, part), Anchor(0, 8, half)], Direction.BOTH, range(12))
    assert [(s.frames, s.fullest.frame if s.fullest else None) for s in plan] == [
        (range(2), None),
        (range(3, 5), None),
        (range(6, 8), None),
        (range(9, 12), None),
    ]
    plan = plan_stretches([Anchor(0, 2, most), Anchor(0, 5, part)], Direction.BOTH, range(12))
    assert [s.fullest.frame if s.fullest else None for s in plan] == [None, None, 2]
    assert {one.frame for one in plan[-1].anchors} == {2, 5}
    assert plan[-1].ends[0].frame == 5  # masks are carried from the near anchor only
    assert list(plan[-1].walk(forward=True)) == [6, 7, 8, 9, 10, 11]


def test_an_anchor_that_shows_a_tiny_part_is_its_own_frame_alone() -> None:
    whole, part, tiny = (np.arange(100) < area for area in (100, 10, 9))
    masks = [whole, tiny, part, tiny, np.zeros(100, bool)]
    places = [Anchor(0, 4 * place, mask.reshape(10, 10)) for place, mask in enumerate(masks)]
    plan = plan_stretches(places, Direction.BOTH, range(20))
    assert described(plan) == [(0, 0, 8, range(1, 8)), (0, 8, None, range(9, 20))]
    assert [set(stretch.lone) for stretch in plan] == [{4}, {12}]
    assert [list(stretch.absent) for stretch in plan] == [[], [16]]
    assert plan[0].computed == [1, 2, 3, 5, 6, 7]
    # no other result depends on it
    assert [[one.frame for one in stretch.anchors] for stretch in plan] == [[0, 8], [8, 0, 16]]


def test_a_tiny_anchor_between_two_computed_frames_leaves_no_empty_stretch() -> None:
    whole, tiny = np.ones((10, 10), bool), np.arange(100).reshape(10, 10) < 5
    plan = plan_stretches([Anchor(0, 0, whole), Anchor(0, 1, tiny), Anchor(0, 2, whole)], Direction.BOTH, range(3))
    assert plan == []


@pytest.mark.parametrize(("direction", "starts"), [(Direction.FORWARD, (0, 8)), (Direction.BACKWARD, (8, 16))])
def test_a_tiny_anchor_starts_masks_where_no_other_can(direction: Direction, starts: tuple[int, ...]) -> None:
    whole, tiny = np.ones((10, 10), bool), np.arange(100).reshape(10, 10) < 5
    places = [Anchor(0, frame, whole if frame == 8 else tiny) for frame in (0, 8, 16)]
    plan = plan_stretches(places, direction, range(20))
    assert {anchor.frame for stretch in plan for anchor in stretch.ends} == set(starts)
    assert [set(stretch.lone) for stretch in plan if stretch.lone] == [{16} if direction is Direction.FORWARD else {0}]


def test_nothing_is_carried_from_a_frame_that_cannot_be_read() -> None:
    whole, part = np.ones((10, 10), bool), np.arange(100).reshape(10, 10) < 40
    places = [Anchor(0, 2, part), Anchor(0, 6, whole), Anchor(0, 9, UNSEEN)]
    plan = plan_stretches(places, Direction.BOTH, range(12), unreadable={6, 9})
    assert described(plan) == [(0, None, 2, range(2)), (0, 2, None, range(3, 12))]
    assert plan[1].computed == [3, 4, 5, 7, 8, 10, 11]
    assert [(set(stretch.lone), list(stretch.absent)) for stretch in plan] == [(set(), []), ({6}, [9])]
    assert all([one.frame for one in stretch.remembered] == [2] for stretch in plan)


@pytest.mark.parametrize("masks", [(True,), (True, False), (False,)])
def test_a_lesion_without_a_drawing_that_can_be_read_is_left_out(masks: tuple[bool, ...]) -> None:
    """Whether it is drawn there, drawn there and marked not visible elsewhere, or marked not visible there."""
    places = [Anchor(0, 3 * place, np.full((2, 2), drawn)) for place, drawn in enumerate(masks)]
    assert plan_stretches(places, Direction.BOTH, range(12), unreadable={0}) == []
