"""Measure the readers: milliseconds a frame forward, backward and at random, and memory on a long source.

Run ``python Testing/Benchmarks/readers.py``; with ``--data FOLDER`` also on the real cines. The table is Markdown, for
Docs/readers.md. Times are of the processor, all threads together, so that they hold on a busy machine. Memory is the
growth of the process over the state before opening, at its highest (mapped files count while they are in memory).
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage, generate_uid

HEIGHT, WIDTH = 600, 800
SOURCES = ("dicom", "dicom-grey", "avi", "mp4", "images", "nrrd", "nrrd-gzip")


def picture(index: int, is_color: bool) -> np.ndarray:
    """One of a few frames of noise that compresses about as speckle does."""
    noise = np.random.default_rng(index % 16).integers(0, 256, (HEIGHT // 4, WIDTH // 4), np.uint8)
    grey = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.stack([grey, grey, 255 - grey], axis=2) if is_color else grey


def make_dicom(path: Path, count: int, is_color: bool) -> None:
    """Write a multi-frame object of JPEG Baseline."""
    streams = []
    for index in range(16):
        target = io.BytesIO()
        Image.fromarray(picture(index, is_color)).save(target, "JPEG", quality=85)
        streams.append(target.getvalue())
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.Rows, data.Columns, data.NumberOfFrames, data.FrameTime = HEIGHT, WIDTH, count, "33.3"
    data.SamplesPerPixel = 3 if is_color else 1
    data.PhotometricInterpretation = "YBR_FULL_422" if is_color else "MONOCHROME2"
    if is_color:
        data.PlanarConfiguration = 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = encapsulate([streams[index % 16] for index in range(count)], has_bot=False)
    data["PixelData"].VR = "OB"
    data.save_as(path, enforce_file_format=True)


def make_video(path: Path, count: int, codec: str) -> None:
    """Write a video with OpenCV."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 30, (WIDTH, HEIGHT))
    frames = [cv2.cvtColor(picture(index, False), cv2.COLOR_GRAY2BGR) for index in range(16)]
    for index in range(count):
        writer.write(np.roll(frames[index % 16], index // 16, axis=1))  # no two alike
    writer.release()


def make(kind: str, folder: Path, count: int) -> Path:
    """Write a source of ``count`` frames and return its path."""
    path = folder / kind
    if kind.startswith("dicom"):
        make_dicom(path, count, kind == "dicom")
    elif kind in ("avi", "mp4"):
        path = folder / f"clip.{kind}"
        make_video(path, count, "MJPG" if kind == "avi" else "mp4v")
    elif kind == "images":
        path.mkdir()
        streams = [cv2.imencode(".jpg", picture(index, False))[1].tobytes() for index in range(16)]
        for index in range(count):
            (path / f"{index}.jpg").write_bytes(streams[index % 16])
    else:
        import SimpleITK

        volume = np.stack([picture(index, False) for index in range(16)] * (count // 16))
        path = folder / f"{kind}.nrrd"
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(volume), str(path), useCompression=kind == "nrrd-gzip")
    return path


def peak_mb() -> float:
    """Highest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the process that started this one
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(path: Path) -> str:
    """Open a source in this process and time it; returns a row of the table without its name."""
    from UltrasoundLesionSegLib.readers.open import read_cine

    before = peak_mb()
    begin = time.process_time()
    cine = read_cine(path)
    opening = time.process_time() - begin
    begin = time.process_time()
    middle = len(cine) // 2
    assert cine.frames[middle].shape[:2] == cine.shape
    one = time.process_time() - begin
    orders = {
        "forward": range(len(cine)),
        "backward": range(len(cine) - 1, -1, -1),
        "random": np.random.default_rng(0).integers(0, len(cine), 50),
    }
    figures = [f"{len(cine)} of {cine.height} x {cine.width}", f"{opening:.2f}", f"{one * 1000:.1f}"]
    for order in orders.values():
        begin = time.process_time()
        for index in order:
            assert cine.frames[int(index)].dtype == np.uint8
        figures.append(f"{(time.process_time() - begin) * 1000 / len(order):.2f}")
    return " | ".join([*figures, f"{peak_mb() - before:.0f}"])


def main() -> None:
    """Print the table; each source is measured in a process of its own, so that memory is its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=4992, help="frames of each made source, a multiple of 16")
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=SOURCES)
    parser.add_argument("--data", type=Path, help="folder of the real cines")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(measure(arguments.one))
        return
    print(
        "| source | frames | open, CPU s | one frame, CPU ms | forward, CPU ms/frame | backward | random | memory, MB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    real = sorted((arguments.data / "cine").glob("*/*")) if arguments.data else []
    real = [path for path in real if path.suffix in (".dcm", ".mov", ".mp4") and "series" not in path.parent.name]
    for path in [*real, arguments.data / "cine" / "breast_series_dicom"] if arguments.data else []:
        print(f"| {path.name} | {measured_apart(path)} |", flush=True)
    for kind in arguments.sources:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {kind} | {measured_apart(make(kind, Path(folder), arguments.frames))} |", flush=True)


def measured_apart(path: Path) -> str:
    """Measure a source in a new process."""
    command = [sys.executable, __file__, "--one", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
