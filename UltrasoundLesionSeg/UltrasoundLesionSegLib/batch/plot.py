"""The summary plot of a batch: how sure the models are of each case, and how large the lesions are."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from UltrasoundLesionSegLib.batch.case_row import CaseRow
from UltrasoundLesionSegLib.batch.reviews import Reviews
from UltrasoundLesionSegLib.reader_work.record import ReviewState

_LINE, _DOT = "#9db4cc", "#1f5a94"
# Okabe and Ito's palette: different also to people who cannot distinguish red from green
_STATES = {
    ReviewState.NEW: (_DOT, "o"),
    ReviewState.IN_WORK: ("#e69f00", "s"),
    ReviewState.DONE: ("#009e73", "D"),
    ReviewState.SET_ASIDE: ("#888888", "X"),
}
FEWEST_BINS = 20  # fewer would draw a lesion or two as bars across the plot
MOST_NAMES = 40  # more names than that would overlap


def make_plot(rows: Sequence[CaseRow], reviews: Reviews | None = None) -> Figure:
    """Draw the confidence of every case, worst first, and the distribution of the lesions' longest long axes.

    Parameters
    ----------
    rows : sequence of CaseRow
        Worst first; those without a model's mask are left out of the upper plot.
    reviews : Reviews, optional
        Where somebody has worked, each case's dot shows how far the reader is who is furthest with it.
    """
    sizes = {unit: values for unit in ("mm", "px") if (values := _sizes(rows, unit))}
    figure = Figure(figsize=(9, 4 + 2.4 * len(sizes)), layout="constrained")
    panels = figure.subplots(1 + len(sizes), 1, height_ratios=[3] + [2] * len(sizes), squeeze=False)[:, 0]
    _draw_confidences(panels[0], [row for row in rows if row.lowest], reviews)
    for axes, (unit, values) in zip(panels[1:], sizes.items(), strict=True):
        bins = max(FEWEST_BINS, min(30, len(values) // 2))
        axes.hist(values, bins=bins, range=(0, 1.05 * max(values)), color=_DOT, alpha=0.75)
        axes.set_xlabel(f"Longest long axis of each lesion ({unit})")
        axes.set_ylabel("Lesions")
        axes.yaxis.get_major_locator().set_params(integer=True)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    return figure


def _draw_confidences(axes: Axes, rows: Sequence[CaseRow], reviews: Reviews | None) -> None:
    width = max(1.0, min(6.0, 250 / max(1, len(rows))))
    lowest, highest = [row.lowest[1] for row in rows if row.lowest], [row.highest for row in rows]
    places, means = np.arange(len(rows)), np.array([row.mean for row in rows])
    axes.vlines(places, lowest, highest, color=_LINE, linewidth=width, label="lowest to highest frame")
    if reviews:
        states = [reviews.furthest(row) for row in rows]
        for state, (colour, marker) in _STATES.items():
            of_state = np.array([one is state for one in states], bool)
            if of_state.any():
                label = f"mean, {state.value}"
                axes.plot(places[of_state], means[of_state], marker, color=colour, markersize=4, label=label)
    else:
        axes.plot(places, means, "o", color=_DOT, markersize=4, label="mean of the frames")
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("Confidence")
    if len(rows) <= MOST_NAMES:
        axes.set_xticks(places, [row.name for row in rows], rotation=90, fontsize="x-small")
    else:
        axes.set_xlabel(f"{len(rows)} cases, the one that most needs a look first")
    axes.legend(fontsize="small", frameon=False, loc="lower right")


def _sizes(rows: Sequence[CaseRow], unit: str) -> list[float]:
    """Longest long axes of the lesions that were measured in a unit."""
    return [size for row in rows for size in row.long_axes.get(unit, ())]


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG.

    Parameters
    ----------
    figure : Figure
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    return stream.getvalue()
