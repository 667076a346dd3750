"""Sizes of shapes known exactly, and of the odd masks that occur."""

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Calibration
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.shape import Box, Orientation, largest_component

SPACINGS = [(0.1, 0.1), (0.1, 0.06), (0.07, 0.1)]
SIZES = [(2, 1.5), (4, 3), (8, 7.9), (10, 3), (20, 14), (40, 12), (75, 50), (75, 15)]


def measure(mask, spacing=None):
    calibration = Calibration(spacing[0], spacing[1], "made for the test") if spacing else None
    return measure_frame(mask, np.zeros(mask.shape, np.uint8), calibration)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("a", "b"), SIZES)
def test_ellipses_have_the_axes_of_theory(ellipse, a, b, spacing):
    """Stated bounds: mean error under half, single error under 1.3 times the larger side of a pixel."""
    a, b, pixel = a * 0.1, b * 0.1, max(spacing)
    random = np.random.default_rng(11)
    errors = []
    for _ in range(25):
        angle = random.uniform(0, np.pi)
        found = measure(ellipse(a, b, angle, random.uniform(-0.5, 0.5, 2), spacing), spacing)
        depth = 2 * np.hypot(a * np.sin(angle), b * np.cos(angle))
        width = 2 * np.hypot(a * np.cos(angle), b * np.sin(angle))
        errors.append(
            [found.long_axis - 2 * a, found.perpendicular_axis - 2 * b, found.depth - depth, found.width - width]
        )
    assert np.max(np.abs(np.mean(errors, axis=0))) < 0.5 * pixel
    assert np.max(np.abs(errors)) < 1.3 * pixel


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_area_of_ellipses_is_that_of_theory(ellipse, spacing):
    random = np.random.default_rng(3)
    for a, b in ((0.8, 0.8), (2, 1.4), (7.5, 5)):
        found = [
            measure(ellipse(a, b, random.uniform(0, np.pi), random.uniform(-0.5, 0.5, 2), spacing), spacing).area
            for _ in range(20)
        ]
        assert np.mean(found) == pytest.approx(np.pi * a * b, rel=0.01)
        np.testing.assert_allclose(found, np.pi * a * b, rtol=0.06)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("degrees", [-80, -45, -20, 0, 15, 45, 70, 90])
def test_the_angle_is_the_one_in_mm(ellipse, degrees, spacing):
    found = measure(ellipse(4.0, 1.2, np.radians(degrees), (0.2, 0.3), spacing), spacing)
    difference = (found.long_axis_angle - degrees + 90) % 180 - 90
    assert abs(difference) < 4
    assert -90 < found.long_axis_angle <= 90


def test_both_axes_meet_at_a_right_angle_in_mm_and_end_on_the_outline(ellipse):
    spacing = (0.1, 0.04)
    found = measure(ellipse(4.0, 2.0, 0.7, spacing=spacing), spacing)
    ends, across = (np.array(pair) * spacing for pair in (found.long_axis_ends, found.perpendicular_axis_ends))
    along = ends[1] - ends[0]
    assert np.hypot(*along) == pytest.approx(found.long_axis)
    assert np.hypot(*(across[1] - across[0])) == pytest.approx(found.perpendicular_axis)
    assert along @ (across[1] - across[0]) == pytest.approx(0, abs=1e-9)
    assert ends[0, 1] < ends[1, 1]  # left end first
    # in pixels the two are not perpendicular: a wrong order of scaling would make them so
    skewed = np.subtract(*found.long_axis_ends) @ np.subtract(*found.perpendicular_axis_ends)
    assert abs(skewed) > 10


def test_a_rectangle_has_its_extents_exactly():
    mask = np.zeros((100, 120), bool)
    mask[30:50, 20:80] = True
    found = measure(mask, (0.1, 0.05))
    assert found.area == pytest.approx(20 * 60 * 0.005)
    assert (found.depth, found.width) == (pytest.approx(2.0), pytest.approx(3.0))
    assert found.depth_width_ratio == pytest.approx(2 / 3)
    assert found.orientation is Orientation.PARALLEL
    assert found.centroid == (39.5, 49.5)
    assert found.long_axis == pytest.approx(np.hypot(2, 3), abs=0.1)  # within a pixel: sharp corners are rounded
    assert found.perimeter == pytest.approx(10, abs=0.2)
    assert found.solidity == pytest.approx(1, abs=0.002)


def test_as_deep_as_wide_is_not_parallel():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    assert measure(mask).orientation is Orientation.NOT_PARALLEL
    # the same pixels are wider than deep where columns lie further apart
    assert measure(mask, (0.1, 0.11)).orientation is Orientation.PARALLEL


