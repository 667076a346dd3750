"""The progress bars of the shell, on standard error: of a case's frames, of a batch's cases, of other work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from UltrasoundLesionSegLib.batch.jobs import CaseEnded, CaseProgress, CaseStarted

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.batch.run import BatchProgress
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationProgress


@contextmanager
def propagation_bar() -> Iterator[Callable[[PropagationProgress], None]]:
    """Show a bar of frames from the first one on.

    Yields
    ------
    callable
        Takes a ``PropagationProgress`` and advances the bar.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f}/s"),
        TimeRemainingColumn(),
    )
    bar = _bars(*columns)
    task = bar.add_task("frames", total=None, rate=0.0)

    def advance(step: PropagationProgress) -> None:
        bar.start()
        what = step.stage or "frames"
        bar.update(task, description=what, total=step.frames, completed=step.frames_done, rate=step.frames_per_second)

    with _removed_after_errors(bar):
        yield advance


def _bars(*columns: ProgressColumn) -> Progress:
    """Return bars on standard error, which are not shown where that is no terminal."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


@contextmanager
def share_bar(what: str) -> Iterator[Callable[[float, str], None]]:
    """Show a bar of the part of the work that is done.

    Parameters
    ----------
    what : str
        Written in front of the bar.

    Yields
    ------
    callable
        Takes the part that is done, 0 to 1, and what is being done, and advances the bar.
    """
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    bar = _bars(*columns)
    task = bar.add_task("", total=1.0)

    def advance(share: float, sentence: str) -> None:
        bar.start()
        bar.update(task, completed=share, description=sentence)

    with _removed_after_errors(bar):
        yield advance


@contextmanager
def _removed_after_errors(bar: Progress) -> Iterator[None]:
    """Stop the bar after the block; after an error also remove it, so that no unfinished bar is above the message."""
    try:
        yield
    except BaseException:
        bar.live.transient = True
        raise
    finally:
        bar.stop()


@contextmanager
def batch_bars() -> Iterator[Callable[[BatchProgress], None]]:
    """Show a bar of the cases, and one of the frames of each case that is being computed.

    Yields
    ------
    callable
        Takes a ``BatchProgress`` and advances the bars.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[remark]}"),
        TimeRemainingColumn(),
    )
    bars = _bars(*columns)
    with _removed_after_errors(bars):
        cases = bars.add_task("cases", total=None, remark="")
        case_bars: dict[str, TaskID] = {}

        def advance(step: BatchProgress) -> None:
            bars.start()
            event = step.event
            remark = f"{step.failed} failed" if step.failed else ""
            bars.update(cases, total=step.total, completed=step.ended, remark=remark)
            if isinstance(event, CaseStarted):
                case_bars[event.name] = bars.add_task(event.name, total=None, remark="frames")
            elif isinstance(event, CaseProgress) and event.name in case_bars:
                bars.update(case_bars[event.name], total=event.total, completed=event.done)
            elif isinstance(event, CaseEnded) and event.name in case_bars:
                bars.remove_task(case_bars.pop(event.name))

        yield advance
