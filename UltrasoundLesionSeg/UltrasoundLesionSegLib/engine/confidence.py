"""How sure a propagated mask is: a number in [0, 1] that ranks frames for review, not a probability of being right.

Three signs multiply, because each alone is reason enough to look: the network hesitates, the lesion changes size at
once, or the picture itself jumps (a cut, a lost contact of the probe). How well the product ranks frames is measured by
``evaluation/review.py``.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame

THUMBNAIL = 48  # pixels a side: coarse enough that speckle averages out and only the scene remains
# Correlation of neighbouring thumbnails: a cut between two sweeps over one breast falls to 0.84, everything else in
# that clip and in the lung clips stays above 0.98 (one clip with sliding pleura: 0.88).
SAME_SCENE = 0.96  # at and above: continuous
OTHER_SCENE = 0.82  # at and below: cut
# Areas of neighbouring frames, smaller over larger. At and above: how lesions change. Taken as they come, changes of a
# few percent drown what the network's own certainty says: on the hard validation clips a poor mask was then less sure
# than another in 83% of pairs instead of 93% (Docs/models.md).
STEADY = 0.6


def thumbnail(frame: Frame) -> NDArray[np.float32]:
    """Return the frame as a small zero-mean, unit-norm picture, shape (48 * 48,); zeros for a uniform frame."""
    while min(frame.shape[:2]) >= 4 * THUMBNAIL:
        # halving takes a quarter of the time of averaging over a fraction of pixels; an odd last row or column is left
        rows, columns = frame.shape[0] // 2, frame.shape[1] // 2
        whole = frame[: 2 * rows, : 2 * columns]
        frame = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    return small / norm if norm > 0 else small


def continuity(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """Return 1 where two thumbnails show the same scene, 0 where they show different ones, linear between."""
    correlation = float(before @ now)
    if not before.any() and not now.any():
        correlation = 1.0  # two uniform frames are alike
    return float(np.clip((correlation - OTHER_SCENE) / (SAME_SCENE - OTHER_SCENE), 0.0, 1.0))


def certainty(probabilities: NDArray[np.float32]) -> float:
    """Return how far from undecided the network is about the lesion.

    With a lesion: the mean of ``|2 p - 1|`` over the pixels with p > 0.05, the lesion and its doubtful rim.
    Without one (no p > 0.5): one minus the highest probability, doubled to span [0, 1].

    Parameters
    ----------
    probabilities : ndarray of float32, any shape
    """
    if probabilities.size == 0:
        return 1.0
    highest = float(probabilities.max())
    if highest <= 0.5:
        return float(np.clip(2 * (1 - highest) - 1, 0.0, 1.0))
    concerned = probabilities[probabilities > 0.05]
    return float(np.abs(2 * concerned - 1).mean())


def steadiness(area_before: float, area_now: float) -> float:
    """Return 1 where the area in pixels hardly changes, less in proportion beyond that.

    A lesion that appears or disappears counts as one that grew or shrank to the double or half.
    """
    if area_before <= 0 and area_now <= 0:
        return 1.0
    if area_before <= 0 or area_now <= 0:
        ratio = 0.5
    else:
        ratio = min(area_before, area_now) / max(area_before, area_now)
    return min(1.0, ratio / STEADY)


def agreement(forward: NDArray[np.float32], backward: NDArray[np.float32]) -> float:
    """Return the soft Dice of two probability maps of the same shape; 1 when both are empty."""
    total = float(forward.sum() + backward.sum())
    if total < 1:
        return 1.0
    return 2 * float(np.minimum(forward, backward).sum()) / total
