"""Stills for tests: dark ellipses on speckle."""

from __future__ import annotations

import cv2
import numpy as np


def draw_still(number: int, height: int = 150, width: int = 130) -> tuple[np.ndarray, np.ndarray]:
    """Return image uint8 and mask bool: a dark ellipse in brighter speckle."""
    rng = np.random.default_rng(number)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 1.2)
    mask = np.zeros((height, width), np.uint8)
    centre = (int(rng.integers(50, width - 50)), int(rng.integers(55, height - 55)))
    cv2.ellipse(
        mask, centre, (int(rng.integers(16, 24)), int(rng.integers(12, 18))), float(rng.uniform(0, 90)), 0, 360, 1, -1
    )
    level = np.where(mask > 0, 50, 130) + 20 * noise / noise.std()
    return np.clip(level, 0, 255).astype(np.uint8), mask > 0
