"""How a lesion stands out from what surrounds it, by which tissue that has taken its place is told from it.

A network that was told where the lesion is stays on the place after the lesion has left the plane, at least where the
old rim shows. A reader sees that what is inside now looks like what is outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask

RIM = 2  # pixels on either side of the outline that belong to neither
RING = 0.25  # width of the ring around the lesion, of the side of a square of its area
CLEAR = 0.5  # of the ring's standard deviation: a smaller contrast says nothing


@dataclass(frozen=True)
class Contrast:
    """The ring's level above the lesion's.

    Parameters
    ----------
    difference : float
        In grey levels; below 0 for a lesion brighter than its surroundings.
    clear : bool
        Whether it is large beside the ring's own variation.
    """

    difference: float
    clear: bool

    def share_of(self, reference: Contrast) -> float:
        """Return the difference as a share of another one; 1 where that one is not clear."""
        return self.difference / reference.difference if reference.clear else 1.0


def contrast(grey: NDArray[np.uint8], lesion: Mask) -> Contrast:
    """Return a lesion's contrast, not clear where there is no lesion or nothing around it.

    Parameters
    ----------
    grey : ndarray of uint8, shape (H, W)
        Black pixels are outside the sector and do not count as surroundings.
    lesion : ndarray of bool, shape (H, W)
    """
    inside = lesion.astype(np.uint8)
    rim = np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)
    core = cv2.erode(inside, rim) > 0
    if not core.any():
        core = lesion
    near = cv2.dilate(inside, rim)
    width = max(round(RING * math.sqrt(np.count_nonzero(lesion))), 3)
    # a square of ones is two lines to OpenCV: 0.05 ms for 160 x 160 pixels
    ring = (cv2.dilate(near, np.ones((2 * width + 1, 2 * width + 1), np.uint8)) > near) & (grey > 0)
    if not core.any() or not ring.any():
        return Contrast(0.0, clear=False)
    around = grey[ring]
    difference = float(around.mean() - grey[core].mean())
    return Contrast(difference, clear=abs(difference) > CLEAR * float(around.std()))
