"""The recorded fuzz run: mutated inputs to every reader, in child processes, counted by outcome.

    .venv/bin/python Testing/Fuzz/run.py --cases 20000 --seed 1 --output fuzz-output

Each input must end in a result or in one of our errors, in bounded time and memory. What does not is kept in the output
folder: the files, what was done to them, and the traceback. Exit code 1 if there is any.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from fuzz_targets import TARGETS  # noqa: E402
from fuzz_worker import load_seeds, make_case, write_files  # noqa: E402
from seeds import ROOT, Seed, all_seeds  # noqa: E402

SHARES = {
    "cine": 56,
    "seed": 14,
    "dicom seed": 10,
    "dicom source": 4,
    "bundle": 8,
    "patient": 2,
    "manifest": 4,
    "scene": 2,
}
BATCH = 1000
HANG_SECONDS = 120.0  # of silence; the machine may be busy with other things


@dataclass
class Tally:
    """What came of a target's cases."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    by_seed: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    longest: float = 0.0
    grown_mb: int = 0
    findings: list[dict[str, Any]] = field(default_factory=list)

    def add(self, outcome: dict[str, Any]) -> None:
        self.cases += 1
        self.outcomes[outcome["outcome"]] += 1
        self.by_seed[outcome["seed"]][outcome["outcome"]] += 1
        self.longest = max(self.longest, outcome.get("cpu", 0.0))
        if outcome["outcome"] == "finding":
            self.findings.append(outcome)


def save_seeds(seeds: list[Seed], path: Path) -> None:
    stored = [
        asdict(seed) | {"files": {name: base64.b64encode(content).decode() for name, content in seed.files.items()}}
        for seed in seeds
    ]
    path.write_text(json.dumps(stored))


def run_batch(seeds: Path, target: str, seed: int, start: int, stop: int) -> Iterator[dict[str, Any]]:
    """Yield the outcomes of the cases from ``start``; the last one tells how the child died where it did."""
    command = [sys.executable, "-X", "faulthandler", str(HERE / "fuzz_worker.py"), str(seeds), target]
    command += ["--seed", str(seed), "--start", str(start), "--stop", str(stop)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment) as child,
        Watchdog(child) as watchdog,
    ):
        current = None
        assert child.stdout is not None
        for line in child.stdout:
            watchdog.restart()
            if line.startswith("case "):
                current = int(line.split()[1])
            elif line.startswith("{"):
                outcome = json.loads(line)
                current = None if outcome.get("case") == current else current
                yield outcome
        code = child.wait()
        said.seek(0)
        last_words = said.read()
        last_words = last_words[:3000] + last_words[3000:][-1000:]
    if code:
        died = f"dies of {signal.Signals(-code).name}" if code < 0 else f"exits with {code}"
        what = "hangs" if watchdog.has_bitten else died
        yield {"case": current, "outcome": "finding", "what": f"the process {what}", "traceback": last_words}


