"""The commands ``models``, which lists the models, and ``evaluate``, which measures how good they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from UltrasoundLesionSegLib.cli.options import Device, LayoutChoice, Output, SeedMaskChoice, completing_models


def models() -> None:
    """List the models that are installed."""
    from rich.console import Console
    from rich.table import Table

    from UltrasoundLesionSegLib.engine.bundles import default_bundle, list_bundles

    bundles = list_bundles()
    defaults = {default_bundle(role).name for role in {bundle.role for bundle in bundles}}
    table = Table("name", "use", "version", "description")
    for bundle in bundles:
        default = " (default)" if bundle.name in defaults else ""
        table.add_row(bundle.name, bundle.role + default, bundle.version, bundle.description)
    Console().print(table)


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    output: Output,
    layout: Annotated[LayoutChoice, typer.Option(help="How the data set is laid out.")] = LayoutChoice.DAVIS,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model to evaluate; the default one. Repeatable.", autocompletion=completing_models()),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Part of the data set, for example val.")] = None,
    device: Device = "auto",
    seed_mask: Annotated[
        SeedMaskChoice, typer.Option(help="How the seed differs from the true mask; shifted: by 5 pixels.")
    ] = SeedMaskChoice.EXACT,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Let a simulated person correct frames, and measure the gain.")
    ] = False,
    corrections: Annotated[int, typer.Option(min=0, help="Number of frames offered to the simulated person.")] = 3,
    seed_frame: Annotated[
        list[str] | None, typer.Option(help="The frame of the seed: first (the default), middle or worst. Repeatable.")
    ] = None,
    person: Annotated[
        list[str] | None,
        typer.Option(help="What the person does: draws, draws_where_poor, clicks_where_poor or clicks. Repeatable."),
    ] = None,
    random_runs: Annotated[int, typer.Option(min=1, help="Number of runs with frames chosen at random.")] = 5,
    fit: Annotated[
        bool,
        typer.Option("--fit", help="With --interactive, also fit the model to the lesion after each correction; slow."),
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="With --interactive, take one frame of so many.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Evaluate only that many cases.")] = None,
) -> None:
    """Evaluate models and baselines on a data set with masks, and print a table.

    With --interactive, measure how much each correction of a simulated person improves the masks.
    """
    from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, SUGGEST, default_bundle
    from UltrasoundLesionSegLib.evaluation.effort_tables import write_effort
    from UltrasoundLesionSegLib.evaluation.evaluate import evaluate as run_evaluation
    from UltrasoundLesionSegLib.evaluation.interactive import Plan, evaluate_interactive
    from UltrasoundLesionSegLib.evaluation.people import FITTED
    from UltrasoundLesionSegLib.workflow.output_folder import check_writable

    check_writable(output)  # now, not after hours
    role = SUGGEST if layout is LayoutChoice.STILLS else PROPAGATE
    names = model or [default_bundle(role).name]
    if interactive:
        seeds, people = tuple(seed_frame or Plan.seeds), tuple(person or Plan.people)
        choosers = (*Plan.choosers, FITTED) if fit else Plan.choosers
        plan = Plan(corrections, seeds, choosers, people, random_runs, every)
        write_effort(evaluate_interactive(dataset, layout.value, names, output, plan, split, device, limit), output)
        typer.echo((output / "effort.md").read_text(encoding="utf-8"))
        return
    run_evaluation(
        dataset, layout.value, names, output, split=split, device=device, limit=limit, seed_mask=seed_mask.value
    )
    typer.echo((output / "table.md").read_text(encoding="utf-8"))
