"""One long clip through the whole job: time and memory of every stage, and on the way through the frames.

    OMP_NUM_THREADS=1 .venv/bin/python Testing/Drills/long_clip.py --frames 20000
    OMP_NUM_THREADS=1 .venv/bin/python Testing/Drills/long_clip.py --frames 200 2000

A simulated cine of a few hundred frames, played to and fro, is written to one file (DICOM or AVI), read back lazily,
seeded on the first frame, propagated, measured and exported; each length in a process of its own. Resident memory is
told after every tenth of the frames and after every stage. "beside frames" is its growth since libraries and weights
were there, less the clip's own pixels.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from process_state import resident_mb

from UltrasoundLesionSegLib.cine import Cine, Timing
from UltrasoundLesionSegLib.engine.heap import return_free_memory
from UltrasoundLesionSegLib.simulation.cine import SimulatedCine, SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

SIMULATED_FRAMES = 400
EXPORTS = ("masks", "csv", "scene", "coco", "nifti", "report")
FRAMES_PER_SECOND = 25.0


class ToAndFro:
    """Frames or masks of a short clip, forward, backward, forward ..., as often as it takes.

    Parameters
    ----------
    short : ndarray, shape (S, ...)
    count : int
        Frames of the long clip.
    """

    def __init__(self, short: NDArray, count: int) -> None:
        self._short = short
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> NDArray:
        if not 0 <= index < self._count:
            raise IndexError(f"frame {index} of {self._count}")
        last = len(self._short) - 1
        place = index % (2 * last)
        return self._short[place if place <= last else 2 * last - place].copy()


def long_simulation(frames: int, height: int, width: int) -> SimulatedCine:
    """Simulate a clip of any length at the cost of a short one."""
    short = simulate_cine(
        SimulationSettings(seed=3, frames=min(SIMULATED_FRAMES, max(frames, 2)), height=height, width=width)
    )
    pixels = np.stack(list(short.cine))
    truth = np.stack([short.truth[index] for index in range(len(pixels))])
    timing = Timing(np.arange(frames) / FRAMES_PER_SECOND, "simulation")
    cine: Cine = replace(short.cine, frames=ToAndFro(pixels, frames), timing=timing)
    return replace(short, cine=cine, truth=ToAndFro(truth, frames))


class Clock:
    """Seconds since it was made: on the wall, which other programs lengthen, and of this process's own work."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def wall(self) -> float:
        return time.perf_counter() - self._wall

    def cpu(self) -> float:
        return time.process_time() - self._cpu


class Watch:
    """Prints time and memory stage by stage.

    Parameters
    ----------
    own_mb : float
        The clip's own pixels, once they are in the scene.
    """

    def __init__(self, own_mb: float) -> None:
        self._own_mb = own_mb
        self._base_mb = self._resident_mb()
        print(f"{'stage':>16} {'s':>8} {'CPU s':>8} {'resident MB':>12} {'beside frames':>14}")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and print it with the memory at its end."""
        started = Clock()
        yield
        self.line(name, started)

    def line(self, name: str, since: Clock) -> None:
        """Print where things stand."""
        now = self._resident_mb()
        print(
            f"{name:>16} {since.wall():8.1f} {since.cpu():8.1f} {now:12.0f} {now - self._base_mb - self._own_mb:14.0f}",
            flush=True,
        )

    @staticmethod
    def _resident_mb() -> float:
        return_free_memory()
        return resident_mb()


def warmed_up(model: str, height: int, width: int) -> UltrasoundLesionWorkflow:
    """Return a workflow with libraries and weights loaded: what a clip of any length needs."""
    logic = UltrasoundLesionWorkflow()
    short = simulate_cine(SimulationSettings(seed=3, frames=3, height=height, width=width))
    browser = logic.addCine(short.cine)
    logic.setSeed(browser, short.truth[0][0], frame=0)
    logic.propagate(browser, model=model)
    with tempfile.TemporaryDirectory() as folder:
        logic.export(browser, folder, EXPORTS)
    logic.removeCine(browser)
    return logic


def run(source: Path, truth: NDArray[np.bool_], frames: int, model: str) -> None:
    """Do the whole job on one file."""
    height, width = truth.shape
    logic = warmed_up(model, height, width)
    watch = Watch(own_mb=frames * height * width / 2**20)
    with watch.stage("read"):
        browser = logic.loadCine(source)
    with watch.stage("seed"):
        logic.setSeed(browser, truth, frame=0)
    started, every = Clock(), max(frames // 10, 1)
    with watch.stage("propagate"):
        for step in logic.propagateSteps(browser, model=model):
            if step.done % every == 0:
                watch.line(f"{step.done} frames", started)
    with watch.stage("review order"):
        logic.reviewOrder(browser)
    with watch.stage("measure"):
        measured = logic.measure(browser)
    kinds = (*EXPORTS, "seg", "sr") if source.suffix == ".dcm" else EXPORTS
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            with watch.stage(f"export {kind}"):
                logic.export(browser, folder, (kind,), measured)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    print(f"{size / 2**20:.0f} MB of files")
    with watch.stage("undo"):
        logic.undoPropagation(browser)
    with watch.stage("remove"):
        logic.removeCine(browser)
        logic.release()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[200, 5000])
    parser.add_argument("--size", type=int, nargs=2, default=[96, 128], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--kind", choices=("dicom", "avi"), default="dicom")
    parser.add_argument("--model", default="bas_s_propagate")
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    height, width = chosen.size
    if chosen.source:
        truth = np.load(chosen.source.with_name("truth.npy"))
        run(chosen.source, truth, chosen.frames[0], chosen.model)
        return
    for frames in chosen.frames:
        folder = Path(tempfile.mkdtemp())
        try:
            simulated = long_simulation(frames, height, width)
            source = write_simulation(simulated, folder, chosen.kind)
            np.save(folder / "truth.npy", simulated.truth[0][0])
            size = source.stat().st_size / 2**20
            print(f"\n{frames} frames of {height} x {width} in a {chosen.kind} file of {size:.0f} MB, {chosen.model}")
            arguments = ["--frames", str(frames), "--model", chosen.model, "--source", str(source)]
            subprocess.run([sys.executable, __file__, *arguments], check=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
