"""Slicer's DICOM database: what was exported can be added to it, so that the DICOM browser offers it at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import slicer


def database_is_open() -> bool:
    """Return whether there is a database: a Slicer built without DICOM has none, a new one may not be set up yet."""
    database = getattr(slicer, "dicomDatabase", None)
    return database is not None and bool(database.isOpen)


def add_to_database(files: Sequence[Path]) -> bool:
    """Copy DICOM files into the database; returns whether all of them are in it now.

    Parameters
    ----------
    files : sequence of Path
    """
    from pydicom import dcmread

    for file in files:
        slicer.dicomDatabase.insert(str(file))
    slicer.dicomDatabase.updateDisplayedFields()  # sizes and counts in the browser's columns; an import does the same
    headers = [dcmread(file, specific_tags=["SOPInstanceUID"], stop_before_pixels=True) for file in files]
    return all(slicer.dicomDatabase.fileForInstance(str(header.SOPInstanceUID)) for header in headers)
