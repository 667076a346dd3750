"""The lines that ``segment`` prints at its end: the most important facts about the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from UltrasoundLesionSegLib.measurement.columns import LENGTH, LesionRow, print_cell
from UltrasoundLesionSegLib.report.wording import counted

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow.case import CaseResult

FRAMES_TO_LOOK_AT = 3


def closing_lines(result: CaseResult, output: Path) -> list[str]:
    """Return the lines: frames, model, time; each lesion's size; frames to look at first; notes; where the files are.

    Parameters
    ----------
    result : CaseResult
    output : Path
        Folder of the results, as the user named it.

    Returns
    -------
    list of str
        In the order in which they are printed.
    """
    record = result.record
    frames = record["source"]["frames"]
    without = [set(one) for one in record["frames_without_result"].values()]
    known = frames - len(set.intersection(*without)) if without else 0
    model, seconds = record["model"], sum(record["seconds"].values())
    lines = [
        f"{known}/{frames} frames have a result, {record['frames_computed']} of them computed by {model['name']} "
        f"{model['version']} on {record['device']}, in {seconds:.1f} s"
    ]
    lines += [_size_line(row) for row in result.lesions]
    suggesters = ", ".join(f"{one['name']} {one['version']}" for one in record["suggested_by"])
    lines += _look_first_lines(result, suggesters)
    if record["clicks"] or record["boxes"]:
        lines.append(f"note: {suggesters} drew the lesion from your clicks or box; look at its outline there")
    lines += [f"note: {note}" for note in dict.fromkeys([*record["source"]["notes"], *record["notices"]])]
    if any(row.is_visible and not row.is_calibrated for row in result.lesions):
        lines.append("note: lengths are in pixels, because the size of a pixel is not known where the lesion lies")
    if record.get("blank_outside"):
        lines.append(f"note: {record['blank_outside']}")
    with_images = [name for name, one in record["outputs"].items() if one["holds_images"]]
    if with_images:
        verb, it = ("holds", "it") if len(with_images) == 1 else ("hold", "them")
        lines.append(
            f"note: {', '.join(with_images)} {verb} the cine's images; look for burnt-in names before you share {it}"
        )
    lines.append(f"results are in {output}; the report: {output / 'report.html'}")
    return lines


def _look_first_lines(result: CaseResult, suggesters: str) -> list[str]:
    """Return the lines on frames to look at: a suggested seed comes first, because all other masks follow from it."""
    chosen = result.look_first[:FRAMES_TO_LOOK_AT]
    listed = ", ".join(f"{frame} (confidence {confidence:.2f})" for frame, confidence in chosen)
    frames = f"frame{'s' if len(chosen) > 1 else ''} {listed}"
    if (suggested := result.record["suggested_on_frame"]) is not None:
        first = f"look first at frame {suggested}: the seed was suggested by {suggesters}; nobody has looked at it"
        return [first, f"then look at {frames}"] if chosen else [first]
    if chosen:
        return [f"look first at {frames}"]
    if result.record["frames_computed"]:
        return ["no frame needs a look first: no correction is expected to change the result much"]
    return []


def _size_line(row: LesionRow) -> str:
    """Return the line on a lesion: both axes on the frame on which its long axis is longest, and frames with it."""
    summary = row.summary
    if not summary.frames_visible:
        return f"{row.segment}: not visible on any frame"
    unit = LENGTH.unit(summary.is_calibrated)
    long, short = (print_cell(one, LENGTH) for one in (summary.long_axis_there, summary.perpendicular_axis_there))
    return (
        f"{row.segment}: {long} x {short} {unit} on frame {summary.largest_long_axis_frame}, where its long axis is "
        f"longest; visible on {counted(summary.frames_visible, 'frame')}"
    )
