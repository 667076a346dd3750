"""Clips of simulated lesions, by number."""

from __future__ import annotations

import numpy as np

from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine

FIRST_SEED = 100_000  # seeds below it are left to demos, tests and validation
SKIPPED = 2  # every second frame is kept: neighbouring simulated frames differ little


def draw_settings(number: int, frames: int, size: int) -> SimulationSettings:
    """Return the settings of training clip ``number``; a third of the clips leave the lesion's plane.

    Parameters
    ----------
    number : int
    frames : int
        Frames kept; ``SKIPPED`` times as many are simulated.
    size : int
        Shorter side of the image in pixels.
    """
    rng = np.random.default_rng(FIRST_SEED + number)
    return SimulationSettings(
        seed=FIRST_SEED + number,
        frames=frames * SKIPPED,
        height=int(size * rng.uniform(1.0, 1.3)),
        width=int(size * rng.uniform(1.0, 1.3)),
        probe="curved" if rng.random() < 0.15 else "linear",
        motion=float(rng.uniform(0.8, 3.0)),
        leaves_plane=bool(rng.random() < 0.33),
        furniture=bool(rng.random() < 0.3),
    )


def simulated_clip(number: int, frames: int, size: int) -> Clip:
    """Simulate training clip ``number``. Parameters as for ``draw_settings``."""
    simulated = simulate_cine(draw_settings(number, frames, size))
    kept = range(0, len(simulated.cine), SKIPPED)
    return Clip(
        np.stack([simulated.cine.frames[index] for index in kept]),
        np.stack([simulated.truth[index][0] for index in kept]),
    )
