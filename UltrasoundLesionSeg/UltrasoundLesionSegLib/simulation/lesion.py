"""The shape and the substance of a simulated lesion, in three dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from UltrasoundLesionSegLib.simulation.filters import Array
from UltrasoundLesionSegLib.simulation.noise import smooth_noise


class LesionKind(str, Enum):
    """What a lesion looks like; the words are those of the BI-RADS lexicon for ultrasound."""

    OVAL = "oval"  # circumscribed, parallel, hypoechoic, thin capsule: a fibroadenoma
    ISOECHOIC = "isoechoic"  # as oval, but hardly darker than its surroundings
    CYST = "cyst"  # anechoic, enhancement behind it
    COMPLEX = "complex"  # cystic and solid parts
    LOBULATED = "lobulated"  # microlobulated margin
    ANGULAR = "angular"  # angular margin, not parallel, shadow
    SPICULATED = "spiculated"  # spicules, echogenic halo, shadow


MALIGNANT = (LesionKind.LOBULATED, LesionKind.ANGULAR, LesionKind.SPICULATED)


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Parameters
    ----------
    kind : LesionKind
    centre : ndarray of float32, shape (3,)
        (x, y, z) in mm in the tissue's own coordinates: lateral, elevational, depth.
    radii : ndarray of float32, shape (3,)
        Semi-axes in mm.
    tilt : float
        Rotation of the long axis in the x-z plane, in radians.
    offset : float
        Where in the noise its irregularities are read.
    echo_db : float
        Echo level inside, in dB relative to fibroglandular tissue.
    edge_mm : float
        Width over which the margin passes from inside to outside.
    attenuation_db_mm : float
        Attenuation inside beyond that of the surroundings: > 0 shadows, < 0 enhances what lies behind.
    halo_db : float
        How much brighter the tissue just outside is.
    capsule_db : float
        Echo of the interface where the beam meets it squarely, relative to fibroglandular tissue; -inf: none.
    lobes : float
        Amplitude of the margin's irregularity, relative to the radius.
    lobe_count : float
        How fine the irregularity is: correlation lengths of noise along the unit sphere's radius.
    spicules : float
        Length of the spicules relative to the radius.
    texture_db : float
        Standard deviation of the slow variation of the echo level inside.
    calcifications : int
        Number of bright points inside.
    """

    kind: LesionKind
    centre: Array
    radii: Array
    tilt: float
    offset: float
    echo_db: float
    edge_mm: float
    attenuation_db_mm: float
    halo_db: float
    capsule_db: float
    lobes: float
    lobe_count: float
    spicules: float
    texture_db: float
    calcifications: int

    def margin_distance(self, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
        """Return the signed distance to the margin in mm, roughly: negative inside.

        Parameters
        ----------
        x, y, z : ndarray of float32, shape (n, m)
            Tissue coordinates in mm.

        Returns
        -------
        body : ndarray of float32, shape (n, m)
            To the lesion as a reader outlines it, which is the truth.
        substance : ndarray of float32, shape (n, m)
            To all of its substance: the body and the spicules, which readers leave out.
        """
        cos, sin = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        dx, dy, dz = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        along = (cos * dx + sin * dz) / self.radii[0]
        across = (cos * dz - sin * dx) / self.radii[2]
        elevational = dy / self.radii[1]
        radius = np.sqrt(along * along + across * across + elevational * elevational) + np.float32(1e-4)
        mm_per_radius = np.minimum(np.sqrt(dx * dx + dy * dy + dz * dz) / radius, self.radii.max())
        direction = along / radius, elevational / radius, across / radius
        margin = self._margin(*direction)
        body = (radius - margin) * mm_per_radius
        if not self.spicules:
            return body, body
        return body, (radius - margin - self._spicules(*direction)) * mm_per_radius

    def _margin(self, u: Array, v: Array, w: Array) -> Array:
        """Return the body's radius in the direction (u, v, w), relative to the ellipsoid's."""
        noise, at = smooth_noise(), np.float32(self.offset)
        margin = 1 + np.float32(0.09) * noise(u + at, v, w)  # no real lesion is an ellipsoid
        fine = np.float32(self.lobe_count)
        lobes = noise(fine * u, fine * v + at, fine * w)
        if self.kind is LesionKind.ANGULAR:
            lobes = np.float32(1.2) - np.abs(lobes) * np.float32(1.6)  # folds of the noise make corners
        return np.maximum(margin + np.float32(self.lobes) * lobes, np.float32(0.35))

    def _spicules(self, u: Array, v: Array, w: Array) -> Array:
        """Return how far spicules reach out of the body in the direction (u, v, w), relative to its radius."""
        often, at = np.float32(2.4), np.float32(self.offset)
        ridge = 1 - np.abs(smooth_noise()(often * u, often * v, often * w + at))
        return np.float32(self.spicules * 3.5) * np.maximum(ridge - np.float32(0.72), 0)

    def calcification_points(self) -> Array:
        """Return where the calcifications are: (x, y, z) in mm in the tissue, float32, shape (N, 3)."""
        away = np.random.default_rng(int(self.offset * 1e6)).normal(0, 0.38, (self.calcifications, 3))
        return (self.centre + away * self.radii).astype(np.float32)

    def echo_level(self, x: Array, y: Array, z: Array) -> Array:
        """Return the echo level inside in dB relative to fibroglandular tissue, at points (n, m) in mm."""
        noise, at = smooth_noise(), np.float32(self.offset)
        scale = np.float32(1 / (0.35 * float(self.radii.min()) + 0.6))
        slow = noise(x * scale + at, y * scale, z * scale)
        level = np.float32(self.echo_db) + np.float32(self.texture_db) * slow
        if self.kind is LesionKind.COMPLEX:
            solid = np.clip((slow - np.float32(0.15)) * 5, 0, 1)
            level = np.float32(-42) + solid * np.float32(self.echo_db + 42)
        return level


def draw_lesion(rng: np.random.Generator, kind: LesionKind, centre: Array, long_mm: float) -> Lesion:
    """Draw a lesion of a kind.

    Parameters
    ----------
    rng : numpy.random.Generator
    kind : LesionKind
    centre : ndarray of float32, shape (3,)
        (x, y, z) in mm.
    long_mm : float
        Semi-axis of its long side.

    Returns
    -------
    Lesion
    """
    upright = kind in (LesionKind.ANGULAR, LesionKind.SPICULATED)
    short = long_mm * rng.uniform(0.62, 0.95) if upright else long_mm * rng.uniform(0.42, 0.85)
    taller = upright and rng.random() < 0.5
    across, deep = (short, long_mm) if taller else (long_mm, short)
    radii = np.array([across, rng.uniform(0.75, 1.15) * np.sqrt(across * deep), deep], np.float32)
    malignant = kind in MALIGNANT
    echo_db = {
        LesionKind.CYST: rng.uniform(-46, -36),
        LesionKind.COMPLEX: rng.uniform(-20, -11),
        LesionKind.ISOECHOIC: rng.uniform(-12, -7),
    }.get(kind, rng.uniform(-22, -12))
    attenuation = rng.uniform(0.3, 1.3) if upright else rng.uniform(-0.25, 0.35)
    if kind in (LesionKind.CYST, LesionKind.COMPLEX):
        attenuation = rng.uniform(-1.0, -0.4)
    lobes = {
        LesionKind.LOBULATED: rng.uniform(0.08, 0.14),
        LesionKind.ANGULAR: rng.uniform(0.07, 0.13),
        LesionKind.SPICULATED: rng.uniform(0.05, 0.1),
    }.get(kind, rng.uniform(0.0, 0.035))
    return Lesion(
        kind=kind,
        centre=centre,
        radii=radii,
        tilt=float(rng.uniform(-0.3, 0.3)),
        offset=float(rng.uniform(0, 16)),
        echo_db=float(echo_db),
        edge_mm=float(min(rng.uniform(0.25, 0.9) if malignant else rng.uniform(0.15, 0.5), 0.3 * radii.min())),
        attenuation_db_mm=float(attenuation),
        halo_db=float(rng.uniform(2, 7) if upright else rng.uniform(0, 2)),
        capsule_db=float("-inf") if malignant or rng.random() < 0.4 else float(rng.uniform(-9, 1)),
        lobes=float(lobes),
        lobe_count=float(rng.uniform(2.0, 3.2) if malignant else rng.uniform(1.2, 2.0)),
        spicules=float(rng.uniform(0.35, 0.8)) if kind is LesionKind.SPICULATED else 0.0,
        texture_db=float(rng.uniform(1.0, 3.5)),
        calcifications=int(rng.integers(3, 12)) if malignant and rng.random() < 0.4 else 0,
    )
