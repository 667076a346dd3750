"""One encoded DICOM frame -> a uint8 picture, grey or RGB.

pydicom decodes. What it does not settle is done here: colours that the header names wrongly, palettes, inverted grey
(MONOCHROME1), more than 8 bits.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.codestream import JPEG_8_BIT, JPEG_LS, KINDS, Codestream, read_codestream
from UltrasoundLesionSegLib.readers.dicom_colors import (
    YBR_422,
    disagreement_note,
    has_partial_range,
    is_stored_otherwise,
    looks_like_ybr,
    to_rgb,
)
from UltrasoundLesionSegLib.readers.dicom_levels import Levels, find_levels
from UltrasoundLesionSegLib.readers.quiet import quiet

_LOSSY = (*JPEG_8_BIT, JPEGLSNearLossless, JPEG2000, HTJ2K)
_GDCM_SYNTAXES = (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
)
_OF_JPEG = ("YBR_FULL", "YBR_FULL_422", "RGB")
_END_OF_IMAGE = b"\xff\xd9"
_LAST_BYTES = 128
"""Of a stream that hold its end marker; some programs fill up with other bytes than 0 behind it."""

_MOST_CHANNELS = 4


class FrameDecoder:
    """Decodes the frames of one DICOM object.

    What a compressed frame states of itself counts more than what the header says of it.

    Parameters
    ----------
    header : Dataset
        Everything before the pixel data.
    vr : str
        Value representation of the pixel data, 'OB' or 'OW'.
    levels : Levels, optional
        Those of other frames of the same cine; without them the first frame's own.

    Raises
    ------
    SourceError
        When the header does not describe pixels, or no decoder for the compression is installed.
    """

    def __init__(self, header: Dataset, vr: str = "OW", levels: Levels | None = None) -> None:
        self._header = header
        self._rows, self._columns = dicom_header.frame_size(header)
        self._syntax = dicom_header.transfer_syntax(header)
        self._decoders: dict[UID, Any] = {self._syntax: _decoder_for(self._syntax)}
        self._options = {**_pixel_options(header), "pixel_vr": vr}
        self._photometric = dicom_header.text(header, "PhotometricInterpretation")
        self._is_told = bool(self._photometric)
        if not self._is_told:
            self._photometric = "RGB" if self._options["samples_per_pixel"] == 3 else "MONOCHROME2"
            self._options["photometric_interpretation"] = self._photometric
        self._unused_bits = _unused_low_bits(header, self._options) if not self._syntax.is_compressed else 0
        self._palette = _palette(header) if self._photometric == "PALETTE COLOR" else None
        self._levels = levels
        self._is_fast = False
        self._is_ybr: bool | None = None
        self._is_partial: bool | None = None
        self._is_stored_otherwise: bool | None = None

    @property
    def is_lossy(self) -> bool:
        """Whether equal channels may differ by a few levels after decoding."""
        ratio_told = dicom_header.text(self._header, "LossyImageCompression") == "01"
        return ratio_told or self._syntax in _LOSSY

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the frames decoded so far."""
        if not self._is_told:
            read_as = (
                "YBR, by its black" if self._is_ybr else "RGB" if self._photometric == "RGB" else "grey, 0 is black"
            )
            return (f"The header does not say what its values are (Photometric Interpretation): read as {read_as}.",)
        colors = () if self._is_ybr is None else disagreement_note(self._photometric, self._is_ybr)
        return (*colors, *self._order_note(), *(self._levels.notes if self._levels else ()))

    def _order_note(self) -> tuple[str, ...]:
        if not self._is_stored_otherwise:
            return ()
        planar = self._options["planar_configuration"]
        found = "pixel by pixel" if planar else "plane by plane"
        return (
            f"The DICOM header describes wrongly how the colours are stored (Planar Configuration; they lie {found}): "
            "the picture is read as it is stored.",
        )

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
        stream = None
        try:
            stream = self._checked_stream(encoded)
            pixels = self._pillow_pixels(encoded) if self._is_fast else self._library_pixels(encoded, stream)
            if pixels.shape[:2] != (self._rows, self._columns):
                raise ValueError
            return self._as_uint8(pixels, stream)
        except Exception as error:  # the decoders raise whatever the damage leads to, StopIteration included
            raise FrameError(index, _reason(error, encoded, stream)) from None

    def _checked_stream(self, encoded: bytes) -> Codestream | None:
        """Return what a compressed frame states; raise ``ValueError`` when its size is not the header's or it is cut.

        A JPEG-LS stream without its end marker keeps the decoder busy for ever.
        """
        if not self._syntax.is_encapsulated:
            return None
        stream = read_codestream(encoded)
        is_ls = self._syntax in JPEG_LS or (stream is not None and stream.syntax in JPEG_LS)
        if is_ls and _END_OF_IMAGE not in encoded[-_LAST_BYTES:]:
            raise ValueError
        if stream is not None and (
            stream.channels > _MOST_CHANNELS or (stream.rows and (stream.rows, stream.columns) != self._size)
        ):
            raise ValueError
        return stream

    @property
    def _size(self) -> tuple[int, int]:
        return self._rows, self._columns

    def learn_fast_route(self, encoded: bytes) -> None:
        """Use Pillow alone from now on where it gives what pydicom gives for this frame.

        pydicom parses, checks and converts colours in numpy: 3.5 ms for a 480 x 640 JPEG frame where Pillow takes
        0.8 ms. They differ where the stream's colour markers and the header disagree; then pydicom stays.
        """
        if self._syntax not in JPEG_8_BIT:
            return
        try:
            slow, fast = self._library_pixels(encoded, self._checked_stream(encoded)), self._pillow_pixels(encoded)
        except Exception:  # a damaged frame cannot answer this; the caller tries another one
            return
        if slow.dtype == fast.dtype == np.uint8 and slow.shape == fast.shape:
            self._is_fast = bool(np.abs(slow.astype(np.int16) - fast).max() <= 1)

    def _pillow_pixels(self, encoded: bytes) -> NDArray[Any]:
        with quiet(), Image.open(io.BytesIO(encoded), formats=("JPEG",)) as image:
            return np.asarray(image)

    def _library_pixels(self, encoded: bytes, stream: Codestream | None) -> NDArray[Any]:
        """Decode with pydicom, or with GDCM where pydicom cannot; colours become RGB."""
        if not self._syntax.is_encapsulated:
            return self._native_pixels(encoded)
        syntax, options = self._syntax, self._options
        if stream is not None:
            syntax, options = self._syntax_of(stream), _with_stream(options, stream)
        # Pillow turns the colours of JPEG into RGB by the stream's own markers; of all others the samples are taken
        is_jpeg = syntax in JPEG_8_BIT
        is_color = options["samples_per_pixel"] == 3
        is_unmarked = is_color and is_jpeg and stream is not None and stream.is_unmarked
        if is_unmarked:  # the samples as they are
            options = {**options, "photometric_interpretation": "RGB"}
        elif is_color and not (is_jpeg and self._photometric in _OF_JPEG):
            options = {**options, "photometric_interpretation": "YBR_FULL_422" if is_jpeg else "RGB"}
        if syntax not in self._decoders:
            self._decoders[syntax] = _decoder_for(syntax)
        decoder = self._decoders[syntax]
        if decoder is None or (is_jpeg and options["bits_stored"] > 8):
            # SimpleITK takes 0.3 s to import and is rarely needed here
            from UltrasoundLesionSegLib.readers import gdcm_decoder

            pixels = gdcm_decoder.decode(encoded, syntax, options)
        else:
            with quiet():
                pixels = decoder.as_array(encapsulate([encoded], has_bot=False), index=0, **options)[0]
        if not is_color or (is_jpeg and not is_unmarked) or (stream is not None and stream.is_transformed):
            return pixels
        if stream is not None and stream.is_subsampled:
            self._is_ybr = True
        return self._as_rgb(pixels)

    def _syntax_of(self, stream: Codestream) -> UID:
        """Return the syntax to decode a stream in: the header's where it is one of the stream's kind."""
        if stream.syntax is None or any(self._syntax in one and stream.syntax in one for one in KINDS):
            return self._syntax
        return stream.syntax

    def _native_pixels(self, encoded: bytes) -> NDArray[Any]:
        """Return uncompressed pixels; 422 ones are expanded, and colours become RGB."""
        options = self._options
        if options["samples_per_pixel"] == 3:
            is_short = len(encoded) < self._rows * self._columns * 3
            if self._photometric in YBR_422 and is_short:
                self._is_ybr = True  # RGB has no such form
                options = {**options, "photometric_interpretation": "YBR_FULL_422", "raw": True}
                return self._as_rgb(self._decoded(encoded, options))
            return self._as_rgb(self._in_order(encoded, {**options, "photometric_interpretation": "RGB"}))
        if self._unused_bits:
            options = {**options, "bits_stored": options["bits_stored"] + self._unused_bits}
        pixels = self._decoded(encoded, options)
        return pixels >> self._unused_bits if self._unused_bits else pixels

    def _decoded(self, encoded: bytes, options: dict[str, Any]) -> NDArray[Any]:
        """Return uncompressed samples, their colours as they are."""
        with quiet():
            return np.asarray(self._decoders[self._syntax].as_array(encoded, index=0, **options)[0])

    def _in_order(self, encoded: bytes, options: dict[str, Any]) -> NDArray[Any]:
        """Return samples of colours in the order that they are stored in. The first frame decides for all."""
        other = {**options, "planar_configuration": 1 - int(options["planar_configuration"])}
        if self._is_stored_otherwise:
            return self._decoded(encoded, other)
        samples = self._decoded(encoded, options)
        if self._is_stored_otherwise is None and samples.dtype == np.uint8:
            self._is_stored_otherwise = is_stored_otherwise(samples, self._decoded(encoded, other))
            return self._in_order(encoded, options) if self._is_stored_otherwise else samples
        return samples

    def _as_rgb(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Turn samples into RGB where they are YBR. The first frame decides for all, so that no frame flickers."""
        if samples.dtype != np.uint8:
            return samples
        if self._is_ybr is None:
            self._is_ybr = looks_like_ybr(samples, self._photometric)
        if not self._is_ybr:
            return samples
        if self._is_partial is None:
            self._is_partial = has_partial_range(samples, self._photometric)
        return to_rgb(samples, self._is_partial)

    def _as_uint8(self, pixels: NDArray[Any], stream: Codestream | None) -> NDArray[np.uint8]:
        if pixels.ndim == 3:
            return pixels if pixels.dtype == np.uint8 else _narrowed(pixels, self._bits_of(pixels, stream))
        if self._palette is not None:
            return self._palette[np.clip(pixels.astype(np.int64), 0, len(self._palette) - 1)]
        if self._levels is None or not self._levels.fit(pixels):
            self._levels = find_levels(self._header, [pixels], self._bits_of(pixels, stream))
        shown = self._levels.of(pixels)
        return 255 - shown if self._photometric == "MONOCHROME1" else shown

    def _bits_of(self, pixels: NDArray[Any], stream: Codestream | None) -> int:
        """Return how many bits a value has."""
        bits = int(self._options["bits_stored"])
        if stream is None or pixels.dtype.itemsize == 1:
            return bits
        return min(bits, stream.bits) if bits > 8 else stream.bits

    def learn_levels(self, frames: Sequence[bytes]) -> Levels | None:
        """Find the grey levels of all frames in some of them, and return them; None where colours are stored."""
        read = []
        for encoded in frames:
            try:
                stream = self._checked_stream(encoded)
                pixels = self._library_pixels(encoded, stream)
            except Exception:  # a damaged frame is reported when it is asked for
                continue
            if pixels.ndim == 2 and pixels.shape == self._size:
                read.append((pixels, self._bits_of(pixels, stream)))
        kinds = {pixels.dtype for pixels, _ in read}
        if self._palette is None and len(kinds) == 1:
            self._levels = find_levels(self._header, [pixels for pixels, _ in read], read[0][1])
        return self._levels


def _narrowed(pixels: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Return colours of more than 8 bits, or signed ones, over the whole range of their bits."""
    low = -(2.0 ** (bits - 1)) if pixels.dtype.kind == "i" else 0.0
    shown = (pixels.astype(np.float32) - low) * (255 / (2.0**bits - 1))
    return shown.round().clip(0, 255).astype(np.uint8)


def _with_stream(options: dict[str, Any], stream: Codestream) -> dict[str, Any]:
    """Return the description of a frame's pixels with what its stream states in place of what the header says."""
    bytes_told, bits = options["bits_allocated"], stream.bits
    stored = min(options["bits_stored"], bits) if options["bits_stored"] > 8 else options["bits_stored"]
    is_told_right = (bits > 8) == (options["bits_stored"] > 8)
    channels = 3 if stream.channels == 3 else 1
    return {
        **options,
        # a compressed stream has an order of its own (PS3.5 8.2.1)
        "planar_configuration": 0,
        "samples_per_pixel": channels,
        "photometric_interpretation": options["photometric_interpretation"] if channels == 3 else "MONOCHROME2",
        "bits_allocated": bytes_told if is_told_right else (16 if bits > 8 else 8),
        "bits_stored": stored if is_told_right else bits,
    }


def _decoder_for(syntax: UID) -> Any | None:
    """Return pydicom's decoder, None where GDCM is to decode."""
    try:
        decoder = get_decoder(syntax)
        if decoder.is_available:
            return decoder
    except (NotImplementedError, ValueError):
        pass
    if syntax in _GDCM_SYNTAXES:
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


def _unused_low_bits(header: Dataset, options: dict[str, Any]) -> int:
    """Return how many bits below the stored ones mean nothing: High Bit counts from the highest (PS3.5 8.1.1)."""
    highest = dicom_header.integer(header, "HighBit")
    allocated, stored = int(options["bits_allocated"]), int(options["bits_stored"])
    return highest + 1 - stored if highest is not None and stored <= highest < allocated == 16 else 0


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


def _reason(error: Exception, encoded: bytes, stream: Codestream | None) -> str:
    """Return why a frame cannot be decoded, without quoting the decoder: it may quote the file."""
    if not encoded:
        return "it is empty"
    if stream is not None and stream.syntax is None:
        return "it is compressed in a kind of JPEG that cannot be decoded here"
    if isinstance(error, (ValueError, IndexError)):
        return "its pixels do not fit the size its header states, or its data are damaged"
    return f"its data are damaged ({type(error).__name__})"
