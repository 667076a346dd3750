"""Compare the DICOM reader with pydicom, GDCM and DCMTK on folders of public test files.

Run ``python Testing/Benchmarks/readers_against_others.py FOLDER ... --gdcm FOLDER``. GDCM's Python wheel must not be
installed beside ours, because pydicom would use it: ``pip install --no-deps --target FOLDER python-gdcm``. DCMTK's
commands (Debian's package ``dcmtk``) are used where they are found. Every file of the folders that one of the four
reads is compared: first, middle and last frame, number of frames, size of a pixel and time between frames as pydicom
reads their elements. Of the single-frame objects, those of one series are read as a folder, and their order is compared
with that of their InstanceNumber as each of the others reads it. Prints Markdown: counts by outcome, then every file
and every series that is not equal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

MOST_MEAN = 1.5
"""Grey levels: decoders of lossy JPEG round differently."""

MOST_BYTES = 40 * 2**20
DECOMPRESSORS = {"5": "dcmdrle", "4.5": "dcmdjpeg", "4.57": "dcmdjpeg", "4.70": "dcmdjpeg", "4.8": "dcmdjpls"}


@dataclass
class Reading:
    """What one reader makes of a file: some frames as uint8 RGB by index, or why it reads none."""

    count: int = 0
    frames: dict[int, Any] = field(default_factory=dict)
    error: str = ""
    spacing: tuple[float, float] | None = None
    step: float | None = None
    notes: tuple[str, ...] = ()


def wanted(count: int) -> list[int]:
    """First, middle and last frame."""
    return sorted({0, count // 2, count - 1})


def shown(values: Any, header: Any, photometric: str) -> Any:
    """Stored values as the picture they mean: palette, window, inversion; uint8 RGB."""
    from pydicom.pixels import apply_color_lut, convert_color_space

    if photometric == "PALETTE COLOR" and values.ndim == 2:
        colors = apply_color_lut(values, header)[..., :3]
        return (colors >> 8 if colors.max() > 255 else colors).astype(np.uint8)
    if photometric.startswith("YBR_FULL") and values.ndim == 3 and values.dtype == np.uint8:
        values = convert_color_space(values, "YBR_FULL", "RGB")
    if values.dtype != np.uint8:
        bits, signed = int(header.BitsStored), int(header.PixelRepresentation)
        low = -(2.0 ** (bits - 1)) if signed else 0.0
        high = low + 2.0**bits - 1
        values = values.astype(np.float64)
        center, width = (np.atleast_1d(header.get(one) or [])[:1] for one in ("WindowCenter", "WindowWidth"))
        if len(center) and len(width) and float(width[0]) > 1 and values.ndim == 2:
            values = values * float(header.get("RescaleSlope") or 1) + float(header.get("RescaleIntercept") or 0)
            low = float(center[0]) - 0.5 - (float(width[0]) - 1) / 2
            high = low + float(width[0]) - 1
        values = ((values - low) * 255 / (high - low)).round().clip(0, 255).astype(np.uint8)
    if photometric == "MONOCHROME1" and values.ndim == 2:
        values = 255 - values
    return values if values.ndim == 3 else np.repeat(values[..., np.newaxis], 3, axis=2)


def by_us(path: Path) -> Reading:
    from UltrasoundLesionSegLib.errors import LesionSegError
    from UltrasoundLesionSegLib.readers.frames import to_rgb
    from UltrasoundLesionSegLib.readers.open import read_cine

    try:
        cine = read_cine(path)
        frames = {index: to_rgb(cine.frames[index]) for index in wanted(len(cine))}
    except LesionSegError as error:
        return Reading(error=str(error))
    step = 1 / cine.timing.frames_per_second if cine.timing and cine.timing.frames_per_second else None
    return Reading(len(cine), frames, "", cine.calibration.spacing if cine.calibration else None, step, cine.notes)


def by_pydicom(path: Path) -> Reading:
    import pydicom
    from pydicom.pixels import pixel_array

    try:
        header = pydicom.dcmread(path, force=True)
        count = int(header.get("NumberOfFrames") or 1)
        arrays = {index: pixel_array(header, index=index) for index in wanted(count)}
        photometric = str(header.PhotometricInterpretation)
        done = "RGB" if photometric.startswith("YBR") else photometric
        frames = {index: shown(one, header, done) for index, one in arrays.items()}
    except Exception as error:
        return Reading(error=type(error).__name__)
    return Reading(count, frames, "", spacing_of(header), step_of(header))


def spacing_of(header: Any) -> tuple[float, float] | None:
    """Size of a pixel by its elements, read plainly: one calibrated region, else PixelSpacing."""
    regions = [one for one in header.get("SequenceOfUltrasoundRegions") or [] if one.get("RegionSpatialFormat") == 1]
    found = {(round(10 * abs(one.PhysicalDeltaY), 6), round(10 * abs(one.PhysicalDeltaX), 6)) for one in regions}
    if len(found) == 1:
        return found.pop()
    for keyword in ("PixelSpacing", "NominalScannedPixelSpacing", "ImagerPixelSpacing"):
        if header.get(keyword) and len(header.get(keyword)) == 2:
            row, column = header.get(keyword)
            return float(row), float(column)
    return None


def step_of(header: Any) -> float | None:
    """Seconds between frames by FrameTime or FrameTimeVector, read plainly."""
    vector = header.get("FrameTimeVector")
    if header.get("FrameTime"):
        return float(header.FrameTime) / 1000
    return float(np.mean([float(one) for one in vector][1:])) / 1000 if vector and len(vector) > 1 else None


def by_dcmtk(path: Path, folder: Path) -> Reading:
    """Decompress with DCMTK's commands and take the bare pixels."""
    import pydicom

    try:
        told = str(pydicom.dcmread(path, force=True, specific_tags=[]).file_meta.get("TransferSyntaxUID", ""))
    except Exception as error:
        return Reading(error=type(error).__name__)
    tail = told.removeprefix("1.2.840.10008.1.2.")
    program = next((DECOMPRESSORS[one] for one in DECOMPRESSORS if tail.startswith(one)), "dcmconv")
    if shutil.which(program) is None:
        return Reading(error=f"no {program}")
    target = folder / "plain.dcm"
    target.unlink(missing_ok=True)
    command = [program, *(["+te"] if program == "dcmconv" else []), str(path), str(target)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    if done.returncode or not target.exists():
        return Reading(error="refused")
    try:
        plain = pydicom.dcmread(target)
        count = int(plain.get("NumberOfFrames") or 1)
        photometric = str(plain.PhotometricInterpretation)
        if plain.file_meta.TransferSyntaxUID.is_compressed and not plain.file_meta.TransferSyntaxUID.is_deflated:
            return Reading(error="not decoded")
        values = plain.pixel_array[np.newaxis] if count == 1 else plain.pixel_array
        done_as = "RGB" if photometric.startswith("YBR") else photometric  # pydicom has converted them
        return Reading(count, {index: shown(values[index], plain, done_as) for index in wanted(count)})
    except Exception as error:
        return Reading(error=type(error).__name__)


def gdcm_worker(paths: list[Path], folder: Path) -> None:
    """Read files with GDCM in a process of its own; one .npz for each that it reads."""
    import gdcm

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    for path in paths:
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        try:
            if not reader.Read():
                continue
            image = reader.GetImage()
            data = image.GetBuffer().encode("utf-8", "surrogateescape")
            size = [image.GetDimension(at) for at in range(image.GetNumberOfDimensions())]
            form = image.GetPixelFormat()
            kind = str(form.GetScalarTypeAsString()).lower().replace("12", "16")
            channels = form.GetSamplesPerPixel()
            shape = ([size[2]] if len(size) > 2 else [1]) + [size[1], size[0]]
            array = np.frombuffer(data, kind)
            if channels == 3 and image.GetPlanarConfiguration() == 1:
                array = array.reshape(shape[0], 3, *shape[1:]).transpose(0, 2, 3, 1)
            array = array.reshape(*shape, *([channels] if channels > 1 else []))
            photometric = str(image.GetPhotometricInterpretation())
            text = gdcm.StringFilter()
            text.SetFile(reader.GetFile())
            number = text.ToString(gdcm.Tag(0x0020, 0x0013))
            np.savez(folder / f"{key_of(path)}.npz", photometric=photometric, array=array, number=number)
        except Exception:
            continue


def key_of(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def by_gdcm(path: Path, folder: Path) -> Reading:
    import pydicom

    stored = folder / f"{key_of(path)}.npz"
    if not stored.exists():
        return Reading(error="refused")
    try:
        with np.load(stored) as found:
            array, photometric = found["array"], str(found["photometric"]).strip()
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        frames = {index: shown(array[index], header, photometric) for index in wanted(len(array))}
    except Exception as error:
        return Reading(error=type(error).__name__)
    return Reading(len(array), frames)


def series_of(paths: list[Path]) -> list[list[Path]]:
    """Files of one series and picture size each, three at least, of single frames with different InstanceNumber."""
    import pydicom

    found: dict[tuple[str, ...], list[tuple[str, Path]]] = {}
    for path in paths:
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            key = tuple(str(header[one].value) for one in ("SeriesInstanceUID", "Rows", "Columns"))
            number, frames = str(int(header.InstanceNumber)), int(header.get("NumberOfFrames") or 1)
        except Exception:
            continue
        if frames == 1:
            found.setdefault(key, []).append((number, path))
    series = [one for one in found.values() if len(one) > 2 and len({number for number, _ in one}) == len(one)]
    return [[path for _, path in one] for one in series]


def order_by(numbers: dict[Path, str]) -> list[Path]:
    """The files in the order of InstanceNumber, [] where not all have one."""
    try:
        return sorted(numbers, key=lambda path: int(numbers[path]))
    except ValueError:
        return []


def number_by_pydicom(path: Path, folder: Path) -> str:
    import pydicom

    return str(pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber)


def number_by_dcmtk(path: Path, folder: Path) -> str:
    done = subprocess.run(["dcmdump", "-q", "+P", "0020,0013", str(path)], capture_output=True, text=True, check=False)
    found = re.search(r"\[\s*(\d+)\s*\]", done.stdout)
    return found[1] if found else ""


def number_by_gdcm(path: Path, folder: Path) -> str:
    stored = folder / f"{key_of(path)}.npz"
    if not stored.exists():
        return ""
    with np.load(stored) as found:
        return str(found["number"]).strip()


def compare_series(paths: list[Path], folder: Path) -> None:
    """Read each series as a folder and print how its order compares."""
    from UltrasoundLesionSegLib.errors import LesionSegError
    from UltrasoundLesionSegLib.readers.open import read_cine

    readers = {"pydicom": number_by_pydicom, "DCMTK": number_by_dcmtk, "GDCM": number_by_gdcm}
    counts: Counter[str] = Counter()
    lines = []
    for number, series in enumerate(series_of(paths)):
        place = folder / f"series {number}"
        place.mkdir()
        links = {place / f"{at:05} {path.name}": path for at, path in enumerate(series)}
        for link, path in links.items():
            link.symlink_to(path.resolve())
        try:
            cine = read_cine(place)
        except LesionSegError as error:
            counts["refused here"] += 1
            lines.append(f"| {len(series)} files, {series[0].name} | refused | {error} |")
            continue
        ours = [links[path] for path in cine.identity.paths]
        orders = {name: order_by({path: read(path, folder) for path in series}) for name, read in readers.items()}
        equal = [name for name, order in orders.items() if order == ours]
        found = "as " + ", ".join(equal) if equal else "another order"
        counts[found] += 1
        if len(equal) < len(orders):
            lines.append(f"| {len(series)} files, {series[0].name} | {found} | {' '.join(cine.notes)} |")
    print(f"\n{sum(counts.values())} series of single-frame objects, order by InstanceNumber as the others read it:\n")
    print("| outcome | series |\n|---|---|")
    for outcome_name, count in counts.most_common():
        print(f"| {outcome_name} | {count} |")
    print("\n| series | order | what is said here |\n|---|---|---|")
    print("\n".join(lines))


def is_equal(ours: Reading, other: Reading) -> bool:
    """Whether the frames that both looked at are the same pictures, and as many."""
    both = ours.frames.keys() & other.frames.keys()
    return bool(both) and all(
        ours.frames[one].shape == other.frames[one].shape
        and np.abs(ours.frames[one].astype(int) - other.frames[one]).mean() <= MOST_MEAN
        for one in both
    )


def outcome(ours: Reading, others: dict[str, Reading]) -> str:
    """The class of a file."""
    readers = [name for name, one in others.items() if not one.error]
    if ours.error:
        return "refused by all four" if not readers else "refused here, read by " + ", ".join(readers)
    if not readers:
        return "read only here"
    equal = [name for name in readers if is_equal(ours, others[name])]
    if equal == readers:
        counts = {others[name].count for name in readers}
        return "equal in all readers that read it" if counts == {ours.count} else "equal, another number of frames"
    if equal:
        return "equal except in " + " and ".join(name for name in readers if name not in equal)
    return "differs from " + ", ".join(readers)


def plain_differences(ours: Reading, plain: Reading) -> list[str]:
    """How size of a pixel and times differ from what the elements plainly say."""
    found = []
    for what, mine, theirs in (("mm", ours.spacing, plain.spacing), ("s", ours.step, plain.step)):
        if theirs is not None and (mine is None or not np.allclose(mine, theirs, rtol=1e-4)):
            found.append(f"{what}: {mine} here, {theirs} in the header")
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--gdcm", type=Path, help="folder that holds python-gdcm")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.worker:
        gdcm_worker([Path(one) for one in json.loads(sys.stdin.read())], arguments.worker)
        return
    paths, seen = [], set()
    for path in sorted(one for folder in arguments.folders for one in folder.rglob("*") if one.is_file()):
        if path.stat().st_size <= MOST_BYTES and (digest := hashlib.sha256(path.read_bytes()).hexdigest()) not in seen:
            seen.add(digest)
            paths.append(path)
    with tempfile.TemporaryDirectory() as name:
        compare(paths, Path(name), arguments.gdcm)
        compare_series(paths, Path(name))


def compare(paths: list[Path], folder: Path, gdcm: Path | None) -> None:
    """Compare all files and print the result."""
    if gdcm is not None:
        for first in range(0, len(paths), 10):  # GDCM may crash on damaged files: then the rest of ten is lost
            command = [sys.executable, __file__, "-", "--worker", str(folder)]
            listed = json.dumps([str(path) for path in paths[first : first + 10]])
            subprocess.run(
                command, input=listed, text=True, env={"PYTHONPATH": str(gdcm)}, check=False, capture_output=True
            )
    counts: Counter[str] = Counter()
    lines, without_image, unplain = [], 0, 0
    for path in paths:
        others = {"pydicom": by_pydicom(path), "DCMTK": by_dcmtk(path, folder), "GDCM": by_gdcm(path, folder)}
        ours = by_us(path)
        found = outcome(ours, others)
        if found == "refused by all four":
            without_image += 1
            continue
        counts[found] += 1
        differences = [] if ours.error or others["pydicom"].error else plain_differences(ours, others["pydicom"])
        unplain += bool(differences)
        if found != "equal in all readers that read it" or differences:
            said = ours.error or "; ".join([*differences, *ours.notes])
            lines.append(f"| {path.name} | {found} | {said} |")
    print(f"{sum(counts.values())} pictures; {without_image} files of no picture, refused by all four.\n")
    print("| outcome | files |\n|---|---|")
    for outcome_name, count in counts.most_common():
        print(f"| {outcome_name} | {count} |")
    print(f"\nOn {unplain} of them the size of a pixel or the times are not what the elements plainly say.\n")
    print("| file | outcome | what is said here |\n|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
