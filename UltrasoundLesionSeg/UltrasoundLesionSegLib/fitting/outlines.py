"""Stills whose drawn outline differs from the edge of the dark core, so that networks learn to keep drawn outlines.

On most stills a lesion is dark, and its outline is the edge of the dark area. A network that sees only such lesions
learns to find the dark area, and leaves out parts of a lesion that look different: a bright rim, pointed lobes, a part
in shadow, tissue as bright as its surroundings. Here the outline is moved and the picture is changed with it, so that
only the drawn mask shows what belongs to the lesion.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.fitting.still import Still

Field = NDArray[np.float32]

GROWN = (-0.15, 0.4)  # of the lesion's radius: how far the outline is moved outwards
UNEVEN = 0.12  # of the radius, standard deviation: the same, unevenly along the outline
LOBE = (0.25, 0.7)  # of the radius: how far a pointed lobe reaches
RIM = (0.08, 0.25)  # of the radius: width of a bright rim
DARKEST = 0.25  # of the light that is left in a shadow


def drawn_otherwise(still: Still, rng: np.random.Generator) -> Still:
    """Return a still with another outline and, most often, a picture that goes with it.

    Parameters
    ----------
    still : Still
        With a lesion.
    rng : Generator

    Returns
    -------
    Still
        Of the same size; the same still where nothing would be left of the lesion.
    """
    radius = float(np.sqrt(max(int(still.mask.sum()), 1) / np.pi))
    mask = _moved_outline(still.mask, radius, rng)
    lobes = _lobes(mask, radius, rng) if rng.random() < 0.5 else np.zeros_like(mask)
    if mask.sum() < 0.5 * still.mask.sum():
        return still
    picture = still.image.astype(np.float32)
    level = float(np.median(still.image[still.mask]))
    if rng.random() < 0.7:  # else the lobe looks like the tissue around it
        picture += _soft(lobes & ~still.mask, 1.5) * np.float32(0.8) * (np.float32(level) - picture)
    mask = mask | lobes
    if rng.random() < 0.4:
        picture = _with_rim(picture, mask, level, radius, rng)
    if rng.random() < 0.4:
        picture = _with_shadow(picture, mask, rng)
    return Still(np.clip(picture, 0, 255).astype(np.uint8), mask)


def _moved_outline(mask: Mask, radius: float, rng: np.random.Generator) -> Mask:
    """Return the mask grown or shrunk, unevenly."""
    size = mask.shape
    distance = _signed_distance(mask)
    grid = rng.normal(0, UNEVEN * radius, (5, 5)).astype(np.float32)
    uneven = cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC)
    moved: Mask = distance + uneven + np.float32(rng.uniform(*GROWN) * radius) > 0
    return moved


def _lobes(mask: Mask, radius: float, rng: np.random.Generator) -> Mask:
    """Return one to three triangles that stand on the outline and point outwards."""
    lobes = np.zeros(mask.shape, np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return lobes > 0
    outline = max(contours, key=cv2.contourArea)[:, 0].astype(np.float32)
    centre = outline.mean(axis=0)
    for _ in range(int(rng.integers(1, 4))):
        foot = outline[int(rng.integers(len(outline)))]
        outwards = foot - centre
        outwards /= max(float(np.linalg.norm(outwards)), 1.0)
        across = np.array([-outwards[1], outwards[0]], np.float32) * np.float32(rng.uniform(0.2, 0.5) * radius)
        base = foot - outwards * np.float32(0.2 * radius)
        tip = foot + outwards * np.float32(rng.uniform(*LOBE) * radius)
        cv2.fillPoly(lobes, [np.round(np.stack([base + across, tip, base - across])).astype(np.int32)], 1)
    return lobes > 0


def _with_rim(picture: Field, mask: Mask, level: float, radius: float, rng: np.random.Generator) -> Field:
    """Brighten what lies inside the outline beside it, with the picture's own texture."""
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    inside = np.exp(-depth / np.float32(rng.uniform(*RIM) * radius)).astype(np.float32) * _soft(mask, 1.0)
    brighter = np.float32(rng.uniform(20, 90)) * (np.float32(0.5) + picture / np.float32(2 * max(level, 10.0)))
    rimmed: Field = picture + inside * np.minimum(brighter, np.float32(120))
    return rimmed


def _with_shadow(picture: Field, mask: Mask, rng: np.random.Generator) -> Field:
    """Darken a strip that begins inside the lesion and runs to the bottom, as behind a calcification."""
    rows, columns = np.nonzero(mask)
    width = float(columns.max() - columns.min() + 1)
    middle, half = rng.uniform(columns.min(), columns.max()), width * rng.uniform(0.1, 0.35)
    top = rng.uniform(rows.min(), rows.max())
    across = np.clip(1.5 - np.abs(np.arange(mask.shape[1]) - middle) / half, 0, 1)
    down = np.clip((np.arange(mask.shape[0]) - top) / (0.1 * width + 1), 0, 1)
    lost = np.float32(1 - rng.uniform(DARKEST, 0.8)) * (down[:, None] * across[None]).astype(np.float32)
    shadowed: Field = picture * (1 - lost)
    return shadowed


def _soft(mask: Mask, width: float) -> Field:
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), width), np.float32)


def _signed_distance(mask: Mask) -> Field:
    inside = mask.astype(np.uint8)
    distance: Field = cv2.distanceTransform(inside, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    return distance
