"""Find the cases in a folder: cines, and the seeds that lie beside them or refer to them.

A seed beside a cine has its name: ``NAME.seed.png`` was drawn on frame 0, ``NAME.seed.30.png`` on frame 30 (or another
suffix of ``seed_masks.SUFFIXES``), ``NAME.seg.nrrd`` and ``NAME.30.seg.nrrd`` as Slicer saves segmentations. NAME is
the cine's file name with or without its suffix, or the name of its folder of frames, in which the seed may also lie.
DICOM SEG objects belong to the cines whose instances they refer to, wherever they lie and whatever they are called.

A study holds stills beside cines: single images are cases only where they have a seed, or where there is nothing else.
Those of a folder are one cine, unless their headers say that they were taken too far apart; beside cines only if
`single_cine` finds that they are one. On a CD, which has a
DICOMDIR, pictures belong to the viewer.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np

from UltrasoundLesionSegLib.batch.dicom_headers import DicomHeader, DicomRole, read_dicom_header
from UltrasoundLesionSegLib.batch.folder import HIDDEN
from UltrasoundLesionSegLib.batch.manifest import BatchCase
from UltrasoundLesionSegLib.errors import BatchError, SourceError
from UltrasoundLesionSegLib.readers.dicom_order import are_stills
from UltrasoundLesionSegLib.readers.dicomdir import list_images
from UltrasoundLesionSegLib.readers.image_folder import natural_key
from UltrasoundLesionSegLib.readers.pages import count_pages
from UltrasoundLesionSegLib.readers.picture_choice import LEVELS_OF_A_MASK, looks_like_mask
from UltrasoundLesionSegLib.readers.seed_masks import SUFFIXES
from UltrasoundLesionSegLib.readers.single_cine import FEWEST, find_single_cine
from UltrasoundLesionSegLib.readers.sniff import Format, sniff
from UltrasoundLesionSegLib.workflow.case_request import SeedFileRequest
from UltrasoundLesionSegLib.workflow.output_folder import RECORD

_MASK_SUFFIX = rf"\.(?:{'|'.join(map(re.escape, SUFFIXES))})"
_SEED = re.compile(rf"(?P<name>.+?)\.seed(?:\.(?P<frame>[0-9]{{1,9}}))?{_MASK_SUFFIX}", re.IGNORECASE | re.DOTALL)
_SEGMENTATION = re.compile(r"(?P<name>.+?)(?:\.(?P<frame>[0-9]{1,9}))?\.seg\.nrrd", re.IGNORECASE | re.DOTALL)
_DOUBLE_SUFFIXES = (".seq.nrrd", ".nii.gz")
_VOLUMES = (Format.NRRD, Format.META_IMAGE, Format.NIFTI)
_MOST_LOOKED_INTO = 200
"""Pictures of a folder that are opened to count what is in each."""

_LOOKED_AT = 4
"""Pictures at either end of a folder that are looked at to tell masks from frames."""


class _LeftOut(Enum):
    """What is no case: its kind, for one and for several."""

    UNOPENED = ("file that cannot be opened", "files that cannot be opened")
    LINK = ("link to a folder", "links to folders")
    UNKNOWN = ("file of another kind", "files of another kind")
    STILL = ("still image beside cines (DICOM, one frame)", "still images beside cines (DICOM, one frame)")
    PERHAPS = (
        "image that may be a frame of a cine (DICOM, one frame)",
        "single images that may be the frames of one cine (DICOM): to have them read as one, put them into a folder of "
        "their own",
    )
    PICTURE = ("picture beside cines", "pictures beside cines")
    MASK = ("picture that is a mask", "pictures that are masks")
    MASK_VOLUME = ("volume that is a mask", "volumes that are masks")
    NO_IMAGE = ("DICOM object without an image", "DICOM objects without an image")
    SEED = ("seed without its cine", "seeds without their cine")
    UNLISTED = ("picture of a CD that is no DICOM", "pictures of a CD that are no DICOM")
    MISSING = (
        "image that a DICOMDIR lists and that is not there",
        "images that a DICOMDIR lists and that are not there",
    )
    SEGMENTATION = ("DICOM SEG without its cine", "DICOM SEGs without their cine")


@dataclass(frozen=True)
class FoundCases:
    """What is in a folder.

    Parameters
    ----------
    cases : tuple of BatchCase
        In the natural order of their paths; those without a seed too.
    notes : tuple of str
        What was left out, by kind with its number and without names: ``1 seed without its cine``.
    """

    cases: tuple[BatchCase, ...]
    notes: tuple[str, ...]


@dataclass
class _Findings:
    sources: list[Path] = field(default_factory=list)
    stills: list[Path] = field(default_factory=list)  # single images: beside cines, or alone in a folder
    doubtful: set[Path] = field(default_factory=set)  # single images that may be the frames of a cine
    seeds: dict[tuple[Path, str], list[SeedFileRequest]] = field(default_factory=dict)  # by folder and NAME
    instances: dict[str, Path] = field(default_factory=dict)  # SOP instance UID -> source
    segmentations: list[tuple[Path, DicomHeader]] = field(default_factory=list)
    left_out: Counter[_LeftOut] = field(default_factory=Counter)
    discs: list[Path] = field(default_factory=list)  # folders with a DICOMDIR that lists images which are there
    progress: Callable[[int], None] | None = None
    looked_at: int = 0

    def tell(self, more: int = 0) -> None:
        """Tell how many files were looked at."""
        self.looked_at += more
        if self.progress is not None:
            self.progress(self.looked_at)


def scan_folder(
    folder: Path, leave_out: Iterable[Path] = (), progress: Callable[[int], None] | None = None
) -> FoundCases:
    """Find all cines below a folder, and their seeds.

    Hidden files and folders, folders that a case was written to, and ``leave_out`` are not entered; links to folders
    are not followed.

    Parameters
    ----------
    folder : Path
    leave_out : iterable of Path
        Folders, for example the batch's own output.
    progress : callable, optional
        Called often with the number of files looked at; an exception it raises ends the search.

    Raises
    ------
    BatchError
        When the folder cannot be read or holds no cine.
    """
    found = _Findings(progress=progress)
    closed = {path.absolute() for path in leave_out}
    try:
        os.listdir(folder)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BatchError(f"the folder of cases cannot be read ({reason}); name one that can") from None
    for directory, folders, files in os.walk(folder.absolute()):
        here = Path(directory)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and here / name not in closed and not _is_output(here / name)
        ]
        found.left_out[_LeftOut.LINK] += sum((here / name).is_symlink() for name in folders)
        _look_into(here, [here / name for name in files if not name.startswith(".")], found)
    if not found.sources:
        found.sources, found.stills = found.stills, []
    if not found.sources and found.left_out[_LeftOut.MISSING]:
        raise BatchError(
            "the folder holds a DICOMDIR but none of the images that it lists; copy all of the CD or export with its "
            "folders"
        )
    if not found.sources:
        raise BatchError("the folder holds no cine; name the folder that the cines are in, or a manifest")
    return FoundCases(tuple(_cases(found)), _notes(found.left_out))


def _is_output(folder: Path) -> bool:
    """Whether a folder is a result of ours: of one case, or of a batch with what readers drew on its cases."""
    return (folder / RECORD).is_file() or (folder / HIDDEN).is_dir()


def _cases(found: _Findings) -> list[BatchCase]:
    """Give sources their seeds, and count the seeds and stills that are left over."""
    by_source = _by_reference(found)
    candidates = sorted([*found.sources, *found.stills], key=lambda path: (natural_key(str(path)), str(path)))
    beside = {source: _beside(source, found) for source in candidates}
    stills = {one for one in found.stills if not beside[one] and one not in by_source}
    found.left_out[_LeftOut.STILL] += len(stills - found.doubtful)
    found.left_out[_LeftOut.PERHAPS] += len(stills & found.doubtful)
    used = {seed.path for seeds in beside.values() for seed in seeds}
    found.left_out[_LeftOut.SEED] += sum(one.path not in used for seeds in found.seeds.values() for one in seeds)
    return [
        BatchCase(source, tuple(beside[source] + by_source.get(source, [])))
        for source in candidates
        if source not in stills
    ]


def _notes(left_out: Counter[_LeftOut]) -> tuple[str, ...]:
    return tuple(f"{left_out[kind]} {kind.value[left_out[kind] > 1]}" for kind in _LeftOut if left_out[kind])


def _look_into(folder: Path, files: list[Path], found: _Findings) -> None:
    """Sort the files of one folder into sources, seeds and what is neither."""
    kinds: dict[Path, Format] = {}
    for path in sorted(files):
        found.tell(1)
        seed = _SEED.fullmatch(path.name) or _SEGMENTATION.fullmatch(path.name)
        if seed:
            request = SeedFileRequest(path, int(seed["frame"] or 0))
            found.seeds.setdefault((folder, _as_composed(seed["name"])), []).append(request)
            continue
        try:
            kinds[path] = sniff(path)
        except SourceError:
            found.left_out[_LeftOut.UNOPENED] += 1
    for path in (one for one, kind in kinds.items() if kind is Format.DICOMDIR):
        _note_listed(path, found)
    found.left_out[_LeftOut.UNKNOWN] += sum(kind is Format.UNKNOWN for kind in kinds.values())
    masks = [path for path, kind in kinds.items() if kind in _VOLUMES and _is_mask_volume(path)]
    found.left_out[_LeftOut.MASK_VOLUME] += len(masks)
    sources = [path for path, kind in kinds.items() if kind is Format.VIDEO or (kind in _VOLUMES and path not in masks)]
    objects = [path for path, kind in kinds.items() if kind is Format.DICOM]
    sources += _dicom_sources(folder, objects, found, has_cines=bool(sources))
    pictures = [path for path, kind in kinds.items() if kind is Format.IMAGE]
    # each TIFF stack or animated GIF is a cine; the first picture decides for the whole folder
    looked_at = pictures if len(pictures) <= _MOST_LOOKED_INTO else pictures[:1]
    if stacks := [path for path in looked_at if count_pages(path) > 1 and not looks_like_mask(path)]:
        sources += stacks if len(looked_at) == len(pictures) else pictures
        pictures = [path for path in pictures if path not in sources]
    if any(disc == folder or disc in folder.parents for disc in found.discs):
        found.left_out[_LeftOut.UNLISTED] += len(pictures)
    elif pictures and _are_masks(pictures):
        found.left_out[_LeftOut.MASK] += len(pictures)
    elif pictures and sources:
        drawn_on = [path for path in pictures if _beside(path, found)]
        found.left_out[_LeftOut.PICTURE] += len(pictures) - len(drawn_on)
        sources += drawn_on
    elif pictures:
        sources.append(folder)
    found.sources += sources


def _note_listed(dicomdir: Path, found: _Findings) -> None:
    """Keep where a CD is, and count the images that its DICOMDIR lists in vain."""
    try:
        listed = list_images(dicomdir)
    except SourceError:  # damaged: the images are found without it
        return
    found.left_out[_LeftOut.MISSING] += listed.missing
    if listed.files:
        found.discs.append(dicomdir.parent)


def _dicom_sources(folder: Path, files: list[Path], found: _Findings, has_cines: bool) -> list[Path]:
    """Single-frame objects of a folder are one cine, its folder; multi-frame objects are one each.

    Beside cines, single-frame objects are stills, unless they clearly are a cine, too.
    """
    headers: dict[Path, DicomHeader] = {}
    for path in files:
        found.tell()
        headers[path] = read_dicom_header(path)
    found.segmentations += [(path, header) for path, header in headers.items() if header.role is DicomRole.SEGMENTATION]
    found.left_out[_LeftOut.NO_IMAGE] += sum(one.role is DicomRole.OTHER for one in headers.values())
    images = {path: header for path, header in headers.items() if header.role is DicomRole.IMAGE}
    has_cines = has_cines or any(header.is_multi_frame for header in images.values())
    is_series = (
        len(images) > 1 and not has_cines and not are_stills(zip(*(one.times for one in images.values()), strict=False))
    )
    # an unreadable file stays a case: its reader reports what is wrong
    stills = [path for path, one in images.items() if one.is_readable and not one.is_multi_frame]
    frames = set(images) if is_series else _frames_beside_cines(list(images), stills, found) if has_cines else set()
    for path, header in images.items():
        if header.uid:
            found.instances[header.uid] = folder if path in frames else path
    found.stills += [path for path in stills if path not in frames]
    return [*([folder] if frames else []), *(path for path in images if path not in frames and path not in stills)]


def _frames_beside_cines(images: Sequence[Path], stills: Sequence[Path], found: _Findings) -> set[Path]:
    """Return those of a folder's stills that are the frames of a cine; those that a seed is for are stills."""
    if len(stills) < FEWEST or any(_beside(one, found) for one in stills):
        return set()
    found.tell()
    single = find_single_cine(sorted(images, key=lambda path: (natural_key(path.name), path.name)))
    found.doubtful |= {one.path for one in single.doubtful}
    return {one.path for one in single.frames}


