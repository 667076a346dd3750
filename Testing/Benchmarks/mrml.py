"""Measure the MRML room: time and memory of a cine with two lesions on every frame, in the scene and in a .mrb file.

Times are of the processor, so that other work on the machine does not count. Run
``python Testing/Benchmarks/mrml.py --frames 200 --size 600x800``; the table is Markdown, for Docs/mrml.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from UltrasoundLesionSegLib.cine import Calibration, Cine, Mask, Origin, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.mrml import headless


class Speckle:
    """Frames made when asked for, so that only the scene holds them."""

    def __init__(self, count: int, height: int, width: int) -> None:
        self.count = count
        # windows of one larger noise picture: cheap to make, costly to compress like real speckle
        self.noise = np.random.default_rng(0).rayleigh(40, (height + 64, width + 64)).clip(0, 255).astype(np.uint8)
        self.height, self.width = height, width

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> np.ndarray:
        row, column = index % 64, index * 7 % 64
        return self.noise[row : row + self.height, column : column + self.width]


def two_lesions(frame: int, height: int, width: int) -> dict[str, Mask]:
    """An ellipse that wanders, and a rim around it."""
    rows, columns = np.ogrid[:height, :width]
    row, column = height / 2 + 0.05 * height * np.sin(frame / 15), width / 2 + 0.05 * width * np.cos(frame / 15)
    distance = ((rows - row) / (0.12 * height)) ** 2 + ((columns - column) / (0.14 * width)) ** 2
    return {"lesion-1": distance < 1, "lesion-2": (distance >= 1) & (distance < 1.4)}


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measured(action: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result, the seconds of processor time and the growth of resident memory in MB."""
    memory, start = resident_megabytes(), time.process_time()
    result = action()
    return result, time.process_time() - start, resident_megabytes() - memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--size", default="600x800", help="HEIGHTxWIDTH")
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    headless.start()
    for name, value in measure(options.frames, height, width):
        print(f"| {name} | {value} |")


def measure(count: int, height: int, width: int) -> list[tuple[str, str]]:
    from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine
    from UltrasoundLesionSegLib.mrml.scene_file import load_scene, save_scene
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
    from UltrasoundLesionSegLib.mrml.segments import SegmentInfo

    identity = SourceIdentity(SourceKind.MEMORY, "0" * 64)
    timing = Timing(np.arange(count) / 25.0, "benchmark")
    cine = Cine(
        Speckle(count, height, width), height, width, False, identity, Calibration(0.08, 0.08, "benchmark"), (), timing
    )
    browser, seconds, memory = measured(lambda: add_cine(cine))
    raw = count * height * width / 2**20
    rows = [
        ("cine into the scene", f"{1000 * seconds / count:.2f} ms/frame, +{memory:.0f} MB for {raw:.0f} MB of frames")
    ]
    infos = [SegmentInfo.numbered(1), SegmentInfo.numbered(2)]
    lesions, seconds, memory = measured(lambda: SegmentationSequence.create(browser, infos))
    rows.append(("empty segmentation, two segments", f"{1000 * seconds / count:.2f} ms/frame, +{memory:.1f} MB"))
    written, memory = 0.0, resident_megabytes()
    for frame in range(count):
        masks = two_lesions(frame, height, width)
        origins = dict.fromkeys(masks, Origin.MODEL)
        start = time.process_time()
        lesions.write(frame, masks, origins, dict.fromkeys(masks, 0.9), dict.fromkeys(masks, "stpfnet 0"))
        written += time.process_time() - start
    each = (resident_megabytes() - memory) * 1024 / count
    rows.append(("write both masks of a frame", f"{1000 * written / count:.2f} ms, {each:.0f} KB"))
    _, seconds, _ = measured(lambda: [lesions.read(frame, "lesion-1").any() for frame in range(count)])
    rows.append(("read a mask", f"{1000 * seconds / count:.2f} ms"))
    _, seconds, _ = measured(lambda: lesions.confidences("lesion-1"))
    rows.append(("confidences of all frames", f"{1000 * seconds:.1f} ms"))
    _, seconds, _ = measured(lesions.anchors)
    rows.append(("anchors of all frames", f"{1000 * seconds:.1f} ms"))
    _, seconds, _ = measured(lambda: [browser.SetSelectedItemNumber(frame) for frame in range(count)])
    rows.append(("browse to a frame, both proxies", f"{1000 * seconds / count:.2f} ms"))
    _, seconds, _ = measured(lambda: [lesions.commit_edit() for _ in range(20)])
    rows.append(("look for edits to commit", f"{1000 * seconds / 20:.2f} ms"))
    with tempfile.TemporaryDirectory() as folder:
        path, seconds, _ = measured(lambda: save_scene(Path(folder) / "scene.mrb"))
        rows.append(("save the scene", f"{seconds:.1f} s, {path.stat().st_size / 2**20:.0f} MB"))
        _, seconds, _ = measured(lambda: load_scene(path))
        rows.append(("load the scene", f"{seconds:.1f} s"))
    rows.append(("resident memory of the process at the end", f"{resident_megabytes():.0f} MB"))
    return rows


if __name__ == "__main__":
    main()
