"""A batch killed before each of its changes to the disk in turn: before the first, before the second, and so on.

    .venv/bin/python Testing/Drills/steps.py

A batch of two cases replaces finished results by those of other settings (workers stand in, so that it takes no time).
Its n-th call of mkdir, rename, replace, unlink, rmdir or fsync is a kill of itself instead, for every n there is. After
each kill, every case must have one whole result, the earlier or the new one; then the batch is run again and must end
with the new ones and nothing else in its folders. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import collections
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from drill_folder import drill_folder
from kill_at_step import KILL
from kills import BATCH, STAND_IN, content, fault_of, make_stand_ins

CASES = 2
NAMES = [f"case-{number + 1:04d}" for number in range(CASES)]


def run(cines: Path, output: Path, direction: str, step: int = 0) -> int:
    stand_in = f"child.worker_command = lambda: [sys.executable, {str(STAND_IN)!r}]\n"
    code = f"{BATCH}{stand_in}{KILL.format(step=step)}sys.argv[0] = 'batch'; main()"
    options = ["--direction", direction, "--processes", "1", "--device", "cpu"]
    command = [sys.executable, "-c", code, "batch", str(cines), "--output", str(output), *options]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def results(output: Path) -> dict[str, Path]:
    """Return where each case's result is: in place, or beside, in the moment between two renames."""
    places = {name: [output / "cases" / name, output / ".batch" / "old" / name] for name in NAMES}
    return {name: place for name, two in places.items() for place in reversed(two) if place.exists()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("steps-drill"), help="emptied when a drill made it")
    folder = drill_folder(parser.parse_args().folder)
    make_stand_ins(folder / "cines", CASES)
    cines = folder / "cines" / "cases.csv"
    wanted = {}
    for direction in ("both", "forward"):
        if run(cines, folder / direction, direction) != 0:
            sys.exit("the undisturbed run failed")
        wanted[direction] = {name: content(folder / direction / "cases" / name) for name in NAMES}
    counts: collections.Counter[str] = collections.Counter()
    output = folder / "output"
    while True:
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(folder / "both", output)
        if run(cines, output, "forward", counts["kills"] + 1) != -signal.SIGKILL:
            break
        counts["kills"] += 1
        found = results(output)
        counts["lost"] += CASES - len(found)
        for name, place in found.items():
            either = [wanted[direction][name] for direction in wanted]
            counts["half-written or different"] += bool(fault_of(place, either))
            counts["found between two renames"] += place.parent.name == "old"
        counts["runs afterwards that failed"] += run(cines, output, "forward") != 0
        there = {name: content(output / "cases" / name) for name in NAMES}
        counts["results afterwards that are not the new ones"] += there != wanted["forward"]
        hidden = [*(output / ".batch" / "old").iterdir(), *(output / ".batch").glob("work/*")]
        counts["left-overs"] += len(hidden) + len(list(output.rglob(".*.part*")))
    for what, count in counts.items():
        print(f"{what}: {count}")
    sys.exit(any(count for what, count in counts.items() if what not in ("kills", "found between two renames")))


if __name__ == "__main__":
    main()
