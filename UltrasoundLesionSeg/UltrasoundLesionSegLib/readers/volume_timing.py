"""Frame times of volume files: time stamps of tracked sequences, index values of Slicer's, time steps of NIfTI."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence

import numpy as np

from UltrasoundLesionSegLib.cine import Timing
from UltrasoundLesionSegLib.readers.believed_times import Found, believed
from UltrasoundLesionSegLib.readers.volume_headers import VolumeHeader, find_frame_axes

_SECONDS_PER_UNIT = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3}
# vtkIGSIOMetaImageSequenceIO of IGSIO, which PLUS and Slicer's IGT modules write with
_TRACKED = re.compile(r"seq_frame(\d{1,9})_(timestamp|imagestatus)")

_NOTHING: Found = (None, ())


def volume_timing(header: VolumeHeader, count: int) -> Found:
    """Return the frame times by a volume's header, and notes on what is not believed.

    In this order: ``Seq_FrameNNNN_Timestamp`` of a tracked sequence, the time step of a NIfTI with a time axis, the
    index values of a .seq.nrrd.

    Parameters
    ----------
    header : VolumeHeader
    count : int
        Number of frames that are there.
    """
    for read in (_time_stamps, _time_step, _index_values):
        timing, notes = read(header, count)
        if timing is not None or notes:
            return timing, notes
    return _NOTHING


def frames_without_image(header: VolumeHeader) -> frozenset[int]:
    """Return the frames for which a tracked sequence holds no image: blank pixels keep their place."""
    return frozenset(
        int(match[1])
        for name, text in header.fields.items()
        if (match := _TRACKED.fullmatch(name)) and match[2] == "imagestatus" and text.strip().upper() == "INVALID"
    )


def _time_stamps(header: VolumeHeader, count: int) -> Found:
    stamps = {
        int(match[1]): text
        for name, text in header.fields.items()
        if (match := _TRACKED.fullmatch(name)) and match[2] == "timestamp"
    }
    if not stamps:
        return _NOTHING
    return _increasing([stamps.get(frame, "") for frame in range(count)], 1.0, "time stamps of the tracked sequence")


def _time_step(header: VolumeHeader, count: int) -> Found:
    step = float(header.fields.get("seconds per frame", "nan"))
    if not 0 < step < math.inf:
        return _NOTHING
    if step == 1.0:
        return None, ("The volume's header says 1 s a frame, which is what is written for unknown: it is not used.",)
    return believed(Timing(np.arange(count, dtype=np.float64) * step, "time step of the volume file"))


def _index_values(header: VolumeHeader, count: int) -> Found:
    written = next((text for name, text in header.fields.items() if re.fullmatch(r"axis \d+ index values", name)), "")
    axes = find_frame_axes(header.axes)
    units = re.findall(r'"([^"]*)"', header.fields.get("units", ""))
    if axes.frame is None or len(units) <= axes.frame or units[axes.frame].strip().lower() not in _SECONDS_PER_UNIT:
        return _NOTHING
    scale = _SECONDS_PER_UNIT[units[axes.frame].strip().lower()]
    values = written.split()[:count]
    step = header.axes[axes.frame].spacing * scale
    if not values and 0 < step < math.inf and step != 1.0:
        return believed(Timing(np.arange(count, dtype=np.float64) * step, "time step of the volume file"))
    return _increasing(values, scale, "index values of the sequence") if len(values) == count else _NOTHING


def _increasing(texts: Sequence[str], scale: float, source: str) -> Found:
    """Return times given one by one; unknown, with a note, where one is missing or they do not go forward."""
    try:
        times = [float(one) for one in texts]
    except ValueError:
        times = []
    if len(times) < 2:
        return _NOTHING if len(texts) < 2 else (None, (f"Frame times are unknown: some of the {source} are missing.",))
    if not all(one < after for one, after in itertools.pairwise(times)) or not math.isfinite(times[-1] - times[0]):
        return None, (f"Frame times are unknown: the {source} do not go forward from frame to frame.",)
    return believed(Timing(np.array([(one - times[0]) * scale for one in times], dtype=np.float64), source))
