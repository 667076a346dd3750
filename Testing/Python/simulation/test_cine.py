"""Simulated cines: the same by seed in any order, with truth that fits the picture."""

from __future__ import annotations

import pickle
from typing import Any

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.simulation import noise
from UltrasoundLesionSegLib.simulation.cine import CACHED_FRAMES, SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.lesion import LesionKind
from UltrasoundLesionSegLib.simulation.probe import ProbeKind

SMALL: dict[str, Any] = {"height": 128, "width": 144}


def test_the_same_frames_in_any_order() -> None:
    settings = SimulationSettings(seed=5, frames=30, furniture=True, color=True, **SMALL)
    first, second = simulate_cine(settings), simulate_cine(settings)
    forward = {index: (first.cine.frames[index], first.truth[index]) for index in (0, 7, 29)}
    for index in (29, 0, 7):
        np.testing.assert_array_equal(second.cine.frames[index], forward[index][0])
        np.testing.assert_array_equal(second.truth[index], forward[index][1])
    assert first.cine.identity.digest == second.cine.identity.digest


def test_what_all_simulations_share_is_made_in_steps_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that stays alive between the steps stands still for none of the 0.5 s."""
    frame = simulate_cine(SimulationSettings(seed=5, **SMALL)).cine.frames[0]
    monkeypatch.setattr(noise, "_made_scatterers", [])
    noise.smooth_noise.cache_clear()
    noise.cell_noise.cache_clear()
    assert len(list(noise.media_steps())) >= 6
    assert len(list(noise.media_steps())) == 2  # nothing is made twice
    monkeypatch.setattr(noise, "_blur_circular", None)  # so that whatever is still to make fails
    np.testing.assert_array_equal(simulate_cine(SimulationSettings(seed=5, **SMALL)).cine.frames[0], frame)


def test_other_seeds_and_settings_are_other_cines() -> None:
    cines = [simulate_cine(SimulationSettings(seed=seed, **SMALL)).cine for seed in (1, 2)]
    assert (cines[0].frames[0] != cines[1].frames[0]).mean() > 0.5
    assert cines[0].identity.digest != cines[1].identity.digest
    assert simulate_cine(SimulationSettings(seed=1, lesions=2)).cine.identity.digest != cines[0].identity.digest


def test_a_caller_may_draw_on_a_frame() -> None:
    simulated = simulate_cine(SimulationSettings(seed=1, **SMALL))
    before = simulated.cine.frames[3]
    simulated.cine.frames[3][:] = 0
    simulated.truth[3][:] = True
    np.testing.assert_array_equal(simulated.cine.frames[3], before)
    assert not simulated.truth[3].all()


def test_a_long_cine_is_made_on_demand_and_keeps_few_frames() -> None:
    simulated = simulate_cine(SimulationSettings(seed=2, frames=5000, height=64, width=64))
    assert len(simulated.cine) == len(simulated.truth) == 5000
    late = simulated.cine.frames[4999]
    for index in range(2 * CACHED_FRAMES):
        assert simulated.cine.frames[index * 300].any()
    assert len(vars(simulated.cine.frames)["_kept"]) == CACHED_FRAMES
    np.testing.assert_array_equal(simulated.cine.frames[-1], late)
    with pytest.raises(IndexError):
        simulated.cine.frames[5000]


def test_it_travels_to_another_process() -> None:
    simulated = simulate_cine(SimulationSettings(seed=2, **SMALL))
    copy = pickle.loads(pickle.dumps(simulated))
    np.testing.assert_array_equal(copy.cine.frames[9], simulated.cine.frames[9])


@pytest.mark.parametrize("probe", ["linear", "curved"])
@pytest.mark.parametrize("seed", range(6))
def test_every_lesion_is_seen_on_every_frame_unless_the_plane_leaves(seed: int, probe: ProbeKind) -> None:
    settings = SimulationSettings(seed=seed, frames=200, lesions=1 + seed % 3, probe=probe, **SMALL)
    truth = simulate_cine(settings).truth
    for index in range(0, 200, 7):
        assert truth[index].dtype == bool
        assert truth[index].shape == (settings.lesions, 128, 144)
        assert truth[index].any(axis=(1, 2)).all(), index
        assert truth[index].sum(axis=0).max() == 1  # no two lesions overlap
    assert 0.001 < truth[0][0].mean() < 0.35


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("frames", [40, 300])
def test_the_plane_leaves_the_lesions_and_returns(seed: int, frames: int) -> None:
    truth = simulate_cine(SimulationSettings(seed=seed, frames=frames, lesions=2, leaves_plane=True, **SMALL)).truth
    seen = np.array([truth[index].any(axis=(1, 2)) for index in range(0, frames, 2)])
    assert seen[0].all()
    assert seen[-1].all()
    assert 0.2 < (~seen.any(axis=1)).mean() < 0.6
    changes = np.flatnonzero(np.diff(seen[:, 0].astype(int)))
    assert len(changes) == (2 if frames == 40 else 4)  # out and back, every eight seconds at most


@pytest.mark.parametrize("probe", ["linear", "curved"])
def test_truth_lies_where_the_lesion_is(probe: ProbeKind) -> None:
    """Darkness inside against outside is greatest where the mask is, not a few pixels beside."""
    offsets = range(-5, 6)
    best = []
    for seed in range(8):
        settings = SimulationSettings(seed=seed, kind=LesionKind.CYST, probe=probe, height=300, width=300)
        simulated = simulate_cine(settings)
        frame, mask = simulated.cine.frames[11].astype(float), simulated.truth[11][0].astype(np.uint8)
        ring = cv2.dilate(mask, np.ones((9, 9), np.uint8)) - mask
        scores = {
            (row, column): frame[np.roll(ring, (row, column), (0, 1)) > 0].mean()
            - frame[np.roll(mask, (row, column), (0, 1)) > 0].mean()
            for row in offsets
            for column in offsets
        }
        assert max(scores.values()) > 15
        best.append(max(scores, key=scores.get))
    assert np.abs(np.mean(best, axis=0)).max() < 1.0
    assert np.abs(best).max() <= 3


def test_lesions_are_darker_than_what_surrounds_them() -> None:
    darker = []
    for seed in range(24):
        simulated = simulate_cine(SimulationSettings(seed=seed, height=200, width=200))
        frame, mask = simulated.cine.frames[0], simulated.truth[0][0].astype(np.uint8)
        ring = cv2.dilate(mask, np.ones((21, 21), np.uint8)) - mask
        darker.append(frame[ring > 0].mean() - frame[mask > 0].mean())
    assert np.mean(np.array(darker) > 5) >= 0.8
    assert np.median(darker) > 20


def test_a_sector_is_black_outside() -> None:
    simulated = simulate_cine(SimulationSettings(seed=3, probe="curved", height=200, width=260, color=True))
    frame = simulated.cine.frames[0]
    corners = [frame[:40, :40], frame[:40, -40:], frame[-1:, :20], frame[-1:, -20:]]
    assert all(not corner.any() for corner in corners)
    assert (frame[100:150, 120:140] > 0).mean() > 0.8
    assert not simulated.truth[0][0][frame.max(axis=-1) == 0].mean() > 0.2


def test_calibration_and_timing_are_those_of_the_picture() -> None:
    cine = simulate_cine(SimulationSettings(seed=1, frames=11, pixel_mm=0.2, frames_per_second=25, **SMALL)).cine
    assert cine.calibration is not None
    assert cine.timing is not None
    assert cine.calibration.spacing == (0.2, 0.2)
    assert cine.timing.seconds[-1] == pytest.approx(0.4)
    assert cine.regions[0].box == (0, 0, 127, 143)


def test_a_lesion_has_the_same_size_in_mm_whatever_the_pixels() -> None:
    areas = []
    for height in (150, 300):
        simulated = simulate_cine(SimulationSettings(seed=4, height=height, width=height))
        assert simulated.cine.calibration is not None
        areas.append(simulated.truth[0].sum() * simulated.cine.calibration.row_mm**2)
    assert areas[0] == pytest.approx(areas[1], rel=0.03)


def test_furniture_stands_still_around_the_picture() -> None:
    simulated = simulate_cine(SimulationSettings(seed=7, furniture=True, height=300, width=320))
    row_min, column_min, row_max, column_max = simulated.cine.regions[0].box
    outside = np.ones((300, 320), bool)
    outside[row_min : row_max + 1, column_min : column_max + 1] = False
    first, later = simulated.cine.frames[0], simulated.cine.frames[20]
    np.testing.assert_array_equal(first[outside], later[outside])
    assert 0 < (first[outside] > 100).mean() < 0.3
    assert (first[~outside] != later[~outside]).mean() > 0.5
    assert not simulated.truth[0][0][outside].any()


def test_color_frames_have_flow_in_color() -> None:
    found = 0
    for seed in range(4):
        cine = simulate_cine(SimulationSettings(seed=seed, color=True, height=200, width=200)).cine
        frame = cine.frames[0].astype(int)
        assert cine.is_color
        assert frame.shape == (200, 200, 3)
        found += int((np.abs(frame[..., 0] - frame[..., 2]) > 120).sum())
    assert found > 100


def test_still_tissue_changes_by_noise_and_gain_alone() -> None:
    still = simulate_cine(SimulationSettings(seed=5, motion=0, **SMALL))
    moving = simulate_cine(SimulationSettings(seed=5, **SMALL))
    np.testing.assert_array_equal(still.truth[0], still.truth[40])
    likeness = [np.corrcoef(one.cine.frames[0].ravel(), one.cine.frames[40].ravel())[0, 1] for one in (still, moving)]
    assert likeness[0] > 0.97
    assert likeness[1] < 0.93


@pytest.mark.parametrize("size", [(32, 32), (33, 500), (700, 90)])
@pytest.mark.parametrize("probe", ["linear", "curved"])
def test_odd_sizes(size: tuple[int, int], probe: ProbeKind) -> None:
    settings = SimulationSettings(
        seed=1, frames=1, height=size[0], width=size[1], probe=probe, lesions=2, furniture=size[0] > 32
    )
    simulated = simulate_cine(settings)
    assert simulated.cine.frames[0].shape == size
    assert simulated.truth[0].shape == (2, *size)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"frames": 0},
        {"height": 31},
        {"width": 9000},
        {"lesions": 0},
        {"lesions": 7},
        {"frames_per_second": 0},
        {"pixel_mm": 0},
        {"motion": -0.1},
        {"probe": "phased"},
        {"frames_per_second": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(SourceError, match="the simulation's"):
        SimulationSettings(**wrong)
