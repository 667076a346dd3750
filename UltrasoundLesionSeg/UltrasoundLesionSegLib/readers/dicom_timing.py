"""When each frame of a multi-frame DICOM object was taken."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import Timing
from UltrasoundLesionSegLib.readers import dicom_header

_RATES = ("CineRate", "RecommendedDisplayFrameRate")


def read_timing(header: Dataset, count: int) -> Timing | None:
    """Return the times of ``count`` frames, None when the header does not tell.

    In this order: FrameTimeVector, FrameTime, CineRate, RecommendedDisplayFrameRate, EffectiveDuration divided by the
    frames (PS3.3 C.7.6.5 and C.8.5.4). The last three are approximate: they say how fast the cine is to be shown.

    Parameters
    ----------
    header : Dataset
    count : int
        The frames that are there, at most as many as the header states.
    """
    told = dicom_header.told_frames(header) or count
    milliseconds = dicom_header.numbers(header, "FrameTimeVector")
    # the vector holds the time from the frame before, the first value being 0 or meaningless
    if len(milliseconds) == told >= count and min(milliseconds) >= 0 and sum(milliseconds[1:]) > 0:
        steps = np.array([0.0, *milliseconds[1:count]])
        return Timing(np.cumsum(steps) / 1000, "FrameTimeVector")
    if (step := dicom_header.number(header, "FrameTime") or 0.0) > 0:
        return Timing(np.arange(count) * step / 1000, "FrameTime")
    for keyword in _RATES:
        if (rate := dicom_header.number(header, keyword) or 0.0) > 0:
            return Timing(np.arange(count) / rate, keyword, approximate=True)
    if count > 1 and (seconds := dicom_header.number(header, "EffectiveDuration") or 0.0) > 0:
        return Timing(np.arange(count) * seconds / told, "EffectiveDuration", approximate=True)
    return None
