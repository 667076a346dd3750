"""Folders in which every second picture is of another kind: masks are left out, all else stays and is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from source_makers import PLANTED, moving_frames

from UltrasoundLesionSegLib.readers.open import read_cine

Picture = NDArray[np.uint8]

COUNT, SIDE = 8, 200
FILES: dict[str, dict[str, Any]] = {"png": {}, "bmp": {}, "75.jpg": {"quality": 75}}
CLIPS = ["lung_video/Cov_convex_volpecelli_sonographic_v1.mov", "breast_series_dicom"]
LEFT_OUT = f"{COUNT} masks among the pictures of the folder left out: no frames of the cine."


@pytest.fixture(scope="module", params=CLIPS)
def clip(request: pytest.FixtureRequest, shared_data: Path) -> list[Picture]:
    """Consecutive grey frames of a real cine."""
    cine = read_cine(shared_data / "cine" / request.param)
    frames = [cine.frames[len(cine) // 2 + at] for at in range(COUNT)]
    return [fitted(one if one.ndim == 2 else cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(np.uint8)) for one in frames]


def fitted(frame: Picture) -> Picture:
    scale = SIDE / max(frame.shape)
    return np.asarray(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def opened(folder: Path, pictures: Sequence[Picture], kind: str) -> tuple[int, tuple[str, ...]]:
    """Save pictures under numbers; return how many frames they are, and the notes."""
    folder = folder / PLANTED
    folder.mkdir(parents=True)
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{index:03}.{kind[-3:]}", **FILES[kind])
    cine = read_cine(folder)
    return len(cine), tuple(one for one in cine.notes if "equal to another" not in one)


def between(frames: Sequence[Picture], others: Sequence[Picture]) -> list[Picture]:
    """Frame, other, frame, other; in colour where the others are."""
    shown = [np.dstack([one] * 3) if others[0].ndim == 3 else one for one in frames]
    return [one for pair in zip(shown, others, strict=True) for one in pair]


# ---- masks


def lesion(frame: Picture, at: int, radius: float = 0.16) -> Picture:
    height, width = frame.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    center = (int(width * (0.4 + 0.02 * at)), int(height * (0.5 + 0.03 * np.sin(at))))
    cv2.ellipse(mask, center, (int(radius * SIDE), int(0.7 * radius * SIDE)), 20, 0, 360, 255, -1)
    return mask


def second(mask: Picture) -> Picture:
    return np.asarray(cv2.circle(np.zeros_like(mask), (mask.shape[1] // 6, mask.shape[0] // 5), 14, 255, -1))


MASKS: dict[str, Callable[[Picture, int], Picture]] = {
    "0 and 1": lambda mask, at: mask // 255,
    "0 and 255": lambda mask, at: mask,
    "soft": lambda mask, at: np.asarray(cv2.GaussianBlur(mask, (0, 0), 2)),
    "red": lambda mask, at: np.dstack([mask, 0 * mask, 0 * mask]),
    "two levels": lambda mask, at: mask // 2 + second(mask),
    "two colours": lambda mask, at: np.dstack([mask, second(mask), 0 * mask]),
    "inverted": lambda mask, at: 255 - mask,
    "on few frames": lambda mask, at: mask * (at == 5),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("what", MASKS)
def test_masks_between_the_frames_of_a_real_cine(tmp_path: Path, clip: list[Picture], kind: str, what: str) -> None:
    masks = [MASKS[what](lesion(frame, at), at) for at, frame in enumerate(clip)]
    assert opened(tmp_path / "after", between(clip, masks), kind) == (COUNT, (LEFT_OUT,))
    assert (
        opened(tmp_path / "before", between(masks, clip) if masks[0].ndim == 2 else between(clip, masks), kind)[0]
        == COUNT
    )


@pytest.mark.parametrize("what", MASKS)
def test_masks_between_frames_of_which_the_first_are_black(tmp_path: Path, clip: list[Picture], what: str) -> None:
    frames = [frame * (at > 1) for at, frame in enumerate(clip)]
    masks = [MASKS[what](lesion(frame, at) * (at > 1), at) for at, frame in enumerate(frames)]
    assert opened(tmp_path, between(frames, masks), "png") == (COUNT, (LEFT_OUT,))


# ---- no masks: all pictures are frames


def flow(frame: Picture, at: int) -> Picture:
    """Colour flow on black, as some devices save it beside the B-mode frame."""
    height, width = frame.shape
    noise = np.random.default_rng(at).normal(size=frame.shape).astype(np.float32)
    speed = cv2.GaussianBlur(noise, (0, 0), 6) * np.hypot(*np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j] < 0.6)
    speed = speed / np.abs(speed).max()
    speed[np.abs(speed) < 0.3] = 0
    fast = (np.abs(speed) - 0.8).clip(0) * 600
    red, blue = np.where(speed > 0, 80 + 175 * speed, 0), np.where(speed < 0, 80 - 175 * speed, 0)
    return np.dstack([red, fast, blue]).clip(0, 255).astype(np.uint8)


def bubbles(frame: Picture, at: int) -> Picture:
    """A contrast frame: hardly anything but a few bubbles."""
    random = np.random.default_rng(at)
    points = np.zeros(frame.shape, np.float32)
    points[random.integers(frame.shape[0], size=25), random.integers(frame.shape[1], size=25)] = 6000
    points *= random.uniform(0.4, 1, frame.shape)
    return (
        (cv2.GaussianBlur(points, (0, 0), 1.5) + np.abs(random.normal(0, 1.5, frame.shape)))
        .clip(0, 255)
        .astype(np.uint8)
    )


DUAL: dict[str, Callable[[Picture, int], Picture]] = {
    "colour flow": flow,
    "contrast": bubbles,
    "smoothed": lambda frame, at: np.asarray(cv2.medianBlur(frame, 31)),
    "low gain": lambda frame, at: (frame * 0.1).astype(np.uint8),
    "black": lambda frame, at: 0 * frame,
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("what", DUAL)
def test_two_series_that_alternate_are_frames_and_told(
    tmp_path: Path, clip: list[Picture], kind: str, what: str
) -> None:
    others = [DUAL[what](frame, at) for at, frame in enumerate(clip)]
    count, notes = opened(tmp_path, between(clip, others), kind)
    assert count == 2 * COUNT
    assert what == "smoothed" or "Pictures at every second place are alike" in notes[-1]


@pytest.mark.parametrize(("what", "every"), [("colour flow", 1), ("contrast", 1), ("contrast", 2)])
def test_a_second_series_under_a_name_of_its_own_is_no_set_of_masks(
    tmp_path: Path, clip: list[Picture], what: str, every: int
) -> None:
    folder = tmp_path / PLANTED
    folder.mkdir()
    others = [DUAL[what](frame, at) for at, frame in enumerate(clip)]
    for at, (frame, other) in enumerate(zip(clip, others, strict=True)):
        Image.fromarray(np.dstack([frame] * 3)).save(folder / f"bmode_{at}.png")
        if at % every == 0:
            Image.fromarray(np.dstack([other] * 3) if other.ndim == 2 else other).save(folder / f"dual_{at}.png")
    assert len(read_cine(folder)) == COUNT + COUNT // every


@pytest.mark.parametrize("kind", FILES)
def test_real_cines_are_all_frames_without_a_note(tmp_path: Path, clip: list[Picture], kind: str) -> None:
    black = [0 * clip[0]] * 4
    for name, pictures in {
        "moving": clip,
        "frozen": [clip[0]] * COUNT,
        "black first": black + clip,
        "frozen at the end": clip + [clip[-1]] * 4,
        "cut at a level": [(frame > 60).astype(np.uint8) * 255 for frame in clip],
    }.items():
        assert opened(tmp_path / name, pictures, kind) == (len(pictures), ()), name


@pytest.mark.parametrize("levels", [(60, 140), (140, 60), (0, 255), (40, 90)])
@pytest.mark.parametrize("noise", [0, 2])
def test_phantoms_of_two_levels_are_frames(tmp_path: Path, levels: tuple[int, int], noise: int) -> None:
    rows, columns = np.mgrid[:96, :160]
    for kind in FILES:
        for step in (0, 4, 5):
            pictures = []
            for at in range(COUNT):
                inside = (rows - 48) ** 2 + (columns - 30 - step * at) ** 2 < 15**2
                level = np.where(inside, *levels) + np.random.default_rng(at).normal(0, noise, inside.shape)
                pictures.append(level.clip(0, 255).astype(np.uint8))
            assert opened(tmp_path / f"{kind} {step}", pictures, kind) == (COUNT, ())


def test_an_odd_picture_more_leaves_it_in_doubt(tmp_path: Path, clip: list[Picture]) -> None:
    masks = [lesion(frame, at) for at, frame in enumerate(clip)]
    count, notes = opened(tmp_path, between(clip, masks)[:-1], "png")
    assert (count, len([note for note in notes if "hardly alike" not in note])) == (2 * COUNT - 1, 1)


def test_black_pictures_that_a_program_saved_with_one_bit_are_frames(tmp_path: Path) -> None:
    for at, frame in enumerate(moving_frames(8)):
        image = Image.fromarray(frame) if at > 2 else Image.fromarray(0 * frame).convert("1")
        image.save(tmp_path / f"{at}.png")
    assert len(read_cine(tmp_path)) == 8