class Watchdog:
    """Kills a child that says nothing for too long."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.has_bitten = False
        self._child = child
        self._timer = threading.Timer(HANG_SECONDS, self._bite)

    def _bite(self) -> None:
        self.has_bitten = True
        self._child.kill()

    def restart(self) -> None:
        self._timer.cancel()
        self._timer = threading.Timer(HANG_SECONDS, self._bite)
        self._timer.start()

    def __enter__(self) -> Watchdog:
        self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


@dataclass
class Run:
    """A run over all targets.

    Parameters
    ----------
    seeds, output : Path
    seed : int
    processes : int
        Children at a time.
    log : text file
        Receives a line for each outcome.
    """

    seeds: Path
    output: Path
    seed: int
    processes: int
    log: TextIO

    def target(self, name: str, cases: range) -> Tally:
        """Run a target's cases."""
        tally = Tally()
        known = load_seeds(self.seeds, name)
        parts = [range(start, min(start + BATCH, cases.stop)) for start in range(cases.start, cases.stop, BATCH)]
        with ThreadPoolExecutor(self.processes) as pool:
            for outcomes in pool.map(lambda part: [*self._part(name, part, known)], parts):
                for outcome in outcomes:
                    if "grown_mb" in outcome:
                        tally.grown_mb = max(tally.grown_mb, outcome["grown_mb"])
                        continue
                    tally.add(outcome)
                    self.log.write(json.dumps({"target": name} | outcome) + "\n")
        return tally

    def _part(self, target: str, cases: range, known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the outcomes of some cases, going on with another child after the one that a case kills."""
        start = cases.start
        while start < cases.stop:
            reached = cases.stop
            for outcome in run_batch(self.seeds, target, self.seed, start, cases.stop):
                if "warm up" in outcome:
                    if outcome["warm up"]["outcome"] != "result":
                        raise SystemExit(f"the seed itself is not read: {outcome}")
                    continue
                if "seed" not in outcome and "grown_mb" not in outcome:  # the child died
                    if outcome["case"] is None:
                        raise SystemExit(f"a child failed between cases: {outcome}")
                    reached = outcome["case"] + 1
                    made, mutated = make_case(known, self.seed, target, outcome["case"])
                    outcome |= {"seed": made["name"], "operations": mutated.operations}
                if outcome.get("outcome") == "finding":
                    keep(known, self.seed, target, outcome, self.output)
                yield outcome
            start = reached


def keep(known: list[dict[str, Any]], seed: int, target: str, outcome: dict[str, Any], output: Path) -> None:
    """Write a finding's files and what is known of it into the output folder."""
    folder = output / "findings" / f"{target.replace(' ', '_')}-{outcome['case']}"
    _, mutated = make_case(known, seed, target, outcome["case"])
    write_files(folder / "files", mutated.files)
    (folder / "finding.json").write_text(json.dumps(outcome, indent=2))
    print(f"  {target} case {outcome['case']} ({outcome['seed']}): {outcome['what']}", flush=True)


def table(tallies: dict[str, Tally]) -> str:
    """Return the counts as a Markdown table."""
    lines = [
        "| target | inputs | results | results with another count, said so | with another count | refused | findings "
        "| longest, s of CPU | memory grown, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for target, tally in tallies.items():
        refused = sum(count for name, count in tally.outcomes.items() if name.startswith("refused"))
        said, unsaid = tally.outcomes["result, other count and said so"], tally.outcomes["result, other count"]
        results = sum(count for name, count in tally.outcomes.items() if name.startswith("result")) - said - unsaid
        lines.append(
            f"| {target} | {tally.cases} | {results} | {said} | {unsaid} | {refused} | {tally.outcomes['finding']} "
            f"| {tally.longest:.2f} | {tally.grown_mb} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=[*TARGETS], action="append")
    parser.add_argument("--processes", type=int, default=1, help="Child processes at a time.")
    parser.add_argument("--first", type=int, default=0, help="Number of the first case, to go on after another run.")
    parser.add_argument("--output", type=Path, default=Path("fuzz-output"))
    arguments = parser.parse_args()
    data = Path(os.environ.get("ULS_DATA", ROOT.parent / "shared" / "data")) / "cine"
    targets = arguments.target or [*TARGETS]
    arguments.output.mkdir(parents=True, exist_ok=True)
    seeds = arguments.output / "seeds.json"
    save_seeds(all_seeds(data if data.is_dir() else None, targets), seeds)
    total = sum(SHARES[target] for target in targets)
    started = time.perf_counter()
    tallies = {}
    with (arguments.output / "outcomes.jsonl").open("w", encoding="utf-8") as log:
        run = Run(seeds, arguments.output, arguments.seed, arguments.processes, log)
        for target in targets:
            count = -(-arguments.cases * SHARES[target] // total)
            cases = range(arguments.first, arguments.first + count)
            tallies[target] = run.target(target, cases)
            print(f"{target}: {dict(tallies[target].outcomes)} {time.perf_counter() - started:.0f} s", flush=True)
    (arguments.output / "table.md").write_text(table(tallies))
    print(table(tallies))
    return int(any(tally.outcomes["finding"] for tally in tallies.values()))


if __name__ == "__main__":
    raise SystemExit(main())
