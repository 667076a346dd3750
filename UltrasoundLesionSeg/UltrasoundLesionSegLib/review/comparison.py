"""Two readers' work on the same cases compared, or a reader's with the model's.

What is compared, apart from each other:

* *drawn*: frames that both outlined by hand (drawn, changed, clicked, or declared "not visible"). A frame that one of
  them only confirmed is left out: two confirmations of one model's mask agree because they are the same mask.
* *followed*: frames that neither outlined, where a model carried each one's own outlines. It is what the whole work of
  each comes to; at most 50 evenly spaced frames of a case, because neighbours say nearly the same.

For the model as one side, *drawn* are the frames that the reader outlined and on which the machine's result is the
model's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path

import numpy as np

from UltrasoundLesionSegLib.batch.folder import CASES
from UltrasoundLesionSegLib.cine import Cine, Mask, Origin
from UltrasoundLesionSegLib.errors import LesionSegError, ReviewError
from UltrasoundLesionSegLib.measurement.callipers import long_axis
from UltrasoundLesionSegLib.measurement.overlap import dice, hausdorff95
from UltrasoundLesionSegLib.measurement.shape import largest_component
from UltrasoundLesionSegLib.reader_work.record import MACHINE, How, ReaderAnchor, ReviewState, SourceNote
from UltrasoundLesionSegLib.reader_work.results import CaseMasks, read_machine_result
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder

MODEL = MACHINE
MOST_FOLLOWED = 50  # frames of a case
NAN = float("nan")

Named = Mapping[str, Mask]  # masks of one frame by the lesion's name
SourceOf = Callable[[str, SourceNote | None], Cine | None]


class Kind(str, Enum):
    """Which frames are compared."""

    DRAWN = "drawn"
    FOLLOWED = "followed"


@dataclass(frozen=True)
class Side:
    """What one reader, or the model, says of a case.

    Parameters
    ----------
    anchors : sequence of ReaderAnchor
        Empty for the model.
    result : CaseMasks or None
        All masks: of a reader the ones that the case was finished with.
    is_model : bool
    """

    anchors: Sequence[ReaderAnchor]
    result: CaseMasks | None
    is_model: bool = False

    @cached_property
    def drawn(self) -> Mapping[int, Named]:
        """What was outlined by hand, by frame."""
        found: dict[int, dict[str, Mask]] = {}
        for one in self.anchors:
            if one.how is not How.CONFIRMED:
                found.setdefault(one.frame, {})[one.lesion] = one.mask
        return found

    def outlined(self, frame: int) -> Named:
        """Return what counts as outlined by hand on a frame; of the model, what it found there."""
        return self.followed(frame) if self.is_model else self.drawn.get(frame, {})

    def followed(self, frame: int) -> Named:
        """Return what a model found on a frame, without what anybody outlined or confirmed."""
        if self.result is None:
            return {}
        masks = self.result.masks(frame)
        names = self.result.lesions
        origins = self.result.origins
        if masks is None:
            return {}
        return {name: masks[at] for at, name in enumerate(names) if origins[name][frame] is Origin.MODEL}


@dataclass(frozen=True)
class Pair:
    """One lesion on one frame, as both sides have it."""

    frame: int
    first: Mask
    second: Mask

    @property
    def is_seen(self) -> bool:
        """Whether at least one side sees the lesion."""
        return bool(self.first.any() or self.second.any())


@dataclass(frozen=True)
class LesionComparison:
    """How two sides agree on one lesion of one case.

    Parameters
    ----------
    case, lesion, other_name : str
        The lesion as the first side calls it, and as the second does.
    kind : Kind
    frames : int
        Compared ones.
    seen_by_both, only_first, only_second : int
        Frames on which both, or one, sees the lesion; on the others neither does.
    identical : int
        Frames on which both masks are the same pixel by pixel, and not empty: probably of one origin.
    dice : float
        Mean over the frames on which at least one side sees the lesion; nan where there is none.
    worst_frame : int
        That of the lowest Dice, -1 where there is none.
    lowest_dice : float
    hausdorff95 : float
        Mean over the frames on which both see it.
    first_axis, second_axis : float
        The longest long axis that each has on the frames on which both see it.
    unit : str
        Of lengths: ``mm`` or ``px``.
    source_sha256 : str
        Of the cine.
    """

    case: str
    lesion: str
    other_name: str
    kind: Kind
    frames: int
    seen_by_both: int
    only_first: int
    only_second: int
    identical: int
    dice: float
    worst_frame: int
    lowest_dice: float
    hausdorff95: float
    first_axis: float
    second_axis: float
    unit: str
    source_sha256: str


@dataclass(frozen=True)
class Comparison:
    """Two sides over all cases.

    Parameters
    ----------
    first, second : str
        Their codes.
    lesions : tuple of LesionComparison
    left_out : dict of str to str
        Cases that could not be compared, with the reason.
    unmatched : tuple of (str, str, str)
        Case, side and name of a lesion that the other side does not have.
    confirmed : int
        Frames of lesions left out of ``drawn``, because one side only confirmed a mask.
    """

    first: str
    second: str
    lesions: tuple[LesionComparison, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    unmatched: tuple[tuple[str, str, str], ...] = ()
    confirmed: int = 0

    def of(self, kind: Kind) -> list[LesionComparison]:
        """Return the rows of one kind."""
        return [one for one in self.lesions if one.kind is kind]


def compare_readers(
    output: Path,
    first: str,
    second: str,
    source_of: SourceOf,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two readers, or a reader and the model, on all cases that both have done.

    Parameters
    ----------
    output : Path
        Folder of a batch.
    first, second : str
        Codes of readers; ``model`` is the machine's result.
    source_of : callable
        Gives the cine of a case, for the size of a pixel; None where that cine is not there: lengths are then in
        pixels.
    progress : callable or None
        Called with cases done and their number.

    Raises
    ------
    ReviewError
        When a reader is unknown, both are the same, or there is no case to compare.
    """
    if first == second:
        raise ReviewError("a reader cannot be compared with the same reader; give two codes, or one and 'model'")
    cases = sorted(set(_cases_of(output, first)) | set(_cases_of(output, second)))
    lesions: list[LesionComparison] = []
    unmatched: list[tuple[str, str, str]] = []
    left_out: dict[str, str] = {}
    confirmed = 0
    for number, case in enumerate(cases, start=1):
        try:
            sides = side_of(output, first, case), side_of(output, second, case)
            found = compare_case(case, *sides, source_of(case, shared_source(sides)))
        except LesionSegError as error:
            left_out[case] = str(error)
            continue
        lesions += found.lesions
        unmatched += [(case, (first, second)[side], name) for side, name in found.unmatched]
        confirmed += found.confirmed
        if progress is not None:
            progress(number, len(cases))
    if not lesions:
        reasons = sorted(set(left_out.values()))
        why = f" ({reasons[0]})" if len(reasons) == 1 else ""
        raise ReviewError(
            f"{first} and {second} have no case to compare{why}; both must have done the same case, and outlined frames"
        )
    return Comparison(first, second, tuple(lesions), left_out, tuple(unmatched), confirmed)


