"""What to do with one source: its seeds, clicks and boxes, and the choices. It loads neither networks nor MRML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.logs import LogLevel


@dataclass(frozen=True)
class SeedFileRequest:
    """A seed file, the frame it belongs to (for files that do not say themselves), and who drew it (None: a person)."""

    path: Path
    frame: int = 0
    origin: Origin | None = None


@dataclass(frozen=True)
class ClickRequest:
    """A point inside the lesion, in pixels of its frame; the centre of the first pixel is (0, 0)."""

    row: float
    column: float
    frame: int = 0


@dataclass(frozen=True)
class BoxRequest:
    """A rectangle around the lesion, in pixels of its frame as for a click."""

    top: float
    left: float
    bottom: float
    right: float
    frame: int = 0


@dataclass(frozen=True)
class CaseRequest:
    """What to do with one source.

    Parameters
    ----------
    source, output : Path
    seeds : tuple of SeedFileRequest
    clicks : tuple of ClickRequest
        A model draws the lesion from those of a frame; beside seeds or instead of them.
    boxes : tuple of BoxRequest
        The same, from a rectangle; at most one a frame, together with the frame's clicks.
    reader_work : Path or None
        Folder of a reader's work on this case (``OUT/review/READER/CASE``): the reader's anchors are anchors, before
        seeds on the same frames.
    suggest_frame : int or 'middle' or None
        Instead of seeds: accept what a model proposes on this frame, or on the one in the middle.
    model, direction, frames, device
        As for ``UltrasoundLesionWorkflow.propagate``.
    further_kinds : tuple of str
        What to write beside masks, tables, report, scene and SEG (``kinds.KINDS``).
    skips_dicom_kinds : bool
        Whether a kind that refers to DICOM images is left out with a notice where the cine does not come from DICOM;
        else such a request is refused.
    pixels_allowed : bool
        Whether pictures of the frames may be written.
    blank_outside : bool or None
        Whether everything outside the ultrasound image is black in pictures, report and scene; None: when pictures are
        allowed.
    with_scene : bool
        Whether to write scene.mrb, the working document for 3D Slicer, which holds the cine's images. It is also
        written where ``further_kinds`` names it.
    allow_overlap : bool
        Whether lesions may share pixels.
    fit : bool
        Whether to fit the model to the lesion first (``UltrasoundLesionWorkflow.fitToLesion``).
    overwrite : bool
        Whether an output folder that holds something else may be written to (``OutputFolder``).
    body_part : str
        The organ that SEG and SR name (``ExportOptions.body_part``); '': that of the source.
    log_level : LogLevel
        What ``run.log`` holds.
    stamp : mapping
        Further entries of ``run.json``: plain values.
    """

    source: Path
    output: Path
    seeds: tuple[SeedFileRequest, ...] = ()
    clicks: tuple[ClickRequest, ...] = ()
    boxes: tuple[BoxRequest, ...] = ()
    reader_work: Path | None = None
    suggest_frame: int | Literal["middle"] | None = None
    model: str | None = None
    direction: str = "both"
    frames: tuple[int, int] | None = None
    device: str = "auto"
    further_kinds: tuple[str, ...] = ()
    skips_dicom_kinds: bool = False
    pixels_allowed: bool = False
    blank_outside: bool | None = None
    with_scene: bool = True
    allow_overlap: bool = False
    fit: bool = False
    overwrite: bool = False
    body_part: str = ""
    log_level: LogLevel = LogLevel.INFO
    stamp: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blanks_outside(self) -> bool:
        """Whether everything outside the ultrasound image is to be black."""
        return self.pixels_allowed if self.blank_outside is None else self.blank_outside
