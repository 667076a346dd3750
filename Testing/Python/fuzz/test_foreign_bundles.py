"""Model bundles from elsewhere are data: nothing of them runs, and what they ask for has bounds."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from UltrasoundLesionSegLib.engine import bundles
from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import list_bundles, read_bundle
from UltrasoundLesionSegLib.errors import ModelError

BAS = "UltrasoundLesionSegLib.engine.networks.bas.Bas"
TINY: dict[str, Any] = {"channels": [8, 12, 16], "blocks": [1, 1, 1], "token_grid": [2, 2]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound bundle with weights."""
    folder = tmp_path / "foreign"
    write_bundle(folder, {"_target_": BAS, **TINY}, "Foreign", "A small network.")
    save_weights(folder, read_bundle(folder).build_network())
    return folder


def edit(folder: Path, configuration: str, **changes: Any) -> None:
    file = folder / "configs" / f"{configuration}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("name", ["metadata", "inference"])
@pytest.mark.parametrize("depth", [400, 900, 100_000])
def test_descriptions_nested_without_end_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, depth: int
) -> None:
    nested = "[" * depth + "]" * depth
    (folder / "configs" / f"{name}.json").write_text(
        f'{{"network_def": {{"_target_": "{BAS}", "channels": {nested}}}, "suggestion": {nested}}}'
    )
    with pytest.raises(ModelError):
        read_bundle(folder)
    monkeypatch.setenv(bundles.FOLDERS_VARIABLE, str(folder.parent))
    assert "foreign" not in {bundle.name for bundle in list_bundles()}


@pytest.mark.parametrize(
    "arguments",
    [
        {"channels": [10**9, 10**9, 10**9]},
        {"blocks": [1, 2**31, 1]},
        {"blocks": [1, 65, 1]},
        {"channels": [4096, 4096, 4096]},
        {"token_grid": [4096, 4096]},
        {"channels": list(range(5000))},
        {"dropout": 1e308},
    ],
)
def test_networks_larger_than_any_are_refused_before_they_take_memory(folder: Path, arguments: dict[str, Any]) -> None:
    edit(folder, "inference", network_def={"_target_": BAS, **TINY, **arguments})
    started = time.process_time()
    with pytest.raises(ModelError, match=r"huge numbers|cannot be built"):
        read_bundle(folder).load_network()
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "arguments", [{"channels": [0, 12, 16]}, {"token_grid": []}, {"blocks": {}}, {"dropout": None}]
)
def test_whatever_a_layer_raises_is_a_model_error(folder: Path, arguments: dict[str, Any]) -> None:
    edit(folder, "inference", network_def={"_target_": BAS, **TINY, **arguments})
    with pytest.raises(ModelError):
        read_bundle(folder).load_network()


@pytest.mark.parametrize("size", [2**20, True, 1e9, -16, None])
def test_inputs_larger_than_any_are_refused(folder: Path, size: object) -> None:
    edit(folder, "metadata", suggestion={"input_size": size})
    with pytest.raises(ModelError, match="input size"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "settings",
    [
        {"window_margin": float("inf")},
        {"window_margin": float("nan")},
        {"smallest_side": float("inf")},
        {"memory": {"policy": "bounded", "capacity": 10**9}},
        {"memory": {"policy": []}},
        {"memory": 3},
        {"__class__": 1},
    ],
)
def test_settings_out_of_bounds_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    folder = tmp_path / "foreign"
    options = {"input_size": 64, "window_margin": 2.0, "smallest_side": 16} | settings
    write_bundle(folder, {"_target_": f"{BAS}Propagate", **TINY}, "Foreign", "A small network.")
    edit(folder, "metadata", propagation=options)
    with pytest.raises(ModelError, match="propagation settings"):
        read_bundle(folder).tracker_settings()


def test_expressions_elsewhere_in_a_foreign_description_are_never_evaluated(folder: Path, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    expression = f"$__import__('pathlib').Path({str(touched)!r}).touch()"
    component = {"_target_": "pathlib.Path.touch", "self": str(touched)}
    edit(folder, "inference", imports=[expression], initialize=expression, inferer=component, device=expression)
    edit(folder, "metadata", name=expression, description=expression, version=expression)
    bundle = read_bundle(folder)
    bundle.load_network()
    assert bundle.title == expression
    assert not touched.exists()
