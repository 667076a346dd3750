"""One encoded DICOM frame -> a uint8 picture, grey or RGB.

pydicom decodes and turns YBR into RGB; nothing here converts it a second time. What pydicom leaves is done here:
palettes, inverted grey (MONOCHROME1), more than 8 bits.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID

from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.codestream import stated_form
from UltrasoundLesionSegLib.readers.quiet import quiet

_JPEG_8_BIT = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_LOSSY_PREFIXES = (*_JPEG_8_BIT, "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203")
# JPEG Extended and Lossless, JPEG-LS, JPEG 2000
_GDCM_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (51, 57, 70, 80, 81, 90, 91))
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_END_OF_IMAGE = b"\xff\xd9"
_MOST_CHANNELS = 4
_YBR = ("YBR_FULL", "YBR_FULL_422")


class FrameDecoder:
    """Decodes the frames of one DICOM object.

    Parameters
    ----------
    header : Dataset
        Everything before the pixel data.
    vr : str
        Value representation of the pixel data, 'OB' or 'OW'.

    Raises
    ------
    SourceError
        When the header does not describe pixels, or no decoder for the compression is installed.
    """

    def __init__(self, header: Dataset, vr: str = "OW") -> None:
        self._header = header
        self._rows, self._columns = dicom_header.frame_size(header)
        self._syntax = dicom_header.transfer_syntax(header)
        self._photometric = dicom_header.text(header, "PhotometricInterpretation")
        self._decoder = _decoder_for(self._syntax)
        self._options = {**_pixel_options(header), "pixel_vr": vr}
        self._palette = _palette(header) if self._photometric == "PALETTE COLOR" else None
        self._is_fast = False

    @property
    def is_lossy(self) -> bool:
        """Whether equal channels may differ by a few levels after decoding."""
        ratio_told = dicom_header.text(self._header, "LossyImageCompression") == "01"
        return ratio_told or str(self._syntax) in _LOSSY_PREFIXES

    def decode(self, index: int, encoded: bytes) -> NDArray[np.uint8]:
        """Return frame ``index`` as uint8 ``(H, W)`` or ``(H, W, 3)`` RGB.

        Parameters
        ----------
        index : int
            For the error alone.
        encoded : bytes
            The frame as `StoredFrames.encoded` gives it.

        Raises
        ------
        FrameError
            When the bytes are no picture of the size the header states.
        """
        try:
            self._check_form(encoded)
            pixels = self._pillow_pixels(encoded) if self._is_fast else self._library_pixels(encoded)
            if pixels.shape[:2] != (self._rows, self._columns):
                raise ValueError
            return self._as_uint8(pixels)
        except Exception as error:  # the decoders raise whatever the damage leads to, StopIteration included
            raise FrameError(index, _reason(error, encoded)) from None

    def _check_form(self, encoded: bytes) -> None:
        """Raise ``ValueError`` for a compressed frame that states another size than the header, or is cut off.

        A JPEG-LS stream without its end marker keeps the decoder busy for ever.
        """
        if str(self._syntax) in _JPEG_LS and not encoded.rstrip(b"\0").endswith(_END_OF_IMAGE):
            raise ValueError
        form = stated_form(encoded) if self._syntax.is_encapsulated else None
        if form is not None and (form[:2] != (self._rows, self._columns) or form[2] > _MOST_CHANNELS):
            raise ValueError

    def learn_fast_route(self, encoded: bytes) -> None:
        """Use Pillow alone from now on where it gives what pydicom gives for this frame.

        pydicom parses, checks and converts colours in numpy: 3.5 ms for a 480 x 640 JPEG frame where Pillow takes
        0.8 ms. They differ where the stream's colour markers and the header disagree; then pydicom stays.
        """
        if str(self._syntax) not in _JPEG_8_BIT:
            return
        try:
            self._check_form(encoded)
            slow, fast = self._library_pixels(encoded), self._pillow_pixels(encoded)
        except Exception:  # a damaged frame teaches nothing; the caller tries another
            return
        if slow.dtype == fast.dtype == np.uint8 and slow.shape == fast.shape:
            self._is_fast = bool(np.abs(slow.astype(np.int16) - fast).max() <= 1)

    def _pillow_pixels(self, encoded: bytes) -> NDArray[Any]:
        with quiet(), Image.open(io.BytesIO(encoded), formats=("JPEG",)) as image:
            return np.asarray(image)

    def _library_pixels(self, encoded: bytes) -> NDArray[Any]:
        """Decode with pydicom, or with GDCM where pydicom cannot."""
        if self._decoder is None:
            # SimpleITK takes 0.3 s to import and is rarely needed here
            from UltrasoundLesionSegLib.readers import gdcm_decoder

            return gdcm_decoder.decode(encoded, self._syntax, self._options)
        source = encapsulate([encoded], has_bot=False) if self._syntax.is_encapsulated else encoded
        options = self._options
        if not self._syntax.is_encapsulated and self._photometric in _YBR:
            options = {**options, "photometric_interpretation": self._native_colors(encoded)}
        with quiet():
            return self._decoder.as_array(source, index=0, **options)[0]

    def _native_colors(self, encoded: bytes) -> str:
        """Return what uncompressed pixels said to be YBR are; decompressed files often are RGB and still say YBR.

        Black is (0, 0, 0) in RGB and (0, 128, 128) in YBR, and both are full of it: told apart by whether the second
        and third channel are nearer to the first or to 128.
        """
        if len(encoded) < self._rows * self._columns * 3:
            return "YBR_FULL_422"
        samples = np.frombuffer(encoded, np.uint8, self._rows * self._columns * 3).astype(np.int16)
        is_planar = self._options.get("planar_configuration") == 1
        first, second, third = samples.reshape(3, -1) if is_planar else samples.reshape(-1, 3).T
        from_first = np.abs(second - first).mean() + np.abs(third - first).mean()
        from_middle = np.abs(second - 128).mean() + np.abs(third - 128).mean()
        return "RGB" if from_first < from_middle else "YBR_FULL"

    def _as_uint8(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        if self._palette is not None and pixels.ndim == 2:
            return self._palette[np.clip(pixels.astype(np.int64), 0, len(self._palette) - 1)]
        if pixels.dtype != np.uint8:
            pixels = self._windowed(pixels)
        return 255 - pixels if self._photometric == "MONOCHROME1" else pixels

    def _windowed(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Bring more than 8 bits, or signed pixels, to 0..255.

        By the first window of the header where it has one (PS3.3 C.11.2.1.2.1, after the rescaling of C.11.1), else
        by the whole range of the stored bits. The same for every frame, so that echo levels stay comparable.
        """
        bits = int(self._options["bits_stored"])
        low = -(2.0 ** (bits - 1)) if self._options["pixel_representation"] else 0.0
        high = low + 2.0**bits - 1
        values = pixels.astype(np.float32)
        centers = dicom_header.numbers(self._header, "WindowCenter")
        widths = dicom_header.numbers(self._header, "WindowWidth")
        if centers and widths and widths[0] > 1 and pixels.ndim == 2:
            slope = dicom_header.number(self._header, "RescaleSlope") or 1.0
            values = values * slope + (dicom_header.number(self._header, "RescaleIntercept") or 0.0)
            low = centers[0] - 0.5 - (widths[0] - 1) / 2
            high = low + widths[0] - 1
        return ((values - low) * (255 / (high - low))).round().clip(0, 255).astype(np.uint8)


