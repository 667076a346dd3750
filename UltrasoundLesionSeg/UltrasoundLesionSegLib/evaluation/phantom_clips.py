"""Test clips of a phantom: a plane sweeps through a volume of scatterers with a lobed lesion, and never rests.

Nothing here is shared with the project's simulator (``simulation``), which training uses. The volume is a grid of
complex scatterers weighted by the echo level, convolved with a pulse once; a frame is a plane through it. The lesion is
a union of blobs in three dimensions, so that lobes come and go as the plane moves on; many have a bright rim that
belongs to them, and many cast a shadow onto their own lower part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Field = NDArray[np.float32]
DEPTH, LATERAL, ELEVATION = 224, 288, 112  # voxels
SHOWN = 208  # columns of a frame; its rows are the volume's depth
SCALE = 1.7  # pixels of a frame for a voxel
PULSE = (0.8, 1.4, 3.2)  # standard deviations in voxels: along the beam, across it, out of the plane
RANGE_DB = 55.0


@dataclass(frozen=True)
class Lesion:
    """Blobs whose union is the lesion.

    Parameters
    ----------
    centres : ndarray of float32, shape (N, 3)
        Depth, lateral, elevation in voxels.
    radii : ndarray of float32, shape (N,)
    rim : float
        Width in voxels of the bright rim; 0 for none.
    level, rim_level : float
        Echo level inside and in the rim, dB over the tissue.
    attenuation : float
        dB a voxel inside the lesion.
    """

    centres: Field
    radii: Field
    rim: float
    level: float
    rim_level: float
    attenuation: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Lesion:
        """Draw one."""
        size = float(rng.uniform(18, 34))
        centre = np.array([rng.uniform(80, 130), LATERAL / 2, ELEVATION / 2])
        count = int(rng.integers(2, 7))
        directions = rng.normal(0, 1, (count, 3)) * [0.8, 1.2, 0.8]
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        radii = np.concatenate([[size], size * rng.uniform(0.3, 0.65, count)])
        centres = np.concatenate([[centre], centre + directions * size * rng.uniform(0.7, 1.05, (count, 1))])
        return cls(
            centres.astype(np.float32),
            radii.astype(np.float32),
            rim=float(rng.uniform(2, 5)) if rng.random() < 0.6 else 0.0,
            level=float(rng.uniform(-22, -7)),
            rim_level=float(rng.uniform(2, 8)),
            attenuation=float(rng.uniform(0.04, 0.2)) if rng.random() < 0.6 else 0.0,
        )

    def inside(self, depth: Field, lateral: Field, elevation: Field) -> Field:
        """Return the distance to the surface in voxels, positive inside, smoothed where blobs meet.

        Parameters
        ----------
        depth, lateral, elevation : ndarray of float32, shapes that broadcast
            Positions in voxels.
        """
        distances = [
            radius - np.sqrt((depth - d) ** 2 + (lateral - x) ** 2 + (elevation - z) ** 2)
            for (d, x, z), radius in zip(self.centres, self.radii, strict=True)
        ]
        stacked = np.stack(distances)
        joined: Field = (2.5 * np.log(np.exp(np.clip(stacked / 2.5, -30, 30)).sum(axis=0))).astype(np.float32)
        return joined


class Phantom:
    """One clip in the making.

    Parameters
    ----------
    seed : int
    frames : int
    """

    def __init__(self, seed: int, frames: int) -> None:
        self._rng = rng = np.random.default_rng((7, seed))
        self._frames = frames
        self.lesion = Lesion.drawn(rng)
        grid = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (DEPTH, LATERAL, ELEVATION)), indexing="ij")
        self._level = self._tissue(rng)
        away = self.lesion.inside(*grid)
        self._level = np.where(away > 0, self.lesion.level + 0.3 * self._level, self._level)
        if self.lesion.rim:
            rim = np.exp(-(((away - self.lesion.rim) / self.lesion.rim) ** 2)) * (away > 0)
            self._level += rim * (self.lesion.rim_level - self.lesion.level)
        self._volume = self._scattered(rng)

    def _tissue(self, rng: np.random.Generator) -> Field:
        """Return the echo level in dB: layers, lobules, strands."""
        shape = (DEPTH, LATERAL, ELEVATION)
        lobules = _smooth_noise(rng, shape, (9, 16, 14))
        strands = _smooth_noise(rng, shape, (3, 22, 16))
        depth = np.arange(DEPTH, dtype=np.float32)[:, None, None] + 6 * _smooth_noise(rng, shape, (30, 40, 30))
        layers = 5 * np.sin(depth / float(rng.uniform(14, 26)) + rng.uniform(0, 6))
        level: Field = (4 * lobules + 3 * strands + 0.6 * layers).astype(np.float32)
        return level

    def _scattered(self, rng: np.random.Generator) -> NDArray[np.complex64]:
        shape = self._level.shape
        white = rng.standard_normal((2, *shape), np.float32)
        field = (white[0] + 1j * white[1]) * np.power(np.float32(10), self._level / 20)
        spectrum = torch.fft.fftn(torch.from_numpy(field.astype(np.complex64)))
        for axis, sigma in enumerate(PULSE):
            frequency = torch.fft.fftfreq(shape[axis])
            window = torch.exp(-2 * (np.pi * sigma * frequency) ** 2).to(torch.float32)
            spectrum *= window.reshape([-1 if a == axis else 1 for a in range(3)])
        scattered: NDArray[np.complex64] = torch.fft.ifftn(spectrum).numpy()
        return scattered / np.abs(scattered).mean()

    def clip(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return frames uint8 (T, H, W) and masks bool (T, H, W)."""
        rng = self._rng
        shape = round(DEPTH * SCALE), round(SHOWN * SCALE)
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / np.float32(SCALE)
        columns -= SHOWN / 2
        time = np.arange(self._frames) / self._frames
        reach = 0.75 * float(self.lesion.radii[0])
        turns, phase = rng.uniform(0.5, 1.1, 4), rng.uniform(0, 2 * np.pi, 4)
        sweep = reach * np.sin(2 * np.pi * turns[0] * time + phase[0])
        slide = 26 * np.sin(2 * np.pi * 1.6 * turns[1] * time + phase[1])
        tilt, yaw = 0.2 * np.sin(2 * np.pi * turns[2] * time + phase[2]), 0.25 * np.sin(2 * np.pi * turns[3] * time)
        images, masks = [], []
        for t in range(self._frames):
            depth = rows + 4 * np.float32(np.sin(2 * np.pi * 2 * time[t]))
            lateral = LATERAL / 2 + columns + np.float32(slide[t])
            elevation = (
                ELEVATION / 2 + sweep[t] + np.float32(tilt[t]) * (rows - DEPTH / 2) + np.float32(yaw[t]) * columns
            ).astype(np.float32)
            inside = self.lesion.inside(depth, lateral, elevation)
            images.append(self._picture(depth, lateral, elevation, inside))
            masks.append(inside > 0)
        return np.stack(images), np.stack(masks)

    def _picture(self, depth: Field, lateral: Field, elevation: Field, inside: Field) -> NDArray[np.uint8]:
        envelope = np.abs(_sampled(self._volume, depth, lateral, elevation))
        lost = np.cumsum(np.where(inside > 0, self.lesion.attenuation / SCALE, 0.0), axis=0)
        decibel = 20 * np.log10(np.maximum(envelope, 1e-4)) - 2 * lost + self._rng.normal(0, 0.5, envelope.shape)
        grey = (decibel + 0.62 * RANGE_DB) / RANGE_DB * 255
        return np.clip(grey, 0, 255).astype(np.uint8)


