"""Masks as label maps: palette PNGs as in DAVIS, and NIfTI.

A label map gives every pixel one number: 0 for background, k for lesion k. Where lesions overlap, what a person drew is
kept, then the lesion with the lower number; COCO JSON (``writers.coco``) keeps both.
"""

from __future__ import annotations

import contextlib
import gzip
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cine import Calibration, Origin
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.writers.atomic import NumberedFiles, atomic_path

MaskReader = Callable[[int], NDArray[np.bool_]]
"""Takes a zero-based frame, returns bool (K, H, W): one mask a lesion, all False where it is not visible."""

Origins = Sequence[Sequence[Origin | None]]
"""Who made each lesion's mask on each frame, K x T; empty where that is not known."""

LARGEST_LABEL = 255  # a palette has 256 entries
NIFTI_LARGEST_SIZE = 32767  # the header's sizes are 16-bit


def label_map(masks: NDArray[np.bool_], origins: Sequence[Origin | None] = ()) -> NDArray[np.uint8]:
    """Merge masks into a label map.

    Where they overlap, a mask that a person vouches for is kept, then another seed; of equals, the first one.

    Parameters
    ----------
    masks : ndarray of bool, shape (K, H, W)
    origins : sequence of K Origin or None
        Who made the masks; empty where that is not known.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        0 for background, k for lesion k (counted from 1).

    Raises
    ------
    OutputError
        When there are more than 255 lesions.
    """
    if len(masks) > LARGEST_LABEL:
        raise OutputError(
            f"{len(masks)} lesions do not fit into a label map of {LARGEST_LABEL} labels; "
            "export fewer lesions at a time"
        )
    labels = np.zeros(masks.shape[1:], np.uint8)
    order = list(range(len(masks)))
    if origins:
        order.sort(key=lambda index: _rank(origins[index]))
    for index in reversed(order):
        labels[masks[index]] = index + 1
    return labels


def _rank(origin: Origin | None) -> int:
    """Return whose pixels are kept: those with the lowest rank."""
    if origin is None or not origin.is_anchor:
        return 2
    return 0 if origin.is_by_person else 1


def _on_frame(origins: Origins, frame: int) -> list[Origin | None]:
    return [of_lesion[frame] for of_lesion in origins]


def davis_palette() -> bytes:
    """The palette of PASCAL VOC and DAVIS: 256 RGB entries, black first.

    Bit i of a label's three lowest bits goes to bit 7 - j of red (i = 0), green (1) and blue (2), j counting the groups
    of three bits.
    """
    palette = bytearray()
    for label in range(256):
        colour = [0, 0, 0]
        for group in range(8):
            for channel in range(3):
                colour[channel] |= (label >> (3 * group + channel) & 1) << (7 - group)
        palette += bytes(colour)
    return bytes(palette)


def write_davis(
    folder: Path, masks: MaskReader, frames: int, skipped: Collection[int] = (), origins: Origins = ()
) -> list[Path]:
    """Write one palette PNG a frame, named 00000.png and on, as in DAVIS' Annotations.

    Parameters
    ----------
    folder : Path
        Made if absent. Its masks of an earlier cine are replaced, also where that was longer; an error, also one that
        ``masks`` raises to cancel, leaves it as it was.
    masks : MaskReader
    frames : int
        Number of frames of the cine; a frame on which no lesion is visible gets an all-black PNG.
    skipped : collection of int
        Frames without a result, which get no PNG.
    origins : sequence of K sequences of T Origin or None
        Who made the masks: decides whose pixels are kept where lesions overlap.

    Returns
    -------
    list of Path
        The files, in the order of frames.

    Raises
    ------
    OutputError
        When a file cannot be written, or there are more than 255 lesions.
    """
    palette = davis_palette()
    with NumberedFiles(folder, ".png") as files:
        for frame in range(frames):
            if frame in skipped:
                continue
            image = Image.fromarray(label_map(masks(frame), _on_frame(origins, frame)))
            image.putpalette(palette)
            image.save(files.path(frame), format="PNG")
    return files.written


def write_nifti(
    target: Path, masks: MaskReader, frames: int, calibration: Calibration | None, origins: Origins = ()
) -> Path:
    """Write the label map of the whole cine as one NIfTI-1 file; frame by frame, so a long cine needs no more memory.

    The volume's third axis counts frames: an array of shape (T, H, W) in SimpleITK, (W, H, T) in NiBabel. It has no
    length in mm, and the header's description says so. Columns grow to the left and rows to the posterior (identity
    direction in LPS), as a cine lies in 3D Slicer.

    Parameters
    ----------
    target : Path
        ``.nii`` or ``.nii.gz`` (compressed).
    masks : MaskReader
    frames : int
    calibration : Calibration or None
        Pixel size; without it the pixel size is 1 and the header's unit of length "unknown".
    origins : sequence of K sequences of T Origin or None
        As for ``write_davis``.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    OutputError
        When the file cannot be written, there are more than 255 lesions, or a size is beyond the format's 32,767.
    """
    first = label_map(masks(0), _on_frame(origins, 0))
    if max(frames, *first.shape) > NIFTI_LARGEST_SIZE:
        raise OutputError(
            f"{frames} frames of {first.shape[0]} x {first.shape[1]} pixels do not fit into a NIfTI file, "
            f"whose sizes end at {NIFTI_LARGEST_SIZE}; export PNG or COCO"
        )
    with atomic_path(target) as temporary, _open(temporary) as file:
        file.write(_nifti_header(frames, (first.shape[0], first.shape[1]), calibration))
        file.write(first.tobytes())
        for frame in range(1, frames):
            file.write(label_map(masks(frame), _on_frame(origins, frame)).tobytes())
    return target


@contextlib.contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open for writing, through gzip for ``.gz``, without the name and the time that gzip would store."""
    with path.open("wb") as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed:
            yield packed  # type: ignore[misc]


def _nifti_header(frames: int, shape: tuple[int, int], calibration: Calibration | None) -> bytes:
    """Header of 352 bytes of a uint8 label volume (NIfTI-1.1, nifti1.h), little-endian."""
    row_mm, column_mm = calibration.spacing if calibration else (1.0, 1.0)
    header = bytearray(352)
    put = struct.pack_into
    put("<i", header, 0, 348)  # sizeof_hdr
    put("<8h", header, 40, 3, shape[1], shape[0], frames, 1, 1, 1, 1)  # dim
    put("<h", header, 68, 1002)  # intent_code: NIFTI_INTENT_LABEL
    put("<2h", header, 70, 2, 8)  # datatype DT_UINT8, bitpix
    put("<8f", header, 76, 1.0, column_mm, row_mm, 1.0, 1.0, 1.0, 1.0, 1.0)  # pixdim, qfac first
    put("<2f", header, 108, 352.0, 1.0)  # vox_offset, scl_slope
    put("<B", header, 123, 2 if calibration else 0)  # xyzt_units: mm or unknown
    header[148:228] = b"axis 3 counts frames and has no length in mm".ljust(80, b"\0")  # descrip
    put("<2h", header, 252, 1, 1)  # qform_code, sform_code: scanner
    put("<3f", header, 256, 0.0, 0.0, 1.0)  # quaternion of half a turn about z: diag(-1, -1, 1), RAS
    put("<12f", header, 280, -column_mm, 0, 0, 0, 0, -row_mm, 0, 0, 0, 0, 1.0, 0)  # srow_x, srow_y, srow_z
    header[344:348] = b"n+1\0"
    return bytes(header)
