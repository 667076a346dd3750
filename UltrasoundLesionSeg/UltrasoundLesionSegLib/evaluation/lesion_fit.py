"""A model fitted to the lesion that it is to follow (``fitting.lesion_fit``), beside the model as it is.

``python -m UltrasoundLesionSegLib.evaluation.lesion_fit DATASET --output FOLDER`` fits a model to the first frame of
each video that shows a lesion, and scores both models on the rest of the video, and what the program keeps of the two
(``fitting.way_back``). With ``--others DATASET`` both are scored on other videos as well, which shows whether a fitted
model forgets other lesions. What came of it: Docs/results/ablations.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, Bundle, default_bundle, find_bundle
from UltrasoundLesionSegLib.evaluation.evaluate import score_video
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases
from UltrasoundLesionSegLib.evaluation.methods import Followed, Masks, Method, Model
from UltrasoundLesionSegLib.evaluation.scores import ScoredFrame, summarize
from UltrasoundLesionSegLib.evaluation.tables import table_text, write_frames
from UltrasoundLesionSegLib.fitting.lesion_fit import FitSettings, between, fit_steps, other_clips
from UltrasoundLesionSegLib.fitting.way_back import Evidence, farthest, is_kept, lead_back
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.mrml.steps import run_to_end
from UltrasoundLesionSegLib.writers.atomic import atomic_path

ON_OTHERS = " on others"


@dataclass(frozen=True)
class FitScores:
    """What a fit to one video gave.

    Parameters
    ----------
    rows : list of ScoredFrame
        Of the model as it is; then for each share of the fitted one, of what the program keeps ("where kept") and of
        the fitted one on other videos ("on others").
    ways_back : dict of str to float
        By method, of the model as it is and the fitted ones: Dice of what was drawn and what the last frame leads back
        to, mean over the lesions.
    fit_seconds, plain_seconds : float
        Processor time of the fit, and of the propagation with the model as it is.
    """

    rows: list[ScoredFrame]
    ways_back: dict[str, float]
    fit_seconds: float
    plain_seconds: float


def shortened(case: Case, frames: int | None, every: int) -> Case:
    """Return a case with every ``every``-th of its first ``frames`` frames: quicker, and harder to follow."""
    taken = range(0, len(case.cine) if frames is None else min(frames, len(case.cine)), every)
    cine = Cine.from_array(np.stack([case.cine.frames[frame] for frame in taken]))
    return replace(case, cine=cine, labels=tuple(case.labels[frame] for frame in taken))


def score_case(
    case: Case,
    bundle: Bundle,
    settings: FitSettings,
    shares: Sequence[float] | None = None,
    others: Sequence[Case] = (),
) -> FitScores | None:
    """Score a model on a video as it is and fitted to the lesions of its first frame that shows one, by shares.

    None where no frame shows a lesion. The shares are by default that of the settings. ``others`` are videos that the
    fitted models are scored on besides; how the model as it is does on them is the same for every case
    (``score_on_others``).
    """
    shown = (frame for frame in range(len(case.cine)) if (seen := case.truth(frame)) is not None and seen.any())
    if (start := next(shown, None)) is None:
        return None
    truth = case.truth(start)
    assert truth is not None
    drawn = [(case.cine.frames[start], mask) for mask in truth if mask.any()]
    started = time.process_time()
    led_to: nn.Module = run_to_end(fit_steps(bundle, drawn, settings))
    taken = shares or (settings.share,)
    fits = [between(bundle, led_to, share) for share in taken]
    fitted_at = time.process_time()
    plain, plain_evidence = _scored(case, Model(bundle, "cpu"), start)
    plain_at = time.process_time()
    rows, ways_back = [*plain], {bundle.name: float(np.mean(plain_evidence.led_back or [np.nan]))}
    for share, fit in zip(taken, fits, strict=True):
        name = f"{bundle.name} fitted {share:g}"
        found, evidence = _scored(case, Model(fit, "cpu"), start)
        own = [replace(row, method=name) for row in found]
        ways_back[name] = float(np.mean(evidence.led_back or [np.nan]))
        kept = own if is_kept(evidence, plain_evidence) else plain
        rows += own + [replace(row, method=f"{name} where kept") for row in kept]
        rows += score_on_others(fit, name, others)
    return FitScores(rows, ways_back, fitted_at - started, plain_at - fitted_at)


def score_on_others(bundle: Bundle, name: str, others: Sequence[Case]) -> list[ScoredFrame]:
    """Score a model on other videos than the one it was fitted to; its name there ends with "on others"."""
    rows = [row for other in others for row in score_video(other, Model(bundle, "cpu"))]
    return [replace(row, method=name + ON_OTHERS) for row in rows]


@dataclass
class _Remembering(Method):
    """A method that remembers its last masks, and on how many frames it showed the lesions, summed over them."""

    model: Model
    last: Followed | None = field(default=None, init=False)
    shown: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.name = self.model.name

    def follow(self, cine: Cine, seeds: Masks, start: int) -> Iterator[Followed]:
        for found in self.model.follow(cine, seeds, start):
            self.last = found
            self.shown += sum(bool(mask.any()) for mask in found.masks)
            yield found


def _scored(case: Case, model: Model, start: int) -> tuple[list[ScoredFrame], Evidence]:
    """Score a model; returns also what speaks for its result without the truth."""
    method = _Remembering(model)
    rows = score_video(case, method)
    truth, last = case.truth(start), method.last
    if truth is None or last is None:
        return rows, Evidence((), 0)
    drawn = truth[truth.any(axis=(1, 2))]
    ways = [farthest([last.frame], {start: mask}) for mask in drawn]
    led_back = tuple(
        run_to_end(lead_back(model.propagate, case.cine, way, mask))
        for way, mask in zip(ways, last.masks, strict=True)
        if way is not None
    )
    return rows, Evidence(led_back, method.shown)


def _expected(rows: Sequence[ScoredFrame]) -> float:
    """Return the mean expected overlap of a video's masks."""
    return float(np.mean([row.confidence for row in rows]))


