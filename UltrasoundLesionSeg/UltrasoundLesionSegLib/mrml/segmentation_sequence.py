"""The lesions of a cine: one segmentation a frame, synchronised with the cine's browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask, Origin
from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml.changes import tell_results_changed
from UltrasoundLesionSegLib.mrml.cine_of_browser import master_sequence
from UltrasoundLesionSegLib.mrml.labelmaps import FrameGeometry, read_mask, write_masks
from UltrasoundLesionSegLib.mrml.segmentation_nodes import SegmentationNodes, add_sequence, find_sequence
from UltrasoundLesionSegLib.mrml.segments import (
    SegmentInfo,
    SegmentState,
    apply_info,
    forget_before,
    info_of,
    new_segment,
    read_before,
    read_confidence,
    read_origin,
    read_state,
    segment_ids,
    write_before,
    write_state,
)
from UltrasoundLesionSegLib.readers.lesion_names import free_lesion_name, tidied


class SegmentationSequence:
    """The segmentation sequence that belongs to a browser. Make it with :meth:`create` or :meth:`find`.

    Every frame of the cine has an item, and every item has the same segments; a lesion that is not visible, or not yet
    segmented, is a segment without pixels. What is stored lies in the sequence. The proxy shows a copy of the selected
    frame, and it is what a person paints on: painting counts once :meth:`commit_edit` stored it. Do that before the
    frame changes and before anything modifies the browser or one of its sequences, because Slicer then copies the
    stored frame over the proxy. The methods here are silent: none of them makes Slicer do that.

    Objects are cheap and hold no masks.

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode
    sequence : vtkMRMLSequenceNode
        Made by :meth:`create`.
    """

    def __init__(self, browser: Any, sequence: Any) -> None:
        self._nodes = SegmentationNodes(browser, sequence)

    @classmethod
    def create(cls, browser: Any, segments: list[SegmentInfo], name: str | None = None) -> SegmentationSequence:
        """Add a segmentation with these segments, empty on every frame, to the browser.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        segments : list of SegmentInfo
        name : str, optional
            Of the sequence; by default that of the cine and "lesions".

        Raises
        ------
        SceneError
            When the browser has no cine or has a lesion segmentation already, or two segments have one id.
        """
        master = master_sequence(browser)
        if find_sequence(browser) is not None:
            raise SceneError("the cine has a lesion segmentation already; add segments to that one")
        _check_distinct([segment.id for segment in segments])
        result = cls(browser, add_sequence(browser, segments, name or f"{master.GetName()} lesions"))
        result._nodes.tie_proxy_to_cine()
        tell_results_changed(browser)
        return result

    @classmethod
    def find(cls, browser: Any) -> SegmentationSequence | None:
        """Give the browser's lesion segmentation, None where it has none. Others' segmentations are left alone.

        Raises
        ------
        SceneError
            When the browser has no cine.
        """
        master_sequence(browser)
        sequence = find_sequence(browser)
        if sequence is None:
            return None
        found = cls(browser, sequence)
        found._nodes.switch_off_save_changes()
        return found

    @property
    def browser(self) -> Any:
        """The vtkMRMLSequenceBrowserNode."""
        return self._nodes.browser

    @property
    def sequence(self) -> Any:
        """The vtkMRMLSequenceNode of segmentations."""
        return self._nodes.sequence

    @property
    def proxy(self) -> Any:
        """The vtkMRMLSegmentationNode that shows a frame; made again if someone deleted it."""
        return self._nodes.proxy

    @property
    def geometry(self) -> FrameGeometry:
        """Size and place of the frames."""
        return self._nodes.geometry

    @property
    def shown_frame(self) -> int:
        """The frame that the proxy shows. While the browser is moving, this is still the frame it comes from."""
        return self._nodes.shown_frame

    def __len__(self) -> int:
        """Return the number of frames of the cine."""
        return len(self._nodes)

    @property
    def changed_at(self) -> int:
        """VTK's time of the last change of a stored mask, its state or a segment; it is not kept in a scene."""
        segmentations = self._nodes.all_stored()
        segments = [one.GetSegment(segment) for one in segmentations for segment in segment_ids(one)]
        return max(one.GetMTime() for one in (*segmentations, *segments))

    # --- segments, the same on all frames

    def segments(self) -> list[SegmentInfo]:
        """Return the segments in order."""
        segmentation = self._nodes.stored(0)
        return [info_of(segmentation, one) for one in segment_ids(segmentation)]

    @property
    def used_ids(self) -> set[str]:
        """The ids of all segments that are or were here, in this session or before the scene was saved."""
        return {*segment_ids(self._nodes.stored(0)), *self._nodes.removed_ids()}

    def retire(self, segment_id: str) -> None:
        """Give this id to no segment: it is that of one that was removed in an earlier scene."""
        self._nodes.remember_removed(segment_id)

    def add_segment(self, info: SegmentInfo) -> None:
        """Add a segment, empty, to all frames.

        Raises
        ------
        SceneError
            When there is or was a segment with this id, or another one has this name.
        """
        if info.id in self.used_ids:
            raise SceneError("a segment of this cine has or had the same id; give another one")
        _check_free([tidied(info.name)], [one.name for one in self.segments()])
        self._add_to_all(info)

    def rename_segment(self, segment_id: str, name: str) -> None:
        """Rename a segment on all frames.

        Parameters
        ----------
        segment_id, name : str

        Raises
        ------
        SceneError
            When there is no such segment, the name is empty, or another segment has it.
        """
        self.rename_segments({segment_id: name})

    def rename_segments(self, names: Mapping[str, str]) -> None:
        """Rename several segments at once: they may exchange their names.

        Parameters
        ----------
        names : mapping of segment id to str

        Raises
        ------
        SceneError
            As for ``rename_segment``; then none is renamed.
        """
        infos = {one.id: one for one in self.segments()}
        renamed = [replace(infos[self._known(one)], name=tidied(name)) for one, name in names.items()]
        _check_free([one.name for one in renamed], [one.name for one in infos.values() if one.id not in names])
        for info in renamed:
            self._update(info)

    def remove_segment(self, segment_id: str) -> None:
        """Remove a segment with its masks from all frames.

        Raises
        ------
        SceneError
            When there is no such segment.
        """
        self._known(segment_id)
        self._nodes.remember_removed(segment_id)
        for segmentation in self._stored_and_shown():
            segmentation.RemoveSegment(segment_id)

    # --- frames

    def write(
        self,
        frame: int,
        masks: Mapping[str, Mask],
        origins: Mapping[str, Origin | None],
        confidences: Mapping[str, float] | None = None,
        provenance: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Store masks of one frame; segments that are not named keep theirs.

        What a person painted on this frame and has not been stored yet is stored first. Only a person overwrites an
        anchor: a segment that has one on this frame is left out when its new origin is ``Origin.MODEL`` or None.

        Parameters
        ----------
        frame : int
        masks : mapping of segment id to ndarray of bool, shape (H, W)
        origins : mapping of segment id to Origin or None
            One for each of ``masks``; None for a frame that nothing is known of any more.
        confidences : mapping of segment id to float, optional
            0 to 1 or nan.
        provenance : mapping of segment id to str, optional

        Returns
        -------
        list of str
            The segments that were written.

        Raises
        ------
        SceneError
            When the frame or a segment does not exist or a mask has another size.
        """
        stored = self._nodes.stored(frame)
        for one, mask in masks.items():
            self._known(one)
            if mask.shape != self.geometry.shape:
                raise SceneError(
                    f"a mask of shape {mask.shape} does not fit the cine, whose frames have {self.geometry.shape} "
                    "pixels; give masks of the frames' size"
                )
        if frame == self.shown_frame:
            self.commit_edit()
        written = [one for one in masks if _is_persons(origins[one]) or not _is_anchor(stored, one)]
        states = {
            one: SegmentState(origins[one], (confidences or {}).get(one, np.nan), (provenance or {}).get(one, ""))
            for one in written
        }
        self._store(frame, {one: masks[one] for one in written}, states)
        for one in written:
            forget_before(stored.GetSegment(one))
        return written

    def set_state(self, frame: int, segment_id: str, state: SegmentState) -> None:
        """Change who vouches for a stored mask, e.g. to confirm it or to release an anchor; the mask stays.

        Parameters
        ----------
        frame : int
            Counted from 0.
        segment_id : str
        state : SegmentState

        Raises
        ------
        SceneError
            When the frame or the segment does not exist.
        """
        self._known(segment_id)
        if frame == self.shown_frame:
            self.commit_edit()
        self._store(frame, {}, {segment_id: state})

    def read(self, frame: int, segment_id: str) -> Mask:
        """Return the stored mask, bool (H, W). What is painted on the proxy and not committed is not in it."""
        return read_mask(self._stored_with(frame, segment_id), segment_id, self.geometry)

    def state(self, frame: int, segment_id: str) -> SegmentState:
        """Return origin, confidence and provenance of a stored mask."""
        return read_state(self._stored_with(frame, segment_id).GetSegment(segment_id))

    def origin(self, frame: int, segment_id: str) -> Origin | None:
        """Return who made a stored mask; None where nothing has been drawn or computed."""
        return self.state(frame, segment_id).origin

    def confidence(self, frame: int, segment_id: str) -> float:
        """Return the model's confidence in [0, 1], nan where there is none."""
        return self.state(frame, segment_id).confidence

    def provenance(self, frame: int, segment_id: str) -> str:
        """Return what the workflow wrote beside the mask, '' where it wrote nothing."""
        return self.state(frame, segment_id).provenance

    # --- all frames at once: tags are read from the nodes each time, about 1 microsecond each

    def states(self, segment_id: str) -> list[SegmentState]:
        """Return origin, confidence and provenance of every frame."""
        self._known(segment_id)
        return [read_state(stored.GetSegment(segment_id)) for stored in self._nodes.all_stored()]

    def confidences(self, segment_id: str) -> NDArray[np.float32]:
        """Return the confidence of every frame, shape (T,), nan where there is none."""
        self._known(segment_id)
        segments = [stored.GetSegment(segment_id) for stored in self._nodes.all_stored()]
        return np.array(
            [read_confidence(segment) if segment is not None else np.nan for segment in segments], np.float32
        )

    def anchors(self) -> dict[str, list[int]]:
        """Return, for each segment, the frames whose mask a person drew, edited or confirmed, in order."""
        stored = self._nodes.all_stored()
        ids = segment_ids(stored[0])
        return {one: [frame for frame, each in enumerate(stored) if _is_anchor(each, one)] for one in ids}

    def frames_not_visible(self) -> dict[str, list[int]]:
        """Return, for each segment, the anchors with an empty mask, in order."""
        anchors = self.anchors().items()
        return {one: [frame for frame in frames if not self.read(frame, one).any()] for one, frames in anchors}

    # --- a person's edits

    def commit_edit(self) -> list[str]:
        """Store what was painted on the proxy, on the frame that the proxy shows.

        A changed mask becomes ``Origin.MANUAL`` where no model stored one or what it stored is empty, else
        ``Origin.EDITED``. Where undo brought back the mask from before a person drew on the frame, its earlier state
        comes back, too: the frame is no anchor. A segment that was added, renamed or recoloured on the proxy is so on
        all frames afterwards; a name that another one has gets a number. One that was deleted on the proxy stays
        stored: only :meth:`remove_segment` removes from all frames.

        Returns
        -------
        list of str
            The segments whose mask changed.
        """
        frame, painted = self.shown_frame, self._nodes.shown
        stored = self._nodes.stored(frame)
        if painted is stored:
            return []
        self._adopt_descriptions(painted)
        masks = self._painted_masks(stored, painted)
        if masks:
            states = {one: self._state_of_painted(stored, one, mask) for one, mask in masks.items()}
            self._remember_before(stored, masks)
            self._write(stored, masks, states)
            if self.missing_on_proxy():
                self._nodes.refresh_proxy(stored)
            # otherwise it shows these masks already, and the editor's next undo would only undo the refreshing
        return list(masks)

    def painted(self) -> dict[str, tuple[Mask, Origin | None]]:
        """Return what was painted on the frame shown and is not stored yet: what ``commit_edit`` would store.

        Returns
        -------
        dict of str to (ndarray of bool, shape (H, W), Origin or None)
            By segment ID.
        """
        painted, stored = self._nodes.shown, self._nodes.stored(self.shown_frame)
        if painted is stored:
            return {}
        masks = self._painted_masks(stored, painted)
        return {one: (mask, self._state_of_painted(stored, one, mask).origin) for one, mask in masks.items()}

    def missing_on_proxy(self) -> list[str]:
        """Return the stored segments that someone deleted on the proxy."""
        shown = set(segment_ids(self._nodes.shown))
        return [one.id for one in self.segments() if one.id not in shown]

    # --- inside

    def _painted_masks(self, stored: Any, painted: Any) -> dict[str, Mask]:
        """Return the masks of a painted vtkSegmentation that differ from the stored ones."""
        masks = {one: read_mask(painted, one, self.geometry) for one in segment_ids(painted)}
        return {
            one: mask for one, mask in masks.items() if not np.array_equal(mask, read_mask(stored, one, self.geometry))
        }

    def _state_of_painted(self, stored: Any, segment_id: str, mask: Mask) -> SegmentState:
        """Return the state of a mask that was painted over the stored one, or that undo brought back."""
        segment = stored.GetSegment(segment_id)
        before = read_before(segment, mask)
        if before is not None and _is_anchor(stored, segment_id):
            return before
        if segment is None or read_origin(segment) in (None, Origin.MANUAL):
            return SegmentState(Origin.MANUAL)
        was_drawn = read_mask(stored, segment_id, self.geometry).any()
        return SegmentState(Origin.EDITED if was_drawn else Origin.MANUAL)

    def _remember_before(self, stored: Any, replaced: Iterable[str]) -> None:
        """Remember the stored masks that no person made, which drawings are about to replace."""
        for one in replaced:
            segment = stored.GetSegment(one)
            if segment is not None and not _is_anchor(stored, one):
                write_before(segment, read_mask(stored, one, self.geometry), read_state(segment))

    def _known(self, segment_id: str) -> str:
        if self._nodes.stored(0).GetSegment(segment_id) is None:
            raise SceneError("the segmentation has no such segment; choose one of its segments")
        return segment_id

    def _stored_with(self, frame: int, segment_id: str) -> Any:
        """Return the stored vtkSegmentation of a frame, where the segment may be missing if others removed it."""
        stored = self._nodes.stored(frame)
        if stored.GetSegment(segment_id) is None:
            self._known(segment_id)
        return stored

    def _store(self, frame: int, masks: Mapping[str, Mask], states: Mapping[str, SegmentState]) -> None:
        """Write masks and states into a data node, and refresh the proxy where it shows other masks of that frame."""
        stored = self._nodes.stored(frame)
        self._write(stored, masks, states)
        if masks and frame == self.shown_frame:
            self._nodes.refresh_proxy(stored)

    def _write(self, stored: Any, masks: Mapping[str, Mask], states: Mapping[str, SegmentState]) -> None:
        """Write masks and states into a data node."""
        if masks:
            kept = [one for one in segment_ids(stored) if one not in masks]
            everything = {one: read_mask(stored, one, self.geometry) for one in kept} | dict(masks)
            write_masks(stored, everything, self.geometry)
        for one, state in states.items():
            write_state(stored.GetSegment(one), state)
        self._say_changed()

    def _say_changed(self) -> None:
        """Let a scene know that there is something to save, and the panel that there is something to show."""
        self.sequence.StorableModified()
        tell_results_changed(self.browser)

    def _stored_and_shown(self) -> list[Any]:
        stored, shown = self._nodes.all_stored(), self._nodes.shown
        self._say_changed()
        return [*stored, shown]

    def _add_to_all(self, info: SegmentInfo) -> None:
        for segmentation in self._stored_and_shown():
            if segmentation.GetSegment(info.id) is None:
                masks = {one: read_mask(segmentation, one, self.geometry) for one in segment_ids(segmentation)}
                segmentation.AddSegment(new_segment(info), info.id)
                write_masks(segmentation, masks, self.geometry)

    def _adopt_descriptions(self, painted: Any) -> None:
        """Take segments added, and names and colours changed, on the proxy over to all frames."""
        known = {one.id: one for one in self.segments()}
        shown = {one: info_of(painted, one) for one in segment_ids(painted)}
        taken = [info.name for one, info in known.items() if one not in shown or shown[one].name == info.name]
        for one, info in shown.items():
            if one not in known or known[one].name != info.name:
                info = replace(info, name=free_lesion_name(info.name, taken))
                taken.append(info.name)
            if one not in known:
                self._add_to_all(info)
            if info != known.get(one, shown[one]):
                self._update(info)

    def _update(self, info: SegmentInfo) -> None:
        """Give the segment with this id another name, colour and terminology on all frames."""
        for segmentation in self._stored_and_shown():
            segment = segmentation.GetSegment(info.id)
            if segment is not None:
                apply_info(segment, info)


def _check_distinct(ids: list[str]) -> None:
    if len(set(ids)) != len(ids):
        raise SceneError("two segments have the same id; give each its own")


def _check_free(names: list[str], taken: list[str]) -> None:
    if len({*names, *taken}) < len(names) + len(set(taken)):
        raise SceneError("another lesion of this cine has this name already; choose another name")


def _is_anchor(segmentation: Any, segment_id: str) -> bool:
    segment = segmentation.GetSegment(segment_id)
    return segment is not None and _is_persons(read_origin(segment))


def _is_persons(origin: Origin | None) -> bool:
    return origin is not None and origin.is_anchor
