"""How well a model follows outlined lesions, and what a person still has to do with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion
from UltrasoundLesionSegLib.evaluation.effort import OFFERED
from UltrasoundLesionSegLib.evaluation.interactive import Plan, run_case
from UltrasoundLesionSegLib.evaluation.sessions import Follower
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.writers.atomic import atomic_path

CORRECTIONS = 2


@dataclass(frozen=True)
class LesionScore:
    """How a model did on a lesion.

    Parameters
    ----------
    lesion, patient : str
    overlap : float
        Mean Dice over the frames that a person outlined, but the first one that shows the lesion, which the model
        starts from.
    curve : tuple of float, length CORRECTIONS + 1
        Effort curve: mean Dice over all outlined frames after 0, 1, ... corrections of the frame that is offered;
        frames with a person's outline count as 1.
    """

    lesion: str
    patient: str
    overlap: float
    curve: tuple[float, ...]

    @property
    def area(self) -> float:
        """Mean height of the effort curve."""
        return float(np.mean([(one + other) / 2 for one, other in zip(self.curve, self.curve[1:], strict=False)]))


@dataclass(frozen=True)
class Difference:
    """By how much one model is better than another.

    Parameters
    ----------
    mean, low, high : float
        Mean over the patients of their mean differences, and its 95% confidence interval (Student's t).
    patients : int
    """

    mean: float
    low: float
    high: float
    patients: int

    def __str__(self) -> str:
        mean, low, high = (number_text(value, 3, signed=True) for value in (self.mean, self.low, self.high))
        interval = "no interval from one patient" if math.isnan(self.low) else f"95% interval {low} to {high}"
        return f"{mean} ({interval})"


def score_lesions(
    lesions: Sequence[OutlinedLesion],
    follower: Callable[[], Follower],
    folder: Path,
    progress: Callable[[int], None] | None = None,
) -> list[LesionScore]:
    """Score a model on lesions; every score is kept in a file, and taken from there.

    Parameters
    ----------
    lesions : sequence of OutlinedLesion
    follower : callable
        Makes the model; called where a score is missing.
    folder : Path
    progress : callable or None
        Called with the number of lesions done.
    """
    made: Follower | None = None
    scores = []
    for number, lesion in enumerate(lesions):
        kept = folder / f"{lesion.name}.json"
        if kept.is_file():
            scores.append(_score_of(json.loads(kept.read_text(encoding="utf-8"))))
            continue
        made = made or follower()
        scores.append(score_lesion(lesion, made))
        with atomic_path(kept) as path:
            path.write_text(json.dumps(asdict(scores[-1])), encoding="utf-8")
        if progress is not None:
            progress(number + 1)
    return scores


def score_lesion(lesion: OutlinedLesion, follower: Follower) -> LesionScore:
    """Score a model on a lesion."""
    (course,) = run_case(lesion, follower, Plan(CORRECTIONS, choosers=(OFFERED,)))
    start = course.steps[0]
    undrawn = ~np.isnan(np.array(start.expected))
    curve = [float(np.mean(step.dice)) for step in course.steps]
    curve += curve[-1:] * (CORRECTIONS + 1 - len(curve))  # every outlined frame is used up
    return LesionScore(lesion.name, lesion.patient, float(np.mean(np.array(start.dice)[undrawn])), tuple(curve))


def _score_of(content: dict[str, object]) -> LesionScore:
    return LesionScore(**{**content, "curve": tuple(content["curve"])})  # type: ignore[arg-type]


def difference(
    scores: Sequence[LesionScore], others: Sequence[LesionScore], quantity: Callable[[LesionScore], float]
) -> Difference:
    """Return by how much ``scores`` are higher than ``others``, lesion by lesion, with patients as the units.

    With few patients a bootstrap's interval is too narrow; Student's t is not, whatever their number from two on.

    Parameters
    ----------
    scores, others : sequence of LesionScore
        Of the same lesions.
    quantity : callable
        What is compared.
    """
    reference = {one.lesion: quantity(one) for one in others}
    means = _patient_means(scores, lambda one: quantity(one) - reference[one.lesion])
    if len(means) < 2 or np.ptp(means) == 0:
        low = high = means[0] if len(means) > 1 else float("nan")
    else:
        low, high = stats.ttest_1samp(means, 0).confidence_interval()
    return Difference(float(np.mean(means)), float(low), float(high), len(means))


def mean_over_patients(scores: Sequence[LesionScore], quantity: Callable[[LesionScore], float]) -> float:
    """Return the mean of a quantity over the patients, so that differences of such means are those of ``difference``.

    Parameters
    ----------
    scores : sequence of LesionScore
    quantity : callable
    """
    return float(np.mean(_patient_means(scores, quantity)))


def _patient_means(scores: Sequence[LesionScore], quantity: Callable[[LesionScore], float]) -> list[float]:
    by_patient: dict[str, list[float]] = {}
    for one in scores:
        by_patient.setdefault(one.patient, []).append(quantity(one))
    return [float(np.mean(values)) for values in by_patient.values()]
