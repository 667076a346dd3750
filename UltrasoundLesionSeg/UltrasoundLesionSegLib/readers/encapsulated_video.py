"""MPEG-2, H.264 or HEVC inside DICOM -> `Cine`: the fragments joined are a video stream (PS3.5 8.2.5 to 8.2.12)."""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path

from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers import dicom_header, video
from UltrasoundLesionSegLib.readers.dicom_calibration import read_calibration
from UltrasoundLesionSegLib.readers.dicom_identity import identity_of
from UltrasoundLesionSegLib.readers.dicom_pixels import StoredFrames
from UltrasoundLesionSegLib.readers.dicom_timing import read_timing
from UltrasoundLesionSegLib.readers.digest import unreadable


def read_encapsulated_video(path: Path, header: Dataset, stored: StoredFrames) -> Cine:
    """Read the video stream of a DICOM object.

    OpenCV reads files only, so the stream is copied to a temporary file that goes when the cine does.

    Raises
    ------
    SourceError
        When the stream cannot be decoded or its frames are not of the size the header states.
    """
    copy = _temporary_copy(stored)
    try:
        index = video.index_video(copy)
        height, width = dicom_header.frame_size(header)
        if (index.height, index.width) != (height, width):
            raise SourceError(
                f"the DICOM header says frames of {height} x {width} pixels but its video has {index.height} x "
                f"{index.width}; export the cine again"
            )
        reader = video.VideoFrames(copy, index)
    except SourceError:
        _remove(copy)
        raise
    weakref.finalize(reader, _remove, copy)
    count, told = len(reader), dicom_header.told_frames(header)
    notes = []
    if told is not None and told != count:
        notes.append(f"The header says {told} frames but {count} could be decoded: these are used.")
    timing = read_timing(header, count)
    if timing is None:
        timing, timing_notes = video.video_timing(index)
        notes += timing_notes
    calibration = read_calibration(header)
    return Cine(
        reader,
        height,
        width,
        index.is_color,
        identity_of(path, header),
        calibration.whole,
        calibration.regions,
        timing,
        (*notes, *calibration.notes),
        calibration.pixel_aspect,
        calibration.other_regions,
    )


def _temporary_copy(stored: StoredFrames) -> Path:
    handle, name = tempfile.mkstemp(prefix="ultrasound-", suffix=".video")
    try:
        with os.fdopen(handle, "wb") as target:
            stored.copy_to(target)
    except OSError as error:
        _remove(Path(name))
        raise unreadable(error) from None
    return Path(name)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
