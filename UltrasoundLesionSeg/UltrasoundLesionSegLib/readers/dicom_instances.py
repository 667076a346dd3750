"""The single images among the DICOM files of a folder: what is kept of each, and its picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import Frame
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import dicom_header, dicom_pixels, frames
from UltrasoundLesionSegLib.readers.dicom_calibration import KnownCalibration, read_calibration
from UltrasoundLesionSegLib.readers.dicom_decode import FrameDecoder
from UltrasoundLesionSegLib.readers.dicom_levels import Levels
from UltrasoundLesionSegLib.readers.dicom_multiframe import decode_stored
from UltrasoundLesionSegLib.readers.dicom_order import TIMES, Moment, read_moment
from UltrasoundLesionSegLib.readers.dicom_places import Place, place_of
from UltrasoundLesionSegLib.readers.digest import file_digest

_COMPARED_PAIRS = 48
SIZE = ("Rows", "Columns")
VIEWS = ("ViewNumber", "ViewName", "StageNumber", "AcquisitionNumber", "ImageType")
"""Elements that are the same in all frames of a cine, or (acquisitions) different in each."""


@dataclass(frozen=True)
class Instance:
    """What is kept of one file of a folder; ``position`` is its place in the folder by name."""

    path: Path
    position: int
    group: tuple[str, ...]
    uid: str
    is_multiframe: bool
    notes: tuple[str, ...]
    moment: Moment
    calibration: KnownCalibration
    frame_time: float | None = None
    place: Place = ()
    views: tuple[str, ...] = ()


def decode_instance(path: Path, index: int, levels: Levels | None = None) -> Frame:
    """Return the picture of a single-frame file; raise ``FrameError`` for frame ``index`` when it cannot be read."""
    try:
        header, stored = dicom_pixels.read_object(path)
        return decode_stored(stored, FrameDecoder(header, stored.vr, levels), 0)
    except FrameError as error:
        raise FrameError(index, error.reason) from None
    except SourceError as error:
        raise FrameError(index, str(error)) from None


def read_instances(paths: Sequence[Path]) -> tuple[list[Instance], int]:
    """Return the images among the files, and how many files hold none or have a damaged header."""
    instances, without_image = [], 0
    for position, path in enumerate(paths):
        try:
            header, count, notes = dicom_pixels.look_at_object(path)
        except SourceError:
            without_image += 1
            continue
        instances.append(_instance(path, position, header, count, notes))
    return instances, without_image


def without_copies(instances: list[Instance]) -> tuple[list[Instance], int]:
    """Return the instances without those that are another once more, and how many these were.

    A copy has the UID, the number and the times of another. A UID alone is no proof: some anonymisers write the same
    into every file; where there is no number and no time either, the whole file must be equal.
    """
    seen: set[tuple[object, ...]] = set()
    kept = []
    for one in instances:
        moment = one.moment
        said = (moment.number, *sorted(moment.times.items()), *sorted(moment.places.items()))
        key = (one.uid, *(said if said != (None,) else (file_digest(one.path),)))
        if not one.uid or key not in seen:
            kept.append(one)
        seen.add(key)
    return kept, len(instances) - len(kept)


def _instance(path: Path, position: int, header: Dataset, count: int, notes: tuple[str, ...]) -> Instance:
    group_keywords = ("StudyInstanceUID", "SeriesInstanceUID", *SIZE)
    return Instance(
        path,
        position,
        tuple(dicom_header.text(header, keyword) for keyword in group_keywords),
        dicom_header.text(header, "SOPInstanceUID"),
        count > 1,
        notes,
        read_moment(header),
        read_calibration(header),
        dicom_header.number(header, "FrameTime"),
        place_of(header),
        tuple(dicom_header.text(header, keyword) for keyword in VIEWS),
    )


def clocks(series: Sequence[Instance]) -> list[list[float]]:
    """Return the images' times by each of `TIMES`, nan where one is missing."""
    return [[one.moment.times.get(keyword, math.nan) for one in series] for keyword in TIMES]


def mean_changes(orders: Sequence[Sequence[Instance]]) -> list[float]:
    """Return, for each order of the same files, how much a frame differs from the next: levels, mean over the pixels.

    The same number of neighbours is compared in every order, spread over it, on pictures reduced to 64 x 64.
    """
    small: dict[Path, np.ndarray | None] = {}

    def thumbnail(path: Path) -> np.ndarray | None:
        if path not in small:
            try:
                picture = frames.to_grey(decode_instance(path, 0))
                small[path] = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).astype(np.int16)
            except FrameError:
                small[path] = None
        return small[path]

    changes = []
    for order in orders:
        firsts = frames.sampled_indices(len(order) - 1, _COMPARED_PAIRS)
        pairs = [(thumbnail(order[first].path), thumbnail(order[first + 1].path)) for first in firsts]
        known = [float(np.abs(one - other).mean()) for one, other in pairs if one is not None and other is not None]
        changes.append(float(np.mean(known)) if known else 0.0)
    return changes
