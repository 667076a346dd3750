"""What a defective or unusual DICOM header makes of measurements and outputs, on the inputs from the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from UltrasoundLesionSegLib.measurement.shape import Orientation
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow


@pytest.fixture
def field(shared_data: Path) -> Path:
    folder = shared_data / "field"
    if not folder.is_dir():
        pytest.skip("the inputs from the field are not here")
    return folder


def measured(logic: UltrasoundLesionWorkflow, source: Path, seed: Path, frame: int = 2):
    browser = logic.loadCine(source)
    logic.setSeed(browser, seed, frame)
    found = logic.measure(browser).segments[0]
    return found, found.measurements[found.frames.index(frame)]


def test_22_the_shape_of_a_pixel_counts_as_its_size_does(logic: UltrasoundLesionWorkflow, field: Path) -> None:
    folder = field / "22_pixel_shape_known_but_not_used"
    by_shape, shape = measured(logic, folder / "par43.dcm", folder / "par_seed.png")
    _, size = measured(logic, folder / "mm43.dcm", folder / "par_seed.png")
    assert shape.depth_width_ratio == pytest.approx(1.18, abs=0.005)
    assert shape.orientation is size.orientation is Orientation.NOT_PARALLEL
    assert not shape.is_calibrated
    assert size.is_calibrated
    assert shape.long_axis == pytest.approx(size.long_axis / 0.3)
    assert "1.333 times as high as wide" in by_shape.summary.note


def test_17_a_lesion_outside_the_region_is_in_pixels(logic: UltrasoundLesionWorkflow, field: Path) -> None:
    folder = field / "17_mm_outside_the_calibrated_region"
    lesion, one = measured(logic, folder / "m_mode_region.dcm", folder / "seedw.png")
    assert not one.is_calibrated
    assert not lesion.summary.is_calibrated
    assert "outside every calibrated region" in lesion.summary.note
