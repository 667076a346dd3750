"""Descriptions of the frames followed come back latest first, however many there are."""

from __future__ import annotations

import torch

from UltrasoundLesionSegLib.engine.trail import Trail


def test_frames_come_back_latest_first_with_their_descriptions() -> None:
    descriptions = torch.randn(200, 5)
    trail = Trail()
    trail.add(10, None)
    for place, one in enumerate(descriptions):
        trail.add(11 + place, one)
    back = list(trail.backwards())
    assert [frame for frame, _ in back] == [*range(210, 9, -1)]
    assert back[-1][1] is None
    assert all(torch.equal(one, descriptions[frame - 11]) for frame, one in back[:-1] if one is not None)


def test_nothing_is_left_of_a_trail_that_was_cleared() -> None:
    trail = Trail()
    for frame in range(3):
        trail.add(frame, torch.full((4,), float(frame)))
    trail.clear()
    trail.add(7, torch.ones(4))
    trail.add(8, torch.full((4,), 8.0))
    back = list(trail.backwards())
    assert [frame for frame, _ in back] == [8, 7]
    assert [one.tolist() for _, one in back if one is not None] == [[8.0] * 4, [1.0] * 4]
