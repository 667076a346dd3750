"""What clicks make of a propagation's poor masks.

``python -m UltrasoundLesionSegLib.evaluation.click_corrections SET --output FOLDER``

The model starts from the true mask of the first frame that shows the lesion. Of each lesion's poor masks, at most
``MOST_MASKS`` evenly spaced ones are corrected by a simulated person, who clicks into the middle of the largest error.
The product changes the part of the outline that a click points at (``engine.clicking``); beside it stands what the
network draws without that rule. ``table.md`` is written.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from UltrasoundLesionSegLib.cine import Cine, Frame, Mask
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, default_bundle, find_bundle
from UltrasoundLesionSegLib.engine.click_prompt import Click
from UltrasoundLesionSegLib.engine.clicking import ClickDrawing
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases
from UltrasoundLesionSegLib.evaluation.methods import Model
from UltrasoundLesionSegLib.evaluation.metrics import bootstrap_interval
from UltrasoundLesionSegLib.evaluation.people import click_model
from UltrasoundLesionSegLib.evaluation.sessions import ModelFollower, Session
from UltrasoundLesionSegLib.evaluation.tables import difference_cell, markdown_table
from UltrasoundLesionSegLib.measurement.overlap import dice
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.training.click_simulation import next_click
from UltrasoundLesionSegLib.writers.atomic import atomic_path

POOR = (0.3, 0.9)  # Dice of the masks that are corrected: below, a person draws anew
MOST_MASKS = 5  # of a lesion in a clip
SHOWN = (1, 2, 3, 5)  # numbers of clicks in the table
WORSE = 0.005  # fall of the Dice that counts as worse


@dataclass(frozen=True)
class PoorMask:
    """A mask to correct.

    Parameters
    ----------
    patient : str
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    found, truth : ndarray of bool, shape (H, W)
    """

    patient: str
    frame: Frame
    found: Mask
    truth: Mask


class WholeAnswer(ClickDrawing):
    """Takes all that the network draws after a click, without the product's rule."""

    def _corrected(self, before: Any, answer: Any, click: Click) -> Any:
        return answer


WAYS: Mapping[str, type[ClickDrawing]] = {"where the click points at": ClickDrawing, "everywhere": WholeAnswer}


def poor_masks(case: Case, follower: ModelFollower, every: int) -> Iterator[PoorMask]:
    """Propagate from the first frame that shows all lesions, and return the poor masks to correct.

    Parameters
    ----------
    case : Case
    follower : ModelFollower
    every : int
        Every how many frames of the cine one is taken.
    """
    taken = range(0, len(case.cine), every)
    truths = {place: truth for place, frame in enumerate(taken) if (truth := case.truth(frame)) is not None}
    seed = next((place for place, truth in truths.items() if truth.any(axis=(1, 2)).all()), None)
    if seed is None:
        return
    cine = Cine.from_array(np.stack([case.cine.frames[frame] for frame in taken]))
    results = Session(cine, follower, len(truths[seed]), anchors={seed: truths[seed]}).results()
    for lesion in range(len(truths[seed])):
        found = {place: one.masks[lesion].unpack() > 0.5 for place, one in results.items() if place in truths}
        poor = [place for place, mask in found.items() if POOR[0] < dice(mask, truths[place][lesion]) < POOR[1]]
        for place in sorted(
            {poor[one] for one in np.linspace(0, len(poor) - 1, MOST_MASKS).astype(int)} if poor else ()
        ):
            yield PoorMask(case.patient, cine.frames[place], found[place], truths[place][lesion])


def _drawing(kind: type[ClickDrawing], mask: PoorMask) -> ClickDrawing:
    network, size = click_model()
    return kind(mask.frame, network, size, torch.device("cpu"), mask.found)


def corrected(mask: PoorMask, drawing: ClickDrawing) -> list[float]:
    """Return the Dice before any click and after 1, 2, ... ``max(SHOWN)`` clicks."""
    clicks: list[Click] = []
    reached = [dice(mask.found, mask.truth)]
    for _ in range(max(SHOWN)):
        click = next_click(drawing.mask(clicks), mask.truth)
        if click is not None:
            clicks.append(click)
        reached.append(dice(drawing.mask(clicks), mask.truth))
    return reached


def table_text(masks: Sequence[PoorMask], reached: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Return the Markdown table.

    Parameters
    ----------
    masks : sequence of PoorMask
    reached : mapping of str to sequence of sequence of float
        By what a click changes: for each mask what ``corrected`` returns.
    """
    heads = ["a click changes the mask", "masks", "before"]
    heads += [counted(number, "click") for number in SHOWN] + ["worse after 1 click"]
    patients = np.array([one.patient for one in masks])
    rows = []
    for way, values in reached.items():
        table = np.array(values)
        cells = [number_text(bootstrap_interval(table[:, number], patients)[0], 3) for number in (0, *SHOWN)]
        rows.append([way, str(len(masks)), *cells, f"{np.mean(table[:, 1] < table[:, 0] - WORSE):.0%}"])
    first, second = (np.array(values) for values in reached.values())
    won = [bootstrap_interval(first[:, number] - second[:, number], patients) for number in SHOWN]
    rows.append(["difference", "", "", *map(difference_cell, won), ""])
    return "\n".join(markdown_table(heads, rows)) + "\n"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="videos with masks, layout davis")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", help="that propagates; the default one when left out")
    parser.add_argument("--every", type=int, default=2, help="take every N-th frame")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    bundle = find_bundle(chosen.model, PROPAGATE) if chosen.model else default_bundle(PROPAGATE)
    follower = ModelFollower(Model(bundle, "cpu"))
    cases = read_cases(chosen.dataset, Layout.DAVIS, None)
    masks = [mask for case in cases for mask in poor_masks(case, follower, chosen.every)]
    reached = {way: [corrected(one, _drawing(kind, one)) for one in masks] for way, kind in WAYS.items()}
    text = table_text(masks, reached) if masks else "no mask is poor\n"
    with atomic_path(chosen.output / "table.md") as path:
        path.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
