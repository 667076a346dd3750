"""Interrupts ``segment`` (Ctrl+C) at many moments and counts how it ends.

    python Testing/Drills/interrupts.py --moments 40 --seconds 6

A run that ends rightly exits with 130, says one sentence, and leaves no half-written folder; one that is through before
the interrupt exits with 0 and has its whole result. Python's own start, before this program runs, is measured first
and left out: an interrupt there is Python's to answer.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

COMMAND = [sys.executable, "-m", "UltrasoundLesionSegLib.cli.start"]


@dataclass(frozen=True)
class End:
    """How an interrupted run ended.

    Parameters
    ----------
    code : int
        Exit code; negative for a signal.
    said : str
        Standard error.
    left : tuple of str
        Names of what lies beside where the result belongs, and of the result itself.
    is_whole : bool
        Whether the result is there with all its files.
    """

    code: int
    said: str
    left: tuple[str, ...]
    is_whole: bool

    @property
    def kind(self) -> str:
        """'stopped', 'done', or what is wrong."""
        sentences = [line for line in self.said.splitlines() if line.strip() and "frames/s" not in line]
        if self.code == 130 and len(sentences) == 1 and sentences[0].startswith("stopped"):
            return "stopped" if not self.left or self.is_whole else f"stopped, but left {self.left}"
        if self.code == 0 and self.is_whole and self.left == ("out",):
            return "done"
        return f"exit {self.code}: {sentences[-1] if sentences else 'nothing said'}"


def interrupt(arguments: list[str], folder: Path, seconds: float) -> End:
    """Start the command with ``--output folder/out`` and interrupt it after some seconds.

    Parameters
    ----------
    arguments : list of str
    folder : Path
        Empty or absent.
    seconds : float
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [*COMMAND, *arguments, "--output", str(folder / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    left = tuple(sorted(path.name for path in folder.iterdir()))
    return End(process.returncode, said, left, _is_whole(folder / "out"))


def _is_whole(folder: Path) -> bool:
    try:
        record = json.loads((folder / "run.json").read_text())
    except OSError:
        return False
    return all((folder / name).is_file() for name in record["outputs"])


def python_starts() -> float:
    """Return how long Python takes to start here, with a margin, in s."""
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import re, runpy, signal"], check=True)
        seconds.append(time.perf_counter() - began)
    return 2 * max(seconds)


def main() -> None:
    """Run the drill; exits with 1 when a run ended wrongly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=6.0, help="the last moment")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        cine = Path(place) / "cine"
        subprocess.run([*COMMAND, "simulate", "--frames", "12", "--output", str(cine)], check=True, capture_output=True)
        arguments = ["segment", str(cine / "cine.dcm"), "--seed", f"{cine / 'truth' / '00003.png'}@3", "--also", "sr"]
        first = python_starts()
        step = (chosen.seconds - first) / max(chosen.moments - 1, 1)
        print(f"{chosen.moments} interrupts, from {first:.2f} s (Python has started) to {chosen.seconds:.2f} s")
        kinds: Counter[str] = Counter()
        for number in range(chosen.moments):
            moment = first + number * step
            end = interrupt(arguments, Path(place) / f"run{number}", moment)
            kinds[end.kind] += 1
            if end.kind not in ("stopped", "done"):
                print(f"after {moment:.2f} s: {end.kind}")
    for kind, count in kinds.most_common():
        print(f"{count:4d}  {kind}")
    sys.exit(0 if set(kinds) <= {"stopped", "done"} else 1)


if __name__ == "__main__":
    main()
