"""The Click tool of section 2: a lesion drawn with clicks into the cine's view or a box, corrected with clicks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer
import vtk

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.gui.drag_box import DragBox
from UltrasoundLesionSegLib.gui.frame_annotation import VIEW
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.loading_first import LoadingFirst
from UltrasoundLesionSegLib.gui.masking import describe_masking, draw_mask, other_segments
from UltrasoundLesionSegLib.gui.messages import Tone, tell, telling
from UltrasoundLesionSegLib.mrml.frames import image_of
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

BEFORE_SLICER = 10.0  # VTK calls observers of higher priority first: a click here moves neither window level nor slice
HINT = (
    "Click into the lesion, or drag a box around it; click outside it with Ctrl or the right button. "
    "Undo takes a click or a box back."
)

Place = tuple[int, int]  # of the view
Point = tuple[float, float, bool]
Box = tuple[float, float, float, float]


@dataclass
class _Clicks:
    """The box and the clicks on one lesion of one frame.

    Parameters
    ----------
    frame : int
    segment : str
    masks : list of ndarray of bool, shape (H, W)
        What was stored after 0, 1, ... of ``given``.
    given : list of (top, left, bottom, right) or (row, column, inside)
        In the order they were made. Only the first one can be a box: a box starts a new drawing.
    """

    frame: int
    segment: str
    masks: list[Mask]
    given: list[Box | Point] = field(default_factory=list)

    @property
    def box(self) -> Box | None:
        """The box."""
        return next((one for one in self.given if len(one) == 4), None)

    @property
    def points(self) -> list[Point]:
        """The clicks."""
        return [one for one in self.given if len(one) == 3]


class ClickSection(LoadingFirst):
    """While its button is down, clicks into the view draw; any effect of the editor puts it up again."""

    def __init__(self, host: Host) -> None:
        super().__init__(host, host.ui.lesionMessageLabel)
        self._observed: list[tuple[Any, int]] = []
        self._clicks: _Clicks | None = None
        self._waiting: list[Box | Point] = []  # made while the large libraries are loaded: drawn as soon as they are
        self._drag: DragBox | None = None  # while the left button is down
        self._was_down = False  # when a computation began
        self.ui.clickButton.connect("toggled(bool)", self._toggled)

    # ---- on and off

    def leave(self) -> None:
        """Another module is shown: its clicks are its own."""
        self._was_down = False
        self._put_up()

    def let_go(self) -> None:
        """The scene is about to be closed."""
        self._was_down = False
        self._put_up()

    def cleanup(self) -> None:
        """The panel is about to be destroyed."""
        super().cleanup()
        self._put_up()

    def cine_changed(self) -> None:
        """Start again with another cine; the hint stays with the tool."""
        self._clicks, self._waiting = None, []
        if self.host.browser is None:
            self._put_up()
        elif self._observed:
            tell(self.ui.lesionMessageLabel, HINT)

    def frame_changed(self) -> None:
        """Say no more what was clicked on the frame left."""
        self._waiting = []
        if self._observed:
            tell(self.ui.lesionMessageLabel, HINT)

    def stroke_drawn(self) -> None:
        """Count the clicks again: undo takes one back, redo gives it again."""
        if self._clicks is not None and HINT in str(self.ui.lesionMessageLabel.text):
            self._tell_given(self._going_on(self._clicks.segment))

    def busy_changed(self) -> None:
        """Allow no clicks while the model writes; the tool is on again afterwards if it was on."""
        self.ui.clickButton.enabled = self.host.browser is not None and self._is_free
        if not self._is_free:
            self._was_down = self._was_down or bool(self.ui.clickButton.checked)
            self._put_up()
        elif self._was_down:
            self._was_down = False
            self.ui.clickButton.checked = self.host.browser is not None

    @property
    def _is_free(self) -> bool:
        return self.running or not self.host.busy

    def stop(self) -> None:
        """Wait for the libraries no longer; the tool is off then."""
        if self.running:
            super().stop()
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
            self._clicks, self._waiting = None, []
            if self.running:
                super().stop()
                self.host.results_changed()
            if HINT in str(self.ui.lesionMessageLabel.text):
                tell(self.ui.lesionMessageLabel, "")
            return
        if not self.host.offer("compute", self.ui.lesionMessageLabel):
            self._put_up()
            return
        self.ui.segmentEditor.setActiveEffect(None)
        self._observe(True)
        self.load_then(self._draw_waiting, self._put_up)

    def _observe(self, wanted: bool) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        self._end_drag()
        if not wanted:
            return
        view = slicer.app.layoutManager().sliceWidget(VIEW).sliceView()
        self._add_observer(view, vtk.vtkCommand.LeftButtonPressEvent, self._left_pressed)
        self._add_observer(view, vtk.vtkCommand.MouseMoveEvent, self._moved)
        self._add_observer(view, vtk.vtkCommand.LeftButtonReleaseEvent, self._left_released)
        self._add_observer(view, vtk.vtkCommand.RightButtonPressEvent, self._right_pressed)
        editor_node = self.ui.segmentEditor.mrmlSegmentEditorNode()
        tag = editor_node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._editor_changed)
        self._observed.append((editor_node, tag))

    def _add_observer(self, view: Any, event: Any, act: Callable[[Any, Place, bool], bool]) -> None:
        """Let ``act`` have an event of the view's mouse: it takes the view, the place and whether Ctrl is down."""
        interactor = view.interactor()

        def happened(caller: Any, _event: Any) -> None:
            if act(view, caller.GetEventPosition(), bool(caller.GetControlKey())):
                interactor.GetCommand(tag).SetAbortFlag(1)  # the view does nothing else with it

        tag = interactor.AddObserver(event, happened, BEFORE_SLICER)
        self._observed.append((interactor, tag))

    # ---- the mouse; each tells whether the event was ours

    def _left_pressed(self, view: Any, place: Place, control: bool) -> bool:
        if control:
            self.host.later(lambda: self._clicked(place, inside=False))
        else:
            self._end_drag()
            self._drag = DragBox(view, place)
        return True

    def _moved(self, _view: Any, place: Place, _control: bool) -> bool:
        if self._drag is None:
            return False
        self._drag.move(place)
        return True

    def _left_released(self, _view: Any, place: Place, _control: bool) -> bool:
        drag = self._drag
        if drag is None:
            return False
        drag.move(place)
        self._end_drag()
        if drag.is_box:
            self.host.later(lambda: self._dragged(drag.start, place))
        else:
            self.host.later(lambda: self._clicked(drag.start, inside=True))
        return True

    def _right_pressed(self, _view: Any, place: Place, _control: bool) -> bool:
        self.host.later(lambda: self._clicked(place, inside=False))
        return True

    def _end_drag(self) -> None:
        if self._drag is not None:
            self._drag.take_away()
            self._drag = None

    # ---- a click, a box

    def _clicked(self, place: Place, inside: bool) -> None:
        if not self._is_ready():
            return
        row, column = self._pixel_at(place)
        height, width = self._shape()
        if -0.5 <= row <= height - 0.5 and -0.5 <= column <= width - 0.5:
            self._draw_when_loaded((row, column, inside))

    def _dragged(self, start: Place, end: Place) -> None:
        """Draw from the part of a box that lies on the frame."""
        if not self._is_ready():
            return
        corners = np.array([self._pixel_at(start), self._pixel_at(end)])
        height, width = self._shape()
        top, left = np.maximum(corners.min(axis=0), 0)
        bottom, right = np.minimum(corners.max(axis=0), (height - 1, width - 1))
        if top < bottom and left < right:
            self._draw_when_loaded((float(top), float(left), float(bottom), float(right)))

    def _is_ready(self) -> bool:
        """Whether a click or a box can be drawn; where the cine has no images, it is said so."""
        if self.host.browser is None or not self._is_free or not self.ui.clickButton.checked:
            return False
        with telling(self.ui.lesionMessageLabel, clear=False):
            self._volume()
            return True
        return False

    def _volume(self) -> Any:
        """Return the volume that shows the frame; raises ``SceneError`` where the cine's images were deleted."""
        volume = self.logic.volumeNode(self.host.browser)
        if volume is None or image_of(volume) is None:
            raise SceneError("the cine has no images here; load it again")
        return volume

    def _draw_when_loaded(self, new: Box | Point) -> None:
        if self.running:
            self._waiting.append(new)
        else:
            self._draw(new)

    def _draw_waiting(self) -> None:
        tell(self.ui.lesionMessageLabel, HINT)
        waiting, self._waiting = self._waiting, []
        for new in waiting:
            self._draw(new)

    def _draw(self, new: Box | Point) -> None:
        browser = self.host.browser
        with telling(self.ui.lesionMessageLabel, wait=True):
            segment = self._segment()
            self.host.store_edit()
            clicks = self._going_on(segment)
            if len(new) == 4:  # a box draws anew
                clicks = _Clicks(clicks.frame, segment, [clicks.masks[-1]])
            clicks.given.append(new)
            mask = self.logic.proposeFromClicks(
                browser,
                clicks.points,
                clicks.masks[0],
                device=self.host.device_name(),
                box=clicks.box,
                segment=segment,
            )
            editor_node = self.ui.segmentEditor.mrmlSegmentEditorNode()
            if not self.host.parameters.allowOverlap:
                mask = mask & ~other_segments(editor_node, segment)
            if not mask.any():
                tell(self.ui.lesionMessageLabel, "No lesion of its own was found there; click elsewhere.", Tone.CAUTION)
                return
            self.ui.segmentEditor.saveStateForUndo()
            draw_mask(mask, editor_node, segment)
            self.host.store_edit()
            clicks.masks.append(self._shown(segment))
            self._clicks = clicks
            self._tell_given(clicks)

    def _tell_given(self, clicks: _Clicks) -> None:
        limits = describe_masking(self.ui.segmentEditor.mrmlSegmentEditorNode()) if clicks.given else ""
        text = f"{_describe(clicks)} {HINT} {limits}".strip()
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
        frame, shown = self.host.browser.GetSelectedItemNumber(), self._shown(segment)
        clicks = self._clicks
        if clicks is not None and (clicks.frame, clicks.segment) == (frame, segment):
            for count in range(len(clicks.given), -1, -1):
                if np.array_equal(clicks.masks[count], shown):
                    return _Clicks(frame, segment, clicks.masks[: count + 1], clicks.given[:count])
        return _Clicks(frame, segment, [shown])

    def _shown(self, segment: str) -> Mask:
        """Return the mask on the frame shown, stored or not yet."""
        sequence = SegmentationSequence.find(self.host.browser)
        assert sequence is not None
        painted = sequence.painted()
        return painted[segment][0] if segment in painted else sequence.read(sequence.shown_frame, segment)

    def _shape(self) -> tuple[int, int]:
        """Return height and width of the frame."""
        width, height = self._volume().GetImageData().GetDimensions()[:2]
        return height, width

    def _pixel_at(self, place: Place) -> tuple[float, float]:
        """Return row and column of the frame at a place of the view; they may lie outside the frame."""
        slice_node = slicer.app.layoutManager().sliceWidget(VIEW).mrmlSliceNode()
        to_pixels = vtk.vtkMatrix4x4()
        self._volume().GetRASToIJKMatrix(to_pixels)
        in_world = slice_node.GetXYToRAS().MultiplyPoint((place[0], place[1], 0.0, 1.0))
        column, row = to_pixels.MultiplyPoint(in_world)[:2]
        return row, column


def _describe(clicks: _Clicks) -> str:
    """Return what was given so far as a sentence, "A box and 2 clicks.", or nothing."""
    number = len(clicks.points)
    parts = ["a box"] * (clicks.box is not None) + [f"{number} click{'s' if number > 1 else ''}"] * (number > 0)
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""
