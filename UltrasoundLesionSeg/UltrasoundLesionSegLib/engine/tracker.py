"""One lesion followed from frame to frame, with its window, memory and previous frame.

Stretches and directions are the caller's (``propagation.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine import confidence
from UltrasoundLesionSegLib.engine.contrast import contrast
from UltrasoundLesionSegLib.engine.islands import plausible_parts
from UltrasoundLesionSegLib.engine.memory import MemoryBank, MemorySettings
from UltrasoundLesionSegLib.engine.network_api import PreviousFrame, PropagationNetwork
from UltrasoundLesionSegLib.engine.network_input import NetworkInput, View
from UltrasoundLesionSegLib.engine.outline import OutlineCorrection
from UltrasoundLesionSegLib.engine.presence import STILL_DENIED, Presence
from UltrasoundLesionSegLib.engine.resemblance import Resemblance
from UltrasoundLesionSegLib.engine.signals import NAN, Signals, overlap, soft_overlap
from UltrasoundLesionSegLib.engine.trail import Trail
from UltrasoundLesionSegLib.engine.window import Window

# Longer side of a lesion in the smallest window, of its side: in the models here, one to two cells of the memory
SPECK = 1 / 8


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
    certainty_kept : float
        What is followed is taken for other tissue where the network's certainty falls below this share, 0 to 1, of the
        highest one on the few frames before (``presence.py``); 0: whatever the certainty was before.
    """

    input_size: int = 240
    window_margin: float = 2.0
    smallest_side: float = 48.0
    memory: MemorySettings = field(default_factory=MemorySettings)
    outline_correction: bool = True
    certainty_kept: float = 0.0

    @property
    def smallest_seen(self) -> float:
        """Longer side, in pixels of the frame, from which on the network sees more of a lesion than a speck."""
        return SPECK * self.smallest_side


# The window moves only when it must: if it stays, the previous frame's key can be used again.
DRIFT = 0.08  # of the side, between the window's centre and the lesion's
RESCALE = 1.2  # between the window's side and the one wanted


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


