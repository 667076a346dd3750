"""Score models and baselines on a labelled data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np

from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, Bundle, find_bundle
from UltrasoundLesionSegLib.engine.device import resolve_device
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.evaluation.inexact_seeds import SeedMask, inexact
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases
from UltrasoundLesionSegLib.evaluation.methods import FrameModel, HeldMask, Method, OpticalFlow, model_method
from UltrasoundLesionSegLib.evaluation.metrics import score_frame
from UltrasoundLesionSegLib.evaluation.scores import ScoredFrame, Summary, dice_over_time, summarize
from UltrasoundLesionSegLib.evaluation.tables import table_text, write_differences, write_frames, write_summaries
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.writers.atomic import atomic_path

matplotlib.use("Agg")  # no window, wherever this runs
from matplotlib import pyplot


def score_video(case: Case, method: Method, seed_mask: SeedMask = SeedMask.EXACT) -> list[ScoredFrame]:
    """Score a method on a video from its first labelled frame that shows a lesion.

    The seed's own frame and frames without truth are not scored. A lesion that the seed's frame does not show is not
    scored either: nobody told the method of it.

    Parameters
    ----------
    case : Case
    method : Method
    seed_mask : SeedMask
        How the seed differs from the truth.
    """
    start = next(
        (frame for frame in range(len(case.cine)) if (seen := case.truth(frame)) is not None and seen.any()), None
    )
    if start is None:
        return []
    seeds = case.truth(start)
    assert seeds is not None
    shown = [lesion for lesion in range(len(seeds)) if seeds[lesion].any()]
    rows = []
    given = np.stack([inexact(seeds[lesion], seed_mask) for lesion in shown])
    for found in method.follow(case.cine, given, start):
        truth = case.truth(found.frame)
        if truth is None:
            continue
        for place, lesion in enumerate(shown):
            scores = score_frame(found.masks[place], truth[lesion])
            sure = float("nan") if found.confidence is None else float(found.confidence[place])
            elapsed = found.frame - start
            share = float(truth[lesion].mean())
            rows.append(
                ScoredFrame(method.name, case.name, case.patient, lesion, found.frame, elapsed, scores, sure, share)
            )
    return rows


def score_still(case: Case, method: FrameModel) -> list[ScoredFrame]:
    """Score a network without a seed on a still."""
    truth = case.truth(0)
    assert truth is not None
    lesion = np.asarray(truth.any(axis=0))
    scores = score_frame(method.find(case.cine.frames[0])[0], lesion)
    return [ScoredFrame(method.name, case.name, case.patient, 0, 0, 0, scores, share=float(lesion.mean()))]


def evaluate(
    dataset: Path,
    layout: Layout | str,
    models: Sequence[str | Bundle],
    output: Path,
    split: str | None = None,
    baselines: bool = True,
    device: str = "auto",
    limit: int | None = None,
    seed_mask: SeedMask | str = SeedMask.EXACT,
    progress: Callable[[int, str], None] | None = None,
) -> list[Summary]:
    """Score models and baselines; write their tables and a plot.

    These are ``frames.csv``, ``summary.csv``, ``differences.csv``, ``table.md`` and, of videos, ``dice_over_time.png``.

    Parameters
    ----------
    dataset : Path
    layout : Layout or str
        ``davis``, ``buv`` or ``stills``.
    models : sequence of str or Bundle
        Bundles, or their names: shipped ones, or in a folder named in ``ULS_MODELS``.
    output : Path
        Folder of the results.
    split : str or None
        Part of the data set, see ``read_cases``.
    baselines : bool
        Score the copied seed and DIS optical flow on videos too.
    device : str
        See ``resolve_device``.
    limit : int or None
        Score the first cases only.
    seed_mask : SeedMask or str
        How the seed differs from the truth.
    progress : callable or None
        Called with the number of cases done and a sentence.

    Returns
    -------
    list of Summary
        One a method, baselines first; each model's tells its differences to all other methods.

    Raises
    ------
    LesionSegError
        When the data set, a model or the device is not what it should be.
    """
    layout = Layout(layout)
    resolve_device(device)  # before anything is read
    bundles = [model if isinstance(model, Bundle) else find_bundle(model) for model in models]
    unlearned: list[Method] = [HeldMask(), OpticalFlow()] if baselines and layout is not Layout.STILLS else []
    methods = unlearned + [model_method(bundle, device) for bundle in bundles]
    if layout is Layout.STILLS and any(bundle.role == PROPAGATE for bundle in bundles):
        raise SourceError("stills have no frame to propagate to; evaluate a model that suggests seeds on them")
    rows: list[ScoredFrame] = []
    for number, case in enumerate(read_cases(dataset, layout, split)):
        if limit is not None and number >= limit:
            break
        for method in methods:
            rows += (
                score_still(case, method)
                if layout is Layout.STILLS and isinstance(method, FrameModel)
                else score_video(case, method, SeedMask(seed_mask))
            )
        if progress is not None:
            progress(number + 1, _sentence(rows, case, methods))
    names = [method.name for method in methods]
    summaries = [summarize(rows, method.name) for method in unlearned]
    summaries += [summarize(rows, bundle.name, [name for name in names if name != bundle.name]) for bundle in bundles]
    write_frames(rows, output / "frames.csv")
    write_summaries(summaries, output / "summary.csv")
    write_differences(summaries, output / "differences.csv")
    with atomic_path(output / "table.md") as path:
        path.write_text(table_text(summaries), encoding="utf-8")
    if layout is not Layout.STILLS:
        plot_decay(rows, names, output / "dice_over_time.png")
    return summaries


def _sentence(rows: Sequence[ScoredFrame], case: Case, methods: Sequence[Method]) -> str:
    means = []
    for method in methods:
        own = [row.scores.dice for row in rows if row.case == case.name and row.method == method.name]
        means.append(f"{method.name} {number_text(float(np.mean(own or [np.nan])), 3)}")
    return f"case {case.name}: Dice " + ", ".join(means)


def plot_decay(rows: Sequence[ScoredFrame], methods: Sequence[str], target: Path) -> None:
    """Plot mean Dice against frames since the seed, one line a method.

    Parameters
    ----------
    rows : sequence of ScoredFrame
    methods : sequence of str
    target : Path
        A PNG file.
    """
    figure, axes = pyplot.subplots(figsize=(7, 4), dpi=120)
    for method in methods:
        axes.plot(*dice_over_time(rows, method), label=method)
    axes.set(xlabel="frames since the seed", ylabel="mean Dice", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    with atomic_path(target) as path:
        figure.savefig(path)
    pyplot.close(figure)
