"""Scores of a whole data set to files: CSV, and tables in the papers' form as Markdown."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.evaluation.metrics import SCORES, FrameScores
from UltrasoundLesionSegLib.evaluation.review import LOOKED_AT, POOR
from UltrasoundLesionSegLib.evaluation.scores import ELSEWHERE, SMALL, Interval, ScoredFrame, Summary
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.writers.atomic import atomic_path

KEYS = ("method", "case", "patient", "lesion", "frame", "elapsed")  # what tells a row of frames.csv from the others
HEADINGS = {
    "dice": "Dice",
    "iou": "IoU (J)",
    "missed": "missed area",
    "extra": "extra area",
    "mae": "MAE",
    "boundary": "F",
    "hd95": "HD95 (px)",
}
BOOTSTRAP = "bootstrap over patients"
LEVELS = (("per_frame", "Per image"), ("per_video", "Per video"))
LAST_LINE = "Missed and extra area are shares of the true area; recall is the share that is not missed."
COMPARED_HEADINGS = {"dice": "Dice per video", "last_dice": "last frame's Dice", "missed": "missed area per video"}


def write_frames(rows: Sequence[ScoredFrame], target: Path) -> None:
    """Write one CSV row a method, lesion and frame."""
    fields = [*KEYS, *SCORES, "confidence", "share"]
    with atomic_path(target) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        for row in rows:
            flat = {name: getattr(row, name) for name in KEYS}
            scores = asdict(row.scores) | {"confidence": row.confidence, "share": row.share}
            writer.writerow(flat | {name: f"{value:.5f}" for name, value in scores.items()})


def read_frames(source: Path) -> list[ScoredFrame]:
    """Return the rows that ``write_frames`` wrote.

    Raises
    ------
    SourceError
        When there is no such file, or it is not one of ``write_frames``.
    """
    try:
        with source.open(newline="", encoding="utf-8") as file:
            return [_scored_frame(row) for row in csv.DictReader(file)]
    except OSError as error:
        raise SourceError(f"there is no {source.name} in the folder of results; name a folder of 'evaluate'") from error
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{source.name} has not the columns of this version; run 'evaluate' again on that data set"
        ) from error


def _scored_frame(row: dict[str, str]) -> ScoredFrame:
    scores = FrameScores(*(float(row[score]) for score in SCORES))
    lesion, frame, elapsed = (int(row[key]) for key in KEYS[3:])
    told = float(row["confidence"]), float(row.get("share") or "nan")  # older results have no share
    return ScoredFrame(row["method"], row["case"], row["patient"], lesion, frame, elapsed, scores, *told)


def write_summaries(summaries: Sequence[Summary], target: Path) -> None:
    """Write one CSV row a method, level (frame or video) and score."""
    with atomic_path(target) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "level", "score", "mean", "low", "high"])
        for summary in summaries:
            for level, scores in (("frame", summary.per_frame), ("video", summary.per_video)):
                for score, values in scores.items():
                    writer.writerow([summary.method, level, score, *(f"{value:.5f}" for value in values)])
            writer.writerow([summary.method, "video", "last_dice", *(f"{value:.5f}" for value in summary.last_dice)])


def write_differences(summaries: Sequence[Summary], target: Path) -> None:
    """Write one CSV row a method, other method and score: by how much the method's mean over videos is higher."""
    with atomic_path(target) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "other", "score", "mean", "low", "high"])
        for summary in summaries:
            for other, scores in summary.differences.items():
                for score, values in scores.items():
                    writer.writerow([summary.method, other, score, *(f"{value:.5f}" for value in values)])


