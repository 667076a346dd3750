"""Which grey level, 0 to 255, each stored value of a DICOM object is shown as; the same in all its frames.

Eight bits are never rescaled, so that echo levels stay those of the file. Only a header that inverts them is obeyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.readers import dicom_header

_BYTE = 8
_UNUSED_BITS = 2
"""Bits without use in any value from which on black to white is the range of the bits in use."""

_DARKEST_WHITE = 1 / 8
_MOST_CLIPPED = 0.5
"""Share of a window that the values reach at least, and of the pixels above the lowest value that may lie beyond it."""


@dataclass(frozen=True)
class Levels:
    """The level of each stored value.

    Parameters
    ----------
    table : ndarray of uint8
        By the value's bit pattern, 256 or 65,536 of them.
    notes : tuple of str
    """

    table: NDArray[np.uint8]
    notes: tuple[str, ...] = ()

    def fit(self, pixels: NDArray[Any]) -> bool:
        """Whether the table is for pixels of this dtype, of any shape."""
        return len(self.table) == 256**pixels.dtype.itemsize

    def of(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the levels, uint8, of pixels of 8 or 16 bits, of any shape and byte order."""
        native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))  # big-endian files keep their order
        patterns = native.view(f"u{pixels.dtype.itemsize}")
        if len(self.table) == 256 and bool((self.table == np.arange(256)).all()):
            return np.asarray(patterns, np.uint8)
        return self.table[patterns]


def find_levels(header: Dataset, samples: Sequence[NDArray[Any]], bits: int) -> Levels:
    """Return the levels of grey pixels: by the header's tables and window (PS3.3 C.11.1, C.11.2), else by their range.

    Parameters
    ----------
    header : Dataset
    samples : sequence of ndarray, shape (H, W)
        Frames as they are stored, of one integer type of 8 or 16 bits.
    bits : int
        Of a value.
    """
    limits = np.iinfo(samples[0].dtype)
    stored = np.arange(limits.min, limits.max + 1)
    counts = np.sum(
        [np.bincount(one.ravel().astype(np.int64) - limits.min, minlength=len(stored)) for one in samples], 0
    )
    seen = np.flatnonzero(counts)[[0, -1]]
    notes: list[str] = []
    values = _rescaled(header, stored)
    shown = _by_table(header, values)
    if shown is None:
        window = _window(header)
        if window is not None and not _fits(window, values, counts):
            notes.append("The brightness window in the DICOM header does not fit the picture: it is not used.")
            window = None
        if window is None:
            window, range_notes = _range(stored[seen], bits, limits.min < 0)
            notes += range_notes
            # the range is that of the stored values; only their direction is the header's
            values = stored if values[-1] > values[0] else window[0] + window[1] - stored
        shown = (values - window[0]) * (255 / (window[1] - window[0]))
    is_turned = bool(shown[-1] < shown[0])
    if limits.max == 255 and bits == _BYTE:
        notes = []
        shown = 255.0 - stored if is_turned else stored
    if _is_inverse(header):
        shown, is_turned = 255.0 - shown, not is_turned
    if is_turned:
        notes.append(
            "The picture is stored with dark and bright exchanged, as the DICOM header says: it is shown the right way."
        )
    by_pattern = np.roll(shown, limits.min)
    return Levels(by_pattern.round().clip(0, 255).astype(np.uint8), tuple(notes))


def _rescaled(header: Dataset, stored: NDArray[Any]) -> NDArray[Any]:
    """Return stored values after the Modality LUT, or the slope and intercept (PS3.3 C.11.1)."""
    by_table = _looked_up(header, "ModalityLUTSequence", stored)
    if by_table is not None:
        return by_table
    slope = dicom_header.number(header, "RescaleSlope") or 1.0
    return stored * slope + (dicom_header.number(header, "RescaleIntercept") or 0.0)


