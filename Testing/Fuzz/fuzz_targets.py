"""What is fuzzed: each target opens a folder's input as the product does and says what came of it.

A target returns a short word for the outcome, lets one of our errors through, or raises ``Finding`` for a result that
breaks a promise. Anything else that it raises is a finding too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PLANTED = ("Quilla", "Zzyzx", "Doe^Jane", "P-4711")
_LOOKED_AT = 64


class Finding(Exception):  # noqa: N818  # it is no error of the program that looks
    """A result that breaks a promise."""


Target = Callable[[Path, "int | None"], str]


def check_text(text: str, folder: Path) -> None:
    """Raise ``Finding`` when a message names a path or what the file says of a patient, or is no sentence."""
    if str(folder) in text or any(name in text for name in PLANTED):
        raise Finding(f"a message quotes its file: {text!r}")
    if "\n" in text or not text.strip() or len(text) > 600:
        raise Finding(f"a message is no sentence: {text[:200]!r}")


def read_source(path: Path, frames: int | None) -> str:
    """Open a cine and read its frames; a count other than the seed's needs a word."""
    from UltrasoundLesionSegLib.errors import FrameError
    from UltrasoundLesionSegLib.readers.open import read_cine

    cine = read_cine(path)
    unreadable = 0
    count = len(cine)
    shape = (*cine.shape, 3)[: 3 if cine.is_color else 2]
    for index in range(count) if count <= _LOOKED_AT else (0, count // 2, count - 1):
        try:
            frame = cine.frames[index]
        except FrameError as error:
            check_text(str(error), path.parent)
            if error.frame != index:
                raise Finding(f"frame {index} cannot be read and the error names {error.frame}") from error
            unreadable += 1
            continue
        if frame.dtype != np.uint8 or frame.shape != shape:
            raise Finding(f"frame {index} is {frame.dtype} {frame.shape} in a cine of {shape}")
    for note in cine.notes:
        check_text(note, path.parent)
    if cine.timing is not None and (np.diff(cine.timing.seconds) < 0).any():
        raise Finding("the frame times go back")
    if not np.isfinite(0.0 if cine.timing is None else cine.timing.seconds).all():
        raise Finding("the frame times are not numbers")
    if frames is None or count == frames:
        return "result, frames unreadable" if unreadable else "result"
    if any(char.isdigit() for note in cine.notes for char in note) or unreadable:
        return "result, other count and said so"
    return "result, other count"


def read_mask(path: Path, frames: int | None) -> str:
    from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file
    from UltrasoundLesionSegLib.readers.volume_space import Space

    place = Space(np.diag([0.2, 0.3, 1.0]), np.array([0.5, 0.0, 0.0]), (32, 24, 4), True)
    found = read_seed_file(path, (24, 32), place)
    if not found.masks or not all(mask.ndim == 2 and mask.any() for mask in found.masks.values()):
        raise Finding("a seed without a mask")
    return "result"


@cache
def _cine(path: Path) -> Any:
    from UltrasoundLesionSegLib.readers.open import read_cine

    return read_cine(path)


def read_dicom_seed(path: Path, frames: int | None) -> str:
    """Read a SEG for the sound cine it was made on."""
    from UltrasoundLesionSegLib.workflow.seeding import seeds_from_file

    _cine.cache_clear()
    cine = _cine(path.parent / "cine.dcm")
    found = seeds_from_file(path, cine, 0, "Lesion").found
    for _, frame, mask in found:
        if not 0 <= frame < len(cine) or mask.shape != cine.shape or mask.dtype != np.bool_:
            raise Finding(f"a mask {mask.dtype} {mask.shape} on frame {frame} of a cine {cine.shape}")
    return "result" if found else "result, no mask"


def read_dicom_source(path: Path, frames: int | None) -> str:
    """Prepare outputs that refer to a DICOM cine."""
    from UltrasoundLesionSegLib.dicom.source import DicomSource
    from UltrasoundLesionSegLib.readers.open import read_cine

    source = DicomSource.from_cine(read_cine(path))
    for keyword in ("Rows", "InstitutionName", "PatientComments"):
        if keyword in source.study:
            raise Finding(f"{keyword} is taken over from the source")
    return "result"


def read_model(path: Path, frames: int | None) -> str:
    """Read a bundle and load its network; nothing of it may be executed."""
    from UltrasoundLesionSegLib.engine import bundles

    os.environ[bundles.FOLDERS_VARIABLE] = str(path.parent)
    bundles.list_bundles()
    bundle = bundles.read_bundle(path)
    if bundle.role == bundles.PROPAGATE:
        bundle.tracker_settings()
    bundle.load_network()
    return "result"


def read_patient_file(path: Path, frames: int | None) -> str:
    from UltrasoundLesionSegLib.dicom.patient import read_patient

    patient = read_patient(path)
    if PLANTED[0] in repr(patient):
        raise Finding("the patient's repr shows the name")
    return "result"


def read_batch_manifest(path: Path, frames: int | None) -> str:
    """Read a manifest; a case's name becomes a folder's."""
    from UltrasoundLesionSegLib.batch.manifest import read_manifest
    from UltrasoundLesionSegLib.errors import SourceError
    from UltrasoundLesionSegLib.readers.open import read_cine

    for case in read_manifest(path):
        with contextlib.suppress(SourceError):  # most of the sources named are not there
            read_cine(case.source)
        if case.name and (Path(case.name).name != case.name or case.name in (".", "..")):
            raise Finding("a case's name leaves the output folder")
    return "result"


def read_scene(path: Path, frames: int | None) -> str:
    from UltrasoundLesionSegLib.mrml import headless

    scene = headless.start()
    from UltrasoundLesionSegLib.mrml.scene_file import load_scene

    try:
        browsers = load_scene(path)
    finally:
        scene.Clear(0)
    escaped = [Path("/tmp/escaped"), path.parent.parent / "escaped"]
    if any(one.exists() for one in escaped):
        raise Finding("a member of the archive was written outside its folder")
    return "result" if browsers else "result, no cine"


TARGETS: dict[str, Target] = {
    "cine": read_source,
    "seed": read_mask,
    "dicom seed": read_dicom_seed,
    "dicom source": read_dicom_source,
    "bundle": read_model,
    "patient": read_patient_file,
    "manifest": read_batch_manifest,
    "scene": read_scene,
}