def _decoder_for(syntax: UID) -> Any | None:
    """Return pydicom's decoder, None where GDCM is to decode."""
    try:
        decoder = get_decoder(syntax)
        if decoder.is_available:
            return decoder
    except (NotImplementedError, ValueError):
        pass
    if str(syntax) in _GDCM_SYNTAXES:
        return None
    raise SourceError(
        "the DICOM pixel data are compressed in a way that cannot be decoded here; "
        "export the cine uncompressed, as JPEG or as JPEG 2000"
    )


def _pixel_options(header: Dataset) -> dict[str, Any]:
    """Return pydicom's description of one frame's pixels."""
    with quiet():
        try:
            options: dict[str, Any] = dict(as_pixel_options(header))
            bits_allocated, bits_stored = int(options["bits_allocated"]), int(options["bits_stored"])
            is_described = bits_allocated in (8, 16) and 0 < bits_stored <= bits_allocated
            is_described &= options["samples_per_pixel"] in (1, 3) and options["pixel_representation"] in (0, 1)
        except Exception:  # missing and malformed elements raise many things
            is_described = False
    if not is_described:
        raise SourceError(
            "the DICOM header does not describe pixels of 8 or 16 bits, grey or RGB; export the cine again"
        )
    options.pop("extended_offsets", None)
    options.setdefault("planar_configuration", 0)
    return {**options, "number_of_frames": 1, "pixel_keyword": "PixelData"}


def _palette(header: Dataset) -> NDArray[np.uint8]:
    """Return the palette as uint8 ``(N, 3)``, or ``(N,)`` when it holds greys only (PS3.3 C.7.6.3.1.5)."""
    with quiet():
        try:
            bits = int(header.BitsAllocated)
            indices = np.arange(2**bits, dtype=np.uint8 if bits == 8 else np.uint16)
            colors = apply_color_lut(indices[np.newaxis], header)[0, :, :3]
        except Exception:  # a missing or short table raises many things
            raise SourceError(
                "the DICOM object says it has a palette but it is missing or damaged; export it again"
            ) from None
    # some devices write 8-bit colours into tables said to be of 16 bits
    colors = colors >> 8 if colors.dtype == np.uint16 and colors.max() > 255 else colors
    is_grey = bool((colors == colors[:, :1]).all())
    return np.ascontiguousarray(colors[:, 0] if is_grey else colors).astype(np.uint8)


def _reason(error: Exception, encoded: bytes) -> str:
    """Return why a frame cannot be decoded, without quoting the decoder: it may quote the file."""
    if not encoded:
        return "it is empty"
    if isinstance(error, (ValueError, IndexError)):
        return "its pixels do not fit the size its header states, or its data are damaged"
    return f"its data are damaged ({type(error).__name__})"
