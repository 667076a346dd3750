"""Keeps the results of two cines out of one folder: their files have the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from UltrasoundLesionSegLib.cine import SourceIdentity
from UltrasoundLesionSegLib.gui.dependencies import TITLE
from UltrasoundLesionSegLib.gui.messages import Tone, tell
from UltrasoundLesionSegLib.workflow.export_folder import Owner, owner_of, results_in

LISTED_FILES = 4


def may_write(folder: Path, identity: SourceIdentity, label: Any) -> bool:
    """Whether results of a cine may go into a folder; otherwise say in a label why not and what to do.

    A folder with results of another cine is refused. If nothing tells whose the results are, the user is asked.

    Parameters
    ----------
    folder : Path
    identity : SourceIdentity
        Of the cine.
    label : qt.QLabel
        The message line beside the button that was pressed.
    """
    owner = owner_of(folder, identity)
    if owner in (Owner.NOBODY, Owner.THIS_CINE):
        return True
    listed = _listed(results_in(folder))
    if owner is Owner.ANOTHER_CINE:
        said = f"Nothing was written: the folder holds results of another cine ({listed}); choose another folder."
        tell(label, said, Tone.BAD)
        return False
    asked = (
        f"The folder already holds results ({listed}), and nothing there tells of which cine they are.\n\n"
        "Replace files of the same names? The others stay."
    )
    if slicer.util.confirmOkCancelDisplay(asked, windowTitle=TITLE):
        return True
    tell(label, "Nothing was written; choose another folder.")
    return False


def _listed(names: list[str]) -> str:
    more = len(names) - LISTED_FILES
    return ", ".join(names[:LISTED_FILES]) + (f" and {more} more" if more > 0 else "")
