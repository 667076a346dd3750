"""What else a folder holds of the series of one DICOM image: a person may have chosen one frame of a cine."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pydicom

from UltrasoundLesionSegLib.readers.deflated import plain_stream
from UltrasoundLesionSegLib.readers.image_folder import natural_key
from UltrasoundLesionSegLib.readers.quiet import quiet

# a folder on a network can hold thousands of files, and opening each can take long
MOST_NAMES, MOST_HEADERS, MOST_SECONDS = 5000, 500, 0.3
_READ = ["StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns", "SOPInstanceUID", "NumberOfFrames"]


class _Told(NamedTuple):
    """What a header says: the elements of ``_READ`` as text, '' where one is absent."""

    study: str
    series: str
    rows: str
    columns: str
    uid: str
    frames: str

    @property
    def is_single(self) -> bool:
        """Whether the object is one image."""
        return self.frames in ("", "0", "1")


def rest_of_series_note(path: Path) -> tuple[str, ...]:
    """Return the sentence on further images of the same series and size in a single image's folder, if there are any.

    Only headers are read, those of the files with the nearest names first, and not for long.

    Parameters
    ----------
    path : Path
        A DICOM object of one frame.
    """
    chosen = _told(path)
    if chosen is None or not chosen.series:
        return ()
    uids, until, is_all = {chosen.uid}, time.monotonic() + MOST_SECONDS, True
    for number, other in enumerate(_nearest(path)):
        if number == MOST_HEADERS or time.monotonic() > until:
            is_all = False
            break
        told = _told(other)
        if told is not None and told._replace(uid=chosen.uid, frames=chosen.frames) == chosen and told.is_single:
            uids.add(told.uid)
    count = len(uids) - 1
    if not count:
        return ()
    counted = "1 more image" if count == 1 else f"{count} more images"
    least = "" if is_all else "at least "
    advice = "If they are the frames of one cine, load the folder instead of the file."
    return (f"The folder holds {least}{counted} of this series. {advice}",)


def _nearest(path: Path) -> Iterator[Path]:
    """Yield the other files of a folder, those whose names are nearest first: exports number the images of a series."""
    try:
        with os.scandir(path.parent) as entries:
            found = [
                entry.name
                for entry in itertools.islice(entries, MOST_NAMES)
                if entry.name != path.name and not entry.name.startswith(".") and entry.is_file()
            ]
    except OSError:
        return
    found.sort(key=natural_key)
    place = sum(natural_key(name) < natural_key(path.name) for name in found)
    for _, at in sorted((abs(at + 0.5 - place), at) for at in range(len(found))):
        yield path.parent / found[at]


def _told(path: Path) -> _Told | None:
    """Return what the header of a file says, None for what is no DICOM file."""
    try:
        with quiet(), path.open("rb") as stream:
            header = pydicom.dcmread(plain_stream(stream), stop_before_pixels=True, specific_tags=_READ)
            values = {keyword: str(header.get(keyword, "")).strip() for keyword in _READ}
    except Exception:  # pydicom raises whatever a damaged element leads to
        return None
    return _Told(*(values[keyword] for keyword in _READ))
