"""Periodic 3-D random volumes, sampled anywhere in space: what simulated tissue and its scatterers are made of.

A volume is a periodic lattice of a fixed size, so that an endless medium needs a bounded memory. It is sampled
trilinearly: the lattice's slices lie below each other in one picture (an atlas), from which ``cv2.remap``, which is
vectorised, interpolates two slices at a time. The same point gives the same value in whatever order it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import numpy as np

from UltrasoundLesionSegLib.simulation.filters import Array, remap

# Size of the scatterer lattice's cells in mm along (x lateral, y elevational, z axial). Laterally and axially under the
# pulse's extent, so that speckle is fully developed; elevationally half of the slice thickness's sigma.
SCATTERER_CELL_MM = (0.15, 0.25, 0.10)
# Cells along (y, z, x): 16 x 25.6 x 38.4 mm, 34 MB as complex numbers.
SCATTERER_CELLS = (64, 256, 256)
# Sigma of the beam across the image plane, in mm: a slice thickness (FWHM) of 1.2 mm, as of a 10 MHz linear array.
SLICE_SIGMA_MM = 0.5


class PeriodicVolume:
    """A periodic lattice of numbers in space, interpolated trilinearly.

    Parameters
    ----------
    values : ndarray of float32, shape (Y, Z, X) or (Y, Z, X, C)
        Y * (Z + 1) must stay under 32,767, the largest picture that ``cv2.remap`` reads.
    """

    def __init__(self, values: Array) -> None:
        self._cells = values.shape[:3]
        edges = ((0, 0), (0, 1), (0, 1)) + ((0, 0),) * (values.ndim - 3)
        padded = np.pad(values, edges, mode="wrap")
        self._atlas = padded.reshape(-1, *padded.shape[2:])

    def sample(self, x: Array, y: Array, z: Array) -> Array:
        """Return the values at the points (x, y, z), given in cells.

        Parameters
        ----------
        x, y, z : ndarray of float32, all of one shape (n, m)

        Returns
        -------
        ndarray of float32, shape (n, m) or (n, m, C)
        """
        count_y, count_z, count_x = self._cells
        column = _wrap(x, count_x)
        row = _wrap(z, count_z)
        slice_position = _wrap(y, count_y)
        lower = np.floor(slice_position)
        share = slice_position - lower
        lower[lower >= count_y] = 0
        upper = lower + 1
        upper[upper >= count_y] = 0
        lower *= np.float32(count_z + 1)  # from slices to rows of the atlas
        upper *= np.float32(count_z + 1)
        first = remap(self._atlas, column, row + lower)
        second = remap(self._atlas, column, row + upper)
        second -= first
        second *= share if first.ndim == 2 else share[..., None]
        first += second
        return first


def _wrap(position: Array, period: int) -> Array:
    """Return the positions modulo a period; faster than ``np.mod`` for float32."""
    turns = np.floor(position * np.float32(1 / period))
    turns *= np.float32(-period)
    turns += position
    return turns


def _blur_circular(values: Array, sigma: float, axis: int) -> Array:
    """Convolve periodically with a Gaussian along one axis; ``sigma`` in cells."""
    count = values.shape[axis]
    distance = np.arange(count)
    distance = np.minimum(distance, count - distance)
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    matrix = np.stack([np.roll(kernel, shift) for shift in range(count)]).astype(np.float32)
    moved = np.moveaxis(values, axis, 0)
    blurred = (matrix @ moved.reshape(count, -1)).reshape(moved.shape)
    return np.moveaxis(blurred, 0, axis)


_made_scatterers: list[PeriodicVolume] = []  # one, once it is made


def scatterers() -> PeriodicVolume:
    """Return the medium's scatterers: circular complex Gaussian amplitudes (2 channels) on the lattice of this module.

    They are already summed over the slice thickness with the beam's elevational profile. That sum commutes with
    everything in the image plane, and done once it makes a frame cost one slice instead of a slab; a plane that moves
    by d out of plane decorrelates as exp(-d^2 / (4 sigma^2)), as it does for a real beam (Wagner et al., "Statistics of
    speckle in ultrasound B-scans", IEEE Trans. Sonics Ultrasonics 30, 1983). One field serves all simulations of a
    process: each reads it at a random place of its own.
    """
    for _ in _scatterer_steps():
        pass
    return _made_scatterers[0]


def _scatterer_steps() -> Iterator[None]:
    if _made_scatterers:
        return
    amplitudes = np.random.default_rng(20240229).standard_normal((*SCATTERER_CELLS, 2), dtype=np.float32)
    yield
    amplitudes = _blur_circular(amplitudes, SLICE_SIGMA_MM / SCATTERER_CELL_MM[1], axis=0)
    yield
    # the lattice is smoothed a little, because interpolated white noise is weaker half-way between the cells
    for axis in (1, 2):
        amplitudes = _blur_circular(amplitudes, 0.7, axis)
        yield
    amplitudes /= amplitudes.std()
    _made_scatterers[:] = [PeriodicVolume(np.ascontiguousarray(amplitudes))]


def media_steps() -> Iterator[None]:
    """Make what all simulations of a process share, in steps of at most about 0.15 s: a window can stay alive between.

    Made at once it takes 0.5 s on one core; nothing is left to do when it was made before.
    """
    smooth_noise()
    yield
    cell_noise()
    yield
    yield from _scatterer_steps()


class SmoothNoise:
    """Smooth Gaussian noise of zero mean, unit variance and unit correlation length, in three dimensions.

    Parameters
    ----------
    seed : int
    """

    CELLS = 48  # 16 correlation lengths before it repeats
    CELLS_PER_LENGTH = 3

    def __init__(self, seed: int) -> None:
        values = np.random.default_rng(seed).standard_normal((self.CELLS,) * 3, dtype=np.float32)
        for axis in range(3):
            values = _blur_circular(values, self.CELLS_PER_LENGTH / 2, axis)
        self._volume = PeriodicVolume((values - values.mean()) / values.std())

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """Return the noise at the points (x, y, z), given in correlation lengths; shapes (n, m)."""
        scale = np.float32(self.CELLS_PER_LENGTH)
        return self._volume.sample(x * scale, y * scale, z * scale)


class CellNoise:
    """Distance to the nearest wall between irregular cells of unit size (Worley, SIGGRAPH 1996): lobules, septa.

    Parameters
    ----------
    seed : int
    """

    SITES = 5  # cells along each axis before it repeats
    SAMPLES_PER_CELL = 8

    def __init__(self, seed: int) -> None:
        jitter = np.random.default_rng(seed).random((self.SITES,) * 3 + (3,), dtype=np.float32)
        count = self.SITES * self.SAMPLES_PER_CELL
        axis = np.arange(count, dtype=np.float32) / self.SAMPLES_PER_CELL
        points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
        home = points.astype(np.int64)
        nearest = np.full(points.shape[:3], np.inf, np.float32)
        second = nearest.copy()
        for step in product((-1, 0, 1), repeat=3):
            cell = home + np.array(step)
            wrapped = cell % self.SITES
            site = cell + jitter[wrapped[..., 0], wrapped[..., 1], wrapped[..., 2]]
            distance = np.linalg.norm(points - site, axis=-1).astype(np.float32)
            second = np.minimum(second, np.maximum(distance, nearest))
            nearest = np.minimum(nearest, distance)
        self._volume = PeriodicVolume(second - nearest)

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """Return twice the distance to the nearest wall, roughly, at the points (x, y, z) in cells; shapes (n, m)."""
        scale = np.float32(self.SAMPLES_PER_CELL)
        return self._volume.sample(x * scale, y * scale, z * scale)


@lru_cache(maxsize=4)
def smooth_noise(seed: int = 1) -> SmoothNoise:
    """Return smooth noise number ``seed``, made once a process."""
    return SmoothNoise(seed)


@lru_cache(maxsize=1)
def cell_noise() -> CellNoise:
    """Return the cell noise, made once a process."""
    return CellNoise(7)
