"""A folder of pictures, or one picture -> `Cine` (DAVIS JPEGImages/<video>, BUV2022 images/<video>)."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cine import Cine, Frame, SourceIdentity, SourceKind
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import frames
from UltrasoundLesionSegLib.readers.digest import digest_of_digests, unreadable
from UltrasoundLesionSegLib.readers.likeness import likeness_note
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.quiet import quiet
from UltrasoundLesionSegLib.readers.tiff_values import TIFF_MAGIC, first_page, first_size

_SAME_SIZE_SHARE = 0.9
_ORIENTATION, _UPRIGHT = 274, 1
"""The tag of EXIF (CIPA DC-008, 4.6.5), and its value for a picture that is stored as it is shown."""

_DECIMAL = re.compile(r"(?P<name>.*?)(?P<whole>[0-9]{1,9})(?:\.(?P<fraction>[0-9]{1,15}))?")
_DEEP_MODES = ("RGB", "RGBA", "LA")
"""Of which Pillow drops the lower 8 bits of 16."""

_GREY_MODES = ("1", "LA", "La")
_PLAIN_MODES = ("L", "RGB", "I", "F", "I;16", "I;16L", "I;16B")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key by which ``10.png`` follows ``9.png``, whatever their zeros and case."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


def by_decimals(paths: Sequence[Path]) -> list[Path]:
    """Return pictures in the order of the decimal numbers that their names end with, else in the order given.

    Such are times of which 0.2 follows 0.16: of fractions of several lengths, some begin with 0 and none ends with it.
    """
    found = [_DECIMAL.fullmatch(path.stem) for path in paths]
    ends = [one for one in found if one is not None]
    fractions = [one["fraction"] for one in ends if one["fraction"]]
    is_decimal = (
        len(ends) == len(found)
        and len({one["name"] for one in ends}) == 1
        and len({len(one) for one in fractions}) > 1
        and any(one.startswith("0") for one in fractions)
        and not any(one.endswith("0") for one in fractions)
    )
    if not is_decimal:
        return list(paths)
    numbers = [float(f"{one['whole']}.{one['fraction'] or 0}") for one in ends]
    return [paths[at] for at in sorted(range(len(paths)), key=numbers.__getitem__)]


class ImageFrames(frames.CachedFrames):
    """Frames in a picture file each.

    Parameters
    ----------
    paths : sequence of Path
    height, width : int
    is_color : bool
    levels : tuple of float
        The values shown as 0 and 255.
    """

    def __init__(
        self, paths: Sequence[Path], height: int, width: int, is_color: bool, levels: tuple[float, float]
    ) -> None:
        super().__init__(len(paths), height, width, is_color)
        self._paths = tuple(paths)
        self._levels = levels

    def _decode(self, index: int) -> Frame:
        return frames.to_uint8(decode_image(self._paths[index], index), self._levels)


def decode_image(path: Path, index: int) -> NDArray[Any]:
    """Return a picture file as ``(H, W)`` or ``(H, W, 3)`` RGB in its own values; transparency is dropped.

    Raises
    ------
    FrameError
        For frame ``index``, when it cannot be read or is cut off.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FrameError(index, f"its file cannot be opened ({error.strerror})") from None
    try:
        picture = _decoded(data)
    except Exception as error:  # Pillow and OpenCV raise whatever the damage leads to
        raise FrameError(index, f"its picture is damaged ({type(error).__name__})") from None
    return picture


def _decoded(data: bytes) -> NDArray[Any]:
    if data.startswith(TIFF_MAGIC):
        with quiet():
            values = first_page(io.BytesIO(data))
        if values is not None:
            return values
    with quiet(), Image.open(io.BytesIO(data)) as image:
        check_frame_size(image.height, image.width)
        image.load()  # raises for a picture that is cut off, which OpenCV fills with grey silently
        if image.mode in _DEEP_MODES and image.format == "PNG" and data[24] == 16:
            # the upper 8 bits alone are wrong where few are used
            deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
            if deep is None:
                raise ValueError
            return np.asarray(cv2.cvtColor(deep, cv2.COLOR_BGR2RGB))
        return image_values(image)


def image_values(image: Image.Image) -> NDArray[Any]:
    """Return a picture that Pillow has decoded as ``(H, W)`` or ``(H, W, 3)`` RGB; transparency is dropped."""
    if image.mode in _GREY_MODES:
        return np.asarray(image.convert("L"))
    return np.asarray(image if image.mode in _PLAIN_MODES else image.convert("RGB"))


