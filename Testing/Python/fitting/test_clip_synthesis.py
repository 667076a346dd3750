from __future__ import annotations

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.engine.window import Window
from UltrasoundLesionSegLib.fitting.appearance import draw_appearance
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip, ClipSettings, Exit, synthesize_clip
from UltrasoundLesionSegLib.fitting.speckle import SpeckleSource, split_layers
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.fitting.tissue import TissueSheet

TIMES = [0.0, 1.0, 2.0, 5.0, 20.0]


def make(stills: list[Still], seed: int, settings: ClipSettings | None = None, times: list[float] = TIMES) -> Clip:
    window = Window.around(stills[0].mask, 3.0, 48)
    return synthesize_clip(stills[0], stills[1], window, 128, times, np.random.default_rng(seed), settings)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def test_a_clip_depends_on_its_seed_alone(stills: list[Still]) -> None:
    first, again, other = make(stills, 5), make(stills, 5), make(stills, 6)
    assert first.frames.shape == first.masks.shape == (5, 128, 128)
    assert first.frames.dtype == np.uint8
    assert first.masks.dtype == bool
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.masks, again.masks)
    assert not np.array_equal(first.frames, other.frames)


def test_the_truth_goes_along_with_the_picture(stills: list[Still]) -> None:
    settings = ClipSettings(exit_share=0.0, change=0.0)
    darker, moved = [], []
    for seed in range(12):
        clip = make(stills, seed, settings)
        for frame, mask in zip(clip.frames.astype(float), clip.masks, strict=True):
            ring = (cv2.dilate(mask.astype(np.uint8), np.ones((13, 13))) > 0) & ~mask
            darker.append(frame[ring].mean() - frame[mask].mean())
        moved.append(overlap(clip.masks[0], clip.masks[-1]))
    # shadows and marks may hide the lesion's edge on a clip, never on most
    assert np.mean(np.array(darker) > 8) > 0.9
    assert np.mean(moved) < 0.85


def test_without_strength_nothing_moves(stills: list[Still]) -> None:
    clip = make(stills, 3, ClipSettings(strength=0.0, exit_share=0.0))
    assert all(overlap(clip.masks[0], mask) > 0.99 for mask in clip.masks)
    truth = Window.around(stills[0].mask, 3.0, 48).cut(stills[0].mask.astype(np.uint8) * 255, 128) > 127
    assert overlap(clip.masks[0], truth) > 0.97


def test_speckle_is_made_anew_within_frames(stills: list[Still]) -> None:
    settings = ClipSettings(strength=0.0, exit_share=0.0, lifetime=(3.0, 3.0), floor=0.2)

    away = np.s_[4:124, 4:34]  # from the lesion, whose edge is no speckle

    def likeness(clip: Clip, time: int) -> float:
        fine = [
            frame.astype(np.float32) - cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 4) for frame in clip.frames
        ]
        return float(np.corrcoef(fine[0][away].ravel(), fine[time][away].ravel())[0, 1])

    clips = [make(stills, seed, settings) for seed in range(9)]
    curve = [np.median([likeness(clip, time) for clip in clips]) for time in range(len(TIMES))]
    assert curve[0] > 0.999
    assert curve[1] > curve[2] > curve[3] > curve[4]
    # the real breast clip: 0.94 at one frame, 0.55 at five, 0.35 at fifteen
    assert curve[1] > 0.6
    assert curve[4] < 0.75


def test_a_lesion_leaves_the_plane_and_the_truth_is_empty(stills: list[Still]) -> None:
    times = [float(time) for time in range(40)]
    clips = [make(stills, seed, ClipSettings(exit_share=1.0), times) for seed in range(6)]
    assert all(clip.masks[0].any() for clip in clips)
    assert sum(not clip.masks.any(axis=(1, 2)).all() for clip in clips) >= 4


def test_where_a_lesion_has_gone_the_tissue_has_the_structure_of_what_is_beside_it() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (200, 200)).astype(np.float32)
    image = 110 + 25 * cv2.GaussianBlur(noise, (0, 0), 2.5) / np.float32(0.11)
    lesion = np.zeros((200, 200), bool)
    lesion[80:120, 80:120] = True
    image[lesion] = 20  # without structure
    still = Still(np.clip(image, 0, 255).astype(np.uint8), lesion)
    sheet = TissueSheet(still, still, Window(100, 100, 160), 160, True)
    structure = sheet.blank - cv2.GaussianBlur(sheet.blank, (0, 0), 4)
    assert 0.45 < structure[65:95, 65:95].std() / structure[:, :40].std() < 1.3
    assert sheet.blank[65:95, 65:95].min() > 40


def test_an_exit_goes_and_comes_back() -> None:
    leaving = Exit(leaving=10, away=5, speed=4)
    assert leaving.presence(0) == leaving.presence(10) == 1
    assert leaving.presence(12) == pytest.approx(0.5)
    assert leaving.presence(15) == leaving.presence(19) == 0
    assert leaving.presence(30) == 1


def test_layers_add_up_to_the_image(stills: list[Still]) -> None:
    image = stills[0].image.astype(np.float32)
    layers = split_layers(image)
    assert np.allclose(layers.echo + layers.spread * layers.grain, image, atol=1e-2)
    assert layers.echo[stills[0].mask].mean() < layers.echo[~stills[0].mask].mean() - 40
    # the grain was made with a point spread function of 1.2 pixels
    assert all(0.6 < size < 2.0 for size in layers.grain_size)


def test_speckle_has_unit_spread_and_the_lifetime_asked_for() -> None:
    source = SpeckleSource(np.random.default_rng(0), 160, (1.0, 2.0), lifetime=4.0)
    fields = [source.at(time) for time in (0.0, 1.0, 2.0, 12.0)]
    assert abs(float(fields[0].mean())) < 0.1
    assert float(fields[0].std()) == pytest.approx(1.0, abs=0.1)
    correlation = [float(np.corrcoef(fields[0].ravel(), field.ravel())[0, 1]) for field in fields]
    assert correlation[1] > correlation[2] > 0.15
    assert abs(correlation[3]) < 0.1
    # wider along columns than along rows
    across = np.corrcoef(fields[0][:, 2:].ravel(), fields[0][:, :-2].ravel())[0, 1]
    along = np.corrcoef(fields[0][2:].ravel(), fields[0][:-2].ravel())[0, 1]
    assert across > along + 0.2


def test_a_clip_may_look_like_its_still() -> None:
    for seed in range(20):
        found = draw_appearance(np.random.default_rng(seed), 48, 1.0, look=0.0)
        assert (found.contrast, found.offset, found.drift, found.posterior, found.blur, found.noise) == (
            1,
            0,
            0,
            0,
            0,
            0,
        )
        assert not found.tgc.any()
        assert not found.overlay.any()
        assert all(shadow.depth == 0 for shadow in found.shadows)
        np.testing.assert_allclose(found.grey_map, np.arange(256), atol=1)  # whole numbers, cut off
        same, as_before = (draw_appearance(np.random.default_rng(seed), 48, 1.0, *look) for look in ((1.0,), ()))
        assert (same.contrast, same.offset, same.drift) == (as_before.contrast, as_before.offset, as_before.drift)
