"""Actions that are done in one call, in a window that is repainted meanwhile.

The window's timers run, but mouse and keys wait until the action is over: nothing can change or close the scene.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import qt
import slicer

from UltrasoundLesionSegLib.gui.messages import tell

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


class FrameCounter:
    """Says how far an action is that goes through the frames. Called after each of them.

    Parameters
    ----------
    label : qt.QLabel
        Shows the line.
    """

    def __init__(self, label: Any) -> None:
        self._label = label
        self._doing, self._done = "", 0
        self._repainted = 0.0

    def begin(self, doing: str) -> None:
        """Say what is done from now on, and count from 0."""
        self._doing, self._done = doing, 0
        self._show(f"{doing}...")

    def __call__(self) -> None:
        """Count one more."""
        self._done += 1
        if time.perf_counter() - self._repainted >= REPAINTED_EVERY_S:
            self._show(f"{self._doing}: {self._done} done")

    def _show(self, text: str) -> None:
        tell(self._label, text)
        repaint()
        self._repainted = time.perf_counter()
