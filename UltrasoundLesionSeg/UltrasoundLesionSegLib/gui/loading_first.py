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
    """

    def __init__(self, root: Any, label: Any) -> None:
        self._label = label
        self._steps: Generator[str, None, None] | None = None
        self._action: Callable[[], None] = lambda: None
        self._timer = qt.QTimer(root)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._turn)

    def then(self, action: Callable[[], None]) -> None:
        """Do something when the libraries are there; a later call replaces an action that still waits."""
        self._action = action
        if self._steps is None:
            self._steps = load_libraries()
            self._turn()
            if self._steps is not None:
                self._timer.start()

    def stop(self) -> None:
        """Forget the action."""
        self._steps = None
        self._timer.stop()

    def _turn(self) -> None:
        if self._steps is None:
            return
        loaded = False
        with telling(self._label):
            try:
                text = next(self._steps, None)
            except BaseException:
                self.stop()
                raise
            loaded = text is None
            tell(self._label, text or "")
        if loaded:
            self.stop()
            self._action()