def _cases_of(output: Path, code: str) -> list[str]:
    if code == MODEL:
        return []  # whatever the reader has
    folder = ReviewFolder(output)
    folder.check_known(code)
    return folder.cases(code)


def side_of(output: Path, code: str, case: str) -> Side:
    """Return what a reader, or the model, says of a case.

    Parameters
    ----------
    output : Path
        Folder of a batch.
    code : str
        Of the reader, or ``model``.
    case : str

    Raises
    ------
    ReviewError
        When the reader is not done with it, or the machine has no result.
    """
    if code == MODEL:
        result = read_machine_result(output / CASES / case)
        if result is None:
            raise ReviewError("the machine has no result of the case")
        return Side((), result, is_model=True)
    work = ReviewFolder(output).work(code, case)
    record = work.record()
    if record is None or record.state is not ReviewState.DONE:
        raise ReviewError(f"reader {code} is not done with it")
    return Side(work.anchors(), work.result())


def shared_source(sides: Sequence[Side]) -> SourceNote:
    """Return the cine that both readers worked on.

    Raises
    ------
    ReviewError
        When they are two different ones.
    """
    sources = [side.result.source for side in sides if side.result is not None]
    if not sources or not all(one.is_same(sources[0]) for one in sources):
        raise ReviewError("both worked on different versions of the source")
    return sources[0]


@dataclass(frozen=True)
class CaseComparison:
    """What ``compare_case`` finds; ``unmatched`` has the side (0 or 1) and the lesion's name."""

    lesions: list[LesionComparison]
    unmatched: list[tuple[int, str]]
    confirmed: int


def compare_case(case: str, first: Side, second: Side, cine: Cine | None) -> CaseComparison:
    """Compare two sides on one case.

    Parameters
    ----------
    case : str
    first, second : Side
    cine : Cine or None
        For the size of a pixel.
    """
    pairs = {kind: list(_frames(first, second, kind)) for kind in Kind}
    matched = match_lesions([frame for kind in Kind for frame in pairs[kind]])
    lesions = []
    for one, other in matched.items():
        for kind in Kind:
            common = [Pair(at, a[one], b[other]) for at, a, b in pairs[kind] if one in a and other in b]
            if common:
                sha256 = shared_source((first, second)).sha256
                lesions.append(_compared(case, (one, other), kind, common, cine, sha256))
    mine, theirs = _names(first), _names(second)
    unmatched = [(0, name) for name in mine if name not in matched]
    unmatched += [(1, name) for name in theirs if name not in matched.values()]
    return CaseComparison(lesions, unmatched, _confirmed(first, second))


def _names(side: Side) -> list[str]:
    there = side.result.lesions if side.result is not None else ()
    return list(dict.fromkeys([*there, *(one.lesion for one in side.anchors)]))


