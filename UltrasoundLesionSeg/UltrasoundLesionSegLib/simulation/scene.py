"""Draws a whole scene from a seed: breast, lesions, probe, scanner, movement; and makes its frames and truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.simulation.doppler import ColorDoppler, draw_doppler
from UltrasoundLesionSegLib.simulation.furniture import Furniture, draw_box, draw_furniture
from UltrasoundLesionSegLib.simulation.imaging import Imager
from UltrasoundLesionSegLib.simulation.lesion import Lesion
from UltrasoundLesionSegLib.simulation.motion import Motion, draw_motion
from UltrasoundLesionSegLib.simulation.placement import place_lesions
from UltrasoundLesionSegLib.simulation.probe import BeamGrid, make_grid
from UltrasoundLesionSegLib.simulation.scanner import draw_scanner
from UltrasoundLesionSegLib.simulation.settings import SimulationSettings
from UltrasoundLesionSegLib.simulation.tissue import draw_tissue

# Depth of the image in mm, as breast images have it.
LINEAR_DEPTH_MM = (28.0, 45.0)
CURVED_DEPTH_MM = (45.0, 75.0)
# How far off a lesion's centre the plane may go, relative to the lesion's radius across the plane.
STAY = 0.72


@dataclass(frozen=True)
class Scene:
    """Everything that is drawn, and where its picture lies in the frame.

    Parameters
    ----------
    settings : SimulationSettings
    grid : BeamGrid
    imager : Imager
    box : tuple of int
        (row_min, column_min, row_max, column_max) of the ultrasound picture in the frame, inclusive.
    furniture : Furniture or None
    doppler : ColorDoppler or None
    """

    settings: SimulationSettings
    grid: BeamGrid
    imager: Imager
    box: tuple[int, int, int, int]
    furniture: Furniture | None = None
    doppler: ColorDoppler | None = None

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Return frame ``index``: uint8, (H, W) or (H, W, 3)."""
        seconds = index / self.settings.frames_per_second
        pose = self.imager.motion.pose(seconds)
        picture = self.imager.frame(index, seconds, pose)
        if self.doppler is not None:
            picture = self.doppler.paint(picture, self.imager.pixel_points(pose), self.imager.inside, seconds)
        if self.furniture is None:
            return picture
        frame = np.zeros((self.settings.height, self.settings.width, *picture.shape[2:]), np.uint8)
        row_min, column_min, row_max, column_max = self.box
        frame[row_min : row_max + 1, column_min : column_max + 1] = picture
        self.furniture.burn(frame)
        return frame

    def truth(self, index: int) -> NDArray[np.bool_]:
        """Return the lesions on frame ``index``: bool, (K, H, W)."""
        masks = self.imager.truth(self.imager.motion.pose(index / self.settings.frames_per_second))
        row_min, column_min, row_max, column_max = self.box
        framed = np.zeros((len(masks), self.settings.height, self.settings.width), bool)
        framed[:, row_min : row_max + 1, column_min : column_max + 1] = masks
        return framed


def draw_scene(settings: SimulationSettings) -> Scene:
    """Draw the scene that belongs to the settings.

    Parameters
    ----------
    settings : SimulationSettings

    Returns
    -------
    Scene
    """
    rng = np.random.default_rng([settings.seed, 1])
    depth = rng.uniform(*(LINEAR_DEPTH_MM if settings.probe == "linear" else CURVED_DEPTH_MM))
    face = float(rng.uniform(0.35, 0.7))
    looks = np.random.default_rng([settings.seed, 6])
    box = (0, 0, settings.height - 1, settings.width - 1)
    if settings.furniture:
        box = draw_box(looks, settings.height, settings.width)
    height, width = box[2] - box[0] + 1, box[3] - box[1] + 1
    pixel_mm = float(depth / height) if settings.pixel_mm is None else settings.pixel_mm
    grid = make_grid(settings.probe, height, width, pixel_mm, face)
    duration = settings.frames / settings.frames_per_second
    tissue = draw_tissue(np.random.default_rng([settings.seed, 2]), grid.depth_mm)
    lesions = place_lesions(np.random.default_rng([settings.seed, 3]), settings.lesions, settings.kind, grid, tissue)
    scanner = draw_scanner(np.random.default_rng([settings.seed, 4]), duration, grid.depth_mm)
    hand = np.random.default_rng([settings.seed, 5])
    thinnest = min(float(lesion.radii[1]) for lesion in lesions)
    leave = 0.0
    if settings.leaves_plane:
        reach = max(abs(float(one.centre[1])) + 1.4 * float(one.radii[1]) for one in lesions)
        leave = float(hand.choice([-1, 1])) * (reach + 1.5 + thinnest * 0.4)
    across = thinnest * float(hand.uniform(0.1, 0.35) if settings.leaves_plane else hand.uniform(0.35, 1.1))
    motion = draw_motion(hand, settings.motion, grid.depth_mm, across, leave, duration)
    motion = _keep_in_plane(motion, lesions, duration)
    imager = Imager(grid, scanner, tissue, lesions, motion, settings.seed)
    doppler = draw_doppler(np.random.default_rng([settings.seed, 7]), height, width) if settings.color else None
    scene = Scene(settings, grid, imager, box, None, doppler)
    if not settings.furniture:
        return scene
    measured = scene.truth(0)[0] if looks.random() < 0.4 else None
    furniture = draw_furniture(looks, (settings.height, settings.width), box, pixel_mm, measured)
    return replace(scene, furniture=furniture)


def _keep_in_plane(motion: Motion, lesions: tuple[Lesion, ...], duration: float) -> Motion:
    """Calm the movement until it stays within the lesions (leaving them is another matter)."""
    moments = np.linspace(0, duration, int(np.clip(duration * 4, 16, 400)))

    def strays(trial: Motion) -> bool:
        return any(
            abs(trial.aside(at, *map(float, one.centre[[0, 2]])) - one.centre[1]) > STAY * one.radii[1]
            for at in moments
            for one in lesions
        )

    while strays(motion):
        motion = motion.calmed(0.9)
    return motion
