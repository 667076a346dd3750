"""Planes of a segmentation before they are written, kept on disk so that a long cine does not fill the memory."""

from __future__ import annotations

import contextlib
import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.encoders import RLELosslessEncoder

from UltrasoundLesionSegLib.errors import OutputError

_LARGEST_NATIVE = 0xFFFFFFFE  # PS3.5 7.1.1: an even 32-bit length
_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_PIXEL_DATA = b"\xe0\x7f\x10\x00OB\x00\x00"


@dataclass(frozen=True)
class _Record:
    offset: int
    length: int


class PlaneStore:
    """Encoded planes in a temporary file, read back in any order.

    Keys are ``(segment, frame)``. The file has no name in the file system, so nothing is left after a crash.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self._records: dict[tuple[int, int], _Record] = {}
        self._end = 0

    def __enter__(self) -> PlaneStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # of what a full disk did not take: that was said, or nobody reads it
            self._file.close()

    def __len__(self) -> int:
        return len(self._records)

    def ordered_keys(self) -> list[tuple[int, int]]:
        """Return the keys in ascending order: by segment, then by frame."""
        return sorted(self._records)

    def put(self, key: tuple[int, int], data: bytes) -> None:
        """Append the encoded plane of a key not stored yet; ``OutputError`` when the disk is full."""
        self._records[key] = _Record(self._end, len(data))
        with self._has_room():
            self._file.seek(self._end)
            self._file.write(data)
        self._end += len(data)

    def get(self, key: tuple[int, int]) -> bytes:
        """Return the encoded plane of a key; ``OutputError`` when the disk is full."""
        record = self._records[key]
        with self._has_room():  # the planes put last reach the disk now
            self._file.seek(record.offset)
            return self._file.read(record.length)

    @staticmethod
    @contextlib.contextmanager
    def _has_room() -> Iterator[None]:
        try:
            yield
        except OSError:
            raise OutputError("the folder for temporary files has no room for the segmentation; make room") from None

    def length(self, key: tuple[int, int]) -> int:
        """Return the length of an encoded plane in bytes."""
        return self._records[key].length


def pack_plane(mask: NDArray[np.bool_]) -> bytes:
    """Return a mask, bool (H, W), as bits, the first pixel in the lowest bit (PS3.5 8.1.1), padded to whole bytes."""
    return np.packbits(mask, axis=None, bitorder="little").tobytes()


def compress_plane(labels: NDArray[np.uint8]) -> bytes:
    """Return a label plane ``(H, W)`` as one RLE frame (PS3.5 annex G)."""
    data = RLELosslessEncoder.encode(
        labels,
        rows=labels.shape[0],
        columns=labels.shape[1],
        samples_per_pixel=1,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        number_of_frames=1,
    )
    return data + b"\0" * (len(data) % 2)  # PS3.5 A.4: fragments have an even length


def join_bits(planes: Iterable[bytes], pixels: int) -> Iterator[bytes]:
    """Yield packed planes run together without padding between them (PS3.5 8.1.1).

    Parameters
    ----------
    planes : iterable of bytes
        Each from ``pack_plane``.
    pixels : int
        Pixels of a plane. When it is a multiple of 8 the planes are passed on as they are.
    """
    if pixels % 8 == 0:
        yield from planes
        return
    carry = np.empty(0, np.uint8)
    for plane in planes:
        bits = np.unpackbits(np.frombuffer(plane, np.uint8), count=pixels, bitorder="little")
        bits = np.concatenate([carry, bits])
        whole = len(bits) // 8 * 8
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
        carry = bits[whole:]
    yield np.packbits(carry, bitorder="little").tobytes()


def write_bits(file: BinaryIO, store: PlaneStore, pixels: int) -> None:
    """Write the Pixel Data element of one-bit planes, in the order of their keys.

    Parameters
    ----------
    file : binary file
    store : PlaneStore
    pixels : int
        Of a plane.

    Raises
    ------
    OutputError
        When it is longer than an element may be.
    """
    length = (len(store) * pixels + 7) // 8
    padded = length + length % 2
    if padded > _LARGEST_NATIVE:
        raise OutputError(
            f"a one-bit segmentation of {len(store)} frames of this size is over the 4 GB a DICOM element can hold; "
            "write it as a label map, which is compressed"
        )
    file.write(_PIXEL_DATA + struct.pack("<I", padded))
    for part in join_bits((store.get(key) for key in store.ordered_keys()), pixels):
        file.write(part)
    file.write(b"\0" * (padded - length))


def write_fragments(file: BinaryIO, store: PlaneStore) -> None:
    """Write the encapsulated Pixel Data element (PS3.5 A.4), one fragment a frame, with its Basic Offset Table."""
    keys = store.ordered_keys()
    lengths = [store.length(key) for key in keys]
    offsets = np.concatenate([[0], np.cumsum([8 + length for length in lengths])[:-1]])
    # an offset is 32 bits; beyond that the table stays empty, which is allowed, and readers walk the fragments
    table = offsets.astype("<u4").tobytes() if offsets[-1] <= _LARGEST_NATIVE else b""
    file.write(_PIXEL_DATA + b"\xff\xff\xff\xff")
    file.write(_ITEM + struct.pack("<I", len(table)) + table)
    for key, length in zip(keys, lengths, strict=True):
        file.write(_ITEM + struct.pack("<I", length))
        file.write(store.get(key))
    file.write(_SEQUENCE_END)
