"""Words for numbers in sentences that people read."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """Return a number with its noun: ``1 case``, ``2 cases``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
