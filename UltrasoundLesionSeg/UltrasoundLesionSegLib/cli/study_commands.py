"""The commands on what people did to a batch: ``compare`` and ``adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from UltrasoundLesionSegLib.cli.options import PixelsAllowed
from UltrasoundLesionSegLib.errors import ReviewError

Batch = Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of a batch.")]


def compare(
    batch: Batch,
    reader: Annotated[
        list[str], typer.Option(help="A reader's code; twice. `model` is the batch's own result.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results; OUT/comparison/A-B when left out.", show_default=False)
    ] = None,
    pixels_allowed: PixelsAllowed = False,
) -> None:
    """Compare two readers, or a reader with the model: Dice, 95% Hausdorff distance, long axis, over all done cases."""
    if len(reader) != 2:
        raise ReviewError("two are compared; give --reader twice, once with each code (or once with 'model')")
    from UltrasoundLesionSegLib.cli.closing import counted
    from UltrasoundLesionSegLib.cli.progress_bar import share_bar
    from UltrasoundLesionSegLib.review.compare import compare_and_write

    folder = output or batch / "comparison" / "-".join(reader)
    with share_bar("cases") as advance:
        lines = compare_and_write(
            batch, (reader[0], reader[1]), folder, pixels_allowed, lambda done, total: advance(done / total, "")
        )
    for line in lines.sentences:
        typer.echo(line)
    if lines.left_out:
        typer.echo(f"note: {counted(lines.left_out, 'case')} left out; the page says why")
    typer.echo(f"results are in {folder}; the page: {folder / 'comparison.html'}")
