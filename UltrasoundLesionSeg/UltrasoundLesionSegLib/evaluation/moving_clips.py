"""Test clips of a probe that never rests: ``python -m UltrasoundLesionSegLib.evaluation.moving_clips``.

Two data sets in the layout ``davis``, ``moving_stills`` (validation stills, ``moving_stills.py``) and ``phantom``
(``phantom_clips.py``). Nothing is chosen or fitted on them; the expected overlap is fitted on moving stills of other
patients too (``overlap_records.py``), on no phantom. They are hard where the other sets are easy: every frame
looks different from the one before although nothing is wrong, and the lesion has what networks leave out, a bright
rim, pointed lobes, a part in shadow.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from UltrasoundLesionSegLib.evaluation.layouts import write_davis_video
from UltrasoundLesionSegLib.evaluation.moving_stills import MovingStill
from UltrasoundLesionSegLib.evaluation.phantom_clips import Phantom
from UltrasoundLesionSegLib.evaluation.val_clips import write_patients
from UltrasoundLesionSegLib.training.stills import read_index, read_still

FRAMES = (40, 56)  # shortest and longest clip
SEED = 170_000


def write_moving_stills(
    data: Path,
    output: Path,
    clips: int,
    split: str = "val",
    first_seed: int = SEED,
    lengths: tuple[int, int] = FRAMES,
) -> None:
    """Write clips of stills, one a patient.

    Parameters
    ----------
    data : Path
        Folder of stills with index.csv.
    output : Path
    clips : int
    split : str
        Of the stills.
    first_seed : int
    lengths : tuple of int
        Frames of the shortest and the longest clip.
    """
    records = read_index(data, split)
    firsts = list({record.patient: record for record in reversed(records)}.values())
    chosen = [firsts[place] for place in np.linspace(0, len(firsts) - 1, min(clips, len(firsts))).astype(int)]
    patients = []
    for number, record in enumerate(chosen):
        rng = np.random.default_rng(first_seed + number)
        left, right = (read_still(firsts[place]) for place in rng.integers(0, len(firsts), 2))
        frames = int(rng.integers(lengths[0], lengths[1] + 1))
        images, masks = MovingStill(read_still(record), left, right, first_seed + number, frames).clip()
        write_davis_video(output, record.identifier, images, masks)
        patients.append((record.identifier, record.patient))
    write_patients(output, patients)


def write_phantoms(output: Path, clips: int, first_seed: int = SEED, lengths: tuple[int, int] = FRAMES) -> None:
    """Write clips of phantoms, each a patient of its own. Parameters as for ``write_moving_stills``."""
    names = [f"phantom_{number:03d}" for number in range(clips)]
    for number, name in enumerate(names):
        frames = int(np.random.default_rng(first_seed + number).integers(lengths[0], lengths[1] + 1))
        images, masks = Phantom(first_seed + number, frames).clip()
        write_davis_video(output, name, images, masks)
    write_patients(output, [(name, name) for name in names])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of stills with index.csv")
    parser.add_argument("--output", type=Path, required=True, help="gets the two folders")
    parser.add_argument("--clips", type=int, default=12, help="of each set")
    parser.add_argument("--frames", type=int, nargs=2, default=FRAMES, help="shortest and longest clip")
    parser.add_argument("--seed", type=int, default=SEED, help="other clips have another one")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    lengths = (chosen.frames[0], chosen.frames[1])
    write_moving_stills(chosen.data, chosen.output / "moving_stills", chosen.clips, "val", chosen.seed, lengths)
    write_phantoms(chosen.output / "phantom", chosen.clips, chosen.seed, lengths)


if __name__ == "__main__":
    main()
