"""The certainty of a network about a mask, used by the tracker's rules. People see the expected overlap instead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
