"""A still image becomes a clip: the tissue moves and changes, the speckle is made new, the truth goes along.

The still is split into echogenicity and speckle (speckle.py). In the still's own plane, for each frame: speckle decays
into new speckle, echogenicity is slowly replaced by another still's, edges blur as the plane cuts them obliquely, the
lesion fades when the plane leaves it. Then the result and the lesion's signed distance are resampled along one smooth
motion (motion.py). Last comes what stays put on the screen (appearance.py).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.engine.window import Window
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.fitting.appearance import draw_appearance
from UltrasoundLesionSegLib.fitting.motion import Wobble, draw_motion
from UltrasoundLesionSegLib.fitting.speckle import SpeckleSource
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.fitting.tissue import TissueSheet
from UltrasoundLesionSegLib.writers.atomic import atomic_path

Field = NDArray[np.float32]

# a lesion of which less than this share of contrast is left counts as not visible
VISIBLE = 0.4


@dataclass(frozen=True)
class Clip:
    """Frames and truth.

    Parameters
    ----------
    frames : ndarray of uint8, shape (T, N, N)
    masks : ndarray of bool, shape (T, N, N)
        All False where the plane has left the lesion.
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]

    def save(self, target: Path) -> None:
        """Write the clip to an ``.npz`` file, whole or not at all."""
        with atomic_path(target) as path, path.open("wb") as file:
            np.savez(file, frames=self.frames, masks=self.masks)

    @classmethod
    def load(cls, path: Path) -> Clip:
        """Read a clip that ``save`` wrote.

        Raises
        ------
        SourceError
            When the file is none.
        """
        try:
            with np.load(path) as stored:
                frames, masks = stored["frames"], stored["masks"].astype(bool)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise SourceError("a clip to train on cannot be read; make the clips again") from error
        if frames.dtype != np.uint8 or frames.ndim != 3 or frames.shape != masks.shape:
            raise SourceError("a clip to train on is not grey frames with a mask each; make the clips again")
        return cls(frames, masks)


@dataclass(frozen=True)
class ClipSettings:
    """How far clips go.

    Parameters
    ----------
    strength : float
        Of motion and drift; 1 as on hand-held cines, 0 for a still life.
    change : float
        Share of the echogenicity around the lesion that another still may replace, 0 to 1.
    reshape : float
        How far, in radii of the lesion, its boundary moves through tissue that stays: the plane moving across the
        lesion. Optical flow cannot follow it, for nothing flows.
    exit_share : float
        Share of clips in which the plane leaves the lesion.
    lifetime : tuple of float
        Range of the speckle's 1/e correlation time, frames. About 3.5 on a real breast cine (Docs/training.md).
    floor : float
        Share of the still's own grain that never decays: fine structure, not speckle. About 0.35 on a real breast cine.
    look : float
        How far the clip's look may be from the still's, see ``draw_appearance``.
    """

    strength: float = 1.0
    change: float = 0.7
    reshape: float = 0.3
    exit_share: float = 0.15
    lifetime: tuple[float, float] = (1.5, 10.0)
    floor: float = 0.35
    look: float = 1.0


@dataclass(frozen=True)
class Exit:
    """The plane leaves the lesion, and may come back.

    Parameters
    ----------
    leaving, away, speed : float
        Frame at which it begins to leave, frames it stays away, and frames the way out or back takes.
    """

    leaving: float
    away: float
    speed: float

    def presence(self, time: float) -> float:
        """Return how much of the lesion is in the plane, 0 to 1."""
        since = min(time - self.leaving, self.leaving + 2 * self.speed + self.away - time)
        return float(np.clip(1 - since / self.speed, 0, 1))


