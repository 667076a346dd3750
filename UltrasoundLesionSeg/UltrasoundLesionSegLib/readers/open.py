"""The one way in: any source of frames -> `Cine`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.dicom_multiframe import read_dicom_file
from UltrasoundLesionSegLib.readers.dicom_series import read_dicom_folder
from UltrasoundLesionSegLib.readers.digest import unreadable
from UltrasoundLesionSegLib.readers.image_folder import natural_key, read_image_folder
from UltrasoundLesionSegLib.readers.sniff import Format, sniff
from UltrasoundLesionSegLib.readers.video import read_video
from UltrasoundLesionSegLib.readers.volume import read_volume

_ASK = "choose a DICOM file or folder, a video, a folder of frames, or an NRRD, MHA or NIfTI volume"


def read_cine(path: Path | str) -> Cine:
    """Open a source of ultrasound frames, recognised by its content and not by its name.

    Accepted: a multi-frame or single-frame DICOM object; a folder of single-frame DICOM objects (a series); AVI, MP4,
    MOV, MPEG and what else FFmpeg decodes; a folder of PNG, JPEG, BMP or TIFF frames, or one such picture; NRRD, MHA or
    NIfTI volumes whose slices are frames, Slicer's .seq.nrrd among them. Frames are decoded when asked for.

    Parameters
    ----------
    path : Path or str

    Returns
    -------
    Cine

    Raises
    ------
    SourceError
        When the source is no cine, has no frame, or cannot be read. The text names no path.

    Examples
    --------
    >>> cine = read_cine("clip.dcm")  # doctest: +SKIP
    >>> cine[0].shape  # doctest: +SKIP
    """
    source = Path(path)
    # not Path.is_dir, which raises for a name that is too long
    return _read_folder(source) if os.path.isdir(source) else _read_file(source)


def _read_file(path: Path) -> Cine:
    kind = sniff(path)
    if kind is Format.DICOM:
        return read_dicom_file(path)
    if kind is Format.VIDEO:
        return read_video(path)
    if kind is Format.IMAGE:
        return read_image_folder([path])
    if kind in (Format.NRRD, Format.META_IMAGE, Format.NIFTI):
        return read_volume(path, kind)
    raise SourceError(f"the file is no cine this program knows; {_ASK}")


def _read_folder(folder: Path) -> Cine:
    """Read the files of a folder as frames: DICOM objects where there are any, else pictures."""
    try:
        entries = sorted((one for one in folder.iterdir() if not one.name.startswith(".")), key=_by_name)
        files = [one for one in entries if one.is_file()]
    except OSError as error:
        raise unreadable(error) from None
    kinds = {one: sniff(one) for one in files}
    if objects := _of_kind(files, kinds, Format.DICOM):
        return read_dicom_folder(objects)
    videos = sum(kind is Format.VIDEO for kind in kinds.values())
    if videos and len(files) > 1:
        raise SourceError(f"the folder holds {videos} video files beside others; choose one file")
    if pictures := _of_kind(files, kinds, Format.IMAGE):
        return read_image_folder(pictures)
    if len(files) == 1 and kinds[files[0]] is not Format.UNKNOWN:
        return _read_file(files[0])
    folders = sum(one.is_dir() for one in entries)
    if folders:
        raise SourceError(f"the folder holds {folders} folders but no frames of its own; choose the folder of one cine")
    raise SourceError(f"the folder holds no frames; {_ASK}")


def _of_kind(files: list[Path], kinds: Mapping[Path, Format], kind: Format) -> list[Path]:
    """Return the files of a kind, and those of the same suffix that are damaged beyond recognition.

    Such a file is a frame too: left out without a word, it would move all frames after it.
    """
    suffixes = {one.suffix.lower() for one in files if kinds[one] is kind} - {""}
    return [
        one for one in files if kinds[one] is kind or (kinds[one] is Format.UNKNOWN and one.suffix.lower() in suffixes)
    ]


def _by_name(path: Path) -> tuple[tuple[tuple[int, int, str], ...], str]:
    return natural_key(path.name), path.name
