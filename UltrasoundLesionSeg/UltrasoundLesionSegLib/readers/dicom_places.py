"""Frames that lie at different places in space are slices of a volume, or a sweep of a tracked probe."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.dicom_groups import items_of_frames

Place = tuple[float, ...]


def place_of(item: Dataset) -> Place:
    """Return Image Position (Patient) of an object, or of a frame's Plane Position, in mm; () without one."""
    return tuple(dicom_header.numbers(item, "ImagePositionPatient"))


def places_of_frames(header: Dataset) -> list[Place]:
    """Return the place of each frame of an object with functional groups (PS3.3 C.7.6.16.2.3)."""
    return [place_of(one) for one in items_of_frames(header, "PlanePositionSequence")]


def places_note(places: Sequence[Place]) -> tuple[str, ...]:
    """Return the sentence on frames of which no two lie at the same place, nothing where one has none."""
    if len(places) < 2 or len(set(places)) < len(places) or not all(places):
        return ()
    return ("The header puts each frame at another place in space: they may be slices of a volume and no cine.",)
