"""What an adaptation learns from: lesions that a person outlined on some frames of a cine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine, Frame, FrameReader, Mask
from UltrasoundLesionSegLib.evaluation.layouts import Case

FEWEST_FRAMES = 2  # outlined by a person: one to start from, one to score on


@dataclass(frozen=True)
class OutlinedLesion(Case):
    """One lesion of a cine, outlined by a person on some frames.

    Parameters
    ----------
    name, patient : str
        Neither a person's name: a number of the case and the lesion, and whose cines belong together.
    cine : Cine
        From the first outlined frame to the last one.
    masks : mapping of int to ndarray of bool, shape (H, W)
        By frame of ``cine``; all False where the person says that the lesion is not visible.
    """

    masks: Mapping[int, Mask] = field(default_factory=dict)

    def truth(self, frame: int) -> NDArray[np.bool_] | None:
        """Return the lesion on a frame, bool (1, H, W); None where nobody outlined it."""
        mask = self.masks.get(frame)
        return None if mask is None else mask[None]


class _Part:
    """Some consecutive frames of a cine, read when asked for."""

    def __init__(self, frames: FrameReader, first: int, count: int) -> None:
        self._frames, self._first, self._count = frames, first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> Frame:
        if not 0 <= index < self._count:
            raise IndexError(f"frame {index} of {self._count}")
        return self._frames[self._first + index]


def outlined_lesion(name: str, patient: str, cine: Cine, masks: Mapping[int, Mask]) -> OutlinedLesion | None:
    """Return a lesion with the part of the cine that its outlined frames span.

    Parameters
    ----------
    name, patient : str
    cine : Cine
    masks : mapping of int to ndarray of bool, shape (H, W)

    Returns
    -------
    OutlinedLesion or None
        None where it is outlined on fewer than ``FEWEST_FRAMES`` frames, or visible on none.
    """
    if len(masks) < FEWEST_FRAMES or not any(mask.any() for mask in masks.values()):
        return None
    first, last = min(masks), max(masks)
    part = replace(cine, frames=_Part(cine.frames, first, last - first + 1), timing=None)
    return OutlinedLesion(name, patient, part, masks={frame - first: mask for frame, mask in masks.items()})


def split_patients(lesions: Sequence[OutlinedLesion], folds: int) -> list[set[str]]:
    """Return the patients of each fold: every patient in one of them, about as many lesions in each.

    Parameters
    ----------
    lesions : sequence of OutlinedLesion
    folds : int
        At most as many as patients.
    """
    counts: dict[str, int] = {}
    for lesion in lesions:
        counts[lesion.patient] = counts.get(lesion.patient, 0) + 1
    parts: list[set[str]] = [set() for _ in range(folds)]
    for patient in sorted(counts, key=lambda one: (-counts[one], one)):
        smallest = min(parts, key=lambda part: (sum(counts[one] for one in part), len(part)))
        smallest.add(patient)
    return parts
