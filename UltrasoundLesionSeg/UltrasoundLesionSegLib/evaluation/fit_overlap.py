"""Fit the estimate of the expected overlap, and write it into models' bundles.

``python -m UltrasoundLesionSegLib.evaluation.fit_overlap --data STILLS --work FOLDER --model NAME [--model NAME ...]``

Clips of training patients and simulated sweeps with seeds of their own are made once (``FOLDER/clips``), each model is
run on each clip once (``FOLDER/records``), and one estimate for all the models is fitted. The logarithm of the error is
fitted, so that Dice 0.97 and 0.94 are as different as 0.8 and 0.6; and, as heavily, its differences inside each run,
which tell a person where to look. A curve or a surface that should rise (or fall) is restricted to do so. The last
curve turns the sum into a calibrated number.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from UltrasoundLesionSegLib.engine.bundles import OVERLAP, find_bundle
from UltrasoundLesionSegLib.engine.expected_overlap import OF_BLEND, OverlapEstimate, blend_inputs, knot_shares
from UltrasoundLesionSegLib.engine.signals import SIGNALS, Signals
from UltrasoundLesionSegLib.evaluation.calibration import Values, calibration_error, mean_rank_correlation
from UltrasoundLesionSegLib.evaluation.overlap_records import Run, record, write_clips
from UltrasoundLesionSegLib.evaluation.review import POOR, told_apart
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.writers.atomic import atomic_path

OFFSET = 0.02  # added to the error before its logarithm: readers do not agree closer
SMOOTH, SHRINK, SIGNED = 0.02, 0.003, 3.0  # weights of a curve's bends, values, and steps in the wrong direction
# Weight of the differences inside a run, divided by their standard deviation and STEADY. Not of empty masks, which are
# right or wrong: with it they are ranked worse.
INSIDE, STEADY = 1.0, 0.1
LEVELS = 20  # groups of equally many masks that the last curve is made of
PRIOR = 3  # masks of the mean of all that join each group: no few masks that were all right promise that all will be
FOLDS = 5
SEEN = (
    "certainty",
    "soft_overlap",
    "flow_overlap",
    "likeness",
    "anchor_overlap",
    "distance",
    "return_overlap",
    "absence",
)
UNSEEN = ("unseen", "hidden", "last_likeness", "absence", "refused")
# what the network's certainty tells depends on whether the tissue alone carries the outline to the same place
PAIRS = (("certainty", "flow_overlap"),)
PAIR_KNOTS = {"certainty": (0.85, 0.91, 0.95), "flow_overlap": (0.6, 0.85, 0.95, 0.985)}
LINE = {"knots": [0.0, 1.0], "values": [0.0, 1.0]}
KNOTS: dict[str, tuple[tuple[float, ...], int]] = {  # and the direction: 1 rises, -1 falls
    "certainty": ((0.5, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97), 1),
    "soft_overlap": ((0.7, 0.8, 0.88, 0.92, 0.95, 0.97, 0.985), 1),
    "flow_overlap": ((0.3, 0.5, 0.65, 0.75, 0.82, 0.88, 0.92, 0.95, 0.97, 0.985, 0.995, 0.999), 1),
    "return_overlap": ((0.2, 0.4, 0.6, 0.7, 0.8, 0.9), 1),
    "likeness": ((0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 0.9, 0.97, 0.99), 1),
    "anchor_overlap": ((0.8, 0.88, 0.92, 0.95, 0.97), 1),
    "distance": ((1.0, 3.0, 6.0, 10.0, 16.0, 25.0, 40.0, 80.0), -1),
    "hidden": ((1.0, 2.0, 3.0, 6.0, 12.0, 24.0), 0),  # falls where the lesion may have come back
    "last_likeness": ((0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8), -1),
    "unseen": ((0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.97), 1),
    "absence": ((1.0, 3.0, 6.0, 12.0), 0),  # a mask near it is less sure, an empty one more
    "refused": ((0.0, 0.2, 0.4, 0.6, 0.8), -1),
    "weighted": ((-1.0, 0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0), 1),
    "lower": ((-1.0, 0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0), 1),
    "agreement": ((0.5, 0.7, 0.8, 0.88, 0.92, 0.95, 0.97, 0.985), 1),
    "nearest": ((1.0, 3.0, 6.0, 10.0, 16.0, 25.0, 40.0), -1),
    "decided": ((0.6, 0.8, 0.9, 0.95, 0.97, 0.985, 0.99), 1),
}


@dataclass(frozen=True)
class Told:
    """What is known of masks, and what they are.

    Parameters
    ----------
    inputs : mapping of str to ndarray of float, shape (N,)
        By name; nan where an input does not apply.
    found : ndarray of float, shape (N,)
        Dice of the masks.
    runs : ndarray of str, shape (N,)
        The propagation that each is of.
    """

    inputs: Mapping[str, Values]
    found: Values
    runs: NDArray[np.str_]

    def chosen(self, masks: NDArray[np.bool_], names: Sequence[str]) -> Told:
        """Return the masks chosen by ``masks``, bool (n,), and the inputs of these names."""
        return Told({name: self.inputs[name][masks] for name in names}, self.found[masks], self.runs[masks])


def fit_curves(told: Told, inside: float) -> dict[str, Any]:
    """Fit an additive model and return it as JSON; ``inside`` is the weight of the differences inside runs."""
    inputs, found = told.inputs, told.found
    pairs = [pair for pair in PAIRS if set(pair) <= set(inputs)]
    designs = {name: torch.from_numpy(knot_shares(values, KNOTS[name][0])) for name, values in inputs.items()}
    grids = [torch.from_numpy(_grid(inputs, pair)) for pair in pairs]
    target = torch.from_numpy(-np.log(1 - found + OFFSET))
    curves = {name: _zeros(one.shape[1]) for name, one in designs.items()}
    surfaces = [_zeros(one.shape[1]) for one in grids]
    bias = target.mean().clone().requires_grad_()
    differences = _Differences(told.runs, target)
    optimiser = torch.optim.LBFGS([bias, *curves.values(), *surfaces], max_iter=300, line_search_fn="strong_wolfe")

    def summed() -> torch.Tensor:
        alone = sum((designs[name] @ one for name, one in curves.items()), bias)
        return sum((grid @ one for grid, one in zip(grids, surfaces, strict=True)), alone)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        total = summed()
        value = ((total - target) ** 2).mean() + inside * differences.error(total)
        for name, one in curves.items():
            steps = torch.diff(one[:-1])
            value = value + SMOOTH * (torch.diff(steps) ** 2).sum() + _wrong(steps, name)
        for pair, one in zip(pairs, surfaces, strict=True):
            known = one.reshape(-1, len(PAIR_KNOTS[pair[1]]) + 1)[:-1, :-1]
            for axis, name in enumerate(pair):
                value = value + _wrong(torch.diff(known, dim=axis), name)
        value = value + SHRINK * sum((one**2).sum() for one in (*curves.values(), *surfaces))
        value.backward()
        return value

    optimiser.step(loss)
    total = (summed() - bias).detach().numpy()
    knots, values = _levels(total, found)
    return {
        "curves": {name: _as_curve(name, one.detach().numpy()) for name, one in curves.items()},
        "surfaces": [_as_surface(pair, one.detach().numpy()) for pair, one in zip(pairs, surfaces, strict=True)],
        "overlap": {"knots": np.round(knots, 5).tolist(), "values": np.round(values, 5).tolist()},
    }


class _Differences:
    """Those inside runs.

    Parameters
    ----------
    runs : ndarray of str, shape (N,)
    target : Tensor of float64, shape (N,)
    """

    def __init__(self, runs: NDArray[np.str_], target: torch.Tensor) -> None:
        self._run = torch.from_numpy(np.unique(runs, return_inverse=True)[1])
        self._masks = torch.bincount(self._run).double()
        self._target = self._centred(target)
        self._scale = self._means(self._target**2).sqrt()[self._run] + STEADY

    def error(self, total: torch.Tensor) -> torch.Tensor:
        """Return the mean square error of what was predicted, float64 (N,), less each run's mean."""
        return (((self._centred(total) - self._target) / self._scale) ** 2).mean()

    def _centred(self, values: torch.Tensor) -> torch.Tensor:
        return values - self._means(values)[self._run]

    def _means(self, values: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(self._masks).index_add(0, self._run, values) / self._masks


def _wrong(steps: torch.Tensor, name: str) -> torch.Tensor:
    """Return what steps from one knot of an input to the next cost where they go in the wrong direction."""
    return SIGNED * (torch.relu(-KNOTS[name][1] * steps) ** 2).sum()


def _zeros(count: int) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.float64, requires_grad=True)


