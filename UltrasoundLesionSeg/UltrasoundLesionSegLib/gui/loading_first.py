"""A section whose action needs the large libraries: they are imported first, and the window moves meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import qt

from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.library_loading import load_libraries
from UltrasoundLesionSegLib.gui.messages import tell, telling
from UltrasoundLesionSegLib.gui.section import Section


class LoadingFirst(Section):
    """Imports PyTorch and MONAI in moments between Qt's events, then acts; acts at once where they are imported.

    The section is ``running`` while its action waits. The panel is told when that begins and when it ends by itself,
    before the action; whoever stops the waiting tells the panel.

    Parameters
    ----------
    host : Host
    label : qt.QLabel
        Says what is being loaded, and what goes wrong.
    """

    def __init__(self, host: Host, label: Any) -> None:
        super().__init__(host)
        self._label = label
        self._steps: Generator[str, None, None] | None = None
        self._action: Callable[[], None] = lambda: None
        self._failed: Callable[[], None] = lambda: None
        self._timer = qt.QTimer(host.root)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._turn)

    @property
    def running(self) -> bool:
        """Whether an action waits for the libraries."""
        return self._steps is not None

    def load_then(self, action: Callable[[], None], failed: Callable[[], None] = lambda: None) -> None:
        """Do something when the libraries are there, something else when they cannot be imported."""
        self._action, self._failed = action, failed
        self._steps = load_libraries()
        self._turn()
        if self.running:
            self._timer.start()
            self.host.results_changed()

    def cancel(self) -> None:
        """Wait no longer."""
        self.stop()

    def cleanup(self) -> None:
        """The panel is about to be destroyed."""
        self.stop()

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
            self.host.results_changed()
            act = self._action if loaded else self._failed
            act()
