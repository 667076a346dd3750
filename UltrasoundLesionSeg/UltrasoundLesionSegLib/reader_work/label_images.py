"""Masks of several lesions as one label image a frame, also where lesions share pixels."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.reader_work.record import LesionLabels, damaged
from UltrasoundLesionSegLib.writers.masks import davis_palette

LabelImage = NDArray[np.uint16]
LARGEST = 2**16 - 1


def give_numbers(lesions: Sequence[str], *known: Mapping[str, int], removed: Iterable[int] = ()) -> dict[str, int]:
    """Return the number of each lesion, by which it stays the same lesion when it is renamed or another one removed.

    Parameters
    ----------
    lesions : sequence of str
        Names, each once.
    *known : mapping of str to int
        Numbers that lesions have had, the first mapping before the others. A lesion without one gets the next free
        one, so that without any they are counted from 1.
    removed : iterable of int
        Numbers of lesions that were removed: none is given again.
    """
    found: dict[str, int] = {}
    for numbers in known:
        for name in lesions:
            number = numbers.get(name, 0)
            if name not in found and 0 < number <= LARGEST and number not in found.values():
                found[name] = number
    taken = {*found.values(), *removed}
    free = (number for number in count(1) if number not in taken)
    return {name: found[name] if name in found else next(free) for name in lesions}


class LabelTable:
    """Which label value means which lesions: one value for each lesion, more for pixels that lesions share.

    Parameters
    ----------
    numbers : mapping of str to int
        The number of each lesion, which is the value of its own.
    """

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._labels: dict[tuple[str, ...], int] = {(name,): number for name, number in numbers.items()}

    @classmethod
    def of(cls, lesions: Iterable[LesionLabels]) -> LabelTable:
        """Return the table that a record or a result has."""
        listed = list(lesions)
        table = cls({})
        for label in sorted({label for one in listed for label in one.labels}):
            table._labels[tuple(one.name for one in listed if label in one.labels)] = label
        return table

    def lesions(self) -> tuple[LesionLabels, ...]:
        """Return the table as a record has it."""
        names = list(dict.fromkeys(name for names in self._labels for name in names))
        values = {name: sorted(label for names, label in self._labels.items() if name in names) for name in names}
        return tuple(LesionLabels(name, tuple(values[name])) for name in names)

    def image(self, masks: Mapping[str, Mask], shape: tuple[int, int]) -> LabelImage:
        """Merge masks into a label image, uint16 (H, W); pixels that several lesions have get a value of their own.

        Parameters
        ----------
        masks : mapping of str to ndarray of bool, shape (H, W)
            By lesion.
        shape : (int, int)
            ``(H, W)``.

        Raises
        ------
        ReviewError
            When there are more values than a label image holds.
        """
        image = np.zeros(shape, np.uint16)
        names = [name for name, mask in masks.items() if mask.any()]
        for name in names:
            image[masks[name]] = self._labels[(name,)]
        depth = np.zeros(shape, np.uint16)
        for name in names:
            depth += masks[name]
        shared = depth > 1
        if shared.any():
            stack = np.stack([masks[name][shared] for name in names], axis=1)
            rows, places = np.unique(stack, axis=0, return_inverse=True)
            values = [self._label(tuple(name for name, on in zip(names, row, strict=True) if on)) for row in rows]
            image[shared] = np.array(values, np.uint16)[places.ravel()]
        return image

    def _label(self, names: tuple[str, ...]) -> int:
        label = self._labels.setdefault(names, max(self._labels.values()) + 1)
        if label > LARGEST:
            raise ReviewError(f"the lesions share pixels in more than {LARGEST} ways; let fewer of them overlap")
        return label


def mask_of(image: NDArray[Any], lesion: LesionLabels) -> Mask:
    """Return a lesion's mask, bool (H, W), from a label image."""
    first, *shared = lesion.labels
    mask: Mask = image == first
    return mask | np.isin(image, shared) if shared else mask  # isin is slow, and most lesions share no pixel


def digest_of(image: LabelImage) -> str:
    """Return what a label image is called by: 16 hex digits of the SHA-256 over its shape and values."""
    height, width = image.shape
    state = hashlib.sha256(f"{height} {width}\n".encode("ascii"))
    state.update(np.ascontiguousarray(image, "<u2").tobytes())
    return state.hexdigest()[:16]


def encode(image: LabelImage) -> bytes:
    """Return a label image as PNG: 8 bits with a palette, 16 bits grey where a value does not fit."""
    if image.max(initial=0) < 256:
        picture = Image.fromarray(image.astype(np.uint8))
        picture.putpalette(davis_palette())
    else:
        picture = Image.fromarray(image)
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=1)  # a third of the time, and areas of one value stay small
    return stream.getvalue()


def decode(content: bytes, shape: tuple[int, int]) -> LabelImage:
    """Read a PNG that ``encode`` wrote.

    Parameters
    ----------
    content : bytes
        Of the file.
    shape : (int, int)
        ``(H, W)`` that it must have.

    Raises
    ------
    ReviewError
        When it is something else, or of another size.
    """
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if picture.size != (shape[1], shape[0]):
                raise damaged()
            return np.asarray(picture).astype(np.uint16)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise damaged() from None
