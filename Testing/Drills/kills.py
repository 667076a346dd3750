"""A batch killed at random moments, again and again: nothing lost, nothing half-written, results as without kills.

    .venv/bin/python Testing/Drills/kills.py --kills 200
    .venv/bin/python Testing/Drills/kills.py --kills 1000 --stand-in

Simulates tiny cines, runs a batch over them undisturbed (once forward, once in both directions), then runs it again and
again in one output folder, each time killed (SIGKILL) at a random moment: by turns the batch's process group, as a job
scheduler does, and every process at once, as a loss of power does. A quarter of the moments is anywhere in a run, the
rest after its first case has begun, because starting takes longer than a tiny case. Whenever a run is through, the
direction changes, so that the next runs replace finished results; every fourth time the folder is emptied instead.
With ``--stand-in`` the workers are real processes that write small files instead of segmenting: many more kills meet
the moments when results are written, checked and put in place.

After every kill: each case's folder that is there must be complete and byte for byte one of the two references'
(masks, tables), scenes and SEG must open, and a case that had a result must still have one. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil
import pydicom
from drill_folder import drill_folder

BATCH = "import sys; from UltrasoundLesionSegLib.batch import child; from UltrasoundLesionSegLib.cli.main import main\n"
STAND_IN = Path(__file__).parents[1] / "Python" / "batch" / "stand_in_worker.py"
DIRECTIONS = ("both", "forward")
COMPARED = ("measurements.csv", "lesions.csv")


def make_stand_ins(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    rows = [f"{number}.txt,0.txt" for number in range(count)]
    (folder / "cases.csv").write_text("\n".join(["source,seed", *rows]))
    for number in range(count):
        (folder / f"{number}.txt").write_text(" ".join(f"0.{number}{frame:02d}" for frame in range(20)))


def make_cines(folder: Path, count: int, frames: int) -> None:
    from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
    from UltrasoundLesionSegLib.simulation.write import write_simulation

    folder.mkdir(parents=True)
    for number in range(count):
        settings = SimulationSettings(seed=number + 1, frames=frames, height=96, width=96)
        made = folder.parent / "made" / str(number)
        cine = write_simulation(simulate_cine(settings), made, "dicom")
        cine.rename(folder / f"clip{number}.dcm")
        # seeded in the middle, so that the two directions give different results
        (made / "truth" / f"{frames // 2:05d}.png").rename(folder / f"clip{number}.seed.{frames // 2}.png")


def content(case: Path) -> dict[str, bytes]:
    """Return what must not depend on how often a case was begun: masks and tables."""
    files = [*case.glob("masks/*.png"), *(case / name for name in COMPARED)]
    return {path.relative_to(case).as_posix(): path.read_bytes() for path in files}


def fault_of(case: Path, references: list[dict[str, bytes]]) -> str:
    """Say what is wrong with a case's folder, '' when it is a whole result."""
    try:
        record = json.loads((case / "run.json").read_text())
        missing = [name for name in record["outputs"] if not (case / name).is_file()]
        if missing:
            return f"{len(missing)} files missing"
        if "scene.mrb" in record["outputs"]:
            if zipfile.ZipFile(case / "scene.mrb").testzip() is not None:
                return "damaged scene"
            pydicom.dcmread(case / "segmentation.dcm")
            if not (case / "report.html").read_text().endswith("</html>\n"):
                return "cut report"
        return "" if content(case) in references else "another result"
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        return type(error).__name__


