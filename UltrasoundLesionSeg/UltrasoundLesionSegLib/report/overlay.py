"""Lesions drawn on frames: outlines, callipers, captions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from UltrasoundLesionSegLib.cine import Frame, Mask, Origin
from UltrasoundLesionSegLib.measurement.frame import FrameMeasurement
from UltrasoundLesionSegLib.measurement.outline import Points, trace_outline
from UltrasoundLesionSegLib.measurement.shape import Box
from UltrasoundLesionSegLib.report.case import CaseReport, Colour
from UltrasoundLesionSegLib.report.wording import ANCHOR_WORDS

RgbImage = NDArray[np.uint8]

LONGEST_DRAWN_NAME = 24
SHIFT = 4  # cv2 draws in fixed point: this many bits after the point
CALLIPER: Colour = (255, 255, 255)
DARK: Colour = (0, 0, 0)
ARM = 6  # half the size of a calliper's cross, in pixels of the picture
DOT_DISTANCE = 8.0  # between the dots of a calliper's line, in pixels of the picture
DOT_RADIUS = 18  # in sixteenths of a pixel of the picture
PICTURE_WIDTH = 800
LARGE_WIDTH = 500  # narrower pictures are thumbnails, with thinner lines


@dataclass(frozen=True)
class View:
    """Which part of a frame a picture shows, and how large.

    Parameters
    ----------
    box : Box
        In pixels of the frame.
    scale : float
        Pixels of the picture for one of the frame.
    """

    box: Box
    scale: float

    @classmethod
    def whole(cls, case: CaseReport, width: int | None = None) -> View:
        """All of the frame: ``width`` wide, or enlarged by a whole number to about 800 so that lines stay fine."""
        box = Box(0, case.cine.height, 0, case.cine.width)
        scale = width / case.cine.width if width else max(1, round(PICTURE_WIDTH / case.cine.width))
        return cls(box, scale)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return max(round(self.box.depth * self.scale), 1), max(round(self.box.width * self.scale), 1)

    def place(self, points: Points) -> Points:
        """Turn (row, column) of the frame into (column, row) of the picture, pixel centres at whole numbers."""
        corner = np.array((self.box.row_min, self.box.column_min))
        return np.asarray(((points - corner + 0.5) * self.scale - 0.5)[..., ::-1], dtype=np.float64)


def outlines(mask: Mask) -> list[Points]:
    """Outlines of all 8-connected components of a mask and of their holes.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)

    Returns
    -------
    list of ndarray of float64, shape (N, 2)
        (row, column) in pixels, see ``measurement.outline``.
    """
    number, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    found = [_outline_of(labels == label) for label in range(1, number)]
    background = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    number, labels = cv2.connectedComponents(background, connectivity=4)
    outside = labels[0, 0]
    found += [_outline_of(labels == label) - 1 for label in range(1, number) if label != outside]
    return found


def _outline_of(component: Mask) -> Points:
    """Outline of one component, traced in its bounding box."""
    column, row, width, height = cv2.boundingRect(component.astype(np.uint8))
    return trace_outline(component[row : row + height, column : column + width]) + np.array((row, column))


def canvas_of(frame: Frame, view: View) -> RgbImage:
    """Cut a view out of a frame, scale it and make it RGB.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    view : View

    Returns
    -------
    ndarray of uint8, shape (*view.size, 3)
    """
    interpolation = cv2.INTER_CUBIC if view.scale > 1 else cv2.INTER_AREA
    part = np.ascontiguousarray(frame[view.box.slices])
    if view.scale != 1:
        part = np.asarray(cv2.resize(part, view.size[::-1], interpolation=interpolation), dtype=np.uint8)
    return np.repeat(part[..., None], 3, axis=2) if part.ndim == 2 else part.copy()


def draw_lesion(canvas: RgbImage, mask: Mask, measurement: FrameMeasurement | None, colour: Colour, view: View) -> None:
    """Draw one lesion's outline and callipers, in place.

    The long axis ends in upright crosses, the perpendicular axis in slanted ones, as on the machines.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (*view.size, 3)
    mask : ndarray of bool, shape (H, W)
        Of the whole frame.
    measurement : FrameMeasurement or None
        None draws no callipers.
    colour : tuple of int
        RGB of the outline.
    view : View
    """
    drawn = [np.round(view.place(points) * 2**SHIFT).astype(np.int32) for points in outlines(mask)]
    is_large = canvas.shape[1] >= LARGE_WIDTH
    if is_large:  # a dark edge, so that no colour drowns in bright tissue
        cv2.polylines(canvas, drawn, True, DARK, 4, cv2.LINE_AA, SHIFT)
    cv2.polylines(canvas, drawn, True, colour, 2 if is_large else 1, cv2.LINE_AA, SHIFT)
    if measurement is None:
        return
    for ends, is_upright in ((measurement.long_axis_ends, True), (measurement.perpendicular_axis_ends, False)):
        if ends is not None:
            _draw_calliper(canvas, view.place(np.array(ends)), is_upright)


def _draw_calliper(canvas: RgbImage, ends: Points, is_upright: bool) -> None:
    """Draw a dotted line between two crosses; the ends are (column, row) in the picture."""
    start, end = ends
    dots = max(int(np.hypot(*(end - start)) / DOT_DISTANCE), 1)
    for share in np.arange(1, dots) / dots:
        column, row = np.round((start + share * (end - start)) * 2**SHIFT).astype(int).tolist()
        cv2.circle(canvas, (column, row), DOT_RADIUS, CALLIPER, -1, cv2.LINE_AA, SHIFT)
    kind = cv2.MARKER_CROSS if is_upright else cv2.MARKER_TILTED_CROSS
    for column, row in np.round(ends).astype(int).tolist():
        cv2.drawMarker(canvas, (column, row), DARK, kind, 2 * ARM + 3, 4)
        cv2.drawMarker(canvas, (column, row), CALLIPER, kind, 2 * ARM, 2)


def draw_case_frame(case: CaseReport, frame: int, view: View, callipers: bool = True) -> RgbImage:
    """One frame of a case with all its lesions drawn; black where the frame cannot be read.

    Parameters
    ----------
    case : CaseReport
    frame : int
    view : View
    callipers : bool

    Returns
    -------
    ndarray of uint8, shape (*view.size, 3)
    """
    canvas = canvas_of(case.frame_or_black(frame), view)
    for lesion, mask in zip(case.lesions, case.masks(frame), strict=True):
        if mask.any():
            draw_lesion(canvas, mask, lesion.by_frame.get(frame) if callipers else None, lesion.colour, view)
    return canvas


@lru_cache(maxsize=8)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow, so that pictures look the same everywhere."""
    return ImageFont.load_default(size)


