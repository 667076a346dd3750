"""Area, axes and confidence over the clip, drawn by matplotlib (no pyplot: it keeps figures alive and picks a GUI)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from UltrasoundLesionSegLib.report.case import CaseReport, LesionReport
from UltrasoundLesionSegLib.writers.atomic import atomic_path


def make_plot(case: CaseReport) -> Figure:
    """Draw area, both axes and confidence of every lesion over time, or over frames where the time is unknown.

    Frames on which a lesion is not visible leave a gap; dots mark what a person drew or confirmed.

    Parameters
    ----------
    case : CaseReport

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(8, 7), layout="constrained")
    area, axes, confidence = figure.subplots(3, 1, sharex=True)
    for number, lesion in enumerate(case.lesions, start=1):
        colour = tuple(channel / 255 for channel in lesion.colour)
        label = f"Lesion {number}"
        _draw(area, case, lesion, "area", colour, "-", label)
        _draw(axes, case, lesion, "long_axis", colour, "-", f"{label}, long axis")
        _draw(axes, case, lesion, "perpendicular_axis", colour, "--", f"{label}, perpendicular axis")
        _draw(confidence, case, lesion, "confidence", colour, "-", label)
    units = {lesion.summary.is_calibrated for lesion in case.lesions}
    unit = "mm" if units == {True} else "px" if units <= {False} else "mm or px"
    area.set_ylabel(f"Area ({unit}²)" if " " not in unit else "Area (mm² or px²)")
    axes.set_ylabel(f"Axes ({unit})")
    confidence.set_ylabel("Confidence")
    confidence.set_ylim(-0.03, 1.03)
    confidence.set_xlabel("Time (s)" if case.cine.timing else "Frame")
    for one in (area, axes):
        one.set_ylim(bottom=0)
        if case.lesions:
            one.legend(fontsize="small", frameon=False)
    for one in (area, axes, confidence):
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25)
    return figure


def _draw(
    axes: Axes,
    case: CaseReport,
    lesion: LesionReport,
    quantity: str,
    colour: tuple[float, ...],
    style: str,
    label: str,
) -> None:
    """Draw one quantity of one lesion, with a dot where a person vouches for the mask."""
    frames = np.arange(len(case.cine))
    places = case.cine.timing.seconds if case.cine.timing else frames
    values = np.full(len(frames), np.nan)
    for frame, one in lesion.by_frame.items():
        if one.is_visible or quantity == "confidence":
            values[frame] = getattr(one, quantity)
    axes.plot(places, values, style, color=colour, label=label, linewidth=1.4)
    starts = np.array(lesion.starts, dtype=int)
    axes.plot(places[starts], values[starts], "o", color=colour, markersize=4)


def write_plot(target: Path, case: CaseReport) -> Path:
    """Write the plot as ``.png``, ``.svg`` or ``.pdf``. It holds no pixel of the cine.

    Parameters
    ----------
    target : Path
    case : CaseReport

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with atomic_path(target) as temporary:
        make_plot(case).savefig(temporary, dpi=130)
    return target
