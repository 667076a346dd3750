"""How far an action is that goes through the frames in one call: a line that counts, in a window that is repainted."""

from __future__ import annotations

import time
from typing import Any

import qt
import slicer

from UltrasoundLesionSegLib.gui.messages import tell

SHOWN_EVERY_S = 0.1


class FrameCounter:
    """Called after each frame.

    The window is repainted and its timers run, but mouse and keys wait until the action is over: nothing can change or
    close the scene meanwhile.

    Parameters
    ----------
    label : qt.QLabel
        Shows the line.
    """

    def __init__(self, label: Any) -> None:
        self._label = label
        self._doing, self._frames = "", 0
        self._shown = 0.0

    def begin(self, doing: str) -> None:
        """Say what is done from now on, and count from 0."""
        self._doing, self._frames = doing, 0
        self._show(f"{doing}...")

    def __call__(self) -> None:
        """Count a frame."""
        self._frames += 1
        if time.perf_counter() - self._shown >= SHOWN_EVERY_S:
            self._show(f"{self._doing}: {self._frames} done")

    def _show(self, text: str) -> None:
        tell(self._label, text)
        slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)
        self._shown = time.perf_counter()
