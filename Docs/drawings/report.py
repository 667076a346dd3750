"""Take the picture of a report, Docs/images/report.png: python Docs/drawings/report.py demo-output/result/report.html

Chromium must be installed for it. With --html FOLDER instead, write a report of a simulated case whose masks are the
simulation's own truth and whose confidences are made up, with three frames done by a person.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.lesion import summarize_lesion
from UltrasoundLesionSegLib.report.case import CaseReport, LesionReport, ModelRecord
from UltrasoundLesionSegLib.report.contact_sheet import write_contact_sheet
from UltrasoundLesionSegLib.report.html import write_report
from UltrasoundLesionSegLib.report.video import write_overlay_video
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine

IMAGES = Path(__file__).resolve().parents[1] / "images"
COLOURS = ((86, 180, 233), (230, 159, 0), (0, 158, 115))
ORIGINS = {0: Origin.MANUAL, 31: Origin.EDITED, 44: Origin.CONFIRMED}
SIZE = (1120, 2480)  # in pixels: down to the tables
CHROMIUM_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def simulated_case() -> CaseReport:
    """A clip of a lesion that leaves the plane and comes back, measured, with three frames done by a person."""
    simulated = simulate_cine(SimulationSettings(seed=29, frames=60, leaves_plane=True, pixel_mm=0.09))
    cine = simulated.cine
    masks = [simulated.truth[frame] for frame in range(len(cine))]
    lesions = []
    for index in range(masks[0].shape[0]):
        measurements = []
        for frame, stack in enumerate(masks):
            origin = ORIGINS.get(frame, Origin.MODEL)
            confidence = 0.93 - 0.25 * abs(np.sin(frame / 9 + index)) if origin is Origin.MODEL else float("nan")
            mask = stack[index]
            measurements.append(
                measure_frame(mask, cine.frames[frame], cine.calibration_at(mask), float(confidence), origin)
            )
        frames = tuple(range(len(cine)))
        summary = summarize_lesion(measurements, frames, cine.timing)
        lesions.append(LesionReport("Mass", COLOURS[index], frames, tuple(measurements), summary))
    return CaseReport(
        cine=cine,
        masks=masks.__getitem__,
        lesions=tuple(lesions),
        model=ModelRecord("the simulation's truth", "1"),
        software={"ultrasound-lesion-seg": __version__, "numpy": np.__version__},
        settings={"Direction": "both", "Device": "cpu"},
        created=datetime(2025, 1, 1, 12, 0),
    )


def photograph(page: Path, target: Path, dark: bool = False, size: tuple[int, int] = SIZE) -> None:
    """Take a picture of a page with Chromium and leave the empty rest of the paper out."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("Chromium is not here: install it (Debian: apt-get install chromium) to take the picture.")
    with tempfile.TemporaryDirectory() as profile:
        options = [*CHROMIUM_OPTIONS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]
        if dark:
            options.append("--blink-settings=preferredColorScheme=0")
        command = [browser, *options, f"--screenshot={target}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    picture = Image.open(target).convert("RGB")
    pixels = np.asarray(picture)
    used = np.flatnonzero((pixels != pixels[-1, 0]).any(axis=(1, 2)))
    picture = picture.crop((0, 0, picture.width, min(int(used[-1]) + 24, picture.height)))
    picture.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


def main() -> None:
    """Take the picture of a report, or write one."""
    parser = argparse.ArgumentParser(description="Take the picture of a report, or write one of a simulated case.")
    parser.add_argument("page", type=Path, nargs="?", help="report.html to take the picture of")
    parser.add_argument("--html", type=Path, help="write report, contact sheet and videos there; take no picture")
    chosen = parser.parse_args()
    if chosen.html is None:
        if chosen.page is None:
            parser.error("name a report.html, or a folder with --html")
        photograph(chosen.page.resolve(), IMAGES / "report.png")
        return
    case, folder = simulated_case(), chosen.html
    write_report(folder / "report.html", case, pixels_allowed=True)
    write_contact_sheet(folder / "contact_sheet.png", case, pixels_allowed=True)
    for name in ("overlay.mp4", "overlay.avi"):
        write_overlay_video(folder / name, case, pixels_allowed=True)


if __name__ == "__main__":
    main()
