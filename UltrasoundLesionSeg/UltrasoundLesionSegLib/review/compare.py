"""The whole comparison: read, compare, write, and sum up in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.review.case_cines import CaseCines
from UltrasoundLesionSegLib.review.comparison import (
    Comparison,
    Kind,
    Side,
    compare_readers,
    masks_of,
    shared_source,
    side_of,
)
from UltrasoundLesionSegLib.review.comparison_pictures import pictures_of
from UltrasoundLesionSegLib.review.comparison_results import (
    MOST_SHOWN,
    TITLES,
    Lengths,
    check_folder,
    overall,
    remarks,
    shown,
    too_few,
    worst,
    write_comparison,
)
from UltrasoundLesionSegLib.workflow.output_folder import check_writable


@dataclass(frozen=True)
class Written:
    """The result of a comparison, as written.

    Parameters
    ----------
    comparison : Comparison
    sentences : list of str
        For a person.
    left_out : int
        Cases.
    """

    comparison: Comparison
    sentences: list[str]
    left_out: int


def compare_and_write(
    batch: Path,
    codes: tuple[str, str],
    folder: Path,
    pixels_allowed: bool = False,
    progress: Callable[[int, int], None] | None = None,
    sources: Path | None = None,
) -> Written:
    """Compare two readers, or a reader and ``model``, and write table, JSON and page.

    Parameters
    ----------
    batch : Path
        Output folder of a batch.
    codes : tuple of str
    folder : Path
        Of the results.
    pixels_allowed : bool
        Whether the page may show pictures of the worst cases.
    progress : callable or None
        Called with cases done and their number.
    sources : Path, optional
        Where to look for cines that are not where they were.

    Returns
    -------
    Written

    Raises
    ------
    LesionSegError
        When there is nothing to compare, or a file cannot be written.
    """
    cines = CaseCines(batch, sources)
    check_writable(folder)
    check_folder(folder, codes)
    found = compare_readers(batch, *codes, cines.cine, progress)
    pictures: Mapping[tuple[str, str], bytes] | None = None
    if pixels_allowed:
        pictures = pictures_of(
            worst(found, MOST_SHOWN),
            lambda row: cines.cine(row.case, shared_source(_sides(batch, codes, row.case))),
            lambda row: masks_of(row, *_sides(batch, codes, row.case)),
        )
    write_comparison(found, folder, pictures)
    return Written(found, [*_sentences(found), *_not_found(len(cines.missing))], len(found.left_out))


def _sides(batch: Path, codes: tuple[str, str], case: str) -> tuple[Side, Side]:
    return side_of(batch, codes[0], case), side_of(batch, codes[1], case)


def _not_found(count: int) -> list[str]:
    """Say that cines are missing, and what to do."""
    if not count:
        return []
    what = "the cine of 1 case is" if count == 1 else f"the cines of {count} cases are"
    return [
        f"note: {what} not where the batch found it, so that lengths are in pixels and there are no pictures; name the "
        "folder it was moved to with --sources"
    ]


def _sentences(found: Comparison) -> list[str]:
    lines = []
    for kind in Kind:
        one = overall(found, kind)
        if one is None:
            continue
        frames, lesions = counted(one.frames, "frame"), counted(one.lesions, "lesion")
        lines.append(f"{TITLES[kind]}: {frames} of {lesions}, Dice {shown(one.dice)}")
        lines += [f"  long axis: {_agreement(lengths)}" for lengths in one.lengths]
        lines += [f"  note: {remark}" for remark in remarks(one)]
    return lines


def _agreement(lengths: Lengths) -> str:
    axes = lengths.axes
    bias = f"bias {shown(axes.bias, 2)} {lengths.unit}"
    if why := too_few(lengths):
        return f"{bias}; {why}"
    limits = f"limits of agreement {number_text(axes.lower.value, 2)} to {number_text(axes.upper.value, 2)}"
    return f"{bias}, {limits}, ICC {shown(lengths.correlation)}"
