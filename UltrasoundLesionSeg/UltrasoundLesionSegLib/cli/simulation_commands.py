"""The commands ``simulate``, which makes a cine with true masks, and ``demo``, which segments one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from UltrasoundLesionSegLib.cli.options import Device, Model, Output, SimulationKind


def simulate(
    output: Output,
    kind: Annotated[SimulationKind, typer.Option(help="Format of the cine.")] = SimulationKind.DICOM,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same cine.")] = 1,
    frames: Annotated[int, typer.Option(min=1, help="Number of frames.")] = 60,
    lesions: Annotated[int, typer.Option(min=1, max=3, help="Number of lesions.")] = 1,
    leaves_plane: Annotated[bool, typer.Option(help="Let the lesion leave the imaging plane for a while.")] = False,
) -> None:
    """Simulate a breast ultrasound cine and write it with its true masks."""
    from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
    from UltrasoundLesionSegLib.simulation.write import write_simulation

    settings = SimulationSettings(seed=seed, frames=frames, lesions=lesions, leaves_plane=leaves_plane)
    write_simulation(simulate_cine(settings), output, kind.value)
    typer.echo(f"cine and truth are in {output}")


def demo(
    output: Output = Path("demo-output"),
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Simulate a cine, segment and measure it, and write a report, a video and pictures."""
    from UltrasoundLesionSegLib.cli.demo import run_demo

    run_demo(output, model, device)
