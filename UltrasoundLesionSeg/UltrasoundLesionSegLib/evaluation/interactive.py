"""A simulated person corrects cines: the gain of each correction, for several ways of choosing the frame.

``ultrasound-lesion-seg evaluate DATASET --interactive`` runs it; ``effort_tables.py`` writes the page of results. Every
case is stored in a file of its own as soon as it is done, so that an interrupted run can be resumed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, Bundle, find_bundle
from UltrasoundLesionSegLib.engine.next_frame import expected_gains
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.evaluation.fitted_sessions import Fit, FittedSession, ModelFit
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases
from UltrasoundLesionSegLib.evaluation.methods import Model
from UltrasoundLesionSegLib.evaluation.people import CHOOSERS, FITTED, PEOPLE, Masks, Situation, says_done
from UltrasoundLesionSegLib.evaluation.sessions import Filled, Follower, ModelFollower, Session
from UltrasoundLesionSegLib.measurement.overlap import dice
from UltrasoundLesionSegLib.writers.atomic import atomic_path

SEED_FRAMES = ("first", "middle", "worst")
CANDIDATES = 5  # frames that are tried to find the worst one to start on
VERSION = 4  # of the stored results; results of another version are computed again


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Parameters
    ----------
    corrections : int
        Frames offered to the person, one after the other.
    seeds : tuple of str
        Frames to start on, each with work of its own: ``first`` or ``middle`` of those that show a lesion, or
        ``worst``: of five evenly spaced ones that from which the model does worst.
    choosers, people : tuple of str
        Names in ``CHOOSERS`` and ``PEOPLE``. ``FITTED`` is slow, and not among the default ones.
    random_runs : int
        How often frames are chosen at random.
    every : int
        Every how many frames of a video one is taken, from the first on: quicker, and harder to follow.
    """

    corrections: int = 3
    seeds: tuple[str, ...] = ("first",)
    choosers: tuple[str, ...] = tuple(one for one in CHOOSERS if one != FITTED)
    people: tuple[str, ...] = ("draws",)
    random_runs: int = 5
    every: int = 1

    def __post_init__(self) -> None:
        for chosen, known, what in (
            (self.choosers, CHOOSERS, "who chooses the frame"),
            (self.people, PEOPLE, "the person"),
            (self.seeds, SEED_FRAMES, "the seed's frame"),
        ):
            for one in chosen:
                if one not in known:
                    raise SourceError(f"{what} cannot be '{one}'; choose among {', '.join(known)}")


@dataclass(frozen=True)
class Step:
    """One state of a cine that a person works on: at first with the seed alone.

    Parameters
    ----------
    frame : int
        The frame drawn or confirmed last.
    drawn : bool
        Whether it was drawn.
    done : bool
        Whether the product now says that nothing further is expected.
    gain : float
        Dice, summed over the frames, that it expects of a correction of the frame it offers now.
    dice : list of float
        Dice of each frame with truth, mean over the lesions; 1 on frames drawn.
    expected : list of float
        Expected overlap of each such frame's masks, mean over the lesions; nan on anchors.
    clicks : int
        That the person made on ``frame``.
    """

    frame: int
    drawn: bool
    done: bool
    gain: float
    dice: list[float]
    expected: list[float]
    clicks: int = 0


@dataclass(frozen=True)
class Course:
    """How a person's work on a case went.

    Parameters
    ----------
    case, patient, seed, chooser, person : str
    run : int
        Of those that differ by chance alone.
    frames : list of int
        The frames with truth among those that were taken; the lists of ``steps`` have one entry for each.
    steps : list of Step
    """

    case: str
    patient: str
    seed: str
    chooser: str
    person: str
    run: int
    frames: list[int]
    steps: list[Step]


@dataclass(frozen=True)
class _Work:
    """A case that people work on."""

    case: Case
    cine: Cine
    truth: dict[int, Masks]
    known: dict[str, dict[int, Filled]]
    fit: Fit | None


@dataclass(frozen=True)
class _Way:
    """What tells a course from the others of its case."""

    seed: str
    chooser: str
    person: str
    run: int


