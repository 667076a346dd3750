"""Simulated people who work on a cine: how the next frame is chosen, and what the person does there.

A way of working is a chooser and a person; ``interactive.py`` compares several. To add one, write another ``Person`` or
``Chooser``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine.bundles import CLICK, default_bundle
from UltrasoundLesionSegLib.engine.click_prompt import Click
from UltrasoundLesionSegLib.engine.clicking import ClickDrawing
from UltrasoundLesionSegLib.engine.network_api import ClickNetwork
from UltrasoundLesionSegLib.engine.next_frame import Outlook, expected_gains, next_frame
from UltrasoundLesionSegLib.measurement.overlap import dice
from UltrasoundLesionSegLib.training.click_simulation import next_click

Masks = NDArray[np.bool_]  # (K, H, W)
Sizes = Sequence[float | None]
MOST_CLICKS = 3  # on a lesion of one frame
FITTED = "next frame, fitted"
GOOD = 0.9  # a person does not correct masks with at least this Dice


@dataclass(frozen=True)
class Situation:
    """What a chooser may know.

    Parameters
    ----------
    outlook : list of Outlook
        What the product expects of each lesion.
    labelled : ndarray of bool, shape (T,)
        Frames whose truth is known: others cannot be corrected.
    dice : ndarray of float, shape (T,)
        The truth, for an oracle alone: mean Dice over the lesions; nan on frames without truth.
    rng : numpy.random.Generator
    """

    outlook: list[Outlook]
    labelled: NDArray[np.bool_]
    dice: NDArray[np.float64]
    rng: np.random.Generator

    @property
    def anchors(self) -> tuple[int, ...]:
        """Frames already drawn or confirmed."""
        return self.outlook[0].anchors

    def free(self) -> NDArray[np.int64]:
        """Return the frames that can be corrected, ascending."""
        left = self.labelled.copy()
        left[list(self.anchors)] = False
        return np.flatnonzero(left)


class Chooser(Protocol):
    """Says which frame the person looks at next."""

    def __call__(self, situation: Situation) -> int | None:
        """Return a frame without an anchor; None when nothing is left to look at."""
        ...


def product(situation: Situation) -> int | None:
    """Return the frame the product offers, or would if it never called a cine done."""
    gains = expected_gains(situation.outlook)
    gains[~situation.labelled] = 0
    if gains.any():
        return int(np.argmax(gains))
    return evenly_spaced(situation)


def lowest_overlap(situation: Situation) -> int | None:
    """Return the frame with the lowest expected overlap."""
    free = situation.free()
    expected = np.nanmin([one.expected for one in situation.outlook], axis=0)[free]
    return int(free[np.argmin(np.nan_to_num(expected, nan=1.0))]) if len(free) else None


def evenly_spaced(situation: Situation) -> int | None:
    """Return the frame furthest from all anchors: from a seed on the first frame the last, the middle, a quarter."""
    free = situation.free()
    if not len(free):
        return None
    away = np.abs(free[:, None] - np.array(situation.anchors)[None]).min(axis=1)
    return int(free[np.argmax(away)])


def at_random(situation: Situation) -> int | None:
    """Return any frame."""
    free = situation.free()
    return int(situation.rng.choice(free)) if len(free) else None


def oracle(situation: Situation) -> int | None:
    """Return the frame whose mask is truly the worst."""
    free = situation.free()
    return int(free[np.argmin(situation.dice[free])]) if len(free) else None


CHOOSERS: Mapping[str, Chooser] = {
    "next frame": product,
    "evenly spaced": evenly_spaced,
    "random": at_random,
    "oracle": oracle,
    FITTED: product,  # of a model that is fitted anew after each correction
}


def says_done(situation: Situation) -> bool:
    """Tell whether the product would say that nothing further is expected."""
    return next_frame(situation.outlook) is None


@dataclass(frozen=True)
class Answer:
    """What a person did about a frame.

    Parameters
    ----------
    masks : ndarray of bool, shape (K, H, W)
        Those that now count.
    drawn : bool
        Whether anything was drawn.
    clicks : int
        What it took, those taken back included.
    """

    masks: Masks
    drawn: bool
    clicks: int = 0


class Person(Protocol):
    """Does something about the frame shown."""

    name: str

    def seed(self, frame: Frame, truth: Masks) -> Answer:
        """Return what the person gives on the frame to start on. Parameters as for ``answer``."""
        ...

    def answer(self, frame: Frame, found: Masks, truth: Masks, sizes: Sizes = ()) -> Answer:
        """Return what the person makes of a frame that is offered.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        found, truth : ndarray of bool, shape (K, H, W)
        sizes : sequence of float or None
            The longer side of each lesion on the nearest frame drawn, in pixels, where it is known.
        """
        ...


class Draws:
    """Draws the truth on every frame offered."""

    name = "draws every frame offered"

    def seed(self, frame: Frame, truth: Masks) -> Answer:
        """Return the truth."""
        return Answer(truth, drawn=True)

    def answer(self, frame: Frame, found: Masks, truth: Masks, sizes: Sizes = ()) -> Answer:
        """Return the truth."""
        return Answer(truth, drawn=True)


class DrawsWherePoor(Draws):
    """Draws the truth where a mask's Dice is below ``GOOD``, and else declares the mask right as it is."""

    name = f"draws where Dice is under {GOOD:g}, else confirms"

    def answer(self, frame: Frame, found: Masks, truth: Masks, sizes: Sizes = ()) -> Answer:
        """Return the truth, or what was found."""
        if min(dice(one, other) for one, other in zip(found, truth, strict=True)) < GOOD:
            return Answer(truth, drawn=True)
        return Answer(found, drawn=False)


