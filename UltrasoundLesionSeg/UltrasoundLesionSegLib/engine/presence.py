"""Whether what a network sees on a frame is the lesion, and where to look for a lesion that is lost.

A lesion that leaves the image plane shrinks, fades and is lost. Other tissue can look like it, and a tracker that
follows other tissue stays there (Docs/results/ablations.md, for all of these rules).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine.contrast import NO_CONTRAST, Contrast
from UltrasoundLesionSegLib.engine.last_view import LastView
from UltrasoundLesionSegLib.engine.resemblance import Resemblance
from UltrasoundLesionSegLib.engine.returning import CERTAIN_HERE, certainty_needed
from UltrasoundLesionSegLib.engine.signals import NAN, overlap
from UltrasoundLesionSegLib.engine.window import Window, grey

# A lost lesion is searched for where it was last seen, and after a while alternately in the whole frame, in which a
# small lesion is too small to be seen with certainty.
SEARCH = 1.4  # side of the search window / usual side, so that the surroundings are seen too
FRAMES_BEFORE_WHOLE = 4
# A lesion that leaves the plane shrinks, and a tracker may keep to what is left in its place: a small remainder of
# which the network is not certain is not the lesion.
REMAINDER = 0.25  # share of the lesion's area below which a certainty of
CERTAIN_REMAINDER = 0.7  # this is needed
CERTAIN_FAINT = 0.9  # certainty needed if the contrast is lower than the lesion's (contrast.py)
# While a lesion leaves the plane, a network's certainty falls within so many frames. It is compared with theirs: where
# the probe moves all the time, the certainty is low all the time, and a fixed threshold would lose lesions.
RECENT = 4
# A network that was at least so certain on them and falls below this share of it may have moved on to other tissue, of
# which it is as certain a few frames later. For so many frames what it follows must resemble the drawn lesion. The true
# mask of a lesion that leaves is doubted, too: doubt alone loses nothing.
CERTAIN_BEFORE, DOUBTED = 0.85, 0.93
FRAMES_OF_DOUBT = 5
RESEMBLING = 0.55  # share of the highest resemblance on the few frames before
# What is taken for a lost lesion must resemble the drawn one nearly as much as before. The tissue around it says
# nothing: it stays the same where the lesion alone leaves the plane.
RESEMBLING_AGAIN = 0.7  # share of the highest resemblance before the lesion was lost
# The lesion comes back in the place of what a person said is not the lesion, and may look like it. It is taken for the
# lesion from this share of the way on, in features, from what was denied to what was drawn.
FROM_DENIED = 0.3
# And what was followed on the frames before it was denied is the same up to this share. Less, since true masks are lost
# by this: a lesion that fades looks more and more like what is left in its place.
STILL_DENIED = 0.2


@dataclass
class _Doubt:
    """Since a network's certainty fell."""

    resemblance: float  # before
    frames: int = 0


