"""Keep DICOM values out of warnings and logs.

pydicom quotes the value it complains of, in a warning and again in its log: a patient's name must not get there.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

from pydicom.config import disable_value_validation


@contextlib.contextmanager
def silent_logger(name: str) -> Iterator[None]:
    """Switch a library's logger off inside the block."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@contextlib.contextmanager
def quiet_dicom() -> Iterator[None]:
    """Silence pydicom's warnings and log inside the block.

    What matters of a source's defects is said by this library's own notes and errors, without values.
    """
    with warnings.catch_warnings(), silent_logger("pydicom"), disable_value_validation():
        warnings.simplefilter("ignore")
        yield
