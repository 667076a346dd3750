"""A cine for a simulated person: takes anchors, gives masks with their expected overlap, as the program does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine, Mask
from UltrasoundLesionSegLib.engine.clicking import size_nearby
from UltrasoundLesionSegLib.engine.merge import PackedProbabilities
from UltrasoundLesionSegLib.engine.next_frame import Outlook
from UltrasoundLesionSegLib.engine.propagation import PropagationInputs
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches
from UltrasoundLesionSegLib.evaluation.methods import Model

Masks = NDArray[np.bool_]  # (K, H, W)


class Follower(Protocol):
    """What carries a person's masks through a cine: a model, or a model fitted to this very lesion."""

    name: str

    def fill(self, cine: Cine, anchors: Mapping[int, Masks], frames: range) -> dict[int, Filled]:
        """Return what is found on ``frames``, less those with an anchor.

        Parameters
        ----------
        cine : Cine
        anchors : mapping of int to ndarray of bool, shape (K, H, W)
            Those that the result depends on: next to ``frames``, which show all lesions, among ``frames``, which do
            not, and what shows most of a lesion.
        frames : range
        """
        ...


@dataclass(frozen=True)
class Filled:
    """Masks found on a frame.

    Parameters
    ----------
    masks : tuple of PackedProbabilities
        One a lesion.
    expected : tuple of float
        Expected overlap of each.
    """

    masks: tuple[PackedProbabilities, ...]
    expected: tuple[float, ...]


class ModelFollower:
    """A model of this project, through the product's own propagation.

    Parameters
    ----------
    model : Model
    """

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self._model = model

    def fill(self, cine: Cine, anchors: Mapping[int, Masks], frames: range) -> dict[int, Filled]:
        """Return what a user would get."""
        given = [Anchor(lesion, frame, mask) for frame, masks in anchors.items() for lesion, mask in enumerate(masks)]
        count = len(next(iter(anchors.values())))
        stretches = plan_stretches(given, Direction.BOTH, frames)
        found: dict[int, Masks] = {}
        nothing = np.zeros((count, *cine.shape), bool)
        inputs = PropagationInputs(cine, count, stretches, lambda frame: found.get(frame, nothing).copy())
        filled: dict[int, Filled] = {}
        for result in self._model.propagate(inputs):
            found[result.frame] = result.masks
            if result.frame not in frames or result.frame in anchors:
                continue
            masks = tuple(PackedProbabilities.pack(mask) for mask in result.masks)
            before = filled[result.frame].expected if result.frame in filled else result.confidence
            told = np.where(result.computed, result.confidence, before)
            filled[result.frame] = Filled(masks, tuple(float(one) for one in told))
        return filled


@dataclass
class Session:
    """One cine while a person works on it. Only what a new anchor changes is computed again.

    Parameters
    ----------
    cine : Cine
    follower : Follower
    lesions : int
        K.
    known : dict of str to dict of int to Filled
        Results of the frames between two anchors, by a digest of the method, the frames and the anchors; sessions of
        one cine may share it.
    anchors : dict of int to ndarray of bool, shape (K, H, W)
        What the person drew or confirmed, by frame.
    """

    cine: Cine
    follower: Follower
    lesions: int
    known: dict[str, dict[int, Filled]] = field(default_factory=dict, repr=False)
    anchors: dict[int, Masks] = field(default_factory=dict)

    def draw(self, frame: int, masks: Masks) -> None:
        """Put a person's masks on a frame."""
        self.anchors[frame] = masks

    def sizes_nearby(self, frame: int) -> list[float | None]:
        """Return each lesion's longer side, in pixels, on the nearest other anchor that shows it; None without one."""
        return [size_nearby(frame, self.anchors, partial(self._drawn, lesion)) for lesion in range(self.lesions)]

    def _drawn(self, lesion: int, frame: int) -> Mask:
        mask: Mask = self.anchors[frame][lesion]
        return mask

    def results(self) -> dict[int, Filled]:
        """Return masks and expected overlaps of every frame without an anchor."""
        return self._filled_by(self.follower)

    def _filled_by(self, follower: Follower) -> dict[int, Filled]:
        showing = [frame for frame, masks in self.anchors.items() if masks.any(axis=(1, 2)).all()]
        found: dict[int, Filled] = {}
        for left, right in pairwise([-1, *sorted(showing), len(self.cine)]):
            frames = range(left + 1, right)
            if any(one not in self.anchors for one in frames):
                found |= self._between(follower, self._that_count(left, right), frames)
        return found

    def _that_count(self, left: int, right: int) -> dict[int, Masks]:
        """Return the anchors that the result between two anchors, or an anchor and an end of the cine, depends on."""
        given = [Anchor(k, frame, mask) for frame, masks in self.anchors.items() for k, mask in enumerate(masks)]
        stretches = plan_stretches(given, Direction.BOTH, range(left + 1, right))
        frames = {one.frame for stretch in stretches for one in stretch.anchors}
        return {frame: self.anchors[frame] for frame in sorted(frames)}

    def _between(self, follower: Follower, anchors: Mapping[int, Masks], frames: range) -> dict[int, Filled]:
        """Return what is found on a run of frames between anchors that show all lesions."""
        digest = hashlib.sha256(f"{follower.name} {frames}".encode())
        for frame, masks in anchors.items():
            digest.update(f" {frame} ".encode() + np.packbits(masks).tobytes())
        key = digest.hexdigest()
        if key not in self.known:
            self.known[key] = follower.fill(self.cine, anchors, frames)
        return self.known[key]

    def outlook(self, results: Mapping[int, Filled]) -> list[Outlook]:
        """Return what is expected of each lesion."""
        expected = np.full((self.lesions, len(self.cine)), np.nan)
        for frame, one in results.items():
            expected[:, frame] = one.expected
        anchors = tuple(sorted(self.anchors))
        absent = [tuple(one for one in anchors if not self.anchors[one][k].any()) for k in range(self.lesions)]
        return [Outlook(row, anchors, empty) for row, empty in zip(expected, absent, strict=True)]
