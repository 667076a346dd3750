"""What goes wrong around a batch: full and read-only disks, a second batch, workers that hang or die, a lost machine.

    .venv/bin/python Testing/Drills/faults.py        (as root on Linux: the disks are small ones in memory)

Every drill is a batch over four simulated cines with the shipped weights. It prints what the batch said and how it
exited, checks that no case is there half, runs the batch again with the fault gone, and compares masks and tables with
an undisturbed run byte for byte. Exits with 1 when something is not as it must be.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from drill_folder import drill_folder
from kills import content, fault_of, make_cines

CASES = 4
NAMES = [f"case-{number + 1:04d}" for number in range(CASES)]
COMMAND = [sys.executable, "-c", "from UltrasoundLesionSegLib.cli.main import main; main()", "batch"]


class Faults:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cines = folder / "cines"
        self.bad = 0
        make_cines(self.cines, CASES, 4)
        code, _ = self.run(folder / "reference")
        self.expect(code == 0, f"undisturbed: exit code {code}")
        self.reference = {name: content(folder / "reference" / "cases" / name) for name in NAMES}

    def expect(self, is_so: bool, sentence: str) -> None:
        self.bad += not is_so
        print(f"{'ok ' if is_so else 'BAD'} {sentence}", flush=True)

    def start(self, output: Path, *options: str) -> subprocess.Popen[str]:
        command = [*COMMAND, str(self.cines), "--output", str(output), "--device", "cpu", *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, output: Path, *options: str) -> tuple[int, list[str]]:
        return self.end(self.start(output, *options))

    @staticmethod
    def end(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
        """Exit code, and the different sentences after 'error: '."""
        _, said = process.communicate()
        sentences = (line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: "))
        return process.returncode, sorted({line.split(": ", 1)[-1] for line in sentences})

    def whole(self, output: Path) -> list[str]:
        """Names of the cases that are there, each of which must be whole and equal to the reference."""
        there = [name for name in NAMES if (output / "cases" / name).exists()]
        faults = {name: fault for name in there if (fault := fault_of(output / "cases" / name, [self.reference[name]]))}
        self.expect(not faults, f"{len(there)} of {CASES} cases are there, whole and as without the fault")
        return there

    def again(self, output: Path, *options: str) -> None:
        code, _ = self.run(output, *options)
        self.expect(code == 0 and len(self.whole(output)) == CASES, f"started again: exit code {code}")

    def after_the_first_case(self, process: subprocess.Popen[str], output: Path, do: Callable[[], None]) -> None:
        while process.poll() is None and not list(output.glob("cases/*")):
            time.sleep(0.02)
        do()

    def disk_full(self) -> None:
        case = sum(path.stat().st_size for path in (self.folder / "reference/cases" / NAMES[0]).rglob("*.*"))
        with small_disk(self.folder / "small", f"{int(2.5 * case / 1024)}k") as disk:
            code, said = self.run(disk / "out")
            self.expect(code in (1, 2) and any("No space left" in one for one in said), f"exit code {code}: {said}")
            self.whole(disk / "out")
            subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
            self.again(disk / "out")

    def read_only(self) -> None:
        with small_disk(self.folder / "read-only", "200m") as disk:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            code, said = self.run(disk / "out")
            self.expect(code == 2 and len(said) == 1, f"exit code {code}: {said}")
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            self.again(disk / "out")

    def two_batches(self) -> None:
        output = self.folder / "two"
        first = self.start(output)
        while not (output / ".batch" / "lock").exists():
            time.sleep(0.02)
        code, said = self.run(output)
        self.expect(code == 2 and "in use by another batch" in said[0], f"the second: exit code {code}: {said}")
        code, said = self.end(first)
        self.expect(code == 0, f"the first: exit code {code}")
        self.whole(output)

    def hanging_worker(self) -> None:
        output = self.folder / "hanging"
        process = self.start(output, "--processes", "1", "--time-limit", "60")
        self.after_the_first_case(process, output, lambda: os.kill(worker_of(process), signal.SIGSTOP))
        code, said = self.end(process)
        self.expect(code == 1 and any("time limit" in one for one in said), f"exit code {code}: {said}")
        self.expect(len(self.whole(output)) == CASES - 1, "the others went on")
        self.again(output)

    def killed_worker(self) -> None:
        output = self.folder / "killed"
        process = self.start(output, "--processes", "1")
        self.after_the_first_case(process, output, lambda: os.kill(worker_of(process), signal.SIGKILL))
        code, said = self.end(process)
        self.expect(code == 1 and any("killed from outside" in one for one in said), f"exit code {code}: {said}")
        self.expect(len(self.whole(output)) == CASES - 1, "the others went on")
        self.again(output)

    def cluster(self) -> None:
        from distributed import Client, LocalCluster

        output = self.folder / "cluster"
        options = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
        with LocalCluster(processes=True, **options) as cluster, Client(cluster) as client:
            process = self.start(output, "--scheduler", cluster.scheduler_address)
            workers = list(client.run(os.getpid).values())
            self.after_the_first_case(process, output, lambda: os.kill(workers[0], signal.SIGKILL))
            code, said = self.end(process)
        self.expect(code == 0, f"three Dask workers, one killed after the first case: exit code {code}: {said}")
        self.expect(len(self.whole(output)) == CASES, "nothing is missing")


def worker_of(process: subprocess.Popen[str]) -> int:
    (worker,) = psutil.Process(process.pid).children()
    return worker.pid


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def main() -> None:
    drills = ("disk_full", "read_only", "two_batches", "hanging_worker", "killed_worker", "cluster")
    parser = argparse.ArgumentParser()
    parser.add_argument("drills", nargs="*", default=drills, help=f"of {', '.join(drills)}")
    parser.add_argument("--folder", type=Path, default=Path("faults-drill"), help="emptied when a drill made it")
    arguments = parser.parse_args()
    faults = Faults(drill_folder(arguments.folder))
    for drill in arguments.drills:
        print(f"--- {drill}", flush=True)
        getattr(faults, drill)()
    sys.exit(faults.bad > 0)


if __name__ == "__main__":
    main()
