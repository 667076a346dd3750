"""How often progress is shown: often enough for a person, and for at most a small share of the time."""

from __future__ import annotations

import time

SHOW_EVERY_S = 0.1
SHARE = 0.2  # share of a computation's time that may be used to show it


class ShowingBudget:
    """Measures what showing costs, with what the application repaints because of it, and says when there is time.

    A step that showed something has cost the time until the next step begins.
    """

    def __init__(self) -> None:
        self._started = self._last = 0.0
        self._spent = 0.0
        self._showing_since: float | None = None

    def start(self) -> None:
        """A computation starts."""
        self._started = time.perf_counter()
        self._last = self._spent = 0.0
        self._showing_since = None

    @property
    def seconds(self) -> float:
        """Time since the start, in s."""
        return time.perf_counter() - self._started

    def begin_step(self) -> None:
        """A step begins: whatever the step before showed is painted now."""
        if self._showing_since is not None:
            self._spent += time.perf_counter() - self._showing_since
            self._showing_since = None

    def allows_showing(self) -> bool:
        """Whether there is time to show something now. The caller then does."""
        now = time.perf_counter()
        if now - self._last < SHOW_EVERY_S or self._spent > SHARE * (now - self._started):
            return False
        self._last = self._showing_since = now
        return True
