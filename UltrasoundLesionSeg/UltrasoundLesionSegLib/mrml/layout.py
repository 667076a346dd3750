"""The names of the attributes, tags and references that this library leaves in a scene (described in Docs/mrml.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_PREFIX = "UltrasoundLesionSeg."

# --- attributes of the cine's sequence node; they survive .mrb and .seq.nrrd
CALIBRATION_KNOWN = _PREFIX + "CalibrationKnown"  # "true" or "false"; absent in sequences that others made
CALIBRATION_SOURCE = _PREFIX + "CalibrationSource"
CALIBRATION_NOTE = _PREFIX + "CalibrationNote"
CALIBRATION_REGIONS = _PREFIX + "CalibrationRegions"  # JSON list
OTHER_REGIONS = _PREFIX + "OtherRegions"  # JSON list of boxes that show something over time
PIXEL_ASPECT = _PREFIX + "PixelAspect"  # height of a pixel over its width; only where it is known
TIMING_SOURCE = _PREFIX + "TimingSource"
TIMING_APPROXIMATE = _PREFIX + "TimingApproximate"  # "true" or "false"
FRAME_TIMES = _PREFIX + "FrameTimes"  # seconds, blank-separated; only where the index cannot carry them
SOURCE_KIND = _PREFIX + "SourceKind"
SOURCE_DIGEST = _PREFIX + "SourceDigest"
SOURCE_PIXELS = _PREFIX + "SourcePixels"
NOTES = _PREFIX + "Notes"  # JSON list

# --- attributes of single frames' volumes
UNREADABLE = _PREFIX + "Unreadable"  # why this frame, shown black, could not be read
DICOM_INSTANCE_UIDS = "DICOM.instanceUIDs"  # Slicer's own name

# --- attributes of the segmentation's sequence node
ROLE = _PREFIX + "Role"
ROLE_LESIONS = "Lesions"
EFFORT = _PREFIX + "Effort"  # JSON: what a person did, absent before anything was
REMOVED_SEGMENTS = _PREFIX + "RemovedSegments"  # JSON list of IDs, none of which is given again

# --- attribute of each segmentation in it; Slicer copies it to the proxy, which so tells which frame it shows
INDEX_VALUE = _PREFIX + "IndexValue"

# --- tags of segments; they survive .seg.nrrd, .seq.mrb and .mrb
TAG_ORIGIN = _PREFIX + "Origin"
TAG_CONFIDENCE = _PREFIX + "Confidence"
TAG_PROVENANCE = _PREFIX + "Provenance"
TAG_BEFORE = _PREFIX + "Before"  # JSON: the mask and its state before a person drew on the frame
TAG_ALGORITHM_TYPE = "DICOM.SegmentAlgorithmType"  # Slicer's own names: its DICOM SEG export reads them
TAG_ALGORITHM_NAME = "DICOM.SegmentAlgorithmName"

# --- node references. They point from the smaller node to the browser, never the other way: a browser that is
# modified makes Slicer copy the stored frame over the proxies, and with it over what is being painted there.
BROWSER_REFERENCE = "ultrasoundLesionSegBrowser"
SOURCE_VOLUME_REFERENCE = "ultrasoundLesionSegVolume"
FRAME_TABLE, LESION_TABLE = "Measurements by frame", "Measurements by lesion"  # names of the two tables
CHART_FRAME = "Frame"  # column of the tables that charts are drawn from
TABLE_KEY = _PREFIX + "Table"
CHART_KEY = _PREFIX + "Chart"


@contextlib.contextmanager
def without_events(node: Any) -> Iterator[None]:
    """Change a node without telling anyone.

    Any "modified" of a sequence or browser node makes Slicer's Sequences logic copy the stored frame over every proxy
    of that browser: a stroke painted there and not yet stored would be lost.
    """
    was_disabled = node.GetDisableModifiedEvent()
    node.SetDisableModifiedEvent(1)
    try:
        yield
    finally:
        node.SetDisableModifiedEvent(was_disabled)


def chart_names(lesion: str) -> tuple[str, str]:
    """Return under which names the charts of a lesion are written: lengths and areas share no axis."""
    return f"{lesion}: long axis", f"{lesion}: area"
