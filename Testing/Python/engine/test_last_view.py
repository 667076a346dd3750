"""What a lost lesion looked like when it was last seen, and how much of that is in view."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from engine_helpers import SignalsListener, disc, inputs_for
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.cine import Anchor, Cine
from UltrasoundLesionSegLib.engine.last_view import LastView
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.stretches import Direction
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings
from UltrasoundLesionSegLib.engine.window import Window

SIZE = 160
CENTRE = (80, 80)


def tissue(seed: int) -> np.ndarray:
    """Return smooth noise, uint8 (SIZE, SIZE), darker than what the stand-in network takes for a lesion."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (SIZE, SIZE)), (0, 0), 4)
    return np.clip(60 + 15 * noise / noise.std(), 0, 110).astype(np.uint8)


def moved(picture: np.ndarray, columns: int, rows: int) -> np.ndarray:
    return np.roll(picture, (rows, columns), (0, 1))


@pytest.mark.parametrize("shift", [(0, 0), (4, -3)])
def test_the_same_tissue_is_known_again_where_it_moved_to(shift: tuple[int, int]) -> None:
    here = tissue(1)
    view = LastView(here, disc(here.shape, *CENTRE, 20), Window.whole(SIZE, SIZE))
    other = max(view.likeness(tissue(seed)) for seed in range(2, 7))
    assert view.likeness(moved(here, *shift)) > 0.9 > 0.6 > other


def test_only_what_is_around_the_lesion_is_compared() -> None:
    here, other = tissue(1), tissue(2)
    lesion = disc(here.shape, *CENTRE, 20)
    near = disc(here.shape, *CENTRE, 60)
    view = LastView(here, lesion, Window.whole(SIZE, SIZE))
    assert view.likeness(np.where(near, here, other)) > 0.9
    assert view.likeness(np.where(near, other, here)) < 0.6


def test_a_mask_is_what_was_seen_if_its_place_and_its_tissue_are_the_same() -> None:
    here, lesion = tissue(1), disc((SIZE, SIZE), *CENTRE, 20)
    view = LastView(here, lesion, Window.whole(SIZE, SIZE))
    assert view.shows(moved(here, 4, -3), moved(lesion, 4, -3))
    assert not view.shows(here, moved(lesion, 40, 0))
    assert not view.shows(tissue(2), lesion)


@pytest.mark.parametrize("absent", [None, 3])
def test_a_tracker_tells_how_much_of_the_lost_lesions_tissue_is_in_view(absent: int | None) -> None:
    """The lesion goes on frame 3, of whose tissue nothing is left from frame 6 on; it is back on the last frame."""
    lesion = disc((SIZE, SIZE), *CENTRE, 20)
    frames = [tissue(1 if frame < 6 else 2) for frame in range(10)]
    for frame in (0, 1, 2, 9):
        frames[frame] = np.where(lesion, 200, frames[frame]).astype(np.uint8)
    cine = Cine.from_array(np.stack(frames))
    anchors = [Anchor(0, 0, lesion)] + ([] if absent is None else [Anchor(0, absent, np.zeros_like(lesion))])
    judge = SignalsListener()
    inferer = PropagationInferer(TrackerSettings(input_size=96), torch.device("cpu"), overlap=judge)
    results = inferer(inputs_for(cine, anchors, direction=Direction.FORWARD), BrightNetwork())
    computed = [result.frame for result in results if result.computed[0] and result.frame != absent]
    told = dict(zip(computed, judge.told, strict=True))
    hidden = {frame: one.last_likeness for frame, one in told.items()}
    assert list(hidden) == [frame for frame in range(1, 10) if frame != absent]
    assert all(math.isnan(hidden[frame]) for frame in (1, 2, 9))
    assert min(hidden[frame] for frame in (4, 5)) > max(hidden[frame] for frame in (6, 7, 8)) + 0.1


@pytest.mark.parametrize("radius", [20, 40])
def test_a_returned_lesion_is_compared_with_the_anchors_outline(radius: int) -> None:
    """The lesion is away on frames 2 and 3, and is found again elsewhere with its size or with four times its area."""
    lesion, returned = disc((SIZE, SIZE), *CENTRE, 20), disc((SIZE, SIZE), 90, 70, radius)
    shown = [lesion, lesion, np.zeros_like(lesion), np.zeros_like(lesion), returned, returned]
    cine = Cine.from_array(np.stack([np.where(mask, 200, tissue(1)).astype(np.uint8) for mask in shown]))
    judge = SignalsListener()
    inferer = PropagationInferer(TrackerSettings(input_size=96), torch.device("cpu"), overlap=judge)
    inputs = inputs_for(cine, [Anchor(0, 0, lesion)], direction=Direction.FORWARD)
    found = {result.frame: result.masks[0].any() for result in inferer(inputs, BrightNetwork())}
    assert found == {frame: shown[frame].any() for frame in range(1, 6)}
    told = [one.return_overlap for one in judge.told]
    assert [math.isnan(one) for one in told] == [True, True, True, False, False]
    assert all((one > 0.9) == (radius == 20) for one in told[-2:]), told
