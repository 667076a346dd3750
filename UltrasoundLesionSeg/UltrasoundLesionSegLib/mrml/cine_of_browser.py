"""The cine that a sequence browser holds, also of a browser that another module made."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import Any

import numpy as np

from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration, Cine, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import FrameError, SceneError
from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.mrml.frames import SequenceFrames

IMAGES_GONE = "the cine's images were deleted from the scene, and its lesions alone are left; load the cine again"
_SECONDS_PER_UNIT = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6}


def cine_from_browser(browser: Any) -> Cine:
    """Give the cine of a browser's master sequence. Frames stay in the sequence and are read when asked for.

    Sequences that Slicer or other modules made are read as well: a spacing of exactly 1 x 1 mm counts as unknown, any
    other as a calibration that comes with the scene; frame times are taken from an index named "time".

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode

    Raises
    ------
    SceneError
        When the browser has no sequence, or its items are not 2-D images of one size.
    """
    sequence = master_sequence(browser)
    frames = SequenceFrames(sequence)
    timing = _timing(sequence)
    return Cine(
        frames,
        frames.height,
        frames.width,
        frames.is_color,
        _identity(sequence, frames),
        _calibration(sequence),
        _regions(sequence),
        timing,
        tuple(json.loads(sequence.GetAttribute(layout.NOTES) or "[]")),
        _pixel_aspect(sequence),
        tuple(tuple(box) for box in json.loads(sequence.GetAttribute(layout.OTHER_REGIONS) or "[]")),
    )


def master_sequence(browser: Any) -> Any:
    """Return the vtkMRMLSequenceNode that a browser plays.

    Raises
    ------
    SceneError
        When there is no browser, or it is no longer in the scene, or has no sequence with items.
    """
    if browser is None or not browser.IsA("vtkMRMLSequenceBrowserNode"):
        raise SceneError("there is no cine: choose a sequence browser or load a cine")
    sequence = browser.GetMasterSequenceNode() if browser.GetScene() is not None else None
    # when someone deletes the cine's sequence, the next one in the browser moves up: that may be our segmentations
    if sequence is not None and sequence.GetAttribute(layout.ROLE) == layout.ROLE_LESIONS:
        raise SceneError(IMAGES_GONE)
    if sequence is None or sequence.GetNumberOfDataNodes() < 1:
        raise SceneError("the sequence browser has no frames; choose another or load a cine")
    return sequence


def _calibration(sequence: Any) -> Calibration | None:
    known = sequence.GetAttribute(layout.CALIBRATION_KNOWN)
    column_mm, row_mm, _ = sequence.GetNthDataNode(0).GetSpacing()
    if known == "false" or (known is None and row_mm == column_mm == 1.0):
        return None
    source = sequence.GetAttribute(layout.CALIBRATION_SOURCE) or "spacing of the volumes in the scene"
    return Calibration(row_mm, column_mm, source, sequence.GetAttribute(layout.CALIBRATION_NOTE) or "")


def _regions(sequence: Any) -> tuple[CalibratedRegion, ...]:
    return tuple(
        CalibratedRegion(tuple(one.pop("box")), Calibration(**one))
        for one in json.loads(sequence.GetAttribute(layout.CALIBRATION_REGIONS) or "[]")
    )


def _pixel_aspect(sequence: Any) -> float | None:
    written = sequence.GetAttribute(layout.PIXEL_ASPECT)
    return float(written) if written else None


def _timing(sequence: Any) -> Timing | None:
    """Return the frame times from our attribute or from the index, None when neither holds increasing times."""
    listed = sequence.GetAttribute(layout.FRAME_TIMES)
    unit = _SECONDS_PER_UNIT.get(sequence.GetIndexUnit().strip().lower())
    if listed is None and (unit is None or sequence.GetIndexName().strip().lower() != "time"):
        return None
    count = sequence.GetNumberOfDataNodes()
    texts = listed.split() if listed is not None else [sequence.GetNthIndexValue(frame) for frame in range(count)]
    try:
        seconds = [float(text) * (1.0 if listed is not None else unit or 1.0) for text in texts]
    except ValueError:
        return None
    if len(seconds) != count or not np.isfinite(seconds).all() or any(later < one for one, later in pairwise(seconds)):
        return None
    source = sequence.GetAttribute(layout.TIMING_SOURCE) or "time index of the sequence in the scene"
    approximate = sequence.GetAttribute(layout.TIMING_APPROXIMATE) == "true"
    return Timing(np.asarray(seconds, np.float64) - seconds[0], source, approximate)


def _identity(sequence: Any, frames: SequenceFrames) -> SourceIdentity:
    digest = sequence.GetAttribute(layout.SOURCE_DIGEST)
    if not digest:
        digest = _digest(frames)
        with layout.without_events(sequence):
            # kept, so that the frames are hashed once and not at every call
            sequence.SetAttribute(layout.SOURCE_DIGEST, digest)
    kind = sequence.GetAttribute(layout.SOURCE_KIND) or SourceKind.SCENE.value
    pixels = sequence.GetAttribute(layout.SOURCE_PIXELS) or ""
    return SourceIdentity(SourceKind(kind), digest, _instance_uids(sequence), pixels=pixels)


def _digest(frames: SequenceFrames) -> str:
    """SHA-256 over the frames in order; an unreadable frame counts as its number."""
    digest = hashlib.sha256()
    for index in range(len(frames)):
        try:
            digest.update(np.ascontiguousarray(frames[index]))
        except FrameError:
            digest.update(str(index).encode())
    return digest.hexdigest()


def _instance_uids(sequence: Any) -> tuple[str, ...]:
    """Return one UID for a multi-frame object, one a frame for a series, none where the scene does not say."""
    nodes = map(sequence.GetNthDataNode, range(sequence.GetNumberOfDataNodes()))
    uids = [(node.GetAttribute(layout.DICOM_INSTANCE_UIDS) or "").strip() for node in nodes]
    if not all(uids):
        return ()
    return (uids[0],) if len(set(uids)) == 1 else tuple(uids)
