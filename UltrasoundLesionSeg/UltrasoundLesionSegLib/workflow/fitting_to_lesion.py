"""A model fitted to the lesions drawn on a cine: a layer of the workflow class.

The method names are camelCase because Slicer's logic class inherits them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import ModelError, SceneError, SeedError
from UltrasoundLesionSegLib.mrml.changes import tell_results_changed
from UltrasoundLesionSegLib.workflow.arguments import checks_arguments
from UltrasoundLesionSegLib.workflow.propagation_and_review import PropagationAndReview

if TYPE_CHECKING:
    from torch.nn import Module

    from UltrasoundLesionSegLib.cine import Mask
    from UltrasoundLesionSegLib.engine.bundles import Bundle
    from UltrasoundLesionSegLib.fitting.way_back import Evidence, Way
    from UltrasoundLesionSegLib.workflow.propagation_job import (
        EditableArea,
        FitRecord,
        PropagationJob,
        PropagationProgress,
        PropagationSummary,
    )

NOT_KEPT = (
    "The fit to this lesion was not used: followed back to the drawn frame, its result agrees less with the drawing "
    "(Dice {with:.2f}) than the result without it (Dice {without:.2f})."
)
LOST_EARLIER = (
    "The fit to this lesion was not used: its result shows the lesion on fewer frames ({with_fit}) than the result "
    "without it ({without})."
)
NOT_CHECKED = (
    "The fit to this lesion was kept without a check: on frame {frame}, from which {lesion} would be followed back to "
    "the drawn frame, neither the result with it nor the one without shows a lesion; look at the masks."
)
NOT_FITTED = "The model was not fitted to this lesion: {reason}."
ANCHORS_CHANGED = (
    "A frame that the model was fitted to was drawn otherwise or released, so its own weights were used; fit again if "
    "you want."
)
LOW, MANY = 0.8, 1 / 3  # expected overlap of a poor mask; share of the masks that makes a fit worth its time
FITTING = "Fitting to this lesion"
WITHOUT, WITH, CHECKING = "Propagating without the fit", "Propagating with the fit", "Checking the fit"


@dataclass(frozen=True)
class _Fit:
    """Weights fitted to a cine, and what they are good for.

    Parameters
    ----------
    of : str
        SHA-256 of the model that was fitted.
    to : str
        Digest of the cine and the anchors that it was fitted to.
    anchors : dict of str to tuple of int
        Their frames, by segment ID.
    bundle : Bundle
    record : FitRecord
    """

    of: str
    to: str
    anchors: dict[str, tuple[int, ...]]
    bundle: Bundle
    record: FitRecord


@checks_arguments
class FittingToLesion(PropagationAndReview):
    """Fits a model to the lesions drawn on a cine and keeps the result unless a check speaks against it."""

    def __init__(self) -> None:
        super().__init__()
        self._fits: dict[str, _Fit] = {}  # by browser ID

    def _release_cine(self, browser: Any) -> None:
        self.clearFit(browser)
        super()._release_cine(browser)

    def _release_all(self) -> None:
        super()._release_all()
        self._fits.clear()

    def fitToLesion(
        self,
        browser: Any,
        model: str | None = None,
        direction: str = "both",
        frames: tuple[int, int] | None = None,
        device: str = "auto",
        allowOverlap: bool = False,
        editable: EditableArea | None = None,
        progress: Callable[[PropagationProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> PropagationSummary:
        """Fit a model to the lesions drawn on a cine, once for all anchors, and propagate with it.

        The cine is propagated without and with the fit. The result with the fit stays unless it leads back to the drawn
        outline less well than the one without (``fitting.way_back``); then that one stays, and a notice says so. So it
        does where neither result shows a lesion to lead back, and the one with the fit stays unchecked. Fitted weights
        are kept in memory with the cine. Later propagations with this model use them, also after further frames were
        drawn or confirmed, until one of the anchors that it was fitted to changes or is released, or until
        ``clearFit``. Where the lesions drawn are too small to fit to, the result is that without a fit, and a notice
        says so.

        Parameters
        ----------
        browser, model, direction, frames, device, allowOverlap, editable
            As for ``propagate``.
        progress : callable, optional
            Called after every frame and every step of the fit.
        cancelled : callable, optional
            Asked as often; True stops, as Ctrl+C does. Everything is then as it was before.

        Returns
        -------
        PropagationSummary
            Of the propagation whose result stayed; its ``fit`` says which that is.

        Raises
        ------
        SeedError, ModelError, DeviceError, SceneError
            As ``propagate`` does.
        """
        steps = self.fitToLesionSteps(browser, model, direction, frames, device, allowOverlap, editable)

        def advance(step: PropagationProgress) -> None:
            if progress:
                progress(step)
            if cancelled and cancelled():
                raise SceneError("the fit was cancelled; everything is as it was before")

        return self._finish(browser, steps, advance)

    def fitToLesionSteps(
        self,
        browser: Any,
        model: str | None = None,
        direction: str = "both",
        frames: tuple[int, int] | None = None,
        device: str = "auto",
        allowOverlap: bool = False,
        editable: EditableArea | None = None,
    ) -> Generator[PropagationProgress, None, None]:
        """Do what ``fitToLesion`` does, a step at a time; closing the generator puts everything back as it was.

        Errors are raised at the first step.
        """
        from UltrasoundLesionSegLib.fitting.way_back import Evidence

        self.commitEdit(browser)
        key = browser.GetID()
        job_before, fit_before = self._jobs.get(key), self._fits.pop(key, None)
        jobs: list[PropagationJob] = []
        is_done = False

        def propagated(stage: str) -> Iterator[PropagationProgress]:
            with closing(
                self.propagateSteps(browser, model, direction, frames, device, allowOverlap, editable)
            ) as steps:
                for step in steps:
                    if self._jobs[key] not in jobs:
                        jobs.append(self._jobs[key])
                    yield replace(step, stage=stage)

        try:
            yield from propagated(WITHOUT)
            plain_job = self._jobs[key]
            plain = self.confidences(browser)
            ways = self._ways(browser, plain, range(*frames) if frames else range(len(self.cine(browser))))
            ends, shown_before = self._ends(browser, ways), self._shown(browser, plain)
            bundle = self._bundle(model, "propagate")
            if ways:  # else there is no frame to use a fit on
                yield from self._fitted(browser, bundle, device, plain_job)
            if key in self._fits:
                yield from propagated(WITH)
                both = ((bundle, ends), (self._fits[key].bundle, self._ends(browser, ways)))
                known = {one: way for one, way in ways.items() if any(masks[one].any() for _, masks in both)}
                agreement = yield from self._led_back(browser, device, known, both)
                evidence = [
                    Evidence(tuple(led_back), shown)
                    for led_back, shown in zip(agreement, (shown_before, self._shown(browser, plain)), strict=True)
                ]
                names = self.segmentNames(browser)
                unchecked = [
                    NOT_CHECKED.format(frame=way.frame, lesion=names[one] if len(names) > 1 else "the lesion")
                    for one, way in ways.items()
                    if one not in known
                ]
                self._judge(browser, plain_job, plain, evidence, unchecked)
            is_done = True
        finally:
            if not is_done and browser.GetScene() is not None:
                for job in reversed(jobs):
                    if job.has_changed:  # one that did not can undo what an earlier one did
                        job.undo()
                self._restore(key, job_before, fit_before)

    def _restore(self, key: str, job: PropagationJob | None, fit: _Fit | None) -> None:
        self._drop_fit(key)
        self._jobs.pop(key, None)
        if job is not None:
            self._jobs[key] = job
        if fit is not None:
            self._fits[key] = fit

    def _fitted(
        self, browser: Any, bundle: Bundle, device: str, plain_job: PropagationJob
    ) -> Generator[PropagationProgress, None, None]:
        """Fit the model and keep the weights with the cine; where that cannot be, ``plain_job`` says why."""
        from UltrasoundLesionSegLib.fitting.lesion_fit import FitSettings, between, fit_steps
        from UltrasoundLesionSegLib.workflow.propagation_job import FitRecord

        settings, started = FitSettings(), time.perf_counter()
        anchors = {segment: tuple(frames) for segment, frames in self._sequence(browser).anchors().items()}
        can_read = self.cine(browser).can_read
        drawn_on = sorted({frame for of_segment in anchors.values() for frame in of_segment if can_read(frame)})
        on = self._resolve_device(device)
        steps = fit_steps(bundle, self._drawn(browser), settings, on if on.type == "cuda" else "cpu")
        fitted, why_not = None, ""
        try:
            led_to = yield from _followed(steps, drawn_on[0], settings.steps)
            fitted = between(bundle, led_to, settings.share)
        except (SeedError, ModelError) as error:
            why_not = str(error)
        record = FitRecord(
            used=fitted is not None,
            model_sha256=bundle.sha256,
            anchors=drawn_on,
            steps=settings.steps,
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            share=settings.share,
            seed=settings.seed,
            seconds=round(time.perf_counter() - started, 3),
        )
        if fitted is None:
            plain_job.summary.fit = record
            plain_job.summary.notices.append(NOT_FITTED.format(reason=why_not))
            return
        self._fits[browser.GetID()] = _Fit(bundle.sha256, self._digest(browser, anchors), anchors, fitted, record)

    def _ways(self, browser: Any, expected: Mapping[str, NDArray[np.float32]], within: range) -> dict[str, Way]:
        """Return each lesion's way from its farthest result of a range to what was drawn, by segment ID."""
        from UltrasoundLesionSegLib.fitting.way_back import farthest

        cine, sequence = self.cine(browser), self._sequence(browser)
        ways = {
            segment: farthest(
                [frame for frame in within if np.isfinite(expected[segment][frame])],
                {frame: sequence.read(frame, segment) for frame in frames if cine.can_read(frame)},
            )
            for segment, frames in sequence.anchors().items()
        }
        return {segment: way for segment, way in ways.items() if way is not None}

    def _ends(self, browser: Any, ways: Mapping[str, Way]) -> dict[str, Mask]:
        """Return the masks that are now where the ways begin."""
        sequence = self._sequence(browser)
        return {segment: sequence.read(way.frame, segment) for segment, way in ways.items()}

    def _shown(self, browser: Any, expected: Mapping[str, NDArray[np.float32]]) -> int:
        """Return on how many of the frames with an expected overlap the lesions are shown, summed over them."""
        sequence = self._sequence(browser)
        return sum(
            bool(sequence.read(int(frame), segment).any())
            for segment, values in expected.items()
            for frame in np.flatnonzero(np.isfinite(values))
        )

    def _led_back(
        self,
        browser: Any,
        device: str,
        ways: Mapping[str, Way],
        results: Sequence[tuple[Bundle, Mapping[str, Mask]]],
    ) -> Generator[PropagationProgress, None, list[list[float]]]:
        """Return, for each model and its masks, how well each lesion leads back to what was drawn."""
        from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
        from UltrasoundLesionSegLib.fitting.way_back import lead_back
        from UltrasoundLesionSegLib.workflow.propagation_job import PropagationProgress

        cine, started, done = self.cine(browser), time.perf_counter(), 0
        total = len(results) * sum(len(way.frames) for way in ways.values())
        found = []
        for bundle, ends in results:
            network, on = self._network(bundle, device), self._resolve_device(device)
            inferer = PropagationInferer(bundle.tracker_settings(), on, overlap=bundle.overlap_estimate())
            own = []
            for segment, way in ways.items():
                steps = lead_back(partial(inferer, network=network), cine, way, ends[segment])
                while True:
                    try:
                        frame = next(steps)
                    except StopIteration as stop:
                        own.append(float(stop.value))
                        break
                    done += 1
                    seconds = time.perf_counter() - started
                    yield PropagationProgress(frame, done, total, seconds, "", done, total, CHECKING)
            found.append(own)
        return found

    def _judge(
        self,
        browser: Any,
        plain_job: PropagationJob,
        plain: dict[str, NDArray[np.float32]],
        evidence: Sequence[Evidence],
        unchecked: Sequence[str],
    ) -> None:
        """Keep the result that is there now, and say what was not checked, or else that of ``plain_job``.

        ``evidence`` is that for the result without the fit, then that for the one with it.
        """
        from UltrasoundLesionSegLib.fitting.way_back import are_lost, is_kept

        key = browser.GetID()
        job = self._jobs[key]
        now, computed = self.confidences(browser), job.summary.frames_computed
        before, after = (np.concatenate([some[one][computed] for one in plain]) for some in (plain, now))
        known = np.isfinite(before)
        means = [float(one[known].mean()) for one in (before, after)] if known.any() else []
        led_back = [float(np.mean(one.led_back)) for one in evidence if one.led_back]
        expected, way_back = (
            {name: round(value, 4) for name, value in zip(("without", "with"), values, strict=False)}
            for values in (means, led_back)
        )
        without, with_fit = evidence
        is_used = is_kept(with_fit, without)
        record = replace(self._fits[key].record, used=is_used, expected_overlap=expected, way_back=way_back)
        if is_used:
            job.summary.fit = record
            job.summary.notices.extend(unchecked)
            self._fits[key] = replace(self._fits[key], record=record)
            return
        if job.has_changed:
            job.undo()
        plain_job.summary.fit = record
        plain_job.summary.notices.append(
            LOST_EARLIER.format(with_fit=with_fit.shown, without=without.shown)
            if are_lost(with_fit, without)
            else NOT_KEPT.format(**way_back)
        )
        self._jobs[key] = plain_job
        self._drop_fit(key)

    def isFitted(self, browser: Any | None, model: str | None = None) -> bool:
        """Whether the next propagation of a cine with this model uses weights that were fitted to it."""
        fit = self._fits.get(browser.GetID()) if browser is not None else None
        if fit is None:
            return False
        try:
            return self._holds(browser, fit, self._bundle(model, "propagate"))
        except (ModelError, SceneError):  # the model or the cine's images have gone: nothing is propagated with it
            return False

    def isFittedToAll(self, browser: Any | None, model: str | None = None) -> bool:
        """Whether those weights were fitted to all frames that are drawn or confirmed now."""
        if browser is None or not self.isFitted(browser, model):
            return False
        now = {segment: tuple(frames) for segment, frames in self._sequence(browser).anchors().items()}
        return self._fits[browser.GetID()].anchors == now

    def poorFrames(self, browser: Any) -> int:
        """Return how many frames have a low expected overlap (under ``LOW``), 0 unless they are many.

        Many is at least ``MANY`` of the frames that a model segmented. A fit is then worth its time.
        """
        lowest = [one for one in self.confidences(browser).values() if np.isfinite(one).any()]
        if not lowest:
            return 0
        least = np.fmin.reduce(lowest)
        low, known = int((least < LOW).sum()), int(np.isfinite(least).sum())
        return low if low >= MANY * known else 0

    def clearFit(self, browser: Any) -> None:
        """Forget the weights fitted to a cine; its masks stay until it is propagated again."""
        self._drop_fit(browser.GetID())
        tell_results_changed(browser)

    def _drop_fit(self, key: str) -> None:
        fit = self._fits.pop(key, None)
        if fit is not None:
            self._networks = {at: one for at, one in self._networks.items() if at[0] != fit.bundle.sha256}

    def _holds(self, browser: Any, fit: _Fit, bundle: Bundle) -> bool:
        return fit.of == bundle.sha256 and fit.to == self._digest(browser, fit.anchors)

    def _model_for(self, browser: Any, bundle: Bundle) -> tuple[Bundle, FitRecord | None, str]:
        """Return the fitted model where one is kept for this cine and still holds."""
        fit = self._fits.get(browser.GetID())
        if fit is None or fit.of != bundle.sha256:
            return bundle, None, ""
        if self._holds(browser, fit, bundle):
            return fit.bundle, fit.record, ""
        self.clearFit(browser)
        return bundle, None, ANCHORS_CHANGED

    def _drawn(self, browser: Any) -> list[tuple[Any, Any]]:
        """Return each anchor that shows a lesion, with its frame, where that can be read."""
        cine, sequence = self.cine(browser), self._sequence(browser)
        return [
            (cine.frames[frame], mask)
            for segment, anchors in sequence.anchors().items()
            for frame in anchors
            if cine.can_read(frame) and (mask := sequence.read(frame, segment)).any()
        ]

    def _digest(self, browser: Any, anchors: Mapping[str, Sequence[int]]) -> str:
        """Return a digest of a cine and what is drawn on it on some frames; '' where they are no anchors any more."""
        sequence = self._sequence(browser)
        now = sequence.anchors()
        if not all(set(frames) <= set(now.get(segment, ())) for segment, frames in anchors.items()):
            return ""
        digest = hashlib.sha256(self.cine(browser).identity.digest.encode())
        for segment, frames in anchors.items():
            for frame in frames:
                digest.update(f" {segment} {frame} ".encode())
                digest.update(np.packbits(sequence.read(frame, segment)).tobytes())
        return digest.hexdigest()


def _followed(
    steps: Generator[int, None, Module], frame: int, total: int
) -> Generator[PropagationProgress, None, Module]:
    """Do the steps of a fit; yields where it is, and returns what they led to."""
    from UltrasoundLesionSegLib.engine.threads import threads_for_inference
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationProgress

    started = time.perf_counter()
    while True:
        try:
            with threads_for_inference():
                done = next(steps)
        except StopIteration as stop:
            led_to: Module = stop.value
            return led_to
        yield PropagationProgress(frame, done, total, time.perf_counter() - started, "", done, total, FITTING)
