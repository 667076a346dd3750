"""Ctrl+C: one sentence and exit code 130 at any moment, and no half-written file.

By default, Python raises ``KeyboardInterrupt`` wherever the program is. While torch or Slicer's libraries are loaded,
this crashes the process, or looks like a library that is not installed. So here the process ends at once: unfinished
files are removed, one sentence is printed, and no destructor of a half-loaded library runs. Commands that can be
resumed, like ``batch``, have workers to stop and tables to write. They are interrupted by the exception, but not during
imports.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

EXIT_CODE = 130
SECONDS_UNTIL_TRIED_AGAIN = 0.05

_raises = False


def install() -> None:
    """Let Ctrl+C end this process; to be called before anything large is imported."""
    signal.signal(signal.SIGINT, _interrupted)
    for needed in ("shutil", "threading", "_thread"):  # the handler needs them, and may interrupt any import
        importlib.import_module(needed)


@contextmanager
def raising() -> Iterator[None]:
    """Let Ctrl+C raise ``KeyboardInterrupt`` in the block, but not during an import."""
    global _raises
    _raises = True
    try:
        yield
    finally:
        _raises = False


@contextmanager
def resumable(sentence: str) -> Iterator[None]:
    """Let Ctrl+C in the block end the command by an exception, as in ``raising``.

    Parameters
    ----------
    sentence : str
        Printed then; says how to go on.

    Raises
    ------
    typer.Exit
        After Ctrl+C, with ``EXIT_CODE``.
    """
    import typer  # not at the top: this module is loaded before anything large

    try:
        with raising():
            yield
    except KeyboardInterrupt:
        typer.echo(sentence, err=True)
        raise typer.Exit(EXIT_CODE) from None


def ignore() -> None:
    """Let Ctrl+C do nothing from now on: the work is done, and it would crash Python, which takes seconds to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def end(sentence: str) -> None:
    """Print one sentence and end the process at once, so that no loaded library can crash while it ends.

    Parameters
    ----------
    sentence : str
        Without a line break.
    """
    _remove_unfinished()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    cursor = "\x1b[?25h\n" if os.isatty(2) else ""  # shown again: a progress bar hides it
    with suppress(OSError):  # not through sys.stderr, which may just have been interrupted while it wrote
        os.write(2, f"{cursor}{sentence}\n".encode())
    os._exit(EXIT_CODE)


def _interrupted(_number: int, frame: FrameType | None) -> None:
    if not _raises:
        end("stopped by Ctrl+C; nothing half-written is left")
    if _is_importing(frame):
        import _thread
        import threading

        threading.Timer(SECONDS_UNTIL_TRIED_AGAIN, _thread.interrupt_main).start()
        return
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether a frame of the call stack, or one that called it, is Python's import system."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _remove_unfinished() -> None:
    """Remove the files and folders that are being written."""
    # not imported here: if the module is not loaded, no file is being written
    atomic = sys.modules.get("UltrasoundLesionSegLib.writers.atomic")
    if atomic is None:
        return
    import shutil

    for path in tuple(getattr(atomic, "UNFINISHED", ())):
        with suppress(OSError):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
