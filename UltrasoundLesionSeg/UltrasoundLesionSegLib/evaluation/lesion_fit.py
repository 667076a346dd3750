"""A model fitted to the one lesion that it is to follow, beside the model as it is: a trial, not part of the program.

``python -m UltrasoundLesionSegLib.evaluation.lesion_fit DATASET --clips FOLDER --output FOLDER`` takes a few gradient
steps for each video, on clips made of its first frame with a lesion (``fitting.clip_synthesis``) and on simulated ones
(``training.simulated_clips``), and scores both models on the rest of the video. What came of it:
Docs/results/ablations.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from UltrasoundLesionSegLib.cine import Cine, Frame, Mask
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, Bundle, default_bundle, find_bundle
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork
from UltrasoundLesionSegLib.engine.networks.fused import fuse
from UltrasoundLesionSegLib.evaluation.evaluate import score_video
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases
from UltrasoundLesionSegLib.evaluation.methods import Model
from UltrasoundLesionSegLib.evaluation.scores import ScoredFrame, summarize
from UltrasoundLesionSegLib.evaluation.tables import table_text, write_frames
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip, ClipSettings
from UltrasoundLesionSegLib.fitting.objectives import ClipObjective, MaskLoss
from UltrasoundLesionSegLib.fitting.samples import PropagationSamples, SampleSettings
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.training.datasets import load_clips
from UltrasoundLesionSegLib.writers.atomic import atomic_path

CLIPPED_NORM = 1.0  # of the gradient
BETAS = (0.9, 0.95)  # of AdamW
OTHERS = 8  # simulated clips that are used, of those in the folder
SURER = 0.01  # of expected overlap, mean over a video
SHARE = 0.3  # how far the weights go from where they were to where the steps led
# the lesion's own tissue and outline, moved and lit a little otherwise; the training's own clips go much further
MILD = ClipSettings(strength=0.7, change=0.3, reshape=0.0, exit_share=0.0, floor=0.7, look=0.4)


@dataclass(frozen=True)
class FitSettings:
    """How a network is fitted.

    Parameters
    ----------
    steps, batch : int
        Optimiser steps, and clips a step.
    learning_rate : float
        Of AdamW.
    other_share : float
        Share of clips that show other, simulated lesions.
    clip : ClipSettings
        How far the clips of the lesion go.
    seed : int
    """

    steps: int = 20
    batch: int = 2
    learning_rate: float = 3e-4
    other_share: float = 0.25
    clip: ClipSettings = field(default_factory=lambda: MILD)
    seed: int = 0


def fitted_network(
    bundle: Bundle, drawn: Sequence[tuple[Frame, Mask]], others: Sequence[Clip], settings: FitSettings
) -> nn.Module:
    """Fit a model's network to the lesions that were drawn on a cine.

    The samples are seen as the tracker sees them: at the model's own input size, and with what it remembers.

    Parameters
    ----------
    bundle : Bundle
        A model whose role is to propagate; its own weights stay as they are.
    drawn : sequence of (frame, mask)
        Frames, uint8 (H, W) or (H, W, 3), each with a lesion on it, bool (H, W), not empty.
    others : sequence of Clip
        Clips of other lesions, at least one.
    settings : FitSettings

    Returns
    -------
    Module
        On the CPU. The same arguments give the same weights on the same machine.
    """
    network = bundle.load_network("cpu").requires_grad_(
        True
    )  # in evaluation mode: normalisations keep their statistics
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert isinstance(network, PropagationNetwork)
    view = bundle.tracker_settings()
    objective = ClipObjective(network, MaskLoss(), remembers_passing=view.memory.capacity > 0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, betas=BETAS, weight_decay=0.0)
    sample = SampleSettings(size=view.input_size, wrongness=0.6, whole_share=0.05, clip=settings.clip)
    stills = [_still(frame, mask) for frame, mask in drawn]
    tissue = [_still(clip.frames[0], clip.masks[0]) for clip in others]
    samples = PropagationSamples(stills, sample, settings.seed, others, settings.other_share, tissue)
    for step in range(settings.steps):
        items = [samples[step * settings.batch + number] for number in range(settings.batch)]
        loss, _ = objective(**{name: torch.stack([item[name] for item in items]) for name in items[0]})
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIPPED_NORM)
        optimizer.step()
    return network


def between(bundle: Bundle, fitted: nn.Module, share: float) -> PropagationNetwork:
    """Return a network whose weights lie a share of the way from the model's own to fitted ones.

    Such a mean forgets less than the fitted weights (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR
    2022).

    Returns
    -------
    PropagationNetwork
        On the CPU, in the form it is run in.
    """
    merged = bundle.load_network("cpu")
    with torch.no_grad():
        for one, other in zip(merged.parameters(), fitted.parameters(), strict=True):
            one.lerp_(other, share)
    in_use = fuse(merged)
    assert isinstance(in_use, PropagationNetwork)
    return in_use


def _still(frame: Frame, mask: Mask) -> Still:
    grey = frame if frame.ndim == 2 else frame.mean(axis=2).astype(np.uint8)
    return Still(np.ascontiguousarray(grey), mask)


def shortened(case: Case, frames: int | None, every: int) -> Case:
    """Return a case with each so many-th of its first frames: quicker, and harder to follow."""
    taken = range(0, len(case.cine) if frames is None else min(frames, len(case.cine)), every)
    cine = Cine.from_array(np.stack([case.cine.frames[frame] for frame in taken]))
    return replace(case, cine=cine, labels=tuple(case.labels[frame] for frame in taken))


def score_case(
    case: Case, bundle: Bundle, others: Sequence[Clip], settings: FitSettings, shares: Sequence[float] = (SHARE,)
) -> list[ScoredFrame]:
    """Score a model on a video as it is and fitted to the lesions of its first frame that shows one, by shares.

    "Where surer" is what a program can do that knows no truth: the fitted model's masks where their expected overlap is
    higher by ``SURER``, else the model's own.
    """
    shown = (frame for frame in range(len(case.cine)) if (seen := case.truth(frame)) is not None and seen.any())
    if (start := next(shown, None)) is None:
        return []
    truth = case.truth(start)
    assert truth is not None
    drawn = [(case.cine.frames[start], mask) for mask in truth if mask.any()]
    fitted = fitted_network(bundle, drawn, others, settings)
    methods = [Model(bundle, "cpu")]
    for share in shares:
        methods.append(Model(bundle, "cpu", network=between(bundle, fitted, share)))
        methods[-1].name = f"{bundle.name} fitted {share:g}"
    plain, *fits = ([*score_video(case, method)] for method in methods)
    rows = [*plain]
    for own in fits:
        is_surer = _expected(own) > _expected(plain) + SURER
        rows += own + [replace(row, method=f"{own[0].method} where surer") for row in (own if is_surer else plain)]
    return rows


def _expected(rows: Sequence[ScoredFrame]) -> float:
    """Return the mean expected overlap of a video's masks."""
    return float(np.mean([row.confidence for row in rows]))


