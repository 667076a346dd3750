"""What lies outside the ultrasound image is made black: in frames, report, pictures and the copy of the scene."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration, Cine
from UltrasoundLesionSegLib.report.image_area import HEADER, MOTION, NOTHING, ImageArea, blank_outside, find_image_area


def screen(frames: int = 12, moves: bool = True, is_color: bool = False) -> tuple[Cine, NDArray[np.bool_]]:
    """A screen of 200 x 260 with speckle in a box of 120 x 160, a name above and a running clock below it."""
    random = np.random.default_rng(0)
    still = random.integers(30, 200, (120, 160))
    images = np.zeros((frames, 200, 260), np.uint8)
    for index in range(frames):
        images[index, 40:160, 50:210] = random.integers(30, 200, (120, 160)) if moves else still
        cv2.putText(images[index], "DOE^JANE", (5, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 1)
        cv2.putText(images[index], f"12:00:{index:02d}", (5, 190), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 1)
    inside = np.zeros((200, 260), bool)
    inside[40:160, 50:210] = True
    return Cine.from_array(np.stack([images] * 3, axis=3) if is_color else images), inside


@pytest.mark.parametrize("is_color", [False, True])
def test_the_moving_image_is_kept_and_names_and_clock_are_black(is_color: bool) -> None:
    cine, inside = screen(is_color=is_color)
    area = find_image_area(cine)
    assert area.source == MOTION
    assert area.mask is not None
    assert area.mask[inside].mean() > 0.97
    blank = blank_outside(cine, area)
    for index in (0, 11):
        frame, before = blank.frames[index], cine.frames[index]
        assert not frame[:25].any()
        assert not frame[170:].any()
        np.testing.assert_array_equal(frame[60:140, 70:190], before[60:140, 70:190])
        assert before[:25].any()
    assert any("the area that moves" in note for note in blank.notes)


def test_still_tissue_beside_moving_tissue_is_kept() -> None:
    frames = np.stack(list(screen(moves=False)[0]))
    frames[:, 100:160, 50:210] = np.stack(list(screen()[0]))[:, 100:160, 50:210]  # the upper half stands still
    area = find_image_area(Cine.from_array(frames))
    assert area.mask is not None
    assert area.mask[45:155, 55:205].mean() > 0.97
    assert not area.mask[:25].any()


def test_the_regions_of_the_header_come_first() -> None:
    cine, _ = screen()
    region = CalibratedRegion((50, 60, 99, 119), Calibration(0.1, 0.1, "test"))
    area = find_image_area(replace(cine, regions=(region,), other_regions=((120, 60, 149, 119),)))
    assert area.source == HEADER
    assert area.mask is not None
    assert area.mask.sum() == 50 * 60 + 30 * 60
    assert area.mask[50, 60]
    assert area.mask[149, 119]
    assert not area.mask[100:120].any()


def test_how_much_is_black_is_said_so_that_nobody_takes_0_percent_for_a_protection() -> None:
    mask = np.ones((20, 30), bool)
    assert ImageArea(mask, MOTION).sentence == (
        "in pictures, nothing is made black: no part of the frame lies outside the area that moves over the cine"
    )
    mask[0, 0] = False
    assert "is black (less than 1% of the frame)" in ImageArea(mask, MOTION).sentence
    mask[:5] = False
    assert "is black (25% of the frame)" in ImageArea(mask, MOTION).sentence


@pytest.mark.parametrize("frames", [1, 12])
def test_nothing_is_made_black_where_nothing_can_be_told(frames: int) -> None:
    cine, _ = screen(frames, moves=False)
    area = find_image_area(cine)
    assert area.mask is None
    assert area.sentence == NOTHING
    np.testing.assert_array_equal(blank_outside(cine, area).frames[0], cine.frames[0])


def test_a_lesion_outside_is_part_of_the_image() -> None:
    cine, _ = screen()
    lesion = np.zeros(cine.shape, bool)
    lesion[5:15, 200:210] = True
    area = find_image_area(cine).including(lesion)
    assert area.mask is not None
    assert area.mask[lesion].all()
