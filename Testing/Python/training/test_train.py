from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_bundle import write_untrained_bundle

from UltrasoundLesionSegLib.engine import weight_storage
from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import read_bundle
from UltrasoundLesionSegLib.errors import ModelError, SourceError
from UltrasoundLesionSegLib.training import export, train, trainer
from UltrasoundLesionSegLib.training.run_state import AveragedWeights, Checkpoint, RunLog
from UltrasoundLesionSegLib.training.train_config import read_train_config

STAGES = [
    {"steps": 3, "batch": 2, "sample": {"frames": 3, "size": 32}},
    {"steps": 2, "batch": 2, "sample": {"frames": 3, "size": 48, "clip": {"strength": 0.5, "lifetime": [2, 3]}}},
]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_untrained_bundle(tmp_path / "tiny", STAGES)
    return tmp_path / "tiny"


def run(
    bundle: Path, stills: Path, output: Path, *changes: str, start: Path | None = None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "VALIDATION_BATCHES", 1)
    config = bundle / "configs" / "train.json"
    train.run_training(config, stills, output, start=start, overrides=changes, workers=0, threads=1)


def test_a_smaller_network_starts_from_a_larger_one_s_weights(bundle: Path, tmp_path: Path) -> None:
    small = read_bundle(bundle).build_network()
    larger = type(small)(channels=(8, 8, 8), blocks=(1, 2, 1), token_grid=(2, 2), dropout=0.0)
    path = tmp_path / "checkpoint.pt"
    Checkpoint(1, larger.state_dict(), larger.state_dict(), {}).save(path)
    train.start_from_run(small, path)
    theirs = larger.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in small.state_dict().items())
    assert len(theirs) > len(small.state_dict())

    Checkpoint(1, small.state_dict(), small.state_dict(), {}).save(path)
    with pytest.raises(ModelError, match="has no weights for"):
        train.start_from_run(larger, path)


def test_a_network_starts_from_a_bundle_s_weights(bundle: Path) -> None:
    with pytest.raises(ModelError, match="has no weights; train it"):
        train.start_from_run(read_bundle(bundle).build_network(), bundle)
    theirs, own = (read_bundle(bundle).build_network() for _ in range(2))
    save_weights(bundle, theirs, torch.float32)
    train.start_from_run(own, bundle)
    wanted = theirs.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in own.state_dict().items())


