"""Keeping libraries silent: their warnings and log records quote what they find in a file, possibly a name."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silent_loggers(*names: str) -> Iterator[None]:
    """Switch libraries' loggers off inside the block."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was_disabled in zip(loggers, before, strict=True):
            logger.disabled = was_disabled


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings, and the log records of pydicom, Pillow and tifffile, for as long as the block runs.

    What matters of a source's defects is said by this library's own notes and errors, without values.
    """
    with silent_loggers("pydicom", "PIL", "tifffile"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
