"""Single-frame objects that lie beside multi-frame ones: a cine that was stored one file a frame, or stills.

The stills of a study share a folder, a series, a size and consecutive numbers, too (a series is what one device made
in one examination, PS3.3 A.1.2.3). Only what follows tells them from a cine, and all of it must hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from UltrasoundLesionSegLib.readers.dicom_instances import (
    Instance,
    clocks,
    decode_instance,
    mean_changes,
    read_instances,
    without_copies,
)
from UltrasoundLesionSegLib.readers.dicom_order import in_temporal_order, steps_of
from UltrasoundLesionSegLib.readers.likeness import least_likeness

FEWEST = 5
"""Fewer single images are not taken for a cine beside others."""

_LONGEST_STEP = 1.0
"""Seconds between two images: a person takes longer to store the next still."""

_LEAST_ALIKE = 0.8
"""Least correlation of neighbours where the picture changes, of every pair that is compared (`least_likeness`).

It was 0.89 or more in 28 real cines. In 400 series of eight stills of BUS-BRA, two views of each of four lesions, the
least alike pair had 0.56 or less, also with the same surroundings in each; of single pairs of views 1% had more than
0.73.
"""


class _Verdict(Enum):
    CINE = "cine"
    STILLS = "stills"
    EITHER = "cine or stills"


@dataclass(frozen=True)
class SingleCine:
    """The one cine among the single-frame objects of a folder.

    Parameters
    ----------
    frames : tuple of Instance
        In no order; () when there is none, or several, which the folder cannot name.
    doubtful : tuple of Instance
        Other single images that may be the frames of a cine.
    """

    frames: tuple[Instance, ...] = ()
    doubtful: tuple[Instance, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentence that says what was taken for a cine, and why."""
        count = len(self.frames)
        return (f"The {count} single images are read as one cine: they are of one series, and neighbours are alike.",)

    @property
    def advice(self) -> str:
        """What a person can do about doubtful images, to end a sentence with; '' where there are none."""
        if not self.doubtful:
            return ""
        return f", or put the {len(self.doubtful)} single images into a folder of their own if they are one cine"


def single_cine(instances: Sequence[Instance]) -> SingleCine:
    """Find the single-frame objects of a folder that are the frames of one cine.

    They are of one study, series and size, at least `FEWEST`; no clock says that a person stored them one after the
    other; and neighbours are alike throughout, as views of different places are not. Without a multi-frame object in
    the folder they must also be more than half of the images, as for any series.

    Parameters
    ----------
    instances : sequence of Instance
        All images of the folder, each once.
    """
    singles = [one for one in instances if not one.is_multiframe]
    is_torn = len({one.group[1] for one in singles}) == len(singles)  # an anonymiser gave each a series of its own
    groups: dict[tuple[str, ...], list[Instance]] = {}
    for one in singles:
        groups.setdefault(("", "", *one.group[2:]) if is_torn else one.group, []).append(one)
    verdicts = [(group, _verdict(group, has_series=all(key))) for key, group in groups.items()]
    cines = [group for group, verdict in verdicts if verdict is _Verdict.CINE]
    doubtful = [one for group, verdict in verdicts if verdict is _Verdict.EITHER for one in group]
    has_cines = any(one.is_multiframe for one in instances)
    if len(cines) == 1 and (has_cines or 2 * len(cines[0]) > len(instances)):
        return SingleCine(tuple(cines[0]), tuple(doubtful))
    return SingleCine((), (*doubtful, *itertools.chain(*cines)))


def find_single_cine(paths: Sequence[Path]) -> SingleCine:
    """Find the one cine among the single-frame objects in the DICOM files of a folder, as `read_dicom_folder` does.

    Parameters
    ----------
    paths : sequence of Path
        In natural order of their names.
    """
    instances, _ = read_instances(paths)
    return single_cine(without_copies(instances)[0])


def _verdict(group: Sequence[Instance], has_series: bool) -> _Verdict:
    """Judge single images of one size that are of one study and series, as far as their headers name one."""
    if len(group) < FEWEST:
        return _Verdict.STILLS
    steps = steps_of(clocks(group))
    if steps is not None and np.median(steps) > _LONGEST_STEP:
        return _Verdict.STILLS
    if not has_series or (steps is not None and steps.max() > _LONGEST_STEP):
        return _Verdict.EITHER
    ordered, _ = in_temporal_order(list(group), mean_changes)
    likeness = least_likeness(lambda index: decode_instance(ordered[index].path, index), len(ordered))
    return _Verdict.CINE if likeness is not None and likeness >= _LEAST_ALIKE else _Verdict.EITHER
