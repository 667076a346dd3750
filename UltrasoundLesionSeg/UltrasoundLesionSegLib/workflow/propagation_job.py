"""One propagation in a scene: from the anchors there, through the engine, into the segmentation sequence.

Only stretches whose result is not there yet are computed: every frame written carries its provenance (model, anchors,
direction), and a stretch whose frames all carry the provenance it would give now is left alone. So a correction costs
the frames up to the neighbouring anchors that show the lesion, and asking twice costs nothing. Where lesions may not
overlap, a stretch is computed again, too, if one of its masks lies on what was drawn of another lesion since.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine, FrameResult, Mask, Origin
from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.engine.device import describe_device
from UltrasoundLesionSegLib.engine.heap import return_free_memory
from UltrasoundLesionSegLib.engine.merge import PackedProbabilities
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer, PropagationInputs
from UltrasoundLesionSegLib.engine.stretches import Direction, Stretch, plan_stretches
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import SegmentState
from UltrasoundLesionSegLib.report.wording import counted

FRAMES_BETWEEN_TRIMS = 100
UNFINISHED = ""  # provenance of a forward result that still waits for its backward pass


EditableArea = Callable[[int, str], Mask]

NOTHING_BEYOND = "No frame lies in the direction {direction} of the seeds: nothing was propagated; choose another one."
ALL_DRAWN = (
    "Nothing was computed, because every frame asked for ({frames}) has a seed or was drawn or confirmed: give a seed "
    "on fewer frames, or release those that the model is to compute."
)
TINY_DRAWING = "Less than a tenth of the lesion is drawn on {frames}: such a drawing changes no other frame."
SMALL_DRAWING = (
    "What is drawn on {frames} is less than {limit:.0f} pixels long, too small for the model to see well: see whether "
    "the whole lesion is drawn there."
)
UNREADABLE_DRAWING = "The image cannot be read on {frames}: what is drawn there changes no other frame."
LOST_LESION = "Lesion {number} is drawn only where the image cannot be read: draw it on another frame, too."


@dataclass(frozen=True)
class PropagationPlan:
    """What to propagate, and where results may be written.

    Parameters
    ----------
    direction : Direction
    frames : range
        Frames to compute.
    allow_overlap : bool
        Whether lesions may share pixels.
    editable : callable or None
        Frame and segment ID -> bool (H, W): the pixels that may be changed; None where all may.
    """

    direction: Direction
    frames: range
    allow_overlap: bool = False
    editable: EditableArea | None = None


@dataclass(frozen=True)
class PropagationProgress:
    """Where a propagation is.

    Parameters
    ----------
    frame : int
        The frame just done.
    done, total : int
        Steps; a frame between two anchors takes two, and one more where one direction alone saw the lesion, or where
        its mask is taken back.
    seconds : float
        Since the start.
    error : str
        Why this frame has no result, or ''.
    frames_done, frames : int
        Frames that are done, of those that can get a result: frames between and beyond the anchors in the propagation's
        direction, and the anchors' own, within the range asked for. A frame that cannot be read is done, too.
    stage : str
        What is being done, where a propagation is not all there is to do.
    """

    frame: int
    done: int
    total: int
    seconds: float
    error: str = ""
    frames_done: int = 0
    frames: int = 0
    stage: str = ""

    @property
    def frames_per_second(self) -> float:
        """Steps a second so far."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """Estimate of the time left, in s."""
        return (self.total - self.done) * self.seconds / self.done if self.done else 0.0


@dataclass(frozen=True)
class FitRecord:
    """How a model was fitted to a cine, and whether its result was kept.

    Parameters
    ----------
    used : bool
        Whether the masks are those of the fitted model.
    model_sha256 : str
        Of the weights before the fit.
    anchors : list of int
        Frames it was fitted to.
    steps, batch, learning_rate, share, seed
        See ``fitting.lesion_fit.FitSettings``.
    seconds : float
        That the fit took, without the propagations.
    expected_overlap : dict of str to float
        ``without`` and ``with`` the fit: the mean over all masks that were computed.
    way_back : dict of str to float
        The same two: Dice of what was drawn and what the result leads back to (``fitting.way_back``), mean over the
        lesions. It decides whether the fit is used. Empty where nothing could be compared.
    """

    used: bool
    model_sha256: str
    anchors: list[int]
    steps: int
    batch: int
    learning_rate: float
    share: float
    seed: int
    seconds: float
    expected_overlap: dict[str, float] = field(default_factory=dict)
    way_back: dict[str, float] = field(default_factory=dict)


@dataclass
class PropagationSummary:
    """What a propagation did.

    Parameters
    ----------
    model, version, sha256 : str
        Of the model.
    device : str
    direction : str
    frames_computed : list of int
        Frames with a new final result, ascending.
    frames_unfinished : list of int
        Frames whose new result has seen one direction only when the propagation was cancelled, ascending.
    frames_without_lesion : list of int
        Those of ``frames_computed`` that show none of the lesions, ascending.
    unreadable : dict of int to str
        Frames that could not be read, each with a sentence that says so and why.
    notices : list of str
        What a person should know, one sentence each.
    seconds : dict of str to float
        Time in each stage: ``network`` (with decoding and preprocessing) and ``mrml``.
    cancelled : bool
    fit : FitRecord or None
        Where the model was fitted to this cine; ``model`` and ``sha256`` are then those of the fitted one, if used.
    """

    model: str
    version: str
    sha256: str
    device: str
    direction: str
    frames_computed: list[int] = field(default_factory=list)
    frames_unfinished: list[int] = field(default_factory=list)
    frames_without_lesion: list[int] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"network": 0.0, "mrml": 0.0})
    cancelled: bool = False
    fit: FitRecord | None = None


@dataclass(frozen=True)
class _Before:
    """One segment on one frame as it was before a propagation, for undo."""

    mask: PackedProbabilities
    state: SegmentState


class PropagationJob:
    """A planned propagation; ``steps`` runs it, ``undo`` takes it back.

    Parameters
    ----------
    cine : Cine
    sequence : SegmentationSequence
        Holds the anchors and receives the results.
    bundle : Bundle
        A model whose role is to propagate.
    network : PropagationNetwork
        The bundle's network.
    device : torch.device
    plan : PropagationPlan

    Raises
    ------
    SeedError
        When no frame that can be read has a lesion drawn or confirmed.
    """

    def __init__(
        self,
        cine: Cine,
        sequence: SegmentationSequence,
        bundle: Bundle,
        network: PropagationNetwork,
        device: torch.device,
        plan: PropagationPlan,
    ) -> None:
        self._cine = cine
        self._sequence = sequence
        self._bundle = bundle
        self._network = network
        self._device = device
        self._plan = plan
        self._computed: set[int] = set()
        self._unfinished: set[int] = set()
        self._to_settle: dict[tuple[int, str], str] = {}  # provenances to be written at the end
        self._empty: set[int] = set()  # frames written last that show no lesion
        self._before: dict[tuple[int, str], _Before] = {}
        self._segment_ids = [segment.id for segment in sequence.segments()]
        self._settings = bundle.tracker_settings()
        self._overlap = bundle.overlap_estimate()
        self.summary = PropagationSummary(
            bundle.name, bundle.version, bundle.sha256, describe_device(device, network), plan.direction.value
        )
        anchors = self._anchors()
        drawn = [anchor for anchor in anchors if anchor.mask.any()]
        if not drawn:
            raise SeedError("the cine has no seed: draw the lesion on at least one frame, or accept a suggestion")
        unreadable = {frame for frame in {anchor.frame for anchor in anchors} if not cine.can_read(frame)}
        self._tell_unreadable(drawn, unreadable)
        stretches = plan_stretches(anchors, plan.direction, plan.frames, unreadable)
        reached = {index for stretch in stretches for index in stretch.frames}
        self._wanted = (reached | {anchor.frame for anchor in anchors}) & set(plan.frames)
        if not any(stretch.computed for stretch in stretches):
            self._tell_nothing_computed()
        if tiny := {frame for stretch in stretches for frame in stretch.lone} - unreadable:
            self.summary.notices.append(TINY_DRAWING.format(frames=_listed(tiny)))
        limit = self._settings.smallest_seen
        if small := {one.frame for one in drawn if max(np.ptp(np.nonzero(one.mask), axis=1)) + 1 < limit}:
            self.summary.notices.append(SMALL_DRAWING.format(frames=_listed(small), limit=limit))
        self._provenance = {id(stretch): self._provenance_of(stretch) for stretch in stretches}
        covered = [] if plan.allow_overlap else self._covered(stretches, anchors)
        self.stretches = [one for one in stretches if self._is_stale(one) or _competes(one, covered)]
        self._stretch_at = {
            (stretch.lesion, index): stretch for stretch in self.stretches for index in stretch.computed
        }

    def steps(self) -> Generator[PropagationProgress, None, None]:
        """Compute and write frame by frame; closing the generator cancels and keeps what is done."""
        inputs = PropagationInputs(
            self._cine, len(self._segment_ids), self.stretches, self._known, self._plan.allow_overlap
        )
        total = inputs.count_steps()
        inferer = PropagationInferer(self._settings, self._device, self.summary.notices.append, self._overlap)
        started = stage_started = time.perf_counter()
        results = inferer(inputs, self._network)
        done = 0
        open_frames = {frame for _, frame in self._stretch_at}
        try:
            for result in results:
                computed = time.perf_counter()
                self.summary.seconds["network"] += computed - stage_started
                self._write(result)
                stage_started = time.perf_counter()
                self.summary.seconds["mrml"] += stage_started - computed
                done += 1
                if done % FRAMES_BETWEEN_TRIMS == 0:
                    return_free_memory()
                if result.error or result.final[result.computed].all():
                    open_frames.discard(result.frame)
                frames_done = len(self._wanted) - len(open_frames)
                total = max(total, done)  # frames that one direction alone saw come once more
                yield PropagationProgress(
                    result.frame, done, total, stage_started - started, result.error, frames_done, len(self._wanted)
                )
                stage_started = time.perf_counter()  # without the time that the caller took
            self._settle()
        finally:
            results.close()
            return_free_memory()
            self.summary.cancelled = bool(open_frames)
            self.summary.frames_computed = sorted(self._computed)
            self.summary.frames_unfinished = sorted(self._unfinished)
            self.summary.frames_without_lesion = sorted((self._computed & self._empty) - set(self.summary.unreadable))

    @property
    def has_changed(self) -> bool:
        """Whether this job wrote anything itself."""
        return bool(self._computed or self._unfinished or self.summary.unreadable)

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._before)

    def keep_undo_of(self, earlier: PropagationJob) -> None:
        """Take back what an earlier job did when this one is undone: this one changed nothing."""
        self._before = earlier._before

    def undo(self) -> None:
        """Put every frame back as it was before this job, except what a person drew or confirmed since."""
        present = self._present()  # some lesions may be deleted by now
        by_frame: dict[int, list[str]] = {}
        for frame, segment_id in self._before:
            if segment_id in present:
                by_frame.setdefault(frame, []).append(segment_id)
        for frame, segment_ids in sorted(by_frame.items()):
            restored = [s for s in segment_ids if not self._is_anchor(frame, s)]
            before = {s: self._before[frame, s] for s in restored}
            self._sequence.write(
                frame,
                {s: one.mask.unpack() > 0.5 for s, one in before.items()},
                {s: one.state.origin for s, one in before.items()},
                {s: one.state.confidence for s, one in before.items()},
                {s: one.state.provenance for s, one in before.items()},
            )
        self._before.clear()

    def _present(self) -> set[str]:
        return {segment.id for segment in self._sequence.segments()}

    def _is_anchor(self, frame: int, segment_id: str) -> bool:
        origin = self._sequence.origin(frame, segment_id)
        return origin is not None and origin.is_anchor

    def _anchors(self) -> list[Anchor]:
        by_segment = self._sequence.anchors()
        return [
            Anchor(lesion, frame, self._sequence.read(frame, segment_id))
            for lesion, segment_id in enumerate(self._segment_ids)
            for frame in by_segment.get(segment_id, ())
        ]

    def _tell_nothing_computed(self) -> None:
        """Say why there is nothing to compute."""
        if self._wanted < set(self._plan.frames):
            self.summary.notices.append(NOTHING_BEYOND.format(direction=self._plan.direction.value))
        elif len(self._cine) > 1:  # of a still, nothing but the drawing is expected
            self.summary.notices.append(ALL_DRAWN.format(frames=counted(len(self._plan.frames), "frame")))

    def _tell_unreadable(self, drawn: list[Anchor], unreadable: set[int]) -> None:
        """Say of which drawings the frame cannot be read; raises ``SeedError`` where there are no others."""
        lost = {anchor.frame for anchor in drawn if anchor.frame in unreadable}
        if not lost:
            return
        usable = {anchor.lesion for anchor in drawn if anchor.frame not in unreadable}
        if not usable:
            raise SeedError(
                f"the image cannot be read on {_listed(lost)}, the only drawn; draw the lesion on another frame"
            )
        self.summary.notices.append(UNREADABLE_DRAWING.format(frames=_listed(lost)))
        without = sorted({anchor.lesion for anchor in drawn} - usable)
        self.summary.notices += [LOST_LESION.format(number=lesion + 1) for lesion in without]

    def _provenance_of(self, stretch: Stretch) -> str:
        """Return a short digest of everything a stretch's result depends on."""
        model = f"{self._bundle.sha256} {self._settings} {self._overlap}"
        digest = hashlib.sha256(f"{model} {self._plan.allow_overlap}".encode())
        fullest = () if stretch.fullest is None else (stretch.fullest,)
        for anchor in (stretch.left, stretch.right, *stretch.absent.values(), *fullest):
            digest.update(f" {anchor.frame if anchor else None} ".encode())
            digest.update(np.packbits(anchor.mask).tobytes() if anchor else b"")
        return digest.hexdigest()[:16]

    def _is_stale(self, stretch: Stretch) -> bool:
        segment_id = self._segment_ids[stretch.lesion]
        wanted = self._provenance[id(stretch)]
        return any(self._sequence.provenance(index, segment_id) != wanted for index in stretch.computed)

    def _covered(self, stretches: list[Stretch], anchors: list[Anchor]) -> list[tuple[Stretch, Anchor]]:
        """Return the stretches with a stored mask that lies on an anchor of another lesion, each with that anchor."""
        by_frame: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            by_frame.setdefault(anchor.frame, []).append(anchor)
        return [
            (stretch, anchor)
            for stretch in stretches
            for index in stretch.computed
            for anchor in by_frame.get(index, ())
            if (self._sequence.read(index, self._segment_ids[stretch.lesion]) & anchor.mask).any()
        ]

    def _known(self, index: int) -> NDArray[np.bool_]:
        """Return the masks that hold on a frame, bool (K, H, W): without those that this job is still to replace."""
        present, nothing = self._present(), np.zeros(self._cine.shape, np.bool_)
        known = np.stack([self._sequence.read(index, one) if one in present else nothing for one in self._segment_ids])
        for k, segment_id in enumerate(self._segment_ids):
            is_awaited = (k, index) in self._stretch_at and (index, segment_id) not in self._before
            if is_awaited and segment_id in present and not self._is_anchor(index, segment_id):
                known[k] = self._within_editable(index, segment_id, nothing)
        return known

    def _write(self, result: FrameResult) -> None:
        frame = result.frame
        lesions = [k for k in range(len(self._segment_ids)) if (k, frame) in self._stretch_at]
        if result.error:
            self.summary.unreadable[frame] = result.error
        else:
            lesions = [k for k in lesions if result.computed[k]]
        # a person may have drawn on this frame, or deleted a segment, while the job ran
        present = self._present()
        lesions = [
            k for k in lesions if self._segment_ids[k] in present and not self._is_anchor(frame, self._segment_ids[k])
        ]
        if not lesions:
            return
        masks, origins, confidences, provenances = {}, {}, {}, {}
        for k in lesions:
            segment_id = self._segment_ids[k]
            self._keep_for_undo(frame, segment_id)
            mask = np.zeros_like(result.masks[k]) if result.error else result.masks[k]
            masks[segment_id] = self._within_editable(frame, segment_id, mask)
            origins[segment_id] = None if result.error else Origin.MODEL
            confidences[segment_id] = float(result.confidence[k])
            # a result limited by masking is not the full result of anchors and model, so it never counts as done
            is_whole = self._plan.editable is None and (result.final[k] or bool(result.error))
            stretch = self._stretch_at[k, frame]
            provenances[segment_id] = self._provenance[id(stretch)] if is_whole else UNFINISHED
            if stretch.absent and frame == stretch.computed[0]:
                # masks may still be taken back: one frame keeps a cancelled stretch from counting as done
                self._to_settle[frame, segment_id] = provenances[segment_id]
                provenances[segment_id] = UNFINISHED
        self._sequence.write(frame, masks, origins, confidences, provenances)
        is_empty = not any(self._sequence.read(frame, segment_id).any() for segment_id in present)
        (self._empty.add if is_empty else self._empty.discard)(frame)
        if result.final.any():
            self._computed.add(frame)
            self._unfinished.discard(frame)
        else:
            self._unfinished.add(frame)

    def _settle(self) -> None:
        """Let stretches count as done of which no mask is taken back any more."""
        present = self._present()
        for (frame, segment_id), provenance in self._to_settle.items():
            if segment_id in present and not self._is_anchor(frame, segment_id):
                state = self._sequence.state(frame, segment_id)
                self._sequence.set_state(frame, segment_id, replace(state, provenance=provenance))

    def _within_editable(self, frame: int, segment_id: str, mask: Mask) -> Mask:
        """Return the new mask where it may be changed, the old one elsewhere."""
        if self._plan.editable is None:
            return mask
        return np.where(self._plan.editable(frame, segment_id), mask, self._sequence.read(frame, segment_id))

    def _keep_for_undo(self, frame: int, segment_id: str) -> None:
        if (frame, segment_id) not in self._before:
            mask = PackedProbabilities.pack(self._sequence.read(frame, segment_id))
            self._before[frame, segment_id] = _Before(mask, self._sequence.state(frame, segment_id))


def _competes(stretch: Stretch, covered: list[tuple[Stretch, Anchor]]) -> bool:
    """Tell whether a stretch covers an anchor of another lesion, or begins or ends at one that is covered."""
    return any(stretch is one or any(anchor is end for end in stretch.ends) for one, anchor in covered)


def _listed(frames: set[int]) -> str:
    """Return frame numbers for a sentence: ``frame 3`` or ``frames 3, 7``."""
    return f"frame{'s' * (len(frames) > 1)} {', '.join(map(str, sorted(frames)))}"
