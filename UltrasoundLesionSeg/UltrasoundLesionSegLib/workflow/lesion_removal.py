"""A lesion that is removed, and what it leaves in the masks of the others.

Lesions exclude each other: where two meet, each has a border that the other one gave it. When one goes, the others'
model masks beside it no longer hold, so they no longer count as done and the next propagation computes them again.
What a person drew or confirmed stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from UltrasoundLesionSegLib.cine import Mask, Origin
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

NEAR = 2
"""Pixels between two masks that still touch: where two lesions meet, a pixel can belong to neither."""


def remove_lesion(sequence: SegmentationSequence, segment: str) -> list[int]:
    """Remove a lesion from all frames and let the masks beside it be computed again.

    Parameters
    ----------
    sequence : SegmentationSequence
    segment : str
        ID of the lesion.

    Returns
    -------
    list of int
        Frames on which a mask of another lesion is to be computed again, ascending.

    Raises
    ------
    SceneError
        When there is no such lesion.
    """
    beside = _beside(sequence, segment)
    sequence.remove_segment(segment)
    for frame, other in beside:
        sequence.set_state(frame, other, replace(sequence.state(frame, other), provenance=""))
    return sorted({frame for frame, _ in beside})


def _beside(sequence: SegmentationSequence, segment: str) -> list[tuple[int, str]]:
    """Return frame and ID of the model's masks that a lesion touches, or left no pixel."""
    others = {one.id: sequence.states(one.id) for one in sequence.segments() if one.id != segment}
    found = []
    for frame in range(len(sequence)):
        mask = sequence.read(frame, segment)
        for other, states in others.items() if mask.any() else ():
            is_done = bool(states[frame].provenance) and not _is_anchor(states[frame].origin)
            if is_done and _competes(mask, sequence.read(frame, other)):
                found.append((frame, other))
    return found


def _is_anchor(origin: Origin | None) -> bool:
    return origin is not None and origin.is_anchor


def _competes(mask: Mask, other: Mask) -> bool:
    """Whether a mask took pixels from another one; masks that share pixels were allowed to overlap."""
    if (mask & other).any():
        return False
    return not other.any() or bool((_grown(mask) & other).any())


def _grown(mask: Mask) -> Mask:
    """Return a mask with all pixels that are at most ``NEAR`` rows and columns away from it."""
    height, width = mask.shape
    padded = np.pad(mask, NEAR)
    steps = range(2 * NEAR + 1)
    shifted = [padded[down : down + height, right : right + width] for down in steps for right in steps]
    return np.logical_or.reduce(shifted)
