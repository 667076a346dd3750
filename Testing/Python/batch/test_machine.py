"""How many cases a machine holds."""

from __future__ import annotations

import os

import pytest

from UltrasoundLesionSegLib.batch import machine


@pytest.mark.parametrize(
    ("cores", "free", "workers"),
    [(8, 64 * 2**30, 8), (8, 4 * 2**30, 2), (8, 2**20, 1), (1, None, 1), (6, None, 6)],
)
def test_cores_and_free_memory_both_limit(
    monkeypatch: pytest.MonkeyPatch, cores: int, free: int | None, workers: int
) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    monkeypatch.setattr(machine, "free_memory", lambda: free)
    assert machine.cpu_workers() == workers
    assert machine.devices_of_workers(["cpu"], None) == ["cpu"] * workers


def test_each_gpu_has_one_worker_unless_more_are_asked_for() -> None:
    assert machine.devices_of_workers(["cuda:0", "cuda:1"], None) == ["cuda:0", "cuda:1"]
    assert machine.devices_of_workers(["cuda:0", "cuda:1"], 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert machine.devices_of_workers(["mps"], None) == ["mps"]


def test_this_machine_tells_what_it_has() -> None:
    assert 1 <= machine.usable_cores() <= (os.cpu_count() or 1)
    free = machine.free_memory()
    assert free is None or free > 0
