"""A folder of single-frame DICOM objects -> `Cine`, in temporal order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import Cine, Frame, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import dicom_header, dicom_pixels, frames
from UltrasoundLesionSegLib.readers.dicom_calibration import KnownCalibration, read_calibration
from UltrasoundLesionSegLib.readers.dicom_decode import FrameDecoder
from UltrasoundLesionSegLib.readers.dicom_multiframe import decode_stored, read_dicom_file
from UltrasoundLesionSegLib.readers.dicom_timing import read_timing
from UltrasoundLesionSegLib.readers.digest import digest_of_digests, file_digest

# elements that give an instance its place in time; a key counts when every instance has it and no two share it
_POSITION_KEYWORDS = ("TemporalPositionIndex", "TemporalPositionIdentifier", "TriggerTime")
_TIME_KEYWORDS = ("AcquisitionDateTime", "AcquisitionTime", "ContentTime")
_COMPARED_PAIRS = 48
_CLEARLY_SMOOTHER = 0.8


@dataclass(frozen=True)
class Instance:
    """What is kept of one file of a folder.

    ``position`` is its place in the folder by name; ``times`` are seconds by keyword.
    """

    path: Path
    position: int
    group: tuple[str, ...]
    uid: str
    is_multiframe: bool
    places: dict[str, float]
    times: dict[str, float]
    number: float | None
    calibration: KnownCalibration
    frame_time: float | None


class SeriesFrames(frames.CachedFrames):
    """The frames of a series, each in a file of its own that is opened when its frame is asked for."""

    def __init__(self, paths: Sequence[Path], height: int, width: int, is_color: bool) -> None:
        super().__init__(len(paths), height, width, is_color)
        self._paths = tuple(paths)

    def _decode(self, index: int) -> Frame:
        return decode_instance(self._paths[index], index)


def decode_instance(path: Path, index: int) -> Frame:
    """Return the picture of a single-frame file; raise ``FrameError`` for frame ``index`` when it cannot be read."""
    try:
        header, stored = dicom_pixels.read_object(path)
        return decode_stored(stored, FrameDecoder(header, stored.vr), 0)
    except FrameError as error:
        raise FrameError(index, error.reason) from None
    except SourceError as error:
        raise FrameError(index, str(error)) from None


def read_dicom_folder(paths: Sequence[Path]) -> Cine:
    """Read the DICOM files of one folder, given in natural order of their names.

    One multi-frame object alone is the cine. Otherwise the single-frame objects of the series that makes up more than
    half of the images are; what is left out is noted.

    Raises
    ------
    SourceError
        When the folder holds no image, or several cines.
    """
    instances, without_image = _read_instances(paths)
    instances, copies = _without_copies(instances)
    if not instances:
        raise SourceError("the folder holds DICOM objects but no image; choose the folder of one cine")
    multiframe = [one for one in instances if one.is_multiframe]
    if len(instances) == 1:
        return read_dicom_file(instances[0].path)
    if multiframe:
        raise SourceError(
            f"the folder holds {len(multiframe)} multi-frame DICOM objects beside other images; choose one file"
        )
    series = _main_series(instances)
    left_out = len(instances) - len(series) + without_image + copies
    notes = [f"{left_out} other DICOM objects of the folder are left out."] if left_out else []
    return _series_cine(series, notes)


def _read_instances(paths: Sequence[Path]) -> tuple[list[Instance], int]:
    """Return the images among the files, and how many files hold none or have a damaged header."""
    instances, without_image = [], 0
    for position, path in enumerate(paths):
        try:
            header = dicom_header.read_header(path)
            dicom_pixels.check_header(header)
        except SourceError:
            without_image += 1
            continue
        instances.append(_instance(path, position, header))
    return instances, without_image


def _without_copies(instances: list[Instance]) -> tuple[list[Instance], int]:
    """Return the instances without those whose UID another has, and how many these were."""
    first = {one.uid: one for one in reversed(instances)}
    kept = [one for one in instances if not one.uid or first[one.uid] is one]
    return kept, len(instances) - len(kept)


def _instance(path: Path, position: int, header: Dataset) -> Instance:
    group_keywords = ("StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")
    return Instance(
        path,
        position,
        tuple(dicom_header.text(header, keyword) for keyword in group_keywords),
        dicom_header.text(header, "SOPInstanceUID"),
        (dicom_header.told_frames(header) or 1) > 1,
        {key: value for key in _POSITION_KEYWORDS if (value := dicom_header.number(header, key)) is not None},
        {key: value for key in _TIME_KEYWORDS if (value := seconds_of(dicom_header.text(header, key))) is not None},
        dicom_header.number(header, "InstanceNumber"),
        read_calibration(header),
        dicom_header.number(header, "FrameTime"),
    )


def seconds_of(written: str) -> float | None:
    """Return a DICOM TM or DT value in seconds, None when it is neither (PS3.5 6.2).

    A date counts from year 1; an offset from UTC is left aside, since all instances of a series share it. Colons, as
    ACR-NEMA wrote them, are accepted.
    """
    digits, _, fraction = written.replace(":", "").partition("+")[0].partition("-")[0].partition(".")
    # isdigit alone is true of superscripts too, which are no numbers
    if not (digits + fraction).isascii() or not digits.isdigit() or (fraction and not fraction.isdigit()):
        return None
    if len(digits) not in (2, 4, 6, 10, 12, 14):
        return None
    days = 0
    if len(digits) >= 10:
        try:
            days = np.datetime64(f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}").astype("datetime64[D]").astype(int)
        except ValueError:
            return None
        digits = digits[8:]
    hours, minutes, seconds = (int(digits[at : at + 2] or 0) for at in (0, 2, 4))
    return float(days * 86400 + hours * 3600 + minutes * 60 + seconds + float(f"0.{fraction or 0}"))


def _main_series(instances: list[Instance]) -> list[Instance]:
    """Return the instances of the series and picture size that most images belong to."""
    counts = Counter(one.group for one in instances)
    group, count = counts.most_common(1)[0]
    if 2 * count <= len(instances):
        raise SourceError(
            f"the folder holds {len(counts)} DICOM series or picture sizes of which none is the main one; "
            "put the files of one cine into a folder of their own"
        )
    return [one for one in instances if one.group == group]


def _series_cine(series: list[Instance], notes: list[str]) -> Cine:
    ordered, order_notes = in_temporal_order(series)
    notes += order_notes
    paths = [one.path for one in ordered]
    header = dicom_header.read_header(paths[0])
    height, width = dicom_header.frame_size(header)
    decoder = FrameDecoder(header)
    tolerance = frames.LOSSY_GREY_TOLERANCE if decoder.is_lossy else 0
    indices = frames.sampled_indices(len(paths), frames.COLOR_SAMPLES)
    is_color, failed = frames.look_at_samples(lambda index: decode_instance(paths[index], index), indices, tolerance)
    if failed:
        notes.append(frames.unreadable_note(len(failed), len(indices)))
    calibration = ordered[0].calibration
    if any(one.calibration != calibration for one in ordered):
        calibration = KnownCalibration()
        notes.append("The calibration changes within the series, as when the depth is switched: it is not used.")
    numbers = [int(one.number) for one in ordered if one.number is not None]
    notes += frames.gap_note(numbers if len(numbers) == len(ordered) else [], "instances")
    uids = tuple(one.uid for one in ordered)
    digest = digest_of_digests(file_digest(path) for path in paths)
    return Cine(
        SeriesFrames(paths, height, width, is_color),
        height,
        width,
        is_color,
        SourceIdentity(SourceKind.DICOM_SERIES, digest, uids if all(uids) else (), tuple(paths)),
        calibration.whole,
        calibration.regions,
        _series_timing(ordered, header),
        (*notes, *calibration.notes),
        calibration.pixel_aspect,
        calibration.other_regions,
    )


def _series_timing(ordered: list[Instance], header: Dataset) -> Timing | None:
    """Return the instances' own times where they differ and never go back, else what the first header says."""
    for keyword in _TIME_KEYWORDS:
        times = _distinct([one.times.get(keyword) for one in ordered])
        if times and times == sorted(times):
            return Timing(np.array(times) - times[0], keyword)
    triggers = _distinct([one.places.get("TriggerTime") for one in ordered])
    if triggers and triggers == sorted(triggers):
        return Timing((np.array(triggers) - triggers[0]) / 1000, "TriggerTime")
    return read_timing(header, len(ordered)) if len(ordered) > 1 else None


