"""The pixels of a segmentation file, one plane at a time, whatever its type."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import UID, RLELossless
from rle.utils import decode_segment

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.codestream import Codestream, read_codestream

# PS3.5 since 2025, not yet named by pydicom 3: each frame a deflated stream
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_RLE_HEADER = 64
_TYPES = ("BINARY", "FRACTIONAL", "LABELMAP")


class SegmentationPlanes:
    """Random access to the planes of a segmentation, decoded when asked for.

    Uncompressed one-bit pixels are taken from the whole bit stream, so frames that do not start at a byte are exact
    too: there are no padding bits between frames (PS3.5 8.1.1).

    Parameters
    ----------
    dataset : Dataset
        A Segmentation or Label Map Segmentation with its pixel data; kept, because planes are decoded from it.

    Raises
    ------
    SeedError
        When the pixel data is missing, cut short, or of a kind that is not a segmentation's.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        # elements are parsed when they are looked at, and pydicom then raises whatever the damage leads to
        try:
            self.rows, self.columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
            self.count = int(dataset.get("NumberOfFrames") or 1)
            self.type = str(dataset.get("SegmentationType"))
            self._bits = int(dataset.get("BitsAllocated") or 0)
            self._full = int(dataset.get("MaximumFractionalValue") or 255)
            self._data = dataset.get("PixelData") or b""
            told = dicom_header.text(dataset.file_meta, "TransferSyntaxUID")
            self._syntax = UID(told) if told else dicom_header.transfer_syntax(dataset)
            is_compressed = dataset["PixelData"].is_undefined_length if self._data else False
            if not self._syntax.is_transfer_syntax:
                raise ValueError
        except Exception:
            raise damaged() from None
        if self.type not in _TYPES or not self._data or self.rows < 1 or self.columns < 1 or self.count < 1:
            raise SeedError("the segmentation has no masks this program can read; save it as a binary DICOM SEG")
        self._is_packed = self._bits == 1 and not is_compressed
        if self._is_packed and not self._syntax.is_little_endian:
            raise SeedError("the segmentation is stored in a byte order no longer in use; save it as little endian")
        if self._is_packed and len(self._data) * 8 < self.count * self.rows * self.columns:
            raise SeedError("the segmentation's pixel data is cut short; get the file again from where it came")

    def stored(self, index: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Return a plane as stored: 0/1, fractions, or labels, shape (H, W).

        Raises
        ------
        SeedError
            When the plane cannot be decoded.
        """
        if self._is_packed:
            pixels = self.rows * self.columns
            first, last = index * pixels, (index + 1) * pixels
            data = np.frombuffer(self._data, np.uint8, (last + 7) // 8 - first // 8, first // 8)
            return self._unpacked(data, first % 8)
        try:
            with quiet_dicom():
                plane = self._one_bit_plane(index) if self._bits == 1 else pixel_array(self._dataset, index=index)
        # decoders raise anything on damaged data, and quote it
        except Exception:
            plane = np.empty(0)
        if plane.shape != (self.rows, self.columns):
            raise SeedError(f"mask {index + 1} of the segmentation cannot be decoded; save it without compression")
        return plane

    def _unpacked(self, data: NDArray[np.uint8], skipped: int = 0) -> NDArray[np.uint8]:
        """Return a plane of packed bits, the first pixel in the least significant one (PS3.5 8.1.1)."""
        pixels = self.rows * self.columns
        return np.unpackbits(data, bitorder="little")[skipped:][:pixels].reshape(self.rows, self.columns)

    def _one_bit_plane(self, index: int) -> NDArray[np.uint8]:
        """Decode a compressed plane of one-bit pixels.

        Image codecs hold a number a pixel; RLE and deflated frames the packed bits, or as some programs write them a
        byte a pixel.
        """
        table, lengths = self._dataset.get("ExtendedOffsetTable"), self._dataset.get("ExtendedOffsetTableLengths")
        offsets = (table, lengths) if table and lengths else None
        encoded = get_frame(self._data, index, number_of_frames=self.count, extended_offsets=offsets)
        stream = read_codestream(encoded)
        if self._syntax == _DEFLATED_FRAMES:
            # bounded: a few bytes can become gigabytes
            data = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(encoded, self.rows * self.columns)
        elif stream is not None and stream.syntax == RLELossless:
            data = decode_segment(encoded[_RLE_HEADER:])
        elif stream is not None and (stream.rows, stream.columns) == (self.rows, self.columns):
            return self._decoded(encoded, stream)
        else:
            raise ValueError
        values = np.frombuffer(data, np.uint8)
        if len(values) >= self.rows * self.columns:
            return values[: self.rows * self.columns].reshape(self.rows, self.columns)
        return self._unpacked(values)

    def _decoded(self, encoded: bytes, stream: Codestream) -> NDArray[np.uint8]:
        """Decode a plane of an image codec."""
        options: dict[str, Any] = {
            "rows": self.rows,
            "columns": self.columns,
            "samples_per_pixel": 1,
            "photometric_interpretation": "MONOCHROME2",
            "bits_allocated": 8,
            "bits_stored": stream.bits,
            "pixel_representation": 0,
            "number_of_frames": 1,
            "pixel_keyword": "PixelData",
        }
        source = encapsulate([encoded], has_bot=False)
        plane: NDArray[np.uint8] = get_decoder(self._syntax).as_array(source, index=0, **options)[0]
        return plane

    def labels(self, index: int) -> list[int]:
        """Return the labels of a label map's plane, ascending, without 0."""
        return [label for label in np.unique(self.stored(index)).tolist() if label]

    def mask(self, index: int, segment: int) -> Mask:
        """Return a plane as the mask of a segment, shape (H, W).

        Fractions count from half of Maximum Fractional Value on (PS3.3 C.8.20.2.3).
        """
        plane = self.stored(index)
        if self.type == "LABELMAP":
            return plane == segment
        if self.type == "FRACTIONAL":
            return plane.astype(np.uint32) * 2 >= self._full
        return plane != 0


def damaged() -> SeedError:
    """Return the error for a header that cannot be understood."""
    return SeedError("the segmentation's DICOM header is damaged; get the file again from where it came")
