"""Masks carried from anchors through a cine: one generator, one ``FrameResult`` a frame, as soon as it is known.

To cancel, stop iterating; what was yielded remains valid. If a frame cannot be read, its result says so, and the other
frames are computed. The same input on the same device gives the same masks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from monai.inferers import Inferer
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine, Frame, FrameResult, Mask
from UltrasoundLesionSegLib.engine.ahead import Task, computed_ahead
from UltrasoundLesionSegLib.engine.both_directions import BothDirections, Joined
from UltrasoundLesionSegLib.engine.bundles import default_overlap
from UltrasoundLesionSegLib.engine.expected_overlap import Judge
from UltrasoundLesionSegLib.engine.heap import keep_working_memory
from UltrasoundLesionSegLib.engine.merge import merge_lesions
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork
from UltrasoundLesionSegLib.engine.openvino_backend import is_compiled
from UltrasoundLesionSegLib.engine.signals import NAN, Signals
from UltrasoundLesionSegLib.engine.stretches import Stretch
from UltrasoundLesionSegLib.engine.threads import number_for_inference
from UltrasoundLesionSegLib.engine.tracker import LesionTracker, Prediction, TrackerSettings
from UltrasoundLesionSegLib.engine.window import without_tint
from UltrasoundLesionSegLib.errors import FrameError

T = TypeVar("T")
KnownMasks = Callable[[int], NDArray[np.bool_]]


@dataclass(frozen=True)
class PropagationInputs:
    """What is to be propagated through what.

    Parameters
    ----------
    cine : Cine
    lesion_count : int
        K, the number of lesions.
    stretches : sequence of Stretch
        What to compute (``plan_stretches``), at most one a lesion and frame.
    known : callable
        Frame index -> masks there at that moment, bool (K, H, W): anchors, results left alone, and results already
        yielded by this propagation. The array may be changed.
    allow_overlap : bool
        Whether lesions may share pixels.
    """

    cine: Cine
    lesion_count: int
    stretches: Sequence[Stretch]
    known: KnownMasks
    allow_overlap: bool = False

    def count_steps(self) -> int:
        """Return how many results will be yielded, less those decided at the end: a blended frame counts twice."""
        return sum(len({index for stretch in self.stretches for index in stretch.walk(way)}) for way in (True, False))


class PropagationInferer(Inferer):
    """Propagates seeds through a cine, as a MONAI inferer.

    Parameters
    ----------
    settings : TrackerSettings
    device : torch.device
    overlap : Judge or None
        Tells the expected overlap of a mask from its signals; None takes the default model's.
    notify : callable
        Receives one sentence when something a person should know happens (out of GPU memory, going on on the CPU);
        called in the thread that computes.
    """

    def __init__(
        self,
        settings: TrackerSettings,
        device: torch.device,
        notify: Callable[[str], None] = lambda sentence: None,
        overlap: Judge | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.device = device
        self.notify = notify
        self.overlap: Judge = overlap or default_overlap()

    def __call__(self, inputs: PropagationInputs, network: PropagationNetwork) -> Generator[FrameResult, None, None]:
        """Yield results: those of the forward sweep, ascending, and those of the backward sweep, descending.

        Where the sweeps share no frame (one seed, and every frame from there to both ends) they run side by side on a
        CPU and take turns, forward first. Otherwise the backward sweep follows the forward one: between two anchors
        the forward result comes first, not yet ``final``, and is replaced later by the blend of both. When both sweeps
        have ended, frames on which one direction alone saw the lesion come a third time (``both_directions.py``), and
        once more those whose mask is taken back, since it showed what a person says is not the lesion.

        A frame is read, and ``known`` asked, in the caller's thread before the result of the frame before it in the
        sweep is yielded; the rest is computed in other threads, and goes on while the caller deals with a result.

        Raises
        ------
        SeedError
            When an anchor does not fit the cine.
        FrameError
            When an anchor's own frame cannot be read.
        """
        for stretch in inputs.stretches:
            for anchor in stretch.anchors:
                anchor.check_against(inputs.cine)
        keep_working_memory()
        network.eval().to(self.device)
        both = BothDirections(self.overlap)
        sweeps = [_Sweep(self, inputs, network, both, forward) for forward in (True, False)]
        threads = number_for_inference()
        # a GPU and OpenVINO compute one frame after the other anyway
        several = self.device.type == "cpu" and not is_compiled(network) and torch.get_num_threads() > 1
        if several and sweeps[0].frames.isdisjoint(sweeps[1].frames):
            yield from computed_ahead([sweep.tasks() for sweep in sweeps if sweep.frames], threads)
        else:
            for sweep in sweeps:
                yield from computed_ahead([sweep.tasks()], threads)
        for joined in both.decided():
            yield _decision(inputs, joined)


@dataclass
class _Run:
    """A tracker on its way through a stretch from the anchor on frame ``start``."""

    stretch: Stretch
    tracker: LesionTracker
    start: int


@dataclass(frozen=True)
class _Given:
    """What a frame's computation needs from outside.

    Parameters
    ----------
    index : int
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    known : ndarray of bool, shape (K, H, W)
    anchored : dict of int to ndarray of uint8
        The frames that the trackers of the stretches that begin here are to remember, by index.
    """

    index: int
    frame: Frame
    known: NDArray[np.bool_]
    anchored: dict[int, Frame]


class _Sweep:
    """One pass over the frames in one direction, all lesions in step, so that they compete frame by frame."""

    def __init__(
        self,
        inferer: PropagationInferer,
        inputs: PropagationInputs,
        network: PropagationNetwork,
        both: BothDirections,
        forward: bool,
    ) -> None:
        self._inferer = inferer
        self._inputs = inputs
        self._network = network
        self._both = both
        self._forward = forward
        self._runs: dict[int, _Run] = {}  # by lesion
        self._schedule: dict[int, list[Stretch]] = defaultdict(list)
        for stretch in inputs.stretches:
            for index in stretch.walk(forward):
                self._schedule[index].append(stretch)

    @property
    def frames(self) -> set[int]:
        """The frames stepped through."""
        return set(self._schedule)

    def tasks(self) -> Iterator[Task[FrameResult]]:
        """Yield the computation of each frame in order, with everything read that it needs."""
        begun: set[int] = set()
        for index in sorted(self._schedule, reverse=not self._forward):
            known = self._inputs.known(index)
            try:
                frame = without_tint(self._inputs.cine.frames[index])
            except FrameError as error:
                yield partial(self._unreadable, index, known, error)
                continue
            new = [stretch for stretch in self._schedule[index] if id(stretch) not in begun]
            begun.update(id(stretch) for stretch in new)
            anchors = {anchor.frame for stretch in new for anchor in stretch.remembered}
            anchored = {one: without_tint(self._inputs.cine.frames[one]) for one in sorted(anchors)}
            yield partial(self._compute, _Given(index, frame, known, anchored))

    def _compute(self, given: _Given) -> FrameResult:
        index, known = given.index, given.known
        runs = [self._run_of(stretch, given.anchored) for stretch in self._schedule[index]]
        for run in runs:
            if index in run.stretch.absent:
                self._take_back(run, self._pass_absent(run, given.frame, index), index)
        followed = [run for run in runs if index not in run.stretch.absent]
        found = self._follow(followed, given) if followed else []
        self._runs = {k: run for k, run in self._runs.items() if index != run.stretch.walk(self._forward)[-1]}
        return self._result(index, known, found)

    def _follow(self, runs: list[_Run], given: _Given) -> list[Joined]:
        """Return what is known of the lesions that are followed through a frame."""
        index = given.index
        predictions = [self._step(run, given.frame, index) for run in runs]
        maps = [prediction.probabilities for prediction in predictions]
        merged = self._apart(np.stack(maps) if len(maps) > 1 else maps[0][None], runs, given)
        found: list[Joined] = []
        for place, run in enumerate(runs):
            run.tracker.accept(index, merged[place])
            absence = min((float(abs(index - one)) for one in run.stretch.absent), default=NAN)
            told = replace(predictions[place].signals, distance=float(abs(index - run.start)), absence=absence)
            found.append(self._joined(run, index, merged[place], self._inferer.overlap.of_one(told)))
        if self._forward or len(runs) == 1:
            return found
        # the trackers keep views of `merged`: their own direction, not the blend
        apart = self._apart(np.stack([one.probabilities for one in found]), runs, given)
        return [replace(one, probabilities=map_) for one, map_ in zip(found, apart, strict=True)]

    def _apart(self, maps: NDArray[np.float32], runs: list[_Run], given: _Given) -> NDArray[np.float32]:
        """Return the runs' probabilities, (R, H, W), after their lesions and the others there made room.

        A drawing that a run walks past holds for the other lesions; the run itself goes on as if it was not there.
        """
        lesions = [run.stretch.lesion for run in runs]
        merged = merge_lesions(maps, _others(given.known, lesions), self._inputs.allow_overlap)
        computed = [place for place, run in enumerate(runs) if given.index not in run.stretch.lone]
        if not 0 < len(computed) < len(runs):
            return merged
        others = _others(given.known, [lesions[place] for place in computed])
        apart = merged.copy()
        apart[computed] = merge_lesions(maps[computed], others, self._inputs.allow_overlap)
        return apart

    def _joined(self, run: _Run, index: int, probabilities: NDArray[np.float32], expected: float) -> Joined:
        """Return this direction's result, between two anchors joined with the other's where that is known."""
        stretch = run.stretch
        if not stretch.is_two_sided or not stretch.computes(index):
            return Joined(stretch.lesion, index, probabilities, expected)
        if not self._forward:
            with_absent = not run.tracker.compares
            return self._both.join(stretch, index, probabilities, expected, with_absent=with_absent)
        self._both.hold(stretch, index, probabilities, expected)
        return Joined(stretch.lesion, index, probabilities, expected, is_final=False)

    def _result(self, index: int, known: NDArray[np.bool_], found: list[Joined]) -> FrameResult:
        computed = {stretch.lesion for stretch in self._schedule[index] if stretch.computes(index)}
        # other frames are only passed
        return _frame_result(index, known, [one for one in found if one.lesion in computed])

    def _unreadable(self, index: int, known: NDArray[np.bool_], error: FrameError) -> FrameResult:
        for run in self._runs.values():
            if index in run.stretch.absent:
                self._pass_absent(run, None, index)
        nothing = np.zeros(self._inputs.lesion_count, np.bool_)
        scores = np.full(self._inputs.lesion_count, np.nan, np.float32)
        return FrameResult(index, known, scores, nothing, nothing, str(error))

    def _run_of(self, stretch: Stretch, anchored: dict[int, Frame]) -> _Run:
        """Return the run in this stretch; starts it at its anchor, with all that it uses in memory."""
        run = self._runs.get(stretch.lesion)
        if run is None or run.stretch is not stretch:
            start = stretch.left if self._forward else stretch.right
            assert start is not None
            others = [one for one in stretch.remembered if one is not start and one.mask.any()]
            tracker = self._falling_back(lambda: self._started_tracker(start, others, anchored), start.frame)
            run = _Run(stretch, tracker, start.frame)
            self._runs[stretch.lesion] = run
        return run

    def _started_tracker(self, start: Anchor, others: list[Anchor], anchored: dict[int, Frame]) -> LesionTracker:
        tracker = LesionTracker(self._network, self._inferer.settings, self._inferer.device)
        for other in others:
            tracker.remember_anchor(other.frame, anchored[other.frame], other.mask)
        tracker.start_at_anchor(start.frame, anchored[start.frame], start.mask)
        return tracker

    def _step(self, run: _Run, frame: Frame, index: int) -> Prediction:
        return self._falling_back(lambda: run.tracker.step(frame, index), index)

    def _pass_absent(self, run: _Run, frame: Frame | None, index: int) -> list[int]:
        return self._falling_back(lambda: run.tracker.pass_absent(frame, index), index)

    def _take_back(self, run: _Run, wrong: list[int], absent: int) -> None:
        """Empty the masks on the frames on which a run followed what is not the lesion, as frame ``absent`` says."""
        nothing = np.zeros(self._inputs.cine.shape, np.float32)
        computed = [index for index in sorted(wrong, reverse=not self._forward) if run.stretch.computes(index)]
        for hidden, index in enumerate(computed, start=1):
            distance, absence = float(abs(index - run.start)), float(abs(index - absent))
            told = Signals(unseen=1.0, hidden=float(hidden), distance=distance, absence=absence)
            expected = self._inferer.overlap.of_one(told)
            self._both.take_back(
                run.stretch, Joined(run.stretch.lesion, index, nothing, expected), forward=self._forward
            )

    def _falling_back(self, work: Callable[[], T], index: int) -> T:
        """Return what ``work`` returns, on the CPU where the GPU's memory does not suffice."""
        try:
            return work()
        except torch.cuda.OutOfMemoryError:
            self._inferer.notify(
                f"the GPU ran out of memory at frame {index}; the rest is computed on the CPU, which is slower"
            )
            self._inferer.device = torch.device("cpu")
            self._network.cpu()
            for other in self._runs.values():
                other.tracker.to(self._inferer.device)
            return work()


def _decision(inputs: PropagationInputs, joined: Joined) -> FrameResult:
    """Return the final result of a lesion on a frame on which one direction alone saw it."""
    known = inputs.known(joined.index)
    apart = merge_lesions(joined.probabilities[None], _others(known, [joined.lesion]), inputs.allow_overlap)[0]
    return _frame_result(joined.index, known, [replace(joined, probabilities=apart)])


def _others(known: NDArray[np.bool_], lesions: list[int]) -> Mask:
    """Return the pixels of all lesions but these, bool (H, W), from all masks (K, H, W)."""
    others: Mask = np.logical_or.reduce(np.delete(known, lesions, axis=0), axis=0)
    return others


def _frame_result(index: int, known: NDArray[np.bool_], found: list[Joined]) -> FrameResult:
    """Return the result of a frame with these lesions computed, the others as they are known."""
    confidence = np.full(len(known), np.nan, np.float32)
    computed, final = np.zeros(len(known), np.bool_), np.zeros(len(known), np.bool_)
    for one in found:
        known[one.lesion] = one.probabilities > 0.5
        confidence[one.lesion] = one.expected
        computed[one.lesion], final[one.lesion] = True, one.is_final
    return FrameResult(index, known, confidence, computed, final)
