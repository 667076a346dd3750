"""Size, shape and orientation of a mask."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.measurement.callipers import angle_to_skin, long_axis, perpendicular_axis
from UltrasoundLesionSegLib.measurement.outline import Points, polygon_area, polygon_length, trace_outline

NAN = float("nan")
Position = tuple[float, float]


class Orientation(str, Enum):
    """Orientation of a mass to the skin line (ACR BI-RADS Atlas, 5th ed., Ultrasound)."""

    PARALLEL = "parallel"  # wider than deep
    NOT_PARALLEL = "not parallel"  # deeper than wide, or as deep as wide


@dataclass(frozen=True)
class ShapeMeasurement:
    """What is measured of the mask alone, without the image.

    Lengths are in mm and areas in mm2; without a calibration, in widths of a pixel and their squares. Area and centroid
    are those of all the mask's pixels. All else is measured of the largest 8-connected component with its holes filled,
    because callipers measure one thing and a stray pixel must not lengthen an axis.

    Parameters
    ----------
    area : float
        Number of the mask's pixels times the area of a pixel (DICOM: SCT 131184002 Area of defined region).
    perimeter : float
        Length of the outline (see ``measurement.outline``; SCT 131191004 Perimeter).
    long_axis : float
        Longest chord of the outline (SCT 103339001 Long axis).
    long_axis_ends : tuple of Position, or None
        Its ends, the left one first: (row, column) in pixels, the centre of the first pixel at (0, 0).
        DICOM SCOORD wants (column + 0.5, row + 0.5).
    long_axis_angle : float
        Between the long axis and the image's rows, in degrees above -90 and up to 90: 0 is parallel to the skin,
        positive where the right end is deeper.
    perpendicular_axis : float
        Longest chord at a right angle to the long axis (SCT 131189007 Perpendicular axis), between the outermost
        crossings of the outline.
    perpendicular_axis_ends : tuple of Position, or None
        Its ends, like those of the long axis.
    depth : float
        Anteroposterior extent, across the image's rows; the outermost pixels count as whole.
    width : float
        Extent along the image's rows; the outermost pixels count as whole.
    depth_width_ratio : float
        depth / width (Horsch et al., Med Phys 2002;29:157).
    orientation : Orientation or None
        PARALLEL where depth < width, otherwise NOT_PARALLEL.
    centroid : Position
        Mean position of the mask's pixels, (row, column) in pixels.
    circularity : float
        4 pi (area inside the outline) / perimeter squared (Cox, J Paleontol 1927;1:179): 1 for a circle, less for
        any other shape.
    solidity : float
        Area inside the outline / area of its convex hull: 1 for a convex outline, less for a lobulated or spiculated
        one.
    components : int
        Number of 8-connected components; 0 where the lesion is not visible.
    holes : int
        Number of holes in the largest component. Their pixels count for the shape, not for the area.
    touches_border : bool
        Whether the mask reaches the image's border: the lesion may extend beyond it, and its sizes are lower bounds.
    length_uncertainty : float
        Uncertainty of the long axis from the pixel size alone: half a pixel at either end.
    area_uncertainty : float
        Uncertainty of the area from the pixel size alone: half a pixel along the perimeter.
    """

    area: float = 0.0
    perimeter: float = NAN
    long_axis: float = NAN
    long_axis_ends: tuple[Position, Position] | None = None
    long_axis_angle: float = NAN
    perpendicular_axis: float = NAN
    perpendicular_axis_ends: tuple[Position, Position] | None = None
    depth: float = NAN
    width: float = NAN
    depth_width_ratio: float = NAN
    orientation: Orientation | None = None
    centroid: Position = (NAN, NAN)
    circularity: float = NAN
    solidity: float = NAN
    components: int = 0
    holes: int = 0
    touches_border: bool = False
    length_uncertainty: float = NAN
    area_uncertainty: float = NAN


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels.

    Parameters
    ----------
    row_min, row_end, column_min, column_end : int
        First row and column, and those after the last.
    """

    row_min: int
    row_end: int
    column_min: int
    column_end: int

    @property
    def depth(self) -> int:
        """Number of rows."""
        return self.row_end - self.row_min

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.column_end - self.column_min

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the rectangle in an array."""
        return slice(self.row_min, self.row_end), slice(self.column_min, self.column_end)

    def touches_border_of(self, shape: tuple[int, ...]) -> bool:
        """Whether the rectangle reaches the border of an image of this shape."""
        return self.row_min == 0 or self.column_min == 0 or self.row_end == shape[0] or self.column_end == shape[1]

    def grown(self, pixels: int, shape: tuple[int, ...]) -> Box:
        """Return the rectangle with a margin of some pixels, cut at the border of an image of this shape."""
        return Box(
            max(self.row_min - pixels, 0),
            min(self.row_end + pixels, shape[0]),
            max(self.column_min - pixels, 0),
            min(self.column_end + pixels, shape[1]),
        )


@dataclass(frozen=True)
class Component:
    """The largest 8-connected component of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (box.depth, box.width)
        The component's pixels within its box.
    box : Box
        Around the component.
    mask_box : Box
        Around the whole mask.
    components : int
        Number of components of the mask.
    outline : ndarray of float64, shape (N, 2)
        The component's outline (``trace_outline``), (row, column) in pixels of the image.
    """

    mask: Mask
    box: Box
    mask_box: Box
    components: int
    outline: Points


def bounding_box(mask: Mask) -> Box | None:
    """Return the smallest rectangle around a mask's pixels, None where it has none.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    """
    column, row, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return Box(row, row + height, column, column + width) if width else None


