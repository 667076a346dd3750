"""Effects of scanner, screen and recording on a frame. They do not move with the tissue."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.fitting.motion import Wobble

Field = NDArray[np.float32]

LETTERS = "ABCDEFGHIKLMNOPQRSTUVXYZ0123456789 .:+-"


@dataclass(frozen=True)
class Shadow:
    """A vertical shadow (or, when negative, enhancement) below a point.

    Parameters
    ----------
    column, width, top : float
        In shares of the frame's side.
    depth : float
        Loss in grey levels (a difference of log-compressed levels is a factor of amplitude).
    """

    column: float
    width: float
    top: float
    depth: float


@dataclass(frozen=True)
class Appearance:
    """The look of one clip and how it drifts.

    Parameters
    ----------
    contrast, offset : float
        Grey levels become ``contrast * level + offset``.
    grey_map : ndarray of uint8, shape (256,)
        The scanner's post-processing curve, applied last.
    tgc : ndarray, shape (K,)
        Time gain compensation sliders: grey levels added at K depths.
    drift : float
        Largest change of gain and of each slider during the clip, in grey levels.
    posterior : float
        Shadow (> 0) or enhancement (< 0) below the lesion, grey levels.
    shadows : tuple of Shadow
    blur : float
        Standard deviation in pixels.
    noise : float
        Electronic noise, grey levels.
    jpeg : int
        Quality, 0 for none.
    overlay : ndarray of uint8, shape (N, N)
        Callipers and text; 0 where there is none.
    wobble : Wobble
        Of ``2 + K + len(shadows)`` functions.
    """

    contrast: float
    offset: float
    grey_map: NDArray[np.uint8]
    tgc: NDArray[np.float64]
    drift: float
    posterior: float
    shadows: tuple[Shadow, ...]
    blur: float
    noise: float
    jpeg: int
    overlay: NDArray[np.uint8]
    wobble: Wobble

    def apply(self, image: Field, time: float, mask: Mask, seen: Mask, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the frame as a reader of the recording gets it.

        Parameters
        ----------
        image : ndarray of float32, shape (N, N)
            Tissue, grey levels; changed in place.
        time : float
            In frames.
        mask : ndarray of bool, shape (N, N)
            The lesion, which casts the posterior shadow.
        seen : ndarray of bool, shape (N, N)
            The part of the screen that shows tissue.
        rng : Generator
            For the electronic noise.
        """
        size = image.shape[0]
        values = self.wobble.at(time)
        image *= np.float32(self.contrast)
        sliders = self.tgc + self.drift * values[2 : 2 + len(self.tgc)]
        profile = np.interp(np.linspace(0, 1, size), np.linspace(0, 1, len(sliders)), sliders)
        image += (profile + self.offset + self.drift * values[0]).astype(np.float32)[:, None]
        self._cast(image, mask, values)
        if self.blur > 0:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), self.blur), np.float32)
        if self.noise > 0:
            image = image + np.float32(self.noise) * rng.standard_normal(image.shape, np.float32)
        frame = cv2.LUT(np.clip(image, 0, 255).astype(np.uint8), self.grey_map).astype(np.uint8, copy=False)
        frame[~seen] = 0
        np.copyto(frame, self.overlay, where=self.overlay > 0)
        if self.jpeg:
            packed = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])[1]
            frame = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
        return frame

    def _cast(self, image: Field, mask: Mask, values: NDArray[np.float64]) -> None:
        size = image.shape[0]
        grid = np.arange(size, dtype=np.float32) / size
        for number, shadow in enumerate(self.shadows):
            column = shadow.column + 0.1 * values[2 + len(self.tgc) + number]
            across = np.exp(-(((grid - np.float32(column)) / np.float32(shadow.width)) ** 2))
            below = np.clip((grid - np.float32(shadow.top)) * 8, 0, 1)
            image -= np.float32(shadow.depth) * below[:, None] * across[None, :]
        columns = np.flatnonzero(mask.any(axis=0))
        if self.posterior and len(columns) > 2:
            bottom = size - 1 - int(np.argmax(mask[::-1].any(axis=1)))
            middle, half = (columns[0] + columns[-1]) / 2 / size, (columns[-1] - columns[0]) / 2 / size
            across = np.exp(-(((grid - np.float32(middle)) / np.float32(0.8 * half + 1e-3)) ** 4))
            below = np.clip((grid - np.float32(bottom / size)) * 20, 0, 1) * np.exp(-(grid - np.float32(bottom / size)))
            image -= np.float32(self.posterior * (1 + 0.3 * values[1])) * below[:, None] * across[None, :]


