"""Seeds in NRRD, MHA and NIfTI volumes -> label maps by frame, where their place in space puts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.seed_levels import LabelMap
from UltrasoundLesionSegLib.readers.seed_values import Page, read_pages
from UltrasoundLesionSegLib.readers.volume import PADDING, VolumePixels, VolumeSlices, data_path_of
from UltrasoundLesionSegLib.readers.volume_headers import VolumeHeader, find_frame_axes
from UltrasoundLesionSegLib.readers.volume_space import Space, space_of

_CHANNELS_WITH_ALPHA = 4
RESAMPLED = "put on the cine's pixels by its place in space"

Masks = dict[int | None, LabelMap]


def read_volume_seed(header: VolumeHeader, path: Path, space: Space | None) -> tuple[Masks, tuple[str, ...]]:
    """Read a label volume.

    Parameters
    ----------
    header : VolumeHeader
    path : Path
    space : Space or None
        Of the cine, where it has one.

    Returns
    -------
    masks : dict of (int or None) to ndarray of uint8, shape (H, W)
        By frame, None for the one picture of a file that does not say which frame it is.
    remarks : tuple of str

    Raises
    ------
    SeedError, SourceError
    """
    pixels = VolumePixels(data_path_of(path, header), header)
    slices = VolumeSlices(pixels, header, find_frame_axes(header.axes))
    if len(slices) < slices.told:
        raise SeedError("the seed's file is cut off; save it again")
    if pixels.surplus > PADDING:
        raise SeedError("the seed's file holds more than its header describes; save it again")
    values = [slices.values(index) for index in range(len(slices))]
    remarks = []
    target = target_space(space, space_of(header))
    if target is not None:
        values = resampled(values, *target)
        remarks.append(RESAMPLED)
    found = {index: one for index, one in enumerate(values) if one.any()}
    painted = read_pages([_page(one) for one in found.values()] if found else [_page(values[0])])
    masks = dict(zip(found or [0], painted.labels, strict=True))
    is_single = slices.told == 1 and target is None
    return (
        {None if is_single else index: one for index, one in masks.items() if one.any()},
        (*remarks, *painted.remarks),
    )


def _page(values: NDArray[Any]) -> Page:
    if values.ndim == 2:
        return Page(values)
    if values.shape[2] == _CHANNELS_WITH_ALPHA:
        return Page(values[:, :, :3], values[:, :, 3].astype(np.float32) / max(1.0, float(values[:, :, 3].max())))
    return Page(values if values.shape[2] == 3 else values[:, :, 0])


def target_space(cine: Space | None, seed: Space | None) -> tuple[Space, Space] | None:
    """Return the grids to resample to and from, None where pixels are taken by their numbers.

    Parameters
    ----------
    cine, seed : Space or None
        Where their grids lie, in mm; None for files that say nothing of it.

    Raises
    ------
    SeedError
        When the seed's axes run another way than those of a cine without a place in space.
    """
    if seed is None:
        return None
    if cine is None or (cine.is_unplaced and np.allclose(np.diag(cine.steps)[:2], 1)):
        if cine is not None and not seed.is_unplaced and seed.is_part_of(cine):  # cut out of it: by its origin
            return cine, seed
        if seed.is_upright or seed.is_default_of_nifti:
            return None
        lengths = np.linalg.norm(seed.steps, axis=0)
        cine = replace(seed, steps=np.diag(lengths), origin=np.zeros(3))
        matrix, shift = cine.grid_in(seed)
        last = np.array(cine.size) - 1
        far = matrix @ last + shift
        if min(shift.min(), far.min()) < -0.5 or (np.maximum(shift, far) > last + 0.5).any():
            raise SeedError(
                "the seed's axes run another way than the cine's, whose place in space is not known; save the seed in "
                "the orientation of the cine's frames"
            )
        return cine, seed
    is_by_number = (seed.is_unplaced or seed.is_default_of_nifti) and seed.size[:2] == cine.size[:2]
    return None if is_by_number or seed.is_grid_of(replace(cine, size=seed.size)) else (cine, seed)


def resampled(values: list[NDArray[Any]], cine: Space, seed: Space) -> list[NDArray[Any]]:
    """Return what lies at each pixel of the cine's frames, by the nearest pixel of the seed; beside it, its first one.

    Parameters
    ----------
    values : list of ndarray, shape (H, W) or (H, W, C)
        The seed's frames.
    cine, seed : Space

    Raises
    ------
    SeedError
        When nothing of the seed lies in the cine.
    """
    columns, rows, count = cine.size
    check_frame_size(rows, columns)
    check_frame_count(count)
    matrix, shift = cine.grid_in(seed)
    stack = np.stack(values)
    column, row = np.arange(columns)[np.newaxis, :, np.newaxis], np.arange(rows)[:, np.newaxis, np.newaxis]
    in_plane = column * matrix[:, 0] + row * matrix[:, 1] + shift
    result = []
    for frame in range(count):
        place = np.floor(in_plane + frame * matrix[:, 2] + 0.5)
        inside = ((place >= 0) & (place < seed.size)).all(axis=2)
        found = np.full((rows, columns, *stack.shape[3:]), stack[0, 0, 0])
        at = place[inside].astype(np.intp)
        found[inside] = stack[at[:, 2], at[:, 1], at[:, 0]]
        result.append(found)
    if (stack != stack[0, 0, 0]).any() and not any((one != stack[0, 0, 0]).any() for one in result):
        raise SeedError("the seed lies beside the cine in space; paint it on this cine, or save it without its place")
    return result
