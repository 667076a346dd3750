"""What is mutated: small sound inputs of every kind that is read, generated here, and real ones where they are at hand.

A seed is a set of files with the one to be opened named first; the generated ones carry a planted patient's name, so
that a message that quotes its file is caught.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pydicom
import SimpleITK
import tifffile
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "Testing" / "Python" / "helpers"))

from dicom_helpers import describe, write_multiframe  # noqa: E402
from source_makers import dicom_object, encode_video, jpeg, moving_frames, region  # noqa: E402

GREY = moving_frames(4, 24, 32)
COLOR = moving_frames(4, 24, 32, color=True)
MASKS = GREY > 90
MPEG4_HP41 = UID("1.2.840.10008.1.2.4.102")


@dataclass(frozen=True)
class Seed:
    """A sound input.

    Parameters
    ----------
    name : str
    target : str
        Which reader it is for (``targets.TARGETS``).
    files : dict of str to bytes
        By name relative to the case's folder.
    opened : str
        The file to open, '' for the folder itself.
    frames : int or None
        How many frames a cine of it has.
    weight : float
        How often it is taken, relative to the others.
    """

    name: str
    target: str
    files: dict[str, bytes]
    opened: str
    frames: int | None = None
    weight: float = 1.0


def written(suffix: str, write: Callable[[Path], Any]) -> bytes:
    """Return what ``write`` puts into a file with that suffix."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write(path)
        return path.read_bytes()


def dicom_bytes(data: pydicom.Dataset) -> bytes:
    target = io.BytesIO()
    data.save_as(target, enforce_file_format=True)
    return target.getvalue()


def video_bytes(suffix: str, codec: str, count: int = 8) -> bytes:
    def write(path: Path) -> None:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (64, 48))
        for frame in moving_frames(count, 48, 64, color=True):
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
        writer.release()

    return written(suffix, write)


def encoded_bytes(suffix: str, codec: str, options: dict[str, Any]) -> bytes:
    frames = moving_frames(8, 48, 64, color=True)
    is_interlaced = "x264-params" in options

    def prepare(stream: Any) -> None:
        if is_interlaced:
            stream.codec_context.flags |= int(av.codec.context.Flags.interlaced_dct)

    return written(f".{suffix}", lambda path: encode_video(path, frames, codec, prepare=prepare, **options))


def paged_bytes(kind: str) -> bytes:
    pictures = [Image.fromarray(frame) for frame in GREY]
    target = io.BytesIO()
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {"duration": 40}
    pictures[0].save(target, kind, save_all=True, append_images=pictures[1:], **options)
    return target.getvalue()


def volume_bytes(suffix: str, frames: np.ndarray, compress: bool = False) -> bytes:
    image = SimpleITK.GetImageFromArray(frames, isVector=frames.ndim == 4)
    image.SetSpacing((0.2, 0.3, 1.0))
    return written(suffix, lambda path: SimpleITK.WriteImage(image, str(path), useCompression=compress))


