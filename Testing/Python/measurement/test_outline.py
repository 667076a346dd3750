import numpy as np
import pytest

from UltrasoundLesionSegLib.measurement.outline import polygon_area, polygon_length, trace_cracks, trace_outline


def pixels(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


@pytest.mark.parametrize(
    ("mask", "sides", "area"),
    [
        (pixels("#"), 4, 1),
        (pixels("###"), 8, 3),
        (pixels("##", "##"), 8, 4),
        (pixels("#.", ".#"), 8, 2),  # touching at a corner: one walk around both
        (pixels(".#", "#."), 8, 2),
        (pixels("###", "#.#", "###"), 12, 9),  # the hole is inside the outline
        (pixels("##", "#."), 8, 3),
        (pixels("#.#", ".#.", "#.#"), 20, 5),
    ],
)
def test_the_walk_goes_once_around_every_outer_side(mask, sides, area):
    corners, middles = trace_cracks(mask)
    assert len(corners) == len(middles) == sides
    assert polygon_length(corners) == sides
    assert polygon_area(corners) == area


def test_the_walk_is_clockwise_as_displayed_and_starts_at_the_first_pixels_corner():
    corners, middles = trace_cracks(pixels("..", ".#"))
    np.testing.assert_allclose(corners, [(0.5, 0.5), (0.5, 1.5), (1.5, 1.5), (1.5, 0.5)])
    np.testing.assert_allclose(middles, [(0.5, 1.0), (1.0, 1.5), (1.5, 1.0), (1.0, 0.5)])


def test_random_components_enclose_their_filled_area():
    cv2 = pytest.importorskip("cv2")
    random = np.random.default_rng(5)
    for _ in range(40):
        noise = random.random((30, 40)) > 0.45
        _, labels = cv2.connectedComponents(noise.astype(np.uint8), connectivity=8)
        component = labels == np.argmax(np.bincount(labels[labels > 0]))
        # holes: background that 4-connected paths cannot leave
        _, background = cv2.connectedComponents(
            np.pad(~component, 1, constant_values=True).astype(np.uint8), connectivity=4
        )
        filled = (background != background[0, 0])[1:-1, 1:-1]
        corners, _ = trace_cracks(component)
        assert polygon_area(corners) == np.count_nonzero(filled)
        assert polygon_area(trace_outline(component)) == pytest.approx(np.count_nonzero(filled), rel=1e-12)


SIZES = [(2, 1.5), (4, 3), (8, 8), (10, 3), (20, 14), (40, 12), (75, 50), (75, 15)]


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.6), (0.7, 1.0)])
@pytest.mark.parametrize(("a", "b"), SIZES)
def test_the_perimeter_of_ellipses_is_within_the_stated_bounds(ellipse, a, b, spacing):
    angles = np.linspace(0, 2 * np.pi, 20001)
    truth = np.hypot(np.diff(a * np.cos(angles)), np.diff(b * np.sin(angles))).sum()
    random = np.random.default_rng(7)
    errors = [
        polygon_length(
            trace_outline(ellipse(a, b, random.uniform(0, np.pi), random.uniform(-0.5, 0.5, 2), spacing)) * spacing
        )
        / truth
        - 1
        for _ in range(40)
    ]
    mean_bound, single_bound = (0.02, 0.15) if b < 3 else (0.02, 0.06) if b < 8 else (0.015, 0.025)
    assert abs(np.mean(errors)) < mean_bound
    assert np.max(np.abs(errors)) < single_bound


def test_a_staircase_does_not_lengthen_a_slanted_side():
    rows, columns = np.mgrid[:220, :220] - 50
    for slope in (0.1, 0.35, 0.5, 0.8, 1.0):
        band = (np.abs(rows - 60 - slope * (columns - 60)) < 20 * np.hypot(1, slope)) & (np.abs(columns - 60) < 45)
        length = polygon_length(trace_outline(band))
        truth = 2 * 89 * np.hypot(1, slope) + 2 * 40 * np.hypot(1, slope)
        assert length == pytest.approx(truth, rel=0.03)
