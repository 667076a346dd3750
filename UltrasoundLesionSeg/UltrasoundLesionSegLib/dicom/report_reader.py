"""Reads the measurements in a DICOM structured report that follows TID 1500, as ours do (PS3.16)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from UltrasoundLesionSegLib.dicom import terminology as terms
from UltrasoundLesionSegLib.dicom.identifiers import tracked_lesion
from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom
from UltrasoundLesionSegLib.errors import SourceError

_POWERS = str.maketrans("23", "²³")  # UCUM writes mm2
_OVER_THE_CLIP = "all"
_UID = re.compile(r"[0-9]+(\.[0-9]+){3,}")


@dataclass(frozen=True)
class ReportedValue:
    """One number of a report.

    Parameters
    ----------
    lesion : str
        Its tracking identifier where that is a name; "Lesion 2" where it is a program's.
    frame : int or None
        Frame of the cine, counted from 0; None for a value over the whole cine.
    quantity : str
        In words, with the derivation where there is one, e.g. ``Long Axis, Maximum``.
    unit : str
        UCUM code, e.g. ``mm``.
    value : float
    """

    lesion: str
    frame: int | None
    quantity: str
    unit: str
    value: float


def read_report(path: Path, between_numbers: Callable[[], None] | None = None) -> list[ReportedValue]:
    """Read all numbers of a report, in its order.

    Parameters
    ----------
    path : Path
    between_numbers : callable, optional
        Called after each number, so that a window can repaint itself.

    Raises
    ------
    SourceError
        When the file is no structured report, is damaged, or holds no measurement.
    """
    with quiet_dicom():
        try:
            dataset = dcmread(path)
            values = []
            for value in _values(dataset) if dataset.Modality == "SR" else ():
                values.append(value)
                if between_numbers is not None:
                    between_numbers()
        except Exception:  # pydicom raises anything on damaged elements; the text may quote the file
            raise SourceError("the file is no DICOM structured report, or is damaged; choose another one") from None
    if not values:
        raise SourceError("the DICOM object holds no measurements of lesions; choose a report with measurements")
    return values


def tabulate_report(values: list[ReportedValue]) -> dict[str, list[float | int | str | None]]:
    """Lay the numbers out in columns: a row for each lesion and frame, and one for each lesion over the cine.

    Returns
    -------
    dict of str to list
        ``Lesion``, ``Frame`` (counted from 0, ``all`` for the cine), then a column for each quantity and unit, None
        where a row has no such number.
    """
    rows: dict[tuple[str, int | None], dict[str, float]] = {}
    for one in values:
        unit = one.unit.strip("{}").translate(_POWERS)
        heading = f"{one.quantity} ({unit})" if unit not in ("", "1") else one.quantity
        rows.setdefault((one.lesion, one.frame), {}).setdefault(heading, one.value)
    headings = list(dict.fromkeys(heading for row in rows.values() for heading in row))
    columns: dict[str, list[float | int | str | None]] = {
        "Lesion": [lesion for lesion, _ in rows],
        "Frame": [_OVER_THE_CLIP if frame is None else str(frame) for _, frame in rows],
    }
    return columns | {heading: [row.get(heading) for row in rows.values()] for heading in headings}


def _values(dataset: Dataset) -> Iterator[ReportedValue]:
    places = _places(dataset)
    unnamed: dict[str, str] = {}
    for group in _containers(dataset):
        items = list(group.get("ContentSequence", ()))
        lesion = _name(items, unnamed)
        numbers = [item for item in items if item.ValueType == "NUM" and item.get("MeasuredValueSequence")]
        derived = {id(item): _derivation(item) for item in numbers}
        frame = None if any(derived.values()) else _frame(items, places)
        for item in numbers:
            measured = item.MeasuredValueSequence[0]
            words = item.ConceptNameCodeSequence[0].CodeMeaning
            quantity = f"{words}, {derived[id(item)]}" if derived[id(item)] else words
            unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
            exact = measured.get("FloatingPointValue")
            yield ReportedValue(lesion, frame, quantity, unit, float(measured.NumericValue if exact is None else exact))


def _name(items: list[Dataset], unnamed: dict[str, str]) -> str:
    """Return what to call the lesion of a group; ``unnamed`` has the names of those without one so far."""
    identifier = next((str(item.TextValue).strip() for item in items if _is(item, terms.TRACKING_IDENTIFIER)), "")
    if number := tracked_lesion(identifier):
        return f"Lesion {number}"
    if identifier and not _UID.fullmatch(identifier):
        return identifier
    uid = next((str(item.UID) for item in items if _is(item, terms.TRACKING_UID)), identifier)
    return unnamed.setdefault(uid, f"Lesion {len(unnamed) + 1}")


def _containers(dataset: Dataset) -> Iterator[Dataset]:
    """Yield the measurement groups, wherever they are in the tree."""
    for item in dataset.get("ContentSequence", ()):
        if item.ValueType == "CONTAINER":
            if _is(item, terms.MEASUREMENT_GROUP):
                yield item
            else:
                yield from _containers(item)


def _is(item: Dataset, code: Code) -> bool:
    names = item.get("ConceptNameCodeSequence")
    return bool(names) and (names[0].CodeValue, names[0].CodingSchemeDesignator) == (code.value, code.scheme_designator)


def _derivation(item: Dataset) -> str:
    for child in item.get("ContentSequence", ()):
        if _is(child, terms.DERIVATION):
            return str(child.ConceptCodeSequence[0].CodeMeaning)
    return ""


def _places(dataset: Dataset) -> dict[str, int]:
    """Return the place of each SOP instance in the evidence, from 0: ours lists a cine in the order of its frames."""
    studies = dataset.get("CurrentRequestedProcedureEvidenceSequence") or ()
    listed = [
        one for study in studies for series in study.ReferencedSeriesSequence for one in series.ReferencedSOPSequence
    ]
    uids = dict.fromkeys(str(one.ReferencedSOPInstanceUID) for one in listed)
    return {uid: place for place, uid in enumerate(uids)}


def _frame(items: list[Dataset], places: dict[str, int]) -> int | None:
    """Return the frame of the cine that a group refers to, counted from 0.

    A reference to a multi-frame image has its number; for a single-frame image it is its place in the evidence.
    """
    for item in items:
        if _is(item, terms.SEGMENTATION_SOURCE) or _is(item, terms.SOURCE_OF_MEASUREMENT):
            reference = item.ReferencedSOPSequence[0]
            number = reference.get("ReferencedFrameNumber")
            if number is None:
                return places.get(str(reference.ReferencedSOPInstanceUID), 0)
            return int(number if isinstance(number, (int, str)) else number[0]) - 1
    return None
