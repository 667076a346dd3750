"""The result of an adaptation: the figures, the sentence, the new model's card."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.adaptation.scoring import Difference
from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.evaluation.tables import markdown_table
from UltrasoundLesionSegLib.writers.atomic import atomic_path

FILE, PAGE = "outcome.json", "outcome.md"


@dataclass(frozen=True)
class Outcome:
    """The figures of an adaptation, all of them on patients that the adapted models had not seen.

    Parameters
    ----------
    start, name : str
        The models.
    lesions, patients, outlined_frames : int
    steps : int
        Of each training.
    overlap : tuple of float
        Mean Dice from one outline, start model and adapted ones; over the patients.
    curves : tuple of tuple of float
        Their mean effort curves (``LesionScore``), over the patients.
    overlap_difference, area_difference : Difference
        Of the overlap, and of the area under the effort curve.
    notes : tuple of str
        What a person should know of the cases: one sentence each.
    """

    start: str
    name: str
    lesions: int
    patients: int
    outlined_frames: int
    steps: int
    overlap: tuple[float, float]
    curves: tuple[tuple[float, ...], tuple[float, ...]]
    overlap_difference: Difference
    area_difference: Difference
    notes: tuple[str, ...] = ()

    @property
    def is_better(self) -> bool:
        """Whether the overlap is better beyond chance, and a person's work with it is not worse beyond chance."""
        return self.overlap_difference.low > 0 and not self.area_difference.high < 0

    @property
    def sentence(self) -> str:
        """One sentence for a person."""
        before, after = self.overlap
        told = (
            f"on {self.patients} patients that it had not seen, the mean Dice from one outline is {after:.3f} and that "
            f"of {self.start} {before:.3f}: difference {self.overlap_difference}"
        )
        if self.is_better:
            return f"the model {self.name} is better than {self.start} and was written; {told}"
        return (
            f"no model was written, because none is shown to be better than {self.start}; {told}; "
            "more reviewed patients or more minutes may change that"
        )

    @classmethod
    def read(cls, folder: Path) -> Outcome:
        """Return the outcome that ``write_outcome`` wrote."""
        content: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        del content["is_better"], content["sentence"]
        for name in ("overlap_difference", "area_difference"):
            content[name] = Difference(**content[name])
        content["notes"] = tuple(content["notes"])
        content["overlap"] = tuple(content["overlap"])
        content["curves"] = tuple(tuple(curve) for curve in content["curves"])
        return cls(**content)


def write_outcome(outcome: Outcome, folder: Path) -> None:
    """Write the outcome as JSON and as a page of Markdown."""
    content = {**asdict(outcome), "is_better": outcome.is_better, "sentence": outcome.sentence}
    with atomic_path(folder / FILE) as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    sentence = outcome.sentence[0].upper() + outcome.sentence[1:]
    with atomic_path(folder / PAGE) as path:
        path.write_text("\n".join([f"{sentence}.", "", *figures(outcome)]) + "\n", encoding="utf-8")


def figures(outcome: Outcome) -> list[str]:
    """Return the lines of a Markdown table of both models, and what it is made of."""
    corrections = len(outcome.curves[0]) - 1
    heads = ["model", "Dice from one outline", *(f"after {number}" for number in range(corrections + 1))]
    rows = [
        [name, f"{overlap:.3f}", *(f"{value:.3f}" for value in curve)]
        for name, overlap, curve in zip((outcome.start, "adapted"), outcome.overlap, outcome.curves, strict=True)
    ]
    return [
        *markdown_table(heads, rows),
        "",
        f"All figures are means over patients. Difference of the Dice from one outline {outcome.overlap_difference}, "
        f"of the area under the effort curve {outcome.area_difference} (Student's t). {outcome.lesions} lesions of "
        f"{outcome.patients} patients, {outcome.outlined_frames} outlined frames; each lesion was scored by a model "
        f"trained for {outcome.steps} steps on other patients. *after 0, 1, ...*: mean Dice over the outlined frames "
        "after that many corrections of the frame that is offered; frames with a person's outline count as 1.",
        *(f"\n{note[0].upper()}{note[1:]}." for note in outcome.notes),
    ]


def write_card(folder: Path, start: Bundle, outcome: Outcome) -> None:
    """Write an adapted bundle's card, and its name and figures into its metadata.

    Parameters
    ----------
    folder : Path
        Of the adapted bundle; its metadata are still those of the start model.
    start : Bundle
    outcome : Outcome
    """
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    title = f"{start.title}, adapted: {outcome.name}"
    data = f"{outcome.lesions} lesions of {outcome.patients} patients with outlines of a reader, and simulated cines"
    for name in ("eval_metrics", "eval_data"):
        metadata.pop(name, None)
    metadata |= {
        "version": "0.1.0",
        "changelog": {"0.1.0": f"adapted from {start.name} {start.version}"},
        "name": title,
        "description": f"{start.name} fitted to reviewed cases: {data}.",
        "data_source": data,
        "eval_metrics": {"mean_dice": round(outcome.overlap[1], 3)},
        "eval_data": f"the same {outcome.patients} patients, each scored by a model that was trained without them",
    }
    with atomic_path(path) as target:
        target.write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with atomic_path(folder / "docs" / "README.md") as target:
        target.write_text("\n".join(_card(start, outcome, title, data)) + "\n", encoding="utf-8")


def _card(start: Bundle, outcome: Outcome, title: str, data: str) -> list[str]:
    """Return the lines of an adapted bundle's card."""
    return [
        f"# {title}",
        "",
        f"The model {start.name} {start.version}, fitted to {data}. Made by `ultrasound-lesion-seg adapt`.",
        "",
        "## Intended use",
        "",
        "Research. It is not a medical device: a person checks every mask before it is used.",
        "",
        "## Data and training",
        "",
        f"{outcome.steps} steps on clips of the reviewed cines: the frames that the reader outlined, and those between "
        "two of them on which the start model had a high expected overlap. A quarter of the samples came from "
        "simulated cines. The settings are in `configs/train.json`.",
        "",
        "## Figures",
        "",
        *figures(outcome),
        "",
        "## Limits",
        "",
        "The weights of this bundle were trained on all those patients, in the way whose models were scored. They "
        "themselves are scored on nobody. The expected overlap (confidence) is still calibrated for the start model. "
        f"The limits of {start.name} hold as well: see its card.",
    ]
