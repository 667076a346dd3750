"""Small charts as inline SVG: curves over the cine, and the strip of confidences, in the page's own colours."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.report.case import Colour, runs

WIDTH = 760  # of every chart, in the units of its viewBox, so that all share one axis of frames
LEFT, RIGHT = 52, 12
TOP, BOTTOM = 12, 34
STRIP_HEIGHT = 34
# A strip's bars are never thinner than this: a longer cine shows the lowest confidence of several frames in one bar.
MOST_BARS = 340


@dataclass(frozen=True)
class Series:
    """A curve.

    Parameters
    ----------
    label : str
    colour : tuple of int
        RGB.
    values : ndarray of float64, shape (T,)
        nan leaves a gap.
    marks : tuple of int
        Frames to mark with a dot.
    dashed : bool
    """

    label: str
    colour: Colour
    values: NDArray[np.float64]
    marks: tuple[int, ...] = ()
    dashed: bool = False


def legible(colour: Colour) -> str:
    """A CSS colour of the same hue that is neither too pale for a white page nor too dark for a black one.

    Parameters
    ----------
    colour : tuple of int
        RGB, 0 to 255.
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(*(channel / 255 for channel in colour))
    weights = np.array([0.2126, 0.7152, 0.0722])  # relative luminance, WCAG 2

    def luminance(candidate: float) -> float:
        channels = np.array(colorsys.hls_to_rgb(hue, candidate, saturation))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(weights @ linear)

    # between these the contrast is at least 3 to 1 against white and against the dark page
    candidates = sorted(np.linspace(0.02, 0.98, 97).tolist(), key=lambda candidate: abs(candidate - lightness))
    best = next((one for one in candidates if 0.14 <= luminance(one) <= 0.28), 0.45)
    red, green, blue = (round(255 * channel) for channel in colorsys.hls_to_rgb(hue, best, saturation))
    return f"rgb({red},{green},{blue})"


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from ``low`` to ``high``, at most ``most`` of them.

    Parameters
    ----------
    low, high : float
        ``high`` > ``low``.
    most : int
        At least 2.
    """
    least = (high - low) / max(most - 1, 1)
    power = 10 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _frame_axis(count: int, row: float) -> list[str]:
    """Ticks and numbers of the axis of frames at a height of the chart."""
    parts = [f'<line class="axis" x1="{LEFT}" y1="{row}" x2="{WIDTH - RIGHT}" y2="{row}"/>']
    for frame in [0.0] if count == 1 else ticks(0, count - 1, 9):
        if frame != int(frame):
            continue
        place = _place(int(frame), count)
        parts.append(f'<line class="axis" x1="{place:.1f}" y1="{row}" x2="{place:.1f}" y2="{row + 4}"/>')
        parts.append(f'<text x="{place:.1f}" y="{row + 16}" text-anchor="middle">{int(frame)}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{row + 30}" text-anchor="end">frame</text>')
    return parts


def _place(frame: float, count: int) -> float:
    """Horizontal place of a frame's middle."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (frame + 0.5) / count


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def line_chart(title: str, series: Sequence[Series], height: float = 190) -> str:
    """Draw curves over the frames of a cine, from 0 up.

    Parameters
    ----------
    title : str
        What is drawn, with its unit.
    series : sequence of Series
        All of the same length.
    height : float

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    count = max([1, *(len(one.values) for one in series)])
    peaks = [float(np.nanmax(one.values)) for one in series if np.isfinite(one.values).any()]
    top = max(peaks, default=1.0) * 1.06 or 1.0
    bottom = height - BOTTOM

    def level(value: float) -> float:
        return bottom - (bottom - TOP) * value / top

    parts = []
    for value in ticks(0, top, 5):
        parts.append(
            f'<line class="grid" x1="{LEFT}" y1="{level(value):.1f}" x2="{WIDTH - RIGHT}" y2="{level(value):.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{level(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    parts += _frame_axis(count, bottom)
    for one in series:
        stroke = legible(one.colour)
        dashes = ' stroke-dasharray="5 4"' if one.dashed else ""
        for stretch in _stretches(one.values):
            points = " ".join(f"{_place(frame, count):.1f},{level(one.values[frame]):.1f}" for frame in stretch)
            if len(stretch) == 1:
                points += f" {_place(stretch[0], count) + 0.8:.1f},{level(one.values[stretch[0]]):.1f}"
            parts.append(f'<polyline class="curve" stroke="{stroke}"{dashes} points="{points}"/>')
        parts += [
            f'<circle cx="{_place(frame, count):.1f}" cy="{level(one.values[frame]):.1f}" r="3.2" fill="{stroke}"/>'
            for frame in one.marks
            if np.isfinite(one.values[frame])
        ]
    return _svg(height, title, parts)


def _stretches(values: NDArray[np.float64]) -> list[range]:
    """Runs of neighbouring frames with a value."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    edges = np.flatnonzero(known[1:] != known[:-1]).tolist()
    return [range(begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def confidence_strip(
    title: str, confidence: NDArray[np.float64], anchors: Sequence[int], hidden: Sequence[int], colour: Colour
) -> str:
    """Draw the confidence of every frame as a bar: the lower the bar, the more it needs a look.

    A triangle marks a frame that a person drew or confirmed, a dash below the line one where the lesion is not visible.
    In a cine of more than 340 frames a bar is for several frames, and shows the lowest value.

    Parameters
    ----------
    title : str
    confidence : ndarray of float64, shape (T,)
        nan where unknown.
    anchors, hidden : sequence of int
        Frames.
    colour : tuple of int
        RGB of the lesion.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    count = len(confidence)
    line = TOP + STRIP_HEIGHT
    bars = min(count, MOST_BARS)
    width = (WIDTH - LEFT - RIGHT) / bars
    parts = [
        f'<line class="grid" x1="{LEFT}" y1="{TOP}" x2="{WIDTH - RIGHT}" y2="{TOP}"/>',
        f'<text x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end">1</text>',
        f'<text x="{LEFT - 6}" y="{line + 4}" text-anchor="end">0</text>',
    ]
    for bar, frames in enumerate(np.array_split(np.arange(count), bars)):
        known = confidence[frames][np.isfinite(confidence[frames])]
        if len(known):
            height = max(float(known.min()) * STRIP_HEIGHT, 1.0)
            parts.append(
                f'<rect x="{LEFT + bar * width:.2f}" y="{line - height:.1f}" width="{max(width - 0.4, 0.6):.2f}" '
                f'height="{height:.1f}" fill="{legible(colour)}"/>'
            )
    for frame in anchors:
        place = _place(frame, count)
        parts.append(f'<path class="ink" d="M{place:.1f} {line - 9}l5 9h-10z"/>')
    for begin, end in runs(hidden):
        left, right = _place(begin - 0.5, count), _place(end + 0.5, count)
        parts.append(f'<line class="hidden" x1="{left:.1f}" y1="{line + 3}" x2="{right:.1f}" y2="{line + 3}"/>')
    return _svg(line + 6 + BOTTOM, title, [*parts, *_frame_axis(count, line + 6)])