def _grid(inputs: Mapping[str, Values], pair: tuple[str, str]) -> NDArray[np.float64]:
    """Return the share of each pair of knots in each pair of values, shape (N, pairs of knots)."""
    rows, columns = (knot_shares(inputs[name], PAIR_KNOTS[name]) for name in pair)
    return (rows[:, :, None] * columns[:, None, :]).reshape(len(rows), -1)


def _as_curve(name: str, values: Values) -> dict[str, Any]:
    return {
        "knots": list(KNOTS[name][0]),
        "values": np.round(values[:-1], 5).tolist(),
        "missing": round(float(values[-1]), 5),
    }


def _as_surface(pair: tuple[str, str], values: Values) -> dict[str, Any]:
    knots = [list(PAIR_KNOTS[name]) for name in pair]
    return {
        "inputs": list(pair),
        "knots": knots,
        "values": np.round(values.reshape(-1, len(knots[1]) + 1), 5).tolist(),
    }


def _levels(total: Values, found: Values) -> tuple[Values, Values]:
    """Return a rising curve from the sum to Dice: means of groups, neighbours that fall made one (isotonic)."""
    parts = np.array_split(np.argsort(total, kind="stable"), LEVELS)
    places = [float(total[one].mean()) for one in parts]
    pools: list[list[int]] = []
    overall = float(found.mean())
    means = [(float(found[one].sum()) + PRIOR * overall) / (len(one) + PRIOR) for one in parts]

    def mean(pool: list[int]) -> float:
        return float(np.average([means[one] for one in pool], weights=[len(parts[one]) for one in pool]))

    for place in range(len(parts)):
        pools.append([place])
        while len(pools) > 1 and mean(pools[-2]) >= mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return np.array([np.mean([places[one] for one in pool]) for pool in pools]), np.array([mean(p) for p in pools])


