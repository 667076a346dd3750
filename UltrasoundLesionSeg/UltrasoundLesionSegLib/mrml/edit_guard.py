"""Store what a person painted before Slicer overwrites it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import slicer

from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

_logger = logging.getLogger(__name__)

# Slicer's Sequences logic observes with priority 0 and overwrites the proxies; observers with more are called first
_BEFORE_SEQUENCES_LOGIC = 100.0


class EditGuard:
    """Commits painting on the proxy before a change of the browser or of one of its sequences makes it vanish.

    Whoever causes the change: the frame slider, playback, a changed frame rate, another module. The guard ends by
    itself when the segmentation leaves the scene.

    Parameters
    ----------
    lesions : SegmentationSequence
    committed : callable, optional
        Called with the frame and the segments changed after each commit that changed any. It must not change the
        browser: Slicer is in the middle of doing that.
    """

    def __init__(
        self, lesions: SegmentationSequence, committed: Callable[[int, list[str]], None] | None = None
    ) -> None:
        self._lesions = lesions
        self._committed = committed
        browser = lesions.browser
        events = ("ModifiedEvent", slicer.vtkMRMLSequenceBrowserNode.SequenceNodeModifiedEvent)
        self._tags = [browser.AddObserver(event, self._commit, _BEFORE_SEQUENCES_LOGIC) for event in events]

    def stop(self) -> None:
        """Stop guarding. Repeated calls do nothing."""
        tags, self._tags = self._tags, []
        with contextlib.suppress(SceneError):
            for tag in tags:
                self._lesions.browser.RemoveObserver(tag)

    def _commit(self, browser: Any, _event: str) -> None:
        scene = browser.GetScene()
        if scene is None or scene.IsClosing() or scene.IsImporting() or scene.IsRestoring():
            return
        try:
            frame = self._lesions.shown_frame
            changed = self._lesions.commit_edit()
        except SceneError:
            # a node went away under the browser: there is nothing left to store it in
            _logger.info("the lesion segmentation left the scene; its edits are no longer stored")
            self.stop()
            return
        if changed and self._committed is not None:
            self._committed(frame, changed)
