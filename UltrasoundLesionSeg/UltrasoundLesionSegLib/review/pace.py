"""How far a reader is with a batch, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How far a reader is.

    Parameters
    ----------
    done, set_aside, total : int
        Cases.
    seconds_left : float or None
        What the others take at the mean time of those that are done; None before one is done.
    """

    done: int
    set_aside: int
    total: int
    seconds_left: float | None = None

    def __str__(self) -> str:
        """The sentence, for example "37 of 210 done, 2 set aside, about 4 h left at this pace"."""
        parts = [f"{self.done} of {self.total} done"]
        if self.set_aside:
            parts.append(f"{self.set_aside} set aside")
        if self.seconds_left:
            parts.append(f"about {_duration(self.seconds_left)} left at this pace")
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 90:
        return f"{max(1, round(minutes))} min"
    hours = minutes / 60
    return f"{hours:.1f} h" if hours < 3 else f"{round(hours)} h"
