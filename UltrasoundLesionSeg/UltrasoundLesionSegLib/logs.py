"""What happened, one line an event: time, level, case, frame, sentence. Never a file name, DICOM text or a token.

Events go through Python's ``logging`` under this package's name, so that a program that uses the library decides where
they go; ``log_to_file`` and ``collected`` are where the shell and a batch put them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

ROOT = "UltrasoundLesionSegLib"


class LogLevel(str, Enum):
    """How much is logged."""

    DEBUG = "debug"  # every frame
    INFO = "info"  # every stage of a case
    WARNING = "warning"  # what a person should look at
    ERROR = "error"  # cases without a result

    @property
    def number(self) -> int:
        """The level as ``logging`` counts it."""
        return int(getattr(logging, self.name))


class EventFormatter(logging.Formatter):
    """One line: UTC time, level, case (or ``-``), frame (where there is one), sentence."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback is left out, because it can quote paths and values."""
        frame = getattr(record, "frame", None)
        case = getattr(record, "case", None) or "-"
        at = "" if frame is None else f"frame {frame} "
        sentence = sentence_of(record).replace("\n", " ")
        moment = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        return f"{moment[:23]}Z {record.levelname} {case} {at}{sentence}"


def log_event(
    logger: logging.Logger, level: int, sentence: str, *, case: str | None = None, frame: int | None = None
) -> None:
    """Log one event.

    The message names case and frame, too: an application's own format, such as that of Slicer's console, shows nothing
    else of the record.

    Parameters
    ----------
    logger : logging.Logger
    level : int
        As ``logging`` counts, e.g. ``logging.INFO``.
    sentence : str
        What happened, without identifiers.
    case : str, optional
        The case's name in a batch, or the cine's short name.
    frame : int, optional
        Counted from 0.
    """
    at = "" if frame is None else f"frame {frame}"
    where = ", ".join(part for part in (case, at) if part)
    message = f"{where}: {sentence}" if where else sentence
    logger.log(level, "%s", message, extra={"case": case, "frame": frame, "sentence": sentence})


def sentence_of(record: logging.LogRecord) -> str:
    """Return what happened, without case and frame, which the record has by themselves."""
    return str(getattr(record, "sentence", None) or record.getMessage())


class _File(logging.FileHandler):
    """A file that a full disk cannot turn into tracebacks: the work matters more than its log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


class _Lines(logging.Handler):
    """Keeps the lines in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def handled_by(handler: logging.Handler, level: LogLevel) -> Iterator[None]:
    """Send this package's events of a level and above to a handler, as long as the block lasts.

    Parameters
    ----------
    handler : logging.Handler
    level : LogLevel
    """
    logger = logging.getLogger(ROOT)
    before = logger.level
    handler.setLevel(level.number)
    handler.setFormatter(EventFormatter())
    logger.addHandler(handler)
    logger.setLevel(min(level.number, before or logging.WARNING))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()


@contextmanager
def log_to_file(path: Path, level: LogLevel) -> Iterator[None]:
    """Write events to a file, appended, as long as the block lasts.

    Parameters
    ----------
    path : Path
        Its folder must be there; a file that cannot be opened is done without.
    level : LogLevel
    """
    try:
        handler: logging.Handler = _File(path, encoding="utf-8", delay=False)
    except OSError:
        handler = logging.NullHandler()
    with handled_by(handler, level):
        yield


@contextmanager
def collected(level: LogLevel) -> Iterator[list[str]]:
    """Collect events as lines as long as the block lasts; yields the growing list.

    Parameters
    ----------
    level : LogLevel
    """
    handler = _Lines()
    with handled_by(handler, level):
        yield handler.lines
