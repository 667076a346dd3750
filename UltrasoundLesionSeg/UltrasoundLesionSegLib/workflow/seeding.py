"""Seeds from files and arrays, whatever kind: one list of (segment name, frame, mask)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine, Mask, SourceKind
from UltrasoundLesionSegLib.errors import EmptySeedError, FrameError, SeedError, SourceError
from UltrasoundLesionSegLib.readers.lesion_names import distinct_names
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file
from UltrasoundLesionSegLib.readers.seed_tissue import cut_at_a_level
from UltrasoundLesionSegLib.readers.seed_values import Page, read_pages
from UltrasoundLesionSegLib.readers.sniff import Format, sniff
from UltrasoundLesionSegLib.readers.volume_headers import read_volume_header
from UltrasoundLesionSegLib.readers.volume_space import Space, space_of

_COMPARED = 3
"""Seeds of a file that are compared with their frames."""

FoundSeed = tuple[str, int, Mask]


@dataclass(frozen=True)
class FileSeeds:
    """The seeds of a file.

    Parameters
    ----------
    found : list of (str, int, ndarray of bool (H, W))
        Lesion, frame and mask; one entry for every lesion and frame that is not empty.
    read_as : str
        How the file was read, in a phrase; '' for a plain mask, label image or segmentation.
    numbers : mapping of str to int
        Of a DICOM SEG of ours: the number that each lesion keeps (``tracking.lesion_number``).
    """

    found: list[FoundSeed]
    read_as: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)


def seeds_from_file(path: Path, cine: Cine, frame: int, name: str) -> FileSeeds:
    """Read the seeds in a file.

    Parameters
    ----------
    path : Path
        PNG, NRRD/MHA label image, .seg.nrrd, or DICOM SEG that references the cine.
    cine : Cine
        A DICOM SEG says by its identity which frames it means; a volume in space, by the cine's own file.
    frame : int
        The frame a single label image belongs to.
    name : str
        Name of the lesion when the file names none; further lesions are numbered.

    Returns
    -------
    FileSeeds

    Raises
    ------
    SeedError
        When the file is no mask, is empty, or belongs to another cine.
    """
    try:
        is_dicom = sniff(path) is Format.DICOM
    except SourceError:
        raise SeedError("the seed file cannot be opened; name a mask that exists") from None
    if is_dicom:
        from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation
        from UltrasoundLesionSegLib.workflow.tracking import lesion_number

        read = read_segmentation(path, cine)
        segments = [(one.name, at, mask) for one in read.segments for at, mask in sorted(one.masks.items())]
        tracked = {one.name: lesion_number(cine.identity, one) for one in read.segments}
        kept = {name: number for name, number in tracked.items() if number is not None}
        return FileSeeds(segments, "; ".join(_other_frames(segments, frame)), kept)
    file = read_seed_file(path, cine.shape, _space_of_cine(cine), len(cine))
    lesions = {at: _lesions_of(labels) for at, labels in file.masks.items()}
    numbers = sorted({label for of_frame in lesions.values() for label, _ in of_frame})
    called = distinct_names(file.names.get(label, _numbered(name, label)) for label in numbers)
    names = dict(zip(numbers, called, strict=True))
    found = [
        (names[label], frame if at is None else at, mask)
        for at, of_frame in lesions.items()
        for label, mask in of_frame
    ]
    remarks = (*file.remarks, *_other_frames(found, frame), *_cut_from_frames(found, cine))
    return FileSeeds(found, "; ".join(remarks))


def _other_frames(found: list[FoundSeed], frame: int) -> tuple[str, ...]:
    """Return the remark on a file that itself says its frames, none of which is the one that was named.

    Frame 0 is what is meant where none was named.
    """
    if frame == 0 or frame in {at for _, at, _ in found}:
        return ()
    return (f"on the frames that the file itself says, not on frame {frame}",)


def _cut_from_frames(found: list[FoundSeed], cine: Cine) -> tuple[str, ...]:
    """Return the remark on the first seed that seems to be its frame itself, cut at a level."""
    for _, at, mask in found[:_COMPARED]:
        try:
            is_cut = 0 <= at < len(cine) and mask.shape == cine.shape and cut_at_a_level(cine.frames[at], mask)
        except FrameError:
            continue
        if is_cut:
            return (f"nearly what is brighter or darker than one level on frame {at}, so it may be no drawing",)
    return ()


def _space_of_cine(cine: Cine) -> Space | None:
    """Return where a cine lies that was read from a volume file, None for any other and where the file has gone."""
    if cine.identity.kind is not SourceKind.VOLUME or not cine.identity.paths:
        return None
    try:
        path = cine.identity.paths[0]
        return space_of(read_volume_header(path, sniff(path)))
    except (SourceError, OSError, KeyError):
        return None


def seeds_from_array(values: NDArray[Any], frame: int, name: str) -> list[FoundSeed]:
    """Read the lesions in an array, as the same picture in a file is read.

    Parameters
    ----------
    values : ndarray
        Bool (H, W): one lesion. Bool (K, H, W): lesion k in ``values[k]``. Numbers (H, W): as in a picture file.
    frame : int
    name : str
        Of the first lesion; further lesions are numbered.

    Returns
    -------
    list of (str, int, ndarray of bool (H, W))
        One entry for every lesion that is not empty.

    Raises
    ------
    SeedError
        When the array is no mask, or empty.
    """
    if values.dtype == np.bool_ and values.ndim in (2, 3):
        stack = values[np.newaxis] if values.ndim == 2 else values
        found = [(label, mask) for label, mask in enumerate(stack, start=1) if mask.any()]
    elif values.ndim == 2 and np.issubdtype(values.dtype, np.number):
        found = _lesions_of(read_pages([Page(values)]).labels[0])
    else:
        raise SeedError(
            f"an array of type {values.dtype} and shape {values.shape} is no mask; give bool (H, W), bool (K, H, W) "
            "for K lesions, or a label image of whole numbers (H, W)"
        )
    if not found:
        raise EmptySeedError("the seed is empty; draw the lesion on it, or give another mask")
    return [(_numbered(name, label), frame, mask) for label, mask in found]


def _lesions_of(labels: NDArray[Any]) -> list[tuple[int, Mask]]:
    """Return number and mask of each lesion in a label image, ascending."""
    return [(int(label), labels == label) for label in np.unique(labels) if label > 0]


def _numbered(name: str, label: int) -> str:
    return name if label == 1 else f"{name} {label}"