def test_a_crescents_axis_may_leave_it_and_its_solidity_tells():
    rows, columns = np.mgrid[:200, :200]
    disc = np.hypot(rows - 100, columns - 100) <= 60
    crescent = disc & (np.hypot(rows - 60, columns - 100) > 50)
    whole, bitten = measure(disc), measure(crescent)
    assert bitten.long_axis > 110
    assert bitten.solidity < 0.75 < 0.985 < whole.solidity <= 1
    assert bitten.circularity < 0.6 < 0.97 < whole.circularity <= 1


def test_a_spiculated_mask_crossed_more_than_twice_is_measured_between_the_outermost_crossings():
    mask = np.zeros((80, 140), bool)
    mask[20:26, 20:120] = True
    mask[20:60, 60:66] = True  # a prong down
    mask[20:60, 80:86] = True  # and another
    found = measure(mask)
    assert found.long_axis == pytest.approx(100, abs=1.5)
    assert found.perpendicular_axis == pytest.approx(40, abs=1.5)


def test_no_pixel_at_all():
    found = measure(np.zeros((40, 50), bool), (0.1, 0.1))
    assert not found.is_visible
    assert found.is_calibrated
    assert found.area == 0
    assert found.components == 0
    assert found.long_axis_ends is None
    assert found.orientation is None
    assert np.isnan([found.long_axis, found.perimeter, found.depth, found.echo_mean, *found.centroid]).all()


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.5)])
def test_a_single_pixel_has_the_size_of_a_pixel(spacing):
    mask = np.zeros((9, 9), bool)
    mask[4, 6] = True
    found = measure(mask, spacing)
    assert found.area == spacing[0] * spacing[1]
    assert (found.depth, found.width) == spacing
    assert found.centroid == (4, 6)
    assert max(spacing) <= found.long_axis <= np.hypot(*spacing) * 1.3
    assert np.isfinite([found.perimeter, found.perpendicular_axis, found.circularity, found.solidity]).all()
    assert np.isnan(found.echo_sd)


def test_a_line_of_pixels_is_one_pixel_thick():
    mask = np.zeros((9, 40), bool)
    mask[4, 5:35] = True
    found = measure(mask)
    assert found.long_axis == pytest.approx(30, abs=0.3)
    assert found.perpendicular_axis == pytest.approx(1, abs=0.15)
    assert found.long_axis_angle == pytest.approx(0, abs=1)


def test_several_parts_area_of_all_shape_of_the_largest():
    mask = np.zeros((100, 100), bool)
    mask[40:60, 30:60] = True
    alone = measure(mask)
    mask[5:8, 90:93] = True
    both = measure(mask)
    assert (alone.components, both.components) == (1, 2)
    assert both.area == alone.area + 9
    for quantity in ("perimeter", "long_axis", "perpendicular_axis", "depth", "width", "solidity", "circularity"):
        assert getattr(both, quantity) == getattr(alone, quantity), quantity
    assert both.centroid != alone.centroid


def test_pixels_that_touch_at_a_corner_are_one_part():
    mask = np.zeros((20, 20), bool)
    mask[5:10, 5:10] = True
    mask[10:15, 10:15] = True
    found = measure(mask)
    assert found.components == 1
    assert found.depth == found.width == 10


def test_holes_count_for_the_shape_but_not_for_the_area():
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    full = measure(mask)
    mask[20:25, 20:25] = False
    mask[30:40, 30:33] = False
    pierced = measure(mask)
    assert (full.holes, pierced.holes) == (0, 2)
    assert pierced.area == full.area - 25 - 30
    assert pierced.perimeter == full.perimeter
    assert pierced.solidity == full.solidity


def test_a_notch_open_to_a_corner_is_no_hole():
    mask = np.ones((3, 3), bool)
    mask[1, 1] = mask[0, 1] = False
    assert measure(np.pad(mask, 2)).holes == 0
    ring = np.pad(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool), 2)
    assert measure(ring).holes == 1  # closed by corners alone: the foreground is 8-connected


@pytest.mark.parametrize("where", [np.s_[0:5, 10:15], np.s_[15:20, 10:15], np.s_[8:12, 0:5], np.s_[8:12, 25:30]])
def test_a_mask_at_the_border_says_so(where):
    mask = np.zeros((20, 30), bool)
    mask[where] = True
    found = measure(mask)
    assert found.touches_border
    assert found.depth * found.width == found.area
    assert not measure(np.pad(mask, 1)).touches_border


def test_a_mask_of_the_whole_image():
    found = measure(np.ones((20, 30), bool))
    assert found.area == 600
    assert found.touches_border
    assert np.isnan(found.contrast)
    assert np.isnan(found.posterior_echo_ratio)


def test_where_the_mask_lies_changes_nothing(ellipse):
    mask = ellipse(20, 12, 0.4)
    first = measure(np.pad(mask, ((3, 40), (50, 2))))
    second = measure(np.pad(mask, ((21, 22), (7, 45))))
    assert second.long_axis == pytest.approx(first.long_axis, rel=1e-12)
    assert second.perimeter == pytest.approx(first.perimeter, rel=1e-12)
    assert np.subtract(second.centroid, first.centroid) == pytest.approx([18, -43])
    assert np.subtract(second.long_axis_ends, first.long_axis_ends) == pytest.approx(np.array([[18, -43]] * 2))


