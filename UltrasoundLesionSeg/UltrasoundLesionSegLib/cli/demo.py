"""The main job on a simulated cine, for someone who has just installed this: seed, propagate, measure, write, look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import typer
from PIL import Image

from UltrasoundLesionSegLib.cli.progress_bar import propagation_bar
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.mrml.scene_file import load_scene
from UltrasoundLesionSegLib.simulation.cine import SimulatedCine, SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation
from UltrasoundLesionSegLib.workflow.case import CaseRequest, SeedFileRequest, run_case
from UltrasoundLesionSegLib.workflow.pictures import save_slice_views

SETTINGS = SimulationSettings(seed=3, frames=48)
SEED_FRAME = 24
SHOWN_FRAMES = (0, 9, 18, 29, 38, 47)


def run_demo(output: Path, model: str | None, device: str) -> None:
    """Simulate a cine, segment it from one seed, and render what Slicer shows.

    Parameters
    ----------
    output : Path
        Receives ``source/`` (DICOM and true masks), ``result/`` (as ``segment`` writes it) and ``pictures/``.
    model, device
        As for ``segment``.
    """
    import slicer

    simulated = simulate_cine(SETTINGS)
    typer.echo(f"simulating a breast ultrasound cine of {SETTINGS.frames} frames")
    write_simulation(simulated, output / "source", "dicom")
    seed = SeedFileRequest(output / "source" / "truth" / f"{SEED_FRAME:05d}.png", SEED_FRAME)
    request = CaseRequest(
        output / "source" / "cine.dcm",
        output / "result",
        (seed,),
        model=model,
        device=device,
        further_kinds=("sr", "report", "sheet"),
        pixels_allowed=True,  # nobody's name is burned into a simulation
    )
    with propagation_bar() as advance:
        record = run_case(request, advance).record
    slicer.mrmlScene.Clear(0)
    load_scene(output / "result" / "scene.mrb")
    browser = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    try:
        picture = save_slice_views(browser, SHOWN_FRAMES, output / "pictures")
    except OutputError as error:  # no OpenGL on this machine: everything but the slice views can still be shown
        typer.echo(f"no slice views: {error}")
        picture = output / "result" / "contact_sheet.png"
    scores = _dice_by_frame(simulated, output / "result" / "masks")
    seconds = sum(record["seconds"].values())
    typer.echo(
        f"{record['model']['name']} on {record['device']}: {record['frames_computed']} frames from one seed in "
        f"{seconds:.1f} s; Dice against the truth {np.mean(scores):.3f} on average, {min(scores):.3f} at worst"
    )
    typer.echo(f"tables, masks, Slicer scene and DICOM SEG: {output / 'result'}")
    typer.echo(f"report: {output / 'result' / 'report.html'}")
    typer.echo(f"pictures: {picture.parent} (see {picture.name})")


def _dice_by_frame(simulated: SimulatedCine, folder: Path) -> list[float]:
    """Return the Dice coefficient of every frame but the seed's, read back from the files a user gets."""
    scores = []
    for frame in set(range(len(simulated.cine))) - {SEED_FRAME}:
        found = np.asarray(Image.open(folder / f"{frame:05d}.png")) > 0
        truth = simulated.truth[frame].any(axis=0)
        total = int(found.sum() + truth.sum())
        scores.append(2 * int((found & truth).sum()) / total if total else 1.0)
    return scores
