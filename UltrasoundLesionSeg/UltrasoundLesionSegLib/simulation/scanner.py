"""The scanner and its settings: pulse, beam, compounding, gain, compression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from UltrasoundLesionSegLib.simulation.filters import Array
from UltrasoundLesionSegLib.simulation.motion import Wander
from UltrasoundLesionSegLib.simulation.probe import coarseness


@dataclass(frozen=True)
class Scanner:
    """The settings of the scanner.

    Parameters
    ----------
    megahertz : float
        Centre frequency.
    pulse_mm : float
        Sigma of the pulse along the beam.
    beam_mm : float
        Sigma of the beam along the image at its focus.
    focus : float
        Depth of the focus relative to the image's.
    spread : float
        How much the beam is wider at the top and bottom than at the focus, relative.
    looks : int
        Views compounded into a frame, 1 to 4.
    detector : float
        Smoothing of the envelope after detection, relative to the point-spread function.
    dynamic_db : float
        Range of levels shown, above that knee.
    gain_db : float
        Level of fibroglandular tissue above the knee of the compression, below which grey is linear.
    noise_db : float
        Electronic noise at the bottom of the image relative to fibroglandular tissue.
    clutter_db : float
        Side lobes and reverberation relative to the echoes around.
    tgc_db : ndarray of float32, shape (8,)
        Offsets of the time gain sliders, top to bottom.
    sharpen : float
        Strength of the scanner's edge enhancement; negative smooths.
    contact_db : float
        How strongly bad contact darkens beams.
    gain_drift : Wander
        Movement of the gain in dB.
    gain_step_db, gain_step_seconds : float
        A turn of the gain knob, and when.
    """

    megahertz: float
    pulse_mm: float
    beam_mm: float
    focus: float
    spread: float
    looks: int
    detector: float
    dynamic_db: float
    gain_db: float
    noise_db: float
    clutter_db: float
    tgc_db: Array
    sharpen: float
    contact_db: float
    gain_drift: Wander
    gain_step_db: float
    gain_step_seconds: float

    def gain(self, seconds: float) -> float:
        """Return the gain in dB at a time."""
        step = self.gain_step_db if seconds >= self.gain_step_seconds else 0.0
        return self.gain_db + self.gain_drift(seconds) + step


def draw_scanner(rng: np.random.Generator, duration: float, depth_mm: float) -> Scanner:
    """Draw a scanner and its settings.

    Parameters
    ----------
    rng : numpy.random.Generator
    duration : float
        Length of the cine in s.
    depth_mm : float
        Deeper images are taken with lower frequencies and longer pulses.

    Returns
    -------
    Scanner
    """
    coarser = coarseness(depth_mm)
    dynamic = rng.uniform(26, 44)
    slope = rng.uniform(-9, 2) * np.linspace(0, 1, 8) ** 2
    return Scanner(
        megahertz=float(rng.uniform(8, 12)) / coarser,
        pulse_mm=float(rng.uniform(0.04, 0.075)) * coarser,
        beam_mm=float(rng.uniform(0.11, 0.25)) * coarser,
        focus=float(rng.uniform(0.3, 0.6)),
        spread=float(rng.uniform(0.3, 1.2)),
        looks=int(rng.choice([1, 2, 3, 3, 4, 4])),
        detector=float(rng.uniform(0.4, 0.9)),
        dynamic_db=float(dynamic),
        gain_db=float(8 + dynamic * rng.uniform(0.25, 0.55)),
        noise_db=float(rng.uniform(-50, -34)),
        clutter_db=float(rng.uniform(-32, -20)),
        tgc_db=(slope + np.cumsum(rng.normal(0, 1.0, 8))).astype(np.float32),
        sharpen=float(rng.uniform(-0.4, 0.6)),
        contact_db=float(rng.choice([0.0, 0.0, 1.0]) * rng.uniform(2, 12)),
        gain_drift=Wander.draw(rng, float(rng.uniform(0, 1.5))),
        gain_step_db=float(rng.choice([0.0, 0.0, 0.0, 1.0]) * rng.uniform(-6, 6)),
        gain_step_seconds=float(rng.uniform(0.2, 0.8) * duration),
    )
