"""Single frames as samples, and the order in which a run takes samples."""

from __future__ import annotations

import numpy as np

from UltrasoundLesionSegLib.fitting.clip_synthesis import ClipSettings
from UltrasoundLesionSegLib.fitting.samples import SampleSettings
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.training.datasets import StepBatches, StillSamples


def test_a_still_sample_shows_its_lesion(stills: list[Still]) -> None:
    samples = StillSamples(stills, SampleSettings(size=64, clip=ClipSettings(exit_share=0.0)), 1)
    shown = [bool(samples[index]["masks"].any()) for index in range(20)]
    assert samples[0]["frames"].shape == (1, 64, 64)
    assert np.mean(shown) > 0.9


def test_batches_go_on_where_a_run_stopped_and_processes_share_them() -> None:
    whole = list(StepBatches(0, 4, 3))
    assert whole == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert list(StepBatches(2, 4, 3)) == whole[2:]
    shared = [list(StepBatches(0, 2, 3, rank, 2)) for rank in range(2)]
    assert sorted(number for batch in shared[0] + shared[1] for number in batch) == list(range(12))
