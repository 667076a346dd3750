"""Outlined lesions -> clips to train on: real motion, a person's outlines, and masks between them that can be trusted.

Two clips a lesion. One has the frames that a person outlined, and nothing else. The other one has also the frames
between two of them on which the start model, which saw the outlines on both sides, has a high expected overlap; where
it has not, a frame is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion
from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.evaluation.sessions import Follower, Session
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.measurement.echo import echo_levels
from UltrasoundLesionSegLib.measurement.shape import Box, bounding_box
from UltrasoundLesionSegLib.training.simulated_clips import write_clip

TRUSTED = 0.9  # expected overlap from which on a mask that nobody drew is trained on
SHOWN = 4.0  # what a clip shows around the lesion, in sizes of the lesion: the largest window that samples are cut to
LARGEST_SIDE = 400  # pixels of a clip's longer side; a training holds all its clips in memory
REHEARSED, REHEARSED_FRAMES, REHEARSED_SIZE = 12, 12, 240  # simulated clips, so that what was learnt is not forgotten
REHEARSED_SHARE = 0.25  # of the samples


def training_clips(lesion: OutlinedLesion, follower: Follower) -> list[Clip]:
    """Return the clips of a lesion.

    Parameters
    ----------
    lesion : OutlinedLesion
    follower : Follower
        The start model.
    """
    anchors = {frame: mask[None] for frame, mask in lesion.masks.items()}
    filled = Session(lesion.cine, follower, 1, anchors=dict(anchors)).results()
    known = dict(lesion.masks)
    for frame, one in filled.items():
        if one.expected[0] >= TRUSTED:
            known[frame] = one.masks[0].unpack() > 0.5
    outlined = _clip(lesion, lesion.masks)
    return [outlined] if len(known) == len(lesion.masks) else [outlined, _clip(lesion, known)]


def _clip(lesion: OutlinedLesion, masks: Mapping[int, Mask]) -> Clip:
    part = _shown(np.logical_or.reduce([*lesion.masks.values()]))
    frames, cut = [], []
    for frame in sorted(masks):
        frames.append(_smaller(echo_levels(lesion.cine.frames[frame])[part.slices]))
        cut.append(_smaller(masks[frame][part.slices].astype(np.uint8) * np.uint8(255)) > 127)
    return Clip(np.stack(frames), np.stack(cut))


def _shown(everywhere: Mask) -> Box:
    box = bounding_box(everywhere)
    assert box is not None  # an outlined lesion is visible on at least one frame
    margin = int((SHOWN - 1) / 2 * max(box.depth, box.width))
    return box.grown(margin, everywhere.shape)


def _smaller(image: Frame) -> Frame:
    scale = LARGEST_SIDE / max(image.shape[:2])
    if scale >= 1:
        return np.ascontiguousarray(image)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def rehearsed_clips(folder: Path) -> list[Clip]:
    """Return simulated clips of the kind that the models were trained on, made in ``folder`` unless they are there."""
    for number in range(REHEARSED):
        write_clip(number, folder, REHEARSED_FRAMES, REHEARSED_SIZE)
    return [Clip.load(folder / f"{number:05d}.npz") for number in range(REHEARSED)]


def mixed(own: list[Clip], rehearsed: list[Clip]) -> list[Clip]:
    """Return the clips to draw samples from: the own ones as often as leaves the others their share.

    Parameters
    ----------
    own, rehearsed : list of Clip
    """
    times = round(len(rehearsed) * (1 - REHEARSED_SHARE) / REHEARSED_SHARE / len(own))
    return own * max(times, 1) + rehearsed
