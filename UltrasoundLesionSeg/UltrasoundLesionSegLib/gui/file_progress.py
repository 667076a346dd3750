"""A window that counts files while many are looked at, with a button to cancel."""

from __future__ import annotations

import time
from typing import Any

import qt
import slicer

from UltrasoundLesionSegLib.errors import ReviewError

SHOWN_EVERY_S = 0.1


class CancelledError(ReviewError):
    """The user wants to look no further."""


class FileProgress:
    """The window, open as long as the block lasts.

    Parameters
    ----------
    root : qt.QWidget
        Its parent.
    what : str
        What is being done, for a person.
    cancelled : str
        What is said when the user cancels.
    """

    def __init__(self, root: Any, what: str, cancelled: str) -> None:
        self._what, self._cancelled = what, cancelled
        self._shown = 0.0
        self._dialog = qt.QProgressDialog(root)
        self._dialog.setWindowModality(qt.Qt.WindowModal)
        self._dialog.setRange(0, 0)
        self._dialog.minimumDuration = 0  # at once: nothing else in the window may be pressed meanwhile

    def __enter__(self) -> FileProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self._dialog.close()
        self._dialog.deleteLater()

    def show(self, files: int) -> None:
        """Show how many files were looked at, and let the window be drawn; raises when the user cancelled."""
        if time.perf_counter() - self._shown < SHOWN_EVERY_S:
            return
        self._shown = time.perf_counter()
        self._dialog.labelText = f"{self._what}: {files} files"
        self._dialog.value = 0
        slicer.app.processEvents()
        if self._dialog.wasCanceled:
            raise CancelledError(self._cancelled)
