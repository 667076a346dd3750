"""Whether a result leads back to what was drawn."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from engine_helpers import clip_of_moving_discs
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings
from UltrasoundLesionSegLib.fitting.way_back import Evidence, farthest, is_kept, lead_back
from UltrasoundLesionSegLib.mrml.steps import run_to_end

SHOWN, EMPTY = np.ones((4, 4), bool), np.zeros((4, 4), bool)


@pytest.mark.parametrize(
    ("frames", "anchors", "way"),
    [
        (range(1, 10), {0: SHOWN}, (9, 0, range(9))),
        (range(9), {9: SHOWN}, (0, 9, range(1, 10))),
        ([0, 1, 2, 4, 5, 6, 8], {3: SHOWN, 7: SHOWN}, (0, 3, range(1, 4))),
        ([1, 2, 3, 4, 5, 6], {0: SHOWN, 7: EMPTY}, (6, 0, range(6))),
    ],
)
def test_the_way_is_the_longest_to_a_frame_that_shows_the_lesion(
    frames: list[int], anchors: dict[int, np.ndarray], way: tuple[int, int, range]
) -> None:
    found = farthest(frames, anchors)
    assert found is not None
    assert (found.frame, found.anchor, found.frames) == way
    assert found.drawn is anchors[found.anchor]


@pytest.mark.parametrize(("frames", "anchors"), [([], {0: SHOWN}), ([1, 2], {0: EMPTY}), ([1, 2], {})])
def test_there_may_be_no_way(frames: list[int], anchors: dict[int, np.ndarray]) -> None:
    assert farthest(frames, anchors) is None


@pytest.mark.parametrize("anchor", [0, 7])
def test_the_lesion_leads_back_and_other_tissue_does_not(anchor: int) -> None:
    cine, truth = clip_of_moving_discs(frames=8)
    inferer = PropagationInferer(TrackerSettings(input_size=64), torch.device("cpu"))
    propagate = partial(inferer, network=BrightNetwork())
    far = 7 - anchor
    way = farthest([far], {anchor: truth[anchor, 0]})
    assert way is not None
    elsewhere = np.roll(truth[far, 0], 48, axis=0)
    assert not (elsewhere & truth[far, 0]).any()
    back = [run_to_end(lead_back(propagate, cine, way, mask)) for mask in (truth[far, 0], elsewhere, elsewhere * False)]
    assert back[0] > 0.8
    assert back[1] < 0.5
    assert back[2] == 0.0
    steps = list(lead_back(propagate, cine, way, truth[far, 0]))
    assert sorted(steps) == list(way.frames)


def test_a_fit_is_kept_unless_it_leads_back_less_well() -> None:
    def kept(fitted: list[float], plain: list[float]) -> bool:
        return is_kept(Evidence(tuple(fitted), 20), Evidence(tuple(plain), 20))

    assert kept([0.9], [0.5])
    assert kept([0.9], [0.9])
    assert not kept([0.89], [0.9])
    assert not kept([0.95, 0.5], [0.95, 0.9])
    assert kept([0.0], [0.0])
    assert kept([], [])


def test_where_nothing_leads_back_a_fit_must_not_lose_the_lesion_earlier() -> None:
    assert is_kept(Evidence((0.0,), 20), Evidence((0.0,), 20))
    assert is_kept(Evidence((0.0,), 21), Evidence((0.2,), 20))
    assert not is_kept(Evidence((0.1,), 5), Evidence((0.0,), 20))
    # where one leads back, it alone decides
    assert is_kept(Evidence((0.8,), 5), Evidence((0.0,), 20))
    assert not is_kept(Evidence((0.0,), 30), Evidence((0.8,), 20))
