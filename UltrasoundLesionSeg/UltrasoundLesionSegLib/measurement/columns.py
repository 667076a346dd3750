"""The columns of every table of measurements: CSV files, tables in the scene and the report take them from here.

A column's name ends in its unit (``long_axis_mm``). Without calibration, the unit and so the name are others
(``long_axis_px``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from UltrasoundLesionSegLib.measurement.frame import FrameMeasurement
from UltrasoundLesionSegLib.measurement.lesion import LesionSummary
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.measurement.shape import NAN, Position

Cell = float | int | bool | str | None
MISSING = "–"  # printed where there is no number


@dataclass(frozen=True)
class Quantity:
    """The kind of value that a column holds, with its unit.

    Parameters
    ----------
    unit_calibrated, unit_uncalibrated : str
        Unit with and without calibration, as printed, or ''.
    digits : int or None
        Digits printed after the decimal point; None for values that are no numbers.
    """

    unit_calibrated: str = ""
    unit_uncalibrated: str = ""
    digits: int | None = None

    @property
    def depends_on_calibration(self) -> bool:
        """Whether the unit differs without calibration."""
        return self.unit_calibrated != self.unit_uncalibrated

    def unit(self, calibrated: bool) -> str:
        """Return the unit as printed, or ''."""
        return self.unit_calibrated if calibrated else self.unit_uncalibrated

    def suffix(self, calibrated: bool) -> str:
        """Return the unit as it ends a column's name, in ASCII, or ''."""
        unit = self.unit(calibrated)
        return {"mm²": "mm2", "px²": "px2", "°": "deg", "grey levels": "level"}.get(unit, unit)


TEXT = Quantity()
FLAG = Quantity()
COUNT = Quantity(digits=0)
TIME = Quantity("s", "s", 2)
LENGTH = Quantity("mm", "px", 1)
AREA = Quantity("mm²", "px²", 1)
ANGLE = Quantity("°", "°", 0)
RATIO = Quantity(digits=2)
LEVEL = Quantity("grey levels", "grey levels", 0)
POSITION = Quantity("px", "px", 1)
PIXEL_SIZE = Quantity("mm", "mm", 4)


@dataclass(frozen=True)
class FrameRow:
    """One lesion on one frame, as a row of the table of frames.

    Parameters
    ----------
    frame : int
        Zero-based.
    seconds : float
        Time from the first frame, nan where unknown.
    segment : str
        The lesion's name.
    measurement : FrameMeasurement
    suggested_by : str or None
        Name and version of the model that suggested this mask as a seed; None where none did.
    """

    frame: int
    seconds: float
    segment: str
    measurement: FrameMeasurement
    suggested_by: str | None = None

    @property
    def is_visible(self) -> bool:
        """Whether the lesion is visible, so that it has lengths."""
        return self.measurement.is_visible

    @property
    def is_calibrated(self) -> bool:
        """Whether lengths are in mm."""
        return self.measurement.is_calibrated


@dataclass(frozen=True)
class LesionRow:
    """One lesion over the cine, as a row of the table of lesions.

    Parameters
    ----------
    segment : str
        The lesion's name.
    summary : LesionSummary
    suggested_by : str or None
        Names and versions of the models that suggested seeds of this lesion; None where none did.
    """

    segment: str
    summary: LesionSummary
    suggested_by: str | None = None

    @property
    def is_visible(self) -> bool:
        """Whether the lesion is visible, so that it has lengths."""
        return self.summary.frames_visible > 0

    @property
    def is_calibrated(self) -> bool:
        """Whether lengths are in mm."""
        return self.summary.is_calibrated


class Row(Protocol):
    """What a table needs to know of a row to choose its units."""

    @property
    def is_visible(self) -> bool:
        """Whether the lesion is visible, so that it has lengths."""

    @property
    def is_calibrated(self) -> bool:
        """Whether lengths are in mm."""


RowType = TypeVar("RowType", bound=Row)


@dataclass(frozen=True)
class Column(Generic[RowType]):
    """A column of a table of measurements.

    Parameters
    ----------
    name : str
        Lower case, without its unit.
    title : str
        As printed, without its unit.
    quantity : Quantity
    value : callable
        Takes a row and returns its value: unrounded, nan where it cannot be measured, None where it does not apply.
    """

    name: str
    title: str
    quantity: Quantity
    value: Callable[[RowType], Cell]

    def header(self, calibrated: bool) -> str:
        """Return the name with its unit, for example ``area_mm2``, or ``area_px2`` without calibration."""
        suffix = self.quantity.suffix(calibrated)
        return f"{self.name}_{suffix}" if suffix else self.name

    def heading(self, calibrated: bool) -> str:
        """Return the title with its unit, for example ``Area (mm²)``."""
        unit = self.quantity.unit(calibrated)
        return f"{self.title} ({unit})" if unit else self.title


