"""An action that needs the large libraries: they are imported first, and the window moves meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import qt

from UltrasoundLesionSegLib.gui.library_loading import load_libraries
from UltrasoundLesionSegLib.gui.messages import tell, telling


class LoadingFirst:
    """Imports PyTorch and MONAI in moments between Qt's events, then acts; acts at once where they are imported.

    Parameters
    ----------
    root : qt.QWidget
        Parent of the timer.
    label : qt.QLabel
        Says what is being loaded, and what goes wrong.
    changed : callable
        Called when the waiting begins and when it ends by itself, before the action.
    """

    def __init__(self, root: Any, label: Any, changed: Callable[[], None]) -> None:
        self._label = label
        self._changed = changed
        self._steps: Generator[str, None, None] | None = None
        self._action: Callable[[], None] = lambda: None
        self._failed: Callable[[], None] = lambda: None
        self._timer = qt.QTimer(root)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._turn)

    @property
    def running(self) -> bool:
        """Whether an action waits for the libraries."""
        return self._steps is not None

    def then(self, action: Callable[[], None], failed: Callable[[], None] = lambda: None) -> None:
        """Do something when the libraries are there, something else when they cannot be imported."""
        self._action, self._failed = action, failed
        self._steps = load_libraries()
        self._turn()
        if self.running:
            self._timer.start()
            self._changed()

    def stop(self) -> None:
        """Forget the action, and say no more what is being loaded."""
        if self.running:
            self._steps = None
            self._timer.stop()
            tell(self._label, "")

    def _turn(self) -> None:
        steps, self._steps = self._steps, None
        if steps is None:
            self._timer.stop()
            return
        loaded = False
        with telling(self._label):
            text = next(steps, None)
            loaded = text is None
            tell(self._label, text or "")
            if not loaded:
                self._steps = steps
        if self._steps is None:  # an error ends the waiting, too
            self._timer.stop()
            self._changed()
            act = self._action if loaded else self._failed
            act()
