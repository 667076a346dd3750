"""A case of the list in the scene: the cine, the machine's masks, the reader's anchors over them; and back to disk."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask, Origin
from UltrasoundLesionSegLib.errors import ReviewError, SceneError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.mrml.segments import SegmentInfo, SegmentState
from UltrasoundLesionSegLib.mrml.steps import run_to_end
from UltrasoundLesionSegLib.reader_work.label_images import give_numbers
from UltrasoundLesionSegLib.reader_work.record import (
    EXPORTED_AGAIN,
    How,
    ReaderAnchor,
    ReviewRecord,
    ReviewState,
    SourceNote,
)
from UltrasoundLesionSegLib.reader_work.results import CaseMasks, no_masks
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.review.open_case import OpenCase
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.effort_log import LONGEST_PAUSE
from UltrasoundLesionSegLib.workflow.tracking import distinct_lesions, numbers_by_lesion

_Key = tuple[int, str]  # frame and segment ID


def open_in_scene(workflow: UltrasoundLesionWorkflow, case: OpenCase, source: Path | None = None) -> SceneCase:
    """Load a case into the scene.

    Parameters
    ----------
    workflow : UltrasoundLesionWorkflow
    case : OpenCase
    source : Path, optional
        Where the cine is; by default where the list says.

    Raises
    ------
    ReviewError
        When the cine is not found, or is another one than was worked on or computed before.
    SourceError
        When it cannot be read.
    """
    return run_to_end(opening_steps(workflow, case, source))


def opening_steps(
    workflow: UltrasoundLesionWorkflow, case: OpenCase, source: Path | None = None
) -> Generator[int, None, SceneCase]:
    """Do what ``open_in_scene`` does, one frame a step; yields the number of frames read, returns the case.

    Closing the generator leaves nothing in the scene. The case stays held either way. Errors as for ``open_in_scene``.
    """
    path = source or case.source
    if path is None:
        raise ReviewError("the cine of this case is not where it was; choose the folder it was moved to")
    cine = read_cine(path, leave_out=case.seeds)
    case.check_source(SourceNote.of(cine))
    browser = yield from workflow.addCineSteps(cine, case.name)
    try:
        note = SourceNote.of(workflow.cine(browser))
        case.check_source(note)  # again, now that its pixels have been read
        return SceneCase(workflow, case, browser, note)
    except BaseException:
        workflow.removeCine(browser)
        raise


def fill_masks(sequence: SegmentationSequence, masks: CaseMasks, segments: Mapping[str, str]) -> dict[_Key, Mask]:
    """Write the masks of a case into a scene; returns those that are anchors, by frame and segment ID.

    Parameters
    ----------
    sequence : SegmentationSequence
    masks : CaseMasks
    segments : mapping of str to str
        Segment ID by lesion; lesions that are not in it are left out.
    """
    anchors: dict[_Key, Mask] = {}
    for frame in range(masks.frames):
        stack = masks.masks(frame)
        if stack is None:
            continue
        origins = {segments[name]: masks.origins[name][frame] for name in segments}
        drawn = {segments[name]: stack[masks.lesions.index(name)] for name in segments}
        known = {segment: mask for segment, mask in drawn.items() if origins[segment] is not None}
        confidences = {segments[name]: float(masks.confidences[name][frame]) for name in segments}
        sequence.write(frame, known, origins, confidences)
        for segment, mask in known.items():
            if (origin := origins[segment]) is not None and origin.is_anchor:
                anchors[frame, segment] = mask
    return anchors


class SceneCase:
    """A case in the scene; made by ``open_in_scene``.

    Attributes
    ----------
    case : OpenCase
    browser : vtkMRMLSequenceBrowserNode
    notice : str
        What the reader should know of the cine, or ''.
    clock : callable
        Returns seconds; pauses of more than five minutes between two calls of ``touch`` or ``store`` count as five.
    """

    def __init__(self, workflow: UltrasoundLesionWorkflow, case: OpenCase, browser: Any, source: SourceNote) -> None:
        self.case = case
        self.browser = browser
        self.clock: Callable[[], float] = time.monotonic
        self._workflow = workflow
        self._source = source
        self.notice = EXPORTED_AGAIN if case.is_exported_again(source) else ""
        self._seconds, self._touched = 0.0, self.clock()
        self._fill()
        self._stored: dict[_Key, ReaderAnchor] = dict(self._known)
        self._names = self._lesions()
        self._computed = self._states()  # what the masks that are stored, or came with the case, say

    @property
    def source(self) -> SourceNote:
        """The cine."""
        return self._source

    def segment_of(self, lesion: str) -> str:
        """Return the segment ID of the lesion with this name, which is added where there is none."""
        named = {name: segment for segment, name in self._lesions().items()}
        return named.get(lesion) or str(self._workflow.addSegment(self.browser, lesion))

    @property
    def sequence(self) -> SegmentationSequence:
        """The lesions in the scene; ``SceneError`` when the case was closed with its scene."""
        found = SegmentationSequence.find(self.browser) if self.browser.GetScene() is not None else None
        if found is None:
            raise SceneError("the case is no longer in the scene; open it again")
        return found

    def _fill(self) -> None:
        """Write the machine's masks, then the reader's anchors over them."""
        record = self.case.record or ReviewRecord(self.case.name, self.case.reader)
        called = self._called(record)
        finished = self._own_result(record)
        masks = finished or self.case.machine or no_masks(self._source)
        self._model, self._settings = dict(masks.model), dict(masks.settings)
        if finished is None:
            shown = {name: own for name, own in called.items() if own is not None}
        else:
            shown = {name: name for name in finished.lesions}
        names = list(dict.fromkeys([*shown.values(), *(one.name for one in record.lesions)])) or ["Lesion"]
        infos = [
            SegmentInfo.numbered(number, name) for name, number in self._given_numbers(record, names, shown).items()
        ]
        segments = {info.name: info.id for info in infos}
        self._machine_segments = {name: segments.get(own or "", "") for name, own in called.items()}
        sequence = SegmentationSequence.create(self.browser, infos)
        for number in record.removed:
            sequence.retire(SegmentInfo.numbered(number).id)
        # the machine's anchors: not the reader's as long as they are as they were
        self._given = fill_masks(sequence, masks, {name: segments[own] for name, own in shown.items()})
        self._suggested = {key for key in self._given if sequence.origin(*key) is Origin.SUGGESTED}
        self._known: dict[_Key, ReaderAnchor] = {}
        for one in self.case.anchors:
            segment = segments[one.lesion]
            sequence.write(one.frame, {segment: one.mask}, {segment: one.how.origin}, None, {segment: one.provenance})
            self._known[one.frame, segment] = one
            self._given.pop((one.frame, segment), None)

    def _given_numbers(self, record: ReviewRecord, names: list[str], shown: Mapping[str, str]) -> dict[str, int]:
        """Return the number of each lesion: that of the reader's work, else that of the machine's result."""
        masks = self.case.machine
        machine = {own: masks.numbers[name] for name, own in shown.items() if name in masks.numbers} if masks else {}
        return give_numbers(names, record.numbers, machine, removed=record.removed)

    def _own_result(self, record: ReviewRecord) -> CaseMasks | None:
        """Return the masks that the reader saw last; in work not those that the machine has computed anew since."""
        note, machine = record.result, self.case.machine
        if note is None or record.source is None or not record.source.is_same(self._source):
            return None
        is_replaced = note.machine != (machine.digest if machine is not None else "")
        return None if is_replaced and record.state is not ReviewState.DONE else self.case.work.result()

    def _called(self, record: ReviewRecord) -> dict[str, str | None]:
        """Return what the reader calls each lesion of the machine's result; None for those that the reader removed."""
        machine = self.case.machine
        if machine is None:
            return {}
        is_own = machine.reader == self.case.reader  # the machine took the reader's names over
        return {name: name if is_own else record.name_of(name) for name in machine.lesions}

    def touch(self) -> None:
        """The reader is at work: call it when another frame is shown, so that looking counts as time spent."""
        now = self.clock()
        self._seconds += min(max(now - self._touched, 0.0), LONGEST_PAUSE)
        self._touched = now

    def confirm(self, frame: int | None = None) -> None:
        """Declare the masks on a frame right, as ``confirmFrame`` does, and also anchors that came with the case."""
        at = self.browser.GetSelectedItemNumber() if frame is None else frame
        self._workflow.confirmFrame(self.browser, at)
        for segment in [one for place, one in self._given if place == at]:
            state = self.sequence.state(at, segment)
            self.sequence.set_state(at, segment, SegmentState(Origin.CONFIRMED, provenance=state.provenance))
            del self._given[at, segment]

    def take(self, anchor: ReaderAnchor) -> None:
        """Make another reader's mask an anchor of this one; a lesion of that name is added where there is none.

        Raises
        ------
        SceneError
            When the frame does not exist or the mask has another size.
        """
        segment = self.segment_of(anchor.lesion)
        key, origin = (anchor.frame, segment), anchor.how.origin
        self.sequence.write(anchor.frame, {segment: anchor.mask}, {segment: origin}, None, {segment: anchor.provenance})
        self._given.pop(key, None)
        self._known = {**self._known, key: anchor}  # another dict than the one of what is stored

    def store(self, with_masks: bool = True) -> bool:
        """Store the reader's anchors as the scene has them; returns False where nothing has changed since last time.

        Also what is painted on the frame shown and not committed yet, so that it can be called after every stroke. The
        masks of all frames are stored where a model has made other ones since; a stroke costs as little as ever.

        Parameters
        ----------
        with_masks : bool
            False while a model is at work on them.

        Raises
        ------
        HeldError
            When somebody else has taken the case over; the work then lies aside.
        OutputError
            When it cannot be written; the scene still has it.
        """
        self.touch()
        anchors, names = self._anchors(), self._lesions()
        is_same = anchors.keys() == self._stored.keys() and all(
            one is self._stored[key] for key, one in anchors.items()
        )
        is_computed = with_masks and self._is_computed(names)
        if is_same and names == self._names and not is_computed:
            return False
        self._write(anchors, ReviewState.IN_WORK, result=self._result() if is_computed else None)
        return True

    def _is_computed(self, names: Mapping[str, str]) -> bool:
        """Whether a model has made other masks, or lesions have other names, since the masks were stored or loaded."""
        if names != self._names and self.case.record is not None and self.case.record.result is not None:
            return True
        for segment in names:
            now = self.sequence.states(segment)
            before = self._computed.get(segment) or [SegmentState()] * len(now)
            if any(_is_other_result(*states) for states in zip(before, now, strict=True)):
                return True
        return False

    def _states(self) -> dict[str, list[SegmentState]]:
        return {one.id: self.sequence.states(one.id) for one in self.sequence.segments()}

    def finish(self, comment: str | None = None) -> ReviewRecord:
        """Declare the case done: the masks of all frames, as they are in the scene, are stored with the anchors.

        Parameters
        ----------
        comment : str, optional

        Raises
        ------
        ReviewError
            When no frame has a mask or was declared to show no lesion.
        """
        self._workflow.commitEdit(self.browser)
        self.touch()
        result = self._result()
        if all(origin is None for origins in result.origins.values() for origin in origins):
            raise ReviewError("the case has no masks yet; draw or propagate, or set the case aside")
        return self._write(self._anchors(), ReviewState.DONE, comment, result=result)

    def set_aside(self, reason: str, comment: str | None = None) -> ReviewRecord:
        """Set the case aside; what was drawn is stored.

        Raises
        ------
        ReviewError
            When no reason is given.
        """
        if not reason.strip():
            raise ReviewError("no reason was given; say why the case is set aside")
        self._workflow.commitEdit(self.browser)
        self.touch()
        result = self._result() if self._is_computed(self._lesions()) else None
        return self._write(self._anchors(), ReviewState.SET_ASIDE, comment, reason.strip(), result)

    def close(self) -> None:
        """Store what changed, take the cine out of the scene, and let others take the case up.

        When it cannot be stored, the error is raised and everything stays as it is.
        """
        if self.browser.GetScene() is not None:
            self._workflow.commitEdit(self.browser)
            self.store()
            self._workflow.removeCine(self.browser)
        self.case.close()

    def discard(self) -> None:
        """Take the cine out of the scene and let go of the case without storing what changed since the last time."""
        if self.browser.GetScene() is not None:
            self._workflow.removeCine(self.browser)
        self.case.close()

    def _write(
        self,
        anchors: dict[_Key, ReaderAnchor],
        state: ReviewState,
        comment: str | None = None,
        reason: str = "",
        result: CaseMasks | None = None,
    ) -> ReviewRecord:
        names = self._lesions()
        record = self.case.store(
            [anchors[key] for key in sorted(anchors)],
            self._source,
            self._seconds,
            state,
            comment,
            reason,
            list(names.values()),
            result,
            self._machine_lesions(names),
            numbers_by_lesion(self.sequence.segments(), names),
            self._removed(),
        )
        self._stored, self._names = anchors, names
        if result is not None:
            self._computed = self._states()
        return record

    def _machine_lesions(self, names: dict[str, str]) -> dict[str, str | None]:
        """Return what the machine's lesions are called now, as ``ReviewRecord`` keeps it."""
        before = self.case.record.machine_lesions if self.case.record else {}
        now = {name: names.get(segment) for name, segment in self._machine_segments.items()}
        machine = self.case.machine
        if machine is None or machine.reader != self.case.reader:
            return {**before, **now}
        # the machine took over the reader's names: its seeds still have the earlier ones
        kept = {name: None if own is None else now.get(own, own) for name, own in before.items()}
        return {**{name: own for name, own in now.items() if name not in before.values()}, **kept}

    def _lesions(self) -> dict[str, str]:
        """Return each lesion's name by segment ID, with the ID behind it where two lesions have one name."""
        return distinct_lesions({one.id: one.name for one in self.sequence.segments()})

    def _removed(self) -> list[int]:
        """Return the numbers of the lesions that the reader removed, now or before."""
        sequence = self.sequence
        removed = sequence.used_ids - {one.id for one in sequence.segments()}
        return sorted(number for one in removed if (number := SegmentInfo(one, one).number) is not None)

    def _anchors(self) -> dict[_Key, ReaderAnchor]:
        """Return the reader's anchors in the scene; the same objects as before where nothing has changed."""
        sequence, names = self.sequence, self._lesions()
        shown, painted = sequence.shown_frame, self._workflow.uncommittedEdit(self.browser)
        found: dict[_Key, ReaderAnchor] = {}
        for segment, name in names.items():
            for frame, state in enumerate(sequence.states(segment)):
                if frame == shown and segment in painted:
                    mask, origin, provenance = painted[segment]
                elif state.origin is not None and state.origin.is_anchor:
                    mask, origin, provenance = sequence.read(frame, segment), state.origin, state.provenance
                else:
                    continue
                if origin is not None and origin.is_by_person and not self._is_given((frame, segment), mask, origin):
                    found[frame, segment] = self._anchor((frame, segment), name, mask, origin, provenance)
        self._known = found
        return found

    def _anchor(self, key: _Key, name: str, mask: Mask, origin: Origin, provenance: str) -> ReaderAnchor:
        """Return an anchor; the same object as last time where it says the same."""
        known = self._known.get(key)
        same = known is not None and np.array_equal(known.mask, mask) and known.how.origin is origin
        how = known.how if known and same else self._how(key[0], origin, mask)
        if known is None or not same or (known.lesion, known.provenance) != (name, provenance):
            known = ReaderAnchor(key[0], name, mask, how, provenance)
        return known

    def _is_given(self, key: _Key, mask: Mask, origin: Origin) -> bool:
        """Whether an anchor is one of the machine's that the reader neither changed nor, if suggested, confirmed."""
        is_confirmed = origin is Origin.CONFIRMED and key in self._suggested
        return key in self._given and not is_confirmed and np.array_equal(self._given[key], mask)

    def _how(self, frame: int, origin: Origin, mask: Mask) -> How:
        if origin is Origin.MANUAL:
            return How.DRAWN if mask.any() else How.NOT_VISIBLE
        if origin is Origin.EDITED:
            return How.CLICKED if self._workflow.efforts.has_clicks(self.browser, frame) else How.EDITED
        return How.CONFIRMED

    def _result(self) -> CaseMasks:
        """Return the masks of all frames as they are in the scene."""
        sequence, names = self.sequence, self._lesions()
        states = {name: sequence.states(segment) for segment, name in names.items()}
        model, settings = self._model, self._settings
        with contextlib.suppress(SceneError):  # not propagated again: the masks are those the case came with
            summary = self._workflow.lastPropagation(self.browser)
            model = {"name": summary.model, "version": summary.version, "sha256": summary.sha256}
            settings = settings | {"model": summary.model, "weights": summary.sha256, "direction": summary.direction}

        def read(frame: int) -> NDArray[np.bool_] | None:
            if all(of_frames[frame].origin is None for of_frames in states.values()):
                return None
            return np.stack([sequence.read(frame, segment) for segment in names])

        return CaseMasks(
            self._source,
            tuple(names.values()),
            read,
            {name: [one.origin for one in of_frames] for name, of_frames in states.items()},
            {name: np.array([one.confidence for one in of_frames], float) for name, of_frames in states.items()},
            model,
            settings,
            numbers=numbers_by_lesion(self.sequence.segments(), names),
        )


def _is_other_result(before: SegmentState, now: SegmentState) -> bool:
    """Whether a model's mask came, changed or went on a frame; anchors are stored apart."""
    if now.origin is not Origin.MODEL:
        return now.origin is None and before.origin is Origin.MODEL
    is_same = now.confidence == before.confidence or (math.isnan(now.confidence) and math.isnan(before.confidence))
    return before.origin is not Origin.MODEL or before.provenance != now.provenance or not is_same
