"""The progress bars of the shell: frames of a case, or cases of a batch and the frames of those at work."""

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
    """Show a bar on standard error from the first frame on; yields the callable that advances it.

    An error takes the bar away, so that none stands unfinished above the sentence.
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

    with _taken_away_by_errors(bar):
        yield advance


def _bars(*columns: ProgressColumn) -> Progress:
    """Return bars on standard error; they are not shown where that is no terminal."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


@contextmanager
def share_bar(what: str) -> Iterator[Callable[[float, str], None]]:
    """Show a bar on standard error; yields what advances it, with the share done (0 to 1) and what is being done."""
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    bar = _bars(*columns)
    task = bar.add_task("", total=1.0)

    def advance(share: float, sentence: str) -> None:
        bar.start()
        bar.update(task, completed=share, description=sentence)

    with _taken_away_by_errors(bar):
        yield advance


@contextmanager
def _taken_away_by_errors(bar: Progress) -> Iterator[None]:
    try:
        yield
    except BaseException:
        bar.live.transient = True
        raise
    finally:
        bar.stop()


@contextmanager
def batch_bars() -> Iterator[Callable[[BatchProgress], None]]:
    """Show a bar for the cases and one for each case at work, on standard error; yields what advances them."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[remark]}"),
        TimeRemainingColumn(),
    )
    bars = _bars(*columns)
    with _taken_away_by_errors(bars):
        cases = bars.add_task("cases", total=None, remark="")
        at_work: dict[str, TaskID] = {}

        def advance(step: BatchProgress) -> None:
            bars.start()
            event = step.event
            remark = f"{step.failed} failed" if step.failed else ""
            bars.update(cases, total=step.total, completed=step.ended, remark=remark)
            if isinstance(event, CaseStarted):
                at_work[event.name] = bars.add_task(event.name, total=None, remark="frames")
            elif isinstance(event, CaseProgress) and event.name in at_work:
                bars.update(at_work[event.name], total=event.total, completed=event.done)
            elif isinstance(event, CaseEnded) and event.name in at_work:
                bars.remove_task(at_work.pop(event.name))

        yield advance
