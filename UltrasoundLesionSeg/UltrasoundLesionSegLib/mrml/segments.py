"""Segments of a segmentation: what they are called, and the tags that say who made their mask on a frame."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import slicer
import vtk

from UltrasoundLesionSegLib.cine import Mask, Origin
from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.readers.lesion_names import tidied

# Category and type as Slicer serialises them: SCT codes of DICOM's breast imaging context groups. No anatomic region,
# because a cine may show any organ; a person who names one in Slicer changes this text.
MASS_TERMINOLOGY = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^"
    "~Anatomic codes - DICOM master list~^^~^^"
)
# what scenes of earlier versions have where nobody chose an organ, and what Slicer writes when a person chooses breast
BREAST_MASS_TERMINOLOGY = MASS_TERMINOLOGY.replace("list~^^", "list~SCT^76752008^Breast")

# Told apart on grey ultrasound and by people who cannot tell red from green (Okabe and Ito's palette)
_COLORS = (
    (0.90, 0.62, 0.0),
    (0.34, 0.71, 0.91),
    (0.0, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.80, 0.47, 0.65),
    (0.84, 0.37, 0.0),
)

# DICOM SEG's Segment Algorithm Type (0062,0008) by who made the mask
_ALGORITHM_TYPES = {
    Origin.MANUAL: "MANUAL",
    Origin.CONFIRMED: "SEMIAUTOMATIC",
    Origin.EDITED: "SEMIAUTOMATIC",
    Origin.SUGGESTED: "AUTOMATIC",
    Origin.SIMULATED: "AUTOMATIC",
    Origin.MODEL: "AUTOMATIC",
}
_SAFE = " :;,=/+@"  # .seg.nrrd separates tags by "|" and keeps them in one header line
# Slicer's DICOM SEG export refuses a segment without a name of its algorithm
_ALGORITHM_NAME = "UltrasoundLesionSeg"


@dataclass(frozen=True)
class SegmentInfo:
    """A lesion's segment, the same on all frames.

    Parameters
    ----------
    id : str
        Identifies the segment in all data nodes, never changes, and is not given again when the segment was removed.
    name : str
    color : tuple of float
        Red, green, blue in [0, 1].
    terminology : str
        Slicer's serialised terminology entry.

    Raises
    ------
    SceneError
        When the id or the name is empty.
    """

    id: str
    name: str
    color: tuple[float, float, float] = _COLORS[0]
    terminology: str = MASS_TERMINOLOGY

    def __post_init__(self) -> None:
        if not self.id.strip() or not self.name.strip():
            raise SceneError("a segment's id and name must not be empty; give it both")

    @classmethod
    def numbered(cls, number: int, name: str | None = None) -> SegmentInfo:
        """Make the lesion with this number, counted from 1, in the next colour of the palette."""
        return cls(f"lesion-{number}", name or f"Lesion {number}", _COLORS[(number - 1) % len(_COLORS)])

    @property
    def number(self) -> int | None:
        """The number that ``numbered`` gave it; None for a segment that others made."""
        found = re.fullmatch(r"lesion-([1-9][0-9]*)", self.id)
        return int(found[1]) if found else None


@dataclass(frozen=True)
class SegmentState:
    """Who made a segment's mask on one frame.

    Parameters
    ----------
    origin : Origin or None
        None where nothing has been drawn or computed.
    confidence : float
        0 to 1; nan where no model gave one.
    provenance : str
        Not read in this package: the workflow writes which model, anchors and stretch a mask came from.
    """

    origin: Origin | None = None
    confidence: float = math.nan
    provenance: str = ""


def info_of(segmentation: Any, segment_id: str) -> SegmentInfo:
    """Read a segment's description from a vtkSegmentation."""
    segment = segmentation.GetSegment(segment_id)
    return SegmentInfo(
        segment_id,
        (segment.GetName() or "").strip() or segment_id,
        tuple(segment.GetColor()),
        get_tag(segment, _terminology_tag()) or "",
    )