def _sampled(volume: NDArray[np.complex64], depth: Field, lateral: Field, elevation: Field) -> NDArray[np.complex64]:
    """Return the volume on a plane, linear between voxels, the outermost going on outside."""
    places = np.stack([elevation / (ELEVATION - 1), lateral / (LATERAL - 1), depth / (DEPTH - 1)], axis=-1) * 2 - 1
    grid = torch.from_numpy(places.astype(np.float32))[None, None]
    parts = torch.from_numpy(np.stack([volume.real, volume.imag]))[None]
    seen = torch.nn.functional.grid_sample(parts, grid, align_corners=True, padding_mode="border")[0, :, 0].numpy()
    sampled: NDArray[np.complex64] = (seen[0] + 1j * seen[1]).astype(np.complex64)
    return sampled


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int, int], grain: tuple[float, float, float]) -> Field:
    """Return smooth noise of spread 1 whose features are about ``grain`` voxels."""
    coarse = [max(round(n / g) + 2, 4) for n, g in zip(shape, grain, strict=True)]
    small = torch.from_numpy(rng.standard_normal((1, 1, *coarse), np.float32))
    large = torch.nn.functional.interpolate(small, size=shape, mode="trilinear", align_corners=True)[0, 0].numpy()
    noise: Field = large / large.std()
    return noise
