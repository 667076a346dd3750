"""A folder of single-frame DICOM objects -> `Cine`, in temporal order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import Cine, Frame, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import dicom_header, dicom_pixels, frames
from UltrasoundLesionSegLib.readers.dicom_calibration import KnownCalibration, is_same, read_calibration
from UltrasoundLesionSegLib.readers.dicom_decode import FrameDecoder
from UltrasoundLesionSegLib.readers.dicom_levels import Levels
from UltrasoundLesionSegLib.readers.dicom_multiframe import decode_stored, encoded_frame, read_dicom_file
from UltrasoundLesionSegLib.readers.dicom_order import (
    TIMES,
    Moment,
    are_stills,
    clock,
    in_temporal_order,
    read_moment,
)
from UltrasoundLesionSegLib.readers.dicom_places import Place, place_of, places_note
from UltrasoundLesionSegLib.readers.dicom_timing import KnownTiming, implausible_note, is_plausible, read_timing
from UltrasoundLesionSegLib.readers.digest import digest_of_digests, file_digest
from UltrasoundLesionSegLib.readers.likeness import likeness_note

_COMPARED_PAIRS = 48
_SIZE = ("Rows", "Columns")
_FEWEST_TORN = 4
"""So many objects with a series each are not taken for one cine: they can be stills."""

_COUNTS = ("ImagesInAcquisition", "NumberOfTemporalPositions")
"""How many images belong together (PS3.3 C.7.6.1, C.8.3.1)."""

_VIEWS = ("ViewNumber", "ViewName", "StageNumber", "AcquisitionNumber", "ImageType")
"""Elements that are the same in all frames of a cine, or (acquisitions) different in each."""


@dataclass(frozen=True)
class Instance:
    """What is kept of one file of a folder; ``position`` is its place in the folder by name."""

    path: Path
    position: int
    group: tuple[str, ...]
    uid: str
    is_multiframe: bool
    notes: tuple[str, ...]
    moment: Moment
    calibration: KnownCalibration
    frame_time: float | None = None
    place: Place = ()
    views: tuple[str, ...] = ()


class SeriesFrames(frames.CachedFrames):
    """The frames of a series, each in a file of its own that is opened when its frame is asked for."""

    def __init__(
        self, paths: Sequence[Path], height: int, width: int, is_color: bool, levels: Levels | None = None
    ) -> None:
        super().__init__(len(paths), height, width, is_color)
        self._paths = tuple(paths)
        self._levels = levels

    def _decode(self, index: int) -> Frame:
        return decode_instance(self._paths[index], index, self._levels)


def decode_instance(path: Path, index: int, levels: Levels | None = None) -> Frame:
    """Return the picture of a single-frame file; raise ``FrameError`` for frame ``index`` when it cannot be read."""
    try:
        header, stored = dicom_pixels.read_object(path)
        return decode_stored(stored, FrameDecoder(header, stored.vr, levels), 0)
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
    if not instances and len(paths) == 1:
        return read_dicom_file(paths[0])  # says what is wrong with it
    if not instances:
        raise SourceError("the folder holds DICOM objects but no image; choose the folder of one cine")
    multiframe = [one for one in instances if one.is_multiframe]
    if len(instances) == 1:
        cine = read_dicom_file(instances[0].path)
        return replace(cine, notes=(*cine.notes, *_left_out_note(without_image + copies)))
    if multiframe:
        beside = " beside other images" if len(multiframe) < len(instances) else ""
        counted = (
            "a multi-frame DICOM object" if len(multiframe) == 1 else f"{len(multiframe)} multi-frame DICOM objects"
        )
        raise SourceError(f"the folder holds {counted}{beside}; choose one file")
    series = _main_series(instances)
    left_out = len(instances) - len(series) + without_image + copies
    notes = [*_left_out_note(left_out)]
    if len(series[0].group) == len(_SIZE):
        notes.append("The objects do not name one series, as after anonymisation: they are read as one cine.")
    return _series_cine(series, notes)


def _left_out_note(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    others = "1 other DICOM object of the folder is" if count == 1 else f"{count} other DICOM objects of the folder are"
    return (f"{others} left out.",)


def _read_instances(paths: Sequence[Path]) -> tuple[list[Instance], int]:
    """Return the images among the files, and how many files hold none or have a damaged header."""
    instances, without_image = [], 0
    for position, path in enumerate(paths):
        try:
            header, count, notes = dicom_pixels.look_at_object(path)
        except SourceError:
            without_image += 1
            continue
        instances.append(_instance(path, position, header, count, notes))
    return instances, without_image


def _without_copies(instances: list[Instance]) -> tuple[list[Instance], int]:
    """Return the instances without those that are another once more, and how many these were.

    A copy has the UID, the number and the times of another. A UID alone is no proof: some anonymisers write the same
    into every file; where there is no number and no time either, the whole file must be equal.
    """
    seen: set[tuple[object, ...]] = set()
    kept = []
    for one in instances:
        moment = one.moment
        said = (moment.number, *sorted(moment.times.items()), *sorted(moment.places.items()))
        key = (one.uid, *(said if said != (None,) else (file_digest(one.path),)))
        if not one.uid or key not in seen:
            kept.append(one)
        seen.add(key)
    return kept, len(instances) - len(kept)


def _instance(path: Path, position: int, header: Dataset, count: int, notes: tuple[str, ...]) -> Instance:
    group_keywords = ("StudyInstanceUID", "SeriesInstanceUID", *_SIZE)
    return Instance(
        path,
        position,
        tuple(dicom_header.text(header, keyword) for keyword in group_keywords),
        dicom_header.text(header, "SOPInstanceUID"),
        count > 1,
        notes,
        read_moment(header),
        read_calibration(header),
        dicom_header.number(header, "FrameTime"),
        place_of(header),
        tuple(dicom_header.text(header, keyword) for keyword in _VIEWS),
    )


def _main_series(instances: list[Instance]) -> list[Instance]:
    """Return the instances of the series and picture size that most images belong to.

    Where every object has a series of its own, or the UID is missing in some and one in the others, an anonymiser did
    it: then the picture size alone decides.
    """
    told = Counter(one.group[1] for one in instances)
    is_torn = len(told) == len(instances) > _FEWEST_TORN and not are_stills(_clocks(instances))
    if is_torn or (len(told) == 2 and "" in told):
        instances = [replace(one, group=one.group[2:]) for one in instances]
    counts = Counter(one.group for one in instances)
    group, count = counts.most_common(1)[0]
    if 2 * count <= len(instances):
        raise SourceError(
            f"the folder holds {len(counts)} DICOM series or picture sizes of which none is the main one; "
            "put the files of one cine into a folder of their own"
        )
    return [one for one in instances if one.group == group]


def _clocks(series: Sequence[Instance]) -> list[list[float]]:
    """Return the images' times by each of `TIMES`, nan where one is missing."""
    return [[one.moment.times.get(keyword, math.nan) for one in series] for keyword in TIMES]


