"""Pixels of TIFF pages that Pillow refuses, or reads wrongly: signed bytes, deep colours in planes, wide numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.readers.limits import check_frame_size

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Of a TIFF file and of a BigTIFF file, in both byte orders."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_DEFLATE = (8, 32946)
_MANY_PAGES = 300
_PLANES = 2
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
"""Values of SampleFormat (TIFF 6.0, section 19)."""

_COLORS = (3, 4)


def is_beyond_pillow(page: Any) -> bool:
    """Whether Pillow cannot be asked for a page of tifffile.

    It takes signed bytes for unsigned, inverts WhiteIsZero of 8 bits alone, keeps 8 of 16 bits of a colour, reads
    planes of nothing but 8-bit colours, and no floats but those of 32 bits.
    """
    bits, kind, samples = int(page.bitspersample), int(page.sampleformat), int(page.samplesperpixel)
    if page.photometric == _WHITE_IS_ZERO and bits > 8:
        return True
    if samples > 1 and (bits > 8 or kind != _UNSIGNED):
        return True
    if samples > 1 and page.planarconfig == _PLANES and samples not in _COLORS:
        return True
    readable = {_UNSIGNED: bits <= 16, _SIGNED: bits in (16, 32), _FLOAT: bits == 32}
    return not readable.get(kind, True)


def is_slow_by_pillow(page: Any, pages: int) -> bool:
    """Whether tifffile reads a page of a file of so many pages as Pillow does, and faster.

    libtiff, which decodes compressed pages for Pillow, follows the chain of all pages for each: 1 ms in 150.
    """
    is_same = page.photometric in (_BLACK_IS_ZERO, _RGB) and page.sampleformat == _UNSIGNED and not page.extrasamples
    is_same = is_same and (page.bitspersample, page.samplesperpixel) in ((8, 1), (16, 1), (8, 3))
    is_same = is_same and page.planarconfig != _PLANES and page.tags.valueof("Orientation", default=1) == 1
    return bool(is_same and pages >= _MANY_PAGES and page.compression in _DEFLATE)


def can_decode(page: Any) -> bool:
    """Whether a page that is beyond Pillow can be decoded by tifffile itself, or as deep colours by OpenCV."""
    import tifffile

    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression], tifffile.TIFF.UNPREDICTORS[page.predictor]
    except KeyError:
        return _is_for_opencv(page)
    return True


class PageReader:
    """Reads the pages of a TIFF file, which stays open: to open it again is to follow the chain of its pages again.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    def read(self, number: int) -> NDArray[Any]:
        """Return a page's values, ``(H, W)`` or ``(H, W, 3)``, higher ones brighter; transparency is dropped.

        Raises
        ------
        ValueError and others
            Whatever tifffile raises for a damaged page.
        """
        import tifffile

        if self._file is None:
            self._file = tifffile.TiffFile(self._path, _multifile=False)
        return _values(self._file, number)

    def close(self) -> None:
        """Close the file; a page asked for later opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


def first_page(stream: BinaryIO) -> NDArray[Any] | None:
    """Return the values of a file's first page as `PageReader` does, None where Pillow can be asked for them.

    Raises
    ------
    ValueError and others
        Whatever tifffile raises for a damaged page.
    """
    import tifffile

    with tifffile.TiffFile(stream, _multifile=False) as file:
        page: Any = file.pages[0]
        return _values(file, 0) if is_beyond_pillow(page) else None


def first_size(stream: BinaryIO) -> tuple[int, int]:
    """Return ``(H, W)`` of a file's first page; raises whatever tifffile raises for a damaged one."""
    import tifffile

    with tifffile.TiffFile(stream, _multifile=False) as file:
        page: Any = file.pages[0]
        return int(page.imagelength), int(page.imagewidth)


def _values(file: Any, number: int) -> NDArray[Any]:
    page = file.pages[number]
    check_frame_size(page.imagelength, page.imagewidth)
    if not _is_for_opencv(page):
        if 0 in page.databytecounts:  # what is not there would be black
            raise ValueError
        return as_picture(page.asarray(), page)
    file.filehandle.seek(0)
    data = np.frombuffer(file.filehandle.read(), np.uint8)
    is_read, found = cv2.imdecodemulti(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR, range=(number, number + 1))
    if not is_read or not found or found[0].shape[:2] != (page.imagelength, page.imagewidth):
        raise ValueError
    return np.asarray(cv2.cvtColor(found[0], cv2.COLOR_BGR2RGB))


def as_picture(values: NDArray[Any], page: Any) -> NDArray[Any]:
    """Return values as a page stores them as ``(H, W)`` or ``(H, W, 3)``, with the higher ones brighter.

    Parameters
    ----------
    values : ndarray, shape (H, W), (H, W, C) or, in planes, (C, H, W)
    page : tifffile.TiffPage

    Raises
    ------
    ValueError
        When they are not of the page's size, as in damaged files.
    """
    if page.samplesperpixel > 1 and page.planarconfig == _PLANES and values.ndim == 3:
        values = np.moveaxis(values, 0, 2)
    if values.ndim not in (2, 3) or not values.size or values.shape[:2] != (page.imagelength, page.imagewidth):
        raise ValueError
    if values.ndim == 3:
        values = values[:, :, :3] if values.shape[2] in _COLORS else values[:, :, 0]
    if page.photometric == _WHITE_IS_ZERO:
        values = -values if values.dtype.kind == "f" else ~values
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("=")))


def as_image(values: NDArray[Any]) -> Image.Image:
    """Return values as one of Pillow's images: colours in 8 bits, grey that is not of 8 or 16 bits as float32.

    Parameters
    ----------
    values : ndarray, shape (H, W) or (H, W, C)

    Raises
    ------
    ValueError
        When colours have neither 8 nor 16 bits.
    """
    if values.ndim == 3 and values.dtype == np.uint16:
        values = (values >> 8).astype(np.uint8)
    if values.ndim == 3 and values.dtype != np.uint8:
        raise ValueError
    return Image.fromarray(values if values.dtype in (np.uint8, np.uint16) else values.astype(np.float32))


def _is_for_opencv(page: Any) -> bool:
    is_deep = page.bitspersample == 16 and page.sampleformat == _UNSIGNED and page.samplesperpixel in _COLORS
    return bool(is_deep and page.photometric == _RGB and page.planarconfig != _PLANES)
