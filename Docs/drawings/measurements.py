"""Draw Docs/images/measurements.png, which explains the measurements: python Docs/drawings/measurements.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Calibration
from UltrasoundLesionSegLib.measurement.echo import distance_outside, posterior_boxes, ring_reach
from UltrasoundLesionSegLib.measurement.frame import FrameMeasurement, measure_frame
from UltrasoundLesionSegLib.measurement.outline import trace_outline
from UltrasoundLesionSegLib.measurement.shape import largest_component
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine

TARGET = Path(__file__).resolve().parents[1] / "images" / "measurements.png"
LONG, ACROSS, OUTLINE, EXTENT = "#0072b2", "#d55e00", "#111111", "#6a6a6a"


def coarse_mask() -> NDArray[np.bool_]:
    """A lesion of few pixels, so that the pixels can be seen."""
    rows, columns = np.mgrid[:19, :27]
    along = (columns - 13) * np.cos(0.42) + (rows - 9) * np.sin(0.42)
    across = (rows - 9) * np.cos(0.42) - (columns - 13) * np.sin(0.42)
    return np.asarray((along / 10.2) ** 2 + (across / (5.2 + 0.8 * np.cos(along * 0.9))) ** 2 <= 1)


def draw_axes(axes: Axes, found: FrameMeasurement, size: float = 10) -> None:
    """Draw both axes as callipers."""
    for ends, colour, marker in (
        (found.long_axis_ends, LONG, "P"),
        (found.perpendicular_axis_ends, ACROSS, "X"),
    ):
        if ends is not None:
            rows, columns = np.array(ends).T
            axes.plot(columns, rows, ":", color=colour, linewidth=2)
            axes.plot(columns, rows, marker, color=colour, markersize=size, markeredgecolor="white")


def draw_sizes(axes: Axes) -> None:
    """Outline, axes, depth and width on visible pixels."""
    mask = coarse_mask()
    found = measure_frame(mask, np.zeros(mask.shape, np.uint8), Calibration(1, 1, "drawing"))
    axes.imshow(np.where(mask, 0.8, 1.0), cmap="gray", vmin=0, vmax=1)
    axes.set_xticks(np.arange(-0.5, mask.shape[1]), minor=True)
    axes.set_yticks(np.arange(-0.5, mask.shape[0]), minor=True)
    axes.grid(which="minor", color="#dddddd", linewidth=0.6)
    axes.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    outline = trace_outline(mask)
    axes.plot(*np.vstack([outline, outline[:1]]).T[::-1], color=OUTLINE, linewidth=2)
    draw_axes(axes, found)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    arrow = {"arrowstyle": "<->", "color": EXTENT, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
    right, bottom = columns[-1] + 1.7, rows[-1] + 1.2
    axes.annotate("", (right, rows[0] - 0.5), (right, rows[-1] + 0.5), arrowprops=arrow)
    axes.annotate("", (columns[0] - 0.5, bottom), (columns[-1] + 0.5, bottom), arrowprops=arrow)
    axes.text(right + 0.3, 9, "depth", rotation=270, va="center", color=EXTENT)
    axes.text(13, bottom + 0.25, "width", ha="center", va="top", color=EXTENT)
    axes.text(4.2, 2.2, "outline", color=OUTLINE)
    axes.annotate("", (5.6, 3.55), (5.2, 2.4), arrowprops={"arrowstyle": "-", "color": OUTLINE})
    axes.text(17.6, 9.6, "long axis", color=LONG, fontweight="bold")
    axes.text(12.4, 7.6, "perpendicular\naxis", color=ACROSS, fontweight="bold", ha="right", va="bottom")
    axes.set_title("Sizes, from the mask's pixels")


def draw_echo(axes: Axes) -> None:
    """Ring, boundary and posterior boxes on a simulated frame."""
    simulated = simulate_cine(SimulationSettings(seed=29, frames=1, lesions=1, pixel_mm=0.1))
    frame, mask = simulated.cine.frames[0], simulated.truth[0][0]
    component = largest_component(mask)
    assert component is not None
    begin, end = ring_reach(int(mask.sum()), (1.0, 1.0))
    distance = distance_outside(mask, (1.0, 1.0))
    axes.imshow(frame, cmap="gray", vmin=0, vmax=255)
    axes.contourf(distance, levels=[begin, end], colors=["#56b4e9"], alpha=0.4)
    axes.plot(*np.vstack([component.outline, component.outline[:1]]).T[::-1], color="white", linewidth=1.6)
    gap = max(round(begin), 1)
    below, beside = posterior_boxes(component.box, mask.shape, (gap, gap))
    boxes = [(box, "#e69f00", "beside") for box in beside] + ([(below, "#ffe14d", "below")] if below else [])
    for box, colour, name in boxes:
        corner = (box.column_min - 0.5, box.row_min - 0.5)
        axes.add_patch(Rectangle(corner, box.width, box.depth, fill=False, edgecolor=colour, linewidth=2))
        middle = (box.column_min + box.width / 2, box.row_min + box.depth / 2)
        axes.text(*middle, name, color=colour, ha="center", va="center", fontweight="bold")
    row, column = component.outline.mean(axis=0)
    axes.text(column, row, "inside", color="white", ha="center", va="center", fontweight="bold")
    axes.text(column, component.box.row_min - end * 0.6, "ring", color="#9fdcff", ha="center", fontweight="bold")
    columns = [limit for box, *_ in boxes for limit in (box.column_min, box.column_end)]
    axes.set_xlim(max(min(columns) - 12, 0), min(max(columns) + 12, mask.shape[1] - 1))
    axes.set_ylim(max(box.row_end for box, *_ in boxes) + 12, max(component.box.row_min - end - 8, 0))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("Echo levels, from the frame (simulated)")


def main() -> None:
    """Write the picture."""
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    draw_sizes(left)
    draw_echo(right)
    figure.savefig(TARGET, dpi=110)


if __name__ == "__main__":
    main()
