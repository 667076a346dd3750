"""The command line: ``ultrasound-lesion-seg segment | batch | models | simulate | demo | evaluate``.

A user's mistake prints one sentence and exits with 2; ``--debug`` shows where it came from.
"""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

# Waiting threads sleep instead of spinning: spinning slows everything down as soon as another process wants the cores.
# OpenMP reads it when torch is loaded, so it must be set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.cli import interrupts
from UltrasoundLesionSegLib.errors import LesionSegError, OutputError, SeedError
from UltrasoundLesionSegLib.logs import LogLevel

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow.case import ClickRequest, SeedFileRequest

app = typer.Typer(
    help="Segment lesions through ultrasound cines from one seed. Not for diagnosis.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


class DirectionChoice(str, Enum):
    """Direction of propagation."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"


class SimulationKind(str, Enum):
    """File format of a simulated cine."""

    DICOM = "dicom"
    AVI = "avi"
    DAVIS = "davis"
    NRRD = "nrrd"


class LayoutChoice(str, Enum):
    """Layout of a labelled data set."""

    DAVIS = "davis"
    BUV = "buv"
    STILLS = "stills"


Output = Annotated[Path, typer.Option(help="Folder for the results; made when it is not there.")]
Model = Annotated[str | None, typer.Option(help="Model to use (see `models`); the default one when left out.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps, or openvino (CPU).")]
Frames = Annotated[str | None, typer.Option(help="A:B, first frame and one past the last; all by default.")]
Also = Annotated[
    list[str] | None,
    typer.Option(help="Write this too: sr, sr3d, coco, nifti, sequence, frames, scene, sheet, video. Repeatable."),
]
PixelsAllowed = Annotated[
    bool, typer.Option(help="Pictures may be written: you have looked, no name is burned into the frames.")
]
Direction = Annotated[DirectionChoice, typer.Option(help="Where to go from the seeds.")]
Overlap = Annotated[bool, typer.Option("--overlap", help="Lesions may share pixels.")]
BlankOutside = Annotated[
    bool | None,
    typer.Option(
        "--blank-outside/--no-blank-outside",
        help="Black outside the ultrasound image, in pictures, report and scene; on when pictures are allowed.",
        show_default=False,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files in an output folder that holds something else.")
]
Level = Annotated[LogLevel, typer.Option(help="What the log file holds.")]


@app.command()
def segment(
    source: Annotated[Path, typer.Argument(help="DICOM file or folder, video file, folder of frames, NRRD or MHA.")],
    output: Output,
    seed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MASK[@FRAME]",
            # the backslash keeps the bracket from being read as markup
            help=r"MASK\[@FRAME]: PNG, NRRD, .seg.nrrd or DICOM SEG; frame 0 when left out. Repeatable.",
        ),
    ] = None,
    click: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y[@FRAME]",
            help=r"X,Y\[@FRAME]: pixel inside the lesion, column then row; a model draws it. Frame 0 when left out. "
            "Repeatable.",
        ),
    ] = None,
    suggest: Annotated[
        str | None,
        typer.Option(help="Instead of a seed: let a model propose one on this frame (a number, or `middle`)."),
    ] = None,
    model: Model = None,
    direction: Direction = DirectionChoice.BOTH,
    frames: Frames = None,
    device: Device = "auto",
    overlap: Overlap = False,
    also: Also = None,
    pixels_allowed: PixelsAllowed = False,
    blank_outside: BlankOutside = None,
    overwrite: Overwrite = False,
    log_level: Level = LogLevel.INFO,
) -> None:
    """Segment a cine from seeds, measure it, and write masks, tables, a report, a Slicer scene and, for DICOM, a SEG.

    The scene holds the cine's images.
    """
    from UltrasoundLesionSegLib.workflow.kinds import check_kinds

    check_kinds(also or (), pixels_allowed)  # at once, before anything large is loaded
    from UltrasoundLesionSegLib.cli.closing import closing_lines
    from UltrasoundLesionSegLib.cli.progress_bar import propagation_bar
    from UltrasoundLesionSegLib.workflow.case import CaseRequest, run_case

    request = CaseRequest(
        source=source,
        output=output,
        seeds=tuple(_parse_seed(text) for text in seed or []),
        clicks=tuple(_parse_click(text) for text in click or []),
        suggest_frame=_parse_suggest(suggest),
        model=model,
        direction=direction.value,
        frames=_parse_frames(frames),
        device=device,
        further_kinds=tuple(also or ()),
        pixels_allowed=pixels_allowed,
        blank_outside=blank_outside,
        allow_overlap=overlap,
        overwrite=overwrite,
        log_level=log_level,
    )
    with propagation_bar() as advance:
        result = run_case(request, advance)
    for sentence in result.unreadable:
        typer.echo(f"error: {sentence}", err=True)
    for line in closing_lines(result, output):
        typer.echo(line)
    if result.unreadable:
        raise typer.Exit(2)


@app.command()
def batch(
    source: Annotated[Path, typer.Argument(help="Manifest (CSV or JSON), or a folder with cines and seeds below it.")],
    output: Output,
    suggest: Annotated[
        str | None,
        typer.Option(help="For cases without a seed: let a model propose one on this frame (a number, or `middle`)."),
    ] = None,
    model: Model = None,
    direction: Direction = DirectionChoice.BOTH,
    frames: Frames = None,
    device: Device = "auto",
    overlap: Overlap = False,
    also: Also = None,
    pixels_allowed: PixelsAllowed = False,
    blank_outside: BlankOutside = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Cases at a time; by default what the machine holds, one a GPU.")
    ] = None,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds after which a case is given up.")] = 3600,
    scheduler: Annotated[
        str | None, typer.Option(help="Compute on the Dask cluster of this scheduler, for example tcp://host:8786.")
    ] = None,
    log_level: Level = LogLevel.INFO,
) -> None:
    """Segment many cines, as `segment` does one; started again, finish what is left. Exits with 1 if a case failed.

    Scenes, which hold all images, are written with `--also scene` alone.
    """
    from UltrasoundLesionSegLib.batch.plan import BatchSettings
    from UltrasoundLesionSegLib.batch.run import run_batch
    from UltrasoundLesionSegLib.cli.closing import counted
    from UltrasoundLesionSegLib.cli.progress_bar import batch_bars

    settings = BatchSettings(
        model=model,
        direction=direction.value,
        frames=_parse_frames(frames),
        suggest=_parse_suggest(suggest),
        further_kinds=tuple(also or ()),
        pixels_allowed=pixels_allowed,
        blank_outside=blank_outside,
        allow_overlap=overlap,
        device=device,
        processes=processes,
        time_limit=time_limit,
        scheduler=scheduler,
        log_level=log_level,
    )
    try:
        with interrupts.raising(), batch_bars() as advance:
            result = run_batch(source, output, settings, advance)
    except KeyboardInterrupt:
        typer.echo("stopped; finished cases are kept, and the same command resumes with the others", err=True)
        raise typer.Exit(interrupts.EXIT_CODE) from None
    for kind in result.left_out:
        typer.echo(f"note: left out: {kind}")
    for name, reason in result.failed.items():
        typer.echo(f"error: {name}: {reason}", err=True)
    typer.echo(
        f"{counted(len(result.computed), 'case')} computed, {len(result.finished)} "
        f"{'was' if len(result.finished) == 1 else 'were'} finished before, "
        f"{len(result.failed)} failed; results are in {output}, see index.html there"
    )
    if result.failed:
        raise typer.Exit(1)


@app.command()
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


@app.command()
def simulate(
    output: Output,
    kind: Annotated[SimulationKind, typer.Option(help="Format of the cine.")] = SimulationKind.DICOM,
    seed: Annotated[int, typer.Option(help="The same seed gives the same cine.")] = 1,
    frames: Annotated[int, typer.Option(min=1)] = 60,
    lesions: Annotated[int, typer.Option(min=1, max=3)] = 1,
    leaves_plane: Annotated[bool, typer.Option(help="Let the lesion leave the imaging plane for a while.")] = False,
) -> None:
    """Simulate a breast ultrasound cine and write it with its true masks."""
    from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
    from UltrasoundLesionSegLib.simulation.write import write_simulation

    settings = SimulationSettings(seed=seed, frames=frames, lesions=lesions, leaves_plane=leaves_plane)
    write_simulation(simulate_cine(settings), output, kind.value)
    typer.echo(f"cine and truth are in {output}")


@app.command()
def demo(
    output: Output = Path("demo-output"),
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Do the whole job on a simulated cine and say where the pictures are."""
    from UltrasoundLesionSegLib.cli.demo import run_demo

    run_demo(output, model, device)


@app.command("make-dicom")
def make_dicom(
    source: Annotated[Path, typer.Argument(help="Video file, folder of frames, NRRD, MHA or NIfTI.")],
    output: Annotated[Path, typer.Option(help="DICOM file to write.")],
    patient: Annotated[
        Path,
        typer.Option(help="JSON file: patient_name, patient_id; birth_date, sex, study_date, accession_number, ..."),
    ],
    body_part: Annotated[str, typer.Option(help="Body Part Examined, for example BREAST; empty if unknown.")] = "",
    laterality: Annotated[str, typer.Option(help="L or R; empty if unknown.")] = "",
    lossless: Annotated[bool, typer.Option(help="RLE instead of JPEG.")] = False,
    frame_rate: Annotated[
        float | None, typer.Option(help="Frames a second, where the source does not say when its frames were taken.")
    ] = None,
) -> None:
    """Make an ultrasound multi-frame DICOM image of a video, so that a SEG can refer to it."""
    from UltrasoundLesionSegLib.dicom.patient import read_patient
    from UltrasoundLesionSegLib.dicom.ultrasound_image import with_frame_rate, write_ultrasound_image
    from UltrasoundLesionSegLib.readers.open import read_cine

    cine, whose = read_cine(source), read_patient(patient)
    if frame_rate is not None:
        cine = with_frame_rate(cine, frame_rate)
    write_ultrasound_image(cine, output, whose, lossless, body_part, laterality)
    typer.echo("the DICOM image is written; segment that file to get a DICOM SEG")


@app.command()
def send(
    files: Annotated[list[Path], typer.Argument(help="DICOM files, for example segmentation.dcm measurements.dcm.")],
    web: Annotated[str | None, typer.Option(help="Address of a DICOMweb service, to send by STOW.")] = None,
    token_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the bearer token for --web.")
    ] = "ULS_DICOMWEB_TOKEN",
    host: Annotated[str | None, typer.Option(help="Host of an archive, to send by C-STORE.")] = None,
    port: Annotated[int, typer.Option(help="Port of the archive.")] = 104,
    title: Annotated[str, typer.Option(help="Application entity title of the archive.")] = "ANY-SCP",
    calling_title: Annotated[str, typer.Option(help="Our own application entity title.")] = "ULTRASOUNDSEG",
    tls: Annotated[bool, typer.Option(help="Use TLS for C-STORE; https addresses always do.")] = False,
    trusted: Annotated[Path | None, typer.Option(help="PEM file of certificates to trust.")] = None,
) -> None:
    """Send DICOM files to an archive, by DICOMweb (--web) or C-STORE (--host)."""
    from UltrasoundLesionSegLib.dicom.send import StoreNode, Tls, WebServer, send_by_store, send_by_web

    if (web is None) == (host is None):
        raise OutputError("it is not clear where to send the files; give either --web ADDRESS or --host NAME")
    trust = Tls(trusted=trusted)
    if web is not None:
        sent = send_by_web(files, WebServer(web, os.environ.get(token_variable, ""), trust))
    else:
        assert host is not None
        sent = send_by_store(files, StoreNode(host, port, title, calling_title, trust if tls else None))
    from UltrasoundLesionSegLib.cli.closing import counted

    typer.echo(f"{counted(sent.stored, 'file')} stored, {sent.warned} of them with a warning")


