"""Shapes whose sizes are known exactly."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

EllipseMaker = Callable[..., NDArray[np.bool_]]


@pytest.fixture(scope="session")
def ellipse() -> EllipseMaker:
    """``ellipse(a, b, angle, offset=(0, 0), spacing=(1, 1))``: pixels whose centre lies inside.

    Semi-axes in the unit of the spacing; the angle in radians from the rows, positive downwards to the right; the
    offset of the centre in pixels. The image ends 4 pixels beyond.
    """

    def make(a, b, angle, offset=(0.0, 0.0), spacing=(1.0, 1.0)):
        reach = int(np.ceil(max(a, b) / min(spacing))) + 4
        rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
        rows, columns = (rows - offset[0]) * spacing[0], (columns - offset[1]) * spacing[1]
        along = columns * np.cos(angle) + rows * np.sin(angle)
        across = rows * np.cos(angle) - columns * np.sin(angle)
        return (along / a) ** 2 + (across / b) ** 2 <= 1

    return make
