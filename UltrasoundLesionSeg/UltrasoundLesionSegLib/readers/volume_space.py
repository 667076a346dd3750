"""Where the voxels of a volume file lie in space, as ITK has it: LPS, mm, centre of the first voxel at the origin."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.readers.volume_headers import FrameAxes, VolumeHeader, find_frame_axes

_SAME = 0.1
"""Pixels by which two grids may differ at the corners of a frame and still count as one."""

_SIGNS = {"left": 1, "right": -1, "posterior": 1, "anterior": -1, "superior": 1, "inferior": -1}


@dataclass(frozen=True)
class Space:
    """The grid of a volume's frames in space.

    Parameters
    ----------
    steps : ndarray of float64, shape (3, 3)
        Its columns are the mm (LPS) from a pixel to the one in the next column, the next row and the next frame.
    origin : ndarray of float64, shape (3,)
        Centre of the first pixel of the first frame.
    size : tuple of int
        Columns, rows, frames.
    has_frame_step : bool
        False where frames follow each other in time and not in space; the last step is then a normal.
    """

    steps: NDArray[np.float64]
    origin: NDArray[np.float64]
    size: tuple[int, int, int]
    has_frame_step: bool

    @property
    def is_upright(self) -> bool:
        """Whether columns run to the left, rows to the posterior and frames to the superior, as pictures lie in ITK."""
        lengths = np.linalg.norm(self.steps, axis=0)
        return bool(np.allclose(self.steps, np.diag(lengths), atol=1e-3 * float(lengths.max())))

    @property
    def is_unplaced(self) -> bool:
        """Whether it says nothing but, at most, the size of a pixel: upright, with its origin at 0."""
        return self.is_upright and bool(np.allclose(self.origin, 0, atol=1e-6))

    @property
    def is_default_of_nifti(self) -> bool:
        """Whether it is what programs write into NIfTI that know of no place: the unit matrix, in RAS."""
        return bool(np.array_equal(self.steps, np.diag([-1.0, -1.0, 1.0])) and not self.origin.any())

    def grid_in(self, other: Space) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the affine map from (column, row, frame) of this grid to those of another.

        Returns
        -------
        matrix : ndarray of float64, shape (3, 3)
        shift : ndarray of float64, shape (3,)
        """
        into = np.linalg.inv(other.steps)
        matrix, shift = into @ self.steps, into @ (self.origin - other.origin)
        if not (self.has_frame_step and other.has_frame_step):  # frames by their numbers
            matrix[2], matrix[:, 2], shift[2] = 0, 0, 0
            matrix[2, 2] = 1
        return matrix, shift

    def is_grid_of(self, other: Space) -> bool:
        """Whether pixels of the same numbers lie at the same place."""
        matrix, shift = self.grid_in(other)
        last = np.array(self.size) - 1
        corners = np.array([[(place >> axis & 1) * last[axis] for axis in range(3)] for place in range(8)], float)
        return bool(np.abs(corners @ matrix.T + shift - corners).max() <= _SAME)

    def is_part_of(self, other: Space) -> bool:
        """Whether it is a smaller piece cut out of another grid, pixel for pixel."""
        if not (self.has_frame_step and other.has_frame_step and np.allclose(self.steps, other.steps, rtol=1e-3)):
            return False
        _, shift = self.grid_in(other)
        is_whole = np.abs(shift - shift.round()).max() <= _SAME
        is_within = (shift >= -_SAME).all() and (shift + self.size <= np.array(other.size) + _SAME).all()
        return bool(is_whole and is_within and self.size != other.size)


