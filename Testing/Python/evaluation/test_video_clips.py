"""Labelled videos as clips to train on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.evaluation import video_clips
from UltrasoundLesionSegLib.evaluation.layouts import Layout, read_cases
from UltrasoundLesionSegLib.evaluation.video_clips import clips_of, write_clips
from UltrasoundLesionSegLib.fitting.samples import PropagationSamples, SampleSettings
from UltrasoundLesionSegLib.training.datasets import load_clips

Discs = Callable[[int], tuple[np.ndarray, np.ndarray]]


def test_a_training_samples_from_the_videos_of_a_split(
    davis: Path, tmp_path: Path, moving_disc: Discs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (davis / "train.txt").write_text("video0\nvideo2\n")
    output = tmp_path / "clips"
    command = ["video_clips", str(davis), "--layout", "davis", "--split", "train", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    video_clips.main()
    assert sorted(path.name for path in output.iterdir()) == ["video0_0.npz", "video2_0.npz"]
    first, _ = clips = load_clips(output)
    frames, masks = moving_disc(0)
    assert np.array_equal(first.masks, masks)
    assert np.abs(first.frames.astype(int) - frames).mean() < 3  # JPEG
    sample = PropagationSamples([], SampleSettings(size=64), 0, clips, clip_share=1.0)[0]
    assert sample["frames"].shape == (4, 64, 64)
    assert sample["masks"][0].sum() > 100


def test_frames_are_made_smaller_and_masks_with_them(buv: Path) -> None:
    (case,) = read_cases(buv, Layout.BUV)
    (whole,) = clips_of(case, 500)
    (small,) = clips_of(case, 48, every=2)
    assert whole.frames.shape == (12, 96, 120)
    assert small.frames.shape == small.masks.shape == (6, 48, 60)
    assert small.masks[1].sum() == pytest.approx(whole.masks[2].sum() / 4, rel=0.1)
    averaged = cv2.resize(whole.frames[2], (60, 48), interpolation=cv2.INTER_AREA)
    assert np.array_equal(small.frames[1], averaged)


def test_each_lesion_is_a_clip_and_frames_without_truth_are_left_out(davis: Path, moving_disc: Discs) -> None:
    annotations = davis / "Annotations" / "video0"
    for number, mask in enumerate(moving_disc(0)[1]):
        both = mask.astype(np.uint8)
        both[:8, :8] = 2
        cv2.imwrite(str(annotations / f"{number:05d}.png"), both)
    case = next(iter(read_cases(davis, Layout.DAVIS)))
    disc, corner = clips_of(case, 200)
    assert np.array_equal(disc.masks, moving_disc(0)[1])
    assert (corner.masks.sum(axis=(1, 2)) == 64).all()
    (annotations / "00003.png").unlink()
    assert clips_of(next(iter(read_cases(davis, Layout.DAVIS))), 200) == []


def test_a_data_set_without_a_clip_is_refused(davis: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no video has 6 labelled frames"):
        write_clips(davis, Layout.DAVIS, tmp_path / "clips", 200, every=2)
    with pytest.raises(SourceError, match="no list of videos named test"):
        write_clips(davis, Layout.DAVIS, tmp_path / "clips", 200, 1, "test")
