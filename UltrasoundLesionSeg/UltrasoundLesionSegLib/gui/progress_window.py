"""A window that counts what was done of an action, with a button to cancel it.

It opens when the action takes longer than a moment. Until then, and behind it, mouse and keys wait: nothing can change
or close the scene meanwhile.
"""

from __future__ import annotations

import math
import time
from typing import Any

import qt
import slicer

from UltrasoundLesionSegLib.gui.messages import CancelledError
from UltrasoundLesionSegLib.gui.repainting import repaint

OPENS_AFTER_S = 0.5
SHOWN_EVERY_S = 0.1
WIDTH = 380  # in px: the longest line fits, so that Cancel stays where it is


class ProgressWindow:
    """The window, for as long as the block lasts.

    Parameters
    ----------
    root : qt.QWidget
        Its parent.
    cancelled : str
        What is said when the user cancels: what is kept, or what to do.
    counted : str
        What follows the number: ``12 done``, ``12 files``.
    """

    def __init__(self, root: Any, cancelled: str, counted: str = "done") -> None:
        self._root, self._cancelled, self._counted = root, cancelled, counted
        self._doing, self._done = "", 0
        self._began = time.perf_counter()
        self._shown = 0.0
        self._dialog: Any = None

    def __enter__(self) -> ProgressWindow:
        return self

    def __exit__(self, *error: object) -> None:
        if self._dialog is not None:
            self._dialog.close()
            self._dialog.deleteLater()

    def begin(self, doing: str, in_one_step: bool = False) -> None:
        """Say what is done from now on, and count from 0; raises ``CancelledError`` when the user cancelled.

        Parameters
        ----------
        doing : str
        in_one_step : bool
            Nothing is counted and the window stands still until it is done: it opens now and says so.
        """
        self._doing, self._done = doing, 0
        if in_one_step:
            self._began = -math.inf
            for _ in range(2):  # a window that opens needs one more turn to be painted
                self._show(f"{doing} (cannot be cancelled)...")
        else:
            self._show(f"{doing}...")

    def count(self, done: int) -> None:
        """Say how much is done; raises ``CancelledError`` when the user cancelled."""
        self._done = done
        if time.perf_counter() - self._shown >= SHOWN_EVERY_S:
            self._show(f"{self._doing}: {done} {self._counted}")

    def __call__(self) -> None:
        """Count one more; raises ``CancelledError`` when the user cancelled."""
        self.count(self._done + 1)

    def _show(self, text: str) -> None:
        if self._dialog is None and time.perf_counter() - self._began >= OPENS_AFTER_S:
            self._dialog = _open(self._root)
        if self._dialog is None:
            repaint()
        else:
            self._dialog.labelText = text
            slicer.app.processEvents()
            if self._dialog.wasCanceled:
                raise CancelledError(self._cancelled)
        self._shown = time.perf_counter()


def _open(root: Any) -> Any:
    dialog = qt.QProgressDialog(root)
    dialog.windowTitle = "Ultrasound Lesion Segmentation"
    dialog.minimumWidth = WIDTH
    dialog.setWindowModality(qt.Qt.WindowModal)
    dialog.setRange(0, 0)  # how much there is to do is not known
    dialog.minimumDuration = 0
    dialog.show()
    return dialog
