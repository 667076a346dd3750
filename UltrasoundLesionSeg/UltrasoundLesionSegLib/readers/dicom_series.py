"""A folder of single-frame DICOM objects -> `Cine`, in temporal order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import Cine, Frame, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers import dicom_header, dicom_pixels, frames
from UltrasoundLesionSegLib.readers.dicom_calibration import KnownCalibration, is_same
from UltrasoundLesionSegLib.readers.dicom_decode import FrameDecoder
from UltrasoundLesionSegLib.readers.dicom_instances import (
    SIZE,
    VIEWS,
    Instance,
    clocks,
    decode_instance,
    mean_changes,
    read_instances,
    without_copies,
)
from UltrasoundLesionSegLib.readers.dicom_levels import Levels
from UltrasoundLesionSegLib.readers.dicom_multiframe import decode_stored, encoded_frame, read_dicom_file
from UltrasoundLesionSegLib.readers.dicom_order import (
    TIMES,
    are_stills,
    clock,
    in_temporal_order,
)
from UltrasoundLesionSegLib.readers.dicom_places import places_note
from UltrasoundLesionSegLib.readers.dicom_timing import KnownTiming, implausible_note, is_plausible, read_timing
from UltrasoundLesionSegLib.readers.digest import digest_of_digests, file_digest
from UltrasoundLesionSegLib.readers.likeness import likeness_note
from UltrasoundLesionSegLib.readers.single_cine import SingleCine, single_cine

_FEWEST_TORN = 4
"""So many objects with a series each are not taken for one cine: they can be stills."""

_COUNTS = ("ImagesInAcquisition", "NumberOfTemporalPositions")
"""How many images belong together (PS3.3 C.7.6.1, C.8.3.1)."""


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


def read_dicom_folder(paths: Sequence[Path], may_hold_cines: bool = False) -> Cine:
    """Read the DICOM files of one folder, given in natural order of their names.

    One multi-frame object alone is the cine. Otherwise the single-frame objects of the series that makes up more than
    half of the images are; what is left out is noted.

    Parameters
    ----------
    paths : sequence of Path
    may_hold_cines : bool
        Whether multi-frame objects may lie beside the single-frame objects that are the cine, as `single_cine` finds
        it: who wants one of the others can choose its file.

    Raises
    ------
    SourceError
        When the folder holds no image, or several cines.
    """
    instances, without_image = read_instances(paths)
    instances, copies = without_copies(instances)
    if not instances and len(paths) == 1:
        return read_dicom_file(paths[0])  # says what is wrong with it
    if not instances:
        raise SourceError("the folder holds DICOM objects but no image; choose the folder of one cine")
    multiframe = [one for one in instances if one.is_multiframe]
    if len(instances) == 1:
        cine = read_dicom_file(instances[0].path)
        return replace(cine, notes=(*cine.notes, *_left_out_note(without_image + copies)))
    single = single_cine(instances) if multiframe and may_hold_cines else SingleCine()
    if single.frames:
        others = len(instances) - len(single.frames) + without_image + copies
        return _series_cine(list(single.frames), [*_left_out_note(others), *single.notes])
    if multiframe:
        beside = " beside other images" if len(multiframe) < len(instances) else ""
        counted = (
            "a multi-frame DICOM object" if len(multiframe) == 1 else f"{len(multiframe)} multi-frame DICOM objects"
        )
        raise SourceError(f"the folder holds {counted}{beside}; choose one file{single.advice}")
    series = _main_series(instances)
    left_out = len(instances) - len(series) + without_image + copies
    notes = [*_left_out_note(left_out)]
    if len(series[0].group) == len(SIZE):
        notes.append("The objects do not name one series, as after anonymisation: they are read as one cine.")
    return _series_cine(series, notes)


def _left_out_note(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    others = "1 other DICOM object of the folder is" if count == 1 else f"{count} other DICOM objects of the folder are"
    return (f"{others} left out.",)


def _main_series(instances: list[Instance]) -> list[Instance]:
    """Return the instances of the series and picture size that most images belong to.

    Where every object has a series of its own, or the UID is missing in some and one in the others, an anonymiser did
    it: then the picture size alone decides.
    """
    told = Counter(one.group[1] for one in instances)
    is_torn = len(told) == len(instances) > _FEWEST_TORN and not are_stills(clocks(instances))
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
    stills = are_stills(clocks(series))
    if stills is None:
        return likeness_note(lambda index: decode_instance(series[index].path, index, levels), len(series))
    return ("The images were taken far apart: they may be stills and no cine.",) if stills else ()


def _views_note(series: Sequence[Instance]) -> tuple[str, ...]:
    """Return the sentence on a series that may be several cines, one after the other or in turn."""
    told = zip(VIEWS, zip(*(one.views for one in series), strict=True), strict=True)
    counts = ((keyword, len(set(values))) for keyword, values in told)
    found = max(((count, keyword) for keyword, count in counts if 2 * count <= len(series)), default=(1, ""))
    if found[0] == 1:
        return ()
    return (f"The series may hold {found[0]} cines or views in turn, not one: {found[1]} has that many values in it.",)


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
        notes.append(
            "The files of the series differ in the time between frames (FrameTime): that of the first is used."
        )
    return KnownTiming(timing, (*notes, *known.notes))
