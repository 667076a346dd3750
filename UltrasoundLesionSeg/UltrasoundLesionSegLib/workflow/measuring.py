"""Measurements of a cine in the scene: every lesion on every frame, as numbers and as nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from UltrasoundLesionSegLib.cine import Cine, Timing
from UltrasoundLesionSegLib.errors import FrameError, OutputError
from UltrasoundLesionSegLib.measurement.columns import FRAME_COLUMNS, LESION_COLUMNS, FrameRow, LesionRow, tabulate
from UltrasoundLesionSegLib.measurement.frame import FrameMeasurement, measure_frame
from UltrasoundLesionSegLib.measurement.lesion import LesionSummary, summarize_lesion
from UltrasoundLesionSegLib.mrml.changes import tell_tables_changed
from UltrasoundLesionSegLib.mrml.layout import CHART_FRAME, FRAME_TABLE, LESION_TABLE, chart_names
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.tables import remove_tables_and_charts, write_chart, write_table
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.workflow.suggesters import Suggester


@dataclass(frozen=True)
class SegmentMeasurements:
    """One lesion's measurements.

    Parameters
    ----------
    segment_id, name : str
    frames : tuple of int
        Frames with a mask, drawn or computed, ascending; unreadable and untouched frames are not among them.
    measurements : tuple of FrameMeasurement
        One for each of ``frames``.
    summary : LesionSummary
    suggesters : mapping of int to Suggester
        By frame: the model that suggested the mask as a seed.
    """

    segment_id: str
    name: str
    frames: tuple[int, ...]
    measurements: tuple[FrameMeasurement, ...]
    summary: LesionSummary
    suggesters: Mapping[int, Suggester] = field(default_factory=dict)

    @property
    def suggested_by(self) -> str | None:
        """Name and version of the models that suggested seeds of this lesion, None where a person drew them."""
        return ", ".join(dict.fromkeys(map(str, self.suggesters.values()))) or None

    def suggester_at(self, frame: int) -> str | None:
        """Name and version of the model that suggested the mask of a frame as a seed."""
        return str(self.suggesters[frame]) if frame in self.suggesters else None


@dataclass(frozen=True)
class CineMeasurements:
    """All lesions' measurements, and the nodes that show them (None before they are shown)."""

    segments: tuple[SegmentMeasurements, ...]
    timing: Timing | None
    frame_table: Any = None
    lesion_table: Any = None
    charts: tuple[Any, ...] = ()

    def frame_rows(self) -> list[FrameRow]:
        """Return a row for every frame and lesion, by frame, then by segment."""
        rows = [
            FrameRow(frame, self._second(frame), segment.name, measurement, segment.suggester_at(frame))
            for segment in self.segments
            for frame, measurement in zip(segment.frames, segment.measurements, strict=True)
        ]
        return sorted(rows, key=lambda row: row.frame)

    def lesion_rows(self) -> list[LesionRow]:
        """Return a row for every lesion."""
        return [LesionRow(segment.name, segment.summary, segment.suggested_by) for segment in self.segments]

    def suggesters(self) -> list[Suggester]:
        """Return the models that suggested seeds, each once."""
        return list(dict.fromkeys(one for segment in self.segments for one in segment.suggesters.values()))

    def as_table(self, of: str = "frames") -> Any:
        """Return the numbers as one table, unrounded, with units in the columns' names.

        Parameters
        ----------
        of : str
            ``frames``: a row for each frame and lesion that has a mask; ``lesions``: a row for each lesion.

        Returns
        -------
        pandas.DataFrame, or dict of str to list where pandas is not installed
            The columns of ``measurements.csv`` or ``lesions.csv`` (Docs/measurements.md).

        Raises
        ------
        OutputError
            When ``of`` is something else.
        """
        if of not in ("frames", "lesions"):
            raise OutputError(f"there is no table of '{of}'; ask for 'frames' or 'lesions'")
        if of == "frames":
            table = tabulate(FRAME_COLUMNS, self.frame_rows())
        else:
            table = tabulate(LESION_COLUMNS, self.lesion_rows())
        try:
            import pandas
        except ImportError:
            return table
        return pandas.DataFrame(table)

    def _second(self, frame: int) -> float:
        return float(self.timing.seconds[frame]) if self.timing else float("nan")


