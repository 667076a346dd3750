"""The commands on readers' work on a batch: ``export-study``, ``compare`` and ``adapt``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from UltrasoundLesionSegLib.cli import interrupts
from UltrasoundLesionSegLib.cli.options import BodyPart, Device, PixelsAllowed, StudyAlso, completing_models
from UltrasoundLesionSegLib.cli.training_commands import (
    Precision,
    PrecisionOption,
    Threads,
    Workers,
    check_training_tools,
)
from UltrasoundLesionSegLib.errors import ReviewError

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.adaptation.outcome import Outcome

Sources = Annotated[Path | None, typer.Option(help="Where to look for cines that were moved.", show_default=False)]
Batch = Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of a batch.")]


def export_study(
    batch: Batch,
    reader: Annotated[str, typer.Option(help="The reader's code.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Folder for the study; made when it is not there.", show_default=False)],
    also: StudyAlso = None,
    pixels_allowed: PixelsAllowed = False,
    body_part: BodyPart = "",
    sources: Sources = None,
) -> None:
    """Write masks, measurements, SEG and SR of all cases that a reader has finished. Exits with 1 if one failed."""
    from UltrasoundLesionSegLib.cli.progress_bar import share_bar
    from UltrasoundLesionSegLib.report.wording import counted
    from UltrasoundLesionSegLib.review.study import export_study as export

    with (
        interrupts.resumable("stopped; what is written is kept, and the same command writes the rest"),
        share_bar("cases") as advance,
    ):
        result = export(
            batch,
            reader,
            output,
            also or (),
            pixels_allowed,
            sources,
            lambda done, total: advance(done / total, f"{done}/{total}"),
            body_part,
        )
    for notice in dict.fromkeys(result.notices.values()):
        names = [name for name, one in result.notices.items() if one == notice]
        whose = names[0] if len(names) == 1 else f"{counted(len(names), 'case')}, the first is {names[0]}"
        typer.echo(f"note: {whose}: {notice}")
    for name in result.retired:
        typer.echo(f"note: {name}: no longer done; what was exported before is in the folder 'earlier' of the study")
    for name, reason in result.failed.items():
        typer.echo(f"error: {name}: {reason}", err=True)
    for state in dict.fromkeys(result.left.values()):
        names = [name for name, one in result.left.items() if one is state]
        typer.echo(f"note: left out, because reader {reader} has not finished them ({state.value}): {', '.join(names)}")
    typer.echo(
        f"{counted(len(result.written), 'case')} written, {len(result.finished)} unchanged, "
        f"{len(result.failed)} failed, {len(result.left)} left out; "
        f"the study is in {output}, see index.html there"
    )
    if result.failed:
        raise typer.Exit(1)


def compare(
    batch: Batch,
    reader: Annotated[
        list[str], typer.Option(help="A reader's code; twice. `model` is the batch's own result.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results; OUT/comparison/A-B when left out.", show_default=False)
    ] = None,
    pixels_allowed: PixelsAllowed = False,
    sources: Sources = None,
) -> None:
    """Compare two readers, or a reader with the model: Dice, 95% Hausdorff distance, long axis, over all done cases."""
    if len(reader) != 2:
        raise ReviewError("two are compared; give --reader twice, once with each code (or once with 'model')")
    from UltrasoundLesionSegLib.cli.progress_bar import share_bar
    from UltrasoundLesionSegLib.report.wording import counted
    from UltrasoundLesionSegLib.review.compare import compare_and_write

    folder = output or batch / "comparison" / "-".join(reader)
    with share_bar("cases") as advance:
        lines = compare_and_write(
            batch,
            (reader[0], reader[1]),
            folder,
            pixels_allowed,
            lambda done, total: advance(done / total, ""),
            sources,
        )
    for line in lines.sentences:
        typer.echo(line)
    if lines.left_out:
        typer.echo(f"note: {counted(lines.left_out, 'case')} left out; the page says why")
    typer.echo(f"results are in {folder}; the page: {folder / 'comparison.html'}")


def adapt(
    batch: Batch,
    reader: Annotated[str, typer.Option(help="Whose done cases to learn from: a reader's code.", show_default=False)],
    start: Annotated[
        str,
        typer.Option(
            "--from",
            help="Model to begin with (see `models`).",
            show_default=False,
            autocompletion=completing_models("propagate"),
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the new model.", show_default=False)],
    minutes: Annotated[float, typer.Option(min=1, help="How long it may take.")] = 60,
    models: Annotated[
        Path | None, typer.Option(help="Folder for the new model; OUT/models when left out.", show_default=False)
    ] = None,
    sources: Sources = None,
    device: Device = "auto",
    workers: Workers = 1,
    threads: Threads = 0,
    precision: PrecisionOption = Precision.NO,
) -> None:
    """Fit a model to a reader's done cases; write it if it is better on patients that it has not seen.

    Given again after an interruption, go on.
    """
    check_training_tools()
    import cv2
    import torch

    from UltrasoundLesionSegLib.adaptation.request import AdaptSettings
    from UltrasoundLesionSegLib.adaptation.reviewed import FOLDER, MODELS, adapt_to_reader
    from UltrasoundLesionSegLib.cli.progress_bar import share_bar
    from UltrasoundLesionSegLib.engine.bundles import FOLDERS_VARIABLE, list_bundles
    from UltrasoundLesionSegLib.review.case_cines import CaseCines

    cv2.setNumThreads(1)
    if threads:
        torch.set_num_threads(threads)
    settings = AdaptSettings(start, name, minutes, None, workers, precision.value, device)
    target = models or batch / MODELS
    with interrupts.resumable("stopped; the same command goes on"), share_bar("adapt") as advance:
        outcome = adapt_to_reader(
            batch,
            reader,
            settings,
            target,
            lambda step: advance(step.share, step.sentence),
            CaseCines(batch, sources),
        )
    if os.environ.get("RANK", "0") != "0":
        return  # the first process of the training prints the outcome
    _print_outcome(outcome, batch / FOLDER / name / "outcome.md")
    if outcome.is_better and name not in {one.name for one in list_bundles()}:
        typer.echo(f"to use it, name the folder {target} in the variable {FOLDERS_VARIABLE}")


def _print_outcome(outcome: Outcome, figures: Path) -> None:
    """Print what an adaptation gave, and where its figures are."""
    typer.echo(outcome.sentence)
    for note in outcome.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"figures are in {figures}")