def picture_bytes(picture: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    Image.fromarray(picture).save(target, kind, **options)
    return target.getvalue()


def palette_bytes(mask: np.ndarray) -> bytes:
    image = Image.fromarray(mask.astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def sequence_nrrd(encoding: str = "raw") -> bytes:
    """A .seq.nrrd as Slicer writes it: frames along a list axis, with their times."""
    header = (
        f"NRRD0005\ntype: uint8\ndimension: 4\nspace: left-posterior-superior\nsizes: 4 32 24 1\nencoding: {encoding}\n"
        "kinds: list domain domain domain\nspace directions: none (0.2,0,0) (0,0.3,0) (0,0,1)\nspace origin: (0,0,0)\n"
        'units: "s" "mm" "mm" "mm"\naxis 0 index type:=numeric\naxis 0 index values:=0 0.04 0.08 0.12\n\n'
    )
    data = np.ascontiguousarray(np.moveaxis(GREY, 0, -1)).tobytes()
    return header.encode() + (gzip.compress(data) if encoding == "gzip" else data)


def tracked_bytes() -> bytes:
    """A tracked sequence as PLUS writes it."""
    lines = ["ObjectType = Image", "NDims = 3", "DimSize = 32 24 4", "ElementType = MET_UCHAR"]
    for frame in range(4):
        lines.append(f"Seq_Frame{frame:04d}_Timestamp = {12.5 + frame / 25}")
        lines.append(f"Seq_Frame{frame:04d}_ImageStatus = OK")
    return "\n".join([*lines, "ElementDataFile = LOCAL", ""]).encode() + GREY.tobytes()


def segmentation_nrrd() -> bytes:
    header = (
        "NRRD0004\ntype: unsigned char\ndimension: 4\nsizes: 2 32 24 1\nkinds: list domain domain domain\n"
        "encoding: gzip\nSegment0_ID:=a\nSegment0_Name:=Lesion\nSegment0_Layer:=1\nSegment0_LabelValue:=1\n"
        "Segmentation_MasterRepresentation:=Binary labelmap\nSegmentation_ConversionParameters:="
        "Reference image geometry|1;0;0;0;0;1;0;0;0;0;1;0;0;0;0;1;0;31;0;23;0;0;|x&\n"
        "Segmentation_ReferenceImageExtentOffset:=0 0 0\n\n"
    )
    return header.encode() + gzip.compress(np.repeat(MASKS[0], 2).astype(np.uint8).tobytes())


def dicom_sources() -> dict[str, bytes]:
    """The same four frames in the transfer syntaxes that ultrasound comes in."""
    elements: dict[str, Any] = {
        "FrameTimeVector": ["0", "40", "40", "40"],
        "SequenceOfUltrasoundRegions": [region((0, 0, 31, 23), (0.01, 0.01))],
    }
    found = {"explicit": dicom_bytes(dicom_object(GREY, **elements))}
    for name, syntax in (("implicit", ImplicitVRLittleEndian), ("deflated", DeflatedExplicitVRLittleEndian)):
        data = dicom_object(GREY, **elements)
        data.file_meta.TransferSyntaxUID = syntax
        found[name] = dicom_bytes(data)
    wide = dicom_object((GREY.astype(np.int16) * 16), WindowCenter="1000", WindowWidth="1800")
    found["16 bits"] = dicom_bytes(wide)
    big = dicom_object(GREY)
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    big["PixelData"].VR = "OB"
    found["big endian"] = dicom_bytes(big)
    for name, syntax in (("RLE", RLELossless), ("JPEG-LS", JPEGLSLossless), ("JPEG 2000", JPEG2000Lossless)):
        # the JPEG 2000 encoder wants at least 64 pixels for its levels
        data = dicom_object(GREY if name != "JPEG 2000" else moving_frames(4, 64, 96, color=True), **elements)
        data.compress(syntax, generate_instance_uid=False)
        found[name] = dicom_bytes(data)
    found["JPEG"] = dicom_bytes(dicom_object(COLOR, [jpeg(frame) for frame in COLOR], **elements))
    lossless = dicom_object(GREY, [_jpeg_lossless(frame) for frame in GREY])
    lossless.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.70")
    found["JPEG lossless"] = dicom_bytes(lossless)
    stream = video_bytes(".mp4", "mp4v")
    video = dicom_object(moving_frames(8, 48, 64), [stream])
    video.file_meta.TransferSyntaxUID = MPEG4_HP41
    video.PixelData = encapsulate([stream], fragments_per_frame=2, has_bot=False)
    found["MPEG-4"] = dicom_bytes(video)
    found |= contradictions()
    return found


def _rle_bytes(data: bytes) -> bytes:
    """Return bytes as one RLE frame of one segment, without any run (PS3.5 G)."""
    runs = b"".join(bytes([len(data[at : at + 128]) - 1]) + data[at : at + 128] for at in range(0, len(data), 128))
    return (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + runs + b"\0" * (len(runs) % 2)


def contradictions() -> dict[str, bytes]:
    """DICOM objects whose header contradicts itself or the pixels, as they come from the field."""
    found = {}
    implicit = dicom_object(GREY, FrameTime="40")
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    begin = b"\x08\x00\x16\x00"  # SOP Class UID, the first element of the data set
    bare = begin + dicom_bytes(implicit).partition(begin)[2]
    found["bare"] = bare
    found["implicit that says explicit"] = dicom_bytes(dicom_object(GREY)).partition(begin)[0] + bare
    found["padded"] = dicom_bytes(dicom_object(GREY, PixelData=GREY.tobytes() + bytes(128)))
    pieces = dicom_object(GREY)
    pieces.compress(RLELossless, generate_instance_uid=False)
    streams = list(pydicom.encaps.generate_frames(pieces.PixelData, number_of_frames=4))
    pieces.PixelData = encapsulate(streams, fragments_per_frame=2, has_bot=False)
    found["RLE in fragments"] = dicom_bytes(pieces)
    colors = dicom_object(COLOR)
    colors.compress(RLELossless, generate_instance_uid=False)
    colors.PhotometricInterpretation, colors.PlanarConfiguration = "YBR_FULL", 1
    found["RGB that says YBR"] = dicom_bytes(colors)
    trace = region((0, 12, 31, 23), (0.01, 0.01), RegionSpatialFormat=2, RegionFlags=1)
    shapes: dict[str, Any] = {"PixelAspectRatio": [4, 3], "FrameTimeVector": ["0"] + 3 * ["40"], "FrameTime": "0.1"}
    found["shapes and pointers"] = dicom_bytes(
        dicom_object(GREY, SequenceOfUltrasoundRegions=[trace], FrameIncrementPointer=0x00181065, **shapes)
    )
    measures, content_item, shared, frame = (pydicom.Dataset() for _ in range(4))
    measures.PixelSpacing, content_item.FrameAcquisitionDateTime = [0.3, 0.2], "20240131235959.96"
    shared.PixelMeasuresSequence, frame.FrameContentSequence = [measures], [content_item]
    found["functional groups"] = dicom_bytes(
        dicom_object(GREY, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=[frame] * 4)
    )
    return found


def _jpeg_lossless(frame: np.ndarray) -> bytes:
    """A JPEG Lossless stream (PS3.5 10.2), by the GDCM inside SimpleITK."""
    image = SimpleITK.GetImageFromArray(frame)

    def write(path: Path) -> None:
        writer = SimpleITK.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.SetFileName(str(path))
        writer.Execute(image)

    data = pydicom.dcmread(io.BytesIO(written(".dcm", write)))
    return next(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1))


def cine_seeds() -> Iterator[Seed]:
    for name, content in dicom_sources().items():
        yield Seed(f"DICOM {name}", "cine", {"a.dcm": content}, "a.dcm", 8 if name == "MPEG-4" else 4)
    series = {}
    for index, frame in enumerate(GREY):
        one = dicom_object(
            frame[np.newaxis], NumberOfFrames=None, InstanceNumber=index + 1, ContentTime=f"10150{index}"
        )
        series[f"{index}.dcm"] = dicom_bytes(one)
    yield Seed("DICOM series", "cine", series, "", 4)
    for suffix, codec in ((".avi", "MJPG"), (".mp4", "mp4v"), (".avi", "FFV1"), (".mpg", "PIM1")):
        yield Seed(f"video {codec}{suffix}", "cine", {f"a{suffix}": video_bytes(suffix, codec)}, f"a{suffix}", 8)
    for suffix, codec, options in (
        ("mp4", "libx264", {"x264-params": "tff=1"}),
        ("h264", "libx264", {}),
        ("mkv", "mpeg4", {}),
        ("flv", "flv", {}),
        ("ts", "mpeg2video", {}),
    ):
        content = encoded_bytes(suffix, codec, options)
        yield Seed(f"video {codec}.{suffix}", "cine", {f"a.{suffix}": content}, f"a.{suffix}", 8)
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        yield Seed(f"{kind} of several frames", "cine", {"a": paged_bytes(kind)}, "a", 4)
    stack = written(".tif", lambda path: tifffile.imwrite(path, GREY, imagej=True, truncate=True))
    yield Seed("TIFF stack of one directory", "cine", {"a.tif": stack}, "a.tif", 4)
    for kind in ("PNG", "JPEG", "BMP", "TIFF"):
        yield Seed(f"{kind} picture", "cine", {"a": picture_bytes(COLOR[0], kind)}, "a", 1, 0.5)
    tiff = picture_bytes(GREY[0], "TIFF", compression="tiff_lzw")
    yield Seed("TIFF LZW picture", "cine", {"a": tiff}, "a", 1, 0.5)
    pictures = {f"{index:05d}.png": picture_bytes(frame) for index, frame in enumerate(GREY)}
    yield Seed("PNG folder", "cine", pictures, "", 4)
    masks = {f"{index:05d}_mask.png": picture_bytes(255 * mask.astype(np.uint8)) for index, mask in enumerate(MASKS)}
    yield Seed("PNG folder with masks", "cine", pictures | masks, "", 4)
    deep = written(".png", lambda path: cv2.imwrite(str(path), COLOR[0].astype(np.uint16) * 257))
    yield Seed("PNG 16 bits", "cine", {"a.png": deep}, "a.png", 1, 0.5)
    for suffix, frames, compress in (
        (".nrrd", GREY, False),
        (".nrrd", COLOR, True),
        (".mha", GREY.astype(np.int16), True),
        (".mha", GREY, False),
        (".nii", GREY, False),
        (".nii.gz", GREY, False),
    ):
        name = f"volume {'compressed ' if compress else ''}{suffix}"
        yield Seed(name, "cine", {"a": volume_bytes(suffix, frames, compress)}, "a", 4)
    yield Seed("tracked MHA", "cine", {"a.mha": tracked_bytes()}, "a.mha", 4)
    yield Seed("Slicer .seq.nrrd", "cine", {"a.seq.nrrd": sequence_nrrd()}, "a.seq.nrrd", 4)
    yield Seed("Slicer .seq.nrrd gzip", "cine", {"a.seq.nrrd": sequence_nrrd("gzip")}, "a.seq.nrrd", 4)
    detached = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 32 24 4\nencoding: raw\ndata file: a.raw\n\n"
    yield Seed("detached NRRD", "cine", {"a.nhdr": detached, "a.raw": GREY.tobytes()}, "a.nhdr", 4)


def real_seeds(folder: Path) -> Iterator[Seed]:
    """Real ultrasound from the shared data, the smaller files; DICOM cines cut to their first frames."""
    for name, count in (("echo_sonosite_30f_240x320_examples_ybr_color.dcm", 4), ("OBXXXX1A_2frame.dcm", 2)):
        data = pydicom.dcmread(folder / "dicom_us" / name)
        if data.file_meta.TransferSyntaxUID.is_encapsulated:
            frames = list(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=data.NumberOfFrames))[:count]
            data.PixelData = encapsulate(frames)
            data.NumberOfFrames = count
        if "FrameTimeVector" in data:
            del data.FrameTimeVector
        yield Seed(f"real DICOM of {count} frames", "cine", {"a.dcm": dicom_bytes(data)}, "a.dcm", count, 0.3)
    still = (folder / "dicom_us" / "breast_toshiba_IM128.dcm").read_bytes()
    yield Seed("real DICOM still", "cine", {"a.dcm": still}, "a.dcm", 1, 0.2)
    parts = sorted((folder / "breast_series_dicom").glob("*.dcm"))[:3]
    yield Seed("real DICOM series", "cine", {one.name: one.read_bytes() for one in parts}, "", 3, 0.2)
    for name in ("Reg_Image_18122_crop.mp4", "Reg_recommendations_alines_mov1.mov", "Reg_pat2Image_134348.mpeg"):
        path = folder / "lung_video" / name
        if path.is_file():
            yield Seed(f"real video {path.suffix}", "cine", {path.name: path.read_bytes()}, path.name, None, 0.03)


def soft_masks() -> dict[str, bytes]:
    """Masks as programs keep them that soften, invert, colour, index, stack or place them."""
    level = cv2.GaussianBlur(255 * MASKS[0].astype(np.uint8), (0, 0), 1)
    color = np.dstack([level, level * 0, (255 - level) // 2])
    stack = [Image.fromarray(255 * mask.astype(np.uint8)) for mask in MASKS]
    further: dict[str, Any] = {"save_all": True, "append_images": stack[1:]}
    quantized = io.BytesIO()
    Image.fromarray(level).quantize(16).save(quantized, "PNG", transparency=0)
    return {
        "soft": picture_bytes(level),
        "inverted 16 bits": written(".png", lambda path: cv2.imwrite(str(path), (255 - level).astype(np.uint16) * 257)),
        "two colours": picture_bytes(color),
        "colour JPEG": picture_bytes(color, "JPEG"),
        "RGBA": picture_bytes(np.dstack([color, level])),
        "adaptive palette": quantized.getvalue(),
        "TIFF stack": written(".tif", lambda path: stack[0].save(path, **further)),
        "GIF stack": written(".gif", lambda path: stack[0].save(path, **further)),
        "WebP": picture_bytes(level, "WEBP"),
        "probabilities": volume_bytes(".nrrd", (level / np.float32(255)).astype(np.float32)[np.newaxis]),
        "video": video_bytes(".avi", "MJPG", 2),
    }


def flipped_bytes(suffix: str) -> bytes:
    """Write a label volume whose axes run against those of a picture."""
    image = SimpleITK.GetImageFromArray(MASKS.astype(np.uint8))
    image.SetSpacing((0.2, 0.3, 1.0))
    flipped = SimpleITK.Flip(image, (True, False, True))
    return written(suffix, lambda path: SimpleITK.WriteImage(flipped, str(path)))


def mask_seeds() -> Iterator[Seed]:
    for name, content in soft_masks().items():
        yield Seed(f"mask {name}", "seed", {"a": content}, "a")
    for suffix in (".nrrd", ".mha", ".nii"):
        yield Seed(f"mask flipped {suffix}", "seed", {"a": flipped_bytes(suffix)}, "a")
    labels = MASKS[0].astype(np.uint8)
    for name, content in {
        "PNG": picture_bytes(255 * labels),
        "PNG palette": palette_bytes(MASKS[0]),
        "PNG one bit": picture_bytes(MASKS[0]),
        "JPEG": picture_bytes(255 * labels, "JPEG"),
        "TIFF": picture_bytes(labels, "TIFF"),
        "NRRD": volume_bytes(".nrrd", MASKS.astype(np.uint8), True),
        "MHA": volume_bytes(".mha", MASKS.astype(np.uint8)),
        "NIfTI": volume_bytes(".nii.gz", MASKS.astype(np.uint8)),
    }.items():
        yield Seed(f"mask {name}", "seed", {"a": content}, "a")
    yield Seed("mask .seg.nrrd", "seed", {"a.seg.nrrd": segmentation_nrrd()}, "a.seg.nrrd", weight=3)


def dicom_result_seeds() -> Iterator[Seed]:
    """A SEG of every kind and an SR, with the cine they refer to beside them."""
    from UltrasoundLesionSegLib.dicom.pixel_stream import pack_plane
    from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
    from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
    from UltrasoundLesionSegLib.dicom.source import DicomSource
    from UltrasoundLesionSegLib.dicom.structured_report import write_measurement_report
    from UltrasoundLesionSegLib.measurement.frame import measure_frame
    from UltrasoundLesionSegLib.readers.open import read_cine

    with tempfile.TemporaryDirectory() as folder:
        cine_path = write_multiframe(Path(folder) / "cine.dcm", GREY)
        cine = read_cine(cine_path)
        source = DicomSource.from_cine(cine)
        lesions = [describe(cine, 1)]
        masks = MASKS[:, np.newaxis]
        yield Seed("DICOM for outputs", "dicom source", {"a.dcm": cine_path.read_bytes()}, "a.dcm", 4, 2)
        for kind in (SegmentationKind.BINARY, SegmentationKind.LABELMAP):
            target = Path(folder) / f"{kind.name}.dcm"
            segmentation = write_segmentation(target, source, lesions, masks, kind)
            files = {"a.dcm": target.read_bytes(), "cine.dcm": cine_path.read_bytes()}
            yield Seed(f"SEG {kind.name}", "dicom seed", files, "a.dcm", weight=3)
            if kind is SegmentationKind.BINARY:
                fractional = pydicom.dcmread(target)
                fractional.SegmentationType, fractional.SegmentationFractionalType = "FRACTIONAL", "PROBABILITY"
                fractional.MaximumFractionalValue, fractional.BitsAllocated, fractional.BitsStored = 255, 8, 8
                fractional.HighBit = 7
                fractional.PixelData = (255 * MASKS).astype(np.uint8).tobytes()
                yield Seed("SEG FRACTIONAL", "dicom seed", files | {"a.dcm": dicom_bytes(fractional)}, "a.dcm")
                deflated = pydicom.dcmread(target)
                deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
                packed = pydicom.dcmread(target)
                planes = [pack_plane(mask) for mask in MASKS if mask.any()][: int(packed.NumberOfFrames)]
                packed.PixelData = encapsulate([_rle_bytes(plane) for plane in planes])
                packed["PixelData"].is_undefined_length = True
                packed.file_meta.TransferSyntaxUID = RLELossless
                yield Seed("SEG RLE of bits", "dicom seed", files | {"a.dcm": dicom_bytes(packed)}, "a.dcm")
                yield Seed("SEG deflated", "dicom seed", files | {"a.dcm": dicom_bytes(deflated)}, "a.dcm")
                report = Path(folder) / "report.dcm"
                measured = {at: measure_frame(MASKS[at], GREY[at], None) for at in range(4)}
                write_measurement_report(report, source, segmentation, lesions, [measured])
                yield Seed("SR", "dicom seed", files | {"a.dcm": report.read_bytes()}, "a.dcm", weight=0.5)


def bundle_seeds() -> Iterator[Seed]:
    import torch

    from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
    from UltrasoundLesionSegLib.engine.bundles import read_bundle

    networks = "UltrasoundLesionSegLib.engine.networks.bas"
    kinds = (("Bas", 16, torch.float16), ("BasPropagate", 16, torch.float16), ("Bas", 128, torch.int8))
    for name, width, dtype in kinds:  # only wide layers are stored in 8 bits
        tiny = {"channels": [8, 12, width], "blocks": [1, 1, 1], "token_grid": [2, 2]}
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / "tiny"
            write_bundle(folder, {"_target_": f"{networks}.{name}", **tiny}, "Tiny", "A small network.")
            torch.manual_seed(0)
            save_weights(folder, read_bundle(folder).build_network(), dtype)
            files = {str(path.relative_to(parent)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            yield Seed(f"bundle {name} {dtype}", "bundle", files, "tiny")


def patient_seeds() -> Iterator[Seed]:
    known = {"patient_name": "Zzyzx^Quilla", "patient_id": "4711", "birth_date": "19600229", "sex": "F"}
    yield Seed("patient JSON", "patient", {"a.json": json.dumps(known).encode()}, "a.json")
    odd = {"patient_name": None, "patient_id": 4711, "study_time": "101500", "description": "x" * 60}
    yield Seed("patient JSON with null", "patient", {"a.json": json.dumps(odd).encode()}, "a.json")


def manifest_seeds() -> Iterator[Seed]:
    table = (
        "case,source,seed,frame,suggest,model,direction,frames\na,a.dcm,a.png,3,,,both,0:4\nb,b.avi,,,middle,bas_s,,\n"
    )
    rows = [{"case": "a", "source": "a.dcm", "seed": "a.png", "frame": 3}, {"source": "b.avi", "suggest": "middle"}]
    yield Seed("manifest CSV", "manifest", {"a.csv": table.encode()}, "a.csv")
    yield Seed("manifest JSON", "manifest", {"a.json": json.dumps(rows).encode()}, "a.json")


def scene_seeds() -> Iterator[Seed]:
    from UltrasoundLesionSegLib.cine import Cine
    from UltrasoundLesionSegLib.mrml import headless

    headless.start()
    from UltrasoundLesionSegLib.mrml.scene_file import save_scene
    from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

    logic = UltrasoundLesionWorkflow()
    browser = logic.addCine(Cine.from_array(GREY))
    logic.setSeed(browser, MASKS[0], 0)
    content = written(".mrb", save_scene)
    yield Seed("scene .mrb", "scene", {"a.mrb": content}, "a.mrb")


def all_seeds(data: Path | None, targets: list[str] | None = None) -> list[Seed]:
    """Return the seeds of the targets named; ``data`` is the folder of real cines or None."""
    makers: dict[str, list[Callable[[], Iterator[Seed]]]] = {
        "cine": [cine_seeds],
        "seed": [mask_seeds],
        "dicom seed": [dicom_result_seeds],
        "bundle": [bundle_seeds],
        "patient": [patient_seeds],
        "manifest": [manifest_seeds],
        "scene": [scene_seeds],
    }
    if data is not None:
        makers["cine"].append(lambda: real_seeds(data))
    wanted = {"dicom seed" if one == "dicom source" else one for one in targets or makers}
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        found = [seed for name in makers if name in wanted for maker in makers[name] for seed in maker()]
    return [seed for seed in found if targets is None or seed.target in targets]
