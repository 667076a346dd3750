"""Motion of the image plane through the tissue, and deformation of the tissue."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.simulation.filters import Array

STRAIN_DEPTH_MM = 25.0  # pressure of the probe is spent within this depth
OUT_OF_PLANE = ("elevational", "yaw", "tilt")
LEAVE_SECONDS = 8.0  # longest time from one leaving of the plane to the next


@dataclass(frozen=True)
class Wander:
    """A smooth aimless movement that starts at 0: three sinusoids, so that any moment is known without those before.

    Parameters
    ----------
    amplitude : float
        The movement stays within +- this.
    hertz, phase : ndarray, shape (3,)
    """

    amplitude: float
    hertz: NDArray[np.float64]
    phase: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, amplitude: float, slowest: float = 0.06, fastest: float = 0.5) -> Wander:
        """Draw one with frequencies (Hz) between the slowest and the fastest."""
        return cls(amplitude, np.exp(rng.uniform(np.log(slowest), np.log(fastest), 3)), rng.uniform(0, 2 * np.pi, 3))

    def __call__(self, seconds: float) -> float:
        """Return the displacement at a time."""
        weight = self.hertz**-0.5
        now, start = (np.sin(2 * np.pi * self.hertz * at + self.phase) for at in (seconds, 0.0))
        return float(self.amplitude * np.sum(weight * (now - start)) / (2 * np.sum(weight)))


@dataclass(frozen=True)
class Pose:
    """Where the probe is at one moment, and what it does to the tissue.

    Parameters
    ----------
    lateral_mm, elevational_mm : float
        Shift of the plane along and across itself.
    yaw, roll, tilt : float
        Rotations in radians: about the beam, in the image plane, and of the plane's depth out of plane.
    strain : float
        Compression at the face of the probe, relative.
    breath_mm : float
        Movement of the chest wall towards the probe.
    wobble : float
        Phase in radians of a slow local deformation.
    """

    lateral_mm: float
    elevational_mm: float
    yaw: float
    roll: float
    tilt: float
    strain: float
    breath_mm: float
    wobble: float


@dataclass(frozen=True)
class Motion:
    """The movement through a whole cine.

    Parameters
    ----------
    lateral, elevational, yaw, roll, tilt, strain : Wander
        See ``Pose``.
    breath_mm, breath_hertz : float
        Amplitude and frequency of the chest wall's movement.
    wobble_mm : float
        Amplitude of the local deformation.
    leave_mm : float
        How far the plane sweeps aside and back; 0: it does not.
    leave_seconds : float
        Time from one such sweep to the next.
    depth_mm : float
        Depth of the image.
    """

    lateral: Wander
    elevational: Wander
    yaw: Wander
    roll: Wander
    tilt: Wander
    strain: Wander
    breath_mm: float
    breath_hertz: float
    wobble_mm: float
    leave_mm: float
    leave_seconds: float
    depth_mm: float

    def pose(self, seconds: float) -> Pose:
        """Return the pose at a time."""
        return Pose(
            lateral_mm=self.lateral(seconds),
            elevational_mm=self.elevational(seconds) + self.leave_mm * _leaving(seconds / self.leave_seconds),
            yaw=self.yaw(seconds),
            roll=self.roll(seconds),
            tilt=self.tilt(seconds),
            strain=abs(self.strain(seconds)),
            breath_mm=self.breath_mm * float(np.sin(2 * np.pi * self.breath_hertz * seconds)),
            wobble=2 * np.pi * 0.31 * seconds,
        )

    def aside(self, seconds: float, x: float, z: float) -> float:
        """Return how far (mm) the plane at (x, z) is from where it was at the start, apart from leaving altogether."""
        return self.elevational(seconds) + self.yaw(seconds) * x + self.tilt(seconds) * z

    def calmed(self, factor: float) -> Motion:
        """Return this motion with less movement out of plane."""
        calmer = {
            name: replace(getattr(self, name), amplitude=getattr(self, name).amplitude * factor)
            for name in OUT_OF_PLANE
        }
        return replace(self, **calmer)

    def to_tissue(self, x: Array, z: Array, pose: Pose) -> tuple[Array, Array, Array]:
        """Return which points of the tissue are seen at points of the plane.

        Parameters
        ----------
        x, z : ndarray of float32, shape (n, m)
            Lateral position and depth in the plane, mm.
        pose : Pose

        Returns
        -------
        x, y, z : ndarray of float32, shape (n, m)
            In the tissue's own coordinates, mm.
        """
        decay = np.exp(z * np.float32(-1 / STRAIN_DEPTH_MM))
        squeezed = np.float32(pose.strain * STRAIN_DEPTH_MM) * (1 - decay)
        chest = z * np.float32(1 / self.depth_mm)
        ripple = np.sin(x * np.float32(2 * np.pi / 23) + z * np.float32(2 * np.pi / 17) + np.float32(pose.wobble))
        rise = np.float32(pose.breath_mm) * chest * chest + np.float32(self.wobble_mm) * (1 - decay) * ripple
        # tissue at the skin moves with the probe, deep tissue stays
        slid = np.float32(pose.lateral_mm) * (1 - np.float32(0.3) * decay)
        tissue_x = x * np.float32(1 - 0.4 * pose.strain) + slid - np.float32(pose.roll) * z
        tissue_z = z + squeezed + rise + np.float32(pose.roll) * x * (1 - decay)
        tissue_y = np.float32(pose.elevational_mm) + np.float32(pose.yaw) * x + np.float32(pose.tilt) * z
        return tissue_x, tissue_y, tissue_z


def _leaving(share: float) -> float:
    """Return how far aside (0 to 1) the plane is at a share of the period: it leaves at 0.15, is back at 0.9."""
    share %= 1.0
    out = min(max((share - 0.15) / 0.3, 0.0), 1.0)
    back = min(max((share - 0.6) / 0.3, 0.0), 1.0)
    return _smoothstep(out) - _smoothstep(back)


def _smoothstep(share: float) -> float:
    return share * share * (3 - 2 * share)


def draw_motion(
    rng: np.random.Generator, amount: float, depth_mm: float, elevational_mm: float, leave_mm: float, duration: float
) -> Motion:
    """Draw a movement such as a hand makes that looks at a lesion.

    Parameters
    ----------
    rng : numpy.random.Generator
    amount : float
        Scale of every movement; 0 holds still.
    depth_mm : float
        Depth of the image.
    elevational_mm : float
        Amplitude across the plane.
    leave_mm : float
        How far the plane sweeps aside so that the lesion is out of it; 0: never.
    duration : float
        Length of the cine in s.

    Returns
    -------
    Motion
    """
    return Motion(
        lateral=Wander.draw(rng, amount * rng.uniform(0.5, 3.0)),
        elevational=Wander.draw(rng, amount * elevational_mm, 0.1, 0.9),
        yaw=Wander.draw(rng, amount * rng.uniform(0.0, 0.08)),
        roll=Wander.draw(rng, amount * rng.uniform(0.0, 0.05)),
        tilt=Wander.draw(rng, amount * rng.uniform(0.0, 0.05)),
        strain=Wander.draw(rng, amount * rng.uniform(0.02, 0.12)),
        breath_mm=amount * float(rng.uniform(0.1, 0.8)),
        breath_hertz=float(rng.uniform(0.2, 0.4)),
        wobble_mm=amount * float(rng.uniform(0.05, 0.35)),
        leave_mm=leave_mm,
        leave_seconds=duration / np.ceil(duration / LEAVE_SECONDS),
        depth_mm=depth_mm,
    )