@app.command()
def evaluate(
    dataset: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    output: Output,
    layout: Annotated[LayoutChoice, typer.Option(help="How the data set is laid out.")] = LayoutChoice.DAVIS,
    model: Annotated[list[str] | None, typer.Option(help="Model to evaluate; the default one. Repeatable.")] = None,
    split: Annotated[str | None, typer.Option(help="Part of the data set, for example val.")] = None,
    device: Device = "auto",
    interactive: Annotated[bool, typer.Option("--interactive", help="Let a simulated person correct frames.")] = False,
    corrections: Annotated[int, typer.Option(min=0, help="Frames offered to the person.")] = 3,
    seed_frame: Annotated[str, typer.Option(help="The person's first frame: first, middle or worst.")] = "first",
    person: Annotated[
        list[str] | None,
        typer.Option(help="draws every frame offered, draws_where_poor, or clicks_where_poor. Repeatable."),
    ] = None,
    random_runs: Annotated[int, typer.Option(min=1, help="How often frames are chosen at random.")] = 5,
    limit: Annotated[int | None, typer.Option(min=1, help="Evaluate that many cases.")] = None,
) -> None:
    """Evaluate models and baselines on a data set with masks, and print the papers' table.

    With --interactive: what each correction of a simulated person wins, by who chooses the frame.
    """
    from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, SUGGEST, default_bundle
    from UltrasoundLesionSegLib.evaluation.effort_tables import write_effort
    from UltrasoundLesionSegLib.evaluation.evaluate import evaluate as run_evaluation
    from UltrasoundLesionSegLib.evaluation.interactive import Plan, evaluate_interactive

    role = SUGGEST if layout is LayoutChoice.STILLS else PROPAGATE
    models = model or [default_bundle(role).name]
    if interactive:
        people = tuple(person or Plan.people)
        plan = Plan(corrections, seed_frame, people=people, random_runs=random_runs)
        write_effort(evaluate_interactive(dataset, layout.value, models, output, plan, split, device, limit), output)
        typer.echo((output / "effort.md").read_text(encoding="utf-8"))
        return
    run_evaluation(dataset, layout.value, models, output, split=split, device=device, limit=limit)
    typer.echo((output / "table.md").read_text(encoding="utf-8"))


