"""How many clicks a lesion takes: ``python -m UltrasoundLesionSegLib.evaluation.clicks DATASET --output FOLDER``.

A simulated person (``training.click_simulation``) clicks into the middle of the lesion, then into the middle of the
largest error. As in RITM and SimpleClick: the Dice after some clicks, and the number of clicks until a Dice is reached
(NoC), at most ``MOST_CLICKS``, which is also what counts where it is not. ``table.md`` and ``clicks.csv`` are written.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine.bundles import CLICK, SUGGEST, default_bundle, find_bundle
from UltrasoundLesionSegLib.engine.click_prompt import Box, Click
from UltrasoundLesionSegLib.engine.clicking import ClickDrawing
from UltrasoundLesionSegLib.engine.contrast import contrast
from UltrasoundLesionSegLib.engine.device import resolve_device
from UltrasoundLesionSegLib.engine.network_api import ClickNetwork, SuggestionNetwork
from UltrasoundLesionSegLib.engine.suggestion import suggest_mask
from UltrasoundLesionSegLib.evaluation.layouts import Layout, read_cases
from UltrasoundLesionSegLib.evaluation.metrics import bootstrap_interval, score_frame
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.training.click_simulation import next_click
from UltrasoundLesionSegLib.writers.atomic import atomic_path

MOST_CLICKS = 20
SHOWN = (1, 2, 3, 5)  # numbers of clicks in the table
WANTED = (0.85, 0.9)
SMALL = 0.01  # of the frame


@dataclass(frozen=True)
class Lesion:
    """One lesion on one frame.

    Parameters
    ----------
    case, patient : str
    number : int
        The frame.
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    truth : ndarray of bool, shape (H, W)
        Not empty.
    """

    case: str
    patient: str
    number: int
    frame: Frame
    truth: Mask


@dataclass(frozen=True)
class Clicked:
    """What clicks made of a lesion.

    Parameters
    ----------
    case, patient : str
    frame : int
    share : float
        Of the frame that the lesion covers.
    faint : bool
        Whether it does not stand out, or is brighter than what surrounds it (``engine.contrast``).
    suggested : float
        Dice of what the suggesting model finds without a click.
    boxed : float
        Dice of what the box around the lesion gives, without a click.
    dice : tuple of float
        After 1, 2, ... clicks; at least ``max(SHOWN)`` of them.
    """

    case: str
    patient: str
    frame: int
    share: float
    faint: bool
    suggested: float
    boxed: float
    dice: tuple[float, ...]

    def clicks_until(self, wanted: float) -> int:
        """Return the number of clicks until a Dice is reached, ``MOST_CLICKS`` where it is not."""
        return next((number for number, one in enumerate(self.dice, start=1) if one >= wanted), MOST_CLICKS)


GROUPS = {
    "all": lambda one: True,
    "under 1% of the frame": lambda one: one.share < SMALL,
    "as bright as the surroundings, or brighter": lambda one: one.faint,
}


class ClickScorer:
    """Scores a click model beside a suggesting one.

    Parameters
    ----------
    clicking, suggesting : str or None
        Models; the default ones when left out.
    device : str
    hand : int or None
        Seed of a hand that clicks near the middle instead of into it; None clicks into it.
    """

    def __init__(
        self, clicking: str | None = None, suggesting: str | None = None, device: str = "cpu", hand: int | None = None
    ) -> None:
        self._device = resolve_device(device)
        self._clicking = find_bundle(clicking, CLICK) if clicking else default_bundle(CLICK)
        self._suggesting = find_bundle(suggesting, SUGGEST) if suggesting else default_bundle(SUGGEST)
        network, suggester = (one.load_for_inference(self._device) for one in (self._clicking, self._suggesting))
        assert isinstance(network, ClickNetwork)
        assert isinstance(suggester, SuggestionNetwork)
        self._network, self._suggester, self._hand = network, suggester, hand

    @property
    def names(self) -> tuple[str, str]:
        """Name and version of the click model and of the suggesting one."""
        clicking, suggesting = (f"{one.name} {one.version}" for one in (self._clicking, self._suggesting))
        return clicking, suggesting

    def score(self, lesion: Lesion, index: int) -> Clicked:
        """Click at a lesion until it is right, or often enough; ``index`` makes a hand's clicks its own."""
        truth = lesion.truth
        drawing = ClickDrawing(lesion.frame, self._network, self._clicking.input_size, self._device)
        clicks: list[Click] = []
        found = np.zeros_like(truth)
        reached: list[float] = []
        while len(reached) < MOST_CLICKS:
            rng = None if self._hand is None else np.random.default_rng((self._hand, index, len(clicks)))
            following = next_click(found, truth, rng)
            if following is not None:
                clicks.append(following)
                found = drawing.mask(clicks)
            reached.append(score_frame(found, truth).dice)
            if len(reached) >= max(SHOWN) and max(reached) >= max(WANTED):
                break
        suggested = suggest_mask(lesion.frame, self._suggester, self._suggesting.input_size, self._device)
        rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
        boxed = drawing.mask([], Box(rows[0], columns[0], rows[-1], columns[-1]))
        grey = lesion.frame if lesion.frame.ndim == 2 else lesion.frame.mean(axis=2).astype(np.uint8)
        seen = contrast(grey, truth)
        return Clicked(
            lesion.case,
            lesion.patient,
            lesion.number,
            float(truth.mean()),
            not seen.clear or seen.difference <= 0,
            score_frame(suggested, truth).dice,
            score_frame(boxed, truth).dice,
            tuple(reached),
        )