class ClicksWherePoor(Draws):
    """Clicks into the largest errors of a mask whose Dice is below ``GOOD``; else declares it right as it is.

    Takes a click back that made the mask worse, and marks a lesion "not visible" that is not: no click can say that.
    """

    name = f"clicks up to {MOST_CLICKS} times where Dice is under {GOOD:g}, else confirms"

    def answer(self, frame: Frame, found: Masks, truth: Masks, sizes: Sizes = ()) -> Answer:
        """Return what the clicks made of the masks."""
        known = sizes or [None] * len(truth)
        clicked = [_clicked(frame, *one) for one in zip(found, truth, known, strict=True)]
        masks = np.stack([mask for mask, _ in clicked])
        return Answer(masks, not np.array_equal(masks, found), sum(number for _, number in clicked))


class Clicks(ClicksWherePoor):
    """Draws nothing by hand: clicks the seed too, as a person who has one tool."""

    name = f"clicks the seed, and up to {MOST_CLICKS} times where Dice is under {GOOD:g}, else confirms"

    def seed(self, frame: Frame, truth: Masks) -> Answer:
        """Return what clicks make of nothing; the truth where they find nothing: a person would draw then."""
        answer = self.answer(frame, np.zeros_like(truth), truth)
        lost = ~np.asarray(answer.masks.any(axis=(1, 2)))
        return Answer(np.where(lost[:, None, None], truth, answer.masks), drawn=True, clicks=answer.clicks)


def _clicked(frame: Frame, found: Mask, truth: Mask, lesion_size: float | None) -> tuple[Mask, int]:
    """Return the best mask that clicks made of one, and how many there were."""
    if not truth.any():
        return truth, 0
    network, size = click_model()
    drawing = ClickDrawing(frame, network, size, torch.device("cpu"), found, lesion_size)
    clicks: list[Click] = []
    masks = [found]
    while dice(masks[-1], truth) < GOOD and len(clicks) < MOST_CLICKS:
        click = next_click(masks[-1], truth)
        assert click is not None  # something is wrong where Dice is not 1
        clicks.append(click)
        masks.append(drawing.mask(clicks))
    return max(masks, key=lambda mask: dice(mask, truth)), len(clicks)


@cache
def click_model() -> tuple[ClickNetwork, int]:
    """Return the default click model's network, on the CPU, and the side of its input in pixels."""
    bundle = default_bundle(CLICK)
    network = bundle.load_for_inference("cpu")
    assert isinstance(network, ClickNetwork)
    return network, bundle.input_size


PEOPLE: Mapping[str, Person] = {
    "draws": Draws(),
    "draws_where_poor": DrawsWherePoor(),
    "clicks_where_poor": ClicksWherePoor(),
    "clicks": Clicks(),
}
