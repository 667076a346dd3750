"""Asks for the folder that the sources of a batch were moved to, and looks for one of them there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer

from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.gui.messages import telling

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.review.worklist import Worklist

SHOWN_EVERY_S = 0.1


class _SearchCancelledError(ReviewError):
    """The user wants to look no further."""


def ask_for_source(root: Any, label: Any, worklist: Worklist, name: str, start: str) -> Path | None:
    """Return the source of a case that is not where it was; None, with a sentence in a label, when it is not found.

    Parameters
    ----------
    root : qt.QWidget
        Parent of the dialogs.
    label : qt.QLabel
    worklist : Worklist
    name : str
        Of the case.
    start : str
        Folder that the dialog begins in.
    """
    title = f"The cine of {name} is not where it was: choose a folder to look in"
    folder = qt.QFileDialog.getExistingDirectory(root, title, start)
    found = None
    with telling(label):
        if folder:
            progress = _Progress(root, name)
            try:
                found = worklist.find_source(name, Path(folder), progress.show)
            finally:
                progress.close()
        if found is None:
            raise ReviewError(
                f"the cine of {name} was not found, neither by its name nor by its content; open the case again and "
                "choose a folder that holds it"
            )
    return found


class _Progress:
    """A window with the number of files looked at and a button to cancel."""

    def __init__(self, root: Any, name: str) -> None:
        self._name = name
        self._shown = 0.0
        self._dialog = qt.QProgressDialog(root)
        self._dialog.setWindowModality(qt.Qt.WindowModal)
        self._dialog.setRange(0, 0)
        self._dialog.minimumDuration = 0  # at once: nothing else in the window may be pressed meanwhile

    def show(self, files: int) -> None:
        """Show how many files were looked at; raises when the user cancelled."""
        if time.perf_counter() - self._shown < SHOWN_EVERY_S:
            return
        self._shown = time.perf_counter()
        self._dialog.labelText = f"Looking for the cine of {self._name}: {files} files"
        self._dialog.value = 0
        slicer.app.processEvents()
        if self._dialog.wasCanceled:
            raise _SearchCancelledError("the search was cancelled; open the case again to go on")

    def close(self) -> None:
        """Take the window away."""
        self._dialog.close()
        self._dialog.deleteLater()
