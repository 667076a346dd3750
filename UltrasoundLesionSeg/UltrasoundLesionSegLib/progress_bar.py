"""The progress bar of the shell: frames, frames per second, time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.propagation_job import PropagationProgress


@contextmanager
def propagation_bar() -> Iterator[Callable[[PropagationProgress], None]]:
    """Show a bar on standard error; yields the callable that advances it."""
    columns = (
        TextColumn("frames"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} frames/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("frames", total=None, rate=0.0)

        def advance(step: PropagationProgress) -> None:
            bar.update(task, total=step.total, completed=step.done, rate=step.frames_per_second)

        yield advance
