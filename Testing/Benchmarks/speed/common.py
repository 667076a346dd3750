"""What the speed benchmarks share: fair timing, a busy machine on purpose, results as JSON, the machine in words."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "build" / "speed"  # one JSON a part; report.py joins them
PACKAGES = ("torch", "monai", "numpy", "opencv-python-headless", "openvino", "slicer-core", "sam2")


@dataclass(frozen=True)
class Spread:
    """Times of one variant in ms: the median, and the quartiles around it."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, times: Sequence[float]) -> Spread:
        """Summarise times in ms; at least one."""
        if len(times) < 2:
            return cls(times[0], times[0], times[0], len(times))
        low, median, high = statistics.quantiles(times, n=4, method="inclusive")
        return cls(median, low, high, len(times))


def interleaved(
    variants: Mapping[str, Callable[[], Sequence[float]]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Give the variants turns, so that what else happens on the machine hits all of them alike.

    Parameters
    ----------
    variants : mapping of str to callable
        Each call does some of the work and returns its times in ms.
    rounds : int
        Every round starts with another variant.
    warm_up : int
        Rounds that are not counted.
    """
    names = list(variants)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(warm_up + rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            taken = variants[name]()
            if turn >= warm_up:
                times[name] += taken
    return times


def milliseconds(action: Callable[[], object]) -> float:
    """Time one call in ms."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def timed_steps(steps: Iterator[Any]) -> Callable[[], list[float]]:
    """Return a call that takes the next step and returns its time in ms."""
    return lambda: [milliseconds(lambda: next(steps))]


@contextmanager
def busy_machine() -> Iterator[None]:
    """Keep every core busy from another process, as rendering or another program does."""
    spin = "import os\nfor _ in range(os.cpu_count() - 1):\n    if os.fork() == 0: break\nwhile True: pass"
    # a session of its own: the scheduler shares the cores between sessions as between unrelated programs
    process = subprocess.Popen([sys.executable, "-c", spin], start_new_session=True)
    time.sleep(0.5)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in MB; where the system does not say, of what ran it too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> dict[str, Any]:
    """Describe where and with what this ran, and how many cores other programs were using just before."""
    import psutil

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    cores = os.cpu_count() or 1
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "cores_used_by_others": round(psutil.cpu_percent(interval=1.0) / 100 * cores, 1),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor() or platform.machine()
    text = information.read_text()
    name = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "unknown")
    vectors = "AVX-512" if "avx512f" in text else "AVX2" if "avx2" in text else "no AVX2"
    return f"{name} ({vectors})"


def save(part: str, found: Mapping[str, Any]) -> None:
    """Write a part's results for report.py."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    target = RESULTS / f"{part}.json"
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps({"machine": machine(), **found}, indent=1, default=asdict), encoding="utf-8")
    os.replace(partial, target)


def load(part: str) -> dict[str, Any] | None:
    """Read a part's results; None where it has not run."""
    source = RESULTS / f"{part}.json"
    return json.loads(source.read_text(encoding="utf-8")) if source.exists() else None


def arguments(description: str | None) -> argparse.Namespace:
    """Parse the options that every part has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repeats, small input: to see that it runs")
    return parser.parse_args()
