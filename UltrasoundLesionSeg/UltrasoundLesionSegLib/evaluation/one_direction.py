"""Who is right between two anchors, on a frame where one direction of propagation alone sees the lesion.

``python -m UltrasoundLesionSegLib.evaluation.one_direction SET ... --model MODEL --output FOLDER`` propagates between
several pairs of frames of each video, with the true masks as anchors, and writes ``table.md``: the Dice of what that
direction sees, of an empty mask, of the blend of both, and of what the program gives (``engine/both_directions.py``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine, Mask
from UltrasoundLesionSegLib.engine.both_directions import ARRIVED
from UltrasoundLesionSegLib.engine.bundles import find_bundle
from UltrasoundLesionSegLib.engine.propagation import PropagationInputs
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases
from UltrasoundLesionSegLib.evaluation.lesion_fit import evenly, shortened
from UltrasoundLesionSegLib.evaluation.methods import Model
from UltrasoundLesionSegLib.evaluation.tables import markdown_table
from UltrasoundLesionSegLib.measurement.overlap import dice
from UltrasoundLesionSegLib.writers.atomic import atomic_path

PLACES = 5  # evenly spaced frames that show the lesion
PAIRS = ((0, 4), (0, 2), (2, 4), (0, 3), (1, 4))  # of them, with an anchor each
FAILED = {  # by whether the direction that sees the lesion arrived at its far anchor, and whether the other one did
    (True, True): "neither",
    (True, False): "the one that sees nothing",
    (False, True): "the one that sees the lesion",
    (False, False): "both",
}
HEADINGS = ("set", "directions that failed", "followed without a gap", "frames")
DICE_OF = ("what is seen", "an empty mask", "the blend", "the program's result")


@dataclass(frozen=True)
class OneSided:
    """A frame on which one direction alone sees the lesion.

    Parameters
    ----------
    failed : str
        One of ``FAILED``: which directions did not arrive at the outline drawn at their far anchor.
    unbroken : bool
        Whether the direction that sees the lesion saw it on every frame from its anchor on.
    dice : tuple of float
        As ``DICE_OF``.
    """

    failed: str
    unbroken: bool
    dice: tuple[float, float, float, float]


def one_sided(case: Case, model: Model) -> Iterator[OneSided]:
    """Yield the frames of a video with one lesion that one direction alone sees, for each pair of anchors."""
    every = {frame: masks[0] for frame in range(len(case.cine)) if (masks := case.truth(frame)) is not None}
    seen = [frame for frame, mask in every.items() if mask.any()]
    if len(seen) < PLACES or case.lesion_count > 1:
        return
    places = [seen[place] for place in np.linspace(0, len(seen) - 1, PLACES).astype(int)]
    frames = np.stack([case.cine.frames[frame] for frame in range(len(case.cine))])
    for one, other in PAIRS:
        left, right = places[one], places[other]
        if right - left > 2:
            yield from _between(frames, every, left, right, model)


def _between(
    frames: NDArray[np.uint8], truth: Mapping[int, Mask], left: int, right: int, model: Model
) -> Iterator[OneSided]:
    last = len(frames) - 1
    ends = {left: truth[left], right: truth[right]}
    results = _results(frames, ends, model)
    # the backward pass of a cine is the forward pass of the cine in reverse
    turned = _results(frames[::-1], {last - right: ends[right], last - left: ends[left]}, model)
    passes = {True: {index: found[0] for index, found in results.items()}}
    passes[False] = {last - index: found[0] for index, found in turned.items()}
    arrived = {
        True: dice(passes[True][right - 1], ends[right]) > ARRIVED,
        False: dice(passes[False][left + 1], ends[left]) > ARRIVED,
    }
    for index in sorted(set(results) & set(truth)):
        sees = bool(passes[True][index].any())
        if sees == bool(passes[False][index].any()):
            continue
        way = range(left + 1, index) if sees else range(index + 1, right)
        unbroken = all(passes[sees][one].any() for one in way)
        _, blend, *decided = results[index]
        masks = passes[sees][index], passes[not sees][index], blend, (decided or [blend])[-1]
        seen, nothing, blended, given = (dice(mask, truth[index]) for mask in masks)
        yield OneSided(FAILED[arrived[sees], arrived[not sees]], unbroken, (seen, nothing, blended, given))


def _results(frames: NDArray[np.uint8], ends: Mapping[int, Mask], model: Model) -> dict[int, list[Mask]]:
    """Return what is found on each frame between two anchors: forward, blended, and decided at the end."""
    cine = Cine.from_array(np.ascontiguousarray(frames))
    stretches = plan_stretches(
        [Anchor(0, frame, mask) for frame, mask in ends.items()], Direction.BOTH, range(min(ends) + 1, max(ends))
    )
    found: dict[int, list[Mask]] = {}
    nothing = np.zeros(cine.shape, bool)
    inputs = PropagationInputs(cine, 1, stretches, lambda frame: found.get(frame, [nothing])[-1][None].copy())
    for result in model.propagate(inputs):
        if result.frame not in ends:
            found.setdefault(result.frame, []).append(result.masks[0].copy())
    return found


def table(sets: Mapping[str, Sequence[OneSided]]) -> str:
    """Return the table of all sets as Markdown."""
    rows = []
    for name, found in sets.items():
        for failed in FAILED.values():
            for unbroken in (True, False):
                alike = [one.dice for one in found if (one.failed, one.unbroken) == (failed, unbroken)]
                if alike:
                    means = [f"{value:.2f}" for value in np.mean(alike, axis=0)]
                    rows.append([name, failed, "yes" if unbroken else "no", str(len(alike)), *means])
    return "\n".join(markdown_table([*HEADINGS, *(f"Dice of {one}" for one in DICE_OF)], rows)) + "\n"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="+", help="data sets of videos")
    parser.add_argument("--layout", choices=[Layout.DAVIS.value, Layout.BUV.value], default=Layout.DAVIS.value)
    parser.add_argument("--model", default="stpfnet_light", help="that propagates")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=2, help="take every N-th frame of each video")
    parser.add_argument("--limit", type=int, help="number of videos to take of each set, spread evenly")
    chosen = parser.parse_args()
    model = Model(find_bundle(chosen.model), "cpu")
    sets: dict[str, list[OneSided]] = {}
    for folder in chosen.sets:
        found = sets.setdefault(folder.name, [])
        for case in evenly(list(read_cases(folder, Layout(chosen.layout))), chosen.limit):
            found += one_sided(shortened(case, None, chosen.every), model)
            with atomic_path(chosen.output / "table.md") as path:  # what is known so far survives an interruption
                path.write_text(table(sets), encoding="utf-8")
            print(f"{folder.name} {case.name}", flush=True)
    print(table(sets))


if __name__ == "__main__":
    main()
