"""``review.json``: what a reader did to one case. Its schema is ``review.schema.json`` beside this file.

No name of a person or a patient, no file name and no path of a source is in it; a reader is a short code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from UltrasoundLesionSegLib.cine import Cine, Mask, Origin
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.readers.pixel_digest import pixel_digest
from UltrasoundLesionSegLib.writers.names import is_reserved

SCHEMA_VERSION = 2
_WITHOUT_PIXELS = 1  # the version before, whose sources have no digest of their pixels
MACHINE = "model"  # code of the machine's own result where readers are compared
EXPORTED_AGAIN = "the file of the cine is another one than the reader drew on, but it has the same images"
_READER = re.compile(r"[A-Za-z0-9_-]{1,16}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ANCHOR_FILE = re.compile(r"anchors/[0-9]{5,}\.[0-9a-f]{16}\.png")
_RESULT_FILE = re.compile(r"result\.[0-9a-f]{16}\.zip")


class ReviewState(str, Enum):
    """How far a reader is with a case."""

    NEW = "new"
    IN_WORK = "in work"
    DONE = "done"
    SET_ASIDE = "set aside"


class How(str, Enum):
    """What a reader did to a mask."""

    DRAWN = "drawn"
    EDITED = "edited"  # a model's mask, changed by hand
    CLICKED = "clicked"  # drawn or corrected by a model from the reader's clicks
    CONFIRMED = "confirmed"
    NOT_VISIBLE = "not visible"

    @property
    def origin(self) -> Origin:
        """Who made the mask, as scenes and DICOM objects say it."""
        return _ORIGINS[self]


_ORIGINS = {
    How.DRAWN: Origin.MANUAL,
    How.EDITED: Origin.EDITED,
    How.CLICKED: Origin.EDITED,
    How.CONFIRMED: Origin.CONFIRMED,
    How.NOT_VISIBLE: Origin.MANUAL,
}


def is_reader(code: str) -> bool:
    """Whether a text is a reader's code: 1 to 16 letters, digits, '-' or '_', not that of the machine, no device's."""
    return _READER.fullmatch(code) is not None and code.lower() != MACHINE and not is_reserved(code)


def check_reader(code: str) -> str:
    """Return a reader's code when it is one.

    Raises
    ------
    ReviewError
        When it is not 1 to 16 letters, digits, '-' or '_', or is the code of the machine or of a device of Windows.
    """
    if is_reserved(code):
        raise ReviewError(
            "the reader's code is the name of a device on Windows, so no folder there; choose another one"
        )
    if not is_reader(code):
        raise ReviewError(
            "the reader's code is not usable; give 1 to 16 letters, digits, '-' or '_', no name of a person, and not "
            f"'{MACHINE}'"
        )
    return code


@dataclass(frozen=True)
class SourceNote:
    """Which cine a reader worked on.

    Parameters
    ----------
    sha256 : str
        Hex, of its file or files.
    frames, height, width : int
    pixels : str
        Digest of its frames (``readers.pixel_digest``), '' where it is not known.
    """

    sha256: str
    frames: int
    height: int
    width: int
    pixels: str = ""

    @classmethod
    def of(cls, cine: Cine) -> SourceNote:
        """Return the note of a cine; with the digest of its pixels where its identity has it."""
        return cls(cine.identity.digest, len(cine), cine.height, cine.width, cine.identity.pixels)

    @property
    def shape(self) -> tuple[int, int]:
        """``(H, W)``."""
        return self.height, self.width

    @property
    def size(self) -> tuple[int, int, int]:
        """``(T, H, W)``."""
        return self.frames, self.height, self.width

    def is_same(self, other: SourceNote) -> bool:
        """Whether both are one cine: the same file, or another one with the same pixels, as after a second export."""
        same = self.sha256 == other.sha256 or (self.pixels != "" and self.pixels == other.pixels)
        return same and self.size == other.size

    def shows(self, cine: Cine) -> bool:
        """Whether a cine is this one, as ``is_same``; reads its frames where its file is another one."""
        other = SourceNote.of(cine)
        if self.sha256 != other.sha256 and self.pixels and self.size == other.size:
            other = replace(other, pixels=pixel_digest(cine))
        return self.is_same(other)


@dataclass(frozen=True, eq=False)
class ReaderAnchor:
    """What a reader says of one lesion on one frame.

    Parameters
    ----------
    frame : int
    lesion : str
        Its name.
    mask : ndarray of bool, shape (H, W)
        Empty where the lesion is not visible.
    how : How
    provenance : str
        What the scene keeps of the model that proposed the mask, or ''.
    """

    frame: int
    lesion: str
    mask: Mask
    how: How
    provenance: str = ""


@dataclass(frozen=True)
class AnchorNote:
    """One lesion on one frame as ``review.json`` lists it; ``file`` has the label image of the frame."""

    frame: int
    lesion: str
    how: How
    provenance: str
    file: str


@dataclass(frozen=True)
class LesionLabels:
    """A lesion's name, and the values of the pixels that belong to it in label images.

    The first value is its own: the number by which it stays the same lesion when it is renamed or another one removed.
    Further ones are of pixels that it shares with other lesions.
    """

    name: str
    labels: tuple[int, ...]


@dataclass(frozen=True)
class ResultNote:
    """The masks of all frames as the reader saw them last.

    Parameters
    ----------
    file : str
        The masks (``results.read_result``).
    software : str
        Its version.
    model : mapping
        ``name``, ``version`` and ``sha256`` of the model that made the masks between anchors.
    settings : mapping
        Those of the machine's result, as its ``run.json`` has them under ``inputs``.
    machine : str
        Digest of the machine's result (``CaseMasks.digest``) that was there then, or ''.
    """

    file: str
    software: str
    model: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: str = ""


@dataclass(frozen=True)
class ReviewRecord:
    """What a reader did to a case, without the pixels.

    Parameters
    ----------
    case, reader : str
    state : ReviewState
    reason : str
        Why the case was set aside, else ''.
    source : SourceNote or None
        None when the case was set aside unseen.
    lesions : tuple of LesionLabels
    machine_lesions : mapping of str to str or None
        Lesions of the machine's result that the reader saw: what the reader calls them; None for those removed.
    anchors : tuple of AnchorNote
        By frame.
    seconds : float
        Spent on the case.
    comment : str
    result : ResultNote or None
        The masks of all frames: of a case that is done those it was finished with, of one in work those of the last
        propagation in the panel; None before there was any.
    removed : tuple of int
        Numbers of lesions that the reader removed: no other lesion gets one of them.
    """

    case: str
    reader: str
    state: ReviewState = ReviewState.NEW
    reason: str = ""
    source: SourceNote | None = None
    lesions: tuple[LesionLabels, ...] = ()
    machine_lesions: Mapping[str, str | None] = field(default_factory=dict)
    anchors: tuple[AnchorNote, ...] = ()
    seconds: float = 0.0
    comment: str = ""
    result: ResultNote | None = None
    removed: tuple[int, ...] = ()

    @property
    def numbers(self) -> dict[str, int]:
        """The number of each lesion."""
        return {one.name: one.labels[0] for one in self.lesions}

    @property
    def frames_drawn(self) -> tuple[int, ...]:
        """Frames that the reader drew or confirmed, ascending."""
        return tuple(sorted({one.frame for one in self.anchors}))

    @property
    def shows_lesion(self) -> bool:
        """Whether the reader outlined or confirmed a lesion, so that it can be followed without any other seed."""
        return any(one.how is not How.NOT_VISIBLE for one in self.anchors)

    @property
    def files(self) -> set[str]:
        """The files that count, relative to the case's folder."""
        return {one.file for one in self.anchors} | ({self.result.file} if self.result else set())

    def name_of(self, machine_lesion: str) -> str | None:
        """Return what the reader calls a lesion of the machine's result; None for one that the reader removed."""
        return self.machine_lesions.get(machine_lesion, machine_lesion)

    def state_for(self, sha256: str | None, pixels: str = "") -> ReviewState:
        """Return the state with a source as it is now: done is what was done on this very cine.

        Parameters
        ----------
        sha256, pixels : str or None
            Of the source as the machine read it last (``SourceNote``); None and '' where that is not known.
        """
        is_outdated = self.is_of_another(sha256, pixels) and self.state is ReviewState.DONE
        return ReviewState.IN_WORK if is_outdated else self.state

    def is_of_another(self, sha256: str | None, pixels: str = "") -> bool:
        """Whether the reader worked on another cine than this one; False where it is not known."""
        if sha256 is None or self.source is None:
            return False
        return not self.source.is_same(replace(self.source, sha256=sha256, pixels=pixels))

    def as_json(self) -> dict[str, Any]:
        """Return the record as ``review.json`` has it."""
        frames: dict[tuple[int, str], list[dict[str, str]]] = {}
        for one in sorted(self.anchors, key=lambda note: note.frame):
            lesion = {"name": one.lesion, "how": one.how.value, "provenance": one.provenance}
            frames.setdefault((one.frame, one.file), []).append(lesion)
        source, result = self.source, self.result
        return {
            "schema_version": SCHEMA_VERSION,
            "case": self.case,
            "reader": self.reader,
            "state": self.state.value,
            "reason": self.reason,
            "source": source and {name: value for name, value in vars(source).items() if value != ""},
            "lesions": [{"name": one.name, "labels": list(one.labels)} for one in self.lesions],
            "machine_lesions": dict(self.machine_lesions),
            "removed": list(self.removed),
            "anchors": [{"frame": at, "file": file, "lesions": listed} for (at, file), listed in frames.items()],
            "seconds": round(self.seconds, 1),
            "comment": self.comment,
            "result": result and {**vars(result), "model": dict(result.model)},
        }

    @classmethod
    def from_json(cls, content: Any) -> ReviewRecord:
        """Read what ``as_json`` gave.

        Raises
        ------
        ReviewError
            When it is something else, or of a later version.
        """
        version = content.get("schema_version") if isinstance(content, dict) else None
        if type(version) is int and version > SCHEMA_VERSION:
            raise ReviewError("the reader's work was written by a later version of this program; update this one")
        try:
            record = _read(content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise damaged() from None
        return record


def damaged() -> ReviewError:
    """Return the error for files of a reader's work that are not what was written."""
    return ReviewError(
        "the files of the reader's work on this case are damaged, were changed, or were written by an earlier version "
        "of this program; restore the case's folder in 'review' from a copy, or move it away to start the case again"
    )


def _read(content: Mapping[str, Any]) -> ReviewRecord:
    source, result = content["source"], content["result"]
    seconds, seen = content["seconds"], content["machine_lesions"]
    _require(content["schema_version"] in (_WITHOUT_PIXELS, SCHEMA_VERSION))
    _require(type(seconds) in (int, float) and 0 <= seconds < math.inf)
    lesions = tuple(LesionLabels(_text(one["name"]), _labels(one["labels"])) for one in content["lesions"])
    names = [one.name for one in lesions]
    _require(len(set(names)) == len(names))
    note = SourceNote(**source) if source is not None else None
    if note is not None:
        _require(all(bool(_DIGEST.fullmatch(one)) for one in (note.sha256, note.pixels or note.sha256)))
        _require(all(type(one) is int and one > 0 for one in (note.frames, note.height, note.width)))
    anchors = tuple(_anchor(frame, one) for frame in content["anchors"] for one in frame["lesions"])
    _require(not anchors or note is not None)
    _require(all(one.lesion in names for one in anchors))
    _require(all(note is not None and one.frame < note.frames for one in anchors))
    _require(len({(one.frame, one.lesion) for one in anchors}) == len(anchors))
    return ReviewRecord(
        case=_text(content["case"]),
        reader=check_reader(content["reader"]),
        state=ReviewState(content["state"]),
        reason=_text(content["reason"]),
        source=note,
        lesions=lesions,
        machine_lesions={_text(name): None if own is None else _text(own) for name, own in seen.items()},
        anchors=anchors,
        seconds=float(seconds),
        comment=_text(content["comment"]),
        result=_result(result) if result is not None else None,
        removed=_values(content.get("removed", [])),
    )


def _anchor(frame: Mapping[str, Any], lesion: Mapping[str, Any]) -> AnchorNote:
    at, file = frame["frame"], frame["file"]
    _require(type(at) is int and at >= 0 and bool(_ANCHOR_FILE.fullmatch(file)))
    return AnchorNote(at, _text(lesion["name"]), How(lesion["how"]), _text(lesion["provenance"]), file)


def _result(content: Mapping[str, Any]) -> ResultNote:
    _require(bool(_RESULT_FILE.fullmatch(content["file"])))
    _require(isinstance(content["settings"], dict))
    model = {name: _text(value) for name, value in content["model"].items()}
    software, machine = _text(content["software"]), _text(content["machine"])
    return ResultNote(content["file"], software, model, content["settings"], machine)


def _labels(values: Sequence[Any]) -> tuple[int, ...]:
    _require(bool(values))
    return _values(values)


def _values(values: Sequence[Any]) -> tuple[int, ...]:
    _require(all(type(one) is int and 0 < one < 2**16 for one in values))
    return tuple(values)


def _text(value: Any) -> str:
    _require(isinstance(value, str))
    return str(value)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError
