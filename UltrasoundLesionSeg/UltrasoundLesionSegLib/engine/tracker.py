"""One lesion followed from frame to frame: window, memory, previous frame. Knows nothing of stretches or directions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from monai.transforms import Compose, EnsureType, ScaleIntensity
from numpy.typing import NDArray
from torch import Tensor

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine import confidence
from UltrasoundLesionSegLib.engine.contrast import NO_CONTRAST, contrast
from UltrasoundLesionSegLib.engine.last_view import LastView
from UltrasoundLesionSegLib.engine.memory import MemoryBank, MemorySettings
from UltrasoundLesionSegLib.engine.network_api import FrameCode, PreviousFrame, PropagationNetwork
from UltrasoundLesionSegLib.engine.outline import OutlineCorrection
from UltrasoundLesionSegLib.engine.returning import CERTAIN_HERE, certainty_needed
from UltrasoundLesionSegLib.engine.signals import NAN, Signals, overlap, soft_overlap
from UltrasoundLesionSegLib.engine.window import Window, rgb


@dataclass(frozen=True)
class TrackerSettings:
    """How a lesion is looked at.

    Parameters
    ----------
    input_size : int
        Side of the network's input in pixels, a multiple of 16.
    window_margin : float
        The window's side over the longer side of the lesion's bounding box.
    smallest_side : float
        Smallest window in pixels of the frame.
    memory : MemorySettings
    outline_correction : bool
        Whether the anchor's outline corrects the network's (``outline.py``).
    """

    input_size: int = 240
    window_margin: float = 2.0
    smallest_side: float = 48.0
    memory: MemorySettings = field(default_factory=MemorySettings)
    outline_correction: bool = True


# The window moves only when it must: if it stays, the previous frame's key can be used again.
DRIFT = 0.08  # of the side, between the window's centre and the lesion's
RESCALE = 1.2  # between the window's side and the one wanted
# A lost lesion is searched for where it was last seen, and after a while alternately in the whole frame, in which a
# small lesion is too small to be seen with certainty (Docs/results/ablations.md, for all of these rules).
SEARCH = 1.4  # side of the search window / usual side, so that the surroundings are seen too
FRAMES_BEFORE_WHOLE = 4
# A lesion that leaves the plane shrinks, and what is left in its place may hold a tracker: a doubtful small remainder
# is none.
REMAINDER = 0.25  # share of the lesion's area below which a certainty of
CERTAIN_REMAINDER = 0.7  # this is needed
CERTAIN_FAINT = 0.9  # certainty needed if the contrast is lower than the lesion's (contrast.py)
SPECK = 0.1  # islands smaller than this share of the largest are noise, which would enlarge the window
REACH = 3  # pixels a lesion's island may be away from the previous mask


@dataclass(frozen=True)
class Prediction:
    """A lesion on one frame as probabilities, before lesions are merged.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (H, W)
    signals : Signals
        What the tracker knows of the mask; frames before and the distance are the caller's.
    """

    probabilities: NDArray[np.float32]
    signals: Signals


@dataclass(frozen=True)
class _View:
    """A frame through a window of N x N pixels."""

    tensor: Tensor  # what networks take: (1, 3, N, N) in [0, 1]
    code: FrameCode
    grey: NDArray[np.uint8]  # what optical flow takes: (N, N)


@dataclass
class _Past:
    """The frame before, kept as it was so that it can be seen through another window."""

    frame: Frame
    probabilities: NDArray[np.float32]  # (H, W)
    mask: Mask  # where they exceed 0.5
    view: _View
    window: Window
    seen: Tensor  # the probabilities cut to the window


class LesionTracker:
    """Carries one lesion's mask from anchors through neighbouring frames, one ``step`` a frame.

    Parameters
    ----------
    network : PropagationNetwork
        In evaluation mode on ``device``.
    settings : TrackerSettings
    device : torch.device
    """

    def __init__(self, network: PropagationNetwork, settings: TrackerSettings, device: torch.device) -> None:
        self._network = network
        self._settings = settings
        self._device = device
        self._bank = MemoryBank(settings.memory)
        self._remembers = False  # whether any anchor is in the memory
        self._past: _Past | None = None
        self._correction: OutlineCorrection | None = (
            None  # follows the tissue of the anchor, with or without a correction
        )
        self._anchor_overlap = NAN  # of the network's outline on the anchor with the drawn one
        self._given = np.zeros((0, 0), np.float32)  # the last prediction as it was returned
        self._lost = 0  # frames since the lesion was last seen
        self._sure_of_none = 1.0  # how sure the last look at a lost lesion was that there is none
        self._contrast = NO_CONTRAST  # of the latest anchor that shows the lesion
        self._extent = 0.0  # the lesion's largest on an anchor, or when it was last seen
        self._last_seen: tuple[float, float] | None = None  # row and column of a lost lesion
        self._last_view: LastView | None = None  # of a lost lesion
        self._denied: LastView | None = None  # what would have been followed through a frame marked "not visible"
        self._begun: LastView | None = None  # the lesion on the anchor started at
        # uint8 (3, h, w) cut to the window -> float32 in [0, 1]. Without metadata: a MetaTensor sends every operation
        # of the network through Python, which costs more than the operation.
        to_float = ScaleIntensity(minv=None, maxv=None, factor=1 / 255 - 1)
        self._to_tensor = Compose([to_float, EnsureType("tensor", track_meta=False)])

    def remember_anchor(self, index: int, frame: Frame, mask: Mask) -> None:
        """Put an anchor into the memory permanently, without going on from it.

        Parameters
        ----------
        index : int
            The frame's index in the cine.
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        mask : ndarray of bool, shape (H, W)
        """
        self._memorize_anchor(index, frame, mask)

    def start_at_anchor(self, index: int, frame: Frame, mask: Mask) -> None:
        """Put an anchor into the memory permanently and continue from it. Parameters as for ``remember_anchor``."""
        self._past = past = self._memorize_anchor(index, frame, mask)
        self._lost = 0 if mask.any() else FRAMES_BEFORE_WHOLE
        self._correction, self._anchor_overlap = None, NAN
        self._last_view = None
        if mask.any():
            self._begun = self._view_of(frame, mask)
            view, drawn = past.view, past.seen[0, 0].cpu().numpy()
            predicted = self._segment(view, PreviousFrame(view.tensor, view.code, past.seen), index)
            self._correction = OutlineCorrection(drawn, predicted, view.grey, past.window)
            # like is compared with like: on later frames it is the network's own outline that must stand out. A drawn
            # outline with a bright rim has another contrast than the dark core inside it, which never changed.
            self._contrast = contrast(view.grey, predicted > 0.5)
            self._anchor_overlap = overlap(drawn > 0.5, predicted > 0.5)

    @torch.inference_mode()
    def step(self, frame: Frame, index: int) -> Prediction:
        """Segment the next frame; the caller must ``accept`` the result, changed or not, before the next step.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        index : int

        Returns
        -------
        Prediction
        """
        assert self._past is not None, "start_at_anchor comes before step"
        window = self._next_window()
        self._look_through(window)
        view = self._look(frame, window)
        past = self._past
        predicted = self._segment(view, PreviousFrame(past.view.tensor, past.view.code, past.seen), index)
        if self._correction is not None:
            self._correction.follow(view.grey, window)
            predicted = self._correction.cut_back(predicted, self._extent)
        certainty = confidence.certainty(predicted)
        probabilities = corrected = self._paste(predicted, window, past.mask)
        faint = contrast(view.grey, predicted > 0.5).has_gone(self._contrast)
        redrawn = predicted if self._correction is None else self._correction.apply(predicted)
        found, alike = probabilities > 0.5, self._likeness_to_last(frame)
        if found.any() and (
            not self._is_lesion(found, frame, certainty, faint, alike) or self._is_denied(found, frame)
        ):
            probabilities = corrected = np.zeros_like(probabilities)
            certainty = 1 - certainty  # certainty that nothing is there
        elif self._correction is not None and self._settings.outline_correction:
            corrected = self._paste(redrawn, window, past.mask)
        if self._lost and not (probabilities > 0.5).any():
            # both search windows count as one look: a result in one of them is not undone by the other
            certainty, self._sure_of_none = min(certainty, self._sure_of_none), certainty
        self._past = replace(past, frame=frame, probabilities=probabilities, view=view)
        self._given = corrected
        if not (corrected > 0.5).any():
            if past.mask.any():
                self._last_view = self._view_of(past.frame, past.mask)
                alike = self._likeness_to_last(frame)
            return Prediction(corrected, self._signals_of_none(certainty, alike))
        signals = self._signals(predicted, window.cut(corrected, len(predicted)) > 0.5, certainty)
        if self._correction is None and self._begun is not None:
            agreement = overlap(*self._beside_anchor(self._begun, frame, corrected > 0.5))
            signals = replace(signals, return_overlap=agreement)
        return Prediction(corrected, signals)

    def _likeness_to_last(self, frame: Frame) -> float:
        """Return how much of a lost lesion's tissue is in view, 0 to 1; nan if none is lost."""
        if self._last_view is None:
            return NAN
        return self._last_view.likeness(_grey(self._last_view.window.cut(frame, self._settings.input_size)))

    def _beside_anchor(self, anchor: LastView, frame: Frame, mask: Mask) -> tuple[Mask, Mask]:
        """Return a mask and an anchor's outline, moved onto it and carried by optical flow, through one window."""
        row, column = _centre(mask)
        window, size = replace(anchor.window, row=row, column=column), self._settings.input_size
        drawn = anchor.carried(_grey(window.cut(frame, size)))
        return window.cut(mask.astype(np.float32), size) > 0.5, drawn

    def _signals_of_none(self, certainty: float, alike: float) -> Signals:
        """Return what tells whether the lesion is really not visible."""
        return Signals(
            unseen=certainty, hidden=float(self._lost + 1), last_likeness=alike, anchor_overlap=self._anchor_overlap
        )

    def _signals(self, predicted: NDArray[np.float32], mask: Mask, certainty: float) -> Signals:
        """Return what tells how well a mask fits that the network predicted so; both seen through the window."""
        expected = soft_overlap(predicted, (predicted > 0.5).astype(np.float32))
        found = Signals(certainty, soft_overlap=expected, anchor_overlap=self._anchor_overlap)
        if self._correction is None:
            return found
        carried = self._correction.carried()
        return replace(found, flow_overlap=overlap(mask, carried), likeness=self._correction.likeness)

    @torch.inference_mode()
    def accept(self, index: int, probabilities: NDArray[np.float32]) -> Mask:
        """Take the frame's final probabilities, after lesions were merged; the next step goes on from there.

        With an outline correction the next step goes on from the network's own outline, less what the merge took away.

        Parameters
        ----------
        index : int
        probabilities : ndarray of float32, shape (H, W)

        Returns
        -------
        ndarray of bool, shape (H, W)
            Where the probabilities exceed 0.5.
        """
        assert self._past is not None
        final = probabilities > 0.5
        own, mask = probabilities, final
        if self._correction is not None and self._settings.outline_correction:
            own = self._past.probabilities
            box = self._past.window.box(*final.shape)  # both are 0 outside
            taken = (self._given[box] > 0.5) & ~final[box]
            if taken.any():
                own[box][taken] = np.minimum(own[box][taken], probabilities[box][taken])
            mask = np.zeros_like(final)
            mask[box] = own[box] > 0.5
        before = self._past.mask
        past = replace(self._past, probabilities=own, mask=mask, seen=self._cut_mask(own, self._past.window))
        self._past = past
        if mask.any():
            self._lost, self._sure_of_none, self._last_view, self._denied = 0, 1.0, None, None
            self._bank.add(index, self._network.memorize(past.view.tensor, past.view.code, past.seen))
        else:
            # frames with an empty mask do not enter the memory: they show nothing of the lesion
            self._lose(before)
        return final

    @torch.inference_mode()
    def pass_absent(self, frame: Frame | None, index: int) -> None:
        """Go past a frame that a person marked "not visible": the lesion is lost from here on.

        What would have been followed through it is another structure. While it looks the same, it is not taken for the
        returning lesion.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3), or None
            None where it cannot be read.
        index : int
        """
        assert self._past is not None, "start_at_anchor comes before pass_absent"
        past = self._past
        if frame is not None and (wrong := self.step(frame, index).probabilities > 0.5).any():
            self._denied = self._view_of(frame, wrong)
        nothing = np.zeros_like(past.probabilities)
        view = past.view if frame is None else self._look(frame, past.window)
        self._past = replace(
            past,
            frame=past.frame if frame is None else frame,
            probabilities=nothing,
            mask=nothing > 0.5,
            view=view,
            seen=self._cut_mask(nothing, past.window),
        )
        self._lose(past.mask)
        if past.mask.any():
            # the mask followed up to here may never have been the lesion: only the anchors are certain
            self._bank.forget_passing()
            if self._begun is not None:
                window = self._begun.window
                self._last_seen, self._last_view = (window.row, window.column), self._begun

    def _lose(self, before: Mask) -> None:
        """Take note that the lesion, seen as ``before`` one frame ago, is not visible."""
        if before.any():
            self._last_seen = _centre(before)
            self._extent = max(self._extent, _extent(before))  # all anchors may be marked "not visible"
        self._lost += 1
        self._correction = None  # the returning lesion is cut in another section

    def to(self, device: torch.device) -> None:
        """Move what is remembered to another device; the caller moves the network."""
        self._device = device
        self._bank.to(device)
        if self._past is not None:
            view = self._look(self._past.frame, self._past.window)
            self._past = replace(self._past, view=view, seen=self._past.seen.to(device))

    def _is_lesion(self, found: Mask, frame: Frame, certainty: float, faint: bool, alike: float) -> bool:
        """Tell whether what is seen is still the lesion or, after it was lost, is it again."""
        if faint and certainty < CERTAIN_FAINT:
            return False
        if not self._lost:
            return certainty >= CERTAIN_REMAINDER or bool(np.count_nonzero(found) >= REMAINDER * self._extent**2)
        if self._last_seen is None:
            return certainty >= CERTAIN_HERE
        row, column = _centre(found)
        away = math.hypot(row - self._last_seen[0], column - self._last_seen[1]) / self._extent
        covered = 1.0
        if self._begun is not None:
            seen, drawn = self._beside_anchor(self._begun, frame, found)
            covered = float(seen[drawn].mean()) if drawn.any() else 0.0
        return certainty >= certainty_needed(away, alike, np.count_nonzero(found) / self._extent**2, covered)

    def _is_denied(self, found: Mask, frame: Frame) -> bool:
        """Tell whether what is seen again is what a person said is not the lesion."""
        if self._denied is None:
            return False
        window, size = self._denied.window, self._settings.input_size
        seen = window.cut(found.astype(np.float32), size) > 0.5
        return self._denied.shows(_grey(window.cut(frame, size)), seen)

    def _next_window(self) -> Window:
        assert self._past is not None
        past = self._past
        if self._lost:
            return self._search_window(*past.mask.shape)
        wanted = self._window_for(past.mask)
        now = past.window
        drift = max(abs(wanted.row - now.row), abs(wanted.column - now.column))
        ratio = max(wanted.side / now.side, now.side / wanted.side)
        return wanted if drift > DRIFT * now.side or ratio > RESCALE else now

    def _search_window(self, height: int, width: int) -> Window:
        """Return where to look for a lost lesion: around where it was, or everywhere."""
        side = self._search_side(self._extent)
        everywhere = self._lost >= FRAMES_BEFORE_WHOLE and self._lost % 2 == 1
        if self._last_seen is None or everywhere or side >= max(height, width):
            return Window.whole(height, width)
        return Window(*self._last_seen, side)

    def _search_side(self, extent: float) -> float:
        return max(SEARCH * self._settings.window_margin * extent, self._settings.smallest_side)

    def _view_of(self, frame: Frame, mask: Mask) -> LastView:
        """Return a lesion as it was last seen; the mask is not empty."""
        window = Window(*_centre(mask), self._search_side(max(self._extent, _extent(mask))))
        size = self._settings.input_size
        return LastView(_grey(window.cut(frame, size)), window.cut(mask.astype(np.float32), size) > 0.5, window)

    def _window_for(self, mask: Mask) -> Window:
        if not mask.any():
            return Window.whole(*mask.shape)
        return Window.around(mask, self._settings.window_margin, self._settings.smallest_side)

    def _look_through(self, window: Window) -> None:
        """See the previous frame through the present window: the prior must lie where the present frame shows it."""
        assert self._past is not None
        if self._past.window != window:
            view = self._look(self._past.frame, window)
            seen = self._cut_mask(self._past.probabilities, window)
            self._past = replace(self._past, view=view, window=window, seen=seen)

    @torch.inference_mode()
    def _memorize_anchor(self, index: int, frame: Frame, mask: Mask) -> _Past:
        window = self._window_for(mask)
        probabilities = mask.astype(np.float32)
        view, seen = self._look(frame, window), self._cut_mask(probabilities, window)
        if mask.any() or not self._remembers:
            # an anchor with an empty mask is not remembered beside anchors that show the lesion
            self._bank.add(index, self._network.memorize(view.tensor, view.code, seen), permanent=True)
            self._remembers = True
        self._extent = max(self._extent, _extent(mask))
        if mask.any():
            self._contrast = contrast(view.grey, seen[0, 0].cpu().numpy() > 0.5)
        return _Past(frame, probabilities, mask, view, window, seen)

    @torch.inference_mode()
    def _segment(self, view: _View, previous: PreviousFrame, index: int) -> NDArray[np.float32]:
        """Return the network's probabilities in the window, float32 (N, N)."""
        logits = self._network.segment(view.tensor, view.code, previous, self._bank.read(index))
        probabilities: NDArray[np.float32] = torch.sigmoid(logits[0, 0].float()).cpu().numpy()
        return probabilities

    def _paste(self, seen: NDArray[np.float32], window: Window, before: Mask) -> NDArray[np.float32]:
        """Return probabilities in the window on the frame, without what cannot be the lesion."""
        probabilities = window.paste(seen, *before.shape)
        box = window.box(*before.shape)  # the mask is 0 outside
        probabilities[box] = plausible_parts(probabilities[box], before[box])
        return probabilities

    def _look(self, frame: Frame, window: Window) -> _View:
        tensor, grey = self._cut(frame, window)
        return _View(tensor, self._network.encode(tensor), grey)

    def _cut(self, frame: Frame, window: Window) -> tuple[Tensor, NDArray[np.uint8]]:
        """Return a frame through a window, as a network takes it and in grey levels, the mean of the colours."""
        pixels = window.cut(frame, self._settings.input_size)
        # channels_last, which makes convolutions faster
        colours = torch.from_numpy(rgb(pixels)).permute(2, 0, 1)
        return self._to_tensor(colours)[None].to(self._device), _grey(pixels)

    def _cut_mask(self, probabilities: NDArray[np.float32], window: Window) -> Tensor:
        cut = window.cut(probabilities, self._settings.input_size)
        return torch.from_numpy(np.ascontiguousarray(cut))[None, None].to(self._device)


