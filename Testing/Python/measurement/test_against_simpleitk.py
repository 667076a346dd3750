"""Where SimpleITK's statistics define the same quantity, the two agree."""

import numpy as np
import pytest
import SimpleITK

from UltrasoundLesionSegLib.cine import Calibration
from UltrasoundLesionSegLib.measurement.frame import measure_frame


def image_of(array, spacing):
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    return image


def blob(seed, size=120):
    """A random smooth lesion without holes, in one part."""
    random = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    radius = 30 + sum(
        random.normal(0, 8 / order) * np.cos(order * angle + random.uniform(0, 6)) for order in range(2, 7)
    )
    rows, columns = np.mgrid[:size, :size] - size / 2
    return np.hypot(rows, columns) < np.interp(np.arctan2(rows, columns) % (2 * np.pi), angle, radius)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.1, 0.06)])
@pytest.mark.parametrize("seed", range(6))
def test_shape_statistics(seed, spacing):
    mask = blob(seed)
    shape = SimpleITK.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.ComputePerimeterOn()
    shape.Execute(image_of(mask.astype(np.uint8), spacing))
    found = measure_frame(
        mask, np.zeros(mask.shape, np.uint8), Calibration(spacing[0], spacing[1], "made for the test")
    )
    assert found.area == pytest.approx(shape.GetPhysicalSize(1))
    assert found.centroid == pytest.approx(
        [value / step for value, step in zip(shape.GetCentroid(1)[::-1], spacing, strict=True)]
    )
    *_, width, height = shape.GetBoundingBox(1)
    assert (found.depth, found.width) == pytest.approx((height * spacing[0], width * spacing[1]))
    # ITK's Feret diameter runs between the centres of the outermost pixels: up to one pixel's diagonal less
    assert -0.1 * max(spacing) < found.long_axis - shape.GetFeretDiameter(1) < 1.1 * np.hypot(*spacing)
    if spacing[0] == spacing[1]:  # on other pixels ITK's perimeter is off by up to a quarter for some angles
        assert found.perimeter == pytest.approx(shape.GetPerimeter(1), rel=0.02)
        assert np.sqrt(found.circularity) == pytest.approx(shape.GetRoundness(1), rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_intensity_statistics(seed):
    mask = blob(seed)
    frame = np.random.default_rng(seed).integers(0, 256, mask.shape).astype(np.uint8)
    intensity = SimpleITK.LabelStatisticsImageFilter()
    intensity.Execute(image_of(frame, (1.0, 1.0)), image_of(mask.astype(np.uint8), (1.0, 1.0)))
    found = measure_frame(mask, frame, None)
    assert found.echo_mean == pytest.approx(intensity.GetMean(1))
    assert found.echo_sd == pytest.approx(intensity.GetSigma(1))
    assert found.echo_median == np.median(frame[mask])