@dataclass
class _Past:
    """The frame before, kept as it was so that it can be seen through another window."""

    frame: Frame
    probabilities: NDArray[np.float32]  # (H, W)
    mask: Mask  # where they exceed 0.5
    view: View
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
        self._input = NetworkInput(network, settings.input_size, device)
        self._resemblance = Resemblance(network, self._input)
        self._presence = Presence(
            self._resemblance,
            settings.input_size,
            settings.window_margin,
            settings.smallest_side,
            settings.certainty_kept,
        )
        self._bank = MemoryBank(settings.memory)
        self._remembers = False  # whether any anchor is in the memory
        self._past: _Past | None = None
        # follows the tissue of the anchor, whether or not outlines are corrected
        self._correction: OutlineCorrection | None = None
        self._anchor_overlap = NAN  # of the network's outline on the anchor with the drawn one
        self._given = np.zeros((0, 0), np.float32)  # the last prediction as it was returned
        self._trail = Trail()  # what was seen since the lesion was last lost

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
        self._presence.begin(frame, mask)
        self._correction, self._anchor_overlap = None, NAN
        if mask.any():
            view, drawn = past.view, past.seen[0, 0].cpu().numpy()
            predicted = self._segment(view, PreviousFrame(view.tensor, view.code, past.seen), index)
            self._correction = OutlineCorrection(drawn, predicted, view.grey, past.window)
            # On later frames the contrast of the network's own outline is measured, so here too. A drawn outline that
            # includes a bright rim has another contrast than the dark core inside it, although nothing has changed.
            self._presence.contrast = contrast(view.grey, predicted > 0.5)
            self._anchor_overlap = overlap(drawn > 0.5, predicted > 0.5)
            # the drawn lesion as a whole: this anchor may show its edge only
            resemblance = 1.0 if self._resemblance.is_known else NAN
            self._presence.know_certainty(confidence.certainty(predicted), resemblance)

    @property
    def compares(self) -> bool:
        """Whether it can compare what it follows with the drawn lesion (``Resemblance``)."""
        return self._resemblance.is_known

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
        view = self._input.view(frame, window)
        past = self._past
        predicted = self._segment(view, PreviousFrame(past.view.tensor, past.view.code, past.seen), index)
        if self._correction is not None:
            self._correction.follow(view.grey, window)
        certainty = confidence.certainty(predicted)
        probabilities = corrected = self._paste(predicted, window, past.mask)
        redrawn = predicted if self._correction is None else self._correction.apply(predicted)
        found, alike = probabilities > 0.5, self._presence.likeness(frame)
        seen = contrast(view.grey, predicted > 0.5)
        described = self._described(view, probabilities, window)
        resemblance = self._resemblance.of(described)
        denied = bool(found.any()) and self._presence.is_denied(found, frame)
        if found.any() and (denied or not self._presence.is_lesion(found, frame, certainty, seen, alike)):
            probabilities = corrected = np.zeros_like(probabilities)
            certainty = 1 - certainty  # certainty that nothing is there
        elif self._correction is not None and self._settings.outline_correction:
            corrected = self._paste(redrawn, window, past.mask)
        if not (probabilities > 0.5).any():
            certainty = self._presence.certainty_of_none(certainty)
        self._past = replace(past, frame=frame, probabilities=probabilities, view=view)
        self._given = corrected
        if not (corrected > 0.5).any():
            if past.mask.any():
                self._presence.keep_view(past.frame, past.mask)
                alike = self._presence.likeness(frame)
            # what was denied may resemble the lesion: that does not make the mask doubtful
            return Prediction(corrected, self._signals_of_none(certainty, alike, NAN if denied else resemblance))
        if past.mask.any():
            self._presence.know_followed(certainty, resemblance)
            self._trail.add(index, described)
        else:
            self._presence.know_certainty(certainty)
            self._trail.add(index, None)  # a search window is another
        signals = self._signals(predicted, window.cut(corrected, len(predicted)) > 0.5, certainty)
        if self._correction is None:
            agreement = self._presence.anchor_agreement(frame, corrected > 0.5)
            signals = replace(signals, return_overlap=agreement)
        return Prediction(corrected, signals)

    def _described(self, view: View, probabilities: NDArray[np.float32], window: Window) -> Tensor | None:
        """Return the description of what is seen, None where that is nothing."""
        if not (probabilities > 0.5).any():
            return None
        return self._resemblance.describe(view, self._input.cut_mask(probabilities, window))

    def _signals_of_none(self, certainty: float, alike: float, refused: float) -> Signals:
        """Return what tells whether the lesion is really not visible."""
        return Signals(
            unseen=certainty,
            hidden=float(self._presence.lost + 1),
            last_likeness=alike,
            anchor_overlap=self._anchor_overlap,
            refused=refused,
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
        past = replace(self._past, probabilities=own, mask=mask, seen=self._input.cut_mask(own, self._past.window))
        self._past = past
        if mask.any():
            self._presence.found()
            self._bank.add(index, self._network.memorize(past.view.tensor, past.view.code, past.seen))
        else:
            # frames with an empty mask do not enter the memory: they show nothing of the lesion
            self._lose(before)
        return final

    @torch.inference_mode()
    def pass_absent(self, frame: Frame | None, index: int) -> list[int]:
        """Go past a frame that a person marked "not visible": the lesion is lost from here on.

        What would have been followed through it is another structure. While it looks the same, it is not taken for the
        returning lesion.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3), or None
            None where it cannot be read.
        index : int

        Returns
        -------
        list of int
            The frames just before, latest first, on which that structure was followed already.
        """
        assert self._past is not None, "start_at_anchor comes before pass_absent"
        past, wrong_before = self._past, []
        if frame is not None and (wrong := self.step(frame, index).probabilities > 0.5).any():
            self._presence.deny(frame, wrong)
            wrong_before = self._followed_before()
        nothing = np.zeros_like(past.probabilities)
        view = past.view if frame is None else self._input.view(frame, past.window)
        self._past = replace(
            past,
            frame=past.frame if frame is None else frame,
            probabilities=nothing,
            mask=nothing > 0.5,
            view=view,
            seen=self._input.cut_mask(nothing, past.window),
        )
        self._lose(past.mask)
        if past.mask.any():
            # the mask followed up to here may never have been the lesion: only the anchors are certain
            self._bank.forget_passing()
            self._presence.return_to_anchor()
        return wrong_before

    def _followed_before(self) -> list[int]:
        """Return the frames, latest first, on which what was seen last was followed already, not yet the lesion."""
        trail = self._trail.backwards()
        _, here = next(trail)
        before: list[int] = []
        for frame, described in trail if here is not None else ():
            if described is not None and not self._resemblance.on_the_way(here, described) <= STILL_DENIED:
                break
            before.append(frame)
        return before

    def _lose(self, before: Mask) -> None:
        """Take note that the lesion, seen as ``before`` one frame ago, is not visible."""
        self._presence.lose(before)
        self._trail.clear()
        self._correction = None  # the returning lesion is cut in another section

    def to(self, device: torch.device) -> None:
        """Move what is remembered to another device; the caller moves the network."""
        self._input.to(device)
        self._bank.to(device)
        if self._past is not None:
            view = self._input.view(self._past.frame, self._past.window)
            self._past = replace(self._past, view=view, seen=self._past.seen.to(device))

    def _next_window(self) -> Window:
        assert self._past is not None
        past = self._past
        if self._presence.lost:
            return self._presence.search_window(*past.mask.shape)
        wanted = self._window_for(past.mask)
        now = past.window
        drift = max(abs(wanted.row - now.row), abs(wanted.column - now.column))
        ratio = max(wanted.side / now.side, now.side / wanted.side)
        return wanted if drift > DRIFT * now.side or ratio > RESCALE else now

    def _window_for(self, mask: Mask) -> Window:
        if not mask.any():
            return Window.whole(*mask.shape)
        return Window.around(mask, self._settings.window_margin, self._settings.smallest_side)

    def _look_through(self, window: Window) -> None:
        """See the previous frame through the present window: the prior must lie where the present frame shows it."""
        assert self._past is not None
        if self._past.window != window:
            view = self._input.view(self._past.frame, window)
            seen = self._input.cut_mask(self._past.probabilities, window)
            self._past = replace(self._past, view=view, window=window, seen=seen)

    @torch.inference_mode()
    def _memorize_anchor(self, index: int, frame: Frame, mask: Mask) -> _Past:
        window = self._window_for(mask)
        probabilities = mask.astype(np.float32)
        view, seen = self._input.view(frame, window), self._input.cut_mask(probabilities, window)
        if mask.any() or not self._remembers:
            # an anchor with an empty mask is not remembered beside anchors that show the lesion
            self._bank.add(index, self._network.memorize(view.tensor, view.code, seen), permanent=True)
            self._remembers = True
        if mask.any():
            self._presence.know_anchor(mask, contrast(view.grey, seen[0, 0].cpu().numpy() > 0.5))
            self._resemblance.know_anchor(view, seen, window, mask)
        return _Past(frame, probabilities, mask, view, window, seen)

    @torch.inference_mode()
    def _segment(self, view: View, previous: PreviousFrame, index: int) -> NDArray[np.float32]:
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
