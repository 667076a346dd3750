"""A reader's process killed between Propagate and Done: the masks of all frames are as they were stored last.

    nice .venv/bin/python Testing/Drills/propagated.py --kills 50

A process opens a case of a study in Slicer's scene, and then draws an outline, stores it, propagates, and stores the
masks, as the panel does, again and again. It is killed (SIGKILL) at a random moment. After each kill the case is opened
anew by another process: on every frame it must show the masks of the last store that was acknowledged, or of the one
that was under way, and nobody may have called the case done. Exits with 1 otherwise.

The processes are forks of one that has loaded the libraries, so that a kill does not wait for them.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from drill_folder import drill_folder
from readers import older

from UltrasoundLesionSegLib.mrml import headless

headless.start()

from UltrasoundLesionSegLib.review.scene import SceneCase, open_in_scene  # noqa: E402
from UltrasoundLesionSegLib.review.worklist import Worklist, begin  # noqa: E402
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine  # noqa: E402
from UltrasoundLesionSegLib.simulation.write import write_simulation  # noqa: E402
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow  # noqa: E402

CASE, FRAMES, SIZE = "case-0001", 8, 96


def opened(output: Path) -> SceneCase:
    return open_in_scene(UltrasoundLesionWorkflow(), Worklist(output, "A").open(CASE))


def shown(case: SceneCase) -> str:
    """A digest of the masks of all frames with who made them."""
    state = hashlib.sha256()
    for segment in case.sequence.segments():
        for frame in range(FRAMES):
            state.update(f"{segment.name} {case.sequence.origin(frame, segment.id)}".encode())
            state.update(np.packbits(case.sequence.read(frame, segment.id)).tobytes())
    return state.hexdigest()


def work(output: Path, model: str, say: TextIO) -> None:
    """Be a reader: draw, store, propagate, store; tell the masks before each store, and after it that it is done."""
    case = opened(output)
    workflow, rows, columns = case._workflow, *np.mgrid[:SIZE, :SIZE]

    def store() -> None:
        print("storing", shown(case), file=say, flush=True)
        case.store()
        print("stored", shown(case), file=say, flush=True)

    lesion = case.sequence.segments()[0].name
    for number in itertools.count():
        radius, frame = 10 + random.random() * 15, random.randrange(FRAMES)
        drawn = (rows - 40 - 2 * (number % 5)) ** 2 + (columns - 45) ** 2 <= radius**2
        workflow.setSeed(case.browser, drawn, frame, lesion)
        store()
        workflow.propagate(case.browser, model, device="cpu")
        store()


def forked(job: Callable[[TextIO], None]) -> tuple[int, TextIO]:
    """Start a job in a process of its own; returns its ID and what it says."""
    read, write = os.pipe()
    if process := os.fork():
        os.close(write)
        return process, os.fdopen(read)
    os.close(read)
    try:
        random.seed()
        with os.fdopen(write, "w") as say:
            job(say)
    finally:
        os._exit(0)


def check(output: Path, say: TextIO) -> None:
    case = opened(output)
    record = case.case.record
    print(shown(case), record.state.value if record else "new", bool(record and record.result), file=say)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--model", default="bas_s_propagate")
    parser.add_argument("--folder", type=Path, default=Path("propagated-drill"), help="emptied when a drill made it")
    arguments = parser.parse_args()
    random.seed(1)
    torch.set_num_threads(1)
    folder, counts = drill_folder(arguments.folder), collections.Counter[str]()
    settings = SimulationSettings(seed=1, frames=FRAMES, height=SIZE, width=SIZE)
    write_simulation(simulate_cine(settings), folder / "cines")
    begin(folder / "cines", folder / "out")
    last = {"nothing yet"}
    for _ in range(arguments.kills):
        older(folder / "out", 6)
        process, said = forked(lambda say: work(folder / "out", arguments.model, say))
        lines = [said.readline() for _ in range(random.randrange(1, 9))]
        time.sleep(random.uniform(0, 0.3))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        told = [line.split() for line in [*lines, *said] if line.endswith("\n")]
        counts["kills"] += 1
        counts["stores before them"] += sum(what == "stored" for what, _ in told)
        stored = [digest for what, digest in told if what == "stored"]
        if stored:
            last = {stored[-1]}
        if told and told[-1][0] == "storing":
            last = last | {told[-1][1]}
            counts["kills during a store"] += 1
        older(folder / "out", 6)
        process, said = forked(lambda say: check(folder / "out", say))
        digest, *state, has_masks = said.read().split()
        os.waitpid(process, 0)
        counts["kills after which all masks of a propagation were there"] += has_masks == "True"
        if state == ["done"]:
            counts["FAULTS: called done"] += 1
        if digest not in last and "nothing yet" not in last:
            counts["FAULTS: other masks than were stored"] += 1
        last = {digest}
    print(json.dumps(counts, indent=1))
    sys.exit(any("FAULTS" in what for what in counts))


if __name__ == "__main__":
    main()