def run_case(case: Case, follower: Follower, plan: Plan, fit: Fit | None = None) -> list[Course]:
    """Let people work on a case in all the plan's ways; empty where no frame shows a lesion.

    Parameters
    ----------
    case : Case
    follower : Follower
    plan : Plan
    fit : Fit or None
        What the chooser ``FITTED`` needs.
    """
    work = _opened(case, plan.every, fit)
    if work is None:
        return []
    return [
        _course(work, follower, plan, start, _Way(seed, chooser, person, run))
        for seed in plan.seeds
        for start in [_seed_frame(work, follower, seed)]
        for person in plan.people
        for chooser in plan.choosers
        for run in range(plan.random_runs if chooser == "random" else 1)
    ]


def _opened(case: Case, every: int, fit: Fit | None) -> _Work | None:
    """Return every n-th frame of a case in memory, with the lesions that the first one with a lesion shows."""
    taken = range(0, len(case.cine), every)
    everywhere = {place: found for place, frame in enumerate(taken) if (found := case.truth(frame)) is not None}
    first = next((masks for masks in everywhere.values() if masks.any()), None)
    if first is None:
        return None
    shown = [lesion for lesion in range(len(first)) if first[lesion].any()]
    cine = Cine.from_array(np.stack([case.cine.frames[frame] for frame in taken]))  # read once, not once a propagation
    return _Work(case, cine, {frame: masks[shown] for frame, masks in everywhere.items()}, {}, fit)


def _seed_frame(work: _Work, follower: Follower, wanted: str) -> int:
    # a lesion that the seed's frame does not show would be declared invisible there: all must be seen
    seen = [frame for frame, masks in work.truth.items() if masks.any(axis=(1, 2)).all()]
    if wanted == "first":
        return seen[0]
    if wanted == "middle":
        return seen[len(seen) // 2]
    candidates = sorted({seen[place] for place in np.linspace(0, len(seen) - 1, CANDIDATES).astype(int)})
    return min(candidates, key=lambda frame: float(np.mean(_state(_started(work, follower, frame), work)[0])))


def _started(work: _Work, follower: Follower, seed: int, masks: Masks | None = None, fits: bool = False) -> Session:
    given = work.truth[seed] if masks is None else masks
    if not fits:
        return Session(work.cine, follower, len(given), work.known, {seed: given})
    assert work.fit is not None, f"the chooser '{FITTED}' needs a fit"
    return FittedSession(work.cine, follower, len(given), work.known, {seed: given}, fit=work.fit)


def _state(session: Session, work: _Work) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[int, Filled]]:
    """Return Dice and expected overlap of every frame with truth, and the results."""
    results = session.results()
    scores, expected = [], []
    for frame, truth in work.truth.items():
        found = _found(session, results, frame)
        scores.append(float(np.mean([dice(one, other) for one, other in zip(found, truth, strict=True)])))
        expected.append(float(np.mean(results[frame].expected)) if frame in results else float("nan"))
    return np.array(scores), np.array(expected), results


def _found(session: Session, results: dict[int, Filled], frame: int) -> Masks:
    if frame in session.anchors:
        return session.anchors[frame]
    return np.stack([mask.unpack() > 0.5 for mask in results[frame].masks])


def _course(work: _Work, follower: Follower, plan: Plan, start: int, way: _Way) -> Course:
    person = PEOPLE[way.person]
    answer = person.seed(work.cine.frames[start], work.truth[start])
    session = _started(work, follower, start, answer.masks, way.chooser == FITTED)
    frames = list(work.truth)
    labelled = np.zeros(len(work.cine), bool)
    labelled[frames] = True
    # each case draws other random frames
    rng = np.random.default_rng((way.run, int(hashlib.sha256(work.case.name.encode()).hexdigest()[:8], 16)))
    at, steps = start, []
    while True:
        scores, expected, results = _state(session, work)
        everywhere = np.full(len(work.cine), np.nan)
        everywhere[frames] = scores
        situation = Situation(session.outlook(results), labelled, everywhere, rng)
        found_dice, told = (np.round(one, 5).tolist() for one in (scores, expected))
        gain = float(expected_gains(situation.outlook).max(initial=0.0))
        steps.append(Step(at, answer.drawn, says_done(situation), round(gain, 4), found_dice, told, answer.clicks))
        wanted = CHOOSERS[way.chooser](situation) if len(steps) <= plan.corrections else None
        if wanted is None:
            return Course(work.case.name, work.case.patient, **asdict(way), frames=frames, steps=steps)
        found = _found(session, results, wanted)
        answer = person.answer(work.cine.frames[wanted], found, work.truth[wanted], session.sizes_nearby(wanted))
        session.draw(wanted, answer.masks)
        at = wanted


