"""The parts of the HTML report, each a function from a case to a piece of HTML. Every text from outside is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Origin, SourceKind
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.measurement.columns import (
    FRAME_COLUMNS,
    SPREAD_PARTS,
    SPREADS,
    lay_out,
    spread_columns,
)
from UltrasoundLesionSegLib.measurement.lesion import THIRD_DIMENSION, shape_sentence
from UltrasoundLesionSegLib.report.case import CaseReport, LesionReport, ModelRecord, runs
from UltrasoundLesionSegLib.report.charts import Series, confidence_strip, legible, line_chart
from UltrasoundLesionSegLib.report.key_frames import close_view, key_frames
from UltrasoundLesionSegLib.report.overlay import RgbImage, describe, draw_case_frame
from UltrasoundLesionSegLib.report.wording import counted

JPEG_QUALITY = 90
MOST_LISTED = 6  # frames to look at first

SHOWN_BY_FRAME = (
    "frame",
    "time",
    "area",
    "long_axis",
    "perpendicular_axis",
    "long_axis_angle",
    "depth",
    "width",
    "depth_width_ratio",
    "orientation",
    "perimeter",
    "circularity",
    "solidity",
    "echo_mean",
    "contrast",
    "boundary_sharpness",
    "posterior_echo_ratio",
    "confidence",
    "origin",
)

MADE_BY = {
    Origin.MANUAL: "drawn by a person",
    Origin.EDITED: "made by a model from a person's clicks, or corrected by a person",
    Origin.CONFIRMED: "made by the model, confirmed by a person",
    Origin.SUGGESTED: "suggested by a model and taken as the seed, seen by nobody",
    Origin.SIMULATED: "a simulated seed",
    Origin.MODEL: "made by the model alone",
}
MARKED = "seed, or drawn or confirmed by a person"

SOURCES = {
    SourceKind.DICOM_MULTIFRAME: "DICOM, multi-frame",
    SourceKind.DICOM_SERIES: "DICOM, a series of single frames",
    SourceKind.VIDEO: "video file",
    SourceKind.IMAGES: "folder of images",
    SourceKind.VOLUME: "volume file",
    SourceKind.SCENE: "3D Slicer scene",
    SourceKind.MEMORY: "frames in memory",
}


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of two columns; the second may hold HTML, the first is escaped."""
    body = "".join(f"<tr><th>{escape(title)}</th><td>{value}</td></tr>" for title, value in rows)
    return f'<table class="facts"><tbody>{body}</tbody></table>'


def swatch(lesion: LesionReport) -> str:
    """A square in the lesion's colour, then its name."""
    red, green, blue = lesion.colour
    return f'<span class="swatch" style="background:rgb({red},{green},{blue})"></span>{escape(lesion.name)}'


def summary_cards(case: CaseReport) -> str:
    """The figures a reader looks for first, a card for each lesion."""
    return f'<div class="cards">{"".join(_card(case, lesion) for lesion in case.lesions)}</div>'


def _card(case: CaseReport, lesion: LesionReport) -> str:
    summary = lesion.summary
    unit = "mm" if summary.is_calibrated else "px"
    if summary.largest_long_axis_frame is None:
        return f'<div class="card"><h3>{swatch(lesion)}</h3><p>Not visible on any measured frame.</p></div>'
    there = lesion.by_frame[summary.largest_long_axis_frame]
    lines = [
        f"longest long axis and the perpendicular axis there, frame {summary.largest_long_axis_frame}; "
        f"the pixel size limits the accuracy to {there.length_uncertainty:.1f} {unit}",
        f"largest area {summary.area.maximum:.1f} {unit}², frame {summary.largest_area_frame}",
        f"visible on {summary.frames_visible} of {counted(summary.frames_measured, 'measured frame')}"
        + ("" if np.isnan(summary.time_visible) else f", {summary.time_visible:.1f} s"),
    ]
    if summary.frames_cut:
        lines.append(
            f"cut by the image's border on {counted(summary.frames_cut, 'frame')}: sizes there are lower bounds"
        )
    if summary.frames_left_out:
        without = counted(summary.frames_left_out, "visible frame")
        lines.append(
            f"{without} without calibration {'is' if summary.frames_left_out == 1 else 'are'} in none of these sizes"
        )
    size = f"{summary.long_axis_there:.1f} × {summary.perpendicular_axis_there:.1f} {unit}"
    body = "".join(f'<p class="soft">{escape(line)}</p>' for line in lines)
    return f'<div class="card"><h3>{swatch(lesion)}</h3><p class="size">{size}</p>{body}</div>'