def _arguments() -> argparse.Namespace:
    defaults = FitSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--layout", choices=[Layout.DAVIS.value, Layout.BUV.value], default=Layout.DAVIS.value)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", help="that propagates; the default one when left out")
    parser.add_argument("--skip", type=int, default=0, help="number of videos to leave out, from the first on")
    parser.add_argument("--limit", type=int, help="number of videos to take, spread evenly over the others")
    parser.add_argument("--others", type=Path, help="data set of other videos that the models are scored on, too")
    parser.add_argument("--other-videos", type=int, default=4, help="how many of them, evenly chosen")
    parser.add_argument("--frames", type=int, help="number of frames to take of each video, from the first on")
    parser.add_argument("--every", type=int, default=1, help="take every N-th of these frames")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--share", type=float, action="append", help="of the way to the fitted weights; repeatable")
    parser.add_argument("--other-share", type=float, default=defaults.other_share, help="of clips with other lesions")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    chosen = _arguments()
    torch.set_num_threads(chosen.threads)
    bundle = find_bundle(chosen.model, PROPAGATE) if chosen.model else default_bundle(PROPAGATE)
    settings = FitSettings(chosen.steps, chosen.batch, chosen.learning_rate, chosen.other_share)
    cases = list(read_cases(chosen.dataset, Layout(chosen.layout)))[chosen.skip :]
    cases = evenly(cases, chosen.limit)
    others = (
        evenly(list(read_cases(chosen.others, Layout(chosen.layout))), chosen.other_videos) if chosen.others else []
    )
    others = [shortened(case, chosen.frames, chosen.every) for case in others]
    started = time.process_time()
    other_clips()
    lines = [f"simulated clips, once: {time.process_time() - started:.1f} s of processor time"]
    rows = score_on_others(bundle, bundle.name, others)
    for case in cases:
        scores = score_case(shortened(case, chosen.frames, chosen.every), bundle, settings, chosen.share, others)
        if scores is None:
            continue
        rows += scores.rows
        write_frames(rows, chosen.output / "frames.csv")  # what is known so far survives an interruption
        lines.append(_line(case.name, scores))
        print(lines[-1], flush=True)
    text = "\n".join([*lines, "", *_tables(rows)])
    with atomic_path(chosen.output / "table.md") as path:
        path.write_text(text, encoding="utf-8")
    print(text)


def evenly(cases: list[Case], limit: int | None) -> list[Case]:
    """Return ``limit`` cases, spread evenly over all of them; all where it is None or not less than their number."""
    if not limit or limit >= len(cases):
        return cases
    return [cases[place] for place in np.linspace(0, len(cases) - 1, limit).round().astype(int)]


def _tables(rows: Sequence[ScoredFrame]) -> list[str]:
    """Return a table of the methods on the videos fitted to, and one on the other videos if there are any."""
    names = _names(rows)
    groups = [[name for name in names if name.endswith(ON_OTHERS) == others] for others in (False, True)]
    return [
        table_text([summarize(rows, name, [other for other in group if other != name]) for name in group])
        for group in groups
        if group
    ]


def _line(case: str, scores: FitScores) -> str:
    """Return Dice, and in brackets the mean expected overlap and the way back, of each method, and the times."""
    told = []
    for name in _names(scores.rows):
        own = [row for row in scores.rows if row.method == name]
        way = f", {number_text(scores.ways_back[name], 3)}" if name in scores.ways_back else ""
        dice = number_text(float(np.mean([row.scores.dice for row in own])), 3)
        told.append(f"{name} {dice} ({number_text(_expected(own), 3)}{way})")
    return (
        f"{case}: {', '.join(told)}; fit {scores.fit_seconds:.1f} s, propagation {scores.plain_seconds:.1f} s of "
        "processor time"
    )


def _names(rows: Sequence[ScoredFrame]) -> list[str]:
    return list(dict.fromkeys(row.method for row in rows))


if __name__ == "__main__":
    main()
