"""Simulated cines of other kinds of tissue, to show the gain of an adaptation on images that no model was trained on.

The simulator that training uses is told what it never does there. Each kind is a change of the scene that it draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.simulation.imaging import Imager
from UltrasoundLesionSegLib.simulation.lesion import Lesion, LesionKind
from UltrasoundLesionSegLib.simulation.motion import Motion
from UltrasoundLesionSegLib.simulation.probe import ProbeKind
from UltrasoundLesionSegLib.simulation.scanner import Scanner
from UltrasoundLesionSegLib.simulation.scene import draw_scene
from UltrasoundLesionSegLib.simulation.settings import SimulationSettings
from UltrasoundLesionSegLib.simulation.tissue import Tissue, draw_tissue

FRAMES_PER_SECOND = 10.0  # half of the training's: neighbouring frames differ more


@dataclass(frozen=True)
class TissueKind:
    """A kind of tissue, as changes of what the simulator draws.

    Parameters
    ----------
    told : str
        What it shows, for the page of results.
    first_seed : int
        From here on, where no training, validation or demo draws seeds.
    probe : {"linear", "curved"}
    kinds : tuple of LesionKind
        Of the lesions, in turn.
    scanner : callable
        Scanner -> Scanner.
    tissue : callable
        Tissue, lesion, generator -> Tissue.
    lesions : callable
        Lesion, width of the picture in mm, generator -> the lesion to follow, and what else lies there.
    """

    told: str
    first_seed: int
    probe: ProbeKind
    kinds: tuple[LesionKind, ...]
    scanner: Callable[[Scanner], Scanner]
    tissue: Callable[[Tissue, Lesion, np.random.Generator], Tissue]
    lesions: Callable[[Lesion, float, np.random.Generator], tuple[Lesion, ...]]


def other_tissue(
    number: int, frames: int, kind: str = "bright", size: int = 320
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Simulate cine ``number`` of another kind.

    Parameters
    ----------
    number : int
        From 0.
    frames : int
        The cine's length.
    kind : str
        Of ``KINDS``.
    size : int
        Side of the frames in pixels.

    Returns
    -------
    frames : ndarray of uint8, shape (T, N, N)
    masks : ndarray of bool, shape (T, N, N)
    """
    chosen = KINDS[kind]
    seed = chosen.first_seed + number
    settings = SimulationSettings(
        seed=seed,
        frames=frames,
        height=size,
        width=size,
        frames_per_second=FRAMES_PER_SECOND,
        probe=chosen.probe,
        kind=chosen.kinds[number % len(chosen.kinds)],
        motion=2.0,
    )
    usual = draw_scene(settings).imager
    rng = np.random.default_rng([seed, 88])
    lesions = chosen.lesions(usual.lesions[0], usual.grid.width * usual.grid.pixel_mm, rng)
    tissue = chosen.tissue(draw_tissue(np.random.default_rng([seed, 2]), usual.grid.depth_mm), lesions[0], rng)
    imager = Imager(usual.grid, chosen.scanner(usual.scanner), tissue, lesions, usual.motion, seed)
    return _pictures(imager, usual.motion, frames)


