"""Measure the DICOM room: SEG against highdicom's, reading it back, SR, and the memory of a long cine.

Run ``python Testing/Benchmarks/dicom.py``; the table is Markdown, for Docs/dicom.md. highdicom cannot write a SEG of
more than one frame without a frame of reference, so it is given as many images that have one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

from UltrasoundLesionSegLib.cine import Calibration, Cine, Mask, Origin, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.dicom.identifiers import tracking_id, tracking_uid
from UltrasoundLesionSegLib.dicom.lesions import LesionDescription, ModelIdentity
from UltrasoundLesionSegLib.dicom.segmentation_header import SegmentationKind
from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.dicom.structured_report import write_measurement_report
from UltrasoundLesionSegLib.measurement.frame import measure_frame


class Black:
    """Frames that take no memory: only their number matters here."""

    def __init__(self, count: int, height: int, width: int) -> None:
        self._count, self._frame = count, np.zeros((height, width), np.uint8)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> np.ndarray:
        return self._frame


def header(sop_class: str, height: int, width: int) -> Dataset:
    """What every image header has."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid(prefix=None)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.101", "2.25.102"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "Doe^Jane", "1", "", ""
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "20240131", "101500", "1", ""
    dataset.Modality, dataset.ReferringPhysicianName = "US", ""
    dataset.Rows, dataset.Columns = height, width
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def multiframe_cine(path: Path, count: int, height: int, width: int) -> Cine:
    """A cine whose DICOM file has a header alone, which is all that a SEG needs of it."""
    dataset = header(UltrasoundMultiFrameImageStorage, height, width)
    dataset.NumberOfFrames = count
    dataset.save_as(path, enforce_file_format=True)
    identity = SourceIdentity(SourceKind.DICOM_MULTIFRAME, "ab" * 32, (dataset.SOPInstanceUID,), (path,))
    timing = Timing(np.arange(count) / 25, "FrameTime")
    return Cine(Black(count, height, width), height, width, False, identity, timing=timing)


def slices(count: int, height: int, width: int) -> list[Dataset]:
    """As many single images with a frame of reference."""
    made = []
    for index in range(count):
        dataset = header(CTImageStorage, height, width)
        dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = "2.25.7", ""
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 2 * index], [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.5], 2
        made.append(dataset)
    return made


def lesion(frame: int, height: int, width: int) -> Mask:
    """An ellipse that wanders, (H, W) bool."""
    rows, columns = np.ogrid[:height, :width]
    row, column = height / 2 + 0.05 * height * np.sin(frame / 15), width / 2 + 0.05 * width * np.cos(frame / 15)
    return np.asarray(((rows - row) / (0.12 * height)) ** 2 + ((columns - column) / (0.14 * width)) ** 2 < 1)


def write_with_highdicom(path: Path, images: list[Dataset], masks: np.ndarray) -> None:
    """The same masks as highdicom writes them; masks (T, H, W) uint8."""
    description = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Lesion",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Mass,
        algorithm_type="MANUAL",
    )
    segmentation = highdicom.seg.Segmentation(
        images,
        masks,
        "BINARY",
        [description],
        series_instance_uid=highdicom.UID(),
        series_number=1,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="highdicom",
        manufacturer_model_name="highdicom",
        software_versions=highdicom.__version__,
        device_serial_number="1",
    )
    segmentation.save_as(path)


def seconds(action: Callable[[], Any], repeats: int) -> float:
    """Median time of an action, after one that is not counted."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_megabytes(action: Callable[[], Any]) -> float:
    """Largest memory that Python and numpy held during an action."""
    tracemalloc.start()
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def speed_rows(folder: Path, count: int, height: int, width: int, repeats: int) -> list[str]:
    """Rows of the table of times."""
    cine = multiframe_cine(folder / "cine.dcm", count, height, width)
    masks = np.stack([lesion(frame, height, width) for frame in range(count)])
    one = LesionDescription(
        "Lesion",
        tracking_uid(cine.identity, "1"),
        tracking_id(cine.identity, 1),
        {0: Origin.MANUAL},
        ModelIdentity("model", "1"),
    )
    target, report = folder / "seg.dcm", folder / "sr.dcm"

    def write(kind: SegmentationKind = SegmentationKind.BINARY) -> Any:
        return write_segmentation(target, DicomSource.from_cine(cine), [one], masks[:, None], kind)

    images = slices(count, height, width)
    theirs = seconds(lambda: write_with_highdicom(folder / "theirs.dcm", images, masks.astype(np.uint8)), repeats)
    labelmap = seconds(lambda: write(SegmentationKind.LABELMAP), repeats)
    ours = seconds(write, repeats)
    written = write()

    def read() -> None:
        for segment in read_segmentation(target, cine).segments:
            for frame in segment.masks:
                segment.masks[frame]

    back = seconds(read, repeats)
    calibration = Calibration(0.1, 0.1, "typed in")
    measured = {index: measure_frame(mask, cine.frames[index], calibration) for index, mask in enumerate(masks)}
    source = DicomSource.from_cine(cine)
    sr = seconds(lambda: write_measurement_report(report, source, written, [one], [measured]), repeats)
    megabytes = target.stat().st_size / 1e6
    return [
        f"| highdicom, SEG with a frame of reference | {theirs:.2f} s |",
        f"| SEG, BINARY ({megabytes:.1f} MB) | {ours:.2f} s, {ours / theirs:.2f} of highdicom's |",
        f"| SEG, LABELMAP, compressed | {labelmap:.2f} s |",
        f"| SEG read back, all masks | {back:.2f} s |",
        f"| SR ({report.stat().st_size / 1e6:.1f} MB) | {sr:.2f} s |",
    ]


def memory_row(folder: Path, count: int, height: int, width: int) -> str:
    """Row of the table of memory."""
    cine = multiframe_cine(folder / f"{count}.dcm", count, height, width)
    one = LesionDescription("Lesion", "2.25.1", "lesion", model=ModelIdentity("model", "1"))
    mask = lesion(0, height, width)[None]

    def write() -> None:
        write_segmentation(folder / "long.dcm", DicomSource.from_cine(cine), [one], lambda frame: mask)

    return f"| {count} | {peak_megabytes(write):.1f} MB |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--size", default="600x800", help="rows x columns")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    height, width = (int(value) for value in arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"| {arguments.frames} frames of {height} x {width}, one lesion on each | time |\n|---|---|")
        print("\n".join(speed_rows(folder, arguments.frames, height, width, arguments.repeats)))
        print(f"\n| frames of {height} x {width} | most memory while a SEG is written |\n|---|---|")
        for count in (200, 5000):
            print(memory_row(folder, count, height, width))


if __name__ == "__main__":
    main()
