"""The pixels of a segmentation file, one plane at a time, whatever its type."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom
from UltrasoundLesionSegLib.errors import SeedError

_TYPES = ("BINARY", "FRACTIONAL", "LABELMAP")


class SegmentationPlanes:
    """Random access to the planes of a segmentation, decoded when asked for.

    One-bit pixels are taken from the whole bit stream, so frames that do not start at a byte are exact too: there are
    no padding bits between frames (PS3.5 8.1.1).

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
            is_little_endian = dataset.file_meta.TransferSyntaxUID.is_little_endian
        except Exception:
            raise damaged() from None
        if self.type not in _TYPES or not self._data or self.rows < 1 or self.columns < 1 or self.count < 1:
            raise SeedError("the segmentation has no masks this program can read; save it as a binary DICOM SEG")
        if self._bits == 1 and not is_little_endian:
            raise SeedError("the segmentation is stored in a byte order no longer in use; save it as little endian")
        if self._bits == 1 and len(self._data) * 8 < self.count * self.rows * self.columns:
            raise SeedError("the segmentation's pixel data is cut short; get the file again from where it came")

    def stored(self, index: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Return a plane as stored: 0/1, fractions, or labels, shape (H, W).

        Raises
        ------
        SeedError
            When the plane cannot be decoded.
        """
        if self._bits == 1:
            pixels = self.rows * self.columns
            first, last = index * pixels, (index + 1) * pixels
            data = np.frombuffer(self._data, np.uint8, (last + 7) // 8 - first // 8, first // 8)
            bits = np.unpackbits(data, bitorder="little")[first % 8 :][:pixels]
            return bits.reshape(self.rows, self.columns)
        try:
            with quiet_dicom():
                plane = pixel_array(self._dataset, index=index)
        # decoders raise anything on damaged data, and quote it
        except Exception:
            plane = np.empty(0)
        if plane.shape != (self.rows, self.columns):
            raise SeedError(f"mask {index + 1} of the segmentation cannot be decoded; save it without compression")
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