def print_cell(value: Cell, quantity: Quantity) -> str:
    """Return a value as printed: with the digits of its quantity, 'yes' or 'no', and ``MISSING`` for None and nan.

    Parameters
    ----------
    value : float, int, bool, str or None
    quantity : Quantity
    """
    if value is None or value != value:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) or quantity.digits is None:
        return str(value)
    return number_text(value, quantity.digits)


@dataclass(frozen=True)
class Slot(Generic[RowType]):
    """A column as a table shows it, in one of its units.

    Parameters
    ----------
    column : Column
    calibrated : bool
        Whether it is the unit with calibration.
    """

    column: Column[RowType]
    calibrated: bool

    @property
    def header(self) -> str:
        """The name with its unit, for example ``area_mm2``."""
        return self.column.header(self.calibrated)

    @property
    def heading(self) -> str:
        """The title with its unit, for example ``Area (mm²)``."""
        return self.column.heading(self.calibrated)

    def value(self, row: RowType) -> Cell:
        """Return the value of a row; None where the row is in the other unit."""
        # where nothing is visible there is no length, and the area is 0 in any unit
        fits = not self.column.quantity.depends_on_calibration or row.is_calibrated == self.calibrated
        return self.column.value(row) if fits or not row.is_visible else None

    def printed(self, row: RowType) -> str:
        """Return the value of a row as printed: rounded, 'yes' or 'no', ``MISSING`` where there is none."""
        return print_cell(self.value(row), self.column.quantity)


def lay_out(columns: Sequence[Column[RowType]], rows: Sequence[RowType]) -> list[Slot[RowType]]:
    """Return a table's columns with the units that its rows need.

    Where some visible rows are calibrated and others are not, every length has two columns, in mm and in pixels; a row
    has a value in one of them.

    Parameters
    ----------
    columns : sequence of Column
    rows : sequence of FrameRow or LesionRow

    Returns
    -------
    list of Slot
    """
    units = units_of(rows)
    return [
        Slot(column, calibrated)
        for column in columns
        for calibrated in (units if column.quantity.depends_on_calibration else units[:1])
    ]


def tabulate(columns: Sequence[Column[RowType]], rows: Sequence[RowType]) -> dict[str, list[Cell]]:
    """Return the values of a table, column by column, unrounded.

    Parameters
    ----------
    columns : sequence of Column
    rows : sequence of FrameRow or LesionRow

    Returns
    -------
    dict of str to list
        From each column's header to its values, one a row; in the order of ``lay_out``.
    """
    return {slot.header: [slot.value(row) for row in rows] for slot in lay_out(columns, rows)}


def units_of(rows: Sequence[Row]) -> tuple[bool, ...]:
    """Return which units a table needs.

    Parameters
    ----------
    rows : sequence of FrameRow or LesionRow
        Rows without a visible lesion count only when there are no others.

    Returns
    -------
    tuple of bool
        (True,) for mm, (False,) for pixels, (True, False) for both.
    """
    found = {row.is_calibrated for row in rows if row.is_visible} or {any(row.is_calibrated for row in rows)}
    return tuple(sorted(found, reverse=True))


def _measured(name: str, title: str, quantity: Quantity) -> Column[FrameRow]:
    """Return the column of an attribute of ``FrameMeasurement``."""
    return Column(name, title, quantity, attrgetter(f"measurement.{name}"))


def _coordinate(
    name: str, title: str, find: Callable[[FrameMeasurement], Position | None], axis: int
) -> Column[FrameRow]:
    """Return the column of one coordinate of a position: its row (axis 0) or its column (axis 1), in pixels."""

    def value(row: FrameRow) -> Cell:
        position = find(row.measurement)
        return position[axis] if position else NAN

    suffix = ("row", "column")[axis]
    return Column(f"{name}_{suffix}", f"{title}, {suffix}", POSITION, value)


def _ends(name: str, title: str) -> list[Column[FrameRow]]:
    """Return the four columns of both ends of an axis."""

    def finder(end: int) -> Callable[[FrameMeasurement], Position | None]:
        def find(measurement: FrameMeasurement) -> Position | None:
            ends = getattr(measurement, f"{name}_ends")
            return ends[end] if ends else None

        return find

    return [
        _coordinate(f"{name}_end{end + 1}", f"{title}, end {end + 1}", finder(end), axis)
        for end in (0, 1)
        for axis in (0, 1)
    ]


