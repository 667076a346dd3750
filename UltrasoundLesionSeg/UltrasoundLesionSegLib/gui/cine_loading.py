"""A cine put into the scene frame by frame, between Qt's events."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import qt

TURN_S = 0.05  # seconds of work between two updates of the window


class CineLoading:
    """Advances a generator of ``addCineSteps`` until it is over.

    Parameters
    ----------
    root : qt.QWidget
        Parent of the timer.
    advance : callable
        Does one turn of work by calling the function it is given, and shows what goes wrong.
    """

    def __init__(self, root: Any, advance: Callable[[Callable[[], None]], None]) -> None:
        self._advance = advance
        self._steps: Generator[int, None, Any] | None = None
        self._loaded: Callable[[Any], None] = lambda _browser: None
        self.frames_done = 0
        self._timer = qt.QTimer(root)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._turn)

    @property
    def running(self) -> bool:
        """Whether a cine is being loaded."""
        return self._steps is not None

    def start(self, steps: Generator[int, None, Any], loaded: Callable[[Any], None]) -> None:
        """Load a cine.

        Parameters
        ----------
        steps : generator
            Yields the number of frames done, returns the browser node.
        loaded : callable
            Called with the browser node.
        """
        self._steps, self._loaded, self.frames_done = steps, loaded, 0
        self._timer.start()

    def stop(self) -> None:
        """Load no further; nothing has reached the scene yet."""
        steps, self._steps = self._steps, None
        self._timer.stop()
        if steps is not None:
            steps.close()

    def _turn(self) -> None:
        if self._steps is None:
            self._timer.stop()
            return
        self._advance(self._work)

    def _work(self) -> None:
        until = time.perf_counter() + TURN_S
        steps = self._steps
        try:
            while steps is not None and time.perf_counter() < until:
                self.frames_done = next(steps)
        except StopIteration as end:
            self.stop()
            self._loaded(end.value)
        except Exception:
            self.stop()
            raise
