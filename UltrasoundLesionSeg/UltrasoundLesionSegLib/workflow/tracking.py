"""How the segments of a scene and the lesions in DICOM objects are told apart: by numbers that stay with a lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

from UltrasoundLesionSegLib.dicom.identifiers import tracked_lesion, tracking_uid
from UltrasoundLesionSegLib.mrml.segments import SegmentInfo

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.cine import SourceIdentity
    from UltrasoundLesionSegLib.dicom.segmentation_reader import ImportedSegment


def lesion_numbers(segments: Sequence[SegmentInfo]) -> list[int]:
    """Return the number of each segment: that of its ID, a free one for a segment that others made."""
    taken = {one.number for one in segments}
    free = (number for number in count(1) if number not in taken)
    return [one.number or next(free) for one in segments]


def distinct_lesions(names: Mapping[str, str]) -> dict[str, str]:
    """Return lesions' names by segment ID as they are, but with the ID behind a name that two lesions have."""
    called = list(names.values())
    return {segment: name if called.count(name) == 1 else f"{name} ({segment})" for segment, name in names.items()}


def numbers_by_lesion(segments: Sequence[SegmentInfo], names: Mapping[str, str]) -> dict[str, int]:
    """Return the number of each segment (`lesion_numbers`) by what its lesion is called (`distinct_lesions`)."""
    return {names[one.id]: number for one, number in zip(segments, lesion_numbers(segments), strict=True)}


def lesion_number(source: SourceIdentity, segment: ImportedSegment) -> int | None:
    """Return the number that a lesion had in the scene which a segment of a DICOM SEG was written from.

    None in files of other programs, and where it had another ID there.
    """
    number = tracked_lesion(segment.tracking_id)
    if number is None or segment.tracking_uid != tracking_uid(source, SegmentInfo.numbered(number).id):
        return None
    return number
