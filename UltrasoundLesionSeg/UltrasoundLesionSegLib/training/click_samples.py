"""Training samples of a network that takes clicks: a frame, its lesion, and what a person points at to begin with."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.engine.click_prompt import BOX, MASK, PROMPT_CHANNELS, Box, draw_box, draw_clicks
from UltrasoundLesionSegLib.engine.window import Window
from UltrasoundLesionSegLib.fitting.clip_synthesis import synthesize_clip
from UltrasoundLesionSegLib.fitting.prompts import corrupt_prior
from UltrasoundLesionSegLib.fitting.samples import CANVAS, SMALLEST_SIDE, NumberedSamples, draw_stills
from UltrasoundLesionSegLib.training.click_simulation import next_click

SMALLEST_LESION = 30  # pixels of the network's input
FAR_SHARE = 0.4  # share of samples whose window does not fit the lesion's size, as at a first click
BOX_SHARE = 0.15
RELIT_SHARE = 0.2  # share of lesions made as bright as their surroundings or brighter, of which stills have few
ROUNDS = (0.3, 0.25, 0.18, 0.12, 0.1, 0.05)  # chances of 0, 1, ... clicks into errors after the first one


class ClickSamples(NumberedSamples):
    """Frames of stills and of simulated clips, through the windows that the engine shows a click network.

    An item holds ``frames`` uint8 (1, N, N), ``masks`` float32 (1, 1, N, N), ``prompt`` float32 (4, N, N) with a first
    click or a box or a wrong mask and a click into its largest error, and ``rounds``, how many clicks are to follow.
    ``settings.wrongness`` is the share of samples that begin with a mask to correct.
    """

    def draw(self, rng: np.random.Generator) -> dict[str, Tensor] | None:
        """Return a sample; None when hardly anything of a lesion is seen."""
        frame, mask = self._from_cine(rng) if self.is_from_clip(rng) else self._from_still(rng)
        return self._item(frame, mask, rng) if int(mask.sum()) >= SMALLEST_LESION else None

    def _from_still(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Mask]:
        still, other = draw_stills(self._stills, rng)
        # the lesion moves and changes as the clip is made: the canvas is larger than the window, which is drawn after
        window = _draw_window(still.mask, rng)
        canvas = Window(window.row, window.column, window.side * CANVAS)
        size = int(self._settings.size * CANVAS)
        clip = synthesize_clip(still, other, canvas, size, [0.0], rng, self._settings.clip)
        mask = clip.masks[0]
        if not mask.any():
            return clip.frames[0], mask
        scale = size / canvas.side
        seen = _placed(mask, window.side * scale, rng)
        return seen.cut(clip.frames[0], self._settings.size), seen.cut(
            mask.astype(np.float32), self._settings.size
        ) > 0.5

    def _from_cine(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Mask]:
        clip = self._clips[int(rng.integers(len(self._clips)))]
        number = int(rng.integers(len(clip.frames)))
        frame, mask = clip.frames[number], clip.masks[number]
        if rng.random() < 0.5:
            frame, mask = frame[:, ::-1], mask[:, ::-1]
        if not mask.any():
            return frame, mask
        frame, mask = np.ascontiguousarray(frame), np.ascontiguousarray(mask)
        window = _placed(mask, _draw_window(mask, rng).side, rng)
        size = self._settings.size
        gain = np.float32(np.exp(rng.normal(0, 0.2)))
        lit = np.clip(window.cut(frame, size) * gain + np.float32(rng.normal(0, 12)), 0, 255).astype(np.uint8)
        return lit, window.cut(mask.astype(np.float32), size) > 0.5

    def _item(self, frame: NDArray[np.uint8], mask: Mask, rng: np.random.Generator) -> dict[str, Tensor]:
        if rng.random() < RELIT_SHARE:
            frame = relit(frame, mask, rng)
        prompt = np.zeros((PROMPT_CHANNELS, *mask.shape), np.float32)
        found = np.zeros_like(mask)
        click_too = True
        if rng.random() < self._settings.wrongness:
            prompt[MASK] = corrupt_prior(mask, rng, 0.9)
            found = prompt[MASK] > 0.5
        elif rng.random() < BOX_SHARE:
            draw_box(prompt[BOX], _loose_box(mask, rng))
            click_too = rng.random() < 0.5
        click = next_click(found, mask, rng) if click_too else None
        draw_clicks(prompt, [click] if click else [])
        return {
            "frames": torch.from_numpy(np.ascontiguousarray(frame))[None],
            "masks": torch.from_numpy(mask.astype(np.float32))[None, None],
            "prompt": torch.from_numpy(prompt),
            "rounds": torch.tensor(int(rng.choice(len(ROUNDS), p=ROUNDS))),
        }


def _draw_window(mask: Mask, rng: np.random.Generator) -> Window:
    """Return a window around a lesion, of the side of one that was found or of one that was not yet."""
    whole = Window.whole(*mask.shape)
    around = Window.around(mask, 1.0, 16.0)
    if rng.random() < FAR_SHARE:
        longest = max(np.log(1.15 * whole.side / around.side), 0.3)
        side = around.side * float(np.exp(rng.uniform(0.3, longest)))
    else:
        side = around.side * float(np.exp(rng.normal(np.log(2.0), 0.25)))
    return Window(around.row, around.column, max(side, SMALLEST_SIDE))


def _placed(mask: Mask, side: float, rng: np.random.Generator) -> Window:
    """Return a window of a side around a point near the lesion's middle, as around a click or a mask so far."""
    click = next_click(np.zeros_like(mask), mask, rng)
    assert click is not None
    middle = Window.around(mask, 1.0, 1.0)
    share = float(rng.uniform(0, 1))
    row, column = (share * a + (1 - share) * b for a, b in ((click.row, middle.row), (click.column, middle.column)))
    return Window(row, column, side)


def _loose_box(mask: Mask, rng: np.random.Generator) -> Box:
    """Return the box that a hand draws around a lesion: each edge off by a twentieth of its length, more outwards."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = len(rows), len(columns)
    off = rng.normal(0.02, 0.05, 4)
    return Box(
        rows[0] - off[0] * height, columns[0] - off[1] * width, rows[-1] + off[2] * height, columns[-1] + off[3] * width
    )


def relit(frame: NDArray[np.uint8], mask: Mask, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a frame whose lesion is about as bright as what surrounds it, or brighter; its own speckle stays.

    Parameters
    ----------
    frame : ndarray of uint8, shape (N, N)
    mask : ndarray of bool, shape (N, N)
        Not empty.
    rng : Generator
    """
    radius = max(float(np.sqrt(mask.sum() / np.pi)), 2.0)
    reach = int(0.5 * radius) + 2
    near = cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)) > 0
    ring = near & ~mask
    around = float(frame[ring].mean()) if ring.any() else float(frame.mean())
    wanted = around + float(rng.uniform(-15, 60))
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(0.5, 0.5 + 0.08 * radius)))
    inside = frame[mask].astype(np.float32)
    # bright speckle is coarser grained in grey levels than dark speckle: scaled as well as lifted
    scale = np.float32(np.clip((wanted + 20) / (float(inside.mean()) + 20), 1.0, 2.0))
    lifted = frame * scale
    lifted += np.float32(wanted) - lifted[mask].mean()
    mixed = frame * (1 - soft) + lifted * soft
    return np.clip(mixed, 0, 255).astype(np.uint8)
