"""The child process that meets the mutated inputs: bounded in memory, killed by its parent when it takes too long.

Started by ``run.py``; prints a line before each case and a JSON line with its outcome after it.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_targets import PLANTED, TARGETS, Finding, check_text
from mutators import Mutated, mutate

MEMORY_FOR_ONE_INPUT = 2 * 2**30
LARGEST_FILE = 2 * 2**30
SLOW_SECONDS = 5.0


class Overheard(logging.Handler):
    """Listens to what is logged and warned, which must not quote a file."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        warnings.showwarning = lambda message, *_, **__: self.texts.append(str(message))

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    def check(self, folder: Path) -> None:
        texts, self.texts = self.texts, []
        for text in texts:
            if str(folder) in text or any(name in text for name in PLANTED):
                raise Finding(f"a log record or warning quotes its file: {text[:200]!r}")


def load_seeds(path: Path, target: str) -> list[dict[str, Any]]:
    seeds = [one for one in json.loads(path.read_text()) if one["target"] == target]
    for one in seeds:
        one["files"] = {name: base64.b64decode(content) for name, content in one["files"].items()}
    return seeds


def make_case(seeds: list[dict[str, Any]], run_seed: int, target: str, case: int) -> tuple[dict[str, Any], Mutated]:
    """Return the seed and the mutated files of a case: the same for the same numbers."""
    rng = np.random.default_rng([run_seed, [*TARGETS].index(target), case])
    weights = np.array([one["weight"] for one in seeds])
    seed = seeds[int(rng.choice(len(seeds), p=weights / weights.sum()))]
    others = [next(iter(one["files"].values())) for one in seeds]
    kept = {name: content for name, content in seed["files"].items() if name != "cine.dcm"}
    mutated = mutate(kept, others, rng)
    return seed, Mutated(
        mutated.files | {n: c for n, c in seed["files"].items() if n == "cine.dcm"}, mutated.operations
    )


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def judge(target: str, path: Path, frames: int | None, overheard: Overheard) -> dict[str, Any]:
    """Open one input and say what came of it."""
    from UltrasoundLesionSegLib.errors import LesionSegError

    started, cpu = time.perf_counter(), time.process_time()
    outcome: dict[str, Any]
    try:
        try:
            outcome = {"outcome": TARGETS[target](path, frames)}
        except LesionSegError as error:
            check_text(str(error), path.parent)
            outcome = {"outcome": f"refused, {type(error).__name__}", "message": str(error)}
        overheard.check(path.parent)
    except Finding as finding:
        outcome = {"outcome": "finding", "what": str(finding)}
    except BaseException as error:
        lines = traceback.format_exc()
        outcome = {"outcome": "finding", "what": f"{type(error).__name__} is raised", "traceback": lines[-4000:]}
    outcome["seconds"] = round(time.perf_counter() - started, 3)
    outcome["cpu"] = round(time.process_time() - cpu, 3)
    if outcome["cpu"] > SLOW_SECONDS and outcome["outcome"] != "finding":
        outcome |= {"outcome": "finding", "what": f"takes {outcome['cpu']} s of the processor"}
    return outcome


def limit_memory() -> None:
    """Allow this process the memory it has and what one input may need; a larger want raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_FOR_ONE_INPUT
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", type=Path)
    parser.add_argument("target", choices=[*TARGETS])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--start", type=int, required=True)
    parser.add_argument("--stop", type=int, required=True)
    arguments = parser.parse_args()
    seeds = load_seeds(arguments.seeds, arguments.target)
    overheard = Overheard()
    logging.getLogger().addHandler(overheard)
    warm_up = {**seeds[0], "files": seeds[0]["files"]}
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "case"
        write_files(folder, warm_up["files"])
        first = judge(arguments.target, folder / warm_up["opened"], warm_up["frames"], overheard)
        print(json.dumps({"warm up": first}), flush=True)
        limit_memory()
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for case in range(arguments.start, arguments.stop):
            shutil.rmtree(folder, ignore_errors=True)
            print(f"case {case}", flush=True)
            seed, mutated = make_case(seeds, arguments.seed, arguments.target, case)
            folder.mkdir()
            write_files(folder, mutated.files)
            outcome = judge(arguments.target, folder / seed["opened"], seed["frames"], overheard)
            outcome |= {"case": case, "seed": seed["name"], "operations": mutated.operations}
            print(json.dumps(outcome), flush=True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
    print(json.dumps({"grown_mb": round(grown / 1024)}), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main()
