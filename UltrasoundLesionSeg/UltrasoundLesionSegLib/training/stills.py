"""Still breast ultrasound images with lesion masks, and the removal of what people burned into them.

A data set of stills is a folder with ``index.csv``, ``images/ID.jpg`` (or ``.png``) and ``masks/ID.png``. The index
has at least the columns ``id``, ``patient`` and ``split``; the split is by patient and is never changed here.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.fitting.still import Still

SUFFIXES = (".jpg", ".png", ".jpeg", ".bmp")


@dataclass(frozen=True)
class StillRecord:
    """One row of the index.

    Parameters
    ----------
    identifier : str
        Name of the image in the data set, not of a person.
    patient : str
        Stills of one patient stay on one side of every split.
    split : str
    image, mask : Path
    """

    identifier: str
    patient: str
    split: str
    image: Path
    mask: Path


def _find(folder: Path, identifier: str) -> Path:
    for suffix in SUFFIXES:
        path = folder / f"{identifier}{suffix}"
        if path.is_file():
            return path
    raise SourceError("an image or mask named in the index of the stills is missing; complete the data set")


def read_index(folder: Path, split: str | None = None) -> list[StillRecord]:
    """Read the index of a data set of stills.

    Parameters
    ----------
    folder : Path
        Holds ``index.csv``, ``images`` and ``masks``.
    split : str or None
        Keep only rows of this split; None keeps all.

    Raises
    ------
    SourceError
        When there is no index, a column or a file is missing, the split is empty, or a patient is in two splits.
    """
    index = folder / "index.csv"
    if not index.is_file():
        raise SourceError("the folder of stills has no index.csv; give the data set's own folder")
    try:
        with index.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError("index.csv of the stills cannot be read; save it as CSV in UTF-8") from error
    if not rows or not {"id", "patient", "split"} <= set(rows[0]):
        raise SourceError("index.csv must have rows and the columns id, patient and split; add them")
    sides: dict[str, str] = {}
    for row in rows:
        if sides.setdefault(row["patient"], row["split"]) != row["split"]:
            raise SourceError("a patient's stills are in two splits; split the data by patient")
    records = [
        StillRecord(
            row["id"],
            row["patient"],
            row["split"],
            _find(folder / "images", row["id"]),
            _find(folder / "masks", row["id"]),
        )
        for row in rows
        if split is None or row["split"] == split
    ]
    if not records:
        raise SourceError(
            f"the stills have no split named {split!r}; name one of {', '.join(sorted(set(sides.values())))}"
        )
    return records


def read_still(record: StillRecord, without_marks: bool = True) -> Still:
    """Read one still.

    Parameters
    ----------
    record : StillRecord
    without_marks : bool
        Paint callipers, text and device marks over with their surroundings.

    Raises
    ------
    SourceError
        When a file cannot be decoded, or image and mask differ in size.
    """
    image = cv2.imread(str(record.image), cv2.IMREAD_GRAYSCALE)
    mask = cv2.imread(str(record.mask), cv2.IMREAD_GRAYSCALE)
    if image is None or mask is None or image.shape != mask.shape:
        raise SourceError("a still or its mask cannot be read, or their sizes differ; repair the data set")
    pixels = image.astype(np.uint8, copy=False)
    return Still(remove_marks(pixels) if without_marks else pixels, mask > 0)


def find_marks(image: NDArray[np.uint8]) -> Mask:
    """Find overlays: thin strokes much brighter than their surroundings and nearly white.

    Callipers, letters and rulers are drawn in one grey value of 180 to 255 with strokes of one to three pixels. Some
    bright specular echoes are found too; painting them over does no harm.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W)
    """
    padded = cv2.copyMakeBorder(image, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=0)  # letters are cut by the edge too
    top_hat = cv2.morphologyEx(padded, cv2.MORPH_TOPHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    # against the wider surroundings too: letters lie close together, so that a top-hat alone misses their insides
    contrast = padded.astype(np.int16) - cv2.medianBlur(padded, 21)
    core = (top_hat > 70) & (contrast > 90) & (padded > 165)
    # the blurred rim of a stroke: bright pixels beside its core
    rim = cv2.dilate(core.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & (contrast > 35)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((core | rim).astype(np.uint8), connectivity=8)
    keep = np.zeros(count, bool)
    # single bright speckles are smaller
    keep[1:] = stats[1:, cv2.CC_STAT_AREA] >= 8
    marks = cv2.dilate(keep[labels].astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    found: Mask = marks[12:-12, 12:-12]
    return found


def remove_marks(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Paint overlays over with their surroundings.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W)
    """
    marks = find_marks(image)
    if not marks.any():
        return image.copy()
    painted: NDArray[np.uint8] = cv2.inpaint(image, marks.astype(np.uint8), 3, cv2.INPAINT_TELEA).astype(np.uint8)
    return painted
