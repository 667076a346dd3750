"""Start-up: how long the package takes to import, and a cold process to its first result, with the parts.

    python Testing/Benchmarks/speed/startup.py [--quick]

Cold means a new process; files that the system has cached stay cached.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from common import Spread, arguments, milliseconds, save

MODELS = ("bas_s_propagate", "stpfnet_light")
# libraries by the first part of a module's name; everything else is named "other"
LIBRARIES = {"torch", "monai", "numpy", "cv2", "slicer", "vtk", "vtkmodules", "pydicom", "UltrasoundLesionSegLib"}
LARGEST = 6  # how many libraries the table names
FIRST, SECOND = "first frame", "second frame"
CPU = "CPU time"  # of all threads to the second frame: what other programs took is not in it


def first_result(spawned: float, path: str, seed_path: str, model: str) -> None:
    """Do what a user's script does, up to two frames with results; prints the seconds of each part.

    Parameters
    ----------
    spawned : float
        ``time.time()`` when this process was asked for.
    """
    parts: dict[str, float] = {}

    def finished(part: str) -> None:
        parts[part] = time.time() - spawned - sum(parts.values())

    finished("Python")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

    logic = UltrasoundLesionWorkflow()
    finished("scene (slicer-core)")
    browser = logic.loadCine(path)
    finished("20 frames read into the scene")
    import numpy as np

    logic.setSeed(browser, np.load(seed_path), frame=0)
    finished("seed")
    import torch  # noqa: F401

    finished("torch")
    import UltrasoundLesionSegLib.workflow.propagation_job  # noqa: F401

    finished("engine, MONAI")
    load = logic._network

    def load_and_tell(*values: Any) -> Any:
        finished("job planned")
        network = load(*values)
        finished("model")
        return network

    setattr(logic, "_network", load_and_tell)  # noqa: B010
    steps = logic.propagateSteps(browser, model=model)
    next(steps)
    finished(FIRST)
    next(steps)
    finished(SECOND)
    print(json.dumps(parts | {CPU: time.process_time()}))


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a new process that finds these benchmarks' modules."""
    prepared = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\n{code}"
    return subprocess.run(
        [sys.executable, "-W", "ignore", *options, "-c", prepared], capture_output=True, text=True, check=True
    )


def import_times(code: str) -> dict[str, float]:
    """Return the seconds spent importing, by library (``-X importtime``), the largest first."""
    seconds: dict[str, float] = defaultdict(float)
    for own, module in re.findall(r"import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)", run(code, "-X", "importtime").stderr):
        library = module.split(".")[0]
        seconds[library if library in LIBRARIES else "other"] += int(own) / 1e6
    return dict(sorted(seconds.items(), key=lambda item: -item[1])[:LARGEST])


def main() -> None:
    """Measure and save."""
    from clips import dicom_clip

    options = arguments(__doc__)
    repeats = 2 if options.quick else 5
    path, _ = dicom_clip(20)
    imports = {"nothing": "pass", "UltrasoundLesionSegLib": "import UltrasoundLesionSegLib"}
    imports["the command line"] = "import UltrasoundLesionSegLib.cli.main"
    took: dict[str, list[float]] = {name: [] for name in imports}
    parts: dict[str, list[dict[str, float]]] = {model: [] for model in MODELS}
    for _ in range(repeats):
        for name, code in imports.items():
            took[name].append(milliseconds(partial(run, code)))
        for model in MODELS:
            parts[model].append(json.loads(run(first_result_code(path, model)).stdout.splitlines()[-1]))
    whole = {model: [sum(one.values()) - one[SECOND] - one[CPU] for one in runs] for model, runs in parts.items()}
    save(
        "startup",
        {
            "imports": {name: Spread.of(times) for name, times in took.items()},
            "first_result_s": {model: Spread.of(seconds) for model, seconds in whole.items()},
            "parts": parts,
            "libraries": import_times(first_result_code(path, MODELS[0])),
        },
    )


def first_result_code(path: Path, model: str) -> str:
    """Return the code of a process that ends after its first results."""
    values = f"{time.time()}, {str(path)!r}, {str(path.with_name('seed.npy'))!r}, {model!r}"
    return f"from startup import first_result\nfirst_result({values})"


if __name__ == "__main__":
    main()
