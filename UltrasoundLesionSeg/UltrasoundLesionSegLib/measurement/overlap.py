"""How much two masks agree."""

from __future__ import annotations

import numpy as np

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.measurement.shape import bounding_box


def dice(one: Mask, other: Mask) -> float:
    """Return the Dice coefficient of two masks, 0 to 1; 1 when both are empty, 0 when one is.

    Parameters
    ----------
    one, other : ndarray of bool, shape (H, W)
    """
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * float(np.count_nonzero(one & other)) / total if total else 1.0


def hausdorff95(one: Mask, other: Mask, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """Return the 95% Hausdorff distance of two masks.

    It is the larger one of two 95th percentiles: of the distances from the pixels of one boundary to the other
    boundary, and the reverse, as in ``monai.metrics.compute_hausdorff_distance``. Pixels of a mask on the image's
    border belong to its boundary.

    Parameters
    ----------
    one, other : ndarray of bool, shape (H, W)
    spacing : tuple of float
        (row_mm, column_mm) for a distance in mm; (1, 1) for one in pixels.

    Returns
    -------
    float
        nan when a mask is empty.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    around = bounding_box(one | other)
    if around is None or not one.any() or not other.any():
        return float("nan")
    padded = [np.pad(mask[around.slices], 1) for mask in (one, other)]
    edges = [mask & ~binary_erosion(mask, np.ones((3, 3))) for mask in padded]
    percentiles = []
    for edge, target in (edges, edges[::-1]):
        distance = distance_transform_edt(~target, sampling=spacing)
        percentiles.append(float(np.percentile(distance[edge], 95)))
    return max(percentiles)
