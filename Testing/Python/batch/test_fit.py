"""A batch whose models are fitted to each case's lesion: what it writes, and that the choice is an input of a case."""

from __future__ import annotations

import csv
import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_helpers import clip_of_moving_discs
from PIL import Image
from tiny_bundle import write_tiny_bundle

from UltrasoundLesionSegLib.batch import run, worker
from UltrasoundLesionSegLib.batch.jobs import CaseEnded, Event, Job
from UltrasoundLesionSegLib.batch.plan import BatchSettings
from UltrasoundLesionSegLib.batch.run import run_batch
from UltrasoundLesionSegLib.fitting import lesion_fit, way_back
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.fitting.lesion_fit import FitSettings

FITTED = "tiny (fitted to this cine)"


class InThisProcess:
    """Computes cases as a worker does, from the same messages, in the process whose models and steps are small."""

    def __init__(self, *_: Any) -> None: ...

    def run(self, jobs: Sequence[Job]) -> Generator[Event, None, None]:
        for job in jobs:
            answers: list[dict[str, Any]] = []
            worker.compute(Job.from_message(json.loads(json.dumps(job.on("cpu").as_message()))), answers.append)
            last = answers[-1]
            yield CaseEnded(job.name, Path(last["done"]) if "done" in last else None, last.get("failed", ""))


@pytest.fixture
def cines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cines; the lesion drawn on the second one is too small to fit a model to."""
    write_tiny_bundle(tmp_path / "models" / "tiny")
    monkeypatch.setenv("ULS_MODELS", str(tmp_path / "models"))
    cine, truth = clip_of_moving_discs(frames=4)
    frames = np.stack([cine.frames[frame] for frame in range(4)])
    monkeypatch.setattr(lesion_fit, "other_clips", lambda: (Clip(frames, truth[:, 0]),))
    monkeypatch.setattr(
        lesion_fit, "FitSettings", lambda: FitSettings(steps=2, batch=1, other_share=0.0, learning_rate=3e-2, share=1.0)
    )
    monkeypatch.setattr(run, "LocalPool", InThisProcess)
    speck = np.zeros_like(truth[0, 0])
    speck[20, 20] = True
    for name, mask in (("large", truth[0, 0]), ("small", speck)):
        (tmp_path / "cines" / name).mkdir(parents=True)
        for frame in range(4):
            Image.fromarray(frames[frame]).save(tmp_path / "cines" / name / f"{frame}.png")
        Image.fromarray(mask).save(tmp_path / "cines" / f"{name}.seed.0.png")
    return tmp_path / "cines"


def test_each_case_is_fitted_and_says_so(cines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_every_fit(monkeypatch)
    out = tmp_path / "out"
    result = run_batch(cines, out, BatchSettings(model="tiny", fit=True))
    assert (result.computed, result.failed) == (["case-0001", "case-0002"], {})
    rows = list(csv.DictReader((out / "cases.csv").open()))
    assert [(row["model"], row["fit"]) for row in rows] == [(FITTED, "kept"), ("tiny", "not kept")]
    records = [json.loads((out / "cases" / name / "run.json").read_text()) for name in result.computed]
    assert [record["fit"]["used"] for record in records] == [True, False]
    assert "too small to fit a model to" in " ".join(records[1]["notices"])
    assert FITTED in (out / "cases" / "case-0001" / "report.html").read_text()
    page = (out / "index.html").read_text()
    assert page.count("the model was fitted to this cine") == 1
    assert page.count("too small to fit a model to") == 1


def test_another_choice_is_a_reason_to_compute_a_case_again(
    cines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_every_fit(monkeypatch)
    out, names = tmp_path / "out", ["case-0001", "case-0002"]
    plain, fitted = BatchSettings(model="tiny"), BatchSettings(model="tiny", fit=True)
    assert run_batch(cines, out, plain).computed == names
    assert "fit" not in json.loads((out / "cases" / "case-0001" / "run.json").read_text())["inputs"]["settings"]
    assert [row["fit"] for row in csv.DictReader((out / "cases.csv").open())] == ["", ""]
    assert run_batch(cines, out, plain).finished == names
    assert run_batch(cines, out, fitted).computed == names
    log = max((out / "logs").iterdir(), key=lambda path: path.stat().st_mtime_ns).read_text()
    assert "case-0001 computed again: the setting 'fit' has changed" in log
    assert run_batch(cines, out, fitted).finished == names
    assert run_batch(cines, out, plain).computed == names


def keep_every_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way_back, "LESS", 1.0)
    monkeypatch.setattr(way_back, "LOST", 0.0)
