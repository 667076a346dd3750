"""The results of a comparison over all lesions, as ``comparison.csv``, ``comparison.json`` and a page."""

from __future__ import annotations

import base64
import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.batch.plot import png_of
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.report.case import DISCLAIMER
from UltrasoundLesionSegLib.report.html import CONTENT_POLICY
from UltrasoundLesionSegLib.report.style import CSS
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.review.agreement import (
    FEWEST,
    BlandAltman,
    Estimate,
    bland_altman,
    intraclass_correlation,
    mean,
)
from UltrasoundLesionSegLib.review.comparison import Comparison, Kind, LesionComparison
from UltrasoundLesionSegLib.writers.atomic import atomic_path

FILES = TABLE, RESULTS, PAGE = "comparison.csv", "comparison.json", "comparison.html"
TITLES = {
    Kind.DRAWN: "Frames that both outlined",
    Kind.FOLLOWED: "Frames that a model outlined from each one's outlines",
}
FEW = 10  # lesions, below which intervals are wide and the page says so
MOSTLY = 0.2  # share of identical masks from which on the page says so: two hands never draw the same pixels
DIGITS = 3


@dataclass(frozen=True)
class Lengths:
    """The agreement of lengths over the lesions that were measured in one unit.

    Parameters
    ----------
    unit : str
    hausdorff95 : Estimate
        Mean over the lesions.
    axes : BlandAltman
        Of the longest long axis of each lesion.
    correlation : Estimate
        ICC(2,1) of it.
    """

    unit: str
    hausdorff95: Estimate
    axes: BlandAltman
    correlation: Estimate


@dataclass(frozen=True)
class Overall:
    """The agreement over all lesions, of one kind of frames.

    Parameters
    ----------
    kind : Kind
    lesions, frames, seen_by_both, only_first, only_second, identical : int
    dice : Estimate
        Mean over the lesions.
    lengths : tuple of Lengths
        One a unit.
    """

    kind: Kind
    lesions: int
    frames: int
    seen_by_both: int
    only_first: int
    only_second: int
    identical: int
    dice: Estimate
    lengths: tuple[Lengths, ...]


def overall(comparison: Comparison, kind: Kind) -> Overall | None:
    """Return the agreement over all lesions; None where no frame of the kind was compared."""
    rows = comparison.of(kind)
    if not rows:
        return None
    lengths = []
    for unit in ("mm", "px"):
        own = [row for row in rows if row.unit == unit and row.seen_by_both]
        if own:
            pairs = np.array([(row.first_axis, row.second_axis) for row in own])
            distance = _cut(mean([row.hausdorff95 for row in own]), math.inf)
            lengths.append(Lengths(unit, distance, bland_altman(*pairs.T), intraclass_correlation(pairs)))
    counts = ("frames", "seen_by_both", "only_first", "only_second", "identical")
    return Overall(
        kind,
        len(rows),
        **{name: sum(getattr(row, name) for row in rows) for name in counts},
        dice=_cut(mean([row.dice for row in rows]), 1.0),
        lengths=tuple(lengths),
    )


def _cut(estimate: Estimate, highest: float) -> Estimate:
    """Return an estimate with its interval cut to what the quantity can be: Student's t knows no such limits."""
    low, high = np.clip([estimate.low, estimate.high], 0.0, highest)
    return replace(estimate, low=float(low), high=float(high))


def check_folder(folder: Path, codes: tuple[str, str]) -> None:
    """Raise ``OutputError`` when a folder holds another comparison, or files of somebody else with its names.

    Parameters
    ----------
    folder : Path
        Need not exist.
    codes : tuple of str
        Who is compared.
    """
    there = [name for name in FILES if (folder / name).exists()]
    if not there:
        return
    try:
        content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        is_same = (content["first"], content["second"]) == codes
    except (OSError, ValueError, TypeError, KeyError):
        raise OutputError(
            f"the output folder holds '{there[0]}' of another program or person, which would be replaced; choose "
            "another folder"
        ) from None
    if not is_same:
        raise OutputError("the output folder holds the comparison of other readers; choose another folder")


