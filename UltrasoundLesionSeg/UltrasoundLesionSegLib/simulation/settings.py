"""Settings of a simulation."""

from __future__ import annotations

from dataclasses import dataclass

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.simulation.lesion import LesionKind
from UltrasoundLesionSegLib.simulation.probe import ProbeKind


@dataclass(frozen=True)
class SimulationSettings:
    """What to simulate. What is None is drawn from the seed.

    Parameters
    ----------
    seed : int
        At least 0. The same settings give the same pictures.
    frames : int
    height, width : int
        Size of the image in pixels, at least 32.
    frames_per_second : float
    probe : {"linear", "curved"}
    lesions : int
        1 to 6.
    kind : LesionKind or None
        Kind of all lesions.
    pixel_mm : float or None
        Size of a (square) pixel.
    motion : float
        Scale of all movement; 0 holds the probe still, 1 is a calm hand.
    leaves_plane : bool
        The plane sweeps off the lesions and comes back; otherwise every lesion is on every frame.
    furniture : bool
        Burn a scanner's user interface into the picture: ticks, text, a grey bar, callipers.
    color : bool
        RGB frames with a colour Doppler box, instead of grey ones.

    Raises
    ------
    SourceError
        When a value is out of its range.
    """

    seed: int = 0
    frames: int = 60
    height: int = 400
    width: int = 400
    frames_per_second: float = 20.0
    probe: ProbeKind = "linear"
    lesions: int = 1
    kind: LesionKind | None = None
    pixel_mm: float | None = None
    motion: float = 1.0
    leaves_plane: bool = False
    furniture: bool = False
    color: bool = False

    def __post_init__(self) -> None:
        limits = {
            "seed": (self.seed, 0, 2**63 - 1),
            "number of frames": (self.frames, 1, 10**7),
            "height": (self.height, 32, 8192),
            "width": (self.width, 32, 8192),
            "frame rate": (self.frames_per_second, 0.1, 1000),
            "number of lesions": (self.lesions, 1, 6),
            "pixel size": (0.1 if self.pixel_mm is None else self.pixel_mm, 0.001, 10),
            "amount of motion": (self.motion, 0, 10),
        }
        for name, (value, least, most) in limits.items():
            if not least <= value <= most:
                raise SourceError(f"the simulation's {name} must be from {least} to {most}, not {value}")
        if self.probe not in ("linear", "curved"):
            raise SourceError(f"the simulation's probe must be linear or curved, not {self.probe}")
