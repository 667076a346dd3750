"""A lesion, hard and soft, as a picture from which a seed is read."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file

LEVEL = np.zeros((160, 200), np.uint8)
cv2.ellipse(LEVEL, (90, 70), (36, 26), 20, 0, 360, 255, -1)
LESION = LEVEL > 0
AREA = int(LESION.sum())
SECOND = cv2.circle(np.zeros_like(LEVEL), (165, 120), 14, 255, -1) > 0
SOFT = cv2.GaussianBlur(LEVEL, (0, 0), 1.5)
HALF = "half level and up of a soft-edged mask"


def read(tmp_path, image, suffix="png", **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(tmp_path / f"a.{suffix}", **options)
    return read_seed_file(tmp_path / f"a.{suffix}")


def areas(found):
    (labels,) = found.masks.values()
    return [int((labels == label).sum()) for label in range(1, labels.max() + 1)]
