"""Cines read from DICOM files that were made for the test."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dicom_helpers import speckle, write_multiframe, write_series

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.readers.open import read_cine

CineMaker = Callable[..., Cine]


@pytest.fixture
def make_cine(tmp_path: Path) -> CineMaker:
    """``make_cine(kind, count, rows, columns, **attributes)``, kind "multiframe" or "series"."""

    def make(kind="multiframe", count=7, rows=48, columns=64, **attributes):
        frames = speckle(count, rows, columns)
        if kind == "multiframe":
            return read_cine(write_multiframe(tmp_path / "source" / "cine.dcm", frames, **attributes))
        return read_cine(write_series(tmp_path / "series", frames, **attributes))

    return make
