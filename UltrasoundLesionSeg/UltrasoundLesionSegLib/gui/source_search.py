"""Asks for the folder that the sources of a batch were moved to, and looks for one of them there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt

from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.gui.messages import telling
from UltrasoundLesionSegLib.gui.progress_window import ProgressWindow

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.review.worklist import Worklist


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
            cancelled = "the search was cancelled; open the case again to go on"
            with ProgressWindow(root, cancelled, "files") as progress:
                progress.begin(f"Looking for the cine of {name}")
                found = worklist.find_source(name, Path(folder), progress.count)
        if found is None:
            raise ReviewError(
                f"the cine of {name} was not found, neither by its name nor by its content; open the case again and "
                "choose a folder that holds it"
            )
    return found