def one_sided(runs: Sequence[Run]) -> Told:
    """Return signals, Dice and run of every result of one direction."""
    kept = [~(run.between & run.final) for run in runs]  # between anchors what is final is a blend
    signals = np.concatenate([run.signals[keep] for run, keep in zip(runs, kept, strict=True)])
    found = np.concatenate([run.dice[keep] for run, keep in zip(runs, kept, strict=True)])
    ran = np.repeat([f"{run.clip} {number}" for number, run in enumerate(runs)], [int(keep.sum()) for keep in kept])
    return Told(dict(zip(SIGNALS, signals.T, strict=True)), found, ran)


def blended(runs: Sequence[Run], estimate: OverlapEstimate) -> Told:
    """Return the inputs of the blend's model, Dice and run of every blend."""
    rows, found, ran = [], [], []
    for number, run in enumerate(runs):
        expected = [estimate.of_one(Signals(*signals)) for signals in run.signals.tolist()]
        steps = zip(run.frames, run.final, expected, strict=True)
        forward = {frame: value for frame, final, value in steps if not final}
        both = [place for place in np.flatnonzero(run.between & run.final) if run.frames[place] in forward]
        for place, (left, right, agreement, decided) in zip(both, run.blends, strict=True):
            pair = forward[run.frames[place]], expected[place]
            inputs = blend_inputs(pair, (int(left), int(right)), float(agreement), float(decided))
            rows.append([inputs[name] for name in OF_BLEND])
            found.append(run.dice[place])
            ran.append(f"{run.clip} {number}")
    return Told(dict(zip(OF_BLEND, np.array(rows).T, strict=True)), np.array(found), np.array(ran))


