"""What a propagation says of seeds that leave nothing to compute."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

Discs = tuple[Any, NDArray[np.bool_]]


def test_seeds_on_all_frames_are_noticed(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    for frame in (4, 5, 6):
        logic.setSeed(browser, truth[frame][0], frame=frame)
    (notice,) = logic.propagate(browser, frames=(4, 7)).notices
    assert notice.startswith("Nothing was computed, because every frame asked for (3 frames) has a seed or was drawn")
    assert logic.propagate(browser).notices == []
    assert logic.propagate(browser).notices == [], "there is nothing left to compute because it was computed"


def test_a_still_with_its_seed_needs_no_notice(logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork) -> None:
    still, mask = logic.loadCine(np.zeros((1, 96, 128), np.uint8)), np.zeros((96, 128), bool)
    mask[20:40, 30:60] = True
    logic.setSeed(still, mask, frame=0)
    assert logic.propagate(still).notices == []


def test_a_direction_without_frames_is_noticed(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    logic.setSeed(browser, truth[0][0], frame=0)
    (notice,) = logic.propagate(browser, direction="backward").notices
    assert notice.startswith("No frame lies in the direction backward of the seeds")


def test_a_seed_too_small_to_be_seen_is_noticed(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    limit = 6  # an eighth of the smallest window
    speck = np.zeros_like(truth[3][0])
    row, column = map(int, np.argwhere(truth[3][0]).mean(axis=0))
    speck[row : row + 2, column : column + limit - 1] = True
    logic.setSeed(browser, speck, frame=3)
    notices = logic.propagate(browser).notices
    assert any(f"drawn on frame 3 is less than {limit} pixels long" in notice for notice in notices)
    speck[row : row + 2, column : column + limit] = True
    logic.setSeed(browser, speck, frame=3)
    assert not any("pixels long" in notice for notice in logic.propagate(browser).notices)
