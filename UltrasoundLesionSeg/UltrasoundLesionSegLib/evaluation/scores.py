"""Scores of a whole data set: rows a frame, means a video, the table in the papers' form, Dice over time."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.evaluation.metrics import SCORES, FrameScores, bootstrap_interval
from UltrasoundLesionSegLib.writers.atomic import atomic_path

HEADINGS = {"dice": "Dice", "iou": "IoU (J)", "recall": "Recall", "mae": "MAE", "boundary": "F", "hd95": "HD95 (px)"}


@dataclass(frozen=True)
class ScoredFrame:
    """One lesion on one frame of one video.

    Parameters
    ----------
    method, case, patient : str
    lesion, frame : int
    elapsed : int
        Frames since the seed.
    scores : FrameScores
    """

    method: str
    case: str
    patient: str
    lesion: int
    frame: int
    elapsed: int
    scores: FrameScores


@dataclass(frozen=True)
class Summary:
    """One method over the data set: for each score mean and 95% interval, over frames and over videos.

    Parameters
    ----------
    method : str
    frames, videos : int
    per_frame, per_video : dict
        Score -> (mean, lower, upper); a video's score is the mean over its lesions and frames.
    last_dice : tuple of float
        Dice on the last frame of each video: mean, lower, upper.
    """

    method: str
    frames: int
    videos: int
    per_frame: dict[str, tuple[float, float, float]]
    per_video: dict[str, tuple[float, float, float]]
    last_dice: tuple[float, float, float]


def summarize(rows: Sequence[ScoredFrame], method: str) -> Summary:
    """Summarize one method's rows."""
    own = [row for row in rows if row.method == method]
    cases = sorted({row.case for row in own})
    patient_of = {row.case: row.patient for row in own}
    patients = np.array([row.patient for row in own])
    owners = np.array([patient_of[case] for case in cases])
    per_frame, per_video = {}, {}
    case_of = np.array([row.case for row in own])
    for score in SCORES:
        values = np.array([getattr(row.scores, score) for row in own])
        per_frame[score] = bootstrap_interval(values, patients)
        per_video[score] = bootstrap_interval(np.array([_mean(values[case_of == case]) for case in cases]), owners)
    last = {row.case: row.elapsed for row in sorted(own, key=lambda row: row.elapsed)}
    dice = [
        _mean(np.array([r.scores.dice for r in own if r.case == case and r.elapsed == last[case] > 0]))
        for case in cases
    ]
    return Summary(method, len(own), len(cases), per_frame, per_video, bootstrap_interval(np.array(dice), owners))


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean without nan; nan for nothing."""
    valid = values[~np.isnan(values)]
    return float(valid.mean()) if len(valid) else float("nan")


def dice_over_time(rows: Sequence[ScoredFrame], method: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return frames since the seed and the mean Dice there."""
    own = [row for row in rows if row.method == method]
    elapsed = np.array([row.elapsed for row in own])
    dice = np.array([row.scores.dice for row in own])
    times = np.unique(elapsed)
    return times, np.array([dice[elapsed == time].mean() for time in times])


def write_frames(rows: Sequence[ScoredFrame], target: Path) -> None:
    """Write one CSV row a method, lesion and frame."""
    fields = ["method", "case", "patient", "lesion", "frame", "elapsed", *SCORES]
    with atomic_path(target) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        for row in rows:
            flat = {name: getattr(row, name) for name in fields[:6]}
            writer.writerow(flat | {name: f"{value:.5f}" for name, value in asdict(row.scores).items()})


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


def table_text(summaries: Sequence[Summary]) -> str:
    """Return the table in the papers' form as Markdown: per image, then per video."""
    lines = []
    for level, title in (("per_frame", "Per image"), ("per_video", "Per video")):
        headings = ["method", *HEADINGS.values(), *(["last frame's Dice"] if level == "per_video" else [])]
        lines += [
            f"{title} (mean, 95% interval from drawing patients anew)",
            "",
            _line(headings),
            "|---" * len(headings) + "|",
        ]
        for summary in summaries:
            cells = [_cell(getattr(summary, level)[score], 1 if score == "hd95" else 3) for score in HEADINGS]
            last = [_cell(summary.last_dice, 3)] if level == "per_video" else []
            lines.append(_line([summary.method, *cells, *last]))
        lines.append("")
    if summaries:
        lines.append(
            f"{summaries[0].videos} videos or stills, {summaries[0].frames} scored frames and lesions a method."
        )
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(values: tuple[float, float, float], digits: int) -> str:
    mean, low, high = values
    return "-" if np.isnan(mean) else f"{mean:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
