"""A cine as a DICOM Ultrasound Multi-frame Image (PS3.3 A.7): for videos that were never DICOM, and simulated cines.

The caller must name the patient. A simulated cine belongs to a patient whose name says that it is simulated.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import UID, JPEGBaseline8Bit, RLELossless, UltrasoundMultiFrameImageStorage

from UltrasoundLesionSegLib.cine import CalibratedRegion, Cine, Frame, Timing
from UltrasoundLesionSegLib.dicom.body_part import checked_body_part
from UltrasoundLesionSegLib.dicom.identifiers import new_uid
from UltrasoundLesionSegLib.dicom.instance import add_instance, file_meta
from UltrasoundLesionSegLib.dicom.patient import PatientModule
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.writers.atomic import atomic_path

JPEG_QUALITY = 92
# PS3.3 C.8.5.5.1.1 to .5: two-dimensional, tissue, centimetres
_SPATIAL_2D, _TISSUE, _CENTIMETRES = 1, 1, 3
_SAME_ASPECT = 1e-4  # a frame of 8,192 pixels would be off by less than one
_LARGEST_ASPECT_TERM = 100_000
_FASTEST = 500.0  # whole frames a second; no scanner makes more
_MOST_IRREGULAR = 8000  # frame times in one DS attribute, whose length is 16 bits
_PIXEL_DATA = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff"
_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def with_frame_rate(cine: Cine, frames_per_second: float) -> Cine:
    """Return the cine with frames at regular times, in place of what its source says of them.

    Parameters
    ----------
    cine : Cine
    frames_per_second : float
        As given by a person who knows it.

    Raises
    ------
    OutputError
        When it is not above 0, or above what a scanner makes.
    """
    if not 0 < frames_per_second <= _FASTEST or not math.isfinite(1 / frames_per_second):
        raise OutputError(f"the frame rate must be above 0 and at most {_FASTEST:g} frames a second; correct it")
    seconds = np.arange(len(cine), dtype=np.float64) / frames_per_second
    return replace(cine, timing=Timing(seconds, "frame rate given by the user"))


def write_ultrasound_image(
    cine: Cine,
    target: Path,
    patient: PatientModule,
    lossless: bool = False,
    body_part: str = "",
    laterality: str = "",
    derivation: str = "Converted from a video file",
) -> str:
    """Write a cine as an Ultrasound Multi-frame Image.

    Frames are encoded one at a time on their way to the file, so a long cine needs no more memory.

    Parameters
    ----------
    cine : Cine
        Its regions, or else its calibration, become the Sequence of Ultrasound Regions; the shape of a pixel, where it
        is known and not square, the Pixel Aspect Ratio.
    target : Path
    patient : PatientModule
    lossless : bool
        RLE instead of JPEG baseline.
    body_part : str
        Body Part Examined (PS3.16 Annex L), e.g. ``BREAST``; '' where it is not known. Written in capitals.
    laterality : str
        ``L`` or ``R``; '' where it is not known.
    derivation : str
        Derivation Description: what the image was made from.

    Returns
    -------
    str
        The SOP Instance UID.

    Raises
    ------
    OutputError
        When body part or side are no values for DICOM, when the frame times are unknown, when there are too many
        irregular ones, or when the file cannot be written.
    FrameError
        When a frame cannot be read.
    """
    body_part, laterality = _checked_place(body_part, laterality)
    dataset = Dataset()
    _add_patient_and_study(dataset, patient)
    add_instance(dataset, UltrasoundMultiFrameImageStorage, "US", 1, patient.description)
    _add_image(dataset, cine, lossless)
    dataset.ImageType = ["DERIVED", "PRIMARY", *([body_part, "0001"] if body_part else [])]
    dataset.DerivationDescription = derivation
    if body_part:
        dataset.BodyPartExamined = body_part
    dataset.Laterality = laterality
    _add_timing(dataset, cine)
    regions = cine.regions
    if not regions and cine.calibration is not None:
        regions = (CalibratedRegion((0, 0, cine.height - 1, cine.width - 1), cine.calibration),)
    if regions:
        dataset.SequenceOfUltrasoundRegions = [_region(one) for one in regions]
    _add_pixel_aspect(dataset, cine)
    syntax = RLELossless if lossless else JPEGBaseline8Bit
    dataset.file_meta = file_meta(dataset, syntax)
    with atomic_path(target) as temporary:
        ratio = _write(dataset, cine, temporary, syntax)
        if not lossless:
            # known only now; DS of a fixed length, so that the header keeps its size
            dataset.LossyImageCompressionRatio = f"{ratio:08.3f}"
            with temporary.open("r+b") as file:
                dcmwrite(file, dataset, enforce_file_format=True)
    return str(dataset.SOPInstanceUID)


def _checked_place(body_part: str, laterality: str) -> tuple[str, str]:
    """Return body part and side in capitals, as a code string must be (PS3.5 6.2)."""
    part, side = checked_body_part(body_part), laterality.strip().upper()
    if side not in ("", "L", "R"):
        raise OutputError(f"the side '{laterality}' is neither L nor R; give one of them or leave it out")
    return part, side


def _add_patient_and_study(dataset: Dataset, patient: PatientModule) -> None:
    """Add the patient and general study modules (PS3.3 C.7.1.1, C.7.2.1)."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = patient.patient_name
    dataset.PatientID = patient.patient_id
    dataset.PatientBirthDate = patient.birth_date
    dataset.PatientSex = patient.sex
    dataset.StudyInstanceUID = patient.study_instance_uid or new_uid()
    dataset.StudyDate = patient.study_date
    dataset.StudyTime = patient.study_time
    dataset.StudyID = patient.study_id
    dataset.AccessionNumber = patient.accession_number
    dataset.ReferringPhysicianName = ""


