"""Seeds in files: pictures, label volumes and Slicer's .seg.nrrd -> label maps. (DICOM SEG: see ``dicom/``.)"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from UltrasoundLesionSegLib.errors import EmptySeedError, SeedError, SourceError
from UltrasoundLesionSegLib.readers.merged_frames import merged_note, pages_by_frame
from UltrasoundLesionSegLib.readers.seed_levels import LabelMap, Painted
from UltrasoundLesionSegLib.readers.seed_paints import MAX_LESIONS
from UltrasoundLesionSegLib.readers.seed_pictures import read_mask_video, read_picture
from UltrasoundLesionSegLib.readers.seed_segments import is_segmentation, read_segments
from UltrasoundLesionSegLib.readers.seed_volumes import RESAMPLED, read_volume_seed
from UltrasoundLesionSegLib.readers.sniff import Format, sniff
from UltrasoundLesionSegLib.readers.volume_headers import read_volume_header
from UltrasoundLesionSegLib.readers.volume_space import Space

MAX_LABEL = MAX_LESIONS
"""Label values up to this number lesions; a picture with higher ones is painted in levels."""

SUFFIXES = (
    *("png", "bmp", "tif", "tiff", "jpg", "jpeg", "gif", "webp", "jp2", "avif"),
    *("seg.nrrd", "nrrd", "mha", "mhd", "nii", "nii.gz"),
)
"""Of the files that are looked for as seeds beside a cine; their content decides how they are read."""

_VOLUMES = (Format.NRRD, Format.META_IMAGE, Format.NIFTI)
_ASK = "paint the lesion on a frame of this cine and save that"
# annotation programs write outlines as JSON, XML or ZIP, which say nothing without the program's own rules
_NO_MASK = (
    "the seed is no mask file; give a PNG, NRRD, MHA or .seg.nrrd mask, as which annotation programs export outlines"
)


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
    remarks : tuple of str
        How the file was read, in phrases, where it is no plain mask or label image.
    """

    masks: dict[int | None, LabelMap]
    names: dict[int, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def read_seed_file(
    path: Path | str, shape: tuple[int, int] | None = None, space: Space | None = None, count: int | None = None
) -> SeedFile:
    """Read the lesions painted in a file.

    * Pictures: labels of 1 to 64 (grey values, or the numbers of a palette whose colours tell them apart); else the
      even colours or levels are lesions, each to where it is half way to the background, which is what touches the
      frame's border. Several pages, animated pictures and videos are several frames.
    * NRRD, MHA, NIfTI label volumes ``(H, W)``, ``(1, H, W)``, or ``(T, H, W)`` with a label map a frame, by the same
      rules; one in another grid than the cine is put where its place in space says.
    * .seg.nrrd of 3D Slicer: segment n is lesion n + 1 under its own name. A cropped label map is put where it belongs
      in the reference image. Where segments overlap, the first one has the pixel.

    Parameters
    ----------
    path : Path or str
    shape : tuple of int, optional
        ``(H, W)`` of the cine: pictures of another size are refused, and a cropped .seg.nrrd may not say how large its
        reference image was.
    space : Space, optional
        Where the cine lies, for volumes in another grid.
    count : int, optional
        Frames of the cine, for animations whose writer merged equal masks.

    Returns
    -------
    SeedFile

    Raises
    ------
    SeedError
        When the file cannot be read, is no mask, it cannot be told what is lesion in it, or nothing is.
    """
    try:
        found = _read(Path(path), shape, space, count)
    except SourceError as error:
        raise SeedError(f"the seed cannot be read: {error}") from None
    except OSError as error:
        raise SeedError(f"the seed cannot be read ({error.strerror or type(error).__name__}); save it again") from None
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError):
        raise SeedError("the seed's header is damaged; save it again") from None
    if not found.masks:
        raise EmptySeedError(f"the seed is empty: no lesion is painted in it; {_ASK}")
    return found


def _read(path: Path, shape: tuple[int, int] | None, space: Space | None, count: int | None) -> SeedFile:
    kind = sniff(path)
    if kind in _VOLUMES:
        header = read_volume_header(path, kind)
        if is_segmentation(header):
            masks, names, is_resampled = read_segments(header, path, shape, space)
            return SeedFile(masks, names, (RESAMPLED,) if is_resampled else ())
        masks, remarks = read_volume_seed(header, path, space)
        return SeedFile(masks, {}, remarks)
    if kind is Format.DICOM:
        raise SeedError(_NO_MASK)
    try:
        painted = read_mask_video(path) if kind is Format.VIDEO else read_picture(path, shape)
    except SourceError as error:
        if kind in (Format.IMAGE, Format.VIDEO):
            raise SeedError(f"the seed's picture is damaged: {error}") from None
        raise SeedError(_NO_MASK) from None
    if len(painted.labels) == 1:
        return SeedFile({None: painted.labels[0]} if painted.labels[0].any() else {}, {}, painted.remarks)
    labels, remarks = _by_frame(painted, count)
    return SeedFile({frame: one for frame, one in enumerate(labels) if one.any()}, {}, (*painted.remarks, *remarks))


def _by_frame(painted: Painted, count: int | None) -> tuple[list[LabelMap], tuple[str, ...]]:
    """Return the label map of each frame; of an animation, a picture that is shown for several frames is repeated."""
    pages = pages_by_frame(painted.lasting, count) if count is not None and painted.lasting else None
    if pages is not None:
        how = "masks that the animation shows longer are on as many frames"
        return [painted.labels[page] for page in pages], (how,)
    is_doubtful = len(painted.labels) != count and bool(merged_note(painted.lasting))
    how = "picture k of the animation is on frame k, though some are shown longer, as where equal ones were merged"
    return painted.labels, (how,) if is_doubtful else ()
