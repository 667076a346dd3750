"""The command ``look``: frames of a cine with their numbers and pixel coordinates, to find where to click."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from UltrasoundLesionSegLib.cli.options import Overwrite
from UltrasoundLesionSegLib.errors import OutputError


def look(
    source: Annotated[Path, typer.Argument(help="DICOM file or folder, video file, folder of frames, NRRD or MHA.")],
    output: Annotated[Path, typer.Option(help="PNG file to write.")],
    frame: Annotated[
        int | None,
        typer.Option(help="Show this frame alone and larger, counted from 0; by default 12 frames of the cine."),
    ] = None,
    blank_outside: Annotated[
        bool,
        typer.Option("--blank-outside/--no-blank-outside", help="Make all outside the ultrasound image black."),
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Write a picture of a cine's frames with their numbers and rulers of pixels, to find where to click.

    The picture shows the cine's images: look for burnt-in names before you share it.
    """
    _check_output(output, source, overwrite)
    from UltrasoundLesionSegLib.readers.open import read_cine
    from UltrasoundLesionSegLib.report import image_area
    from UltrasoundLesionSegLib.report.frame_ruler import frame_picture, frame_sheet, write_picture

    cine = read_cine(source)
    notes = list(cine.notes)
    if blank_outside:
        area = image_area.find_image_area(cine)
        cine = image_area.blank_outside(cine, area)
        notes.append(area.sentence)
    write_picture(output, frame_sheet(cine) if frame is None else frame_picture(cine, frame))
    for note in notes:
        typer.echo(f"note: {note}")
    typer.echo(f"the picture is {output}; look for burnt-in names before you share it")


def _check_output(output: Path, source: Path, overwrite: bool) -> None:
    """Refuse a picture that would become part of the cine, or replace something without being told to."""
    if output.suffix.lower() != ".png":
        raise OutputError("the picture is a PNG file; give --output a name that ends in .png")
    if output.resolve() == source.resolve() or output.resolve().parent == source.resolve():
        raise OutputError("the picture would lie among the frames of the cine; choose another folder")
    if output.exists() and not overwrite:
        raise OutputError("the output exists already; give a name that is free, or --overwrite to replace it")