def look_first(case: CaseReport) -> str:
    """The frames that a person should look at first; nothing where no model made masks."""
    if not any(origin is Origin.MODEL for lesion in case.lesions for origin in lesion.origins):
        return ""
    unseen, suggested = case.unseen, ""
    if unseen:
        named = f"frame{'s' if len(unseen) > 1 else ''} {', '.join(map(str, unseen))}"
        why = "a model suggested the lesion there, and nobody has looked at it"
        suggested = f"<p><strong>Look first at {named}</strong>: {why}.</p>"
    if not case.look_first:
        none = "<p>No frame needs a look first: no correction is expected to change the result much.</p>"
        return suggested or none
    listed = ", ".join(f"{frame} (confidence {confidence:.2f})" for frame, confidence in case.look_first[:MOST_LISTED])
    more = len(case.look_first) - MOST_LISTED
    return (
        f"{suggested}<p><strong>{'Then look' if unseen else 'Look first'} at frame"
        f"{'s' if len(case.look_first) > 1 else ''} {listed}</strong>"
        + (f" and {more} more" if more > 0 else "")
        + ". A correction there is expected to improve the other frames most.</p>"
    )


def lesion_tables(case: CaseReport) -> str:
    """All quantities over the cine, a table for each lesion."""
    tables = "".join(_lesion_table(case, lesion) for lesion in case.lesions)
    notes = dict.fromkeys([lesion.summary.note for lesion in case.lesions] or [THIRD_DIMENSION])
    return f'<div class="tables">{tables}</div>' + "".join(f'<p class="soft">{escape(note)}</p>' for note in notes)


def _lesion_table(case: CaseReport, lesion: LesionReport) -> str:
    row = case.lesion_row(lesion)
    head = "".join(f'<th class="number">{words}</th>' for _, words in SPREAD_PARTS)
    body = ""
    for name, title, quantity in SPREADS:
        slots = lay_out(spread_columns(name, title, quantity), [row])
        unit = quantity.unit(slots[0].calibrated)
        cells = "".join(f'<td class="number">{escape(slot.printed(row))}</td>' for slot in slots)
        body += f"<tr><td>{escape(title)}{f' ({unit})' if unit else ''}</td>{cells}</tr>"
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll"><h3>{swatch(lesion)}</h3>{table}</div>'


def frame_tables(case: CaseReport) -> str:
    """Every measured frame, one table for each lesion, folded away."""
    return "".join(_frame_table(case, lesion) for lesion in case.lesions)


def _frame_table(case: CaseReport, lesion: LesionReport) -> str:
    rows = case.frame_rows(lesion)
    columns = [column for column in FRAME_COLUMNS if column.name in SHOWN_BY_FRAME]
    slots = lay_out(columns, rows)
    alignment = ["" if slot.column.quantity.digits is None else ' class="number"' for slot in slots]
    head = "".join(f"<th{align}>{escape(slot.heading)}</th>" for slot, align in zip(slots, alignment, strict=True))
    body = []
    for row in rows:
        cells = "".join(
            f"<td{align}>{escape(slot.printed(row))}</td>" for slot, align in zip(slots, alignment, strict=True)
        )
        kind = ' class="anchor"' if row.measurement.is_anchor else ""
        body.append(f"<tr{kind}>{cells}</tr>")
    table = f'<table class="frames"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    return (
        f"<details><summary>{swatch(lesion)}: {counted(len(rows), 'measured frame')}</summary>"
        f'<div class="scroll">{table}</div></details>'
    )


def pictures(case: CaseReport) -> str:
    """Key frames with outlines and callipers."""
    chosen = key_frames(case)
    view = close_view(case, chosen)
    figures = "".join(
        f'<figure><img alt="Frame {frame} with outlines and callipers" '
        f'src="{_data_url(draw_case_frame(case, frame, view))}">'
        f"<figcaption><strong>Frame {frame}</strong>{_time(case, frame)} – {escape('; '.join(reasons))}<br>"
        f'<span class="soft">{escape("; ".join(describe(case, frame, named=True)))}</span></figcaption></figure>'
        for frame, reasons in chosen.items()
    )
    crosses = "Upright crosses end the long axis, slanted ones the perpendicular axis."
    if view.box.width < case.cine.width:
        crosses += " The pictures show the part of the frame around the lesions."
    return f'<div class="figures">{figures}</div><p class="soft">{crosses}</p>'


def _time(case: CaseReport, frame: int) -> str:
    return f", {case.seconds(frame):.2f} s" if case.cine.timing else ""


def _data_url(picture: RgbImage) -> str:
    """A picture as a JPEG inside the page."""
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not done:
        raise OutputError("a picture of the report cannot be encoded; write the report without pictures")
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def charts(case: CaseReport) -> str:
    """Confidence strips, area and axes over the cine."""
    parts = []
    for lesion in case.lesions:
        hidden = [frame for frame, one in lesion.by_frame.items() if not one.is_visible]
        title = f"Confidence, {lesion.name}"
        strip = confidence_strip(title, _over_clip(case, lesion, "confidence"), lesion.starts, hidden, lesion.colour)
        parts.append(f"<h3>Confidence – {swatch(lesion)}</h3>{strip}")
    parts.append(
        f'<p class="legend"><span>▲ {MARKED}</span><span>▬ not visible</span><span>low bars need a look</span></p>'
    )
    for calibrated in sorted({lesion.summary.is_calibrated for lesion in case.lesions}, reverse=True):
        unit = "mm" if calibrated else "px"
        shown = [lesion for lesion in case.lesions if lesion.summary.is_calibrated == calibrated]
        areas = [_series(case, lesion, "area") for lesion in shown]
        axes = [_series(case, lesion, axis) for lesion in shown for axis in ("long_axis", "perpendicular_axis")]
        parts.append(f"<h3>Area ({unit}²)</h3>{line_chart(f'Area in {unit}²', areas)}{_legend(areas)}")
        parts.append(f"<h3>Axes ({unit})</h3>{line_chart(f'Axes in {unit}', axes)}{_legend(axes)}")
    return "".join(parts)


