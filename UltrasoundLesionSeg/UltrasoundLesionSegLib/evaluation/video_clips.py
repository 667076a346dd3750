"""Labelled videos -> clips to train on.

``python -m UltrasoundLesionSegLib.evaluation.video_clips DATASET --layout davis --split train --output FOLDER``

``ultrasound-lesion-seg train --clips FOLDER`` takes them as it takes simulated ones. A training holds all its clips in
memory, so frames are made smaller and grey.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.measurement.echo import echo_levels

FEWEST = 6  # labelled frames; a sample of the training has four to seven


def clips_of(case: Case, size: int, every: int = 1) -> list[Clip]:
    """Return a video's clips, one for each lesion that is seen in it.

    Parameters
    ----------
    case : Case
    size : int
        The frames' shorter side in pixels; smaller frames stay as they are.
    every : int
        Keep each n-th of the frames that have a truth, the first of them too.

    Returns
    -------
    list of Clip
        Of the frames kept, with nothing in between; empty where they are fewer than ``FEWEST``.

    Raises
    ------
    LesionSegError
        When a frame or its truth cannot be read.
    """
    labelled = [index for index, label in enumerate(case.labels) if label is not None][::every]
    if len(labelled) < FEWEST:
        return []
    frames, truths = [], []
    for index in labelled:
        truth = case.truth(index)
        assert truth is not None
        frames.append(_smaller(echo_levels(case.cine.frames[index]), size))
        truths.append([_smaller_mask(one, size) for one in truth])
    masks = np.array(truths)  # (T, K, H, W)
    return [Clip(np.stack(frames), one) for one in masks.swapaxes(0, 1) if one.any()]


def _smaller(image: Frame, size: int) -> Frame:
    scale = size / min(image.shape[:2])
    if scale >= 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _smaller_mask(mask: Mask, size: int) -> Mask:
    return _smaller(mask.astype(np.uint8) * np.uint8(255), size) > 127


def write_clips(dataset: Path, layout: Layout, output: Path, size: int, every: int, split: str | None = None) -> int:
    """Write a data set's clips, ``VIDEO_LESION.npz``; return how many.

    Parameters
    ----------
    dataset : Path
    layout : Layout
        ``davis`` or ``buv``.
    output : Path
        Folder, outside the repository.
    size, every : int
        See ``clips_of``.
    split : str or None
        Part of the data set, see ``read_cases``: keep videos of the patients that are to be scored apart.

    Raises
    ------
    LesionSegError
        When the data set is not what it should be, or has no clip long enough.
    """
    written = 0
    for case in read_cases(dataset, layout, split):
        for lesion, clip in enumerate(clips_of(case, size, every)):
            clip.save(output / f"{case.name}_{lesion}.npz")
            written += 1
    if not written:
        raise SourceError(f"no video has {FEWEST} labelled frames that are kept; label more, or keep more of them")
    return written


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--layout", choices=["davis", "buv"], required=True)
    parser.add_argument("--split", help="name of a list of videos, such as train")
    parser.add_argument("--output", type=Path, required=True, help="folder of *.npz, outside the repository")
    parser.add_argument("--size", type=int, default=280, help="shorter side of the frames in pixels")
    parser.add_argument("--every", type=int, default=1, help="keep each n-th labelled frame")
    chosen = parser.parse_args()
    layout = Layout(chosen.layout)
    print(write_clips(chosen.dataset, layout, chosen.output, chosen.size, chosen.every, chosen.split), "clips")


if __name__ == "__main__":
    main()
