"""Splitting an image into echogenicity and speckle, and making new speckle.

Envelope-detected, log-compressed, fully developed speckle is the logarithm of the modulus of a complex Gaussian field
that the point spread function has correlated; its variance in the log domain does not depend on the echo level
(Burckhardt, "Speckle in ultrasound B-mode scans", IEEE Trans. Sonics Ultrason. 1978). So an image is echogenicity +
spread * noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

# of the logarithm of a unit Rayleigh variable (modulus of a complex Gaussian with E|c|^2 = 1)
LOG_RAYLEIGH_MEAN = -0.5 * 0.5772156649
LOG_RAYLEIGH_SD = np.pi / np.sqrt(24)


@dataclass(frozen=True)
class Layers:
    """An image taken apart: ``echo + spread * grain``.

    Parameters
    ----------
    echo : ndarray of float32, shape (H, W)
        Smooth echogenicity, grey levels of 0 to 255.
    spread : ndarray of float32, shape (H, W)
        Local standard deviation of the speckle, grey levels.
    grain : ndarray of float32, shape (H, W)
        The still's own speckle with unit spread.
    grain_size : tuple of float
        Standard deviation of the point spread function in (rows, columns), pixels.
    """

    echo: Field
    spread: Field
    grain: Field
    grain_size: tuple[float, float]


def guided_smooth(image: Field, radius: int, noise: float) -> Field:
    """Smooth an image, keeping edges larger than ``noise`` (self-guided filter, He et al., ECCV 2010).

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
    radius : int
        Of the box, in pixels.
    noise : float
        Standard deviation that is taken for speckle, in grey levels.
    """
    box = (2 * radius + 1, 2 * radius + 1)
    mean = cv2.boxFilter(image, -1, box)
    variance = cv2.boxFilter(image * image, -1, box) - mean * mean
    gain = variance / (variance + np.float32(noise * noise))
    offset = mean - gain * mean
    smooth: Field = cv2.boxFilter(gain, -1, box) * image + cv2.boxFilter(offset, -1, box)
    return smooth


def split_layers(image: Field) -> Layers:
    """Split an image into echogenicity, spread and grain.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        Grey levels of 0 to 255.
    """
    echo = guided_smooth(image, 3, 30.0)
    rest = image - echo
    spread = np.sqrt(cv2.GaussianBlur(rest * rest, (0, 0), 5)) + np.float32(0.5)
    grain = rest / spread
    return Layers(echo, spread, grain, (_grain_size(grain), _grain_size(grain.T)))


def _grain_size(grain: Field) -> float:
    """Estimate the point spread function's standard deviation along the first axis from the correlation at lag 1.

    A Gaussian point spread function of standard deviation s gives the field the correlation exp(-d^2 / 4 s^2), and the
    envelope about its square.
    """
    correlation = float((grain[1:] * grain[:-1]).mean() / max(float((grain * grain).mean()), 1e-6))
    return float(np.clip(np.sqrt(-0.5 / np.log(np.clip(correlation, 0.02, 0.97))), 0.5, 3.5))


class SpeckleSource:
    """Unit speckle that decorrelates from frame to frame.

    Parameters
    ----------
    rng : Generator
    size : int
        Fields are ``size`` x ``size`` pixels.
    grain_size : tuple of float
        Standard deviation of the point spread function in (rows, columns), pixels.
    lifetime : float
        Frames after which the correlation has fallen to 1/e.
    """

    def __init__(self, rng: np.random.Generator, size: int, grain_size: tuple[float, float], lifetime: float) -> None:
        self._rng = rng
        self._size = size
        self._grain_size = grain_size
        self._lifetime = lifetime
        self._field = self._fresh()
        self._time: float | None = None

    def _fresh(self) -> Field:
        """Return a complex Gaussian field as (H, W, 2), E|c|^2 = 1."""
        white = self._rng.standard_normal((self._size, self._size, 2), np.float32)
        field = cv2.GaussianBlur(white, (0, 0), sigmaX=self._grain_size[1], sigmaY=self._grain_size[0])
        scaled: Field = field * np.float32(np.sqrt(0.5) / field.std())
        return scaled

    def at(self, time: float) -> Field:
        """Return zero-mean, unit-spread log speckle at a time in frames; times must not decrease.

        The field is an AR(1) process in time, the logarithm of its modulus is what is seen.
        """
        if self._time is not None and time > self._time:
            kept = np.float32(np.exp(-(time - self._time) / self._lifetime))
            self._field = kept * self._field + np.sqrt(1 - kept * kept) * self._fresh()
        self._time = time
        power = self._field[..., 0] ** 2 + self._field[..., 1] ** 2
        level = (0.5 * np.log(power + np.float32(1e-4)) - np.float32(LOG_RAYLEIGH_MEAN)) / np.float32(LOG_RAYLEIGH_SD)
        # scanners compress and average: the deep tail of dark speckles is not seen on displays
        seen: Field = np.maximum(level, np.float32(-2.6))
        return seen