def write_comparison(
    comparison: Comparison, folder: Path, pictures: Mapping[tuple[str, str], bytes] | None = None
) -> None:
    """Write ``comparison.csv``, ``comparison.json`` and ``comparison.html``.

    Parameters
    ----------
    comparison : Comparison
    folder : Path
    pictures : mapping of (str, str) to bytes, or None
        JPEG of the worst frame by case and lesion; None where pictures are not allowed.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    names = [field.name for field in fields(LesionComparison)]
    with atomic_path(folder / TABLE) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for row in comparison.lesions:
            writer.writerow({name: _cell(value) for name, value in asdict(row).items()})
    content = {
        "first": comparison.first,
        "second": comparison.second,
        "software": __version__,
        "overall": {kind.value: found and asdict(found) for kind in Kind for found in [overall(comparison, kind)]},
        "left_out": dict(comparison.left_out),
        "unmatched": [{"case": case, "side": side, "lesion": name} for case, side, name in comparison.unmatched],
        "confirmed_left_out": comparison.confirmed,
        "lesions": [asdict(row) for row in comparison.lesions],
    }
    with atomic_path(folder / RESULTS) as path:
        path.write_text(json.dumps(_plain(content), indent=2) + "\n", encoding="utf-8")
    with atomic_path(folder / PAGE) as path:
        path.write_text(make_page(comparison, pictures), encoding="utf-8")


def _cell(value: Any) -> Any:
    if isinstance(value, Kind):
        return value.value
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return value


def _plain(value: Any) -> Any:
    """Return what JSON can hold: null for nan."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Kind):
        return value.value
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value


def worst(comparison: Comparison, count: int) -> list[LesionComparison]:
    """Return the lesions with the lowest Dice on a frame, each once, lowest first.

    Parameters
    ----------
    comparison : Comparison
    count : int
        At most.
    """
    found: dict[tuple[str, str], LesionComparison] = {}
    for row in sorted((one for one in comparison.lesions if one.worst_frame >= 0), key=lambda one: one.lowest_dice):
        found.setdefault((row.case, row.lesion), row)
    return list(found.values())[:count]


