"""Fixtures shared by all tests: the data folder, and one real MRML scene a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# the networks of the tests are tiny: handing them to a second thread costs more than they do, most of all when busy
os.environ.setdefault("OMP_NUM_THREADS", "1")


def data_folder() -> Path:
    """Where the shared data is: ULS_DATA, or ../shared/data beside the checkout."""
    named = os.environ.get("ULS_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; the test is skipped where it is absent, and fails if ULS_REQUIRE_DATA is set."""
    folder = data_folder()
    if not (folder / "cine").is_dir():
        reason = "the real data is not here: put it in ../shared/data or name its folder in ULS_DATA"
        if os.environ.get("ULS_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
