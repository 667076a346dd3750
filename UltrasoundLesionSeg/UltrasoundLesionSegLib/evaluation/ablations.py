"""Tables II and III of the STPFNet paper: every configuration trained alike, then all scored on the same clips.

``python -m UltrasoundLesionSegLib.evaluation.ablations --data STILLS --trunk WEIGHTS --dataset CLIPS --output FOLDER``

writes ``models/NAME`` (a bundle a configuration), ``runs/NAME``, and ``results/DATASET`` with the evaluation and the
tables; ``--table II`` makes that one alone. Given again after an interruption it resumes: finished
runs and finished data sets are not repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import torch

from UltrasoundLesionSegLib.engine.bundles import Bundle, find_bundle, read_bundle
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.evaluation.evaluate import evaluate
from UltrasoundLesionSegLib.evaluation.layouts import Layout, read_cases
from UltrasoundLesionSegLib.evaluation.scores import Summary
from UltrasoundLesionSegLib.evaluation.tables import difference_cell, interval_cell, markdown_table
from UltrasoundLesionSegLib.evaluation.variants import make_variant
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.training.datasets import load_clips, load_stills
from UltrasoundLesionSegLib.training.export import export_runs
from UltrasoundLesionSegLib.training.run_state import Checkpoint
from UltrasoundLesionSegLib.training.train import make_accelerator, train_model
from UltrasoundLesionSegLib.training.train_config import TrainConfig, read_train_config
from UltrasoundLesionSegLib.writers.atomic import atomic_path

MODEL = "stpfnet_light"  # all but what the tables vary, the training's settings too, is this model's
# the paper's final configuration; every argument is named, whatever the model itself has
STPFNET: Mapping[str, Any] = MappingProxyType(
    {
        "spatial_fusion": True,
        "multi_scale_fusion": True,
        "pooling": "both",
        "coarse_stages": [4],
        "prior": "multiplied",
    }
)
CONFIGURATIONS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "stm": {**STPFNET, "multi_scale_fusion": False, "spatial_fusion": False},
        "stm_msff": {**STPFNET, "spatial_fusion": False},
        "stm_sfm": {**STPFNET, "multi_scale_fusion": False},
        "stpfnet": dict(STPFNET),
        "stpfnet_average": {**STPFNET, "pooling": "average"},
        "stpfnet_max": {**STPFNET, "pooling": "max"},
        "stpfnet_stage2": {**STPFNET, "coarse_stages": [2]},
        "stpfnet_stage3": {**STPFNET, "coarse_stages": [3]},
        "stpfnet_concatenated": {**STPFNET, "prior": "concatenated"},
    }
)
PAPERS_SCORES = {"dice": "Dice", "iou": "IoU", "recall": "Recall", "mae": "MAE"}


@dataclass(frozen=True)
class Table:
    """One of the paper's tables.

    Parameters
    ----------
    title : str
    against : str
        The configuration that differences are taken to.
    configurations : tuple of str
        Its rows, names of ``CONFIGURATIONS``.
    varied : dict
        Argument of the network -> heading of its column.
    """

    title: str
    against: str
    configurations: tuple[str, ...]
    varied: dict[str, str]


TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "II": Table(
            "Table II",
            "stm",
            ("stm", "stm_msff", "stm_sfm", "stpfnet"),
            {"multi_scale_fusion": "MSFF", "spatial_fusion": "SFM"},
        ),
        "III": Table(
            "Table III",
            "stpfnet",
            (
                "stpfnet_average",
                "stpfnet_max",
                "stpfnet_stage2",
                "stpfnet_stage3",
                "stpfnet_concatenated",
                "stpfnet",
            ),
            {"pooling": "pooling", "coarse_stages": "coarse stage", "prior": "prior"},
        ),
    }
)


@dataclass(frozen=True)
class Schedule:
    """How long each configuration is trained, and on what.

    Parameters
    ----------
    steps : int
    batch : int
        Samples a step.
    size : int
        Side of the network's input in pixels, in training and in use.
    seed : int or None
        Of weights and samples; None for the model's own.
    """

    steps: int
    batch: int
    size: int
    seed: int | None = None


def alike(config: TrainConfig, schedule: Schedule) -> TrainConfig:
    """Return the model's own training, its first stage alone and as long as the schedule says.

    The warm-up keeps its share of the run.

    Parameters
    ----------
    config : TrainConfig
    schedule : Schedule
    """
    first = config.stages[0]
    stage = replace(first, steps=schedule.steps, batch=schedule.batch, sample=replace(first.sample, size=schedule.size))
    seed = config.seed if schedule.seed is None else schedule.seed
    return replace(config, seed=seed, stages=(stage,), warmup=config.warmup * schedule.steps // config.steps)


def keep_schedule(schedule: Schedule, output: Path) -> None:
    """Note the schedule in the output folder, or see that it is the one noted there.

    Raises
    ------
    OutputError
        When the folder's runs have another one: its configurations would not be trained alike.
    """
    path, own = output / "schedule.json", asdict(schedule)
    if not path.is_file():
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(own) + "\n", encoding="utf-8")
    elif (noted := json.loads(path.read_text(encoding="utf-8"))) != own:
        raise OutputError(f"the output folder was begun with {noted}, not {own}; name another folder")


def check_datasets(datasets: Sequence[Path], layout: Layout) -> None:
    """Check that all data sets can be read and have different names, before hours of training.

    Raises
    ------
    OutputError
        When two have one name.
    SourceError
        When one does not have the layout.
    """
    if len({dataset.name for dataset in datasets}) < len(datasets):
        raise OutputError("two data sets have one name and would share a folder of results; rename one")
    for dataset in datasets:
        next(read_cases(dataset, layout))


def table_lines(table: Table, summaries: Sequence[Summary]) -> list[str]:
    """Return a table as Markdown: means over videos, and paired differences of Dice.

    Parameters
    ----------
    table : Table
    summaries : sequence of Summary
        One for each of its configurations, with differences to all others; more are left out.
    """
    by_name = {summary.method: summary for summary in summaries}
    headings = ["configuration", *table.varied.values(), *PAPERS_SCORES.values(), "last frame's Dice"]
    headings += [f"Dice minus {table.against}", f"last frame's Dice minus {table.against}"]
    rows = []
    for name in table.configurations:
        summary = by_name[name]
        settings = [_setting(CONFIGURATIONS[name][argument]) for argument in table.varied]
        means = [number_text(summary.per_video[score][0], 3) for score in PAPERS_SCORES]
        rows.append([name, *settings, *means, number_text(summary.last_dice[0], 3)])
        compared = summary.differences.get(table.against)
        rows[-1] += [difference_cell(compared[score]) if compared else "" for score in ("dice", "last_dice")]
    reference = interval_cell(by_name[table.against].per_video["dice"])
    return [
        f"{table.title}: means over {counted(summaries[0].videos, 'video')}",
        "",
        *markdown_table(headings, rows),
        "",
        f"Dice of {table.against}: {reference}. Intervals: 95% (bootstrap over patients, the same for both).",
        "",
    ]


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


class Ablation:
    """The configurations' training and scoring in one folder.

    Parameters
    ----------
    schedule : Schedule
    output : Path
    tables : sequence of str
        Keys of ``TABLES``: what is to be made.

    Raises
    ------
    OutputError
        When the folder was begun with another schedule.
    """

    def __init__(self, schedule: Schedule, output: Path, tables: Sequence[str]) -> None:
        keep_schedule(schedule, output)
        self._schedule = schedule
        self._output = output
        self._tables = {number: TABLES[number] for number in TABLES if number in tables}
        self._names = list(dict.fromkeys(name for table in self._tables.values() for name in table.configurations))

    def train(self, data: Path, clips: Path | None, trunk: Path | None, precision: str, workers: int) -> None:
        """Train every configuration of the tables that is not yet, and put its weights into its bundle.

        Parameters
        ----------
        data : Path
            Folder of stills.
        clips : Path or None
            Folder of cached simulated clips.
        trunk : Path or None
            ImageNet weights of the trunk.
        precision : {"no", "bf16", "fp16"}
        workers : int
            Processes that make samples.
        """

        @cache  # read once for all configurations, and not at all when all are trained
        def sources() -> tuple[tuple[list[Still], list[Still]], list[Clip]]:
            stills = load_stills(data, "train"), load_stills(data, "val")
            return stills, load_clips(clips) if clips else []

        own = read_train_config(find_bundle(MODEL).folder / "configs" / "train.json")
        for name in self._names:
            run = self._output / "runs" / name
            # made again although it may be there: a kill can have left half of it
            bundle = make_variant(
                MODEL,
                name,
                self._output / "models",
                [f"propagation.input_size={self._schedule.size}"],
                CONFIGURATIONS[name],
            )
            config = alike(replace(own, bundle=bundle), self._schedule)
            checkpoint = run / "checkpoint.pt"
            if not checkpoint.is_file() or Checkpoint.load(checkpoint).step < config.steps:
                print(f"training {name}", flush=True)
                train_model(config, make_accelerator(precision), *sources(), run, workers, trunk)
            export_runs([run], bundle.folder)

    def score(self, datasets: Sequence[Path], layout: Layout, device: str) -> str:
        """Score the configurations on each data set that has not all tables yet; return the tables of all data sets.

        Parameters
        ----------
        datasets : sequence of Path
            Their names tell their results apart.
        layout : Layout
        device : str
            See ``resolve_device``.
        """
        bundles: list[Bundle] = [read_bundle(self._output / "models" / name) for name in self._names]
        parts = []
        for dataset in datasets:
            results = self._output / "results" / dataset.name
            targets = {results / f"table_{number}.md": table for number, table in self._tables.items()}
            if not all(target.is_file() for target in targets):
                summaries = evaluate(dataset, layout, bundles, results, baselines=False, device=device, progress=_tell)
                for target, table in targets.items():
                    with atomic_path(target) as path:
                        path.write_text("\n".join(table_lines(table, summaries)), encoding="utf-8")
            parts.append(f"## `{dataset.name}`\n")
            parts += [target.read_text(encoding="utf-8") for target in targets]
        return "\n".join(parts)


def _tell(done: int, sentence: str) -> None:
    print(f"{done}: {sentence}", flush=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of stills with index.csv")
    parser.add_argument("--clips", type=Path, help="folder of cached simulated clips, *.npz")
    parser.add_argument("--trunk", type=Path, help="ImageNet weights of the trunk, safetensors")
    parser.add_argument("--output", type=Path, required=True, help="folder of models, runs and results")
    parser.add_argument("--dataset", type=Path, action="append", required=True, help="to score on; repeatable")
    parser.add_argument("--layout", choices=["davis", "buv"], default="davis", help="of the data sets")
    parser.add_argument("--table", choices=[*TABLES], action="append", help="to make; repeatable, all by default")
    parser.add_argument("--steps", type=int, default=2400, help="of each configuration's training")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=160, help="side of the network's input in pixels")
    parser.add_argument("--seed", type=int, help="of weights and samples; the model's own by default")
    parser.add_argument("--precision", choices=["no", "bf16", "fp16"], default="no")
    parser.add_argument("--workers", type=int, default=2, help="processes that make samples")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--device", default="auto", help="to score on")
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    cv2.setNumThreads(1)
    check_datasets(chosen.dataset, Layout(chosen.layout))
    schedule = Schedule(chosen.steps, chosen.batch, chosen.size, chosen.seed)
    ablation = Ablation(schedule, chosen.output, chosen.table or [*TABLES])
    ablation.train(chosen.data, chosen.clips, chosen.trunk, chosen.precision, chosen.workers)
    print(ablation.score(chosen.dataset, Layout(chosen.layout), chosen.device))


if __name__ == "__main__":
    main()
