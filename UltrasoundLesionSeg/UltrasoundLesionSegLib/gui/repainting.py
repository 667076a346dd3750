"""Actions that are done in one call, in a window that is repainted meanwhile.

The window's timers run, but mouse and keys wait until the action is over: nothing can change or close the scene.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import qt
import slicer

REPAINTED_EVERY_S = 0.1


def repaint() -> None:
    """Let the window repaint itself."""
    slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)


class Repainter:
    """Called between short pieces of work; lets the window repaint itself often enough."""

    def __init__(self) -> None:
        self._repainted = time.perf_counter()

    def __call__(self) -> None:
        """Repaint if it was long ago."""
        if time.perf_counter() - self._repainted >= REPAINTED_EVERY_S:
            repaint()
            self._repainted = time.perf_counter()


def run_repainting(steps: Generator[Any, None, Any]) -> Any:
    """Do all steps, each of them short; returns what the generator returns."""
    repainter = Repainter()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        repainter()
