"""Stand-in for Slicer's DICOM database (ctkDICOMDatabase): a dictionary of headers by file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


class Database:
    """What the module asks of ctkDICOMDatabase.

    Parameters
    ----------
    folder : Path
        Receives the copies of inserted files, as the real one keeps them in a folder of its own.
    """

    isOpen = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._headers: dict[str, Any] = {}
        self.displayed: set[str] = set()  # files that the columns Size and Count of the browser know

    def insert(self, file: str) -> None:
        """Copy a DICOM file and remember it by its SOP instance; what is no DICOM file is passed over, as CTK does."""
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError

        try:
            header = dcmread(file, stop_before_pixels=True)
        except (InvalidDicomError, OSError):
            return
        self._folder.mkdir(exist_ok=True)
        copy = shutil.copy(file, self._folder / f"{header.SOPInstanceUID}.dcm")
        self._headers[str(copy)] = header

    def remember(self, file: Path) -> None:
        """Take a file in where it lies, as an import without copying does."""
        from pydicom import dcmread

        self._headers[str(file)] = dcmread(file, stop_before_pixels=True)

    def updateDisplayedFields(self) -> None:
        """Fill the columns that the browser shows, as CTK does when it is asked to and not at an insert."""
        self.displayed = set(self._headers)

    def fileValue(self, file: str, tag: str) -> str:
        """Return the value of an element of a file, '' where it has none."""
        element = self._headers[file].get(tuple(int(part, 16) for part in tag.split(",")))
        return "" if element is None else str(element.value)

    def fileForInstance(self, uid: str) -> str:
        """Return the file of a SOP instance, '' where it is not known."""
        return next((file for file, header in self._headers.items() if header.SOPInstanceUID == uid), "")

    def instanceForFile(self, file: str) -> str:
        """Return the SOP instance of a file, '' where it is not known."""
        return str(self._headers[file].SOPInstanceUID) if file in self._headers else ""

    def filesForSeries(self, uid: str) -> tuple[str, ...]:
        """Return all files of a series; a tuple, as PythonQt gives a QStringList."""
        return tuple(file for file, header in self._headers.items() if header.SeriesInstanceUID == uid)
