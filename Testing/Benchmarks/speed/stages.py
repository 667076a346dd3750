"""The whole job by stage: 200 frames of 600 x 800 from a DICOM file to a DICOM SEG, with each model.

    python Testing/Benchmarks/speed/stages.py [--quick]

The product's own calls are watched from outside, in each of its threads; time in a watched call inside another one
counts for the inner one, and what is watched by nobody counts for the stage around it. Masks are computed in one thread
while another writes them into the scene, so the stages together can take longer than the job.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from clips import dicom_clip
from common import arguments, save

from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

ELAPSED, WAITING = "elapsed", "waiting"  # the whole job; one thread for the other, which is no work
STAGES = ("decode", "preprocess", "network", "postprocess", "MRML", "measure", "SEG")
MODELS = ("bas_s_propagate", "stpfnet_light")


class StageClock:
    """Adds up seconds by stage, over all threads; a stage inside another one stops the outer one's clock.

    Parameters
    ----------
    timer : callable
        Seconds, of the calling thread or of the world.
    """

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._timer = timer
        self._own = threading.local()  # what is open in a thread, innermost last, and since when
        self._adding = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside for a stage."""
        stages = self._own.__dict__.setdefault("open", [])
        self._switch(stages)
        stages.append(name)
        try:
            yield
        finally:
            self._switch(stages)
            stages.pop()
            with self._adding:
                self.calls[name] += 1

    def _switch(self, stages: list[str]) -> None:
        now = self._timer()
        if stages:
            with self._adding:
                self.seconds[stages[-1]] += now - self._own.since
        self._own.since = now

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Count every call of a function for a stage, from now on."""
        function: Callable[..., Any] = getattr(owner, name)

        @wraps(function)
        def watched(*values: Any, **named: Any) -> Any:
            with self.stage(stage):
                return function(*values, **named)

        setattr(owner, name, watched)


def watch_the_product(clock: StageClock) -> None:
    """Name the stage of every call that the job is made of; what is not named counts for the stage around it."""
    from UltrasoundLesionSegLib.engine.network_input import NetworkInput
    from UltrasoundLesionSegLib.engine.propagation import _Sweep
    from UltrasoundLesionSegLib.mrml.frames import SequenceFrames
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
    from UltrasoundLesionSegLib.readers import open as readers
    from UltrasoundLesionSegLib.readers.frames import CachedFrames
    from UltrasoundLesionSegLib.workflow.exports import ExportJob

    clock.watch(readers, "read_cine", "decode")
    clock.watch(CachedFrames, "__getitem__", "decode")
    for name in ("cut", "cut_mask"):
        clock.watch(NetworkInput, name, "preprocess")
    clock.watch(_Sweep, "_compute", "postprocess")
    clock.watch(Future, "result", WAITING)
    clock.watch(SequenceFrames, "__getitem__", "MRML")
    for name in ("read", "write", "segments", "state", "origin", "confidence", "provenance", "anchors"):
        clock.watch(SegmentationSequence, name, "MRML")
    clock.watch(ExportJob, "write", "SEG")
    get = UltrasoundLesionWorkflow._network
    watched: set[int] = set()

    def get_and_watch(logic: UltrasoundLesionWorkflow, *values: Any) -> Any:
        network = get(logic, *values)
        if id(network) not in watched:
            watched.add(id(network))
            for name in ("encode", "memorize", "segment"):
                clock.watch(network, name, "network")
        return network

    setattr(UltrasoundLesionWorkflow, "_network", get_and_watch)  # noqa: B010


def run_job(logic: UltrasoundLesionWorkflow, clock: StageClock, path: Path, seed: Any, model: str) -> dict[str, float]:
    """Do the whole job once; returns the seconds of every stage."""
    clock.seconds.clear()
    start = time.perf_counter()
    with clock.stage("MRML"):
        browser = logic.loadCine(path)
        logic.setSeed(browser, seed, frame=0)
    with clock.stage("postprocess"):
        logic.propagate(browser, model=model)
    with clock.stage("measure"), tempfile.TemporaryDirectory() as folder:
        logic.export(browser, folder, ["seg"])  # measures, and shows the tables, before it writes
    return {stage: clock.seconds[stage] for stage in STAGES} | {ELAPSED: time.perf_counter() - start}


def main() -> None:
    """Measure and save."""
    options = arguments(__doc__)
    count = 20 if options.quick else 200
    path, seed = dicom_clip(count)
    short, short_seed = dicom_clip(20)
    clock = StageClock()
    watch_the_product(clock)
    logic = UltrasoundLesionWorkflow()
    for model in MODELS:
        run_job(logic, clock, short, short_seed, model)  # loads libraries and weights
    rounds: dict[str, list[dict[str, float]]] = {model: [] for model in MODELS}
    for _ in range(1 if options.quick else 2):
        for model in MODELS:
            rounds[model].append(run_job(logic, clock, path, seed, model))
    save("stages", {"frames": count, "rounds": rounds})


if __name__ == "__main__":
    main()
