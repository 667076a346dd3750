"""The gain of an adaptation by the number of cases, on simulated tissue of a kind that no model was trained on.

``python -m UltrasoundLesionSegLib.adaptation.proof --output FOLDER --page Docs/results/adapt.md``

A simulated reader outlines each lesion on some frames. For each number of patients, ``adapt`` decides as it does for a
user, by folds, unless ``--decisions`` names fewer numbers; and one model is trained on all of them and scored on the
same test patients, whom nobody had seen. Given again after an interruption, the command goes on.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from UltrasoundLesionSegLib.adaptation import runs
from UltrasoundLesionSegLib.adaptation.adapt import adapt
from UltrasoundLesionSegLib.adaptation.clips import mixed, rehearsed_clips, training_clips
from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion, outlined_lesion
from UltrasoundLesionSegLib.adaptation.other_tissue import KINDS, other_tissue
from UltrasoundLesionSegLib.adaptation.outcome import Outcome
from UltrasoundLesionSegLib.adaptation.request import AdaptSettings
from UltrasoundLesionSegLib.adaptation.scoring import Difference, LesionScore, difference, score_lesions
from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.bundles import Bundle, find_bundle, read_bundle
from UltrasoundLesionSegLib.evaluation.methods import Model
from UltrasoundLesionSegLib.evaluation.sessions import ModelFollower
from UltrasoundLesionSegLib.evaluation.tables import difference_cell, markdown_table
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.training.train import make_accelerator
from UltrasoundLesionSegLib.writers.atomic import atomic_path

FIRST_TEST = 1000  # numbers of the test patients' cines
FIRST_USUAL = 7_500_000  # seeds of cines of the usual tissue
HEAD = """# A model of one's own

What `ultrasound-lesion-seg adapt` wins on tissue that no model was trained on, by how many reviewed patients there are.

Made by `{command}`. {note}

The tissue is simulated (`adaptation/other_tissue.py`, kind `{tissue}`): {told}.

10 frames a second, one cine of {frames} frames a patient. A simulated reader outlines {outlines} evenly spaced frames
of each with the true mask. The start model is `{start}`; each training takes {steps} steps of {batch} samples.
"""
LIMITS = """## What this does not show

