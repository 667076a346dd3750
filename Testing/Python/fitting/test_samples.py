from __future__ import annotations

import numpy as np
import pytest
import torch

from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip, ClipSettings
from UltrasoundLesionSegLib.fitting.prompts import corrupt_prior
from UltrasoundLesionSegLib.fitting.samples import PropagationSamples, SampleSettings
from UltrasoundLesionSegLib.fitting.still import Still

SMALL = SampleSettings(frames=4, size=64)


def test_a_sample_is_known_by_its_number(stills: list[Still]) -> None:
    samples = PropagationSamples(stills, SMALL, seed=3)
    first, again, next_one = samples[7], samples[7], samples[8]
    assert first["frames"].shape == (4, 64, 64)
    assert first["frames"].dtype == torch.uint8
    assert first["masks"].shape == (4, 1, 64, 64)
    assert first["prior"].shape == (1, 64, 64)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["frames"], next_one["frames"])
    assert not torch.equal(first["frames"], PropagationSamples(stills, SMALL, seed=4)[7]["frames"])


def test_the_window_shows_the_lesion_at_the_lesions_scale(stills: list[Still]) -> None:
    settings = SampleSettings(frames=3, size=64, whole_share=0.0, clip=ClipSettings(exit_share=0.0))
    samples = PropagationSamples(stills, settings, seed=0)
    shares = []
    for index in range(30):
        columns = np.flatnonzero(samples[index]["masks"][0, 0].numpy().any(axis=0))
        rows = np.flatnonzero(samples[index]["masks"][0, 0].numpy().any(axis=1))
        shares.append(64 / (max(columns[-1] - columns[0], rows[-1] - rows[0]) + 1))
    # margins of 1.4 to 4, mostly about the engine's 2
    assert min(shares) > 1.1
    assert 1.6 < float(np.median(shares)) < 2.6


def test_the_prior_may_be_right_wrong_or_empty() -> None:
    mask = np.zeros((64, 64), bool)
    mask[20:44, 24:48] = True
    sure = [corrupt_prior(mask, np.random.default_rng(seed), 0.0) for seed in range(40)]
    assert min(np.corrcoef(prior.ravel(), mask.ravel())[0, 1] for prior in sure) > 0.9
    wrong = [corrupt_prior(mask, np.random.default_rng(seed), 1.0) for seed in range(200)]
    assert all(prior.min() >= 0 and prior.max() <= 1 and prior.dtype == np.float32 for prior in wrong)
    assert sum(prior.max() == 0 for prior in wrong) >= 5
    overlaps = np.array([2 * (prior[mask] > 0.5).sum() / (mask.sum() + (prior > 0.5).sum()) for prior in wrong])
    assert 0.5 < float(np.median(overlaps)) < 0.95
    # an outline that flowed out: the whole lesion, and more around it; 17 of 200 without priors that leak
    assert sum((prior[mask] > 0.5).mean() > 0.9 and (prior > 0.5).sum() > 1.2 * mask.sum() for prior in wrong) > 25
    empty = corrupt_prior(np.zeros((64, 64), bool), np.random.default_rng(1), 1.0)
    assert empty.shape == (64, 64)


def test_samples_come_from_cached_clips_too(stills: list[Still]) -> None:
    frames = np.full((20, 90, 100), 7, np.uint8)
    masks = np.zeros((20, 90, 100), bool)
    masks[:, 30:60, 30:70] = True
    samples = PropagationSamples(stills, SMALL, 0, [Clip(frames, masks)], clip_share=1.0)
    for index in range(10):
        sample = samples[index]
        assert int(sample["frames"].max()) < 90  # nothing but the cached clip's even grey, brightened
        assert sample["masks"].flatten(1).any(dim=1).all()


def test_tissue_of_other_stills_comes_into_the_plane_where_it_is_named(stills: list[Still]) -> None:
    settings = SampleSettings(frames=4, size=64, clip=ClipSettings(change=1.0))
    bright = Still(np.full_like(stills[1].image, 255), stills[1].mask)
    bright.image[::7] = 0  # its level is taken out, its pattern is what comes
    own, foreign = (PropagationSamples(stills[:1], settings, 3, tissue=some)[5] for some in ((), [bright]))
    assert torch.equal(own["frames"], PropagationSamples(stills[:1], settings, 3, tissue=stills[:1])[5]["frames"])
    assert torch.equal(own["masks"], foreign["masks"])
    assert not torch.equal(own["frames"], foreign["frames"])


@pytest.mark.parametrize("wrongness", [0.0, 1.0])
def test_wrongness_reaches_the_prior(stills: list[Still], wrongness: float) -> None:
    settings = SampleSettings(frames=3, size=64, wrongness=wrongness, clip=ClipSettings(exit_share=0.0))
    samples = PropagationSamples(stills, settings, 2)
    wrong = 0
    for index in range(12):
        sample = samples[index]
        wrong += int(((sample["prior"] > 0.3) != (sample["masks"][1] > 0.5)).float().mean() > 0.02)
    assert (wrong >= 4) if wrongness else (wrong <= 1)