def lesions_of(dataset: Path, layout: Layout, split: str | None, every: int) -> Iterator[Lesion]:
    """Read the lesions of a labelled data set.

    Parameters
    ----------
    dataset, layout, split
        As for ``read_cases``.
    every : int
        Every how many of a video's frames that show a lesion one is taken, from the first on.
    """
    for case in read_cases(dataset, layout, split):
        seen = 0
        for number in range(len(case.cine)):
            truth = case.truth(number)
            if truth is None or not truth.any():
                continue
            if seen % every == 0:
                shown = [one for one in truth if one.any()]
                yield from (Lesion(case.name, case.patient, number, case.cine.frames[number], one) for one in shown)
            seen += 1


def table_text(rows: Sequence[Clicked], clicking: str, suggesting: str) -> str:
    """Return the Markdown table: a line for all lesions, for the small ones and for the faint ones."""
    columns = ["lesions", "number", f"{suggesting}, no click", "box alone"]
    columns += [counted(number, "click") for number in SHOWN]
    columns += [f"clicks until {wanted}" for wanted in WANTED] + [f"{wanted} not reached" for wanted in WANTED]
    lines = [f"Dice of {clicking}: mean, and 95% confidence interval (bootstrap over patients)", ""]
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for name, belongs in GROUPS.items():
        own = [one for one in rows if belongs(one)]
        if not own:
            continue
        patients = np.array([one.patient for one in own])
        values = [[one.suggested for one in own], [one.boxed for one in own]]
        values += [[one.dice[number - 1] for one in own] for number in SHOWN]
        cells = [_interval(np.array(one), patients, 3) for one in values]
        needed = [np.array([one.clicks_until(wanted) for one in own], float) for wanted in WANTED]
        cells += [_interval(one, patients, 2) for one in needed]
        missed = [np.mean([max(one.dice) < wanted for one in own]) for wanted in WANTED]
        cells += [f"{share:.1%}" for share in missed]
        lines.append(f"| {name} | {len(own)} | " + " | ".join(cells) + " |")
    first = np.array([one.dice[0] - one.suggested for one in rows])
    won = _interval(first, np.array([one.patient for one in rows]), 3)
    lines += ["", f"One click minus no click, lesion by lesion: {won}."]
    return "\n".join(lines) + "\n"


def _interval(values: np.ndarray, patients: np.ndarray, digits: int) -> str:
    found = bootstrap_interval(values, patients)
    mean, low, high = (number_text(value, digits) for value in found)
    return "-" if np.isnan(found[0]) else f"{mean} ({low} to {high})"


def write_rows(rows: Sequence[Clicked], target: Path) -> None:
    """Write a row a lesion to a CSV file."""
    with atomic_path(target) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        numbers = [f"dice_{number}" for number in range(1, MOST_CLICKS + 1)]
        writer.writerow(["case", "frame", "share", "faint", "suggested", "boxed", *numbers])
        for one in rows:
            measured = [f"{value:.4f}" for value in (one.suggested, one.boxed, *one.dice)]
            writer.writerow([one.case, one.frame, f"{one.share:.5f}", int(one.faint), *measured])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--layout", choices=[one.value for one in Layout], default=Layout.STILLS.value)
    parser.add_argument("--split", help="part of the data set, for example val")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", help="that clicks; the default one when left out")
    parser.add_argument("--every", type=int, default=15, help="take every N-th of a video's frames with a lesion")
    parser.add_argument("--hand", type=int, help="seed: click near the middle, as a hand does, instead of into it")
    parser.add_argument("--limit", type=int, help="lesions to take, evenly over the data set")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    scorer = ClickScorer(chosen.model, device=chosen.device, hand=chosen.hand)
    lesions = list(lesions_of(chosen.dataset, Layout(chosen.layout), chosen.split, chosen.every))
    if chosen.limit and chosen.limit < len(lesions):
        lesions = [lesions[place] for place in np.linspace(0, len(lesions) - 1, chosen.limit).round().astype(int)]
    rows = [scorer.score(lesion, index) for index, lesion in enumerate(lesions)]
    write_rows(rows, chosen.output / "clicks.csv")
    text = table_text(rows, *scorer.names)
    with atomic_path(chosen.output / "table.md") as path:
        path.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
