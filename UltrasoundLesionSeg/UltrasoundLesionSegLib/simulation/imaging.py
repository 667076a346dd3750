"""From reflectivity to grey levels: scatterers, point-spread function, envelope, compounding, log compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.simulation import filters
from UltrasoundLesionSegLib.simulation.filters import Array
from UltrasoundLesionSegLib.simulation.lesion import Lesion
from UltrasoundLesionSegLib.simulation.motion import Motion, Pose
from UltrasoundLesionSegLib.simulation.noise import SCATTERER_CELL_MM, scatterers, smooth_noise
from UltrasoundLesionSegLib.simulation.probe import BeamGrid, scan_convert
from UltrasoundLesionSegLib.simulation.reflectivity import Plane, Reflectivity
from UltrasoundLesionSegLib.simulation.scanner import Scanner
from UltrasoundLesionSegLib.simulation.tissue import Tissue

SOUND_MM_S = 1.54e6
# Views that are compounded see other bands of spatial frequencies, in which speckle is independent (Trahey et al., "A
# quantitative approach to speckle reduction via frequency compounding", Ultrasonic Imaging 8, 1986). So each view has
# scatterers of its own: this far (mm) away in the lattice from those of the view before.
VIEW_SHIFT_MM = (97.31, 5.37, 41.93)
# How strongly smooth interfaces are seen by the view that meets them squarely, and by each steered one.
INTERFACE_STRENGTH = (0.75, 0.35)


class Imager:
    """Makes frames and truth of one scene; keeps only what every frame shares.

    Parameters
    ----------
    grid : BeamGrid
    scanner : Scanner
    tissue : Tissue
    lesions : tuple of Lesion
    motion : Motion
    seed : int

    Attributes
    ----------
    inside : ndarray of bool, shape (H, W)
        The pixels in the sector.
    """

    def __init__(
        self, grid: BeamGrid, scanner: Scanner, tissue: Tissue, lesions: tuple[Lesion, ...], motion: Motion, seed: int
    ) -> None:
        self.grid, self.scanner, self.lesions, self.motion, self.seed = grid, scanner, lesions, motion, seed
        self._plane = Plane(grid, tissue, lesions, motion, scanner.clutter_db)
        self._beam_depth = grid.beam_points()[1]
        self._maps = grid.conversion_maps()
        pixel_x, pixel_z, self.inside = grid.image_points()
        self._pixels = pixel_x, pixel_z
        rng = np.random.default_rng([seed, 77])
        self._shift = rng.uniform(0, 500, 3).astype(np.float32)
        self._probe_db = self._probe_gain(rng)
        self._noise = np.float32(10 ** (scanner.noise_db / 20)) * self._depth_profile(2.5)
        detector = (
            scanner.detector * scanner.beam_mm / grid.line_mm,
            scanner.detector * scanner.pulse_mm / grid.axial_mm,
        )
        self._view_gain = np.float32(1)
        self._view_gain = self._calibrate()
        self._detector = [kernel / kernel.sum() for kernel in map(filters.power_kernel, detector)]

    def truth(self, pose: Pose) -> NDArray[np.bool_]:
        """Return the lesions' cross-sections with the middle of the image plane: bool, shape (K, H, W)."""
        points = self.pixel_points(pose)
        return np.stack([(lesion.margin_distance(*points)[0] < 0) & self.inside for lesion in self.lesions])

    def pixel_points(self, pose: Pose) -> tuple[Array, Array, Array]:
        """Return the tissue coordinates (x, y, z) in mm that the pixels show: float32, shape (H, W)."""
        return self.motion.to_tissue(*self._pixels, pose)

    def frame(self, index: int, seconds: float, pose: Pose) -> NDArray[np.uint8]:
        """Return the grey image, uint8 of shape (H, W), without furniture.

        Parameters
        ----------
        index : int
            Number of the frame, which its electronic noise depends on.
        seconds : float
            Its time, which the gain depends on.
        pose : Pose
        """
        echoes = self.echoes(self._plane.reflectivity(pose), index)
        image = scan_convert(self.grid, self._grey_levels(echoes + self._probe_db, seconds), self._maps)
        return np.clip(image + np.float32(0.5), 0, 255).astype(np.uint8)

    def echoes(self, reflectivity: Reflectivity, index: int) -> Array:
        """Return the compounded envelope.

        Parameters
        ----------
        reflectivity : Reflectivity
        index : int
            Number of the frame, which its electronic noise depends on.

        Returns
        -------
        ndarray of float32, shape (samples, lines)
            dB relative to fibroglandular tissue.
        """
        total = np.zeros_like(reflectivity.amplitude)
        for view in range(self.scanner.looks):
            total += self._view(reflectivity, view)
        total = filters.convolve(total * np.float32(1 / self.scanner.looks), *self._detector)
        noise = np.random.default_rng([self.seed, 3, index]).standard_normal((2, *total.shape), dtype=np.float32)
        noise *= self._noise
        return filters.decibel(np.square(total + noise[0]) + np.square(noise[1]) + np.float32(1e-7))

    def _view(self, reflectivity: Reflectivity, view: int) -> Array:
        """Return the envelope of one view."""
        field = self._scattered(reflectivity, view)
        field *= self._view_gain
        field[..., 0] += reflectivity.interfaces * np.float32(INTERFACE_STRENGTH[min(view, 1)])
        focused = self._focus(field, 1.0)
        focused += (self._focus(field, 1.0 + self.scanner.spread) - focused) * self._defocus()
        return np.sqrt(np.square(focused[..., 0]) + np.square(focused[..., 1]))

    def _scattered(self, reflectivity: Reflectivity, view: int) -> Array:
        """Return what the scatterers send back: float32, shape (samples, lines, 2), real and imaginary parts."""
        shifts = self._shift + np.float32(view) * np.array(VIEW_SHIFT_MM, np.float32)
        places = zip(reflectivity.points, shifts, SCATTERER_CELL_MM, strict=True)
        drawn = scatterers().sample(*((place + shift) * np.float32(1 / cell) for place, shift, cell in places))
        # displaced scatterers return with another phase; what is displaced unevenly decorrelates (strain, rotation)
        displaced = self._beam_depth - reflectivity.points[2]
        phase = displaced * np.float32(4 * np.pi * self.scanner.megahertz * 1e6 / SOUND_MM_S)
        cos, sin = np.cos(phase) * reflectivity.amplitude, np.sin(phase) * reflectivity.amplitude
        turned = np.empty_like(drawn)
        np.subtract(drawn[..., 0] * cos, drawn[..., 1] * sin, out=turned[..., 0])
        np.add(drawn[..., 0] * sin, drawn[..., 1] * cos, out=turned[..., 1])
        return turned

    def _calibrate(self) -> np.float32:
        """Return the gain by which a phantom of uniform fibroglandular tissue returns the power 1."""
        x, z = self.grid.beam_points()
        silent = np.zeros_like(x)
        envelope = self._view(Reflectivity(np.ones_like(x), silent, (x, silent, z)), 0)
        return np.float32(1 / np.sqrt(np.mean(np.square(envelope))))

    def _focus(self, field: Array, widening: float) -> Array:
        """Convolve with the pulse and the beam; white noise of unit variance keeps its power."""
        axial = self.scanner.pulse_mm / self.grid.axial_mm * (1 + 0.15 * (widening - 1))
        lateral = self.scanner.beam_mm / self.grid.line_mm * widening
        return filters.convolve(field, filters.power_kernel(lateral), filters.power_kernel(axial))

    def _defocus(self) -> Array:
        """Return the share of the wide beam at each depth: (samples, 1, 1)."""
        depth = np.linspace(0, 1, self.grid.samples, dtype=np.float32)
        away = np.abs(depth - self.scanner.focus) / max(self.scanner.focus, 1 - self.scanner.focus)
        return (away * away)[:, None, None]

    def _depth_profile(self, rate: float) -> Array:
        """Return a rise with depth up to 1 at the bottom, as time gain raises noise: (samples, 1)."""
        depth = np.linspace(0, 1, self.grid.samples, dtype=np.float32)[:, None]
        return np.exp(np.float32(rate) * (depth - 1))

    def _probe_gain(self, rng: np.random.Generator) -> Array:
        """Return what is fixed to the probe in dB: the time gain's sliders, bad contact."""
        depth = np.linspace(0, 7, self.grid.samples)
        tgc = np.interp(depth, np.arange(8), self.scanner.tgc_db)[:, None]
        across = np.linspace(0, 4, self.grid.lines, dtype=np.float32)[None]
        place = np.full_like(across, rng.uniform(0, 16))
        contact = np.minimum(smooth_noise()(across, place, place) + np.float32(0.6), 0)
        return (tgc + self.scanner.contact_db * contact).astype(np.float32)

    def _grey_levels(self, echoes: Array, seconds: float) -> Array:
        """Compress to grey levels: logarithmic, but linear below a knee, else each null of the speckle were black."""
        amplitude = filters.amplitude(echoes + np.float32(self.scanner.gain(seconds)))
        most = np.log1p(10 ** (self.scanner.dynamic_db / 20))
        grey = np.minimum(np.asarray(cv2.log(1 + amplitude), np.float32) * np.float32(255 / most), 255)
        grey += (grey - filters.blur(grey, 1.5, 1.2)) * np.float32(self.scanner.sharpen)
        return grey