def test_a_run_that_stopped_goes_on_as_if_it_had_not(
    bundle: Path, still_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(bundle, still_folder, tmp_path / "whole", monkeypatch=monkeypatch)
    whole = Checkpoint.load(tmp_path / "whole" / "checkpoint.pt")
    assert whole.step == 5

    optimize = trainer.Trainer._optimize

    def killed(self: trainer.Trainer, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        if self.step == 2:
            raise KeyboardInterrupt
        return optimize(self, batch)

    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(trainer.Trainer, "_optimize", killed)
    with pytest.raises(KeyboardInterrupt):
        run(bundle, still_folder, tmp_path / "stopped", monkeypatch=monkeypatch)
    assert Checkpoint.load(tmp_path / "stopped" / "checkpoint.pt").step == 2
    monkeypatch.setattr(trainer.Trainer, "_optimize", optimize)
    run(bundle, still_folder, tmp_path / "stopped", monkeypatch=monkeypatch)
    again = Checkpoint.load(tmp_path / "stopped" / "checkpoint.pt")
    assert again.step == 5
    for name, value in whole.average.items():
        assert torch.equal(value, again.average[name]), name

    with (tmp_path / "stopped" / "log.csv").open(newline="") as file:
        validated = [row["step"] for row in csv.DictReader(file) if row["val_dice"]]
    assert validated == ["3", "5"]


def test_a_click_network_starts_from_one_without_prompt_and_is_trained(
    still_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"channels": [8, 8, 8], "blocks": [1, 1, 1], "token_grid": [2, 2], "dropout": 0.0}
    for name, kind in (("plain", "Bas"), ("clicks", "BasClick")):
        network_def = {"_target_": f"UltrasoundLesionSegLib.engine.networks.bas.{kind}", **options}
        write_bundle(tmp_path / name, network_def, name, "a network for tests")
    plain = read_bundle(tmp_path / "plain").build_network()
    save_weights(tmp_path / "plain", plain, torch.float32)
    clicks = read_bundle(tmp_path / "clicks").build_network()
    train.start_from_run(clicks, tmp_path / "plain")
    stem = clicks.state_dict()["trunk.stem.conv.weight"]
    assert torch.equal(stem[:, :3], plain.state_dict()["trunk.stem.conv.weight"])
    assert stem.shape[1] == 7
    assert not stem[:, 3:].any()

    stages = [{"steps": 2, "batch": 2, "sample": {"frames": 1, "size": 48, "wrongness": 0.5}}]
    content = {"train": {"seed": 4, "learning_rate": 0.01, "warmup": 1, "stages": stages}}
    (tmp_path / "clicks" / "configs" / "train.json").write_text(json.dumps(content))
    run(tmp_path / "clicks", still_folder, tmp_path / "run", start=tmp_path / "plain", monkeypatch=monkeypatch)
    trained = Checkpoint.load(tmp_path / "run" / "checkpoint.pt")
    assert trained.step == 2
    assert trained.network["trunk.stem.conv.weight"][:, 3:].any()  # the prompt has begun to count


def test_a_run_is_exported_into_its_bundle(
    bundle: Path, still_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(bundle, still_folder, tmp_path / "run", "stages=[]", monkeypatch=monkeypatch)
    digest = export.export_runs([tmp_path / "run"], bundle, torch.float32)
    found = read_bundle(bundle)
    assert found.sha256 == digest
    average = Checkpoint.load(tmp_path / "run" / "checkpoint.pt").average
    loaded = found.load_network().state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in average.items())

    arguments = ["export", "--run", str(tmp_path / "run"), "--bundle", str(bundle), "--dtype", "int8"]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(weight_storage, "SMALL", 0)  # as all tensors of this network are
    export.main()
    tensors = load_file(bundle / "models" / "model.safetensors")
    assert {name.removesuffix("..scale") for name in tensors} == average.keys()
    assert all(tensors[name].dtype == torch.int8 for name, value in average.items() if value.ndim > 1)
    read_bundle(bundle).load_network()


def test_several_runs_are_exported_as_their_mean(bundle: Path, tmp_path: Path) -> None:
    state = read_bundle(bundle).build_network().state_dict()
    for name, factor in (("first", 1.0), ("second", 3.0)):
        weights = {key: value * factor if value.is_floating_point() else value for key, value in state.items()}
        Checkpoint(0, weights, weights, {}).save(tmp_path / name / "checkpoint.pt")
    export.export_runs([tmp_path / "first", tmp_path / "second"], bundle, torch.float32)
    loaded = read_bundle(bundle).load_network().state_dict()
    for key, value in state.items():
        assert torch.equal(loaded[key], 2 * value if value.is_floating_point() else value)


def test_a_model_without_trunk_takes_no_trunk_weights(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no trunk"):
        train.start_from_trunk(read_bundle(bundle).build_network(), tmp_path / "weights.safetensors")


def test_settings_are_overridden_and_mistakes_named(bundle: Path) -> None:
    path = bundle / "configs" / "train.json"
    config = read_train_config(path, ["stages.0.steps=7", "seed=9", "stages.1.sample.size=64"])
    assert (config.steps, config.seed, config.stages[1].sample.size) == (9, 9, 64)
    assert config.stages[1].sample.clip.lifetime == (2, 3)
    wrong_ones = [
        "stages.5.steps=1",
        "speed=3",
        "stages.size.steps=1",
        "stages=3",
        "stages.0.batch=0",
        "stages.0.steps=-1",
        "stages.0.steps=2.5",
    ]
    wrong_ones += ["stages.0.sample.size=40", "learning_rate=0", "clip_share=2", "warmup=-1", "average_decay=1"]
    for wrong in wrong_ones:
        with pytest.raises(ModelError, match="training configuration"):
            read_train_config(path, [wrong])
    with pytest.raises(ModelError, match="no setting 'speed'"):
        read_train_config(path, ["speed=3"])
    with pytest.raises(ModelError, match=r"--set stages\.5\.steps: .*nothing of this name"):
        read_train_config(path, ["stages.5.steps=1"])
    for wrong in ("seed=x", "seed"):
        with pytest.raises(ModelError, match="--set seed: the value is no JSON"):
            read_train_config(path, [wrong])


def test_the_average_follows_slowly() -> None:
    network = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(network.weight)
    average = AveragedWeights(network, 0.9)
    torch.nn.init.ones_(network.weight)
    average.update(network, 10_000)
    assert average.state["weight"].item() == pytest.approx(0.1)
    average.update(network, 0)  # at the start it follows at once
    assert average.state["weight"].item() > 0.85


def test_a_log_drops_what_the_checkpoint_does_not_know(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.csv", 0)
    for step in (20, 40, 60):
        log.add(step=step, loss=1.0)
    RunLog(tmp_path / "log.csv", 40).add(step=60, loss=0.5)
    with (tmp_path / "log.csv").open(newline="") as file:
        assert [(row["step"], row["loss"]) for row in csv.DictReader(file)] == [
            ("20", "1.0"),
            ("40", "1.0"),
            ("60", "0.5"),
        ]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    torch.save({"step": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(SourceError, match="remove it"):
        Checkpoint.load(tmp_path / "checkpoint.pt")


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys; from UltrasoundLesionSegLib import evaluation, training; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
