"""Notices what a cine shows and what is stored for it, and stores drawings before they can be lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk

from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml.changes import RESULTS_CHANGED, TABLES_CHANGED
from UltrasoundLesionSegLib.mrml.cine_nodes import show_stored_frames
from UltrasoundLesionSegLib.mrml.edit_guard import EditGuard
from UltrasoundLesionSegLib.mrml.segment_display import Shown, read_display, write_display
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

DRAWING_EVENTS = (  # strokes and undo; names and colours; segments that others add and remove
    slicer.vtkSegmentation.SourceRepresentationModified,
    slicer.vtkSegmentation.RepresentationModified,
    slicer.vtkSegmentation.SegmentModified,
    slicer.vtkSegmentation.SegmentAdded,
    slicer.vtkSegmentation.SegmentRemoved,
)
BEFORE_OTHERS, AFTER_SLICER = 100.0, -100.0  # VTK calls observers of higher priority first; Slicer's have 0


class EditKeeper:
    """Watches one cine's browser and the scene.

    Parameters
    ----------
    store : callable
        Stores what was drawn.
    stored : callable
        Called with frame and segment IDs after something drawn was stored because the browser was about to change.
    frame_changed : callable
        Called when Slicer shows another frame.
    drawn : callable
        Called when anything of the segmentation shown changed: its masks, names, colours.
    results_changed, tables_changed : callable
        Called when somebody stored something for the cine, this panel included.
    """

    def __init__(
        self,
        store: Callable[[], None],
        stored: Callable[[int, list[str]], None],
        frame_changed: Callable[[], None],
        drawn: Callable[[], None],
        results_changed: Callable[[], None],
        tables_changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._stored = stored
        self._frame_changed = frame_changed
        self._drawn = drawn
        self._results_changed = results_changed
        self._tables_changed = tables_changed
        self._guard: EditGuard | None = None
        self._guarded: Any = None
        self._shown: tuple[Any, list[int]] | None = None  # segmentation node and observers
        self._observed: list[tuple[Any, int]] = []
        self._browser: Any = None
        self._before_import: list[Any] = []  # browsers, while another scene is added
        self._frame = -1
        self._display: Shown = {}

    def watch(self, browser: Any | None) -> None:
        """Watch this browser instead of the one before; None watches nothing."""
        self.stop()
        self._browser = browser
        if browser is None:
            return
        self._frame = browser.GetSelectedItemNumber()
        self._observe(browser, vtk.vtkCommand.ModifiedEvent, self._browser_about_to_be_followed, BEFORE_OTHERS)
        self._observe(browser, vtk.vtkCommand.ModifiedEvent, self._browser_modified, AFTER_SLICER)
        self._observe(browser, RESULTS_CHANGED, lambda *_: self._results_changed())
        self._observe(browser, TABLES_CHANGED, lambda *_: self._tables_changed())
        scene = slicer.mrmlScene
        self._observe(scene, scene.StartSaveEvent, lambda *_: self._store(), BEFORE_OTHERS)
        self._observe(scene, scene.StartImportEvent, self._import_begins, BEFORE_OTHERS)
        self._observe(scene, scene.EndImportEvent, self._import_ended, BEFORE_OTHERS)
        self.guard()

    def guard(self) -> None:
        """Guard the browser's segmentation, if it has one that is not guarded yet."""
        lesions = self._lesions()
        self._observe_drawing(lesions.proxy if lesions is not None else None)
        if lesions is not None and lesions.sequence is self._guarded:
            return
        if self._guard is not None:
            self._guard.stop()
        self._guard = EditGuard(lesions, self._stored) if lesions is not None else None
        self._guarded = lesions.sequence if lesions is not None else None

    def stop(self) -> None:
        """Stop watching."""
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        self._observe_drawing(None)
        if self._guard is not None:
            self._guard.stop()
        self._guard = self._guarded = self._browser = None

    def painted(self) -> tuple[int, dict[str, bool | None]]:
        """Return the frame shown, and the segments changed on it and not stored yet.

        Each with whether the lesion is drawn there now; None where the frame is no anchor of it, since a drawing that
        was stored and then undone does not count.
        """
        lesions = self._lesions()
        if lesions is None:
            return -1, {}
        return lesions.shown_frame, {
            segment: bool(mask.any()) if origin is not None and origin.is_anchor else None
            for segment, (mask, origin) in lesions.painted().items()
        }

    def _observe_drawing(self, proxy: Any | None) -> None:
        if self._shown is not None:
            if self._shown[0] is proxy:
                return
            for tag in self._shown[1]:
                self._shown[0].RemoveObserver(tag)
        self._shown = None
        if proxy is not None:
            self._shown = proxy, [proxy.AddObserver(event, lambda *_: self._drawn()) for event in DRAWING_EVENTS]

    def _observe(self, observed: Any, event: Any, callback: Callable[..., None], priority: float = 0.0) -> None:
        self._observed.append((observed, observed.AddObserver(event, callback, priority)))

    def _lesions(self) -> SegmentationSequence | None:
        try:
            return SegmentationSequence.find(self._browser) if self._browser is not None else None
        except SceneError:  # a browser without frames, or whose frames were just deleted
            return None

    def _proxy(self) -> Any | None:
        """Return the segmentation node that shows the lesions, None where there is none."""
        sequence = self._guarded if self._browser is not None else None
        return self._browser.GetProxyNode(sequence) if sequence is not None and sequence.GetScene() else None

    def _import_begins(self, scene: Any, _event: Any) -> None:
        """Store what is drawn: the scene that is added will write into the proxies of the cines that are there."""
        self._store()
        self._before_import = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode", scene)

    def _import_ended(self, _scene: Any, _event: Any) -> None:
        """Show the cines that were there before as they are stored; those that came may have unstored drawings."""
        browsers, self._before_import = self._before_import, []
        show_stored_frames(browsers)

    def _browser_about_to_be_followed(self, _caller: Any, _event: Any) -> None:
        """Remember how the lesions are shown: Slicer sets that back when it shows the browser's frame."""
        proxy = self._proxy()
        self._display = read_display(proxy) if proxy is not None else {}

    def _browser_modified(self, _caller: Any, _event: Any) -> None:
        proxy = self._proxy()
        if proxy is not None:
            write_display(proxy, self._display)
        if self._browser is not None and self._browser.GetSelectedItemNumber() != self._frame:
            self._frame = self._browser.GetSelectedItemNumber()
            self._frame_changed()
