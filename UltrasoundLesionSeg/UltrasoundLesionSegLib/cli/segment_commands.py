"""The commands ``segment``, for one cine, and ``batch``, for many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from UltrasoundLesionSegLib.cli import interrupts
from UltrasoundLesionSegLib.cli.options import (
    SUGGEST_HELP,
    BatchAlso,
    BlankOutside,
    BodyPart,
    Boxes,
    Clicks,
    Device,
    Direction,
    DirectionChoice,
    Fit,
    Frames,
    Level,
    Model,
    Output,
    Overlap,
    Overwrite,
    PixelsAllowed,
    Seeds,
    SegmentAlso,
    parse_box,
    parse_click,
    parse_frames,
    parse_seed,
    parse_suggest,
)
from UltrasoundLesionSegLib.logs import LogLevel

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.batch.run import BatchResult


def segment(
    source: Annotated[Path, typer.Argument(help="DICOM file or folder, video file, folder of frames, NRRD or MHA.")],
    output: Output,
    seed: Seeds = None,
    click: Clicks = None,
    box: Boxes = None,
    suggest: Annotated[str | None, typer.Option(help=f"Instead of a seed: {SUGGEST_HELP}")] = None,
    model: Model = None,
    direction: Direction = DirectionChoice.BOTH,
    frames: Frames = None,
    device: Device = "auto",
    overlap: Overlap = False,
    fit: Fit = False,
    also: SegmentAlso = None,
    pixels_allowed: PixelsAllowed = False,
    blank_outside: BlankOutside = None,
    body_part: BodyPart = "",
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
    from UltrasoundLesionSegLib.workflow.case import run_case
    from UltrasoundLesionSegLib.workflow.case_request import CaseRequest

    request = CaseRequest(
        source=source,
        output=output,
        seeds=tuple(parse_seed(text) for text in seed or []),
        clicks=tuple(parse_click(text) for text in click or []),
        boxes=tuple(parse_box(text) for text in box or []),
        suggest_frame=parse_suggest(suggest),
        model=model,
        direction=direction.value,
        frames=parse_frames(frames),
        device=device,
        further_kinds=tuple(also or ()),
        pixels_allowed=pixels_allowed,
        blank_outside=blank_outside,
        allow_overlap=overlap,
        fit=fit,
        overwrite=overwrite,
        body_part=body_part,
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


def batch(
    source: Annotated[Path, typer.Argument(help="Manifest (CSV or JSON), or a folder with cines and seeds below it.")],
    output: Output,
    suggest: Annotated[str | None, typer.Option(help=f"For cases without a seed: {SUGGEST_HELP}")] = None,
    model: Model = None,
    direction: Direction = DirectionChoice.BOTH,
    frames: Frames = None,
    device: Device = "auto",
    overlap: Overlap = False,
    fit: Fit = False,
    reader: Annotated[
        str | None,
        typer.Option(help="Take the anchors that this reader drew or confirmed; only cases they change are computed."),
    ] = None,
    also: BatchAlso = None,
    pixels_allowed: PixelsAllowed = False,
    blank_outside: BlankOutside = None,
    body_part: BodyPart = "",
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Cases at a time; by default as many as the machine can hold, one on each GPU."),
    ] = None,
    time_limit: Annotated[
        float, typer.Option(min=1, help="Seconds after which a case is stopped and counted as failed.")
    ] = 3600,
    scheduler: Annotated[
        str | None, typer.Option(help="Compute on the Dask cluster of this scheduler, for example tcp://host:8786.")
    ] = None,
    log_level: Level = LogLevel.INFO,
) -> None:
    """Segment many cines. Run again after an interruption, it computes what is left. Exits with 1 if a case failed.

    Scenes hold all images and are written only with `--also scene`.
    """
    from UltrasoundLesionSegLib.batch.plan import BatchSettings
    from UltrasoundLesionSegLib.batch.run import run_batch
    from UltrasoundLesionSegLib.cli.progress_bar import batch_bars

    settings = BatchSettings(
        model=model,
        direction=direction.value,
        frames=parse_frames(frames),
        suggest=parse_suggest(suggest),
        further_kinds=tuple(also or ()),
        pixels_allowed=pixels_allowed,
        blank_outside=blank_outside,
        allow_overlap=overlap,
        fit=fit,
        reader=reader,
        device=device,
        processes=processes,
        time_limit=time_limit,
        scheduler=scheduler,
        body_part=body_part,
        log_level=log_level,
    )
    with (
        interrupts.resumable("stopped; finished cases are kept, and the same command resumes with the others"),
        batch_bars() as advance,
    ):
        result = run_batch(source, output, settings, advance)
    _print_outcome(result, output)
    if result.failed:
        raise typer.Exit(1)


def _print_outcome(result: BatchResult, output: Path) -> None:
    """Print what a batch computed, finished before, left out and failed at."""
    from UltrasoundLesionSegLib.report.wording import counted

    for kind in result.left_out:
        typer.echo(f"note: left out: {kind}")
    for name, reason in result.failed.items():
        typer.echo(f"error: {name}: {reason}", err=True)
    if result.unseen:
        it = "it" if result.unseen == 1 else "them"
        typer.echo(
            f"note: {counted(result.unseen, 'case')} with a seed that a model suggested and nobody has looked at; "
            f"index.html lists {it} first"
        )
    typer.echo(
        f"{counted(len(result.computed), 'case')} computed, {len(result.finished)} "
        f"{'was' if len(result.finished) == 1 else 'were'} finished before, "
        f"{len(result.failed)} failed; results are in {output}, see index.html there"
    )
