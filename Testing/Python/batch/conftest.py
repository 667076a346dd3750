"""Batches whose workers are real processes but whose cases take no time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from UltrasoundLesionSegLib.batch.plan import BatchSettings
from UltrasoundLesionSegLib.batch.run import BatchResult, run_batch

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in_worker.py"))]
Batch = Callable[..., BatchResult]


@pytest.fixture
def cases(tmp_path: Path) -> Callable[..., Path]:
    """``cases(a="0.9 0.8", b="die")`` writes sources that tell the stand-in worker what to do, and their manifest."""

    def write(**asked: str) -> Path:
        manifest = tmp_path / "cases.csv"
        (tmp_path / "seed.png").write_bytes(b"seed")
        rows = ["case,source,seed,frame"]
        for name, what in asked.items():
            (tmp_path / f"Doe_{name}.cine").write_text(what)
            rows.append(f"{name},Doe_{name}.cine,seed.png,1")
        manifest.write_text("\n".join(rows) + "\n")
        return manifest

    return write


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """``batch(manifest, processes=2)`` runs into ``tmp_path / "out"`` with stand-in workers."""
    monkeypatch.setattr("UltrasoundLesionSegLib.batch.child.worker_command", lambda: STAND_IN)

    def start(
        source: Path,
        progress: Callable | None = None,
        waiting: Callable[[], None] = lambda: None,
        **settings: object,
    ) -> BatchResult:
        chosen = {"processes": 1, "device": "cpu", **settings}
        return run_batch(source, tmp_path / "out", BatchSettings(**chosen), progress, waiting)  # type: ignore[arg-type]

    return start
