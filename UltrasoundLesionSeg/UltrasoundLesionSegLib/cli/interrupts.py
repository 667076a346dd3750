"""Ctrl+C: one sentence and exit code 130 at any moment, with nothing half written.

Python raises ``KeyboardInterrupt`` wherever the program happens to be. In the middle of loading torch or Slicer's
libraries that crashes the process, or looks like a library that is not installed. So the process ends at once instead:
unfinished files are removed, one sentence is said, and no destructor of a half-loaded library runs. A batch is the
exception: it has workers to stop and a table to write, so it is interrupted by an exception, outside of imports.
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
    """Have Ctrl+C end this process; call it before anything large is imported."""
    signal.signal(signal.SIGINT, _interrupted)
    for needed in ("shutil", "threading", "_thread"):  # the handler needs these: load them now
        importlib.import_module(needed)


@contextmanager
def raising() -> Iterator[None]:
    """Have Ctrl+C raise ``KeyboardInterrupt`` in the block, between imports only."""
    global _raises
    _raises = True
    try:
        yield
    finally:
        _raises = False


@contextmanager
def resumable(sentence: str) -> Iterator[None]:
    """Have Ctrl+C in the block raise, as in ``raising``, and end the command with a sentence on how to go on."""
    import typer  # not at the top: this module is loaded before anything large

    try:
        with raising():
            yield
    except KeyboardInterrupt:
        typer.echo(sentence, err=True)
        raise typer.Exit(EXIT_CODE) from None


def ignore() -> None:
    """Have Ctrl+C do nothing any more: the work is done, and Python, which takes seconds to end, would die of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def end(sentence: str) -> None:
    """End the process with one sentence; nothing that is loaded gets a chance to crash on the way out."""
    _remove_unfinished()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    cursor = "\x1b[?25h\n" if os.isatty(2) else ""  # a progress bar hides it
    with suppress(OSError):  # not sys.stderr: it may be interrupted while it writes
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
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _remove_unfinished() -> None:
    # not imported: if the module is not loaded, no file is being written
    atomic = sys.modules.get("UltrasoundLesionSegLib.writers.atomic")
    if atomic is None:
        return
    import shutil

    for path in tuple(getattr(atomic, "UNFINISHED", ())):
        with suppress(OSError):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
