"""Speckle comes from scatterers: its statistics and how it decorrelates follow theory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from UltrasoundLesionSegLib.simulation.imaging import Imager
from UltrasoundLesionSegLib.simulation.noise import (
    SCATTERER_CELL_MM,
    SLICE_SIGMA_MM,
    cell_noise,
    scatterers,
    smooth_noise,
)
from UltrasoundLesionSegLib.simulation.reflectivity import Reflectivity
from UltrasoundLesionSegLib.simulation.scene import draw_scene
from UltrasoundLesionSegLib.simulation.settings import SimulationSettings


def uniform_imager(looks: int) -> tuple[Imager, Reflectivity]:
    """An imager without noise or smoothing, and tissue that is the same everywhere."""
    scene = draw_scene(SimulationSettings(seed=1, motion=0))
    old = scene.imager
    scanner = replace(old.scanner, looks=looks, detector=0.05, noise_db=-120.0, spread=0.0)
    imager = Imager(old.grid, scanner, old._plane._tissue, old.lesions, old.motion, 1)
    x, z = old.grid.beam_points()
    return imager, Reflectivity(np.ones_like(x), np.zeros_like(x), (x, np.zeros_like(x), z))


def envelope(imager: Imager, reflectivity: Reflectivity) -> np.ndarray:
    return 10 ** (imager.echoes(reflectivity, 0) / 20)


def test_a_single_view_has_rayleigh_speckle() -> None:
    """Mean over standard deviation of fully developed speckle is sqrt(pi / (4 - pi)) = 1.91 (Goodman)."""
    speckle = envelope(*uniform_imager(1))
    assert speckle.mean() / speckle.std() == pytest.approx(1.91, abs=0.12)
    assert np.mean(speckle**2) == pytest.approx(1.0, rel=0.1)


def test_compounding_smooths_speckle() -> None:
    """Four independent views double the ratio; interpolation and the detector change it little."""
    ratios = [(values := envelope(*uniform_imager(looks))).mean() / values.std() for looks in (1, 4)]
    assert ratios[1] / ratios[0] == pytest.approx(2, abs=0.12)


def test_speckle_moves_with_the_tissue() -> None:
    imager, reflectivity = uniform_imager(3)
    x, y, z = reflectivity.points
    lines = 6
    moved = replace(reflectivity, points=(x + lines * imager.grid.line_mm, y, z))
    first, second = envelope(imager, reflectivity), envelope(imager, moved)
    inner = np.corrcoef(first[20:-20, lines + 20 : -20].ravel(), second[20:-20, 20 : -20 - lines].ravel())[0, 1]
    assert inner > 0.97


@pytest.mark.parametrize("distance", [0.25, 0.5, 1.0, 1.5])
def test_a_plane_that_moves_sideways_decorrelates_as_a_beam_does(distance: float) -> None:
    """exp(-d^2 / (4 sigma^2)) for a Gaussian beam (Wagner et al. 1983)."""
    steps = np.arange(0, 250, 3).astype(np.float32)
    z, x = np.meshgrid(steps, steps, indexing="ij")
    start = np.full_like(x, 4.0)
    first = scatterers().sample(x, start, z)
    second = scatterers().sample(x, start + np.float32(distance / SCATTERER_CELL_MM[1]), z)
    found = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert found == pytest.approx(np.exp(-(distance**2) / (4 * SLICE_SIGMA_MM**2)), abs=0.05)


def test_rotation_in_the_plane_decorrelates_more_than_the_shift_it_makes() -> None:
    """Scatterers that move unevenly along the beam change their phases against each other."""
    imager, reflectivity = uniform_imager(1)
    x, y, z = reflectivity.points
    turned = replace(reflectivity, points=(x, y, z + np.float32(0.05) * x))
    still = replace(reflectivity, points=(x, y, z + np.float32(0.05)))
    middle = slice(reflectivity.amplitude.shape[1] // 2 - 8, reflectivity.amplitude.shape[1] // 2 + 8)
    first = envelope(imager, reflectivity)[50:-50, middle]
    kept = [
        np.corrcoef(first.ravel(), envelope(imager, other)[50:-50, middle].ravel())[0, 1] for other in (turned, still)
    ]
    assert kept[0] < kept[1] - 0.05


def test_volumes_are_periodic_and_continuous() -> None:
    row = np.linspace(-3, 3, 61, dtype=np.float32)[None]
    rest = np.full_like(row, 0.3)
    for noise, period in ((smooth_noise(), 16), (cell_noise(), 5)):
        np.testing.assert_allclose(noise(row + period, rest, rest), noise(row, rest, rest), atol=2e-2)
        for shifted in (noise(row, rest, rest), noise(rest, row, rest), noise(rest, rest, row)):
            assert np.abs(np.diff(shifted)).max() < 0.5
    field = scatterers().sample(row * 0.3, rest, rest)
    assert np.abs(np.diff(field, axis=1)).max() < 0.6


def test_smooth_noise_has_unit_variance() -> None:
    rng = np.random.default_rng(0)
    values = smooth_noise()(*(rng.uniform(0, 16, (1, 20000)).astype(np.float32) for _ in range(3)))
    assert values.mean() == pytest.approx(0, abs=0.1)
    assert values.std() == pytest.approx(0.9, abs=0.12)  # linear interpolation takes a little