def _add_image(dataset: Dataset, cine: Cine, lossless: bool) -> None:
    """Add the image, image pixel, multi-frame and US image modules (PS3.3 C.7.6.1, C.7.6.3, C.7.6.6, C.8.5.6)."""
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "YES"  # nobody has looked at every pixel
    dataset.Rows, dataset.Columns = cine.height, cine.width
    dataset.NumberOfFrames = len(cine)
    dataset.SamplesPerPixel = 3 if cine.is_color else 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    if cine.is_color:
        dataset.PhotometricInterpretation = "RGB" if lossless else "YBR_FULL_422"
        dataset.PlanarConfiguration = 0
    dataset.UltrasoundColorDataPresent = int(cine.is_color)
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00" if lossless else "01"
    if not lossless:
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
        dataset.LossyImageCompressionRatio = "0001.000"


def _add_timing(dataset: Dataset, cine: Cine) -> None:
    """Add the cine module (PS3.3 C.7.6.5) and the frame increment pointer to it."""
    if cine.timing is None and len(cine) > 1:
        raise OutputError(
            "the cine's frame times are unknown, but an ultrasound multi-frame image states them; "
            "give the frame rate (--frame-rate)"
        )
    steps = np.diff(cine.timing.seconds) * 1000 if cine.timing is not None else np.empty(0)
    step = float(steps.mean()) if len(steps) else 0.0
    if len(steps) == 0 or np.abs(steps - step).max() < 0.01 * step:
        dataset.FrameTime = f"{step:.10g}"
        dataset.FrameIncrementPointer = 0x00181063
        return
    if len(cine) > _MOST_IRREGULAR:
        raise OutputError(
            f"{len(cine)} irregular frame times do not fit into the DICOM file, which holds {_MOST_IRREGULAR}; "
            "export a shorter stretch"
        )
    dataset.FrameTimeVector = ["0", *(f"{one:.6g}" for one in steps)]
    dataset.FrameIncrementPointer = 0x00181065


def _add_pixel_aspect(dataset: Dataset, cine: Cine) -> None:
    """Add the Pixel Aspect Ratio where pixels are not square: type 1C, because no Pixel Spacing is written.

    PS3.3 C.7.6.3.1.7: a pair of whole numbers, height before width of a pixel.
    """
    known = [one.calibration for one in cine.regions] or ([cine.calibration] if cine.calibration else [])
    ratios = [one.row_mm / one.column_mm for one in known] or ([cine.pixel_aspect] if cine.pixel_aspect else [])
    if not ratios or max(ratios) - min(ratios) > _SAME_ASPECT * max(ratios):
        return
    ratio = Fraction(ratios[0]).limit_denominator(_LARGEST_ASPECT_TERM)
    if ratio > 0 and abs(ratios[0] - 1) > _SAME_ASPECT:
        dataset.PixelAspectRatio = [str(ratio.numerator), str(ratio.denominator)]


def _region(region: CalibratedRegion) -> Dataset:
    """Return an item of the US region calibration module (PS3.3 C.8.5.5)."""
    item = Dataset()
    item.RegionSpatialFormat = _SPATIAL_2D
    item.RegionDataType = _TISSUE
    item.RegionFlags = 2  # scaling is protected: pixels must not be resampled without the calibration
    row_min, column_min, row_max, column_max = region.box
    item.RegionLocationMinX0, item.RegionLocationMinY0 = column_min, row_min
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = column_max, row_max
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = _CENTIMETRES
    item.PhysicalDeltaX = region.calibration.column_mm / 10
    item.PhysicalDeltaY = region.calibration.row_mm / 10
    return item


def _write(dataset: Dataset, cine: Cine, path: Path, syntax: UID) -> float:
    """Write the header and encapsulated frames (PS3.5 A.4), one fragment a frame; returns the compression ratio."""
    coded = 0
    with path.open("w+b") as file:
        dcmwrite(file, dataset, enforce_file_format=True)
        file.write(_PIXEL_DATA + _ITEM + struct.pack("<I", 0))
        for frame in _encoded(dataset, cine, syntax):
            coded += len(frame)
            _write_item(file, frame)
        file.write(_SEQUENCE_END)
    return cine.height * cine.width * len(cine) * (3 if cine.is_color else 1) / coded


def _write_item(file: BinaryIO, data: bytes) -> None:
    """Write one item, padded to an even length."""
    padded = data + b"\0" * (len(data) % 2)
    file.write(_ITEM + struct.pack("<I", len(padded)) + padded)


def _encoded(dataset: Dataset, cine: Cine, syntax: UID) -> Iterator[bytes]:
    """Yield the coded frames."""
    description: dict[str, Any] = {
        "rows": cine.height,
        "columns": cine.width,
        "samples_per_pixel": dataset.SamplesPerPixel,
        "number_of_frames": 1,
        "bits_allocated": 8,
        "bits_stored": 8,
        "pixel_representation": 0,
        "photometric_interpretation": dataset.PhotometricInterpretation,
    }
    if cine.is_color:
        description["planar_configuration"] = dataset.PlanarConfiguration
    for frame in cine:
        if syntax == RLELossless:
            yield RLELosslessEncoder.encode(np.ascontiguousarray(frame).tobytes(), **description)
        else:
            yield _jpeg(frame)


def _jpeg(frame: Frame) -> bytes:
    """Return a baseline JPEG: grey, or YCbCr with half the chroma columns, which DICOM calls YBR_FULL_422."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    if frame.ndim == 3:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422]
    picture = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", picture, options)[1].tobytes()