The cines are simulated, the reader makes no mistakes, and each row is one training with one order of samples. With so
few test patients a difference of a few hundredths can be chance: read the intervals. Real cases have not been tried,
because no reviewed ones are available here.
"""


@dataclass(frozen=True)
class Row:
    """The results for a number of patients: the decision by folds, where it was made, and the scores on test patients.

    ``usual`` has those on tissue of the kind that the start model was trained on.
    """

    patients: int
    outcome: Outcome | None
    test: list[LesionScore]
    usual: list[LesionScore]


@dataclass(frozen=True)
class Proof:
    """The settings of the experiment.

    Parameters
    ----------
    tissue : str
        Of ``other_tissue.KINDS``.
    start : str
    patients, decisions : tuple of int
        Numbers of patients to adapt to, and those of them for which ``adapt`` decides.
    test_patients, usual, frames, outlines, steps : int
        ``usual``: how many cines of the usual tissue are scored.
    output : Path
    """

    tissue: str
    start: str
    patients: tuple[int, ...]
    decisions: tuple[int, ...]
    test_patients: int
    usual: int
    frames: int
    outlines: int
    steps: int
    output: Path


def reviewed(number: int, proof: Proof) -> OutlinedLesion:
    """Return cine ``number`` of the other tissue with its reader's outlines.

    Raises
    ------
    ValueError
        When none of the outlined frames shows the lesion.
    """
    kept = proof.output / "cines" / f"{number:04d}.npz"
    if not kept.is_file():
        Clip(*other_tissue(number, proof.frames, proof.tissue)).save(kept)
    clip = Clip.load(kept)
    outlined = np.linspace(0, proof.frames - 1, proof.outlines).round().astype(int)
    masks = {int(frame): clip.masks[frame] for frame in outlined}
    lesion = outlined_lesion(f"case-{number:04d}", f"patient {number}", Cine.from_array(clip.frames), masks)
    if lesion is None:
        raise ValueError(f"the lesion of cine {number} is never seen")
    return lesion


def every_frame(number: int, proof: Proof) -> OutlinedLesion:
    """Return cine ``number`` with the true mask of each of its frames, for a test."""
    reviewed(number, proof)
    clip = Clip.load(proof.output / "cines" / f"{number:04d}.npz")
    lesion = outlined_lesion(
        f"case-{number:04d}", f"patient {number}", Cine.from_array(clip.frames), dict(enumerate(clip.masks))
    )
    assert lesion is not None
    return lesion


def usual_tissue(number: int, proof: Proof) -> OutlinedLesion:
    """Return a cine as the simulator makes it for training and validation, with the true mask of each frame."""
    settings = SimulationSettings(seed=FIRST_USUAL + number, frames=proof.frames, height=320, width=320)
    simulated = simulate_cine(settings)
    frames = range(proof.frames)
    masks = {frame: simulated.truth[frame][0] for frame in frames}
    cine = Cine.from_array(np.stack([simulated.cine.frames[frame] for frame in frames]))
    lesion = outlined_lesion(f"usual-{number:04d}", f"usual patient {number}", cine, masks)
    assert lesion is not None
    return lesion


def run(proof: Proof) -> tuple[Row, list[Row]]:
    """Return the start model's scores, and what came of each number of patients."""
    start = find_bundle(proof.start)
    test = [every_frame(FIRST_TEST + number, proof) for number in range(proof.test_patients)]
    usual = [usual_tissue(number, proof) for number in range(proof.usual)]

    def scored(bundle: Bundle, name: str) -> tuple[list[LesionScore], list[LesionScore]]:
        follower = partial(_follower, bundle)
        return (
            score_lesions(test, follower, proof.output / "test" / name, print),
            score_lesions(usual, follower, proof.output / "usual" / name, print),
        )

    before = Row(0, None, *scored(start, "start"))
    rows = []
    for count in proof.patients:
        lesions = [reviewed(number, proof) for number in range(count)]
        folder = proof.output / f"{count} patients"
        outcome = _decided(lesions, proof, folder) if count in proof.decisions else None
        rows.append(Row(count, outcome, *scored(_trained(start, lesions, proof, folder), str(count))))
    return before, rows


def _follower(bundle: Bundle) -> ModelFollower:
    return ModelFollower(Model(bundle, "cpu"))


def _decided(lesions: Sequence[OutlinedLesion], proof: Proof, folder: Path) -> Outcome:
    if (folder / "decided").is_file():
        return Outcome.read(folder / "work")
    shutil.rmtree(folder / "models", ignore_errors=True)
    settings = AdaptSettings(proof.start, f"own_{len(lesions)}", steps=proof.steps, workers=0, device="cpu")
    outcome = adapt(
        lesions, settings, folder / "work", folder / "models", lambda step: print(step.sentence, flush=True)
    )
    (folder / "decided").touch()
    return outcome


def _trained(start: Bundle, lesions: Sequence[OutlinedLesion], proof: Proof, folder: Path) -> Bundle:
    """Return the model of all these patients, whatever was decided."""
    adapted = folder / "models" / f"own_{len(lesions)}"
    if adapted.is_dir():
        return read_bundle(adapted)
    folder = folder / "all"
    if not (folder / "trained").is_file():
        follower = _follower(start)
        own = [clip for lesion in lesions for clip in training_clips(lesion, follower)]
        clips = mixed(own, rehearsed_clips(proof.output / "rehearsed"))
        runs.run_training(make_accelerator("no"), start, proof.steps, clips, folder / "run", 0)
        runs.bundle_of_run(start, folder / "run", folder / "model")
        (folder / "trained").touch()
    return read_bundle(folder / "model")


