"""What a click network is trained on, and the simulated person who clicks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from UltrasoundLesionSegLib.engine.click_prompt import BOX, INSIDE, MASK, OUTSIDE
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.fitting.samples import SampleSettings
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.training.click_samples import ClickSamples, relit
from UltrasoundLesionSegLib.training.click_simulation import next_click

SETTINGS = SampleSettings(frames=1, size=64, wrongness=0.4)


def block(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[rows, columns] = True
    return mask


def test_the_first_click_falls_into_the_middle_and_the_next_into_the_largest_error() -> None:
    truth = block(slice(10, 31), slice(20, 51))
    nothing = np.zeros_like(truth)
    first = next_click(nothing, truth)
    assert first is not None
    assert first.inside
    assert first.row == 20
    assert 30 <= first.column <= 40
    missing = truth & ~block(slice(0, 40), slice(0, 32))  # 12 of 31 columns are missing
    second = next_click(missing, truth)
    assert second is not None
    assert second.inside
    assert second.column in (25, 26)
    spilled = truth | block(slice(0, 40), slice(0, 19))
    outside = next_click(spilled, truth)
    assert outside is not None
    assert not outside.inside
    assert outside.column < 20
    assert next_click(truth, truth) is None


def test_a_hand_clicks_near_the_middle() -> None:
    truth = block(slice(10, 31), slice(20, 51))
    clicks = [next_click(np.zeros_like(truth), truth, np.random.default_rng(seed)) for seed in range(60)]
    places = np.array([(click.row, click.column) for click in clicks if click is not None])
    assert len(places) == 60
    assert len(np.unique(places, axis=0)) > 20
    # the block is 21 rows deep: half of the largest depth is five pixels and a half from its edges
    assert places[:, 0].min() >= 14
    assert places[:, 0].max() <= 26
    assert places[:, 1].min() >= 24
    assert places[:, 1].max() <= 46


def test_a_lesion_at_the_frame_s_edge_is_not_deepest_at_the_edge() -> None:
    click = next_click(np.zeros((40, 60), bool), block(slice(0, 21), slice(20, 51)))
    assert click is not None
    assert click.row == 10


def test_a_sample_is_known_by_its_number(stills: list[Still]) -> None:
    samples = ClickSamples(stills, SETTINGS, seed=3)
    first, again = samples[5], samples[5]
    assert {name: tuple(value.shape) for name, value in first.items()} == {
        "frames": (1, 64, 64),
        "masks": (1, 1, 64, 64),
        "prompt": (4, 64, 64),
        "rounds": (),
    }
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["frames"], ClickSamples(stills, SETTINGS, seed=4)[5]["frames"])


@pytest.mark.parametrize("cine", [False, True])
def test_samples_begin_with_a_click_a_box_or_a_mask_to_mend_at_every_scale(stills: list[Still], cine: bool) -> None:
    masks = np.zeros((6, 150, 130), bool)
    masks[:, 60:90, 40:80] = True
    clip = Clip(np.where(masks, 40, 120).astype(np.uint8), masks)
    samples = ClickSamples(stills, SETTINGS, 1, [clip], clip_share=float(cine))
    begun = {"click": 0, "box": 0, "mask": 0}
    shares = []
    for index in range(80):
        sample = samples[index]
        prompt, mask = sample["prompt"].numpy(), sample["masks"][0, 0].numpy() > 0.5
        begun["mask" if prompt[MASK].any() else "box" if prompt[BOX].any() else "click"] += 1
        if not prompt[MASK].any():
            assert not prompt[OUTSIDE].any()
            assert prompt[INSIDE].any() or prompt[BOX].any()
            assert mask[prompt[INSIDE] == 1].any() or not prompt[INSIDE].any()
        shares.append((mask.any(axis=0).sum()) / 64)
    assert begun["click"] > 25
    assert begun["box"] > 2
    assert begun["mask"] > 15
    assert min(shares) < 0.3
    assert max(shares) > 0.55


def test_a_relit_lesion_is_as_bright_as_its_surroundings_or_brighter(stills: list[Still]) -> None:
    still = stills[0]
    before = still.image[still.mask].mean() - still.image[~still.mask].mean()
    after = []
    for seed in range(20):
        lit = relit(still.image, still.mask, np.random.default_rng(seed))
        after.append(lit[still.mask].mean() - lit[~still.mask].mean())
        assert np.std(lit[still.mask]) > 0.5 * np.std(still.image[still.mask])  # its speckle is still there
    assert before < -50
    assert min(after) > -30
    assert max(after) > 20
