"""How long a reader waits for a case: opening it with its results, storing a stroke, storing the masks of all frames.

    .venv/bin/python Testing/Benchmarks/open_case.py --frames 200

A cine of noise (480 x 640 pixels, DICOM) has a lesion on every frame and outlines of a reader on each twentieth. The
case is opened in a scene, stored and closed three times; the best time of each counts. Seconds, and in brackets seconds
of the processor.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "Python" / "helpers"))

from dicom_helpers import write_multiframe

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.mrml import headless

headless.start()

from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState, SourceNote  # noqa: E402
from UltrasoundLesionSegLib.reader_work.results import CaseMasks  # noqa: E402
from UltrasoundLesionSegLib.readers.open import read_cine  # noqa: E402
from UltrasoundLesionSegLib.review.scene import open_in_scene  # noqa: E402
from UltrasoundLesionSegLib.review.worklist import Worklist, begin  # noqa: E402
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow  # noqa: E402

CASE, SHAPE = "case-0001", (480, 640)


def lesion(frame: int, frames: int) -> np.ndarray:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    mask: np.ndarray = (rows - 240) ** 2 / 900 + (columns - 300 + 100 * frame / frames) ** 2 / 2500 <= 1
    return mask


def make(folder: Path, frames: int) -> Worklist:
    """Write a study of one case, on which reader A has worked."""
    pictures = np.random.default_rng(0).integers(0, 255, (frames, *SHAPE), np.uint8)
    (folder / "cines").mkdir()
    write_multiframe(folder / "cines" / "a.dcm", pictures)
    begin(folder / "cines", folder / "out")
    worklist = Worklist(folder / "out", "A")
    source = worklist.source_of(CASE)
    assert source is not None
    note = SourceNote(read_cine(source).identity.digest, frames, *SHAPE)
    masks = CaseMasks(
        note,
        ("Lesion",),
        lambda frame: lesion(frame, frames)[None],
        {"Lesion": [Origin.MODEL] * frames},
        {"Lesion": np.full(frames, 0.9)},
    )
    anchors = [ReaderAnchor(frame, "Lesion", lesion(frame, frames), How.DRAWN) for frame in range(0, frames, 20)]
    with worklist.open(CASE) as case:
        case.store(anchors, note, state=ReviewState.DONE, result=masks.with_anchors(anchors))
    return worklist


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    frames = parser.parse_args().frames
    torch.set_num_threads(1)
    times: dict[str, list[tuple[float, float]]] = {}

    def timed(what: str, job: Callable[[], Any]) -> Any:
        wall, processor = time.perf_counter(), time.process_time()
        found = job()
        times.setdefault(what, []).append((time.perf_counter() - wall, time.process_time() - processor))
        return found

    with tempfile.TemporaryDirectory() as folder:
        worklist, workflow = make(Path(folder), frames), UltrasoundLesionWorkflow()
        for turn in range(3):
            case = timed("open", lambda: open_in_scene(workflow, worklist.open(CASE)))
            case.browser.SetSelectedItemNumber(5 + turn)
            workflow.setSeed(case.browser, lesion(turn, frames), 5 + turn, "Lesion")
            timed("store a stroke", case.store)
            timed("store the masks of all frames", case.finish)
            case.close()
    for what, found in times.items():
        wall, processor = (min(one[place] for one in found) for place in (0, 1))
        print(f"{what}: {wall:.2f} s ({processor:.2f} s)")


if __name__ == "__main__":
    main()
