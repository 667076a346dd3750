"""Functional groups of enhanced DICOM objects (PS3.3 C.7.6.16): what holds for all frames, and what for each."""

from __future__ import annotations

from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.readers import dicom_header


def items_of_frames(header: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a functional group: one where it is shared, else one a frame.

    Parameters
    ----------
    header : Dataset
    keyword : str
        The group's sequence, e.g. ``PixelMeasuresSequence``.

    Returns
    -------
    list of Dataset
        [] when the object does not have the group, or not for every frame it describes.
    """
    for shared in dicom_header.items(header, "SharedFunctionalGroupsSequence"):
        if found := dicom_header.items(shared, keyword):
            return found[:1]
    per_frame = dicom_header.items(header, "PerFrameFunctionalGroupsSequence")
    found = [one[0] for group in per_frame if (one := dicom_header.items(group, keyword))]
    return found if len(found) == len(per_frame) else []