def _grey(pixels: Frame) -> NDArray[np.uint8]:
    """Return the mean of the colours, uint8 (H, W)."""
    if pixels.ndim == 2:
        return pixels
    # a third of a whole number is never half-way between two: adding one and cutting off rounds to the nearest
    return ((pixels.sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)


def _centre(mask: Mask) -> tuple[float, float]:
    """Return the mean row and column of a mask that is not empty."""
    rows, columns = np.nonzero(mask)
    return float(rows.mean()), float(columns.mean())


def _extent(mask: Mask) -> float:
    """Return the side of a square of the mask's area, in pixels."""
    return math.sqrt(np.count_nonzero(mask))


def plausible_parts(probabilities: NDArray[np.float32], before: Mask) -> NDArray[np.float32]:
    """Remove islands of p > 0.5 that cannot be the lesion: specks, and parts away from where it was one frame before.

    A lesion does not jump between frames, so an island that does not touch the previous mask, grown by ``REACH``
    pixels, is another dark structure; where none touches it (a cut in the cine), all count. Islands that are small
    beside the largest remaining one (``SPECK`` of its area) go too.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (H, W)
    before : ndarray of bool, shape (H, W)
        The previous mask; empty when the lesion was not visible.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Unchanged outside the removed islands, 0 in them.
    """
    inside = probabilities > 0.5
    if not inside.any():
        return probabilities
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # areas are counted only where there are several: OpenCV's own statistics take ten times as long as the labels
    count, labels = cv2.connectedComponents(inside[box].astype(np.uint8), connectivity=8)
    if count <= 2:
        return probabilities
    reach = cv2.dilate(before[box].astype(np.uint8), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8))
    touching = np.bincount(labels[reach > 0], minlength=count)[1:] > 0
    areas = np.bincount(labels.ravel())[1:] * (touching if touching.any() else 1)
    unlikely = 1 + np.flatnonzero(areas < max(SPECK * areas.max(), 1))
    if len(unlikely):
        probabilities = probabilities.copy()
        probabilities[box][np.isin(labels, unlikely)] = 0.0
    return probabilities
