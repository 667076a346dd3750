"""Measurements as CSV with full precision (RFC 4180, UTF-8); the columns are those of ``measurement.columns``."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from UltrasoundLesionSegLib.measurement.columns import (
    FRAME_COLUMNS,
    LESION_COLUMNS,
    Cell,
    FrameRow,
    LesionRow,
    tabulate,
)
from UltrasoundLesionSegLib.writers.atomic import atomic_path

_NOISE = 2e-15  # relative: nine times the distance between neighbouring doubles
# a lesion's name can come from a file of others; spreadsheets compute what begins so
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_frame_table(target: Path, rows: Sequence[FrameRow]) -> Path:
    """Write a row for each frame and lesion, usually to ``measurements.csv``; see ``write_table``."""
    return write_table(target, tabulate(FRAME_COLUMNS, rows))


def write_lesion_table(target: Path, rows: Sequence[LesionRow]) -> Path:
    """Write a row for each lesion, usually to ``lesions.csv``; see ``write_table``."""
    return write_table(target, tabulate(LESION_COLUMNS, rows))


def write_table(target: Path, table: dict[str, list[Cell]]) -> Path:
    """Write named columns of equal length.

    Parameters
    ----------
    target : Path
    table : dict of str to list of Cell
        The columns by name, in order.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows([_text(cell) for cell in row] for row in zip(*table.values(), strict=True))
    return target


def _text(cell: Cell) -> str:
    """A value as it reads back, without the last bits' noise (2.4, not 2.4000000000000004); empty for None and nan."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return f"'{cell}"
    if not isinstance(cell, float):
        return str(cell)
    short = f"{cell:.13g}"
    return short if math.isclose(float(short), cell, rel_tol=_NOISE, abs_tol=0.0) else repr(float(cell))
