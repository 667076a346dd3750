"""Which frames are to be computed from which anchors.

A stretch is a run of frames of one lesion between two neighbouring anchors, or between an anchor and the end of the
clip. Its result depends on its own end anchors alone, so that a correction makes only its two neighbouring stretches
stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from UltrasoundLesionSegLib.cine import Anchor


class Direction(str, Enum):
    """In which direction of time masks are carried."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"


@dataclass(frozen=True)
class Stretch:
    """A run of frames of one lesion and the anchors it is computed from.

    Parameters
    ----------
    lesion : int
    left, right : Anchor or None
        The anchor before the first and after the last frame of the run from which masks are carried; None where
        there is none or where the direction does not use it. At least one is given.
    frames : range
        The frames to compute, ascending, anchors excluded; not empty.
    reminder : Anchor or None
        Where no end anchor shows the lesion: the nearest one that does, from which it is known again.
    """

    lesion: int
    left: Anchor | None
    right: Anchor | None
    frames: range
    reminder: Anchor | None = None

    @property
    def is_two_sided(self) -> bool:
        """Whether a forward and a backward result are blended."""
        return self.left is not None and self.right is not None

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        """The end anchors there are, and the reminder."""
        return tuple(anchor for anchor in (self.left, self.right, self.reminder) if anchor is not None)

    def walk(self, forward: bool) -> range:
        """Return the frames stepped through in one direction, in that order; empty where no anchor starts it.

        Longer than ``frames`` where the range asked for does not begin next to the anchor.
        """
        if forward:
            return range(self.left.frame + 1, self.frames.stop) if self.left else range(0)
        return range(self.right.frame - 1, self.frames.start - 1, -1) if self.right else range(0)


def plan_stretches(anchors: Iterable[Anchor], direction: Direction, frames: range) -> list[Stretch]:
    """Cut the frames to compute into stretches, lesion by lesion.

    Parameters
    ----------
    anchors : iterable of Anchor
        In any order; at most one a lesion and frame.
    direction : Direction
    frames : range
        Frames to compute, step 1; anchors among them are left alone.

    Returns
    -------
    list of Stretch
        Ascending by lesion and frame.
    """
    by_lesion: dict[int, dict[int, Anchor]] = {}
    for anchor in anchors:
        by_lesion.setdefault(anchor.lesion, {})[anchor.frame] = anchor
    plan = []
    for lesion in sorted(by_lesion):
        ordered = [anchor for _, anchor in sorted(by_lesion[lesion].items())]
        for left, right in zip([None, *ordered], [*ordered, None], strict=True):
            start = frames.start if left is None else max(frames.start, left.frame + 1)
            stop = frames.stop if right is None else min(frames.stop, right.frame)
            source_left = None if direction is Direction.BACKWARD else left
            source_right = None if direction is Direction.FORWARD else right
            if start < stop and (source_left or source_right):
                reminder = _reminder(ordered, (source_left, source_right), range(start, stop))
                plan.append(Stretch(lesion, source_left, source_right, range(start, stop), reminder))
    return plan


def _reminder(anchors: Sequence[Anchor], ends: Iterable[Anchor | None], frames: range) -> Anchor | None:
    """Return the nearest anchor that shows the lesion, where none of the ends does."""
    if any(end is not None and end.mask.any() for end in ends):
        return None
    showing = [anchor for anchor in anchors if anchor.mask.any()]
    middle = (frames[0] + frames[-1]) / 2
    return min(showing, key=lambda anchor: abs(anchor.frame - middle), default=None)