def _by_table(header: Dataset, values: NDArray[Any]) -> NDArray[Any] | None:
    """Return the levels of the first VOI LUT (PS3.3 C.11.2.1.1), None without one."""
    shown = _looked_up(header, "VOILUTSequence", values)
    if shown is None or shown.max() <= shown.min():
        return None
    bits = max(_BYTE, int(shown.max()).bit_length())
    return shown * (255 / (2**bits - 1))


def _looked_up(header: Dataset, keyword: str, values: NDArray[Any]) -> NDArray[Any] | None:
    """Return values by the first table of a sequence, None where it has none that can be read.

    Entries of 8 bits may be packed or have a word each; the length of the data tells. pydicom takes them as packed.
    """
    for item in dicom_header.items(header, keyword)[:1]:
        descriptor, data = dicom_header.numbers(item, "LUTDescriptor"), dicom_header.value_or(item, "LUTData", b"")
        if len(descriptor) != 3:
            continue
        count, first = int(descriptor[0]) % 2**16 or 2**16, descriptor[1]
        if isinstance(data, bytes):
            is_little_endian = getattr(header, "original_encoding", (None, True))[1] is not False
            word = np.dtype("<u2" if is_little_endian else ">u2") if len(data) >= 2 * count else np.dtype(np.uint8)
            entries = np.frombuffer(data[: count * word.itemsize], word)
        else:
            entries = np.array(dicom_header.numbers(item, "LUTData"))
        if len(entries) < count:
            continue
        first -= 2**16 if values.min() < 0 and first >= 2**15 else 0
        return entries[np.clip(values.round() - first, 0, count - 1).astype(np.int64)].astype(np.float64)
    return None


def _window(header: Dataset) -> tuple[float, float] | None:
    """Return the values that the header's first window shows as black and as white (PS3.3 C.11.2.1.2.1)."""
    centers, widths = dicom_header.numbers(header, "WindowCenter"), dicom_header.numbers(header, "WindowWidth")
    if not centers or not widths or widths[0] <= 1:
        return None
    low = centers[0] - 0.5 - (widths[0] - 1) / 2
    return low, low + widths[0] - 1


def _fits(window: tuple[float, float], values: NDArray[Any], counts: NDArray[Any]) -> bool:
    """Whether a window shows something: the values reach into it, and most do not lie beyond it."""
    used = counts > 0
    lowest, highest = values[used].min(), values[used].max()
    if lowest == highest:
        return True
    above_lowest = counts[values > lowest].sum()
    is_clipped = counts[values >= window[1]].sum() > _MOST_CLIPPED * above_lowest and highest > 2 * window[1]
    return bool(highest - window[0] >= _DARKEST_WHITE * (window[1] - window[0]) and not is_clipped)


def _range(seen: NDArray[Any], bits: int, is_signed: bool) -> tuple[tuple[float, float], list[str]]:
    """Return the values to show as black and white without a window: those of the bits that are in use."""
    low, high = (int(one) for one in seen)
    is_below_zero = low < 0
    told = bits - (is_signed and not is_below_zero)
    used = max(high.bit_length(), (~low).bit_length() if is_below_zero else 0) + is_below_zero
    used = max(used, min(_BYTE, told))
    notes: list[str] = []
    if low == high or told - used < _UNUSED_BITS:
        used = max(told, used)
    else:
        notes.append(f"The picture is stored very dark ({used} of its {told} bits are used): it is shown brighter.")
    return ((-(2.0 ** (used - 1)), 2.0 ** (used - 1) - 1) if is_below_zero else (0.0, 2.0**used - 1)), notes


def _is_inverse(header: Dataset) -> bool:
    """Whether grey that is not MONOCHROME1 is to be shown inverted (PS3.3 C.11.6)."""
    shape = dicom_header.text(header, "PresentationLUTShape")
    return shape == "INVERSE" and dicom_header.text(header, "PhotometricInterpretation") == "MONOCHROME2"
