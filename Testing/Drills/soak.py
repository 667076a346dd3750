"""Many cases, or many propagations, one after another in one process: does anything pile up?

    OMP_NUM_THREADS=1 .venv/bin/python Testing/Drills/soak.py cases --count 500
    OMP_NUM_THREADS=1 .venv/bin/python Testing/Drills/soak.py propagations --count 50

``cases`` runs ``case.run_case`` on small simulated cines in four formats, with every kind of export on each fourth
case, and a seed that does not fit on each tenth, which must fail without leaving anything. ``propagations`` stays in
one scene and one browser: the anchors change, then propagate, measure, at times undo. Both print resident memory, MRML
nodes, observers, open files and threads on the way, and how much one more case adds; exit code 1 if anything but memory
grew.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from process_state import ProcessState, slope

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import SimulationFormat, write_simulation
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest
from UltrasoundLesionSegLib.writers.masks import write_davis

FORMATS: tuple[SimulationFormat, ...] = ("dicom", "avi", "nrrd", "davis")
HEIGHT, WIDTH = 96, 128
EVERY_KIND = ("coco", "nifti", "sequence", "frames", "report", "sheet", "video")
WARM_UP = 0.2  # share of the run in which caches still fill; left out of the slope


@dataclass(frozen=True)
class Source:
    """A cine on the disk with the true mask of its first frame and a mask that does not fit it."""

    cine: Path
    seed: Path
    wrong_seed: Path
    is_dicom: bool


def write_sources(folder: Path, frames: int) -> list[Source]:
    """Simulate one small cine for each format."""
    sources = []
    for number, kind in enumerate(FORMATS):
        place = folder / kind
        simulated = simulate_cine(SimulationSettings(seed=number + 1, frames=frames, height=HEIGHT, width=WIDTH))
        cine = write_simulation(simulated, place, kind)
        wrong = np.ones((1, HEIGHT + 9, WIDTH), bool)
        seeds = write_davis(place / "seed", simulated.truth.__getitem__, 1)
        wrong_seeds = write_davis(place / "wrong", [wrong].__getitem__, 1)
        sources.append(Source(cine, seeds[0], wrong_seeds[0], kind == "dicom"))
    return sources


def run_one(number: int, sources: list[Source], output: Path, model: str) -> bool:
    """Run case ``number`` into a folder that is removed afterwards; False where it failed as it should."""
    source = sources[number % len(sources)]
    fails = number % 10 == 9
    further = (*EVERY_KIND, *(("sr",) if source.is_dicom else ())) if number // len(sources) % 4 == 0 else ()
    seed = SeedFileRequest(source.wrong_seed if fails else source.seed)
    request = CaseRequest(source.cine, output, (seed,), model=model, further_kinds=further, pixels_allowed=True)
    try:
        run_case(request)
    except SeedError:
        if not fails:
            raise
        return False
    finally:
        shutil.rmtree(output, ignore_errors=True)
    if fails:
        raise AssertionError(f"case {number} had a seed of another size and went through")
    return True


def soak_cases(count: int, frames: int, model: str) -> bool:
    """Run cases one after another; returns whether nothing but memory grew after the first round."""
    with tempfile.TemporaryDirectory() as folder:
        sources = write_sources(Path(folder), frames)
        states, failed = [], 0
        for number in range(count):
            failed += not run_one(number, sources, Path(folder) / "output", model)
            states.append(ProcessState.now())
            report(number + 1, count, states)
    print(f"{count} cases, {failed} of them failed as they should")
    return conclude(states, "case", settled=min(4 * len(FORMATS), count // 2))


def soak_propagations(count: int, frames: int, model: str) -> bool:
    """Propagate again and again in one scene; returns whether nothing but memory grew after the first time."""
    simulated = simulate_cine(SimulationSettings(seed=5, frames=frames, height=HEIGHT, width=WIDTH))
    logic = UltrasoundLesionWorkflow()
    browser = logic.addCine(simulated.cine)
    states, computed, undone = [], 0, 0
    for number in range(count):
        logic.setSeed(browser, simulated.truth[7 * number % frames][0], frame=7 * number % frames)
        if number >= 3:
            logic.releaseAnchor(browser, 7 * (number - 3) % frames)  # three anchors at a time, on the move
        browser.SetSelectedItemNumber(11 * number % frames)
        computed += len(logic.propagate(browser, model=model).frames_computed)
        logic.measure(browser)
        if number % 5 == 4:
            logic.undoPropagation(browser)
            undone += 1
        states.append(ProcessState.now())
        report(number + 1, count, states)
    print(f"{count} propagations of {frames} frames, {computed} frames computed, {undone} taken back")
    return conclude(states, "propagation", settled=1)


def report(done: int, count: int, states: list[ProcessState]) -> None:
    """Print a line at the first and at every tenth of the run."""
    if done == 1:
        print(f"{'done':>5} {'resident MB':>12} {'nodes':>6} {'observers':>10} {'files':>6} {'threads':>8}")
    if done == 1 or done % max(count // 10, 1) == 0:
        now = states[-1]
        nodes = sum(now.nodes.values())
        line = f"{done:5d} {now.resident_mb:12.1f} {nodes:6d} {now.observers:10d} {now.files:6d} {now.threads:8d}"
        print(line, flush=True)


def conclude(states: list[ProcessState], unit: str, settled: int) -> bool:
    """Print growth per unit of work and whatever there is more of at the end than once everything was loaded."""
    after = states[int(WARM_UP * len(states)) :]
    print(f"memory grows by {1024 * slope([state.resident_mb for state in after]):.1f} KB a {unit}")
    # nothing may be there that was not there once everything had been loaded
    grown = states[-1].growth_since(states[settled - 1])
    print(f"more than after number {settled}: {grown or 'nothing'}")
    return not grown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cases", "propagations"))
    parser.add_argument("--count", type=int)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--model", default="bas_s_propagate")
    chosen = parser.parse_args()
    started = time.perf_counter()
    if chosen.what == "cases":
        flat = soak_cases(chosen.count or 500, chosen.frames or 5, chosen.model)
    else:
        flat = soak_propagations(chosen.count or 50, chosen.frames or 24, chosen.model)
    print(f"{time.perf_counter() - started:.0f} s")
    sys.exit(not flat)


if __name__ == "__main__":
    main()
