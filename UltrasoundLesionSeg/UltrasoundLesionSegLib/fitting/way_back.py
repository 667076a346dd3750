"""Whether a result leads back to what was drawn: decides whether the masks of a fitted model are kept.

The mask on the frame farthest from the drawn ones is carried back to the nearest of them, by the network that made it,
and compared with what was drawn there (forward-backward consistency: Kalal et al., "Forward-backward error", ICPR
2010). Where the lesion was lost, nothing comes back; other tissue does not lead to the drawn outline. If nothing comes
back of either result, they are compared by how long they show the lesion: a fit can make a network lose it early.
Docs/results/ablations.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from UltrasoundLesionSegLib.cine import Anchor, Cine, FrameResult, Mask
from UltrasoundLesionSegLib.engine.propagation import PropagationInputs
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches
from UltrasoundLesionSegLib.measurement.overlap import dice

LESS = 0.0  # Dice that may be lost on the way back
LOST = 0.3  # Dice under which what comes back is not the lesion

Propagate = Callable[[PropagationInputs], Iterator[FrameResult]]


@dataclass(frozen=True)
class Way:
    """From a frame with a result to the nearest drawn one.

    Parameters
    ----------
    frame : int
        The one that is farthest from those on which the lesion was drawn.
    anchor : int
        The drawn frame nearest to it.
    drawn : ndarray of bool, shape (H, W)
        The mask there.
    """

    frame: int
    anchor: int
    drawn: Mask

    @property
    def frames(self) -> range:
        """The frames to carry a mask through, that of the drawing included."""
        before = self.anchor < self.frame
        return range(self.anchor, self.frame) if before else range(self.frame + 1, self.anchor + 1)


def farthest(frames: Iterable[int], anchors: Mapping[int, Mask]) -> Way | None:
    """Return the way of one lesion.

    Parameters
    ----------
    frames : iterable of int
        Those with a model's result.
    anchors : mapping of int to ndarray of bool, shape (H, W)
        What was drawn, by frame; those without the lesion do not count.

    Returns
    -------
    Way or None
        None where there is no frame, or no frame that shows the lesion.
    """
    shown = [frame for frame, mask in anchors.items() if mask.any()]
    nearest = {frame: min(shown, key=lambda one: abs(one - frame)) for frame in frames} if shown else {}
    if not nearest:
        return None
    far = max(nearest, key=lambda one: abs(one - nearest[one]))
    return Way(far, nearest[far], anchors[nearest[far]])


def lead_back(propagate: Propagate, cine: Cine, way: Way, mask: Mask) -> Generator[int, None, float]:
    """Carry a mask back; yields the frames done.

    Parameters
    ----------
    propagate : callable
        Propagates with the network that made the mask.
    cine : Cine
    way : Way
    mask : ndarray of bool, shape (H, W)
        On ``way.frame``.

    Returns
    -------
    float
        Dice of what came back and what was drawn; 0 where the mask is empty.
    """
    if not mask.any():
        return 0.0
    direction = Direction.BACKWARD if way.anchor < way.frame else Direction.FORWARD
    stretches = plan_stretches([Anchor(0, way.frame, mask)], direction, way.frames)
    nothing = np.zeros((1, *cine.shape), bool)
    found = nothing
    for result in propagate(PropagationInputs(cine, 1, stretches, lambda _frame: nothing.copy())):
        found = result.masks
        yield result.frame
    return dice(found[0], way.drawn)


@dataclass(frozen=True)
class Evidence:
    """What speaks for a result.

    Parameters
    ----------
    led_back : tuple of float
        As ``lead_back`` returns, one a lesion; empty where nothing can be compared.
    shown : int
        On how many frames it shows a lesion, summed over the lesions.
    """

    led_back: tuple[float, ...]
    shown: int


def is_kept(fitted: Evidence, plain: Evidence) -> bool:
    """Whether the masks of a fitted model are kept, rather than those of the model as it is.

    They are if what they lead back to is no worse by more than ``LESS``. Where neither leads back to the drawing, they
    are if they show the lesion on no fewer frames.
    """
    if not fitted.led_back:
        return True
    if are_lost(fitted, plain):
        return fitted.shown >= plain.shown
    return float(np.mean(fitted.led_back)) >= float(np.mean(plain.led_back)) - LESS


def are_lost(fitted: Evidence, plain: Evidence) -> bool:
    """Whether neither result leads back to the drawing."""
    return max(float(np.mean(one.led_back)) for one in (fitted, plain)) < LOST