def _pictures(imager: Imager, motion: Motion, frames: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    poses = [motion.pose(frame / FRAMES_PER_SECOND) for frame in range(frames)]
    pictures = [imager.frame(index, index / FRAMES_PER_SECOND, pose) for index, pose in enumerate(poses)]
    return np.stack(pictures), np.stack([imager.truth(pose)[0] for pose in poses])


def _low_frequency(scanner: Scanner) -> Scanner:
    return replace(
        scanner,
        megahertz=scanner.megahertz / 1.8,
        pulse_mm=scanner.pulse_mm * 1.8,
        beam_mm=scanner.beam_mm * 1.8,
        looks=1,
        detector=0.4,
        sharpen=0.0,
    )


def _bright(lesion: Lesion, _width_mm: float, rng: np.random.Generator) -> tuple[Lesion]:
    return (
        replace(
            lesion,
            echo_db=float(rng.uniform(1, 6)),
            edge_mm=float(0.3 * lesion.radii.min()),
            attenuation_db_mm=float(rng.uniform(-0.2, 0.2)),
            halo_db=0.0,
            capsule_db=float("-inf"),
            texture_db=float(rng.uniform(1, 4)),
            calcifications=0,
        ),
    )


def _neck(tissue: Tissue, nodule: Lesion, rng: np.random.Generator) -> Tissue:
    """Return a fine even gland around the nodule, under dark strap muscles and thin skin, with muscle behind it."""
    depth = float(nodule.centre[2])
    reach = float(nodule.radii[2])
    skin = float(rng.uniform(0.8, 1.3))
    top = max(skin + 1.5, depth - reach - float(rng.uniform(0.5, 4)))
    bottom = depth + reach + float(rng.uniform(1.5, 6))
    return replace(
        tissue,
        skin=skin,
        gland_top=top,
        gland_bottom=bottom,
        muscle_top=bottom + 0.8,
        chest=bottom + float(rng.uniform(6, 10)),
        undulation=float(rng.uniform(0.3, 1.0)),
        peaks=0.0,
        density=1.0,
        fat_db=float(rng.uniform(-16, -11)),
        streaks_db=float(rng.uniform(0.3, 1.0)),
        septa_db=-9.0,
        ribs=False,
    )


def _nodule(lesion: Lesion, width_mm: float, rng: np.random.Generator) -> tuple[Lesion, Lesion]:
    """Return a nodule with a dark rim, and the carotid artery beside it."""
    darker = lesion.kind is LesionKind.LOBULATED
    nodule = replace(
        lesion,
        echo_db=float(rng.uniform(-9, -5) if darker else rng.uniform(-3, 3)),
        edge_mm=0.3,
        attenuation_db_mm=float(rng.uniform(-0.3, 0.1)),
        halo_db=float(rng.uniform(-9, -5)),
        capsule_db=float("-inf"),
        texture_db=float(rng.uniform(1.5, 4.5)),
    )
    radius = float(rng.uniform(2.2, 3.2))
    side = -1.0 if nodule.centre[0] > 0 else 1.0
    beside = float(nodule.centre[0]) + side * (float(nodule.radii[0]) + radius + float(rng.uniform(1, 3)))
    artery = replace(
        lesion,
        kind=LesionKind.CYST,
        centre=np.array(
            [np.clip(beside, -width_mm / 2, width_mm / 2), 0, float(nodule.centre[2]) + float(rng.uniform(-2, 3))],
            np.float32,
        ),
        radii=np.array([radius, 80.0, radius], np.float32),
        tilt=0.0,
        echo_db=-38.0,
        edge_mm=0.25,
        attenuation_db_mm=-0.5,
        halo_db=2.0,
        capsule_db=0.0,
        lobes=0.0,
        spicules=0.0,
        calcifications=0,
    )
    return nodule, artery


KINDS = {
    "bright": TissueKind(
        "a curved probe of low frequency with coarse speckle, lesions brighter than their surroundings",
        7_000_000,
        "curved",
        (LesionKind.LOBULATED, LesionKind.ISOECHOIC),
        _low_frequency,
        lambda tissue, _lesion, _rng: tissue,
        _bright,
    ),
    "thyroid": TissueKind(
        "as in the thyroid, a fine even gland between muscles, and beside the lesion an artery that is not to be "
        "outlined; of three lesions one is about as bright as the gland, with a dark rim, one slightly darker, and one "
        "partly cystic",
        7_200_000,
        "linear",
        (LesionKind.OVAL, LesionKind.LOBULATED, LesionKind.COMPLEX),
        lambda scanner: replace(scanner, megahertz=scanner.megahertz * 1.2, pulse_mm=scanner.pulse_mm / 1.2),
        _neck,
        _nodule,
    ),
}
