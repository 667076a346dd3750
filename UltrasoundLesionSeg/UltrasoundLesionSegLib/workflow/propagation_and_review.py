"""Propagation, undo and what to look at next; a layer of the workflow class.

The method names are camelCase because Slicer's logic class inherits them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml.changes import tell_results_changed
from UltrasoundLesionSegLib.workflow.arguments import checks_arguments
from UltrasoundLesionSegLib.workflow.clicked_seeds import ClickedSeeds

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.engine.bundles import Bundle
    from UltrasoundLesionSegLib.engine.next_frame import Outlook
    from UltrasoundLesionSegLib.workflow.propagation_job import (
        EditableArea,
        FitRecord,
        PropagationJob,
        PropagationProgress,
        PropagationSummary,
    )


@checks_arguments
class PropagationAndReview(ClickedSeeds):
    """Segments the cine from its anchors and orders the frames by how much they need a look."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, PropagationJob] = {}  # by browser ID: the last propagation, for undo and run records

    def _release_cine(self, browser: Any) -> None:
        super()._release_cine(browser)
        self._jobs.pop(browser.GetID(), None)

    def _release_all(self) -> None:
        super()._release_all()
        self._jobs.clear()

    def propagate(
        self,
        browser: Any,
        model: str | None = None,
        direction: str = "both",
        frames: tuple[int, int] | None = None,
        device: str = "auto",
        allowOverlap: bool = False,
        editable: EditableArea | None = None,
        progress: Callable[[PropagationProgress], None] | None = None,
    ) -> PropagationSummary:
        """Segment the cine from its anchors; only stretches between anchors whose result is not there yet are computed.

        Ctrl+C cancels and keeps what is done.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        model : str, optional
            A model that propagates; the default one when left out.
        direction : str
            ``forward``, ``backward`` or ``both``.
        frames : (int, int), optional
            First frame and one past the last, as in a Python range; all frames by default.
        device : str
            ``auto``, ``cpu``, ``cuda`` or ``mps``.
        allowOverlap : bool
            Whether lesions may share pixels.
        editable : callable, optional
            Frame and segment ID -> bool (H, W), the pixels that may be changed, as a segment editor's masking says.
            Results are written there alone; the models themselves see everything.
        progress : callable, optional
            Called after every frame.

        Returns
        -------
        PropagationSummary

        Raises
        ------
        SeedError, ModelError, DeviceError, SceneError
            When there is nothing to propagate, or a choice does not fit.
        """
        steps = self.propagateSteps(browser, model, direction, frames, device, allowOverlap, editable)
        return self._finish(browser, steps, progress)

    def _finish(
        self,
        browser: Any,
        steps: Generator[PropagationProgress, None, None],
        progress: Callable[[PropagationProgress], None] | None,
    ) -> PropagationSummary:
        """Do all steps, saying after each where it is; whatever ends them early, Ctrl+C too, closes the generator."""
        with closing(steps):
            for step in steps:
                if progress:
                    progress(step)
        return self.lastPropagation(browser)

    def propagateSteps(
        self,
        browser: Any,
        model: str | None = None,
        direction: str = "both",
        frames: tuple[int, int] | None = None,
        device: str = "auto",
        allowOverlap: bool = False,
        editable: EditableArea | None = None,
    ) -> Generator[PropagationProgress, None, None]:
        """Do what ``propagate`` does, one frame a step; closing the generator cancels and keeps what is done.

        Errors are raised at the first step.
        """
        from UltrasoundLesionSegLib.engine.stretches import Direction
        from UltrasoundLesionSegLib.workflow.propagation_job import PropagationJob, PropagationPlan

        self.commitEdit(browser)
        self.checkPropagation(browser, model, direction, frames, device)
        cine, sequence = self.cine(browser), self._sequence(browser)
        self.efforts.act(sequence)
        bundle, fit, notice = self._model_for(browser, self._bundle(model, "propagate"))
        network, on = self._network(bundle, device), self._resolve_device(device)
        plan = PropagationPlan(Direction(direction), self._checked_range(frames, len(cine)), allowOverlap, editable)
        job = PropagationJob(cine, sequence, bundle, network, on, plan)
        job.summary.fit = fit
        job.summary.notices += [notice] if notice else []
        before = self._jobs.get(browser.GetID())
        self._jobs[browser.GetID()] = job
        try:
            yield from job.steps()
        finally:
            if before is not None and not job.can_undo:  # it changed nothing
                job.keep_undo_of(before)
            tell_results_changed(browser)  # its summary is complete only now

    def _model_for(self, browser: Any, bundle: Bundle) -> tuple[Bundle, FitRecord | None, str]:
        """Return the model to use where this one is asked for, how it was fitted, and what a person should know."""
        return bundle, None, ""

    def checkPropagation(
        self,
        browser: Any,
        model: str | None = None,
        direction: str = "both",
        frames: tuple[int, int] | None = None,
        device: str = "auto",
    ) -> None:
        """Check these choices before anything is drawn or computed. Parameters as for ``propagate``.

        Raises
        ------
        SceneError, ModelError, DeviceError
            What ``propagate`` would raise for them.
        """
        from UltrasoundLesionSegLib.engine.stretches import Direction

        self._checked_range(frames, len(self.cine(browser)))
        if direction not in {one.value for one in Direction}:
            raise SceneError(f"the direction '{direction}' is unknown; choose forward, backward or both")
        self._bundle(model, "propagate")
        self._resolve_device(device)

    def lastPropagation(self, browser: Any) -> PropagationSummary:
        """Return what the last propagation of a cine did in this process.

        Raises
        ------
        SceneError
            When there was none.
        """
        job = self._jobs.get(browser.GetID())
        if job is None:
            raise SceneError("the cine has not been propagated in this session; propagate it first")
        return job.summary

    def canUndoPropagation(self, browser: Any | None) -> bool:
        """Whether there is a propagation to take back."""
        job = self._jobs.get(browser.GetID()) if browser is not None else None
        return job is not None and job.can_undo

    def undoPropagation(self, browser: Any) -> None:
        """Take the last propagation back as a whole, except frames drawn or confirmed since."""
        job = self._jobs.get(browser.GetID())
        if job is not None:
            job.undo()

    def confidences(self, browser: Any) -> dict[str, NDArray[np.float32]]:
        """Return the expected overlap of every frame by segment ID, 0 to 1, shape (T,); nan where there is none."""
        sequence = self._find_sequence(browser)
        if sequence is None:
            return {}
        return {segment.id: sequence.confidences(segment.id) for segment in sequence.segments()}

    def nextToReview(self, browser: Any) -> int | None:
        """Return the frame to look at next; None when no correction is expected to win anything.

        That is the frame whose correction is expected to win most over the whole cine after propagating again, not the
        one with the lowest confidence. Neighbours of an anchor are never next, unless it is marked "not visible": the
        masks beside it are as uncertain as any.
        """
        from UltrasoundLesionSegLib.engine.next_frame import next_frame

        offer = next_frame(self._outlook(browser))
        return offer.frame if offer is not None else None

    def reviewOrder(self, browser: Any) -> list[int]:
        """Return the frames to look at, each as ``nextToReview`` would give it once those before it are corrected."""
        from UltrasoundLesionSegLib.engine.next_frame import review_order

        return [offer.frame for offer in review_order(self._outlook(browser))]

    def framesToLookAt(self, browser: Any) -> list[tuple[int, float]]:
        """Return the frames of ``reviewOrder``, each with the lowest confidence that a lesion has there."""
        confidences = [*self.confidences(browser).values()]
        return [(frame, float(np.nanmin([one[frame] for one in confidences]))) for frame in self.reviewOrder(browser)]

    def _outlook(self, browser: Any) -> list[Outlook]:
        """Return what is expected of each lesion's masks."""
        from UltrasoundLesionSegLib.engine.next_frame import Outlook

        sequence = self._find_sequence(browser)
        if sequence is None:
            return []
        return [
            Outlook(
                sequence.confidences(segment),
                tuple(anchors),
                tuple(frame for frame in anchors if not sequence.read(frame, segment).any()),
            )
            for segment, anchors in sequence.anchors().items()
        ]