def table_text(summaries: Sequence[Summary]) -> str:
    """Return tables in the papers' form as Markdown: per image, per video, differences, the worth of confidence."""
    lines = []
    for level, title in LEVELS:
        # stills have no last frame
        with_last = level == "per_video" and not all(np.isnan(summary.last_dice[0]) for summary in summaries)
        headings = ["method", *HEADINGS.values(), *(["last frame's Dice"] if with_last else [])]
        rows = []
        for summary in summaries:
            cells = [interval_cell(getattr(summary, level)[score], 1 if score == "hd95" else 3) for score in HEADINGS]
            last = [interval_cell(summary.last_dice)] if with_last else []
            rows.append([summary.method, *cells, *last])
        lines += [f"{title}: mean, and 95% confidence interval ({BOOTSTRAP})", "", *markdown_table(headings, rows), ""]
    lines += _difference_lines(summaries) + _size_lines(summaries) + _review_lines(summaries)
    if summaries:
        videos = counted(summaries[0].videos, "video or still", "videos or stills")
        frames = counted(summaries[0].frames, "scored frame and lesion", "scored frames and lesions")
        lines.append(f"{videos}, {frames} a method.")
        lines.append(LAST_LINE)
    return "\n".join(lines) + "\n"


def _difference_lines(summaries: Sequence[Summary]) -> list[str]:
    compared = [summary for summary in summaries if summary.differences]
    if not compared:
        return []
    others = [summary.method for summary in summaries]
    lines = []
    for score, title in COMPARED_HEADINGS.items():
        if all(np.isnan(one[score][0]) for summary in compared for one in summary.differences.values()):
            continue  # stills have no last frame
        rows = []
        for summary in compared:
            found = [summary.differences.get(other) for other in others]
            rows.append([summary.method, *("0" if one is None else difference_cell(one[score]) for one in found)])
        lines += [
            f"{title}: mean difference, row minus column, and 95% confidence interval ({BOOTSTRAP}, the same for both)",
            "",
            *markdown_table(["method", *(f"minus {other}" for other in others)], rows),
            "",
        ]
    return lines


def _size_lines(summaries: Sequence[Summary]) -> list[str]:
    rows = [
        [one.method, str(one.small[0]), interval_cell(one.small[1]), number_text(one.elsewhere, 1, percent=True)]
        for one in summaries
        if not np.isnan(one.elsewhere)
    ]
    if not rows:
        return []
    headings = ["method", f"lesions under {SMALL:.0%} of the frame", "their Dice", f"Dice below {ELSEWHERE:g}, of all"]
    return ["Small lesions, and lesions that were not found", "", *markdown_table(headings, rows), ""]


def _review_lines(summaries: Sequence[Summary]) -> list[str]:
    rows = []
    for summary in summaries:
        if (review := summary.review) is not None:
            means = [summary.per_video["dice"], review.least_sure, review.worst]
            rows.append(
                [summary.method, *map(interval_cell, means), str(review.poor), number_text(review.told_apart, 3)]
            )
    if not rows:
        return []
    share, poor = f"{LOOKED_AT:.0%}", f"{POOR:g}"
    headings = ["method", "all masks", f"the {share} of lowest confidence", f"the {share} of lowest Dice"]
    headings += [f"masks below Dice {poor}", "AUC"]
    return [
        f"Confidence: Dice per video of all masks, of those a person looks at first, and of the worst. "
        f"AUC: how often a mask below Dice {poor} has a lower confidence than a better one (0.5: chance, 1: always)",
        "",
        *markdown_table(headings, rows),
        "",
    ]


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [_line(headings), "|---" * len(headings) + "|", *(_line(row) for row in rows)]


def interval_cell(values: Interval, digits: int = 3) -> str:
    """Return mean and interval; a dash for no values."""
    if np.isnan(values[0]):
        return "-"
    mean, low, high = (number_text(value, digits) for value in values)
    return f"{mean} ({low}-{high})"


def difference_cell(values: Interval, digits: int = 3) -> str:
    """Return mean and interval with their signs; a dash for no values."""
    if np.isnan(values[0]):
        return "-"
    mean, low, high = (number_text(value, digits, signed=True) for value in values)
    return f"{mean} ({low} to {high})"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
