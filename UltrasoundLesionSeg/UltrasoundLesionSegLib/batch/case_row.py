"""A case in a few numbers: what tables, plot, page and list of work show of it, read once from its files."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.engine.next_frame import Outlook, Stretch, review_order, worst_stretch
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.workflow.output_folder import RECORD

ANCHORS = {origin.value for origin in Origin if origin.is_anchor}
MOST_OFFERS = 5  # frames to look at that are named
LESIONS, FRAMES = "lesions.csv", "measurements.csv"


@dataclass(frozen=True)
class CaseRow:
    """A case as tables, plot, page and list of work show it.

    Parameters
    ----------
    name, state, reason : str
    cells : mapping
        What ``cases.csv`` says of its result, whoever has looked at it; empty without one.
    lesions : int
    long_axes : mapping of str to tuple of float
        Longest long axis of each lesion, by unit (``mm``, ``px``).
    lowest : (int, float) or None
        Frame and value of the lowest confidence; None where no model made a mask.
    highest, mean : float
        Of the confidences of the frames that a model made, nan where there are none.
    gain : float
        Dice that corrections are expected to win, summed over frames and lesions.
    offers : tuple of int
        The first frames whose correction is worth its time, in that order.
    offer_count : int
        How many they are in all.
    stretch : Stretch or None
        Where the expected overlap is lowest.
    remarks : tuple of str
    suggested_on : int or None
        Frame of a seed that a model suggested; None where a person gave the seed.
    reader : str
        Whose anchors the result was computed with, '' for nobody's.
    stamp : (int, int)
        Time and size of ``run.json``, to tell whether the result is still this one.
    pixels : str
        Digest of the cine's pixels (``readers.pixel_digest``), '' where it is not known.
    """

    name: str
    state: str
    reason: str = ""
    cells: Mapping[str, Any] = field(default_factory=dict)
    lesions: int = 0
    long_axes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    lowest: tuple[int, float] | None = None
    highest: float = math.nan
    mean: float = math.nan
    gain: float = 0.0
    offers: tuple[int, ...] = ()
    offer_count: int = 0
    stretch: Stretch | None = None
    remarks: tuple[str, ...] = ()
    suggested_on: int | None = None
    reader: str = ""
    stamp: tuple[int, int] = (0, 0)
    pixels: str = ""

    @property
    def source(self) -> tuple[str | None, str]:
        """SHA-256 of the source as it was computed, None where it was not, and the digest of its pixels."""
        return self.cells.get("source_sha256"), self.pixels

    @property
    def has_result(self) -> bool:
        """Whether the case has been computed."""
        return bool(self.cells)

    @property
    def urgency(self) -> tuple[float, float]:
        """Sorts cases that most need a look to the front: by what corrections are expected to win, then by the mean."""
        return (-self.gain, self.mean) if self.lowest else (math.inf, math.inf)

    def as_json(self) -> dict[str, Any]:
        """Return the row as the index keeps it."""
        values = asdict(self)
        return {name: None if _is_nan(value) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CaseRow:
        """Read what ``as_json`` gave; raises ``TypeError``, ``ValueError`` or ``KeyError`` for anything else."""
        stretch, lowest = values["stretch"], values["lowest"]
        known = {
            "long_axes": {unit: tuple(sizes) for unit, sizes in values["long_axes"].items()},
            "lowest": (int(lowest[0]), float(lowest[1])) if lowest else None,
            "highest": math.nan if values["highest"] is None else float(values["highest"]),
            "mean": math.nan if values["mean"] is None else float(values["mean"]),
            "offers": tuple(values["offers"]),
            "stretch": Stretch(**stretch) if stretch else None,
            "remarks": tuple(values["remarks"]),
            "suggested_on": values["suggested_on"],
            "stamp": (int(values["stamp"][0]), int(values["stamp"][1])),
        }
        return cls(**{**values, **known})


def stamp_of(folder: BatchFolder, name: str) -> tuple[int, int] | None:
    """Return time and size of a case's ``run.json``, None where there is none."""
    try:
        status = (folder.cases / name / RECORD).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def read_case(folder: BatchFolder, name: str) -> CaseRow | None:
    """Read what a finished case wrote; None where there is no whole result.

    Parameters
    ----------
    folder : BatchFolder
    name : str
    """
    stamp, record = stamp_of(folder, name), folder.record(name)
    if record is None or stamp is None:
        return None
    case = folder.cases / name
    measured = read_csv(case / FRAMES)
    made = [
        (int(row["frame"]), float(row["confidence"]))
        for row in measured
        if row.get("origin") == Origin.MODEL.value and row.get("confidence")
    ]
    values = [value for _, value in made]
    outlook = _outlook(measured, record["source"]["frames"])
    offers = review_order(outlook)
    lesions = read_csv(case / LESIONS)
    lowest = min(made, key=lambda one: (one[1], one[0]), default=None)
    stretch = worst_stretch(outlook)
    return CaseRow(
        name,
        "done",
        cells=_cells(record, lowest, stretch),
        lesions=len(lesions),
        long_axes={unit: sizes for unit in ("mm", "px") if (sizes := _long_axes(lesions, unit))},
        lowest=lowest,
        highest=max(values, default=math.nan),
        mean=sum(values) / len(values) if values else math.nan,
        gain=sum(offer.gain for offer in offers),
        offers=tuple(offer.frame for offer in offers[:MOST_OFFERS]),
        offer_count=len(offers),
        stretch=stretch,
        remarks=tuple(_remarks(record)),
        suggested_on=record.get("suggested_on_frame"),
        reader=_reader(record),
        stamp=stamp,
        pixels=record["source"].get("pixels", ""),
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a table of a case; one that a person has removed or changed beyond recognition has no rows."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return []


def _outlook(measured: Sequence[Mapping[str, str]], frames: int) -> list[Outlook]:
    """Return what is expected of each lesion's masks."""
    lesions: dict[str, tuple[NDArray[np.float64], dict[int, bool]]] = {}  # and which anchors show the lesion
    for row in measured:
        expected, anchors = lesions.setdefault(row.get("segment", ""), (np.full(frames, np.nan), {}))
        frame = int(row["frame"])
        if not 0 <= frame < frames:
            continue
        if row.get("origin") in ANCHORS:
            anchors[frame] = float(row.get("area_mm2") or row.get("area_px2") or 0) > 0
        elif row.get("confidence"):
            expected[frame] = float(row["confidence"])
    return [
        Outlook(expected, tuple(sorted(shown)), tuple(sorted(one for one, visible in shown.items() if not visible)))
        for expected, shown in lesions.values()
    ]


def _cells(record: Mapping[str, Any], lowest: tuple[int, float] | None, stretch: Stretch | None) -> dict[str, Any]:
    suggested, fit = record.get("suggested_on_frame"), record.get("fit")
    cells = {
        "frames": record["source"]["frames"],
        "unreadable_frames": len(record["unreadable_frames"]),
        "suggested_seed": "false" if suggested is None else "true",
        "model": record["model"]["name"],
        "fit": "" if fit is None else "kept" if fit["used"] else "not kept",
        "device": record["device"],
        "version": record["software"]["version"],
        "seconds": round(sum(record["seconds"].values()), 1),
        "source_sha256": record["source"]["sha256"],
        "reader": _reader(record),
    }
    if lowest:
        cells["lowest_confidence_frame"], cells["lowest_confidence"] = lowest
    if stretch:
        cells["worst_stretch_overlap"] = round(stretch.overlap, 4)
        cells["worst_stretch_frames"] = f"{stretch.first}-{stretch.last}"
    return cells


def _long_axes(lesions: Sequence[Mapping[str, str]], unit: str) -> tuple[float, ...]:
    found = (lesion.get(f"long_axis_there_{unit}") for lesion in lesions)
    return tuple(float(value) for value in found if value)


def _remarks(record: Mapping[str, Any]) -> list[str]:
    remarks = []
    if unreadable := len(record["unreadable_frames"]):
        remarks.append(counted(unreadable, "unreadable frame"))
    if (record.get("fit") or {}).get("used"):
        remarks.append("the model was fitted to this cine")
    cine = [str(note).rstrip(".") for note in record["source"].get("notes", [])]
    return [*remarks, *record.get("notices", []), *cine]


def _reader(record: Mapping[str, Any]) -> str:
    """Return whose anchors a result was computed with."""
    inputs = record.get("inputs")
    taken = inputs.get("reader") if isinstance(inputs, Mapping) else None
    return str(taken["code"]) if isinstance(taken, Mapping) and "code" in taken else ""


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
