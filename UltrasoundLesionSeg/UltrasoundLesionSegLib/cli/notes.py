"""The notes that the shell prints on standard error: one ``note:`` line for each thing that a user can act on.

Libraries, too, print warnings and log records. Most mean nothing to a user, and some quote a path or the contents of a
DICOM file. So they are dropped, except those on a GPU that cannot be used; ``--debug`` shows them all.
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
    """Prints this package's warnings, each once; those of a case are in its log and in the last lines."""

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
    """Print this package's own notes in the block, and libraries' warnings only on a GPU that cannot be used."""
    notes, nothing = _Notes(), logging.NullHandler()
    show_before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], filename: str, *_more: Any) -> None:
        if PurePath(filename).parts[-3:-1] == ("torch", "cuda"):
            notes.say(f"the GPU may not be usable: {' '.join(str(message).split())}")

    own, root = logging.getLogger(ROOT), logging.getLogger()
    own.addHandler(notes)
    root.addHandler(nothing)  # without any handler, Python prints records as they are
    # a user who asks Python for warnings (python -W) gets them
    warnings.showwarning = show if not sys.warnoptions else show_before  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.showwarning = show_before
        root.removeHandler(nothing)
        own.removeHandler(notes)
