"""Numbers as people read them, in tables, pages and sentences."""

from __future__ import annotations

import math


def number_text(value: float, digits: int, *, signed: bool = False, percent: bool = False, missing: str = "-") -> str:
    """Return a number rounded to some digits, never "nan" and never a zero with a sign.

    Parameters
    ----------
    value : float
    digits : int
        After the decimal point.
    signed : bool
        Whether numbers above zero have a sign, too, as differences do.
    percent : bool
        Whether it is a share of 1, to be printed in percent.
    missing : str
        What stands for nan.

    Returns
    -------
    str

    Examples
    --------
    >>> [number_text(one, 2) for one in (0.126, -0.004, float("nan"))]
    ['0.13', '0.00', '-']
    >>> [number_text(one, 1, signed=True, percent=True) for one in (0.126, -0.0004)]
    ['+12.6%', '0.0%']
    """
    if math.isnan(value):
        return missing
    text = f"{value:{'+' if signed else ''}.{digits}{'%' if percent else 'f'}}"
    return text if any(one in text for one in "123456789n") else text.lstrip("+-")  # n: inf
