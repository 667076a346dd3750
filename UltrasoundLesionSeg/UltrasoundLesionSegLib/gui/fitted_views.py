"""Images that stay fitted into their views while the views change their size.

Slicer fits an image once. When a module with a wider panel is entered, the view beside it becomes narrower only after
the panel was arranged, and a wide image is then cut off at both sides. So what was fitted is fitted again after every
change of size, until the user zooms or moves the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk


@dataclass(frozen=True)
class _Seen:
    """What a view shows: its size in pixels, its field of view and its origin in mm."""

    size: tuple[float, ...]
    shown: tuple[float, ...]

    @classmethod
    def by(cls, node: Any) -> _Seen:
        return cls(node.GetDimensions()[:2], (*node.GetFieldOfView()[:2], *node.GetXYZOrigin()[:2]))


class FittedViews:
    """Fits images into the slice views, and keeps them fitted.

    Parameters
    ----------
    later : callable
        Does something after the present event: a view has its new size only then.
    """

    def __init__(self, later: Callable[[Callable[[], None]], None]) -> None:
        self._later = later
        self._seen: dict[Any, _Seen] = {}  # by slice node: what it has shown since it was fitted
        self._tags: dict[Any, int] = {}
        self._fit_is_due = False
        self._look_is_due = False

    def fit_later(self) -> None:
        """Fit the image into each view after the present event."""
        if not self._fit_is_due:
            self._fit_is_due = True
            self._later(self._fit_all)

    def stop(self) -> None:
        """Leave the views alone."""
        for node, tag in self._tags.items():
            node.RemoveObserver(tag)
        self._seen.clear()
        self._tags.clear()
        self._fit_is_due = False

    def _fit_all(self) -> None:
        if not self._fit_is_due or slicer.app.layoutManager() is None:
            return
        self.stop()
        logics = slicer.app.layoutManager().mrmlSliceLogics()
        for number in range(logics.GetNumberOfItems()):
            self._fit(logics.GetItemAsObject(number))

    def _fit(self, logic: Any) -> None:
        node = logic.GetSliceNode()
        logic.FitSliceToBackground()
        self._seen[node] = _Seen.by(node)
        if node not in self._tags:
            self._tags[node] = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._changed)

    def _changed(self, _node: Any, _event: str) -> None:
        """Look after the present event: what was changed by fitting is remembered by then."""
        if not self._look_is_due:
            self._look_is_due = True
            self._later(self._look)

    def _look(self) -> None:
        """Fit again where the size changed; let go of views that the user zoomed or moved."""
        self._look_is_due = False
        if not self._seen or slicer.app.layoutManager() is None:
            return
        logics = slicer.app.layoutManager().mrmlSliceLogics()
        for number in range(logics.GetNumberOfItems()):
            logic = logics.GetItemAsObject(number)
            node = logic.GetSliceNode()
            before, now = self._seen.get(node), _Seen.by(node)
            if before is None:
                continue
            if now.size != before.size:
                self._fit(logic)
            elif not np.allclose(now.shown, before.shown, rtol=1e-3, atol=1e-6):
                del self._seen[node]
