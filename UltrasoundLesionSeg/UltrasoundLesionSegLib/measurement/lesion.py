"""What is reported of one lesion over the whole cine."""

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
    """Mean, sample standard deviation (n - 1; nan for one value), smallest and largest of a quantity over the cine."""

    mean: float = NAN
    sd: float = NAN
    minimum: float = NAN
    maximum: float = NAN

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Describe values; nan among them is left out, and nothing but nan gives nan."""
        known = np.array([value for value in values if not np.isnan(value)], dtype=np.float64)
        if not len(known):
            return cls()
        sd = float(known.std(ddof=1)) if len(known) > 1 else NAN
        return cls(float(known.mean()), sd, float(known.min()), float(known.max()))

    @property
    def range(self) -> float:
        """Largest minus smallest, as their digits say: 2.4 - 2.1 is 0.3, not 0.2999999999999998."""
        return float(Decimal(repr(float(self.maximum))) - Decimal(repr(float(self.minimum))))


@dataclass(frozen=True)
class LesionSummary:
    """One lesion over the cine.

    Lengths in mm and areas in mm2 where ``is_calibrated``, else in pixels and pixels squared.
    Sizes are pooled over the frames where the lesion is visible. Where some of them are calibrated and others are not,
    only the calibrated ones are pooled: mm and pixels have no common mean. ``frames_left_out`` counts the others.

    Parameters
    ----------
    is_calibrated : bool
    frames_measured : int
        Frames there is a measurement of.
    frames_visible : int
        Those of them that show the lesion.
    frames_left_out : int
        Visible frames without calibration among calibrated ones; in no size below.
    frames_anchored : int
        Frames a person drew or confirmed.
    frames_cut : int
        Visible frames where the lesion reaches the image's border, so that its sizes are lower bounds.
    time_visible : float
        Time over which the lesion is visible, in s; each frame lasts until the next, the last as long as the median
        frame. nan without timing.
    largest_area_frame, largest_long_axis_frame : int or None
        Zero-based frame of the largest value, the first of equal ones; None when never visible.
    long_axis_there, perpendicular_axis_there : float
        Axes on the frame of largest long axis: the pair a sonographer would report.
    area, long_axis, perpendicular_axis, depth, width, depth_width_ratio : Spread
        Over the cine.
    confidence : Spread
        Of the masks that have one.
    note : str
        What the figures do not say, and which pixels lengths are in.
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
    """Pool the measurements of one lesion over a cine.

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
            f"{len(measurements)} measurements of {len(set(frames))} different frames (of {len(frames)} listed)"
        )
    visible = [(frame, one) for frame, one in zip(frames, measurements, strict=True) if one.is_visible]
    calibrated = [(frame, one) for frame, one in visible if one.is_calibrated]
    pooled = calibrated or visible
    by_area = max(pooled, key=lambda pair: (pair[1].area, -pair[0]), default=None)
    by_axis = max(pooled, key=lambda pair: (pair[1].long_axis, -pair[0]), default=None)
    return LesionSummary(
        # nothing visible has no length either way; it is labelled as its (empty) measurements are
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
    """Say which pixels lengths are in where their size is not known but their shape is."""
    aspects = {one.pixel_aspect for one in pooled if not one.is_calibrated} - {None, 1.0}
    return [shape_sentence(aspect) for aspect in sorted(one for one in aspects if one is not None)]


def shape_sentence(pixel_aspect: float) -> str:
    """Return the sentence on measures of pixels that are not square and of unknown size."""
    return (
        f"A pixel is {pixel_aspect:.4g} times as high as wide, which all measures of shape respect: lengths are in "
        "widths of a pixel, areas in squares of it."
    )


def time_on_screen(frames: Sequence[int], timing: Timing | None) -> float:
    """Sum of the durations of some frames in s; nan without timing or with a timing of one frame only.

    Parameters
    ----------
    frames : sequence of int
    timing : Timing or None
        A frame lasts until the next one begins; the last one as long as the median of the others.

    Raises
    ------
    ValueError
        When a frame lies beyond the timing.
    """
    if timing is None or len(timing.seconds) < 2:
        return NAN
    if frames and not 0 <= min(frames) <= max(frames) < len(timing.seconds):
        raise ValueError(f"frames {min(frames)} to {max(frames)} of a cine with {len(timing.seconds)} frame times")
    durations = np.diff(timing.seconds)
    durations = np.append(durations, np.median(durations))
    return float(durations[list(frames)].sum())