def largest_component(mask: Mask) -> Component | None:
    """Return the largest 8-connected component, the first in raster order of equally large ones; None without pixels.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    """
    around = bounding_box(mask)
    if around is None:
        return None
    crop = np.ascontiguousarray(mask[around.slices]).view(np.uint8)
    # areas are counted only where there are several: OpenCV's own statistics take ten times as long as the labels
    number, labels = cv2.connectedComponents(crop, connectivity=8)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:])) if number > 2 else 1
    inside = labels == largest
    own = bounding_box(inside)
    assert own is not None
    row, column = own.row_min + around.row_min, own.column_min + around.column_min
    box = Box(row, row + own.depth, column, column + own.width)
    component = inside[own.slices]
    return Component(component, box, around, number - 1, trace_outline(component) + np.array((row, column)))


def count_holes(component: Component) -> int:
    """Return the number of holes: 4-connected background regions that a component encloses.

    Parameters
    ----------
    component : Component
    """
    if polygon_area(component.outline) < np.count_nonzero(component.mask) + 0.5:
        return 0  # the outline encloses nothing but the component: the usual case, without labelling
    outside = np.pad(~component.mask, 1, constant_values=True).view(np.uint8)
    return int(cv2.connectedComponents(outside, connectivity=4)[0]) - 2  # less the component itself and the outside


def measure_shape(mask: Mask, component: Component, spacing: tuple[float, float]) -> ShapeMeasurement:
    """Measure a mask that has at least one pixel.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    component : Component
        The mask's largest component.
    spacing : tuple of float
        (row_mm, column_mm); without calibration (1, 1), or (aspect, 1) where only the shape of a pixel is known.

    Returns
    -------
    ShapeMeasurement
    """
    scale = np.array(spacing)
    outline = component.outline * scale
    inside, perimeter = polygon_area(outline), polygon_length(outline)
    hull = cv2.convexHull(component.outline.astype(np.float32))[:, 0].astype(np.float64) * scale
    axis = long_axis(outline)
    across = perpendicular_axis(outline, axis, min(spacing))
    depth, width = component.box.depth * spacing[0], component.box.width * spacing[1]
    # size of a pixel in the direction of the axis
    pixel = axis.length / float(np.hypot(*((axis.ends[1] - axis.ends[0]) / scale)))
    pixels, centroid = _count_and_centroid(mask, component.mask_box)
    return ShapeMeasurement(
        area=pixels * spacing[0] * spacing[1],
        perimeter=perimeter,
        long_axis=axis.length,
        long_axis_ends=_positions(axis.ends / scale),
        long_axis_angle=angle_to_skin(axis),
        perpendicular_axis=across.length,
        perpendicular_axis_ends=_positions(across.ends / scale),
        depth=depth,
        width=width,
        depth_width_ratio=depth / width,
        orientation=Orientation.PARALLEL if depth < width else Orientation.NOT_PARALLEL,
        centroid=centroid,
        circularity=4 * np.pi * inside / perimeter**2,
        solidity=min(inside / polygon_area(hull), 1.0),  # the hull's points are rounded to float32
        components=component.components,
        holes=count_holes(component),
        touches_border=component.mask_box.touches_border_of(mask.shape),
        length_uncertainty=pixel,
        area_uncertainty=perimeter / 2 * float(np.sqrt(spacing[0] * spacing[1])),
    )


def _count_and_centroid(mask: Mask, box: Box) -> tuple[int, Position]:
    """Return the number of a mask's pixels and their mean position, (row, column) in pixels of the image.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    box : Box
        Around the mask.
    """
    crop = mask[box.slices]
    in_rows, in_columns = np.count_nonzero(crop, axis=1), np.count_nonzero(crop, axis=0)
    pixels = int(in_rows.sum())
    row = box.row_min + float(in_rows @ np.arange(len(in_rows))) / pixels
    column = box.column_min + float(in_columns @ np.arange(len(in_columns))) / pixels
    return pixels, (row, column)


def _positions(ends: Points) -> tuple[Position, Position]:
    """Return both ends of a chord as plain numbers."""
    (row, column), (other_row, other_column) = ends.tolist()
    return (row, column), (other_row, other_column)
