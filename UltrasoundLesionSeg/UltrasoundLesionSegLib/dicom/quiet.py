"""Keep DICOM values out of warnings and logs while data sets are written: see ``readers.quiet``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pydicom.config import disable_value_validation

from UltrasoundLesionSegLib.readers.quiet import quiet


@contextlib.contextmanager
def quiet_dicom() -> Iterator[None]:
    """Silence pydicom inside the block, and let it copy values of the source that are not quite valid."""
    with quiet(), disable_value_validation():
        yield
