"""Simulated cines of another kind of tissue, to show what an adaptation wins on images that no model was trained on.

The simulator that training uses is told what it never does there: lesions that are brighter than their surroundings and
have no edge of their own, behind a curved probe of low frequency, whose speckle is as large as the lesion's details,
with one look and hence full speckle contrast.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.simulation.imaging import Imager
from UltrasoundLesionSegLib.simulation.lesion import Lesion, LesionKind
from UltrasoundLesionSegLib.simulation.scene import draw_scene
from UltrasoundLesionSegLib.simulation.settings import SimulationSettings
from UltrasoundLesionSegLib.simulation.tissue import draw_tissue

FIRST_SEED = 7_000_000  # no training, validation or demo draws seeds there
FRAMES_PER_SECOND = 10.0  # half of the training's: neighbouring frames differ more


def other_tissue(number: int, frames: int, size: int = 320) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Simulate cine ``number`` of the other kind.

    Parameters
    ----------
    number : int
        From 0.
    frames, size : int
        The cine's length, and the side of its frames in pixels.

    Returns
    -------
    frames : ndarray of uint8, shape (T, N, N)
    masks : ndarray of bool, shape (T, N, N)
    """
    seed = FIRST_SEED + number
    settings = SimulationSettings(
        seed=seed,
        frames=frames,
        height=size,
        width=size,
        frames_per_second=FRAMES_PER_SECOND,
        probe="curved",
        kind=LesionKind.ISOECHOIC if number % 2 else LesionKind.LOBULATED,
        motion=2.0,
    )
    usual = draw_scene(settings).imager
    rng = np.random.default_rng([seed, 88])
    scanner = replace(
        usual.scanner,
        megahertz=usual.scanner.megahertz / 1.8,
        pulse_mm=usual.scanner.pulse_mm * 1.8,
        beam_mm=usual.scanner.beam_mm * 1.8,
        looks=1,
        detector=0.4,
        sharpen=0.0,
    )
    lesions = tuple(_bright(lesion, rng) for lesion in usual.lesions)
    tissue = draw_tissue(np.random.default_rng([seed, 2]), usual.grid.depth_mm)
    imager = Imager(usual.grid, scanner, tissue, lesions, usual.motion, seed)
    poses = [usual.motion.pose(frame / FRAMES_PER_SECOND) for frame in range(frames)]
    pictures = [imager.frame(index, index / FRAMES_PER_SECOND, pose) for index, pose in enumerate(poses)]
    return np.stack(pictures), np.stack([imager.truth(pose)[0] for pose in poses])


def _bright(lesion: Lesion, rng: np.random.Generator) -> Lesion:
    return replace(
        lesion,
        echo_db=float(rng.uniform(1, 6)),
        edge_mm=float(0.3 * lesion.radii.min()),
        attenuation_db_mm=float(rng.uniform(-0.2, 0.2)),
        halo_db=0.0,
        capsule_db=float("-inf"),
        texture_db=float(rng.uniform(1, 4)),
        calcifications=0,
    )
