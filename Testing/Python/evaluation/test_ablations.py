from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from UltrasoundLesionSegLib.engine.bundles import find_bundle, read_bundle
from UltrasoundLesionSegLib.engine.networks.stpfnet import STPFNet
from UltrasoundLesionSegLib.errors import OutputError, SourceError
from UltrasoundLesionSegLib.evaluation import ablations
from UltrasoundLesionSegLib.evaluation.ablations import CONFIGURATIONS, TABLES, Schedule, alike, table_lines
from UltrasoundLesionSegLib.evaluation.metrics import FrameScores
from UltrasoundLesionSegLib.evaluation.scores import ScoredFrame, summarize
from UltrasoundLesionSegLib.evaluation.variants import make_variant
from UltrasoundLesionSegLib.training import trainer
from UltrasoundLesionSegLib.training.run_state import Checkpoint
from UltrasoundLesionSegLib.training.train_config import read_train_config


def test_the_configurations_are_the_paper_s(tmp_path: Path) -> None:
    networks = {}
    for name, network in CONFIGURATIONS.items():
        built = make_variant(ablations.MODEL, name, tmp_path, [], network).build_network()
        assert isinstance(built, STPFNet)
        networks[name] = built
    assert networks["stm"].spatial is None
    assert networks["stm_msff"].spatial is None
    assert networks["stm_sfm"].spatial is not None
    assert type(networks["stm"].fusion) is type(networks["stm_sfm"].fusion)
    assert type(networks["stm_msff"].fusion) is type(networks["stpfnet"].fusion)
    assert type(networks["stm"].fusion) is not type(networks["stpfnet"].fusion)
    assert networks["stpfnet_concatenated"].prior == "concatenated"
    # the final configuration is the shipped model's
    shapes = {key: value.shape for key, value in networks["stpfnet"].state_dict().items()}
    shipped = find_bundle(ablations.MODEL).build_network().state_dict()
    assert shapes == {key: value.shape for key, value in shipped.items()}
    assert len({repr(sorted(network.items())) for network in CONFIGURATIONS.values()}) == 9
    assert {name for table in TABLES.values() for name in table.configurations} == set(CONFIGURATIONS)


def test_the_schedule_changes_length_and_size_alone() -> None:
    own = read_train_config(find_bundle(ablations.MODEL).folder / "configs" / "train.json")
    config = alike(own, Schedule(steps=own.steps // 4, batch=3, size=64))
    (stage,) = config.stages
    assert (config.steps, stage.batch, stage.sample.size) == (own.steps // 4, 3, 64)
    assert config.warmup == own.warmup // 4
    assert (config.seed, config.learning_rate, config.clip_share) == (own.seed, own.learning_rate, own.clip_share)
    assert (stage.sample.frames, stage.sample.wrongness) == (
        own.stages[0].sample.frames,
        own.stages[0].sample.wrongness,
    )
    assert alike(own, Schedule(own.steps, 3, 64, seed=own.seed + 1)).seed == own.seed + 1


def test_the_tables_name_settings_and_differences() -> None:
    rows = [
        ScoredFrame(name, case, case, 0, 1, 1, FrameScores(0.5 + 0.01 * place, 0.4, 0.6, 0.1, 0.5, 3.0, 0.5, 0.1))
        for place, name in enumerate(CONFIGURATIONS)
        for case in ("v1", "v2")
    ]
    names = [*CONFIGURATIONS]
    summaries = [summarize(rows, name, [other for other in names if other != name]) for name in names]
    text = "\n".join(line for table in TABLES.values() for line in table_lines(table, summaries))
    assert "Table II: means over 2 videos" in text
    gain = "+0.030 (+0.030 to +0.030)"
    assert f"| stpfnet | yes | yes | 0.530 | 0.400 | 0.600 | 0.100 | 0.530 | {gain} | {gain} |" in text
    assert "| stm | no | no | 0.500 | 0.400 | 0.600 | 0.100 | 0.500 |  |  |" in text
    assert "| stpfnet_stage2 | both | 2 | multiplied | 0.560 |" in text
    assert "| stpfnet_concatenated | both | 4 | concatenated | 0.580 |" in text


def test_a_killed_command_goes_on(
    many_stills: Path, davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two configurations, a few steps: the second is killed, and the first is not trained again."""
    names = ("stm", "stpfnet")
    output = tmp_path / "out"
    table = ablations.Table("Table II", "stm", names, {"spatial_fusion": "SFM"})
    monkeypatch.setattr(ablations, "TABLES", {"II": table, "III": TABLES["III"]})
    monkeypatch.setattr(trainer, "VALIDATION_BATCHES", 1)
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0)
    arguments = ["--data", str(many_stills), "--output", str(output), "--dataset", str(davis), "--device", "cpu"]
    arguments += ["--batch", "1", "--size", "32", "--workers", "0", "--threads", "1", "--table", "II"]
    monkeypatch.setattr(sys, "argv", ["ablations", *arguments, "--steps", "2"])

    steps = []
    optimize = trainer.Trainer._optimize

    def counted(self: trainer.Trainer, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        steps.append(self._output.name)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return optimize(self, batch)

    monkeypatch.setattr(trainer.Trainer, "_optimize", counted)
    with pytest.raises(KeyboardInterrupt):
        ablations.main()
    assert steps == ["stm", "stm", "stpfnet", "stpfnet"]
    digest = read_bundle(output / "models" / "stm").sha256
    ablations.main()
    assert steps[4:] == ["stpfnet"]
    assert read_bundle(output / "models" / "stm").sha256 == digest != ""
    assert Checkpoint.load(output / "runs" / "stpfnet" / "checkpoint.pt").step == 2
    for name in names:
        bundle = read_bundle(output / "models" / name)
        assert bundle.input_size == 32
        bundle.load_network()
    text = (output / "results" / "davis" / "table_II.md").read_text()
    assert "| stpfnet | yes | 0." in text
    assert text in capsys.readouterr().out

    monkeypatch.setattr(ablations, "evaluate", None)  # what is scored is not scored again
    ablations.main()
    monkeypatch.setattr(sys, "argv", ["ablations", *arguments, "--steps", "3"])
    with pytest.raises(OutputError, match="another folder"):
        ablations.main()


def test_data_sets_are_checked_before_anything_is_trained(davis: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="one name"):
        ablations.check_datasets([davis, davis], ablations.Layout.DAVIS)
    with pytest.raises(SourceError):
        ablations.check_datasets([davis, tmp_path / "nothing"], ablations.Layout.DAVIS)
