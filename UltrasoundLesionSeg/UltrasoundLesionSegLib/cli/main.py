"""The command line ``ultrasound-lesion-seg``, put together of the commands in the other files of this folder.

After a user's mistake it prints one sentence and exits with 2; ``--debug`` shows where the error came from.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer

# Waiting threads sleep instead of spinning, which slows everything down as soon as another process needs the cores.
# OpenMP reads the variable when torch is loaded, so it is set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.cli.dicom_commands import make_dicom, send
from UltrasoundLesionSegLib.cli.look import look
from UltrasoundLesionSegLib.cli.model_commands import evaluate, models
from UltrasoundLesionSegLib.cli.notes import notes_alone
from UltrasoundLesionSegLib.cli.segment_commands import batch, segment
from UltrasoundLesionSegLib.cli.simulation_commands import demo, simulate
from UltrasoundLesionSegLib.cli.study_commands import adapt, compare, export_study
from UltrasoundLesionSegLib.cli.training_commands import train
from UltrasoundLesionSegLib.cli.usage import usage_sentence
from UltrasoundLesionSegLib.errors import LesionSegError

app = typer.Typer(
    help="Segment lesions through ultrasound cines from one seed. Not for diagnosis.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
# in the order of --help; a command has the name of its function, with a hyphen for an underscore
for command in (
    look,
    segment,
    batch,
    models,
    simulate,
    demo,
    make_dicom,
    send,
    evaluate,
    train,
    export_study,
    compare,
    adapt,
):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="Show where an error came from.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Take the options that come before the command."""


def main() -> None:
    """Run the command line and exit."""
    debug = "--debug" in sys.argv
    # --debug may stand anywhere on the line, because users add it to a line that has just failed
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"] or ["--help"]
    try:
        with contextlib.nullcontext() if debug else notes_alone():
            sys.exit(app(arguments, standalone_mode=False) or 0)
    except typer.TyperException as error:
        typer.echo(f"error: {usage_sentence(error)}", err=True)
        sys.exit(2)
    except LesionSegError as error:
        if debug:
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except Exception as error:
        if debug:
            raise
        typer.echo(f"error: an unforeseen {type(error).__name__}; run again with --debug to see where", err=True)
        sys.exit(1)
