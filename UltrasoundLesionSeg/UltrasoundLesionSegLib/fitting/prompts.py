"""Wrong previous masks for training, so that a network learns to recover from errors instead of keeping them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask

Probabilities = NDArray[np.float32]


def corrupt_prior(mask: Mask, rng: np.random.Generator, wrongness: float) -> Probabilities:
    """Return a previous frame's probabilities as a network might have left them.

    Parameters
    ----------
    mask : ndarray of bool, shape (N, N)
        The truth on the previous frame.
    rng : Generator
    wrongness : float
        Probability, 0 to 1, that the prior is misplaced, misshapen, spread, empty or elsewhere; otherwise it is the
        truth, with a soft edge every other time.

    Returns
    -------
    ndarray of float32, shape (N, N)
    """
    size = mask.shape[0]
    prior = mask.astype(np.float32)
    if rng.random() < wrongness:
        kind = rng.choice(
            ["shape", "shift", "both", "part", "leak", "empty", "elsewhere"],
            p=[0.27, 0.17, 0.21, 0.08, 0.15, 0.07, 0.05],
        )
        if kind in ("shape", "both"):
            prior = _misshape(prior, rng)
        if kind in ("shift", "both"):
            prior = _shift(prior, rng)
        if kind == "part":
            prior = _cut_off(prior, rng)
        if kind == "leak":
            prior = _leak(prior, rng)
        if kind == "empty":
            prior = np.zeros_like(prior)
        if kind == "elsewhere":
            centre = tuple(int(value) for value in rng.integers(0, size, 2))
            axes = tuple(int(value) for value in rng.integers(size // 20 + 1, size // 4, 2))
            prior = np.zeros_like(prior)
            cv2.ellipse(prior, (centre, axes, float(rng.uniform(0, 180))), 1.0, -1)
    if rng.random() < 0.5:
        prior = np.asarray(cv2.GaussianBlur(prior, (0, 0), float(rng.uniform(0.5, size / 60))), np.float32)
    if rng.random() < 0.2:
        prior *= np.float32(rng.uniform(0.6, 1.0))
    return np.clip(prior, 0, 1, dtype=np.float32)  # filters overshoot by a rounding error


def _extent(prior: Probabilities) -> float:
    """Return the diameter of the disk of the same area, pixels."""
    return 2 * float(np.sqrt(max(float(prior.sum()), 1.0) / np.pi))


def _misshape(prior: Probabilities, rng: np.random.Generator) -> Probabilities:
    """Grow and shrink the mask unevenly, by up to a third of its radius."""
    size = prior.shape[0]
    inside = (prior > 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    amount = 0.15 * _extent(prior)
    field = rng.normal(float(rng.normal(0, 0.7)), 0.7, (6, 6)).astype(np.float32) * np.float32(amount)
    changed: Probabilities = (distance + cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC) > 0).astype(
        np.float32
    )
    return changed


def _shift(prior: Probabilities, rng: np.random.Generator) -> Probabilities:
    moved = rng.normal(0, 0.22 * _extent(prior), 2)
    matrix = np.array([[1, 0, moved[0]], [0, 1, moved[1]]])
    shifted: Probabilities = cv2.warpAffine(prior, matrix, prior.shape[::-1], flags=cv2.INTER_LINEAR).astype(np.float32)
    return shifted


def _leak(prior: Probabilities, rng: np.random.Generator) -> Probabilities:
    """Spread into the tissue beside the outline, as an outline that flows out does: one to three ellipses on it."""
    rows, columns = np.nonzero(prior > 0.5)
    if not len(rows):
        return prior
    leaked = prior.copy()
    extent = _extent(prior)
    for _ in range(int(rng.integers(1, 4))):
        chosen = int(rng.integers(len(rows)))
        angle = rng.uniform(0, 2 * np.pi)
        away = rng.uniform(0.2, 0.7) * extent
        centre = (int(columns[chosen] + away * np.cos(angle)), int(rows[chosen] + away * np.sin(angle)))
        axes = tuple(int(value) for value in rng.uniform(0.15, 0.7, 2) * extent + 1)
        cv2.ellipse(leaked, (centre, axes, float(rng.uniform(0, 180))), 1.0, -1)
    return leaked


def _cut_off(prior: Probabilities, rng: np.random.Generator) -> Probabilities:
    """Lose what lies on one side of a random line through the mask."""
    rows, columns = np.nonzero(prior > 0.5)
    if not len(rows):
        return prior
    chosen = int(rng.integers(len(rows)))
    angle = float(rng.uniform(0, 2 * np.pi))
    size = prior.shape[0]
    grid = np.arange(size, dtype=np.float32)
    side = (grid[:, None] - rows[chosen]) * np.sin(angle) + (grid[None, :] - columns[chosen]) * np.cos(angle)
    return np.where(side > 0, prior, np.float32(0)).astype(np.float32)
