"""Validation clips: ``python -m UltrasoundLesionSegLib.evaluation.val_clips --data STILLS --output FOLDER``.

The clips from stills are made by other code than training's (``still_walk.py``).

Two sets of clips from stills, ``easy`` (tissue moves, little else) and ``hard``, and one of simulated sweeps, each a
data set in the layout ``davis``; in the sweeps ``exits`` and the clips ``hard_exits`` every lesion leaves the plane,
most to come back. Weights and settings are chosen on them, so figures on them are optimistic. ``easy_apart``,
``hard_apart`` and ``simulated_apart`` are held out for reports. They are of other patients and seeds, longer, and every
clip draws how fast and how far things move and change. ``hard_apart`` has every patient that model selection does not
use, because the last frame's Dice varies so much from clip to clip that 48 patients could not tell two methods apart.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from UltrasoundLesionSegLib.evaluation.layouts import write_davis_video
from UltrasoundLesionSegLib.evaluation.still_walk import ClipPlan, Difficulty, StillWalk
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.training.stills import StillRecord, read_index, read_still

FIRST_SEED = 50_000  # of the simulated clips; training's begin at 100,000
EXIT_SEED = 60_000  # of those in which every lesion leaves
EXIT_FRAMES = 50
HARD_EXIT_SEED = 90_000  # of the clips from stills in which every lesion leaves
APART_SEED = 70_000  # of the held-out test clips
APART_FRAMES = (45, 60)  # their shortest and longest
DIFFICULTIES = {
    "easy": Difficulty(motion=0.10, section=0.0, tissue=0.0, kept=0.95, exits=0.0, gain=2.0),
    "hard": Difficulty(motion=0.16, section=0.75, tissue=0.8, kept=0.3, exits=0.12, gain=7.0),
}


def plan_clips(difficulty: str, clips: int, frames: int) -> list[ClipPlan]:
    """Return the plans of clips to choose on: all alike but for the seed.

    Parameters
    ----------
    difficulty : str
        ``easy`` or ``hard``.
    clips, frames : int
    """
    return [ClipPlan(number, frames, DIFFICULTIES[difficulty]) for number in range(clips)]


def plan_clips_exits(clips: int) -> list[ClipPlan]:
    """Return the plans of hard clips to choose on in which the lesion leaves; otherwise drawn as those apart."""
    plans = plan_clips_apart("hard", clips, HARD_EXIT_SEED)
    return [replace(plan, difficulty=replace(plan.difficulty, exits=1.0)) for plan in plans]


def plan_clips_apart(difficulty: str, clips: int, first_seed: int = APART_SEED) -> list[ClipPlan]:
    """Return the plans of held-out test clips: other seeds and lengths, settings drawn around the difficulty's.

    Parameters
    ----------
    difficulty : str
        ``easy`` or ``hard``.
    clips, first_seed : int
    """
    plans = []
    usual = DIFFICULTIES[difficulty]
    for seed in range(first_seed, first_seed + clips):
        rng = np.random.default_rng(seed)
        own = replace(
            usual,
            motion=usual.motion * float(rng.uniform(0.6, 1.4)),
            section=usual.section * float(rng.uniform(0.6, 1.2)),
            tissue=usual.tissue * float(rng.uniform(0.6, 1.2)),
            kept=usual.kept * float(rng.uniform(0.85, 1.0)),
            exits=2 * usual.exits,  # in longer clips a lesion leaves more often
            gain=usual.gain * float(rng.uniform(0.5, 1.5)),
            interval=int(rng.integers(5, 12)),
        )
        plans.append(ClipPlan(seed, int(rng.integers(APART_FRAMES[0], APART_FRAMES[1] + 1)), own))
    return plans


def choose_records(
    records: Sequence[StillRecord], clips: int, without: Sequence[StillRecord] = ()
) -> list[StillRecord]:
    """Return the first stills of patients spread evenly over the index, at most one a patient.

    Parameters
    ----------
    records : sequence of StillRecord
    clips : int
        How many; fewer are returned where there are not as many patients.
    without : sequence of StillRecord
        Whose patients are left out.
    """
    taken = {record.patient for record in without}
    first_of_patient = {record.patient: record for record in reversed(records) if record.patient not in taken}
    firsts = list(first_of_patient.values())
    return [firsts[number] for number in np.linspace(0, len(firsts) - 1, min(clips, len(firsts))).astype(int)]


def write_still_clips(records: Sequence[StillRecord], plans: Sequence[ClipPlan], output: Path) -> None:
    """Write a data set of clips made of stills.

    Parameters
    ----------
    records : sequence of StillRecord
        One a clip; of another one of them the clip takes a lesion's outline and tissue.
    plans : sequence of ClipPlan
        One a record at least.
    output : Path
    """
    patients = []
    for number, (record, plan) in enumerate(zip(records, plans, strict=False)):
        still = read_still(record)
        other = read_still(records[(number + len(records) // 2) % len(records)])
        images, masks = StillWalk(still, other, plan).clip()
        write_davis_video(output, record.identifier, images, masks)
        patients.append((record.identifier, record.patient))
    write_patients(output, patients)


def sweep_settings(number: int, frames: int) -> SimulationSettings:
    """Return the settings of simulated sweep ``number`` to choose on."""
    rng = np.random.default_rng(FIRST_SEED + number)
    return SimulationSettings(
        seed=FIRST_SEED + number,
        frames=frames,
        height=int(rng.integers(320, 480)),
        width=int(rng.integers(320, 480)),
        motion=float(rng.uniform(1.0, 3.0)),
        leaves_plane=number % 4 == 3,
        furniture=number % 3 == 1,
    )


def sweep_settings_exits(number: int) -> SimulationSettings:
    """Return the settings of simulated sweep ``number`` to choose on in which the lesion leaves the plane."""
    return replace(sweep_settings_apart(number, EXIT_SEED), frames=EXIT_FRAMES, leaves_plane=True)


def sweep_settings_apart(number: int, first_seed: int = APART_SEED) -> SimulationSettings:
    """Return the settings of held-out simulated sweep ``number``: longer, some by a curved probe."""
    rng = np.random.default_rng(first_seed + number)
    return SimulationSettings(
        seed=first_seed + number,
        frames=int(rng.integers(APART_FRAMES[0], APART_FRAMES[1] + 1)),
        height=int(rng.integers(300, 520)),
        width=int(rng.integers(300, 520)),
        frames_per_second=float(rng.uniform(15, 30)),
        probe="curved" if number % 4 == 1 else "linear",
        motion=float(rng.uniform(0.6, 3.4)),
        leaves_plane=number % 3 == 2,
        furniture=number % 5 == 3,
    )


def write_simulated_clips(sweeps: Sequence[SimulationSettings], output: Path) -> None:
    """Write a data set of simulated sweeps; each is a patient of its own.

    Parameters
    ----------
    sweeps : sequence of SimulationSettings
    output : Path
    """
    patients = []
    for number, settings in enumerate(sweeps):
        simulated = simulate_cine(settings)
        images = np.stack([simulated.cine.frames[frame] for frame in range(settings.frames)])
        masks = np.stack([simulated.truth[frame][0] for frame in range(settings.frames)])
        write_davis_video(output, f"simulated_{number:03d}", images, masks)
        patients.append((f"simulated_{number:03d}", f"simulated_{number:03d}"))
    write_patients(output, patients)


def write_patients(output: Path, patients: list[tuple[str, str]]) -> None:
    """Write which video is of which patient, for ``read_cases``."""
    with (output / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "patient"])
        writer.writerows(patients)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of stills with index.csv")
    parser.add_argument("--output", type=Path, required=True, help="gets the eight folders")
    parser.add_argument(
        "--clips",
        type=int,
        default=48,
        help="of each set; half of it are of simulated, and hard_apart has one of every other patient",
    )
    parser.add_argument("--frames", type=int, default=32, help="of each clip to choose on; sweeps have 8 more")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    clips: int = chosen.clips
    output: Path = chosen.output
    stills = read_index(chosen.data, "val")
    records = choose_records(stills, clips)
    for difficulty in DIFFICULTIES:
        write_still_clips(records, plan_clips(difficulty, clips, chosen.frames), output / difficulty)
    write_still_clips(records, plan_clips_exits(clips), output / "hard_exits")
    write_simulated_clips(
        [sweep_settings(number, chosen.frames + 8) for number in range(clips // 2)], output / "simulated"
    )
    write_simulated_clips([sweep_settings_exits(number) for number in range(clips)], output / "exits")
    patients = len({record.patient for record in stills})
    for difficulty, most in (("easy", clips), ("hard", patients)):
        apart = choose_records(stills, most, without=records)
        write_still_clips(apart, plan_clips_apart(difficulty, len(apart)), output / f"{difficulty}_apart")
    write_simulated_clips([sweep_settings_apart(number) for number in range(clips)], output / "simulated_apart")


if __name__ == "__main__":
    main()
