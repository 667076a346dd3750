"""The page over all cases: links every report, the one that most needs a look first. Self-contained, no identifiers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.batch.folder import CASES
from UltrasoundLesionSegLib.batch.table import CaseRow
from UltrasoundLesionSegLib.report.case import DISCLAIMER
from UltrasoundLesionSegLib.report.html import CONTENT_POLICY
from UltrasoundLesionSegLib.report.style import CSS
from UltrasoundLesionSegLib.writers.atomic import atomic_path

MOST_SHOWN = 5  # frames to look at that a row names
REPORT = "report.html"
_CSS = """
.bar { display: inline-block; width: 6rem; height: .7em; background: var(--rule); border-radius: 3px; }
.bar i { display: block; height: 100%; background: #1f77b4; border-radius: 3px; }
td a { white-space: nowrap; }
figure img { background: #fff; }
"""


def make_page(rows: Sequence[CaseRow], plot: bytes) -> str:
    """Compose the page.

    Parameters
    ----------
    rows : sequence of CaseRow
        Worst first.
    plot : bytes
        PNG.

    Returns
    -------
    str
        HTML.
    """
    done = [row for row in rows if row.record is not None]
    failed = [row for row in rows if row.state == "failed"]
    waiting = len(rows) - len(done) - len(failed)
    counts = f"{len(rows)} cases: {len(done)} done, {len(failed)} failed" + (f", {waiting} waiting" if waiting else "")
    banner = f'<p class="banner">{escape(DISCLAIMER)}</p>'
    picture = base64.b64encode(plot).decode("ascii")
    parts = [
        f'<h1>Batch of lesion reports</h1><p class="soft">{counts}; ultrasound-lesion-seg {__version__}</p>{banner}'
    ]
    if failed:
        parts.append(f"<section><h2>Without a result</h2>{_failed_table(failed)}</section>")
    if done:
        parts.append(
            f"<section><h2>Cases, those with most to win from a correction first</h2>{_done_table(done)}</section>"
        )
        parts.append(
            '<section><h2>Over all cases</h2><figure><img alt="Confidence of every case and size of the lesions" '
            f'src="data:image/png;base64,{picture}"></figure></section>'
        )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Batch of lesion reports</title><style>{CSS}{_CSS}</style></head>"
        f"<body><main>{''.join(parts)}{banner}</main></body></html>\n"
    )


def _failed_table(rows: Sequence[CaseRow]) -> str:
    body = "".join(f"<tr><td>{escape(row.name)}</td><td>{escape(row.reason)}</td></tr>" for row in rows)
    return _table("<th>Case</th><th>Why</th>", body)


def _done_table(rows: Sequence[CaseRow]) -> str:
    heads = (
        "Case",
        "Frames to look at",
        "Lowest confidence",
        "on frame",
        "Mean",
        "Frames",
        "Lesions",
        "Longest long axis",
        "Remarks",
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(row))}</tr>" for row in rows)
    return _table(head, body)


def _table(head: str, body: str) -> str:
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(row: CaseRow) -> list[str]:
    assert row.record is not None
    link = f'<a href="{CASES}/{escape(row.name)}/{REPORT}">{escape(row.name)}</a>'
    confidence = ["–", "–", "–"]
    if row.worst:
        frame, value = row.worst
        bar = f'<span class="bar"><i style="width:{100 * value:.0f}%"></i></span> {value:.2f}'
        confidence = [bar, str(frame), f"{row.mean_confidence:.2f}"]
    return [
        link,
        _to_look_at(row),
        *confidence,
        str(row.record["source"]["frames"]),
        str(len(row.lesions)),
        _longest_axis(row),
        escape("; ".join(_remarks(row))),
    ]


def _to_look_at(row: CaseRow) -> str:
    """How many frames a person should look at, and the first ones in that order."""
    if not row.offers:
        return "none"
    shown = ", ".join(str(offer.frame) for offer in row.offers[:MOST_SHOWN])
    return f"{len(row.offers)}: {shown}" + (" …" if len(row.offers) > MOST_SHOWN else "")


def _longest_axis(row: CaseRow) -> str:
    """The longest long axis of the case's lesions, in the unit it was measured in."""
    for unit, digits in (("mm", 1), ("px", 0)):
        name = f"long_axis_there_{unit}"
        values = [float(lesion[name]) for lesion in row.lesions if lesion.get(name)]
        if values:
            return f"{max(values):.{digits}f} {unit}"
    return "–"


def _remarks(row: CaseRow) -> list[str]:
    assert row.record is not None
    remarks = []
    if row.record.get("suggested_on_frame") is not None:
        remarks.append("suggested seed, not looked at")
    if unreadable := len(row.record["unreadable_frames"]):
        remarks.append(f"{unreadable} unreadable frames")
    return [*remarks, *row.record.get("notices", [])]


def write_page(target: Path, rows: Sequence[CaseRow], plot: bytes) -> None:
    """Write the page.

    Parameters
    ----------
    target : Path
        Usually ``index.html``.
    rows, plot
        See ``make_page``.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with atomic_path(target) as temporary:
        temporary.write_text(make_page(rows, plot), encoding="utf-8")