def apply_info(segment: Any, info: SegmentInfo) -> None:
    """Give a vtkSegment this name, colour and terminology."""
    # a line break would end the segment's header line in .seg.nrrd
    segment.SetName(tidied(info.name))
    segment.SetColor(*info.color)
    segment.SetTag(_terminology_tag(), info.terminology)


def new_segment(info: SegmentInfo) -> Any:
    """Make a vtkSegment with this description and nothing drawn."""
    segment = slicer.vtkSegment()
    apply_info(segment, info)
    write_state(segment, SegmentState())
    return segment


def segment_ids(segmentation: Any) -> list[str]:
    """Return the ids of a vtkSegmentation's segments in order."""
    return [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]


def read_state(segment: Any) -> SegmentState:
    """Read a segment's tags; a segment that others made, or None, has none."""
    if segment is None:
        return SegmentState()
    return SegmentState(
        read_origin(segment), read_confidence(segment), unquote(get_tag(segment, layout.TAG_PROVENANCE) or "")
    )


def read_origin(segment: Any) -> Origin | None:
    """Read who made the mask, None where nobody did."""
    text = get_tag(segment, layout.TAG_ORIGIN)
    return Origin(text) if text in _ORIGIN_VALUES else None


def read_confidence(segment: Any) -> float:
    """Read the confidence, nan where none was written."""
    text = get_tag(segment, layout.TAG_CONFIDENCE)
    return float(text) if text else math.nan


def write_state(segment: Any, state: SegmentState) -> None:
    """Write a segment's tags, those that Slicer's DICOM export reads included."""
    _set_tag(segment, layout.TAG_ORIGIN, state.origin.value if state.origin is not None else "")
    # 9 digits bring a float32 back exactly
    _set_tag(segment, layout.TAG_CONFIDENCE, "" if math.isnan(state.confidence) else f"{state.confidence:.9g}")
    _set_tag(segment, layout.TAG_PROVENANCE, quote(state.provenance, safe=_SAFE))
    segment.SetTag(layout.TAG_ALGORITHM_TYPE, _ALGORITHM_TYPES[state.origin or Origin.MANUAL])
    segment.SetTag(layout.TAG_ALGORITHM_NAME, _ALGORITHM_NAME)


def write_before(segment: Any, mask: Mask, state: SegmentState) -> None:
    """Keep the digest of a mask, bool (H, W), and its state in the segment, before a person's drawing replaces them."""
    confidence = None if math.isnan(state.confidence) else state.confidence
    origin = state.origin.value if state.origin is not None else ""
    kept = {"mask": _digest(mask), "origin": origin, "confidence": confidence, "provenance": state.provenance}
    _set_tag(segment, layout.TAG_BEFORE, quote(json.dumps(kept), safe=_SAFE))


def read_before(segment: Any, mask: Mask) -> SegmentState | None:
    """Return the state kept with this mask, bool (H, W); None where there is none, or it is of another mask."""
    text = get_tag(segment, layout.TAG_BEFORE) if segment is not None else None
    try:
        kept = json.loads(unquote(text or ""))
        if kept["mask"] != _digest(mask):
            return None
        confidence = math.nan if kept["confidence"] is None else float(kept["confidence"])
        return SegmentState(Origin(kept["origin"]) if kept["origin"] else None, confidence, str(kept["provenance"]))
    except (ValueError, KeyError, TypeError):  # a scene edited by hand: a drawing must be stored all the same
        return None


def forget_before(segment: Any) -> None:
    """Remember no earlier mask."""
    _set_tag(segment, layout.TAG_BEFORE, "")


def _digest(mask: Mask) -> str:
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()[:16]


def get_tag(segment: Any, tag: str) -> str | None:
    """Read one tag of a vtkSegment, None where it is not set."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(tag, value) else None


def _set_tag(segment: Any, tag: str, value: str) -> None:
    if value:
        segment.SetTag(tag, value)
    else:
        segment.RemoveTag(tag)


def _terminology_tag() -> str:
    return str(slicer.vtkSegment.GetTerminologyEntryTagName())


_ORIGIN_VALUES = frozenset(origin.value for origin in Origin)
