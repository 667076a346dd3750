"""Which frames are to be computed from which anchors.

A stretch is a run of frames of one lesion between two neighbouring anchors that show the lesion, or between such an
anchor and the end of the cine. Its result depends on its own anchors, so that a correction that shows the lesion makes
only its two neighbouring stretches stale. Where these anchors show a small part of the lesion only, it depends on the
anchor that shows most, too: who has only seen an edge does not know the lesion when all of it comes into view.

An anchor that says that the lesion is not visible does not end a stretch. Masks are not carried from it, since it knows
nothing of the lesion: they are carried past it. Nor are they carried from an anchor that shows a tiny part of it, from
which the lesion would not be known again, or one whose frame cannot be read. Such an anchor is a drawing of its own
frame alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from UltrasoundLesionSegLib.cine import Anchor

# of the lesion's largest area on an anchor; a stretch whose own anchors show less also uses that anchor
SMALL_PART = 0.5
# of that area; an anchor that shows less does not end a stretch
TINY_PART = 0.1


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
        From the first to the last frame of the run, ascending; some are neither in ``absent`` nor in ``lone``.
    absent : mapping of int to Anchor
        The anchors on the way that say that the lesion is not visible, by frame. Their frames are not computed.
    lone : frozenset of int
        Frames of drawings on the way from which masks are not carried: they show less than ``TINY_PART`` of the lesion,
        or cannot be read. Walked through, not computed.
    fullest : Anchor or None
        The anchor that shows most of the lesion, wherever it is, if the end anchors show less than ``SMALL_PART`` of
        that area; else None. It is remembered; masks are not carried from it.
    """

    lesion: int
    left: Anchor | None
    right: Anchor | None
    frames: range
    absent: Mapping[int, Anchor] = field(default_factory=dict)
    lone: frozenset[int] = frozenset()
    fullest: Anchor | None = None

    @property
    def is_two_sided(self) -> bool:
        """Whether a forward and a backward result are blended."""
        return self.left is not None and self.right is not None

    @property
    def ends(self) -> tuple[Anchor, ...]:
        """The end anchors there are."""
        return tuple(anchor for anchor in (self.left, self.right) if anchor is not None)

    @property
    def remembered(self) -> tuple[Anchor, ...]:
        """The anchors that show the network the lesion: the ends and the fullest."""
        return self.ends if self.fullest is None else (*self.ends, self.fullest)

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        """Everything that a person drew or said that the result depends on."""
        return (*self.remembered, *self.absent.values())

    @property
    def computed(self) -> list[int]:
        """The frames to compute, ascending; not empty."""
        return [index for index in self.frames if self.computes(index)]

    def computes(self, index: int) -> bool:
        """Tell whether a frame is to be computed; others are only walked through."""
        return index in self.frames and index not in self.absent and index not in self.lone

    def distances(self, index: int, *, with_absent: bool = False) -> tuple[int, int]:
        """Return how many frames the nearest anchors before and after a frame are away, of a stretch that has both.

        Parameters
        ----------
        index : int
        with_absent : bool
            Whether those count that say that the lesion is not visible.
        """
        frames = [anchor.frame for anchor in (*self.ends, *(self.absent.values() if with_absent else ()))]
        before, after = (index - one for one in frames if one < index), (one - index for one in frames if one > index)
        return min(before), min(after)

    def walk(self, forward: bool) -> range:
        """Return the frames stepped through in one direction, in that order; empty where no anchor starts it.

        Longer than ``frames`` where the range asked for does not begin next to the anchor.
        """
        if forward:
            return range(self.left.frame + 1, self.frames.stop) if self.left else range(0)
        return range(self.right.frame - 1, self.frames.start - 1, -1) if self.right else range(0)


def plan_stretches(
    anchors: Iterable[Anchor], direction: Direction, frames: range, unreadable: Collection[int] = ()
) -> list[Stretch]:
    """Cut the frames to compute into stretches, lesion by lesion.

    Parameters
    ----------
    anchors : iterable of Anchor
        In any order; at most one a lesion and frame.
    direction : Direction
    frames : range
        Frames to compute, step 1; anchors among them are left alone.
    unreadable : collection of int
        Frames from whose anchors nothing can be carried.

    Returns
    -------
    list of Stretch
        Ascending by lesion and frame.
    """
    by_lesion: dict[int, dict[int, Anchor]] = {}
    for anchor in anchors:
        by_lesion.setdefault(anchor.lesion, {})[anchor.frame] = anchor
    return [
        stretch
        for lesion in sorted(by_lesion)
        for stretch in _of_lesion([one for _, one in sorted(by_lesion[lesion].items())], direction, frames, unreadable)
    ]


def _of_lesion(
    anchors: Sequence[Anchor], direction: Direction, frames: range, unreadable: Collection[int]
) -> Iterable[Stretch]:
    """Yield the stretches of one lesion, whose anchors ascend by frame."""
    readable = [one for one in anchors if one.frame not in unreadable]
    lost = {one.frame for one in anchors if one.frame in unreadable and one.mask.any()}
    areas = {anchor.frame: int(np.count_nonzero(anchor.mask)) for anchor in readable}
    if not areas or (lost and not any(areas.values())):
        return  # nothing that shows the lesion can be carried
    fullest = max(readable, key=lambda one: areas[one.frame])  # the first of several
    lone = _tiny(areas, direction) | lost
    # a lesion that no anchor shows can only be looked for, from each frame where it is known not to be visible
    ends = [one for one in readable if areas[one.frame] and one.frame not in lone] or readable
    for left, right in zip([None, *ends], [*ends, None], strict=True):
        start = frames.start if left is None else max(frames.start, left.frame + 1)
        stop = frames.stop if right is None else min(frames.stop, right.frame)
        source_left = None if direction is Direction.BACKWARD else left
        source_right = None if direction is Direction.FORWARD else right
        if source_left is None and source_right is None:
            continue
        # those that lie before the range asked for, between it and the anchor that is carried from, are passed too
        first = start if source_left is None else source_left.frame + 1
        last = stop if source_right is None else source_right.frame
        passed = {one.frame: one for one in anchors if first <= one.frame < last}
        if any(index not in passed for index in range(start, stop)):
            absent = {frame: one for frame, one in passed.items() if frame not in lone}
            shown = max(areas[one.frame] for one in (source_left, source_right) if one is not None)
            more = fullest if shown < SMALL_PART * areas[fullest.frame] else None
            drawn = frozenset(lone & passed.keys())
            yield Stretch(anchors[0].lesion, source_left, source_right, range(start, stop), absent, drawn, more)


def _tiny(areas: Mapping[int, int], direction: Direction) -> set[int]:
    """Return the frames of anchors that show a tiny part, from the areas of all: masks can be carried past them."""
    limit = TINY_PART * max(areas.values())
    ends = [frame for frame, area in areas.items() if area >= limit]
    # in one direction there is nothing to carry past those that come before all others
    first = min(ends) if direction is Direction.FORWARD else 0
    last = max(ends) if direction is Direction.BACKWARD else max(areas)
    return {frame for frame, area in areas.items() if 0 < area < limit and first <= frame <= last}