def _series_cine(series: list[Instance], notes: list[str]) -> Cine:
    ordered, order_notes = in_temporal_order(series, mean_changes)
    notes += order_notes
    paths = [one.path for one in ordered]
    header, *_ = dicom_pixels.look_at_object(paths[0])
    height, width = dicom_header.frame_size(header)
    decoder = FrameDecoder(header)
    tolerance = frames.LOSSY_GREY_TOLERANCE if decoder.is_lossy else 0
    indices = frames.sampled_indices(len(paths), frames.COLOR_SAMPLES)
    levels = _shared_levels(paths, indices)
    is_color, failed = frames.look_at_samples(
        lambda index: decode_instance(paths[index], index, levels), indices, tolerance
    )
    if failed:
        notes.append(frames.unreadable_note(len(failed), len(indices)))
    notes += (*_notes_on_objects(ordered), *_notes_on_colors(paths[0], levels), *_count_note(header, len(ordered)))
    calibration = ordered[0].calibration
    if not all(is_same(one.calibration, calibration) for one in ordered):
        calibration = KnownCalibration()
        notes.append("The calibration changes within the series, as when the depth is switched: it is not used.")
    timing = _series_timing(ordered, header)
    notes += _notes_on_whole(ordered, levels)
    uids = tuple(one.uid for one in ordered)
    is_each_own = len(set(uids)) == len(uids)
    digest = digest_of_digests(file_digest(path) for path in paths)
    return Cine(
        SeriesFrames(paths, height, width, is_color, levels),
        height,
        width,
        is_color,
        SourceIdentity(SourceKind.DICOM_SERIES, digest, uids if all(uids) and is_each_own else (), tuple(paths)),
        calibration.whole,
        calibration.regions,
        timing.timing,
        (*notes, *calibration.notes, *timing.notes),
        calibration.pixel_aspect,
        calibration.other_regions,
    )


def _notes_on_whole(series: Sequence[Instance], levels: Levels | None) -> tuple[str, ...]:
    """Return what speaks against a series being one cine, or the whole of it."""
    numbers = [int(one.moment.number) for one in series if one.moment.number is not None]
    counted = numbers if len(numbers) == len(series) else []
    return (
        *_still_note(series, levels),
        *places_note([one.place for one in series]),
        *_views_note(series),
        *frames.gap_note(counted, "instances"),
        *frames.late_start_note(counted, "instances"),
    )


