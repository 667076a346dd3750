"""Clips of a probe that never rests, made of stills."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from UltrasoundLesionSegLib.evaluation.layouts import Layout, read_cases
from UltrasoundLesionSegLib.evaluation.moving_clips import write_moving_stills
from UltrasoundLesionSegLib.evaluation.moving_stills import Habit, MovingStill, strip_of
from UltrasoundLesionSegLib.fitting.still import Still


def still(seed: int) -> Still:
    rng = np.random.default_rng(seed)
    image = np.clip(120 + 20 * cv2.GaussianBlur(rng.normal(0, 3, (120, 160)), (0, 0), 2), 0, 255)
    rows, columns = np.mgrid[:120, :160]
    mask = ((rows - 60) / 18) ** 2 + ((columns - 80) / 26) ** 2 < 1
    image[mask] -= 60
    return Still(np.clip(image, 0, 255).astype(np.uint8), mask)


def test_a_strip_is_as_wide_as_its_stills_less_what_overlaps() -> None:
    strip = strip_of([still(n).image for n in range(3)], (120, 160))
    assert strip.shape == (120, 3 * 160 - 2 * 32)


def test_neighbouring_frames_differ_and_the_truth_is_where_it_is_dark() -> None:
    clip = MovingStill(still(0), still(1), still(2), 5, 8)
    clip.habit = Habit(rim=0.0, lobes=0, shadow=1.0, speed=0.02)
    images, masks = clip.clip()
    assert np.abs(np.diff(images.astype(float), axis=0)).mean(axis=(1, 2)).min() > 4
    for image, mask in zip(images, masks, strict=True):
        around = cv2.dilate(mask.astype(np.uint8), np.ones((41, 41), np.uint8)) > mask
        assert image[mask].mean() < image[around].mean() - 20


def test_a_bright_rim_belongs_to_the_lesion() -> None:
    def ring_minus_core(rim: float) -> float:
        clip = MovingStill(still(0), still(1), still(2), 5, 3)
        clip.habit = Habit(rim=rim, lobes=0, shadow=1.0, speed=0.02)
        images, masks = clip.clip()
        core = cv2.erode(masks[0].astype(np.uint8), np.ones((31, 31), np.uint8)) > 0
        edge = masks[0] & ~(cv2.erode(masks[0].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
        return float(images[0][edge].mean() - images[0][core].mean())

    assert ring_minus_core(0.1) > ring_minus_core(0.0) + 15


def test_the_set_is_one_clip_a_patient_and_the_same_again(many_stills: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_moving_stills(many_stills, tmp_path / name, 2)
    one, two = (list(read_cases(tmp_path / name, Layout.DAVIS)) for name in ("one", "two"))
    assert len({case.patient for case in one}) == 2
    assert all(np.array_equal(a.cine.frames[3], b.cine.frames[3]) for a, b in zip(one, two, strict=True))
    assert all(40 <= len(case.cine) <= 56 for case in one)
