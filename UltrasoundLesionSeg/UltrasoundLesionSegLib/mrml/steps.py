"""Work in steps, so that a window can be redrawn in between."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


def run_to_end(steps: Generator[Any, None, Any]) -> Any:
    """Do all steps at once; returns what the generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
