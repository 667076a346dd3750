"""Painting survives whatever makes Slicer refresh the proxies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.mrml.edit_guard import EditGuard
from UltrasoundLesionSegLib.mrml.removal import remove_cine
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

from .support import disk, paint

A = "lesion-1"

DISTURBANCES: dict[str, Callable[[Any], Any]] = {
    "next frame": lambda browser: browser.SelectNextItem(),
    "frame rate": lambda browser: browser.SetPlaybackRateFps(3),
    "attribute of the cine": lambda browser: browser.GetMasterSequenceNode().SetAttribute("x", "y"),
    "reference": lambda browser: browser.SetNodeReferenceID("role", browser.GetID()),
}


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_painting_is_stored_before_slicer_overwrites_it(
    lesions: SegmentationSequence, browser: Any, disturbance: str
) -> None:
    said: list[tuple[int, list[str]]] = []
    guard = EditGuard(lesions, lambda frame, changed: said.append((frame, changed)))
    browser.SetSelectedItemNumber(2)
    paint(lesions.proxy, A, disk(30, 30, 10), lesions.geometry)
    DISTURBANCES[disturbance](browser)
    assert np.array_equal(lesions.read(2, A), disk(30, 30, 10))
    assert lesions.origin(2, A) is Origin.MANUAL
    assert said == [(2, [A])]
    browser.SetSelectedItemNumber(2)
    assert lesions.commit_edit() == []
    guard.stop()


def test_without_the_guard_painting_is_lost(lesions: SegmentationSequence, browser: Any) -> None:
    """The hazard itself: if this fails, Slicer has changed and the guard may go."""
    paint(lesions.proxy, A, disk(30, 30, 10), lesions.geometry)
    browser.SetPlaybackRateFps(3)
    assert lesions.commit_edit() == []


def test_the_guard_ends_with_the_scene_and_when_stopped(
    scene: Any, lesions: SegmentationSequence, browser: Any
) -> None:
    guard = EditGuard(lesions)
    guard.stop()
    guard.stop()
    paint(lesions.proxy, A, disk(30, 30, 10), lesions.geometry)
    browser.SelectNextItem()
    assert lesions.anchors()[A] == []
    EditGuard(lesions)
    scene.RemoveNode(browser.GetMasterSequenceNode())
    browser.SelectNextItem()
    scene.RemoveNode(lesions.sequence)
    scene.Clear(0)


def test_a_cine_is_taken_out_of_the_scene_under_the_guard_without_a_word(
    lesions: SegmentationSequence, browser: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    guard = EditGuard(lesions)
    remove_cine(browser)
    guard.stop()
    assert "Error" not in "".join(capfd.readouterr())  # VTK prints what an observer raises, and goes on