def fit(runs: Sequence[Run]) -> dict[str, Any]:
    """Fit an estimate on runs and return it as JSON."""
    told = one_sided(runs)
    empty = ~np.isnan(told.inputs["unseen"])
    seen = fit_curves(told.chosen(~empty, SEEN), INSIDE)
    unseen = fit_curves(told.chosen(empty, UNSEEN), 0.0)
    so_far = OverlapEstimate.from_json({"seen": seen, "unseen": unseen, "blend": {"curves": {}, "overlap": LINE}})
    return {"seen": seen, "unseen": unseen, "blend": fit_curves(blended(runs, so_far), INSIDE)}


def cross_validated(runs: Sequence[Run]) -> str:
    """Return, in words, how good the estimate is on clips it is not fitted on: a fifth of them at a time."""
    names = sorted({run.clip.partition("/")[2] for run in runs})  # the same clip of all models on one side
    sides = dict(zip(np.random.default_rng(0).permutation(names), np.arange(len(names)) % FOLDS, strict=True))
    parts: dict[str, list[tuple[Values, Values, NDArray[np.str_]]]] = {"one direction": [], "blend": []}
    for side in range(FOLDS):
        apart = [run for run in runs if sides[run.clip.partition("/")[2]] == side]
        estimate = OverlapEstimate.from_json(fit([run for run in runs if sides[run.clip.partition("/")[2]] != side]))
        one, both = one_sided(apart), blended(apart, estimate)
        rows = zip(*one.inputs.values(), strict=True)
        expected = np.array([estimate.of_one(Signals(*(float(value) for value in row))) for row in rows])
        parts["one direction"].append((expected, one.found, one.runs))
        rows = zip(*both.inputs.values(), strict=True)
        expected = np.array([estimate.blend(dict(zip(OF_BLEND, row, strict=True))) for row in rows])
        expected = np.minimum(expected, (1 + both.inputs["agreement"]) / 2)
        parts["blend"].append((expected, both.found, both.runs))
    lines = []
    for part, folds in parts.items():
        expected, found, ran = (np.concatenate(values) for values in zip(*folds, strict=True))
        poor = found < POOR
        told = number_text(told_apart(expected[poor], expected[~poor]), 3)
        lines.append(
            f"{part}: {counted(len(found), 'mask')}, "
            f"rank correlation inside runs {number_text(mean_rank_correlation(expected, found, ran), 2)}, "
            f"calibration error {number_text(calibration_error(expected, found), 3)}, "
            f"{int(poor.sum())} below {POOR:g}, told apart {told}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of stills with index.csv")
    parser.add_argument("--work", type=Path, required=True, help="folder for clips and records, outside the repository")
    parser.add_argument("--model", action="append", required=True, help="models to fit on, and to write it to")
    parser.add_argument("--also", action="append", default=[], help="models to write it to without fitting on them")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of clips")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    write_clips(chosen.data, chosen.work / "clips", chosen.scale)
    bundles = [find_bundle(name) for name in chosen.model]
    runs = [
        run for one in bundles for run in record(one, chosen.work / "clips", chosen.work / "records", chosen.device)
    ]
    print(cross_validated(runs))
    content = json.dumps(fit(runs), indent=1)
    for bundle in [*bundles, *(find_bundle(name) for name in chosen.also)]:
        with atomic_path(bundle.folder / "configs" / f"{OVERLAP}.json") as path:
            path.write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
