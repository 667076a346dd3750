"""What is said on standard error beside errors and progress: one ``note:`` line for each thing that a user can act on.

Libraries print warnings and log records as they please. Most mean nothing to a user, and some quote a path or what they
find in a DICOM file. They are dropped, but for those on a GPU that cannot be used. ``--debug`` shows them all.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import typer

from UltrasoundLesionSegLib.logs import ROOT


class _Notes(logging.Handler):
    """Says this package's warnings, each once; events of a case stand in its log and in the last lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "case"):
            self.say(record.getMessage())

    def say(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            typer.echo(f"note: {sentence}", err=True)


@contextmanager
def notes_alone() -> Iterator[None]:
    """Show this package's own notes in the block, and of libraries nothing but what keeps a GPU from being used."""
    notes, nothing = _Notes(), logging.NullHandler()
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], filename: str, *_more: Any) -> None:
        if PurePath(filename).parts[-3:-1] == ("torch", "cuda"):
            notes.say(f"the GPU may not be usable: {' '.join(str(message).split())}")

    own, root = logging.getLogger(ROOT), logging.getLogger()
    own.addHandler(notes)
    root.addHandler(nothing)  # without any handler, Python prints records as they are
    # a user who asks Python for warnings gets them
    warnings.showwarning = show if not sys.warnoptions else shown  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.showwarning = shown
        root.removeHandler(nothing)
        own.removeHandler(notes)
