"""One table over all cases: a row for every lesion of every case, read from the files of the finished cases."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import ListedCase
from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.engine.next_frame import Offer, Outlook, review_order
from UltrasoundLesionSegLib.writers.atomic import atomic_path

ANCHORS = {origin.value for origin in Origin if origin.is_anchor}
CASE_COLUMNS = (
    "case",
    "state",
    "reason",
    "frames",
    "unreadable_frames",
    "suggested_seed",
    "model",
    "device",
    "version",
    "seconds",
    "source_sha256",
    "lowest_confidence",
    "lowest_confidence_frame",
    "frames_to_look_at",
    "first_frame_to_look_at",
)


@dataclass(frozen=True)
class CaseRow:
    """A case as tables, plot and page show it.

    Parameters
    ----------
    name, state, reason : str
    record : mapping or None
        Its ``run.json``; None without a result.
    lesions : tuple of mapping
        Rows of its ``lesions.csv``.
    confidences : tuple of (int, float)
        Frame and confidence of every mask that a model made, over all lesions.
    offers : tuple of Offer
        The frames to look at, in that order, with what their correction is expected to win.
    """

    name: str
    state: str
    reason: str
    record: Mapping[str, Any] | None = None
    lesions: tuple[Mapping[str, str], ...] = ()
    confidences: tuple[tuple[int, float], ...] = ()
    offers: tuple[Offer, ...] = ()

    @property
    def worst(self) -> tuple[int, float] | None:
        """Frame and value of the lowest confidence; None where no model made a mask."""
        return min(self.confidences, key=lambda one: (one[1], one[0]), default=None)

    @property
    def mean_confidence(self) -> float:
        """Mean over the frames that a model made, nan where there are none."""
        values = [value for _, value in self.confidences]
        return sum(values) / len(values) if values else math.nan

    @property
    def urgency(self) -> tuple[float, float]:
        """Sorts cases that most need a look to the front: by what a correction is expected to win, then by the mean."""
        won = sum(offer.gain for offer in self.offers)
        return (-won, self.mean_confidence) if self.confidences else (math.inf, math.inf)


def read_rows(folder: BatchFolder, listed: Sequence[ListedCase]) -> list[CaseRow]:
    """Read what the finished cases wrote.

    Parameters
    ----------
    folder : BatchFolder
    listed : sequence of ListedCase
        In the order of the rows; the result of a failed case is of other inputs and not read.
    """
    return [_read_row(folder, one) for one in listed]


def _read_row(folder: BatchFolder, listed: ListedCase) -> CaseRow:
    name = listed.case.name
    record = folder.record(name) if listed.state == "done" else None
    if record is None:
        return CaseRow(name, listed.state, listed.reason)
    case = folder.cases / name
    measured = _rows(case / "measurements.csv")
    made = [
        (int(row["frame"]), float(row["confidence"]))
        for row in measured
        if row.get("origin") == Origin.MODEL.value and row.get("confidence")
    ]
    offers = review_order(_outlook(measured, record["source"]["frames"]))
    lesions = tuple(_rows(case / "lesions.csv"))
    return CaseRow(name, listed.state, listed.reason, record, lesions, tuple(made), tuple(offers))


def _outlook(measured: Sequence[Mapping[str, str]], frames: int) -> list[Outlook]:
    """Return what is expected of each lesion's masks."""
    lesions: dict[str, tuple[NDArray[np.float64], set[int]]] = {}
    for row in measured:
        expected, anchors = lesions.setdefault(row.get("segment", ""), (np.full(frames, np.nan), set()))
        frame = int(row["frame"])
        if not 0 <= frame < frames:
            continue
        if row.get("origin") in ANCHORS:
            anchors.add(frame)
        elif row.get("confidence"):
            expected[frame] = float(row["confidence"])
    return [Outlook(expected, tuple(sorted(anchors))) for expected, anchors in lesions.values()]


def _rows(path: Path) -> list[dict[str, str]]:
    """Read a table of a case; one that a person has removed or changed beyond recognition has no rows."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return []


def write_table(target: Path, rows: Sequence[CaseRow]) -> None:
    """Write the table. Lengths have a column for mm and one for pixels where cases differ in calibration.

    Parameters
    ----------
    target : Path
        Usually ``cases.csv``.
    rows : sequence of CaseRow

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    columns = [*dict.fromkeys(name for row in rows for lesion in row.lesions for name in lesion)]
    with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*CASE_COLUMNS, *columns], restval="", extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            case = _case_cells(row)
            writer.writerows({**lesion, **case} for lesion in row.lesions or ({},))


def _case_cells(row: CaseRow) -> dict[str, Any]:
    cells: dict[str, Any] = {"case": row.name, "state": row.state, "reason": row.reason}
    if row.record is None:
        return cells
    record = row.record
    suggested = record.get("suggested_on_frame")
    cells |= {
        "frames": record["source"]["frames"],
        "unreadable_frames": len(record["unreadable_frames"]),
        "suggested_seed": "false" if suggested is None else "true",
        "model": record["model"]["name"],
        "device": record["device"],
        "version": record["software"]["version"],
        "seconds": round(sum(record["seconds"].values()), 1),
        "source_sha256": record["source"]["sha256"],
    }
    cells["frames_to_look_at"] = len(row.offers)
    if row.offers:
        cells["first_frame_to_look_at"] = row.offers[0].frame
    if row.worst:
        cells["lowest_confidence_frame"], cells["lowest_confidence"] = row.worst
    return cells
