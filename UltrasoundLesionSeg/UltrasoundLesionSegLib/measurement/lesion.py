"""The summary of one lesion over the whole cine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from UltrasoundLesionSegLib.cine import Timing
from UltrasoundLesionSegLib.measurement.frame import FrameMeasurement
from UltrasoundLesionSegLib.measurement.shape import NAN

THIRD_DIMENSION = "One cine shows two dimensions: the third, and a volume, need a cine at a right angle to this one."


@dataclass(frozen=True)
class Spread:
    """How a quantity varies over the cine; nan throughout where it was never measured.

    Parameters
    ----------
    mean : float
    sd : float
        Sample standard deviation (n - 1); nan for one value.
    minimum, maximum : float
    """

    mean: float = NAN
    sd: float = NAN
    minimum: float = NAN
    maximum: float = NAN

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of values; those that are nan are left out."""
        known = np.array([value for value in values if not np.isnan(value)], dtype=np.float64)
        if not len(known):
            return cls()
        sd = float(known.std(ddof=1)) if len(known) > 1 else NAN
        return cls(float(known.mean()), sd, float(known.min()), float(known.max()))

    @property
    def range(self) -> float:
        """Largest minus smallest value, computed in decimal numbers: 2.4 - 2.1 is 0.3, not 0.2999999999999998."""
        return float(Decimal(repr(float(self.maximum))) - Decimal(repr(float(self.minimum))))


@dataclass(frozen=True)
class LesionSummary:
    """One lesion over the cine.

    Lengths are in mm and areas in mm2 where ``is_calibrated``, otherwise in pixels and pixels squared.
    Sizes are pooled over the frames on which the lesion is visible. Where only some of these are calibrated, only they
    are pooled, because mm and pixels have no common mean; ``frames_left_out`` counts the others.

    Parameters
    ----------
    is_calibrated : bool
    frames_measured : int
        Frames with a measurement.
    frames_visible : int
        Measured frames that show the lesion.
    frames_left_out : int
        Visible frames without calibration, where others are calibrated; they count in no size below.
    frames_anchored : int
        Frames that a person drew or confirmed.
    frames_cut : int
        Visible frames on which the lesion reaches the image's border, so that its sizes are lower bounds.
    time_visible : float
        Time for which the lesion is visible, in s (``time_on_screen``); nan without timing.
    largest_area_frame, largest_long_axis_frame : int or None
        Zero-based frame of the largest value, the first of equal ones; None where the lesion is never visible.
    long_axis_there, perpendicular_axis_there : float
        Axes on ``largest_long_axis_frame``: the pair that a sonographer would report.
    area, long_axis, perpendicular_axis, depth, width, depth_width_ratio : Spread
        Over the cine.
    confidence : Spread
        Of the masks that have one.
    note : str
        What the figures do not tell, and what a length in pixels means.
    """

    is_calibrated: bool
    frames_measured: int
    frames_visible: int
    frames_left_out: int
    frames_anchored: int
    frames_cut: int
    time_visible: float
    largest_area_frame: int | None
    largest_long_axis_frame: int | None
    long_axis_there: float
    perpendicular_axis_there: float
    area: Spread
    long_axis: Spread
    perpendicular_axis: Spread
    depth: Spread
    width: Spread
    depth_width_ratio: Spread
    confidence: Spread
    note: str = THIRD_DIMENSION