def test_lengths_scale_with_the_pixel_and_ratios_do_not(ellipse):
    mask = ellipse(20, 12, 0.4)
    pixels, millimetres = measure(mask), measure(mask, (0.25, 0.25))
    assert not pixels.is_calibrated
    for quantity in ("perimeter", "long_axis", "perpendicular_axis", "depth", "width", "length_uncertainty"):
        assert getattr(millimetres, quantity) == pytest.approx(getattr(pixels, quantity) * 0.25), quantity
    for quantity in ("area", "area_uncertainty"):
        assert getattr(millimetres, quantity) == pytest.approx(getattr(pixels, quantity) * 0.0625), quantity
    for quantity in ("circularity", "solidity", "depth_width_ratio", "long_axis_angle"):
        assert getattr(millimetres, quantity) == pytest.approx(getattr(pixels, quantity)), quantity


def test_the_uncertainty_of_a_length_is_one_pixel_along_it(ellipse):
    spacing = (0.1, 0.05)
    lying = measure(ellipse(4, 1, 0, spacing=spacing), spacing)
    standing = measure(ellipse(4, 1, np.pi / 2, spacing=spacing), spacing)
    assert lying.length_uncertainty == pytest.approx(0.05, rel=0.02)
    assert standing.length_uncertainty == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(
    ("mask", "frame"),
    [
        (np.zeros((5, 5), np.uint8), np.zeros((5, 5), np.uint8)),
        (np.zeros((5, 5), bool), np.zeros((5, 6), np.uint8)),
        (np.zeros((5, 5), bool), np.zeros((5, 5), np.float32)),
        (np.zeros((5, 5), bool), np.zeros((5, 5, 4), np.uint8)),
        (np.zeros((1, 5, 5), bool), np.zeros((5, 5), np.uint8)),
    ],
)
def test_what_is_no_mask_or_frame_is_refused(mask, frame):
    with pytest.raises(ValueError, match="must be"):
        measure_frame(mask, frame, None)


def test_the_largest_component_is_that_of_opencvs_statistics():
    rng = np.random.default_rng(0)
    for _ in range(40):
        height, width = rng.integers(6, 80, 2)
        blurred = cv2.GaussianBlur(rng.random((height, width)), (0, 0), float(rng.uniform(0.6, 4)))
        mask = blurred > np.quantile(blurred, float(rng.uniform(0.3, 0.95)))
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        label = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
        found = largest_component(mask)
        assert found is not None
        column, row, width_found, height_found = (int(one) for one in statistics[label, :4])
        assert found.box == Box(row, row + height_found, column, column + width_found)
        assert np.array_equal(found.mask, labels[found.box.slices] == label)
        assert found.components == count - 1


def test_the_shape_of_a_pixel_enters_all_that_is_made_of_depth_and_width():
    """Measured with the shape alone, everything is what it is in mm, divided by the width of a pixel."""
    frame = np.random.default_rng(4).integers(0, 256, (160, 160), np.uint8)
    mask = cv2.ellipse(np.zeros(frame.shape, np.uint8), (80, 70), (40, 34), 25, 0, 360, 1, -1).astype(bool)
    known = measure_frame(mask, frame, Calibration(0.4, 0.3, "made for the test"))
    shape = measure_frame(mask, frame, None, pixel_aspect=4 / 3)
    assert not shape.is_calibrated
    assert (known.pixel_aspect, shape.pixel_aspect) == (pytest.approx(4 / 3), pytest.approx(4 / 3))
    for name in ("long_axis", "perpendicular_axis", "depth", "width", "perimeter", "length_uncertainty"):
        assert getattr(shape, name) == pytest.approx(getattr(known, name) / 0.3), name
    assert shape.area == pytest.approx(known.area / 0.09)
    for name in ("depth_width_ratio", "circularity", "solidity", "long_axis_angle", "contrast", "boundary_sharpness"):
        assert getattr(shape, name) == pytest.approx(getattr(known, name)), name
    assert shape.orientation is known.orientation is Orientation.NOT_PARALLEL
    np.testing.assert_allclose(shape.long_axis_ends, known.long_axis_ends)
    assert measure_frame(mask, frame, None).orientation is Orientation.PARALLEL


def test_a_lesion_that_is_not_visible_keeps_the_shape_of_a_pixel():
    nothing = np.zeros((20, 20), bool)
    assert measure_frame(nothing, nothing.astype(np.uint8), None, pixel_aspect=2.0).pixel_aspect == 2
    assert measure_frame(nothing, nothing.astype(np.uint8), None).pixel_aspect is None
