"""The summary plot of a batch: how sure the models are of each case, and how large the lesions are."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from UltrasoundLesionSegLib.batch.table import CaseRow

_LINE, _DOT = "#9db4cc", "#1f5a94"
MOST_NAMES = 40  # more names than that would overlap


def make_plot(rows: Sequence[CaseRow]) -> Figure:
    """Draw the confidence of every case, worst first, and the distribution of the lesions' longest long axes.

    Parameters
    ----------
    rows : sequence of CaseRow
        Worst first; those without a model's mask are left out of the upper plot.
    """
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    _draw_confidences(above, [row for row in rows if row.confidences])
    _draw_sizes(below, rows)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    return figure


def _draw_confidences(axes: Axes, rows: Sequence[CaseRow]) -> None:
    places = np.arange(len(rows))
    for place, row in zip(places, rows, strict=True):
        values = [value for _, value in row.confidences]
        axes.plot(
            [place, place], [min(values), max(values)], color=_LINE, linewidth=max(1.0, min(6.0, 250 / len(rows)))
        )
    axes.plot(places, [row.mean_confidence for row in rows], "o", color=_DOT, markersize=4, label="mean of the frames")
    axes.plot([], [], color=_LINE, linewidth=4, label="lowest to highest frame")
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("Confidence")
    if len(rows) <= MOST_NAMES:
        axes.set_xticks(places, [row.name for row in rows], rotation=90, fontsize="x-small")
    else:
        axes.set_xlabel(f"{len(rows)} cases, the one that most needs a look first")
    axes.legend(fontsize="small", frameon=False, loc="lower right")


def _draw_sizes(axes: Axes, rows: Sequence[CaseRow]) -> None:
    lesions = [lesion for row in rows for lesion in row.lesions]
    for unit, colour in (("mm", _DOT), ("px", "#b06a2c")):
        values = [
            float(lesion[f"long_axis_there_{unit}"]) for lesion in lesions if lesion.get(f"long_axis_there_{unit}")
        ]
        if not values:
            continue
        panel = axes if not axes.has_data() else axes.twiny()
        panel.hist(values, bins=max(5, min(30, len(values) // 2)), color=colour, alpha=0.6)
        panel.set_xlabel(f"Longest long axis of a lesion ({unit})", color=colour)
    axes.set_ylabel("Lesions")


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG.

    Parameters
    ----------
    figure : Figure
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    return stream.getvalue()
