"""How exact measuring is, and how long it, writing and reporting take: python Testing/Benchmarks/measurement.py

Exactness on ellipses with random angle and place, by theory. Speed on one lesion of about 150 pixels on frames of
600x800, grey and RGB, with and without calibration; then the files of a clip of 100 such frames. The aims: under 3 ms
to measure a frame, under 5 s for a report.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Calibration, Cine, Origin, Timing
from UltrasoundLesionSegLib.measurement.columns import FrameRow
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.lesion import summarize_lesion
from UltrasoundLesionSegLib.report.case import CaseReport, LesionReport
from UltrasoundLesionSegLib.report.contact_sheet import write_contact_sheet
from UltrasoundLesionSegLib.report.html import write_report
from UltrasoundLesionSegLib.report.video import write_overlay_video
from UltrasoundLesionSegLib.writers.coco import write_coco
from UltrasoundLesionSegLib.writers.masks import write_davis, write_nifti
from UltrasoundLesionSegLib.writers.tables import write_frame_table

HEIGHT, WIDTH, FRAMES, REPEATS = 600, 800, 100, 200


def lesion(frame: int) -> NDArray[np.bool_]:
    """A lobulated mask about 150 pixels long that drifts with the frame."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    rows, columns = rows - 260 - 20 * np.sin(frame / 15), columns - 380 - frame
    angle = np.arctan2(rows, columns)
    return np.asarray(np.hypot(rows * 1.5, columns) < 72 + 5 * np.sin(5 * angle) + 3 * np.cos(9 * angle))


def ellipse(
    a: float, b: float, angle: float, offset: NDArray[np.float64], spacing: tuple[float, float]
) -> NDArray[np.bool_]:
    """Pixels whose centre lies in an ellipse with semi-axes ``a``, ``b`` in the unit of the spacing."""
    reach = int(np.ceil(a / min(spacing))) + 4
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    rows, columns = (rows - offset[0]) * spacing[0], (columns - offset[1]) * spacing[1]
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    return np.asarray((along / a) ** 2 + (across / b) ** 2 <= 1)


def accuracy(repeats: int = 200) -> None:
    """Compare with theory: mean error and its standard deviation."""
    random = np.random.default_rng(0)
    print("semi-axes and pixel: errors of long axis, perpendicular axis, depth, width in px; of perimeter, area in %")
    for spacing in ((1.0, 1.0), (1.0, 0.6)):
        for a, b in ((2, 1.5), (4, 3), (10, 3), (8, 8), (20, 14), (40, 12), (75, 50), (75, 15)):
            turn = np.linspace(0, 2 * np.pi, 20001)
            perimeter = np.hypot(np.diff(a * np.cos(turn)), np.diff(b * np.sin(turn))).sum()
            errors = []
            for _ in range(repeats):
                angle = random.uniform(0, np.pi)
                mask = ellipse(a, b, angle, random.uniform(-0.5, 0.5, 2), spacing)
                found = measure_frame(mask, np.zeros(mask.shape, np.uint8), Calibration(*spacing, "benchmark"))
                errors.append(
                    (
                        found.long_axis - 2 * a,
                        found.perpendicular_axis - 2 * b,
                        found.depth - 2 * np.hypot(a * np.sin(angle), b * np.cos(angle)),
                        found.width - 2 * np.hypot(a * np.cos(angle), b * np.sin(angle)),
                        100 * (found.perimeter / perimeter - 1),
                        100 * (found.area / (np.pi * a * b) - 1),
                    )
                )
            cells = zip(np.mean(errors, axis=0), np.std(errors, axis=0), strict=True)
            print(f"{a} x {b}, {spacing}: " + ", ".join(f"{mean:+.2f} ± {sd:.2f}" for mean, sd in cells))


def milliseconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def measure_frames() -> None:
    """Time ``measure_frame``."""
    mask = lesion(0)
    grey = np.random.default_rng(0).integers(40, 160, mask.shape).astype(np.uint8)
    grey[mask] //= 3
    for name, frame in (("grey", grey), ("RGB", np.repeat(grey[..., None], 3, axis=2))):
        for spacing in (None, (0.1, 0.1), (0.1, 0.07)):
            calibration = Calibration(spacing[0], spacing[1], "benchmark") if spacing else None
            taken = milliseconds(partial(measure_frame, mask, frame, calibration))
            print(f"measure_frame, {name}, pixels {spacing or 'unknown'}: {taken:.2f} ms")
    nothing = np.zeros_like(mask)
    print(f"measure_frame, not visible: {milliseconds(lambda: measure_frame(nothing, grey, None)):.2f} ms")


def write_files() -> None:
    """Time the writers and the report of a clip."""
    masks = [lesion(frame)[None] for frame in range(FRAMES)]
    frames = np.random.default_rng(0).integers(40, 160, (FRAMES, HEIGHT, WIDTH)).astype(np.uint8)
    timing = Timing(np.arange(FRAMES) / 25, "benchmark")
    cine = Cine.from_array(frames, Calibration(0.1, 0.1, "benchmark"), timing)
    measurements = tuple(
        measure_frame(masks[frame][0], frames[frame], cine.calibration, 0.8, Origin.MODEL) for frame in range(FRAMES)
    )
    numbers = tuple(range(FRAMES))
    summary = summarize_lesion(measurements, numbers, timing)
    case = CaseReport(cine, masks.__getitem__, (LesionReport("Lesion", (230, 159, 0), numbers, measurements, summary),))
    rows = [FrameRow(frame, frame / 25, "Lesion", one) for frame, one in enumerate(measurements)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs: dict[str, Callable[[], object]] = {
            "PNG masks": lambda: write_davis(folder / "masks", case.masks, FRAMES),
            "COCO": lambda: write_coco(folder / "masks.json", case.masks, FRAMES, ["Lesion"], case.name),
            "NIfTI, compressed": lambda: write_nifti(folder / "masks.nii.gz", case.masks, FRAMES, cine.calibration),
            "CSV": lambda: write_frame_table(folder / "measurements.csv", rows),
            "contact sheet": lambda: write_contact_sheet(folder / "sheet.png", case, pixels_allowed=True),
            "HTML report": lambda: write_report(folder / "report.html", case, pixels_allowed=True),
            "overlay MP4": lambda: write_overlay_video(folder / "overlay.mp4", case, pixels_allowed=True),
        }
        for job, call in jobs.items():
            print(f"{job}, {FRAMES} frames: {milliseconds(call, 3):.0f} ms")


if __name__ == "__main__":
    accuracy()
    measure_frames()
    write_files()
