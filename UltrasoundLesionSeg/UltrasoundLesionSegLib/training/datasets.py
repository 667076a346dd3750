"""What a training run reads: stills and clips from folders, and single frames as samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from UltrasoundLesionSegLib.engine.window import Window
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip, synthesize_clip
from UltrasoundLesionSegLib.fitting.samples import SMALLEST_SIDE, SampleSettings, draw_stills
from UltrasoundLesionSegLib.fitting.still import Still
from UltrasoundLesionSegLib.training.stills import read_index, read_still


def load_stills(folder: Path, split: str) -> list[Still]:
    """Read all stills of a split, overlays removed, into memory (BUS-BRA train: 0.4 GB)."""
    return [read_still(record) for record in read_index(folder, split)]


def load_clips(folder: Path) -> list[Clip]:
    """Read clips, simulated or of videos: ``*.npz`` with ``frames`` uint8 (T, H, W) and ``masks`` bool (T, H, W).

    Raises
    ------
    SourceError
        When there is no data set, or one is not in the expected form.
    """
    clips = [Clip.load(path) for path in sorted(folder.glob("*.npz"))]
    if not clips:
        raise SourceError("the folder of clips holds no clip (*.npz); make some first, or leave it away")
    return clips


class StillSamples(Dataset[dict[str, Tensor]]):
    """Single frames with their lesion for networks without a seed, through the same synthesis as clips.

    An item holds ``frames`` uint8 (1, N, N) and ``masks`` float32 (1, 1, N, N).
    """

    def __init__(self, stills: Sequence[Still], settings: SampleSettings, seed: int) -> None:
        self._stills = stills
        self._settings = settings
        self._seed = seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self._seed, index))
        still, other = draw_stills(self._stills, rng)
        window = Window.whole(*still.image.shape)
        if rng.random() < 0.6:  # cut into the frame, keeping the lesion mostly inside
            near = Window.around(still.mask, 1.2, SMALLEST_SIDE)
            side = float(rng.uniform(max(near.side, 0.45 * window.side), max(1.1 * window.side, near.side)))
            reach = 0.5 * max(side - near.side, 0.0)
            window = Window(near.row + rng.uniform(-reach, reach), near.column + rng.uniform(-reach, reach), side)
        clip = synthesize_clip(still, other, window, self._settings.size, [0.0], rng, self._settings.clip)
        masks = clip.masks.astype(np.float32)
        return {"frames": torch.from_numpy(clip.frames), "masks": torch.from_numpy(masks)[:, None]}


class StepBatches(Sampler[list[int]]):
    """The sample numbers of each optimiser step, from a given step on, for one of several processes.

    Parameters
    ----------
    first, last : int
        Steps ``first`` to ``last - 1``.
    batch : int
        Samples a step and process.
    rank, processes : int
    """

    def __init__(self, first: int, last: int, batch: int, rank: int = 0, processes: int = 1) -> None:
        self._steps = range(first, last)
        self._batch = batch
        self._rank = rank
        self._processes = processes

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self._steps:
            start = (step * self._processes + self._rank) * self._batch
            yield list(range(start, start + self._batch))


def single_threaded(_worker: int) -> None:
    """Keep a data worker to one thread: several workers share the cores already."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
