"""A clip made of a still for validation: the image plane moves away from it at random.

Made to differ from training's clips (fitting/clip_synthesis.py) in every step, so that a model cannot score by having
learnt the generator: motion by key frames with layers that slide over each other instead of sinusoids; the section
changes towards another patient's lesion outline; speckle is a filtered random volume cut slice by slice; tissue comes
in through a moving front; gain in steps and frame averaging instead of smooth drift. Callipers and text are painted
over: on a real cine they do not move with the lesion.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.engine.outline import signed_distance
from UltrasoundLesionSegLib.fitting.still import Still

Field = NDArray[np.float32]

WALK_SEED = 50_000  # with a plan's own seed: the numbers of a walk
KEY_INTERVAL = 7  # frames between the key frames of the motion
FILM_SIDE = 64  # pixels of the longer side of the picture in which the hole is filled
FILM_STEPS = 1000  # of relaxation: fills a hole of half the picture to within one grey level


@dataclass(frozen=True)
class Difficulty:
    """How hard the clips are.

    Parameters
    ----------
    motion : float
        Standard deviation of a key frame's displacement, in lesion extents.
    section : float
        Largest share of another lesion's outline in the section.
    tissue : float
        Largest share of foreign tissue around the lesion.
    kept : float
        Share of the still's own speckle that never decays.
    exits : float
        Share of clips in which the lesion leaves the plane.
    gain : float
        Standard deviation of the gain, grey levels.
    interval : int
        Frames between the key frames of the motion.
    """

    motion: float
    section: float
    tissue: float
    kept: float
    exits: float
    gain: float
    interval: int = KEY_INTERVAL


@dataclass(frozen=True)
class ClipPlan:
    """What is drawn for one clip made of a still.

    Parameters
    ----------
    seed, frames : int
    difficulty : Difficulty
    """

    seed: int
    frames: int
    difficulty: Difficulty


def key_framed(
    rng: np.random.Generator, frames: int, shape: tuple[int, ...], interval: int = KEY_INTERVAL
) -> NDArray[np.float64]:
    """Return random walks through normal key frames, (T, *shape), 0 at frame 0, cubic between them (Catmull-Rom)."""
    count = frames // interval + 4
    keys = rng.normal(0, 1, (count, *shape))
    keys[1:] = (
        0.7 * keys[1:] + 0.7 * keys[:-1]
    )  # neighbouring key frames are alike: hands do not shake from one to the next
    time = np.arange(frames) / interval
    start = time.astype(int)
    share = (time - start).reshape(-1, *([1] * len(shape)))
    before, left, right, after = (keys[start + step] for step in range(4))
    path: NDArray[np.float64] = left + 0.5 * share * (
        right
        - before
        + share * (2 * before - 5 * left + 4 * right - after + share * (3 * (left - right) + after - before))
    )
    return path - path[:1]


def borrowed_outline(own: NDArray[np.bool_], other: NDArray[np.bool_]) -> Field:
    """Return the signed distance of another lesion's outline, moved and scaled to this lesion's place and area.

    Parameters
    ----------
    own, other : ndarray of bool, shape (H, W)
        Not empty.

    Returns
    -------
    ndarray of float32, shape (H, W)
        In pixels, positive inside.
    """
    moments, target = cv2.moments(other.astype(np.uint8), True), cv2.moments(own.astype(np.uint8), True)
    scale = float(np.sqrt(target["m00"] / moments["m00"]))
    columns, rows = (target["m10"] / target["m00"], target["m01"] / target["m00"])
    matrix = np.array(
        [
            [scale, 0, columns - scale * moments["m10"] / moments["m00"]],
            [0, scale, rows - scale * moments["m01"] / moments["m00"]],
        ]
    )
    height, width = own.shape
    moved = cv2.warpAffine(other.astype(np.uint8), matrix, (width, height)) > 0
    return signed_distance(moved if moved.any() else own)


def soap_film(level: Field, hole: NDArray[np.bool_]) -> Field:
    """Return a picture with its hole filled by the smoothest surface through the rim (Laplace's equation).

    A lesion that has left the plane must leave nothing behind that looks like one. Inpainting that carries edges into
    the hole (``cv2.INPAINT_NS``) left bodies there as dark and as sharply bounded as the lesion, and every method that
    stayed on one was scored as wrong.

    Parameters
    ----------
    level : ndarray of float32, shape (H, W)
    hole : ndarray of bool, shape (H, W)
    """
    height, width = level.shape
    scale = min(1.0, FILM_SIDE / max(height, width))
    small = max(round(width * scale), 1), max(round(height * scale), 1)
    inside = cv2.resize(hole.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0
    if inside.all():
        return level
    known = cv2.resize(level, small, interpolation=cv2.INTER_AREA)
    film = np.where(inside, known[~inside].mean(), known)
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
    for _ in range(FILM_STEPS):
        film = np.where(inside, cv2.filter2D(film, -1, cross, borderType=cv2.BORDER_REPLICATE), known)
    film = cv2.resize(film, (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.maximum(hole, cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 1.5))
    filled: Field = level + share * (film - level)
    return filled


def mirrored_structure(level: Field, hole: NDArray[np.bool_]) -> Field:
    """Return the structure of the tissue around a hole, mirrored into it; 0 outside the hole.

    A hole filled by a smooth surface alone is an even patch, which tells a network that the lesion has gone as no real
    cine does. What lies beside the hole counts ten times as much as what lies below and above it, because tissue is
    layered by depth.

    Parameters
    ----------
    level : ndarray of float32, shape (H, W)
    hole : ndarray of bool, shape (H, W)
    """
    rows, columns = (np.flatnonzero(hole.any(axis=axis)).astype(np.float32) for axis in (1, 0))
    if not len(rows):
        return np.zeros_like(level)
    extent = np.float32(np.sqrt(hole.sum()))
    structure = level - cv2.GaussianBlur(level, (0, 0), 0.15 * float(extent))
    row, column = np.mgrid[0 : hole.shape[0], 0 : hole.shape[1]].astype(np.float32)
    mixed, squares = np.zeros_like(level), np.full_like(level, 1e-6)
    for share, at_row, at_column in (
        (1.0, row, 2 * (columns[0] - 1) - column),
        (1.0, row, 2 * (columns[-1] + 1) - column),
        (0.1, 2 * (rows[-1] + 1) - row, column),
        (0.1, 2 * (rows[0] - 1) - row, column),
    ):
        usable = cv2.remap((~hole).astype(np.uint8), at_column, at_row, cv2.INTER_NEAREST)  # 0 past the picture's edges
        # fades out towards what is not usable, so that no seam shows
        weight = np.float32(share) * np.minimum(cv2.distanceTransform(usable, cv2.DIST_L2, 3) / (0.3 * extent), 1)
        mixed += weight * cv2.remap(structure, at_column, at_row, cv2.INTER_LINEAR)
        squares += weight**2
    # the four are not alike, so their variances add up
    soft = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 1.5)
    return np.asarray(soft * mixed / np.sqrt(squares), np.float32)


class SliceNoise:
    """Unit Rayleigh speckle, log-compressed: slices of a random volume that is smooth along time and space."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int], depth_of_focus: float) -> None:
        self._rng = rng
        self._shape = shape
        self._keep = float(np.exp(-1 / depth_of_focus))
        self._parts = [self._slice(), self._slice()]

    def _slice(self) -> Field:
        white = self._rng.normal(0, 1, self._shape).astype(np.float32)
        smooth = cv2.GaussianBlur(white, (0, 0), sigmaX=1.5, sigmaY=0.8)
        unit: Field = smooth / smooth.std()
        return unit

    def next(self) -> Field:
        """Return the next frame's speckle, mean 0 and spread 1."""
        fresh = np.sqrt(1 - self._keep**2)
        self._parts = [np.float32(self._keep) * part + np.float32(fresh) * self._slice() for part in self._parts]
        envelope = np.hypot(*self._parts)
        level = np.log(np.maximum(envelope, 0.08))
        unit: Field = (level - level.mean()) / level.std()
        return unit


class StillWalk:
    """A still as tissue that an image plane moves through.

    Parameters
    ----------
    still, other : Still
        Of the other one the lesion's outline and the tissue are used.
    plan : ClipPlan
    """

    def __init__(self, still: Still, other: Still, plan: ClipPlan) -> None:
        self._rng = rng = np.random.default_rng((WALK_SEED, plan.seed))
        frames, difficulty = plan.frames, plan.difficulty
        self._difficulty = difficulty
        self._frames = frames
        self._still = still
        height, width = still.image.shape
        image = still.image.astype(np.float32)
        self._base = cv2.bilateralFilter(still.image, 9, 45, 4).astype(np.float32)
        self._own = image - self._base
        self._spread = cv2.blur(np.abs(self._own), (15, 15)) * 1.25
        mask = still.mask
        self._extent = float(np.sqrt(mask.sum()))
        # hands do not move further because a lesion is large
        self._reach = min(self._extent, 0.25 * min(height, width))
        self._outlines = signed_distance(mask), borrowed_outline(mask, other.mask)
        reach = 2 * int(0.12 * self._extent) + 3
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        grown, shrunk = cv2.dilate(mask.astype(np.uint8), kernel), cv2.erode(mask.astype(np.uint8), kernel)
        self._around = soap_film(self._base, grown > 0) + mirrored_structure(self._base, grown > 0)
        self._spread_around = soap_film(self._spread, grown > 0)
        self._inside = float(self._base[shrunk > 0].mean()) if shrunk.any() else float(self._base[mask].mean())
        foreign = cv2.resize(cv2.bilateralFilter(other.image, 9, 45, 4), (width, height)).astype(np.float32)
        self._foreign = foreign + self._base.mean() - foreign.mean()
        self._noise = SliceNoise(rng, (height, width), float(rng.uniform(2, 6)))
        self._far = np.clip(-self._outlines[0] / (0.25 * self._extent) - 0.3, 0, 1)
        leaves = rng.random() < difficulty.exits
        self._away = np.sort(rng.uniform(0.3, 1.0, 2)) * frames if leaves else np.array([np.inf, np.inf])
        self._front = float(rng.uniform(0.3, 0.7)) * width, float(rng.choice([-1, 1])) * width / frames

    def clip(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return frames uint8 (T, H, W) and masks bool (T, H, W)."""
        rng, difficulty, frames = self._rng, self._difficulty, self._frames
        height, width = self._still.image.shape
        paths = key_framed(rng, frames, (5,), difficulty.interval) * difficulty.motion
        grids = key_framed(rng, frames, (2, 6, 5), difficulty.interval) * difficulty.motion * 0.35
        layers = key_framed(rng, frames, (8,), difficulty.interval) * difficulty.motion * 0.8
        section = (1 - np.cos(2 * np.pi * np.arange(frames) / rng.uniform(0.8, 2.0) / frames)) / 2 * difficulty.section
        swell = key_framed(rng, frames, (1,), difficulty.interval)[:, 0] * 0.09 * difficulty.section
        gain = np.cumsum((rng.random(frames) < 0.15) * rng.normal(0, difficulty.gain, frames))
        shade = key_framed(rng, frames, (2,), difficulty.interval) * difficulty.gain
        images: list[NDArray[np.uint8]] = []
        masks = []
        averaging = float(rng.uniform(0, 0.45)) if difficulty.section else 0.0
        shown: Field | None = None
        for time in range(frames):
            tissue, outline = self._section(time, float(section[time]), float(swell[time]))
            map_column, map_row = self._maps(paths[time], grids[time], layers[time])
            moved = cv2.remap(tissue, map_column, map_row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            mask = cv2.remap(outline, map_column, map_row, cv2.INTER_LINEAR, borderValue=-50.0) > 0
            slope = (
                np.linspace(-1, 1, height)[:, None] * shade[time, 0] + np.linspace(-1, 1, width)[None] * shade[time, 1]
            )
            moved = moved * np.float32(1 + gain[time] / 120) + slope.astype(np.float32)
            shown = moved if shown is None else np.float32(averaging) * shown + np.float32(1 - averaging) * moved
            images.append(np.clip(shown, 0, 255).astype(np.uint8))
            masks.append(mask)
        return np.stack(images), np.stack(masks)

    def _section(self, time: int, foreign_share: float, swell: float) -> tuple[Field, Field]:
        """Return tissue and the section's signed distance in the still's own plane."""
        difficulty = self._difficulty
        own, borrowed = self._outlines
        outline = (1 - foreign_share) * own + foreign_share * borrowed + swell * self._extent
        presence = 1.0
        if np.isfinite(self._away[0]):
            presence = float(np.clip(max(self._away[0] - time, time - self._away[1]) / 4 + 0.5, 0, 1))
            outline = outline - (1 - presence) * 0.3 * self._extent
        edge = 2.0 + 0.03 * self._extent
        now, before = (np.clip(one / edge + 0.5, 0, 1) for one in (outline, own))
        base = self._base + np.maximum(now - before, 0) * (self._inside - self._base)
        lost = np.maximum(before - now, 0)
        lost += np.float32(1 - presence) * np.clip(own / edge + 1.5, 0, 1) * (1 - lost)
        base += lost * (self._around - base)
        column = self._front[0] + self._front[1] * time
        side = np.sign(self._front[1]) * (column - np.arange(base.shape[1]))
        ahead = np.clip(side / (0.3 * base.shape[1]), 0, 1).astype(np.float32)[None]
        started = min(time / 10, 1.0)
        base += np.float32(difficulty.tissue * started) * ahead * self._far * (self._foreign - base)
        kept = difficulty.kept + (1 - difficulty.kept) / (1 + (time / 2.5) ** 2)
        # no speckle of the lesion may stay where the lesion has gone
        still_own = np.float32(kept) * (1 - lost)
        spread = self._spread + lost * (self._spread_around - self._spread)
        tissue = base + still_own * self._own + np.sqrt(1 - still_own**2) * spread * self._noise.next()
        visible = presence >= 0.5
        return tissue.astype(np.float32), outline.astype(np.float32) if visible else np.full_like(own, -50.0)

    def _maps(
        self, path: NDArray[np.float64], grid: NDArray[np.float64], layers: NDArray[np.float64]
    ) -> tuple[Field, Field]:
        """Return columns and rows of the still for each pixel of the frame."""
        height, width = self._still.image.shape
        row, column = np.mgrid[0:height, 0:width].astype(np.float32)
        depth = row / height
        # the probe presses: what lies deeper moves more, towards the skin
        row += (
            np.float32(path[0] * self._reach) * (0.3 + depth) + np.float32(path[3]) * depth * (column - width / 2) * 0.3
        )
        column += np.float32(path[1] * self._reach) + np.float32(path[2] * 0.4) * (column - width / 2)
        # tissue slides in layers, the skin with the probe
        slide = np.interp(np.linspace(0, 1, height), np.linspace(0, 1, len(layers)), layers * self._reach)
        column += cv2.GaussianBlur(slide.astype(np.float32)[:, None], (1, 0), 0, sigmaY=height / 30)
        for axis, target in ((0, row), (1, column)):
            target += cv2.resize(
                (grid[axis] * self._reach).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
            )
        return column, row
