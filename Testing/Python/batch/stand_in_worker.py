"""A worker process whose cases take no time: the real one, with another ``run_case`` and no network libraries.

What it does with a source is written in it: ``hang``, ``die``, ``crash``, ``refuse``, ``stumble``, ``log``, ``note``,
``wait N``, ``suggested`` (a seed on frame 1, of two), or the confidences of the frames. Run as a script.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from UltrasoundLesionSegLib.batch import worker
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.logs import ROOT, log_event
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest

logger = logging.getLogger(ROOT)


def run_case(request: CaseRequest, progress: Callable[[Any], None]) -> None:
    asked = request.source.read_text()
    if asked == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        request.source.with_suffix(".pids").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    elif asked == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif asked == "crash":
        os._exit(7)
    elif asked == "refuse":
        raise SourceError("the source is refused")
    elif asked == "stumble":
        raise RuntimeError(str(request.source))
    elif asked == "log":
        log_event(logger, logging.WARNING, "something was seen", case="the cine's own name", frame=2)
        asked = "0.9"
    elif asked.startswith("wait"):
        time.sleep(float(asked.split()[1]))
        asked = "0.9"
    suggested_on = 1 if asked == "suggested" else None
    asked = asked.replace("suggested", "0.98 0.98")
    notes = ["Something to know of the cine."] if asked == "note" else []
    confidences = [float(value) for value in asked.replace("note", "0.9").split()]
    for frame in range(len(confidences)):
        progress(SimpleNamespace(frame=frame, frames_done=frame + 1, frames=len(confidences)))
    write_case(request, confidences, notes, suggested_on)


def write_case(request: CaseRequest, confidences: list[float], notes: list[str], suggested_on: int | None) -> None:
    folder = request.output
    (folder / "masks").mkdir(parents=True)
    rows = "".join(f"{frame},{value},model\n" for frame, value in enumerate(confidences))
    contents = {
        "masks/00000.png": f"mask made {request.direction}",
        "measurements.csv": f"frame,confidence,origin\n{rows}",
        "lesions.csv": "segment,long_axis_there_px\nLesion,31.5\n",
        "report.html": "<p>report</p>",
    }
    for name, text in contents.items():
        (folder / name).write_text(text)
    record = {
        "software": {"version": "0.1.0"},
        "source": {"frames": len(confidences), "sha256": "0" * 64, "notes": notes},
        "suggested_on_frame": suggested_on,
        "unreadable_frames": {},
        "model": {"name": "stand-in"},
        "device": "cpu",
        "notices": [],
        "seconds": {"network": 0.1},
        "outputs": sorted(contents),
        **request.stamp,
    }
    (folder / "run.json").write_text(json.dumps(record))


if __name__ == "__main__":
    worker.devices = lambda: ["cpu"]
    worker.run_case = run_case  # type: ignore[assignment]
    worker.main()
