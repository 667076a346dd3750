"""Seeds painted in picture files and videos -> label maps: with palette or transparency, page by page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.frames import GREY_SAMPLES, sampled_indices
from UltrasoundLesionSegLib.readers.pages import PageFile
from UltrasoundLesionSegLib.readers.seed_levels import LabelMap, Painted
from UltrasoundLesionSegLib.readers.seed_paints import MAX_LESIONS
from UltrasoundLesionSegLib.readers.seed_values import Page, read_pages, void_pixels
from UltrasoundLesionSegLib.readers.video import animated_png, read_video

_LOSSY = ("JPEG", "MPO")
_PERHAPS_LOSSY = ("WEBP", "JPEG2000")
_MOST_IF_LOSSLESS = 16
"""Distinct values from which on a picture of a format that can be either is taken to be lossy."""

_MOST_PIXELS = 2**30
"""Of a video of masks, all of whose frames are looked at together."""

_NUMBERS = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B")


def read_picture(path: Path, shape: tuple[int, int] | None = None) -> Painted:
    """Read the lesions painted in a picture file, one label map a page.

    Parameters
    ----------
    path : Path
    shape : tuple of int, optional
        ``(H, W)`` of the cine.

    Raises
    ------
    SeedError
        When it cannot be told what is lesion, or it has another size than the cine.
    SourceError
        When it is no picture, damaged, or its pages are in no order.
    """
    with PageFile(path) as file:
        if shape is not None and (file.height, file.width) != shape:  # before anything of its size is computed
            raise SeedError(
                f"the seed is {file.height} x {file.width} pixels but the cine's frames are {shape[0]} x {shape[1]}; "
                "draw it on a frame of this cine"
            )
        images = [file.image(index) for index in range(len(file))]
        is_lossy = file.format in _LOSSY or any("jpeg" in str(one.info.get("compression", "")) for one in images)
        if file.format in _PERHAPS_LOSSY:
            is_lossy = max(len(np.unique(np.asarray(one))) for one in images) > _MOST_IF_LOSSLESS
    if len({one.size for one in images}) > 1:
        raise SeedError("the seed's pictures have different sizes; save the masks of one cine in its frames' size")
    if all(one.mode in ("P", "PA") for one in images):
        painted = _read_indexed(images)
    else:
        if len({one.mode for one in images}) > 1:  # white is 1 in a bilevel page and 255 in the others
            images = [one.convert("L") if one.mode == "1" else one for one in images]
        painted = read_pages([_page(one) for one in images], is_lossy)
    return replace(painted, lasting=tuple(float(one.info.get("duration") or 0) / 1000 for one in images))


def read_mask_video(path: Path) -> Painted:
    """Read the lesions painted in a video, one label map a frame.

    Raises
    ------
    SeedError
        When it cannot be told what is lesion, as in the cine itself, or a frame is damaged.
    SourceError
        When it is no video, or cannot be read.
    """
    video = read_video(path)
    if len(video) * video.height * video.width > _MOST_PIXELS:
        raise SeedError("the seed is a video too long for masks; cut it to the frames that were painted")
    first = [Page(video.frames[at]) for at in sampled_indices(len(video), GREY_SAMPLES)]
    read_pages(first, _is_lossy(first))  # a cine is refused before all of it is decoded
    pages = [Page(frame) for frame in video]
    return replace(read_pages(pages, _is_lossy(pages)), lasting=animated_png(path)[1])


def _is_lossy(pages: list[Page]) -> bool:
    return max(len(np.unique(one.values)) for one in pages) > _MOST_IF_LOSSLESS


def _page(image: Image.Image) -> Page:
    if image.mode in _NUMBERS and "transparency" not in image.info:
        values = np.asarray(image)
        return Page(values.astype(np.uint8) if values.dtype == bool else values)
    is_plain = image.mode in ("RGB", "CMYK", "YCbCr", "LAB", "HSV") and "transparency" not in image.info
    channels = np.asarray(image.convert("RGB" if is_plain else "RGBA"))
    if is_plain:
        return Page(channels)
    return Page(channels[:, :, :3], channels[:, :, 3].astype(np.float32) / np.float32(255))


def _read_indexed(images: list[Image.Image]) -> Painted:
    """Read pictures with a palette: a number is a label where the colours say so."""
    indices = [np.asarray(one if one.mode == "P" else one.getchannel(0)) for one in images]
    pages = [_page(one) for one in images]
    used = np.unique(np.concatenate([np.unique(one) for one in indices]))
    colors = np.unique(
        np.concatenate([_colors_of(page, index) for page, index in zip(pages, indices, strict=True)]), axis=0
    )
    has_alpha = any(page.alpha is not None and page.alpha.min() < 1 for page in pages)
    is_ramp = all((page.values == index[..., np.newaxis]).all() for page, index in zip(pages, indices, strict=True))
    is_plain = is_ramp or len(colors) == 1 < len(used)  # grey k for number k, or no palette to speak of
    if not has_alpha and (is_plain or void_pixels(indices) is not None):
        return read_pages([Page(one) for one in indices])
    found = read_pages(pages)
    return Painted(_by_number(found.labels, indices), found.remarks)


def _colors_of(page: Page, index: NDArray[Any]) -> NDArray[np.uint8]:
    _, first = np.unique(index, return_index=True)
    return page.values.reshape(-1, 3)[first]


def _by_number(labels: list[LabelMap], indices: list[NDArray[Any]]) -> list[LabelMap]:
    """Number lesions as the palette does, where each has one number to itself, up to 64, and the background has 0."""
    pairs = set()
    for page, index in zip(labels, indices, strict=True):
        pairs |= set(np.unique(page.astype(np.int64) * 256 + index).tolist())
    numbers: dict[int, set[int]] = {}
    for pair in pairs:
        numbers.setdefault(pair // 256, set()).add(pair % 256)
    is_numbered = numbers.get(0) == {0} and all(len(own) == 1 and max(own) <= MAX_LESIONS for own in numbers.values())
    if not is_numbered:
        return labels
    return [np.where(page > 0, index, 0).astype(np.uint8) for page, index in zip(labels, indices, strict=True)]
