import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Calibration
from UltrasoundLesionSegLib.measurement.echo import (
    contrast_to_ring,
    distance_outside,
    echo_statistics,
    posterior_boxes,
    ring_reach,
)
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.shape import Box


def scene(lesion=40, tissue=100, below=100, size=200):
    """A disc of radius 30 in even tissue, with a column of another level straight below it."""
    rows, columns = np.mgrid[:size, :size]
    mask = np.hypot(rows - 80, columns - 100) <= 30
    frame = np.full((size, size), tissue, np.uint8)
    frame[112:, 75:126] = below
    frame[mask] = lesion
    return mask, frame


@pytest.mark.parametrize(("lesion", "contrast"), [(40, -60), (100, 0), (150, 50)])
def test_contrast_is_lesion_minus_ring(lesion, contrast):
    mask, frame = scene(lesion)
    assert measure_frame(mask, frame, None).contrast == pytest.approx(contrast)


def test_the_ring_leaves_out_a_halo_at_the_boundary_and_far_tissue():
    mask, frame = scene()
    frame[(distance_outside(mask, (1, 1)) > 0) & (distance_outside(mask, (1, 1)) <= 2.5)] = 255
    frame[distance_outside(mask, (1, 1)) > 20] = 255
    assert measure_frame(mask, frame, None).contrast == pytest.approx(-60)


def test_the_ring_is_as_thick_in_mm_on_pixels_that_are_not_square():
    mask, _ = scene()
    flat = cv2.resize(mask.astype(np.uint8), (200, 100), interpolation=cv2.INTER_NEAREST).astype(bool)
    distance = distance_outside(flat, (2.0, 1.0))
    assert distance[np.flatnonzero(flat.any(axis=1))[-1] + 5, 100] == pytest.approx(10, abs=1.6)
    assert distance[40, np.flatnonzero(flat.any(axis=0))[-1] + 10] == pytest.approx(10, abs=1.6)
    assert distance[flat].max() < 1


@pytest.mark.parametrize(("below", "ratio"), [(50, 0.5), (100, 1.0), (180, 1.8)])
def test_posterior_echo_ratio_tells_shadow_from_enhancement(below, ratio):
    mask, frame = scene(below=below)
    assert measure_frame(mask, frame, None).posterior_echo_ratio == pytest.approx(ratio)


def test_posterior_boxes():
    below, beside = posterior_boxes(Box(20, 40, 50, 90), (200, 200), (3, 2))
    assert below == Box(43, 63, 60, 80)
    assert beside == (Box(43, 63, 28, 48), Box(43, 63, 92, 112))


@pytest.mark.parametrize(
    ("box", "shape", "sides"),
    [
        (Box(20, 40, 0, 40), (200, 200), 1),  # nothing to the left
        (Box(20, 40, 160, 200), (200, 200), 1),  # nothing to the right
        (Box(20, 40, 0, 200), (200, 200), 0),  # nothing on either side
        (Box(20, 40, 50, 90), (46, 200), 0),  # 3 rows left below: too little
        (Box(20, 40, 50, 90), (60, 200), 2),
        (Box(180, 200, 50, 90), (200, 200), 0),  # at the bottom
    ],
)
def test_only_tissue_that_is_shown_counts(box, shape, sides):
    below, beside = posterior_boxes(box, shape, (3, 2))
    assert len(beside) == sides
    for one in (*beside, *([below] if below else [])):
        assert 0 <= one.row_min < one.row_end <= shape[0]
        assert 0 <= one.column_min < one.column_end <= shape[1]


def test_no_ratio_to_black():
    mask, frame = scene(tissue=0, below=0)
    assert np.isnan(measure_frame(mask, frame, None).posterior_echo_ratio)


def test_a_clean_step_is_sharp_a_blurred_one_in_speckle_less_so_and_speckle_alone_not_at_all():
    random = np.random.default_rng(0)
    mask, frame = scene()
    clean = measure_frame(mask, frame, None).boundary_sharpness
    speckle = random.normal(0, 25, frame.shape)
    blurred = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 8)
    sharp, indistinct, none = (
        measure_frame(mask, np.clip(image + speckle, 0, 255).astype(np.uint8), None).boundary_sharpness
        for image in (frame.astype(np.float32), blurred, np.full(frame.shape, 100.0))
    )
    assert clean > 0.95
    assert 1 > sharp > indistinct + 0.2
    assert indistinct > none
    assert none < 0.15


def test_sharpness_is_the_same_for_a_bright_lesion():
    mask, pixels = scene(lesion=60, tissue=120, below=120)
    dark = measure_frame(mask, pixels, None).boundary_sharpness
    mask, pixels = scene(lesion=180, tissue=120, below=120)
    bright = measure_frame(mask, pixels, None).boundary_sharpness
    assert bright == pytest.approx(dark)


def test_sharpness_does_not_depend_on_the_pixels_shape():
    mask, frame = scene(below=100)
    tall_mask = np.repeat(mask, 2, axis=0)
    tall_frame = cv2.resize(frame, (200, 400), interpolation=cv2.INTER_LINEAR)
    square = measure_frame(mask, frame, Calibration(0.1, 0.1, "test")).boundary_sharpness
    tall = measure_frame(tall_mask, tall_frame, Calibration(0.05, 0.1, "test")).boundary_sharpness
    assert tall == pytest.approx(square, abs=0.03)


def test_an_even_image_has_no_sharpness():
    mask, frame = scene(lesion=100)
    assert np.isnan(measure_frame(mask, frame, None).boundary_sharpness)


@pytest.mark.parametrize("levels", [[7], [1, 2], [0, 0, 255], [255, 255], [3, 1, 2, 9], list(range(0, 250, 7))])
def test_echo_statistics_are_those_of_numpy(levels):
    mean, sd, median = echo_statistics(np.array(levels, np.uint8))
    assert mean == pytest.approx(np.mean(levels))
    assert median == np.median(levels)
    if len(levels) > 1:
        assert sd == pytest.approx(np.std(levels, ddof=1))
    else:
        assert np.isnan(sd)


def test_grey_and_rgb_frames_measure_the_same():
    mask, frame = scene()
    frame = np.clip(frame + np.random.default_rng(0).normal(0, 10, frame.shape), 0, 255).astype(np.uint8)
    grey, rgb = measure_frame(mask, frame, None), measure_frame(mask, np.repeat(frame[..., None], 3, axis=2), None)
    assert grey == rgb


def test_only_the_masks_surroundings_count():
    mask, frame = scene()
    far = frame.copy()
    far[:5] = 255
    far[:, :5] = 255
    assert measure_frame(mask, far, None) == measure_frame(mask, frame, None)


def test_the_contrast_is_the_difference_of_plain_means():
    rng = np.random.default_rng(0)
    for spacing in ((1.0, 1.0), (0.1, 0.15)):
        levels = rng.integers(0, 256, (70, 90), np.uint8)
        mask = np.hypot(*np.mgrid[-35:35, -45:45]) < 15
        begin, end = ring_reach(int(mask.sum()), spacing)
        distance = distance_outside(mask, spacing)
        ring = (distance > begin) & (distance <= end)
        assert contrast_to_ring(levels, mask, spacing) == levels[mask].mean() - levels[ring].mean()
