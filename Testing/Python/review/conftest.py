"""Batch folders with results of simulated frames, and readers who work on them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_helpers import write_multiframe
from engine_helpers import clip_of_moving_discs
from PIL import Image

from UltrasoundLesionSegLib.batch import worker
from UltrasoundLesionSegLib.batch.jobs import CaseEnded, Event, Job
from UltrasoundLesionSegLib.batch.plan import BatchSettings
from UltrasoundLesionSegLib.batch.run import BatchResult, run_batch
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, SourceNote

FRAMES = 6
SHAPE = (24, 32)


def disc(row: float, column: float, radius: float = 5) -> np.ndarray:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


@pytest.fixture
def source() -> SourceNote:
    return SourceNote("ab" * 32, 10, *SHAPE)


@pytest.fixture
def anchor() -> Callable[..., ReaderAnchor]:
    """``anchor(3, how=How.CONFIRMED)`` is a disc on frame 3, at a place that depends on the frame."""

    def make(frame: int, lesion: str = "Lesion", how: How = How.DRAWN, radius: float = 5) -> ReaderAnchor:
        mask = disc(10, 8 + frame, radius) if how is not How.NOT_VISIBLE else np.zeros(SHAPE, bool)
        return ReaderAnchor(frame, lesion, mask, how)

    return make


@pytest.fixture
def machine_case(tmp_path: Path) -> Callable[..., Path]:
    """``machine_case("a", [0.9, 0.5])`` writes a result as a batch does, with an anchor on frame 0."""

    def write(name: str, confidences: Sequence[float], digest: str = "ab" * 32, content: str = "") -> Path:
        folder = tmp_path / "out" / "cases" / name
        (folder / "masks").mkdir(parents=True)
        with (folder / "measurements.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["frame", "segment", "confidence", "origin"])
            writer.writerow([0, "Lesion", "", "manual"])
            for frame, value in enumerate(confidences, start=1):
                writer.writerow([frame, "Lesion", value, "model"])
        (folder / "lesions.csv").write_text("segment,long_axis_there_px\nLesion,31.5\n")
        (folder / "report.html").write_text("<p>report</p>")
        for frame in range(len(confidences) + 1):
            Image.fromarray(disc(10, 8 + frame).astype(np.uint8)).save(folder / "masks" / f"{frame:05d}.png")
        record = {
            "software": {"name": "ultrasound-lesion-seg", "version": "0.1.0"},
            "source": {"sha256": digest, "frames": len(confidences) + 1, "height": SHAPE[0], "width": SHAPE[1]},
            "anchors": {"Lesion": [0]},
            "suggested_on_frame": None,
            "unreadable_frames": {},
            "model": {"name": "bright", "version": "1", "sha256": "0" * 64},
            "device": "cpu",
            "notices": [],
            "seconds": {"network": 0.1},
            "outputs": ["measurements.csv", "lesions.csv", "report.html"],
            "inputs": {"source": content or digest, "seeds": [], "settings": {"model": "bright", "direction": "both"}},
        }
        (folder / "run.json").write_text(json.dumps(record))
        return folder

    return write


class PoolHere:
    """Computes cases as workers do, from messages that travel as JSON, in this process: no libraries to load anew."""

    def __init__(self, *_: object) -> None:
        pass

    def run(self, jobs: Sequence[Job]) -> Generator[Event, None, None]:
        for job in jobs:
            told: list[dict[str, Any]] = []
            worker.compute(Job.from_message(json.loads(json.dumps(job.as_message()))), told.append)
            end = told[-1]
            yield CaseEnded(job.name, Path(end["done"])) if "done" in end else CaseEnded(job.name, reason=end["failed"])


@pytest.fixture
def truth() -> np.ndarray:
    return clip_of_moving_discs(frames=FRAMES)[1]


@pytest.fixture
def cines(tmp_path: Path, truth: np.ndarray) -> Path:
    """Two DICOM cines, the first with a seed file on frame 1."""
    cine, _ = clip_of_moving_discs(frames=FRAMES)
    frames = np.stack([cine.frames[index] for index in range(FRAMES)])
    for name in ("Doe_1", "Doe_2"):
        write_multiframe(tmp_path / "cines" / f"{name}.dcm", frames, BodyPartExamined="BREAST")
    Image.fromarray(truth[1][0]).save(tmp_path / "cines" / "Doe_1.seed.1.png")
    return tmp_path / "cines"


@pytest.fixture
def batch(cines: Path, bright_model: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., BatchResult]:
    """``batch(reader="A")`` runs a batch over the cines, and has done so once without a reader."""
    monkeypatch.setattr("UltrasoundLesionSegLib.batch.run.LocalPool", PoolHere)

    def start(**settings: Any) -> BatchResult:
        return run_batch(cines, cines.parent / "out", BatchSettings(device="cpu", **settings))

    first = start()
    assert first.computed == ["case-0001"]
    assert list(first.failed) == ["case-0002"]
    return start


@pytest.fixture
def draw(cines: Path) -> Callable[..., None]:
    """``draw("case-0001", [anchor])`` is the work of reader A (``reader=``); options as for ``OpenCase.store``."""
    from UltrasoundLesionSegLib.readers.open import read_cine
    from UltrasoundLesionSegLib.readers.pixel_digest import pixel_digest
    from UltrasoundLesionSegLib.review.worklist import Worklist

    def store(case: str, anchors: list[ReaderAnchor], reader: str = "A", **options: Any) -> None:
        with Worklist(cines.parent / "out", reader).open(case) as opened:
            assert opened.source is not None
            cine = read_cine(opened.source)
            opened.store(anchors, replace(SourceNote.of(cine), pixels=pixel_digest(cine)), **options)

    return store