def space_of(header: VolumeHeader, axes: FrameAxes | None = None) -> Space | None:
    """Return where a volume's frames lie; None where the header does not say, or says what cannot be.

    Parameters
    ----------
    header : VolumeHeader
    axes : FrameAxes, optional
        Which axes are columns, rows and frames; by default as in a stack of frames.
    """
    try:
        found = _axes_of(header)
    except (ValueError, IndexError):
        return None
    if found is None:
        return None
    vectors, origin = found
    axes = axes or find_frame_axes(header.axes)
    steps = np.zeros((3, 3))
    steps[:, 0], steps[:, 1] = vectors.get(axes.column, (math.nan,) * 3), vectors.get(axes.row, (math.nan,) * 3)
    frame = vectors.get(-1 if axes.frame is None else axes.frame)
    if frame is None and axes.frame is None:  # one picture: its own thickness, if it has any
        frame = next((vector for at, vector in vectors.items() if at not in (axes.column, axes.row)), None)
    normal = np.cross(steps[:, 0], steps[:, 1])
    length = float(np.linalg.norm(normal))
    if not 0 < length < math.inf:
        return None
    steps[:, 2] = normal / length if frame is None else frame
    size = (
        header.axes[axes.column].size,
        header.axes[axes.row].size,
        1 if axes.frame is None else header.axes[axes.frame].size,
    )
    is_sound = np.isfinite(steps).all() and np.isfinite(origin).all() and abs(np.linalg.det(steps)) > 1e-12
    return Space(steps, origin, size, frame is not None) if is_sound else None


_Found = tuple[dict[int, NDArray[np.float64]], NDArray[np.float64]]


def _axes_of(header: VolumeHeader) -> _Found | None:
    """Return the step along each axis that lies in space, by its place in the header, and the origin."""
    fields = header.fields
    if "space directions" in fields:
        return _nrrd_axes(fields)
    if "ndims" in fields:
        return _meta_axes(header)
    if "affine" in fields:
        numbers = [float(one) for one in fields["affine"].split()]
        matrix = np.diag([-1.0, -1.0, 1.0]) @ np.array(numbers).reshape(3, 4)  # from RAS
        first = _first_axis(header)
        return {first + at: matrix[:, at] for at in range(3)}, matrix[:, 3]
    return None


def _first_axis(header: VolumeHeader) -> int:
    """Return the place of the first axis in space: after the channels, where these are stored first."""
    return int(find_frame_axes(header.axes).channel == 0)


def _nrrd_axes(fields: dict[str, str]) -> _Found | None:
    names = fields.get("space", "left-posterior-superior").lower().split("-")
    if len(names) != 3 or not set(names) <= set(_SIGNS):  # the abbreviations, and spaces with time
        names = {"lps": ["left"] * 3, "ras": ["right", "anterior", "superior"]}.get("-".join(names), [])
        if not names:
            return None
    signs = np.array([_SIGNS[name] for name in names], float)
    written = re.findall(r"none|\([^()]*\)", fields["space directions"])
    vectors = {at: _vector(text) * signs for at, text in enumerate(written) if text != "none"}
    origin = _vector(fields["space origin"]) * signs if "space origin" in fields else np.zeros(3)
    return vectors, origin


def _vector(text: str) -> NDArray[np.float64]:
    vector = np.array([float(one) for one in text.strip().strip("()").split(",")])
    if vector.shape != (3,):
        raise ValueError
    return vector


def _meta_axes(header: VolumeHeader) -> _Found | None:
    fields, count = header.fields, int(header.fields["ndims"])
    if count not in (2, 3, 4) or "elementspacing" not in fields:
        return None
    matrix_text = fields.get("transformmatrix", fields.get("rotation", fields.get("orientation", "")))
    origin_text = fields.get("offset", fields.get("position", fields.get("origin", "")))
    matrix = np.array([float(one) for one in matrix_text.split()] or np.eye(count).ravel()).reshape(count, count)
    origin = np.array([float(one) for one in origin_text.split()] or np.zeros(count)).reshape(count)
    spacing = np.array([float(one) for one in fields["elementspacing"].split()]).reshape(count)
    first, kept = _first_axis(header), min(count, 3)
    vectors = {}
    for at in range(kept):  # row k of the matrix is the direction of axis k
        step = np.zeros(3)
        step[:kept] = matrix[at, :kept] * spacing[at]
        vectors[first + at] = step
    return vectors, np.concatenate([origin[:kept], np.zeros(3 - kept)])
