"""Clips to fit the expected overlap on, and the signals and true Dice of a model's masks on them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine, FrameResult
from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.engine.propagation import PropagationInputs
from UltrasoundLesionSegLib.engine.signals import Signals
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases
from UltrasoundLesionSegLib.evaluation.methods import Model
from UltrasoundLesionSegLib.evaluation.moving_clips import write_moving_stills
from UltrasoundLesionSegLib.evaluation.val_clips import (
    choose_records,
    plan_clips_apart,
    sweep_settings_apart,
    write_simulated_clips,
    write_still_clips,
)
from UltrasoundLesionSegLib.measurement.overlap import dice
from UltrasoundLesionSegLib.training.stills import read_index
from UltrasoundLesionSegLib.writers.atomic import atomic_path

FIRST_SEED = 150_000  # of the clips; no other set's seeds are near
MOVING_SEED = 180_000  # of the moving stills
VERSION = 6  # of the records; those of another version are made again
COUNTS = {"hard": 48, "simulated": 36, "hard_exits": 12, "easy": 12, "moving": 24, "exits": 20}


def write_clips(data: Path, output: Path, scale: float = 1.0) -> None:
    """Write the clips to fit on, each kind a data set in the layout ``davis``; what is there is left.

    Parameters
    ----------
    data : Path
        Folder of stills with index.csv; patients of the split ``train`` are taken.
    output : Path
    scale : float
        Of the number of clips: 1 is those of ``COUNTS``.
    """
    count = {name: max(round(number * scale), 2) for name, number in COUNTS.items()}
    records = choose_records(read_index(data, "train"), count["hard"] + count["hard_exits"] + count["easy"])
    records = [records[place] for place in np.random.default_rng(0).permutation(len(records))]
    hard = plan_clips_apart("hard", count["hard"], FIRST_SEED)
    gone = plan_clips_apart("hard", count["hard_exits"], FIRST_SEED + 1000)
    plans = {
        "hard": [replace(plan, frames=int(np.clip(plan.frames - 12, 30, 50))) for plan in hard],
        "hard_exits": [replace(plan, frames=40, difficulty=replace(plan.difficulty, exits=1.0)) for plan in gone],
        "easy": [replace(plan, frames=40) for plan in plan_clips_apart("easy", count["easy"], FIRST_SEED + 2000)],
    }
    taken = 0
    for name, own in plans.items():
        if not (output / name).is_dir():
            write_still_clips(records[taken : taken + len(own)], own, output / name)
        taken += len(own)
    if not (output / "moving").is_dir():
        write_moving_stills(data, output / "moving", count["moving"], "train", MOVING_SEED)
    sweeps = [sweep_settings_apart(number, FIRST_SEED + 3000) for number in range(count["simulated"])]
    leaving = [sweep_settings_apart(number, FIRST_SEED + 4000) for number in range(count["exits"])]
    if not (output / "simulated").is_dir():
        write_simulated_clips([replace(one, frames=44) for one in sweeps], output / "simulated")
    if not (output / "exits").is_dir():
        write_simulated_clips([replace(one, frames=50, leaves_plane=True) for one in leaving], output / "exits")


class Recorder:
    """Keeps what it is asked, and answers with the network's own certainty."""

    def __init__(self) -> None:
        self.signals: list[Signals] = []
        self.blends: list[tuple[int, int, float, float]] = []

    def of_one(self, signals: Signals) -> float:
        """Keep the signals of a step."""
        self.signals.append(signals)
        # of the lesion, or of none where the mask is empty: nan would empty the blend
        return signals.certainty if math.isnan(signals.unseen) else signals.unseen

    def of_blend(
        self, expected: tuple[float, float], distances: tuple[int, int], agreement: float, decided: float
    ) -> float:
        """Keep what is known of a blend."""
        self.blends.append((*distances, agreement, decided))
        return agreement


@dataclass(frozen=True)
class Run:
    """One propagation of a clip from one or more anchors, step by step: the forward sweep, then the backward one.

    Parameters
    ----------
    clip : str
        Name of the clip, with its model's and set's.
    anchors : ndarray of int, shape (A,)
        Those that show the lesion.
    frames : ndarray of int, shape (N,)
    final : ndarray of bool, shape (N,)
        False for a forward result that the backward sweep blended later.
    dice : ndarray of float, shape (N,)
        Of each step's result: of the blend, where the backward sweep made one.
    signals : ndarray of float, shape (N, len(SIGNALS))
    blends : ndarray of float, shape (M, 4)
        Of each blend in the order of the steps that made them: frames to the left and to the right anchor, the Dice of
        both results, and the soft Dice of the blend with its own mask.
    """

    clip: str
    anchors: NDArray[np.int64]
    frames: NDArray[np.int64]
    final: NDArray[np.bool_]
    dice: NDArray[np.float64]
    signals: NDArray[np.float64]
    blends: NDArray[np.float64]

    @property
    def between(self) -> NDArray[np.bool_]:
        """Which steps are between the outermost anchors, shape (N,)."""
        return (self.frames > self.anchors.min()) & (self.frames < self.anchors.max())


