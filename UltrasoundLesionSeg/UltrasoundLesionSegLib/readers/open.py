"""Open any source of frames as a `Cine`."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.dicom_multiframe import read_dicom_file
from UltrasoundLesionSegLib.readers.dicom_series import read_dicom_folder
from UltrasoundLesionSegLib.readers.dicomdir import list_images, read_dicomdir
from UltrasoundLesionSegLib.readers.digest import unreadable
from UltrasoundLesionSegLib.readers.frames import GREY_SAMPLES, sampled_indices
from UltrasoundLesionSegLib.readers.image_folder import by_decimals, natural_key, read_image_folder
from UltrasoundLesionSegLib.readers.paged_picture import read_paged_picture
from UltrasoundLesionSegLib.readers.pages import PageFile, count_pages
from UltrasoundLesionSegLib.readers.picture_choice import choose_frames, left_out_note
from UltrasoundLesionSegLib.readers.rest_of_series import rest_of_series_note
from UltrasoundLesionSegLib.readers.sniff import Format, is_archive, sniff
from UltrasoundLesionSegLib.readers.video import read_video
from UltrasoundLesionSegLib.readers.volume import read_volume

_ASK = "choose a DICOM file or folder, a video, a folder of frames, or an NRRD, MHA or NIfTI volume"


def read_cine(path: Path | str, leave_out: Collection[Path] = ()) -> Cine:
    """Open a source of ultrasound frames, recognised by its content and not by its name.

    Accepted: a multi-frame or single-frame DICOM object; a folder of single-frame DICOM objects (a series); a DICOMDIR
    that lists one cine; AVI, MP4, MOV, MPEG and what else FFmpeg decodes; a folder of PNG, JPEG, BMP or TIFF frames, or
    one such picture; a TIFF stack, animated GIF, PNG or WebP; NRRD, MHA or NIfTI volumes whose slices are frames,
    Slicer's .seq.nrrd among them. Frames are decoded when asked for.

    Parameters
    ----------
    path : Path or str
    leave_out : collection of Path
        Files in a folder that are no frames, for example seeds.

    Returns
    -------
    Cine

    Raises
    ------
    SourceError
        When the source is no cine, has no frame, or cannot be read. The text names no path.

    Examples
    --------
    >>> cine = read_cine("cine.dcm")  # doctest: +SKIP
    >>> cine.frames[0].shape  # doctest: +SKIP
    """
    source = Path(path)
    # not Path.is_dir, which raises for a name that is too long
    return _read_folder(source, leave_out) if os.path.isdir(source) else _read_file(source)


def read_chosen(path: Path | str) -> Cine:
    """Open what a person chose: as ``read_cine`` does, with a note where it is one image of several of a DICOM series.

    Not for batches and scripts, which read the images of a folder one after the other.
    """
    cine, source = read_cine(path), Path(path)
    return cine if len(cine) > 1 or os.path.isdir(source) else _with_notes(cine, *rest_of_series_note(source))


def _read_file(path: Path) -> Cine:
    kind = sniff(path)
    if kind is Format.DICOM:
        return read_dicom_file(path)
    if kind is Format.DICOMDIR:
        return read_dicomdir(path)
    if kind is Format.VIDEO:
        return read_video(path)
    if kind is Format.IMAGE:
        return _read_picture(path)
    if kind in (Format.NRRD, Format.META_IMAGE, Format.NIFTI):
        return read_volume(path, kind)
    if is_archive(path):
        raise SourceError("the file is packed (ZIP, gzip or the like); unpack it, then choose the cine in it")
    raise SourceError(f"the file is no cine this program knows; {_ASK}")


def _read_picture(path: Path) -> Cine:
    pages = PageFile(path)
    if len(pages) > 1:
        return read_paged_picture(path, pages)
    pages.close()
    cine = read_image_folder([path])
    return dataclasses.replace(cine, notes=(*pages.notes, *cine.notes))


def _with_notes(cine: Cine, *notes: str) -> Cine:
    return dataclasses.replace(cine, notes=(*cine.notes, *notes))


def _read_folder(folder: Path, leave_out: Collection[Path]) -> Cine:
    """Read the files of a folder as frames: DICOM objects where there are any, else pictures."""
    try:
        entries = sorted((one for one in folder.iterdir() if not one.name.startswith(".")), key=_by_name)
        named = {one.resolve() for one in leave_out}
        files = [one for one in entries if one.is_file()]
        seeds = [one for one in files if one.resolve() in named]
        files = [one for one in files if one not in seeds]
    except OSError as error:
        raise unreadable(error) from None
    kinds = {one: sniff(one) for one in files}
    contents = [one for one in files if kinds[one] is Format.DICOMDIR]
    if objects := _of_kind(files, kinds, Format.DICOM):
        missing = itertools.chain(*map(_missing_note, contents))
        return _with_notes(
            read_dicom_folder(objects, may_hold_cines=True), *missing, *_lost_notes(entries, kinds, objects)
        )
    if contents:
        return read_dicomdir(contents[0])
    videos = sum(kind is Format.VIDEO for kind in kinds.values())
    if videos and len(files) > 1:
        raise SourceError(f"the folder holds {videos} video files beside others; choose one file")
    if pictures := _of_kind(files, kinds, Format.IMAGE):
        cine = _read_pictures(pictures, len(_of_kind(seeds, {one: sniff(one) for one in seeds}, Format.IMAGE)))
        return _with_notes(cine, *_lost_notes(entries, kinds, pictures))
    if len(files) == 1 and kinds[files[0]] is not Format.UNKNOWN:
        return _read_file(files[0])
    folders = sum(one.is_dir() for one in entries)
    if folders:
        raise SourceError(f"the folder holds {folders} folders but no frames of its own; choose the folder of one cine")
    raise SourceError(f"the folder holds no frames; {_ASK}")


def _missing_note(dicomdir: Path) -> tuple[str, ...]:
    """Return the sentence on images that a DICOMDIR lists beside those of its folder and that are not there."""
    try:
        return list_images(dicomdir).note
    except SourceError:  # damaged: the images are read without it
        return ()


def _lost_notes(entries: list[Path], kinds: Mapping[Path, Format], frames: list[Path]) -> list[str]:
    """Return the sentences on what is named like frames, or leads to nothing, and so may be a frame that is lost."""
    broken = sum(one.is_symlink() and not one.exists() for one in entries)
    names = {_pattern(one) for one in frames}
    unknown = set(kinds) - set(frames)
    alike = sum(kinds[one] is Format.UNKNOWN and _pattern(one) in names for one in unknown)
    lost = ((broken, "a link to a file that is not there"), (alike, "named like a frame but of no known kind"))
    return [f"{_counted(count)} {what}: frames may be missing." for count, what in lost if count]


def _counted(count: int) -> str:
    return "1 file of the folder is" if count == 1 else f"{count} files of the folder are each"


def _pattern(path: Path) -> str:
    """Return a file's name without the numbers in it."""
    return re.sub("[0-9]+", "#", path.name.lower())


