"""OpenCV's vectorised functions on float32 arrays, as the simulator uses them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_FAINTEST = np.float32(-30)  # exp of it is 1e-13; much less would be a slow denormal number


def blur(image: Array, across: float, down: float) -> Array:
    """Blur with a Gaussian; sigmas in columns and rows."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigmaX=across, sigmaY=down), np.float32)


def convolve(image: Array, across: Array, down: Array) -> Array:
    """Convolve (n, m) or (n, m, C) with a separable kernel, mirrored at the borders."""
    return np.asarray(cv2.sepFilter2D(image, cv2.CV_32F, across, down, borderType=cv2.BORDER_REFLECT), np.float32)


def power_kernel(sigma: float) -> Array:
    """Return a Gaussian whose squares sum to 1: white noise keeps its power."""
    reach = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / sigma))
    return (kernel / np.sqrt(np.sum(kernel**2))).astype(np.float32)


def amplitude(decibel: Array) -> Array:
    """Return 10^(dB / 20)."""
    return np.asarray(cv2.exp(decibel * np.float32(np.log(10) / 20)), np.float32)


def power(decibel: Array) -> Array:
    """Return 10^(dB / 10)."""
    return np.asarray(cv2.exp(decibel * np.float32(np.log(10) / 10)), np.float32)


def decibel(power: Array) -> Array:
    """Return 10 log10 of a power > 0."""
    return np.asarray(cv2.log(power), np.float32) * np.float32(10 / np.log(10))


def bell(distance: Array, width: float) -> Array:
    """Return a bell of height 1 over distance 0: exp(-(distance / width)^2)."""
    scaled = distance * np.float32(1 / width)
    return np.asarray(cv2.exp(np.maximum(-scaled * scaled, _FAINTEST)), np.float32)


def step(distance: Array, width: float) -> Array:
    """Return 0 to 1: a soft step at distance 0, within +- width."""
    share = np.clip(distance * np.float32(0.5 / width) + np.float32(0.5), 0, 1)
    return share * share * (3 - 2 * share)


def slopes(field: Array, row_step: float, column_step: float) -> tuple[Array, Array]:
    """Return the field's slope down and across, per unit of the steps' length (Sobel)."""
    down = cv2.Sobel(field, cv2.CV_32F, 0, 1, ksize=3, scale=0.125 / row_step)
    across = cv2.Sobel(field, cv2.CV_32F, 1, 0, ksize=3, scale=0.125 / column_step)
    return np.asarray(down, np.float32), np.asarray(across, np.float32)


def remap(picture: Array, column: Array, row: Array, border: int = cv2.BORDER_REPLICATE) -> Array:
    """Return the picture's values at (row, column), interpolated bilinearly."""
    return np.asarray(cv2.remap(picture, column, row, cv2.INTER_LINEAR, borderMode=border), np.float32)


def enlarge(coarse: Array, factor: int, rows: int, columns: int) -> Array:
    """Return a map of blocks' centres as one of (rows, columns) pixels, interpolated bilinearly."""
    size = (coarse.shape[1] * factor, coarse.shape[0] * factor)
    full = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return np.ascontiguousarray(full[:rows, :columns])
