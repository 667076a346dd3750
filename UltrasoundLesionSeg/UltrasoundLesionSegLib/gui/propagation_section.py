"""Section 3: carrying the lesions through the cine, a step at a time between Qt's events."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from typing import Any

import qt

from UltrasoundLesionSegLib.engine.threads import let_waiting_threads_sleep
from UltrasoundLesionSegLib.errors import LesionSegError, ModelError
from UltrasoundLesionSegLib.gui.hardware import describe_hardware
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.library_loading import WarmUp, load_libraries
from UltrasoundLesionSegLib.gui.masking import area_for_propagation, describe_masking
from UltrasoundLesionSegLib.gui.messages import PassingMessage, Tone, reveal, sentence, tell, telling
from UltrasoundLesionSegLib.gui.section import Section
from UltrasoundLesionSegLib.gui.showing_budget import ShowingBudget

logger = logging.getLogger(__name__)

MOST_RUNS = 3  # of frames, in a sentence


class PropagationSection(Section):
    """Chooses model, direction, frames and device; runs and cancels.

    Work goes in steps on the main thread, started by a timer, so that the application stays usable and MRML is touched
    by one thread only. A step is one frame; the first steps load libraries and model.
    """

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._steps: Generator[Any, None, None] | None = None
        self._budget = ShowingBudget()
        self._warm_up = WarmUp()
        self._refusal = PassingMessage(self.ui.propagateMessageLabel, host.anchors)
        self._outcome = PassingMessage(self.ui.propagateMessageLabel, self._last_results)
        self._begun = False  # whether a frame has been computed
        self._fits = False  # whether the model is fitted to the lesion on the way
        self._came_from, self._followed_to = 0, -1  # the frame shown at the start; the last result shown, -1: none
        self.bundles: list[Any] = []
        self._default_model = ""
        self._filling = False
        self._timer = qt.QTimer(host.root)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._step)
        self.ui.propagateButton.connect("clicked(bool)", self.propagate_or_cancel)
        self.ui.fitButton.connect("clicked(bool)", self.fit)
        self.ui.forgetFitButton.connect("clicked(bool)", self.forget_fit)
        self.ui.allFramesButton.connect("clicked(bool)", self.choose_all_frames)
        self.ui.modelComboBox.connect("currentIndexChanged(int)", self._model_chosen)
        self.ui.firstFrameSpinBox.connect("valueChanged(int)", self._frames_chosen)
        self.ui.lastFrameSpinBox.connect("valueChanged(int)", self._frames_chosen)

    # ---- choices

    @property
    def running(self) -> bool:
        """Whether a propagation is under way."""
        return self._steps is not None

    def enter(self) -> None:
        """A model may have been dropped in while the module was not shown; and it is likely that one is used."""
        self.list_models()
        self._warm_up.start()

    def packages_changed(self) -> None:
        """Say again what there is to compute on."""
        self.list_models()

    def models_changed(self) -> None:
        """Offer the models there are now."""
        self.list_models()

    def list_models(self) -> None:
        """Fill the list of models again: a bundle may have been dropped in since."""
        from UltrasoundLesionSegLib.engine.bundles import default_bundle, list_bundles

        self._filling = True
        try:
            self.bundles = [bundle for bundle in list_bundles() if bundle.role == "propagate"]
            self.ui.modelComboBox.clear()
            for bundle in self.bundles:
                self.ui.modelComboBox.addItem(bundle.title)
            self._default_model = default_bundle("propagate").name if self.bundles else ""
            self._show_model()
        except LesionSegError as error:
            tell(self.ui.propagateMessageLabel, sentence(str(error)), Tone.BAD)
        finally:
            self._filling = False
        self._describe_model()
        tell(self.ui.deviceInfoLabel, *describe_hardware())

    def _chosen_bundle(self) -> Any | None:
        index = self.ui.modelComboBox.currentIndex
        return self.bundles[index] if 0 <= index < len(self.bundles) else None

    def _model_chosen(self, _index: int) -> None:
        bundle = self._chosen_bundle()
        if not self._filling and bundle is not None and self.host.parameters is not None:
            self.host.parameters.model = bundle.name
        self._describe_model()

    def _describe_model(self) -> None:
        bundle = self._chosen_bundle()
        tell(self.ui.modelDescriptionLabel, bundle.description if bundle else "No model is installed.")

    def choose_all_frames(self) -> None:
        """Compute the whole cine."""
        self.ui.firstFrameSpinBox.value = 0
        self.ui.lastFrameSpinBox.value = self.ui.lastFrameSpinBox.maximum

    def _frames_chosen(self, _value: int) -> None:
        parameters = self.host.parameters
        if self._filling or parameters is None:
            return
        last = self.ui.lastFrameSpinBox.value
        parameters.firstFrame = self.ui.firstFrameSpinBox.value
        parameters.lastFrame = -1 if last == self.ui.lastFrameSpinBox.maximum else last

    def cine_changed(self) -> None:
        """Offer the frames of the chosen cine."""
        tell(self.ui.propagateMessageLabel, "")
        self.choices_changed()

    def drawing_changed(self) -> None:
        """Say no more why nothing was computed when something else is drawn."""
        self._refusal.check()

    def results_changed(self) -> None:
        """Say no more why nothing was computed when other frames are anchors, nor of results that are others' now."""
        self._refusal.check()
        self._outcome.check()

    def choices_changed(self) -> None:
        """Show the frames and the model that the parameter node names."""
        browser, parameters = self.host.browser, self.host.parameters
        count = browser.GetNumberOfItems() if browser is not None else 0
        first, last = (parameters.firstFrame, parameters.lastFrame) if parameters is not None else (0, -1)
        self._filling = True
        self.ui.firstFrameSpinBox.setRange(0, max(0, count - 1))
        self.ui.lastFrameSpinBox.setRange(0, max(0, count - 1))
        self.ui.firstFrameSpinBox.value = first if first < count else 0
        self.ui.lastFrameSpinBox.value = last if 0 <= last < count else max(0, count - 1)
        self._show_model()
        self._filling = False
        self._describe_model()

    def _show_model(self) -> None:
        """Select the model that the parameter node names, the default one where it names none that is installed."""
        names = [bundle.name for bundle in self.bundles]
        wanted = self.host.parameters.model if self.host.parameters is not None else ""
        chosen = wanted if wanted in names else self._default_model
        self.ui.modelComboBox.currentIndex = names.index(chosen) if chosen in names else -1

    def busy_changed(self) -> None:
        """Turn the large button into Cancel and back."""
        busy = self.running
        self.ui.propagateButton.text = "Cancel" if busy else "Propagate"
        self.ui.propagateButton.enabled = busy or (self.host.browser is not None and not self.host.busy)
        is_fitted = self._is_fitted()
        self.ui.fitButton.text = "Fit again" if is_fitted else "Fit to this lesion"
        self.ui.fitButton.enabled = not busy and self.ui.propagateButton.enabled and not self._is_fitted_to_all()
        self.ui.forgetFitButton.visible = is_fitted
        self.ui.forgetFitButton.enabled = not self.host.busy
        self.ui.progressBar.visible = busy
        if not busy:
            self.ui.progressLabel.visible = False
        self.ui.modelComboBox.enabled = not busy
        self.ui.directionComboBox.enabled = not busy
        self.ui.deviceComboBox.enabled = not busy
        self.ui.firstFrameSpinBox.enabled = not busy
        self.ui.lastFrameSpinBox.enabled = not busy
        self.ui.allFramesButton.enabled = not busy
        self.ui.overlapCheckBox.enabled = not busy

    # ---- running

    def propagate_or_cancel(self) -> None:
        """What the large button does."""
        if self.running:
            self.cancel()
        else:
            self.start()

    def fit(self) -> None:
        """Fit the model to all frames drawn or confirmed, and propagate with it."""
        self.start(fits=True)

    def forget_fit(self) -> None:
        """Forget the weights that were fitted to the lesion."""
        if not self.host.busy:
            self.logic.clearFit(self.host.browser)
            tell(
                self.ui.propagateMessageLabel, "The fit is forgotten. Propagate to have the model's own results again."
            )
            self.host.busy_changed()

    def _is_fitted(self) -> bool:
        bundle = self._chosen_bundle()
        return bundle is not None and self.logic.isFitted(self.host.browser, bundle.name)

    def _is_fitted_to_all(self) -> bool:
        bundle = self._chosen_bundle()
        return bundle is not None and self.logic.isFittedToAll(self.host.browser, bundle.name)

    def start(self, fits: bool = False) -> None:
        """Start propagating with the choices made; ``fits``: with the model fitted to the lesion on the way."""
        if self.host.busy or self.host.browser is None or not self.host.offer("compute", self.ui.propagateMessageLabel):
            return
        tell(self.ui.propagateMessageLabel, "")
        self.host.store_edit()
        self._steps = self._all_steps()
        self._begun, self._fits = False, fits
        self._came_from, self._followed_to = self.host.browser.GetSelectedItemNumber(), -1
        self._budget.start()
        self.ui.progressBar.setRange(0, 0)
        tell(self.ui.progressLabel, "Starting...")
        self.host.busy_changed()
        self.ui.propagateCollapsibleButton.collapsed = False  # Propagate again lies in another section
        reveal(self.ui.progressLabel)
        self._timer.start()

    def _all_steps(self) -> Generator[Any, None, None]:
        """Load what is needed, then propagate. Strings are what is being done, other things progress."""
        parameters, bundle = self.host.parameters, self._chosen_bundle()
        if bundle is None:
            raise ModelError("no model is installed; put a model bundle into the models folder")
        let_waiting_threads_sleep()
        yield from load_libraries()
        yield "Loading the model..."
        frames = (self.ui.firstFrameSpinBox.value, self.ui.lastFrameSpinBox.value + 1)
        browser = self.host.browser
        editor_node = self.ui.segmentEditor.mrmlSegmentEditorNode()
        begin = self.logic.fitToLesionSteps if self._fits else self.logic.propagateSteps
        steps = begin(
            browser,
            bundle.name,
            parameters.direction.value,
            frames,
            parameters.device.value,
            parameters.allowOverlap,
            area_for_propagation(editor_node, browser, self.logic.cine(browser)),
        )
        try:
            yield from steps
        finally:
            steps.close()

    def _step(self) -> None:
        """Do one step; called by the timer until there is no further one."""
        if self._steps is None:
            self._timer.stop()
            return
        over = True
        self._budget.begin_step()
        with telling(self.ui.propagateMessageLabel):
            self.host.store_edit()
            progress = next(self._steps, None)
            over = progress is None
            if isinstance(progress, str):
                tell(self.ui.progressLabel, progress)
            elif progress is not None:
                self._show(progress)
        if over and self._steps is not None:  # an error ends it, too; showing may have ended it already
            self._finish(failed=bool(self.ui.propagateMessageLabel.text))

    def _show(self, progress: Any) -> None:
        """Show progress and results, as often as there is time for."""
        self._begun = True
        last = progress.done == progress.total
        if not self._budget.allows_showing() and not last:
            return
        self._show_progress(progress)
        parameters = self.host.parameters
        if parameters is not None and parameters.followResults:
            self.host.show_frame(progress.frame)
            self._followed_to = progress.frame
        self.host.progress_made()

    def _show_progress(self, progress: Any) -> None:
        percent = 100 * progress.done // max(1, progress.total)
        if self.ui.progressBar.maximum != 100:
            self.ui.progressBar.setRange(0, 100)
        if self.ui.progressBar.value != percent:
            self.ui.progressBar.value = percent
        text = f"{progress.frames_per_second:.1f} frames a second"  # no count: some frames are computed twice
        if progress.stage:
            text = progress.stage
        if progress.done < progress.total:
            text += f", {duration(progress.seconds_left)} left"
        tell(self.ui.progressLabel, text)

    def cancel(self) -> None:
        """Stop and say what is done; that stays."""
        if self._steps is not None:
            self._finish(cancelled=True)

    def stop(self) -> None:
        """Stop silently: the scene is changing, and the panel will be shown again when that is over."""
        steps, self._steps = self._steps, None
        self._timer.stop()
        if steps is not None:
            steps.close()

    def _finish(self, cancelled: bool = False, failed: bool = False) -> None:
        self.stop()
        if not failed:
            if not cancelled:
                self._go_back()
            with telling(self.ui.propagateMessageLabel):
                self._tell_outcome(cancelled)
        if failed or not self._begun:
            self._refusal.said()
        else:
            self._outcome.said()
        self.host.propagation_ended()
        reveal(self.ui.propagateMessageLabel)

    def _go_back(self) -> None:
        """Show the frame again from which the results were followed, unless the user went to another meanwhile."""
        browser = self.host.browser
        if browser is not None and browser.GetSelectedItemNumber() == self._followed_to:
            self.host.show_frame(self._came_from)

    def _last_results(self) -> Any:
        """Return what the last propagation of the chosen cine did, and whether it can be taken back."""
        return self.host.last_propagation(), self.logic.canUndoPropagation(self.host.browser)

    def _tell_outcome(self, cancelled: bool) -> None:
        browser = self.host.browser
        if browser is None or browser.GetScene() is None:
            return
        if cancelled and (self._fits or not self._begun):  # a cancelled fit is taken back
            tell(self.ui.propagateMessageLabel, "Cancelled; nothing was changed.")
            return
        summary = self.logic.lastPropagation(browser)
        text, tone = outcome(summary, cancelled, self._budget.seconds)
        if not cancelled and summary.fit is None and (poor := self.logic.poorFrames(browser)):
            text += f" {_frames(poor)} with a low expected overlap: press Fit to this lesion, or correct some."
        if summary.fit is not None and summary.fit.used and not self._is_fitted_to_all():
            text += " Frames were drawn or confirmed since the fit: press Fit again to include them."
        limits = describe_masking(self.ui.segmentEditor.mrmlSegmentEditorNode())
        if limits:
            text, tone = f"{text} {limits}", Tone.CAUTION
        tell(self.ui.propagateMessageLabel, text, tone)

    def cleanup(self) -> None:
        """Stop permanently."""
        self.stop()
        self._warm_up.stop()


