"""A batch on a real Dask cluster of several processes, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from UltrasoundLesionSegLib.batch.jobs import CaseEnded
from UltrasoundLesionSegLib.batch.run import BatchProgress, BatchResult
from UltrasoundLesionSegLib.errors import BatchError

distributed: Any = pytest.importorskip("distributed")
Batch = Callable[..., BatchResult]
STAND_IN = str(Path(__file__).with_name("stand_in_worker.py"))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of two Dask workers, also of those that replace them, whose cases take no time."""

    class StandIn(distributed.WorkerPlugin):
        def __init__(self, script: str) -> None:
            self.script = script

        def setup(self, worker: Any) -> None:
            import sys

            from UltrasoundLesionSegLib.batch import child

            script = self.script
            child.worker_command = lambda: [sys.executable, script]

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(processes=True, **options) as cluster, distributed.Client(cluster) as client:
        client.register_plugin(StandIn(STAND_IN))
        yield client


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "run.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_with_a_machine_lost_in_the_middle_the_results_are_those_of_this_machine(
    client: Any, batch: Batch, cases: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = cases(**{f"c{number}": f"0.{number + 1} 0.9" for number in range(6)}, broken="refuse", slow="wait 3")
    batch(manifest)
    here = contents(tmp_path / "out" / "cases")
    (tmp_path / "out").rename(tmp_path / "here")
    killed: list[int] = []

    def kill_one(step: BatchProgress) -> None:
        if isinstance(step.event, CaseEnded) and not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], getattr(signal, "SIGKILL", signal.SIGTERM))

    result = batch(manifest, kill_one, scheduler=client.scheduler.address)
    assert killed
    assert sorted(result.computed) == [*(f"c{number}" for number in range(6)), "slow"]
    assert result.failed == {"broken": "the source is refused"}
    assert contents(tmp_path / "out" / "cases") == here
    assert batch(manifest, scheduler=client.scheduler.address).computed == []


def test_a_hanging_case_is_killed_on_the_cluster_too(client: Any, batch: Batch, cases: Callable[..., Path]) -> None:
    result = batch(cases(a="hang", b="0.9"), scheduler=client.scheduler.address, time_limit=2)
    assert result.computed == ["b"]
    assert "time limit of 2 s" in result.failed["a"]


def test_without_a_scheduler_there_the_sentence_says_so(
    batch: Batch, cases: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("UltrasoundLesionSegLib.batch.cluster.SECONDS_TO_CONNECT", 1)
    with pytest.raises(BatchError, match="no Dask scheduler answers"):
        batch(cases(a="0.9"), scheduler="tcp://127.0.0.1:9")


def test_without_distributed_the_sentence_says_what_to_install(
    batch: Batch, cases: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BatchError, match="not installed"):
        batch(cases(a="0.9"), scheduler="tcp://127.0.0.1:9")
