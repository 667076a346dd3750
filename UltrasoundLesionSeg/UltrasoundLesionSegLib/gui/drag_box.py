"""The rectangle that follows the mouse while a person drags a box in a slice view."""

from __future__ import annotations

from typing import Any

import vtk

SMALLEST = 8  # pixels of the view between the corners, along the longer side; a shorter drag is a click
COLOR = (1.0, 1.0, 0.0)


class DragBox:
    """One drag, from the press of the button on; drawn in the view as soon as it is long enough for a box.

    Parameters
    ----------
    view : ctkVTKSliceView
    start : (x, y)
        Where the button was pressed, in pixels of the view.
    """

    def __init__(self, view: Any, start: tuple[int, int]) -> None:
        self.start = start
        self._end = start
        self._view = view
        self._corners = vtk.vtkPoints()
        self._corners.SetNumberOfPoints(4)
        lines = vtk.vtkCellArray()
        lines.InsertNextCell(5, (0, 1, 2, 3, 0))
        outline = vtk.vtkPolyData()
        outline.SetPoints(self._corners)
        outline.SetLines(lines)
        mapper = vtk.vtkPolyDataMapper2D()  # takes display coordinates
        mapper.SetInputData(outline)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetColor(*COLOR)
        self._actor.GetProperty().SetLineWidth(2)

    @property
    def is_box(self) -> bool:
        """Whether the mouse has moved far enough."""
        return max(abs(now - then) for now, then in zip(self._end, self.start, strict=True)) >= SMALLEST

    def move(self, place: tuple[int, int]) -> None:
        """The mouse is at ``place`` now."""
        self._end = place
        (left, bottom), (right, top) = self.start, place
        for number, corner in enumerate(((left, bottom), (right, bottom), (right, top), (left, top))):
            self._corners.SetPoint(number, *corner, 0)
        self._corners.Modified()
        renderer = self._renderer()
        if self.is_box and not renderer.HasViewProp(self._actor):
            renderer.AddViewProp(self._actor)
        self._view.scheduleRender()

    def take_away(self) -> None:
        """Remove it from the view."""
        if self._view:  # a deleted Qt object is false
            self._renderer().RemoveViewProp(self._actor)
            self._view.scheduleRender()

    def _renderer(self) -> Any:
        return self._view.renderWindow().GetRenderers().GetFirstRenderer()
