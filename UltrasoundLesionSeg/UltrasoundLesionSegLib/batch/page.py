"""The pages over all cases: links to every report, the one that most needs a look first. No scripts, no identifiers."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.batch.case_row import CaseRow
from UltrasoundLesionSegLib.batch.folder import CASES
from UltrasoundLesionSegLib.batch.reviews import Reviews
from UltrasoundLesionSegLib.measurement.columns import MISSING
from UltrasoundLesionSegLib.reader_work.record import ReviewState
from UltrasoundLesionSegLib.report.case import DISCLAIMER
from UltrasoundLesionSegLib.report.html import CONTENT_POLICY
from UltrasoundLesionSegLib.report.style import CSS
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.writers.atomic import atomic_path

CASES_ON_A_PAGE = 200
MOST_FAILED = 200
REPORT = "report.html"
TITLE = "Batch of lesion reports"
_CSS = """
.bar { display: inline-block; width: 6rem; height: .7em; background: var(--rule); border-radius: 3px; }
.bar i { display: block; height: 100%; background: #1f77b4; border-radius: 3px; }
td a { white-space: nowrap; }
figure img { background: #fff; }
nav a, nav b, .filter label { margin-right: .7rem; }
"""


def write_pages(target: Path, rows: Sequence[CaseRow], plot: bytes, reviews: Reviews, title: str = TITLE) -> list[Path]:
    """Write the page, and further ones where there are more cases than a person reads on one.

    Parameters
    ----------
    target : Path
        The first page, usually ``index.html``; the second one is then ``index-2.html``.
    rows : sequence of CaseRow
        Worst first.
    plot : bytes
        PNG.
    reviews : Reviews
    title : str

    Returns
    -------
    list of Path

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    count = max(1, -(-sum(row.has_result for row in rows) // CASES_ON_A_PAGE))
    targets = [target, *(target.with_stem(f"{target.stem}-{number}") for number in range(2, count + 1))]
    names = [path.name for path in targets]
    for number, one in enumerate(targets):
        with atomic_path(one) as temporary:
            temporary.write_text(_page(title, rows, plot, reviews, names, number), encoding="utf-8")
    for left_over in set(target.parent.glob(f"{target.stem}-*{target.suffix}")) - set(targets):
        if left_over.stem.rpartition("-")[2].isdigit():
            with contextlib.suppress(OSError):  # somebody has it open
                left_over.unlink()
    return targets


def _page(title: str, rows: Sequence[CaseRow], plot: bytes, reviews: Reviews, names: Sequence[str], number: int) -> str:
    done = [row for row in rows if row.has_result]
    failed = [row for row in rows if row.state == "failed"]
    banner = f'<p class="banner">{escape(DISCLAIMER)}</p>'
    parts = [
        f'<h1>{escape(title)}</h1><p class="soft">{_counts(rows, reviews)}; ultrasound-lesion-seg {__version__}</p>'
        f"{banner}"
    ]
    if failed and number == 0:
        parts.append(f"<section><h2>Without a result</h2>{_failed_table(failed)}</section>")
    if done:
        shown = done[number * CASES_ON_A_PAGE : (number + 1) * CASES_ON_A_PAGE]
        pages = _navigation(names, number)
        parts.append(
            f"<section><h2>Cases, those that most need a look first</h2>{pages}"
            f"{_done_table(shown, reviews)}{pages}</section>"
        )
    if done and number == 0:
        picture = base64.b64encode(plot).decode("ascii")
        parts.append(
            '<section><h2>Over all cases</h2><figure><img alt="Confidence of every case and size of the lesions" '
            f'src="data:image/png;base64,{picture}"></figure></section>'
        )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}{_CSS}{_filter_rules()}</style></head>"
        f"<body><main>{''.join(parts)}{banner}</main></body></html>\n"
    )


def _counts(rows: Sequence[CaseRow], reviews: Reviews) -> str:
    done = sum(row.has_result for row in rows)
    failed = sum(row.state == "failed" for row in rows)
    waiting = len(rows) - done - failed
    counts = f"{counted(len(rows), 'case')}: {done} with a result, {failed} failed"
    counts += f", {waiting} waiting" if waiting else ""
    if reviews:
        states = [reviews.furthest(row) for row in rows]
        counts += "; by readers: " + ", ".join(f"{states.count(state)} {state.value}" for state in ReviewState)
    return counts


def _navigation(names: Sequence[str], number: int) -> str:
    """Links to the other pages; nothing where there is one."""
    if len(names) == 1:
        return ""
    links = [
        f"<b>{at + 1}</b>" if at == number else f'<a href="{escape(name)}">{at + 1}</a>'
        for at, name in enumerate(names)
    ]
    return f"<nav>Page {' '.join(links)}</nav>"


def _failed_table(rows: Sequence[CaseRow]) -> str:
    body = "".join(f"<tr><td>{escape(row.name)}</td><td>{escape(row.reason)}</td></tr>" for row in rows[:MOST_FAILED])
    more = len(rows) - MOST_FAILED
    note = f"<p>{more} more are listed in key/failed.csv.</p>" if more > 0 else ""
    return _table("<th>Case</th><th>Why</th>", body) + note


def _done_table(rows: Sequence[CaseRow], reviews: Reviews) -> str:
    heads = [
        "Case",
        "Frames to look at",
        "Lowest confidence",
        "on frame",
        "Mean confidence",
        "Frames",
        "Lesions",
        "Longest long axis",
        *(["Readers"] if reviews else []),
        "Remarks",
    ]
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(
        f"<tr{_class_of(row, reviews)}>{''.join(f'<td>{cell}</td>' for cell in _cells(row, reviews))}</tr>"
        for row in rows
    )
    return (_filter() if reviews else "") + _table(head, body)


def _filter() -> str:
    """Buttons that show the cases of one state alone, by the style sheet, because pages have no scripts."""
    choices = [("all", "all"), *((_word(state), state.value) for state in ReviewState)]
    buttons = "".join(
        f'<label><input type="radio" name="state" id="show-{word}"{" checked" if word == "all" else ""}> {name}</label>'
        for word, name in choices
    )
    return f'<p class="filter">Show {buttons}</p>'


def _filter_rules() -> str:
    return "".join(
        f"main:has(#show-{word}:checked) tr[class]:not(.{word}) {{ display: none; }}\n"
        for word in map(_word, ReviewState)
    )


def _class_of(row: CaseRow, reviews: Reviews) -> str:
    return f' class="{_word(reviews.furthest(row))}"' if reviews else ""


def _word(state: ReviewState) -> str:
    return state.value.replace(" ", "-")


def _table(head: str, body: str) -> str:
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(row: CaseRow, reviews: Reviews) -> list[str]:
    link = f'<a href="{CASES}/{escape(row.name)}/{REPORT}">{escape(row.name)}</a>'
    confidence = [MISSING] * 3
    if row.lowest:
        frame, value = row.lowest
        bar = f'<span class="bar"><i style="width:{100 * value:.0f}%"></i></span> {value:.2f}'
        confidence = [bar, str(frame), f"{row.mean:.2f}"]
    remarks = [f"computed with the anchors of reader {row.reader}"] if row.reader else []
    return [
        link,
        _to_look_at(row, reviews),
        *confidence,
        str(row.cells["frames"]),
        str(row.lesions),
        _longest_axis(row),
        *([escape(reviews.phrase(row))] if reviews else []),
        escape("; ".join([*remarks, *reviews.remarks(row)])),
    ]


def _to_look_at(row: CaseRow, reviews: Reviews) -> str:
    """How many frames a person should look at, and the first ones in that order."""
    first, count = reviews.to_look_at(row)
    if not first:
        return "none"
    return f"{counted(count, 'frame')}: {', '.join(map(str, first))}" + (" …" if count > len(first) else "")


def _longest_axis(row: CaseRow) -> str:
    """The longest long axis of the case's lesions, in the unit it was measured in."""
    for unit, digits in (("mm", 1), ("px", 0)):
        if values := row.long_axes.get(unit):
            return f"{max(values):.{digits}f} {unit}"
    return MISSING
