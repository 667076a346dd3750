"""Echo levels inside the lesion, in its surroundings, at its boundary, and below it.

Echo levels are the image's grey levels, 0 to 255. An ultrasound machine compresses echo amplitudes logarithmically
before display, with curves of its own. So differences of levels can be compared within one cine, but not between
machines or settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.measurement.outline import Points
from UltrasoundLesionSegLib.measurement.shape import NAN, Box, Component

# The ring around a lesion, as fractions of the diameter of a circle of the lesion's area. The gap leaves out the
# transition between lesion and tissue (BI-RADS' echogenic halo included). The smallest lesions have a gap and a ring
# of a fixed number of pixels.
RING_GAP = 0.05
RING_THICKNESS = 0.25
RING_GAP_PIXELS = 1.0
RING_THICKNESS_PIXELS = 2.0

# As fractions of the lesion's width. Below the lesion only the middle half is used, because the edges of a smooth
# lesion cast thin shadows by refraction; it is compared with tissue on either side at the same depth.
POSTERIOR_WIDTH = 0.5
SIDE_WIDTH = 0.5
# A region of which the image shows a smaller fraction than this is not used.
LEAST_SHOWN = 0.25

# Gradients are taken at the scale of a Gaussian with this standard deviation, in pixels.
GRADIENT_SCALE = 1.0


def echo_levels(frame: Frame) -> NDArray[np.uint8]:
    """Return a frame's grey levels: itself, or for RGB its luma (ITU-R BT.601), which leaves grey pixels as they are.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)

    Returns
    -------
    ndarray of uint8, shape (H, W)
    """
    if frame.ndim == 2:
        return frame
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


@dataclass(frozen=True)
class EchoMeasurement:
    """What is measured in the image: echo levels are grey levels, 0 to 255; nan where there is nothing to measure.

    Parameters
    ----------
    echo_mean, echo_sd, echo_median : float
        Mean, sample standard deviation (n - 1) and median of the levels of all the mask's pixels.
    contrast : float
        Mean level of the lesion minus that of the ring around it (``contrast_to_ring``).
    boundary_sharpness : float
        0 (indistinct) to 1 (abrupt); see the function ``boundary_sharpness``.
    posterior_echo_ratio : float
        Above 1: enhancement; below 1: shadowing; see the function ``posterior_echo_ratio``.
    """

    echo_mean: float = NAN
    echo_sd: float = NAN
    echo_median: float = NAN
    contrast: float = NAN
    boundary_sharpness: float = NAN
    posterior_echo_ratio: float = NAN


def measure_echo(mask: Mask, frame: Frame, component: Component, spacing: tuple[float, float]) -> EchoMeasurement:
    """Measure the echo levels of a mask that has at least one pixel.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    component : Component
        The mask's largest component: boundary and posterior echo are measured of it alone.
    spacing : tuple of float
        (row_mm, column_mm); without calibration (1, 1), or (aspect, 1) where only the shape of a pixel is known.

    Returns
    -------
    EchoMeasurement
    """
    whole = component.mask_box
    inside = echo_levels(frame[whole.slices])[mask[whole.slices]]
    mean, sd, median = echo_statistics(inside)
    gap, reach = ring_reach(len(inside), spacing)
    gap_pixels = (max(round(gap * min(spacing) / spacing[0]), 1), max(round(gap * min(spacing) / spacing[1]), 1))
    ring = whole.grown(int(reach) + 2, mask.shape)
    margin = component.box.grown(round(4 * GRADIENT_SCALE) + 2, mask.shape)
    return EchoMeasurement(
        mean,
        sd,
        median,
        contrast_to_ring(echo_levels(frame[ring.slices]), mask[ring.slices], spacing),
        boundary_sharpness(
            echo_levels(frame[margin.slices]), component.outline - (margin.row_min, margin.column_min), spacing
        ),
        posterior_echo_ratio(frame, component.box, gap_pixels),
    )


def echo_statistics(levels: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return mean, sample standard deviation (n - 1; nan for one level) and median of echo levels.

    Parameters
    ----------
    levels : ndarray of uint8, shape (N,)
        At least one.

    Returns
    -------
    mean, sd, median : float
    """
    counts = np.bincount(levels, minlength=256)
    number = len(levels)
    values = np.arange(256)
    mean = float(counts @ values) / number
    sd = float(np.sqrt(counts @ (values - mean) ** 2 / (number - 1))) if number > 1 else NAN
    low, high = np.searchsorted(np.cumsum(counts), [(number - 1) // 2 + 1, number // 2 + 1])
    return mean, sd, float(low + high) / 2


def ring_reach(pixels: int, spacing: tuple[float, float]) -> tuple[float, float]:
    """Return the distances from the lesion at which its ring begins and ends.

    Parameters
    ----------
    pixels : int
        Number of the lesion's pixels.
    spacing : tuple of float
        Row and column spacing.

    Returns
    -------
    begin, end : float
        In units of the smaller side of a pixel.
    """
    diameter = 2 * np.sqrt(pixels * max(spacing) / min(spacing) / np.pi)
    begin = max(RING_GAP * diameter, RING_GAP_PIXELS)
    return float(begin), float(begin + max(RING_THICKNESS * diameter, RING_THICKNESS_PIXELS))


def distance_outside(mask: Mask, spacing: tuple[float, float]) -> NDArray[np.float32]:
    """Return the distance of every pixel from the nearest pixel of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        With at least one pixel.
    spacing : tuple of float
        Row and column spacing. A mask with pixels that are not square is resampled to square ones on the way.

    Returns
    -------
    ndarray of float32, shape (H, W)
        In units of the smaller side of a pixel, accurate to 2% (Borgefors, CVGIP 1986;34:344); 0 inside the mask.
    """
    outside = np.asarray(~mask, dtype=np.uint8)
    square = min(spacing)
    height, width = (max(round(size * step / square), 1) for size, step in zip(mask.shape, spacing, strict=True))
    if (height, width) == mask.shape:
        return np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_5), dtype=np.float32)
    resampled = cv2.resize(outside, (width, height), interpolation=cv2.INTER_NEAREST)
    distance = cv2.distanceTransform(resampled, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(cv2.resize(distance, mask.shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def contrast_to_ring(levels: NDArray[np.uint8], mask: Mask, spacing: tuple[float, float]) -> float:
    """Return the mean echo level of the lesion minus that of the ring of tissue around it, in grey levels.

    Negative for a hypoechoic lesion, about 0 for an isoechoic one, positive for a hyperechoic one. BI-RADS' echo
    pattern has subcutaneous fat as its reference; the reference here is whatever surrounds the lesion. It is a
    difference and not a ratio because levels are logarithms of amplitudes.

    Parameters
    ----------
    levels : ndarray of uint8, shape (H, W)
        Part of the frame with the lesion and with as much of its ring as the image shows.
    mask : ndarray of bool, shape (H, W)
        The lesion in this part of the frame.
    spacing : tuple of float
        Row and column spacing.

    Returns
    -------
    float
        nan where the image shows none of the ring.
    """
    begin, end = ring_reach(int(np.count_nonzero(mask)), spacing)
    distance = distance_outside(mask, spacing)
    ring = (distance > begin) & (distance <= end)
    if not ring.any():
        return NAN
    return _mean_level(levels, mask) - _mean_level(levels, ring)


def _mean_level(levels: NDArray[np.uint8], where: Mask) -> float:
    """Return the mean of the levels under a mask with at least one pixel.

    OpenCV's sum of whole numbers is exact, so the result does not depend on the order of summation.
    """
    return float(cv2.sumElems(cv2.copyTo(levels, where.view(np.uint8)))[0]) / int(np.count_nonzero(where))


def boundary_sharpness(levels: NDArray[np.uint8], outline: Points, spacing: tuple[float, float]) -> float:
    """Return the fraction of the grey-level gradient at the boundary that points straight across it, 0 to 1.

    It is 1 where the level changes everywhere in the same direction across the boundary (circumscribed, abrupt), and
    near 0 where it does not (indistinct).

    The normalised radial gradient of Kupinski & Giger (IEEE Trans Med Imaging 1998;17:510) that Horsch et al. (Med Phys
    2002;29:157) use for the margin of breast lesions on ultrasound, with the outline's normal n instead of the radius:
    ``|sum of (g . n)| / sum of |g|`` over the outline's length, where g is the gradient of the echo level at the scale
    of a Gaussian of 1 pixel.

    Parameters
    ----------
    levels : ndarray of uint8, shape (H, W)
    outline : ndarray of float64, shape (N, 2)
        (row, column) in pixels of ``levels``.
    spacing : tuple of float
        Row and column spacing in mm, or (1, 1).

    Returns
    -------
    float
        nan where there is no gradient. Parts of the outline along the image's border are left out.
    """
    smooth = cv2.GaussianBlur(levels.astype(np.float32), (0, 0), GRADIENT_SCALE)
    # a Sobel operator divided by 8 is a derivative per pixel
    down = _interpolate(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125), outline) / spacing[0]
    right = _interpolate(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), outline) / spacing[1]
    step_row, step_column = ((np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)) / 2 * spacing).T
    # the outline runs clockwise as displayed, so a step turned to the left points outward; its length is the weight
    across = right * step_row - down * step_column
    strength = np.hypot(down, right) * np.hypot(step_row, step_column)
    inner = np.all((outline > 0) & (outline < np.array(levels.shape) - 1), axis=1)
    total = float(strength[inner].sum())
    return abs(float(across[inner].sum())) / total if total > 0 else NAN


