"""A still image with its lesion, of which clips are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask


@dataclass(frozen=True)
class Still:
    """A still image with its lesion.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W)
    mask : ndarray of bool, shape (H, W)
    """

    image: NDArray[np.uint8]
    mask: Mask
