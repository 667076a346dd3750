"""The cine and the small frozen records that the packages of this library exchange.

Conventions, written once:

* A frame is ``(H, W)`` uint8 grey or ``(H, W, 3)`` uint8 RGB. Row 0 is the skin side as displayed, column 0 the left.
* A mask is ``(H, W)`` bool. Several lesions are ``(K, H, W)`` bool in the order of their segments.
* Positions in pixels are ``(row, column)`` with the centre of the first pixel at (0, 0).
* Spacing is ``(row_mm, column_mm)``: the distance between neighbouring rows, then between neighbouring columns.
* A pixel's aspect is its height divided by its width: the distance between rows over that between columns.
* Frames are counted from 0 everywhere; only DICOM attributes and texts shown to people count from 1 where they say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import FrameError, SeedError, SourceError

Frame = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""``(row_min, column_min, row_max, column_max)`` in pixels, all inclusive."""


@runtime_checkable
class FrameReader(Protocol):
    """Random access to frames, decoded when asked for. A ``(T, H, W)`` or ``(T, H, W, 3)`` uint8 array is one."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def __getitem__(self, index: int, /) -> Frame:
        """Return frame ``index``; raises ``FrameError`` when that frame alone cannot be read."""


@dataclass(frozen=True)
class Calibration:
    """Size of a pixel in mm and where it is known from.

    Parameters
    ----------
    row_mm, column_mm : float
        Distance between neighbouring rows and between neighbouring columns, in mm; both > 0.
    source : str
        The DICOM attribute, file header or person it comes from.
    note : str
        A reservation a reader of the measurements must know, or ''.
    """

    row_mm: float
    column_mm: float
    source: str
    note: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.row_mm < np.inf and 0 < self.column_mm < np.inf):
            raise SourceError(
                f"the calibration {self.row_mm} x {self.column_mm} mm per pixel is not positive; "
                "leave it unknown instead"
            )

    @property
    def spacing(self) -> tuple[float, float]:
        """``(row_mm, column_mm)``."""
        return self.row_mm, self.column_mm


@dataclass(frozen=True)
class CalibratedRegion:
    """A rectangle of the image with a calibration of its own (DICOM PS3.3 C.8.5.5, ultrasound regions)."""

    box: Box
    calibration: Calibration

    def share_inside(self, mask: Mask) -> float:
        """Return the share of the pixels of a mask, bool (H, W), that lie in this region; 0 for an empty mask."""
        return share_inside(self.box, mask)


def share_inside(box: Box, mask: Mask) -> float:
    """Return the share of the pixels of a mask, bool (H, W), that lie in a box; 0 for an empty mask."""
    total = int(np.count_nonzero(mask))
    row_min, column_min, row_max, column_max = box
    inside = int(np.count_nonzero(mask[row_min : row_max + 1, column_min : column_max + 1]))
    return inside / total if total else 0.0


@dataclass(frozen=True)
class Timing:
    """When each frame was taken.

    Parameters
    ----------
    seconds : ndarray of float64, shape (T,)
        Time of each frame from the first, never decreasing.
    source : str
        The DICOM attribute or file header it comes from.
    approximate : bool
        True for display rates, which only suggest the rate of acquisition.
    """

    seconds: NDArray[np.float64]
    source: str
    approximate: bool = False

    @property
    def frames_per_second(self) -> float:
        """Mean frame rate in 1/s; 0 when the duration is 0."""
        duration = float(self.seconds[-1] - self.seconds[0]) if len(self.seconds) > 1 else 0.0
        return (len(self.seconds) - 1) / duration if duration > 0 else 0.0


class SourceKind(str, Enum):
    """What a cine was read from."""

    DICOM_MULTIFRAME = "dicom-multiframe"
    DICOM_SERIES = "dicom-series"
    VIDEO = "video"
    IMAGES = "images"
    VOLUME = "volume"
    SCENE = "scene"
    MEMORY = "memory"


@dataclass(frozen=True)
class SourceIdentity:
    """Which source a cine is, without saying whose.

    Parameters
    ----------
    kind : SourceKind
    digest : str
        SHA-256 (hex) over the source's bytes or frames.
    sop_instance_uids : tuple of str
        For DICOM: one UID (multi-frame) or one a frame (series); otherwise empty.
    paths : tuple of Path
        The files, for reading again in this process. Never written to a result, a log or a message.
    pixels : str
        SHA-256 (hex) over the grey frames where they have been read (``readers.pixel_digest``), else ''.
    """

    kind: SourceKind
    digest: str
    sop_instance_uids: tuple[str, ...] = ()
    paths: tuple[Path, ...] = field(default=(), repr=False, compare=False)
    pixels: str = field(default="", compare=False)

    @property
    def short_name(self) -> str:
        """A name made of the digest alone, e.g. ``cine-3fa92c1b``."""
        return f"cine-{self.digest[:8]}"


@dataclass(frozen=True)
class Cine:
    """An ultrasound video: frames, calibration, timing, identity.

    Parameters
    ----------
    frames : FrameReader
        Lazy reader, or uint8 array ``(T, H, W)`` / ``(T, H, W, 3)``.
    height, width : int
        Size of every frame in pixels.
    is_color : bool
        True when frames are ``(H, W, 3)`` RGB.
    identity : SourceIdentity
    calibration : Calibration or None
        The only calibration of the image; None when unknown or when regions differ. Where there are regions it holds
        inside them alone: ask `calibration_at` for that of a lesion.
    regions : tuple of CalibratedRegion
        All calibrated regions of the source, possibly with differing calibrations.
    timing : Timing or None
    notes : tuple of str
        What a person should know of the source: one sentence each, no identifiers.
    pixel_aspect : float or None
        Height of a pixel over its width where the source tells the shape of a pixel; measures of shape use it where the
        size is not known. None when unknown: pixels then count as square.
    other_regions : tuple of tuple
        Boxes of the image, as in `CalibratedRegion`, that show something over time (M-mode, Doppler): no calibration
        holds there.

    Raises
    ------
    SourceError
        When there is no frame, or the size is not at least 1 x 1, or the aspect is not positive.
    """

    frames: FrameReader
    height: int
    width: int
    is_color: bool
    identity: SourceIdentity
    calibration: Calibration | None = None
    regions: tuple[CalibratedRegion, ...] = ()
    timing: Timing | None = None
    notes: tuple[str, ...] = ()
    pixel_aspect: float | None = None
    other_regions: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        if self.pixel_aspect is not None and not 0 < self.pixel_aspect < np.inf:
            raise SourceError(
                f"a pixel's height over its width cannot be {self.pixel_aspect}; leave the shape of a pixel unknown"
            )
        if len(self.frames) < 1:
            raise SourceError("the source has no frames; give a cine with at least one")
        if self.height < 1 or self.width < 1:
            raise SourceError(f"the source's frames are {self.height} x {self.width} pixels; give a cine with pixels")
        if self.timing is not None and len(self.timing.seconds) != len(self.frames):
            raise SourceError(
                f"the source has {len(self.frames)} frames but {len(self.timing.seconds)} frame times; "
                "leave the timing unknown instead"
            )

    @classmethod
    def from_array(
        cls,
        frames: NDArray[np.uint8],
        calibration: Calibration | None = None,
        timing: Timing | None = None,
        notes: tuple[str, ...] = (),
    ) -> Cine:
        """Make a cine of frames already in memory.

        Parameters
        ----------
        frames : ndarray of uint8, shape (T, H, W) or (T, H, W, 3)
        calibration : Calibration, optional
        timing : Timing, optional
        notes : tuple of str
            What a person should know about the source.

        Raises
        ------
        SourceError
            When the array has another shape or type.
        """
        if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or (frames.ndim == 4 and frames.shape[3] != 3):
            raise SourceError(
                f"frames of type {frames.dtype} and shape {frames.shape} are not a cine; "
                "give uint8 of shape (T, H, W) or (T, H, W, 3)"
            )
        digest = hashlib.sha256(np.ascontiguousarray(frames)).hexdigest()
        identity = SourceIdentity(SourceKind.MEMORY, digest)
        return cls(frames, frames.shape[1], frames.shape[2], frames.ndim == 4, identity, calibration, (), timing, notes)

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return (self.frames[index] for index in range(len(self)))

    def can_read(self, frame: int) -> bool:
        """Whether a frame can be read; takes as long as reading it."""
        try:
            self.frames[frame]
        except FrameError:
            return False
        return True

    @property
    def shape(self) -> tuple[int, int]:
        """``(H, W)``."""
        return self.height, self.width

    @property
    def whole_calibration(self) -> Calibration | None:
        """The calibration that holds at every pixel, None where regions leave a part of the image out."""
        return self.calibration_at(np.ones(self.shape, np.bool_))

    def calibration_at(self, mask: Mask | None = None) -> Calibration | None:
        """Return the calibration that holds where the mask lies.

        A region calibrates its own rectangle alone (PS3.3 C.8.5.5), so it counts when it holds more than 99% of the
        mask. Where regions with differing calibrations remain, none holds the mask, or more than 1% of it lies in a
        part of the image that shows something over time, the answer is None: a length in mm is never invented.

        Parameters
        ----------
        mask : ndarray of bool, shape (H, W), or None
        """
        if mask is None or not mask.any():
            return self.calibration
        if any(share_inside(box, mask) > 0.01 for box in self.other_regions):
            return None
        if not self.regions:
            return self.calibration
        holding = [region.calibration for region in self.regions if region.share_inside(mask) > 0.99]
        spacings = {(round(one.row_mm, 6), round(one.column_mm, 6)) for one in holding}
        return holding[0] if len(spacings) == 1 else None


class Origin(str, Enum):
    """Who made a mask; recorded in MRML segment tags and in DICOM SEG as the segment algorithm type."""

    MANUAL = "manual"  # drawn by a person
    CONFIRMED = "confirmed"  # made by a model, declared right by a person
    EDITED = "edited"  # made by a model, changed by a person
    SUGGESTED = "suggested"  # made by a model and taken as a seed without a person's look
    SIMULATED = "simulated"  # a simulation's own truth, taken as a seed
    MODEL = "model"  # made by a model, untouched

    @property
    def is_anchor(self) -> bool:
        """Whether masks are propagated from it, so that no model output may overwrite it."""
        return self is not Origin.MODEL

    @property
    def is_by_person(self) -> bool:
        """Whether a person vouches for the mask."""
        return self in (Origin.MANUAL, Origin.CONFIRMED, Origin.EDITED)


@dataclass(frozen=True)
class Anchor:
    """One lesion on one frame as a person drew or confirmed it.

    An empty mask is a statement too: the lesion is not visible on this frame.

    Parameters
    ----------
    lesion : int
        Zero-based index of the lesion (its segment).
    frame : int
    mask : ndarray of bool, shape (H, W)
    """

    lesion: int
    frame: int
    mask: Mask

    def check_against(self, cine: Cine) -> None:
        """Raise ``SeedError`` when this anchor does not fit the cine."""
        if self.mask.shape != cine.shape:
            raise SeedError(
                f"the seed of lesion {self.lesion + 1} is {self.mask.shape[0]} x {self.mask.shape[1]} pixels but the "
                f"cine's frames are {cine.height} x {cine.width}; draw it on a frame of this cine"
            )
        if not 0 <= self.frame < len(cine):
            raise SeedError(
                f"the seed of lesion {self.lesion + 1} is on frame {self.frame} but the cine has frames 0 to "
                f"{len(cine) - 1}; name a frame in that range"
            )


@dataclass(frozen=True)
class FrameResult:
    """What is known of one frame after propagation.

    Parameters
    ----------
    frame : int
    masks : ndarray of bool, shape (K, H, W)
        One mask a lesion; all False where the lesion is not visible.
    confidence : ndarray of float32, shape (K,)
        Expected overlap (Dice) with what a person would draw, 0 to 1; nan for a lesion not computed on this frame.
    computed : ndarray of bool, shape (K,)
        Which lesions this result is about: True for new model output, False for anchors and lesions left alone.
    final : ndarray of bool, shape (K,)
        Which of the computed lesions will not change any more; False for a forward result that a backward pass will
        blend later, and for a blend of a result that shows the lesion and one that does not, which is decided later.
    error : str
        Why this frame has no result (a sentence), or ''.
    """

    frame: int
    masks: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    computed: NDArray[np.bool_]
    final: NDArray[np.bool_]
    error: str = ""
