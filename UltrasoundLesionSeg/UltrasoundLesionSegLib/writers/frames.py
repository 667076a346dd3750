"""The frames of a cine as files: AVI, a DAVIS folder, a NRRD sequence; one at a time, whatever the length.

Frames can carry burned-in text: callers warn a person before frames are written.
"""

from __future__ import annotations

import os
import struct
from enum import Enum
from fractions import Fraction
from pathlib import Path

# must be set before FFmpeg is first used: its messages go to stderr past Python
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine, Frame
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.writers.atomic import NumberedFiles, atomic_path
from UltrasoundLesionSegLib.writers.masks import MaskReader, write_davis

JPEG_QUALITY = 95


class VideoCodec(str, Enum):
    """How an AVI file's frames are coded."""

    MJPG = "MJPG"  # JPEG frames: small, plays everywhere, any size of frame
    FFV1 = "FFV1"  # lossless; even widths and heights only


class ImageFormat(str, Enum):
    """How a single frame's file is coded."""

    JPEG = "jpg"
    PNG = "png"


def write_avi(
    cine: Cine, target: Path, codec: VideoCodec = VideoCodec.MJPG, frames_per_second: float | None = None
) -> Path:
    """Write a cine as an AVI file.

    Parameters
    ----------
    cine : Cine
    target : Path
        A file name that ends in ``.avi``.
    codec : VideoCodec
    frames_per_second : float or None
        The file's rate. None: the cine's mean rate.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    OutputError
        When the cine has no rate and none is given, when FFV1 is asked for frames of an odd size (OpenCV would cut
        off a row or column silently), or when the file cannot be written.
    FrameError
        When a frame cannot be read.
    """
    rate = frames_per_second or (cine.timing.frames_per_second if cine.timing else 0.0)
    if not rate > 0:
        raise OutputError("the cine's frame times are unknown, but a video file has a frame rate; give one")
    if codec is VideoCodec.FFV1 and (cine.height % 2 or cine.width % 2):
        raise OutputError(
            f"frames of {cine.height} x {cine.width} pixels do not fit the FFV1 codec, which wants even sizes; "
            "choose MJPG"
        )
    # OpenCV's own MJPG writer keeps odd sizes, FFmpeg's does not; FFV1 is FFmpeg's alone
    backend = cv2.CAP_OPENCV_MJPEG if codec is VideoCodec.MJPG else cv2.CAP_FFMPEG
    with atomic_path(target) as temporary:
        video = cv2.VideoWriter(
            str(temporary), backend, cv2.VideoWriter.fourcc(*codec.value), rate, (cine.width, cine.height), True
        )
        if not video.isOpened():
            raise OutputError(
                "the AVI file cannot be opened for writing; choose a folder that is writable and has room"
            )
        video.set(cv2.VIDEOWRITER_PROP_QUALITY, JPEG_QUALITY)
        try:
            for frame in cine:
                video.write(_bgr(frame))
        finally:
            video.release()
        if codec is VideoCodec.MJPG:
            _set_rate(temporary, rate)
    return target


def _set_rate(path: Path, rate: float) -> None:
    """Write the frame rate into an AVI's headers (RIFF avih, strh): OpenCV's own writer rounds it to whole frames."""
    exact = Fraction(rate).limit_denominator(100_000)
    with path.open("r+b") as file:
        head = file.read(1024)
        file.seek(head.index(b"avih") + 8)  # dwMicroSecPerFrame is the first field
        file.write(struct.pack("<I", round(1e6 / rate)))
        file.seek(head.index(b"strh") + 8 + 20)  # dwScale, dwRate
        file.write(struct.pack("<2I", exact.denominator, exact.numerator))


