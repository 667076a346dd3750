"""The forward and the backward result of a frame between two anchors, joined.

Where one pass sees the lesion and the other sees nothing, their expected overlaps say little about which is right: a
pass that follows other tissue is sure of it, and so is one that takes a lesion in view for one that has left. Two
things do tell. A pass that never finds the lesion again, not even beside the outline drawn at the far end, has lost it;
and a pass that has followed the lesion from its anchor without a gap probably follows it still. What it found again
while the other pass sees nothing is something else. All this is known only when the pass has ended, so such frames are
blended at first, and decided when both passes have ended.

What a person marked "not visible" on one frame a pass may have followed there for a while. It learns so on that frame,
and takes the masks on the frames before back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.engine.expected_overlap import Judge
from UltrasoundLesionSegLib.engine.merge import PackedProbabilities, blend
from UltrasoundLesionSegLib.engine.signals import overlap, soft_overlap
from UltrasoundLesionSegLib.engine.stretches import Stretch

# Dice of a pass's last mask with the outline drawn on the next frame, from which on the pass arrived at it
# (Docs/results/ablations.md, "Between two anchors")
ARRIVED = 0.5


@dataclass(frozen=True)
class Joined:
    """What both passes give for a lesion on a frame.

    Parameters
    ----------
    lesion, index : int
    probabilities : ndarray of float32, shape (H, W)
    expected : float
        Expected overlap, 0 to 1.
    is_final : bool
        False where one pass sees the lesion and the other does not; ``decided`` gives it again.
    """

    lesion: int
    index: int
    probabilities: NDArray[np.float32]
    expected: float
    is_final: bool = True


@dataclass(frozen=True)
class _Result:
    """What one pass gave for a frame, or both together."""

    probabilities: PackedProbabilities
    expected: float
    unbroken: bool = False  # whether the pass saw the lesion on every frame that it computed from its anchor to this


@dataclass(frozen=True)
class _Open:
    """A frame on which one pass sees the lesion and the other does not."""

    index: int
    sees: _Result
    other: _Result
    is_forward: bool  # which pass sees it
    blended: _Result


class BothDirections:
    """Holds the forward results between two anchors and joins the backward ones with them.

    Parameters
    ----------
    overlap : Judge
        Tells the expected overlap of a blend.
    """

    def __init__(self, overlap: Judge) -> None:
        self._overlap = overlap
        self._held: dict[tuple[int, int], _Result] = {}  # by lesion and frame
        self._open: dict[int, tuple[Stretch, list[_Open]]] = {}  # by the stretch's identity
        # by the stretch's identity and whether forward
        self._lost: set[tuple[int, bool]] = set()
        self._arrived: dict[tuple[int, bool], bool] = {}
        # forward results of frames that the backward pass may take back, and what is taken back, by lesion and frame
        self._before_absent: dict[tuple[int, int], _Result] = {}
        self._taken_back: dict[tuple[int, int], Joined] = {}

    def hold(self, stretch: Stretch, index: int, probabilities: NDArray[np.float32], expected: float) -> None:
        """Keep a forward result until the backward one is there.

        Parameters
        ----------
        stretch : Stretch
            Between two anchors.
        index : int
        probabilities : ndarray of float32, shape (H, W)
        expected : float
            Expected overlap, 0 to 1.
        """
        self._note(stretch, index, probabilities, forward=True)
        unbroken = (id(stretch), True) not in self._lost
        self._held[stretch.lesion, index] = _Result(PackedProbabilities.pack(probabilities), expected, unbroken)

    def join(
        self,
        stretch: Stretch,
        index: int,
        probabilities: NDArray[np.float32],
        expected: float,
        *,
        with_absent: bool = False,
    ) -> Joined:
        """Return the blend of a backward result and the forward one held.

        Parameters
        ----------
        stretch, index, probabilities, expected
            As for ``hold``.
        with_absent : bool
            Whether the pass that has come past a frame marked "not visible" counts for more near it. Only where masks
            are not taken back: what was followed up to there by mistake would be believed.
        """
        self._note(stretch, index, probabilities, forward=False)
        held = self._held.pop((stretch.lesion, index), None)
        if held is None:  # the forward pass could not read this frame, the backward pass could
            return Joined(stretch.lesion, index, probabilities, expected)
        if any(one < index for one in stretch.absent):
            self._before_absent[stretch.lesion, index] = held
        seen, seen_back = held.probabilities.unpack() > 0.5, probabilities > 0.5
        distances = stretch.distances(index, with_absent=with_absent)
        blended, told = self._blend(distances, held, probabilities, expected)
        is_open = bool(seen.any()) != bool(seen_back.any())
        if is_open:
            unbroken = (id(stretch), False) not in self._lost
            backward = _Result(PackedProbabilities.pack(probabilities), expected, unbroken)
            sees, other = (held, backward) if seen.any() else (backward, held)
            kept = _Open(index, sees, other, sees is held, _Result(PackedProbabilities.pack(blended), told))
            self._open.setdefault(id(stretch), (stretch, []))[1].append(kept)
        return Joined(stretch.lesion, index, blended, told, not is_open)

    def _blend(
        self, distances: tuple[int, int], held: _Result, probabilities: NDArray[np.float32], expected: float
    ) -> tuple[NDArray[np.float32], float]:
        """Return the blend of a forward result held and a backward one, and its expected overlap."""
        both = held.expected, expected
        forward = held.probabilities.unpack()
        agreement = overlap(forward > 0.5, probabilities > 0.5)
        blended = blend(forward, probabilities, both, distances)
        decided = soft_overlap(blended, (blended > 0.5).astype(np.float32))
        return blended, self._overlap.of_blend(both, distances, agreement, decided)

    def take_back(self, stretch: Stretch, nothing: Joined, *, forward: bool) -> None:
        """Replace the result of one pass on a frame by an empty one; ``decided`` gives the new one.

        Parameters
        ----------
        stretch : Stretch
        nothing : Joined
            The empty result of that pass alone.
        forward : bool
            Which pass.
        """
        place = nothing.lesion, nothing.index
        self._lost.add((id(stretch), forward))
        if forward and stretch.is_two_sided:
            self._held[place] = _Result(PackedProbabilities.pack(nothing.probabilities), nothing.expected)
            return
        if (held := self._before_absent.get(place)) is not None:
            distances = stretch.distances(nothing.index)
            blended, told = self._blend(distances, held, nothing.probabilities, nothing.expected)
            nothing = replace(nothing, probabilities=blended, expected=told)
        self._taken_back[place] = nothing

    def decided(self) -> Iterator[Joined]:
        """Yield the frames that were not final or that were taken back, when both passes have ended.

        A frame gets the empty result if the pass that sees the lesion has lost it on the way to there. It gets what
        that pass sees if the other one did not arrive at its far anchor. Otherwise it keeps the blend; also where a
        person marked frames on the way "not visible": a pass that lost the lesion there has not failed.
        """
        for key, (stretch, frames) in self._open.items():
            for one in frames:
                if (stretch.lesion, one.index) in self._taken_back:
                    continue
                # None where the frame beside the far anchor was not computed
                other_failed = self._arrived.get((key, not one.is_forward)) is False and not stretch.absent
                result = one.sees if other_failed else one.blended
                if not one.sees.unbroken:
                    result = one.other
                yield Joined(stretch.lesion, one.index, result.probabilities.unpack(), result.expected)
        self._open.clear()
        yield from self._taken_back.values()
        self._taken_back.clear()

    def _note(self, stretch: Stretch, index: int, probabilities: NDArray[np.float32], *, forward: bool) -> None:
        """Take note of whether a pass lost the lesion, and of whether it arrived."""
        seen = probabilities > 0.5
        if not seen.any():
            self._lost.add((id(stretch), forward))
        anchor = stretch.right if forward else stretch.left
        if anchor is not None and abs(anchor.frame - index) == 1:
            self._arrived[id(stretch), forward] = bool(overlap(seen, anchor.mask) > ARRIVED)
