"""Clicks and boxes of a person on a frame, and how they are given to a network.

As in RITM (Sofiiuk et al., "Reviving Iterative Training with Mask Guidance for Interactive Segmentation", ICIP 2022):
clicks are disks of a few pixels of the network's input, whatever the frame's scale, and the mask so far is a channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Channels = NDArray[np.float32]

DISK_RADIUS = 3.0  # pixels of the network's input
INSIDE, OUTSIDE, BOX, MASK = range(4)  # the prompt's channels
PROMPT_CHANNELS = 4


@dataclass(frozen=True)
class Click:
    """A point that a person says is in the lesion, or is not.

    Parameters
    ----------
    row, column : float
        In pixels; the centre of the first pixel is (0, 0).
    inside : bool
    """

    row: float
    column: float
    inside: bool = True


@dataclass(frozen=True)
class Box:
    """A rectangle that a person drew around the lesion; edges in pixels, all inclusive.

    Parameters
    ----------
    top, left, bottom, right : float
    """

    top: float
    left: float
    bottom: float
    right: float


def draw_disk(channel: Channels, row: float, column: float) -> None:
    """Draw a click into a channel of shape (h, w), with a soft rim; a click far outside leaves it as it is."""
    height, width = channel.shape
    reach = int(np.ceil(DISK_RADIUS + 1))
    top, left = max(int(np.floor(row)) - reach, 0), max(int(np.floor(column)) - reach, 0)
    bottom, right = min(int(np.ceil(row)) + reach + 1, height), min(int(np.ceil(column)) + reach + 1, width)
    if top >= bottom or left >= right:
        return
    rows = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(row)
    columns = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(column)
    disk = np.clip(np.float32(DISK_RADIUS + 0.5) - np.hypot(rows, columns), 0, 1)
    part = channel[top:bottom, left:right]
    np.maximum(part, disk, out=part)


def draw_box(channel: Channels, box: Box) -> None:
    """Fill a box in a channel of shape (h, w)."""
    top, bottom = round(max(box.top, 0)), round(box.bottom) + 1
    left, right = round(max(box.left, 0)), round(box.right) + 1
    channel[top : max(bottom, 0), left : max(right, 0)] = 1


def draw_clicks(prompt: Channels, clicks: Sequence[Click]) -> None:
    """Draw clicks, in pixels of the network's input, into a prompt of shape (4, h, w)."""
    for click in clicks:
        draw_disk(prompt[INSIDE if click.inside else OUTSIDE], click.row, click.column)
