"""The breast around the lesion: skin, fat lobules, septa, fibroglandular tissue, fascia, muscle, chest wall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from UltrasoundLesionSegLib.simulation.filters import Array, bell, slopes, step
from UltrasoundLesionSegLib.simulation.noise import cell_noise, smooth_noise

# Echo levels in dB relative to fibroglandular tissue; from the grey levels of real images at a known dynamic range.
SKIN_DB = -5.0
MUSCLE_DB = -12.0
PLEURA_DB = 9.0
DEEP_DB = -18.0


@dataclass(frozen=True)
class Tissue:
    """One breast's layers; lengths in mm, depths from the skin's surface, levels in dB relative to glandular tissue.

    Parameters
    ----------
    offset : ndarray of float32, shape (3,)
        Where in the noises this breast is read.
    skin : float
        Thickness of the skin.
    gland_top, gland_bottom, muscle_top, chest : float
        Mean depths of the layers.
    undulation : float
        Standard deviation of the layers' depths.
    peaks : float
        Height of the ridges on which Cooper's ligaments stand.
    density : float
        Share of the glandular layer that is not fat, 0 to 1.
    fat_db : float
    streaks_db : float
        Strength of the bright lamellae in fibroglandular tissue.
    lobule : float
        Size of a fat lobule.
    septa_db : float
        Echo of the septa where the beam meets them squarely.
    slant : float
        Slope of all layers.
    ribs : bool
        Whether the chest wall has ribs, with their shadows.
    """

    offset: Array
    skin: float
    gland_top: float
    gland_bottom: float
    muscle_top: float
    chest: float
    undulation: float
    peaks: float
    density: float
    fat_db: float
    streaks_db: float
    lobule: float
    septa_db: float
    slant: float
    ribs: bool

    def layers(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
        """Return what is smooth enough for a coarse grid.

        Parameters
        ----------
        x, y, z : ndarray of float32, shape (n, m)
            Tissue coordinates in mm.

        Returns
        -------
        level : ndarray of float32, shape (n, m)
            Echo level in dB.
        fatness : ndarray of float32, shape (n, m)
            Roughly the distance in mm into fat; negative in other tissue.
        attenuation : ndarray of float32, shape (n, m)
            dB per mm of depth, there and back, beyond what the scanner's TGC makes good.
        """
        noise = smooth_noise()
        ox, oy, oz = self.offset
        x, y = x + ox, y + oy
        wave = noise(x * np.float32(1 / 15), y * np.float32(1 / 15), np.full_like(z, oz))
        wave2 = noise(x * np.float32(1 / 11), y * np.float32(1 / 11), np.full_like(z, oz + 5))
        ridge = np.maximum(noise(x * np.float32(1 / 5), y * np.float32(1 / 5), np.full_like(z, oz + 9)) - 0.5, 0)
        lie = np.float32(self.slant) * (x - ox) + np.float32(self.undulation) * wave
        top = self.gland_top + lie - np.float32(self.peaks) * ridge
        bottom = self.gland_bottom + np.float32(0.8) * lie + np.float32(0.7 * self.undulation) * wave2
        islands = noise(x * np.float32(1 / 6.5), y * np.float32(1 / 6.5), z * np.float32(1 / 3.2) + oz + 3)
        fine = noise(x * np.float32(1 / 1.7), y * np.float32(1 / 1.7), z * np.float32(1 / 0.55) + oz)
        islands += np.float32(0.35) * noise(
            x * np.float32(1 / 2.4), y * np.float32(1 / 2.4), z * np.float32(1 / 1.1) - oz
        )
        threshold = np.float32(1.5 * (2 * self.density - 1))
        fatness = np.maximum(np.maximum(top - z, z - bottom), (islands - threshold) * np.float32(1.8))
        slow = noise(x * np.float32(1 / 9), y * np.float32(1 / 9), z * np.float32(1 / 6))
        bent = z - lie - np.float32(0.9) * noise(x * np.float32(1 / 5), y * np.float32(1 / 5), z * np.float32(1 / 7))
        lamella = noise(x * np.float32(1 / 3.6), y * np.float32(1 / 3.6), bent * np.float32(1 / 0.62) + oz + 11)
        lamella += np.float32(0.7) * np.maximum(lamella, 0)  # bright sheets in a darker ground
        gland = (
            np.float32(self.streaks_db) * (lamella + np.float32(0.5) * fine - np.float32(0.3)) + np.float32(2.5) * slow
        )
        dashes = np.float32(5) * np.maximum(fine - np.float32(0.9), 0)  # loose fibres, a millimetre or two long
        gland += dashes
        fat = np.float32(self.fat_db) + np.float32(0.4 * self.streaks_db) * (fine + lamella) + dashes + slow
        share = step(fatness, 0.5)
        level = gland + (fat - gland) * share
        level, attenuation = self._below(level, share, x, y, z - np.float32(0.6) * lie, wave2)
        skin = step(np.float32(self.skin) - z, 0.12)
        level += (np.float32(SKIN_DB) + fine - level) * skin
        return level, fatness, attenuation

    def _below(self, level: Array, fat: Array, x: Array, y: Array, z: Array, wave: Array) -> tuple[Array, Array]:
        """Lay muscle and chest wall under the breast; returns its level and attenuation."""
        noise = smooth_noise()
        oz = self.offset[2]
        fibre = noise(x * np.float32(1 / 8), y * np.float32(1 / 6), z * np.float32(1 / 0.6) + oz + 2)
        muscle = np.float32(MUSCLE_DB) + np.float32(8) * np.maximum(fibre - np.float32(0.1), 0)
        depth = z - np.float32(self.muscle_top) - np.float32(0.5) * wave
        level = level + (muscle - level) * step(depth, 0.4)
        wall = z - np.float32(self.chest) - wave
        deep = np.float32(DEEP_DB) - np.maximum(wall, 0) * np.float32(0.5)
        level += (deep - level) * step(wall, 0.4)
        attenuation = np.float32(0.12) * (1 - fat)
        if self.ribs:
            across = np.abs(((x + y * np.float32(0.4)) * np.float32(1 / 22) + oz) % 1 - np.float32(0.5)) * 22
            attenuation = attenuation + np.float32(3.5) * step(wall + 1, 0.4) * step(np.float32(5) - across, 0.6)
        return level, attenuation

    def interfaces(self, x: Array, y: Array, z: Array, fatness: Array, axial_mm: float, line_mm: float) -> Array:
        """Return the echo amplitude of thin smooth interfaces: septa, the gland's surface, the skin's lines, fascia.

        Parameters
        ----------
        x, y, z : ndarray of float32, shape (n, m)
            Tissue coordinates in mm of the full grid.
        fatness : ndarray of float32, shape (n, m)
            From ``layers``, resized to the full grid.
        axial_mm, line_mm : float
            Distances of the grid's rows and columns.

        Returns
        -------
        ndarray of float32, shape (n, m)
            Amplitude; 1 is the mean amplitude of fibroglandular tissue.
        """
        noise = smooth_noise()
        ox, oy, oz = self.offset
        x, y = x + ox, y + oy
        mask = noise(x * np.float32(1 / 5), y * np.float32(1 / 5), z * np.float32(1 / 4) + oz)
        rough = noise(x * np.float32(1 / 1.3), y * np.float32(1 / 1.3), z * np.float32(1 / 0.9))
        size = np.float32(1 / self.lobule)
        bend = mask * np.float32(0.16) + rough * np.float32(0.012)
        wall = cell_noise()(x * size + bend, y * size, z * (size * np.float32(1.9)) + bend)
        septum, square = _line(wall, axial_mm, line_mm, 0.1)
        strength = np.clip(mask + np.float32(0.7), 0, 1.6) * step(fatness - np.float32(0.2), 0.4)
        amplitude = _amplitude(self.septa_db - 9) * septum * strength * (1 + np.float32(1.6) * square * square)
        surface, square = _line(fatness + rough * np.float32(0.25), axial_mm, line_mm, 0.16)
        amplitude += np.float32(1.2) * surface * square * np.clip(mask - np.float32(0.2), 0, 1)
        ripple = np.float32(0.07) * rough
        amplitude += np.float32(1.7) * bell(z - np.float32(0.22), 0.1)
        amplitude += (
            np.float32(1.1) * bell(z + ripple - np.float32(self.skin), 0.1) * np.clip(mask + np.float32(0.6), 0, 1.2)
        )
        wave2 = noise(x * np.float32(1 / 11), y * np.float32(1 / 11), np.full_like(z, oz + 5))
        wave = noise(x * np.float32(1 / 15), y * np.float32(1 / 15), np.full_like(z, oz))
        lie = np.float32(self.slant) * (x - ox) + np.float32(self.undulation) * wave
        depth = z + ripple * 2 - np.float32(0.6) * lie - np.float32(0.5) * wave2
        broken = np.clip(np.float32(0.7) + np.float32(0.5) * rough + np.float32(0.5) * mask, 0, 1.6)
        muscular = step(depth - np.float32(self.muscle_top), 0.3) * step(np.float32(self.chest) - 1 - depth, 0.3)
        amplitude *= 1 - muscular * np.float32(0.8)
        amplitude += np.float32(0.8) * bell(depth - np.float32(self.muscle_top), 0.14) * broken
        wall = depth - np.float32(0.5) * wave2 - np.float32(self.chest)
        amplitude += _amplitude(PLEURA_DB - 4) * bell(wall, 0.2) * np.minimum(broken + np.float32(0.3), 1.3)
        return amplitude


def _line(field: Array, axial_mm: float, line_mm: float, width: float) -> tuple[Array, Array]:
    """Return a bell over the field's zero set, ``width`` mm wide, and how squarely beams meet it (cos^2, 0 to 1)."""
    down, across = slopes(field, axial_mm, line_mm)
    down *= down
    slope = across * across + down + np.float32(1e-6)
    return bell(field / np.sqrt(np.maximum(slope, np.float32(1e-3))), width), down / slope


