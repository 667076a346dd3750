"""Attribute values as PS3.5 wants them, whatever the source wrote.

Ultrasound machines write times with colons, dates with dots and sexes in words. Copied as they are, they make the new
object invalid; ``pydicom`` raises on some of them. Identifiers (IDs, names, UIDs) are never changed: archives match
by them.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6})\d*)?")
_DATE_TIME = re.compile(r"(\d{8})(\d{2,6}(?:\.\d+)?)([+-]\d{4})?")
_OFFSET = re.compile(r"[+-]\d{4}")


def text(dataset: Dataset, keyword: str) -> str:
    """Return the value of an attribute as text, '' when it is absent or empty.

    Several values are joined by a backslash, as in the file.
    """
    value: Any = dataset.get(keyword)
    if value is None:
        return ""
    if isinstance(value, MultiValue):
        return "\\".join(str(one) for one in value)
    return str(value).strip(" \0")


def date(value: str) -> str:
    """Return a DA value (PS3.5 6.2, ``YYYYMMDD``), '' when the text is no date."""
    match = _DATE.fullmatch(value.strip())
    if match is None:
        return ""
    digits = "".join(match.groups())
    try:
        datetime.strptime(digits, "%Y%m%d")
    except ValueError:
        return ""
    return digits


def time(value: str) -> str:
    """Return a TM value (PS3.5 6.2, ``HHMMSS.FFFFFF``), '' when the text is no time."""
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return ""
    hour, minute, second, fraction = match.groups()
    if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60 or (second is None and fraction):
        return ""
    return hour + (minute or "") + ((second or "") if minute else "") + (f".{fraction}" if fraction else "")


def sex(value: str) -> str:
    """Return a Patient's Sex of PS3.3 C.7.1.1 (``M``, ``F``, ``O``), '' (unknown) for anything else."""
    word = value.strip().upper()
    return {"MALE": "M", "FEMALE": "F", "OTHER": "O"}.get(word, word if word in ("M", "F", "O") else "")


def acquisition_start(dataset: Dataset) -> tuple[datetime, str] | None:
    """Return when the first frame was acquired and the UTC offset as written, or None when the header does not say.

    Acquisition DateTime, then Acquisition Date and Time (PS3.3 C.7.6.1), then, for original images only, Content Date
    and Time: those of a derived image say when it was derived.
    """
    offset = text(dataset, "TimezoneOffsetFromUTC")
    offset = offset if _OFFSET.fullmatch(offset) else ""
    match = _DATE_TIME.fullmatch(text(dataset, "AcquisitionDateTime"))
    if match is not None and date(match[1]) and time(match[2]):
        return _combine(date(match[1]), time(match[2])), match[3] or offset
    pairs = [("AcquisitionDate", "AcquisitionTime")]
    if text(dataset, "ImageType").startswith("ORIGINAL"):
        pairs.append(("ContentDate", "ContentTime"))
    for date_keyword, time_keyword in pairs:
        day, moment = date(text(dataset, date_keyword)), time(text(dataset, time_keyword))
        if day and moment:
            return _combine(day, moment), offset
    return None


def date_time(start: datetime, seconds: float, offset: str = "") -> str:
    """Return a DT value (PS3.5 6.2) that many seconds after ``start``, to the microsecond."""
    return (start + timedelta(seconds=seconds)).strftime("%Y%m%d%H%M%S.%f") + offset


def _combine(day: str, moment: str) -> datetime:
    """Return the moment of a normalised DA and TM."""
    whole, _, fraction = moment.partition(".")
    # second 60 is a leap second in TM, which datetime does not know
    second = min(int(whole[4:6] or 0), 59)
    return datetime(
        int(day[:4]),
        int(day[4:6]),
        int(day[6:]),
        int(whole[:2]),
        int(whole[2:4] or 0),
        second,
        int(fraction.ljust(6, "0")) if fraction else 0,
    )