def write_text(canvas: RgbImage, position: tuple[int, int], text: str, size: int, colour: Colour) -> RgbImage:
    """Write text on a picture.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (H, W, 3)
    position : tuple of int
        (row, column) of the text's upper left corner.
    text : str
    size : int
        Of the font in pixels.
    colour : tuple of int
        RGB.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        A copy.
    """
    image = Image.fromarray(canvas)
    ImageDraw.Draw(image).text((position[1], position[0]), text, colour, font(size))
    return np.array(image)


def describe(case: CaseReport, frame: int, named: bool = False) -> list[str]:
    """Say in one line a lesion what was measured on a frame.

    Parameters
    ----------
    case : CaseReport
    frame : int
    named : bool
        Call every lesion by its name. Otherwise one whose name the pictures' font lacks letters for, or that has no
        space in a picture, is called by its number.

    Returns
    -------
    list of str
        E.g. "Lesion: 12.3 x 8.1 mm, confidence 0.93".
    """
    lines = []
    times = "×" if named else "x"  # Pillow's font has no multiplication sign
    for number, lesion in enumerate(case.lesions, start=1):
        found = lesion.by_frame.get(frame)
        title = lesion.name if named or _can_be_drawn(lesion.name) else f"Lesion {number}"
        if found is None:
            lines.append(f"{title}: not measured")
            continue
        if found.is_visible:
            unit = "mm" if found.is_calibrated else "px"
            text = f"{found.long_axis:.1f} {times} {found.perpendicular_axis:.1f} {unit}"
        else:
            text = "not visible"
        if found.origin is not None and found.is_anchor:
            drawn = "drawn" if found.is_visible else "marked"
            text += f", {drawn if found.origin is Origin.MANUAL else ANCHOR_WORDS[found.origin]} by a person"
        elif found.origin is not None and found.origin.is_anchor:
            text += f", {ANCHOR_WORDS[found.origin]}"
        elif not np.isnan(found.confidence):
            text += f", confidence {found.confidence:.2f}"
        lines.append(f"{title}: {text}")
    return lines


def _can_be_drawn(name: str) -> bool:
    return name.isascii() and name.isprintable() and len(name) <= LONGEST_DRAWN_NAME