def _interpolate(image: NDArray[Any], points: Points) -> NDArray[np.float64]:
    """Return an image's values between its pixels by bilinear interpolation; outside, those of its border.

    Parameters
    ----------
    image : ndarray, shape (H, W)
    points : ndarray of float64, shape (N, 2)
        (row, column) in pixels.

    Returns
    -------
    ndarray of float64, shape (N,)
    """
    rows, columns = np.clip(points, 0, np.array(image.shape) - 1).T
    row, column = np.floor(rows).astype(int), np.floor(columns).astype(int)
    below, beside = np.minimum(row + 1, image.shape[0] - 1), np.minimum(column + 1, image.shape[1] - 1)
    down, right = rows - row, columns - column
    upper = image[row, column] * (1 - right) + image[row, beside] * right
    lower = image[below, column] * (1 - right) + image[below, beside] * right
    return np.asarray(upper * (1 - down) + lower * down, dtype=np.float64)


def posterior_boxes(box: Box, shape: tuple[int, ...], gap: tuple[int, int]) -> tuple[Box | None, tuple[Box, ...]]:
    """Return where the tissue below a lesion is, and the tissue beside that at the same depth.

    Parameters
    ----------
    box : Box
        Around the lesion.
    shape : tuple of int
        Size of the image, (H, W).
    gap : tuple of int
        Rows and columns left out next to the lesion.

    Returns
    -------
    below : Box or None
        The middle half of the lesion's width, as deep as the lesion; None where the image shows less than a quarter of
        that depth.
    beside : tuple of Box
        Up to two, left and right, each half as wide as the lesion; without those of which the image shows less than a
        quarter.
    """
    top = box.row_end + gap[0]
    bottom = min(top + box.depth, shape[0])
    if bottom - top < LEAST_SHOWN * box.depth:
        return None, ()
    inset = round(box.width * (1 - POSTERIOR_WIDTH) / 2)
    below = Box(top, bottom, box.column_min + inset, box.column_end - inset)
    side = max(round(box.width * SIDE_WIDTH), 1)
    left_end, right_min = box.column_min - gap[1], box.column_end + gap[1]
    left = Box(top, bottom, max(left_end - side, 0), left_end)
    right = Box(top, bottom, right_min, min(right_min + side, shape[1]))
    return below, tuple(one for one in (left, right) if one.width >= max(LEAST_SHOWN * side, 1))


def posterior_echo_ratio(frame: Frame, box: Box, gap: tuple[int, int]) -> float:
    """Return the mean echo level below the lesion divided by that of the tissue beside it at the same depth.

    Above 1: posterior enhancement; below 1: shadowing (BI-RADS posterior features). Levels are compared at equal depth,
    so that attenuation and time gain are the same, as by Horsch et al. (Med Phys 2002;29:157, posterior acoustic
    behaviour). They keep the smaller of the differences to the left and to the right; here it is the ratio to the
    average of both sides.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        The whole frame.
    box : Box
        Around the lesion.
    gap : tuple of int
        Rows and columns left out next to the lesion.

    Returns
    -------
    float
        nan where the image shows too little below or beside the lesion, or only black beside it.
    """
    below, beside = posterior_boxes(box, frame.shape[:2], gap)
    if below is None or not beside:
        return NAN
    reference = float(np.mean([echo_levels(frame[one.slices]).mean() for one in beside]))
    return float(echo_levels(frame[below.slices]).mean()) / reference if reference > 0 else NAN