class Drill:
    def __init__(self, arguments: argparse.Namespace) -> None:
        folder, cases = drill_folder(arguments.folder), arguments.cases
        self.random = random.Random(arguments.seed)
        self.cines, self.output = folder / "cines", folder / "output"
        self.code, self.processes = BATCH, arguments.processes
        if arguments.stand_in:
            self.code += f"child.worker_command = lambda: [sys.executable, {str(STAND_IN)!r}]\n"
            make_stand_ins(self.cines, cases)
            self.cines /= "cases.csv"
        else:
            make_cines(self.cines, cases, arguments.frames)
        self.names = [f"case-{number + 1:04d}" for number in range(cases)]
        self.references: dict[str, dict[str, dict[str, bytes]]] = {}
        for direction in DIRECTIONS:
            began = time.monotonic()
            process = self.start(folder / direction, direction)
            self.wait_for_first_case(process, folder / direction, set())
            self.seconds_to_first_case = time.monotonic() - began
            if process.wait() != 0:
                sys.exit("the undisturbed run failed")
            self.seconds = time.monotonic() - began
            cases_folder = folder / direction / "cases"
            self.references[direction] = {name: content(cases_folder / name) for name in self.names}
        differ = sum(self.references["both"][name] != self.references["forward"][name] for name in self.names)
        print(
            f"undisturbed: {self.seconds:.1f} s for {cases} cases, the first began after "
            f"{self.seconds_to_first_case:.1f} s; {differ} differ between directions",
            flush=True,
        )
        self.had: set[str] = set()
        self.counts: collections.Counter[str] = collections.Counter()

    def run(self, kills: int, minutes: float) -> None:
        direction, end = 0, time.monotonic() + 60 * minutes
        while self.counts["kills"] < kills and time.monotonic() < end:
            logs = set(self.output.glob("logs/*"))
            process = self.start(self.output, DIRECTIONS[direction])
            span = self.seconds
            if self.random.random() > 0.25:
                self.wait_for_first_case(process, self.output, logs)
                span -= self.seconds_to_first_case
            moment = time.monotonic() + self.random.uniform(0, span)
            while process.poll() is None and time.monotonic() < moment:
                time.sleep(0.01)
            if process.poll() is None:
                self.kill(process)
                self.check(list(DIRECTIONS), after_kill=True)
                if self.counts["kills"] % 20 == 0:
                    print(dict(self.counts), flush=True)
                continue
            self.counts["runs that ended by themselves"] += 1
            self.counts["of them with another exit code than 0"] += process.returncode != 0
            self.check([DIRECTIONS[direction]], after_kill=False)
            direction = 1 - direction
            if self.counts["runs that ended by themselves"] % 4 == 0:
                shutil.rmtree(self.output)
                self.had.clear()
        self.counts["of them with another exit code than 0"] += (
            self.start(self.output, DIRECTIONS[direction]).wait() != 0
        )
        self.check([DIRECTIONS[direction]], after_kill=False)

    def start(self, output: Path, direction: str) -> subprocess.Popen[bytes]:
        code = f"{self.code}sys.argv[0] = 'batch'; main()"
        options = ["--direction", direction, "--processes", str(self.processes), "--device", "cpu"]
        command = [sys.executable, "-c", code, "batch", str(self.cines), "--output", str(output), *options]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)

    @staticmethod
    def wait_for_first_case(process: subprocess.Popen[bytes], output: Path, earlier_logs: set[Path]) -> None:
        while process.poll() is None:
            new = set(output.glob("logs/*")) - earlier_logs
            if any(" started\n" in log.read_text() for log in new):
                return
            time.sleep(0.01)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        everything = self.counts["kills"] % 2 == 1
        children = psutil.Process(process.pid).children(recursive=True) if everything else []
        os.killpg(process.pid, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait()
        self.counts["kills"] += 1
        self.counts["kills of every process at once" if everything else "kills of the process group"] += 1
        self.counts["kills with a worker at work"] += any((self.output / ".batch" / "work").glob("*/*"))

    def check(self, directions: list[str], after_kill: bool) -> None:
        for name in self.names:
            allowed = [self.references[direction][name] for direction in directions]
            # between the two renames that replace a result the earlier one waits beside; the next start puts it back
            places = [self.output / "cases" / name, self.output / ".batch" / "old" / name]
            case = next((place for place in places if place.exists()), None)
            if case is None:
                self.counts["lost"] += name in self.had
                self.counts["missing at the end"] += not after_kill
                continue
            if fault := fault_of(case, allowed):
                self.counts["half-written or different"] += 1
                print(f"{name}: {fault}", flush=True)
            self.had.add(name)
            self.counts["results checked"] += 1
            self.counts["results found between two renames"] += case == places[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=1000, help="end after this time with fewer kills")
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--stand-in", action="store_true")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("kills-drill"), help="emptied when a drill made it")
    arguments = parser.parse_args()
    drill = Drill(arguments)
    drill.run(arguments.kills, arguments.minutes)
    bad = ("lost", "half-written or different", "missing at the end", "of them with another exit code than 0")
    for what in (*(one for one in drill.counts if one not in bad), *bad):
        print(f"{what}: {drill.counts[what]}")
    sys.exit(any(drill.counts[what] for what in bad))


if __name__ == "__main__":
    main()