def _read_pictures(pictures: list[Path], seeds: int) -> Cine:
    """Read the pictures of a folder: a frame each, or the one that holds them all; ``seeds`` more are no frames."""
    chosen, left_out, doubts = choose_frames(pictures)
    left_out += Counter(masks=seeds)
    if len(chosen) == 1:
        cine = _read_picture(chosen[0])
    else:
        if all(count_pages(chosen[at]) > 1 for at in sampled_indices(len(chosen), GREY_SAMPLES)):
            raise SourceError(f"the folder holds {len(chosen)} pictures of several frames each; choose one file")
        cine = read_image_folder(by_decimals(chosen))
    return _with_notes(cine, *left_out_note(left_out), *doubts)


def _of_kind(files: list[Path], kinds: Mapping[Path, Format], kind: Format) -> list[Path]:
    """Return the files of a kind, and those of the same suffix that are damaged beyond recognition.

    Such a file is a frame too: left out silently, it would move all frames after it.
    """
    suffixes = {one.suffix.lower() for one in files if kinds[one] is kind} - {""}
    return [
        one for one in files if kinds[one] is kind or (kinds[one] is Format.UNKNOWN and one.suffix.lower() in suffixes)
    ]


def _by_name(path: Path) -> tuple[tuple[tuple[int, int, str], ...], str]:
    return natural_key(path.name), path.name
