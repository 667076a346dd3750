"""A batch of simulated cines, computed, with two readers' work: for the pictures of the worklist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from UltrasoundLesionSegLib.batch.fingerprint import fingerprint
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, write_listed
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState, SourceNote
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.review.worklist import Worklist
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation
from UltrasoundLesionSegLib.workflow.case import CaseRequest, SeedFileRequest, run_case

CASES, FRAMES = 6, 24


def compute(output: Path) -> None:
    """Write cines beside the output folder, compute them into it, and let readers A and B finish some.

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
    for reader, name, seconds, frames in (
        ("A", "case-0002", 140.0, (0, 8, 16)),
        ("A", "case-0005", 95.0, (0,)),
        ("B", "case-0002", 120.0, (0, 8, 16)),
    ):
        finish(output, reader, name, seconds, frames)


def finish(output: Path, reader: str, name: str, seconds: float, frames: Sequence[int]) -> None:
    """Finish a case: a reader confirms the machine's masks of some frames; reader B's reach a little deeper."""
    worklist = Worklist(output, reader)
    source = worklist.source_of(name)
    assert source is not None
    cine = read_cine(source)
    with worklist.open(name) as case:
        assert case.machine is not None
        anchors = []
        for frame in frames:
            masks = case.machine.masks(frame)
            assert masks is not None
            mask = masks[0] if reader == "A" or frame == 0 else masks[0] | np.roll(masks[0], frame // 2, axis=0)
            anchors.append(ReaderAnchor(frame, case.machine.lesions[0], mask, How.DRAWN))
        note = SourceNote(cine.identity.digest, len(cine), cine.height, cine.width)
        case.store(anchors, note, seconds, ReviewState.DONE)
