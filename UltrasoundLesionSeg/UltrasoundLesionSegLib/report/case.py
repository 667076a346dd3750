"""The contents of a report: a cine, the masks and measurements of its lesions, and their origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np

from UltrasoundLesionSegLib.cine import Calibration, Cine, Frame, Origin
from UltrasoundLesionSegLib.errors import FrameError, OutputError
from UltrasoundLesionSegLib.measurement.columns import FrameRow, LesionRow
from UltrasoundLesionSegLib.measurement.frame import FrameMeasurement
from UltrasoundLesionSegLib.measurement.lesion import LesionSummary
from UltrasoundLesionSegLib.writers.masks import MaskReader

Colour = tuple[int, int, int]

DISCLAIMER = "Not for diagnosis. This software is not a medical device."


@dataclass(frozen=True)
class LesionReport:
    """One lesion over the cine.

    Parameters
    ----------
    name : str
        As the person called it.
    colour : tuple of int
        RGB, 0 to 255.
    frames : tuple of int
        Zero-based frames that were measured, ascending.
    measurements : tuple of FrameMeasurement
        One for each of ``frames``.
    summary : LesionSummary
        Of the same measurements.

    Raises
    ------
    ValueError
        When there are not as many frames as measurements.
    """

    name: str
    colour: Colour
    frames: tuple[int, ...]
    measurements: tuple[FrameMeasurement, ...]
    summary: LesionSummary

    def __post_init__(self) -> None:
        if len(self.frames) != len(self.measurements):
            raise ValueError(f"{len(self.measurements)} measurements of {len(self.frames)} frames")

    @cached_property
    def by_frame(self) -> dict[int, FrameMeasurement]:
        """Measurements by frame."""
        return dict(zip(self.frames, self.measurements, strict=True))

    @property
    def origins(self) -> Counter[Origin]:
        """How many measured frames have a mask of each origin."""
        return Counter(one.origin for one in self.measurements if one.origin is not None)

    @property
    def anchors(self) -> list[int]:
        """Frames a person drew, edited or confirmed."""
        return [frame for frame, one in self.by_frame.items() if one.is_anchor]

    @property
    def starts(self) -> list[int]:
        """Frames that masks were propagated from: seeds, a person's or not, and the other anchors."""
        return [frame for frame, one in self.by_frame.items() if one.origin is not None and one.origin.is_anchor]


@dataclass(frozen=True)
class ModelRecord:
    """The model that made the masks.

    Parameters
    ----------
    name, version : str
    sha256 : str
        Of its weights, in hex; '' where unknown.
    """

    name: str
    version: str
    sha256: str = ""


@dataclass(frozen=True)
class CaseReport:
    """One cine with its results, as the writers of this package take it.

    Parameters
    ----------
    cine : Cine
    masks : MaskReader
        Takes a frame, returns bool (K, H, W) in the order of ``lesions``.
    lesions : tuple of LesionReport
    model : ModelRecord or None
        None where a person drew everything, or the masks came from elsewhere.
    suggesters : tuple of ModelRecord
        The models that suggested seeds.
    software : mapping of str to str
        Programs and libraries with their versions, this one first.
    settings : mapping of str to str
        What else the result depends on (device, direction, ...), as it is to be printed.
    unreadable : mapping of int to str
        Frames that could not be read, each with a sentence that says so and why.
    created : datetime or None
        When the report was made; None leaves it out.
    effort : str
        What a person did for it, in words; '' leaves it out.
    look_first : tuple of (int, float)
        Frames that most need a look, with their confidence; the first one most.
    """

    cine: Cine
    masks: MaskReader
    lesions: tuple[LesionReport, ...]
    model: ModelRecord | None = None
    software: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[int, str] = field(default_factory=dict)
    created: datetime | None = None
    suggesters: tuple[ModelRecord, ...] = ()
    effort: str = ""
    look_first: tuple[tuple[int, float], ...] = ()

    @property
    def name(self) -> str:
        """Name of the case, made of the source's digest alone."""
        return self.cine.identity.short_name

    def seconds(self, frame: int) -> float:
        """Time of a frame from the first in s; nan where unknown."""
        timing = self.cine.timing
        return float(timing.seconds[frame]) if timing else float("nan")

    def calibrations(self) -> list[Calibration]:
        """Every calibration the measurements were made with; more than one where regions of the image differ."""
        found = dict.fromkeys(
            one.calibration
            for lesion in self.lesions
            for one in lesion.measurements
            if one.calibration and one.is_visible
        )
        return [calibration for calibration in found if calibration is not None]

    @property
    def unseen(self) -> list[int]:
        """Frames of seeds that a model suggested and nobody has looked at, ascending."""
        items = (item for lesion in self.lesions for item in lesion.by_frame.items())
        return sorted({frame for frame, one in items if one.origin is Origin.SUGGESTED})

    def frame_rows(self, lesion: LesionReport) -> list[FrameRow]:
        """Rows of the table of frames for one lesion."""
        return [FrameRow(frame, self.seconds(frame), lesion.name, one) for frame, one in lesion.by_frame.items()]

    def lesion_row(self, lesion: LesionReport) -> LesionRow:
        """Row of the table of lesions."""
        return LesionRow(lesion.name, lesion.summary)

    def frame_or_black(self, frame: int) -> Frame:
        """Return a frame, black where it cannot be read: pictures keep their place in time."""
        try:
            return self.cine.frames[frame]
        except FrameError:
            return np.zeros(self.cine.shape, np.uint8)


def runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of every run of neighbouring frames, ascending.

    Parameters
    ----------
    frames : sequence of int
        In any order.
    """
    found: list[tuple[int, int]] = []
    for frame in sorted(frames):
        if found and frame == found[-1][1] + 1:
            found[-1] = (found[-1][0], frame)
        else:
            found.append((frame, frame))
    return found


def check_pixels_allowed(pixels_allowed: bool) -> None:
    """Refuse to write pictures of the cine unless the caller said that it may.

    Parameters
    ----------
    pixels_allowed : bool

    Raises
    ------
    OutputError
        When it is False.
    """
    if not pixels_allowed:
        raise OutputError(
            "pictures of the cine may show a patient's name that is burned into them; look at the frames, "
            "then allow pixels to be written"
        )