def _still_note(series: Sequence[Instance], levels: Levels | None) -> tuple[str, ...]:
    """Return the sentence on images that may be stills of a study: by their times, else by how alike they are."""
    stills = are_stills(_clocks(series))
    if stills is None:
        return likeness_note(lambda index: decode_instance(series[index].path, index, levels), len(series))
    return ("The images were taken far apart: they may be stills and no cine.",) if stills else ()


def _views_note(series: Sequence[Instance]) -> tuple[str, ...]:
    """Return the sentence on a series that may be several cines, one after the other or in turn."""
    told = zip(_VIEWS, zip(*(one.views for one in series), strict=True), strict=True)
    counts = ((keyword, len(set(values))) for keyword, values in told)
    found = max(((count, keyword) for keyword, count in counts if 2 * count <= len(series)), default=(1, ""))
    if found[0] == 1:
        return ()
    return (f"{found[1]} has {found[0]} values within the series: it may hold that many cines or views in turn.",)


def _shared_levels(paths: Sequence[Path], indices: Sequence[int]) -> Levels | None:
    """Return the grey levels of a series of more than 8 bits by its first header; None where each object tells its own.

    A window that changes from object to object would make the frames flicker.
    """
    decoder, encoded = None, []
    for index in indices:
        try:
            header, stored = dicom_pixels.read_object(paths[index])
            if dicom_header.integer(header, "BitsAllocated") == 8:
                return None
            decoder = decoder or FrameDecoder(header, stored.vr)
            encoded.append(encoded_frame(stored, 0))
        except SourceError:
            continue
    return decoder.learn_levels(encoded) if decoder is not None else None


def _notes_on_objects(series: Sequence[Instance]) -> tuple[str, ...]:
    """Return where the header and what is stored disagree, each with the number of objects in which they do."""
    counts = Counter(note for one in series for note in one.notes)
    return tuple(f"In {count} of the {len(series)} objects: {note}" for note, count in counts.items())


def _count_note(header: Dataset, count: int) -> tuple[str, ...]:
    """Return the sentence on a header that states more images than there are."""
    told = max(dicom_header.integer(header, keyword) or 0 for keyword in _COUNTS)
    if told <= count:
        return ()
    return (f"The header says that {told} images were taken but {count} are here: some may be missing.",)


def _notes_on_colors(path: Path, levels: Levels | None) -> tuple[str, ...]:
    """Return what the first object's pixels say against its header, nothing when they cannot be read."""
    try:
        header, stored = dicom_pixels.read_object(path)
        decoder = FrameDecoder(header, stored.vr, levels)
        decode_stored(stored, decoder, 0)
    except SourceError:
        return ()
    return decoder.notes


def _series_timing(ordered: list[Instance], header: Dataset) -> KnownTiming:
    """Return the instances' own times where they differ and never go back, else what the first header says."""
    notes: list[str] = []
    own = [(keyword, np.array(clock(ordered, keyword))) for keyword in TIMES]
    triggers = [one.moment.places.get("TriggerTime") for one in ordered]
    if None not in triggers:
        own.append(("TriggerTime", np.array(triggers, np.float64) / 1000))
    for keyword, times in own:
        if len(times) < 2 or (np.diff(times) <= 0).any():
            continue
        seconds = times - times[0]
        if is_plausible(seconds, header):
            return KnownTiming(Timing(seconds, keyword), tuple(notes))
        notes.append(implausible_note(keyword, seconds))
    if len(ordered) < 2:
        return KnownTiming()
    known = read_timing(header, len(ordered))
    timing = known.timing
    if timing is not None and timing.source == "FrameTime" and len({one.frame_time for one in ordered}) > 1:
        timing = replace(timing, approximate=True)
        notes.append("FrameTime differs within the series: that of the first file is used for all, as approximate.")
    return KnownTiming(timing, (*notes, *known.notes))


def mean_changes(orders: Sequence[Sequence[Instance]]) -> list[float]:
    """Return, for each order of the same files, how much a frame differs from the next: levels, mean over the pixels.

    The same number of neighbours is compared in every order, spread over it, on pictures reduced to 64 x 64.
    """
    small: dict[Path, np.ndarray | None] = {}

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
        pairs = [(thumbnail(order[first].path), thumbnail(order[first + 1].path)) for first in firsts]
        known = [float(np.abs(one - other).mean()) for one, other in pairs if one is not None and other is not None]
        changes.append(float(np.mean(known)) if known else 0.0)
    return changes
