"""Signals that tell how well a mask fits, without the truth.

Signals that predicted nothing on held-out clips are not used: the change of area from frame to frame, the change of the
whole picture (a moving probe changes it although nothing is wrong), the contrast to the surroundings, and, beside the
other signals, how much a mask that is kept resembles the lesion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask

NAN = math.nan


@dataclass(frozen=True)
class Signals:
    """What one direction of propagation knows of a lesion's mask on a frame; nan where something does not apply.

    Parameters
    ----------
    certainty : float
        How far from undecided the network is about the lesion it sees (``confidence.certainty``), 0 to 1.
    unseen : float
        The same about there being none, where the mask is empty.
    hidden : float
        Frames since the lesion was last seen, this one included, where the mask is empty.
    last_likeness : float
        How much of the structure at the lesion's last place is still in view, 0 to 1, where the mask is empty.
    soft_overlap : float
        Dice of the network's probabilities with themselves cut at 0.5: what it expects itself.
    flow_overlap : float
        Dice of the mask and the anchor's outline carried by optical flow alone.
    likeness : float
        How much of the anchor's structure is still in view around the outline, 0 to 1.
    anchor_overlap : float
        Dice of what the network draws on the anchor itself and what the person drew there.
    distance : float
        Frames to the anchor.
    return_overlap : float
        Dice of the mask and the anchor's outline, moved onto it and carried by optical flow, where the lesion was lost
        before.
    absence : float
        Frames to the nearest one of the stretch that a person marked "not visible".
    refused : float
        How much what the network saw resembles the lesion, -1 to 1 (``resemblance.py``), where it was not taken for it,
        so that the mask is empty.
    """

    certainty: float = NAN
    unseen: float = NAN
    hidden: float = NAN
    last_likeness: float = NAN
    soft_overlap: float = NAN
    flow_overlap: float = NAN
    likeness: float = NAN
    anchor_overlap: float = NAN
    distance: float = NAN
    return_overlap: float = NAN
    absence: float = NAN
    refused: float = NAN


SIGNALS = tuple(field.name for field in fields(Signals))


def overlap(one: Mask, other: Mask) -> float:
    """Return the Dice coefficient of two masks of the same shape; 1 when both are empty."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total if total else 1.0


def soft_overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the soft Dice of two maps in [0, 1] of the same shape; 1 when both are empty."""
    total = float(one.sum() + other.sum())
    if total < 1:
        return 1.0
    return 2 * float(np.minimum(one, other).sum()) / total
