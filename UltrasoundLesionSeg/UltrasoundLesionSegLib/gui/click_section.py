"""The Click tool of section 2: a lesion drawn and corrected with clicks into the cine's view."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer
import vtk

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.gui.frame_annotation import VIEW
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.masking import describe_masking, draw_mask, other_segments
from UltrasoundLesionSegLib.gui.messages import Tone, tell, telling
from UltrasoundLesionSegLib.gui.section import Section
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

BEFORE_SLICER = 10.0  # VTK calls observers of higher priority first: a click here moves neither window level nor slice
HINT = "Click into the lesion; outside it with Ctrl or the right button. Undo takes a click back."

Point = tuple[float, float, bool]


@dataclass
class _Clicks:
    """The clicks on one lesion of one frame.

    Parameters
    ----------
    frame : int
    segment : str
    points : list of (row, column, inside)
    masks : list of ndarray of bool, shape (H, W)
        What was stored after 0, 1, ... clicks.
    """

    frame: int
    segment: str
    masks: list[Mask]
    points: list[Point] = field(default_factory=list)


class ClickSection(Section):
    """While its button is down, clicks into the view draw; any effect of the editor puts it up again."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._observed: list[tuple[Any, int]] = []
        self._clicks: _Clicks | None = None
        self.ui.clickButton.connect("toggled(bool)", self._toggled)

    # ---- on and off

    def leave(self) -> None:
        """Another module is shown: its clicks are its own."""
        self._put_up()

    def let_go(self) -> None:
        """The scene is about to be closed."""
        self._put_up()

    def cleanup(self) -> None:
        """The panel is about to be destroyed."""
        self._put_up()

    def cine_changed(self) -> None:
        """Start again with another cine."""
        self._clicks = None
        if self.host.browser is None:
            self._put_up()

    def busy_changed(self) -> None:
        """Allow no clicks while the model writes."""
        self.ui.clickButton.enabled = self.host.browser is not None and not self.host.busy
        if self.host.busy:
            self._put_up()

    def _put_up(self) -> None:
        self.ui.clickButton.checked = False

    def _editor_changed(self, editor_node: Any, _event: Any) -> None:
        """An effect of the editor takes the mouse."""
        if editor_node.GetActiveEffectName():
            self.host.later(self._put_up)

    def _toggled(self, down: bool) -> None:
        self._observe(False)
        if not down:
            self._clicks = None
            return
        if not self.host.offer("compute", self.ui.lesionMessageLabel):
            self._put_up()
            return
        self.ui.segmentEditor.setActiveEffect(None)
        self._observe(True)
        tell(self.ui.lesionMessageLabel, HINT)

    def _observe(self, wanted: bool) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        if not wanted:
            return
        interactor = slicer.app.layoutManager().sliceWidget(VIEW).sliceView().interactor()
        self._add_observer(interactor, vtk.vtkCommand.LeftButtonPressEvent, inside=True)
        self._add_observer(interactor, vtk.vtkCommand.RightButtonPressEvent, inside=False)
        editor_node = self.ui.segmentEditor.mrmlSegmentEditorNode()
        tag = editor_node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._editor_changed)
        self._observed.append((editor_node, tag))

    def _add_observer(self, interactor: Any, event: Any, *, inside: bool) -> None:
        def pressed(caller: Any, _event: Any) -> None:
            interactor.GetCommand(tag).SetAbortFlag(1)  # the view does nothing else with it
            place = caller.GetEventPosition()
            is_inside = inside and not caller.GetControlKey()
            self.host.later(lambda: self._clicked(place, is_inside))

        tag = interactor.AddObserver(event, pressed, BEFORE_SLICER)
        self._observed.append((interactor, tag))

    # ---- a click

    def _clicked(self, place: tuple[int, int], inside: bool) -> None:
        browser = self.host.browser
        if browser is None or self.host.busy or not self.ui.clickButton.checked:
            return
        with telling(self.ui.lesionMessageLabel, wait=True):
            point = self._pixel_at(place)
            if point is None:
                return
            segment = self._segment()
            self.host.store_edit()
            clicks = self._going_on(segment)
            points = [*clicks.points, (*point, inside)]
            mask = self.logic.proposeFromClicks(browser, points, clicks.masks[0], device=self.host.device_name())
            editor_node = self.ui.segmentEditor.mrmlSegmentEditorNode()
            if not self.host.parameters.allowOverlap:
                mask = mask & ~other_segments(editor_node, segment)
            if not mask.any():
                tell(self.ui.lesionMessageLabel, "No lesion of its own was found there; click elsewhere.", Tone.CAUTION)
                return
            self.ui.segmentEditor.saveStateForUndo()
            draw_mask(mask, editor_node, segment)
            self.host.store_edit()
            clicks.points, clicks.masks = points, [*clicks.masks, self._stored(segment)]
            self._clicks = clicks
            number = f"{len(points)} click{'s' if len(points) > 1 else ''}"
            limits = describe_masking(editor_node)
            text = f"{number}. {HINT} {limits}".strip()
            tell(self.ui.lesionMessageLabel, text, Tone.CAUTION if limits else Tone.PLAIN)

    def _segment(self) -> str:
        """Return the lesion to draw, making one where none is selected."""
        segment = self.host.selected_segment()
        if segment:
            return segment
        segment = self.logic.addSegment(self.host.browser)
        self.host.results_changed()
        self.ui.segmentEditor.setCurrentSegmentID(segment)
        return str(segment)

    def _going_on(self, segment: str) -> _Clicks:
        """Return the clicks so far, without those that were undone; new ones where something else was drawn."""
        frame, stored = self.host.browser.GetSelectedItemNumber(), self._stored(segment)
        clicks = self._clicks
        if clicks is not None and (clicks.frame, clicks.segment) == (frame, segment):
            for count in range(len(clicks.points), -1, -1):
                if np.array_equal(clicks.masks[count], stored):
                    return _Clicks(frame, segment, clicks.masks[: count + 1], clicks.points[:count])
        return _Clicks(frame, segment, [stored])

    def _stored(self, segment: str) -> Mask:
        sequence = SegmentationSequence.find(self.host.browser)
        assert sequence is not None
        return sequence.read(self.host.browser.GetSelectedItemNumber(), segment)

    def _pixel_at(self, place: tuple[int, int]) -> tuple[float, float] | None:
        """Return row and column of the frame at a place of the view, None outside the frame."""
        slice_node = slicer.app.layoutManager().sliceWidget(VIEW).mrmlSliceNode()
        volume = self.logic.volumeNode(self.host.browser)
        to_pixels = vtk.vtkMatrix4x4()
        volume.GetRASToIJKMatrix(to_pixels)
        in_world = slice_node.GetXYToRAS().MultiplyPoint((place[0], place[1], 0.0, 1.0))
        column, row = to_pixels.MultiplyPoint(in_world)[:2]
        width, height = volume.GetImageData().GetDimensions()[:2]
        on_frame = -0.5 <= row <= height - 0.5 and -0.5 <= column <= width - 0.5
        return (row, column) if on_frame else None
