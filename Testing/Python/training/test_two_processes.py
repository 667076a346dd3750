"""Training by two processes under ``accelerate launch``, one of them killed in the middle.

The file is also what is launched: the command ``train`` with an eye on what each process sees and writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from UltrasoundLesionSegLib.errors import DeviceError

STEPS = 5
STAGES = [
    {"steps": 3, "batch": 2, "sample": {"frames": 3, "size": 32}},
    {"steps": 2, "batch": 2, "sample": {"frames": 3, "size": 48}},
]
KILLED = (1, 2)  # rank and step


def launch(config: Path, stills: Path, output: Path, notes: Path, kill: bool) -> subprocess.CompletedProcess[str]:
    """Run this file as two processes on the CPU, as Docs/training.md says."""
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launcher += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    arguments = ["train", "--config", str(config), "--data", str(stills), "--output", str(output), "--workers", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    environment |= {"ULS_TEST_NOTES": str(notes), "ULS_TEST_KILL": str(int(kill))}
    notes.mkdir()
    return subprocess.run(
        [*launcher, __file__, *arguments], env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def notes_of(folder: Path, kind: str, rank: int) -> list[dict[str, Any]]:
    path = folder / f"{kind}-{rank}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


@pytest.mark.slow
def test_a_killed_run_of_two_processes_goes_on(still_folder: Path, tmp_path: Path) -> None:
    import torch
    from tiny_bundle import write_untrained_bundle

    from UltrasoundLesionSegLib.training.run_state import Checkpoint

    config = write_untrained_bundle(tmp_path / "tiny", STAGES)
    output = tmp_path / "run"

    killed = launch(config, still_folder, output, tmp_path / "first", kill=True)
    assert killed.returncode != 0
    assert Checkpoint.load(output / "checkpoint.pt").step == KILLED[1]
    resumed = launch(config, still_folder, output, tmp_path / "second", kill=False)
    assert resumed.returncode == 0, resumed.stderr

    seen = {
        rank: notes_of(tmp_path / "first", "batch", rank) + notes_of(tmp_path / "second", "batch", rank)
        for rank in (0, 1)
    }
    assert [note["step"] for note in seen[0]] == [note["step"] for note in seen[1]] == list(range(STEPS))
    digests = [note["digest"] for notes in seen.values() for note in notes]
    assert len(set(digests)) == 2 * STEPS  # no two processes, and no two steps, were given the same samples

    saved = [note["step"] for note in notes_of(tmp_path / "second", "saved", 0)]
    assert saved == sorted(saved)
    assert saved[-1] == STEPS
    assert not notes_of(tmp_path / "first", "saved", 1)  # one process writes
    assert not notes_of(tmp_path / "second", "saved", 1)

    checkpoint = Checkpoint.load(output / "checkpoint.pt")
    assert checkpoint.step == STEPS
    for rank in (0, 1):
        held = torch.load(tmp_path / "second" / f"weights-{rank}.pt", weights_only=True)
        assert_same(held["network"], checkpoint.network)
        assert_same(held["average"], checkpoint.average)


def test_processes_that_do_not_know_of_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from UltrasoundLesionSegLib.training.train import make_accelerator

    monkeypatch.setenv("WORLD_SIZE", "2")  # a launcher says two, but accelerate found no device for a second one
    with pytest.raises(DeviceError, match=r"2 training processes .* ACCELERATE_USE_CPU"):
        make_accelerator("no")


def assert_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    import torch

    assert one.keys() == other.keys()
    different = [name for name, value in one.items() if not torch.equal(value, other[name])]
    assert not different


def watched_training() -> None:
    """Run the command ``train`` and note every batch, every checkpoint and the final weights of this process."""
    import torch

    from UltrasoundLesionSegLib.cli.main import main as command_line
    from UltrasoundLesionSegLib.training import trainer
    from UltrasoundLesionSegLib.training.run_state import Checkpoint

    notes, rank = Path(os.environ["ULS_TEST_NOTES"]), int(os.environ["RANK"])
    optimize, save, run = trainer.Trainer._optimize, Checkpoint.save, trainer.Trainer.run

    def note(kind: str, **values: Any) -> None:
        with (notes / f"{kind}-{rank}.jsonl").open("a") as file:
            file.write(json.dumps(values) + "\n")

    def noted_optimize(self: trainer.Trainer, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        if os.environ["ULS_TEST_KILL"] == "1" and (rank, self.step) == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        result = optimize(self, batch)
        note("batch", step=self.step, digest=hashlib.sha256(batch["frames"].numpy().tobytes()).hexdigest())
        return result

    def noted_save(self: Checkpoint, path: Path) -> None:
        save(self, path)
        note("saved", step=self.step)

    def noted_run(self: trainer.Trainer) -> None:
        run(self)
        weights = {"network": self._network.state_dict(), "average": self._average.state}
        torch.save(weights, notes / f"weights-{rank}.pt")

    trainer.CHECKPOINT_SECONDS, trainer.VALIDATION_BATCHES = 0, 1
    trainer.Trainer._optimize, trainer.Trainer.run = noted_optimize, noted_run  # type: ignore[method-assign]
    Checkpoint.save = noted_save  # type: ignore[method-assign]
    command_line()


if __name__ == "__main__":
    watched_training()
