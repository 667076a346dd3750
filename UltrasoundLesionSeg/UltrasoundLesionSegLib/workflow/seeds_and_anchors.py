"""Lesions, seeds and anchors: what a person says about the cine; a layer of the workflow class.

The method names are camelCase because Slicer's logic class inherits them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine, Mask, Origin
from UltrasoundLesionSegLib.errors import EmptySeedError, SeedError
from UltrasoundLesionSegLib.logs import log_event
from UltrasoundLesionSegLib.workflow.arguments import checks_arguments
from UltrasoundLesionSegLib.workflow.effort_log import EffortKeeper, EffortLog, read_effort
from UltrasoundLesionSegLib.workflow.model_access import ModelAccess
from UltrasoundLesionSegLib.workflow.suggesters import Suggester

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
    from UltrasoundLesionSegLib.reader_work.record import ReaderAnchor
    from UltrasoundLesionSegLib.workflow.seeding import FileSeeds

logger = logging.getLogger(__name__)

DEFAULT_SEGMENT = "Lesion"


@checks_arguments
class SeedsAndAnchors(ModelAccess):
    """Takes seeds and drawings, suggests lesions, and says which frames a person vouches for."""

    def __init__(self) -> None:
        super().__init__()
        self._readings: dict[str, str] = {}  # by browser ID: how the last seed file was read
        # by browser ID and frame: tells an accepted suggestion from a drawing, and which model proposed it
        self._suggestions: dict[tuple[str, int], tuple[Mask, Suggester]] = {}
        self.efforts = EffortKeeper()

    def _release_cine(self, browser: Any) -> None:
        super()._release_cine(browser)
        self._readings.pop(browser.GetID(), None)
        self._suggestions = {key: one for key, one in self._suggestions.items() if key[0] != browser.GetID()}
        self.efforts.forget(browser.GetID())

    def _release_all(self) -> None:
        super()._release_all()
        self.efforts.forget()
        self._readings.clear()
        self._suggestions.clear()

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
        source : ndarray, vtkMRMLSegmentationNode, or path of a PNG, NRRD, .seg.nrrd or DICOM SEG
            An array is one mask, bool (H, W); one mask for each of K lesions, bool (K, H, W); or a label image of whole
            numbers (H, W), in which 1 to K are K lesions, as they are in a file. A DICOM SEG, and a file with a label
            image for each frame, seed the frames that they belong to.
        frame : int, optional
        segment : str, optional
            Name or ID of the segment the seed belongs to, "Lesion" by default; of the segment to read, for a
            segmentation node. Of several lesions, the further ones are numbered: "Lesion 2".
        origin : Origin, optional
            Who made the mask. By default a person, who drew it, or confirmed or edited what ``suggest`` proposed.

        Returns
        -------
        list of str
            The segments' IDs.

        Raises
        ------
        SeedError
            When the seed is empty, no mask, of another size than the frames, or on a frame that is not there.

        Notes
        -----
        A seed replaces what was drawn for the same lesion on the same frame before; the log says so.
        """
        name, at = segment or DEFAULT_SEGMENT, self._frame(browser, frame)
        if isinstance(source, np.ndarray):
            from UltrasoundLesionSegLib.workflow.seeding import seeds_from_array

            return self._write_seeds(browser, seeds_from_array(source, at, name), origin, name)
        if isinstance(source, (str, Path)):
            from UltrasoundLesionSegLib.workflow.seeding import seeds_from_file

            cine = replace(self.cine(browser), identity=self.sourceIdentity(browser))
            read = seeds_from_file(Path(source), cine, at, name)
            identifiers = self._write_seeds(browser, read.found, origin, name, read)
            self._readings[browser.GetID()] = read.read_as
            if read.read_as:
                sentence = f"the seed was read in this way: {read.read_as}"
                log_event(logger, logging.WARNING, sentence, case=cine.identity.short_name, frame=at)
            return identifiers
        if not (hasattr(source, "IsA") and source.IsA("vtkMRMLSegmentationNode")):
            raise SeedError("the seed is no array, no segmentation node and no path of a file; give one of these")
        from UltrasoundLesionSegLib.mrml.seeds import mask_from_segmentation

        painted = segment or source.GetSegmentation().GetNthSegmentID(0)
        found = [(name, at, mask_from_segmentation(source, painted, browser, at))]
        return self._write_seeds(browser, found, origin, name)

    def lastSeedReading(self, browser: Any) -> str:
        """Return how the last seed file of a cine was read, '' for a plain mask, label image or segmentation."""
        return self._readings.get(browser.GetID(), "")

    def _write_seeds(
        self,
        browser: Any,
        found: Sequence[tuple[str, int, Mask]],
        origin: Origin | None,
        given: str,
        file: FileSeeds | None = None,
    ) -> list[str]:
        """Write masks of lesions by name; ``given`` is what a person named, and may be an ID; ``file`` has them."""
        cine = self.cine(browser)
        if not any(mask.any() for _, _, mask in found):
            raise EmptySeedError("the seed is empty; draw the lesion on it, or give another mask")
        names = [*dict.fromkeys(name for name, _, _ in found)]
        for name, frame, mask in found:
            Anchor(names.index(name), frame, mask).check_against(cine)
        sequence = self._sequence(browser)
        identifiers = []
        for name, frame, mask in found:
            find = self._find_segment if name == given else self._find_named
            number = file.numbers.get(name) if file is not None else None
            identifier = find(sequence, name) or self._add_segment(sequence, name, number)
            made_by = origin or self._hand(browser, frame, mask)
            self._log_replaced(sequence, cine, frame, identifier, mask)
            provenance = self._provenance(browser, frame, made_by)
            sequence.write(frame, {identifier: mask}, {identifier: made_by}, provenance={identifier: provenance})
            identifiers.append(identifier)
            if file is None and made_by.is_by_person:
                self._log_mask(sequence, frame, made_by)
        if file is not None:
            self.efforts.seeded_from_file(sequence, [frame for _, frame, _ in found])
        return list(dict.fromkeys(identifiers))

    def _log_mask(self, sequence: SegmentationSequence, frame: int, made_by: Origin) -> None:
        """Log that a person made a mask; taking over what a model proposed, unless from clicks, is to confirm it."""
        if made_by is Origin.CONFIRMED and not self.efforts.has_clicks(sequence.browser, frame):
            self.efforts.act(sequence, confirmed=[frame])
        else:
            self.efforts.act(sequence, drawn=[frame])

    def effort(self, browser: Any) -> EffortLog:
        """Return what a person did for this cine so far: frames, clicks, time. It is kept in the scene."""
        return read_effort(self._find_sequence(browser))

    @staticmethod
    def _log_replaced(sequence: SegmentationSequence, cine: Cine, frame: int, segment: str, mask: Mask) -> None:
        """Say in the log that a new seed replaces what a person had drawn there."""
        origin = sequence.origin(frame, segment)
        if origin is None or not origin.is_anchor or np.array_equal(sequence.read(frame, segment), mask):
            return
        number = 1 + [one.id for one in sequence.segments()].index(segment)
        sentence = f"a new seed of lesion {number} replaces the one that was on this frame"
        log_event(logger, logging.WARNING, sentence, case=cine.identity.short_name, frame=frame)

    def importSegmentation(
        self, browser: Any, path: str | Path, between_frames: Callable[[], None] | None = None
    ) -> list[str]:
        """Load a DICOM SEG that refers to this cine, as results: each mask keeps who made it.

        Masks of a model may be computed again; where the SEG does not say who made a mask, a person is assumed, so that
        nothing is lost. ``setSeed`` takes the same file as seeds instead.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        path : str or Path
        between_frames : callable, optional
            Called as often as a frame is read or a mask stored, so that a window can repaint itself.

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
        from UltrasoundLesionSegLib.workflow.tracking import lesion_number

        sequence, cine = self._sequence(browser), self.cine(browser)
        identifiers = []
        for segment in read_segmentation(Path(path), cine, between_frames).segments:
            number = lesion_number(cine.identity, segment)
            identifier = self._find_named(sequence, segment.name) or self._add_segment(sequence, segment.name, number)
            for frame, mask in segment.masks.items():
                made_by = segment.origins.get(frame, Origin.MANUAL)
                sequence.write(frame, {identifier: mask}, {identifier: made_by})
                if between_frames is not None:
                    between_frames()
            identifiers.append(identifier)
        return identifiers

    def importAnchors(
        self, browser: Any, anchors: Sequence[ReaderAnchor], numbers: Mapping[str, int] | None = None
    ) -> None:
        """Take a reader's anchors over; they replace what is on their frames.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        anchors : sequence of ReaderAnchor
            Of this cine. Lesions are found by name, and added where there is none of that name.
        numbers : mapping of str to int, optional
            The numbers of those that are added, where they are known and free.
        """
        sequence, known = self._sequence(browser), numbers or {}
        for one in anchors:
            name = one.lesion
            segment = self._find_named(sequence, name) or self._add_segment(sequence, name, known.get(name))
            sequence.write(one.frame, {segment: one.mask}, {segment: one.how.origin}, None, {segment: one.provenance})
        self.efforts.seeded_from_file(sequence, [one.frame for one in anchors])

    def segmentNames(self, browser: Any) -> dict[str, str]:
        """Return the lesions' names by segment ID, in order."""
        sequence = self._find_sequence(browser)
        return {one.id: one.name for one in sequence.segments()} if sequence else {}

    def suggest(self, browser: Any, frame: int | None = None, model: str | None = None, device: str = "auto") -> Mask:
        """Propose a lesion on a frame without a seed; nothing is written until ``setSeed`` accepts it.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        frame : int, optional
            By default the selected one.
        model : str, optional
            A model whose role is to suggest; the default one when left out.
        device : str
            As for ``propagate``.

        Returns
        -------
        ndarray of bool, shape (H, W)
            All False when the model sees no lesion.

        Raises
        ------
        SeedError, FrameError, ModelError, DeviceError, SceneError
            When the cine has no such frame or it cannot be read, or a choice does not fit.
        """
        from UltrasoundLesionSegLib.engine.suggestion import suggest_mask

        bundle = self._bundle(model, "suggest")
        on = self._resolve_device(device)
        at = self._frame(browser, frame)
        mask = suggest_mask(self.cine(browser).frames[at], self._network(bundle, device), bundle.input_size, on)
        self._suggestions[browser.GetID(), at] = mask, Suggester(bundle.name, bundle.version, bundle.sha256)
        return mask

    def _hand(self, browser: Any, frame: int, mask: Mask) -> Origin:
        """Return what a person did to make this mask: drew it, or confirmed or edited what was suggested there."""
        suggested, _ = self._suggestions.get((browser.GetID(), frame), (None, None))
        if suggested is None or not suggested.any():
            return Origin.MANUAL
        return Origin.CONFIRMED if np.array_equal(mask, suggested) else Origin.EDITED

    def _provenance(self, browser: Any, frame: int, made_by: Origin) -> str:
        """Return what is kept of where a seed comes from: the model that suggested it, or nothing for a drawing."""
        _, suggester = self._suggestions.get((browser.GetID(), frame), (None, None))
        return suggester.as_provenance() if suggester is not None and made_by is not Origin.MANUAL else ""

    def markNotVisible(self, browser: Any, frame: int | None = None, segment: str | None = None) -> None:
        """Declare that a lesion (all lesions by default) is not visible on a frame: an anchor with an empty mask."""
        sequence = self._sequence(browser)
        self.commitEdit(browser)
        empty = np.zeros(self.cine(browser).shape, bool)
        chosen, at = self._segments(sequence, segment), self._frame(browser, frame)
        sequence.write(at, {s: empty for s in chosen}, {s: Origin.MANUAL for s in chosen})
        self.efforts.act(sequence, not_visible=[at] if chosen else [])

    def confirmFrame(self, browser: Any, frame: int | None = None) -> None:
        """Declare the masks on a frame right: they become anchors. A drawing not yet committed is committed first.

        A suggested seed, an anchor already, counts as confirmed from then on. A lesion that nobody drew or computed
        there stays unknown.

        Raises
        ------
        SeedError
            When no lesion was drawn or computed there.
        """
        from UltrasoundLesionSegLib.mrml.segments import SegmentState

        sequence, at = self._sequence(browser), self._frame(browser, frame)
        self.commitEdit(browser)
        origins = {segment: sequence.origin(at, segment) for segment in self._segments(sequence, None)}
        if all(origin is None for origin in origins.values()):
            raise SeedError(f"frame {at} has no mask to confirm; draw the lesion, propagate, or mark it as not visible")
        unsaid = [segment for segment, origin in origins.items() if origin in (Origin.MODEL, Origin.SUGGESTED)]
        for segment in unsaid:
            is_seed = origins[segment] is Origin.SUGGESTED  # it goes on naming the model that suggested it
            provenance = sequence.provenance(at, segment) if is_seed else ""
            sequence.set_state(at, segment, SegmentState(Origin.CONFIRMED, provenance=provenance))
        self.efforts.act(sequence, confirmed=[at] if unsaid else [])

    def releaseAnchor(self, browser: Any, frame: int | None = None) -> None:
        """Let propagation compute a frame again; its masks stay until it does, and ``confirmFrame`` brings it back."""
        from UltrasoundLesionSegLib.mrml.segments import SegmentState

        sequence, at = self._sequence(browser), self._frame(browser, frame)
        self.commitEdit(browser)
        for segment in self._segments(sequence, None):
            origin = sequence.origin(at, segment)
            if origin is not None and origin.is_anchor:
                sequence.set_state(at, segment, SegmentState(Origin.MODEL))
        self.efforts.act(sequence)

    def masks(self, browser: Any, segment: str | None = None) -> NDArray[np.bool_]:
        """Return the masks of all frames.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        segment : str, optional
            Name or ID of a lesion; all lesions together by default.

        Returns
        -------
        ndarray of bool, shape (T, H, W)
            All False on frames where the lesion is not visible and on frames that nobody drew on or computed
            (``results`` has no row for those).

        Raises
        ------
        SceneError
            When there is no such segment.
        """
        self.commitEdit(browser)
        cine, sequence = self.cine(browser), self._sequence(browser)
        found = np.zeros((len(cine), *cine.shape), np.bool_)
        for one in self._segments(sequence, segment):
            for frame in range(len(cine)):
                found[frame] |= sequence.read(frame, one)
        return found

    def anchors(self, browser: Any) -> dict[str, list[int]]:
        """Return the frames a person drew or confirmed, ascending, by segment ID."""
        sequence = self._find_sequence(browser)
        return sequence.anchors() if sequence else {}

    def framesNotVisible(self, browser: Any) -> dict[str, list[int]]:
        """Return those of the ``anchors`` on which a person said that the lesion is not visible."""
        sequence = self._find_sequence(browser)
        return sequence.frames_not_visible() if sequence else {}

    def suggestedSeeds(self, browser: Any) -> list[int]:
        """Return the frames with a seed that a model suggested and that nobody confirmed or corrected, ascending."""
        sequence = self._find_sequence(browser)
        if sequence is None:
            return []
        states = [pair for one in sequence.segments() for pair in enumerate(sequence.states(one.id))]
        return sorted({frame for frame, state in states if state.origin is Origin.SUGGESTED})

    def commitEdit(self, browser: Any) -> bool:
        """Store what was drawn on the shown segmentation, as an anchor; cheap when nothing was.

        Where undo brought the mask from before the drawing back, the frame is no anchor any more.

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

    def uncommittedEdit(self, browser: Any) -> dict[str, tuple[Mask, Origin | None, str]]:
        """Return what was drawn on the shown segmentation and is not committed, by segment ID.

        Returns
        -------
        dict of str to (ndarray of bool, shape (H, W); Origin or None; str)
            Mask, origin and provenance, as ``commitEdit`` would record them for the frame shown. An origin that is no
            anchor's, or None, where a drawing was taken back.
        """
        sequence = self._find_sequence(browser)
        if sequence is None:
            return {}
        frame, found = sequence.shown_frame, {}
        for segment, (mask, origin) in sequence.painted().items():
            if origin is None or not origin.is_anchor:
                found[segment] = mask, origin, ""
                continue
            hand = self._hand(browser, frame, mask)
            if hand is not Origin.MANUAL:
                origin = hand
            found[segment] = mask, origin, self._provenance(browser, frame, hand)
        return found

    def creditDrawing(self, browser: Any, frame: int, segments: Sequence[str]) -> None:
        """Record drawings that were just stored as confirmed or edited where ``suggest`` had proposed a lesion."""
        from UltrasoundLesionSegLib.mrml.segments import SegmentState

        sequence, frame = self._sequence(browser), self._frame(browser, frame)
        for segment in segments:
            origin = sequence.origin(frame, segment)
            if origin is None or not origin.is_anchor:
                continue  # a drawing was taken back
            hand = self._hand(browser, frame, sequence.read(frame, segment))
            if hand is not Origin.MANUAL:
                provenance = self._provenance(browser, frame, hand)
                sequence.set_state(frame, segment, SegmentState(hand, provenance=provenance))
            self._log_mask(sequence, frame, hand)

    def addSegment(self, browser: Any, name: str | None = None) -> str:
        """Add a lesion to draw, empty on all frames; returns its segment ID.

        The name, "Lesion" and a number by default, must not be that of another lesion; ``SceneError`` otherwise.
        """
        sequence = self._sequence(browser)
        taken = [one.name for one in sequence.segments()]
        number = len(taken) + 1
        while f"{DEFAULT_SEGMENT} {number}" in taken:
            number += 1
        return self._add_segment(sequence, name or (f"{DEFAULT_SEGMENT} {number}" if taken else DEFAULT_SEGMENT))

    def renameSegment(self, browser: Any, segment: str, name: str) -> None:
        """Rename a segment in all frames; ``SceneError`` where the name is empty or that of another lesion."""
        sequence = self._sequence(browser)
        sequence.rename_segment(self._segment(sequence, segment), name)

    def renameSegments(self, browser: Any, names: Mapping[str, str]) -> None:
        """Give several segments, named by ID, other names at once: they may exchange them."""
        self._sequence(browser).rename_segments(names)

    def removeSegment(self, browser: Any, segment: str) -> list[int]:
        """Remove a segment, which must be named, from all frames.

        Lesions exclude each other: a model's masks of others that the segment touches are computed again by the next
        ``propagate``.

        Returns
        -------
        list of int
            The frames with such masks, ascending.
        """
        from UltrasoundLesionSegLib.workflow.lesion_removal import remove_lesion

        self.commitEdit(browser)
        sequence = self._sequence(browser)
        return remove_lesion(sequence, self._segment(sequence, segment))
