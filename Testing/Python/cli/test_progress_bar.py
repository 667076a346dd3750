"""The bars of the shell: on a terminal, and nowhere else."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from UltrasoundLesionSegLib.batch.jobs import CaseProgress, CaseStarted
from UltrasoundLesionSegLib.batch.run import BatchProgress
from UltrasoundLesionSegLib.cli import progress_bar
from UltrasoundLesionSegLib.workflow.propagation_job import PropagationProgress


@pytest.fixture(params=[True, False], ids=["terminal", "pipe"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, io.StringIO]:
    """Whether standard error is a terminal, and what is written there."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=request.param, width=100)
    monkeypatch.setattr(progress_bar, "Console", lambda stderr: console)
    return request.param, stream


def test_frames_are_counted_on_a_terminal_alone(written: tuple[bool, io.StringIO]) -> None:
    is_terminal, stream = written
    with progress_bar.propagation_bar() as advance:
        advance(PropagationProgress(3, 4, 5, 0.5, frames_done=3, frames=3))
    assert ("3/3" in stream.getvalue()) is is_terminal
    assert is_terminal or stream.getvalue() == ""


def test_a_batch_counts_cases_and_their_frames(written: tuple[bool, io.StringIO]) -> None:
    is_terminal, stream = written
    with progress_bar.batch_bars() as advance:
        advance(BatchProgress(CaseStarted("case-0001"), 0, 2, 0))
        advance(BatchProgress(CaseProgress("case-0001", 5, 6, 12), 0, 2, 0))
    assert ("6/12" in stream.getvalue()) is is_terminal
    assert is_terminal or stream.getvalue() == ""


def test_nothing_stands_above_an_error(written: tuple[bool, io.StringIO]) -> None:
    is_terminal, stream = written

    def fail_after_a_frame() -> None:
        with progress_bar.propagation_bar() as advance:
            advance(PropagationProgress(3, 4, 5, 0.5, frames_done=3, frames=3))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_a_frame()
    # a terminal is told to go back to the bar's line and to erase it
    assert stream.getvalue().endswith("\x1b[1A\x1b[2K" if is_terminal else "")
    assert is_terminal or stream.getvalue() == ""
