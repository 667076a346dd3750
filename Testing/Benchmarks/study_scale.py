"""A study of thousands of cases: how long its list, its tables and a reader's store take, for two numbers of cases.

    .venv/bin/python Testing/Benchmarks/study_scale.py --cases 200 2000

Writes batch folders as batches do (tables of 100 frames with made-up confidences, 100 masks, a report), then lets a
reader work on a quarter of the cases. Times are medians in one process, after the imports, with the processor's share
in brackets. ``store`` is one commit of an edit on a case with ten frames drawn. The folders are removed afterwards.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, write_listed
from UltrasoundLesionSegLib.batch.summary import write_summary
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState, SourceNote
from UltrasoundLesionSegLib.review.worklist import Worklist

FRAMES, HEIGHT, WIDTH = 100, 400, 400
OUTPUTS = ["lesions.csv", "measurements.csv", "report.html", *(f"masks/{frame:05d}.png" for frame in range(FRAMES))]


def mask(frame: int, radius: float = 60) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - 200) ** 2 + (columns - 150 - frame) ** 2 < radius**2


def write_cases(output: Path, count: int) -> list[ListedCase]:
    """Write a batch folder; the masks of all cases are the same files under many names."""
    rng = np.random.default_rng(1)
    folder, listed = BatchFolder(output), []
    masks = output / "masks"
    masks.mkdir(parents=True)
    for frame in range(FRAMES):
        Image.fromarray(mask(frame).astype(np.uint8)).save(masks / f"{frame:05d}.png")
    for number in range(count):
        name, digest = f"case-{number + 1:04d}", f"{number:064x}"
        case = folder.cases / name
        (case / "masks").mkdir(parents=True)
        for frame in range(FRAMES):
            os.link(masks / f"{frame:05d}.png", case / "masks" / f"{frame:05d}.png")
        level = rng.uniform(0.5, 0.98)
        confidences = np.clip(level - 0.2 * rng.random() * np.sin(np.arange(FRAMES) / 9) ** 2, 0, 1)
        with (case / "measurements.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["frame", "segment", "long_axis_mm", "area_mm2", "confidence", "origin"])
            for frame, confidence in enumerate(confidences):
                made = ("", "manual") if frame == 0 else (f"{confidence:.6f}", "model")
                writer.writerow([frame, "Lesion", 12.1, 85.9, *made])
        (case / "lesions.csv").write_text(
            f"segment,long_axis_there_mm,area_maximum_mm2\nLesion,{8 + level * 9:.2f},85.9\n"
        )
        (case / "report.html").write_text("<p>report</p>")
        record = {
            "software": {"name": "ultrasound-lesion-seg", "version": "0.1.0"},
            "source": {"sha256": digest, "frames": FRAMES, "height": HEIGHT, "width": WIDTH},
            "anchors": {"Lesion": [0]},
            "suggested_on_frame": None,
            "unreadable_frames": {},
            "model": {"name": "stpfnet_light", "version": "1", "sha256": "0" * 64},
            "device": "cpu",
            "notices": [],
            "seconds": {"network": 9.5},
            "outputs": OUTPUTS,
            "inputs": {"source": digest, "seeds": [], "settings": {"model": "stpfnet_light"}},
        }
        (case / "run.json").write_text(json.dumps(record))
        listed.append(ListedCase(BatchCase(output / "cines" / f"{number}.dcm", name=name), "done"))
    with folder.held():
        write_listed(folder.sources, listed)
    return listed


def timed(work: Callable[[], object], repeats: int = 5) -> str:
    """Return the median time, and the processor's share of it: on a busy machine the first says little."""
    times, shares = [], []
    for _ in range(repeats):
        began, share = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - began)
        shares.append(time.process_time() - share)
    return f"{statistics.median(times):.3f} s ({statistics.median(shares):.3f} s)"


def measure(output: Path, count: int) -> dict[str, str]:
    listed = write_cases(output, count)
    folder = BatchFolder(output)
    found: dict[str, str] = {}

    def summarize() -> None:
        with folder.held():
            write_summary(folder, listed)

    found["tables, plot and pages, read from the cases' files"] = timed(summarize, 1)
    found["tables, plot and pages, from the index"] = timed(summarize, 1)
    worklist = Worklist(output, "A")
    drawn = [ReaderAnchor(10 * step, "Lesion", mask(10 * step), How.DRAWN) for step in range(10)]
    for one in worklist.cases()[: count // 4]:
        with worklist.open(one.name) as case:
            assert case.machine is not None
            case.store(drawn[:3], case.machine.source, 60, ReviewState.IN_WORK)
    found["list opened, a quarter of the cases in work"] = timed(lambda: Worklist(output, "A"))
    worklist = Worklist(output, "A")
    found["list sorted"] = timed(worklist.cases)
    found["next case chosen"] = timed(worklist.next_case)
    source = SourceNote(f"{0:064x}", FRAMES, HEIGHT, WIDTH)
    with worklist.open("case-0001") as case:
        case.store(drawn, source)

        def commit() -> None:
            changed = ReaderAnchor(90, "Lesion", mask(90, np.random.default_rng().uniform(40, 60)), How.DRAWN)
            case.store([*drawn[:9], changed], source)

        found["store of one commit"] = timed(commit, 15)
    pages = sorted(output.glob("index*.html"))
    found["pages"] = f"{len(pages)}, the largest of {max(page.stat().st_size for page in pages) / 1000:.0f} kB"
    found["index"] = f"{(output / '.batch' / 'index.jsonl').stat().st_size / 1e6:.2f} MB"
    found["cases.csv"] = f"{(output / 'cases.csv').stat().st_size / 1e6:.2f} MB"
    found["largest memory of the process so far"] = (
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, nargs="+", default=[200, 2000])
    columns = {}
    for count in parser.parse_args().cases:
        folder = Path(tempfile.mkdtemp(prefix="study-scale-"))
        try:
            columns[count] = measure(folder / "out", count)
        finally:
            shutil.rmtree(folder)
    print("|", *(f"| {count} cases" for count in columns), "|")
    print("|---" * (1 + len(columns)) + "|")
    for what in next(iter(columns.values())):
        print(f"| {what}", *(f"| {found[what]}" for found in columns.values()), "|")


if __name__ == "__main__":
    main()