@dataclass(frozen=True)
class Course:
    """How the tissue of one clip changes in its own plane.

    Parameters
    ----------
    start : float
        Time of the first frame.
    decay, floor : float
        The still's own grain decays with this time constant, in frames, to this share.
    rougher : float
        Factor on the speckle's spread: other scanners' filters.
    evolution : Wobble
        Of 53 functions: blur, fading, foreign tissue on a grid of 5 x 5, and the boundary's movement (26).
    reshape, edge : float
        How far the boundary moves through the tissue, and its width, pixels.
    change : float
        Largest share of foreign tissue.
    softness, faintness : float
        Largest blur and fading of the lesion while it is in the plane.
    leaving : Exit or None
    """

    start: float
    decay: float
    floor: float
    rougher: float
    evolution: Wobble
    reshape: float
    edge: float
    change: float
    softness: float
    faintness: float
    leaving: Exit | None

    def presence(self, time: float) -> float:
        """Return how much of the lesion is in the plane, 0 to 1."""
        return self.leaving.presence(time) if self.leaving else 1.0

    def tissue_at(self, time: float, sheet: TissueSheet, speckle: SpeckleSource) -> tuple[Field, Field]:
        """Return the tissue in grey levels and the section's signed distance, both in the still's own plane."""
        presence, values, size = self.presence(time), self.evolution.at(time), sheet.near.shape[0]
        own = self.floor + (1 - self.floor) * np.exp(-(time - self.start) / self.decay)
        grain = np.float32(own) * sheet.layers.grain + np.float32(np.sqrt(max(1 - own * own, 0))) * speckle.at(time)
        coarse = np.clip(values[2:27].reshape(5, 5).astype(np.float32) * 2, 0, 1) * np.float32(self.change)
        echo: Field = (
            sheet.layers.echo + cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR) * sheet.foreign
        )
        section, spread = sheet.reshaped(echo, np.float32(self.reshape) * values[27:].astype(np.float32), self.edge)
        blurred = np.clip(self.softness * (0.5 + values[0]) + 0.5 * (1 - presence), 0, 0.9)
        echo += np.float32(blurred) * sheet.near * (sheet.soft - sheet.layers.echo)
        faded = 1 - presence * (1 - self.faintness * (1 + values[1]))
        echo += np.float32(faded) * sheet.near * (sheet.blank - echo)
        echo += np.float32(self.rougher) * spread * grain
        return echo, section


def _draw_course(
    rng: np.random.Generator,
    sheet: TissueSheet,
    times: list[float],
    settings: ClipSettings,
    strength: float,
    rougher: float,
) -> Course:
    """Draw a clip's course; ``strength`` and ``rougher`` were drawn before."""
    decay, floor = float(rng.uniform(*settings.lifetime)), settings.floor * float(rng.uniform(0.3, 1.6))
    evolution = Wobble.draw(rng, 2 + 25 + 26, 15, 90)
    reshape = settings.reshape * float(rng.uniform(0, 1)) * strength * float(np.mean(sheet.radii))
    edge = float(rng.uniform(1.0, 1.5 + 0.15 * min(sheet.radii)))
    change = settings.change * float(rng.uniform(0, 1))
    softness, faintness = float(rng.uniform(0, 0.8)), float(rng.uniform(0, 0.4)) ** 2
    leaving = _draw_exit(rng, times, settings.exit_share)
    return Course(times[0], decay, floor, rougher, evolution, reshape, edge, change, softness, faintness, leaving)


def synthesize_clip(
    still: Still,
    other: Still,
    window: Window,
    size: int,
    times: list[float],
    rng: np.random.Generator,
    settings: ClipSettings | None = None,
) -> Clip:
    """Make a clip of a still.

    Parameters
    ----------
    still, other : Still
        The lesion's still, and one whose tissue comes into the plane around it.
    window : Window
        The part of the still that becomes the clip's frames.
    size : int
        Side of the frames in pixels.
    times : list of float
        Of the frames, in frames of a cine, never decreasing; the speckle and the tissue change between them
        accordingly.
    rng : Generator
        The clip depends on it and the other arguments alone.
    settings : ClipSettings or None
    """
    settings = settings or ClipSettings()
    sheet = TissueSheet(still, other, window, size, extend=rng.random() < 0.5)
    strength = settings.strength * float(rng.uniform(0.4, 1.2))
    motion = draw_motion(rng, sheet.centre, sheet.radii, strength)
    appearance = draw_appearance(rng, size, min(settings.strength, 1.0), settings.look)
    coarser, rougher = float(np.exp(rng.normal(0, 0.25))), float(rng.uniform(0.4, 1.3))  # other probes, other filters
    grain_size = (sheet.layers.grain_size[0] * coarser, sheet.layers.grain_size[1] * coarser)
    speckle = SpeckleSource(rng, size, grain_size, float(rng.uniform(*settings.lifetime)))
    course = _draw_course(rng, sheet, times, settings, strength, rougher)
    frames, masks = [], []
    for time in times:
        presence = course.presence(time)
        tissue, section = course.tissue_at(time, sheet, speckle)
        maps = motion.maps(time, size, shrink=0.75 + 0.25 * presence)
        moved = cv2.remap(tissue, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        distance = cv2.remap(section, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=-100.0)
        mask = (distance > 0) & sheet.seen if presence >= VISIBLE else np.zeros((size, size), bool)
        frames.append(appearance.apply(np.asarray(moved, np.float32), time, mask, sheet.seen, rng))
        masks.append(mask)
    return Clip(np.stack(frames), np.stack(masks))


def _draw_exit(rng: np.random.Generator, times: list[float], share: float) -> Exit | None:
    """Draw when the plane leaves; always after the first frame, whose mask is given."""
    if rng.random() >= share or len(times) < 2:
        return None
    leaving = float(rng.uniform(times[0], times[-1]))
    return Exit(leaving, float(rng.uniform(0, 15)), float(rng.uniform(1, 6)))
