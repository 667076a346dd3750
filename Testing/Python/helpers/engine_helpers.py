"""Small clips with known truth, and the inputs of a propagation, for the engine's tests."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine, SourceIdentity, SourceKind
from UltrasoundLesionSegLib.engine.propagation import PropagationInputs
from UltrasoundLesionSegLib.engine.signals import Signals
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches
from UltrasoundLesionSegLib.errors import FrameError


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def disc_over_speckle(
    number: int, count: int, step: float, start: int = 20
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return frames (T, 96, 120) and masks of a dark disc that moves left with its speckle, ``step`` pixels a frame."""
    width = 160 + 2 * start
    wide = cv2.GaussianBlur(np.random.default_rng(number).normal(0, 1, (96, width)).astype(np.float32), (0, 0), 2)
    wide = 120 + 25 * wide / wide.std()
    disc = np.zeros((96, width), np.uint8)
    cv2.circle(disc, (60 + start, 45), 16, 1, -1)
    wide[disc > 0] -= 70
    frames, masks = [], []
    for time in range(count):
        shift = np.array([[1.0, 0, -start - step * time], [0, 1.0, 0]])
        frames.append(np.clip(cv2.warpAffine(wide, shift, (120, 96)), 0, 255).astype(np.uint8))
        masks.append(cv2.warpAffine(disc, shift, (120, 96)) > 0)
    return np.stack(frames), np.stack(masks)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return 2 * float((one & other).sum()) / max(float(one.sum() + other.sum()), 1)


class BrokenFrames:
    """Frames of which some cannot be read."""

    def __init__(self, frames: NDArray[np.uint8], broken: Sequence[int]) -> None:
        self.frames = frames
        self.broken = broken

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if index in self.broken:
            raise FrameError(index, "made unreadable for a test")
        return self.frames[index]


class SignalsListener:
    """A judge of expected overlaps that keeps what it is told of each mask."""

    def __init__(self) -> None:
        self.told: list[Signals] = []

    def of_one(self, signals: Signals) -> float:
        self.told.append(signals)
        return 0.5

    def of_blend(
        self, expected: tuple[float, float], distances: tuple[int, int], agreement: float, decided: float
    ) -> float:
        return 0.5


def clip_of_moving_discs(
    frames: int,
    shape: tuple[int, int] = (96, 128),
    lesions: int = 1,
    color: bool = False,
    hidden: range = range(0),
    broken: Sequence[int] = (),
    noise: int = 12,
    cut: int | None = None,
) -> tuple[Cine, NDArray[np.bool_]]:
    """Return a cine of bright discs that drift over dark noise, and its truth (T, K, H, W)."""
    rng = np.random.default_rng(0)
    truth = np.zeros((frames, lesions, *shape), bool)
    scale = min(shape)
    for t in range(frames):
        for k in range(lesions):
            if t not in hidden:
                column = shape[1] * (0.3 + 0.4 * k) + 0.01 * scale * t
                truth[t, k] = disc(shape, shape[0] * 0.5 + 0.01 * scale * t, column, 0.16 * scale)
    background = np.where(np.mgrid[: shape[0], : shape[1]][0] % 40 < 20, 20, 70)
    video = np.clip(background + rng.integers(-noise, noise + 1, (frames, *shape)), 0, 100)
    if cut is not None:
        video[cut:] = np.clip(90 - background + rng.integers(-noise, noise + 1, (frames - cut, *shape)), 0, 100)
    video[truth.any(axis=1)] = 220
    pixels = video.astype(np.uint8)
    if color:
        pixels = np.repeat(pixels[..., None], 3, axis=3)
    identity = SourceIdentity(SourceKind.MEMORY, "0" * 64)
    return Cine(BrokenFrames(pixels, broken), *shape, color, identity), truth


def inputs_for(
    cine: Cine,
    anchors: Sequence[Anchor],
    direction: Direction = Direction.BOTH,
    frames: range | None = None,
    allow_overlap: bool = False,
) -> PropagationInputs:
    lesions = 1 + max(anchor.lesion for anchor in anchors)

    def known(index: int) -> NDArray[np.bool_]:
        masks = np.zeros((lesions, *cine.shape), bool)
        for anchor in anchors:
            if anchor.frame == index:
                masks[anchor.lesion] = anchor.mask
        return masks

    plan = plan_stretches(anchors, direction, frames or range(len(cine)))
    return PropagationInputs(cine, lesions, plan, known, allow_overlap)
