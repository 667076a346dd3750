"""Dates and times as DICOM writes them, in seconds."""

from __future__ import annotations

import numpy as np

SECONDS_OF_A_DAY = 86400.0


def seconds_of(written: str) -> float | None:
    """Return a DICOM TM or DT value in seconds, None when it is neither (PS3.5 6.2).

    A date counts from 1970; an offset from UTC is left aside, since all instances of a series share it. Colons, as
    ACR-NEMA wrote them, are accepted.
    """
    digits, _, fraction = written.replace(":", "").partition("+")[0].partition("-")[0].partition(".")
    # isdigit alone is true of superscripts too, which are no numbers
    if not (digits + fraction).isascii() or not digits.isdigit() or (fraction and not fraction.isdigit()):
        return None
    if len(digits) not in (2, 4, 6, 10, 12, 14):
        return None
    days = 0.0
    if len(digits) >= 10:
        found = days_of(digits[:8])
        if found is None:
            return None
        days, digits = found, digits[8:]
    hours, minutes, seconds = (int(digits[at : at + 2] or 0) for at in (0, 2, 4))
    return days * SECONDS_OF_A_DAY + hours * 3600 + minutes * 60 + seconds + float(f"0.{fraction or 0}")


def days_of(written: str) -> float | None:
    """Return a DICOM DA value in days from 1970, None when it is not valid. ACR-NEMA's dots are accepted."""
    digits = written.replace(".", "").replace("-", "")
    if len(digits) != 8 or not digits.isascii() or not digits.isdigit():
        return None
    try:
        day = np.datetime64(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}")
    except ValueError:
        return None
    return float(day.astype("datetime64[D]").astype(int))
