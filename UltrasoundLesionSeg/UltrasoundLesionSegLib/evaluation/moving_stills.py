"""Test clips of a probe that never rests, made of stills: tissue runs through the picture, the lesion is hard to fill.

Nothing here is shared with the clips of the training (``fitting/clip_synthesis.py``) or with the other validation
clips (``val_clips.py``). Three stills are joined to a strip of tissue that the picture slides along, so neighbouring
frames differ much although nothing is wrong with them. The lesion is drawn again with what networks tend to leave out:
a bright rim that belongs to it, pointed lobes, a part in a shadow. Its section swells, shrinks and turns as the plane
moves on, and the speckle is that of a random volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.fitting.still import Still

Field = NDArray[np.float32]
SIDE = 384  # rows of a clip; the columns follow the still's shape
OVERLAP = 0.2  # of a still's width, over which it is faded into the next one


@dataclass(frozen=True)
class Habit:
    """What the lesion of a clip has, drawn once.

    Parameters
    ----------
    rim : float
        Width of the bright rim over the lesion's extent; 0 for none.
    lobes : int
        Pointed lobes.
    shadow : float
        Share of the light that is left in the shadow across the lesion; 1 for none.
    speed : float
        Of the probe, picture widths a frame.
    """

    rim: float
    lobes: int
    shadow: float
    speed: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Habit:
        """Draw one."""
        return cls(
            rim=float(rng.uniform(0.06, 0.14)) if rng.random() < 0.6 else 0.0,
            lobes=int(rng.integers(0, 4)),
            shadow=float(rng.uniform(0.25, 0.6)) if rng.random() < 0.6 else 1.0,
            speed=float(rng.uniform(0.012, 0.03)),
        )


def strip_of(stills: Sequence[NDArray[Any]], shape: tuple[int, int]) -> Field:
    """Return pictures side by side as one, each of ``shape`` and faded into the next, float32 (H, W)."""
    height, width = shape
    band = int(OVERLAP * width)
    alike = [cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) for one in stills]
    strip = alike[0]
    for following in alike[1:]:
        following *= strip[:, -band:].mean() / max(float(following[:, :band].mean()), 1.0)
        share = np.linspace(0, 1, band, dtype=np.float32)[None]
        seam = strip[:, -band:] * (1 - share) + following[:, :band] * share
        strip = np.concatenate([strip[:, :-band], seam, following[:, band:]], axis=1)
    return strip


class MovingStill:
    """One clip in the making.

    Parameters
    ----------
    still : Still
        Whose lesion is followed.
    left, right : Still
        The tissue beside it.
    seed : int
    frames : int
    """

    def __init__(self, still: Still, left: Still, right: Still, seed: int, frames: int) -> None:
        self._rng = rng = np.random.default_rng((3, seed))
        self._frames = frames
        self.habit = Habit.drawn(rng)
        height, width = still.image.shape
        self._shape = SIDE, round(width * SIDE / height)
        picture = cv2.resize(still.image, self._shape[::-1], interpolation=cv2.INTER_AREA)
        mask = cv2.resize(still.mask.astype(np.float32), self._shape[::-1], interpolation=cv2.INTER_LINEAR)
        wide = strip_of([without_lesion(left), picture, without_lesion(right)], self._shape)
        self._start = (wide.shape[1] - self._shape[1]) // 2  # the still's own column 0
        self._tissue = cv2.medianBlur(np.clip(wide, 0, 255).astype(np.uint8), 5).astype(np.float32)
        body = np.zeros(wide.shape, np.float32)
        body[:, self._start : self._start + self._shape[1]] = mask
        self._extent = float(np.sqrt((mask > 0.5).sum()))
        level = float(np.median(self._tissue[body > 0.5]))
        self._level = level
        around = cv2.dilate((body > 0.5).astype(np.uint8), np.ones((25, 25), np.uint8)) > (body > 0.5)
        self._bright = max(float(np.percentile(self._tissue[around], 90)), level + 40)
        contours, _ = cv2.findContours((body > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = max(contours, key=cv2.contourArea)[:, 0].astype(np.float32)
        self._centre = outline.mean(axis=0)
        self._base = self._resampled(outline - self._centre)
        self._bumps = [
            (float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.15, 0.4))) for _ in range(self.habit.lobes)
        ]
        # the still's own dark body is filled first, so that a smaller section leaves no ghost
        grown = cv2.dilate((body > 0.5).astype(np.uint8), np.ones((15, 15), np.uint8))
        ring = cv2.GaussianBlur(self._tissue * (1 - grown), (0, 0), 25)
        weight = cv2.GaussianBlur((1 - grown).astype(np.float32), (0, 0), 25)
        filled = ring / np.maximum(weight, np.float32(1e-3))
        soft = cv2.GaussianBlur(grown.astype(np.float32), (0, 0), 4)
        self._tissue = (self._tissue * (1 - soft) + filled * soft).astype(np.float32)

    @staticmethod
    def _resampled(outline: Field, points: int = 180) -> Field:
        """Return the outline's distance from its centre at equally spaced angles, shape (points,)."""
        angles = np.arctan2(outline[:, 1], outline[:, 0])
        order = np.argsort(angles)
        radii = np.hypot(outline[:, 0], outline[:, 1])[order]
        wanted = np.linspace(-np.pi, np.pi, points, endpoint=False)
        return np.interp(wanted, angles[order], radii, period=2 * np.pi).astype(np.float32)

    def clip(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return frames uint8 (T, H, W) and masks bool (T, H, W)."""
        rng, frames = self._rng, self._frames
        height, width = self._shape
        phase, turns = rng.uniform(0, 2 * np.pi, 6), rng.uniform(0.5, 1.4, 6)
        time = np.arange(frames) / frames
        sway = [np.sin(2 * np.pi * turns[i] * time + phase[i]) - np.sin(phase[i]) for i in range(6)]
        # to and fro, never at rest: a triangle, not a sine; the lesion stays in the picture
        room = 0.28 * width
        travelled = self.habit.speed * width * np.arange(frames)
        shift = room * (2 / np.pi) * np.arcsin(np.sin(travelled / room * np.pi / 2 + phase[0]))
        shift -= shift[0]
        grain = _Grain(rng, (height, width))
        images, masks = [], []
        shadow_at, shadow_wide = rng.uniform(-0.4, 0.4), rng.uniform(0.25, 0.5)
        for t in range(frames):
            radii = self._radii(float(sway[1][t]), float(sway[2][t]), float(sway[5][t]))
            body = self._filled(radii)
            level = self._lesion(body)
            place = np.array(
                [
                    [1 + 0.04 * sway[3][t], 0.06 * sway[4][t], self._start + shift[t]],
                    [0.04 * sway[3][t], 1 + 0.05 * sway[4][t], 0.05 * height * sway[2][t]],
                ],
                np.float32,
            )
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            shown = cv2.warpAffine(level, place, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
            mask = cv2.warpAffine(body, place, (width, height), flags=flags) > 0.5
            if self.habit.shadow < 1 and mask.any():
                shown = shown * self._shadow(mask, shadow_at, shadow_wide)
            spread = 4 + 0.16 * shown
            images.append(np.clip(shown + spread * grain.next(), 0, 255).astype(np.uint8))
            masks.append(mask)
        return np.stack(images), np.stack(masks)

    def _radii(self, swell: float, turn: float, lobe: float) -> Field:
        """Return the section's radius at each angle."""
        points = len(self._base)
        angles = np.linspace(-np.pi, np.pi, points, endpoint=False)
        radii = self._base * np.float32(1 + 0.18 * swell)
        radii = np.interp(angles + 0.2 * turn, angles, radii, period=2 * np.pi)
        for number, (where, height) in enumerate(self._bumps):
            away = np.angle(np.exp(1j * (angles - where)))
            grown = height * (1 + 0.5 * lobe * (-1) ** number)
            radii = radii + self._extent * max(grown, 0.05) * np.maximum(1 - np.abs(away) / 0.3, 0)
        return radii.astype(np.float32)

    def _filled(self, radii: Field) -> Field:
        angles = np.linspace(-np.pi, np.pi, len(radii), endpoint=False)
        points = self._centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
        body = np.zeros(self._tissue.shape, np.uint8)
        cv2.fillPoly(body, [np.round(points * 16).astype(np.int32)], 1, shift=4)
        return body.astype(np.float32)

    def _lesion(self, body: Field) -> Field:
        soft = cv2.GaussianBlur(body, (0, 0), 1.5)
        level = self._tissue * (1 - soft) + self._level * soft
        if self.habit.rim:
            inside = cv2.distanceTransform((body > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
            rim = np.exp(-((inside / (self.habit.rim * self._extent)) ** 2)) * soft
            level += rim.astype(np.float32) * np.float32(0.8 * (self._bright - self._level))
        return level.astype(np.float32)

    def _shadow(self, mask: NDArray[np.bool_], at: float, wide: float) -> Field:
        """Return what is left of the light: a strip from the lesion's upper rim downwards."""
        rows, columns = np.nonzero(mask)
        half = (columns.max() - columns.min()) / 2 + 1
        middle = (columns.max() + columns.min()) / 2 + at * half
        x = (np.arange(mask.shape[1]) - middle) / (wide * half)
        across = 1 / (1 + np.exp(-(1 - np.abs(x)) * 6))
        depth = 1 / (1 + np.exp(-(np.arange(mask.shape[0]) - rows.min() - 0.25 * (rows.max() - rows.min())) / 6.0))
        left: Field = (1 - (1 - self.habit.shadow) * depth[:, None] * across[None]).astype(np.float32)
        return left


class _Grain:
    """Speckle as a slice of a random volume that the plane moves through: Rayleigh, mean 0 and spread 1."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int], planes: int = 4) -> None:
        self._rng, self._shape = rng, shape
        self._planes = [self._plane() for _ in range(planes)]

    def _plane(self) -> NDArray[np.complex64]:
        white = self._rng.normal(0, 1, (2, *self._shape)).astype(np.float32)
        parts = [cv2.blur(one, (5, 3)) for one in white]
        return (parts[0] + 1j * parts[1]).astype(np.complex64)

    def next(self) -> Field:
        self._planes = [*self._planes[1:], self._plane()]
        weights = np.hanning(len(self._planes) + 2)[1:-1]
        field = sum(w * plane for w, plane in zip(weights, self._planes, strict=True))
        envelope = np.abs(np.asarray(field))
        level: Field = (envelope / envelope.mean() - 1) / 0.52
        return level.astype(np.float32)


def without_lesion(still: Still) -> NDArray[np.uint8]:
    """Return a still's tissue with its lesion mirrored away, so that the strip has one lesion alone."""
    grown = cv2.dilate(still.mask.astype(np.uint8), np.ones((21, 21), np.uint8))
    mirrored = cv2.flip(still.image, 1)
    soft = cv2.GaussianBlur(grown.astype(np.float32), (0, 0), 5)
    joined = still.image * (1 - soft) + mirrored * soft
    both = (grown > 0) & (cv2.flip(grown, 1) > 0)
    if both.any():  # a lesion in the middle is its own mirror image
        joined = cv2.inpaint(joined.astype(np.uint8), both.astype(np.uint8), 5, cv2.INPAINT_TELEA).astype(np.float32)
    return np.clip(joined, 0, 255).astype(np.uint8)