def _are_masks(pictures: list[Path]) -> bool:
    """Whether pictures are masks, as data sets keep them beside their frames."""
    # neighbouring pictures, so that alternating frames and masks are noticed
    return all(looks_like_mask(one) for one in {*pictures[:_LOOKED_AT], *pictures[-_LOOKED_AT:]})


def _is_mask_volume(path: Path) -> bool:
    """Whether a volume has the few levels of a mask; its first slice that is not of one level decides."""
    from UltrasoundLesionSegLib.readers.open import read_cine

    try:
        levels = (len(np.unique(frame)) for frame in read_cine(path) if frame.ndim == 2)
        return next((one <= LEVELS_OF_A_MASK for one in levels if one > 1), False)
    except SourceError:  # damaged: its reader reports what is wrong
        return False


def _beside(source: Path, found: _Findings) -> list[SeedFileRequest]:
    """Return the seeds that have a source's name, by frame."""
    names = {source.name, source.stem}
    names |= {source.name[: -len(one)] for one in _DOUBLE_SUFFIXES if source.name.lower().endswith(one)}
    # the seeds of a folder of frames also in it
    names = {_as_composed(name) for name in names}
    seeds = [seed for name in names for at in (source.parent, source) for seed in found.seeds.get((at, name), [])]
    return sorted(seeds, key=lambda seed: (seed.frame, seed.path.name))


def _as_composed(name: str) -> str:
    """Return a name with each accented letter as one character; macOS writes the accent as a character of its own."""
    return unicodedata.normalize("NFC", name)


def _by_reference(found: _Findings) -> dict[Path, list[SeedFileRequest]]:
    """Return the DICOM SEG objects of each source."""
    by_source: dict[Path, list[SeedFileRequest]] = {}
    for path, header in sorted(found.segmentations, key=lambda one: one[0]):
        sources = {found.instances[uid] for uid in header.references if uid in found.instances}
        for source in sources:
            by_source.setdefault(source, []).append(SeedFileRequest(path))
        if not sources:
            found.left_out[_LeftOut.SEGMENTATION] += 1
    return by_source
