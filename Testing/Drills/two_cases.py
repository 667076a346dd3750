"""Two cases read in one process, sound and damaged: no pixel of one may be in the other.

    .venv/bin/python Testing/Drills/two_cases.py --rounds 20

One case is dark, one bright, in every format that is read, grey and in colour. Their frames are read in turns, each
freed before the next, so that memory that a decoder leaves unfilled would hold the other case's picture. Then each is
cut and overwritten in several places and read again. Sound frames must keep to their own levels; no block of 8 x 8
pixels of a damaged case may be a block of the other, unless it is one too where the case is read alone: overwritten
JPEG data can turn a bright block dark by chance. Exits with 1 otherwise, naming the format and the damage.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import SimpleITK
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python" / "helpers"))
from source_makers import Frames, dicom_object, encode_video, jpeg

from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.readers.open import read_cine

COUNT, HEIGHT, WIDTH = 10, 64, 96
DARK, BRIGHT = 20, 175
SPAN = 60
MIDDLE = 128
BLOCK = 8
NEAR = 6.0
INTERLACED = int(av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me)
DAMAGES = ("none", "cut", "zeros", "ones", "noise")


def case_frames(lowest: int) -> Frames:
    """Smooth moving texture between ``lowest`` and ``lowest + SPAN``."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    frames = [
        lowest + SPAN * (0.5 + 0.25 * np.sin(rows / 5 + at / 2) + 0.25 * np.cos(columns / 7 - at / 3 + lowest))
        for at in range(COUNT)
    ]
    return np.array(frames).round().astype(np.uint8)


def _interlaced(stream: object) -> None:
    stream.codec_context.flags |= INTERLACED  # type: ignore[attr-defined]


def _video(codec: str, suffix: str, is_interlaced: bool = False, pixels: str = "yuv420p", **options: Any) -> Callable:
    def write(frames: Frames, folder: Path) -> Path:
        prepare = _interlaced if is_interlaced else None
        return encode_video(folder / f"a.{suffix}", frames, codec, pixels=pixels, prepare=prepare, **options)

    return write


def _video_object(codec: str, form: str, syntax: str, is_interlaced: bool, **options: Any) -> Callable:
    def write(frames: Frames, folder: Path) -> Path:
        prepare = _interlaced if is_interlaced else None
        stream = encode_video(folder / "stream", frames, codec, form, prepare=prepare, **options).read_bytes()
        (folder / "stream").unlink()
        data = dicom_object(frames, [stream])
        data.file_meta.TransferSyntaxUID = UID(syntax)
        data.PixelData = encapsulate([stream], has_bot=False)
        data.save_as(folder / "a.dcm", enforce_file_format=True)
        return folder / "a.dcm"

    return write


def _dicom(syntax: str = "", is_jpeg: bool = False) -> Callable:
    def write(frames: Frames, folder: Path) -> Path:
        data = dicom_object(frames, [jpeg(frame) for frame in frames] if is_jpeg else ())
        if syntax:
            data.compress(syntax, generate_instance_uid=False)
        data.save_as(folder / "a.dcm", enforce_file_format=True)
        return folder / "a.dcm"

    return write


def _series(syntax: str = "", is_jpeg: bool = False) -> Callable:
    def write(frames: Frames, folder: Path) -> Path:
        for at in range(len(frames)):
            one = frames[at : at + 1]
            data = dicom_object(one, [jpeg(one[0])] if is_jpeg else (), NumberOfFrames=None, InstanceNumber=at + 1)
            if syntax:
                data.compress(syntax, generate_instance_uid=False)
            data.save_as(folder / f"{at:03}.dcm", enforce_file_format=True)
        return folder

    return write


def _in_color(write: Callable[[Frames, Path], Path]) -> Callable[[Frames, Path], Path]:
    """Write frames whose red channel is the grey one and whose others are a little darker."""
    return lambda frames, folder: write(np.stack([frames, frames - 15, frames - 8], axis=3), folder)


def _pictures(suffix: str) -> Callable:
    def write(frames: Frames, folder: Path) -> Path:
        for at, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / f"{at:03}.{suffix}")
        return folder

    return write


def _streams(frames: Frames, folder: Path) -> Path:
    (folder / "a.jpg").write_bytes(b"".join(jpeg(frame) for frame in frames))
    return folder / "a.jpg"


def _paged(kind: str, **options: object) -> Callable:
    def write(frames: Frames, folder: Path) -> Path:
        pictures = [Image.fromarray(frame) for frame in frames]
        pictures[0].save(folder / "a", kind, save_all=True, append_images=pictures[1:], **options)
        return folder / "a"

    return write


def _volume(suffix: str, compress: bool) -> Callable:
    def write(frames: Frames, folder: Path) -> Path:
        path = folder / f"a{suffix}"
        image = SimpleITK.GetImageFromArray(frames, isVector=frames.ndim == 4)
        SimpleITK.WriteImage(image, str(path), useCompression=compress)
        return path

    return write