def page(proof: Proof, before: Row, rows: Sequence[Row], command: str, note: str) -> str:
    """Return the page of results."""
    head = HEAD.format(
        command=command,
        note=note,
        tissue=proof.tissue,
        told=KINDS[proof.tissue].told,
        frames=proof.frames,
        outlines=proof.outlines,
        start=proof.start,
        steps=proof.steps,
        batch=runs.BATCH,
    )
    parts = [
        head,
        "## What `adapt` decides",
        "",
        "By three folds, each lesion scored by a model trained without its patient. A model is written when the "
        "interval (95%, Student's t over patients) of the difference in Dice lies above 0. *Area*: the mean height of "
        "the effort curve over 0, 1 and 2 corrections.",
        "",
        *markdown_table(
            ["patients", "Dice, start", "Dice, adapted", "difference", "difference of the area", "model written"],
            _decision_rows(rows),
        ),
        "",
        f"## On {proof.test_patients} other patients",
        "",
        "The model trained on all patients of the row, whatever was decided, on every frame of cines of patients that "
        f"no row has; and, for what was forgotten, on {proof.usual} cines of the usual simulated tissue.",
        "",
        *markdown_table(
            [
                "patients",
                "Dice from one outline",
                "difference",
                "area",
                "difference",
                "Dice, usual tissue",
                "difference",
            ],
            _test_rows(before, rows),
        ),
        "",
        LIMITS,
    ]
    return "\n".join(parts)


def _decision_rows(rows: Sequence[Row]) -> list[list[str]]:
    return [
        [
            str(one.patients),
            f"{one.overlap[0]:.3f}",
            f"{one.overlap[1]:.3f}",
            _cell(one.overlap_difference),
            _cell(one.area_difference),
            "yes" if one.is_better else "no",
        ]
        for one in (row.outcome for row in rows)
        if one is not None
    ]


def _test_rows(before: Row, rows: Sequence[Row]) -> list[list[str]]:
    start = ["0 (start model)", f"{_overlap(before.test):.3f}", "", f"{_area(before.test):.3f}", ""]
    tested = [[*start, f"{_overlap(before.usual):.3f}", ""]]
    for row in rows:
        overlap, usual = (
            _cell(difference(own, reference, lambda one: one.overlap))
            for own, reference in ((row.test, before.test), (row.usual, before.usual))
        )
        area = _cell(difference(row.test, before.test, lambda one: one.area))
        cells = [f"{_overlap(row.test):.3f}", overlap, f"{_area(row.test):.3f}", area]
        tested.append([str(row.patients), *cells, f"{_overlap(row.usual):.3f}", usual])
    return tested


def _overlap(scores: Sequence[LesionScore]) -> float:
    return float(np.mean([one.overlap for one in scores]))


def _area(scores: Sequence[LesionScore]) -> float:
    return float(np.mean([one.area for one in scores]))


def _cell(one: Difference) -> str:
    return difference_cell((one.mean, one.low, one.high))


def _listed(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of cines and runs, outside the repository")
    parser.add_argument("--page", type=Path, required=True, help="the page of results")
    parser.add_argument("--tissue", choices=list(KINDS), default="bright")
    parser.add_argument("--start", default="stpfnet_light")
    parser.add_argument("--patients", type=int, nargs="+", default=[3, 6, 12])
    parser.add_argument("--decisions", type=int, nargs="*", help="numbers for which adapt decides; all when left out")
    parser.add_argument("--test-patients", type=int, default=10)
    parser.add_argument("--usual", type=int, default=4, help="cines of the usual tissue")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--outlines", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--note", default="", help="machine, date, what is missing")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    numbers = (chosen.test_patients, chosen.usual, chosen.frames, chosen.outlines, chosen.steps)
    decisions = tuple(chosen.patients if chosen.decisions is None else chosen.decisions)
    proof = Proof(chosen.tissue, chosen.start, tuple(chosen.patients), decisions, *numbers, chosen.output)
    before, rows = run(proof)
    command = (
        "python -m UltrasoundLesionSegLib.adaptation.proof --output FOLDER --page Docs/results/PAGE.md "
        f"--tissue {chosen.tissue} --patients {_listed(chosen.patients)} --decisions {_listed(decisions)} "
        f"--test-patients {chosen.test_patients} --usual {chosen.usual} --steps {chosen.steps}"
    )
    with atomic_path(chosen.page) as path:
        path.write_text(page(proof, before, rows, command, chosen.note), encoding="utf-8")


if __name__ == "__main__":
    main()
