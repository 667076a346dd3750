from __future__ import annotations

import pytest
from drawn_stills import draw_still

from UltrasoundLesionSegLib.fitting.still import Still


@pytest.fixture(scope="session")
def stills() -> list[Still]:
    return [Still(*draw_still(number)) for number in range(4)]
