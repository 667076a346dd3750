"""A lesion drawn on one frame from a person's clicks or a box, and a mask corrected by clicks.

At the first click the network looks through a window that fits the lesion as it is on another frame, or one as large as
the frame where its size is not known; then through one around the mask that it found, until the window fits. Each
further click takes one look, or two, through the window around the present mask, which is part of the prompt.

A click that corrects a mask which was there before, of a propagation or a person, changes the part of the outline that
it points at and leaves the others alone.

What a click says holds for the mask, whatever the network draws (as in Jang and Kim, Interactive Image Segmentation via
Backpropagating Refinement Scheme, CVPR 2019, but without gradients). The network disobeys most often where the lesion
is much smaller than what it drew at the first click, and looks again through a window as large as the clicks allow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine.click_prompt import (
    BOX,
    MASK,
    PROMPT_CHANNELS,
    Box,
    Click,
    draw_box,
    draw_clicks,
)
from UltrasoundLesionSegLib.engine.device import one_answer
from UltrasoundLesionSegLib.engine.network_api import ClickNetwork
from UltrasoundLesionSegLib.engine.threads import threads_for_inference
from UltrasoundLesionSegLib.engine.window import Window, rgb

MARGIN = 2.0  # side of a window / longer side of what it must show
SMALLEST_SIDE = 48.0  # of a window, pixels of the frame
MOST_LOOKS = 3  # for the first click or a box
MOST_MENDING_LOOKS = 2
FITTING = 1.4  # a window this many times too large or too small is good enough
CLOSEST = 3.0  # a look may reduce the window by at most this factor, because a speck may be a mistake
SLIVER = 0.02  # share of a mask's area
BOX_SLACK = 0.1  # of a box's side: a person draws it no more exactly
AIM = 2.0  # a click points at what is at most so far away, in pixels of the network's input


@dataclass(frozen=True)
class _Answer:
    """What the network drew.

    Parameters
    ----------
    window : Window
    seen : ndarray of float32, shape (N, N)
        Probabilities in the window.
    mask : ndarray of bool, shape (H, W)
        The lesion on the frame.
    """

    window: Window
    seen: NDArray[np.float32]
    mask: Mask


class ClickDrawing:
    """One lesion on one frame as its clicks change.

    The mask depends on the clicks and their order alone. Every answer is kept: taking clicks back costs nothing.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    network : ClickNetwork
        In evaluation mode on ``device``.
    input_size : int
        Side of the network's input in pixels.
    device : torch.device
    start : ndarray of bool, shape (H, W), or None
        A mask to correct; None or an empty one starts from nothing.
    size : float or None
        The longer side of the lesion on a frame nearby, in pixels (``size_nearby``); None where it is not known.
    """

    def __init__(
        self,
        frame: Frame,
        network: ClickNetwork,
        input_size: int,
        device: torch.device,
        start: Mask | None = None,
        size: float | None = None,
    ) -> None:
        self._frame = frame
        self._network = network
        self._size = input_size
        self._device = device
        self._start = start if start is not None and start.any() else None
        self._lesion_size = size
        self._answers: dict[tuple[Box | None, tuple[Click, ...]], _Answer | None] = {}

    def mask(self, clicks: Sequence[Click], box: Box | None = None) -> Mask:
        """Return the lesion as these clicks tell it.

        Parameters
        ----------
        clicks : sequence of Click
            In the order they were made.
        box : Box or None

        Returns
        -------
        ndarray of bool, shape (H, W)
            The mask to begin with when there is no prompt at all.
        """
        height, width = self._frame.shape[:2]
        if not clicks and box is None:
            return np.zeros((height, width), bool) if self._start is None else self._start.copy()
        with threads_for_inference():
            answer = self._answer(tuple(clicks), box)
        return np.zeros((height, width), bool) if answer is None else answer.mask.copy()

    def _answer(self, clicks: tuple[Click, ...], box: Box | None) -> _Answer | None:
        if (box, clicks) not in self._answers:
            self._answers[box, clicks] = self._computed(clicks, box)
        return self._answers[box, clicks]

    def _computed(self, clicks: tuple[Click, ...], box: Box | None) -> _Answer | None:
        before = self._answer(clicks[:-1], box) if clicks else None
        if not clicks and box is None:
            return self._first_answer()
        if before is None:
            window = self._first_window(clicks, box)
            answer = None if window is None else self._looked(clicks, box, None, window, MOST_LOOKS)
        else:
            answer = self._looked(clicks, box, before, self._fitting(before, clicks, box), MOST_MENDING_LOOKS)
            if self._start is not None and box is None:
                answer = self._corrected(before, answer, clicks[-1])
            elif box is None:
                answer = self._looked_closer(clicks, answer)
        return None if answer is None else self._obeying(clicks, answer)

    def _first_answer(self) -> _Answer | None:
        """Return the mask to begin with as if the network had drawn it."""
        if self._start is None:
            return None
        return self._as_answer(self._start, Window.around(self._start, MARGIN, SMALLEST_SIDE))

    def _as_answer(self, mask: Mask, window: Window) -> _Answer:
        return _Answer(window, window.cut(mask.astype(np.float32), self._size), mask)

    def _corrected(self, before: _Answer, answer: _Answer, click: Click) -> _Answer:
        """Return an answer without the changes that the click does not point at.

        Kept is the connected change that lies under the click (Chen et al., FocalClick, CVPR 2022, section 3.3). Where
        none does, the click is disobeyed and nothing else is to change, or it points at what is right already: then it
        asks for the whole lesion anew.
        """
        changes = (answer.mask != before.mask).astype(np.uint8)
        _, labels = cv2.connectedComponents(changes, connectivity=4)
        reach = max(AIM * answer.window.side / self._size, 1.0)
        rows, columns = (slice(max(int(at - reach), 0), int(at + reach) + 2) for at in (click.row, click.column))
        near = labels[rows, columns]  # of a few pixels: the distance on all of a frame takes longer than the labels
        down, right = np.ogrid[: near.shape[0], : near.shape[1]]
        away = np.hypot(down + rows.start - click.row, right + columns.start - click.column)
        pointed_at = np.unique(near[away <= reach])
        if not pointed_at.any():
            return before if _disobeyed(before.mask, [click]) else answer
        changed = np.isin(labels, pointed_at[pointed_at > 0])
        fringe = max(round(answer.window.side / self._size), 1)
        return self._as_answer(_joined(changed, answer.mask, before.mask, fringe), answer.window)

    def _looked_closer(self, clicks: tuple[Click, ...], answer: _Answer) -> _Answer:
        """Look again, through a window as large as the clicks allow, if clicks outside lie in the mask."""
        inside = [(click.row, click.column) for click in clicks if click.inside]
        outside = [(click.row, click.column) for click in clicks if not click.inside]
        disobeyed = _disobeyed(answer.mask, clicks)
        if not inside or all(click.inside for click in disobeyed):
            return answer
        room = min(float(np.hypot(*np.subtract(one, other))) for one in inside for other in outside)
        corners = [np.subtract(np.min(inside, axis=0), room), np.add(np.max(inside, axis=0), room)]
        closer = self._look(clicks, None, None, _around([(float(row), float(column)) for row, column in corners]))
        return closer if len(_disobeyed(closer.mask, clicks)) < len(disobeyed) else answer

    def _obeying(self, clicks: tuple[Click, ...], answer: _Answer) -> _Answer:
        """Return an answer that has each click on its side of the outline."""
        if not _disobeyed(answer.mask, clicks):
            return answer
        reach = max(AIM * answer.window.side / self._size, 1.0)
        return self._as_answer(_obedient(answer.mask, clicks, reach, self._start is None), answer.window)

    def _first_window(self, clicks: Sequence[Click], box: Box | None) -> Window | None:
        """Return where to look first; None while nothing says where the lesion is."""
        inside = [click for click in clicks if click.inside]
        if box is not None:
            return _around([(box.top, box.left), (box.bottom, box.right)])
        if not inside:
            return None
        side = Window.whole(*self._frame.shape[:2]).side
        if self._lesion_size is not None:
            side = min(MARGIN * self._lesion_size, side)
        return Window(inside[-1].row, inside[-1].column, max(side, SMALLEST_SIDE))

    def _looked(
        self, clicks: Sequence[Click], box: Box | None, before: _Answer | None, window: Window, looks: int
    ) -> _Answer:
        """Look until the window fits what is seen through it."""
        for look in range(looks):
            answer = self._look(clicks, box, before, window)
            fitting = self._fitting(answer, clicks, box)
            if look == looks - 1 or _fits(window, fitting):
                break
            window = fitting
        return answer

    @torch.inference_mode()
    def _look(self, clicks: Sequence[Click], box: Box | None, before: _Answer | None, window: Window) -> _Answer:
        size = self._size
        prompt = np.zeros((PROMPT_CHANNELS, size, size), np.float32)
        if before is not None:
            prompt[MASK] = before.window.reseen(before.seen, window, size)
        seen_box = None
        if box is not None:
            corners = window.to_input(box.top, box.left, size), window.to_input(box.bottom, box.right, size)
            seen_box = Box(*corners[0], *corners[1])
            draw_box(prompt[BOX], seen_box)
        seen_clicks = [Click(*window.to_input(click.row, click.column, size), click.inside) for click in clicks]
        draw_clicks(prompt, seen_clicks)
        pixels = torch.from_numpy(rgb(window.cut(self._frame, size))).permute(2, 0, 1).float().div(255)
        stacked = torch.cat((pixels, torch.from_numpy(prompt)))[None].contiguous(memory_format=torch.channels_last)
        seen = torch.sigmoid(one_answer(self._network, stacked, self._device, "the clicks are")).numpy()
        if seen_box is not None:
            seen = _in_box(seen, seen_box, seen_clicks)
        seen = _pointed_parts(seen, seen_clicks, prompt[MASK] > 0.5)
        return _Answer(window, seen, window.paste(seen, *self._frame.shape[:2]) > 0.5)

    def _fitting(self, answer: _Answer, clicks: Sequence[Click], box: Box | None) -> Window:
        """Return the window that fits an answer, its clicks inside and its box."""
        corners = [(click.row, click.column) for click in clicks if click.inside]
        if box is not None:
            corners += [(box.top, box.left), (box.bottom, box.right)]
        found = answer.seen > 0.5
        if found.any():
            rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
            corners += [answer.window.to_frame(rows[end], columns[end], self._size) for end in (0, -1)]
        if not corners:
            return answer.window
        fitting = _around(corners)
        largest = MARGIN * Window.whole(*self._frame.shape[:2]).side
        return replace(fitting, side=min(max(fitting.side, answer.window.side / CLOSEST), largest))


def size_nearby(frame: int, anchors: Iterable[int], read: Callable[[int], Mask]) -> float | None:
    """Return a lesion's longer side on the nearest other anchor that shows it.

    Parameters
    ----------
    frame : int
    anchors : iterable of int
        Frames that were drawn or confirmed.
    read : callable
        Returns the lesion's mask on one of them, bool (H, W).

    Returns
    -------
    float or None
        In pixels; None where no other anchor shows the lesion.
    """
    others = sorted((one for one in anchors if one != frame), key=lambda one: abs(one - frame))
    shown = next((mask for mask in map(read, others) if mask.any()), None)
    if shown is None:
        return None
    return float(max(np.ptp(np.flatnonzero(shown.any(axis=axis))) for axis in (0, 1)) + 1)


def _around(corners: Sequence[tuple[float, float]]) -> Window:
    """Return the window around points of the frame, (row, column)."""
    (top, left), (bottom, right) = np.min(corners, axis=0), np.max(corners, axis=0)
    side = max(float(max(bottom - top, right - left) + 1) * MARGIN, SMALLEST_SIDE)
    return Window(float(top + bottom) / 2, float(left + right) / 2, side)


def _pixel(click: Click, mask: Mask) -> tuple[int, int]:
    """Return the pixel of a mask into which a click falls."""
    height, width = mask.shape
    return min(max(round(click.row), 0), height - 1), min(max(round(click.column), 0), width - 1)


def _disobeyed(mask: Mask, clicks: Sequence[Click]) -> list[Click]:
    """Return the clicks inside that lie outside a mask, and the other way round."""
    return [click for click in clicks if bool(mask[_pixel(click, mask)]) != click.inside]


def _obedient(mask: Mask, clicks: Sequence[Click], reach: float, anew: bool) -> Mask:
    """Return a mask with each disobeyed click on its side.

    A click inside adds what lies within ``reach``. A click outside takes away what is nearer to it than to any click
    inside; of a mask that was there before only the circle around it that fits into the mask, because the person has
    accepted what lies farther away. Neither changes what is nearer to a click of the other kind.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    clicks : sequence of Click
    reach : float
        Pixels of the frame.
    anew : bool
        Whether the clicks drew the mask from nothing.
    """
    mask = mask.copy()
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    away = [np.hypot(rows - click.row, columns - click.column) for click in clicks]
    for click, distance in zip(clicks, away, strict=True):
        if click not in _disobeyed(mask, [click]):
            continue
        others = [far for other, far in zip(clicks, away, strict=True) if other.inside != click.inside]
        limit = reach
        if not click.inside:
            padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
            depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
            limit = np.inf if anew and others else float(depth[_pixel(click, mask)])
        changed = (distance <= limit) & np.all([distance < far for far in others], axis=0)
        mask[changed] = click.inside
    return mask


def _joined(changed: Mask, new: Mask, old: Mask, fringe: int) -> Mask:
    """Return the new mask where it changed and the old one elsewhere, without the slivers left where they meet.

    Where two outlines run side by side, thin parts of the old mask remain that are not connected with the change.
    Islands and holes under ``SLIVER`` of the mask's area that come within ``fringe`` pixels of the change are taken
    away, but none that the change itself made: the click asked for it.

    Parameters
    ----------
    changed, new, old : ndarray of bool, shape (H, W)
    fringe : int
        Pixels of the frame in one of the network's input, at least 1.
    """
    joined: Mask = np.where(changed, new, old)
    beside = cv2.dilate(changed.astype(np.uint8), np.ones((2 * fringe + 1, 2 * fringe + 1), np.uint8)) > 0
    largest = SLIVER * np.count_nonzero(joined)
    for inside in (True, False):
        _, labels = cv2.connectedComponents((joined == inside).astype(np.uint8), connectivity=4)
        is_sliver = np.bincount(labels.ravel()) < largest
        is_near, is_asked_for = (np.bincount(labels[one], minlength=len(is_sliver)) > 0 for one in (beside, changed))
        slivers = np.flatnonzero(is_sliver & is_near & ~is_asked_for)
        if slivers[slivers > 0].size:
            joined[np.isin(labels, slivers[slivers > 0])] = not inside
    return joined


def _fits(window: Window, fitting: Window) -> bool:
    """Tell whether looking again through another window would show nothing new."""
    far = max(abs(window.row - fitting.row), abs(window.column - fitting.column)) > 0.15 * fitting.side
    return not far and 1 / FITTING <= window.side / fitting.side <= FITTING


def _in_box(seen: NDArray[np.float32], box: Box, clicks: Sequence[Click]) -> NDArray[np.float32]:
    """Return the probabilities without what lies outside the box, widened a little and up to the clicks inside.

    Without this, what the network draws of a lesion under 0.4% of the frame can be ten times as large as its box.

    Parameters
    ----------
    seen : ndarray of float32, shape (N, N)
    box : Box
    clicks : sequence of Click
        Both in pixels of ``seen``.
    """
    down, right = BOX_SLACK * (box.bottom - box.top + 1), BOX_SLACK * (box.right - box.left + 1)
    rows = [box.top - down, box.bottom + down, *(click.row for click in clicks if click.inside)]
    columns = [box.left - right, box.right + right, *(click.column for click in clicks if click.inside)]
    allowed = tuple(slice(max(math.floor(min(at)), 0), max(math.ceil(max(at)) + 1, 0)) for at in (rows, columns))
    inside = np.zeros_like(seen)
    inside[allowed] = seen[allowed]
    return inside


def _pointed_parts(seen: NDArray[np.float32], clicks: Sequence[Click], before: Mask) -> NDArray[np.float32]:
    """Return the probabilities without the parts that nobody pointed at.

    Kept are parts that a click inside falls into and parts of the mask so far; the largest one where there are none.

    Parameters
    ----------
    seen : ndarray of float32, shape (N, N)
    clicks : sequence of Click
        In pixels of ``seen``.
    before : ndarray of bool, shape (N, N)
    """
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((seen > 0.5).astype(np.uint8), connectivity=8)
    if count <= 2:
        return seen
    size = seen.shape[0]
    places = [(round(click.row), round(click.column)) for click in clicks if click.inside]
    pointed_at = [labels[place] for place in places if min(place) >= 0 and max(place) < size]
    kept = ({int(one) for one in pointed_at} | {int(one) for one in np.unique(labels[before])}) - {0}
    kept = kept or {1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())}
    return np.where(np.isin(labels, [0, *kept]), seen, np.float32(0))
