"""Simulated tissue that no model was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from UltrasoundLesionSegLib.adaptation.other_tissue import KINDS, other_tissue


@pytest.mark.parametrize("kind", KINDS)
def test_a_cine_has_its_lesion_on_every_frame_and_is_the_same_each_time(kind: str) -> None:
    frames, masks = other_tissue(1, 2, kind, 96)
    again, _ = other_tissue(1, 2, kind, 96)
    assert frames.shape == masks.shape == (2, 96, 96)
    assert np.array_equal(frames, again)
    assert masks.any(axis=(1, 2)).all()
    assert not np.array_equal(frames, other_tissue(2, 2, kind, 96)[0])


def test_a_thyroid_has_an_artery_that_is_darker_than_its_nodule_and_no_part_of_the_truth() -> None:
    frames, masks = other_tissue(0, 1, "thyroid")
    blocks = frames[0].reshape(40, 8, 40, 8).mean(axis=(1, 3))
    nodule = masks[0].reshape(40, 8, 40, 8).any(axis=(1, 3))
    rows = nodule.any(axis=1)
    beside = blocks[rows][~nodule[rows]]
    assert beside.min() < 0.3 * blocks[nodule].mean()