KINDS: dict[str, Callable[[Frames, Path], Path]] = {
    "Motion JPEG": _video("mjpeg", "avi", pixels="yuvj420p", q="2"),
    "H.264": _video("libx264", "mp4"),
    "H.264, interlaced": _video("libx264", "mp4", True, **{"x264-params": "tff=1"}),
    "MPEG-2, interlaced": _video("mpeg2video", "mpg", True, q="2"),
    "MPEG-4": _video("mpeg4", "mp4", q="2"),
    "FFV1": _video("ffv1", "mkv"),
    "DICOM MPEG-2, interlaced": _video_object("mpeg2video", "mpeg2video", "1.2.840.10008.1.2.4.100", True, q="2"),
    "DICOM H.264, interlaced": _video_object(
        "libx264", "h264", "1.2.840.10008.1.2.4.102", True, **{"x264-params": "tff=1"}
    ),
    "DICOM": _dicom(),
    "DICOM JPEG": _dicom(is_jpeg=True),
    "DICOM JPEG 2000": _dicom(JPEG2000Lossless),
    "DICOM JPEG-LS": _dicom(JPEGLSLossless),
    "DICOM RLE": _dicom(RLELossless),
    "PNG folder": _pictures("png"),
    "JPEG folder": _pictures("jpg"),
    "TIFF folder": _pictures("tif"),
    "TIFF stack": _paged("TIFF"),
    "TIFF stack, LZW": _paged("TIFF", compression="tiff_lzw"),
    "TIFF stack, deflate": _paged("TIFF", compression="tiff_adobe_deflate"),
    "GIF": _paged("GIF", duration=40),
    "WebP": _paged("WEBP", duration=40, lossless=True),
    "animated PNG": _paged("PNG", duration=40),
    "NRRD": _volume(".nrrd", False),
    "NRRD, gzip": _volume(".nrrd", True),
    "MHA": _volume(".mha", False),
    "MHA, zlib": _volume(".mha", True),
    "NIfTI, gzip": _volume(".nii.gz", True),
    "JPEG file of several": _streams,
    "DICOM series": _series(),
    "DICOM series, JPEG": _series(is_jpeg=True),
    "DICOM series, RLE": _series(RLELossless),
}
COLOR_KINDS = (
    *("Motion JPEG", "H.264", "H.264, interlaced", "MPEG-2, interlaced", "MPEG-4", "DICOM H.264, interlaced"),
    *("DICOM", "DICOM JPEG", "DICOM JPEG 2000", "DICOM JPEG-LS", "DICOM RLE"),
    *("DICOM series", "DICOM series, JPEG", "DICOM series, RLE"),
    *("PNG folder", "JPEG folder", "TIFF stack, LZW", "GIF", "WebP", "animated PNG", "NRRD, gzip", "MHA, zlib"),
)
KINDS |= {f"{kind}, colour": _in_color(KINDS[kind]) for kind in COLOR_KINDS}


def damage(source: Path, how: str, rng: np.random.Generator) -> None:
    """Cut a file, or overwrite a stretch of it; of a folder one in the middle."""
    path = sorted(source.iterdir())[COUNT // 2] if source.is_dir() else source
    content = bytearray(path.read_bytes())
    at, length = int(len(content) * rng.uniform(0.3, 0.8)), max(8, len(content) // 30)
    if how == "cut":
        del content[at:]
    elif how != "none":
        fill = {"zeros": bytes(length), "ones": b"\xff" * length, "noise": rng.bytes(length)}[how]
        content[at : at + length] = fill
    path.write_bytes(content)


def frames_of(source: Path) -> Iterator[tuple[int, Frames]]:
    """Read what can be read of a source."""
    with contextlib.suppress(LesionSegError):
        cine = read_cine(source)
        for index in range(len(cine)):
            with contextlib.suppress(LesionSegError):
                yield index, cine.frames[index]


def blocks_of_other(frame: Frames, others: Frames) -> int:
    """Count the blocks of a frame that are, level for level, blocks of the other case at the same place."""
    frame = frame if frame.ndim == 2 else frame.max(axis=2)
    height, width = (size // BLOCK * BLOCK for size in frame.shape)
    apart = np.abs(frame[:height, :width].astype(np.int16) - others[:, :height, :width]).astype(np.float32)
    means = apart.reshape(len(others), height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean(axis=(2, 4))
    return int((means < NEAR).any(axis=0).sum())


def _blocks_alone(source: Path, wanted: int, others: Frames) -> int:
    """Count the same on one frame of a source, read where nothing else was read."""
    return next((blocks_of_other(frame, others) for index, frame in frames_of(source) if index == wanted), 0)


def blocks_by_chance(source: Path, wanted: int, others: Frames) -> int:
    """Count the same in a new process, which has never seen the other case's file."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_blocks_alone, source, wanted, others).result()


def check(kind: str, folder: Path, seed: int = 0) -> list[str]:
    """Return what of one case was found in the other, [] when nothing was."""
    rng = np.random.default_rng(seed)
    found = []
    cases = {lowest: case_frames(lowest) for lowest in (DARK, BRIGHT)}
    for how in DAMAGES:
        sources = {}
        for lowest, frames in cases.items():
            place = folder / f"{how} {lowest}"
            place.mkdir(parents=True)
            sources[lowest] = KINDS[kind](frames, place)
            damage(sources[lowest], how, rng)
        readers = {lowest: frames_of(source) for lowest, source in sources.items()}
        count = 0
        for own, other in ((DARK, BRIGHT), (BRIGHT, DARK)) * (COUNT + 2):  # in turns
            index, frame = next(readers[own], (-1, None))
            if frame is None:
                continue
            count += 1
            if how == "none" and ((frame < MIDDLE) != (own == DARK)).any():
                found.append(f"{kind}: frame {index} has levels of the other case")
            blocks = blocks_of_other(frame, cases[other])
            if blocks and blocks > blocks_by_chance(sources[own], index, cases[other]):
                found.append(f"{kind}, {how}: frame {index} has {blocks} blocks of the other case")
            del frame
        if how == "none" and count != 2 * COUNT:
            found.append(f"{kind}: {count} frames of {2 * COUNT} were read")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    faults: list[str] = []
    for kind in KINDS:
        for seed in range(rounds):
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
                faults += check(kind, Path(folder), seed)
        print(f"{kind}: {rounds} rounds", flush=True)
    print(
        "\n".join(faults) or f"{len(KINDS)} formats, {rounds * len(DAMAGES)} pairs of cases each: nothing crossed over"
    )
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