def write_davis_folder(
    cine: Cine,
    folder: Path,
    name: str,
    masks: MaskReader | None = None,
    image_format: ImageFormat = ImageFormat.PNG,
) -> Path:
    """Write a cine in the layout of DAVIS-2017: ``JPEGImages/<name>/00000.png`` and ``Annotations/<name>/00000.png``.

    Parameters
    ----------
    cine : Cine
    folder : Path
        The data set's folder; made if absent.
    name : str
        The video's name in it; an earlier video of this name is replaced, also where it was longer.
    masks : callable, int -> ndarray of bool (K, H, W), or None
        Annotations, written with DAVIS' palette; None: no Annotations folder.
    image_format : ImageFormat
        JPEG, as in DAVIS, or lossless PNG.

    Returns
    -------
    Path
        The folder of frames.

    Raises
    ------
    OutputError
        When a file cannot be written.
    FrameError
        When a frame cannot be read.
    """
    images = folder / "JPEGImages" / name
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if image_format is ImageFormat.JPEG else []
    with NumberedFiles(images, f".{image_format.value}") as files:
        for index, frame in enumerate(cine):
            picture = frame if frame.ndim == 2 else _bgr(frame)
            coded = cv2.imencode(f".{image_format.value}", picture, options)[1]
            files.path(index).write_bytes(coded.tobytes())
    if masks is not None:
        write_davis(folder / "Annotations" / name, masks, len(cine))
    return images


def write_sequence_nrrd(cine: Cine, target: Path) -> Path:
    """Write a cine as an uncompressed NRRD file in the layout of 3D Slicer's volume sequences.

    Parameters
    ----------
    cine : Cine
    target : Path
        A file name that ends in ``.seq.nrrd``, by which Slicer knows a sequence.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    OutputError
        When the file cannot be written.
    FrameError
        When a frame cannot be read.
    """
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        file.write(_nrrd_header(cine).encode("ascii"))
        for frame in cine:
            file.write(np.ascontiguousarray(frame).tobytes())
    return target


def _nrrd_header(cine: Cine) -> str:
    """Return a NRRD header (teem.sourceforge.net/nrrd/format.html): columns, rows, one slice, then time.

    Pixels of unknown size are 1 mm, which is what Slicer writes and what our reader takes for unknown. So are those of
    a cine whose calibration holds in a region alone, because the header has one size for all.
    """
    calibration = cine.whole_calibration
    row_mm, column_mm = calibration.spacing if calibration else (1.0, 1.0)
    sizes = [cine.width, cine.height, 1, len(cine)]
    kinds = ["domain", "domain", "domain", "list"]
    directions = [f"({column_mm:.9g},0,0)", f"(0,{row_mm:.9g},0)", "(0,0,1)", "none"]
    units, labels = ['""'] * 3 + ['"s"' if cine.timing else '""'], ['""'] * 3 + ['"time"']
    if cine.is_color:
        sizes, kinds, directions = [3, *sizes], ["RGB-color", *kinds], ["none", *directions]
        units, labels = ['""', *units], ['""', *labels]
    seconds = cine.timing.seconds if cine.timing else np.arange(len(cine))
    lines = [
        "NRRD0005",
        "type: uint8",
        f"dimension: {len(sizes)}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join(directions)}",
        f"kinds: {' '.join(kinds)}",
        f"labels: {' '.join(labels)}",
        f"units: {' '.join(units)}",
        "encoding: raw",
        "space origin: (0,0,0)",
        'space units: "mm" "mm" "mm"',
        f"DataNodeClassName:=vtkMRML{'Vector' if cine.is_color else 'Scalar'}VolumeNode",
        "axis 3 index type:=numeric",  # Slicer counts without the axis of colours
        f"axis 3 index values:={' '.join(f'{one:.9g}' for one in seconds)}",
        "",
        "",
    ]
    return "\n".join(lines)


def _bgr(frame: Frame) -> NDArray[np.uint8]:
    """Return OpenCV's order of colours."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR if frame.ndim == 2 else cv2.COLOR_RGB2BGR), np.uint8)
