"""Drawings on frames that cannot be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engine_helpers import clip_of_moving_discs, dice
from numpy.typing import NDArray
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

NAMED = "The image cannot be read on frame 6: what is drawn there changes no other frame."
Broken = tuple[Any, NDArray[np.bool_]]


@pytest.fixture
def broken(logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork) -> Broken:
    """A browser with 12 frames of two bright discs, of which frame 6 cannot be read, and the truth (T, K, H, W)."""
    cine, truth = clip_of_moving_discs(frames=12, lesions=2, broken=(6,))
    return logic.addCine(cine), truth


def test_the_others_go_on_and_the_frame_is_named(logic: UltrasoundLesionWorkflow, broken: Broken) -> None:
    browser, truth = broken
    logic.setSeed(browser, truth[2][0], frame=2)
    logic.setSeed(browser, truth[6][0], frame=6)
    summary = logic.propagate(browser)
    assert list(summary.unreadable) == [6]
    assert summary.notices == [NAMED]
    assert summary.frames_computed == [0, 1, 3, 4, 5, 7, 8, 9, 10, 11]
    masks = logic.masks(browser)
    np.testing.assert_array_equal(masks[6], truth[6][0])
    assert min(dice(mask, truth[frame][0]) for frame, mask in enumerate(masks)) > 0.9
    assert logic.anchors(browser) == {"lesion-1": [2, 6]}
    again = logic.propagate(browser)
    assert again.frames_computed == []
    assert again.notices == [NAMED]


def test_a_lesion_that_no_readable_frame_shows_does_not_stop_another(
    logic: UltrasoundLesionWorkflow, broken: Broken
) -> None:
    browser, truth = broken
    logic.setSeed(browser, truth[2][0], frame=2)
    logic.setSeed(browser, truth[6][1], frame=6, segment="Other")
    summary = logic.propagate(browser)
    assert summary.frames_computed == [0, 1, 3, 4, 5, 7, 8, 9, 10, 11]
    assert summary.notices == [
        NAMED,
        "Lesion 2 is drawn only where the image cannot be read: draw it on another frame, too.",
    ]
    assert np.flatnonzero(logic.masks(browser, "Other").any(axis=(1, 2))).tolist() == [6]


def test_a_lesion_marked_not_visible_on_an_unreadable_frame_alone_does_not_stop_another(
    logic: UltrasoundLesionWorkflow, broken: Broken
) -> None:
    browser, truth = broken
    logic.setSeed(browser, truth[2][0], frame=2)
    logic.addSegment(browser, "Other")
    logic.markNotVisible(browser, 6, "Other")
    assert logic.propagate(browser).frames_computed == [0, 1, 3, 4, 5, 7, 8, 9, 10, 11]


def test_without_a_drawing_that_can_be_read_it_is_said_what_to_do(
    logic: UltrasoundLesionWorkflow, broken: Broken
) -> None:
    browser, truth = broken
    logic.setSeed(browser, truth[6][0], frame=6)
    with pytest.raises(
        SeedError, match="the image cannot be read on frame 6, the only drawn; draw the lesion on another"
    ):
        logic.propagate(browser)
    np.testing.assert_array_equal(logic.masks(browser)[6], truth[6][0])
