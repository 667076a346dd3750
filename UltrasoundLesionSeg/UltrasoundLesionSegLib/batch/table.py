"""One table over all cases: a row for every lesion of every case, written case by case."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.batch.case_row import LESIONS, CaseRow, read_csv
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.reviews import Reviews
from UltrasoundLesionSegLib.writers.atomic import atomic_path

CASE_COLUMNS = (
    "case",
    "state",
    "reason",
    "frames",
    "unreadable_frames",
    "suggested_seed",
    "model",
    "fit",
    "device",
    "version",
    "seconds",
    "source_sha256",
    "lowest_confidence",
    "lowest_confidence_frame",
    "worst_stretch_overlap",
    "worst_stretch_frames",
    "frames_to_look_at",
    "first_frame_to_look_at",
    "reader",
)


def write_table(target: Path, folder: BatchFolder, rows: Sequence[CaseRow], reviews: Reviews) -> None:
    """Write the table. Lengths have a column for mm and one for pixels where cases differ in calibration.

    Parameters
    ----------
    target : Path
        Usually ``cases.csv``.
    folder : BatchFolder
        Where the lesions of each case are read when its rows are written.
    rows : sequence of CaseRow
    reviews : Reviews

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    computed = [row for row in rows if row.has_result]
    measured = dict.fromkeys(name for row in computed for name in _header(_lesions(folder, row)))
    columns = [*CASE_COLUMNS, *reviews.columns, *(name for name in measured if name not in CASE_COLUMNS)]
    with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            case = {"case": row.name, "state": row.state, "reason": row.reason, **row.cells, **reviews.cells(row)}
            lesions: Sequence[Mapping[str, Any]] = read_csv(_lesions(folder, row)) if row.has_result else ()
            writer.writerows({**lesion, **case} for lesion in lesions or ({},))


def _lesions(folder: BatchFolder, row: CaseRow) -> Path:
    return folder.cases / row.name / LESIONS


def _header(path: Path) -> list[str]:
    """Return the columns of a table; none where it is missing or changed beyond recognition."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])
    except (OSError, ValueError, csv.Error):
        return []
