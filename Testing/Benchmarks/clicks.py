"""Measure how long a click takes, from the click to the mask in the scene, beside a plain pass of a network.

Wall time, as a person waits. Run ``python Testing/Benchmarks/clicks.py --size 600x800``; the table is Markdown, for
Docs/results/clicks.md. On a machine that does other things, the ratio is what can be compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from UltrasoundLesionSegLib.engine.bundles import SUGGEST, default_bundle
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

FRAMES = 12


def milliseconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="600x800", help="HEIGHTxWIDTH of the frames")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    height, width = (int(number) for number in chosen.size.split("x"))
    torch.set_num_threads(chosen.threads)
    simulated = simulate_cine(SimulationSettings(seed=4, frames=FRAMES, height=height, width=width))
    logic = UltrasoundLesionWorkflow()
    browser = logic.addCine(simulated.cine)
    bundle = default_bundle(SUGGEST)
    network = bundle.load_for_inference("cpu")
    frame = torch.rand(1, 3, bundle.input_size, bundle.input_size).contiguous(memory_format=torch.channels_last)
    taken: dict[str, list[float]] = {"plain pass": [], "first click": [], "second click": [], "click taken back": []}
    for number in range(FRAMES):
        truth = simulated.truth[number][0]
        if not truth.any():
            continue
        rows, columns = np.nonzero(truth)
        first = (float(rows.mean()), float(columns.mean()))
        second = (float(rows.min()) - 6, first[1], False)
        with torch.inference_mode():
            taken["plain pass"].append(milliseconds(lambda: network(frame)))
        for name, points in (
            ("first click", [first]),
            ("second click", [first, second]),
            ("click taken back", [first]),
        ):
            taken[name].append(milliseconds(partial(logic.click, browser, points, number)))
    plain = float(np.median(taken["plain pass"][1:]))
    print(
        f"| {height} x {width}, {chosen.threads} threads | ms, median | ms, worst | plain passes |\n|---|---|---|---|"
    )
    for name, values in taken.items():
        print(f"| {name} | {np.median(values[1:]):.0f} | {max(values[1:]):.0f} | {np.median(values[1:]) / plain:.1f} |")


if __name__ == "__main__":
    main()
