"""Seeds in files: pictures, label volumes and Slicer's .seg.nrrd -> label maps. (DICOM SEG: see the room ``dicom``.)"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.errors import SeedError, SourceError
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.quiet import quiet
from UltrasoundLesionSegLib.readers.sniff import Format, sniff
from UltrasoundLesionSegLib.readers.volume import PADDING, VolumePixels, VolumeSlices, data_path_of
from UltrasoundLesionSegLib.readers.volume_headers import VolumeHeader, find_frame_axes, read_volume_header

LabelMap = NDArray[np.uint8]
"""``(H, W)``: 0 is background, k is lesion k."""

MAX_LABEL = 64
"""Label values up to this number lesions; a picture with higher ones (0 and 255, say) is a mask of one lesion."""

_JPEG_MASK_LEVEL = 128
_ASK = "paint the lesion on a frame of this cine and save that"


@dataclass(frozen=True)
class SeedFile:
    """What a seed file holds.

    Parameters
    ----------
    masks : dict of (int or None) to ndarray of uint8, shape (H, W)
        Label maps by zero-based frame; None where the file is of one picture and does not say which frame it belongs
        to. Frames without any lesion pixel are not listed.
    names : dict of int to str
        Names of lesions by label, where the file has them.
    """

    masks: dict[int | None, LabelMap]
    names: dict[int, str] = field(default_factory=dict)


def read_seed_file(path: Path | str, shape: tuple[int, int] | None = None) -> SeedFile:
    """Read the lesions painted in a file.

    * PNG, BMP, TIFF: palette and label values k are lesion k; in grey pictures with values above 64, in 1-bit and in
      RGB(A) pictures whatever is neither 0 nor transparent is lesion 1. JPEG: levels from 128 are lesion 1.
    * NRRD, MHA, NIfTI label volumes ``(H, W)``, ``(1, H, W)``, or ``(T, H, W)`` with a label map a frame.
    * .seg.nrrd of 3D Slicer: segment n is lesion n + 1 under its own name. A cropped label map is put where it belongs
      in the reference image. Where segments overlap, the first one has the pixel.

    Parameters
    ----------
    path : Path or str
    shape : tuple of int, optional
        ``(H, W)`` of the cine, for a cropped .seg.nrrd that does not say how large its reference image was.

    Returns
    -------
    SeedFile

    Raises
    ------
    SeedError
        When the file cannot be read, is no mask, or no lesion is in it.
    """
    try:
        source = Path(path)
        kind = sniff(source)
        if kind is Format.IMAGE:
            found = SeedFile({None: _picture_labels(source)})
        elif kind in (Format.NRRD, Format.META_IMAGE, Format.NIFTI):
            found = _volume_seeds(source, kind, shape)
        else:
            raise SeedError("the seed is no mask file; give a PNG, NRRD, MHA or .seg.nrrd mask")
    except SourceError as error:
        raise SeedError(f"the seed cannot be read: {error}") from None
    except OSError as error:
        raise SeedError(f"the seed cannot be read ({error.strerror or type(error).__name__}); save it again") from None
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError):
        raise SeedError("the seed's header is damaged; save it again") from None
    if not found.masks:
        raise SeedError(f"the seed is empty: no lesion is painted in it; {_ASK}")
    return found


def _picture_labels(path: Path) -> LabelMap:
    try:
        with quiet(), Image.open(path) as image:
            check_frame_size(image.height, image.width)
            image.load()
            values, is_label = _picture_values(image)
    except SourceError:
        raise
    except Exception as error:  # Pillow raises whatever the damage leads to
        raise SeedError(f"the seed's picture is damaged ({type(error).__name__}); save it again") from None
    if not values.any():
        raise SeedError(f"the seed is empty: no lesion is painted in it; {_ASK}")
    return _as_labels(values, values.max(), is_label)


def _picture_values(image: Image.Image) -> tuple[NDArray[Any], bool]:
    """Return a picture as label values ``(H, W)``, and whether high values are labels too and not shades of one."""
    if image.mode in ("P", "PA"):
        return np.asarray(image if image.mode == "P" else image.getchannel(0)), True
    if image.mode in ("RGBA", "LA", "RGBa", "La"):
        channels = np.asarray(image)
        return (channels[:, :, :-1].any(axis=2) & (channels[:, :, -1] > 0)).astype(np.uint8), False
    if image.format == "JPEG":
        return (np.asarray(image.convert("L")) >= _JPEG_MASK_LEVEL).astype(np.uint8), False
    values: NDArray[Any] = np.asarray(image)
    return np.asarray(values.any(axis=2) if values.ndim == 3 else values, np.uint32), False


def _as_labels(values: NDArray[Any], highest: float, is_label: bool) -> LabelMap:
    """Return label values as uint8.

    Parameters
    ----------
    values : ndarray, shape (H, W)
    highest : float
        The highest value of the file; up to `MAX_LABEL` values are labels.
    is_label : bool
        True where a file with several high values is refused and not taken for one lesion.

    Raises
    ------
    SeedError
    """
    if highest <= MAX_LABEL:
        return values.astype(np.uint8)
    if is_label and len(np.unique(values[values != 0])) > 1:
        raise SeedError(f"the seed has label values up to {highest:g}; number the lesions from 1, at most {MAX_LABEL}")
    return (values != 0).astype(np.uint8)


def _volume_seeds(path: Path, kind: Format, shape: tuple[int, int] | None) -> SeedFile:
    header = read_volume_header(path, kind)
    pixels = VolumePixels(data_path_of(path, header), header)
    if "segmentation_masterrepresentation" in header.fields or "segment0_id" in header.fields:
        return _slicer_segments(header, pixels, shape)
    slices = VolumeSlices(pixels, header, find_frame_axes(header.axes))
    if len(slices) < slices.told:
        raise SeedError("the seed's file is cut off; save it again")
    if pixels.surplus > PADDING:
        raise SeedError("the seed's file holds more than its header describes; save it again")
    found: dict[int, NDArray[Any]] = {}
    for index in range(len(slices)):
        values = slices.values(index)
        values = np.asarray(values.any(axis=2), np.uint8) if values.ndim == 3 else values
        if values.any():
            found[index] = values
    if not all(np.isfinite(one).all() and one.min() >= 0 and (one == np.round(one)).all() for one in found.values()):
        raise SeedError("the seed's values are no labels; give whole numbers, 0 where there is no lesion")
    highest = max((float(one.max()) for one in found.values()), default=0.0)
    is_single = slices.told == 1
    return SeedFile(
        {None if is_single else index: _as_labels(one, highest, is_label=True) for index, one in found.items()}
    )


def _slicer_segments(header: VolumeHeader, pixels: VolumePixels, shape: tuple[int, int] | None) -> SeedFile:
    """Read the segments of a .seg.nrrd as Slicer's segmentation storage node writes them.

    Layers are a list axis; ``SegmentN_Layer`` and ``SegmentN_LabelValue`` say where a segment is, the
    ``Segmentation_ReferenceImageExtentOffset`` where the array lies in the reference image, whose size is at the end of
    the conversion parameter "Reference image geometry".
    """
    try:
        stored = pixels.array()  # slowest axis first
    except (ValueError, OSError, zlib.error):
        raise SeedError("the seed's file is damaged or cut off; save it again") from None
    layered = stored if header.axes[0].kind == "list" else stored[..., np.newaxis]
    if layered.ndim != 4:
        raise SeedError("the seed is no segmentation of a cine's frames; segment a frame of the cine and save that")
    columns, rows, slices, offset = _reference(header, layered.shape, shape)
    for height, width in ((rows, columns), layered.shape[1:3]):
        check_frame_size(height, width)
    check_frame_count(layered.shape[0])
    segments = _segments_of(header, layered.shape[3])
    masks: dict[int | None, LabelMap] = {}
    for at in range(layered.shape[0]):
        if not 0 <= at + offset[0] < slices:  # beside the reference image
            continue
        layers = np.asarray(layered[at])
        labels = np.zeros((rows, columns), np.uint8)
        for label, (_, layer, value) in enumerate(segments, start=1):
            painted = np.argwhere(layers[..., layer] == value) + np.array(offset[1:])
            row, column = painted[((painted >= 0) & (painted < (rows, columns))).all(axis=1)].T
            labels[row, column] = np.where(labels[row, column] == 0, label, labels[row, column])
        if labels.any():
            masks[None if slices == 1 else at + offset[0]] = labels
    return SeedFile(masks, {label: name for label, (name, _, _) in enumerate(segments, start=1)})


def _segments_of(header: VolumeHeader, layers: int) -> list[tuple[str, int, int]]:
    """Return the name, layer and label value of each segment, in the order of their numbers."""
    numbered = [int(name[7:-3]) for name in header.fields if name.startswith("segment") and name.endswith("_id")]
    if len(numbered) > MAX_LABEL:
        raise SeedError(f"the seed has {len(numbered)} segments; give at most {MAX_LABEL}")
    segments = []
    for label, number in enumerate(sorted(numbered), start=1):
        name = header.fields.get(f"segment{number}_name", f"Segment {label}")
        layer = int(header.fields.get(f"segment{number}_layer", 0))
        if not 0 <= layer < layers:
            raise SeedError("the seed's header is damaged: a segment lies in a layer that is not there; save it again")
        segments.append((name, layer, int(header.fields.get(f"segment{number}_labelvalue", 1))))
    return segments


def _reference(
    header: VolumeHeader, stored: tuple[int, ...], shape: tuple[int, int] | None
) -> tuple[int, int, int, tuple[int, int, int]]:
    """Return columns, rows and slices of the reference image, and the array's offset in it, slowest axis first."""
    written = header.fields.get("segmentation_referenceimageextentoffset", "0 0 0").split()
    offset = (int(written[2]), int(written[1]), int(written[0]))
    parameters = header.fields.get("segmentation_conversionparameters", "").split("&")
    geometry = next((one.split("|")[1] for one in parameters if one.startswith("Reference image geometry|")), "")
    numbers = [float(one) for one in geometry.split(";") if one.strip()]
    if len(numbers) == 22 and all(
        abs(one) < 2**24 for one in numbers
    ):  # a 4 x 4 matrix, then the extent: first and last column, row, slice
        first_column, last_column, first_row, last_row, first_slice, last_slice = (int(one) for one in numbers[16:])
        offset = (offset[0] - first_slice, offset[1] - first_row, offset[2] - first_column)
        return last_column - first_column + 1, last_row - first_row + 1, last_slice - first_slice + 1, offset
    # an old or foreign writer: the reference image is taken to begin where the offset counts from
    rows, columns = shape or (offset[1] + stored[1], offset[2] + stored[2])
    return columns, rows, offset[0] + stored[0], offset