def _distinct(values: Sequence[float | None]) -> list[float]:
    """Return the values when all are there and no two are equal, else []."""
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) == len(set(known)) and len(known) > 1 else []


def in_temporal_order(series: list[Instance]) -> tuple[list[Instance], list[str]]:
    """Return the instances of one series in the order they were taken, and notes on how it was found.

    An element that states a place or a time decides when it is different for every instance: TemporalPositionIndex,
    TemporalPositionIdentifier, TriggerTime, AcquisitionDateTime, AcquisitionTime, ContentTime. InstanceNumber, which
    only numbers the objects (PS3.3 C.7.6.1), comes last; where it contradicts the order of the file names, the order in
    which neighbouring frames are clearly more alike is taken. Without any of these the file names decide.
    """
    getters: list[tuple[str, Callable[[Instance], float | None]]] = [
        *((key, lambda one, key=key: one.places.get(key)) for key in _POSITION_KEYWORDS),
        *((key, lambda one, key=key: one.times.get(key)) for key in _TIME_KEYWORDS),
    ]
    for _, getter in getters:
        if keys := _distinct([getter(one) for one in series]):
            return _sorted_by(series, keys), []
    by_name = sorted(series, key=lambda one: one.position)
    numbers = _distinct([one.number for one in series])
    if not numbers:
        return by_name, ["The headers do not tell the order of the frames: that of the file names is used."]
    by_number = _sorted_by(series, numbers)
    if by_number == by_name:
        return by_number, []
    changes_by_number, changes_by_name = mean_changes([one.path for one in by_number], [one.path for one in by_name])
    if changes_by_name < _CLEARLY_SMOOTHER * changes_by_number:
        note = (
            "InstanceNumber and the file names tell different orders: that of the names is used, "
            "because neighbouring frames are more alike in it."
        )
        return by_name, [note]
    return by_number, []


def _sorted_by(series: list[Instance], keys: list[float]) -> list[Instance]:
    return [one for _, one in sorted(zip(keys, series, strict=True), key=lambda pair: pair[0])]


def mean_changes(*orders: Sequence[Path]) -> list[float]:
    """Return, for each order of the same files, how much a frame differs from the next: levels, mean over the pixels.

    The same number of neighbours is compared in every order, spread over it, on pictures reduced to 64 x 64.
    """
    small: dict[Path, np.ndarray | None] = defaultdict(lambda: None)

    def thumbnail(path: Path) -> np.ndarray | None:
        if path not in small:
            try:
                picture = frames.to_grey(decode_instance(path, 0))
                small[path] = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).astype(np.int16)
            except FrameError:
                small[path] = None
        return small[path]

    changes = []
    for order in orders:
        firsts = frames.sampled_indices(len(order) - 1, _COMPARED_PAIRS)
        pairs = [(thumbnail(order[first]), thumbnail(order[first + 1])) for first in firsts]
        known = [float(np.abs(one - other).mean()) for one, other in pairs if one is not None and other is not None]
        changes.append(float(np.mean(known)) if known else 0.0)
    return changes
