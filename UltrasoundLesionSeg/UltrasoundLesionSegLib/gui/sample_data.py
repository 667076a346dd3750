"""The sample cine: simulated on this computer, with its seed; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

CATEGORY = "Ultrasound"
NAME = "BreastLesionCine"
SEED, FRAMES, SIZE = 12, 60, 320


def simulate_sample() -> Any:
    """Simulate the sample: a breast ultrasound cine with one lesion. Nothing is computed until a frame is asked for.

    Returns
    -------
    SimulatedCine
    """
    from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine

    return simulate_cine(SimulationSettings(seed=SEED, frames=FRAMES, height=SIZE, width=SIZE))


def load_sample_steps(logic: Any) -> Generator[int, None, Any]:
    """Put the sample into the scene, its lesion drawn on the first frame, one frame a step.

    Parameters
    ----------
    logic : UltrasoundLesionWorkflow

    Yields
    ------
    int
        Frames done.

    Returns
    -------
    vtkMRMLSequenceBrowserNode
    """
    from UltrasoundLesionSegLib.cine import Origin
    from UltrasoundLesionSegLib.simulation.noise import media_steps

    for _ in media_steps():
        yield 0
    simulated = simulate_sample()
    yield 0
    browser = yield from logic.addCineSteps(simulated.cine, "Simulated breast lesion")
    logic.setSeed(browser, simulated.truth[0][0], frame=0, origin=Origin.SIMULATED)
    return browser


def register(icons: Path, load: Any) -> None:
    """Add the sample to Slicer's Sample Data module.

    Parameters
    ----------
    icons : Path
        The folder of the module's icons.
    load : callable
        Called when the user presses the sample's button; returns the sample's browser node.
    """
    import SampleData

    def load_and_show(_source: Any) -> list[Any]:
        import slicer

        browser = load()
        slicer.util.setSliceViewerLayers(background=browser.GetProxyNode(browser.GetMasterSequenceNode()), fit=True)
        return [browser]

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=NAME,
        # Slicer wants an address and a file even where a function makes the data
        uris="local:simulated",
        fileNames=f"{NAME}.nrrd",
        nodeNames=NAME,
        thumbnailFileName=str(icons / f"{NAME}.png"),
        customDownloader=load_and_show,
    )
