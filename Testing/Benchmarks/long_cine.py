"""Memory of the whole job against the clip's length: a 5,000-frame simulated cine beside a 200-frame one.

    .venv/bin/python Testing/Benchmarks/long_cine.py [--frames 200 5000] [--model bas_s_propagate]

Each length runs in a process of its own: load into the scene, seed on the first frame, propagate, measure. Prints by
how much the peak of resident memory grew once libraries and weights were there, how much of that are the clip's own
frames, and what is left for each frame: its masks and tables.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(frames: int, size: int, model: str) -> dict[str, float]:
    from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
    from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

    simulated = simulate_cine(SimulationSettings(seed=3, frames=frames, height=size, width=size))
    logic = UltrasoundLesionWorkflow()
    short = logic.addCine(simulate_cine(SimulationSettings(seed=3, frames=3, height=size, width=size)).cine)
    logic.setSeed(short, simulated.truth[0][0], frame=0)
    logic.propagate(short, model=model)  # loads libraries and weights: what every length needs
    before = peak_mb()
    browser = logic.addCine(simulated.cine)
    logic.setSeed(browser, simulated.truth[0][0], frame=0)
    started = time.perf_counter()
    logic.propagate(browser, model=model)
    seconds = time.perf_counter() - started
    logic.measure(browser)
    visible = sum(mask > 0 for mask in logic.confidences(browser).popitem()[1].tolist())
    return {"grown_mb": peak_mb() - before, "seconds": seconds, "visible": visible}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, nargs="+", default=[200, 5000])
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--model", default="bas_s_propagate")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(arguments.one, arguments.size, arguments.model)))
        return
    print(f"{'frames':>7} {'grown MB':>9} {'frames MB':>10} {'per frame KB beside them':>25} {'s':>7}")
    for frames in arguments.frames:
        command = [
            sys.executable,
            __file__,
            "--one",
            str(frames),
            "--size",
            str(arguments.size),
            "--model",
            arguments.model,
        ]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        own = frames * arguments.size**2 / 2**20
        beside = (found["grown_mb"] - own) * 1024 / frames
        print(f"{frames:7d} {found['grown_mb']:9.0f} {own:10.0f} {beside:25.1f} {found['seconds']:7.0f}")


if __name__ == "__main__":
    main()
