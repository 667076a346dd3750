"""The whole job on MRML nodes: one class for the module's GUI, Slicer's Python console, the shell and batches.

The method names are camelCase because Slicer's logic class inherits them; everything below this file is snake_case.
torch and DICOM libraries are imported when they are first needed: Slicer starts without them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Mask, Origin
from UltrasoundLesionSegLib.errors import ModelError, SceneError, SeedError
from UltrasoundLesionSegLib.workflow.scene_access import SceneAccess

if TYPE_CHECKING:
    from torch import device, nn

    from UltrasoundLesionSegLib.engine.bundles import Bundle
    from UltrasoundLesionSegLib.workflow.measuring import CineMeasurements
    from UltrasoundLesionSegLib.workflow.propagation_job import (
        EditableArea,
        PropagationJob,
        PropagationProgress,
        PropagationSummary,
    )

DEFAULT_SEGMENT = "Lesion"


class UltrasoundLesionWorkflow(SceneAccess):
    """Loads cines, takes seeds, propagates, measures and exports.

    Cines are named by their sequence browser node (``useNode`` makes one for a volume whose slices are frames).
    A ``frame`` left out is the one the browser shows.
    """

    def __init__(self) -> None:
        super().__init__()
        self._networks: dict[tuple[str, str], nn.Module] = {}
        self._suggestions: dict[tuple[str, int], Mask] = {}  # by browser ID and frame: to tell drawing from accepting
        self._jobs: dict[str, PropagationJob] = {}  # by browser ID: the last propagation, for undo and run records

    # ---- lesions and anchors

    def startSegmentation(self, browser: Any) -> Any:
        """Make sure the cine has a segmentation with at least one segment to draw in; returns its proxy node."""
        sequence = self._sequence(browser)
        if not sequence.segments():
            self._add_segment(sequence, DEFAULT_SEGMENT)
        return sequence.proxy

    def segmentationNode(self, browser: Any) -> Any | None:
        """Return the segmentation shown with the cine, or None before there is one."""
        sequence = self._find_sequence(browser)
        return sequence.proxy if sequence else None

    def setSeed(
        self,
        browser: Any,
        source: Any,
        frame: int | None = None,
        segment: str | None = None,
        origin: Origin | None = None,
    ) -> list[str]:
        """Say where the lesion is on a frame; that frame becomes an anchor, which no model overwrites.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        source : ndarray of bool (H, W), vtkMRMLSegmentationNode, or path of a PNG, NRRD, .seg.nrrd or DICOM SEG
            A label image with values 1 to K is K lesions. A DICOM SEG, and a file with a label image for each frame,
            seed the frames they speak of.
        frame : int, optional
        segment : str, optional
            Name or ID of the segment the seed belongs to; of the segment to read, for a segmentation node.
        origin : Origin, optional
            Who made the mask. By default a person, who drew it, or confirmed or edited what ``suggest`` proposed.

        Returns
        -------
        list of str
            The segments' IDs.

        Raises
        ------
        SeedError
            When the seed is empty, of another size than the frames, or on a frame that is not there.
        """
        name, at = segment or DEFAULT_SEGMENT, self._frame(browser, frame)
        if isinstance(source, np.ndarray):
            return self._write_seeds(browser, [(name, at, source.astype(bool))], origin)
        if isinstance(source, (str, Path)):
            from UltrasoundLesionSegLib.workflow.seeding import seeds_from_file

            return self._write_seeds(browser, seeds_from_file(Path(source), self.cine(browser), at, name), origin)
        from UltrasoundLesionSegLib.mrml.seeds import mask_from_segmentation

        painted = segment or source.GetSegmentation().GetNthSegmentID(0)
        return self._write_seeds(browser, [(name, at, mask_from_segmentation(source, painted, browser))], origin)

    def _write_seeds(self, browser: Any, found: Sequence[tuple[str, int, Mask]], origin: Origin | None) -> list[str]:
        cine = self.cine(browser)
        if not any(mask.any() for _, _, mask in found):
            raise SeedError("the seed is empty; draw the lesion on it, or give another mask")
        for place, (_, frame, mask) in enumerate(found):
            Anchor(place, frame, mask).check_against(cine)
        sequence = self._sequence(browser)
        identifiers = []
        for name, frame, mask in found:
            identifier = self._find_segment(sequence, name) or self._add_segment(sequence, name)
            made_by = origin or self._hand(browser, frame, mask)
            sequence.write(frame, {identifier: mask}, {identifier: made_by})
            identifiers.append(identifier)
        return list(dict.fromkeys(identifiers))

    def importSegmentation(self, browser: Any, path: str | Path) -> list[str]:
        """Load a DICOM SEG that refers to this cine, as results: each mask keeps who made it.

        Masks of a model may be computed anew; where the SEG does not say who made a mask, a person is assumed, so that
        nothing is lost. ``setSeed`` takes the same file as seeds instead.

        Returns
        -------
        list of str
            The segments' IDs.

        Raises
        ------
        SeedError, SourceError
            When the file is no SEG, or belongs to another cine.
        """
        from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation

        sequence = self._sequence(browser)
        identifiers = []
        for segment in read_segmentation(Path(path), self.cine(browser)).segments:
            identifier = self._find_segment(sequence, segment.name) or self._add_segment(sequence, segment.name)
            for frame, mask in segment.masks.items():
                made_by = segment.origins.get(frame, Origin.MANUAL)
                sequence.write(frame, {identifier: mask}, {identifier: made_by})
            identifiers.append(identifier)
        return identifiers

    def suggest(self, browser: Any, frame: int | None = None, model: str | None = None, device: str = "auto") -> Mask:
        """Propose a lesion on a frame without a seed; nothing is written until ``setSeed`` accepts it.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        frame : int, optional
        model : str, optional
            A model whose role is to suggest; the first one by default.

        Returns
        -------
        ndarray of bool, shape (H, W)
            All False when the model sees no lesion.
        """
        from UltrasoundLesionSegLib.engine.suggestion import suggest_mask

        bundle = self._bundle(model, "suggest")
        on = self._resolve_device(device)
        at = self._frame(browser, frame)
        mask = suggest_mask(self.cine(browser).frames[at], self._network(bundle, device), bundle.input_size, on)
        self._suggestions[browser.GetID(), at] = mask
        return mask

    def _hand(self, browser: Any, frame: int, mask: Mask) -> Origin:
        """Return what a person did to make this mask: drew it, or confirmed or edited what was suggested there."""
        suggested = self._suggestions.get((browser.GetID(), frame))
        if suggested is None or not suggested.any():
            return Origin.MANUAL
        return Origin.CONFIRMED if np.array_equal(mask, suggested) else Origin.EDITED

    def markNotVisible(self, browser: Any, frame: int | None = None, segment: str | None = None) -> None:
        """Declare that a lesion (all lesions by default) is not visible on a frame: an anchor with an empty mask."""
        sequence = self._sequence(browser)
        empty = np.zeros(self.cine(browser).shape, bool)
        chosen = self._segments(sequence, segment)
        sequence.write(self._frame(browser, frame), {s: empty for s in chosen}, {s: Origin.MANUAL for s in chosen})

    def confirmFrame(self, browser: Any, frame: int | None = None) -> None:
        """Declare the masks on a frame right: they become anchors. A drawing not yet committed is committed first."""
        from UltrasoundLesionSegLib.mrml.segments import SegmentState

        sequence, at = self._sequence(browser), self._frame(browser, frame)
        self.commitEdit(browser)
        for segment in self._segments(sequence, None):
            origin = sequence.origin(at, segment)
            if origin is None or not origin.is_anchor:
                sequence.set_state(at, segment, SegmentState(Origin.CONFIRMED))

    def releaseAnchor(self, browser: Any, frame: int | None = None) -> None:
        """Let propagation compute a frame again; its masks stay until it does, and ``confirmFrame`` brings it back."""
        from UltrasoundLesionSegLib.mrml.segments import SegmentState

        sequence, at = self._sequence(browser), self._frame(browser, frame)
        self.commitEdit(browser)
        for segment in self._segments(sequence, None):
            if sequence.origin(at, segment) is not None:
                sequence.set_state(at, segment, SegmentState(Origin.MODEL))

    def anchors(self, browser: Any) -> dict[str, list[int]]:
        """Return the frames a person drew or confirmed, ascending, by segment ID."""
        sequence = self._find_sequence(browser)
        return sequence.anchors() if sequence else {}

    def commitEdit(self, browser: Any) -> bool:
        """Store what was drawn on the shown segmentation, as an anchor; cheap when nothing was.

        Returns
        -------
        bool
            Whether anything was stored.
        """
        sequence = self._find_sequence(browser)
        if sequence is None:
            return False
        frame = sequence.shown_frame
        changed = sequence.commit_edit()
        self.creditDrawing(browser, frame, changed)
        return bool(changed)

    def creditDrawing(self, browser: Any, frame: int, segments: Sequence[str]) -> None:
        """Record drawings that were just stored as confirmed or edited where ``suggest`` had proposed a lesion."""
        from UltrasoundLesionSegLib.mrml.segments import SegmentState

        sequence = self._sequence(browser)
        for segment in segments:
            hand = self._hand(browser, frame, sequence.read(frame, segment))
            if hand is not Origin.MANUAL:
                sequence.set_state(frame, segment, SegmentState(hand))

    def addSegment(self, browser: Any, name: str | None = None) -> str:
        """Add a lesion to draw, empty on all frames; returns its segment ID."""
        sequence = self._sequence(browser)
        number = len(sequence.segments()) + 1
        return self._add_segment(sequence, name or (DEFAULT_SEGMENT if number == 1 else f"{DEFAULT_SEGMENT} {number}"))

    def renameSegment(self, browser: Any, segment: str, name: str) -> None:
        """Rename a segment in all frames."""
        sequence = self._sequence(browser)
        sequence.rename_segment(self._segments(sequence, segment)[0], name)

    def removeSegment(self, browser: Any, segment: str) -> None:
        """Remove a segment from all frames."""
        sequence = self._sequence(browser)
        sequence.remove_segment(self._segments(sequence, segment)[0])

    # ---- propagation

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
        """Segment the cine from its anchors. Parameters as for ``propagateSteps``.

        Ctrl+C cancels and keeps what is done.

        Parameters
        ----------
        progress : callable, optional
            Called after every frame.

        Returns
        -------
        PropagationSummary
        """
        steps = self.propagateSteps(browser, model, direction, frames, device, allowOverlap, editable)
        try:
            for step in steps:
                if progress:
                    progress(step)
        finally:
            steps.close()
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
        """Segment the cine from its anchors, one frame a step; closing the generator cancels and keeps what is done.

        Only stretches between anchors whose result is not there yet are computed.

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

        Raises
        ------
        SeedError, ModelError, DeviceError, SceneError
            At the first step.
        """
        from UltrasoundLesionSegLib.engine.stretches import Direction
        from UltrasoundLesionSegLib.workflow.propagation_job import PropagationJob, PropagationPlan

        self.commitEdit(browser)
        cine, sequence = self.cine(browser), self._sequence(browser)
        wanted = self._checked_range(frames, len(cine))
        if direction not in {one.value for one in Direction}:
            raise SceneError(f"the direction '{direction}' is unknown; choose forward, backward or both")
        bundle, on = self._bundle(model, "propagate"), self._resolve_device(device)
        network = self._network(bundle, device)
        plan = PropagationPlan(Direction(direction), wanted, allowOverlap, editable)
        job = PropagationJob(cine, sequence, bundle, network, on, plan)
        self._jobs[browser.GetID()] = job
        yield from job.steps()

    def lastPropagation(self, browser: Any) -> PropagationSummary:
        """Return what the last propagation of a cine did in this process."""
        job = self._jobs.get(browser.GetID())
        if job is None:
            raise SceneError("the cine has not been propagated in this session; propagate it first")
        return job.summary

    def canUndoPropagation(self, browser: Any) -> bool:
        """Whether there is a propagation to take back."""
        job = self._jobs.get(browser.GetID()) if browser is not None else None
        return job is not None and job.can_undo

    def undoPropagation(self, browser: Any) -> None:
        """Take the last propagation back as a whole, except frames drawn or confirmed since."""
        job = self._jobs.get(browser.GetID())
        if job is not None:
            job.undo()

    def confidences(self, browser: Any) -> dict[str, NDArray[np.float32]]:
        """Return the confidence of every frame by segment ID, shape (T,); nan where no model result is."""
        sequence = self._find_sequence(browser)
        if sequence is None:
            return {}
        return {segment.id: sequence.confidences(segment.id) for segment in sequence.segments()}

    def reviewOrder(self, browser: Any) -> list[int]:
        """Return the frames with a model's result, the ones that most need a look first."""
        sequence = self._find_sequence(browser)
        confidences = self.confidences(browser)
        if sequence is None or not confidences:
            return []
        worst: dict[int, float] = {}
        for segment, values in confidences.items():
            for frame in np.flatnonzero(np.isfinite(values)).tolist():
                if sequence.origin(frame, segment) is Origin.MODEL:
                    worst[frame] = min(worst.get(frame, 1.0), float(values[frame]))
        return sorted(worst, key=lambda frame: (worst[frame], frame))

    # ---- results

    def measure(self, browser: Any) -> CineMeasurements:
        """Measure every lesion on every frame and show tables and a chart with the cine.

        Returns
        -------
        CineMeasurements
            The numbers, and the nodes they are shown in.
        """
        from UltrasoundLesionSegLib.workflow.measuring import measure_cine, show_measurements

        self.commitEdit(browser)
        measured = measure_cine(self.cine(browser), self._sequence(browser))
        return show_measurements(measured, browser)

    def measurementNodes(self, browser: Any) -> tuple[list[Any], list[Any]]:
        """Return the table and the chart nodes that ``measure`` made for a cine, also after a scene was loaded."""
        from UltrasoundLesionSegLib.mrml.tables import charts, tables

        return tables(self._alive(browser)), charts(browser)

    def export(
        self,
        browser: Any,
        directory: str | Path,
        kinds: Sequence[str],
        measured: CineMeasurements | None = None,
        **options: Any,
    ) -> list[Path]:
        """Write results to files.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        directory : str or Path
            Made when it is not there.
        kinds : sequence of str
            Among ``exports.KINDS``.
        measured : CineMeasurements, optional
            What ``measure`` gave, if nothing changed since; by default everything is measured again.
        **options
            See ``exports.ExportOptions``.

        Returns
        -------
        list of Path
            The files written.

        Raises
        ------
        OutputError
            When something cannot be written, or a kind is unknown.
        """
        from UltrasoundLesionSegLib.workflow.exports import ExportJob, ExportOptions, ExportSource

        measured = measured or self.measure(browser)
        cine = replace(self.cine(browser), identity=self.sourceIdentity(browser))
        job = self._jobs.get(browser.GetID())
        source = ExportSource(cine, self._sequence(browser), measured, job.summary if job else None)
        return ExportJob(source, Path(directory), ExportOptions(**options)).write(tuple(kinds))

    def removeCine(self, browser: Any) -> None:
        """Take a cine out of the scene with its lesions, tables and charts; all other nodes stay."""
        from UltrasoundLesionSegLib.mrml.removal import remove_cine

        self.release(browser)
        remove_cine(browser)

    def release(self, browser: Any | None = None) -> None:
        """Let go of everything kept in memory for a cine; of all cines and networks when none is named."""
        if browser is not None:
            self._cines.pop(browser.GetID(), None)
            self._jobs.pop(browser.GetID(), None)
            self._suggestions = {key: mask for key, mask in self._suggestions.items() if key[0] != browser.GetID()}
            return
        self._cines.clear()
        self._suggestions.clear()
        self._jobs.clear()
        self._networks.clear()

    # ---- helpers

    @staticmethod
    def _bundle(model: str | None, role: str) -> Bundle:
        from UltrasoundLesionSegLib.engine.bundles import default_bundle, find_bundle

        bundle = default_bundle(role) if model is None else find_bundle(model)
        if bundle.role != role:
            raise ModelError(f"the model '{bundle.name}' is made to {bundle.role}, not to {role}; choose another one")
        return bundle

    @staticmethod
    def _resolve_device(name: str) -> device:
        from UltrasoundLesionSegLib.engine.device import resolve_device

        return resolve_device(name)

    def _network(self, bundle: Bundle, device_name: str) -> Any:
        on = "openvino" if device_name == "openvino" else str(self._resolve_device(device_name))
        key = (bundle.sha256, on)
        if key not in self._networks:
            self._networks[key] = bundle.load_for_inference(on)
        return self._networks[key]
