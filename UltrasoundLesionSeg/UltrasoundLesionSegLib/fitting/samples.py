"""Samples of clips by number: sample i of a seed is the same on every machine, so that a run can be resumed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.engine.window import Window
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip, ClipSettings, synthesize_clip
from UltrasoundLesionSegLib.fitting.outlines import drawn_otherwise
from UltrasoundLesionSegLib.fitting.prompts import corrupt_prior
from UltrasoundLesionSegLib.fitting.still import Still

SMALLEST_SIDE = 48.0  # of a window, in pixels of the frame; the same as in the engine
SMALLEST_LESION = 40  # pixels of the network's input; a clip whose first mask is smaller is drawn again
ATTEMPTS = 20  # until a sample shows a lesion
CANVAS = 1.35  # side of the synthesized canvas / side of the window: motion brings new tissue in


@dataclass(frozen=True)
class SampleSettings:
    """What a training sample is.

    Parameters
    ----------
    frames : int
        2 given frames (anchor, previous) and the ones to predict.
    size : int
        Side of the network's input, a multiple of 16.
    longest_gap : float
        Largest time between anchor and previous frame, in frames.
    wrongness : float
        See ``corrupt_prior``.
    whole_share : float
        Share of samples that see the whole frame, as after the lesion was lost.
    outline_share : float
        Share of stills whose outline is not the edge of the dark core (``outlines.py``).
    clip : ClipSettings
    """

    frames: int = 4
    size: int = 160
    longest_gap: float = 40.0
    wrongness: float = 0.35
    whole_share: float = 0.1
    outline_share: float = 0.0
    clip: ClipSettings = field(default_factory=ClipSettings)


class NoLesionError(RuntimeError):
    """No sample could be drawn that shows enough of a lesion."""


class NumberedSamples(Dataset[dict[str, Tensor]], ABC):
    """Samples by number, made of stills and of clips; one that shows no lesion is drawn again.

    Parameters
    ----------
    stills : sequence of Still
    settings : SampleSettings
    seed : int
    clips : sequence of Clip
        Of at least a few frames; ``clip_share`` of the samples are made of them.
    clip_share : float
    tissue : sequence of Still
        Whose tissue comes into the plane around a still's lesion; the stills themselves by default.
    """

    def __init__(
        self,
        stills: Sequence[Still],
        settings: SampleSettings,
        seed: int,
        clips: Sequence[Clip] = (),
        clip_share: float = 0.0,
        tissue: Sequence[Still] = (),
    ) -> None:
        self._stills = stills
        self._tissue = tissue or stills
        self._settings = settings
        self._seed = seed
        self._clips = clips
        self._clip_share = clip_share if clips else 0.0

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        for attempt in range(ATTEMPTS):
            sample = self.draw(np.random.default_rng((self._seed, index, attempt)))
            if sample is not None:
                return sample
        raise NoLesionError(f"sample {index} shows no lesion in {ATTEMPTS} attempts")

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> dict[str, Tensor] | None:
        """Return a sample; None when it shows no lesion."""

    def is_from_clip(self, rng: np.random.Generator) -> bool:
        """Draw whether a sample is made of a clip rather than of a still."""
        return rng.random() < self._clip_share


def draw_stills(stills: Sequence[Still], rng: np.random.Generator, tissue: Sequence[Still] = ()) -> tuple[Still, Still]:
    """Return a still, mirrored half of the time, and one of ``tissue`` (by default of them) that may be mixed in."""
    still, other = (some[int(rng.integers(len(some)))] for some in (stills, tissue or stills))
    if rng.random() < 0.5:
        still = Still(np.ascontiguousarray(still.image[:, ::-1]), np.ascontiguousarray(still.mask[:, ::-1]))
    return still, other


class PropagationSamples(NumberedSamples):
    """Clips seen through windows as the engine's tracker sees them.

    The anchor is seen through the window around its mask; the frames after it through the one around the previous
    frame's mask, both with a jittered place and margin. An item holds ``frames`` uint8 (T, N, N), ``masks`` float32
    (T, 1, N, N) and ``prior`` float32 (1, N, N), the previous frame's mask as a network might have left it.
    """

    def draw(self, rng: np.random.Generator) -> dict[str, Tensor] | None:
        """Return a sample seen through its windows; None when the anchor shows no lesion."""
        return self._view(self._from_cine(rng) if self.is_from_clip(rng) else self._from_still(rng), rng)

    def _times(self, rng: np.random.Generator) -> list[float]:
        settings = self._settings
        # a third of the samples as published: consecutive frames, the anchor is the frame before
        gap = 0.0 if rng.random() < 0.33 else float(rng.uniform(1, settings.longest_gap))
        step = float(rng.uniform(0.5, 3.0))
        return [0.0] + [gap + step * number for number in range(settings.frames - 1)]

    def _from_still(self, rng: np.random.Generator) -> tuple[Clip, float]:
        settings = self._settings
        still, other = draw_stills(self._stills, rng, self._tissue)
        clip_settings = settings.clip
        if settings.outline_share and rng.random() < settings.outline_share:
            still = drawn_otherwise(still, rng)
            # where the outline is no edge, nothing in the picture says how it moves through the tissue
            clip_settings = replace(clip_settings, reshape=0.3 * clip_settings.reshape)
        whole = Window.whole(*still.image.shape)
        margin = _draw_margin(rng)
        around = Window.around(still.mask, margin, SMALLEST_SIDE)
        if rng.random() < settings.whole_share or around.side * CANVAS > 1.3 * whole.side:
            margin = 0.0
            canvas, size = whole, settings.size
        else:
            shift = rng.uniform(-0.15, 0.15, 2) * around.side
            canvas = Window(around.row + shift[0], around.column + shift[1], around.side * CANVAS)
            size = int(settings.size * CANVAS)
        clip = synthesize_clip(still, other, canvas, size, self._times(rng), rng, clip_settings)
        return clip, margin

    def _from_cine(self, rng: np.random.Generator) -> tuple[Clip, float]:
        clip = self._clips[int(rng.integers(len(self._clips)))]
        if rng.random() < 0.5:
            clip = Clip(clip.frames[::-1], clip.masks[::-1])
        if rng.random() < 0.5:
            clip = Clip(clip.frames[:, :, ::-1], clip.masks[:, :, ::-1])
        last = len(clip.frames) - 1
        times = np.array(self._times(rng))
        start = int(rng.integers(0, max(last - int(times[-1]), 0) + 1))
        chosen = np.clip(np.round(start + times).astype(int), 0, last)
        frames, masks = np.ascontiguousarray(clip.frames[chosen]), np.ascontiguousarray(clip.masks[chosen])
        gain = float(np.exp(rng.normal(0, 0.2)))
        frames = np.clip(frames * np.float32(gain) + np.float32(rng.normal(0, 12)), 0, 255).astype(np.uint8)
        margin = 0.0 if rng.random() < self._settings.whole_share else _draw_margin(rng)
        return Clip(frames, masks), margin

    def _view(self, drawn: tuple[Clip, float], rng: np.random.Generator) -> dict[str, Tensor] | None:
        """Cut the clip to windows; None when the anchor shows no lesion."""
        clip, margin = drawn
        size = self._settings.size
        anchor = self._window(clip.masks[0], margin, rng)
        shown = clip.masks[1] if clip.masks[1].any() else clip.masks[0]
        present = self._window(shown, margin, rng)
        windows = [anchor] + [present] * (len(clip.frames) - 1)
        if rng.random() < 0.15:  # the window of a lesion that was lost for a frame
            windows[1:] = [replace(present, side=present.side * 1.5)] * (len(clip.frames) - 1)
        frames = np.stack([window.cut(frame, size) for window, frame in zip(windows, clip.frames, strict=True)])
        masks = np.stack([_cut_mask(window, mask, size) for window, mask in zip(windows, clip.masks, strict=True)])
        if masks[0].sum() < SMALLEST_LESION:
            return None
        prior = corrupt_prior(masks[1] > 0.5, rng, self._settings.wrongness)
        return {
            "frames": torch.from_numpy(frames),
            "masks": torch.from_numpy(masks)[:, None],
            "prior": torch.from_numpy(prior)[None],
        }

    def _window(self, mask: Mask, margin: float, rng: np.random.Generator) -> Window:
        if margin == 0 or not mask.any():
            return Window.whole(*mask.shape)
        window = Window.around(mask, margin * float(np.exp(rng.normal(0, 0.07))), 16.0)
        shift = rng.normal(0, 0.05, 2) * window.side
        return replace(window, row=window.row + shift[0], column=window.column + shift[1])


def _draw_margin(rng: np.random.Generator) -> float:
    return float(rng.uniform(1.7, 2.5)) if rng.random() < 0.6 else float(rng.uniform(1.4, 4.0))


def _cut_mask(window: Window, mask: Mask, size: int) -> NDArray[np.float32]:
    cut = window.cut(mask.astype(np.float32), size)
    return (cut > 0.5).astype(np.float32)