def read_image_folder(paths: Sequence[Path]) -> Cine:
    """Read picture files, given in the order of the frames.

    All files are read once for the digest; on the way their sizes are compared from their headers. A file that is no
    picture or of another size keeps its place, so that frame numbers stay those of the files; asking for it raises
    ``FrameError``.

    Raises
    ------
    SourceError
        When no picture can be read, or more than a tenth of them have another size.
    """
    digests, sizes = [], []
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise unreadable(error) from None
        digests.append(hashlib.sha256(data).hexdigest())
        sizes.append(_size(data))
    counts = Counter(size for size in sizes if size is not None)
    if not counts:
        raise SourceError("no picture of the source can be read; choose a folder of PNG, JPEG, BMP or TIFF frames")
    (height, width), same = counts.most_common(1)[0]
    check_frame_size(height, width)
    check_frame_count(len(paths))
    if same < _SAME_SIZE_SHARE * counts.total():
        raise SourceError(
            f"the pictures have {len(counts)} different sizes; put the frames of one cine into a folder of their own"
        )
    unreadable_frames = len(paths) - same
    readable = [position for position, size in enumerate(sizes) if size == (height, width)]
    indices = [readable[one] for one in frames.sampled_indices(len(readable), frames.COLOR_SAMPLES)]
    levels, is_color, failed = frames.look_at_values(
        lambda index: decode_image(paths[index], index), indices, frames.LOSSY_GREY_TOLERANCE
    )
    note = f"{unreadable_frames} of the {len(paths)} pictures are damaged or of another size; the others are used."
    digest = digests[0] if len(digests) == 1 else digest_of_digests(digests)
    return Cine(
        ImageFrames(paths, height, width, is_color, levels),
        height,
        width,
        is_color,
        SourceIdentity(SourceKind.IMAGES, digest, (), tuple(paths)),
        notes=(
            *((note,) if unreadable_frames else ()),
            *((frames.unreadable_note(failed, len(indices)),) if failed else ()),
            *_name_notes(paths),
            *likeness_note(lambda index: frames.to_uint8(decode_image(paths[index], index), levels), len(paths)),
            *_equal_note(digests),
            *_orientation_note(paths[readable[0]]),
            *frames.levels_note(levels),
        ),
    )


def _name_notes(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the sentences on numbers in the pictures' names that leave some out, or that some names do not have."""
    numbers, what = _numbers(paths), "pictures' names"
    without = sum(not re.search(r"[0-9]", path.stem) for path in paths)
    if 0 < without < len(paths) / 2:
        have, are = ("has", "it is a frame") if without == 1 else ("have", "they are frames")
        return (f"{without} of the {len(paths)} pictures {have} no number in the name: {are} in the order of names.",)
    if len(paths) > 1 and without == len(paths):
        return ("The pictures' names have no numbers: the frames are in the order of the names, which may be another.",)
    return (*frames.gap_note(numbers, what), *frames.late_start_note(numbers, what))


def _equal_note(digests: Sequence[str]) -> tuple[str, ...]:
    equal = len(digests) - len(set(digests))
    are = "is" if equal == 1 else "are"
    return (f"{equal} of the {len(digests)} pictures {are} equal to another, byte by byte.",) if equal else ()


def _orientation_note(path: Path) -> tuple[str, ...]:
    """Return the sentence on a picture that says to be turned or mirrored, as phones and cameras write it."""
    try:
        with quiet(), Image.open(path) as image:
            # Pillow turns TIFF itself
            is_turned = image.format != "TIFF" and image.getexif().get(_ORIENTATION, 0) not in (0, _UPRIGHT)
    except Exception:  # Pillow raises whatever the damage leads to
        return ()
    said = "The pictures say that they are to be turned or mirrored (EXIF): they are shown as stored."
    return (said,) if is_turned else ()


def _numbers(paths: Sequence[Path]) -> list[int]:
    """Return the last number in each file's name, [] when one has none."""
    found = [re.findall(r"[0-9]+", path.stem) for path in paths]
    return [int(numbers[-1]) for numbers in found] if all(found) else []


def _size(data: bytes) -> tuple[int, int] | None:
    """Return ``(height, width)`` from a picture's header, None when it has none."""
    try:
        if data.startswith(TIFF_MAGIC):
            with quiet():
                return first_size(io.BytesIO(data))
        with quiet(), Image.open(io.BytesIO(data)) as image:
            return image.height, image.width
    except Exception:  # Pillow raises whatever the damage leads to
        return None