def summarize_lesion(
    measurements: Sequence[FrameMeasurement],
    frames: Sequence[int],
    timing: Timing | None = None,
    further_notes: Sequence[str] = (),
) -> LesionSummary:
    """Return the summary of one lesion's measurements over a cine.

    Parameters
    ----------
    measurements : sequence of FrameMeasurement
        One for each measured frame.
    frames : sequence of int
        Their zero-based frames, in the same order.
    timing : Timing or None
        Of the whole cine.
    further_notes : sequence of str
        Sentences to add to the note.

    Returns
    -------
    LesionSummary

    Raises
    ------
    ValueError
        When there are not as many frames as measurements, or a frame is listed twice or lies beyond the timing.
    """
    if len(measurements) != len(frames) or len(set(frames)) != len(frames):
        raise ValueError(
            f"{len(measurements)} measurements need a frame each; {len(frames)} frames are listed, "
            f"{len(set(frames))} different ones"
        )
    visible = [(frame, one) for frame, one in zip(frames, measurements, strict=True) if one.is_visible]
    calibrated = [(frame, one) for frame, one in visible if one.is_calibrated]
    pooled = calibrated or visible
    by_area = max(pooled, key=lambda pair: (pair[1].area, -pair[0]), default=None)
    by_axis = max(pooled, key=lambda pair: (pair[1].long_axis, -pair[0]), default=None)
    return LesionSummary(
        # a lesion that is never visible has no lengths; their unit is then that of its empty measurements
        is_calibrated=bool(calibrated) or (not visible and any(one.is_calibrated for one in measurements)),
        frames_measured=len(frames),
        frames_visible=len(visible),
        frames_left_out=len(visible) - len(pooled),
        frames_anchored=sum(one.is_anchor for one in measurements),
        frames_cut=sum(one.touches_border for _, one in visible),
        time_visible=time_on_screen([frame for frame, _ in visible], timing),
        largest_area_frame=by_area[0] if by_area else None,
        largest_long_axis_frame=by_axis[0] if by_axis else None,
        long_axis_there=by_axis[1].long_axis if by_axis else NAN,
        perpendicular_axis_there=by_axis[1].perpendicular_axis if by_axis else NAN,
        area=Spread.of(one.area for _, one in pooled),
        long_axis=Spread.of(one.long_axis for _, one in pooled),
        perpendicular_axis=Spread.of(one.perpendicular_axis for _, one in pooled),
        depth=Spread.of(one.depth for _, one in pooled),
        width=Spread.of(one.width for _, one in pooled),
        depth_width_ratio=Spread.of(one.depth_width_ratio for _, one in visible),
        confidence=Spread.of(one.confidence for one in measurements),
        note=" ".join([THIRD_DIMENSION, *_shape_notes([one for _, one in pooled]), *further_notes]),
    )


def _shape_notes(pooled: Sequence[FrameMeasurement]) -> list[str]:
    """Return a sentence for each shape of pixels whose shape is known but not their size, unless they are square."""
    aspects = {one.pixel_aspect for one in pooled if not one.is_calibrated} - {None, 1.0}
    return [shape_sentence(aspect) for aspect in sorted(one for one in aspects if one is not None)]


def shape_sentence(pixel_aspect: float) -> str:
    """Return the sentence on measurements in pixels that are not square.

    Parameters
    ----------
    pixel_aspect : float
        Height of a pixel divided by its width.
    """
    return (
        f"A pixel is {pixel_aspect:.4g} times as high as wide, which all measures of shape respect: lengths are in "
        "widths of a pixel, areas in squares of it."
    )


def time_on_screen(frames: Sequence[int], timing: Timing | None) -> float:
    """Return the sum of the durations of some frames.

    A frame lasts until the next one begins, and the last one as long as the median of the others.

    Parameters
    ----------
    frames : sequence of int
        Zero-based.
    timing : Timing or None
        Of the whole cine.

    Returns
    -------
    float
        In s; nan without timing, or where it has one frame only.

    Raises
    ------
    ValueError
        When a frame lies beyond the timing.
    """
    if timing is None or len(timing.seconds) < 2:
        return NAN
    if frames and not 0 <= min(frames) <= max(frames) < len(timing.seconds):
        raise ValueError(
            f"frames {min(frames)} to {max(frames)} are not all in the cine; it has {len(timing.seconds)} frame times"
        )
    durations = np.diff(timing.seconds)
    durations = np.append(durations, np.median(durations))
    return float(durations[list(frames)].sum())