def _over_clip(case: CaseReport, lesion: LesionReport, quantity: str) -> NDArray[np.float64]:
    """A quantity on every frame of the cine; nan where not measured, not visible, or in the other unit."""
    values = np.full(len(case.cine), np.nan)
    for frame, one in lesion.by_frame.items():
        if quantity == "confidence" or (one.is_visible and one.is_calibrated == lesion.summary.is_calibrated):
            values[frame] = getattr(one, quantity)
    return values


def _series(case: CaseReport, lesion: LesionReport, quantity: str) -> Series:
    words = {"area": "area", "long_axis": "long axis", "perpendicular_axis": "perpendicular axis"}[quantity]
    return Series(
        f"{lesion.name}, {words}",
        lesion.colour,
        _over_clip(case, lesion, quantity),
        tuple(lesion.starts),
        dashed=quantity == "perpendicular_axis",
    )


def _legend(series: Sequence[Series]) -> str:
    keys = "".join(
        f'<span><span class="key{" dashed" if one.dashed else ""}" style="border-color:{legible(one.colour)}"></span>'
        f"{escape(one.label)}</span>"
        for one in series
    )
    return f'<p class="legend">{keys}<span>● {MARKED}</span></p>'


def makers(case: CaseReport) -> str:
    """Who made the masks that were measured."""
    rows = []
    for lesion in case.lesions:
        counts = "<br>".join(
            f"{number} {'frame' if number == 1 else 'frames'} {MADE_BY[origin]}"
            for origin, number in sorted(lesion.origins.items(), key=lambda pair: list(MADE_BY).index(pair[0]))
        )
        anchors = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in runs(lesion.anchors))
        frames = "frame" if len(lesion.anchors) == 1 else "frames"
        rows.append((lesion.name, (counts or "unknown") + (f"<br>by a person: {frames} {anchors}" if anchors else "")))
    if case.effort:
        rows.append(("Work of a person", escape(case.effort)))
    rows += [("Seed suggested by", _model(one)) for one in case.suggesters]
    if case.model:
        rows.append(("Model", _model(case.model)))
    return facts(rows)


def _model(model: ModelRecord) -> str:
    text = f"{escape(model.name)}, version {escape(model.version)}"
    if model.sha256:
        text += f'<br><span class="soft">weights SHA-256 <code>{escape(model.sha256)}</code></span>'
    return text


def source_facts(case: CaseReport) -> str:
    """The cine: size, timing, calibration and where they are known from."""
    cine = case.cine
    rows = [
        ("Source", f"{escape(SOURCES[cine.identity.kind])}, SHA-256 <code>{escape(cine.identity.digest)}</code>"),
        ("Frames", f"{len(cine)} of {cine.height} × {cine.width} pixels, {'colour' if cine.is_color else 'grey'}"),
        ("Timing", _timing(case)),
        ("Calibration", _calibration(case)),
    ]
    if case.unreadable:
        listed = "; ".join(sentence for _, sentence in sorted(case.unreadable.items()))
        rows.append(("Frames that cannot be read", escape(listed)))
    notes = "".join(f"<li>{escape(note)}</li>" for note in cine.notes)
    return facts(rows) + (f'<ul class="notes">{notes}</ul>' if notes else "")


def _timing(case: CaseReport) -> str:
    timing = case.cine.timing
    if timing is None:
        return "unknown"
    text = f"{timing.seconds[-1]:.2f} s, {timing.frames_per_second:.1f} frames per second, from {timing.source}"
    return escape(text + (" (a rate of display: the rate of acquisition may differ)" if timing.approximate else ""))


def _calibration(case: CaseReport) -> str:
    found = case.calibrations()
    if not found:
        is_known = case.cine.calibration is not None or bool(case.cine.regions)
        known = "None holds where the lesion lies" if is_known else "None is known"
        aspect = case.cine.pixel_aspect
        shape = f" {shape_sentence(aspect)}" if aspect not in (None, 1.0) else ""
        return escape(f"{known}: all lengths are in pixels (px).{shape}")
    texts = []
    for one in found:
        text = f"a pixel is {one.row_mm:.4f} mm deep and {one.column_mm:.4f} mm wide, from {one.source}"
        texts.append(escape(text + (f". {one.note}" if one.note else "")))
    return "<br>".join(texts)


def software_facts(case: CaseReport) -> str:
    """Versions and settings."""
    rows = [(name, escape(version)) for name, version in case.software.items()]
    rows += [(name, escape(value)) for name, value in case.settings.items()]
    return facts(rows) if rows else '<p class="soft">Not recorded.</p>'
