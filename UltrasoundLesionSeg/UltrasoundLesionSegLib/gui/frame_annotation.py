"""Frame, time and confidence as text in a corner of the cine's view."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

VIEW = "Red"
CORNER = (0.99, 0.01)  # lower right, as shares of the view; Slicer's Data Probe writes into the others
FONT_SIZE = 18


class FrameAnnotation:
    """An annotation of our own: Slicer's Data Probe empties the view's own one whenever a slice changes.

    A vtkCornerAnnotation would search for the size of its font at every new text, which takes as long as all the rest
    of showing a frame.
    """

    def __init__(self) -> None:
        self._actor = vtk.vtkTextActor()
        self._actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
        self._actor.SetPosition(*CORNER)
        font = self._actor.GetTextProperty()
        font.SetFontSize(FONT_SIZE)
        font.SetJustificationToRight()
        font.SetShadow(True)  # to be read on bright echoes
        self._view: Any = None

    def show(self, text: str) -> None:
        """Show a text; an empty one takes the annotation away."""
        view = _slice_view()
        if view is not self._view:
            self._take_away()
        if view is None or not text:
            self._take_away()
            return
        if self._view is None:
            _renderer(view).AddViewProp(self._actor)
            self._view = view
        if self._actor.GetInput() != text:
            self._actor.SetInput(text)
            view.scheduleRender()

    def _take_away(self) -> None:
        view, self._view = self._view, None
        if view:  # a deleted Qt object is false
            _renderer(view).RemoveViewProp(self._actor)
            view.scheduleRender()


def describe_frame(frame: int, count: int, seconds: float | None, confidence: float | None) -> str:
    """Return the text for a frame.

    Parameters
    ----------
    frame, count : int
        Zero-based number; number of frames.
    seconds : float or None
        Time since the first frame, None where it is unknown.
    confidence : float or None
        Of the least certain lesion, in [0, 1]; None where no model computed the frame.
    """
    lines = [f"Frame {frame} / {count - 1}"]
    if seconds is not None:
        lines.append(f"{seconds:.2f} s")
    if confidence is not None:
        lines.append(f"Confidence {confidence:.2f}")
    return "\n".join(lines)


def _slice_view() -> Any | None:
    manager = slicer.app.layoutManager()
    widget = manager.sliceWidget(VIEW) if manager is not None else None
    return widget.sliceView() if widget is not None else None


def _renderer(view: Any) -> Any:
    return view.renderWindow().GetRenderers().GetFirstRenderer()