def record(bundle: Bundle, clips: Path, work: Path, device: str) -> list[Run]:
    """Return the runs of a model on all clips; those in ``work`` are read, the others are kept there.

    Parameters
    ----------
    bundle : Bundle
    clips : Path
        Data sets in the layout ``davis``, a folder each.
    work : Path
    device : str
        See ``resolve_device``.
    """
    runs: list[Run] = []
    model: tuple[Model, Recorder] | None = None
    for folder in sorted(one for one in clips.iterdir() if one.is_dir()):
        for number, case in enumerate(read_cases(folder, Layout.DAVIS)):
            kept = work / _key(bundle) / folder.name / f"{case.name}.npz"
            if not kept.is_file():
                if model is None:
                    recorder = Recorder()
                    model = Model(bundle, device, recorder), recorder
                _keep(kept, _runs_of(case, number, *model))
            runs += _read(kept, f"{bundle.name}/{folder.name}/{case.name}")
    return runs


def _key(bundle: Bundle) -> str:
    """Return what a record depends on besides its clip."""
    return hashlib.sha256(f"{VERSION} {bundle.sha256} {bundle.tracker_settings()}".encode()).hexdigest()[:12]


def _runs_of(case: Case, number: int, model: Model, recorder: Recorder) -> Iterator[Run]:
    """Yield propagations from one anchor, from two and from four; where these are alternates from clip to clip.

    Where the lesion leaves and comes back, a frame between the two anchors is marked "not visible" in every other clip,
    and one more propagation begins at the first anchor and passes such a frame.
    """
    cine = Cine.from_array(np.stack(list(case.cine)))
    truth = np.stack([_lesion(case, frame) for frame in range(len(cine))])
    seen = np.flatnonzero(truth.any(axis=(1, 2)))
    first, last = int(seen[0]), int(seen[-1])
    quarter = (last - first) // 4
    ends = [first, last] if number % 2 else [first + quarter, last - quarter]
    gone = np.flatnonzero(~truth[first:last].any(axis=(1, 2))) + first
    absent = [int(gone[len(gone) // 2])] if len(gone) and number % 4 < 2 else []
    four = sorted({int(seen[place]) for place in np.linspace(0, len(seen) - 1, 4).astype(int)})
    runs = [
        run_of(cine, truth, [first] if number % 3 else [int(seen[len(seen) // 2])], model, recorder),
        run_of(cine, truth, ends, model, recorder, absent),
        run_of(cine, truth, four, model, recorder),
    ]
    if len(gone):
        runs.append(run_of(cine, truth, [first], model, recorder, [int(gone[len(gone) // (2 + number % 3)])]))
    yield from (run for run in runs if run is not None)


def _lesion(case: Case, frame: int) -> NDArray[np.bool_]:
    masks = case.truth(frame)
    assert masks is not None, "the clips of this module have a truth on every frame"
    return masks[0]


class Propagating(Protocol):
    """A model, as far as it is needed here."""

    def propagate(self, inputs: PropagationInputs) -> Iterator[FrameResult]:
        """Yield results."""
        ...


def run_of(
    cine: Cine,
    truth: NDArray[np.bool_],
    ends: list[int],
    model: Propagating,
    recorder: Recorder,
    absent: Sequence[int] = (),
) -> Run | None:
    """Return a propagation without a name; None where masks were taken back, since their signals are of no step.

    Parameters
    ----------
    cine : Cine
        Of T frames.
    truth : ndarray of bool, shape (T, H, W)
    ends : list of int
        Frames drawn.
    model : Propagating
        Asks ``recorder`` for the expected overlaps.
    recorder : Recorder
    absent : sequence of int
        Frames marked "not visible".
    """
    recorder.signals.clear()
    recorder.blends.clear()
    given = [Anchor(0, one, truth[one]) for one in (*ends, *absent)]
    stretches = plan_stretches(given, Direction.BOTH, range(len(cine)))
    masks = truth.copy()
    inputs = PropagationInputs(cine, 1, stretches, lambda frame: masks[frame][None].copy())
    frames: list[int] = []
    final: list[bool] = []
    scores: list[float] = []
    # the results decided after the steps take the place of blends, which the estimate is fitted to
    for result in islice(model.propagate(inputs), inputs.count_steps()):
        if result.computed[0]:
            masks[result.frame] = result.masks[0]
            final.append(bool(result.final[0]) or result.frame in frames)
            frames.append(result.frame)
            scores.append(dice(result.masks[0], truth[result.frame]))
    signals = np.array([astuple(one) for one in recorder.signals])
    showing = np.array([one for one in ends if truth[one].any()] or ends)
    blends = np.array(recorder.blends).reshape(-1, 4)
    if len(signals) != len(frames):
        return None
    return Run("", showing, np.array(frames), np.array(final), np.array(scores), signals, blends)


def _keep(path: Path, runs: Iterator[Run]) -> None:
    arrays = {}
    for number, run in enumerate(runs):
        for name in ("anchors", "frames", "final", "dice", "signals", "blends"):
            arrays[f"{name}_{number}"] = getattr(run, name)
    with atomic_path(path) as target:
        np.savez_compressed(target, **arrays)


def _read(path: Path, clip: str) -> list[Run]:
    with np.load(path) as arrays:
        names = ("anchors", "frames", "final", "dice", "signals", "blends")
        numbers = sorted({int(key.rpartition("_")[2]) for key in arrays})
        return [Run(clip, *(arrays[f"{name}_{number}"] for name in names)) for number in numbers]