def main() -> None:
    """Run the command line."""
    defaults = FitSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--layout", choices=[Layout.DAVIS.value, Layout.BUV.value], default=Layout.DAVIS.value)
    parser.add_argument("--clips", type=Path, required=True, help="folder of training.simulated_clips")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", help="that propagates; the default one when left out")
    parser.add_argument("--limit", type=int, help="videos to take, evenly over the data set")
    parser.add_argument("--frames", type=int, help="of each video, take the first so many")
    parser.add_argument("--every", type=int, default=1, help="and of those each so many")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--share", type=float, action="append", help="of the way to the fitted weights; repeatable")
    parser.add_argument("--other-share", type=float, default=defaults.other_share, help="of clips with other lesions")
    parser.add_argument("--training-clips", action="store_true", help="clips of the lesion go as far as the training's")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    bundle = find_bundle(chosen.model) if chosen.model else default_bundle(PROPAGATE)
    clip = ClipSettings(exit_share=0.25) if chosen.training_clips else MILD
    settings = FitSettings(chosen.steps, chosen.batch, chosen.learning_rate, chosen.other_share, clip)
    found = load_clips(chosen.clips)
    others = found[:: max(len(found) // OTHERS, 1)][:OTHERS]
    cases = list(read_cases(chosen.dataset, Layout(chosen.layout)))
    if chosen.limit and chosen.limit < len(cases):
        cases = [cases[place] for place in np.linspace(0, len(cases) - 1, chosen.limit).round().astype(int)]
    rows: list[ScoredFrame] = []
    for case in cases:
        own = score_case(
            shortened(case, chosen.frames, chosen.every), bundle, others, settings, chosen.share or (SHARE,)
        )
        rows += own
        write_frames(rows, chosen.output / "frames.csv")  # what is known so far survives an interruption
        dice = {name: np.mean([row.scores.dice for row in own if row.method == name]) for name in _names(own)}
        print(case.name, *(f"{name} {value:.4f}" for name, value in dice.items()), flush=True)
    names = _names(rows)
    text = table_text([summarize(rows, name, [other for other in names if other != name]) for name in names])
    with atomic_path(chosen.output / "table.md") as path:
        path.write_text(text, encoding="utf-8")
    print(text)


def _names(rows: Sequence[ScoredFrame]) -> list[str]:
    return list(dict.fromkeys(row.method for row in rows))


if __name__ == "__main__":
    main()