def evaluate_interactive(
    dataset: Path,
    layout: Layout | str,
    models: Sequence[str | Bundle],
    output: Path,
    plan: Plan | None = None,
    split: str | None = None,
    device: str = "auto",
    limit: int | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> dict[str, list[Course]]:
    """Let simulated people work on a labelled data set of videos.

    Writes ``courses/MODEL/CASE.json`` as each case is done, and takes what is there.

    Parameters
    ----------
    dataset : Path
    layout : Layout or str
        ``davis`` or ``buv``.
    models : sequence of str or Bundle
    output : Path
    plan : Plan or None
        None is the default one.
    split : str or None
        Part of the data set, see ``read_cases``.
    device : str
        See ``resolve_device``.
    limit : int or None
        Take that many cases, drawn by the digests of their names.
    progress : callable or None
        Called with the number of cases done and a sentence.

    Returns
    -------
    dict of str to list of Course
        By model.

    Raises
    ------
    LesionSegError
        When the data set, a model or the device is not what it should be.
    """
    layout, plan = Layout(layout), plan or Plan()
    if layout is Layout.STILLS:
        raise SourceError("stills have no frame to go on to; evaluate videos with --interactive")
    bundles = [model if isinstance(model, Bundle) else find_bundle(model, PROPAGATE) for model in models]
    followers: dict[str, Follower] = {}
    courses: dict[str, list[Course]] = {bundle.name: [] for bundle in bundles}
    cases = list(read_cases(dataset, layout, split))
    if limit is not None and limit < len(cases):
        # those of a smaller limit are among those of a larger one
        kept_names = sorted((hashlib.sha256(case.name.encode()).hexdigest(), case.name) for case in cases)[:limit]
        cases = [case for case in cases if case.name in {name for _, name in kept_names}]
    for number, case in enumerate(cases):
        for bundle in bundles:
            kept = output / "courses" / bundle.name / f"{case.name}.json"
            key = _key(plan, bundle)
            found = _read(kept, key)
            if found is None:
                if bundle.name not in followers:
                    followers[bundle.name] = ModelFollower(Model(bundle, device))
                found = run_case(case, followers[bundle.name], plan, ModelFit(bundle, device))
                _write(kept, key, found)
            courses[bundle.name] += found
        if progress is not None:
            progress(number + 1, f"case {case.name}")
    return courses


def _key(plan: Plan, bundle: Bundle) -> str:
    """Return what a kept case depends on besides its files."""
    from UltrasoundLesionSegLib.engine import next_frame
    from UltrasoundLesionSegLib.fitting import lesion_fit, way_back

    fits = FITTED in plan.choosers
    rules = [next_frame, lesion_fit, way_back] if fits else [next_frame]
    rule = {name: value for one in rules for name, value in vars(one).items() if name.isupper()}
    rule |= {"fit": lesion_fit.FitSettings()} if fits else {}
    parts = f"{VERSION} {plan} {rule} {bundle.sha256} {bundle.tracker_settings()} {bundle.overlap_estimate()}"
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def read_courses(output: Path) -> dict[str, list[Course]]:
    """Return the courses that were kept of a data set, by model.

    Parameters
    ----------
    output : Path
        As ``evaluate_interactive`` wrote it.
    """
    folders = sorted(one for one in (output / "courses").iterdir() if one.is_dir())
    kept = {folder.name: {path.name: path for path in sorted(folder.glob("*.json"))} for folder in folders}
    return {model: [one for path in paths.values() for one in _read(path, None) or []] for model, paths in kept.items()}


def _read(path: Path, key: str | None) -> list[Course] | None:
    """Return a case's courses; None where there are none, or none of this key."""
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if key is not None and content["key"] != key:
        return None
    return [Course(**{**one, "steps": [Step(**step) for step in one["steps"]]}) for one in content["courses"]]


def _write(path: Path, key: str, courses: Sequence[Course]) -> None:
    with atomic_path(path) as target:
        target.write_text(json.dumps({"key": key, "courses": [asdict(one) for one in courses]}), encoding="utf-8")
