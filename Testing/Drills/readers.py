"""Readers' work under kills: a reader killed while storing, at random and before every change to the disk; two at once.

    .venv/bin/python Testing/Drills/readers.py --kills 50

1. A process stores one state of a reader's work after the other, in turns done, propagated and drawn on since, and is
   killed (SIGKILL) at a random moment, again and again. After each kill the disk must hold the state that was last
   acknowledged or the one after it, whole: record, label images, masks of all frames.
2. The n-th call of mkdir, rename, replace, link, unlink, rmdir or fsync of a store is a kill instead, for every n there
   is.
3. Two processes with one reader's code, and one with another's, add anchors to the same cases as fast as they can.
   Every second one of them is stopped (SIGSTOP) and all signs of life are made 15 minutes old, so that cases are taken
   over. Every anchor that was acknowledged must be in its case, and one that came after the case had been taken over in
   the reader's folder ``.aside``.

Exits with 1 otherwise. After a kill the hold on the case is made six seconds older instead of waiting for them.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from drill_folder import drill_folder
from kill_at_step import KILL

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.errors import HeldError, LesionSegError
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ResultNote, ReviewState, SourceNote
from UltrasoundLesionSegLib.reader_work.results import CaseMasks
from UltrasoundLesionSegLib.reader_work.store import CaseWork, ReviewFolder
from UltrasoundLesionSegLib.reader_work.work import Work

SOURCE = SourceNote("0" * 64, 400, 64, 96)
MADE = (10, 11, 12)  # frames that a model made
CASES = [f"case-{number:04d}" for number in range(4)]


def mask_of(number: int) -> np.ndarray:
    """A mask that tells its number."""
    mask = np.zeros(SOURCE.shape, bool)
    mask.ravel()[:20] = [number >> bit & 1 for bit in range(20)]
    mask[20:40, 30:50] = True
    return mask


def number_of(mask: np.ndarray) -> int:
    return sum(int(on) << bit for bit, on in enumerate(mask.ravel()[:20]))


def computed(number: int) -> CaseMasks:
    """Masks that a model made on three frames; they tell their number."""
    is_made = [frame in MADE for frame in range(SOURCE.frames)]
    origins = {"Lesion": [Origin.MODEL if made else None for made in is_made]}
    confidences = {"Lesion": np.where(is_made, 0.9, np.nan)}
    return CaseMasks(
        SOURCE, ("Lesion",), lambda frame: mask_of(number)[None] if is_made[frame] else None, origins, confidences
    )


def state(number: int, kept: ResultNote | None) -> Work:
    """The reader's work number n: some frames drawn; by turns done, propagated, and drawn on after that."""
    anchors = [ReaderAnchor(frame, "Lesion", mask_of(number), How.DRAWN) for frame in range(1 + number % 5)]
    work = Work(SOURCE, anchors, comment=str(number), seconds=number)
    if number % 3 == 2:
        return replace(work, kept=kept)
    done = ReviewState.DONE if number % 3 == 0 else ReviewState.IN_WORK
    return replace(work, state=done, result=computed(number).with_anchors(anchors))


def store_states(output: Path, first: int, last: int, step: int = 0) -> None:
    """Be a reader: store state after state, say so after each; with ``step``, end before that change to the disk."""
    work = ReviewFolder(output).work("A", CASES[0])
    with work.hold() as hold:
        if step:
            exec(KILL.format(step=step), {})
        record = work.record()
        for number in range(first, last):
            record = work.store(hold, state(number, record.result if record else None))
            print(number, flush=True)


def fault_of(work: CaseWork, allowed: set[int]) -> str:
    """Say what is wrong with the work on the disk, '' when it is one of the allowed states, whole."""
    try:
        record, anchors, result = work.record(), work.anchors(), work.result()
        number = int(record.comment) if record else -1
        if number not in allowed:
            return f"state {number}, not one of {sorted(allowed)}"
        if number < 0:
            return ""
        if [one.frame for one in anchors] != list(range(1 + number % 5)):
            return "other frames"
        if any(number_of(one.mask) != number for one in anchors):
            return "other pixels"
        if result is None:
            return "no masks of all frames"
        made_by = number - (number % 3 == 2)  # the propagation before the drawing
        wanted = dict.fromkeys(range(len(anchors)), number) | dict.fromkeys(MADE, made_by)
        masks = {frame: mask for frame in range(max(MADE) + 5) if (mask := result.masks(frame)) is not None}
        if masks.keys() != wanted.keys():
            return "masks on other frames"
        if any(number_of(mask[0]) != wanted[frame] for frame, mask in masks.items()):
            return "other pixels of masks"
    except LesionSegError as error:
        return str(error)
    return ""


