"""Seeds from files and arrays, whatever kind: one list of (segment name, frame, mask)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine, Mask
from UltrasoundLesionSegLib.errors import SeedError, SourceError
from UltrasoundLesionSegLib.readers.seed_masks import MAX_LABEL, read_seed_file
from UltrasoundLesionSegLib.readers.sniff import Format, sniff

FoundSeed = tuple[str, int, Mask]


def seeds_from_file(path: Path, cine: Cine, frame: int, name: str) -> list[FoundSeed]:
    """Read the seeds in a file.

    Parameters
    ----------
    path : Path
        PNG, NRRD/MHA label image, .seg.nrrd, or DICOM SEG that references the cine.
    cine : Cine
        A DICOM SEG says by its identity which frames it means.
    frame : int
        The frame a single label image belongs to.
    name : str
        Name of the lesion when the file names none; further lesions are numbered.

    Returns
    -------
    list of (str, int, ndarray of bool (H, W))
        One entry for every lesion and frame that is not empty.

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

        read = read_segmentation(path, cine)
        return [(segment.name, at, mask) for segment in read.segments for at, mask in sorted(segment.masks.items())]
    file = read_seed_file(path, cine.shape)
    found = []
    for at, labels in file.masks.items():
        for label, mask in _lesions_of(labels):
            found.append((file.names.get(label, _numbered(name, label)), frame if at is None else at, mask))
    return found


def seeds_from_array(values: NDArray[Any], frame: int, name: str) -> list[FoundSeed]:
    """Read the lesions in an array, as the same picture in a file is read.

    Parameters
    ----------
    values : ndarray
        Bool (H, W): one lesion. Bool (K, H, W): lesion k in ``values[k]``. Whole numbers (H, W): 0 is background, 1 to
        ``MAX_LABEL`` are lesions; one single higher value (0 and 255, say) is one lesion.
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
    elif values.ndim == 2:
        found = _lesions_of(_label_image(values))
    else:
        raise SeedError(
            f"an array of type {values.dtype} and shape {values.shape} is no mask; give bool (H, W), bool (K, H, W) "
            "for K lesions, or a label image of whole numbers (H, W)"
        )
    if not found:
        raise SeedError("the seed is empty; draw the lesion on it, or give another mask")
    return [(_numbered(name, label), frame, mask) for label, mask in found]


def _label_image(values: NDArray[Any]) -> NDArray[Any]:
    present = np.unique(values)
    if not (np.issubdtype(values.dtype, np.number) and np.isfinite(present).all() and (present >= 0).all()):
        raise SeedError("the seed's values are no labels; give whole numbers, 0 where there is no lesion")
    if (present != np.round(present)).any():
        raise SeedError("the seed's values are no whole numbers; compare them with a threshold first")
    if present.max(initial=0) <= MAX_LABEL:
        return values
    if np.count_nonzero(present) > 1:
        raise SeedError(
            f"the seed has label values up to {present.max():g}; number the lesions from 1, at most {MAX_LABEL}"
        )
    return (values != 0).astype(np.uint8)


def _lesions_of(labels: NDArray[Any]) -> list[tuple[int, Mask]]:
    """Return number and mask of each lesion in a label image, ascending."""
    return [(int(label), labels == label) for label in np.unique(labels) if label > 0]


def _numbered(name: str, label: int) -> str:
    return name if label == 1 else f"{name} {label}"