def make_page(comparison: Comparison, pictures: Mapping[tuple[str, str], bytes] | None = None) -> str:
    """Compose the page.

    Parameters
    ----------
    comparison : Comparison
    pictures : mapping or None
        As for ``write_comparison``.

    Returns
    -------
    str
        HTML that loads nothing from anywhere.
    """
    first, second = escape(comparison.first), escape(comparison.second)
    title = f"{first} and {second} compared"
    cases = len({row.case for row in comparison.lesions})
    parts = [
        f'<h1>{title}</h1><p class="soft">{counted(cases, "case")}; ultrasound-lesion-seg {__version__}</p>',
        f'<p class="banner">{escape(DISCLAIMER)}</p>',
    ]
    for kind in Kind:
        found = overall(comparison, kind)
        if found is not None:
            parts.append(f"<section><h2>{TITLES[kind]}</h2>{_figures(found, comparison)}</section>")
    parts.append(f"<section><h2>Worst cases</h2>{_worst_section(comparison, pictures)}</section>")
    parts.append(f"<section><h2>Not compared</h2>{_left_out(comparison)}</section>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _figures(found: Overall, comparison: Comparison) -> str:
    first, second = comparison.first, comparison.second
    facts = [
        ("Lesions, frames", f"{found.lesions}, {found.frames}"),
        ("Seen by both", counted(found.seen_by_both, "frame")),
        (f"Seen by {first} alone, by {second} alone", f"{found.only_first}, {counted(found.only_second, 'frame')}"),
        ("Identical masks", counted(found.identical, "frame")),
        ("Dice, mean over lesions", shown(found.dice)),
    ]
    for one in found.lengths:
        unit, axes = one.unit, one.axes
        facts += [
            (f"95% Hausdorff distance, mean ({unit})", shown(one.hausdorff95, 2)),
            (f"Long axis, {first} minus {second}: bias ({unit})", shown(axes.bias, 2)),
            (f"Lower limit of agreement ({unit})", shown(axes.lower, 2)),
            (f"Upper limit of agreement ({unit})", shown(axes.upper, 2)),
            (f"Long axis: ICC(2,1), {counted(axes.count, 'lesion')} ({unit})", shown(one.correlation)),
        ]
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    sentences = dict.fromkeys([*remarks(found), *filter(None, map(too_few, found.lengths))])
    said = "".join(f'<p class="soft">{sentence[0].upper()}{sentence[1:]}.</p>' for sentence in sentences)
    if not found.lengths:
        return f'<table class="facts">{rows}</table>{said}'
    plot = base64.b64encode(png_of(make_plot(comparison, found))).decode("ascii")
    figure = f'<figure><img alt="Bland-Altman plot of the long axis" src="data:image/png;base64,{plot}"></figure>'
    return f'<table class="facts">{rows}</table>{said}{figure}'


def remarks(found: Overall) -> list[str]:
    """Return what a person should know before reading the figures."""
    said = []
    if found.lesions < FEW:
        said.append(f"the figures are of few lesions ({found.lesions}), so the intervals are what can be said")
    if found.identical > found.seen_by_both * MOSTLY:
        said.append(
            f"{found.identical} of {found.seen_by_both} masks are the same on both sides, pixel by pixel: they come "
            "from one model or one seed, and say nothing of how well two readers agree"
        )
    return said


def too_few(lengths: Lengths) -> str:
    """Return why there are no limits of agreement and no ICC; '' where there are."""
    count = lengths.axes.count
    return f"limits of agreement and ICC need at least {FEWEST} lesions, here {count}" if count < FEWEST else ""


def shown(estimate: Estimate, digits: int = DIGITS) -> str:
    """Return an estimate with its interval for a person; a dash for nothing."""
    value, low, high = (number_text(one, digits) for one in (estimate.value, estimate.low, estimate.high))
    return value if math.isnan(estimate.value) or math.isnan(estimate.low) else f"{value} ({low} to {high})"


def make_plot(comparison: Comparison, found: Overall) -> Figure:
    """Draw Bland and Altman's plot of the long axis, one panel a unit.

    Parameters
    ----------
    comparison : Comparison
    found : Overall
        With at least one entry in ``lengths``.
    """
    figure = Figure(figsize=(8, 4 * len(found.lengths)), layout="constrained")
    panels = figure.subplots(len(found.lengths), 1, squeeze=False)[:, 0]
    for axes, lengths in zip(panels, found.lengths, strict=True):
        rows = [row for row in comparison.of(found.kind) if row.unit == lengths.unit and row.seen_by_both]
        _draw(axes, rows, lengths)
        axes.set_ylabel(f"{comparison.first} minus {comparison.second} ({lengths.unit})")
    return figure


def _draw(axes: Axes, rows: Sequence[LesionComparison], lengths: Lengths) -> None:
    middles = [(row.first_axis + row.second_axis) / 2 for row in rows]
    axes.plot(middles, [row.first_axis - row.second_axis for row in rows], "o", color="#1f5a94", markersize=4)
    for estimate, style in ((lengths.axes.bias, "-"), (lengths.axes.lower, "--"), (lengths.axes.upper, "--")):
        if not math.isnan(estimate.value):
            axes.axhline(estimate.value, color="#444444", linestyle=style, linewidth=1)
        if not math.isnan(estimate.low):
            axes.axhspan(estimate.low, estimate.high, color="#9db4cc", alpha=0.3, linewidth=0)
    axes.set_xlabel(
        f"Long axis, mean of both ({lengths.unit}); lines: bias and limits of agreement, with 95% intervals"
    )
    axes.spines[["top", "right"]].set_visible(False)


MOST_SHOWN = 12
NO_PICTURES = (
    "Pictures are left out: ultrasound images may show a patient's name that is burned into them. Look at the frames, "
    "then compare again with pixels allowed."
)


def _worst_section(comparison: Comparison, pictures: Mapping[tuple[str, str], bytes] | None) -> str:
    rows = worst(comparison, MOST_SHOWN)
    heads = "".join(f"<th>{name}</th>" for name in ("Case", "Lesion", "Frame", "Dice there", "Frames"))
    body = "".join(
        f"<tr><td>{escape(row.case)}</td><td>{escape(row.lesion)}</td><td>{row.worst_frame}</td>"
        f"<td>{row.lowest_dice:.3f}</td><td>{row.kind.value}</td></tr>"
        for row in rows
    )
    table = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    if pictures is None:
        return f'{table}<p class="soft">{escape(NO_PICTURES)}</p>'
    first, second = escape(comparison.first), escape(comparison.second)
    figures = "".join(
        f'<figure><img alt="Both outlines" src="data:image/jpeg;base64,'
        f'{base64.b64encode(pictures[row.case, row.lesion]).decode("ascii")}"><figcaption>{escape(row.case)}, '
        f"{escape(row.lesion)}, frame {row.worst_frame}: Dice {row.lowest_dice:.3f}</figcaption></figure>"
        for row in rows
        if (row.case, row.lesion) in pictures
    )
    return f'{table}<p class="soft">{first} orange, {second} blue.</p><div class="figures">{figures}</div>'


def _left_out(comparison: Comparison) -> str:
    lines = [f"{case}: {reason}" for case, reason in sorted(comparison.left_out.items())]
    lines += [f"{case}: the lesion {name} is of {side} alone" for case, side, name in comparison.unmatched]
    if comparison.confirmed:
        lines.append(f"{comparison.confirmed} outlines that one of them only confirmed, on frames that both looked at")
    if not lines:
        return "<p>Nothing.</p>"
    return f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'
