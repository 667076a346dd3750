from __future__ import annotations

from pathlib import Path

import pytest

from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import read_bundle
from UltrasoundLesionSegLib.errors import ModelError
from UltrasoundLesionSegLib.evaluation.variants import make_variant


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    network = {
        "_target_": "UltrasoundLesionSegLib.engine.networks.bas.BasPropagate",
        "channels": [8, 8, 8],
        "blocks": [1, 1, 1],
        "token_grid": [2, 2],
    }
    write_bundle(tmp_path / "tiny_original", network, "tiny", "for tests")
    save_weights(tmp_path / "tiny_original", read_bundle(tmp_path / "tiny_original").build_network())
    monkeypatch.setenv("ULS_MODELS", str(tmp_path))
    return tmp_path


def test_a_variant_has_the_weights_and_other_settings(models: Path) -> None:
    changes = ["propagation.window_margin=2.5", "propagation.memory.capacity=3"]
    variant = make_variant("tiny_original", "wider", models, changes)
    settings = variant.tracker_settings()
    assert (settings.window_margin, settings.memory.capacity) == (2.5, 3)
    assert variant.sha256 == read_bundle(models / "tiny_original").sha256
    variant.load_network()
    assert read_bundle(models / "tiny_original").tracker_settings().window_margin == 2.0


def test_another_network_starts_without_weights(models: Path) -> None:
    variant = make_variant("tiny_original", "deeper", models, [], {"blocks": [1, 2, 2]})
    assert variant.weights is None
    assert variant.network_def["blocks"] == [1, 2, 2]


def test_a_setting_that_is_not_there_is_refused(models: Path) -> None:
    with pytest.raises(ModelError, match="no setting named"):
        make_variant("tiny_original", "wrong", models, ["propagation.margin=2"])