def outcome(summary: Any, cancelled: bool, seconds: float) -> tuple[str, Tone]:
    """Return the sentence on what a propagation did.

    Parameters
    ----------
    summary : PropagationSummary
    cancelled : bool
    seconds : float
        Time that it took, showing included.
    """
    count = len(summary.frames_computed)
    if cancelled:
        unfinished = len(summary.frames_unfinished)
        kept = "was computed and is kept" if count + unfinished == 1 else "were computed and are kept"
        text = f"Cancelled: {_frames(count + unfinished)} {kept}."
        if unfinished:
            text += f" Of these, {unfinished} in one direction only; propagate again to finish."
    elif count == 0 and not summary.unreadable:
        text = "Nothing to do: every frame has its result already." if not summary.notices else "Nothing to do."
    else:
        text = f"{_frames(count)} in {duration(seconds)} on {summary.device}."
    if empty := summary.frames_without_lesion:
        text += f" No lesion was seen on {_frames(len(empty))} ({runs_in_words(empty)})."
    if summary.fit is not None and summary.fit.used:
        text += " The model is fitted to this lesion"
        if expected := summary.fit.expected_overlap:
            text += f": expected overlap {expected['with']:.2f}, before {expected['without']:.2f}"
        text += "."
    if summary.unreadable:
        listed = runs_in_words(sorted(summary.unreadable))
        text += f" Nothing was computed on {_frames(len(summary.unreadable))} that cannot be read ({listed})."
    text += "".join(f" {notice}" for notice in summary.notices)
    return text, Tone.CAUTION if summary.unreadable or summary.notices else Tone.GOOD


def runs_in_words(frames: Sequence[int]) -> str:
    """Return ascending frame numbers as runs, for example ``3, 18 to 59``; after ``MOST_RUNS`` runs, ``...``."""
    ends: list[list[int]] = []
    for frame in frames:
        if ends and frame == ends[-1][1] + 1:
            ends[-1][1] = frame
        else:
            ends.append([frame, frame])
    words = [str(first) if first == last else f"{first} to {last}" for first, last in ends[:MOST_RUNS]]
    return ", ".join(words + ["..."] * (len(ends) > MOST_RUNS))


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def duration(seconds: float) -> str:
    """Return a time for people: ``0.8 s``, ``12 s``, ``3 min 20 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
