"""The results of simulated people's work on cines: effort curves, and how good the expected overlap is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from UltrasoundLesionSegLib.evaluation.calibration import (
    Bin,
    Values,
    calibration_error,
    mean_rank_correlation,
    rank_correlation,
    reliability,
)
from UltrasoundLesionSegLib.evaluation.interactive import Course, Step
from UltrasoundLesionSegLib.evaluation.people import GOOD
from UltrasoundLesionSegLib.evaluation.review import POOR, told_apart

OFFERED = "next frame"  # the way of choosing that the program uses
ENOUGH = 0.95  # share of frames that must be good for a cine to be finished


@dataclass(frozen=True)
class Effort:
    """What one way of working comes to, mean over cases (and over runs before).

    Parameters
    ----------
    seed, chooser, person : str
    cases : int
    curve : ndarray of float, shape (N + 1,)
        Mean Dice over all frames after 0, 1, ... N frames offered; drawn frames count as 1.
    area : float
        Mean height of the curve.
    finished : float
        Share of cases of which 95% of the frames reach Dice 0.9 within N.
    until : float
        Frames offered until then; N + 1 where it is not reached.
    drawn : float
        Frames drawn, of the N offered.
    clicks : ndarray of float, shape (N + 1,)
        Made so far, the seed's included, after 0, 1, ... N frames offered.
    """

    seed: str
    chooser: str
    person: str
    cases: int
    curve: Values
    area: float
    finished: float
    until: float
    drawn: float
    clicks: Values


@dataclass(frozen=True)
class Worth:
    """What the expected overlap is worth: of all masks of a model in the courses that follow the product's offers.

    Parameters
    ----------
    masks, poor : int
        All, and those with a Dice below 0.8.
    inside, inside_seen : float
        Mean rank correlation with Dice inside a clip (one state of it), of all masks, and of those alone that show the
        lesion where it is (Dice between 0 and 1): an empty mask is right or wrong, nothing between.
    overall : float
        Rank correlation over all masks.
    told_apart : float
        How often a poor mask has a lower expected overlap than another.
    error : float
        Calibration error.
    bins : list of Bin
    first_in_worst_third : float
        Share of cases whose first frame offered is in the worst third of its frames.
    done : float
        Share of cases that the product calls done within N frames offered.
    offered_until_done, dice_when_done : float
        Frames offered before it does (N where it does not), and the mean Dice of all frames then.
    gain_expected, gain_won : float
        Mean Dice, summed over a cine's frames, that the offers were expected to win, and did.
    """

    masks: int
    poor: int
    inside: float
    inside_seen: float
    overall: float
    told_apart: float
    error: float
    bins: list[Bin]
    first_in_worst_third: float
    done: float
    offered_until_done: float
    dice_when_done: float
    gain_expected: float
    gain_won: float


def efforts(courses: Sequence[Course]) -> list[Effort]:
    """Return what each way of working comes to, in the order in which they first appear."""
    ways: dict[tuple[str, str, str], dict[str, list[Course]]] = defaultdict(lambda: defaultdict(list))
    for course in courses:
        ways[course.seed, course.person, course.chooser][course.case].append(course)
    longest = max((len(course.steps) for course in courses), default=0)
    found = []
    for (seed, person, chooser), cases in ways.items():
        curves = np.array([np.mean([_curve(run, longest) for run in runs], axis=0) for runs in cases.values()])
        until = [[_until(run, longest) for run in runs] for runs in cases.values()]
        clicks = [np.mean([_clicks(run, longest) for run in runs], axis=0) for runs in cases.values()]
        drawn = [[sum(step.drawn for step in run.steps[1:]) for run in runs] for runs in cases.values()]
        curve = curves.mean(axis=0)
        found.append(
            Effort(
                seed,
                chooser,
                person,
                len(cases),
                curve,
                area=float(np.mean((curve[1:] + curve[:-1]) / 2)) if longest > 1 else float(curve.mean()),
                finished=float(np.mean([np.mean([one < longest for one in runs]) for runs in until])),
                until=float(np.mean([np.mean(runs) for runs in until])),
                drawn=float(np.mean([np.mean(runs) for runs in drawn])),
                clicks=np.mean(clicks, axis=0),
            )
        )
    return found


def _curve(course: Course, length: int) -> list[float]:
    means = [float(np.mean(step.dice)) for step in course.steps]
    return means + means[-1:] * (length - len(means))  # nothing was left to offer


def _clicks(course: Course, length: int) -> list[float]:
    so_far = np.cumsum([step.clicks for step in course.steps]).tolist()
    return so_far + so_far[-1:] * (length - len(so_far))


def _until(course: Course, length: int) -> int:
    good = [np.mean(np.array(step.dice) >= GOOD) >= ENOUGH for step in course.steps]
    return next((number for number, one in enumerate(good) if one), length)


def worth(courses: Sequence[Course]) -> Worth | None:
    """Return what the expected overlap is worth; None without courses that follow the product's offers."""
    own = [course for course in courses if course.chooser == OFFERED]
    if not own:
        return None
    expected, found, clips = [], [], []
    for course in own:
        for number, step in enumerate(course.steps):
            known = ~np.isnan(np.array(step.expected))
            expected.append(np.array(step.expected)[known])
            found.append(np.array(step.dice)[known])
            clips.append(np.full(int(known.sum()), f"{course.case} {course.seed} {course.person} {number}"))
    all_expected, all_found, all_clips = (np.concatenate(one) for one in (expected, found, clips))
    poor = all_found < POOR
    seen = (all_found > 0) & (all_found < 1)
    stops = [_stop(course) for course in own]
    offers = [pair for course in own for pair in pairwise(course.steps)]
    thirds = [float(_in_worst_third(course)) for course in own if len(course.steps) > 1]
    return Worth(
        masks=len(all_found),
        poor=int(poor.sum()),
        inside=mean_rank_correlation(all_expected, all_found, all_clips),
        inside_seen=mean_rank_correlation(all_expected[seen], all_found[seen], all_clips[seen]),
        overall=rank_correlation(all_expected, all_found),
        told_apart=told_apart(all_expected[poor], all_expected[~poor]),
        error=calibration_error(all_expected, all_found),
        bins=reliability(all_expected, all_found),
        first_in_worst_third=float(np.mean(thirds or [np.nan])),
        done=float(np.mean([course.steps[stop].done for course, stop in zip(own, stops, strict=True)])),
        offered_until_done=float(np.mean(stops)),
        dice_when_done=float(np.mean([np.mean(c.steps[stop].dice) for c, stop in zip(own, stops, strict=True)])),
        gain_expected=float(np.mean([before.gain for before, _ in offers] or [np.nan])),
        gain_won=float(np.mean([_sum(after) - _sum(before) for before, after in offers] or [np.nan])),
    )


def uncorrected(courses: Sequence[Course]) -> list[Course]:
    """Return the courses as they were before the first correction. After it, the masks of a clip are more alike."""
    return [replace(course, steps=course.steps[:1]) for course in courses]


def _stop(course: Course) -> int:
    """Return the step at which the product says that nothing further is expected; the last one where it does not."""
    return next((number for number, step in enumerate(course.steps) if step.done), len(course.steps) - 1)


def _sum(step: Step) -> float:
    return float(np.sum(step.dice))


def _in_worst_third(course: Course) -> bool:
    start = course.steps[0]
    free = ~np.isnan(np.array(start.expected))
    scores = np.array(start.dice)[free]
    offered = start.dice[course.frames.index(course.steps[1].frame)]
    return bool(np.count_nonzero(scores < offered) < len(scores) / 3)