def older(output: Path, seconds: float) -> None:
    """Make the last sign of life of whoever holds a case older than it is."""
    for hold in output.glob("review/*/*/hold.json"):
        try:
            then = hold.stat().st_mtime - seconds
            os.utime(hold, (then, then))
        except FileNotFoundError:
            continue


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_at_random(output: Path, kills: int, counts: collections.Counter[str]) -> None:
    work, last = ReviewFolder(output).work("A", CASES[0]), -1
    for _ in range(kills):
        older(output, 6)
        process = start("--be-reader", output, last + 1, 10**6)
        assert process.stdout is not None
        line = process.stdout.readline()
        time.sleep(random.uniform(0, 0.3))
        process.kill()
        lines = [line, *process.stdout.read().splitlines()]
        process.wait()
        acknowledged = max([last, *(int(one) for one in lines if one.strip())])
        counts["kills at random moments"] += 1
        counts["states stored before them"] += acknowledged - last
        if fault := fault_of(work, {acknowledged, acknowledged + 1}):
            counts["FAULTS after kills at random moments"] += 1
            print(fault, flush=True)
        record = work.record()
        last = int(record.comment) if record else -1
        counts["kills after which the newer of two states was there"] += last > acknowledged


def kill_at_every_step(output: Path, counts: collections.Counter[str]) -> None:
    work = ReviewFolder(output).work("A", CASES[0])
    first = int(work.record().comment) + 1  # type: ignore[union-attr]
    first += (2 - first) % 3  # so that a drawn state, a done and a propagated one are stored
    older(output, 6)
    start("--be-reader", output, first - 1, first).wait()
    for step in range(1, 1000):
        older(output, 6)
        process = start("--be-reader", output, first, first + 3, step)
        lines, code = process.communicate()[0].split(), process.returncode
        acknowledged = max([first - 1, *map(int, lines)])
        if code == 0:
            break
        if code != -signal.SIGKILL:
            sys.exit(f"the reader ended with code {code}")
        counts["kills before every change to the disk"] += 1
        if fault := fault_of(work, {acknowledged, acknowledged + 1}):
            counts["FAULTS after kills before a change to the disk"] += 1
            print(f"step {step}: {fault}", flush=True)
        older(output, 6)
        start("--be-reader", output, first - 1, first).wait()  # put back
        left_over = [path for path in work.folder.rglob("*") if ".part" in path.name]
        counts["left-overs after the next store"] += len(left_over)


def add_anchors(output: Path, reader: str, code: int, seconds: float) -> None:
    """Be a reader who adds one anchor after the other to cases that nobody else has; says what became of each."""
    folder, chooser, end = ReviewFolder(output), random.Random(code), time.monotonic() + seconds
    while time.monotonic() < end:
        case = chooser.choice(CASES)
        work = folder.work(reader, case)
        try:
            with work.hold() as hold:
                for _ in range(3):
                    anchors = work.anchors()
                    frame = len(anchors)
                    if frame == SOURCE.frames:
                        return
                    code += 4
                    try:
                        new = ReaderAnchor(frame, "Lesion", mask_of(code), How.DRAWN)
                        work.store(hold, Work(SOURCE, [*anchors, new]))
                        print("stored", case, code, flush=True)
                    except HeldError:
                        print("aside", case, code, flush=True)
                        break
        except HeldError:
            print("held", case, 0, flush=True)
        time.sleep(chooser.uniform(0, 0.02))


def codes_in(folders: Iterator[Path], reader: str) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {case: set() for case in CASES}
    for folder in folders:
        case = folder.name[: len(CASES[0])]
        found[case] |= {number_of(one.mask) for one in CaseWork(folder, reader, case).anchors()}
    return found


def two_at_once(output: Path, seconds: float, counts: collections.Counter[str]) -> None:
    readers = ["A", "A", "B"]
    processes = [start("--add", output, reader, code, seconds) for code, reader in enumerate(readers)]
    time.sleep(3)
    while all(process.poll() is None for process in processes):
        stopped = random.choice(processes[:2])
        os.kill(stopped.pid, signal.SIGSTOP)
        older(output, 901)
        time.sleep(0.5)
        os.kill(stopped.pid, signal.SIGCONT)
        counts["times a reader was stopped"] += 1
        time.sleep(0.5)
    said = [
        (reader, *line.split())
        for reader, one in zip(readers, processes, strict=True)
        for line in one.communicate()[0].splitlines()
    ]
    for reader in ("A", "B"):
        folder = output / "review" / reader
        stored = codes_in((folder / case for case in CASES), reader)
        aside = codes_in((folder / ".aside").glob("*"), reader)
        for who, what, case, code in said:
            if who != reader:
                continue
            counts[f"{what} while several worked at once"] += 1
            there = stored if what == "stored" else aside if what == "aside" else None
            if there is not None and int(code) not in there[case]:
                counts["FAULTS: anchors lost while several worked at once"] += 1
                print(f"reader {who}, {case}: {code} was {what} and is not there", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--be-reader"]:
        store_states(Path(sys.argv[2]), *map(int, sys.argv[3:]))
        return
    if sys.argv[1:2] == ["--add"]:
        add_anchors(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60, help="of several readers at once")
    parser.add_argument("--folder", type=Path, default=Path("readers-drill"), help="emptied when a drill made it")
    arguments = parser.parse_args()
    random.seed(1)
    folder, counts = drill_folder(arguments.folder), collections.Counter[str]()
    kill_at_random(folder / "killed", arguments.kills, counts)
    kill_at_every_step(folder / "killed", counts)
    two_at_once(folder / "several", arguments.seconds, counts)
    print(json.dumps(counts, indent=1))
    sys.exit(any("FAULTS" in what for what in counts) or counts["left-overs after the next store"] > 0)


if __name__ == "__main__":
    main()
