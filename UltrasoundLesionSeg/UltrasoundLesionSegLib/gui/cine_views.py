"""The chosen cine in the views: alone, fitted, with its own lesions only, played by the keys of Slicer's toolbar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from UltrasoundLesionSegLib.gui.fitted_views import FittedViews
from UltrasoundLesionSegLib.gui.view_layout import ViewLayout
from UltrasoundLesionSegLib.mrml.frames import image_of
from UltrasoundLesionSegLib.mrml.segmentation_nodes import find_sequence

HIDDEN_BY_US = "UltrasoundLesionSeg.Hidden"  # on display nodes, so that a scene saved meanwhile says what to show again


class CineViews:
    """Shows one cine at a time while the module is open.

    Parameters
    ----------
    later : callable
        Does something after the present event: a view has its new size only then.
    """

    def __init__(self, later: Callable[[Callable[[], None]], None]) -> None:
        self._fitted = FittedViews(later)
        self._layout = ViewLayout()
        self._entered = False

    @property
    def shows_charts(self) -> bool:
        """Whether charts and table are beside the cine now."""
        return self._layout.shows_charts

    def enter(self) -> None:
        """The module is shown: from now on the views belong to the cine."""
        self._entered = True

    def scene_was_read(self) -> None:
        """A scene brought an arrangement of its own: the cine is shown alone again."""
        if self._entered:
            self._layout.scene_was_read()

    def scene_is_closed(self) -> None:
        """The scene is about to be closed: no empty table stays beside the next cine."""
        if self._entered:
            self._layout.scene_is_closed()

    def leave(self) -> None:
        """Another module is shown: give the user's arrangement of views back."""
        self._entered = False
        self._fitted.stop()
        self._layout.leave()

    def show(self, browser: Any | None, volume: Any | None) -> None:
        """Show a cine, or none.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode or None
        volume : vtkMRMLVolumeNode or None
            Shows the cine's frames.
        """
        if not self._entered:
            return
        show_lesions_of(browser)
        if slicer.app.layoutManager() is None:
            return
        arranged = self._layout.show_cine()
        if browser is None or volume is None:
            return
        slicer.modules.sequences.setToolBarActiveBrowserNode(browser)
        if image_of(volume) is None:  # its data file is missing: a view would go on showing what was there before
            slicer.util.setSliceViewerLayers(background=None, foreground=None, label=None)
        elif arranged or any(node.GetBackgroundVolumeID() != volume.GetID() for node in _composite_nodes()):
            slicer.util.setSliceViewerLayers(background=volume, foreground=None, label=None)
            self._fitted.fit_later()

    def show_charts(self, shown: bool) -> None:
        """Show charts and table beside the cine, or the cine alone."""
        if self._layout.show_charts(shown):
            self._fitted.fit_later()


def show_lesions_of(browser: Any | None) -> None:
    """Hide the lesions of all other cines, and show again what was hidden of this one; of all when there is none.

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode or None
    """
    for other in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"):
        sequence = find_sequence(other)
        proxy = other.GetProxyNode(sequence) if sequence is not None else None
        display = proxy.GetDisplayNode() if proxy is not None else None
        if display is None:
            continue
        if browser is not None and other is not browser:
            if display.GetVisibility():
                display.SetAttribute(HIDDEN_BY_US, "true")
                display.SetVisibility(False)
        elif display.GetAttribute(HIDDEN_BY_US):
            display.RemoveAttribute(HIDDEN_BY_US)
            display.SetVisibility(True)


def _composite_nodes() -> list[Any]:
    logics = slicer.app.layoutManager().mrmlSliceLogics()
    return [logics.GetItemAsObject(number).GetSliceCompositeNode() for number in range(logics.GetNumberOfItems())]