def _confirmed(first: Side, second: Side) -> int:
    """Return how many lesions on frames both have an anchor of that at least one only confirmed."""
    how = [{(one.frame, one.lesion): one.how for one in side.anchors} for side in (first, second)]
    common = how[0].keys() & how[1].keys()
    return sum(How.CONFIRMED in (how[0][at], how[1][at]) for at in common)


def _frames(first: Side, second: Side, kind: Kind) -> Iterator[tuple[int, Named, Named]]:
    """Yield the frames of a kind with both sides' masks."""
    if kind is Kind.DRAWN:
        for frame in sorted({frame for side in (first, second) for frame in side.drawn}):
            masks = [first.outlined(frame), second.outlined(frame)]
            if masks[0] and masks[1]:
                yield frame, masks[0], masks[1]
        return
    if first.result is None or second.result is None:
        return
    count = min(first.result.frames, second.result.frames)
    anchored = {one.frame for side in (first, second) for one in side.anchors}
    free = [frame for frame in range(count) if frame not in anchored]
    chosen = np.unique(np.linspace(0, len(free) - 1, min(MOST_FOLLOWED, len(free))).round().astype(int))
    for at in chosen:
        masks = [first.followed(free[at]), second.followed(free[at])]
        if masks[0] and masks[1]:
            yield free[at], masks[0], masks[1]


def match_lesions(frames: Iterable[tuple[int, Named, Named]]) -> dict[str, str]:
    """Return which lesion of the second side is which of the first: by their overlap, then by their names.

    Readers number lesions in the order in which they come upon them, so that names alone can be swapped.

    Parameters
    ----------
    frames : iterable of (int, mapping, mapping)
        Frame, and the masks of both sides by the lesion's name.
    """
    shared: dict[tuple[str, str], int] = {}
    names: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for _, first, second in frames:
        names[0].update(dict.fromkeys(first))
        names[1].update(dict.fromkeys(second))
        for one, mask in first.items():
            for other, counterpart in second.items():
                shared[one, other] = shared.get((one, other), 0) + int(np.count_nonzero(mask & counterpart))
    mine, theirs = list(names[0]), list(names[1])
    table = np.array([[shared.get((one, other), 0) for other in theirs] for one in mine]).reshape(
        len(mine), len(theirs)
    )
    from scipy.optimize import linear_sum_assignment  # takes a second to load

    rows, columns = linear_sum_assignment(-table)
    found = {mine[row]: theirs[column] for row, column in zip(rows, columns, strict=True) if table[row, column]}
    for name in mine:
        if name not in found and name in theirs and name not in found.values():
            found[name] = name  # both have a lesion of this name, in different places
    return {name: found[name] for name in mine if name in found}


def masks_of(row: LesionComparison, first: Side, second: Side) -> tuple[Mask, Mask]:
    """Return both sides' masks, bool (H, W), on the frame on which they agree least."""
    frame = row.worst_frame
    if row.kind is Kind.DRAWN:
        return first.outlined(frame)[row.lesion], second.outlined(frame)[row.other_name]
    return first.followed(frame)[row.lesion], second.followed(frame)[row.other_name]


def _compared(
    case: str, names: tuple[str, str], kind: Kind, pairs: Sequence[Pair], cine: Cine | None, sha256: str
) -> LesionComparison:
    seen = [pair for pair in pairs if pair.is_seen]
    both = [pair for pair in pairs if pair.first.any() and pair.second.any()]
    spacing, unit = _spacing(both, cine)
    values = [dice(pair.first, pair.second) for pair in seen]
    worst = int(np.argmin(values)) if values else -1
    return LesionComparison(
        case,
        *names,
        kind,
        frames=len(pairs),
        seen_by_both=len(both),
        only_first=sum(not pair.second.any() for pair in seen),
        only_second=sum(not pair.first.any() for pair in seen),
        identical=sum(bool(np.array_equal(pair.first, pair.second)) for pair in both),
        dice=float(np.mean(values)) if values else NAN,
        worst_frame=seen[worst].frame if values else -1,
        lowest_dice=values[worst] if values else NAN,
        hausdorff95=float(np.mean([hausdorff95(one.first, one.second, spacing) for one in both])) if both else NAN,
        first_axis=max((_axis(one.first, spacing) for one in both), default=NAN),
        second_axis=max((_axis(one.second, spacing) for one in both), default=NAN),
        unit=unit,
        source_sha256=sha256,
    )


def _spacing(pairs: Sequence[Pair], cine: Cine | None) -> tuple[tuple[float, float], str]:
    """Return the size of a pixel that holds wherever a lesion was compared, with its unit."""
    if cine is None:
        return (1.0, 1.0), "px"
    found = {one.spacing if (one := cine.calibration_at(pair.first | pair.second)) else None for pair in pairs}
    spacing = found.pop() if len(found) == 1 else None
    return (spacing, "mm") if spacing else ((cine.pixel_aspect or 1.0, 1.0), "px")


def _axis(mask: Mask, spacing: tuple[float, float]) -> float:
    component = largest_component(mask)
    assert component is not None  # both see the lesion here
    return long_axis(component.outline * np.array(spacing)).length
