"""The masks of all frames of a case: what the machine computed, or what a reader declared done."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cine import Mask, Origin
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.reader_work.label_images import LabelTable, decode, encode, give_numbers, mask_of
from UltrasoundLesionSegLib.reader_work.record import LesionLabels, ReaderAnchor, SourceNote, damaged

CONTENT = "result.json"
LARGEST_MEMBER = 2**26  # bytes; a label image of 4096 x 4096 pixels is far smaller


@dataclass(frozen=True)
class CaseMasks:
    """Masks of all frames with who made them.

    Parameters
    ----------
    source : SourceNote
    lesions : tuple of str
        Names, each once.
    read : callable
        Frame -> bool (K, H, W) in the order of the lesions, or None where the frame has no result. Frames are read from
        the disk when they are asked for.
    origins : mapping of str to sequence of T Origin or None
        By lesion; None where nothing is known.
    confidences : mapping of str to ndarray of float, shape (T,)
        Expected overlap, nan where there is none.
    model : mapping
        ``name``, ``version``, ``sha256`` of the model; empty where unknown.
    settings : mapping
        What it was computed with (``inputs`` of ``run.json``).
    reader : str
        Whose anchors the machine's result was computed with, '' for nobody's.
    digest : str
        Of a machine's result: SHA-256 (hex) of its ``run.json``; else ''.
    numbers : mapping of str to int
        The number of each lesion (``give_numbers``). Where none is known, they are counted from 1.
    """

    source: SourceNote
    lesions: tuple[str, ...]
    read: Callable[[int], NDArray[np.bool_] | None] = field(repr=False)
    origins: Mapping[str, Sequence[Origin | None]] = field(repr=False)
    confidences: Mapping[str, NDArray[np.floating]] = field(repr=False)
    model: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    reader: str = ""
    digest: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", give_numbers(self.lesions, self.numbers))

    @property
    def frames(self) -> int:
        """Number of frames of the cine."""
        return self.source.frames

    @property
    def shape(self) -> tuple[int, int]:
        """``(H, W)``."""
        return self.source.shape

    def masks(self, frame: int) -> NDArray[np.bool_] | None:
        """Return the masks of a frame, bool (K, H, W), or None where it has no result.

        Raises
        ------
        ReviewError
            When the file of the frame cannot be read.
        """
        return self.read(frame)

    def with_anchors(self, anchors: Sequence[ReaderAnchor], numbers: Mapping[str, int] | None = None) -> CaseMasks:
        """Return these masks with a reader's anchors in their place.

        Parameters
        ----------
        anchors : sequence of ReaderAnchor
            Of lesions that are here or of further ones.
        numbers : mapping of str to int, optional
            Those of the further ones.
        """
        names = tuple(dict.fromkeys([*self.lesions, *(one.lesion for one in anchors)]))
        drawn: dict[int, list[ReaderAnchor]] = {}
        origins = {name: list(self.origins.get(name, [None] * self.frames)) for name in names}
        nothing = np.full(self.frames, np.nan)
        confidences = {name: np.array(self.confidences.get(name, nothing), float) for name in names}
        for one in anchors:
            drawn.setdefault(one.frame, []).append(one)
            origins[one.lesion][one.frame] = one.how.origin
            confidences[one.lesion][one.frame] = np.nan

        def read(frame: int) -> NDArray[np.bool_] | None:
            before = self.read(frame)
            if before is None and frame not in drawn:
                return None
            stack = np.zeros((len(names), *self.shape), np.bool_)
            if before is not None:
                stack[: len(before)] = before
            for one in drawn.get(frame, ()):
                stack[names.index(one.lesion)] = one.mask
            return stack

        given = give_numbers(names, self.numbers, numbers or {})
        return CaseMasks(self.source, names, read, origins, confidences, self.model, self.settings, numbers=given)


def no_masks(source: SourceNote) -> CaseMasks:
    """Return the masks of a case that nothing was computed for."""
    return CaseMasks(source, (), lambda frame: None, {}, {})


def read_machine_result(case: Path) -> CaseMasks | None:
    """Read what a batch wrote of a case; None where there is no whole result.

    Parameters
    ----------
    case : Path
        ``OUT/cases/CASE``. Lesions that share pixels do so only in ``segmentation.dcm``; here one has them, a
        person's before a model's and then the first.

    Raises
    ------
    ReviewError
        When the result is damaged; also later, when the masks of a frame are read, and when a batch has replaced it.
    """
    try:
        stamp = _stamp(case)
        written = (case / "run.json").read_bytes()
        record = json.loads(written)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise _unreadable() from None
    try:
        about = record["source"]
        source = SourceNote(about["sha256"], about["frames"], about["height"], about["width"], about.get("pixels", ""))
        names = tuple(record["anchors"])
        numbers = {str(name): int(number) for name, number in record.get("lesion_numbers", {}).items()}
        origins, confidences = _read_measurements(case / "measurements.csv", names, source.frames)
        model = {name: str(record["model"][name]) for name in ("name", "version", "sha256")}
        inputs = record.get("inputs", {})
        settings, reader = inputs.get("settings", {}), inputs.get("reader", {}).get("code", "")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError, csv.Error):
        raise _unreadable() from None

    def read(frame: int) -> NDArray[np.bool_] | None:
        labels = _read_labels(case / "masks" / f"{frame:05d}.png")
        _check_not_replaced(case, stamp)
        if labels is None and all(of_frames[frame] is None for of_frames in origins.values()):
            return None
        if labels is None or labels.shape != source.shape:
            raise _unreadable()
        return np.stack([labels == number + 1 for number in range(len(names))]) if names else None

    _check_not_replaced(case, stamp)
    digest = hashlib.sha256(written).hexdigest()
    return CaseMasks(source, names, read, origins, confidences, model, settings, reader, digest, numbers)


def _read_measurements(
    table: Path, names: Sequence[str], frames: int
) -> tuple[dict[str, list[Origin | None]], dict[str, NDArray[np.float64]]]:
    """Return who made the mask of each lesion on each frame, and its confidence, nan where there is none."""
    origins: dict[str, list[Origin | None]] = {name: [None] * frames for name in names}
    confidences = {name: np.full(frames, np.nan) for name in names}
    for row in _rows(table):
        if row["segment"] in origins:
            frame = int(row["frame"])
            origins[row["segment"]][frame] = Origin(row["origin"]) if row["origin"] else None
            confidences[row["segment"]][frame] = float(row["confidence"] or math.nan)
    return origins, confidences


def _read_labels(path: Path) -> NDArray[Any] | None:
    """Return a label image, shape (H, W), None where there is no such file."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return np.asarray(picture)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise _unreadable() from None


