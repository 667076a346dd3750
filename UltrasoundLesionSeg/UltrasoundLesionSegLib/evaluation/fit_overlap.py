"""Fit the estimate of the expected overlap, and write it into models' bundles.

``python -m UltrasoundLesionSegLib.evaluation.fit_overlap --data STILLS --work FOLDER --model NAME [--model NAME ...]``

Clips of training patients and simulated sweeps with seeds of their own are made once (``FOLDER/clips``), each model is
run on each clip once (``FOLDER/records``), and one estimate for all the models is fitted. The logarithm of the error is
fitted, so that Dice 0.97 and 0.94 are as different as 0.8 and 0.6. A curve that should rise (or fall) is restricted to
do so. The last curve turns the sum into a calibrated number.
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
from UltrasoundLesionSegLib.engine.expected_overlap import OF_BLEND, OverlapEstimate, blend_inputs
from UltrasoundLesionSegLib.engine.signals import SIGNALS, Signals
from UltrasoundLesionSegLib.evaluation.calibration import Values, calibration_error, mean_rank_correlation
from UltrasoundLesionSegLib.evaluation.overlap_records import Run, record, write_clips
from UltrasoundLesionSegLib.evaluation.review import POOR, told_apart
from UltrasoundLesionSegLib.writers.atomic import atomic_path

OFFSET = 0.02  # added to the error before its logarithm: readers do not agree closer
SMOOTH, SHRINK, SIGNED = 0.02, 0.003, 3.0  # weights of a curve's bends, values, and steps in the wrong direction
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
LINE = {"knots": [0.0, 1.0], "values": [0.0, 1.0]}
KNOTS: dict[str, tuple[tuple[float, ...], int]] = {  # and the direction: 1 rises, -1 falls
    "certainty": ((0.5, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97), 1),
    "soft_overlap": ((0.7, 0.8, 0.88, 0.92, 0.95, 0.97, 0.985), 1),
    "flow_overlap": ((0.3, 0.5, 0.65, 0.75, 0.82, 0.88, 0.92, 0.95, 0.97, 0.985), 1),
    "return_overlap": ((0.2, 0.4, 0.6, 0.7, 0.8, 0.9), 1),
    "likeness": ((0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8), 1),
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
    clips : ndarray of str, shape (N,)
    """

    inputs: Mapping[str, Values]
    found: Values
    clips: NDArray[np.str_]

    def chosen(self, masks: NDArray[np.bool_], names: Sequence[str]) -> Told:
        """Return the masks chosen by ``masks``, bool (n,), and the inputs of these names."""
        return Told({name: self.inputs[name][masks] for name in names}, self.found[masks], self.clips[masks])


def fit_curves(told: Told) -> dict[str, Any]:
    """Fit an additive model and return it as JSON."""
    inputs, found = told.inputs, told.found
    designs = {name: torch.from_numpy(_design(values, KNOTS[name][0])) for name, values in inputs.items()}
    target = torch.from_numpy(-np.log(1 - found + OFFSET))
    weights = {
        name: torch.zeros(one.shape[1], dtype=torch.float64, requires_grad=True) for name, one in designs.items()
    }
    bias = target.mean().clone().requires_grad_()
    optimiser = torch.optim.LBFGS([bias, *weights.values()], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        total = sum((designs[name] @ one for name, one in weights.items()), bias)
        value = ((total - target) ** 2).mean()
        for name, one in weights.items():
            steps, sign = torch.diff(one[:-1]), KNOTS[name][1]
            value = value + SMOOTH * (torch.diff(steps) ** 2).sum() + SHRINK * (one**2).sum()
            value = value + SIGNED * (torch.relu(-sign * steps) ** 2).sum()
        value.backward()
        return value

    optimiser.step(loss)
    curves = {name: one.detach().numpy() for name, one in weights.items()}
    total = float(bias.detach()) + sum(designs[name].numpy() @ one for name, one in curves.items())
    knots, values = _levels(total - float(bias.detach()), found)
    return {
        "curves": {
            name: {
                "knots": list(KNOTS[name][0]),
                "values": np.round(one[:-1], 5).tolist(),
                "missing": round(float(one[-1]), 5),
            }
            for name, one in curves.items()
        },
        "overlap": {"knots": np.round(knots, 5).tolist(), "values": np.round(values, 5).tolist()},
    }


def _design(values: Values, knots: Sequence[float]) -> NDArray[np.float64]:
    """Return each knot's share in each value, and in a last column whether it is nan, shape (N, knots + 1)."""
    missing = np.isnan(values)
    shares = [np.interp(values, knots, np.eye(len(knots))[place]) for place in range(len(knots))]
    design = np.stack([*shares, np.zeros(len(values))], axis=1)
    design[missing] = np.eye(len(knots) + 1)[-1]
    return design


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
    """Return signals, Dice and clip of every result of one direction."""
    kept = [~(run.between & run.final) for run in runs]  # between anchors what is final is a blend
    signals = np.concatenate([run.signals[keep] for run, keep in zip(runs, kept, strict=True)])
    found = np.concatenate([run.dice[keep] for run, keep in zip(runs, kept, strict=True)])
    clips = np.concatenate([[run.clip] * int(keep.sum()) for run, keep in zip(runs, kept, strict=True)])
    return Told(dict(zip(SIGNALS, signals.T, strict=True)), found, clips)


def blended(runs: Sequence[Run], estimate: OverlapEstimate) -> Told:
    """Return the inputs of the blend's model, Dice and clip of every blend."""
    rows, found, clips = [], [], []
    for run in runs:
        expected = [estimate.of_one(Signals(*signals)) for signals in run.signals.tolist()]
        steps = zip(run.frames, run.final, expected, strict=True)
        forward = {frame: value for frame, final, value in steps if not final}
        both = [place for place in np.flatnonzero(run.between & run.final) if run.frames[place] in forward]
        for place, (left, right, agreement) in zip(both, run.blends, strict=True):
            pair = forward[run.frames[place]], expected[place]
            inputs = blend_inputs(pair, (int(left), int(right)), float(agreement))
            rows.append([inputs[name] for name in OF_BLEND])
            found.append(run.dice[place])
            clips.append(run.clip)
    return Told(dict(zip(OF_BLEND, np.array(rows).T, strict=True)), np.array(found), np.array(clips))


def fit(runs: Sequence[Run]) -> dict[str, Any]:
    """Fit an estimate on runs and return it as JSON."""
    told = one_sided(runs)
    empty = ~np.isnan(told.inputs["unseen"])
    seen = fit_curves(told.chosen(~empty, SEEN))
    unseen = fit_curves(told.chosen(empty, UNSEEN))
    so_far = OverlapEstimate.from_json({"seen": seen, "unseen": unseen, "blend": {"curves": {}, "overlap": LINE}})
    return {"seen": seen, "unseen": unseen, "blend": fit_curves(blended(runs, so_far))}


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
        parts["one direction"].append((expected, one.found, one.clips))
        rows = zip(*both.inputs.values(), strict=True)
        expected = np.array([estimate.blend(dict(zip(OF_BLEND, row, strict=True))) for row in rows])
        expected = np.minimum(expected, (1 + both.inputs["agreement"]) / 2)
        parts["blend"].append((expected, both.found, both.clips))
    lines = []
    for part, folds in parts.items():
        expected, found, clips = (np.concatenate(values) for values in zip(*folds, strict=True))
        poor = found < POOR
        lines.append(
            f"{part}: {len(found)} masks, "
            f"rank correlation inside clips {mean_rank_correlation(expected, found, clips):.2f}, "
            f"calibration error {calibration_error(expected, found):.3f}, "
            f"{int(poor.sum())} below {POOR:g}, told apart {told_apart(expected[poor], expected[~poor]):.3f}"
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