def measure_cine(
    cine: Cine, sequence: SegmentationSequence, between_frames: Callable[[], None] | None = None
) -> CineMeasurements:
    """Measure every lesion on every frame that has a mask.

    Parameters
    ----------
    cine : Cine
    sequence : SegmentationSequence
    between_frames : callable, optional
        Called before each frame, so that a window can repaint itself.

    Returns
    -------
    CineMeasurements
    """
    found: dict[str, dict[int, FrameMeasurement]] = {info.id: {} for info in sequence.segments()}
    suggesters: dict[str, dict[int, Suggester]] = {one: {} for one in found}
    for frame in range(len(cine)):
        if between_frames is not None:
            between_frames()
        states = {one: sequence.state(frame, one) for one in found}
        speaking = [one for one, state in states.items() if state.origin is not None]
        if not speaking:
            continue
        try:
            image = cine.frames[frame]  # decoded once for all lesions: decoding takes longer than measuring
        except FrameError:
            continue
        for one in speaking:
            mask = sequence.read(frame, one)
            state = states[one]
            if suggester := Suggester.from_provenance(state.provenance):
                suggesters[one][frame] = suggester
            found[one][frame] = measure_frame(
                mask, image, cine.calibration_at(mask), state.confidence, state.origin, cine.pixel_aspect
            )
    segments = []
    for info in sequence.segments():
        frames, measurements = tuple(found[info.id]), tuple(found[info.id].values())
        summary = summarize_lesion(measurements, frames, cine.timing, _region_notes(cine, measurements))
        segments.append(SegmentMeasurements(info.id, info.name, frames, measurements, summary, suggesters[info.id]))
    return CineMeasurements(tuple(segments), cine.timing)


def _region_notes(cine: Cine, measurements: Sequence[FrameMeasurement]) -> list[str]:
    """Say why a lesion is in pixels although parts of the image are calibrated."""
    is_known = cine.calibration is not None or bool(cine.regions)
    outside = sum(one.is_visible and not one.is_calibrated for one in measurements)
    if not (is_known and outside):
        return []
    on = counted(outside, "frame")
    return [f"On {on} the lesion lies outside every calibrated region: its sizes are in pixels there."]


def show_measurements(measured: CineMeasurements, browser: Any) -> CineMeasurements:
    """Write measurements to the cine's table and chart nodes; the same nodes on every call.

    Parameters
    ----------
    measured : CineMeasurements
    browser : vtkMRMLSequenceBrowserNode

    Returns
    -------
    CineMeasurements
        With the nodes.
    """
    frame_table = write_table(FRAME_TABLE, tabulate(FRAME_COLUMNS, measured.frame_rows()), browser)
    lesion_table = write_table(LESION_TABLE, tabulate(LESION_COLUMNS, measured.lesion_rows()), browser)
    shown = [segment for segment in measured.segments if segment.frames]
    charts = tuple(chart for segment in shown for chart in _charts(segment, browser))
    # no tables and charts of lesions that were renamed or deleted
    kept_tables = {FRAME_TABLE, LESION_TABLE, *(_chart_table(one.name) for one in shown)}
    remove_tables_and_charts(browser, kept_tables, {name for one in shown for name in chart_names(one.name)})
    tell_tables_changed(browser)
    return replace(measured, frame_table=frame_table, lesion_table=lesion_table, charts=charts)


def _chart_table(lesion: str) -> str:
    return f"{lesion} over time"


def _charts(segment: SegmentMeasurements, browser: Any) -> list[Any]:
    """Draw long axis and area of one lesion over the cine, from a table of its own: no curve mixes lesions."""
    unit = "mm" if segment.summary.is_calibrated else "px"
    lengths, areas = f"Long axis ({unit})", f"Area ({unit}\u00b2)"
    by_frame: dict[str, list[Any]] = {
        CHART_FRAME: list(segment.frames),
        lengths: [one.long_axis for one in segment.measurements],
        areas: [one.area for one in segment.measurements],
    }
    table = write_table(_chart_table(segment.name), by_frame, browser)
    names = chart_names(segment.name)
    return [
        write_chart(name, table, CHART_FRAME, [column], browser)
        for name, column in zip(names, (lengths, areas), strict=True)
    ]