FRAME_COLUMNS: tuple[Column[FrameRow], ...] = (
    Column("frame", "Frame", COUNT, attrgetter("frame")),
    Column("time", "Time", TIME, attrgetter("seconds")),
    Column("segment", "Lesion", TEXT, attrgetter("segment")),
    Column("visible", "Visible", FLAG, attrgetter("is_visible")),
    _measured("area", "Area", AREA),
    _measured("perimeter", "Perimeter", LENGTH),
    _measured("long_axis", "Long axis", LENGTH),
    _measured("long_axis_angle", "Angle to skin", ANGLE),
    _measured("perpendicular_axis", "Perpendicular axis", LENGTH),
    _measured("depth", "Depth (AP)", LENGTH),
    _measured("width", "Width", LENGTH),
    _measured("depth_width_ratio", "Depth/width", RATIO),
    Column(
        "orientation",
        "Orientation",
        TEXT,
        lambda row: row.measurement.orientation.value if row.measurement.orientation else None,
    ),
    _coordinate("centroid", "Centroid", attrgetter("centroid"), 0),
    _coordinate("centroid", "Centroid", attrgetter("centroid"), 1),
    _measured("circularity", "Circularity", RATIO),
    _measured("solidity", "Solidity", RATIO),
    _measured("echo_mean", "Echo level, mean", LEVEL),
    _measured("echo_sd", "Echo level, SD", LEVEL),
    _measured("echo_median", "Echo level, median", LEVEL),
    _measured("contrast", "Contrast to ring", LEVEL),
    _measured("boundary_sharpness", "Boundary sharpness", RATIO),
    _measured("posterior_echo_ratio", "Posterior echo ratio", RATIO),
    _measured("components", "Parts", COUNT),
    _measured("holes", "Holes", COUNT),
    _measured("touches_border", "Cut by the image's border", FLAG),
    _measured("length_uncertainty", "Uncertainty of lengths", LENGTH),
    _measured("area_uncertainty", "Uncertainty of area", AREA),
    _measured("confidence", "Confidence", RATIO),
    Column("anchor", "Drawn or confirmed", FLAG, attrgetter("measurement.is_anchor")),
    Column("origin", "Made by", TEXT, lambda row: row.measurement.origin.value if row.measurement.origin else None),
    Column("suggested_by", "Suggested by", TEXT, attrgetter("suggested_by")),
    *_ends("long_axis", "Long axis"),
    *_ends("perpendicular_axis", "Perpendicular axis"),
    Column(
        "pixel_row",
        "Pixel height",
        PIXEL_SIZE,
        lambda row: row.measurement.calibration.row_mm if row.measurement.calibration else None,
    ),
    Column(
        "pixel_column",
        "Pixel width",
        PIXEL_SIZE,
        lambda row: row.measurement.calibration.column_mm if row.measurement.calibration else None,
    ),
    _measured("pixel_aspect", "Pixel height/width", RATIO),
)


def _summarized(name: str, title: str, quantity: Quantity) -> Column[LesionRow]:
    """Return the column of an attribute of ``LesionSummary``."""
    return Column(name, title, quantity, attrgetter(f"summary.{name}"))


SPREAD_PARTS = (("mean", "mean"), ("sd", "SD"), ("minimum", "smallest"), ("maximum", "largest"), ("range", "range"))
SPREADS: tuple[tuple[str, str, Quantity], ...] = (
    ("area", "Area", AREA),
    ("long_axis", "Long axis", LENGTH),
    ("perpendicular_axis", "Perpendicular axis", LENGTH),
    ("depth", "Depth (AP)", LENGTH),
    ("width", "Width", LENGTH),
    ("depth_width_ratio", "Depth/width", RATIO),
    ("confidence", "Confidence", RATIO),
)


def spread_columns(name: str, title: str, quantity: Quantity) -> list[Column[LesionRow]]:
    """Return the columns of one of ``SPREADS``: mean, SD, smallest, largest value and range over the cine.

    Parameters
    ----------
    name : str
        Attribute of ``LesionSummary`` that is a ``Spread``.
    title : str
    quantity : Quantity
    """
    return [
        Column(f"{name}_{part}", f"{title}, {words}", quantity, attrgetter(f"summary.{name}.{part}"))
        for part, words in SPREAD_PARTS
    ]


LESION_COLUMNS: tuple[Column[LesionRow], ...] = (
    Column("segment", "Lesion", TEXT, attrgetter("segment")),
    _summarized("frames_measured", "Frames measured", COUNT),
    _summarized("frames_visible", "Frames visible", COUNT),
    _summarized("time_visible", "Time visible", TIME),
    _summarized("frames_anchored", "Frames drawn or confirmed", COUNT),
    _summarized("frames_cut", "Frames cut by the border", COUNT),
    _summarized("frames_left_out", "Frames without calibration, left out", COUNT),
    _summarized("largest_area_frame", "Frame of largest area", COUNT),
    _summarized("largest_long_axis_frame", "Frame of longest long axis", COUNT),
    _summarized("long_axis_there", "Long axis there", LENGTH),
    _summarized("perpendicular_axis_there", "Perpendicular axis there", LENGTH),
    *(column for spread in SPREADS for column in spread_columns(*spread)),
    Column("seed_suggested_by", "Seed suggested by", TEXT, attrgetter("suggested_by")),
    _summarized("note", "Note", TEXT),
)
