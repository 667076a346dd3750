"""Fit a model to the cases that people reviewed, and find out whether it is better on patients that it has not seen.

1. The start model is scored on every lesion, and carries the outlines between them: that makes clips to train on.
2. The patients are split into folds. For each fold a model is trained on the clips of all other patients and scored on
   the lesions of this one: in the end every lesion has a score of a model that knew nothing of its patient.
3. Where those scores are better than the start model's, a model is trained in the same way on all patients and becomes
   a bundle. Else there is none.

All that is found out is kept in files, so that the same call goes on after an interruption. The clips are images of
patients: they are removed at the end.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from UltrasoundLesionSegLib.adaptation import runs
from UltrasoundLesionSegLib.adaptation.clips import mixed, rehearsed_clips, training_clips
from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion, split_patients
from UltrasoundLesionSegLib.adaptation.outcome import Outcome, write_card, write_outcome
from UltrasoundLesionSegLib.adaptation.request import AdaptProgress, AdaptSettings, Tell, check_patients, checked_start
from UltrasoundLesionSegLib.adaptation.scoring import (
    CORRECTIONS,
    LesionScore,
    difference,
    mean_over_patients,
    score_lesions,
)
from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.errors import ModelError, OutputError
from UltrasoundLesionSegLib.evaluation.methods import Model
from UltrasoundLesionSegLib.evaluation.sessions import Follower, ModelFollower
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.training.train import make_accelerator
from UltrasoundLesionSegLib.writers.atomic import atomic_path

PLAN = "plan.json"  # steps of each training
VERSION = 1  # of what is kept in the work folder; another one is made new
FOLDS = 3
FEWEST_STEPS, MOST_STEPS = 20, 2000  # of a training
SPARED = 0.9  # share of the minutes that is planned with
FIRST_SHARE = 0.15  # of the work, as a guess, that is done before a step was timed
LONGEST_WAIT = timedelta(hours=12)  # of processes for the one that scores


@dataclass(frozen=True)
class Plan:
    """What the trainings take: steps of each, seconds of a step, seconds to score all lesions once."""

    steps: int
    step: float
    scoring: float


def adapt(
    lesions: Sequence[OutlinedLesion],
    settings: AdaptSettings,
    work: Path,
    models: Path,
    progress: Tell | None = None,
    notes: Sequence[str] = (),
    began: float | None = None,
) -> Outcome:
    """Fit a model to outlined lesions; write it where it is better on unseen patients.

    Parameters
    ----------
    lesions : sequence of OutlinedLesion
        Their names are names of files and differ.
    settings : AdaptSettings
    work : Path
        Folder of what is kept for the case of an interruption, and of ``outcome.json`` and ``outcome.md``.
    models : Path
        Folder in which the model's bundle appears.
    progress : callable or None
        Called often; what it raises ends the work, which can be taken up again.
    notes : sequence of str
        What a person should know of the lesions; goes into the outcome.
    began : float, optional
        From when the minutes count, as ``time.monotonic`` has it; from now on when left out.

    Returns
    -------
    Outcome

    Raises
    ------
    LesionSegError
        When the lesions are too few, a model is not what it should be, the minutes do not suffice, or they are over
        before all is done, because the machine became slower; the same call then goes on.
    """
    began = time.monotonic() if began is None else began
    start = checked_start(settings, models)
    check_patients(lesions)
    accelerator = make_accelerator(settings.precision, LONGEST_WAIT)
    tell = progress if progress is not None and accelerator.is_main_process else _nobody
    job = _Job(start, lesions, settings, work, accelerator, tell, notes, began)
    return job.run(models / settings.name)


def _nobody(progress: AdaptProgress) -> None:
    """Tell nobody."""


class _Job:
    """One adaptation under way."""

    def __init__(
        self,
        start: Bundle,
        lesions: Sequence[OutlinedLesion],
        settings: AdaptSettings,
        work: Path,
        accelerator: Accelerator,
        tell: Tell,
        notes: Sequence[str],
        began: float,
    ) -> None:
        self._start, self._lesions, self._settings, self._work = start, list(lesions), settings, work
        self._accelerator, self._told, self._notes = accelerator, tell, tuple(notes)
        self._began = began

    def run(self, target: Path) -> Outcome:
        self._on_main(self._begin)
        before: list[LesionScore] = []
        self._on_main(lambda: before.extend(self._score_start()))
        clips = self._clips()
        plan = self._planned(clips)
        after: list[LesionScore] = []
        folds = split_patients(self._lesions, FOLDS)
        for number, unseen in enumerate(folds, start=1):
            seen = [clip for lesion in self._lesions if lesion.patient not in unseen for clip in clips[lesion.name]]
            name = f"fold-{number}"
            self._train(plan, number - 1, name, seen, clips[""])
            self._on_main(partial(self._score_fold, plan, number, name, unseen, after))
        outcome = self._shared(lambda: self._outcome(before, after, plan))
        if outcome.is_better:
            own = [clip for lesion in self._lesions for clip in clips[lesion.name]]
            self._train(plan, FOLDS, "all", own, clips[""])
        self._on_main(lambda: self._finish(outcome, plan, target))
        self._tell(AdaptProgress(1.0, "done", 0.0))
        return outcome

    def _tell(self, progress: AdaptProgress) -> None:
        """Tell the progress; end the work where its time is over."""
        self._told(progress)
        spent = time.monotonic() - self._began
        if self._settings.steps is not None or progress.share >= 1 or spent <= 60 * self._settings.minutes:
            return
        if not (self._work / PLAN).is_file():
            raise self._too_short(spent / max(progress.share, 0.01))
        raise ModelError(
            f"the {self._settings.minutes:g} minutes are over before all was done, because the computer became slower; "
            "what is done is kept, and the same training, started again, goes on for as many minutes"
        )

    def _too_short(self, seconds: float) -> ModelError:
        return ModelError(
            f"{self._settings.minutes:g} min is not enough for these cases on this machine; give at least "
            f"{int(seconds / 60) + 1} minutes"
        )

    def _on_main(self, job: Callable[[], Any]) -> None:
        """Do something in one process while the others wait."""
        if self._accelerator.is_main_process:
            job()
        self._accelerator.wait_for_everyone()

    def _shared(self, job: Callable[[], Outcome]) -> Outcome:
        """Return in all processes what one of them finds out."""
        if self._accelerator.is_main_process:
            write_outcome(job(), self._work)
        self._accelerator.wait_for_everyone()
        return Outcome.read(self._work)

    def _begin(self) -> None:
        """Empty the work folder unless what it holds is of these lesions; keep trainings of this time and precision."""
        digest = hashlib.sha256(f"{VERSION} {self._start.sha256}".encode())
        for lesion in self._lesions:
            digest.update(f"{lesion.name} {lesion.patient} {lesion.cine.identity.digest}".encode())
            for frame, mask in sorted(lesion.masks.items()):
                digest.update(f"{frame} {mask.shape}".encode() + np.packbits(mask).tobytes())
        key, plan = self._work / "key.txt", self._work / PLAN
        if not key.is_file() or key.read_text(encoding="utf-8") != digest.hexdigest():
            shutil.rmtree(self._work, ignore_errors=True)
            with atomic_path(key) as path:
                path.write_text(digest.hexdigest(), encoding="utf-8")
        elif plan.is_file() and json.loads(plan.read_text(encoding="utf-8"))["asked"] != self._asked():
            for folder in ("runs", "models", *(f"scores/fold-{number + 1}" for number in range(FOLDS))):
                shutil.rmtree(self._work / folder, ignore_errors=True)
            plan.unlink()

    def _asked(self) -> list[object]:
        """Return what the trainings depend on besides the lesions and the start model."""
        return [self._settings.minutes, self._settings.steps, self._settings.precision]

    def _follower(self, bundle: Bundle) -> Follower:
        return ModelFollower(Model(bundle, self._settings.device))

    def _score_start(self) -> list[LesionScore]:
        started, folder = time.monotonic(), self._work / "scores" / "start"
        total = len(self._lesions)
        kept = sum((folder / f"{lesion.name}.json").is_file() for lesion in self._lesions)

        def tell(done: int) -> None:
            self._tell(
                AdaptProgress(FIRST_SHARE * 0.7 * done / total, f"start model scored on {done} of {total} lesions")
            )

        found = score_lesions(self._lesions, lambda: self._follower(self._start), folder, tell)
        self._keep_seconds("scoring", (time.monotonic() - started) * total / max(total - kept, 1))
        return found

    def _keep_seconds(self, what: str, seconds: float) -> None:
        """Keep how long something took the first time: afterwards it is read from files."""
        path = self._work / f"{what}.seconds"
        if not path.is_file():
            with atomic_path(path) as temporary:
                temporary.write_text(f"{seconds:.3f}", encoding="utf-8")

    def _seconds(self, what: str) -> float:
        return float((self._work / f"{what}.seconds").read_text(encoding="utf-8"))

    def _clips(self) -> dict[str, list[Clip]]:
        """Return each lesion's clips by its name, and under '' the simulated ones."""
        folder = self._work / "clips"
        self._on_main(lambda: self._make_clips(folder))
        found = {
            lesion.name: [Clip.load(path) for path in sorted((folder / lesion.name).glob("*.npz"))]
            for lesion in self._lesions
        }
        return found | {"": rehearsed_clips(folder / ".simulated")}

    def _make_clips(self, folder: Path) -> None:
        rehearsed_clips(folder / ".simulated")
        follower: Follower | None = None
        for number, lesion in enumerate(self._lesions):
            own = folder / lesion.name
            if (own / "whole").is_file():
                continue
            follower = follower or self._follower(self._start)
            for index, clip in enumerate(training_clips(lesion, follower)):
                clip.save(own / f"{index}.npz")
            (own / "whole").touch()
            share = FIRST_SHARE * (0.7 + 0.3 * (number + 1) / len(self._lesions))
            self._tell(AdaptProgress(share, f"clips made of {number + 1} of {len(self._lesions)} lesions"))

    def _planned(self, clips: dict[str, list[Clip]]) -> Plan:
        """Return steps and seconds a step, as they were planned when this work began."""
        path = self._work / PLAN
        if not path.is_file():
            own = [clip for lesion in self._lesions for clip in clips[lesion.name]]
            step = runs.seconds_per_step(
                self._accelerator,
                self._start,
                mixed(own, clips[""]),
                self._work / "runs" / "timing",
                self._settings.workers,
            )
            self._on_main(lambda: self._plan(path, step))
        content = json.loads(path.read_text(encoding="utf-8"))
        return Plan(int(content["steps"]), float(content["step"]), float(content["scoring"]))

    def _plan(self, path: Path, step: float) -> None:
        scoring = self._seconds("scoring")
        steps = self._settings.steps
        if steps is None:
            # each lesion is scored once more, by the model of its fold
            left = SPARED * 60 * self._settings.minutes - (time.monotonic() - self._began) - scoring
            steps = int(min(left / (FOLDS + 1) / step, MOST_STEPS))
            if steps < FEWEST_STEPS:
                missing = (FOLDS + 1) * step * (FEWEST_STEPS - steps) / SPARED
                raise self._too_short(60 * self._settings.minutes + missing)
        with atomic_path(path) as temporary:
            content = {"steps": steps, "step": step, "scoring": scoring, "asked": self._asked()}
            temporary.write_text(json.dumps(content), encoding="utf-8")

    def _tell_later(self, plan: Plan, spent: float, sentence: str) -> None:
        """Tell the progress after the plan was made, by the seconds spent since."""
        total = (FOLDS + 1) * plan.steps * plan.step + plan.scoring
        self._tell(AdaptProgress(FIRST_SHARE + (1 - FIRST_SHARE) * spent / total, sentence, total - spent))

    def _train(self, plan: Plan, before: int, name: str, own: list[Clip], rehearsed: list[Clip]) -> None:
        """Train for a fold, or on all patients, after ``before`` other trainings."""
        what = "all patients" if name == "all" else f"fold {before + 1} of {FOLDS}"
        spent = before * plan.steps * plan.step + plan.scoring * before / FOLDS

        def tell(done: int) -> None:
            self._tell_later(plan, spent + done * plan.step, f"training for {what}: step {done} of {plan.steps}")

        runs.run_training(
            self._accelerator,
            self._start,
            plan.steps,
            mixed(own, rehearsed),
            self._work / "runs" / name,
            self._settings.workers,
            tell,
        )

    def _score_fold(self, plan: Plan, number: int, name: str, unseen: set[str], found: list[LesionScore]) -> None:
        """Add the scores of a fold's model on its lesions to those found so far."""
        chosen = [lesion for lesion in self._lesions if lesion.patient in unseen]
        spent = number * plan.steps * plan.step + plan.scoring * (number - 1) / FOLDS

        def follower() -> Follower:
            return self._follower(
                runs.bundle_of_run(self._start, self._work / "runs" / name, self._work / "models" / name)
            )

        def tell(done: int) -> None:
            seconds = spent + plan.scoring / FOLDS * done / len(chosen)
            self._tell_later(plan, seconds, f"fold {number} of {FOLDS} scored on {done} of {len(chosen)} lesions")

        found += score_lesions(chosen, follower, self._work / "scores" / name, tell)

    def _outcome(self, before: list[LesionScore], after: list[LesionScore], plan: Plan) -> Outcome:
        def overlap(score: LesionScore) -> float:
            return score.overlap

        return Outcome(
            start=self._start.name,
            name=self._settings.name,
            lesions=len(self._lesions),
            patients=len({lesion.patient for lesion in self._lesions}),
            outlined_frames=sum(len(lesion.masks) for lesion in self._lesions),
            steps=plan.steps,
            overlap=(mean_over_patients(before, overlap), mean_over_patients(after, overlap)),
            curves=(_curve(before), _curve(after)),
            overlap_difference=difference(after, before, overlap),
            area_difference=difference(after, before, lambda one: one.area),
            notes=self._notes,
        )

    def _finish(self, outcome: Outcome, plan: Plan, target: Path) -> None:
        """Put the model in place, and remove the images of patients and what is needed no more."""
        if outcome.is_better:
            made = self._work / "models" / outcome.name
            runs.bundle_of_run(self._start, self._work / "runs" / "all", made)
            runs.write_configuration(made / "configs" / "train.json", self._start, plan.steps)
            write_card(made, self._start, outcome)
            beside = target.with_name(f".{target.name}.part")  # the folder for models can be on another disk
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(beside, ignore_errors=True)
                shutil.move(made, beside)
                shutil.rmtree(self._work / "clips")  # once the model is in place, nobody would come back for them
                beside.rename(target)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise OutputError(
                    f"the model cannot be written ({reason}); see that its disk has free space and that you may write "
                    "to the folder for models, then start it again: it goes on from there"
                ) from None
        for folder in ("clips", "runs", "models"):
            shutil.rmtree(self._work / folder, ignore_errors=True)
        with suppress(OSError):
            (self._work / "key.txt").unlink()


def _curve(scores: Sequence[LesionScore]) -> tuple[float, ...]:
    return tuple(mean_over_patients(scores, partial(_after, step)) for step in range(CORRECTIONS + 1))


def _after(corrections: int, score: LesionScore) -> float:
    return score.curve[corrections]
