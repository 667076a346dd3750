"""Where a sonographer would set the callipers: the longest chord of an outline and the longest one across it.

Everything here works on outlines in physical coordinates (mm where the pixel size is known, else pixels), because a
right angle in mm is no right angle in pixels that are not square.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.measurement.outline import Points

# The perpendicular chord is searched at this many places in a pixel's width. Near its maximum a chord's length changes
# with the square of the displacement, so a finer search changes no digit that means anything.
PLACES_IN_A_PIXEL = 4


@dataclass(frozen=True)
class Chord:
    """A straight line between two points of an outline.

    Parameters
    ----------
    length : float
        In the outline's unit.
    ends : ndarray of float64, shape (2, 2)
        Both ends, (row, column) in the outline's unit.
    """

    length: float
    ends: Points


def long_axis(outline: Points) -> Chord:
    """Return the longest chord of an outline: the largest distance between two of its points (maximum Feret diameter).

    On an outline that is not convex, the chord may leave the lesion, as a calliper line does.

    Parameters
    ----------
    outline : ndarray of float64, shape (N, 2)
        Closed polygon, (row, column) in mm or pixels.

    Returns
    -------
    Chord
        The first end is the left one; for a vertical chord, the upper one.
    """
    # the two points are corners of the convex hull; indices keep the float64 points, which convexHull rounds to float32
    hull = outline[cv2.convexHull(outline.astype(np.float32), returnPoints=False)[:, 0]]
    rows, columns = hull.T
    squared = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    first, second = np.unravel_index(int(np.argmax(squared)), squared.shape)
    ends = hull[[first, second]]
    if (ends[0, 1], ends[0, 0]) > (ends[1, 1], ends[1, 0]):
        ends = ends[::-1]
    return Chord(float(np.sqrt(squared[first, second])), ends)


def perpendicular_axis(outline: Points, axis: Chord, pixel: float) -> Chord:
    """Return the longest chord at a right angle to an axis.

    Where a line crosses the outline more than twice, the chord runs between the outermost crossings.

    Parameters
    ----------
    outline : ndarray of float64, shape (N, 2)
        Closed polygon, (row, column) in mm or pixels.
    axis : Chord
        The long axis of the same outline; its length must be > 0.
    pixel : float
        Size of the smaller side of a pixel in the outline's unit, > 0.

    Returns
    -------
    Chord
        The first end lies on the left-hand side of the axis as displayed, seen along it.
    """
    along = (axis.ends[1] - axis.ends[0]) / axis.length
    across = np.array([-along[1], along[0]])
    position, offset = outline @ along, outline @ across
    count = int(np.ceil(axis.length / pixel * PLACES_IN_A_PIXEL)) + 2
    places = np.linspace(position.min(), position.max(), count)
    lower, upper = _outermost_crossings(position, offset, places)
    best = int(np.argmax(upper - lower))
    ends = places[best] * along + np.stack([lower[best] * across, upper[best] * across])
    return Chord(float(upper[best] - lower[best]), ends)


def _outermost_crossings(
    position: NDArray[np.float64], offset: NDArray[np.float64], places: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the lines across an axis meet a polygon first and last.

    Parameters
    ----------
    position, offset : ndarray of float64, shape (N,)
        Of the polygon's corners: along the axis and across it.
    places : ndarray of float64, shape (M,)
        Ascending positions of the lines, from the polygon's first position to its last.

    Returns
    -------
    lower, upper : ndarray of float64, shape (M,)
        Smallest and largest offset at which each line crosses the polygon.
    """
    # every side of the polygon crosses the places between its ends; usually none or one
    after, offset_after = np.roll(position, -1), np.roll(offset, -1)
    begin = np.searchsorted(places, np.minimum(position, after), side="left")
    end = np.searchsorted(places, np.maximum(position, after), side="right")
    crossings = end - begin
    side = np.repeat(np.arange(len(position)), crossings)
    place = np.arange(len(side)) - np.repeat(np.cumsum(crossings) - crossings, crossings) + np.repeat(begin, crossings)
    run = after[side] - position[side]
    share = np.divide(places[place] - position[side], run, out=np.zeros_like(run), where=run != 0)
    crossed_at = offset[side] + share * (offset_after[side] - offset[side])

    lower, upper = np.full(len(places), np.inf), np.full(len(places), -np.inf)
    np.minimum.at(lower, place, crossed_at)
    np.maximum.at(upper, place, crossed_at)
    return lower, upper


def angle_to_skin(axis: Chord) -> float:
    """Return the angle between a chord and the image's rows, which are parallel to the skin line as displayed.

    Parameters
    ----------
    axis : Chord
        With the left end first, in mm or in square pixels.

    Returns
    -------
    float
        In degrees, above -90 and up to 90: 0 is parallel to the skin, 90 perpendicular to it; positive where the right
        end is the deeper one.
    """
    row, column = axis.ends[1] - axis.ends[0]
    return float(np.degrees(np.arctan2(row, column)))
