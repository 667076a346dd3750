"""One DICOM file -> `Cine`."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import Cine, Frame
from UltrasoundLesionSegLib.errors import FrameError
from UltrasoundLesionSegLib.readers import dicom_header, dicom_pixels, frames
from UltrasoundLesionSegLib.readers.dicom_calibration import read_calibration
from UltrasoundLesionSegLib.readers.dicom_decode import FrameDecoder
from UltrasoundLesionSegLib.readers.dicom_identity import identity_of
from UltrasoundLesionSegLib.readers.dicom_pixels import StoredFrames
from UltrasoundLesionSegLib.readers.dicom_places import places_note, places_of_frames
from UltrasoundLesionSegLib.readers.dicom_timing import order_notes, read_timing


class DicomFrames(frames.CachedFrames):
    """The frames of one DICOM file, each found by its offset and decoded alone.

    Parameters
    ----------
    stored : StoredFrames
    decoder : FrameDecoder
    height, width : int
    is_color : bool
    """

    def __init__(self, stored: StoredFrames, decoder: FrameDecoder, height: int, width: int, is_color: bool) -> None:
        super().__init__(len(stored), height, width, is_color)
        self._stored = stored
        self._decoder = decoder

    def _decode(self, index: int) -> Frame:
        return decode_stored(self._stored, self._decoder, index)


def decode_stored(stored: StoredFrames, decoder: FrameDecoder, index: int) -> Frame:
    """Return one stored frame, grey or RGB; raise ``FrameError`` when it cannot be read."""
    return decoder.decode(index, encoded_frame(stored, index))


def encoded_frame(stored: StoredFrames, index: int) -> bytes:
    """Return the encoded bytes of a frame; raise ``FrameError`` when the file cannot be opened any more."""
    try:
        return stored.encoded(index)
    except OSError as error:
        raise FrameError(index, f"the source cannot be opened any more ({error.strerror})") from None


def read_dicom_file(path: Path) -> Cine:
    """Read a multi-frame or single-frame DICOM object.

    What kind of source it is, see `identity_of`.

    Raises
    ------
    SourceError
        When it is no cine, or no frame can be read.
    """
    header, stored = dicom_pixels.read_object(path)
    if dicom_pixels.is_video(header):
        from UltrasoundLesionSegLib.readers.encapsulated_video import read_encapsulated_video  # loads PyAV

        return read_encapsulated_video(path, header, stored)
    height, width = dicom_header.frame_size(header)
    decoder = FrameDecoder(header, stored.vr)
    is_color, notes = look_at_object(header, stored, decoder)
    calibration, timing = read_calibration(header), read_timing(header, len(stored))
    order = (*places_note(places_of_frames(header)), *order_notes(header, len(stored)))
    return Cine(
        DicomFrames(stored, decoder, height, width, is_color),
        height,
        width,
        is_color,
        identity_of(path, header, len(stored)),
        calibration.whole,
        calibration.regions,
        timing.timing,
        (*stored.notes, *notes, *calibration.notes, *timing.notes, *order),
        calibration.pixel_aspect,
        calibration.other_regions,
    )


def look_at_object(header: Dataset, stored: StoredFrames, decoder: FrameDecoder) -> tuple[bool, tuple[str, ...]]:
    """Decode some frames: return whether the cine is in colour, and notes on frames that cannot be read.

    A single-channel cine is grey whatever it shows, so only its first, middle and last frame are decoded.
    """
    is_one_channel = dicom_header.integer(header, "SamplesPerPixel") == 1
    is_palette = dicom_header.text(header, "PhotometricInterpretation") == "PALETTE COLOR"
    samples = frames.GREY_SAMPLES if is_one_channel and not is_palette else frames.COLOR_SAMPLES
    indices = frames.sampled_indices(len(stored), samples)
    for index in indices[:2]:
        decoder.learn_fast_route(encoded_frame(stored, index))
    deep = dicom_header.integer(header, "BitsAllocated") != 8
    seen = frames.sampled_indices(len(stored), frames.COLOR_SAMPLES if deep else 1)
    decoder.learn_levels([encoded_frame(stored, index) for index in seen])
    tolerance = frames.LOSSY_GREY_TOLERANCE if decoder.is_lossy else 0
    is_color, failed = frames.look_at_samples(lambda index: decode_stored(stored, decoder, index), indices, tolerance)
    unreadable = (frames.unreadable_note(len(failed), len(indices)),) if failed else ()
    return is_color, (*unreadable, *decoder.notes)
