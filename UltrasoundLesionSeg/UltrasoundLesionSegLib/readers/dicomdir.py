"""A DICOMDIR (PS3.3 F), the table of contents of a CD or an export: the files that it lists and that are there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.dicom_series import read_dicom_folder

_INACTIVE = 0
_ADDED = re.compile(r"(?:\.DCM)?\.?(?:;[0-9]+)?$")
"""What copying to another file system adds to a name: a suffix, and the ending of names on CDs (ISO 9660)."""


@dataclass(frozen=True)
class Listed:
    """The images that a DICOMDIR lists.

    Parameters
    ----------
    files : tuple of Path
        Those that are there, in the order of the list.
    missing : int
        How many are not.
    """

    files: tuple[Path, ...]
    missing: int

    @property
    def note(self) -> tuple[str, ...]:
        """The sentence on images that are not there, nothing when all are."""
        if not self.missing:
            return ()
        told = len(self.files) + self.missing
        are = "is" if self.missing == 1 else "are"
        return (f"Of {told} images that the DICOMDIR lists, {self.missing} {are} missing: the copy may be incomplete.",)


def list_images(path: Path) -> Listed:
    """Return the images that a DICOMDIR lists.

    Names are compared without case, because file systems change it. Nothing outside of the DICOMDIR's own folder is
    looked at, whatever it lists.

    Parameters
    ----------
    path : Path
        Of the DICOMDIR.

    Raises
    ------
    SourceError
        When it cannot be read.
    """
    header = dicom_header.read_header(path)
    records = dicom_header.items(header, "DirectoryRecordSequence")
    images = [one for one in records if dicom_header.text(one, "DirectoryRecordType") == "IMAGE"]
    active = [one for one in images if dicom_header.integer(one, "RecordInUseFlag") != _INACTIVE]
    folders: dict[Path, dict[str, Path]] = {}
    found = [_find(path.parent, _parts(dicom_header.value_or(one, "ReferencedFileID", "")), folders) for one in active]
    files = tuple(dict.fromkeys(one for one in found if one is not None))
    return Listed(files, sum(one is None for one in found))


def read_dicomdir(path: Path) -> Cine:
    """Read the one cine that a DICOMDIR lists.

    Raises
    ------
    SourceError
        When it lists several, or nothing that is there.
    """
    listed = list_images(path)
    if not listed.files:
        lists = "images of which none is there" if listed.missing else "no image"
        raise SourceError(
            f"the DICOMDIR lists {lists}; copy all of the CD or export with its folders, or choose another source"
        )
    try:
        cine = read_dicom_folder(listed.files)
    except SourceError:
        if len(listed.files) == 1:
            raise
        raise SourceError(
            f"the DICOMDIR lists {len(listed.files)} images that are not one cine; choose the file or folder of "
            "one of them, import the folder in Slicer's DICOM browser, or give the folder to the command batch"
        ) from None
    return replace(cine, notes=(*cine.notes, *listed.note))


def _parts(value: object) -> list[str]:
    """Return the folders and the name of a Referenced File ID, whose values are one of these each."""
    values = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
    return [part for one in values for part in re.split(r"[\\/]", str(one).strip())]


def _find(folder: Path, parts: list[str], folders: dict[Path, dict[str, Path]]) -> Path | None:
    """Return the file of some folders and a name below ``folder``, None when it is not there."""
    at = folder
    for part in parts:
        if at not in folders:
            folders[at] = _entries(at)
        found = folders[at].get(_key(part))
        if found is None:
            return None
        at = found
    return at if at != folder and os.path.isfile(at) else None


def _entries(folder: Path) -> dict[str, Path]:
    try:
        return {_key(name): folder / name for name in sorted(os.listdir(folder))}
    except OSError:
        return {}


def _key(name: str) -> str:
    return _ADDED.sub("", name.upper())
