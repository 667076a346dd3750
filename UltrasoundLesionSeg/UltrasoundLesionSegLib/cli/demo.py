"""The whole work on a simulated cine, as a first trial: seed, propagate, measure, write, look.

The cine is of medium difficulty: a small lesion leaves the image plane once and comes back, so that there is something
to review.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import typer
from PIL import Image

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.cli.progress_bar import propagation_bar
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.measurement.overlap import dice
from UltrasoundLesionSegLib.mrml.scene_file import load_scene
from UltrasoundLesionSegLib.simulation.cine import SimulatedCine, SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest
from UltrasoundLesionSegLib.workflow.pictures import save_slice_views

SETTINGS = SimulationSettings(seed=6, frames=60, leaves_plane=True)
SEED_FRAME = 12
POOR = 0.8  # masks with a smaller Dice coefficient are counted


def run_demo(output: Path, model: str | None, device: str) -> None:
    """Simulate a cine, segment it from one seed, draw slice views as in Slicer, and print what was found.

    Parameters
    ----------
    output : Path
        Gets the folders ``source`` (DICOM and true masks), ``result`` (as ``segment`` writes it) and ``pictures``.
    model : str or None
        Name of the model's bundle; None takes the default one.
    device : str
        As for ``segment``.

    Raises
    ------
    DeviceError, ModelError, OutputError
        When device or model cannot be used, or the folder cannot be written to.
    """
    typer.echo(
        f"simulating a breast ultrasound cine of {SETTINGS.frames} frames; the lesion leaves the image plane once"
    )
    simulated = simulate_cine(SETTINGS)
    write_simulation(simulated, output / "source", "dicom")
    record = _segment(output, model, device)
    look_first, picture = _draw_slice_views(simulated, output)
    typer.echo(
        f"{record['model']['name']} on {record['device']}: {record['frames_computed']} frames in "
        f"{sum(record['seconds'].values()):.1f} s; "
        + ("no frame needs a look" if look_first is None else f"frame to look at first: {look_first}")
    )
    scores = _dice_by_frame(simulated, output / "result" / "masks")
    poor = int(np.sum(np.less(scores, POOR)))
    typer.echo(f"against the simulation's truth: mean Dice {np.mean(scores):.3f}, below {POOR} on {poor} frames")
    typer.echo(f"report: {output / 'result' / 'report.html'}")
    typer.echo(f"video: {output / 'result' / 'overlay.mp4'}")
    typer.echo(f"pictures: {picture.parent} (see {picture.name}; the seed frame has a yellow border)")
    typer.echo(f"tables, masks, Slicer scene, DICOM SEG and SR: {output / 'result'}")


def _segment(output: Path, model: str | None, device: str) -> dict[str, Any]:
    """Segment the simulated cine from its true mask on ``SEED_FRAME``; returns what ``run.json`` holds."""
    seed = SeedFileRequest(output / "source" / "truth" / f"{SEED_FRAME:05d}.png", SEED_FRAME, Origin.SIMULATED)
    request = CaseRequest(
        output / "source" / "cine.dcm",
        output / "result",
        (seed,),
        model=model,
        device=device,
        further_kinds=("scene", "sr", "report", "sheet", "video"),
        pixels_allowed=True,  # no name is burned into a simulation
    )
    typer.echo(f"segmenting it from a simulated seed: the true mask of frame {SEED_FRAME}")
    with propagation_bar() as advance:
        return run_case(request, advance).record


def _draw_slice_views(simulated: SimulatedCine, output: Path) -> tuple[int | None, Path]:
    """Draw slice views of the scene that was written.

    Returns
    -------
    look_first : int or None
        The frame to look at first, None where none needs a look.
    picture : Path
        The picture with all slice views; the contact sheet where this machine cannot draw slice views.
    """
    import slicer

    slicer.mrmlScene.Clear(0)
    load_scene(output / "result" / "scene.mrb")
    browser = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    logic = UltrasoundLesionWorkflow()
    confidences = np.stack(list(logic.confidences(browser).values())).min(axis=0)
    look_first = logic.nextToReview(browser)
    shown = int(np.nanargmin(confidences)) if look_first is None else look_first
    try:
        picture = save_slice_views(browser, _frames_to_show(simulated, shown), output / "pictures")
    except OutputError as error:  # no OpenGL on this machine: everything but the slice views can still be shown
        typer.echo(f"no slice views: {error}")
        picture = output / "result" / "contact_sheet.png"
    return look_first, picture


def _frames_to_show(simulated: SimulatedCine, look_first: int) -> list[int]:
    """Return first and last frame, the seed's, the one to look at first, one without the lesion and one after that."""
    gone = [frame for frame in range(len(simulated.cine)) if not simulated.truth[frame].any()]
    middle = gone[len(gone) // 2]
    wanted = [0, SEED_FRAME, look_first, middle, min(gone[-1] + 3, len(simulated.cine) - 1), len(simulated.cine) - 1]
    return sorted(set(wanted))


def _dice_by_frame(simulated: SimulatedCine, folder: Path) -> list[float]:
    """Return the Dice coefficient, 0 to 1, of every frame but the seed's, read from the files that a user gets."""
    scores = []
    for frame in set(range(len(simulated.cine))) - {SEED_FRAME}:
        found = np.asarray(Image.open(folder / f"{frame:05d}.png")) > 0
        scores.append(dice(found, np.asarray(simulated.truth[frame].any(axis=0))))
    return scores