def _stamp(case: Path) -> tuple[int, int, int]:
    """Return what tells the result of a case from a later one in its place."""
    about = (case / "run.json").stat()
    return about.st_ino, about.st_mtime_ns, about.st_size


def _check_not_replaced(case: Path, stamp: tuple[int, int, int]) -> None:
    """Raise ``ReviewError`` when a batch has put another result in place: the masks of two must not be mixed."""
    with contextlib.suppress(OSError):
        if _stamp(case) == stamp:
            return
    raise ReviewError("the machine's result of this case was replaced or removed meanwhile; open the case again")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _unreadable() -> ReviewError:
    return ReviewError("the machine's result of this case cannot be read; run the batch again, which computes it again")


def write_result(file: IO[bytes], result: CaseMasks, anchors: Sequence[ReaderAnchor] = ()) -> None:
    """Write masks as a ZIP file of label images, 00000.png and on, and ``result.json``; frame by frame.

    Parameters
    ----------
    file : binary file
    result : CaseMasks
        A frame without a result gets no image.
    anchors : sequence of ReaderAnchor
        Which of the masks are the reader's own anchors. They are in the images for programs that read the images alone;
        ``read_result`` leaves them out, because the reader may change or take back an anchor afterwards.

    Raises
    ------
    ReviewError
        When a frame of it cannot be read.
    """
    table = LabelTable(result.numbers)
    with zipfile.ZipFile(file, "w") as archive:  # PNG is compressed already
        for frame in range(result.frames):
            stack = result.masks(frame)
            if stack is not None:
                masks: dict[str, Mask] = dict(zip(result.lesions, stack, strict=True))
                archive.writestr(_entry(f"{frame:05d}.png"), encode(table.image(masks, result.shape)))
        content = {
            "lesions": [{"name": one.name, "labels": list(one.labels)} for one in table.lesions()],
            "origins": {
                name: [one.value if one is not None else None for one in result.origins[name]]
                for name in result.lesions
            },
            "confidences": {
                name: [None if math.isnan(one) else round(float(one), 6) for one in result.confidences[name]]
                for name in result.lesions
            },
            "reader_anchors": {
                name: sorted(one.frame for one in anchors if one.lesion == name) for name in result.lesions
            },
        }
        archive.writestr(_entry(CONTENT), json.dumps(content) + "\n")


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)  # without a time: the same masks are the same file


def read_result(path: Path, source: SourceNote, model: Mapping[str, str], settings: Mapping[str, Any]) -> CaseMasks:
    """Read what ``write_result`` wrote, without the reader's own anchors; frames when they are asked for.

    Parameters
    ----------
    path : Path
    source, model, settings
        As the record has them.

    Raises
    ------
    ReviewError
        When it is damaged; ``FileNotFoundError`` when it is not there.
    """
    try:
        # in memory: opening the file anew for each frame takes the square of their number, and a store replaces it
        archive = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
        content = json.loads(_member(archive, CONTENT))
        there = set(archive.namelist())
        lesions = tuple(LesionLabels(one["name"], tuple(one["labels"])) for one in content["lesions"])
        names = tuple(one.name for one in lesions)
        origins = {name: [None if one is None else Origin(one) for one in content["origins"][name]] for name in names}
        confidences = {
            name: np.array([math.nan if one is None else one for one in content["confidences"][name]], float)
            for name in names
        }
        for name in names:
            for frame in content["reader_anchors"][name]:
                origins[name][frame], confidences[name][frame] = None, math.nan
        lengths = {len(one) for one in origins.values()} | {len(one) for one in confidences.values()}
        if lengths - {source.frames}:
            raise ValueError
    except FileNotFoundError:
        raise
    except (OSError, KeyError, IndexError, TypeError, ValueError, zipfile.BadZipFile):
        raise damaged() from None

    def read(frame: int) -> NDArray[np.bool_] | None:
        name = f"{frame:05d}.png"
        known = [origins[one][frame] is not None for one in names]
        if name not in there or not any(known):
            return None
        try:
            content = _member(archive, name)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            raise damaged() from None
        image = decode(content, source.shape)
        nothing = np.zeros(source.shape, np.bool_)
        return np.stack(
            [mask_of(image, one) if is_known else nothing for one, is_known in zip(lesions, known, strict=True)]
        )

    numbers = {one.name: one.labels[0] for one in lesions}
    return CaseMasks(source, names, read, origins, confidences, model, settings, numbers=numbers)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > LARGEST_MEMBER:
        raise ValueError
    return archive.read(name)