class Presence:
    """Keeps where a lesion was, how large and what it looked like, and judges by that what is seen on a frame.

    Parameters
    ----------
    resemblance : Resemblance
        To the drawn lesion. Asked only where it decides, because each answer costs an encoding.
    size : int
        Side in pixels of the pictures that are compared.
    margin : float
        The usual window's side over the longer side of the lesion's bounding box.
    smallest_side : float
        Smallest window in pixels of the frame.
    certainty_kept : float
        Share of the highest certainty on the ``RECENT`` frames before, 0 to 1, below which what is followed is not the
        lesion.
    """

    def __init__(
        self, resemblance: Resemblance, size: int, margin: float, smallest_side: float, certainty_kept: float = 0.0
    ) -> None:
        self._resemblance = resemblance
        self._size, self._margin, self._smallest_side = size, margin, smallest_side
        self._certainty_kept = certainty_kept
        # since the lesion was last lost
        self._certainties: deque[float] = deque(maxlen=RECENT)
        self._resemblances: deque[float] = deque(maxlen=RECENT)
        self._doubt: _Doubt | None = None
        self._resembled = NAN  # a lost lesion, before it was lost
        self.contrast = NO_CONTRAST
        """The network's own outline on the latest anchor that shows the lesion."""
        self.extent = 0.0
        """The lesion's largest on an anchor, or when it was last seen: square root of its area, in pixels."""
        self.lost = 0
        """Frames since the lesion was last seen."""
        self._sure_of_none = 1.0  # certainty, on the last frame without the lesion, that it is not visible
        self._last_seen: tuple[float, float] | None = None  # row and column of a lost lesion
        self._last_view: LastView | None = None  # of a lost lesion
        self._denied: LastView | None = None  # what would have been followed through a frame marked "not visible"
        self._begun: LastView | None = None  # the lesion on the anchor started at

    def know_anchor(self, mask: Mask, seen: Contrast) -> None:
        """Take the size and the contrast of the lesion on an anchor that shows it.

        Parameters
        ----------
        mask : ndarray of bool, shape (H, W)
        seen : Contrast
        """
        self.extent = max(self.extent, _extent(mask))
        self.contrast = seen

    def begin(self, frame: Frame, mask: Mask) -> None:
        """Begin at an anchor.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        mask : ndarray of bool, shape (H, W)
            Empty where the lesion is not visible: it is lost from the beginning.
        """
        self._last_view = None
        self._forget()
        self._resembled = NAN
        self.lost = FRAMES_BEFORE_WHOLE
        if mask.any():
            self.lost = 0
            self._begun = self._view_of(frame, mask)

    def search_window(self, height: int, width: int) -> Window:
        """Return where to look for a lost lesion: around where it was, or everywhere."""
        side = self._search_side(self.extent)
        everywhere = self.lost >= FRAMES_BEFORE_WHOLE and self.lost % 2 == 1
        if self._last_seen is None or everywhere or side >= max(height, width):
            return Window.whole(height, width)
        return Window(*self._last_seen, side)

    def likeness(self, frame: Frame) -> float:
        """Return how much of a lost lesion's tissue a frame (uint8) shows, 0 to 1; nan if none is lost."""
        if self._last_view is None:
            return NAN
        return self._last_view.likeness(grey(self._last_view.window.cut(frame, self._size)))

    def is_lesion(self, found: Mask, frame: Frame, certainty: float, seen: Contrast, alike: float) -> bool:
        """Tell whether what is seen is still the lesion or, after it was lost, is it again.

        Parameters
        ----------
        found : ndarray of bool, shape (H, W)
            Not empty.
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        certainty : float
            Of the network about it, 0 to 1 (``confidence.certainty``).
        seen : Contrast
            Of the network's outline.
        alike : float
            As ``likeness`` returns it.
        """
        if certainty < CERTAIN_FAINT and seen.has_gone(self.contrast):
            return False
        area = np.count_nonzero(found)
        if not self.lost:
            is_lesion = certainty >= CERTAIN_REMAINDER or bool(area >= REMAINDER * self.extent**2)
            is_lesion &= certainty >= self._certainty_kept * max(self._certainties, default=0.0)
            if is_lesion and self._doubt is not None:
                is_lesion = not self._resemblance.beside_anchor(frame, found) < RESEMBLING * self._doubt.resemblance
        elif self._last_seen is None:
            is_lesion = certainty >= CERTAIN_HERE
        else:
            row, column = _centre(found)
            away = math.hypot(row - self._last_seen[0], column - self._last_seen[1]) / self.extent
            covered = self._covered(found, frame)
            is_lesion = certainty >= certainty_needed(away, alike, area / self.extent**2, covered)
            if is_lesion:
                resemblance = self._resemblance.beside_anchor(frame, found)
                is_lesion = not resemblance < RESEMBLING_AGAIN * self._resembled  # each of them may be nan
        return is_lesion

    def _covered(self, found: Mask, frame: Frame) -> float:
        """Return the share of the anchor's lesion, carried by optical flow, that a mask covers; 1 if not known."""
        if self._begun is None:
            return 1.0
        seen, drawn = self._beside_anchor(self._begun, frame, found)
        return float(seen[drawn].mean()) if drawn.any() else 0.0

    def is_denied(self, found: Mask, frame: Frame) -> bool:
        """Tell whether what is seen, instead of a lost lesion, is what a person said is not the lesion.

        Parameters
        ----------
        found : ndarray of bool, shape (H, W)
            Not empty.
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        """
        if self._denied is None:
            return False
        window = self._denied.window
        seen = window.cut(found.astype(np.float32), self._size) > 0.5
        if not self._denied.shows(grey(window.cut(frame, self._size)), seen):
            return False
        return not self._resemblance.from_denied(frame, found) > FROM_DENIED  # which may be nan

    def certainty_of_none(self, certainty: float) -> float:
        """Return how certain it is that a frame does not show the lesion.

        Both search windows count as one look: a result in one of them is not undone by the other.
        """
        if not self.lost:
            return certainty
        least, self._sure_of_none = min(certainty, self._sure_of_none), certainty
        return least

    def anchor_agreement(self, frame: Frame, mask: Mask) -> float:
        """Return the Dice of a mask and the anchor's outline, moved onto it and carried by flow; nan if unknown.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        mask : ndarray of bool, shape (H, W)
            Not empty.
        """
        return NAN if self._begun is None else overlap(*self._beside_anchor(self._begun, frame, mask))

    def _beside_anchor(self, anchor: LastView, frame: Frame, mask: Mask) -> tuple[Mask, Mask]:
        """Return a mask and an anchor's outline, moved onto it and carried by optical flow, through one window."""
        row, column = _centre(mask)
        window = replace(anchor.window, row=row, column=column)
        drawn = anchor.carried(grey(window.cut(frame, self._size)))
        return window.cut(mask.astype(np.float32), self._size) > 0.5, drawn

    def keep_view(self, frame: Frame, mask: Mask) -> None:
        """Keep what a lesion looks like on the last frame that shows it, before it is lost.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        mask : ndarray of bool, shape (H, W)
            Not empty.
        """
        self._last_view = self._view_of(frame, mask)

    def found(self) -> None:
        """Take note that a frame shows the lesion."""
        self.lost, self._sure_of_none, self._last_view, self._denied = 0, 1.0, None, None

    def know_certainty(self, certainty: float, resemblance: float = NAN) -> None:
        """Take note of what a network says of the lesion on an anchor or where it was found again.

        Parameters
        ----------
        certainty : float
            0 to 1.
        resemblance : float
            To the drawn lesion, -1 to 1; nan if it is not known, as through the window of a search.
        """
        self._certainties.append(certainty)
        if not math.isnan(resemblance):
            self._resemblances.append(resemblance)

    def know_followed(self, certainty: float, resemblance: float) -> None:
        """Take note of what a network says of the lesion that it followed to a frame.

        Parameters
        ----------
        certainty : float
            0 to 1.
        resemblance : float
            To the drawn lesion, -1 to 1; nan if it is not known.
        """
        if self._doubt is not None:
            self._doubt.frames += 1
            if self._doubt.frames == FRAMES_OF_DOUBT:
                self._doubt = None
        elif self._resemblances and certainty < DOUBTED * max(self._certainties) >= DOUBTED * CERTAIN_BEFORE:
            self._doubt = _Doubt(max(self._resemblances))
        self.know_certainty(certainty, resemblance)

    def _forget(self) -> None:
        """Forget what a network said of the lesion while it was followed."""
        self._certainties.clear()
        self._resemblances.clear()
        self._doubt = None

    def lose(self, before: Mask) -> None:
        """Take note that the lesion, seen as ``before``, bool (H, W), one frame ago, is not visible."""
        if before.any():
            self._last_seen = _centre(before)
            self.extent = max(self.extent, _extent(before))  # all anchors may be marked "not visible"
        if self._resemblances:
            self._resembled = max(*self._resemblances, self._doubt.resemblance if self._doubt else -1.0)
        self._forget()
        self.lost += 1

    def deny(self, frame: Frame, wrong: Mask) -> None:
        """Keep what a person said is not the lesion: while that looks the same, it is not taken for the lesion.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        wrong : ndarray of bool, shape (H, W)
            What the network took for the lesion; not empty.
        """
        self._denied = self._view_of(frame, wrong)
        self._resemblance.know_denied(frame, wrong)

    def return_to_anchor(self) -> None:
        """Look for the lesion where it is on the anchor: what was followed since may never have been the lesion."""
        if self._begun is not None:
            window = self._begun.window
            self._last_seen, self._last_view = (window.row, window.column), self._begun

    def _search_side(self, extent: float) -> float:
        return max(SEARCH * self._margin * extent, self._smallest_side)

    def _view_of(self, frame: Frame, mask: Mask) -> LastView:
        """Return a lesion as it was last seen; the mask is not empty."""
        window = Window(*_centre(mask), self._search_side(max(self.extent, _extent(mask))))
        seen = window.cut(mask.astype(np.float32), self._size) > 0.5
        return LastView(grey(window.cut(frame, self._size)), seen, window)


def _centre(mask: Mask) -> tuple[float, float]:
    """Return the mean row and column of a mask that is not empty."""
    rows, columns = np.nonzero(mask)
    return float(rows.mean()), float(columns.mean())


def _extent(mask: Mask) -> float:
    """Return the side of a square of the mask's area, in pixels."""
    return math.sqrt(np.count_nonzero(mask))
