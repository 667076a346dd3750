"""The contrast of a lesion to its surroundings, used to distinguish it from other tissue in its place.

After the lesion has left the plane, a network often keeps a mask at its place, at least if the old rim still shows. A
reader sees that the inside now looks like the surroundings.
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
FAINT = 0.35  # share of the anchor's contrast; below it the lesion does not stand out
RISEN = 0.15  # share of it by which the inside must have become more like the ring
CLEAR = 0.5  # of the ring's standard deviation; a smaller contrast is not used


@dataclass(frozen=True)
class Contrast:
    """How bright a lesion and the ring around it are.

    Parameters
    ----------
    inside : float
        Mean grey level of the lesion.
    difference : float
        The ring's mean above it; below 0 for a lesion brighter than its surroundings.
    clear : bool
        Whether the difference is large beside the ring's own variation.
    """

    inside: float
    difference: float
    clear: bool

    def has_gone(self, anchor: Contrast) -> bool:
        """Tell whether what is inside does not stand out, because it has become like the surroundings on the anchor.

        Surroundings that become as dark as the lesion take the contrast away, too, and the lesion is still there.
        Where the anchor's contrast is not clear, nothing can be said, and the answer is no.
        """
        if not anchor.clear:
            return False
        risen = (self.inside - anchor.inside) / anchor.difference
        return self.difference / anchor.difference < FAINT and risen > RISEN


NO_CONTRAST = Contrast(math.nan, math.nan, clear=False)  # no lesion to compare with


def contrast(grey: NDArray[np.uint8], lesion: Mask) -> Contrast:
    """Return a lesion's contrast; ``NO_CONTRAST`` where there is no lesion or nothing around it.

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
        return NO_CONTRAST
    around = grey[ring]
    level = float(grey[core].mean())
    difference = float(around.mean()) - level
    return Contrast(level, difference, clear=abs(difference) > CLEAR * float(around.std()))
