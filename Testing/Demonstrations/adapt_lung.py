"""What an adaptation wins on real lung cines: of another organ than any that the models were trained on.

    .venv/bin/python Testing/Demonstrations/adapt_lung.py --output FOLDER --page Docs/results/adapt_lung.md

What is followed is the bright band of lung below the pleura, between the shadows of two ribs. A person drew it on the
first and the last frame of a part of each cine (``lung_outlines.json``). Optical flow carries both outlines through the
frames between, and their signed distances are mixed by the distance in time. Given again after an interruption, the
command goes on. The data is looked for in ../shared/data, or where ULS_DATA points.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from UltrasoundLesionSegLib.adaptation.adapt import adapt
from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion, outlined_lesion
from UltrasoundLesionSegLib.adaptation.outcome import Outcome, figures
from UltrasoundLesionSegLib.adaptation.request import AdaptSettings
from UltrasoundLesionSegLib.cine import Cine, Mask
from UltrasoundLesionSegLib.engine.outline import signed_distance
from UltrasoundLesionSegLib.evaluation.methods import OpticalFlow
from UltrasoundLesionSegLib.evaluation.metrics import score_frame
from UltrasoundLesionSegLib.evaluation.tables import markdown_table
from UltrasoundLesionSegLib.measurement.echo import echo_levels
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.writers.atomic import atomic_path

ROOT = Path(__file__).resolve().parents[2]
OUTLINES = Path(__file__).with_name("lung_outlines.json")
EVERY = 2  # frames of the video from one frame of the cine to the next: there are 18 to 39 a second
OUTLINED = 5  # frames that the simulated reader outlines
HEAD = """# A model of one's own, on lung cines

What `ultrasound-lesion-seg adapt` wins on real cines of another organ than any that a model was trained on.

Made by `python Testing/Demonstrations/adapt_lung.py --output FOLDER --page Docs/results/adapt_lung.md --steps {steps}`.
{note}

{lesions} lesions of {patients} patients, in {cines} cines of the lung (CC BY 2.0 and 4.0, from
[covid19_pocus_ultrasound](https://github.com/jannisborn/covid19_pocus_ultrasound)). They are no lesions: what is
followed is the bright band of lung below the pleura, between the shadows of two ribs, {frames} frames of each cine. A
person who is no physician drew it on the first and the last of them. Optical flow carries both outlines through the
frames between; the masks are the mean of the two, by signed distance, weighted by the distance in time. A simulated
reader outlines {outlined} evenly spaced frames with these masks. The start model is `{start}`; each training takes
{steps} steps.

## What `adapt` decides

By three folds, each band scored by a model trained without its patient. A model is written when the interval (95%,
Student's t over patients) of the difference in Dice lies above 0.

**{sentence}.**
"""
MASKS = """## How good the masks are

*still*: Dice of the outline drawn on the first frame with that drawn on the last one. *by flow*: Dice of the outline
that flow carried from the first frame to the last one with the one drawn there.
"""
LIMITS = """## What this does not show

The masks are no truth: they were drawn by one person, and by flow between. The lower end of a band is where the image
gets dark, which is no anatomical border. There are {patients} patients, the figures of one training each; read the
interval.
"""


@dataclass(frozen=True)
class Band:
    """A band of lung in a part of a cine.

    Parameters
    ----------
    name, patient : str
    frames : ndarray of uint8, shape (T, H, W)
    masks : ndarray of bool, shape (T, H, W)
    still, flowed : float
        Dice of the first drawn outline with the last one, as it is and carried there by flow.
    """

    name: str
    patient: str
    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    still: float
    flowed: float

    def lesion(self) -> OutlinedLesion:
        chosen = np.linspace(0, len(self.frames) - 1, OUTLINED).round().astype(int)
        masks = {int(frame): self.masks[frame] for frame in chosen}
        lesion = outlined_lesion(self.name, self.patient, Cine.from_array(self.frames), masks)
        assert lesion is not None
        return lesion


def read_band(entry: dict[str, Any], data: Path) -> Band:
    """Return what an entry of ``lung_outlines.json`` says, with its masks."""
    cine = read_cine(data / "cine" / "lung_video" / entry["file"])
    first, last = entry["first"]["frame"], entry["last"]["frame"]
    frames = np.stack([echo_levels(cine.frames[frame]) for frame in range(first, last + 1)])
    start, end = (_filled(entry[key]["outline"], frames.shape[1:]) for key in ("first", "last"))
    forward = _carried(frames, start)
    backward = _carried(frames[::-1], end)[::-1]
    shares = np.linspace(0, 1, len(frames), dtype=np.float32)
    mixed = [
        (1 - share) * signed_distance(one) + share * signed_distance(other) > 0
        for share, one, other in zip(shares, forward, backward, strict=True)
    ]
    return Band(
        f"{entry['patient']}-{entry['band']}",
        entry["patient"],
        frames[::EVERY],
        np.stack(mixed)[::EVERY],
        score_frame(start, end).dice,
        score_frame(forward[-1], end).dice,
    )


def _filled(outline: list[list[int]], shape: tuple[int, ...]) -> Mask:
    return cv2.fillPoly(np.zeros(shape, np.uint8), [np.array(outline, np.int32)], 1).astype(bool)


def _carried(frames: NDArray[np.uint8], mask: Mask) -> list[Mask]:
    followed = OpticalFlow().follow(Cine.from_array(frames), mask[None], 0)
    return [mask, *(one.masks[0] for one in followed)]


def page(bands: list[Band], outcome: Outcome, note: str) -> str:
    """Return the page of results."""
    patients = len({band.patient for band in bands})
    head = HEAD.format(
        note=note,
        lesions=len(bands),
        patients=patients,
        cines=len({entry["file"] for entry in json.loads(OUTLINES.read_text(encoding="utf-8"))}),
        frames=len(bands[0].frames),
        outlined=OUTLINED,
        start=outcome.start,
        steps=outcome.steps,
        sentence=outcome.sentence[0].upper() + outcome.sentence[1:],
    )
    rows = [[band.name, f"{band.still:.3f}", f"{band.flowed:.3f}"] for band in bands]
    parts = [
        head,
        *figures(outcome),
        "",
        MASKS,
        *markdown_table(["band", "still", "by flow"], rows),
        "",
        LIMITS.format(patients=patients),
    ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of the work, outside the repository")
    parser.add_argument("--page", type=Path, help="the page of results; only the masks are made when left out")
    parser.add_argument("--start", default="stpfnet_light")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--note", default="", help="machine and date")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    data = Path(os.environ.get("ULS_DATA") or ROOT.parent / "shared" / "data")
    bands = [read_band(entry, data) for entry in json.loads(OUTLINES.read_text(encoding="utf-8"))]
    for band in bands:
        print(f"{band.name}: still {band.still:.3f}, by flow {band.flowed:.3f}", flush=True)
    if chosen.page is None:
        return
    decided = chosen.output / "decided"
    if decided.is_file():
        outcome = Outcome.read(chosen.output / "work")
    else:
        settings = AdaptSettings(chosen.start, "lung", steps=chosen.steps, workers=0, device="cpu")
        lesions = [band.lesion() for band in bands]
        work, models = chosen.output / "work", chosen.output / "models"
        outcome = adapt(lesions, settings, work, models, lambda step: print(step.sentence, flush=True))
        decided.touch()
    with atomic_path(chosen.page) as path:
        path.write_text(page(bands, outcome, chosen.note), encoding="utf-8")


if __name__ == "__main__":
    main()