def _parse_seed(text: str) -> SeedFileRequest:
    """Read ``MASK[@FRAME]``; an @ in the file's own name is kept when no number follows it."""
    from UltrasoundLesionSegLib.workflow.case import SeedFileRequest

    path, at, frame = text.rpartition("@")
    if at and frame.lstrip("-").isdigit():
        return SeedFileRequest(Path(path), int(frame))
    return SeedFileRequest(Path(text))


def _parse_click(text: str) -> ClickRequest:
    """Read ``X,Y[@FRAME]``."""
    from UltrasoundLesionSegLib.workflow.case import ClickRequest

    point, at, frame = text.partition("@")
    try:
        column, row = (float(number) for number in point.split(","))
        return ClickRequest(row, column, int(frame) if at else 0)
    except ValueError:
        raise SeedError(
            f"the click '{text}' is not a pixel; write it as X,Y or X,Y@FRAME, for example 120,85@30"
        ) from None


def _parse_suggest(text: str | None) -> int | Literal["middle"] | None:
    if text is None:
        return None
    if text == "middle":
        return "middle"
    if not text.isdigit():
        raise SeedError(f"'{text}' is no frame for --suggest; give a number, counted from 0, or middle")
    return int(text)


def _parse_frames(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    start, colon, stop = text.partition(":")
    if not (colon and start.isdigit() and stop.isdigit()):
        raise SeedError(f"the frame range '{text}' is not two numbers; write it as A:B, for example 0:60")
    return int(start), int(stop)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="Show where an error came from.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Take the options that come before the command."""


def main() -> None:
    """Run the command line; the console script."""
    debug = "--debug" in sys.argv
    # --debug is accepted anywhere on the line, because it is added to a line that just failed
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments)
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
