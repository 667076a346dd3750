"""One real MRML scene for the tests of this folder, empty at the start of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from UltrasoundLesionSegLib.mrml import headless

from .support import make_cine


@pytest.fixture
def scene() -> Iterator[Any]:
    mrml_scene = headless.start()
    mrml_scene.Clear(0)
    yield mrml_scene
    mrml_scene.Clear(0)


@pytest.fixture
def browser(scene: Any) -> Any:
    from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine

    return add_cine(make_cine())


@pytest.fixture
def lesions(browser: Any) -> Any:
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
    from UltrasoundLesionSegLib.mrml.segments import SegmentInfo

    return SegmentationSequence.create(browser, [SegmentInfo.numbered(1), SegmentInfo.numbered(2)])
