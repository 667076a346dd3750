"""The statistics tell speckle from other textures, and the comparison runs."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.compare import HEADER, main
from UltrasoundLesionSegLib.simulation.statistics import decorrelation, texture
from UltrasoundLesionSegLib.simulation.write import write_simulation


def noise(seed: int, across: float, down: float) -> np.ndarray:
    field = np.random.default_rng(seed).standard_normal((200, 200)).astype(np.float32)
    blurred = cv2.GaussianBlur(field, (0, 0), sigmaX=across, sigmaY=down)
    return np.clip(120 + 30 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def test_autocorrelation_follows_the_blur() -> None:
    """White noise blurred by a Gaussian correlates as exp(-lag^2 / (4 sigma^2)), less what structure took."""
    measured = texture([noise(1, 1.6, 0.8)])
    np.testing.assert_allclose(measured.lateral[:2], np.exp(-np.array([1, 4]) / (4 * 1.6**2)), atol=0.08)
    np.testing.assert_allclose(measured.axial[:2], np.exp(-np.array([1, 4]) / (4 * 0.8**2)), atol=0.08)
    assert measured.percentiles[2] == pytest.approx(120, abs=3)
    assert abs(measured.skewness) < 0.15


def test_what_stands_still_stays_correlated_and_what_is_new_does_not() -> None:
    still = np.repeat(noise(1, 2, 1)[None], 20, axis=0)
    shifted = np.stack([np.roll(noise(1, 2, 1), 2 * index, axis=1) for index in range(20)])
    new = np.stack([noise(index, 2, 1) for index in range(20)])
    assert decorrelation(still).min() > 0.999
    assert np.median(decorrelation(shifted)) > 0.9
    assert decorrelation(new).max() < 0.5


def test_lags_beyond_the_cine_are_unknown() -> None:
    values = decorrelation(np.repeat(noise(1, 2, 1)[None], 4, axis=0))
    assert np.isnan(values).tolist() == [False, False, False, True, True, True]


def test_a_moving_simulation_decorrelates_as_real_cines_do() -> None:
    """Real breast cines: 0.97 to 0.98 after one frame, 0.58 to 0.82 after twelve."""
    values = np.mean(
        [decorrelation(simulate_cine(SimulationSettings(seed=seed, frames=14)).cine.frames, 40) for seed in range(5)],
        axis=0,
    )
    assert 0.94 < values[0] < 0.995
    assert 0.5 < values[-1] < 0.85
    assert (np.diff(values) < 0).all()


def test_simulations_look_like_real_stills_in_numbers(shared_data: Path) -> None:
    names = sorted((shared_data / "stills" / "busbra" / "images").iterdir())[::25]
    real = texture(np.asarray(cv2.imread(str(name), cv2.IMREAD_GRAYSCALE), np.uint8) for name in names)
    settings = (SimulationSettings(seed=seed, frames=1, height=370, width=320) for seed in range(16))
    ours = texture(simulate_cine(one).cine.frames[0] for one in settings)
    np.testing.assert_allclose(ours.axial, real.axial, atol=0.12)
    np.testing.assert_allclose(ours.lateral, real.lateral, atol=0.12)
    assert ours.percentiles[2] == pytest.approx(real.percentiles[2], abs=25)
    assert ours.contrast == pytest.approx(real.contrast, rel=0.4)


def test_the_command_writes_table_and_sheet(tmp_path: Path) -> None:
    cine = write_simulation(
        simulate_cine(SimulationSettings(seed=9, frames=15, height=128, width=128)), tmp_path, "avi"
    )
    output = tmp_path / "comparison"
    assert main(["--output", str(output), "--cine", str(cine), "--simulations", "1"]) == 0
    with (output / "comparison.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == HEADER
    assert [row[0] for row in rows[1:]] == ["simulated, linear", "simulated, curved", "real cine 1"]
    assert cv2.imread(str(output / "comparison.png")).shape == (900, 1800, 3)


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note.txt").write_text("no cine")
    arguments = ["--output", str(tmp_path), "--cine", str(tmp_path / "note.txt"), "--simulations", "1"]
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
