"""The module's panel on long clips: what a frame change and "Review next" cost, and whether it grows with the clip.

    OMP_NUM_THREADS=1 .venv/bin/python Testing/Drills/long_clip_panel.py --frames 200 2000

The real widget code on real Qt and real MRML (Testing/Gui). Every frame has a mask and a confidence as a propagation
leaves them. Figures are milliseconds of processor time, medians of 30, with the events of Qt worked through.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Testing" / "Gui"))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from slicer_harness.facts import VERSIONS, Facts  # noqa: E402
from slicer_harness.session import Session  # noqa: E402
from slicer_harness.user import User  # noqa: E402

from UltrasoundLesionSegLib.cine import Cine, Origin  # noqa: E402
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence  # noqa: E402

HEIGHT, WIDTH = 96, 128
REPEATS = 30


def add_results(user: User, frames: int) -> Any:
    """Put a cine with a mask and a confidence on every frame into the scene; returns its browser."""
    logic = user.module.widget.logic
    rng = np.random.default_rng(frames)
    browser = logic.addCine(Cine.from_array(rng.integers(0, 200, (frames, HEIGHT, WIDTH)).astype(np.uint8)))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    logic.setSeed(browser, (rows - 48) ** 2 + (columns - 64) ** 2 < 400, frame=0)
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    segment = sequence.segments()[0].id
    for frame in range(1, frames):
        mask = (rows - 48) ** 2 + (columns - 64 - 20 * np.sin(frame / 30)) ** 2 < 400
        confidence = {segment: float(rng.uniform(0.2, 1))}
        sequence.write(frame, {segment: mask}, {segment: Origin.MODEL}, confidence, {segment: "drill"})
    return browser


def milliseconds(action: Callable[[], Any], user: User) -> float:
    """Return the processor time of an action with the events it causes."""
    started = time.process_time()
    action()
    user.module.session.process_events()
    return 1000 * (time.process_time() - started)


def measure(user: User, frames: int) -> dict[str, float]:
    """Use the panel on a clip of this length."""
    browser = add_results(user, frames)
    panel = user.module.widget.panel
    costs = {"choose the cine": milliseconds(lambda: user.choose("browserSelector", browser.GetName()), user)}
    chosen = np.linspace(1, frames - 1, REPEATS).astype(int).tolist()
    repeated = {
        "frame change": [milliseconds(partial(browser.SetSelectedItemNumber, f), user) for f in chosen],
        "Review next": [milliseconds(lambda: user.click("reviewNextButton"), user) for _ in chosen],
        "confirm a frame": [milliseconds(lambda: user.click("confirmButton"), user) for _ in chosen],
        "show results anew": [milliseconds(panel.results_changed, user) for _ in chosen],
    }
    costs |= {name: statistics.median(times) for name, times in repeated.items()}
    user.module.widget.logic.removeCine(browser)
    user.module.session.process_events()
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[200, 2000])
    chosen = parser.parse_args()
    with Session(Facts(*VERSIONS)) as session:
        module = session.load_module(REPOSITORY / "UltrasoundLesionSeg" / "UltrasoundLesionSeg.py")
        module.open()
        user = User(module)
        measure(user, 20)  # fonts and icons are loaded once
        by_length = {frames: measure(user, frames) for frames in chosen.frames}
        module.unload()
    print(f"{'ms of processor time':>22}" + "".join(f"{frames:>12} frames" for frames in chosen.frames))
    for name in by_length[chosen.frames[0]]:
        print(f"{name:>22}" + "".join(f"{by_length[frames][name]:19.2f}" for frames in chosen.frames))


if __name__ == "__main__":
    main()