def draw_overlay(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Draw callipers, text and side marks at random places, so that a network cannot take them for the lesion.

    Parameters
    ----------
    rng : Generator
    size : int
        Side of the overlay in pixels.

    Returns
    -------
    ndarray of uint8, shape (size, size)
        0 where nothing is drawn.
    """
    overlay = np.zeros((size, size), np.uint8)
    grey = int(rng.integers(150, 256))
    for _ in range(int(rng.integers(0, 5))):
        x, y = (int(value) for value in rng.integers(0, size, 2))
        arm = int(rng.integers(2, max(3, size // 40) + 2))
        marker = int(rng.choice([cv2.MARKER_CROSS, cv2.MARKER_TILTED_CROSS, cv2.MARKER_STAR, cv2.MARKER_DIAMOND]))
        cv2.drawMarker(overlay, (x, y), grey, marker, 2 * arm, 1)
    if rng.random() < 0.4:
        start, stop = rng.integers(0, size, 2), rng.integers(0, size, 2)
        for share in np.linspace(0, 1, max(int(np.hypot(*(stop - start)) // 5), 2)):
            x, y = (start + share * (stop - start)).astype(int)
            overlay[y : y + 1, x : x + 1] = grey
    for _ in range(int(rng.integers(0, 3))):
        text = "".join(rng.choice(list(LETTERS), int(rng.integers(1, 14))))
        place = (int(rng.integers(-10, size)), int(rng.integers(8, size)))
        cv2.putText(overlay, text, place, int(rng.integers(0, 4)), float(rng.uniform(0.25, 0.6)) * size / 240, grey, 1)
    return overlay


def draw_appearance(rng: np.random.Generator, size: int, strength: float, look: float = 1.0) -> Appearance:
    """Draw the look of a clip.

    Parameters
    ----------
    rng : Generator
    size : int
        Side of the frames in pixels.
    strength : float
        Scales all drift and shadows; 1 as strong as on real cines.
    look : float
        Scales how far the look is from the still's own: contrast, curve, shadows, blur, noise, and how often there is
        an overlay; 1 as far as scanners are apart.
    """
    shadows = tuple(
        Shadow(
            float(rng.uniform(0, 1)),
            float(rng.uniform(0.02, 0.15)),
            float(rng.uniform(-0.3, 0.8)),
            float(rng.uniform(8, 55)) * look,
        )
        for _ in range(int(rng.choice([0, 0, 1, 2])))
    )
    posterior = float(rng.normal(0, 25)) * strength * look if rng.random() < 0.5 else 0.0
    contrast = float(np.exp(rng.normal(0, 0.2) * look))
    return Appearance(
        contrast=contrast,
        offset=float(rng.normal(0, 14)) * look + 60 * (1 - contrast),
        grey_map=(255 * np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.2) * look)).astype(np.uint8),
        tgc=rng.normal(0, 12, 5) * look,
        drift=float(rng.uniform(2, 16)) * strength * look,
        posterior=posterior,
        shadows=shadows,
        blur=float(rng.uniform(0.3, 1.4)) * look if rng.random() < 0.35 else 0.0,
        noise=float(rng.uniform(1, 6)) * look if rng.random() < 0.3 else 0.0,
        jpeg=int(rng.integers(35, 96)) if rng.random() < 0.4 else 0,
        overlay=draw_overlay(rng, size) if rng.random() < 0.4 * look else np.zeros((size, size), np.uint8),
        wobble=Wobble.draw(rng, 2 + 5 + len(shadows), 8, 80),
    )
