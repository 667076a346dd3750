"""Seeds from files, whatever kind of file: one list of (segment name, frame, mask)."""

from __future__ import annotations

from pathlib import Path

from UltrasoundLesionSegLib.cine import Cine, Mask
from UltrasoundLesionSegLib.errors import SeedError, SourceError
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file
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
        for label in range(1, int(labels.max(initial=0)) + 1):
            mask = labels == label
            if mask.any():
                numbered = name if label == 1 else f"{name} {label}"
                found.append((file.names.get(label, numbered), frame if at is None else at, mask))
    return found
