"""Statistics of real and simulated ultrasound: grey levels, speckle size, decorrelation over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame, FrameReader
from UltrasoundLesionSegLib.simulation.filters import Array, blur

CORRELATION_LAGS = (1, 2, 3, 5)  # pixels
FRAME_LAGS = (1, 2, 3, 5, 8, 12)
# What is left after this blur (sigma in pixels) is structure, the rest speckle.
STRUCTURE_SIGMA = 6.0
_DARKEST, _BRIGHTEST = 15, 240  # clipped grey levels and the black around a sector tell nothing of speckle
_PATCH, _SEARCH = 24, 8


@dataclass(frozen=True)
class Texture:
    """First- and second-order statistics of one or more pictures.

    Parameters
    ----------
    percentiles : ndarray, shape (5,)
        Grey levels below which 1, 10, 50, 90 and 99% of the pixels lie; black surroundings of a sector left out.
    contrast : float
        Median standard deviation of the speckle, in grey levels.
    skewness : float
        Of the speckle: > 0 bright specks on a dark ground.
    axial, lateral : ndarray, shape (4,)
        Autocorrelation of the speckle at 1, 2, 3 and 5 pixels.
    """

    percentiles: Array
    contrast: float
    skewness: float
    axial: Array
    lateral: Array


def texture(pictures: Iterable[Frame]) -> Texture:
    """Measure grey pictures, (H, W) uint8 each; the mean over them."""
    measured = [_texture_of(grey(picture)) for picture in pictures]
    return Texture(
        *(np.mean([getattr(one, name) for one in measured], axis=0) for name in Texture.__dataclass_fields__)
    )


def grey(picture: Frame) -> NDArray[np.uint8]:
    """Return the grey levels of a picture, uint8 (H, W)."""
    return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _texture_of(picture: NDArray[np.uint8]) -> Texture:
    image = picture.astype(np.float32)
    speckle = image - blur(image, STRUCTURE_SIGMA, STRUCTURE_SIGMA)
    spread = np.sqrt(blur(speckle * speckle, 2 * STRUCTURE_SIGMA, 2 * STRUCTURE_SIGMA))
    speckle /= spread + 2
    seen = (picture > _DARKEST) & (picture < _BRIGHTEST)
    if not seen.any():
        seen[:] = True
    shown = picture[picture > 0] if (picture > 0).any() else picture
    return Texture(
        percentiles=np.percentile(shown, [1, 10, 50, 90, 99]).astype(np.float32),
        contrast=float(np.median(spread[seen])),
        skewness=float((speckle[seen] ** 3).mean() / (speckle[seen] ** 2).mean() ** 1.5),
        axial=_autocorrelation(speckle, seen),
        lateral=_autocorrelation(speckle.T, seen.T),
    )


def _autocorrelation(speckle: Array, seen: NDArray[np.bool_]) -> Array:
    power = float((speckle[seen] ** 2).mean())
    values = []
    for lag in CORRELATION_LAGS:
        both = seen[lag:] & seen[:-lag]
        values.append(float((speckle[lag:] * speckle[:-lag])[both].mean()) / power)
    return np.array(values, np.float32)


def decorrelation(frames: FrameReader, patches: int = 60, seed: int = 0) -> Array:
    """Return how well small patches are found again in later frames.

    Patches of 24 x 24 pixels are followed from frame to frame by normalised cross-correlation within 8 pixels, after
    structure has been taken out, so that it is speckle that is compared.

    Parameters
    ----------
    frames : FrameReader
    patches : int
    seed : int
        Of the patches' places.

    Returns
    -------
    ndarray of float32, shape (6,)
        Mean correlation after 1, 2, 3, 5, 8 and 12 frames; nan for lags longer than the cine.
    """
    rng = np.random.default_rng(seed)
    kept: dict[int, Array] = {}

    def speckle(index: int) -> Array:
        if index not in kept:
            image = grey(frames[index]).astype(np.float32)
            kept[index] = image - blur(image, STRUCTURE_SIGMA, STRUCTURE_SIGMA)
            if len(kept) > 2 * max(FRAME_LAGS):
                kept.pop(next(iter(kept)))
        return kept[index]

    starts = np.sort(rng.integers(0, max(1, len(frames) - max(FRAME_LAGS)), patches))
    found = [_follow(speckle, len(frames), int(start), rng) for start in starts]
    values = np.array([one for one in found if one is not None], np.float32).reshape(-1, len(FRAME_LAGS))
    counted = (~np.isnan(values)).sum(axis=0)
    return np.where(counted > 0, np.nansum(values, axis=0) / np.maximum(counted, 1), np.nan).astype(np.float32)


def _follow(speckle: Callable[[int], Array], count: int, start: int, rng: np.random.Generator) -> list[float] | None:
    """Follow one patch; None where there is nothing to follow."""
    first = speckle(start)
    height, width = first.shape
    row = int(rng.integers(_SEARCH, max(_SEARCH + 1, height - _PATCH - _SEARCH)))
    column = int(rng.integers(_SEARCH, max(_SEARCH + 1, width - _PATCH - _SEARCH)))
    patch = first[row : row + _PATCH, column : column + _PATCH]
    if patch.shape != (_PATCH, _PATCH) or patch.std() < 3:
        return None
    values = []
    for lag in FRAME_LAGS:
        if start + lag >= count:
            values.append(float("nan"))
            continue
        top, left = max(0, row - _SEARCH), max(0, column - _SEARCH)
        window = speckle(start + lag)[top : row + _PATCH + _SEARCH, left : column + _PATCH + _SEARCH]
        score = cv2.matchTemplate(window, patch, cv2.TM_CCOEFF_NORMED)
        best = np.unravel_index(int(score.argmax()), score.shape)
        values.append(float(score.max()))
        row, column = top + int(best[0]), left + int(best[1])
    return values
