"""A batch of simulated cines, computed, with a reader who is done with two of them: for the picture of the worklist."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image

from UltrasoundLesionSegLib.batch.fingerprint import fingerprint
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, write_listed
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.review.work.record import How, ReaderAnchor, ReviewState, SourceNote
from UltrasoundLesionSegLib.review.worklist import Worklist
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation
from UltrasoundLesionSegLib.workflow.case import CaseRequest, SeedFileRequest, run_case

CASES, FRAMES = 6, 24


def compute(output: Path) -> None:
    """Write cines beside the output folder, compute them into it, and let reader A finish two.

    Parameters
    ----------
    output : Path
    """
    folder, listed = BatchFolder(output), []
    with folder.held():
        for number in range(1, CASES + 1):
            simulated = simulate_cine(SimulationSettings(seed=number, frames=FRAMES, height=256, width=256))
            place = output.parent / f"cine-{number}"
            source, seed = write_simulation(simulated, place), place / "cine.seed.0.png"
            Image.fromarray(simulated.truth[0][0]).save(seed)
            seeds, name = (SeedFileRequest(seed, 0),), f"case-{number:04d}"
            request = CaseRequest(source, folder.cases / name, seeds=seeds, device="cpu", with_scene=False)
            run_case(replace(request, stamp={"inputs": fingerprint(request)}))
            listed.append(ListedCase(BatchCase(source, seeds, name), "done"))
        write_listed(folder.sources, listed)
    worklist = Worklist(output, "A")
    for name, seconds in (("case-0002", 140.0), ("case-0005", 95.0)):
        cine = read_cine(listed[int(name[-4:]) - 1].case.source)
        with worklist.open(name) as case:
            assert case.machine is not None
            masks = case.machine.masks(0)
            assert masks is not None
            note = SourceNote(cine.identity.digest, len(cine), cine.height, cine.width)
            anchors = [ReaderAnchor(0, case.machine.lesions[0], masks[0], How.CONFIRMED)]
            case.store(anchors, note, seconds, ReviewState.DONE)
