"""Makers of small sources with known frames, whole and damaged."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage, generate_uid

PLANTED = "Zzyzx^Quilla"
"""A name that no message, note or file name of ours may carry."""

Frames = NDArray[np.uint8]


def moving_frames(count: int, height: int = 40, width: int = 56, color: bool = False) -> Frames:
    """Smooth frames, each different from every other: a bright disc on a ramp, that moves."""
    rows, columns = np.mgrid[:height, :width]
    frames = []
    for index in range(count):
        center = (height * (0.3 + 0.4 * index / max(1, count)), width * (0.25 + 0.5 * index / max(1, count)))
        disc = 150 * np.exp(-((rows - center[0]) ** 2 + (columns - center[1]) ** 2) / (0.02 * height * width))
        grey = 20 + 40 * columns / width + disc
        frames.append(np.stack([grey, 0.6 * grey, 0.2 * grey + 30], axis=2) if color else grey)
    return np.array(frames).clip(0, 255).astype(np.uint8)


def jpeg(picture: Frames, quality: int = 95) -> bytes:
    """A JPEG stream; RGB is stored as YCbCr with the JFIF marker, as devices do."""
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "JPEG", quality=quality, subsampling="4:2:2" if picture.ndim == 3 else -1)
    return target.getvalue()


def dicom_object(frames: NDArray[np.integer[Any]], encoded: Sequence[bytes] = (), **elements: Any) -> Dataset:
    """An ultrasound object of ``frames``; with ``encoded`` given its pixel data are those streams (JPEG Baseline).

    An element set to None is left out.
    """
    is_color = frames.ndim == 4
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if encoded else ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = UltrasoundMultiFrameImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.StudyInstanceUID = data.SeriesInstanceUID = "1.2.3.4"
    data.Modality, data.PatientName, data.PatientID = "US", PLANTED, PLANTED
    data.Rows, data.Columns = frames.shape[1:3]
    data.NumberOfFrames = len(frames)
    data.SamplesPerPixel = 3 if is_color else 1
    data.PhotometricInterpretation = ("YBR_FULL_422" if encoded else "RGB") if is_color else "MONOCHROME2"
    if is_color:
        data.PlanarConfiguration = 0
    bits = 8 * frames.dtype.itemsize
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits, bits - 1, 0
    if encoded:
        data.PixelData = encapsulate(list(encoded), has_bot=True)
        data["PixelData"].VR = "OB"
    else:
        stored = np.ascontiguousarray(frames).tobytes()
        data.PixelData = stored + b"\0" * (len(stored) % 2)
        data["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    return data


def region(box: tuple[int, int, int, int], delta: tuple[float, float], **elements: Any) -> Dataset:
    """An ultrasound region: ``box`` is (x0, y0, x1, y1), ``delta`` (x, y) in cm."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = 1, 1
    item.RegionLocationMinX0, item.RegionLocationMinY0 = box[:2]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box[2:]
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def encode_video(
    path: Path,
    frames: Frames,
    codec: str,
    form: str | None = None,
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,
    prepare: Callable[[Any], None] | None = None,
    **options: str,
) -> Path:
    """Write frames with one of FFmpeg's encoders.

    ``form`` is the container by FFmpeg's name, by default that of the suffix; ``times`` are in ms, by default 40 ms
    apart; ``prepare`` may set what else the stream says.
    """
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        if prepare is not None:
            prepare(stream)
        stream.codec_context.time_base = Fraction(1, 25 if times is None else 1000)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, "gray" if picture.ndim == 2 else "rgb24")
            frame = frame.reformat(format=pixels)
            frame.pts = number if times is None else times[number]
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def save_animation(
    path: Path, frames: NDArray[np.uint8], kind: str = "PNG", duration: int | list[int] = 50, **options: Any
) -> Path:
    """Save frames as an animated PNG, GIF or WebP, each shown for so many milliseconds; returns the path."""
    pictures = [Image.fromarray(frame) for frame in frames]
    if kind == "WEBP":
        options = {"lossless": True, "exact": True} | options
    pictures[0].save(path, kind, save_all=True, append_images=pictures[1:], duration=duration, **options)
    return path
