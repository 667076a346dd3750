"""Any document and any damage, by hypothesis: what is not understood is refused in our words.

Readers of sources and seeds have the like in ``readers/test_robustness.py``; ``ULS_FUZZ_EXAMPLES`` sets how many each.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_helpers import describe, write_multiframe
from hypothesis import given, settings
from hypothesis import strategies as st

from UltrasoundLesionSegLib.batch.manifest import read_manifest
from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.dicom.patient import read_patient
from UltrasoundLesionSegLib.dicom.segmentation_reader import read_segmentation
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.engine.bundles import read_bundle
from UltrasoundLesionSegLib.errors import BatchError, ModelError, OutputError, SeedError
from UltrasoundLesionSegLib.mrml.scene_archive import is_sound
from UltrasoundLesionSegLib.readers.open import read_cine

EXAMPLES = settings(max_examples=int(os.environ.get("ULS_FUZZ_EXAMPLES", "40")), deadline=None, derandomize=True)
KEYS = (
    "_target_",
    "network_def",
    "suggestion",
    "propagation",
    "input_size",
    "weights",
    "sha256",
    "source",
    "patient_id",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
DAMAGE = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5)


@contextlib.contextmanager
def folder_with(**files: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        yield Path(folder)


def damaged(content: bytes, changes: list[tuple[float, bytes]]) -> bytes:
    result = bytearray(content)
    for where, values in changes:
        at = int(where * len(result))
        result[at : at + len(values)] = values
    return bytes(result)


@EXAMPLES
@given(metadata=VALUES, network_def=VALUES)
def test_any_description_of_a_bundle(metadata: Any, network_def: Any) -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "any"
        (folder / "configs").mkdir(parents=True)
        (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
        (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": network_def}))
        with pytest.raises(ModelError):
            read_bundle(folder)


@EXAMPLES
@given(document=VALUES, table=st.text(max_size=80))
def test_any_manifest_and_patient(document: Any, table: str) -> None:
    text = json.dumps(document).encode()
    with folder_with(document=text, table=f"source,seed,frame\n{table}".encode("utf-8", "surrogatepass")) as folder:
        for name in ("document", "table"):
            with contextlib.suppress(BatchError):
                assert read_manifest(folder / name)
        with contextlib.suppress(OutputError):
            assert read_patient(folder / "document").patient_id


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cine, bytes]:
    folder = tmp_path_factory.mktemp("segmentation")
    frames = np.random.default_rng(0).integers(0, 256, (3, 24, 32), np.uint8)
    cine = read_cine(write_multiframe(folder / "cine.dcm", frames))
    lesions = [describe(cine, 1)]
    write_segmentation(folder / "seg.dcm", DicomSource.from_cine(cine), lesions, frames[:, np.newaxis] > 128)
    return cine, (folder / "seg.dcm").read_bytes()


@EXAMPLES
@given(changes=DAMAGE)
def test_any_damage_to_a_segmentation(segmentation: tuple[Cine, bytes], changes: list[tuple[float, bytes]]) -> None:
    cine, content = segmentation
    with folder_with(seg=damaged(content, changes)) as folder, contextlib.suppress(SeedError):
        for segment in read_segmentation(folder / "seg", cine).segments:
            assert all(mask.shape == cine.shape for mask in segment.masks.values())


@EXAMPLES
@given(changes=DAMAGE, names=st.lists(st.text(min_size=1, max_size=12), max_size=4))
def test_any_archive(changes: list[tuple[float, bytes]], names: list[str]) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/a.mrml", "<MRML/>")
        for name in dict.fromkeys(names):
            archive.writestr(name.encode("utf-8", "replace").decode(), b"data" * 50)
    content = target.getvalue()
    leaves = any(".." in name or name.startswith("/") or "\\" in name for name in names)
    assert isinstance(is_sound(io.BytesIO(content)), bool)
    assert not (leaves and is_sound(io.BytesIO(content)))
    is_sound(io.BytesIO(damaged(content, changes)))