def _amplitude(decibel: float) -> np.float32:
    return np.float32(10 ** (decibel / 20))


def draw_tissue(rng: np.random.Generator, depth_mm: float) -> Tissue:
    """Draw a breast that fills an image of a depth.

    Parameters
    ----------
    rng : numpy.random.Generator
    depth_mm : float

    Returns
    -------
    Tissue
    """
    skin = float(rng.uniform(1.0, 2.2))
    top = skin + float(rng.uniform(0.06, 0.28)) * depth_mm
    bottom = max(top + 4, float(rng.uniform(0.5, 0.85)) * depth_mm)
    muscle = bottom + float(rng.uniform(0.02, 0.15)) * depth_mm
    return Tissue(
        offset=rng.uniform(0, 200, 3).astype(np.float32),
        skin=skin,
        gland_top=top,
        gland_bottom=bottom,
        muscle_top=muscle,
        chest=muscle + float(rng.uniform(0.12, 0.6)) * depth_mm,
        undulation=float(rng.uniform(0.6, 2.2)),
        peaks=float(rng.uniform(0.5, 4.0)),
        density=float(rng.uniform(0.45, 1.0)),
        fat_db=float(rng.uniform(-13, -6)),
        streaks_db=float(rng.uniform(2.0, 5.5)),
        lobule=float(rng.uniform(7, 14)),
        septa_db=float(rng.uniform(-4, 7)),
        slant=float(rng.uniform(-0.08, 0.08)),
        ribs=bool(rng.random() < 0.35),
    )
